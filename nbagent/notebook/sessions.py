"""The notebook's conversations: one for each agent's variable, and the named ones.

Answers for which `Session` a cell speaks in, and for what running a cell again means: the session is first rewound to
before that cell's own last turn, so that running it again is doing it again and not saying it twice. The messages
that leave the live history stay in `Session.branches`; `Chosen.note` says so, for the transcript.

Where an agent's runtime has a store, a name is the id of a session in it: the same line goes on with the same
conversation in the next kernel, and with any stored session by the id that it is listed under. Without one, a name
belongs to the agent's variable and to this kernel.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from nbagent.errors import StoreError, UsageError
from nbagent.notebook.parsing import RunCommand
from nbagent.ports import Store
from nbagent.session import Session


@runtime_checkable
class Resumable(Protocol):
    """A store that code which cannot await may read, as `nbagent.store.SQLiteStore` is."""

    def refresh(self, session: Session) -> None:
        """Make a session what is stored under its id, in place; one that is not stored stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """The session of a run, and what was done to it first, for a person ("" where nothing was)."""

    session: Session
    note: str = ""


@dataclass(slots=True)
class Sessions:
    """The sessions of one notebook."""

    _by_agent: dict[str, Session] = field(default_factory=dict[str, Session])
    _by_name: dict[tuple[str, str], Session] = field(default_factory=dict[tuple[str, str], Session])
    _stored: MutableMapping[Resumable, dict[str, Session]] = field(
        default_factory=WeakKeyDictionary[Resumable, dict[str, Session]]
    )

    def choose(
        self, command: RunCommand, cell_id: str | None, execution: str | None, store: Store | None = None
    ) -> Chosen:
        """The session that `command` speaks in, rewound where this cell spoke in it before.

        Parameters
        ----------
        command
            What was asked.
        cell_id, execution
            The cell that asks, and which execution of it.
        store
            What keeps the sessions of the agent's runtime.

        Raises
        ------
        UsageError
            The session has a turn under way, or cannot be read.
        """
        kept = store if isinstance(store, Resumable) else None
        if command.background:
            return self._fork(command, cell_id, execution, kept)
        if command.new:
            session = self._by_agent[command.agent] = Session()
            return Chosen(session)
        session = self._live(command, kept)
        if session.busy:
            raise UsageError(
                f"{command.agent} is still busy with another run in this session; %agent_list shows it, "
                "%agent_stop ends it, --session NAME talks to it in a session of its own"
            )
        return Chosen(session, _rewound(session, cell_id, execution))

    def names(self) -> list[str]:
        """The names of the named sessions of all agents, for completion."""
        return sorted({name for _, name in self._by_name}.union(*self._stored.values()))

    def _live(self, command: RunCommand, store: Resumable | None) -> Session:
        """The session that is gone on with, as it stands wherever else it was spoken in."""
        if store is None:
            if command.session:
                return self._by_name.setdefault((command.agent, command.session), Session())
            return self._by_agent.setdefault(command.agent, Session())
        try:
            if command.session:
                kept = self._stored.setdefault(store, {})
                session = kept.setdefault(command.session, Session(id=command.session))
            else:
                session = self._by_agent.setdefault(command.agent, Session())
            store.refresh(session)
        except StoreError as error:
            raise UsageError(str(error)) from error
        return session

    def _fork(self, command: RunCommand, cell_id: str | None, execution: str | None, store: Resumable | None) -> Chosen:
        """A copy of the session's settled turns, so that background and foreground never share a history."""
        fork = (Session() if command.new else self._live(command, store)).fork()
        return Chosen(fork, _rewound(fork, cell_id, execution))


def _rewound(session: Session, cell_id: str | None, execution: str | None) -> str:
    if cell_id is None or execution is None:
        return ""
    left = session.rewind_cell(cell_id, execution)
    if not left:
        return ""
    count = "1 message" if left == 1 else f"{left} messages"
    branch = len(session.branches)
    return f"This cell ran before: {count} from there on left this conversation and are kept as branch {branch}."
