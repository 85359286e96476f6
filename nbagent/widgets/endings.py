"""What a transcript says of a run that ended early: why, what is kept, and what to do next.

Below: `words`. Above: `document`.
"""

from __future__ import annotations

from nbagent.widgets import words


def ending(reason: str, message: str, elapsed: float, *, told: bool) -> tuple[str, str, str] | None:
    """The level, the text and the next step of the note about an end; None where there is nothing to say.

    Parameters
    ----------
    reason, message
        Of `nbagent.events.StreamStopped`.
    elapsed
        Seconds that the run took.
    told
        Whether an error was told already.
    """
    after = words.roughly(elapsed)
    kept = "The text so far is kept."
    again = "Run the cell again to start over."
    notes = {
        "interrupted": ("warning", f"Interrupted after {after}. {kept}", again),
        "cancelled": ("warning", f"Stopped after {after}. {kept}", again),
        "superseded": ("info", f"Superseded after {after}: the cell was run again.", ""),
        "max_iterations": ("warning", message or "The limit of model calls is reached.",
                           "Raise max_iterations, or ask for less at once."),
    }  # fmt: skip
    if reason in notes:
        return notes[reason]
    if reason in ("error", "hook_blocked") and not told:
        text = message or ("Blocked by a hook." if reason == "hook_blocked" else "The run failed.")
        return ("error", text, words.advice(reason, text))
    return None
