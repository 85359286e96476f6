"""What goes over the wire to a live transcript: numbered patches, and the whole on request.

A patch carries what changed since the last one: ``{"type": "patch", "seq": n, "at": seconds, "ops": [...]}`` with

    ["add", id, parent, kind, props]    a new block at the end of its group
    ["set", id, props]                  properties that changed
    ["html", id, html, tail]            a finished piece of a text, sanitised, and what is now the tail
    ["text", id, drop, add]             the tail loses `drop` UTF-16 units at its end, then gains `add`

A view that sees a number missing asks for the whole: ``{"type": "document", "seq": n, "at": seconds, "nodes": [[id,
parent, kind, props, html, tail], ...]}``. Applying the patches 1 to n in order gives the document at n. Times are the
kernel's clock; `at` lets a view compare it with its own. (A large message travels deflated: see `transcript`.)

Every character of a text is sent as a delta at most once and as HTML once, so bytes grow linearly with the text. HTML
is sanitised here; every other string is text. Below: `document`, `markdown`, `media`. Above: `transcript`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from nbagent.plaintext import plain
from nbagent.widgets import arguments, media, words
from nbagent.widgets.blocks import Block, Card, Drawn, Footer, Group, Heading, Note, Prompt, Question, Reasoning, Text
from nbagent.widgets.document import Document

Op = list[Any]


@dataclass(slots=True)
class _Sent:
    """What the views know of a block."""

    kind: str
    props: dict[str, Any]
    html: list[str] = field(default_factory=list[str])
    tail: str = ""
    media: list[str] = field(default_factory=list[str])
    arguments: Any = None
    told: dict[str, Any] = field(default_factory=dict[str, Any])


class Wire:
    """The patches of one document.

    Parameters
    ----------
    document
        What is shown; `patch` takes what it lists as changed.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.seq = 0
        self.forms: dict[str, str] = {}
        self._sent: dict[int, _Sent] = {}

    def patch(self) -> dict[str, Any] | None:
        """What changed since the last patch, or None."""
        changed, self.document.changed = self.document.changed, {}
        ops: list[Op] = []
        for block in changed.values():
            self._update(block, ops)
        if not ops:
            return None
        self.seq += 1
        return {"type": "patch", "seq": self.seq, "at": time.time(), "ops": ops}

    def whole(self) -> dict[str, Any]:
        """The document as of the last patch."""
        nodes = [
            [block.id, block.parent, sent.kind, sent.props, "".join(sent.html), sent.tail]
            for block in self.document.blocks()
            if (sent := self._sent.get(block.id)) is not None
        ]
        return {"type": "document", "seq": self.seq, "at": time.time(), "nodes": nodes}

    def _update(self, block: Block, ops: list[Op]) -> None:
        sent = self._sent.get(block.id)
        if sent is None:
            if isinstance(block, Group) and block is self.document.root:
                return
            kind = _KINDS[type(block)]
            sent = self._sent[block.id] = _Sent(kind, {})
            sent.props = self._props(block, sent)
            ops.append(["add", block.id, block.parent, kind, dict(sent.props)])
        else:
            props = self._props(block, sent)
            new = {name: value for name, value in props.items() if sent.props.get(name) != value}
            if new:
                sent.props.update(new)
                ops.append(["set", block.id, new])
        self._stream(block, sent, ops)

    # ------------------------------------------------------------ growing text

    def _stream(self, block: Block, sent: _Sent, ops: list[Op]) -> None:
        if isinstance(block, Text):
            self._markdown(block, sent, ops)
        elif isinstance(block, Reasoning):
            _retail(block.id, sent, plain(block.source.text), ops)
        elif isinstance(block, Card):
            _retail(block.id, sent, plain(block.output.text), ops)

    def _markdown(self, block: Text, sent: _Sent, ops: list[Op]) -> None:
        rendered = block.rendered
        new = rendered.pieces[len(sent.html) :]
        if not new:
            _retail(block.id, sent, rendered.tail, ops)
            return
        sent.html += new
        sent.tail = rendered.tail
        ops.append(["html", block.id, "".join(new), sent.tail])

    # ------------------------------------------------------------ properties

    def _props(self, block: Block, sent: _Sent) -> dict[str, Any]:
        match block:
            case Heading():
                return {"text": plain(block.text, 160)}
            case Prompt():
                pictures = [media.as_html(picture) if picture else "" for picture in block.pictures]
                return {"text": plain(block.text), "attached": list(block.attached), "pictures": pictures}
            case Drawn():
                return {"html": "" if block.widget else media.as_html(block.bundle), "widget": block.widget}
            case Text():
                return {"code": block.rendered.in_code, "cut": block.source.cut}
            case Reasoning():
                return {"label": thinking(block), "cut": block.source.cut}
            case Card():
                return self._card(block, sent)
            case Question():
                form = self.forms.get(block.question_id, "") if block.action is None else ""
                return {
                    "message": plain(block.message, 2000), "from": plain(block.source, 80), "tone": block.tone,
                    "word": block.word, "note": plain(block.note, 500), "form": form,
                }  # fmt: skip
            case Note():
                return {"level": block.level, "text": plain(block.text, 4000), "next": plain(block.next, 500)}
            case Group():
                since = None if block.reason is not None else block.started
                return {"label": plain(block.label, 160), "tone": block.tone, "word": block.word, "since": since}
            case Footer():
                return _footer(block)
            case _:
                raise TypeError(type(block).__name__)

    def _card(self, card: Card, sent: _Sent) -> dict[str, Any]:
        for bundle in card.displays[len(sent.media) :]:
            sent.media.append("" if len(sent.media) in card.widgets else media.as_html(bundle))
        if sent.arguments is not card.arguments:
            sent.arguments, sent.told = card.arguments, _told(card)
        since = None if card.over else (card.asked or card.started)
        return {
            "name": plain(card.name, 80), **sent.told, "row": card.row, "tone": card.tone, "word": card.word,
            "from": plain(card.toolset, 80), "since": since, "asks": card.tone == "wait", "media": list(sent.media),
            "result": result(card), "cut": card.result.cut or card.output.cut, "bad": card.tone == "bad",
            "widgets": list(card.widgets.values()),
        }  # fmt: skip


