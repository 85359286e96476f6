"""A small extension that runs in a test's kernel: awaits and widgets on nbagent's kernel part, with no runtime above
it.

`%agent_run WORDS` returns its words; `%agent_run form LABEL` shows a text field and a button and returns what was
typed. `calls` says how each call came in. Loaded by ``%load_ext tests.kernel.rig``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from nbagent.events import StopReason
from nbagent.kernel import Attachment, Foreground, attach, current, reentry

ENTRY = "__import__('tests.kernel.rig', fromlist=['_']).awaited"
MAGICS = {"agent_run": "line_cell"}

calls: list[tuple[str, str, str | None, bool]] = []
runs: list[Waiting] = []


class Waiting:
    """The least that can be in the foreground: a future that an answer or a cancel resolves."""

    def __init__(self) -> None:
        self.id = str(len(runs))
        self.log: list[str] = []
        self.reason: StopReason = "completed"
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self.loop.create_future()
        runs.append(self)

    def cancel(self, reason: StopReason) -> None:
        """End it."""
        self.log.append(reason)
        self.reason = reason
        self.resolve(None)

    def hurry(self) -> None:
        """Note the second interrupt."""
        self.log.append("hurry")

    def resolve(self, value: Any) -> None:
        """Answer it, once, from any thread: a subshell's callbacks run on its own."""
        self.loop.call_soon_threadsafe(lambda: self.answer.done() or self.answer.set_result(value))


def attachment() -> Attachment:
    """The attachment in force."""
    found = current()
    assert found is not None
    return found


async def ask(label: str) -> Any:
    """Show a form, and wait for its button."""
    with attachment().foreground() as foreground:
        run = Waiting()
        foreground.attach(run)
        show(run, label)
        value = await run.answer
    foreground.conclude(run.reason)
    return value


def show(run: Waiting, label: str) -> None:
    """A text field and a button that resolves `run` with what the field holds."""
    import ipywidgets
    from IPython.display import display

    field = ipywidgets.Text(description=label)
    button = ipywidgets.Button(description="Submit " + label)
    button.on_click(lambda _: run.resolve(field.value))
    display(field, button)


async def work(line: str, body: str | None) -> Any:
    """What the magic does, awaited or re-entered."""
    if line.startswith("form "):
        return await ask(line.removeprefix("form "))
    with attachment().foreground() as foreground:
        await asyncio.sleep(0)
    foreground.conclude()
    return line if body is None else f"{line}|{body}"


async def background(foreground_open: asyncio.Event, end: asyncio.Event) -> Foreground:
    """A run that outlives its cell."""
    with attachment().foreground() as foreground:
        run = Waiting()
        foreground.attach(run)
        foreground_open.set()
        await end.wait()
    foreground.conclude(run.reason)
    return foreground


def awaited(name: str, line: str, body: str | None, bare: bool) -> Awaitable[Any]:
    """The entry that cells are rewritten to call."""
    calls.append(("awaited", line, body, bare))

    async def call() -> Any:
        value = await work(line, body)
        return None if bare else value

    return call()


def agent_run(line: str, cell: str | None = None) -> Any:
    """The magic that no transformer has seen."""
    calls.append(("re-entered", line, cell, False))
    return reentry.run(work(line, cell))


def owned() -> str:
    """What is owned now, for a test to read: nothing, once all is well."""
    import signal

    handler: Any = signal.getsignal(signal.SIGINT)
    return f"{attachment().idle} {getattr(handler, '__qualname__', handler)}"


def load_ipython_extension(shell: Any) -> None:
    """Attach, and define the magic."""
    attach(shell, entry=ENTRY, magics=MAGICS)
    shell.register_magic_function(agent_run, "line_cell", "agent_run")


def unload_ipython_extension(shell: Any) -> None:
    """Detach."""
    attachment().detach()
