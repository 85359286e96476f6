"""The figures page of the site: the summary's table, and plots of the wire and of the latency, drawn from the results.

    python tests/benchmarks/figures.py      # writes notebooks/guide/figures.md and notebooks/images/{wire,latency}.svg

`make bench` ends with it. Nothing is measured here.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks import summary  # noqa: E402

PAGE = ROOT / "notebooks" / "guide" / "figures.md"
IMAGES = ROOT / "notebooks" / "images"
HEAD = """# The figures

Every figure is measured by `make bench`, beside a peer in the same run; machines are noisy, so compare the ratios. This
page is written from the results (`tests/benchmarks/results/*.json`) by `tests/benchmarks/figures.py`.

"""
TAIL = """
![Bytes on the wire against the length of the text, for nbagent and three peers](../images/wire.svg)

A transcript of nbagent grows linearly with its text. A display that sends the whole text again for each piece grows
with its square.

![Milliseconds from an interrupt to an idle kernel, by what the run was doing](../images/latency.svg)

The bars are medians of {rounds} interrupts, the thin lines reach to the worst. Below them the same kernel without
nbagent.
"""


def plot_wire(path: Path) -> None:
    """Bytes against characters, both logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, runs in summary.read("wire")["subjects"].items():
        points = sorted((one["text"], one["size"]) for one in runs["full speed"].values())
        axes.loglog(*zip(*points, strict=True), marker="o", label=name, linewidth=2.5 if name == "nbagent" else 1.2)
    texts = [4_000, 64_000]
    axes.loglog(texts, texts, linestyle=":", color="grey", label="the text itself")
    axes.set(xlabel="characters of text", ylabel="bytes on the wire")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def plot_latency(path: Path) -> None:
    """Medians as bars, the worst as lines."""
    from matplotlib.figure import Figure

    states = summary.read("latency")["milliseconds"]
    figure = Figure(figsize=(7, 0.4 * len(states) + 1), layout="constrained")
    axes = figure.subplots()
    for place, (state, found) in enumerate(reversed(states.items())):
        colour = "grey" if state.startswith("no nbagent") else "#1f7a8c"
        axes.barh(place, found["median"], color=colour)
        axes.plot([found["median"], found["worst"]], [place, place], color=colour, linewidth=1, marker="|")
    axes.set_yticks(range(len(states)), list(reversed(states)))
    axes.set(xlabel="milliseconds")
    figure.savefig(path, metadata={"Date": None})


def page() -> str:
    """The page as the results say it; a test compares what is in the repository with it."""
    rows = [*summary.throughput(), *summary.wire(), *summary.latency()]
    table = ["| What | nbagent | Peer |", "|:--|:--|:--|", *(f"| {' | '.join(row)} |" for row in rows)]
    measured = ["", "Measured:", "", *(f"- {line}" for line in summary.machines())]
    return HEAD + "\n".join([*table, *measured]) + "\n" + TAIL.format(rounds=summary.read("latency")["rounds"])


def main() -> None:
    """Write the page and its pictures."""
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "nbagent"  # the same figures give the same file
    PAGE.write_text(page(), encoding="utf-8")
    plot_wire(IMAGES / "wire.svg")
    plot_latency(IMAGES / "latency.svg")


if __name__ == "__main__":
    main()
