"""K3: an interrupt ends the run at once, is raised in no frame of nbagent's, and leaves the handler that it found."""

from __future__ import annotations

import random
import time

import pytest

from tests.kernel.frontend import Execution, FrontEnd
from tests.kernel.test_gate import answer, owns_nothing, shown


def interrupt(front: FrontEnd, cell: Execution) -> float:
    """Interrupt, wait for idle; milliseconds between."""
    at = front.interrupt()
    front.finish(cell)
    assert cell.idle_at is not None
    return (cell.idle_at - at) * 1000


def printed(front: FrontEnd, cell: Execution, text: str) -> None:
    front.wait_for(lambda: text in cell.text)


@pytest.mark.timed
def test_k3_an_interrupt_ends_a_waiting_form(front: FrontEnd, ask: str, capsys: pytest.CaptureFixture[str]) -> None:
    took: list[float] = []
    for _ in range(5):
        cell = front.execute(f"{ask}\nprint('never')", "a")
        shown(front, cell)
        took.append(interrupt(front, cell))
        assert (cell.status, cell.error, cell.text) == ("error", "KeyboardInterrupt", "")
        assert owns_nothing(front)
    with capsys.disabled():
        print(f"\ninterrupt to idle: {', '.join(f'{ms:.0f}' for ms in took)} ms")
    assert max(took) < 250
    assert front.run("print(rig.runs[-1].log)").text.strip() == "['interrupted']"
    cell = front.execute(f"{ask}\nprint(x)", "a")
    answer(front, cell, "next")
    assert front.finish(cell).text.strip() == "next"


def test_k3_run_all_stops_at_an_interrupt(front: FrontEnd, ask: str) -> None:
    cell = front.execute(ask, "a")
    field, _ = shown(front, cell)
    queued = front.execute("print('never')", "b")
    front.type(field, "x")
    front.settle(field)  # it was sent after the request, which the kernel therefore has by now
    interrupt(front, cell)
    assert front.finish(queued).status == "aborted"
    assert front.run("1").status == "ok"  # the kernel aborts no more


def test_k3_a_person_who_catches_the_interrupt_goes_on(front: FrontEnd, ask: str) -> None:
    body = "\n".join("    " + line for line in ask.splitlines())
    cell = front.execute(f"try:\n{body}\nexcept KeyboardInterrupt:\n    print('caught')", "a")
    shown(front, cell)
    interrupt(front, cell)
    assert (cell.status, cell.text.strip()) == ("ok", "caught")


SLOW = """
async def slow(end):
    with rig.attachment().foreground() as fg:
        run = rig.Waiting(); fg.attach(run)
        print('inside', flush=True)
        await run.answer
        print('cleaning', flush=True)
        await end.wait()
    fg.conclude(run.reason)
"""


@pytest.mark.timed
def test_k3_the_second_interrupt_hurries_and_the_first_only_cancels(front: FrontEnd) -> None:
    front.run(SLOW)
    code = (
        "end = asyncio.Event()\n"
        "class Hurried(rig.Waiting):\n    def hurry(self):\n        super().hurry(); end.set()\n"
        "rig.Waiting, before = Hurried, rig.Waiting\ntry:\n    await slow(end)\nfinally:\n    rig.Waiting = before"
    )
    cell = front.execute(code, "a")
    printed(front, cell, "inside")
    front.interrupt()
    printed(front, cell, "cleaning")
    assert not cell.done
    assert interrupt(front, cell) < 250
    assert cell.error == "KeyboardInterrupt"
    assert front.run("print(rig.runs[-1].log)").text.strip() == "['interrupted', 'hurry']"
    assert owns_nothing(front)


def test_k3_an_interrupt_before_there_is_a_run_is_kept_for_it(front: FrontEnd) -> None:
    code = (
        "with rig.attachment().foreground() as fg:\n    signal.raise_signal(signal.SIGINT)\n"
        "    print('not raised here')\n    run = rig.Waiting(); fg.attach(run)\n    print(run.log, await run.answer)\n"
        "fg.conclude(run.reason)\nprint('never')"
    )
    cell = front.run(code, "a")
    assert (cell.error, cell.text) == ("KeyboardInterrupt", "not raised here\n['interrupted'] None\n")
    assert owns_nothing(front)


def test_k3_an_interrupt_that_meets_no_run_still_ends_the_cell(front: FrontEnd) -> None:
    code = (
        "with rig.attachment().foreground() as fg:\n    signal.raise_signal(signal.SIGINT)\n"
        "fg.conclude('completed')\nprint('never')"
    )
    cell = front.run(code, "a")
    assert (cell.error, cell.text) == ("KeyboardInterrupt", "")


