"""The kernel's own tools on a shell in this process: what a model reads, and what it never reads."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import io
import sys
import threading
import types
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import nbagent.schema
from nbagent.errors import ConfigError, ToolError, ToolsUnavailable
from nbagent.events import ToolCallConfirmation, ToolCallResponse
from nbagent.kernel import KernelToolset
from nbagent.kernel.toolset import beside
from nbagent.kernel.toolset.redaction import looks_secret, redacted
from nbagent.models import ToolCall
from nbagent.ports import Tool, ToolResult, Toolset
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.toolsets import bounded
from nbagent.toolsets.capture import captured
from tests.runtime.support import drained, events_of, scripted
from tests.toolsets.asking import Card, Person, make_context

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def only_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """IPython's shell, with a module of its own for its namespace, and no history on disk."""
    config = Config()
    config.HistoryManager.enabled = False
    config.BaseIPythonApplication.ipython_dir = str(tmp_path_factory.mktemp("ipython"))
    before = vars(builtins).copy()
    module = types.ModuleType("notebook_under_test")
    shell = InteractiveShell.instance(config=config, user_module=module)
    nbagent.schema.warm()  # so that no test measures its imports
    yield shell
    InteractiveShell.clear_instance()
    for name in vars(builtins).keys() - before.keys():
        delattr(builtins, name)


@pytest.fixture
def shell(only_shell: Any) -> Iterator[Any]:
    """The same, each test with a namespace as at the start."""
    before = only_shell.user_ns.copy()
    yield only_shell
    only_shell.user_ns.clear()
    only_shell.user_ns.update(before)


@asynccontextmanager
async def opened(approval: Any = "ask") -> AsyncGenerator[dict[str, Tool]]:
    async with KernelToolset(approval).open(Person()) as tools:
        yield {tool.spec.name: tool for tool in tools}


async def call(tool: str, /, card: Card | None = None, **arguments: Any) -> ToolResult:
    """One call of one tool."""
    with anyio.fail_after(20):
        async with opened() as tools:
            return await tools[tool].call(arguments, make_context(card=card))


async def run(code: str, card: Card | None = None) -> str:
    """What the model reads of `code`, which does not fail."""
    result = await call("run_python", card, code=code)
    assert not result.is_error, result.text
    return result.text


async def failure(code: str) -> str:
    """What the model reads of `code`, which fails."""
    result = await call("run_python", code=code)
    assert result.is_error
    return result.text


# ---------------------------------------------------------------- the toolset


def test_it_is_a_toolset_and_says_what_it_is() -> None:
    assert isinstance(KernelToolset(), Toolset)
    assert repr(KernelToolset("never")) == "KernelToolset(approval='never')"
    with pytest.raises(ConfigError, match="choose 'ask' or 'never'"):
        KernelToolset("sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_outside_of_ipython_it_is_unavailable_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    with pytest.raises(ToolsUnavailable) as caught:
        async with opened():
            pass
    assert "\n" not in str(caught.value) and "IPython" in str(caught.value)


@pytest.mark.parametrize(("approval", "asking"), [("ask", {"run_python", "inspect_variable"}), ("never", set[str]())])
async def test_p11_which_tools_ask(shell: Any, approval: str, asking: set[str]) -> None:
    async with opened(approval) as tools:
        assert {name for name, tool in tools.items() if tool.asks_approval} == asking
        assert tools.keys() == {"run_python", "list_variables", "inspect_variable", "add_cell"}
        assert all(isinstance(tool, Tool) and tool.toolset == "kernel" for tool in tools.values())


# ---------------------------------------------------------------- run_python: what runs


async def test_the_code_sees_and_changes_the_users_namespace(shell: Any) -> None:
    shell.user_ns["price"] = 20
    assert await run("total = price * 2 + 2\ntotal") == "42"
    assert shell.user_ns["total"] == 42


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 + 1", "2"),
        ("1 + 1;", "done, and it showed nothing"),
        ("1 + 1;  # quiet", "done, and it showed nothing"),
        ("None", "done, and it showed nothing"),
        ("", "done, and it showed nothing"),
        ("# nothing", "done, and it showed nothing"),
        ("'a;'", "'a;'"),
        ("x = 1", "done, and it showed nothing"),
        ("print('a', end='')\n2", "a\n2"),
        ("for i in range(3): print(i, end='\\r')", "2"),
        ("print('\\x1b[31mred\\x1b[0m')", "red"),
        ("import sys; print('out'); print('err', file=sys.stderr); 'value'", "out\nerr\n'value'"),
        ("%%capture --no-stderr got\nprint('kept')", "done, and it showed nothing"),
        ("x = !echo shell\nx[0]", "'shell'"),
        ("import asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 'slept')", "'slept'"),
    ],
)
async def test_code_runs_as_in_a_cell(shell: Any, code: str, text: str) -> None:
    assert await run(code) == text


