"""When a growing text is sent again: often enough to be read, and so seldom that all its versions together stay small.

`Versions` is for an output that is nothing but text; `Beside` is for the text beside a live view, which nobody reads
before the notebook is saved. Both are timers on the loop: whoever shows a run calls `touch` when it grows, and `stop`.
Below: `displaying`. Above: `output`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nbagent.notebook.displaying import Document

GROWTH = 1.25
"""A text output is sent again when it has grown by this factor: all its versions together are then 5 times the last."""
SLOWEST = 2.0
"""Seconds after which it is sent again however little it grew."""
QUICKEST = 0.2
"""Seconds between two versions, at least."""


class _Timed:
    """Looks at a text a while after it has grown, until it is stopped."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def touch(self) -> None:
        """The text has grown."""
        if self._timer is None and not self._over:
            self._timer = self._loop.call_later(self._delay, self._look)

    def stop(self) -> None:
        """Nothing further is sent."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        raise NotImplementedError


class Versions(_Timed):
    """Sends a growing text again and again, ever less often: the bytes of all versions stay linear in the last.

    Parameters
    ----------
    version
        The document as it stands.
    send
        Takes a version that is worth it.
    """

    def __init__(self, version: Callable[[], Document], send: Callable[[Document], None]) -> None:
        self._version = version
        self._send = send
        super().__init__(QUICKEST)
        self._size = 0
        self._sent = self._loop.time()

    def _look(self) -> None:
        self._timer = None
        version = self._version()
        size = len(version["text/markdown"])
        now = self._loop.time()
        if size < GROWTH * self._size and now - self._sent < SLOWEST:
            self.touch()
            return
        self._size, self._sent = size, now
        self._send({kind: value for kind, value in version.items() if kind != "text/html"})


FIRST = 2.0
"""Seconds after which a run that speaks on has its first text beside it: short ones end before."""
PAUSE = 1.0
"""Seconds without news after which the text so far is put beside a live view, within the allowance."""
LONGEST = 6.0
"""Seconds of a pause in which it is, whatever was spent."""
ALLOWANCE = 24_000
"""Characters that the texts beside a live view may have together, and half of the last one's length."""


class Beside(_Timed):
    """Keeps text beside a live view, for a notebook that is saved in mid-run: at pauses all of it, else now and then.

    What the texts weigh together is bounded: they come ever less often as they grow, but in a pause that is long enough
    (that long grows too) always. So what a person saves while a form waits, or a tool works, is all that was said.

    Parameters
    ----------
    texts, whole
        The forms so far, without and with HTML.
    send
        Takes the forms.
    seen
        Whether a page shows the view; before that nothing is sent.
    steady
        Whether that page keeps its view as it is meanwhile; where it does not, only long pauses are used.
    """

    def __init__(
        self,
        texts: Callable[[], Document],
        whole: Callable[[], Document],
        send: Callable[[Document], None],
        seen: Callable[[], bool],
        steady: Callable[[], bool],
    ) -> None:
        self._texts, self._whole, self._send, self._seen, self._steady = texts, whole, send, seen, steady
        super().__init__(PAUSE)
        self._news = self._sent = self._loop.time()
        self._size = self._spent = 0
        self._patience = PAUSE

    def touch(self) -> None:
        """The text has grown."""
        self._news = self._loop.time()
        super().touch()

    def _look(self) -> None:
        now = self._loop.time()
        if not self._seen():
            self._timer = self._loop.call_later(PAUSE, self._look)
            return
        within = self._steady() and self._spent <= ALLOWANCE + self._size // 2
        paused = now - self._news
        if paused >= (PAUSE if within else self._patience if self._steady() else LONGEST) - 0.01:
            if not within:
                self._patience = min(2 * self._patience, LONGEST)
            self._timer = None
            self._put(self._whole())
            return
        if within and now - self._sent >= FIRST:
            self._put(self._texts())
        self._timer = self._loop.call_later(max(PAUSE - paused, PAUSE / 4), self._look)

    def _put(self, version: Document) -> None:
        self._sent = self._loop.time()
        self._size = len(version["text/markdown"])
        self._spent += sum(map(len, version.values()))
        self._send(version)
