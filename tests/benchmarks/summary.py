"""One table of the measured figures with the peer beside each, read from the results that the other benchmarks wrote.

    make bench, or: python tests/benchmarks/summary.py

Ratios are of one run on one machine; the machine of each is named, by the benchmarks themselves, with `here`.
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def here() -> dict[str, Any]:
    """When and on what machine, for a benchmark to keep beside its figures; `load` is that of the last minute."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),
    }


def read(name: str) -> dict[str, Any]:
    """What the benchmark of that name wrote; nothing where it never ran."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def wire() -> list[tuple[str, str, str]]:
    """The wire: what is measured, ours, the peer's."""
    found = read("wire")
    if not found:
        return []
    ours, chatlas = (
        found["subjects"][name]["full speed"]["16000"] for name in ("nbagent", "chatlas' notebook display")
    )
    paced = found["subjects"]["nbagent"]["2,000 a second"]["16000"]
    whole = found["subjects"]["nbagent"]["whole cell"]["16000"]
    return [
        (
            "bytes for each of the text, live, 16,000 deltas",
            f"{ours['factor']:.2f}",
            f"chatlas {chatlas['factor']:,.0f}",
        ),
        ("the same, at 2,000 deltas a second", f"{paced['factor']:.2f}", ""),
        ("the same, the whole cell with what it keeps", f"{whole['factor']:.2f}", ""),
        ("messages", f"{ours['messages']:,}", f"chatlas {chatlas['messages']:,}"),
        ("kernel CPU", "1", f"chatlas {chatlas['cpu'] / ours['cpu']:.0f} times"),
        ("form of 13 fields", f"{found['form']['ms']:.0f} ms", ""),
    ]


def latency() -> list[tuple[str, str, str]]:
    """From an interrupt to an idle kernel."""
    states = read("latency").get("milliseconds", {})
    bare = {state: figures for state, figures in states.items() if state.startswith("no nbagent")}
    medians = [figures["median"] for state, figures in states.items() if state not in bare]
    if not medians:
        return []
    theirs = ", ".join(
        f"{state.removeprefix('no nbagent: ')} {figures['median']:.0f} ms" for state, figures in bare.items()
    )
    return [("interrupt to idle, medians", f"{min(medians):.0f} to {max(medians):.0f} ms", theirs)]


def throughput() -> list[tuple[str, str, str]]:
    """Deltas through the runtime."""
    found = read("throughput").get("at once", {})
    if not found:
        return []
    return [
        ("deltas a second through the runtime", f"{found['nbagent over the best peer']:.1f} times", "the best peer 1")
    ]


def machines() -> list[str]:
    """One line for each benchmark: when and on what machine it ran."""
    facts = ("date", "python", "machine", "ipykernel", "load")
    found = {name: read(name) for name in ("throughput", "wire", "latency")}
    return [
        f"{name}: {', '.join(f'{fact} {about[fact]}' for fact in facts if fact in about)}"
        for name, about in found.items()
        if about
    ]


def main() -> None:
    """Print the table."""
    for what, ours, theirs in [*throughput(), *wire(), *latency()]:
        print(f"{what:50}{ours:>14}   {theirs}")
    print(*machines(), sep="\n")


if __name__ == "__main__":
    main()
