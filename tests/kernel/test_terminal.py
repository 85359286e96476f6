"""A shell without a kernel, and a kernel that loads its extensions before it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.environments import kernels
from tests.kernel.frontend import ROOT, FrontEnd

SESSION = """\
%load_ext tests.kernel.rig
from tests.kernel import rig
x = %agent_run hi
print('assigned', x, rig.calls[-1][0])
%agent_run bye
print('bare', rig.calls[-1])
print('called', (lambda: rig.agent_run('there'))())
ip = get_ipython(); t = ip.run_cell_magic('time', '', "print('timed', ip.run_line_magic('agent_run', 'within'))")
t = ip.run_cell_magic('time', '', "y = %agent_run inside")
print('and', y, rig.calls[-1][0])
print('owned', rig.owned())
%unload_ext tests.kernel.rig
exit
"""


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"IPYTHONDIR": str(home), "PYTHONPATH": str(ROOT), "TERM": "dumb"}


def ipython(home: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--simple-prompt",
        "--no-banner",
        "--colors=NoColor",
        "--no-confirm-exit",
    ]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=environment(home), cwd=home
    )


def test_k1_a_terminal_awaits_too_and_reenters_nothing(tmp_path: Path) -> None:
    with ipython(tmp_path) as terminal:
        text, _ = terminal.communicate(SESSION, timeout=60)
    assert "assigned hi awaited" in text
    assert "bare ('awaited', 'bye', None, True)" in text
    assert "called there" in text
    assert "timed within" in text
    assert "and inside re-entered" in text
    assert "owned True default_int_handler" in text
    assert "Traceback" not in text
    assert "never awaited" not in text


@pytest.mark.parametrize("how", ["x = %agent_run wait", "x = rig.agent_run('wait')"])
def test_k3_ctrl_c_in_a_terminal_ends_the_run(tmp_path: Path, how: str) -> None:
    setup = (
        "%load_ext tests.kernel.rig\nfrom tests.kernel import rig\nimport asyncio\n"
        "async def wait(line, body): run = rig.Waiting(); fg = rig.attachment().foreground(); f = fg.__enter__(); "
        "f.attach(run); print('inside', flush=True); await run.answer; fg.__exit__(None, None, None); "
        "f.conclude(run.reason)\n\n"
        f"rig.work = wait\n{how}\n"
    )
    with ipython(tmp_path) as terminal:
        assert terminal.stdin is not None
        assert terminal.stdout is not None
        terminal.stdin.write(setup)
        terminal.stdin.flush()
        seen = ""
        while "inside" not in seen:
            line = terminal.stdout.readline()
            assert line, seen
            seen += line
        terminal.send_signal(signal.SIGINT)
        text, _ = terminal.communicate("print('after', rig.runs[-1].log, rig.owned())\nexit\n", timeout=30)
    assert "KeyboardInterrupt" in text
    assert "after ['interrupted'] True default_int_handler" in text


@pytest.mark.parametrize("python", kernels())
def test_k2_an_extension_of_the_profile_is_loaded_before_the_kernel_starts(python: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile_default"
    profile.mkdir()
    said = tmp_path / "said"
    (profile / "ipython_config.py").write_text("c.InteractiveShellApp.extensions = ['tests.kernel.rig']\n")
    with FrontEnd(python, env={"IPYTHONDIR": str(tmp_path)}) as front:
        cell = front.execute("x = %agent_run form Name\nprint(x)", "a")
        field = front.widget(description="Name")
        front.type(field, "Ada")
        front.settle(field)
        front.click(front.widget(description="Submit Name"))
        assert front.finish(cell).text.strip() == "Ada"
        code = (
            "from pathlib import Path\nfrom tests.kernel import rig\nprint(rig.calls[0][0])\n"
            f"async def finalize(): Path({str(said)!r}).write_text('yes')\nrig.attachment().on_shutdown(finalize)"
        )
        assert front.run(code).text.strip() == "awaited"
    assert said.read_text() == "yes"
