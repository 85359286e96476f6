"""The boundary: user code is the only place in which an interrupt may raise (K3)."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest

import nbagent
from nbagent import boundary
from nbagent.errors import Interrupted

pytestmark = pytest.mark.anyio


def test_k3_user_code_is_inside_and_ours_is_not() -> None:
    assert not boundary.active()
    assert boundary.call(boundary.active)
    assert not boundary.active()


def test_k3_an_interrupt_of_user_code_stops_at_the_boundary() -> None:
    before = signal.getsignal(signal.SIGINT)

    def blocks() -> None:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    with pytest.raises(Interrupted):
        boundary.call(blocks)
    assert not boundary.active()
    assert signal.getsignal(signal.SIGINT) is before


async def test_k3_only_the_steps_of_user_code_are_inside() -> None:
    outside: list[bool] = []

    async def user() -> str:
        assert boundary.active()
        asyncio.get_running_loop().call_soon(lambda: outside.append(boundary.active()))
        await asyncio.sleep(0)
        assert boundary.active()
        return "value"

    assert await boundary.drive(user()) == "value"
    assert outside == [False]
    assert not boundary.active()


async def test_k3_an_interrupt_of_a_blocking_step_becomes_interrupted() -> None:
    async def user() -> None:
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        await boundary.drive(user())


async def test_drive_hands_cancellation_and_errors_through() -> None:
    inside, cleaned = asyncio.Event(), asyncio.Event()

    async def user() -> None:
        try:
            inside.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    task = asyncio.create_task(boundary.drive(user()))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()

    async def fails() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await boundary.drive(fails())


def test_another_thread_never_marks_the_main_thread() -> None:
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: boundary.call(lambda: seen.append(boundary.active())))
    thread.start()
    thread.join(5)
    assert seen == [False]


@pytest.fixture
def strikes() -> Iterator[None]:
    """SIGINT is handled as `nbagent.kernel.interrupts` handles it."""
    before = signal.signal(signal.SIGINT, lambda _, frame: boundary.strike(frame))
    yield
    signal.signal(signal.SIGINT, before)


OURS = {"__name__": "nbagent.somewhere", "__package__": "nbagent"}


def ours(function: FunctionType) -> Any:
    """The function, as if nbagent defined it."""
    return FunctionType(function.__code__, {**function.__globals__, **OURS}, closure=function.__closure__)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("strikes")
def test_k3_an_interrupt_raises_in_user_code_and_not_in_ours() -> None:
    press()
    with pytest.raises(Interrupted):
        boundary.call(press)
    reached: list[str] = []

    def called_by_user_code(inner: Callable[[], None]) -> None:
        inner()
        reached.append("the end")

    def user(inner: Callable[[], None]) -> None:
        ours(called_by_user_code)(inner)
        reached.append("the user again")

    boundary.call(user, press)
    assert reached == ["the end", "the user again"]


@pytest.mark.usefixtures("strikes")
def test_k3_an_interrupt_that_hit_ours_is_raised_where_ours_returns_to_user_code() -> None:
    def prints() -> None:
        press()
        boundary.checkpoint()

    def user() -> None:
        ours(prints)()
        raise AssertionError("not reached")

    with pytest.raises(Interrupted):
        boundary.call(user)


@pytest.mark.usefixtures("strikes")
async def test_k3_an_interrupt_between_two_steps_reaches_the_code_that_waits() -> None:
    """It strikes in `call` itself, when the user's coroutine has just yielded."""
    cleaned = asyncio.Event()

    async def user() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    steps: list[int] = []

    def call(function: Any, *args: Any) -> Any:
        steps.append(1)
        if len(steps) == 2:
            raise Interrupted
        return boundary.call(function, *args)

    with pytest.raises(Interrupted):
        await boundary.drive(user(), call)
    assert cleaned.is_set()


@pytest.mark.usefixtures("strikes")
def test_k3_a_tool_called_as_a_function_is_user_code() -> None:
    with pytest.raises(Interrupted):
        boundary.call(nbagent.tool(press))
