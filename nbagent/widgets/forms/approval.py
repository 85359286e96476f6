"""The forms that ask before a call runs, and whether to go on at a limit.

A person approves what they see, so the arguments are shown whole (to a cap that says what it hides), and characters
that would not show are written as their numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets

from nbagent.events import MaxIterationsReached, ToolCallConfirmation
from nbagent.plaintext import visible
from nbagent.widgets.forms.code import CodeEditor
from nbagent.widgets.forms.question import Answer, QuestionForm, heading, named
from nbagent.widgets.markdown import highlight

_MOST = 20_000


class ApprovalForm(QuestionForm):
    """Asks whether a tool call may run.

    Parameters
    ----------
    request
        The call.
    answer
        Takes ``("accept", {"scope": "once"})``, ``("accept", {"scope": "session"})``,
        ``("accept", {"scope": "always", "pattern": "…"})`` or ``("decline", {"reason": "…"})``, once. Where the person
        changed the call's code, what is accepted holds the ``"arguments"`` too.
    agent_name
        Whose call it is.

    Attributes
    ----------
    reason
        Why the call is rejected.
    code
        The call's code, where an argument of it is code, else None.
    pattern
        What to allow from now on, where the request suggests a pattern, else None.
    """

    def __init__(self, request: ToolCallConfirmation, answer: Answer, *, agent_name: str = "") -> None:
        super().__init__(answer)
        who = named(agent_name or request.agent_name or "The agent")
        origin = f" of {named(request.toolset)}" if request.toolset else ""
        head = heading(f"{who} wants to run a tool{origin}", "")
        self._request = request
        self.code = self._code()
        shown = {name: value for name, value in request.arguments.items() if not self._is_code(name)}
        call = self._parts.make(ipywidgets.HTML, "nba-form-call", value=_call(request, shown, bool(self.code)))
        self.reason = self._parts.make(
            ipywidgets.Text,
            "nba-field",
            description="Reason",
            placeholder="If you reject: why, for the model (optional)",
        )
        self.reason.observe(self._changed, "value")
        body = [call, *self._editor(), self.reason, *self._always()]
        buttons = [
            self._button("Approve", lambda: self._approve("once"), "nba-primary"),
            self._button("Approve for this session", lambda: self._approve("session"), "nba-small", "nba-held"),
            self._button("Reject", lambda: self._when_quiet(self._rejected), "nba-right", "nba-held"),
        ]
        self._finish(head, body, buttons)

    # ------------------------------------------------------------ its parts

    def _is_code(self, name: str) -> bool:
        return self.code is not None and name == self._request.code_argument

    def _code(self) -> CodeEditor | None:
        code = self._request.arguments.get(self._request.code_argument)
        return CodeEditor(code, self._parts, self._changed) if isinstance(code, str) else None

    def _editor(self) -> Sequence[Any]:
        """The code, and the button that opens its editor."""
        code = self.code
        if code is None:
            return ()
        edit: Any = None

        def opened() -> None:
            code.open()
            edit.add_class("nba-hidden")

        edit = self._button("Edit", opened, "nba-small", "nba-form-edit")
        return code.view, code.input, edit

    def _always(self) -> Sequence[Any]:
        """What to allow from now on, open to a change, and its button."""
        self.pattern: Any = None
        if not self._request.pattern:
            return ()
        self.pattern = self._parts.make(
            ipywidgets.Text, "nba-field", description="Pattern", value=self._request.pattern
        )
        self.pattern.observe(self._changed, "value")
        always = self._button("Always for this pattern", lambda: self._approve("always"), "nba-small", "nba-held")
        return (self._parts.make(ipywidgets.HBox, "nba-form-always", children=(self.pattern, always)),)

    # ------------------------------------------------------------ its answers

    def _approve(self, scope: str) -> None:
        self._when_quiet(lambda: self._approved(scope))

    def _approved(self, scope: str) -> None:
        content: dict[str, Any] = {"scope": scope}
        if scope == "always":
            content["pattern"] = self.pattern.value.strip()
            if not content["pattern"]:
                self._say("Write what to allow from now on as a pattern.", "nba-form-error")
                return
        edited = self.code.edited if self.code is not None else None
        if edited is not None:
            content["arguments"] = {**self._request.arguments, self._request.code_argument: edited}
        self._send("accept", content)

    def _rejected(self) -> None:
        reason = self.reason.value.strip()
        self._send("decline", {"reason": reason} if reason else None)

    def _inputs(self) -> Sequence[Any]:
        code = self.code.input if self.code is not None else None
        return [widget for widget in (self.reason, self.pattern, code) if widget is not None]

    def _clear(self) -> None:
        self.reason.value = ""
        if self.pattern is not None:
            self.pattern.value = ""
        if self.code is not None:
            self.code.clear()


class LimitForm(QuestionForm):
    """Asks whether to go on after the limit of model calls.

    Parameters
    ----------
    request
        The limit.
    answer
        Takes ``("accept", None)`` to go on or ``("decline", None)`` to stop, once.
    agent_name
        Who has reached it.
    """

    def __init__(self, request: MaxIterationsReached, answer: Answer, *, agent_name: str = "") -> None:
        super().__init__(answer)
        who = named(agent_name or request.agent_name or "The agent")
        times = f"{request.max_iterations:,} times" if request.max_iterations != 1 else "once"
        reached = escape(_shown(request.message, 300)) or f"{who} has called the model {times}, which is its limit"
        head = heading(reached, "Go on?" if request.message else "Go on for as many calls again?")
        buttons = [
            self._button("Continue", lambda: self._send("accept", None), "nba-primary"),
            self._button("Stop", lambda: self._send("decline", None), "nba-right"),
        ]
        self._finish(head, [], buttons)


def _call(request: ToolCallConfirmation, arguments: Mapping[str, Any], code_follows: bool) -> str:
    """The call as HTML: the tool's name and a row for each argument, but for code, which stands beneath.

    Where the tool tells what it would change, that comes first, and the arguments are folded.
    """
    rows = "".join(
        f'<tr><th scope="row">{escape(_shown(key, 200))}</th><td>{_value(value)}</td></tr>'
        for key, value in arguments.items()
    )
    none = "" if code_follows else '<div class="nba-form-help">No arguments.</div>'
    table = f'<table class="nba-form-args">{rows}</table>' if rows else none
    if request.preview:
        table = f"{_difference(request.preview)}<details><summary>Arguments</summary>{table}</details>"
    return f'<div class="nba-form-tool">{escape(_shown(request.name, 200))}</div>{table}'


def _difference(diff: str) -> str:
    """A unified diff as HTML; what it hides is shown as a number, and how much is cut is said."""
    lines = highlight(visible(diff[:_MOST]) + "\n", "diff")  # a line counts as one by its end
    cut = f"… ({len(diff) - _MOST:,} more characters are not shown)" if len(diff) > _MOST else ""
    return f'<pre class="nba-code nba-form-diff" dir="ltr" tabindex="0"><code>{lines}{cut}</code></pre>'


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    tag = "pre" if "\n" in text or len(text) > 80 else "code"
    quoted = json.dumps(text, ensure_ascii=False) if isinstance(value, str) and tag == "code" else text
    return f'<{tag} dir="auto" tabindex="0">{escape(_shown(quoted, _MOST))}</{tag}>'


def _shown(text: str, most: int) -> str:
    shown = visible(text[:most])
    return shown if len(text) <= most else f"{shown}… ({len(text) - most:,} more characters are not shown)"
