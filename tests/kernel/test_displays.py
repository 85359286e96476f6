"""P12: what a tool displays goes to its own card, from any thread, and never to a cell."""

from __future__ import annotations

from tests.kernel.frontend import FrontEnd

CALL = """
from IPython.display import HTML, clear_output, display
from nbagent.ports import ToolContext, current_call
got = []
def call():
    none = None
    return ToolContext(none, 't1', 'plot', 'helper', none, lambda text, data: got.append((text, data)))
def within(function):
    token = current_call.set(call())
    try:
        return function()
    finally:
        current_call.reset(token)
"""


def test_p12_a_display_in_a_call_goes_to_the_call(front: FrontEnd) -> None:
    front.run(CALL)
    cell = front.run("within(lambda: display(HTML('<b>in</b>')))\ndisplay(HTML('<b>out</b>'))\nprint(got)")
    assert cell.data("text/html") == ["<b>out</b>"]
    assert "'text/html': '<b>in</b>'" in cell.text


def test_p12_from_a_task_and_from_a_thread(front: FrontEnd) -> None:
    front.run(CALL)
    code = (
        "async def tool():\n    current_call.set(call())\n    display(HTML('task'))\n"
        "    await asyncio.to_thread(display, HTML('thread'))\n"
        "await asyncio.create_task(tool())\nprint([data['text/html'] for _, data in got])"
    )
    cell = front.run(code)
    assert cell.data("text/html") == []
    assert cell.text.strip() == "['task', 'thread']"


def test_p12_an_update_goes_where_its_display_is(front: FrontEnd) -> None:
    front.run(CALL)
    code = (
        "outside = display(HTML('1'), display_id='outside')\n"
        "def tool():\n    inside = display(HTML('2'), display_id='inside')\n    inside.update(HTML('3'))\n"
        "    outside.update(HTML('4'))\n"
        "within(tool)\nprint([data['text/html'] for _, data in got])"
    )
    cell = front.run(code)
    assert cell.text.strip() == "['2', '3']"
    assert cell.data("text/html") == ["1", "4"]


def test_p12_a_tool_cannot_clear_the_cell(front: FrontEnd) -> None:
    front.run(CALL)
    cell = front.run("within(clear_output)")
    assert [m["msg_type"] for m in cell.outputs] == []
    assert [m["msg_type"] for m in front.run("clear_output()").outputs] == ["clear_output"]


def test_p12_a_captured_cell_still_captures(front: FrontEnd) -> None:
    front.run(CALL)
    front.run("%%capture c\ndisplay(HTML('kept'))")
    assert front.run("print(c.outputs[0].data['text/html'])").text.strip() == "kept"