@pytest.mark.timed
def test_k3_user_code_in_a_boundary_is_interrupted_and_the_run_cancelled(front: FrontEnd) -> None:
    code = """
from nbagent import boundary
from nbagent.errors import Interrupted
def blocks():
    print('inside', flush=True)
    while True: pass
with rig.attachment().foreground() as fg:
    run = rig.Waiting(); fg.attach(run)
    try:
        boundary.call(blocks)
    except Interrupted:
        print('at the boundary')
    await run.answer
fg.conclude(run.reason)
"""
    cell = front.execute(code, "a")
    printed(front, cell, "inside")
    assert interrupt(front, cell) < 250
    assert (cell.error, cell.text) == ("KeyboardInterrupt", "inside\nat the boundary\n")
    assert front.run("print(rig.runs[-1].log, boundary.active())").text.strip() == "['interrupted'] False"


@pytest.mark.timed
def test_k3_a_widget_callback_that_never_returns_can_be_stopped(front: FrontEnd, ask: str) -> None:
    code = (
        "import ipywidgets\ndef hang(_):\n    print('hangs', flush=True)\n    while True: pass\n"
        f"button = ipywidgets.Button(description='Hang')\nbutton.on_click(hang)\ndisplay(button)\n{ask}"
    )
    cell = front.execute(code, "a")
    shown(front, cell)
    front.click(front.widget(description="Hang"))
    printed(front, cell, "hangs")
    assert interrupt(front, cell) < 250
    assert cell.error == "KeyboardInterrupt"
    assert owns_nothing(front)


@pytest.mark.timed
def test_k3_in_another_task_an_interrupt_ends_the_task_and_never_the_kernel(front: FrontEnd) -> None:
    code = (
        "async def f(label):\n    return await rig.ask(label)\n"
        "try:\n    await asyncio.gather(f('One'), f('Two'))\nexcept asyncio.CancelledError:\n    print('cancelled')"
    )
    cell = front.execute(code, "a")
    front.wait_for(lambda: len(cell.data("text/plain")) == 4)
    assert interrupt(front, cell) < 250
    assert (cell.status, cell.text.strip()) == ("ok", "cancelled")
    assert front.run("print([r.log for r in rig.runs[-2:]])").text.strip() == "[['interrupted'], ['interrupted']]"
    assert owns_nothing(front)


def test_k3_a_gathered_interrupt_fails_the_cell(front: FrontEnd) -> None:
    cell = front.execute("await asyncio.gather(rig.ask('One'), rig.ask('Two'))", "a")
    front.wait_for(lambda: len(cell.data("text/plain")) == 4)
    interrupt(front, cell)
    assert (cell.status, cell.error) == ("error", "CancelledError")


def test_k3_foregrounds_that_end_out_of_order_leave_what_they_found(front: FrontEnd) -> None:
    code = """
found = signal.getsignal(signal.SIGINT)
port = rig.attachment().port
receiver = port.stream._recv_callback
one, two = rig.attachment().foreground(), rig.attachment().foreground()
one.__enter__(); ours = signal.getsignal(signal.SIGINT); two.__enter__()
one.__exit__(None, None, None)
print(ours is not found, signal.getsignal(signal.SIGINT) is ours, port.stream._recv_callback is not receiver)
two.__exit__(None, None, None)
print(signal.getsignal(signal.SIGINT) is found, rig.attachment()._foregrounds._open)
"""
    assert front.run(code, "a").text == "True True True\nTrue []\n"
    assert front.run("print(port.stream._recv_callback is receiver)").text.strip() == "True"
    assert owns_nothing(front)


def test_k3_a_handler_that_somebody_set_meanwhile_stays(front: FrontEnd) -> None:
    code = """
def mine(*_): pass
found = signal.getsignal(signal.SIGINT)
with rig.attachment().foreground():
    signal.signal(signal.SIGINT, mine)
print(signal.getsignal(signal.SIGINT) is mine)
signal.signal(signal.SIGINT, found)
"""
    assert front.run(code, "a").text.strip() == "True"
    assert owns_nothing(front)


def test_k3_off_the_main_thread_no_signal_is_touched(front: FrontEnd) -> None:
    code = """
found = signal.getsignal(signal.SIGINT)
def elsewhere():
    async def run():
        with rig.attachment().foreground():
            return signal.getsignal(signal.SIGINT) is found
    return asyncio.run(run())
print(await asyncio.to_thread(elsewhere), rig.attachment().idle)
"""
    assert front.run(code, "a").text.strip() == "True True"


