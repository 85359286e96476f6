"""A SIGINT at every instruction of a run: the sweep, of which the tests make a sample.

Each scenario runs once for every bytecode instruction that it executes in nbagent's files and every kind of strike:
the handler called at that very instruction, or a real SIGINT that arrives there and is handled at CPython's next safe
point; alone, or followed by a second one 1, 5 or 50 instructions later. After each run: one `stream_stopped`, no gap in
the events, channel closed, bridge empty, history paired, the handler of SIGINT and the receiver of the shell stream
that were found, no task and no thread left, nothing logged as an error, and a next run in the same session that works.

    make sweep, or: python tests/benchmarks/interrupts.py --full     # all of them: some hours for each core
    python tests/benchmarks/interrupts.py --every 199                # one in 199, as `make bench` does

Prints a table, writes ``results/interrupts.json``, and fails where one run was not as promised.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.interrupts.injection import Injector
from tests.interrupts.instants import Plan, counter
from tests.interrupts.sampling import KINDS
from tests.interrupts.scenarios import SCENARIOS

RESULTS = Path(__file__).with_name("results") / "interrupts.json"
SHOWN = 5
"""Failures of a scenario that are told in full."""


@dataclass(slots=True)
class Row:
    """One scenario's figures."""

    scenario: str
    instructions: int
    injections: int = 0
    struck: int = 0
    failures: int = 0
    told: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return f"{self.scenario:26}{self.instructions:>13,}{self.injections:>12,}{self.struck:>10,}{self.failures:>10,}"


def plans(instructions: int, every: int) -> Iterator[Plan]:
    """Every instruction with every kind of strike, or one in `every` of these."""
    pairs = itertools.product(range(1, instructions + 1), KINDS)
    return (Plan(at, again, way) for at, (way, again) in itertools.islice(pairs, 0, None, every))


def swept(name: str, every: int) -> Row:
    """Sweep one scenario."""
    injector, scenario = Injector(counter()), SCENARIOS[name]
    injector.run(scenario)  # imports what it imports
    row = Row(name, injector.run(scenario).instructions)
    for plan in plans(row.instructions, every):
        outcome = injector.run(scenario, plan)
        row.injections += 1
        row.struck += len(outcome.struck)
        if outcome.faults:
            row.failures += 1
            places = ", ".join(f"{code.co_qualname} {offset}" for code, offset in outcome.struck)
            if len(row.told) < SHOWN:
                row.told.append(f"{plan}, in {places}: {outcome.faults}")
    return row


def main() -> int:
    """Sweep, print, write; 1 where something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--full", action="store_const", const=1, dest="every", help="every instruction and kind")
    amount.add_argument("--every", type=int, default=199, help="one in so many (odd, so that every kind comes)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    arguments = parser.parse_args()
    began = time.time()
    print(f"{'scenario':26}{'instructions':>13}{'injections':>12}{'strikes':>10}{'failures':>10}")
    rows: list[Row] = []
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for row in pool.map(swept, SCENARIOS, itertools.repeat(arguments.every)):
            rows.append(row)
            print(row, *row.told, sep="\n  ", flush=True)
    return _written(rows, arguments.every, time.time() - began)


def _written(rows: list[Row], every: int, seconds: float) -> int:
    total = Row("all", sum(row.instructions for row in rows))
    for row in rows:
        total.injections += row.injections
        total.struck += row.struck
        total.failures += row.failures
    print(f"{total}\none in {every} of all; {seconds:.0f} s on Python {platform.python_version()}")
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "one_in": every,
        "instructions": total.instructions,
        "injections": total.injections,
        "strikes": total.struck,
        "failures": total.failures,
        "scenarios": [asdict(row) for row in rows],
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    return int(total.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
