"""The blocks of a transcript: a heading, a prompt, a text, reasoning, a tool card, a question, a note, a nested group,
the footer.

Each knows what it holds and the word and tone of its state; none knows how it is drawn. Text is kept in `Growing`,
which shows only so much of a flood and says what it leaves out: the session keeps all. Below: `words`, `markdown`.
Above: `document`, which builds the tree, and whatever draws it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbagent.widgets import words
from nbagent.widgets.markdown import Rendered

TEXT_SHOWN = 200_000
"""Characters of one text block that a transcript shows; the session keeps all."""

CARD_SHOWN = 120_000
"""Characters of a tool's output, and of its result, that a transcript shows."""


class Growing:
    """Text that arrives in pieces and is read as a whole, capped for display at `limit` characters.

    Parameters
    ----------
    limit
        Characters kept; what comes after is only counted (the session keeps it).
    """

    __slots__ = ("_pieces", "length", "limit", "shown")

    def __init__(self, limit: int = TEXT_SHOWN) -> None:
        self._pieces: list[str] = []
        self.limit = limit
        self.length = 0
        self.shown = 0

    def add(self, piece: str) -> None:
        """Add a piece at the end."""
        room = self.limit - self.shown
        if room > 0 and piece:
            kept = piece[:room]
            self._pieces.append(kept)
            self.shown += len(kept)
        self.length += len(piece)

    @property
    def text(self) -> str:
        """What is shown."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def cut(self) -> str:
        """A line about what is not shown, or nothing."""
        if self.length <= self.limit:
            return ""
        return f"The first {words.size(self.limit)} of {words.size(self.length)}; the session keeps all of it."


class Printed(Growing):
    """What a tool prints: a carriage return starts its line again, as progress bars do."""

    __slots__ = ()

    def add(self, piece: str) -> None:
        """Add a piece at the end."""
        super().add(piece)
        if "\r" in piece:
            text = _RESTARTED.sub("", self.text.replace("\r\n", "\n"))
            self._pieces = [text]
            self.shown = len(text)
            self.length = max(self.shown, self.length if self.length > self.limit else 0)


_RESTARTED = re.compile(r"[^\n]*\r(?=[^\n\r])")


@dataclass(slots=True, eq=False)
class Block:
    """A part of the transcript; `parent` is the id of the group that it stands in."""

    id: int
    parent: int


@dataclass(slots=True, eq=False)
class Heading(Block):
    """The first line of a transcript that stands apart from the run that it belongs to: a background agent's."""

    text: str


@dataclass(slots=True, eq=False)
class Prompt(Block):
    """The user's words, and the names of what is attached to them; `pictures` are MIME bundles for the live view."""

    text: str
    attached: tuple[str, ...] = ()
    pictures: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True, eq=False)
class Drawn(Block):
    """What a renderer of the user's own made of an event: a MIME bundle, or the model of a widget in its place."""

    bundle: Mapping[str, Any]
    widget: str = ""

    def draw(self, bundle: Mapping[str, Any], widget: str, *, complete: bool) -> None:
        """Show this; the widget, if any, is the same as before."""
        self.bundle = bundle


@dataclass(slots=True, eq=False)
class Text(Block):
    """The agent's text, as markdown; `done` once nothing can follow."""

    source: Growing = field(default_factory=Growing)
    done: bool = False
    _rendered: Rendered = field(default_factory=Rendered)

    @property
    def rendered(self) -> Rendered:
        """The text as HTML, as far as it goes."""
        self._rendered.advance(self.source.text, self.done)
        return self._rendered


@dataclass(slots=True, eq=False)
class Reasoning(Block):
    """The agent's reasoning, from `started` to `ended` (seconds since the epoch)."""

    started: float
    ended: float | None = None
    source: Growing = field(default_factory=Growing)


