"""The static twin of a transcript: what a saved notebook keeps, read without a kernel, a script or a widget.

One document becomes ``text/html`` (details fold, no script, one small style that may be stripped without loss of
sense), ``text/markdown`` and ``text/plain``. Front ends strip differently: JupyterLab keeps the style in trusted
output, GitHub and untrusted notebooks drop it, nbconvert keeps all; so states are words and signs, and structure is
HTML's own.
Classes ``mathjax_ignore`` and ``tex2jax_ignore`` keep "$5 … $6" from becoming a formula.

It guarantees: nothing of a model, a tool or a server reaches the output but as escaped text or HTML that passed nh3;
the HTML of a long text is at most about twice as long.
Below: `document`, `markdown`, `media`. Above: `transcript`.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from nbagent.widgets import media, words
from nbagent.widgets.assets import asset
from nbagent.widgets.blocks import Block, Card, Footer, Group, Note, Prompt, Question, Reasoning, Text
from nbagent.widgets.document import Document
from nbagent.widgets.markdown import lean, safe_markdown
from nbagent.widgets.plain import abridged, terminal
from nbagent.widgets.text import plain
from nbagent.widgets.wire import result, thinking

_OPEN_LINES = 15
PROMPT_LINES = 8
"""Lines of a long prompt that are not folded."""
_SMALL = 4096
_TIMES = 1.9
"""The HTML of one text may have so many characters and so many times the text's; with the markdown beside it and the
patches before it, a whole run then stays under four times its text on the wire."""


def bundle(document: Document) -> dict[str, str]:
    """The transcript as a MIME bundle of ``text/html``, ``text/markdown`` and ``text/plain``."""
    text = abridged(terminal(document))
    return {"text/html": as_html(document), "text/markdown": as_markdown(document), "text/plain": text}


# ---------------------------------------------------------------- text/html


def as_html(document: Document) -> str:
    """The transcript as HTML without a script."""
    inside = _html_children(document.root) + _html_footer(document.footer)
    return f'<div class="nba-s mathjax_ignore tex2jax_ignore"><style>{asset("twin.css")}</style>{inside}</div>'


def _html_children(group: Group) -> str:
    return "".join(_html(block) for block in group.children)


def _html(block: Block) -> str:
    match block:
        case Prompt():
            return _html_prompt(block)
        case Text():
            return f'<div dir="auto">{_in_measure(block)}{_cut(block.source.cut)}</div>'
        case Reasoning():
            label, thoughts = _text(thinking(block)), _text(block.source.text)
            return f'<details class="h"><summary>{label}</summary><div dir="auto">{thoughts}</div></details>'
        case Card():
            return _html_card(block)
        case Question():
            note = f" ({_text(block.note)})" if block.note else ""
            return f'<div class="w" dir="auto">{_text(asked(block))} {_sign(block.tone)} {block.word}{note}</div>'
        case Note():
            level = {"error": "e", "warning": "y"}.get(block.level, "i")
            next_step = f' <span class="w">{_text(block.next)}</span>' if block.next else ""
            return f'<div class="{level}">{_NOTE_SIGNS[block.level]} {_text(block.text)}{next_step}</div>'
        case Group():
            ended = f" · {_text(block.word)}" if block.word else ""
            return f'<div class="u"><div class="w">{_text(block.label)}{ended}</div>{_html_children(block)}</div>'
        case _:
            return ""


def _in_measure(block: Text) -> str:
    """The HTML of a text; where markup would outweigh it, without what only adorns, and at last as it was written."""
    source, rendered = block.source.text, block.rendered.whole(block.source.text)
    most = _TIMES * len(source) + _SMALL
    if len(rendered) > most:
        rendered = lean(rendered)
    return rendered if len(rendered) <= most else _pre(plain(source))


def _html_prompt(prompt: Prompt) -> str:
    """The user's words; of long ones, with whatever stands below them, the first lines, and all of them folded."""
    text = plain(prompt.text)
    lines = text.split("\n")
    said = _text(text)
    if len(lines) > _OPEN_LINES:
        first, rest = "\n".join(lines[:PROMPT_LINES]), "\n".join(lines[PROMPT_LINES:])
        said = f"{_text(first)}<details><summary>{len(lines):,} lines</summary>{_text(rest)}</details>"
    attached = f'<div class="t">{_text(", ".join(prompt.attached))}</div>' if prompt.attached else ""
    return f'<div class="q" dir="auto">{said}{attached}</div>'


