"""No text claims a figure that no benchmark measured: README, pages and tutorials beside `tests/benchmarks/results`.

A number with the unit of a measurement has to be in the results, rounded as it is printed; the sentences of README that
carry the large claims are compared whole, so that a figure cannot stand in for another. What is promised beforehand (a
bound, and not a measurement) is read from the benchmark that holds it.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any, cast

import nbformat
import pytest

from tests.benchmarks import figures, latency, summary

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
PAGES = [ROOT / "README.md", *sorted(NOTEBOOKS.rglob("*.md")), *sorted(NOTEBOOKS.glob("*.ipynb"))]
MEASURED = re.compile(
    r"(?P<first>\d[\d,]*(?:\.\d+)?)(?: (?:to|and|of the) (?P<second>\d[\d,]*(?:\.\d+)?))?"
    r" (?P<unit>ms|milliseconds|instructions|injections|failures|scenarios|interrupts|[kM]B|bytes|messages a second"
    r"|deltas a second|events a second|times (?:as|faster|less|more|the))\b"
)
"""A number, or two, and a unit in which benchmarks measure."""


def prose(page: Path) -> str:
    """The text of a page, or of a notebook's cells of text, all white space alike."""
    if page.suffix == ".ipynb":
        cells = nbformat.read(page, as_version=4).cells
        return " ".join(" ".join(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    return " ".join(page.read_text(encoding="utf-8").split())


def states(*, ours: bool) -> dict[str, dict[str, float]]:
    """Milliseconds by state, of nbagent or of the bare kernel."""
    found = summary.read("latency")["milliseconds"]
    return {state: figure for state, figure in found.items() if state.startswith("no nbagent") is not ours}


def known() -> dict[str, set[str]]:
    """By unit, the numbers that the results hold, as a text may print them."""
    sweep = summary.read("interrupts")
    every = [number for state in summary.read("latency")["milliseconds"].values() for number in state.values()]
    milliseconds = {f"{number:.0f}" for number in (*every, summary.read("wire")["form"]["ms"], latency.LIMIT)}
    return {
        "ms": milliseconds,
        "milliseconds": milliseconds,
        "instructions": {f"{sweep['instructions']:,}", str(sweep["one_in"])},
        "injections": {f"{sweep['injections']:,}"},
        "failures": {f"{sweep['failures']:,}"},
        "scenarios": {str(len(sweep["scenarios"]))},
        "interrupts": {str(summary.read("latency")["rounds"])},
    }


def unmeasured(text: str) -> list[str]:
    """The claims in `text` that no result bears out."""
    figures_of = known()
    return [
        claim[0]
        for claim in MEASURED.finditer(text)
        for number in (claim["first"], claim["second"])
        if number and number not in figures_of.get(claim["unit"], set())
    ]


def day(text: str) -> str:
    """A date of the results as README writes it."""
    when = date.fromisoformat(text)
    return f"{when.day} {when:%B %Y}"


@pytest.mark.parametrize("page", [page for page in PAGES if page != figures.PAGE], ids=lambda page: page.name)
def test_a_figure_that_is_claimed_was_measured(page: Path) -> None:
    assert unmeasured(prose(page)) == []


@pytest.mark.parametrize(
    "text", ["in 3 ms", "6 to 12,345 ms", "37,742 injections", "0 and 3 failures", "5 kB", "9 times as"]
)
def test_a_figure_that_nobody_measured_is_found(text: str) -> None:
    assert unmeasured(text)


def test_the_page_of_figures_is_what_the_results_say() -> None:
    assert figures.PAGE.read_text(encoding="utf-8") == figures.page()


def test_readme_tells_the_last_sweep() -> None:
    sweep = summary.read("interrupts")
    assert (
        f"The last sweep, of {day(sweep['date'])}, struck at one in {sweep['one_in']} of the {sweep['instructions']:,} "
        f"instructions of its {len(sweep['scenarios'])} scenarios: {sweep['injections']:,} injections, "
        f"{sweep['failures']} failures"
    ) in prose(ROOT / "README.md")


def test_readme_tells_the_last_latencies() -> None:
    found = summary.read("latency")
    ours, bare = states(ours=True).values(), states(ours=False)["no nbagent: await asyncio.sleep(60)"]
    medians = sorted(state["median"] for state in ours)
    assert (
        f"Of {found['rounds']} interrupts in each state of a live kernel (`tests/benchmarks/latency.py`, "
        f"ipykernel {found['ipykernel']}) the median from SIGINT to idle was {medians[0]:.0f} to {medians[-1]:.0f} ms "
        f"and the worst {max(state['worst'] for state in ours):.0f} ms; of a bare `await asyncio.sleep(60)` on the "
        f"same kernel {bare['median']:.0f} and {bare['worst']:.0f} ms."
    ) in prose(ROOT / "README.md")
    assert max(state["worst"] for state in ours) < latency.LIMIT  # "within a quarter of a second"


def test_readme_tells_the_last_table_of_kernels() -> None:
    rows = cast("list[dict[str, Any]]", summary.read("matrix"))
    kernels = {row["ipykernel"]: list(row["columns"].values()) for row in rows}
    told: dict[str, str] = {"no subshells": "has none"}
    table = [
        f"| {kernel} | {', '.join(_minor(row['python']) for row in rows if row['ipykernel'] == kernel)} | "
        f"{' | '.join(told.get(str(outcome), str(outcome)) for outcome in outcomes)} |"
        for kernel, outcomes in kernels.items()
    ]
    text = prose(ROOT / "README.md")
    assert " ".join(sorted(table)) in text
    assert f"Its last table, of {day(max(row['date'] for row in rows))}" in text
    assert all(list(row["columns"].values()) == kernels[row["ipykernel"]] for row in rows)


def _minor(version: str) -> str:
    return version.rpartition(".")[0]


@pytest.mark.parametrize("name", ["throughput", "wire"])
def test_a_result_names_its_machine(name: str) -> None:
    assert {"python", "machine"} <= summary.read(name).keys()
