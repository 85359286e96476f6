"""The live transcript of one run: an observer of its stream and the one anywidget that shows it.

Events change the document at once and cheaply; about 30 times a second what changed goes out as one numbered patch, a
custom message (a trait would be echoed and kept by every front end, and would be sent whole). The widget's state is
only its script and style: a reloaded page or a second view sends ``{"type": "sync"}`` and gets the whole document. The
view also sends ``{"type": "ready"}`` once it is on a screen, and ``{"type": "stop"}`` from its Stop button.

A question's form is an ipywidget that the view embeds where the question stands. At the end the widget's models are
closed and the same document, as static MIME data, is what the notebook keeps. The one door to anywidget and to the
transcript's JavaScript. Below: `document`, `wire`, `static`. Above: `notebook`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack, cast

from nbagent.events import AgentChoice, AgentChoiceReasoning, Event, StreamStopped, ToolCallResponse
from nbagent.widgets import renderers, words
from nbagent.widgets.assets import packed
from nbagent.widgets.attached import About
from nbagent.widgets.document import Document
from nbagent.widgets.static import bundle, texts
from nbagent.widgets.wire import Wire

if TYPE_CHECKING:
    import anywidget
    import ipywidgets

FRAME = 1 / 30
"""Seconds between two patches, at least."""

TRICKLE = 1 / 16
"""Seconds between two patches that only add a little text: a message's headers weigh as much as 900 characters."""

_MUCH = 1000

LARGE = 2000
"""Bytes from which on a message goes out deflated: a flood's patches shrink to a third."""


