"""Keeps a conversation within its model's context: sums up the oldest messages when it is nearly full.

Used by `loop` before each model call, and after a provider refused one as too long. Nothing of the session is lost: its
messages stay, and a `Summary` says which of them it stands for; `view` is what models read. It guarantees: no tool call
is parted from its result, the last thing said is never summed up, and a summary that fails leaves all as it was.

Tokens are those that the provider counted for the last call, and an estimate for what was said since: a quarter of the
characters, which is OpenAI's rule of thumb for English.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, cast

from nbagent.errors import ModelError
from nbagent.events import SessionCompaction, Warning
from nbagent.ports import ModelRequest, TextDelta
from nbagent.runtime.failing import as_model_error
from nbagent.runtime.hooking import fire
from nbagent.runtime.life import Life
from nbagent.session import Message, Session, Summary, Usage
from nbagent.telemetry import Chat

FULL = 0.9
"""The part of the context limit at which the history is summed up."""
KEPT = 0.25
"""The part of the limit that the messages kept as they are may take; of the history, where the provider refused it."""
PICTURE = 1_000
"""Tokens that an attachment is taken for; providers count a picture as some hundreds to 1,600."""
ATTEMPTS = 4
"""How often a summary is tried, each time of half as much, where its own request is too long."""

INSTRUCTIONS = (
    "Sum up the conversation so far for yourself: you will go on with it and read your summary in place of these "
    "messages. Keep what the user asked for (the current request word for word), decisions, facts, names, numbers, "
    "file names and what the tools found, what is done and what is left to do. Write plain text and nothing else."
)
HEAD = "Summary of the conversation so far, in place of its first messages:\n\n"


def view(session: Session) -> tuple[list[Message], list[Message]]:
    """The messages that a model reads, and those that the first of them sums up."""
    if not session.summaries:
        return list(session.messages), []
    summary = session.summaries[-1]
    return _after(summary, session.messages), session.messages[: summary.upto]


def _after(summary: Summary, messages: Sequence[Message]) -> list[Message]:
    return [Message("user", HEAD + summary.text), *messages[summary.upto :]]


@dataclass(slots=True)
class Window:
    """How much of the model's context is taken, over one turn.

    Parameters
    ----------
    counted
        Tokens of the last call, in and out, as the provider counted them; 0 where it has not yet.
    messages
        How many of the session's messages that call knew or said.
    """

    counted: int = 0
    messages: int = 0

    def note(self, usage: Usage, session: Session) -> None:
        """A call was made, and its answer is in the session."""
        self.counted, self.messages = usage.input_tokens + usage.output_tokens, len(session.messages)

    def taken(self, run: Life) -> int:
        """Tokens that the next call would take."""
        if not self.counted:
            return len(run.agent.instructions) // 4 + _tokens(view(run.session)[0])
        return self.counted + _tokens(run.session.messages[self.messages :])


async def keep_within_limit(run: Life, window: Window) -> None:
    """Sum up the oldest messages if the next call would come near the limit."""
    limit = _limit(run)
    if limit is not None and window.taken(run) >= FULL * limit and await compact(run, "limit"):
        window.counted = 0


async def compact(run: Life, source: Literal["limit", "error"]) -> bool:
    """Sum up the oldest messages; whether there was anything to sum up, and it worked."""
    whole = _limit(run) if source == "limit" else _tokens(view(run.session)[0])
    upto = _cut(run.session, int(KEPT * (whole or 0)))
    if upto is None:
        return False
    hooked = await fire(run, "pre_compact", prompt=run.prompt, source=source)
    if hooked.block:
        run.record(Warning, message=f"The history was not summed up: {hooked.reason}")
        return False
    try:
        summary = await _summary(run, upto, "\n\n".join(filter(None, (INSTRUCTIONS, hooked.context))))
    except ModelError as error:
        run.record(Warning, message=f"The history could not be summed up: {error}")
        return False
    before = len(view(run.session)[0])
    run.session.summaries.append(summary)
    await run.emit(SessionCompaction, messages_before=before, messages_after=len(view(run.session)[0]))
    return True


async def _summary(run: Life, upto: int, instructions: str) -> Summary:
    """A summary of as many of the first `upto` messages as its own request can hold."""
    for attempt in range(ATTEMPTS):
        try:
            return Summary(upto, await _said(run, upto, instructions))
        except ModelError as error:
            shorter = _halved(run.session, upto)
            if error.code != "context_exceeded" or shorter is None or attempt == ATTEMPTS - 1:
                raise
            upto = shorter
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _said(run: Life, upto: int, instructions: str) -> str:
    session = run.session
    known = session.summaries[-1] if session.summaries else None
    messages = _after(known, session.messages[:upto]) if known else session.messages[:upto]
    request = ModelRequest(
        messages=tuple(messages),
        instructions=instructions,
        summarised=tuple(session.messages[: known.upto]) if known else (),
        purpose="summary",
    )
    with run.trace.chat(run.agent.name, run.model, request) as chat:
        return await _listened(run, request, chat)


async def _listened(run: Life, request: ModelRequest, chat: Chat) -> str:
    text: list[str] = []
    usage = Usage()
    try:
        with as_model_error(run.model):
            async with aclosing(cast("Any", run.model.stream(request))) as chunks:
                async for chunk in chunks:
                    if not chat.heard:
                        chat.first()
                    if isinstance(chunk, TextDelta):
                        text.append(chunk.content)
                    elif isinstance(chunk, Usage):
                        usage += chunk
                        run.usage += chunk
    finally:
        chat.said(usage, text, ())
    if not "".join(text).strip():
        raise ModelError(f"{run.model.name} said nothing")
    return "".join(text)


def _limit(run: Life) -> int | None:
    return run.agent.context_limit or getattr(run.model, "context_limit", None)


def _units(session: Session) -> list[int]:
    """Where messages begin that may be parted from what stands before them, after the last summary."""
    first = session.summaries[-1].upto if session.summaries else 0
    return [i for i in range(first, len(session.messages)) if session.messages[i].role != "tool"]


def _cut(session: Session, kept: int) -> int | None:
    """Up to where to sum up, so that at most `kept` tokens stay beside the last thing said; None: nothing to do."""
    units = _units(session)
    if len(units) < 2:
        return None
    for start in units[1:]:
        if _tokens(session.messages[start:]) <= kept:
            return start
    return units[-1]


def _halved(session: Session, upto: int) -> int | None:
    units = [start for start in _units(session)[1:] if start < upto]
    return units[len(units) // 2] if units else None


def _tokens(messages: Sequence[Message]) -> int:
    return sum(
        4
        + (len(message.content) + len(message.reasoning) + _arguments(message)) // 4
        + PICTURE * len(message.attachments)
        for message in messages
    )


def _arguments(message: Message) -> int:
    return sum(len(call.name) + len(json.dumps(call.arguments, default=str)) for call in message.tool_calls)
