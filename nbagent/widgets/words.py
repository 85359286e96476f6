"""The words and signs of a transcript: how states, durations, tokens, money and arguments read.

The live view, the static twin and the terminal take them from here, so that a run reads the same everywhere. States are
told by a word and a sign, never by colour alone. Below: `plaintext`. Above: `document`, `static`, `plain`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nbagent.plaintext import plain

SIGNS = {"ok": "✓", "bad": "✕", "wait": "●", "run": "○", "off": "–"}
"""The sign of each tone: it went well, it failed or did not run, it asks, it runs, it was left."""

_SUMMARY = 120
_VALUE_ALONE = frozenset({"code", "command", "cmd", "sql"})

ADVICE: dict[str, str] = {
    "model_error": "Run the cell again; if it fails again, try another model with --model.",
    "rate_limited": "Wait a moment, then run the cell again, or choose another model with --model.",
    "context_exceeded": "Start a fresh session with --new, or ask for less at once.",
    "tools_unavailable": "Check the server's command or address, then run the cell again.",
    "tool_failed": "See the tool's card for what it said.",
    "loop_detected": "Say more precisely what you want, then run the cell again.",
    "hook_blocked": "Change the prompt, or the hook that blocked it.",
    "invalid_answer": "Give answers that fit what is asked, then run the cell again.",
    "error": "Run the cell again; if it fails again, start a fresh session with --new.",
    "internal_error": "Run the cell again; if it fails again, start a fresh session with --new.",
}
"""What to do next, by the code of an error event."""

UNKNOWN = "Mend what it names, then run the cell again."
"""What to do next after an error whose code is another's."""

STEPS: dict[str, str] = {
    "hook_failed": "Correct the hook, or take it out of the agent's hooks.",
    "hook_blocked": "Change the hook if that was not meant.",
    "server_down": "Check the server's command or address, then run the cell again.",
    "fallback": "If it goes on failing, choose another model with --model.",
}
"""What to do next after a note that no error event makes."""

_WARNED = {
    "The hook ": STEPS["hook_failed"],
    "The renderer of ": "Correct the renderer; the result itself is as it was.",
    "A hook of permission_request ": "Move that change into a hook of pre_tool_use.",
    " stay as they were": "Check that server; it is asked again before the next answer.",
    " not on disk yet": "Make room for the store or let it be written to; it tries again with the next turn.",
    "The history ": "Start a fresh session with --new if the model's context is full.",
    " asked for a secret ": "Give the secret to the tool itself, by an environment variable.",
    " could not be recorded": "Let the file for the answers be written to, then run the cell again.",
    " cannot be shown": "Read the arguments before you approve the call.",
}


def duration(seconds: float) -> str:
    """``4 ms``, ``0.3 s``, ``12 s``, ``2 min 5 s``."""
    if seconds < 0.095:
        return f"{max(round(seconds * 1000), 1)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def roughly(seconds: float) -> str:
    """A duration without tenths above a second: ``6 s``."""
    return duration(seconds) if seconds < 1 else duration(round(seconds)).replace(".0", "")


def clock(seconds: float) -> str:
    """``00:31``, ``1:02:03``."""
    whole = max(int(seconds), 0)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60:02}:{rest % 60:02}"


def tokens(sent: int, received: int) -> str:
    """``3,204 in · 412 out``; nothing where nothing was counted."""
    return f"{sent:,} in · {received:,} out" if sent or received else ""


def money(cost: float | None) -> str:
    """``$0.0031``; nothing where the price is not known."""
    if cost is None:
        return ""
    return f"${cost:.2f}" if cost >= 1 else f"${cost:.4f}"


def as_json(value: Any, indent: int | None = None) -> str:
    """A value of JSON in writing; what no encoder gets through, such as lists a thousand deep, is said to be so."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str, indent=indent)
    except (RecursionError, ValueError, TypeError):
        return "(nested too deep to be shown)"


def summary(arguments: Mapping[str, Any] | str) -> str:
    """One line of a call's arguments: ``vendor="print", month="2026-03"``."""
    if isinstance(arguments, str):
        line = arguments
    elif len(arguments) == 1 and next(iter(arguments)) in _VALUE_ALONE:
        line = str(next(iter(arguments.values())))
    else:
        line = ", ".join(f"{name}={as_json(value)}" for name, value in arguments.items())
    line = " ".join(plain(line[: 4 * _SUMMARY]).split())
    return line if len(line) <= _SUMMARY else line[: _SUMMARY - 1] + "…"


def advice(code: str, message: str) -> str:
    """What to do after the error `code`; nothing where the message says it already."""
    known = ADVICE.get(code, UNKNOWN)
    return "" if known.rstrip(".") in message else known


def after_warning(message: str, hook: str = "") -> str:
    """What to do after a warning, which may be a hook's own; nothing where it says so itself."""
    if hook:
        return f"The hook {hook} says so: change it if that was not meant."
    return next((step for part, step in _WARNED.items() if part in message), "")


def sentence(text: str) -> str:
    """`text` with the period that it lacks: another sentence may follow."""
    text = text.rstrip()
    return text if not text or _ENDED.search(text) else f"{text}."


_ENDED = re.compile(r"""[.!?…:。！？][)"'”’»\]]*$""")


def size(characters: int) -> str:
    """``9.9 MB``, ``64 kB``: about how much text that is."""
    return f"{characters / 1e6:.1f} MB" if characters >= 1_000_000 else f"{max(characters // 1000, 1)} kB"