async def test_what_a_coroutine_returns_is_not_awaited_unless_the_code_does(shell: Any) -> None:
    assert "<coroutine object" in await run("async def f(): return 1\nc = f()\nc")
    shell.user_ns.pop("c").close()


async def test_no_history_is_touched(shell: Any) -> None:
    shell.run_cell("40 + 1", store_history=True)

    def history() -> Any:
        names = {name: shell.user_ns.get(name) for name in ("_", "__", "___", "_i", "_ii")}
        return len(shell.user_ns["In"]), dict(shell.user_ns["Out"]), shell.execution_count, names

    before = history()
    await run("7\n8\n'nine'")
    await run("get_ipython().run_cell('6 * 7').result")
    assert history() == before


async def test_a_future_import_stays_in_the_code_that_has_it(shell: Any) -> None:
    await run("from __future__ import annotations\ndef f(x: missing): pass")
    assert "NameError" in await failure("def g(x: missing): pass")


async def test_a_future_import_of_the_users_cells_holds_for_the_code(shell: Any) -> None:
    flags = shell.compile.flags
    try:
        shell.run_cell("from __future__ import annotations")
        await run("def g(x: missing): pass")
    finally:
        shell.compile.flags = flags


async def test_calls_of_one_message_run_one_after_the_other(shell: Any) -> None:
    shell.user_ns["order"] = []
    slow = "import asyncio\norder.append('a')\nfor _ in range(3): await asyncio.sleep(0)\norder.append('b')"
    async with opened() as tools:
        calls = [tools["run_python"].call({"code": code}, make_context()) for code in (slow, "order.append('c')")]
        with anyio.fail_after(10):
            await asyncio.gather(*calls)
    assert shell.user_ns["order"] == ["a", "b", "c"]


# ---------------------------------------------------------------- run_python: what it shows


async def test_p12_everything_is_on_the_card(shell: Any) -> None:
    card = Card()
    await run("from IPython.display import HTML, display\nprint('x' * 50_000)\ndisplay(HTML('<i>rich</i>'))\n3", card)
    assert card.text == "x" * 50_000 + "\n3\n"
    assert [bundle["text/html"] for bundle in card.bundles] == ["<i>rich</i>"]


async def test_the_model_reads_head_and_tail_and_what_was_cut(shell: Any) -> None:
    text = await run("for i in range(20_000): print(i)")
    assert text.startswith("0\n1\n2\n") and text.endswith("\n19998\n19999")
    assert "characters" in text and "lines are cut here; the user sees the whole" in text
    assert len(text) < bounded.MOST + 200


def test_a_bounded_text_keeps_exactly_its_ends() -> None:
    for size in (1, 3, 7, 1000):
        text = bounded.Bounded(30)
        whole = "".join(chr(ord("a") + i % 26) for i in range(200))
        for at in range(0, 200, size):
            text.add(whole[at : at + size])
        head, note, tail = text.text.split("\n")
        assert (head, tail) == (whole[:20], whole[-10:])
        assert note == "[… 170 characters are cut here; the user sees the whole …]"


async def test_a_value_is_shown_by_the_users_own_formatters(shell: Any) -> None:
    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type(complex, lambda value: f"<b>{value.real}</b>")
    card = Card()
    try:
        assert await run("2 + 3j", card) == "(2+3j)"
    finally:
        formatter.pop(complex)
    assert card.bundles == [{"text/plain": "(2+3j)", "text/html": "<b>2.0</b>"}]


