"""Counts the bytecode instructions that are executed in nbagent's files, and lets SIGINT strike at one of them.

Two ways of striking, since CPython runs a signal's handler not at any instruction but at the next of its safe points
(a call, a jump backwards), and other versions have other safe points:

- ``instant``: the handler in force is called at that very instruction, with the frame that it interrupts, as CPython
  calls it. There are more such instants than any version of CPython has safe points.
- ``signal``: a real SIGINT arrives there; CPython chooses the safe point.

On Python 3.11 a trace function sees the instructions, since 3.12 `sys.monitoring`; nothing else differs. Only the main
thread counts. A trace function that raises is taken off by CPython: where a second strike is to follow, a profile
function puts it on again at the next call or return, so that on 3.11 a few instructions in between go uncounted.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal

import nbagent

PACKAGE = str(Path(nbagent.__file__).parent)
USER_CODE = str(Path(__file__).with_name("usercode.py"))
"""The file of the scenarios' tools and hooks: an interrupt strikes there too, and there alone it may raise."""

Way = Literal["instant", "signal"]
Site = tuple[CodeType, int]


class _Signal(int):
    """A signal that arrives when its attribute is read: no call follows in Python, and so no safe point."""

    arrives = property(ctypes.PyDLL(None)["raise"])


_SIGINT = _Signal(signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Plan:
    """When to strike.

    Parameters
    ----------
    at
        The instruction, counted from 1; 0 never comes.
    again
        How many instructions after the first strike was handled the second one follows; 0: there is none.
    way
        See this module.
    """

    at: int
    again: int = 0
    way: Way = "instant"

    def __str__(self) -> str:
        return f"{self.way} {self.at}" + (f" and {self.again} later" if self.again else "")


class Counter:
    """What both ways of seeing instructions have in common."""

    def __init__(self) -> None:
        self._watched: dict[CodeType, bool] = {}
        self._record: Callable[[FrameType], None] | None = None
        self._plan = Plan(0)
        self._next = 0
        self.count = 0
        self.struck: list[Site] = []

    def start(self, plan: Plan, record: Callable[[FrameType], None] | None = None) -> None:
        """Count from now on; `record` is called at each instruction."""
        self._plan, self._record = plan, record
        self._next, self.count, self.struck = plan.at, 0, []
        self._see()

    def stop(self) -> None:
        """Count no more, and strike no more."""
        self._next = 0
        self._look_away()

    def handled(self) -> None:
        """A handler of SIGINT has run; called by the ground in the handler."""
        if self._plan.way == "signal" and self._next:
            self._next = self.count + self._next
            self._see()

    def watches(self, code: CodeType) -> bool:
        """Whether this code's instructions count."""
        known = self._watched.get(code)
        if known is None:
            name = code.co_filename
            known = self._watched[code] = name.startswith(PACKAGE) or name == USER_CODE
        return known

    def _see(self) -> None:
        raise NotImplementedError

    def _look_away(self) -> None:
        raise NotImplementedError

    def _about_to_strike(self, frame: FrameType) -> bool:
        """Note the strike; whether it is to be a real signal, which is then the very last thing that the caller does.

        While a signal is on its way no function of this module may be called: the handler would run in it.
        """
        self.struck.append((frame.f_code, frame.f_lasti))
        again, self._plan = self._plan.again, Plan(self._plan.at, 0, self._plan.way)
        if self._plan.way == "signal":
            self._next = again  # counted from when it was handled
            self._look_away()
            return True
        self._next = self.count + again if again else 0
        if not self._next:
            self._look_away()
        return False

    def _strike(self, frame: FrameType) -> None:
        handler: Any = signal.getsignal(signal.SIGINT)
        handler(signal.SIGINT, frame)


class Traced(Counter):
    """Python 3.11."""

    def _see(self) -> None:
        frame = sys._getframe(1)
        while frame is not None:
            if self.watches(frame.f_code):
                self._enter(frame, "call", None)
                frame.f_trace = self._step
            frame = frame.f_back
        sys.settrace(self._enter)

    def _look_away(self) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not self.watches(frame.f_code):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._step

    def _step(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode":
            self.count += 1
            if self._record is not None:
                self._record(frame)
            if self.count == self._next:
                if self._about_to_strike(frame):
                    _ = _SIGINT.arrives
                else:
                    try:
                        self._strike(frame)
                    except BaseException:
                        if self._next:
                            sys.setprofile(self._again)
                        raise
        return self._step

    def _again(self, frame: FrameType, event: str, arg: Any) -> None:
        sys.setprofile(None)
        self._see()


class Monitored(Counter):
    """Python 3.12 and newer."""

    _TOOL = 4

    def __init__(self) -> None:
        super().__init__()
        self._monitoring: Any = getattr(sys, "monitoring")  # noqa: B009  (unknown to the oldest Python)
        self._main = threading.main_thread().ident
        self._monitoring.use_tool_id(self._TOOL, "nbagent instants")
        self._monitoring.set_events(self._TOOL, self._monitoring.events.PY_START)
        self._monitoring.register_callback(self._TOOL, self._monitoring.events.PY_START, self._enter)

    def _see(self) -> None:
        self._monitoring.register_callback(self._TOOL, self._monitoring.events.INSTRUCTION, self._step)

    def _look_away(self) -> None:
        self._monitoring.register_callback(self._TOOL, self._monitoring.events.INSTRUCTION, None)

    def _enter(self, code: CodeType, offset: int) -> Any:
        """Each code object once: a warm-up run leaves every later one nothing to do here."""
        if self.watches(code):
            self._monitoring.set_local_events(self._TOOL, code, self._monitoring.events.INSTRUCTION)
        return self._monitoring.DISABLE

    def _step(self, code: CodeType, offset: int) -> Any:
        if threading.get_ident() != self._main:
            return
        self.count += 1
        frame = sys._getframe(1)
        if self._record is not None:
            self._record(frame)
        if self.count == self._next:
            if self._about_to_strike(frame):
                _ = _SIGINT.arrives
            else:
                self._strike(frame)


def counter() -> Counter:
    """The counter for this Python; one a process."""
    return Monitored() if sys.version_info >= (3, 12) else Traced()
