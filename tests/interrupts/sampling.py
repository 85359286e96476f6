"""Which instructions of a run are struck, and how: spread over its phases and over as many places as fit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from types import FrameType

from tests.interrupts.injection import Injector
from tests.interrupts.instants import Plan, Site, Way
from tests.interrupts.scenarios import Scenario

KINDS: tuple[tuple[Way, int], ...] = (
    ("instant", 0),
    ("signal", 0),
    ("instant", 1),
    ("instant", 5),
    ("instant", 50),
    ("signal", 1),
    ("signal", 5),
    ("signal", 50),
)
"""How a strike is delivered, and after how many instructions a second one follows (0: none)."""

PHASES = ("set-up", "run", "finalizers", "teardown")
_BEGINS = {"converse": "run", "Run.finalize": "finalizers", "Foregrounds._leave": "teardown"}
"""The functions whose first call begins a phase."""


@dataclass(frozen=True, slots=True)
class Course:
    """A run as it goes when nothing strikes: the place in the code of each instruction, and where the phases begin."""

    sites: Sequence[Site]
    begins: dict[str, int]

    def phases(self) -> list[range]:
        """The numbers of the instructions of each phase, from 1."""
        begins = sorted(self.begins.values())
        return [range(a, b) for a, b in zip(begins, [*begins[1:], len(self.sites) + 1], strict=True)]


def course(injector: Injector, scenario: Scenario) -> Course:
    """Run `scenario` undisturbed, once to import what it imports and once to see how it goes."""
    injector.run(scenario)
    sites: list[Site] = []
    begins = {PHASES[0]: 1}

    def record(frame: FrameType) -> None:
        sites.append((frame.f_code, frame.f_lasti))
        phase = _BEGINS.get(frame.f_code.co_qualname)
        if phase is None or phase in begins or PHASES[len(begins)] != phase:
            return
        if phase != "finalizers" or frame.f_locals["self"].parent is None:  # a nested stream ends in mid-run
            begins[phase] = len(sites)

    outcome = injector.run(scenario, record=record)
    assert not outcome.faults, outcome.faults
    return Course(sites, begins)


def sample(course: Course, size: int, chance: random.Random) -> list[Plan]:
    """`size` plans: as many for each phase, each at another place in the code as long as there are such."""
    phases = course.phases()
    numbers: list[int] = []
    for index, phase in enumerate(phases):
        share = (size - len(numbers)) // (len(phases) - index)
        numbers += _spread(course, phase, share, chance)
    return [Plan(at, again, way) for at, (way, again) in zip(numbers, cycle(KINDS), strict=False)]


def _spread(course: Course, phase: range, size: int, chance: random.Random) -> list[int]:
    shuffled = chance.sample(phase, len(phase))
    by_site = {course.sites[number - 1]: number for number in shuffled}
    distinct = chance.sample(sorted(by_site.values()), min(size, len(by_site)))
    return distinct + chance.choices(phase, k=size - len(distinct))
