"""What a transcript costs on the wire and in the kernel, beside four peers in the same run.

Deltas of four characters go through a live transcript in a real kernel, at full speed and at 2,000 a second; a bare
socket counts every raw frame of IOPub. The peers show the same text as they would: chatlas' notebook display,
`display(Markdown)` updated, `ipywidgets.HTML` growing, `rich.live.Live`. Then a run behind a real jupyter_server with
its default rate limit, and the creation of the reference server's form of 13 fields.

    make bench, or: python tests/benchmarks/wire.py [--full] [--check]

Prints tables and writes ``results/wire.json``; with ``--check`` it fails beyond the promised bounds. "First" is the
time from the first delta's event to the arrival of the IOPub message that holds it. The live stream and the whole cell,
the output that the notebook keeps included, stand apart. What an update per delta costs is quadratic, so that peers
show the longest texts only with ``--full`` (most of an hour); chatlas, which a promise names, at full speed always.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import statistics
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from nbagent.widgets.markdown import Rendered
from tests.benchmarks import summary
from tests.benchmarks.onwire.cells import FORM, FRAME, NBAGENT, SUBJECTS
from tests.benchmarks.onwire.counting import Traffic, kernel
from tests.benchmarks.onwire.server import Arrived, page

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results") / "wire.json"
COUNTS = (1_000, 4_000, 16_000)
PACE = 2_000
HEAD = (
    f"{'':26}{'':20}{'deltas':>8}{'text kB':>9}{'wire kB':>9}{'factor':>8}"
    f"{'messages':>10}{'CPU s':>8}{'s':>7}{'first ms':>10}"
)
CELLS = {
    "full speed": [(count, "prose", 0) for count in COUNTS],
    "2,000 a second": [(count, "prose", PACE) for count in COUNTS],
    "64 kB code block": [(16_000, "code", 0)],
}


def row(name: str, way: str, count: int, traffic: Traffic) -> str:
    """A line of the table."""
    first = "" if traffic.first_ms is None else f"{traffic.first_ms:.1f}"
    return (
        f"{name:26}{way:20}{count:>8,}{traffic.text / 1e3:>9.0f}{traffic.size / 1e3:>9.0f}{traffic.factor:>8.2f}"
        f"{traffic.messages:>10,}{traffic.cpu:>8.2f}{traffic.seconds:>7.1f}{first:>10}"
    )


MOST = {"nbagent": 16_000, "chatlas' notebook display": 16_000, "rich.live.Live": 1_000}
"""Deltas that a subject shows at most without ``--full``; the others 4,000."""


def shown(name: str, way: str, count: int, full: bool) -> bool:
    """Whether a subject is measured so: without `full`, peers are paced at 1,000 deltas alone and show no long code."""
    if full or name == "nbagent":
        return True
    return count <= (MOST.get(name, 4_000) if way == "full speed" else 1_000)


def measured(name: str, full: bool) -> dict[str, dict[str, Traffic]]:
    """All figures of one subject, by the way that the text comes and the number of deltas."""
    found: dict[str, dict[str, Traffic]] = {}
    ours = name == "nbagent"
    with kernel(FRAME, SUBJECTS[name]) as counting:
        counting.measure("await run(50, 'prose', 0, True)")  # imports what it imports
        for way, cells in CELLS.items():
            for count, kind, rate in cells:
                if not shown(name, way, count, full):
                    continue
                traffic = counting.measure(f"await run({count}, {kind!r}, {rate}, False)")
                found.setdefault(way, {})[str(count)] = traffic
                print(row(name, way, count, traffic), flush=True)
        if ours:
            for count in COUNTS:
                kept = counting.measure(f"await run({count}, 'prose', 0, True)")
                found.setdefault("whole cell", {})[str(count)] = kept
                print(row(name, "whole cell", count, kept), flush=True)
    return found


def exponent(traffic: dict[str, Traffic], cost: str = "size") -> float:
    """The growth of a cost from 4,000 to 16,000 deltas, as an exponent: 1 is linear."""
    return math.log(getattr(traffic["16000"], cost) / getattr(traffic["4000"], cost)) / math.log(4)


def form() -> dict[str, float]:
    """The creation of the form of 13 fields: messages, bytes, and milliseconds (the median of nine)."""
    schema = ROOT / "tests" / "widgets" / "everything_form.json"
    with kernel(FORM.format(schema=str(schema))) as counting:
        counting.measure("await run()")  # imports what it imports
        found = [counting.measure("await run()") for _ in range(9)]
    return {
        "messages": found[0].messages,
        "bytes": found[0].size,
        "ms": statistics.median(one.seconds for one in found) * 1e3,
    }


def behind_a_server(name: str, count: int) -> Arrived:
    """A run at full speed behind jupyter_server."""
    with page() as browser:
        browser.run(FRAME + SUBJECTS[name])
        view, told = browser.run(f"await run({count}, 'prose', 0, True)", {"text": "text"})
        text = ast.literal_eval(told["text"]["data"]["text/plain"])
        rendered = Rendered()
        rendered.advance(text, True)
        whole = "".join(rendered.pieces) in view.html.values() if SUBJECTS[name] == NBAGENT else view.markdown == text
        return Arrived(view.updates, whole, view.resyncs, view.limited)


def faults(found: dict[str, dict[str, dict[str, Traffic]]], made: dict[str, float], arrived: Arrived) -> list[str]:
    """The promises that these figures break."""
    ours = found["nbagent"]
    fast, paced = ours["full speed"], ours["2,000 a second"]
    chatlas = found["chatlas' notebook display"]["full speed"]
    checks = {
        "at most 2 times the text at full speed": fast["16000"].factor <= 2,
        "at most 4 times when paced": paced["16000"].factor <= 4,
        "growth at most 1.05": exponent(fast) <= 1.05 and exponent(paced) <= 1.05,
        "first text within 50 ms": (paced["16000"].first_ms or math.inf) <= 50,
        "form under 60 ms": made["ms"] < 60,
        "nothing lost behind a server": arrived.whole,
        "under a twentieth of chatlas' CPU": "16000" not in chatlas or fast["16000"].cpu * 20 < chatlas["16000"].cpu,
    }
    return [promise for promise, holds in checks.items() if not holds]


def about() -> dict[str, Any]:
    """The machine, and the versions of what is compared."""
    versions: dict[str, str] = {}
    for name in ("jupyter-nbagent", "chatlas", "ipython", "ipykernel", "ipywidgets", "rich", "jupyter_server"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "none"
    return summary.here() | {"versions": versions}


def kept(found: dict[str, dict[str, dict[str, Traffic]]], **more: Any) -> None:
    """Write the figures where the repository keeps them."""
    subjects = {
        name: {
            way: {
                count: {
                    key: round(value, 3) if isinstance(value, float) else value
                    for key, value in (asdict(one) | {"factor": one.factor}).items()
                }
                for count, one in counts.items()
            }
            for way, counts in ways.items()
        }
        for name, ways in found.items()
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(about() | {"subjects": subjects} | more, indent=1) + "\n")


def main() -> int:
    """Measure, print, write; with ``--check``, 1 beyond the bounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    made = form()
    print(f"the form of 13 fields: {made['messages']} messages, {made['bytes'] / 1e3:.0f} kB, {made['ms']:.0f} ms")
    servers = {name: behind_a_server(name, 16_000 if name == "nbagent" else 4_000) for name in list(SUBJECTS)[:2]}
    for name, arrived in servers.items():
        print(f"behind jupyter_server, {name}: {arrived}")
    print(HEAD)
    found = {name: measured(name, options.full) for name in SUBJECTS}
    for way, cost in (("full speed", "size"), ("2,000 a second", "size"), ("full speed", "cpu")):
        growth = exponent(found["nbagent"][way], cost)
        print(f"growth of nbagent's {cost}, {way}: exponent {growth:.2f} from 4,000 to 16,000 deltas")
    broken = faults(found, made, servers["nbagent"])
    print(*(f"NOT AS PROMISED: {promise}" for promise in broken), sep="\n")
    kept(
        found, form={key: round(value, 1) for key, value in made.items()},
        server={name: asdict(one) for name, one in servers.items()}, broken=broken,
    )  # fmt: skip
    return int(options.check and bool(broken))


if __name__ == "__main__":
    sys.exit(main())
