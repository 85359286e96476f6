"""The form of an elicitation: a field for each property of its schema, or the address of a URL elicitation.

What is shown is checked by the schema at every change; an error stands at its field once the field was touched, what is
wrong or missing is summed up above the buttons, and Submit is enabled while the whole is valid. Required fields come
first. The content that goes out holds what is filled in: an input left empty is left out. An elicitation without a
schema is answered in free text, as ``{"answer": "…"}``. A form that asks for a secret, and an address that is not to be
opened, are declined at once (`refusal` says why).

A front end holds back what is typed until the kernel has taken what was typed before, but not a click. So a click that
comes within a moment of a change waits for the fields to be quiet (and the transcript's script holds it on a slow
connection). Enter sends a form of one line of text; a larger one it never sends, it only shows what is missing. What
the page adds (Enter held like a click, focus on the first fault, ARIA, the countdown) is in ``forms.js``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from nbagent.errors import AnswerRefused
from nbagent.events import ElicitationRequest
from nbagent.plaintext import plain
from nbagent.schema import secret_field, validate
from nbagent.widgets.forms import kinds, url
from nbagent.widgets.forms.fields import MISSING, Field, Spec, TextField, Unreadable
from nbagent.widgets.forms.question import Answer, QuestionForm, heading, named

FREE_TEXT: Mapping[str, Any] = {"type": "object", "properties": {"answer": {"type": "string", "title": "Answer"}}}
"""The schema of an elicitation that has none."""


def refusal(request: ElicitationRequest) -> str | None:
    """Why the request is declined without being put, or None.

    Parameters
    ----------
    request
        What was asked.
    """
    if request.mode == "url":
        try:
            url.parse(request.url)
        except url.BadAddress as error:
            return f"Declined without asking: {error}."
        return None
    secret = secret_field(request.schema)
    if secret is None:
        return None
    return f"Declined without asking: “{plain(secret, 60)}” asks for a secret, and MCP allows no form to ask for one."


class ElicitationForm(QuestionForm):
    """A form for one elicitation.

    Parameters
    ----------
    request
        What is asked.
    answer
        Takes ``("accept", content)``, ``("decline", None)`` or ``("cancel", None)``, once; may raise `InvalidAnswer`,
        whose errors then stand at the fields, or `AnswerRefused`, which closes the form.
    agent_name
        Who asks, where the request names no server.

    Attributes
    ----------
    widget
        What to show.
    fields
        The fields, those that are required first; empty for a URL.
    submit
        The button that accepts.
    reset
        The button that takes back what was entered; None where nothing is.
    """

    def __init__(self, request: ElicitationRequest, answer: Answer, *, agent_name: str = "") -> None:
        super().__init__(answer)
        self._attempted = False
        self.fields: list[Field] = []
        self.reset: ipywidgets.Button | None = None
        self._schema = request.schema if request.schema is not None else FREE_TEXT
        head = heading(_asker(request.source, agent_name), request.message, request.deadline)
        reason = refusal(request)
        if reason is not None:
            self._refuse(head, reason)
        elif request.mode == "url":
            address = self._parts.make(ipywidgets.HTML, "nba-form-address", value=url.html(url.parse(request.url)))
            self._finish(head, [address], self._choices("Accept"))
        else:
            self._ask(head, request.schema)

    def _ask(self, head: str, schema: Mapping[str, Any] | None) -> None:
        if schema is None:
            self.fields = [_FreeText(Spec("answer", FREE_TEXT["properties"]["answer"]), self._parts)]
        else:
            self.fields = kinds.fields(schema, self._parts)
        body: list[Any] = []
        for field in self.fields:
            body += [field.input, field.note]
            field.observe(self._changed)
            field.input.on_msg(self._entered)
        self._finish(head, body, self._choices("Submit"))
        self._begin()

    def _begin(self) -> None:
        self._attempted = False
        _, errors = self._content()
        for field in self.fields:  # a default that does not fit must say so, or nobody sees why Submit is disabled
            field.touched = field.spec.name in errors and field.shows_default
        self._show(errors)

    def _start_over(self) -> None:
        """Take back all that was entered."""
        if not self._open:
            return
        for field in self.fields:
            field.reset()
        self._begin()

    def _refuse(self, head: str, reason: str) -> None:
        self._finish(head, [], [])
        self.close(reason)
        with contextlib.suppress(AnswerRefused):
            self._answer("decline", None)

    def _choices(self, accept: str) -> Sequence[ipywidgets.Button]:
        self.submit = self._button(accept, lambda: self._when_quiet(self._submit), "nba-primary")
        decline = self._button("Decline", lambda: self._send("decline", None))
        cancel = self._button("Cancel", lambda: self._send("cancel", None), "nba-right")
        if not self.fields:
            return [self.submit, decline, cancel]
        self.reset = self._button("Reset", lambda: self._when_quiet(self._start_over), "nba-small", "nba-held")
        return [self.submit, decline, self.reset, cancel]

    # ------------------------------------------------------------ what is filled in

    def _submit(self) -> None:
        """Accept what is entered."""
        content, errors = self._content()
        if errors:
            self._attempt()
        else:
            self._send("accept", content if self.fields else {} if self._schema is not FREE_TEXT else None)

    def _entered(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, Mapping) and content.get("event") == "submit":  # pyright: ignore[reportUnknownMemberType]
            self._when_quiet(self._submit if self._is_line else self._attempt)

    @property
    def _is_line(self) -> bool:
        """Whether one line of text is all that the form asks for."""
        return len(self.fields) == 1 and self.fields[0].is_line

    def _attempt(self) -> None:
        """Show what is wrong or missing, and where the first of it is."""
        self._attempted = True
        if self._check():
            self._blocked()

    def _content(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The content, and what is wrong with it by field."""
        content: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for field in self.fields:
            try:
                value = field.read()
            except Unreadable as error:
                errors[field.spec.name] = str(error)
                continue
            if value is not MISSING:
                content[field.spec.name] = value
        whole = any(field.spec.whole for field in self.fields)
        found = validate(content.get("", {}) if whole else content, self._schema) if self.fields else {}
        if whole and "" in content and not isinstance(content[""], dict):
            errors.setdefault("", "An object in braces is expected.")
        for path, text in found.items():
            errors.setdefault(self._field_of(path), text)
        return (content.get("", {}) if whole else content), errors

    def _field_of(self, path: str) -> str:
        names = [field.spec.name for field in self.fields]
        if path in names:
            return path
        return next((name for name in names if name and path.startswith((f"{name}[", f"{name}."))), "")

    def _changed(self, change: Any = None) -> None:
        super()._changed()
        self._check()

    def _check(self) -> dict[str, str]:
        """Show what is wrong where it may show, and enable Submit where nothing is."""
        if not self._open:
            return {}
        _, errors = self._content()
        self._show(errors)
        return errors

    def _show(self, errors: dict[str, str]) -> None:
        for field in self.fields:
            field.show(errors.get(field.spec.name, "") if field.touched or self._attempted else "")
        self.submit.disabled = bool(errors)
        self._sum_up(errors)

    def _sum_up(self, errors: dict[str, str]) -> None:
        """Say above the buttons why Submit is disabled: in a long form the field itself may be out of sight."""
        named = {field.spec.name for field in self.fields}
        whole = errors.get("", "") if "" not in named and (len(errors) == 1 or self._attempted) else ""
        # while a field is being filled in, its own line says what is wrong; after an attempt all is told in one place
        told = self._attempted
        wrong = [f"{f.spec.title}: {f.error}" if told else f"{f.spec.title}." for f in self.fields if f.error]
        waiting = [f.spec.title for f in self.fields if f.spec.name in errors and not f.error]
        said = [whole] if whole else []
        if wrong:
            said.append(" ".join([f"{len(wrong)} fields to correct." if len(wrong) > 1 else "To correct:", *wrong]))
        if waiting:
            said.append(f"Still to fill in: {', '.join(waiting)}.")
        urgent = bool(whole) or (bool(wrong) and self._attempted)
        self._say(" ".join(said), "nba-form-error" if urgent else "nba-form-todo", "alert" if urgent else "status")

    # ------------------------------------------------------------ the frame's

    def _reject(self, errors: dict[str, str]) -> None:
        self._attempted = True
        by_field: dict[str, str] = {}
        for path, text in errors.items():
            by_field.setdefault(self._field_of(path), text)
        self._show(by_field)
        self._blocked()

    def _inputs(self) -> Sequence[Any]:
        return [field.input for field in self.fields]

    def _clear(self) -> None:
        for field in self.fields:
            field.clear()


class _FreeText(TextField):
    """The answer to a question without a schema; it may be empty."""

    def _read(self) -> Any:
        return self.raw


def _asker(source: str, agent_name: str) -> str:
    if source:
        return f"The server {named(source)} asks"
    return f"{named(agent_name)} asks" if agent_name else "The agent asks"
