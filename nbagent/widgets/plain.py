"""A transcript as plain text: for terminals, for `--plain`, and for a notebook's ``text/plain``.

`terminal` writes a finished (or running) document; `PlainTranscript` is an observer that writes a run as it happens,
for places without widgets. Nothing of a model, a tool or a server reaches a terminal but through `plain`, so none of
it can move the cursor or change the title. Below: `document`, `wire`, `words`. Above: `static`, `notebook`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import Unpack

from nbagent.events import AgentChoice, Event
from nbagent.plaintext import plain
from nbagent.widgets import arguments, media, words
from nbagent.widgets.attached import About
from nbagent.widgets.blocks import Block, Card, Drawn, Footer, Group, Heading, Note, Prompt, Question, Reasoning, Text
from nbagent.widgets.document import Document
from nbagent.widgets.wire import result

WIDTH = 88

LONG = 8_000
"""Characters of ``text/plain`` that a notebook keeps; its other forms hold all."""
_LINES = 40
_STYLES = {"dim": "2", "bold": "1", "ok": "32", "bad": "31", "warning": "33", "error": "31", "wait": "34"}


def terminal(document: Document, *, width: int = WIDTH, color: bool = False) -> str:
    """The transcript for a terminal.

    Parameters
    ----------
    document
        What to write.
    width
        Columns; text is not wrapped below 40.
    color
        Whether to use ANSI colours, for a terminal that shows them.
    """
    paint = _Paint(color)
    lines = [line for block in document.root.children for line in _block(block, max(width, 40), paint)]
    lines += _footer(document.footer, paint)
    return "\n".join(lines).strip("\n")


def abridged(text: str, limit: int = LONG) -> str:
    """`text`, or its beginning and end where it is long: a notebook keeps the whole as HTML and markdown beside it."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[-limit // 3 :]
    head, tail = head.rpartition("\n")[0] or head, tail.partition("\n")[2] or tail
    return f"{head}\n\n… {len(text) - len(head) - len(tail):,} characters more …\n\n{tail}"


class _Paint:
    """Wraps words in ANSI colours, or leaves them as they are."""

    def __init__(self, color: bool) -> None:
        self._color = color

    def __call__(self, text: str, style: str) -> str:
        code = _STYLES.get(style) if self._color else None
        return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def _block(block: Block, width: int, paint: _Paint) -> Iterator[str]:
    match block:
        case Heading():
            yield paint(plain(block.text), "bold")
        case Prompt():
            yield from (paint("│ " + line, "dim") for line in _wrapped(plain(block.text), width - 2))
            if block.attached:
                yield paint(f"│ with {', '.join(block.attached)}", "dim")
        case Drawn():
            yield from _wrapped(media.as_text(block.bundle), width)
        case Text():
            yield from _wrapped(plain(block.source.text).strip("\n"), width)
            yield from _cut(block.source.cut, paint)
        case Reasoning():
            took = "" if block.ended is None else f" for {words.duration(block.ended - block.started)}"
            yield paint(f"(thought{took})", "dim")
        case Card():
            yield from _card(block, width, paint)
        case Question():
            source = f"{block.source} asked: " if block.source else ""
            note = f" ({block.note})" if block.note else ""
            line = plain(f"{source}{block.message} {words.SIGNS[block.tone]} {block.word}{note}")
            yield from (paint(part, "dim") for part in _wrapped(line, width))
        case Note():
            sign = {"error": "✕", "warning": "!"}.get(block.level, "·")
            text = plain(f"{sign} {block.text} {block.next}".rstrip())
            yield from (paint(part, block.level) for part in _wrapped(text, width))
        case Group():
            state = f"{paint(words.SIGNS[block.tone], block.tone)} {block.word}"
            yield f"{paint(f'┌ {plain(block.label)}', 'dim')}  {state}"
            inside = [line for child in block.children for line in _block(child, width - 2, paint)]
            yield from (f"│ {line}".rstrip() for line in inside[:-1])
            yield "└"
        case _:
            return
    yield ""


def _card(card: Card, width: int, paint: _Paint) -> Iterator[str]:
    yield _head(card, width, paint)
    shown = [media.as_text(bundle) for bundle in card.displays]
    bodies = [arguments.in_full(card.arguments), plain(card.output.text), *shown, result(card)]
    for body in bodies:
        lines = body.rstrip().split("\n") if body.strip() else []
        for line in lines[:_LINES]:
            yield "    " + (line if len(line) <= 2000 else line[:1999] + "…")
        if len(lines) > _LINES:
            yield paint(f"    … {len(lines) - _LINES:,} more lines", "dim")
    yield from _cut(card.result.cut or card.output.cut, paint)


