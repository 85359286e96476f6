"""Functions as tools: what a model is told, how arguments arrive, where the function runs (P12)."""

from __future__ import annotations

import asyncio
import enum
import functools
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from nbagent.errors import ConfigError, Interrupted, ToolError
from nbagent.ports import Tool, ToolResult, current_call
from nbagent.toolsets import FunctionTool, as_tool, tool
from tests.toolsets.asking import Card, make_context

pytestmark = pytest.mark.anyio


@dataclass
class Point:
    x: int
    y: float = 0.0


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Order(BaseModel):
    item: str
    count: int = 1


@tool
def draw(
    at: Point,
    colour: Colour,
    mode: Literal["fill", "line"] = "fill",
    label: str | None = None,
    size: Annotated[int, Field(ge=1)] = 2,
    _weight: int = Field(3, le=9, description="how heavy"),
) -> tuple[Any, ...]:
    """Draw a thing.

    It is drawn at once.

    Parameters
    ----------
    at
        Where.
    colour, mode
        How it looks.

    Returns
    -------
    tuple
        All of it.
    """
    return at, colour, mode, label, size, _weight


def test_the_schema_comes_from_signature_and_docstring() -> None:
    assert draw.spec.name == "draw"
    assert draw.spec.description == "Draw a thing.\n\nIt is drawn at once."
    schema = draw.spec.parameters
    properties = schema["properties"]
    assert schema["required"] == ["at", "colour"]
    assert schema["additionalProperties"] is False
    assert properties["at"] == {"$ref": "#/$defs/Point", "description": "Where."}
    assert properties["mode"] == {
        "type": "string",
        "enum": ["fill", "line"],
        "default": "fill",
        "description": "How it looks.",
    }
    assert properties["label"] == {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    assert properties["size"] == {"type": "integer", "minimum": 1, "default": 2}
    assert properties["_weight"] == {"type": "integer", "maximum": 9, "default": 3, "description": "how heavy"}
    assert "title" not in schema


@pytest.mark.parametrize(
    "docstring",
    [
        "Add.\n\nParameters\n----------\na : int\n    the first",
        "Add.\n\nArgs:\n    a: the first",
        "Add.\n\n:param a: the first",
    ],
)
def test_docstrings_of_three_styles_describe_the_parameters(docstring: str) -> None:
    def add(a: int) -> int:
        return a

    add.__doc__ = docstring
    made = tool(add)
    assert made.spec.description == "Add."
    assert made.spec.parameters["properties"]["a"]["description"] == "the first"


def test_a_function_without_parameters_or_docstring_is_a_tool() -> None:
    def now() -> str:
        return "now"

    made = as_tool(now)
    assert isinstance(made, Tool)
    assert made.spec.description == ""
    assert made.spec.parameters == {"type": "object", "properties": {}, "additionalProperties": False}


def test_a_tool_stays_callable_as_the_function_that_it_was() -> None:
    @tool(name="plus", description="Adds.", approve=True)
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    assert add(2, 3) == 5
    assert (add.spec.name, add.spec.description, add.asks_approval, add.toolset) == ("plus", "Adds.", True, "")
    assert add.__name__ == "add"
    assert as_tool(add) is add
    assert draw.asks_approval is False


def test_what_no_model_can_call_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\*rest"):

        @tool
        def many(*rest: int) -> None:
            pass

    with pytest.raises(ConfigError, match="no JSON schema"):

        @tool
        def odd(thing: threading.Event) -> None:
            pass

    with pytest.raises(ConfigError, match="letters, digits"):
        tool(name="two words")(lambda: None)
    with pytest.raises(ConfigError, match="not a tool"):
        as_tool(3)


def test_an_annotation_may_name_what_is_defined_later() -> None:
    @tool
    def early(order: Later) -> str:  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore
        return order.item

    with pytest.raises(ConfigError, match="Later"):
        _ = early.spec
    globals()["Later"] = Order
    try:
        assert early.spec.parameters["$defs"]["Order"]["required"] == ["item"]
    finally:
        del globals()["Later"]


def test_annotations_see_the_names_of_the_enclosing_function() -> None:
    class Local(BaseModel):
        n: int

    @tool
    def local(value: Local) -> int:
        return value.n

    assert local.spec.parameters["$defs"]["Local"]["required"] == ["n"]


async def test_arguments_arrive_converted() -> None:
    result = await draw.call({"at": {"x": "3"}, "colour": "red", "size": "5"}, make_context())
    assert result.text == '[{"x":3,"y":0.0},"red","fill",null,5,3]'

    @tool
    def check(at: Point, order: Order) -> str:
        assert isinstance(at, Point)
        assert isinstance(order, Order)
        return "instances"

    assert (await check.call({"at": {"x": 1}, "order": {"item": "tea"}}, make_context())).text == "instances"


async def test_arguments_that_do_not_fit_are_named_for_the_model() -> None:
    with pytest.raises(ToolError) as caught:
        await draw.call({"at": {"x": "east"}, "size": 0, "extra": 1}, make_context())
    text = str(caught.value)
    assert text.startswith("invalid arguments for draw: ")
    for part in ("at.x: Input should be a valid integer", "colour: Field required", "size: ", "extra: "):
        assert part in text


async def test_positional_only_and_open_keywords_are_filled() -> None:
    @tool
    def odd(a: int, /, b: int = 2, **more: Any) -> dict[str, Any]:
        return {"a": a, "b": b, **more}

    assert odd.spec.parameters.get("additionalProperties", True) is True
    assert (await odd.call({"a": 1, "c": 3}, make_context())).text == '{"a":1,"b":2,"c":3}'


async def test_methods_partials_and_callable_objects_are_tools() -> None:
    class Shop:
        stock = 4

        @tool
        def left(self, sold: int) -> int:
            """What is left."""
            return self.stock - sold

        async def __call__(self, n: int) -> int:
            """Call it."""
            return n

    def power(base: int, exponent: int) -> int:
        """Raise."""
        return base**exponent

    shop = Shop()
    assert (await shop.left.call({"sold": 1}, make_context())).text == "3"
    assert list(shop.left.spec.parameters["properties"]) == ["sold"]
    square = as_tool(functools.partial(power, exponent=2))
    assert (await square.call({"base": 3}, make_context())).text == "9"
    whole = as_tool(shop)
    assert (whole.spec.name, whole.spec.description) == ("Shop", "Call it.")
    assert (await whole.call({"n": 7}, make_context())).text == "7"


async def test_p12_a_synchronous_tool_runs_on_a_daemon_thread_that_knows_its_call() -> None:
    seen: dict[str, Any] = {}

    @tool
    def look() -> None:
        seen["thread"] = threading.current_thread()
        seen["call"] = current_call.get()

    context = make_context()
    assert (await look.call({}, context)).text == "done"
    assert seen["thread"] is not threading.main_thread()
    assert seen["thread"].daemon
    assert seen["call"] is context
    assert current_call.get() is None
    assert not context.stop.is_set()
    assert not context.abandoned


async def test_p12_a_cancelled_thread_is_abandoned_and_its_late_result_dropped() -> None:
    inside, go, finished = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @tool
    def stuck() -> str:
        loop.call_soon_threadsafe(inside.set)
        go.wait(10)
        print("late")
        finished.set()
        return "late"

    context = make_context()
    task = asyncio.create_task(stuck.call({}, context))
    await inside.wait()
    task.cancel()
    async with asyncio.timeout(1.0):
        await asyncio.wait({task})
    assert task.cancelled()
    assert context.abandoned
    assert context.stop.is_set()
    go.set()
    assert await asyncio.to_thread(finished.wait, 10)
    assert sys.stdout is not None


async def test_an_asynchronous_tool_runs_on_the_loop_and_is_cancelled_there() -> None:
    inside, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def wait() -> None:
        assert threading.current_thread() is threading.main_thread()
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    context = make_context()
    task = asyncio.create_task(wait.call({}, context))
    await inside.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert ended.is_set()
    assert context.stop.is_set()
    assert not context.abandoned


async def test_main_thread_tools_run_on_the_loops_thread_where_an_interrupt_stops_them() -> None:
    @tool(main_thread=True)
    def here() -> None:
        assert threading.current_thread() is threading.main_thread()
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        await here.call({}, make_context())


@pytest.mark.parametrize("main_thread", [False, True])
async def test_whatever_a_tool_raises_ends_its_call_alone(main_thread: bool) -> None:
    @tool(main_thread=main_thread)
    def fail(how: str) -> None:
        match how:
            case "exit":
                raise SystemExit(3)
            case "cancelled":
                raise asyncio.CancelledError
            case _:
                raise ZeroDivisionError("by me")

    with pytest.raises(ToolError, match=r"SystemExit\(3\)"):
        await fail.call({"how": "exit"}, make_context())
    with pytest.raises(ToolError, match="own work was cancelled"):
        await fail.call({"how": "cancelled"}, make_context())
    with pytest.raises(ZeroDivisionError):
        await fail.call({"how": "else"}, make_context())


async def test_a_plain_function_may_return_an_awaitable() -> None:
    async def later() -> str:
        return "later"

    assert (await as_tool(lambda: later()).call({}, make_context())).text == "later"


async def test_a_result_may_be_given_whole() -> None:
    whole = ToolResult("no", is_error=True)
    assert await as_tool(lambda: whole).call({}, make_context()) is whole


async def test_what_tools_print_goes_to_their_own_cards(capsys: pytest.CaptureFixture[str]) -> None:
    started = asyncio.Event()

    @tool
    def in_thread(text: str) -> None:
        print(text)
        print(text, file=sys.stderr)

    @tool
    async def on_loop(text: str) -> None:
        started.set()
        await asyncio.to_thread(lambda: None)
        print(text)

    one, two, three = Card(), Card(), Card()
    calls = [
        asyncio.create_task(FunctionTool.call(each, {"text": text}, make_context(card=card)))
        for each, text, card in ((in_thread, "one", one), (in_thread, "two", two), (on_loop, "three", three))
    ]
    await started.wait()
    print("mine")
    await asyncio.gather(*calls)
    assert (one.text, two.text, three.text) == ("one\none\n", "two\ntwo\n", "three\n")
    assert capsys.readouterr() == ("mine\n", "")


def test_p12_a_stuck_tool_does_not_hold_the_process() -> None:
    script = (
        "import asyncio, threading\n"
        "from nbagent.toolsets import tool\n"
        "from tests.toolsets.asking import make_context\n"
        "inside = threading.Event()\n"
        "@tool\n"
        "def stuck():\n"
        "    inside.set()\n"
        "    threading.Event().wait()\n"
        "async def main():\n"
        "    task = asyncio.create_task(stuck.call({}, make_context()))\n"
        "    while not inside.is_set():\n"
        "        await asyncio.sleep(0)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=20, check=False).returncode == 0


def test_importing_the_tools_loads_nothing_heavy() -> None:
    script = (
        "import sys, nbagent.toolsets, nbagent.toolsets.mcp\n"
        "heavy = {'mcp', 'pydantic', 'docstring_parser', 'jsonschema', 'httpx2', 'IPython'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=20, check=False, capture_output=True, text=True)
    assert done.stderr == ""
