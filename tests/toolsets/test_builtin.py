"""What nbagent's own tools have in common: a bound in time, names for them all, and a preview before approval."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from nbagent import toolsets
from nbagent.errors import ToolError
from nbagent.events import Event, ToolCallConfirmation, ToolCallResponse, Warning
from nbagent.models import ToolCall
from nbagent.ports import Tool, ToolContext, ToolResult, Toolset
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.toolsets.builtin import BuiltinTool, BuiltinToolset, spec
from tests.runtime.support import assert_nothing_left, scripted
from tests.toolsets.calling import Bench

pytestmark = pytest.mark.anyio

OURS = ("FetchToolset", "FilesystemToolset", "ShellToolset", "ThinkToolset", "TodoToolset", "UserPromptToolset")


class Changing(BuiltinToolset):
    """A toolset whose one tool changes something, and tells of it as `preview` does."""

    name = "changing"

    def __init__(self, preview: Any, timeout: float | None = None) -> None:
        self._preview = preview
        self._timeout = timeout

    def _tools(self) -> list[Tool]:
        async def show(arguments: Mapping[str, Any]) -> str:
            arguments.clear()  # pyright: ignore[reportAttributeAccessIssue]
            return await self._preview()

        async def work(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            return ToolResult(f"changed {arguments['what']}")

        told = spec("change", "Change it.", {"what": {"type": "string"}})
        return [BuiltinTool(told, self.name, work, self._timeout, asks_approval=True, show=show)]


async def events_of(toolset: Toolset) -> list[Event]:
    """What happens in one call, which is approved."""
    runtime, session = Runtime(scripted(ToolCall("change", {"what": "it"}), "done", toolsets=[toolset])), Session()
    seen: list[Event] = []
    with anyio.fail_after(10):
        async with runtime.run_stream(session, "hi") as stream:
            async for event in stream:
                seen.append(event)
                if isinstance(event, ToolCallConfirmation):
                    runtime.answer(event.id, "accept")
    assert_nothing_left(runtime, session)
    return seen


@pytest.mark.parametrize("name", OURS)
async def test_each_lends_tools_that_any_provider_takes(name: str) -> None:
    toolset = getattr(toolsets, name)()
    assert name in toolsets.__all__ and isinstance(toolset, Toolset)
    assert repr(toolset).startswith(f"{name}(")
    for tool in (await Bench(toolset).tools()).values():
        assert isinstance(tool, Tool) and tool.toolset == toolset.name
        assert re.fullmatch(r"[a-z_]{1,64}", tool.spec.name) and tool.spec.description
        assert tool.spec.parameters["additionalProperties"] is False
        assert set(tool.spec.parameters["required"]) <= tool.spec.parameters["properties"].keys()
    await toolset.aclose()
    await toolset.aclose()


async def test_a_call_that_takes_too_long_is_given_up_and_a_timeout_of_its_own_is_not_ours() -> None:
    async def forever(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        await anyio.sleep_forever()
        raise AssertionError

    async def own(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        raise TimeoutError("the printer's")

    context = Bench(toolsets.ThinkToolset()).context("t")
    with anyio.fail_after(5), pytest.raises(ToolError, match=r"more than 0\.05 s"):
        await BuiltinTool(spec("t", "T.", {}), "x", forever, 0.05).call({}, context)
    with pytest.raises(TimeoutError, match="printer"):
        await BuiltinTool(spec("t", "T.", {}), "x", own, 5.0).call({}, context)


async def test_what_a_tool_would_change_is_told_with_the_question() -> None:
    async def preview() -> str:
        return "-a\n+b"

    events = await events_of(Changing(preview))
    assert [event.preview for event in events if isinstance(event, ToolCallConfirmation)] == ["-a\n+b"]
    assert [event.response for event in events if isinstance(event, ToolCallResponse)] == ["changed it"]


async def test_a_preview_that_fails_or_hangs_is_left_out_and_the_user_asked_all_the_same() -> None:
    async def failing() -> str:
        raise RuntimeError("cannot tell")

    async def other() -> Any:
        return 7

    for preview, timeout, warnings in ((failing, None, 1), (anyio.sleep_forever, 0.05, 1), (other, None, 1)):
        events = await events_of(Changing(preview, timeout))
        assert [event.preview for event in events if isinstance(event, ToolCallConfirmation)] == [""]
        assert [event.state for event in events if isinstance(event, ToolCallResponse)] == ["ok"]
        assert len([event for event in events if isinstance(event, Warning)]) == warnings


async def test_a_call_that_an_approval_covers_while_its_preview_is_made_is_not_asked_about() -> None:
    answered, told = anyio.Event(), list[str]()

    async def preview() -> str:
        """The first at once, the second when that was answered."""
        told.append("")
        if len(told) == 2:
            await answered.wait()
        return f"preview {len(told)}"

    calls = [ToolCall("change", {"what": what}) for what in ("one", "two")]
    runtime, session = Runtime(scripted(calls, "done", toolsets=[Changing(preview)])), Session()
    seen: list[Event] = []
    with anyio.fail_after(5):
        async with runtime.run_stream(session, "hi") as stream:
            async for event in stream:
                seen.append(event)
                if isinstance(event, ToolCallConfirmation):
                    runtime.answer(event.id, "accept", {"scope": "session"})
                    answered.set()
    assert [event.preview for event in seen if isinstance(event, ToolCallConfirmation)] == ["preview 1"]
    responses = [event.response for event in seen if isinstance(event, ToolCallResponse)]
    assert sorted(responses) == ["changed one", "changed two"]


async def test_a_run_that_is_cancelled_while_a_preview_is_made_ends_at_once() -> None:
    inside = anyio.Event()

    async def preview() -> str:
        inside.set()
        await anyio.sleep_forever()
        raise AssertionError

    agent = scripted(ToolCall("change", {"what": "it"}), "done", toolsets=[Changing(preview)])
    runtime, session = Runtime(agent), Session()
    events: list[Event] = []
    with anyio.fail_after(5):
        async with runtime.run_stream(session, "hi") as stream, anyio.create_task_group() as group:

            async def cancel() -> None:
                await inside.wait()
                stream.cancel()

            group.start_soon(cancel)
            events = [event async for event in stream]
    assert not [event for event in events if isinstance(event, ToolCallConfirmation)]
    assert [event.state for event in events if isinstance(event, ToolCallResponse)] == ["cancelled"]
    assert_nothing_left(runtime, session)


def test_declaring_them_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom nbagent.toolsets import *\n"
        "FetchToolset(), FilesystemToolset(), ShellToolset(), ThinkToolset(), TodoToolset(), UserPromptToolset()\n"
        "print([name for name in ('httpx2', 'bs4', 'markdownify', 'mcp', 'pydantic') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=root, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