_NOTE_SIGNS = {"error": "✕", "warning": "!", "info": "·"}


def _html_card(card: Card) -> str:
    arguments = f" <i>{_text(words.summary(card.arguments))}</i>" if card.arguments else ""
    head = f'<b>{_text(card.name)}</b>{arguments} <span class="t">{_sign(card.tone)} {card.word}</span>'
    said = result(card)
    parts = [_pre(words.in_full(card.arguments, 8000)), _pre(plain(card.output.text))]
    parts += [media.as_html(shown) for shown in card.displays]
    parts += [_pre(said), _cut(card.result.cut or card.output.cut)]
    body = "".join(parts)
    short = said.count("\n") < _OPEN_LINES and len(said) < 2000
    opened = " open" if card.tone == "bad" or card.displays or (card.output.shown and short) else ""
    return f'<details class="d"{opened}><summary>{head}</summary>{body}</details>'


def _html_footer(footer: Footer) -> str:
    return f'<div class="z">{" · ".join(map(_text, facts(footer)))}</div>'


def _sign(tone: str) -> str:
    sign = words.SIGNS[tone]
    return f'<span class="k{1 if tone == "ok" else 0}">{sign}</span>' if tone in ("ok", "bad") else sign


def _text(value: str) -> str:
    return escape(plain(value), quote=False)


def _pre(value: str) -> str:
    return f'<pre dir="auto">{escape(value, quote=False)}</pre>' if value.strip() else ""


def _cut(line: str) -> str:
    return f'<div class="i">{_text(line)}</div>' if line else ""


def asked(question: Question) -> str:
    """``ledger asked: Transfer EUR 412.50?``."""
    return f"{question.source} asked: {question.message}" if question.source else question.message


def facts(footer: Footer) -> list[str]:
    """The parts of the last line that are known."""
    took = words.clock(footer.elapsed) if footer.stopped is not None else ""
    parts = [footer.model or footer.agent, words.tokens(footer.sent, footer.received), words.money(footer.cost), took]
    return [part for part in parts if part]


# ---------------------------------------------------------------- text/markdown


def as_markdown(document: Document) -> str:
    """The transcript as markdown that is harmless also where it is trusted."""
    parts = [*_markdown_children(document.root), "---", "*" + " · ".join(map(_line, facts(document.footer))) + "*"]
    return "\n\n".join(parts) + "\n"


def _markdown_children(group: Group) -> list[str]:
    return [part for block in group.children for part in _markdown(block) if part.strip()]


def _markdown(block: Block) -> list[str]:
    match block:
        case Prompt():
            return [_quoted(_escape(plain(block.text))), _escape(", ".join(map(plain, block.attached)))]
        case Text():
            return [safe_markdown(block.source.text).strip("\n"), _escape(block.source.cut)]
        case Reasoning():
            return [f"*{thinking(block)}*"]
        case Card():
            return _markdown_card(block)
        case Question():
            note = f" ({_line(block.note)})" if block.note else ""
            return [f"{_line(asked(block))} {words.SIGNS[block.tone]} {block.word}{note}"]
        case Note():
            return [f"{_NOTE_SIGNS[block.level]} {_line(block.text)} {_line(block.next)}".strip()]
        case Group():
            return [_quoted("\n\n".join([f"**{_line(block.label)}** {_line(block.word)}", *_markdown_children(block)]))]
        case _:
            return []


def _markdown_card(card: Card) -> list[str]:
    arguments = f" ({_line(words.summary(card.arguments))})" if card.arguments else ""
    head = f"**{_line(card.name)}**{arguments} {words.SIGNS[card.tone]} {card.word}"
    shown = [media.as_text(bundle) for bundle in card.displays]
    bodies = [words.in_full(card.arguments, 8000), plain(card.output.text), *shown, result(card)]
    return [head, *(_fenced(body) for body in bodies if body.strip()), _escape(card.result.cut or card.output.cut)]


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]!#|~<>&:])", lambda found: _ENTITIES.get(found[1], "\\" + found[1]), text)


_ENTITIES: dict[str, Any] = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def _line(text: str) -> str:
    return _escape(" ".join(plain(text).split()))
