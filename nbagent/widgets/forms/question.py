"""What every form has in common: its frame, its buttons, and an answer that goes out once.

A form is open, then sent or closed, never both, from whatever thread the click or the close comes. Beside: `form`
(elicitations), `approval` (calls and limits). Above: `notebook`, which places it and disposes of it.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets

from nbagent.errors import AnswerRefused, InvalidAnswer
from nbagent.events import Action
from nbagent.plaintext import plain
from nbagent.widgets.forms.parts import Parts

Answer = Callable[[Action, dict[str, Any] | None], None]
"""Takes the answer; may raise `InvalidAnswer` (the form stays open) or `AnswerRefused` (it closes and says so)."""

QUIET = 0.04
"""Seconds that the inputs must be unchanged before a click counts; nobody clicks that fast after typing."""

_SAID: dict[Action, str] = {"accept": "Sent.", "decline": "Declined.", "cancel": "Cancelled."}


class QuestionForm:
    """The frame of a form; a subclass fills it and calls `_finish`.

    Parameters
    ----------
    answer
        Called with the action and its content, once.

    Attributes
    ----------
    widget
        What to show.
    status
        The line above the buttons: why the form is closed, or what is wrong with the whole.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._parts = Parts()
        self._lock = threading.Lock()
        self._open = True
        self._changed_at = -math.inf
        self._tries = 0
        self._buttons: list[ipywidgets.Button] = []
        self.status = self._parts.make(ipywidgets.HTML, "nba-form-status")
        self.widget: ipywidgets.VBox

    @property
    def is_open(self) -> bool:
        """Whether an answer can still be given."""
        return self._open

    def close(self, note: str) -> None:
        """Disable the form and say why; what was typed stays to be read. Does nothing once it was answered."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        self._end(note)

    def dispose(self) -> None:
        """Close every model of the form; idempotent."""
        self._open = False
        self._parts.close()

    # ------------------------------------------------------------ for subclasses

    def _inputs(self) -> Sequence[Any]:
        return ()

    def _clear(self) -> None:
        """Forget what was entered."""

    def _reject(self, errors: dict[str, str]) -> None:
        """The answer did not fit: show why."""
        self._say("; ".join(f"{name}: {text}" if name else text for name, text in errors.items()), "nba-form-error")

    def _button(self, description: str, pressed: Callable[[], None], *classes: str) -> ipywidgets.Button:
        button: Any = self._parts.make(
            ipywidgets.Button,
            "nba-button",
            *classes,
            description=description,
            button_style="primary" if "nba-primary" in classes else "",
        )
        button.on_click(lambda _: pressed())  # pyright: ignore[reportUnknownLambdaType]
        self._buttons.append(button)
        return button

    def _finish(self, head: str, body: Sequence[Any], buttons: Sequence[Any]) -> None:
        """Put the form together: who asks what, the inputs, the status, the buttons."""
        top = self._parts.make(ipywidgets.HTML, "nba-form-head", value=head)
        row = [self._parts.make(ipywidgets.HBox, "nba-form-actions", children=tuple(buttons))] if buttons else []
        children = (top, *body, self.status, *row)
        self.widget = self._parts.make(ipywidgets.VBox, "nba-form", children=children)

    def _changed(self, change: Any = None) -> None:
        """An input was changed; also as an observer of it."""
        self._changed_at = time.monotonic()

    def _when_quiet(self, act: Callable[[], None]) -> None:
        """Call `act` once the inputs are quiet: the click may have overtaken the last of what was typed."""
        wait = self._changed_at + QUIET - time.monotonic()
        loop = _running_loop() if wait > 0 else None
        if loop is not None:
            loop.call_later(wait, self._when_quiet, act)
        else:
            act()

    def _send(self, action: Action, content: dict[str, Any] | None) -> None:
        """Answer, unless that was done; the form opens again only where the content did not fit."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        try:
            self._answer(action, content)
        except InvalidAnswer as error:
            self._open = True
            self._reject(error.errors)
        except AnswerRefused as error:
            self._end(str(error))
        except BaseException:
            self._open = True
            raise
        else:
            self._clear()
            self._end(_SAID[action])

    def _blocked(self) -> None:
        """An answer could not go out: the page's script puts the focus where the first fault is (``forms.js``)."""
        self._tries += 1
        frame: Any = self.widget
        kept = [name for name in frame._dom_classes if not name.startswith("nba-blocked-")]
        frame._dom_classes = (*kept, f"nba-blocked-{self._tries}")

    def _end(self, note: str) -> None:
        for widget in (*self._inputs(), *self._buttons):
            widget.disabled = True
        self._say(note, "nba-form-closed")
        frame: Any = self.widget
        frame.add_class("nba-form-ended")

    def _say(self, text: str, look: str, role: str = "status") -> None:
        shown = escape(plain(text, 400))
        self.status.value = f'<div class="{look}" role="{role}" dir="auto">{shown}</div>' if shown else ""


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def heading(who: str, question: str, until: float | None = None) -> str:
    """The head of a form as HTML: `who` is markup of ours, `question` anybody's text.

    Where there is a time until which an answer counts, in seconds since 1970, the page's script counts it down.
    """
    asked = f'<div class="nba-form-ask" dir="auto">{escape(plain(question, 4000))}</div>' if question else ""
    limit = ""
    if until is not None:
        left = f"Answer by {time.strftime('%H:%M:%S', time.localtime(until))}"
        limit = f'<div class="nba-form-limit" role="timer" data-until="{until:.3f}">{left}</div>'
    return f'<div class="nba-form-from" dir="auto">{who}</div>{asked}{limit}'


def named(name: str) -> str:
    """A name from anyone as HTML, on one line."""
    return f"<b>{escape(' '.join(plain(name, 80).split()))}</b>"
