"""The table of kernels: what `test_matrix` does in a notebook, on each ipykernel that one may have (`make matrix`).

    python -m tests.kernel.matrix [--python INTERPRETER …] [--versions VERSION …]

It makes the environments that are missing, runs the tests on each, prints the table, and keeps it in
``tests/benchmarks/results/matrix.json``, where a row of another day or interpreter stays until the same one is run
again. With `--python` the environments are made with those interpreters, the oldest and the newest ipykernel alone.
The newest pre-release is a row where there is one beyond the newest release. Exits with 1 where a test fails.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from tests.kernel.environments import FLOOR, OTHERS, ROOT, VERSIONS, Environment

RESULTS = ROOT / "tests" / "benchmarks" / "results" / "matrix.json"
LIBRARIES = ("ipython", "ipywidgets", "comm", "jupyter_client", "pyzmq", "tornado", "nest-asyncio2")
Row = dict[str, Any]

_ABOUT = f"""
import json, platform
from importlib.metadata import version
names = ("ipykernel", *{LIBRARIES!r})
print(json.dumps({{"python": platform.python_version(), **{{name: version(name) for name in names}}}}))
"""


@dataclass(eq=False)
class Outcomes:
    """A plugin of pytest's: what came of each test, by its interpreter and its column, which its docstring names."""

    columns: dict[str, None] = field(default_factory=dict[str, None])
    found: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list[str]))  # pyright: ignore
    )
    _columns_of: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which test is of which interpreter and column."""
        for item in items:
            function = cast(pytest.Function, item)
            column = (function.obj.__doc__ or item.name).strip()
            self.columns[column] = None
            self._columns_of[item.nodeid] = str(function.callspec.params["notebook"]), column

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note an outcome; a test has one for its own part, and more where setting up or tidying up went wrong."""
        if report.when == "call" or report.failed:
            interpreter, column = self._columns_of[report.nodeid]
            instead = dict(report.user_properties).get("instead")
            self.found[interpreter][column].append(str(instead) if instead and report.passed else report.outcome)


def newest(*, pre: bool = False) -> str:
    """The newest ipykernel that there is for this interpreter."""
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet"]
    options = ["--disable-pip-version-check", "--report", "-", *(["--pre"] if pre else [])]
    done = subprocess.run([*pip, *options, "ipykernel<8"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["install"][0]["metadata"]["version"]


def environments(pythons: list[str], versions: list[str]) -> list[Environment]:
    """The environments of the table."""
    if pythons:
        wanted = versions or [FLOOR, newest()]
        return [Environment(version, python, _tag(python)) for python in pythons for version in wanted]
    latest, pre = newest(), newest(pre=True)
    if pre == latest:
        print(f"no pre-release beyond ipykernel {latest}", flush=True)
    return [Environment(v) for v in versions or sorted({*VERSIONS, *OTHERS, latest, pre}, key=_numbers)]


def _tag(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split("."))


def run(interpreters: list[str]) -> list[Row]:
    """Run the tests on each interpreter; a row of the table each."""
    os.environ["NBAGENT_KERNELS"] = os.pathsep.join(interpreters)
    outcomes = Outcomes()
    pytest.main(["-q", "--no-header", str(Path(__file__).with_name("test_matrix.py"))], plugins=[outcomes])
    return [_row(interpreter, outcomes) for interpreter in interpreters]


def _row(interpreter: str, outcomes: Outcomes) -> Row:
    told = subprocess.run([interpreter, "-c", _ABOUT], check=True, capture_output=True, text=True).stdout
    about: dict[str, str] = json.loads(told)
    row: Row = {"ipykernel": about.pop("ipykernel"), "python": about.pop("python")}
    row["date"] = datetime.datetime.now(datetime.UTC).date().isoformat()
    row["columns"] = {column: _sum(outcomes.found[interpreter][column]) for column in outcomes.columns}
    return {**row, "libraries": about}


def _sum(outcomes: list[str]) -> str:
    """``ok`` where all tests of a column passed; else what came of them instead."""
    if not outcomes:
        return "not run"
    other = [outcome for outcome in outcomes if outcome != "passed"]
    failed = [outcome for outcome in other if outcome in ("failed", "skipped")]
    return failed[0] if failed else other[0] if other else "ok"


def kept(rows: Iterable[Row]) -> list[Row]:
    """The rows and those of other runs, oldest Python and ipykernel first; written down."""
    before: list[Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    table = {(row["python"], row["ipykernel"]): row for row in (*before, *rows)}
    merged = sorted(table.values(), key=lambda row: (_numbers(row["python"]), _numbers(row["ipykernel"])))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(merged, indent=2) + "\n")
    return merged


def markdown(rows: list[Row]) -> str:
    """The table."""
    columns = list(rows[-1]["columns"])
    head = ["ipykernel", "Python", *columns, "date"]
    lines = [
        [row["ipykernel"], row["python"], *(row["columns"].get(c, "—") for c in columns), row["date"]] for row in rows
    ]
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]
    rule = [":" + "-" * (width - 1) for width in widths]
    rows_of_text = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in (head, rule, *lines)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in rows_of_text)


def main() -> int:
    """Make, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.matrix", description="The table of kernels.")
    parser.add_argument("--python", action="append", default=[], help="an interpreter to make environments with")
    parser.add_argument("--versions", nargs="+", default=[], help="of ipykernel; all that are tested by default")
    options = parser.parse_args()
    wanted = environments(options.python, options.versions)
    for environment in wanted:
        if not environment.made:
            print(f"making {environment.interpreter.parents[1].relative_to(ROOT)}", flush=True)
            environment.make()
    rows = run([str(environment.interpreter) for environment in wanted])
    print(markdown(kept(rows)))
    return int(any(outcome in ("failed", "skipped", "not run") for row in rows for outcome in row["columns"].values()))


if __name__ == "__main__":
    sys.exit(main())