def test_k3_a_forked_child_has_the_default_handler(front: FrontEnd) -> None:
    code = """
import os, warnings
warnings.simplefilter('ignore')
with rig.attachment().foreground():
    pid = os.fork()
    if pid == 0:
        os._exit(7 if signal.getsignal(signal.SIGINT) is signal.default_int_handler else 1)
    ours = signal.getsignal(signal.SIGINT).__qualname__
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), ours)
"""
    assert front.run(code, "a").text.strip() == "7 Interrupts._handle"
    assert owns_nothing(front)


def test_k3_a_background_run_owns_nothing_once_its_cell_has_ended(front: FrontEnd) -> None:
    code = (
        "opened, end = asyncio.Event(), asyncio.Event()\n"
        "task = asyncio.create_task(rig.background(opened, end))\nawait opened.wait()\nprint(rig.attachment().idle)"
    )
    assert front.run(code, "a").text.strip() == "False"
    assert owns_nothing(front)
    cell = front.execute("x = %agent_run form Name", "b")
    shown(front, cell)
    interrupt(front, cell)
    assert cell.error == "KeyboardInterrupt"
    assert front.run("print(rig.runs[-2].log)\nend.set(); print((await task).interrupted)").text == "[]\nFalse\n"
    assert owns_nothing(front)


def test_k3_an_interrupt_before_a_reentry_in_an_awaiting_cell_costs_no_reply(front: FrontEnd) -> None:
    """ipykernel would cancel the cell's task while it stands in the re-entry, and lose the reply (6.x: the kernel)."""
    code = (
        "def ask():\n    return get_ipython().run_line_magic('agent_run', 'form Name')\n"
        "await asyncio.sleep(0)\nsignal.raise_signal(signal.SIGINT)\nprint('goes on')\nx = ask()\nprint('never')"
    )
    cell = front.run(code, "a")
    assert (cell.status, cell.error, cell.text) == ("error", "KeyboardInterrupt", "goes on\n")
    assert owns_nothing(front)


def test_k3_an_awaiting_cell_without_a_run_is_interrupted_as_ever_but_at_once(front: FrontEnd) -> None:
    cell = front.execute("x = %agent_run hi\nprint('inside', flush=True)\nawait asyncio.sleep(30)", "a")
    printed(front, cell, "inside")
    assert interrupt(front, cell) < 2000  # of which IPython renders the traceback most of the time
    assert (cell.status, cell.error) == ("error", "CancelledError")
    assert owns_nothing(front)


def test_k3_a_signal_that_interrupts_no_system_call_wakes_the_loop(front: FrontEnd, ask: str) -> None:
    """Sent to another thread it stands for one that arrives in the instant before the loop goes to sleep."""
    code = (
        "import threading, time\n"
        "def press():\n    time.sleep(0.3)  # by then the loop sleeps\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        f"threading.Thread(target=press).start()\n{ask}"
    )
    cell = front.execute(code, "a")
    front.finish(cell, 5)
    assert cell.error == "KeyboardInterrupt"
    fd = "fd = signal.set_wakeup_fd(-1); signal.set_wakeup_fd(fd); print(fd)"
    assert front.run(fd).text.strip() == "-1"
    assert owns_nothing(front)


@pytest.mark.slow
def test_k3_an_interrupt_at_any_instant_leaves_nothing_behind(front: FrontEnd, ask: str) -> None:
    """The instant is drawn from before the cell's first statement to its form; whatever it hits, all is well.

    A KeyboardInterrupt before the cell's code (while IPython compiles it, say) costs ipykernel its reply, not its idle.
    """
    chance = random.Random(7)
    ended: list[str] = []
    for _ in range(100):
        cell = front.execute(f"for _ in range(20):\n    x = %agent_run hi\n{ask}", "a")
        front.wait_for(lambda cell=cell: cell.states)
        front.take_until(time.monotonic() + chance.uniform(0, 0.04))
        front.interrupt()
        try:
            front.wait_for(lambda cell=cell: cell.idle_at, 2)
        except TimeoutError:  # it came while the kernel ignored it: before the request was handled
            front.interrupt()
            front.wait_for(lambda cell=cell: cell.idle_at)
            front.run("pass")  # where the kernel was only slow, one of the two comes here
        ended.append(cell.error)
        after = front.run("print(rig.owned(), rig.reentry._local.__dict__.get('entered'))\nx = rig.agent_run('hi')")
        assert (after.status, after.text.strip()) == ("ok", "True default_int_handler None"), after.outputs
    assert set(ended) <= {"KeyboardInterrupt", "CancelledError", ""}
    assert ended.count("KeyboardInterrupt") > 60
