"""P8 on real kernels: a conversation goes on in the next kernel, and two kernels never speak in it at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nbagent.session import Session
from nbagent.store import SQLiteStore
from tests.kernel.frontend import FrontEnd
from tests.notebook.conftest import kept, result
from tests.store.support import begun, ended, stand_of

SETUP = """
import nbagent
from nbagent import Agent, Runtime
from nbagent.models import ScriptedModel
from nbagent.store import SQLiteStore
%load_ext nbagent
counter = Agent("counter", model=ScriptedModel([lambda messages: str(len(messages))] * 50))
runtime = Runtime(counter, session_store=SQLiteStore({path!r}))
"""

SPEAK = "x = %agent_run --session taxes runtime hi\nx.text"


def speak(front: FrontEnd, cell: str, code: str = SPEAK) -> list[str]:
    """How many messages the agent saw."""
    execution = front.run(code, cell)
    assert execution.status == "ok", execution.reply
    return result(execution)


def test_a_session_goes_on_in_the_next_kernel(tmp_path: Path) -> None:
    setup = SETUP.format(path=str(path := tmp_path / "sessions.db"))
    with FrontEnd(sys.executable) as front:
        assert front.run(setup).status == "ok"
        assert [speak(front, "c1"), speak(front, "c2")] == [["'1'"], ["'3'"]]
        (unnamed,) = speak(front, "c3", "x = %agent_run runtime hello\nx.session_id")
    assert not list(tmp_path.glob("*-wal"))  # the kernel that ended has written and closed
    with FrontEnd(sys.executable) as front:
        assert front.run(setup).status == "ok"
        assert speak(front, "c4") == ["'5'"]
        again = front.run(SPEAK, "c2")
        assert result(again) == ["'3'"]
        assert "4 messages" in kept(again)["text/markdown"]
        assert speak(front, "c5", f"x = %agent_run --session {unnamed} runtime more\nx.text") == ["'3'"]
    stored = stand_of(path, "taxes")
    assert stored is not None
    assert [turn.cell_id for turn in stored.turns] == ["c1", "c2"]
    assert len(stored.branches) == 1


@pytest.mark.anyio
async def test_a_session_busy_in_another_process_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    async with SQLiteStore(path) as store:
        await begun(store, session := Session(id="taxes"), "from a script")
        with FrontEnd(sys.executable) as front:
            assert front.run(SETUP.format(path=str(path))).status == "ok"
            refused = front.run(SPEAK, "c9")
            assert refused.error == "UsageError"
            assert "session taxes has a turn under way in another process" in str(refused.reply)
            await ended(store, session)
            assert speak(front, "c9") == ["'3'"]
