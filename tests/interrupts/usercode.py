"""What a user writes: the tools, hooks and answers of the scenarios. Here, and nowhere else, an interrupt may raise."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import nbagent
from nbagent.hooks import HookContext, HookResult
from nbagent.runtime import Runtime
from nbagent.session import Message, Session

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

hold = threading.Event()
"""Keeps the tool's thread until the scenario lets it go."""


async def awaits() -> str:
    """An asynchronous tool that cleans up."""
    try:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
    return "awaited"


def on_thread() -> str:
    """A synchronous tool, on a thread of its own."""
    hold.wait(10)
    return "on a thread"


@nbagent.tool(main_thread=True)
def on_main_thread() -> str:
    """A synchronous tool on the loop's thread."""
    total = 0
    for n in range(5):
        print("counting", n)
        total += n
    return str(total)


async def asks() -> str:
    """A tool with a form."""
    answer = await nbagent.ask("Your name?", NAME)
    return f"{answer.action} {answer.content}"


async def asks_twice() -> str:
    """A tool with two forms at once."""
    one, two = await asyncio.gather(nbagent.ask("First?", NAME), nbagent.ask("Second?", NAME))
    return f"{one.content} {two.content}"


def asks_from_thread() -> str:
    """A synchronous tool with a form."""
    answer = nbagent.ask_sync("Your name?", NAME)
    return f"{answer.action} {answer.content}"


@nbagent.tool(approve=True)
async def risky() -> str:
    """A tool that wants approval."""
    return "done"


def nesting(inner: Runtime) -> Any:
    """A tool that runs another agent."""

    async def nests() -> str:
        async with inner.run_stream(Session(), "inner") as stream:
            async for _ in stream:
                pass
        return stream.result().text

    return nests


def answers(request: Any) -> tuple[str, dict[str, str]]:
    """Answers in a person's place."""
    return "accept", {"name": "Ada"}


async def answers_later(request: Any) -> tuple[str, dict[str, str]]:
    """The same, asynchronously."""
    await asyncio.sleep(0)
    return "accept", {"name": "Ada"}


def turn(messages: list[Message]) -> str:
    """A scripted turn that is computed."""
    return f"heard {messages[-1].content}"


def passes(context: HookContext) -> HookResult:
    """A hook that adds to what the model reads."""
    return HookResult(context=f"{context.point} was here")


async def passes_later(context: HookContext) -> None:
    """An asynchronous hook."""
    await asyncio.sleep(0)


def blocks(context: HookContext) -> HookResult:
    """A hook that stops the run."""
    return HookResult(block=context.prompt == "hi", reason="no")
