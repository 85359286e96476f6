"""The notebook's conversations: one for each agent's variable, and the named ones.

Answers for which `Session` a cell speaks in, and for what running a cell again means: the session is first rewound to
before that cell's own last turn, so that running it again is doing it again and not saying it twice. The messages
that leave the live history stay in `Session.branches`; `Chosen.note` says so, for the transcript.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from nbagent.errors import UsageError
from nbagent.notebook.parsing import RunCommand
from nbagent.session import Session, new_id


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

    def choose(self, command: RunCommand, cell_id: str | None, execution: str | None) -> Chosen:
        """The session that `command` speaks in, rewound where this cell spoke in it before.

        Raises
        ------
        UsageError
            The session has a turn under way.
        """
        if command.background:
            return self._fork(command, cell_id, execution)
        if command.new:
            session = self._by_agent[command.agent] = Session()
            return Chosen(session)
        session = self._live(command)
        if session.busy:
            raise UsageError(
                f"{command.agent} is still busy with another run in this session; %agent_list shows it, "
                "%agent_stop ends it, --session NAME talks to it in a session of its own"
            )
        return Chosen(session, _rewound(session, cell_id, execution))

    def names(self) -> list[str]:
        """The names of the named sessions of all agents, for completion."""
        return sorted({name for _, name in self._by_name})

    def _live(self, command: RunCommand) -> Session:
        if command.session:
            return self._by_name.setdefault((command.agent, command.session), Session())
        return self._by_agent.setdefault(command.agent, Session())

    def _fork(self, command: RunCommand, cell_id: str | None, execution: str | None) -> Chosen:
        """A copy of the session's settled turns, so that background and foreground never share a history."""
        source = Session() if command.new else self._live(command)
        fork = copy.deepcopy(source)
        fork.id = new_id("session")
        if fork.busy:
            fork.rewind(fork.turns[-1])
            fork.branches.clear()
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
