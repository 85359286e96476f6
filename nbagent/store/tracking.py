"""What of a session is on disk or on its way there, so that only what is new has to be written.

Between `sqlite`, which asks on the loop's thread what has changed, and `rows`, which writes it on the store's. A
`Change` holds copies and may be read on any thread. It guarantees: asking whether a session grew costs the same
however long it is; taking what is new costs as much as there is new; all changes in order make up the session, also
where it was rewound, edited between two turns, or a write has failed.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from nbagent.messages import Message
from nbagent.session import Session, Summary, Turn, Usage

Kind = Literal["message", "branch", "turn", "summary"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """What of a session is no list."""

    parent_id: str | None
    agent: str
    usage: Usage
    approved: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The end of one of the session's lists, from `start` on; what is on disk of that end goes."""

    kind: Kind
    start: int
    items: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written: the parts of a session that are new.

    Parameters
    ----------
    whole
        It is all of the session, and stands for every change before it.
    turns, is_open
        How many turns there are, and whether the last is under way.
    branches
        How many branches there are; one may be empty.
    """

    session_id: str
    created: float
    head: Head
    turns: int
    is_open: bool
    parts: Sequence[Part]
    whole: bool
    branches: int


@dataclass(slots=True)
class Track:
    """One `Session` object, and what of it has been handed over to be written.

    Attributes
    ----------
    revision, created
        What the session on disk was when it was last read or written: only who finds it so may write on.
    failed
        Something was not written, so that the next change is the whole.
    """

    revision: int = 0
    created: float | None = None
    failed: bool = False
    head: Head | None = None
    messages: list[Message] = field(default_factory=list[Message])
    turns: list[Turn] = field(default_factory=list[Turn])
    summaries: list[Summary] = field(default_factory=list[Summary])
    branches: list[list[Message]] = field(default_factory=list[list[Message]])

    def know(self, session: Session, revision: int) -> None:
        """`session` is what stands on disk now."""
        self.revision, self.created, self.failed = revision, session.created, False
        self.head = _head(session)
        self.messages = [copy.copy(message) for message in session.messages]
        self.turns = [copy.copy(turn) for turn in session.turns]
        self.summaries = list(session.summaries)
        self.branches = list(session.branches)

    def forget(self) -> None:
        """Nothing of it is on disk."""
        self.revision, self.created = 0, None
        self._start_over()

    def grew(self, session: Session) -> bool:
        """Whether there is more, or less, of anything than was handed over."""
        return (
            len(session.messages) != len(self.messages)
            or len(session.turns) != len(self.turns)
            or len(session.summaries) != len(self.summaries)
            or len(session.branches) != len(self.branches)
        )

    def common(self, session: Session) -> tuple[int, int]:
        """How many messages and turns at the beginning are as they were handed over."""
        return _difference(self.messages, session.messages, 0), _difference(self.turns, session.turns, 0)

    def unsaved(self, session: Session) -> list[Message]:
        """The messages that were never handed over; where handing over failed, all of them may be such."""
        said = 0 if self.failed else self.common(session)[0]
        return session.messages[said:]

    def change(self, session: Session, reasons: Mapping[str, str], *, message: int, turn: int) -> Change | None:
        """Hand over what is new, or None where nothing is.

        Parameters
        ----------
        session
            As it stands.
        reasons
            How streams ended whose turns do not say so yet, by the stream.
        message, turn
            The first message and turn that may have changed since the last change.
        """
        whole = self.failed or self.head is None
        if whole:
            self._start_over()
        turns = _ended(session.turns, reasons)
        parts = (
            _end_of("message", self.messages, session.messages, message),
            _end_of("turn", self.turns, turns, turn),
            _end_of("summary", self.summaries, session.summaries, 0),
            self._branches(session),
        )
        new = [part for part in parts if part is not None]
        head = _head(session)
        if not new and head == self.head:
            return None
        self.head = head
        is_open = bool(turns) and turns[-1].reason is None
        return Change(
            session.id, session.created, head, len(turns), is_open, new, whole=whole, branches=len(session.branches)
        )

    def _branches(self, session: Session) -> Part | None:
        """Branches are added and never changed, so they are told apart by their lists."""
        same = [old is new for old, new in zip(self.branches, session.branches, strict=False)]
        start = same.index(False) if False in same else len(same)
        if start == len(self.branches) == len(session.branches):
            return None
        self.branches[start:] = session.branches[start:]
        return Part("branch", start, [[copy.copy(m) for m in branch] for branch in session.branches[start:]])

    def _start_over(self) -> None:
        self.head = None
        self.messages, self.turns, self.summaries, self.branches = [], [], [], []


class Tracks:
    """The tracks of a store's sessions, each as long as its `Session` object lives."""

    def __init__(self) -> None:
        self._tracks: dict[int, tuple[weakref.ref[Session], Track]] = {}

    def of(self, session: Session) -> Track:
        """The session's track, begun where there is none."""
        key = id(session)
        if key not in self._tracks:
            self.begin(session, Track())
        return self._tracks[key][1]

    def begin(self, session: Session, track: Track) -> None:
        """`track` is the session's from now on."""
        key, tracks = id(session), self._tracks
        tracks[key] = (weakref.ref(session, lambda _: tracks.pop(key, None)), track)


def _head(session: Session) -> Head:
    return Head(session.parent_id, session.agent, session.usage, tuple(sorted(session.approved)))


def _ended(turns: list[Turn], reasons: Mapping[str, str]) -> list[Turn]:
    """The turns, the last of which may have ended without saying so yet."""
    if not turns or turns[-1].reason is not None or turns[-1].stream_id not in reasons:
        return turns
    return [*turns[:-1], replace(turns[-1], reason=reasons[turns[-1].stream_id])]


def _difference(known: Sequence[T], now: Sequence[T], since: int) -> int:
    """Where the two lists part, which are the same up to `since`."""
    end = min(len(known), len(now))
    for index in range(since if since <= end else 0, end):
        if known[index] != now[index]:
            return index
    return end


def _end_of(kind: Kind, known: list[T], now: Sequence[T], since: int) -> Part | None:
    start = _difference(known, now, since)
    if start == len(known) == len(now):
        return None
    items = [copy.copy(item) for item in now[start:]]
    known[start:] = items
    return Part(kind, start, items)
