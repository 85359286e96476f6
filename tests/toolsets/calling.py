"""Calling a toolset's tools without a model: each as the runtime would, with a context that keeps what is emitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from nbagent.ports import ElicitationResult, Tool, ToolContext, ToolResult, Toolset
from nbagent.schema import validate
from nbagent.session import Session


@dataclass
class Person:
    """An asker who gives one answer, and keeps what was asked."""

    answer: ElicitationResult = field(default_factory=lambda: ElicitationResult("accept", {"answer": "yes"}))
    asked: list[tuple[str, Mapping[str, Any] | None, str | None]] = field(default_factory=list)
    stream_id: str = "stream_1"

    async def ask(
        self,
        message: str,
        schema: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        source: str = "",
        tool_call_id: str | None = None,
        timeout: float | None = None,
    ) -> ElicitationResult:
        self.asked.append((message, schema, tool_call_id))
        return self.answer


class Bench:
    """One session that uses a toolset."""

    def __init__(self, toolset: Toolset, person: Person | None = None) -> None:
        self.toolset = toolset
        self.person = person or Person()
        self.session = Session()
        self.emitted: list[str] = []

    async def tools(self) -> dict[str, Tool]:
        async with self.toolset.open(self.person) as tools:
            return {tool.spec.name: tool for tool in tools}

    def context(self, name: str) -> ToolContext:
        return ToolContext(
            self.person, "call_1", name, "helper", self.session, lambda text, data: self.emitted.append(text)
        )

    async def call(self, tool_name: str, /, **arguments: Any) -> ToolResult:
        """Call it, with arguments that its own schema takes."""
        tool = (await self.tools())[tool_name]
        assert validate(arguments, tool.spec.parameters) == {}
        with anyio.fail_after(20):
            return await tool.call(arguments, self.context(tool_name))

    async def text(self, tool_name: str, /, **arguments: Any) -> str:
        """What a call that goes well comes to."""
        result = await self.call(tool_name, **arguments)
        assert not result.is_error, result.text
        return result.text
