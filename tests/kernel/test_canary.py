"""K2: a borrowed name that is gone is told at load; and unloading puts back everything that was found."""

from __future__ import annotations

import pytest

from nbagent.kernel.ports import BORROWED
from tests.kernel.environments import kernels
from tests.kernel.frontend import FrontEnd

RESOLVE = """
from nbagent.kernel.ports import BORROWED
kernel = get_ipython().kernel
subshells = getattr(kernel, 'shell_channel_thread', None) is not None
def resolve(path):
    value = kernel
    for name in path.split('.'):
        value = getattr(value, name)
    return value
for borrowed in BORROWED:
    if ('7' if subshells else '6') in borrowed.versions:
        print(borrowed.path, callable(resolve(borrowed.path)) or type(resolve(borrowed.path)).__name__)
"""

STATE = """
shell = get_ipython()
def state():
    stream = port().stream
    return (
        list(shell.input_transformers_post), {k: list(v) for k, v in shell.events.callbacks.items()},
        shell.display_pub.publish, shell.display_pub.clear_output, shell.kernel.do_shutdown,
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), stream._recv_callback,
        shell.custom_exceptions,
    )
def port():
    from nbagent.kernel.ports import open_port
    return open_port(shell)
"""


def test_k2_every_borrowed_name_is_there(front: FrontEnd) -> None:
    cell = front.run(RESOLVE)
    assert cell.status == "ok", cell.outputs
    found = dict(line.split() for line in cell.text.strip().splitlines())
    assert set(found) <= {borrowed.path for borrowed in BORROWED}
    assert len(found) >= 7
    assert {path for path, kind in found.items() if kind != "True"} <= {"io_loop", "shell_handlers"}


@pytest.mark.parametrize("python", kernels())
@pytest.mark.parametrize("gone", ["_publish_status", "shell_handlers"])
def test_k2_a_missing_name_is_unsupported_and_attaches_nothing(python: str, gone: str) -> None:
    with FrontEnd(python) as front:
        code = (
            f"import signal\n{STATE}\nbefore = state()\nfrom nbagent.kernel import ports\n"
            f"ports.BORROWED += (ports.Borrowed('{gone}_which_is_gone', '6, 7', 'a test', 'now'),)\n"
            "from tests.kernel import rig\nfrom nbagent.errors import UnsupportedKernel\n"
            "try:\n    rig.load_ipython_extension(shell)\nexcept UnsupportedKernel as e:\n    print(e)\n"
            "print(rig.current(), )\n"
        )
        cell = front.run(code)
        assert f"{gone}_which_is_gone" in cell.text
        assert cell.text.strip().endswith("None")


@pytest.mark.parametrize("python", kernels())
def test_k4_unloading_puts_back_what_was_found_and_loading_twice_changes_nothing(python: str) -> None:
    with FrontEnd(python) as front:
        front.run(f"import asyncio, signal\nfrom tests.kernel import rig\n{STATE}\nbefore = state()")
        front.run("rig.load_ipython_extension(shell); one = rig.attachment(); loaded = state()")
        again = front.run("rig.load_ipython_extension(shell); print(rig.attachment() is one, state() == loaded)")
        assert again.text.strip() == "True True"
        cell = front.execute("x = %agent_run form Name", "a")
        front.wait_for(lambda: len(cell.data("text/plain")) == 2)
        front.interrupt()
        front.finish(cell)
        after = front.run("rig.unload_ipython_extension(shell); print(state() == before, loaded == before)")
        assert after.text.strip() == "True False"
        assert front.run("rig.load_ipython_extension(shell)\nrig.attachment().detach(); one.detach()").status == "ok"


def test_k4_detaching_in_the_foreground_gives_everything_back(fresh: FrontEnd) -> None:
    code = (
        "found = signal.getsignal(signal.SIGINT)\nport = rig.attachment().port\nreceiver = port.stream._recv_callback\n"
        "with rig.attachment().foreground() as fg:\n    rig.attachment().detach()\n"
        "    print(signal.getsignal(signal.SIGINT) is found, port.stream._recv_callback is receiver)\n"
        "fg.conclude('interrupted')\nprint(rig.current())"
    )
    assert fresh.run(code, "a").text == "True True\nNone\n"