def _head(card: Card, width: int, paint: _Paint) -> str:
    room = max(width - len(card.name) - len(card.word) - 8, 10)
    summary = words.summary(card.arguments)
    summary = summary if len(summary) <= room else summary[: room - 1] + "…"
    sign = paint(words.SIGNS[card.tone], card.tone)
    parts = [f"{sign} {paint(plain(card.name, 80), 'bold')}", paint(summary, "dim"), paint(card.word, "dim")]
    return "  ".join(part for part in parts if part)


def _cut(line: str, paint: _Paint) -> Iterator[str]:
    if line:
        yield paint(line, "dim")


def _footer(footer: Footer, paint: _Paint) -> Iterator[str]:
    took = words.clock(footer.elapsed) if footer.stopped is not None else ""
    parts = [footer.model or footer.agent, words.tokens(footer.sent, footer.received), words.money(footer.cost), took]
    yield paint(" · ".join(plain(part, 80) for part in parts if part), "dim")


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Long lines of prose, broken; lines of code, tables and lists keep their indentation."""
    fenced = False
    for line in text.split("\n"):
        mark = line.lstrip().startswith(("```", "~~~"))
        fenced ^= mark
        if fenced or mark or len(line) <= width or line.lstrip().startswith("|"):
            yield line
            continue
        indent = " " * (len(line) - len(line.lstrip()))
        yield from textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


class PlainTranscript:
    """Writes a run as text while it happens; implements `nbagent.ports.Observer`.

    Parameters
    ----------
    write
        Takes each piece of text, such as ``sys.stdout.write``; called on the loop's thread.
    color
        Whether to use ANSI colours.
    about
        What `Document` is told before the run begins.

    Attributes
    ----------
    document
        What was written.
    """

    lossless = True

    def __init__(self, write: Callable[[str], None], *, color: bool = False, **about: Unpack[About]) -> None:
        self.document = Document(**about)
        self._write = write
        self._paint = _Paint(color)
        self._open = False  # a text is being written
        self._ends = 2  # line feeds at the end of what was written

    async def on_event(self, event: Event) -> None:
        """Take one event, as an observer."""
        self.take(event)

    def take(self, event: Event) -> None:
        """Take one event: text goes out as it comes, anything else once it is whole."""
        self.document.apply(event)
        changed, self.document.changed = self.document.changed, {}
        for block in changed.values():
            if isinstance(block, Text) and isinstance(event, AgentChoice) and self._is_outermost(block):
                self._put(plain(event.content))
            elif self._due(block, event):
                self._start()
                self._put("".join(line + "\n" for line in self._lines(block)))
                self._open = False

    async def finish(self) -> str:
        """The whole as text."""
        return terminal(self.document)

    def _put(self, text: str) -> None:
        if text:
            self._write(text)
            self._open = True
            ends = len(text) - len(text.rstrip("\n"))
            self._ends = ends if ends < len(text) else self._ends + ends

    def _start(self) -> None:
        """Leave one empty line after a text."""
        if self._open:
            self._put("\n" * max(2 - self._ends, 0))

    def _is_outermost(self, block: Block) -> bool:
        return block.parent == self.document.root.id

    def _due(self, block: Block, event: Event) -> bool:
        match block:
            case Text():  # nested streams may speak at once: each text whole
                return block.done and not self._is_outermost(block)
            case Card():
                return event.type == "tool_call_response"
            case Reasoning():
                return block.ended is not None
            case Question():
                return True
            case Footer():
                return event.type == "stream_stopped"
            case Group():
                starts, stops = ("sub_session_started", "stream_started"), ("sub_session_completed", "stream_stopped")
                return event.type in (starts if block.reason is None else stops)
            case _:
                return isinstance(block, Prompt | Note | Heading)

    def _lines(self, block: Block) -> list[str]:
        if isinstance(block, Footer):
            return list(_footer(block, self._paint))
        if isinstance(block, Group):
            head = self._paint(f"{'┌' if block.reason is None else '└'} {plain(block.label)}", "dim")
            sign = self._paint(words.SIGNS[block.tone], block.tone)
            return [head if block.reason is None else f"{head}  {sign} {block.word}"]
        return list(_block(block, WIDTH, self._paint))
