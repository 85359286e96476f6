"""A transcript with no structure but its line ends: what it says, and nothing more.

The static twin measures itself by it, and falls back to it where any markup would outweigh the text. In contrast to
`plain`, nothing is wrapped, indented or left out. Below: `blocks`, `media`, `words`. Above: `static`.
"""

from __future__ import annotations

from collections.abc import Iterator

from nbagent.plaintext import plain
from nbagent.widgets import arguments, media, words
from nbagent.widgets.blocks import Block, Card, Drawn, Footer, Group, Heading, Note, Prompt, Question, Reasoning, Text
from nbagent.widgets.document import Document
from nbagent.widgets.wire import result, thinking


def flat(document: Document) -> str:
    """All that a transcript says, a block after another."""
    return "\n".join([*_children(document.root), " · ".join(map(plain, facts(document.footer)))]).strip("\n")


def said_in(group: Group) -> str:
    """What a nested agent's part of a transcript says."""
    return "\n".join(_children(group))


def asked(question: Question) -> str:
    """``ledger asked: Transfer EUR 412.50?``."""
    return f"{question.source} asked: {question.message}" if question.source else question.message


def ended(group: Group) -> str:
    """``auditor · for bookkeeper ✓ done · 3.2 s``."""
    return f"{group.label} {words.SIGNS[group.tone]} {group.word}"


def facts(footer: Footer) -> list[str]:
    """The parts of the last line that are known."""
    took = words.clock(footer.elapsed) if footer.stopped is not None else ""
    parts = [footer.model or footer.agent, words.tokens(footer.sent, footer.received), words.money(footer.cost), took]
    return [part for part in parts if part]


def _children(group: Group) -> Iterator[str]:
    for block in group.children:
        yield from (plain(part).strip("\n") for part in _block(block) if part.strip())


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            yield block.text
        case Prompt():
            yield from (block.text, ", ".join(block.attached))
        case Drawn():
            yield media.as_text(block.bundle)
        case Text():
            yield from (block.source.text, block.source.cut)
        case Reasoning():
            yield from (thinking(block), block.source.text)
        case Card():
            yield f"{words.SIGNS[block.tone]} {block.name} {words.summary(block.arguments)} {block.word}"
            yield from (arguments.in_full(block.arguments), block.output.text)
            yield from map(media.as_text, block.displays)
            yield from (result(block), block.result.cut or block.output.cut)
        case Question():
            note = f" ({block.note})" if block.note else ""
            yield f"{asked(block)} {words.SIGNS[block.tone]} {block.word}{note}"
        case Note():
            yield f"{block.text} {block.next}".rstrip()
        case Group():
            yield ended(block)
            yield from _children(block)
        case _:
            return
