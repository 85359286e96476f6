"""The boundary: user code is the only place in which an interrupt may raise (K3)."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

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


def test_suspend_and_restore() -> None:
    def user() -> list[bool]:
        before = boundary.suspend()
        try:
            return [boundary.active()]
        finally:
            boundary.restore(before)

    assert boundary.call(user) == [False]