@dataclass(slots=True, eq=False)
class Card(Block):
    """A tool call.

    Parameters
    ----------
    state
        ``writing`` (the model still writes it), ``running``, or a state of `nbagent.events.ToolCallResponse`.
    started, asked
        When it began to run; since when it has been asking the user, else None.
    output
        What the running tool printed; `displays` are the MIME bundles that it displayed.
    result
        What the model reads.
    drawn
        A renderer of the user's own has drawn the result, as the last of the displays.
    widgets
        The models of the widgets that the live view shows instead of a display, by the display's index.
    row
        The id of the first card of the calls that run at the same time, which this one stands beside; 0 where it is
        the first itself.
    """

    call_id: str
    name: str
    started: float
    arguments: Mapping[str, Any] | str = ""
    toolset: str = ""
    state: str = "writing"
    asked: float | None = None
    duration: float = 0.0
    output: Printed = field(default_factory=lambda: Printed(CARD_SHOWN))
    displays: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    result: Growing = field(default_factory=lambda: Growing(CARD_SHOWN))
    drawn: bool = False
    widgets: dict[int, str] = field(default_factory=dict[int, str])
    row: int = 0

    def draw(self, bundle: Mapping[str, Any], widget: str, *, complete: bool) -> None:
        """Show this as well; with `complete`, in place of the result."""
        if widget:
            self.widgets[len(self.displays)] = widget
        self.displays.append(bundle)
        self.drawn = complete

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.state not in ("writing", "running")

    @property
    def tone(self) -> str:
        """One of `nbagent.widgets.words.SIGNS`."""
        if self.asked is not None and not self.over:
            return "wait"
        return {"writing": "run", "running": "run", "ok": "ok", "abandoned": "off"}.get(self.state, "bad")

    @property
    def word(self) -> str:
        """The state as a person reads it, without the time that a running one took so far."""
        took = words.duration(self.duration)
        if not self.over:
            return "asks you" if self.asked is not None else {"writing": "writing"}.get(self.state, "running")
        if self.state == "cancelled":
            return f"stopped · {took}" if self.duration > 0 else "not run"
        return {"ok": took, "failed": f"failed · {took}", "refused": "refused", "abandoned": "left running"}[self.state]


@dataclass(slots=True, eq=False)
class Question(Block):
    """A question to the user; its form stands here while it is open, the word for its answer afterwards.

    Parameters
    ----------
    kind
        ``elicitation``, ``approval`` or ``limit``.
    """

    question_id: str
    kind: str
    message: str
    source: str = ""
    call_id: str | None = None
    action: str | None = None
    note: str = ""

    @property
    def tone(self) -> str:
        """One of `nbagent.widgets.words.SIGNS`."""
        return {None: "wait", "accept": "ok", "decline": "bad"}.get(self.action, "off")

    @property
    def word(self) -> str:
        """The answer as a person reads it; the values that were given are not part of it."""
        said = {
            "approval": {"accept": "approved", "decline": "rejected"},
            "limit": {"accept": "goes on", "decline": "stopped"},
        }.get(self.kind, {"accept": "answered", "decline": "declined"})
        return "asks you" if self.action is None else said.get(self.action, "cancelled")


@dataclass(slots=True, eq=False)
class Note(Block):
    """A line from nbagent itself; `level` is ``info``, ``warning`` or ``error``; `next` says what to do."""

    level: str
    text: str
    next: str = ""


@dataclass(slots=True, eq=False)
class Group(Block):
    """The blocks of one stream; nested ones stand inside their parent's group.

    Parameters
    ----------
    started, ended
        Seconds since the epoch; `ended` is None while the stream works.
    asking
        How many questions of this stream, and of those nested in it, are open.
    growing
        The text that still grows; `row` are the cards of the latest calls, which run at the same time.
    """

    agent: str = ""
    of: str = ""
    reason: str | None = None
    started: float = 0.0
    ended: float | None = None
    asking: int = 0
    children: list[Block] = field(default_factory=list[Block])
    growing: Text | Reasoning | None = None
    row: list[Card] = field(default_factory=list[Card])

    @property
    def label(self) -> str:
        """``auditor · for bookkeeper``; of an agent that works by a skill of its own, its name alone."""
        return f"{self.agent} · for {self.of}" if self.of not in ("", self.agent) else self.agent

    @property
    def tone(self) -> str:
        """One of `nbagent.widgets.words.SIGNS`."""
        if self.reason is None:
            return "wait" if self.asking else "run"
        return {"completed": "ok", "superseded": "off"}.get(self.reason, "bad")

    @property
    def word(self) -> str:
        """``done · 3.2 s``; without the time that a stream at work took so far."""
        if self.reason is None:
            return "asks you" if self.asking else "working"
        word = _ENDS.get(self.reason, self.reason.replace("_", " "))
        return word if self.ended is None else f"{word} · {words.duration(self.ended - self.started)}"


_ENDS = {"completed": "done", "error": "failed", "hook_blocked": "blocked by a hook"}


@dataclass(slots=True, eq=False)
class Footer(Block):
    """The last line: who spoke, what it cost, how long it took."""

    agent: str = ""
    model: str = ""
    sent: int = 0
    received: int = 0
    cost: float | None = None
    started: float | None = None
    stopped: float | None = None
    reason: str | None = None
    doing: str = ""

    @property
    def elapsed(self) -> float:
        """Seconds from start to stop; 0 while it runs."""
        return (self.stopped - self.started) if self.started is not None and self.stopped is not None else 0.0