_KINDS: dict[type[Block], str] = {
    Heading: "head", Prompt: "prompt", Drawn: "drawn", Text: "text", Reasoning: "think", Card: "card",
    Question: "ask", Note: "note", Group: "group", Footer: "foot",
}  # fmt: skip


def _told(card: Card) -> dict[str, Any]:
    """A call's arguments: in a line, and as rows or as a text; while they are being written, in a line alone."""
    more = arguments.written(card.arguments) if card.state != "writing" else ""
    return {"args": words.summary(card.arguments), "rows": arguments.rows(card.arguments), "more": more}


def result(card: Card) -> str:
    """The result to show; nothing where the output already says the same, or a renderer has drawn it."""
    if card.drawn:
        return ""
    text = plain(card.result.text)
    return "" if text.strip() == plain(card.output.text).strip() else text


def thinking(block: Reasoning) -> str:
    """``Thinking…``, then ``Thought for 2.1 s``."""
    return "Thinking…" if block.ended is None else f"Thought for {words.duration(block.ended - block.started)}"


def _footer(footer: Footer) -> dict[str, Any]:
    over = footer.stopped is not None
    return {
        "agent": plain(footer.agent, 80), "model": plain(footer.model, 80), "cost": words.money(footer.cost),
        "tokens": words.tokens(footer.sent, footer.received), "doing": plain(footer.doing, 120),
        "since": None if over else footer.started, "took": words.clock(footer.elapsed) if over else "",
        "running": not over, "reason": footer.reason or "",
    }  # fmt: skip


def _retail(block_id: int, sent: _Sent, tail: str, ops: list[Op]) -> None:
    """Bring the views' tail of a block to `tail`."""
    if tail == sent.tail:
        return
    kept = len(sent.tail) if tail.startswith(sent.tail) else _common(sent.tail, tail)
    dropped = len(sent.tail[kept:].encode("utf-16-le", "surrogatepass")) // 2
    ops.append(["text", block_id, dropped, tail[kept:]])
    sent.tail = tail


def _common(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:  # the longest common prefix, by halving
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