async def test_a_picture_is_named_to_the_model(shell: Any) -> None:
    await run("class P:\n    def _repr_png_(self): return b'\\x89PNG'\n    def __repr__(self): return 'a plot'")
    assert await run("P()") == "a plot [image/png, shown to the user]"


# ---------------------------------------------------------------- run_python: how it fails


async def test_a_traceback_has_the_users_frames_alone(shell: Any) -> None:
    text = await failure("import json\ndef load(text):\n    return json.loads(text)\nload('{')")
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line for line in lines if line.startswith("  File")] == [line for line in lines if "<agent code" in line]
    assert "    return json.loads(text)" in lines and "in load" in text
    assert lines[-1].startswith("json.decoder.JSONDecodeError: Expecting property name")


async def test_causes_contexts_and_groups_are_told(shell: Any) -> None:
    text = await failure(
        "import json\ntry:\n    json.loads('{')\nexcept Exception as e:\n    raise KeyError('b') from e"
    )
    assert "JSONDecodeError" in text and "direct cause" in text and text.endswith("KeyError: 'b'")
    assert "    json.loads('{')" in text and "decoder.py" not in text and "steps.py" not in text
    text = await failure("raise ExceptionGroup('g', [ValueError(1), TypeError(2)])")
    assert "ValueError: 1" in text and "TypeError: 2" in text and "steps.py" not in text


async def test_a_long_traceback_is_bounded(shell: Any) -> None:
    text = await failure("def f(n): return f(n + 1) if n % 2 else g(n)\ndef g(n): return f(n + 1)\nf(0)")
    assert len(text) < 7_000 and text.endswith("RecursionError: maximum recursion depth exceeded")


async def test_what_is_no_python_is_told(shell: Any) -> None:
    assert (await failure("x y")).splitlines()[-1] == "SyntaxError: invalid syntax"
    assert (await failure("  x\n y")).splitlines()[-1].startswith("IndentationError")


async def test_output_before_the_failure_is_kept(shell: Any) -> None:
    text = await failure("print('so far')\n1/0")
    assert text.startswith("so far\nTraceback")


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import sys; sys.exit()", "exit()", "quit()", "exit"])
async def test_exit_ends_the_code_alone(shell: Any, code: str) -> None:
    assert "asked to exit; the kernel goes on" in await failure(code)


async def test_a_cancelled_error_of_the_codes_own_is_its_failure(shell: Any) -> None:
    assert "CancelledError" in await failure("import asyncio\nraise asyncio.CancelledError")


async def test_p12_cancelling_the_call_reaches_awaiting_code(shell: Any) -> None:
    inside = shell.user_ns["inside"] = anyio.Event()
    code = "import anyio\ntry:\n    inside.set()\n    await anyio.sleep_forever()\nfinally:\n    cleaned = True"
    task = asyncio.create_task(call("run_python", code=code))
    with anyio.fail_after(5):
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert shell.user_ns["cleaned"]


def standing(shell: Any) -> Any:
    """What a call must leave as it was."""
    publisher = shell.display_pub
    methods = {name: vars(shell).get(name) for name in ("ask_exit", "_showtraceback")}
    return sys.stdout, sys.stderr, sys.displayhook, publisher, publisher.publish, methods, shell.display_trap.is_active


@pytest.mark.parametrize("end", ["1", "1/0", "raise SystemExit", "await asyncio.sleep(0)", "x y"])
async def test_what_the_code_leaves_in_place_of_the_cells_streams_is_undone(shell: Any, end: str) -> None:
    before = standing(shell)
    code = "import asyncio, io, sys\nsys.stdout = sys.stderr = io.StringIO()\nsys.displayhook = print\n"
    await call("run_python", code=f"{code}get_ipython().display_pub = object()\n{end}")
    assert standing(shell) == before


async def test_a_stream_that_others_put_in_place_meanwhile_stays(shell: Any) -> None:
    out = sys.stdout
    inside, end = shell.user_ns["inside"], shell.user_ns["end"] = anyio.Event(), anyio.Event()
    code = "import io, sys\nsys.stdout = io.StringIO()\ninside.set()\nawait end.wait()"
    task = asyncio.create_task(call("run_python", code=code))
    with anyio.fail_after(5):
        await inside.wait()
        with contextlib.redirect_stdout(io.StringIO()) as mine:
            end.set()
            await task
            assert sys.stdout is mine
    sys.stdout = out


