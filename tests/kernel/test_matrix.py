"""What a person does in a notebook, on every ipykernel that one may have; `matrix` makes a table of it.

The first line of a test's docstring is its column. Where a kernel has no subshells there is nothing to see, and the
column says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.kernel.environments import OTHERS, VERSIONS, kernels
from tests.kernel.frontend import Execution, FrontEnd
from tests.notebook.conftest import NOTHING, SETUP, WARM, kept, kept_later, result, value
from tests.notebook.test_cell_interrupt import said

pytestmark = pytest.mark.slow

NO_SUBSHELLS = "no subshells"
AWAITED = "x = %agent_run -n {} go"
REENTERED = "def f():\n    x = %agent_run -n {} go\n    return x\nx = f()"
WAYS = pytest.mark.parametrize("code", [AWAITED, REENTERED], ids=["awaited", "re-entered"])

HIDDEN = """
import ipykernel
from nbagent.errors import UnsupportedKernel
from nbagent.kernel import ports
shell = get_ipython()

class Without:
    "An object of ipykernel's, and all that is reached through it, without the name at the end of `path`."
    def __init__(self, of, path):
        self._of, self._path = of, path
    def __getattr__(self, name):
        first, _, rest = self._path.partition(".")
        if name != first:
            return getattr(self._of, name)
        if not rest:
            raise AttributeError(name)
        return Without(getattr(self._of, name), rest)

class Shell:
    def __init__(self, kernel):
        self.kernel = kernel

def refused(path):
    try:
        ports.open_port(Shell(Without(shell.kernel, path)))
    except UnsupportedKernel as error:
        return error.version, error.missing
    return None

def mended():
    "Whether replies go through the shell's stream: by ipykernel's own doing, or by ours where it lacks that."
    manager = getattr(getattr(shell.kernel, "shell_channel_thread", None), "manager", None)
    return manager is None or hasattr(manager, "_shell_stream") or "Through" in type(manager._shell_socket).__name__

