"""Renderers of the user's own: how a tool's result, or a kind of event, is drawn in the transcript.

`register_renderer` adds one, `drawn` runs it for one event. A renderer is somebody's code: it runs on a thread of its
own with a deadline, what it returns is sanitised like everything else, and where it fails the transcript shows what it
would have shown without it, and says so. So the Stop button and the forms work whatever it does.
Below: `toolsets` (an object's own displays, threads). Above: `transcript`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from nbagent import boundary
from nbagent.errors import ConfigError
from nbagent.events import Event, ToolCallResponse
from nbagent.toolsets import pictures
from nbagent.toolsets.results import bundle_of
from nbagent.toolsets.threads import on_daemon

DEADLINE = 1.0
"""Seconds that a renderer may take."""
TOO_MANY = ("agent_choice", "agent_choice_reasoning", "partial_tool_call", "tool_call_output")
"""Events that come by the thousand, and are drawn as they grow."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool's renderer is told: the call, once it has ended.

    Parameters
    ----------
    name, arguments
        The tool's, as the model called it.
    response
        What the model reads.
    content
        MCP content blocks beside it.
    state
        ``ok``, ``failed``, ``refused``, ``cancelled`` or ``abandoned``.
    duration
        Seconds.
    agent_name
        Who called it.
    """

    name: str
    arguments: Mapping[str, Any] | str
    response: str
    content: tuple[Mapping[str, Any], ...]
    state: str
    duration: float
    agent_name: str


Renderer = Callable[[Any], Any]
_renderers: dict[str, Renderer] = {}


def register_renderer(name: str, renderer: Renderer) -> None:
    """Draw a tool's result, or a kind of event, in a way of your own.

    Parameters
    ----------
    name
        A tool's name, or an event's type such as ``token_usage``. An earlier renderer of that name gives way.
    renderer
        Called with a `Call` for a tool, once it has ended, and else with the event. It returns what is shown: an object
        that shows itself in a notebook (a figure, a table), a mapping of MIME types to data, or plain text; None for
        what would be shown without it. HTML is sanitised: no script, no style, no remote picture. It runs on a thread
        and has one second.

    Raises
    ------
    ConfigError
        It cannot be called, or the events of that type come by the thousand.

    Examples
    --------
    >>> register_renderer("forecast", lambda call: {"text/html": f"<b>{call.response}</b>"})
    >>> unregister_renderer("forecast")
    True
    """
    if not callable(renderer):
        raise ConfigError(f"renderer of {name!r}: {type(renderer).__name__} cannot be called")
    if not name or name in TOO_MANY:
        raise ConfigError(
            f"renderer of {name!r}: give a tool's name or an event's type, other than {', '.join(TOO_MANY)}"
        )
    _renderers[name] = renderer


def unregister_renderer(name: str) -> bool:
    """Draw it again as without a renderer; whether there was one."""
    return _renderers.pop(name, None) is not None


def wanted(event: Event) -> str | None:
    """The name of the renderer for this event, where there is one."""
    if not _renderers:
        return None
    name = event.name if isinstance(event, ToolCallResponse) and event.name in _renderers else event.type
    return name if name in _renderers else None


async def drawn(name: str, told: Any) -> Mapping[str, Any] | None:
    """What the renderer of that name shows, as a MIME bundle; None for what is shown without it.

    Raises
    ------
    RendererFailed
        It failed, took too long, or returned nothing that can be shown.
    """
    renderer = _renderers[name]
    try:
        async with asyncio.timeout(DEADLINE):
            return await on_daemon(lambda: _bundle(renderer(told)), f"nbagent-renderer-{name}")
    except TimeoutError:
        raise RendererFailed(f"it took more than {DEADLINE:g} s") from None
    except RendererFailed:
        raise
    except BaseException as error:  # somebody's code, on its own thread
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            raise
        raise RendererFailed(boundary.told(error)) from None


class RendererFailed(Exception):
    """A renderer drew nothing; the message says why."""


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _bundle(shown: Any) -> Mapping[str, Any] | None:
    if shown is None:
        return None
    if isinstance(shown, str):
        return {"text/plain": shown}
    if isinstance(shown, Mapping):
        bundle = cast("Mapping[Any, Any]", shown)
        if bundle and all(isinstance(kind, str) and "/" in kind for kind in bundle):
            return dict(bundle)
        raise RendererFailed("it returned a mapping whose keys are no MIME types")
    if (picture := pictures.drawn(shown)) is not None:
        return {"text/plain": type(shown).__name__, pictures.mime_of(picture): picture}
    bundle = bundle_of(shown)
    if not bundle:
        raise RendererFailed(f"it returned {type(shown).__name__}, which shows itself in no notebook")
    return {"text/plain": type(shown).__name__} | bundle
