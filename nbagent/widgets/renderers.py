"""Renderers of the user's own: how a tool's result, or a kind of event, is drawn in the transcript.

`register_renderer` adds one, `drawn` runs it for one event. A renderer is somebody's code: it runs on a thread of its
own with a deadline, and what it returns is there made into plain data, so that nothing of it runs on the loop's thread.
That is sanitised like everything else; where it fails, the transcript shows what it would have shown without it, and
says so. So the Stop button and the forms work whatever it does. An ipywidget is shown as it is while the run lasts: its
view is the front end's own. Below: `toolsets` (an object's own displays, threads). Above: `transcript`.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from nbagent import boundary
from nbagent.errors import ConfigError
from nbagent.events import Event, ToolCallResponse
from nbagent.toolsets import pictures
from nbagent.toolsets.results import bundle_of
from nbagent.toolsets.threads import on_daemon
from nbagent.widgets import media

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


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a renderer drew.

    Parameters
    ----------
    bundle
        Plain data by MIME type: what is shown, and of a widget what the saved notebook has in its place.
    widget
        An ipywidget that the live view shows instead; to be closed by `close` once the run is over.
    complete
        Whether the bundle says all that there is to say; what would be shown without it is left out then.
    """

    bundle: Mapping[str, Any]
    widget: Any = None
    complete: bool = True


Renderer = Callable[[Any], Any]
_renderers: dict[str, Renderer] = {}


def register_renderer(name: str, renderer: Renderer) -> None:
    """Draw a tool's result, or a kind of event, in a way of your own.

    Parameters
    ----------
    name
        A tool's name, or an event's type such as ``token_usage``. An earlier renderer of that name gives way.
    renderer
        Called with a `Call` for a tool, once it has ended, and else with the event. It returns what is shown: an
        object that shows itself in a notebook (a figure, a table), a mapping of MIME types to data, a picture's
        bytes, or plain text; None for what would be shown without it. HTML is sanitised: no script, no style, no
        remote picture. Or it returns an ipywidget, made anew for the call: it is shown while the run lasts, and closed
        at its end; the saved notebook has its text and the result. For more, return ``(widget, beside)``: `beside`, any
        of the above, is what the saved notebook has in the widget's place. A renderer runs on a thread and has one
        second.

    Raises
    ------
    ConfigError
        It cannot be called or is async, or the events of that type come by the thousand.

    Examples
    --------
    >>> register_renderer("forecast", lambda call: {"text/html": f"<b>{call.response}</b>"})
    >>> unregister_renderer("forecast")
    True
    """
    if not callable(renderer):
        raise ConfigError(f"renderer of {name!r}: {type(renderer).__name__} cannot be called")
    if inspect.iscoroutinefunction(renderer) or inspect.iscoroutinefunction(type(renderer).__call__):
        raise ConfigError(f"renderer of {name!r} is async: give it as a plain function, it runs on a thread of its own")
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


async def drawn(name: str, told: Any) -> Drawing | None:
    """What the renderer of that name shows; None for what is shown without it.

    Raises
    ------
    RendererFailed
        It failed, took too long, or returned nothing that can be shown.
    """
    renderer = _renderers[name]
    try:
        async with asyncio.timeout(DEADLINE):
            return await on_daemon(lambda: _ran(renderer, told), f"nbagent-renderer-{name}")
    except TimeoutError:  # the deadline: an error of the renderer's own has become RendererFailed on its thread
        raise RendererFailed(f"it took more than {DEADLINE:g} s") from None


def close(widget: Any) -> None:
    """Close a widget that a renderer returned, with all that it consists of."""
    for part in (*_parts(widget), widget):
        part.close()


class RendererFailed(Exception):
    """A renderer drew nothing; the message says why."""


_SAID = 2000
"""Characters of an error that are told."""


def _ran(renderer: Renderer, told: Any) -> Drawing | None:
    try:
        return _drawing(renderer(told))
    except RendererFailed:
        raise
    except BaseException as error:  # somebody's code, on its own thread
        try:
            why = boundary.told(error)[:_SAID]
        except BaseException:  # its text is somebody's code as well
            why = type(error).__name__
        raise RendererFailed(why) from None


def _drawing(shown: Any) -> Drawing | None:
    if shown is None:
        return None
    if isinstance(shown, tuple):
        parts = cast("tuple[Any, ...]", shown)
        if len(parts) == 2 and _is_widget(parts[0]) and not _is_widget(parts[1]):
            return Drawing(
                _data({"text/plain": repr(parts[0])} if parts[1] is None else _bundle(parts[1])), _live(parts[0])
            )
        raise RendererFailed("it returned a tuple that is not a widget and what is kept in its place")
    if _is_widget(shown):
        return Drawing(_data({"text/plain": repr(shown)}), _live(shown), complete=False)
    return Drawing(_data(_bundle(shown)))


def _bundle(shown: Any) -> Mapping[str, Any]:
    if isinstance(shown, str):
        return {"text/plain": shown}
    if isinstance(shown, bytes | bytearray) and (kind := pictures.mime_of(bytes(shown))) in media.IMAGES:
        return {kind: bytes(shown)}
    if isinstance(shown, Mapping):
        bundle = cast("Mapping[Any, Any]", shown)
        if bundle and all(isinstance(kind, str) and "/" in kind for kind in bundle):
            return bundle
        raise RendererFailed("it returned a mapping whose keys are no MIME types")
    if inspect.isawaitable(shown):
        if inspect.iscoroutine(shown):
            shown.close()
        raise RendererFailed("it returned what must be awaited: give a plain function, it runs on a thread of its own")
    if (picture := pictures.drawn(shown)) is not None:
        return {"text/plain": type(shown).__name__, pictures.mime_of(picture): picture}
    bundle = bundle_of(shown)
    if not bundle:
        raise RendererFailed(f"it returned {type(shown).__name__}, which shows itself in no notebook")
    return {"text/plain": type(shown).__name__} | bundle


_LONG = {"text/plain": media.TEXT_LIMIT + 1, "text/markdown": media.TEXT_LIMIT + 1}
"""Characters from which on no more is shown."""


def _data(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """The bundle as strings and bytes, so that nothing of the user's runs when it is shown; of other types the name."""
    made: dict[str, Any] = {}
    for kind, value in bundle.items():
        if kind in media.IMAGES:
            made[kind] = bytes(value) if isinstance(value, bytes | bytearray) else media.joined(value)
        elif kind in media.TEXTS:
            text = (
                bytes(value).decode(errors="replace") if isinstance(value, bytes | bytearray) else media.joined(value)
            )
            made[kind] = text[: _LONG.get(kind)]
        else:
            made[kind] = ""
    return made


def _is_widget(shown: Any) -> bool:
    """Whether it is an ipywidget; where that library is not imported, nothing is."""
    library: Any = sys.modules.get("ipywidgets")
    return library is not None and isinstance(shown, library.Widget)


def _live(widget: Any) -> Any:
    if widget.comm is None:
        raise RendererFailed("it returned a widget that is closed: make a new one for each call")
    return widget


def _parts(widget: Any) -> Iterator[Any]:
    """The widgets that one consists of, innermost first: its children, its layout, its style."""
    for name in widget.keys if widget.comm is not None else ():
        value = getattr(widget, name, None)
        held = cast("tuple[Any, ...]", value) if isinstance(value, tuple | list) else (value,)
        for part in held:
            if _is_widget(part):
                yield from _parts(part)
                yield part