kind = "7" if getattr(shell.kernel, "shell_channel_thread", None) is not None else "6"
needed = [borrowed.path for borrowed in ports.BORROWED if kind in borrowed.versions]
"""


@pytest.fixture(scope="module", params=kernels((*VERSIONS, *OTHERS)))
def notebook(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    """A notebook with the agents of `tests.notebook`."""
    with FrontEnd(request.param) as front:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        yield front


@pytest.fixture
def front(notebook: FrontEnd) -> Iterator[FrontEnd]:
    """The same; no test leaves anything owned, and what a failed one left running is interrupted."""
    yield notebook
    while waiting := [execution for execution in notebook.executions.values() if not execution.done]:
        notebook.interrupt()
        notebook.finish(waiting[0])
    assert value(notebook, "owned()") == NOTHING


def fill(front: FrontEnd, *texts: str) -> None:
    """Type into the form's field once it is shown, piece by piece, as fast as the page's throttle lets one; submit."""
    field = front.widget(description="City", name="TextModel")
    front.wait_for(lambda: front.widget(description="Submit").state["disabled"])
    for text in texts:
        front.type(field, text)
        front.settle(field)
    front.wait_for(lambda: not front.widget(description="Submit").state["disabled"])
    front.click(front.widget(description="Submit"))


def heard(front: FrontEnd, text: str) -> bool:
    """Whether the tool was given `text`."""
    return value(front, "x.text") == repr(f"accept {{'city': '{text}'}} ")


def run_all(front: FrontEnd, code: str) -> Execution:
    """The cell, and five behind it that note their turns in ``order``."""
    front.run("order = []")
    cell = front.execute(f"{code}\norder.append('run')", "run")
    for number in range(5):
        front.execute(f"order.append({number})", f"behind-{number}")
    return cell


@WAYS
def test_k1_a_run_in_the_cell(front: FrontEnd, code: str) -> None:
    """run"""
    cell = front.run(code.format("helper"))
    assert cell.status == "ok"
    assert value(front, "x.text") == "'Hello **you**.'"
    assert "Hello **you**." in kept(cell)["text/markdown"]


def test_k4_a_run_in_the_background(front: FrontEnd) -> None:
    """background run"""
    cell = front.run("handle = %agent_run -n -b asking go", "background")
    assert cell.status == "ok"
    assert front.run("print('beside')").text == "beside\n"
    fill(front, "Os", "lo")
    assert result(front.run("(await handle).text")) == ["\"accept {'city': 'Oslo'} \""]
    assert "Oslo" in kept_later(front, cell)["text/markdown"]


@WAYS
def test_k2_a_form_is_answered_over_the_main_shell(front: FrontEnd, code: str) -> None:
    """form, main shell"""
    cell = front.execute(code.format("asking"), "form")
    fill(front, "Ber", "gen")
    assert front.finish(cell).status == "ok"
    assert heard(front, "Bergen")


@WAYS
def test_k2_a_form_is_answered_over_a_subshell(
    front: FrontEnd, code: str, record_property: Callable[[str, object], None]
) -> None:
    """form, subshell"""
    if not front.has_subshells:
        assert value(front, "__import__('ipykernel').version_info[0]") == "6"
        record_property("instead", NO_SUBSHELLS)
        return
    front.subshell_for_comms = front.create_subshell()
    try:
        cell = front.execute(code.format("asking"), "form")
        fill(front, "Ber", "gen")
        assert front.finish(cell).status == "ok"
    finally:
        front.subshell_for_comms = None
    assert heard(front, "Bergen")


@WAYS
def test_k2_run_all_keeps_its_order(front: FrontEnd, code: str) -> None:
    """Run All in order"""
    cell = run_all(front, code.format("asking"))
    fill(front, "Ber", "gen")
    front.finish(cell)
    assert value(front, "order") == "['run', 0, 1, 2, 3, 4]"


@WAYS
@pytest.mark.parametrize("agent", ["asking", "sleeper"])
def test_k3_an_interrupt_ends_the_cell_and_run_all(front: FrontEnd, code: str, agent: str) -> None:
    """interrupt"""
    cell = run_all(front, code.format(agent))
    if agent == "asking":
        front.widget(description="City", name="TextModel")
    else:
        said(front, "sleep_async")
    pressed = front.interrupt()
    front.finish(cell)
    assert cell.error == "KeyboardInterrupt"
    assert cell.idle_at is not None
    assert cell.idle_at - pressed < 1
    assert "Interrupted" in kept(cell)["text/markdown"]
    assert value(front, "order") == "[]"
    assert front.run(code.format("helper")).status == "ok"


@WAYS
def test_k4_running_the_cell_again_supersedes_its_run(front: FrontEnd, code: str) -> None:
    """run again"""
    code = f"{code.format('asking')}\nprint('sent')"
    first = front.execute(code, "again")
    old = front.widget(description="City", name="TextModel")
    second = front.execute(code, "again")
    front.finish(first)
    assert (first.status, first.text) == ("ok", "")
    front.wait_for(lambda: old.closed)
    fill(front, "Ber", "gen")
    assert front.finish(second).text == "sent\n"
    assert heard(front, "Bergen")


def test_k2_each_borrowed_name_is_missed_by_name(front: FrontEnd) -> None:
    """a missing name is told"""
    assert front.run(HIDDEN).status == "ok"
    assert value(front, "refused('nothing') is None, len(needed) >= 8") == "(True, True)"
    told = front.run("for path in needed:\n    print(path, refused(path) == (ipykernel.__version__, path))").text
    assert [line for line in told.splitlines() if not line.endswith(" True")] == []
    assert value(front, "mended()") == "True"


def test_k4_unloading_puts_everything_back(front: FrontEnd) -> None:
    """load and unload"""
    for _ in range(2):
        front.run("handle = %agent_run -n -b sleeper go")
        said(front, "sleep_async")
        assert front.run("%reload_ext nbagent").status == "ok"
        assert value(front, "handle.result.reason") == "'cancelled'"
        assert front.run("x = %agent_run -n helper hi").status == "ok"
