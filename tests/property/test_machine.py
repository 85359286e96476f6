"""The rules of the state machine: what a program, a person and a kernel may do to streams, in any order.

`HYPOTHESIS_PROFILE=nightly` (`make nightly`) plays 500 examples at random, otherwise 50, always the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nbagent.events import ElicitationRequest, StopReason
from nbagent.session import Session
from tests.property.world import World

T = TypeVar("T")

STEPS = 200
SESSIONS = 4
STREAMS = 12
"""Live streams at most, so that a failing example stays small enough to be read."""

number = st.integers(0, 11)
sometimes = st.booleans()
ends: st.SearchStrategy[Any] = st.sampled_from(["cancelled", "interrupted", "superseded"])
CONSUMERS = ["drained", "entered", "loose"]
consumers = st.sampled_from(CONSUMERS)
observers = st.sampled_from(["none"] * 6 + ["hanging", "failing"])
leavings = st.sampled_from(["cancel"] * 4 + ["handle", "handle", "block", "hurry", "close", "forget"])
actions = st.sampled_from(["accept"] * 4 + ["decline", "cancel", "late", "badly"])
prompts = st.sampled_from(["plain"] * 5 + ["blocked", "broken", "pondered", "lingering"])
manners = st.sampled_from(["plain", "plain", "pondered", "pondered", "blocked"])
kinds = ["ask"] * 4 + ["wait", "stubborn", "fail", "interrupt", "exit", "cancel itself", "print", "forbidden"]
acts = st.sampled_from([*kinds, "nest", "nest", "keep", "keep", "drop"]).map(lambda kind: ("act", {"kind": kind}))
others: list[tuple[str, dict[str, Any]]] = [
    ("act_on_a_thread", {}),
    ("act_if_approved", {}),
    ("no_such_tool", {}),
    ("transfer_task", {"agent": "last", "task": "do it"}),
    ("transfer_task", {"agent": "middle", "task": "do it"}),
    ("run_background_agent", {"agent": "last", "task": "do it"}),
    ("stop_background_agent", {"id": "b1"}),
    ("handoff", {"agent": "middle"}),
    ("act", {"kind": "keep"}),
    ("act", {"kind": "keep"}),
]
calls = st.lists(st.one_of(acts, st.sampled_from(others)), min_size=1, max_size=3)


def one_of(among: Sequence[T], which: int) -> T:
    """One of them; the newest are the likeliest to be of interest."""
    return among[-1 - which % len(among)]


class Streams(RuleBasedStateMachine):
    """Streams in every state, and whatever may happen to them.

    Most rules begin a stream, or ask a question, where there is none that they could do something with: else most
    examples would be spent waiting for one, and a machine of which few rules are open gives examples up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize()
    def begin(self) -> None:
        self.world.sessions.append(Session())

    # ------------------------------------------------------------ beginning, and what models and tools do

    @precondition(lambda self: len(self.world.live) < STREAMS)
    @rule(how=consumers, words=prompts, which=number, new=sometimes, observer=observers)
    def open(self, how: str, words: str, which: int, new: bool, observer: str) -> None:
        world = self.world
        if new and len(world.sessions) < SESSIONS:
            world.sessions.append(Session())
        world.open(how, words, one_of(world.sessions, which), observer)

    def listening(self, which: int) -> list[str]:
        """The streams that can be told what to say; one begins where there is none."""
        world = self.world
        if not world.listening:
            world.sessions.append(Session())
            world.open(CONSUMERS[which % 3], "plain", world.sessions[-1], "none")
        return world.listening

    def order(self, which: int, order: str, what: Any = None) -> None:
        mouth = self.world.puppets.mouths[one_of(self.listening(which), which)]
        mouth.orders.put_nowait((order, what))
        self.world.settle()

    @precondition(lambda self: len(self.world.live) < STREAMS)
    @rule(which=number, wanted=calls)
    def call(self, which: int, wanted: list[tuple[str, dict[str, Any]]]) -> None:
        self.order(which, "call", wanted)

    @precondition(lambda self: len(self.world.live) < STREAMS)
    @rule(which=number, wanted=st.sampled_from(others), asks=sometimes)
    def delegate(self, which: int, wanted: tuple[str, dict[str, Any]], asks: bool) -> None:
        self.order(which, "call", [wanted, *([("act", {"kind": "ask"})] if asks else [])])

    @rule(which=number, what=st.sampled_from(["say", "say", "say", "end", "raise"]), words=st.sampled_from([1, 3, 200]))
    def speak(self, which: int, what: str, words: int) -> None:
        self.order(which, what, words)

    @rule(which=number, seconds=st.sampled_from([0, 0, 0, 0.25, 1.0, 4.0, 20.0]))
    def go_on(self, which: int, seconds: float) -> None:
        """Time passes, or a tool that waits is let go."""
        gates = list(self.world.puppets.gates.values())
        if seconds or not gates:
            self.world.loop.pass_time(seconds, self.world.parked)
        else:
            self.world.do(one_of(gates, which).set)

    # ------------------------------------------------------------ what consumers do, and the ends

    @rule(which=number, most=st.sampled_from([1, 5, 50, 500]))
    def pull(self, which: int, most: int) -> None:
        by_hand = [top for top in self.world.tops if top.events is not None and not top.drained]
        if by_hand:
            top = one_of(by_hand, which)
            self.world.pull(top, most)
            self.world.check_consumer(top)

    @rule(which=number, how=leavings, reason=ends, on_thread=sometimes)
    def leave(self, which: int, how: str, reason: StopReason, on_thread: bool) -> None:
        world = self.world
        attended = [top for top in world.tops if top.stream is not None or (top.task and not top.task.done())]
        attended = [top for top in attended if top.run.stopped is None] or attended
        match how:
            case "cancel" if world.live:
                world.cancel(one_of(world.live, which), reason, on_thread=on_thread)
            case "handle" | "block" if attended:
                world.abandon(one_of(attended, which), how)
            case "hurry" if world.puppets.runs:
                world.do(one_of(list(world.puppets.runs.values()), which).hurry)
            case "close" if len(world.live) > 2:
                world.close()
            case _:
                world.puppets.kept.clear()
                world.settle()

    # ------------------------------------------------------------ what a person does

    @rule(which=number, action=actions, on_thread=sometimes, twice=sometimes)
    def answer(self, which: int, action: str, on_thread: bool, twice: bool) -> None:
        world = self.world
        if not world.pending:
            self.order(which, "call", [("act_on_a_thread" if twice else "act_if_approved", {})])
            return
        question = one_of(world.pending, which)
        if action in ("accept", "decline", "cancel"):
            world.answer(question, action, on_thread=on_thread, twice=twice)
        elif action == "late" and world.settled:
            world.answer_late(one_of(world.settled, which))
        elif isinstance(question.request, ElicitationRequest):
            world.answer_badly(question)

    @rule(which=number, how=st.sampled_from(["steer", "follow up"]), manner=manners, on_thread=sometimes)
    def tell(self, which: int, how: str, manner: str, on_thread: bool) -> None:
        world = self.world
        runs = world.live if world.live and which else list(world.puppets.runs.values())
        if runs:
            world.tell(one_of(runs, which), how, manner, on_thread=on_thread)

    # ------------------------------------------------------------ what must hold

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.end()


pytestmark = pytest.mark.timeout(1800)  # 500 examples take minutes
_checks: Any = list(HealthCheck)  # each example is large, and slow beside others
_common = settings(
    stateful_step_count=STEPS, deadline=None, print_blob=True, suppress_health_check=_checks, database=None
)
PROFILES = {
    "ci": settings(_common, max_examples=50, derandomize=True),
    "nightly": settings(_common, max_examples=500),
}

TestStreams = Streams.TestCase
TestStreams.settings = PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "ci")]
