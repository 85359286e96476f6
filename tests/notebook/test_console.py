"""`jupyter console`: a kernel without widgets, whose questions are prompts on stdin, and whose Ctrl-C ends a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.notebook.conftest import SETUP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PROMPT = "In \\[\\d+\\]: "


@pytest.fixture
def console(tmp_path: Path) -> Iterator[pexpect.spawn[str]]:
    """A console on a pseudo-terminal, with the agents of `SETUP`."""
    (tmp_path / "setup.ipy").write_text(SETUP)
    places = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = os.environ | places | {"IPYTHONDIR": str(tmp_path / "ipython"), "TERM": "dumb"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    child = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter_console", "--simple-prompt", "--no-confirm-exit"],
        env=environment,
        timeout=60,
        encoding="utf-8",
        dimensions=(50, 200),
    )
    child.expect(PROMPT)
    run(child, f"%run -i {tmp_path / 'setup.ipy'}")
    yield child
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close(force=True)


def run(child: pexpect.spawn[str], line: str) -> str:
    """What the console shows until the next prompt."""
    child.sendline(line)
    child.expect(PROMPT)
    assert child.before is not None
    return str(child.before)


def test_p10_a_form_is_a_prompt_and_its_answer_arrives(console: pexpect.spawn[str]) -> None:
    console.sendline("r = %agent_run asking go")
    console.expect("Which city\\?")
    console.expect("cancel: ")
    console.sendline("y")
    console.expect("City: ")
    console.sendline("Turin")
    console.expect(PROMPT)
    assert "TranscriptWidget" not in str(console.before)
    assert "Turin" in run(console, "print(r.text)")


@pytest.mark.parametrize("agent", ["asking", "writer"])
def test_k3_ctrl_c_ends_the_run_and_the_next_works(console: pexpect.spawn[str], agent: str) -> None:
    console.sendline(f"%agent_run {agent} go")
    console.expect({"asking": "cancel: ", "writer": "word word"}[agent])
    console.sendintr()
    console.expect("KeyboardInterrupt|interrupted")
    console.sendline("%agent_run -n helper hi")
    console.expect("Hello \\*\\*you\\*\\*\\.")
    console.sendline("print('left', nbagent.runtime.live_runs())")
    console.expect("left \\(\\)")