def test_the_stream_in_front_of_stdout_is_not_freed_while_others_may_print() -> None:
    """`print` holds no reference to `sys.stdout`: a proxy that another thread frees under it ends the process."""
    with captured(Card().emit):
        first = sys.stdout
    with captured(Card().emit):
        assert sys.stdout is first


# ---------------------------------------------------------------- list_variables


async def test_variables_are_listed_with_type_and_size_and_no_value(shell: Any) -> None:
    shell.user_ns |= {"numbers": [31337] * 12, "name": "Ada Lovelace", "n": 31337, "_private": 1, "io": io}
    text = (await call("list_variables")).text
    assert text.splitlines() == ["n: int", "name: str, length 12", "numbers: list, length 12"]


async def test_a_secret_is_listed_without_any_detail(shell: Any) -> None:
    shell.user_ns |= {"API_KEY": "k" * 31, "db_password": b"p"}
    text = (await call("list_variables")).text
    assert text.splitlines() == [
        f"{n}: not shown, since the name looks like that of a secret" for n in ("API_KEY", "db_password")
    ]
    assert "31" not in text and "str" not in text


async def test_an_object_that_does_not_tell_its_class_hides_no_other_variable(shell: Any) -> None:
    class Proxy:
        @property
        def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise RuntimeError("used out of its context")

    shell.user_ns |= {"n": 1, "proxy": Proxy()}
    lines = (await call("list_variables")).text.splitlines()
    assert lines[0] == "n: int" and lines[1].startswith("proxy: ")
    assert (await call("inspect_variable", name="n")).text == "n: int\n1"


class Login(NamedTuple):
    user: str
    passwd: str


@pytest.mark.parametrize(
    "value",
    [
        "user: x\npassword: hunter2\n",
        Login("ada", "hunter2"),
        {("api_key", "test"): "hunter2"},
        ["sk-proj-hunter2aaaaaaaaaaaaaaaaaaaa", "ghp_hunter2aaaaaaaaaaaaaaaaaaaaaaaa"],
    ],
    ids=["lines", "namedtuple", "tuple for a key", "keys of providers"],
)
async def test_p11_secrets_where_one_does_not_look_first_are_not_told(shell: Any, value: object) -> None:
    shell.user_ns["v"] = value
    text = (await call("inspect_variable", name="v")).text
    assert "hunter2" not in text and "‹hidden›" in text


async def test_of_many_variables_the_first_200_are_listed(shell: Any) -> None:
    shell.user_ns |= {f"v{i:03}": i for i in range(251)}
    lines = (await call("list_variables")).text.splitlines()
    assert len(lines) == 201 and lines[-1] == "… and 51 more"


async def test_a_shape_or_length_that_fails_or_costs_is_left_out(shell: Any) -> None:
    ran: list[str] = []

    class Query:
        def __len__(self) -> int:
            ran.append("the query")
            return 0

    class Lazy:
        @property
        def shape(self) -> tuple[int, ...]:
            raise RuntimeError

    shell.user_ns |= {"query": Query(), "lazy": Lazy()}
    assert ", " not in (await call("list_variables")).text
    assert ran == []


# ---------------------------------------------------------------- inspect_variable


async def inspect(shell: Any, value: Any, name: str = "value") -> str:
    shell.user_ns[name] = value
    return (await call("inspect_variable", name=name)).text


async def test_a_dictionary_is_opened_and_its_secrets_are_not(shell: Any) -> None:
    value = {"user": "ada", "password": "hunter2", "nested": {"api_key": "k-1", "rows": [{"token": "t-1", "n": 1}]}}
    text = await inspect(shell, value)
    assert "'user': 'ada'" in text and "'n': 1" in text
    assert "hunter2" not in text and "k-1" not in text and "t-1" not in text
    assert text.count("‹hidden›") == 3


