"""K3, P1 to P8: a SIGINT at any instruction of a run leaves nothing behind, and so does a second one a little later."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import pytest

from nbagent import boundary
from nbagent.kernel.interrupts import Interrupts
from nbagent.runtime.bridge import Bridge
from tests.interrupts.injection import Injector, Outcome
from tests.interrupts.instants import Plan, Site, counter
from tests.interrupts.sampling import course, sample
from tests.interrupts.scenarios import SCENARIOS

SEED = int(os.environ.get("NBAGENT_SEED", "20250612"))
LOCKED = {"bridge", "inbox", "output", "capture", "warming"}
"""Modules whose functions hold locks of threads."""
EACH = 100
"""Injections for each scenario; the sweep (`make sweep`) makes them all."""


@pytest.fixture(scope="module")
def injector() -> Injector:
    return Injector(counter())


def faulty(outcomes: list[Outcome]) -> list[str]:
    """The outcomes that are not as promised, in words."""
    return [
        f"{outcome.plan}, in {', '.join(code.co_qualname for code, _ in outcome.struck)}: {outcome.faults}"
        for outcome in outcomes
        if outcome.faults
    ]


def test_there_are_at_least_two_thousand_injections() -> None:
    assert len(SCENARIOS) * EACH >= 2000


@pytest.mark.parametrize("name", SCENARIOS)
def test_k3_an_interrupt_at_any_instant_leaves_nothing_behind(injector: Injector, name: str) -> None:
    scenario = SCENARIOS[name]
    print(f"seed {SEED}")
    plans = sample(course(injector, scenario), EACH, random.Random(f"{SEED} {name}"))
    outcomes = [injector.run(scenario, plan) for plan in plans]
    assert faulty(outcomes) == []
    assert sum(bool(outcome.struck) for outcome in outcomes) > 0.6 * EACH
    assert {outcome.ended for outcome in outcomes} <= {"KeyboardInterrupt", ""}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("async tool", ("boundary", "usercode")),
        ("tool on the main thread", ("boundary", "usercode")),
        ("text", ("interrupts", "foreground", "wakeup", "lifetime")),
    ],
)
@pytest.mark.parametrize("again", [0, 1, 3])
def test_k3_every_instruction_of_what_keeps_interrupts_out(
    injector: Injector, name: str, files: tuple[str, ...], again: int
) -> None:
    sites = course(injector, SCENARIOS[name]).sites
    numbers = [n for n, (code, _) in enumerate(sites, 1) if Path(code.co_filename).stem in files]
    assert len(numbers) > 150
    assert faulty([injector.run(SCENARIOS[name], Plan(number, again)) for number in numbers]) == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_that_nothing_strikes_goes_the_same_way_each_time(injector: Injector, name: str) -> None:
    injector.run(SCENARIOS[name])
    assert len({injector.run(SCENARIOS[name]).instructions for _ in range(3)}) == 1


def test_p1_an_interrupt_while_the_run_lives_ends_it_as_interrupted(injector: Injector) -> None:
    scenario = SCENARIOS["form"]
    begins = course(injector, scenario).begins
    alive = begins["finalizers"] - begins["run"]
    for at in range(begins["run"], begins["run"] + alive * 9 // 10, 1499):  # the last step cannot be stopped any more
        outcome = injector.run(scenario, Plan(at))
        assert (outcome.ended, outcome.reason, outcome.faults) == ("KeyboardInterrupt", "interrupted", [])


# ---------------------------------------------------------------- that the harness finds what it looks for


def found(injector: Injector, name: str, every: int, sites: Sequence[Site] = ()) -> list[str]:
    """The faults of a coarse sweep; of `sites`, those that hold a lock are left out: it would stay locked for ever."""
    scenario = SCENARIOS[name]
    injector.run(scenario)
    instructions = injector.run(scenario).instructions
    locked = {n for n, (code, _) in enumerate(sites, 1) if Path(code.co_filename).stem in LOCKED}
    numbers = [number for number in range(1, instructions + 1, every) if number not in locked]
    return faulty([injector.run(scenario, Plan(number)) for number in numbers])


def test_a_handler_that_raises_in_ours_where_user_code_called_it_is_found(
    injector: Injector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_a_call(frame: FrameType | None) -> bool:
        while frame is not None and frame.f_code is not boundary.call.__code__:
            frame = frame.f_back
        return frame is not None

    sites = course(injector, SCENARIOS["form"]).sites
    monkeypatch.setattr(boundary, "_hits", in_a_call)
    assert any("are not whole" in fault for fault in found(injector, "form", 29, sites))


def test_a_handler_that_stays_is_found(injector: Injector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interrupts, "release", lambda self: self._wakeup.close())
    assert any("SIGINT is left" in fault for fault in found(injector, "text", 1500))


def test_a_bridge_that_remembers_is_found(injector: Injector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bridge, "leave", lambda self, run: None)
    assert any("the bridge knows" in fault for fault in found(injector, "text", 1500))
