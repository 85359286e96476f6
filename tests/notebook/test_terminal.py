"""IPython in a terminal, without a kernel: text as it comes, prompts on stdin, Ctrl-C ends the run and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from tests.notebook.conftest import SETUP
from tests.servers import first_era

PROMPT = "In \\[\\d+\\]: "


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[pexpect.spawn[str]]:
    """IPython on a pseudo-terminal, with the agents of `SETUP`."""
    (tmp_path / "setup.ipy").write_text(SETUP)
    arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "--no-confirm-exit"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb", "PYTHONPATH": str(Path.cwd())}
    child = pexpect.spawn(
        sys.executable, arguments, env=environment, timeout=30, encoding="utf-8", dimensions=(50, 200)
    )
    child.expect(PROMPT)
    run(child, f"%run -i {tmp_path / 'setup.ipy'}")
    yield child
    child.close(force=True)


def run(child: pexpect.spawn[str], line: str) -> str:
    """What the terminal shows until the next prompt."""
    child.sendline(line)
    child.expect(PROMPT)
    assert child.before is not None
    return str(child.before)


def test_text_comes_as_it_is_written_and_mistakes_are_one_line(terminal: pexpect.spawn[str]) -> None:
    assert "Hello **you**." in run(terminal, "%agent_run helper hi")
    assert "UsageError: unknown agent nobody" in run(terminal, "%agent_run nobody hi")
    assert "UsageError: --background needs a notebook's kernel" in run(terminal, "%agent_run -b helper hi")
    assert "Hello **you**." in run(terminal, "r = %agent_run helper what is it?")
    assert "completed" in run(terminal, "r.reason")


def test_p10_questions_are_prompts(terminal: pexpect.spawn[str]) -> None:
    terminal.sendline("%agent_run asking go")
    terminal.expect("Which city\\?")
    terminal.expect("cancel: ")
    terminal.sendline("y")
    terminal.expect("City: ")
    terminal.sendline("Turin")
    terminal.expect(PROMPT)
    assert "Turin" in str(terminal.before)


@pytest.mark.parametrize("agent", ["sleeper", "sync_sleeper", "writer", "asking"])
def test_k3_ctrl_c_ends_the_run_and_the_next_works(terminal: pexpect.spawn[str], agent: str) -> None:
    terminal.sendline(f"%agent_run {agent} go")
    terminal.expect({"asking": "cancel: ", "writer": "word word"}.get(agent, "Let me see"))
    if agent == "asking":  # between its prompt and its select, CPython's readline notices a signal only at the next key
        terminal.expect(pexpect.TIMEOUT, timeout=0.3)
    terminal.sendintr()
    terminal.expect("KeyboardInterrupt")
    terminal.expect(PROMPT)
    assert "Hello **you**." in run(terminal, "%agent_run -n helper hi")
    assert "default_int_handler" in run(terminal, "signal.getsignal(signal.SIGINT)")
    assert "()" in run(terminal, "nbagent.runtime.live_runs()")


def test_k4_leaving_ends_the_servers(terminal: pexpect.spawn[str]) -> None:
    command, args = first_era()
    run(terminal, "from nbagent.toolsets import MCPToolset")
    run(terminal, f"tools = [MCPToolset({command!r}, args={args!r})]")
    run(terminal, "served = Agent('served', model=ScriptedModel(['Hello.']), toolsets=tools)")
    assert "Hello." in run(terminal, "%agent_run served hi")
    children = psutil.Process(terminal.pid).children(recursive=True)
    assert children
    terminal.sendline("exit")
    terminal.expect(pexpect.EOF)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