@pytest.mark.parametrize(
    "value",
    [
        types.SimpleNamespace(password="hunter2"),
        "postgres://ada:hunter2@db/x",
        '{"password": "hunter2"}',
        "PASSWORD=hunter2",
        "Authorization: Bearer hunter2",
        {"a": {"b": {"c": {"d": {"password": "hunter2"}}}}},
        [{"secret": "hunter2"}],
        {("db", "x"): types.SimpleNamespace(api_key="hunter2")},
    ],
    ids=str,
)
async def test_secrets_in_reprs_and_addresses_are_hidden(shell: Any, value: Any) -> None:
    assert "hunter2" not in await inspect(shell, value)


async def test_what_is_long_is_shortened(shell: Any) -> None:
    assert "… and 999,980 more" in await inspect(shell, list(range(1_000_000)))
    assert "(5,000 in all)" in await inspect(shell, "x" * 5000)
    assert len(await inspect(shell, {i: ["y" * 500] * 50 for i in range(50)})) < 6_200


@pytest.mark.parametrize(("name", "says"), [("a.b", "Only names"), ("f()", "Only names"), ("missing", "no variable")])
async def test_only_names_of_variables_are_inspected(shell: Any, name: str, says: str) -> None:
    with pytest.raises(ToolError, match=says):
        await call("inspect_variable", name=name)


@pytest.mark.parametrize("name", ["password", "OPENAI_API_KEY", "_private", "In", "get_ipython"])
async def test_secrets_and_what_is_not_the_users_are_refused(shell: Any, name: str) -> None:
    shell.user_ns.setdefault(name, "hunter2")
    with pytest.raises(ToolError) as caught:
        await call("inspect_variable", name=name)
    assert "hunter2" not in str(caught.value)


async def test_a_repr_that_raises_is_an_error_in_words(shell: Any) -> None:
    class Bad:
        def __repr__(self) -> str:
            raise ValueError("hunter2")

    shell.user_ns["bad"] = Bad()
    with pytest.raises(ToolError, match="its own code raised ValueError") as caught:
        await call("inspect_variable", name="bad")
    assert "hunter2" not in str(caught.value)