class Transcript:
    """Shows one run, live; implements `nbagent.ports.Observer`.

    Make it inside the running loop, in the cell that shows it.

    Parameters
    ----------
    on_stop
        Called, from any thread, when the user presses Stop.
    about
        What `Document` is told before the stream begins.

    Attributes
    ----------
    widget
        Display it with a display handle; closed by `finish`.
    ready
        Set once a front end's script shows the transcript.
    steady
        Whether a page keeps the view as it is when the text beside it in the output changes.
    document
        What is shown.
    """

    lossless = True

    def __init__(self, *, on_stop: Callable[[], None], **about: Unpack[About]) -> None:
        self.document = Document(**about)
        self.ready = asyncio.Event()
        self.steady = False
        self.widget: Any = _widget_class()()
        self._on_stop = on_stop
        self._wire = Wire(self.document)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0
        self._waiting = 0
        self._asked = False
        self._deflates = True
        self._finished = False
        self._drawn: list[Any] = []
        self.widget.on_msg(self._receive)

    async def on_event(self, event: Event) -> None:
        """Take one event: change the document, and schedule a frame."""
        self.document.apply(event)
        if (name := renderers.wanted(event)) is not None:
            await self._draw(name, event)
        if isinstance(event, StreamStopped):
            self._flush()
        elif isinstance(event, AgentChoice | AgentChoiceReasoning):
            self._waiting += len(event.content)
            self._schedule(FRAME if self._waiting >= _MUCH else TRICKLE)
        else:
            self._schedule(FRAME)

    async def _draw(self, name: str, event: Event) -> None:
        """Have the user's own renderer draw the event; where it fails, what is shown already stays, with a word."""
        told: Any = event
        if isinstance(event, ToolCallResponse) and name == event.name:
            card = self.document.card(event)
            arguments = card.arguments if card is not None else ""
            told = renderers.Call(
                name, arguments, event.response, event.content, event.state, event.duration, event.agent_name
            )
        try:
            drawing = await renderers.drawn(name, told)
        except renderers.RendererFailed as failure:
            told = f"The renderer of {name} failed: {failure}."
            self.document.note(told, level="warning", next=words.after_warning(told))
            return
        if drawing is None:
            return
        model = self._kept(drawing.widget)
        self.document.draw(event, drawing.bundle, model, complete=drawing.complete)

    def _kept(self, widget: Any) -> str:
        """The id of a renderer's widget, which is closed with the transcript's own; nothing where there is none."""
        if widget is None:
            return ""
        self._drawn.append(widget)
        return str(widget.model_id)

    def note(self, text: str, *, level: str = "info", next: str = "") -> None:
        """Add a line that no event tells."""
        self.document.note(text, level=level, next=next)
        self._schedule(FRAME)

    def place(self, question_id: str, widget: ipywidgets.Widget) -> None:
        """Show a form where its question stands, also before the question's event has come; on the loop's thread."""
        self._wire.forms[question_id] = widget.model_id
        self._touch(question_id)

    def remove(self, question_id: str) -> None:
        """Take a question's form out; its model stays the caller's to close."""
        self._wire.forms.pop(question_id, None)
        self._touch(question_id)

    async def finish(self, show: Callable[[dict[str, str]], None] | None = None) -> dict[str, str]:
        """Send what is left, close the widget's models and return the static MIME bundle; idempotent.

        Parameters
        ----------
        show
            Called with the bundle before the models close, so that the cell is never empty in between.
        """
        self._flush()
        data = bundle(self.document)
        if show is not None:
            show(data)
        self.close()
        return data

    def bundle(self) -> dict[str, str]:
        """The transcript so far as ``text/html``, ``text/markdown`` and ``text/plain``."""
        return bundle(self.document)

    def texts(self) -> dict[str, str]:
        """The transcript so far as ``text/markdown`` and ``text/plain``."""
        return texts(self.document)

    def close(self) -> None:
        """Close the widget's models; idempotent."""
        if self._finished:
            return
        self._finished = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        layout: Any = self.widget.layout
        self.widget.on_msg(self._receive, remove=True)
        self.widget.close()
        if layout is not None:
            layout.close()
        while self._drawn:
            renderers.close(self._drawn.pop())

    # ------------------------------------------------------------ frames

    def _touch(self, question_id: str) -> None:
        question = self.document.question(question_id)
        if question is not None:
            self.document.changed[question.id] = question
            self._schedule(FRAME)

    def _schedule(self, interval: float) -> None:
        due = max(self._last + interval, self._loop.time() + 0.002)
        if self._finished or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._finished:
            return
        patch = self._wire.patch()
        if patch is not None:
            self._send(patch)
        if self._asked:
            self._asked = False
            self._send({**self._wire.whole(), "model": self.widget.model_id})
        self._last = self._loop.time()
        self._waiting = 0

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False).encode()
        if len(body) < LARGE or not self._deflates:
            self.widget.send(message)
        else:
            self.widget.send({"type": "deflated"}, buffers=[zlib.compress(body)])

    # ------------------------------------------------------------ from the view

    def _receive(self, widget: Any, content: Any, buffers: Any) -> None:
        message = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
        kind = message.get("type")
        if kind == "stop":
            self._on_stop()
        elif kind == "ready":
            self._on_loop(self.ready.set)
        elif kind == "steady":
            self._on_loop(lambda: setattr(self, "steady", True))
        elif kind == "sync":
            self._on_loop(lambda: self._sync(bool(message.get("plain"))))

    def _on_loop(self, function: Callable[[], None]) -> None:
        """Run `function` on the loop's thread, at once where this is it (messages may come on a subshell's thread)."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            function()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    def _sync(self, undeflated: bool) -> None:
        self._asked = True
        self._deflates = self._deflates and not undeflated
        self._schedule(FRAME)


SCRIPTS = ("forms.js", "store.js", "pieces.js", "blocks.js", "view.js")
"""What the widget runs in the page."""


@functools.cache
def _widget_class() -> type[anywidget.AnyWidget]:
    import anywidget

    class TranscriptWidget(anywidget.AnyWidget):
        _esm = packed(SCRIPTS, "transcript.css", "forms.css")

        def __repr__(self) -> str:
            return "An agent is at work …"

    return TranscriptWidget
