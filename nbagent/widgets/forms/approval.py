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
from nbagent.widgets.forms.question import Answer, QuestionForm, heading, named
from nbagent.widgets.text import visible

_MOST = 20_000


class ApprovalForm(QuestionForm):
    """Asks whether a tool call may run.

    Parameters
    ----------
    request
        The call.
    answer
        Takes ``("accept", {"scope": "once"})``, ``("accept", {"scope": "session"})`` or
        ``("decline", {"reason": "…"})``, once.
    agent_name
        Whose call it is.
    """

    def __init__(self, request: ToolCallConfirmation, answer: Answer, *, agent_name: str = "") -> None:
        super().__init__(answer)
        who = named(agent_name or request.agent_name or "The agent")
        origin = f" of {named(request.toolset)}" if request.toolset else ""
        head = heading(f"{who} wants to run a tool{origin}", "")
        call = self._parts.make(ipywidgets.HTML, "nba-form-call", value=_call(request.name, request.arguments))
        self.reason = self._parts.make(
            ipywidgets.Text,
            "nba-field",
            description="Reason",
            placeholder="If you reject: why, for the model (optional)",
        )
        buttons = [
            self._button("Approve", lambda: self._send("accept", {"scope": "once"}), "nba-primary"),
            self._button("Approve for this session", lambda: self._send("accept", {"scope": "session"})),
            self._button("Reject", self._rejected, "nba-right"),
        ]
        self._finish(head, [call, self.reason], buttons)

    def _rejected(self) -> None:
        reason = self.reason.value.strip()
        self._send("decline", {"reason": reason} if reason else None)

    def _inputs(self) -> Sequence[Any]:
        return [self.reason]

    def _clear(self) -> None:
        self.reason.value = ""


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
        head = heading(f"{who} has called the model {times}, which is its limit", "Go on for as many calls again?")
        buttons = [
            self._button("Continue", lambda: self._send("accept", None), "nba-primary"),
            self._button("Stop", lambda: self._send("decline", None), "nba-right"),
        ]
        self._finish(head, [], buttons)


def _call(name: str, arguments: Mapping[str, Any]) -> str:
    """The call as HTML: the tool's name and a row for each argument."""
    rows = "".join(
        f'<tr><th scope="row">{escape(_shown(key, 200))}</th><td>{_value(value)}</td></tr>'
        for key, value in arguments.items()
    )
    table = f'<table class="nba-form-args">{rows}</table>' if rows else '<div class="nba-form-help">No arguments.</div>'
    return f'<div class="nba-form-tool">{escape(_shown(name, 200))}</div>{table}'


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    tag = "pre" if "\n" in text or len(text) > 80 else "code"
    quoted = json.dumps(text, ensure_ascii=False) if isinstance(value, str) and tag == "code" else text
    return f'<{tag} dir="auto" tabindex="0">{escape(_shown(quoted, _MOST))}</{tag}>'


def _shown(text: str, most: int) -> str:
    shown = visible(text[:most])
    return shown if len(text) <= most else f"{shown}… ({len(text) - most:,} more characters are not shown)"