async def test_a_repr_that_hangs_is_given_up_and_its_thread_ends(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    class Hanging:
        def __repr__(self) -> str:
            threads.append(threading.current_thread())
            while True:
                pass

    monkeypatch.setattr(beside, "PATIENCE", 0.2)
    shell.user_ns["hanging"] = Hanging()
    with pytest.raises(ToolError, match="was given up"):
        await call("inspect_variable", name="hanging")
    threads[0].join(10)
    assert not threads[0].is_alive()


async def test_a_table_shows_its_columns_and_no_secret_one(shell: Any) -> None:
    pandas = pytest.importorskip("pandas", reason="no pandas here; `pip install -e '.[test]'` brings it")
    frame = pandas.DataFrame({"city": ["Oslo", "Rome"] * 10, "n": range(20), "api_key": ["hunter2"] * 20})
    text = await inspect(shell, frame)
    assert "shape (20, 3)" in text and "  n: int64" in text and "first 5 rows" in text
    assert "Oslo" in text and "hunter2" not in text and "not shown, since they look like secrets: api_key" in text
    assert "hunter2" not in await inspect(shell, frame.set_index("api_key"))
    assert "hunter2" not in await inspect(shell, frame["api_key"])
    assert "hunter2" not in await inspect(shell, pandas.Series({"user": "ada", "password": "hunter2"}))
    assert "hunter2" not in await inspect(shell, frame.pivot_table(index="city", columns="api_key", aggfunc="sum"))
    assert "min 0, max 19, mean 9.5" in await inspect(shell, frame["n"])


async def test_an_array_shows_its_statistics(shell: Any) -> None:
    numpy = pytest.importorskip("numpy", reason="no numpy here; `pip install -e '.[test]'` brings it")
    text = await inspect(shell, numpy.array([[1.0, numpy.nan], [3.0, 5.0]]))
    assert "shape (2, 2)" in text and "dtype float64" in text and "min 1.0, max 5.0, mean 3" in text
    assert ", 1 missing" in text
    fields = numpy.array([("ada", "hunter2")], dtype=[("user", "U8"), ("password", "U8")])
    text = await inspect(shell, fields)
    assert "ada" in text and "hunter2" not in text
    assert "dtype float64" in await inspect(shell, numpy.array([]))


@pytest.mark.parametrize("name", ["password", "api_keys", "dbPassword", "GITHUB_TOKEN", "secret"])
def test_a_name_that_looks_secret(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["author", "tokens_used", "input_tokens", "passengers", "key", "keys", 3, None])
def test_a_name_that_does_not(name: Any) -> None:
    assert not looks_secret(name)


def test_text_without_secrets_stays_as_it_is() -> None:
    text = "Point(x=1, y='a: b'), {'host': 'db', \"port\": 5432} https://example.org:80/a@b"
    assert redacted(text) == text


# ---------------------------------------------------------------- in a run


def calls(*names: str) -> list[ToolCall]:
    return [ToolCall("inspect_variable", {"name": name}) for name in names]


async def test_p11_the_first_approval_of_inspect_variable_covers_its_session(shell: Any) -> None:
    shell.user_ns |= {"a": 1, "b": 2}
    agent = scripted(calls("a", "b"), "so", calls("a"), "so", toolsets=[KernelToolset()])
    runtime, session, asked = Runtime(agent), Session(), list[ToolCallConfirmation]()
    for prompt in ("one", "two"):
        async with runtime.run_stream(session, prompt) as stream:
            with anyio.fail_after(5):
                async for event in stream:
                    if isinstance(event, ToolCallConfirmation):
                        asked.append(event)
                        if len(asked) == 2:
                            runtime.answer(event.id, "accept", {"scope": "once"})
    assert len(asked) == 2  # both calls of the first message, and none after it
    results = [message.content for message in session.messages if message.role == "tool"]
    assert results == ["a: int\n1", "b: int\n2", "a: int\n1"]


async def test_p11_a_refused_inspect_variable_asks_again(shell: Any) -> None:
    shell.user_ns["a"] = 1
    agent = scripted(calls("a"), calls("a"), "so", toolsets=[KernelToolset()])
    runtime, asked = Runtime(agent), 0
    async with runtime.run_stream(Session(), "go") as stream:
        with anyio.fail_after(5):
            async for event in stream:
                if isinstance(event, ToolCallConfirmation):
                    asked += 1
                    runtime.answer(event.id, "decline", {"reason": "private"})
    assert asked == 2


async def test_p11_the_question_says_which_argument_is_code(shell: Any) -> None:
    agent = scripted(ToolCall("run_python", {"code": "1 + 1"}), "so", toolsets=[KernelToolset()])
    runtime = Runtime(agent)
    async with runtime.run_stream(Session(), "go") as stream:
        with anyio.fail_after(5):
            async for event in stream:
                if isinstance(event, ToolCallConfirmation):
                    assert event.code_argument == "code"
                    runtime.answer(event.id, "accept", {"scope": "once"})
    assert "2" in [message.content for message in stream.result().messages]


async def test_k3_a_keyboard_interrupt_in_the_code_ends_the_run_as_interrupted(shell: Any) -> None:
    call = ToolCall("run_python", {"code": "import signal\nsignal.raise_signal(signal.SIGINT)\nnever = True"})
    events = await events_of(Runtime(scripted(call, "so", toolsets=[KernelToolset("never")])))
    assert events[-1].reason == "interrupted"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    assert "never" not in shell.user_ns
    (response,) = [event for event in events if isinstance(event, ToolCallResponse)]
    assert response.state == "cancelled"


async def test_add_cell_in_a_terminal_is_an_error_in_words(shell: Any) -> None:
    with pytest.raises(ToolError, match="this is a terminal"):
        await call("add_cell", code="1")
    with pytest.raises(ToolError, match="empty"):
        await call("add_cell", code=" \n")


async def test_outside_of_ipython_the_run_says_why_it_cannot_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    agent = scripted("never", toolsets=[KernelToolset()])
    async with Runtime(agent).run_stream(Session(), "go") as stream:
        events = await drained(stream)
    assert [e.code for e in events if e.type == "error"] == ["tools_unavailable"]  # type: ignore[attr-defined]  # pyright: ignore
