"""The static twin of a transcript: what a saved notebook keeps, read without a kernel, a script or a widget.

One document becomes ``text/html`` (details fold, no script, one small style that may be stripped without loss of
sense), ``text/markdown`` and ``text/plain``. Front ends strip differently: JupyterLab keeps the style in trusted
output, GitHub and untrusted notebooks drop it, nbconvert keeps all; so states are words and signs, and structure is
HTML's own.
Classes ``mathjax_ignore`` and ``tex2jax_ignore`` keep "$5 … $6" from becoming a formula.

It guarantees: nothing of a model, a tool or a server reaches the output but as escaped text or HTML that passed nh3;
each form has at most `TIMES` times the text and `SPARE` characters more (pictures, and the escapes of a text that is
all ``<``, apart). Where markup would outweigh that, what only adorns goes first: colours of code, then boxes and
folding, and at last all structure. Below: `document`, `markdown`, `media`, `flat`. Above: `transcript`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from nbagent.widgets import media, words
from nbagent.widgets.assets import asset
from nbagent.widgets.blocks import Block, Card, Drawn, Footer, Group, Note, Prompt, Question, Reasoning, Text
from nbagent.widgets.document import Document
from nbagent.widgets.flat import asked, facts, flat
from nbagent.widgets.markdown import fenced, lean, safe_markdown
from nbagent.widgets.plain import LONG, abridged, terminal
from nbagent.widgets.text import plain
from nbagent.widgets.wire import result, thinking

_OPEN_LINES = 15
PROMPT_LINES = 8
"""Lines of a long prompt that are not folded."""
TIMES, SPARE = 2, 4096
"""No form of a transcript has more than so many times its text, and so many characters besides."""
_MARKUP = 1.9
"""The HTML of one text may have so many times its characters before it loses what only adorns."""


def bundle(document: Document) -> dict[str, str]:
    """The transcript as a MIME bundle of ``text/html``, ``text/markdown`` and ``text/plain``."""
    said = flat(document)
    return {
        "text/html": as_html(document, said),
        "text/markdown": as_markdown(document, said),
        "text/plain": as_plain(document, said),
    }


def texts(document: Document) -> dict[str, str]:
    """The forms that a run in progress keeps beside its live view: all but the HTML."""
    said = flat(document)
    return {"text/markdown": as_markdown(document, said), "text/plain": as_plain(document, said)}


def as_plain(document: Document, said: str | None = None) -> str:
    """The transcript as text, its middle left out where it is long; `said` is what `flat` makes of it."""
    said = flat(document) if said is None else said
    return abridged(terminal(document), min(LONG, TIMES * len(said) + SPARE - 200))


def _fits(form: str, text: str, besides: int = 0) -> bool:
    """Whether a form is small enough beside its text, in characters and in bytes."""
    if len(form) > TIMES * len(text) + SPARE + besides:
        return False
    return len(form.encode()) <= TIMES * len(text.encode()) + SPARE + besides


# ---------------------------------------------------------------- text/html


def as_html(document: Document, said: str | None = None) -> str:
    """The transcript as HTML without a script, as rich as its size allows; `said` is what `flat` makes of it."""
    said = flat(document) if said is None else said
    pictures = "".join(_pictures(document.root))
    for richness in (_RICH, _THRIFTY, _SLIM):
        writer = _Writer(richness)
        form = _wrapped(writer.children(document.root) + _html_footer(document.footer))
        if _fits(form, said, len(pictures)):
            return form
    return _wrapped(f"<pre>{_bare(said)}</pre>{pictures}")


def _wrapped(inside: str) -> str:
    return f'<div class="nba-s mathjax_ignore tex2jax_ignore"><style>{asset("twin.css")}</style>{inside}</div>'


def _bare(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _pictures(group: Group) -> Iterator[str]:
    for block in group.children:
        if isinstance(block, Group):
            yield from _pictures(block)
        elif isinstance(block, Card):
            yield from (media.as_html(shown) for shown in block.displays if media.is_picture(shown))
        elif isinstance(block, Drawn) and media.is_picture(block.bundle):
            yield media.as_html(block.bundle)


_RICH, _THRIFTY, _SLIM = 2, 1, 0
_OPTIONAL = re.compile(r"</(?:p|li|td|th|tr|thead|tbody)>")
"""Ends that HTML implies, in all that markdown makes."""


class _Writer:
    """Writes blocks as HTML: rich; thrifty, where adornment outweighs a text; or slim, without boxes and folding."""

    def __init__(self, richness: int) -> None:
        self._richness = richness

    def children(self, group: Group) -> str:
        """The blocks of a group, in order."""
        return "".join(self._block(block) for block in group.children)

    def _block(self, block: Block) -> str:
        match block:
            case Prompt():
                return _html_prompt(block)
            case Drawn():
                return media.as_html(block.bundle)
            case Text():
                return f'<div dir="auto">{self._text(block)}{_cut(block.source.cut)}</div>'
            case Reasoning():
                label, thoughts = _text(thinking(block)), _text(block.source.text)
                return f'<details class="h"><summary>{label}</summary><div dir="auto">{thoughts}</div></details>'
            case Card():
                return self._card(block) if self._richness else _html_slim_card(block)
            case Question():
                note = f" ({_text(block.note)})" if block.note else ""
                return f'<div class="w" dir="auto">{_text(asked(block))} {_sign(block.tone)} {block.word}{note}</div>'
            case Note():
                level = {"error": "e", "warning": "y"}.get(block.level, "i")
                next_step = f' <span class="w">{_text(block.next)}</span>' if block.next else ""
                return f'<div class="{level}">{_NOTE_SIGNS[block.level]} {_text(block.text)}{next_step}</div>'
            case Group():
                ended = f" · {_text(block.word)}" if block.word else ""
                return f'<div class="u"><div class="w">{_text(block.label)}{ended}</div>{self.children(block)}</div>'
            case _:
                return ""

    def _text(self, block: Text) -> str:
        """The HTML of a text; where markup outweighs it, without what only adorns, and at last as it was written."""
        source, rendered = block.source.text, block.rendered.whole(block.source.text)
        if self._richness == _RICH:
            return rendered
        most = _MARKUP * len(source)
        if len(rendered) > most or self._richness == _SLIM:
            rendered = _OPTIONAL.sub("", lean(rendered))
        return rendered if len(rendered) <= most else _pre(plain(source))

    def _card(self, card: Card) -> str:
        arguments = f" <i>{_text(words.summary(card.arguments))}</i>" if card.arguments else ""
        state = "<em>" if card.tone != "bad" else '<em class="e">'
        head = f"<b>{_text(card.name)}</b>{arguments} {state}{words.SIGNS[card.tone]} {card.word}</em>"
        said = result(card)
        parts = [_pre(words.in_full(card.arguments, 8000)), _pre(plain(card.output.text))]
        parts += [media.as_html(shown) for shown in card.displays]
        parts += [_pre(said), _cut(card.result.cut or card.output.cut)]
        short = said.count("\n") < _OPEN_LINES and len(said) < 2000
        opened = " open" if card.tone == "bad" or card.displays or (card.output.shown and short) else ""
        return f'<details class="d"{opened}><summary>{head}</summary>{"".join(parts)}</details>'


def _html_slim_card(card: Card) -> str:
    """A card as a line and what it said: a thousand of them weigh little."""
    arguments = f" {_text(words.summary(card.arguments))}" if card.arguments else ""
    head = f"<div>{words.SIGNS[card.tone]} <b>{_text(card.name)}</b>{arguments} {card.word}</div>"
    bodies = [words.in_full(card.arguments, 8000), plain(card.output.text)]
    bodies += [media.as_text(shown) for shown in card.displays if not media.is_picture(shown)]
    pictures = [media.as_html(shown) for shown in card.displays if media.is_picture(shown)]
    told = "\n".join(body.strip("\n") for body in [*bodies, result(card)] if body.strip())
    written = f"<pre>{escape(told, quote=False)}</pre>" if told else ""
    return head + written + "".join(pictures) + _cut(card.result.cut or card.output.cut)


def _html_prompt(prompt: Prompt) -> str:
    """The user's words; of long ones, with whatever stands below them, the first lines, and all of them folded."""
    text = plain(prompt.text)
    lines = text.split("\n")
    said = _text(text)
    if len(lines) > _OPEN_LINES:
        first, rest = "\n".join(lines[:PROMPT_LINES]), "\n".join(lines[PROMPT_LINES:])
        said = f"{_text(first)}<details><summary>{len(lines):,} lines</summary>{_text(rest)}</details>"
    attached = f'<div class="i">{_text(", ".join(prompt.attached))}</div>' if prompt.attached else ""
    return f'<div class="q" dir="auto">{said}{attached}</div>'


_NOTE_SIGNS = {"error": "✕", "warning": "!", "info": "·"}


def _html_footer(footer: Footer) -> str:
    return f'<div class="z">{" · ".join(map(_text, facts(footer)))}</div>'


def _sign(tone: str) -> str:
    sign = words.SIGNS[tone]
    return f'<span class="k{1 if tone == "ok" else 0}">{sign}</span>' if tone in ("ok", "bad") else sign


def _text(value: str) -> str:
    return escape(plain(value), quote=False)


def _pre(value: str) -> str:
    return f"<pre>{escape(value, quote=False)}</pre>" if value.strip() else ""


def _cut(line: str) -> str:
    return f'<div class="i">{_text(line)}</div>' if line else ""


# ---------------------------------------------------------------- text/markdown


def as_markdown(document: Document, said: str | None = None) -> str:
    """The transcript as markdown that is harmless also where it is trusted; in a fence, where escapes outweigh it."""
    parts = [*_markdown_children(document.root), "---", "*" + " · ".join(map(_line, facts(document.footer))) + "*"]
    form, said = "\n\n".join(parts) + "\n", flat(document) if said is None else said
    return form if _fits(form, said) else fenced(said) + "\n"


def _markdown_children(group: Group) -> list[str]:
    return [part for block in group.children for part in _markdown(block) if part.strip()]


def _markdown(block: Block) -> list[str]:
    match block:
        case Prompt():
            return [_quoted(_escape(plain(block.text))), _escape(", ".join(map(plain, block.attached)))]
        case Drawn():
            return [_escape(media.as_text(block.bundle))]
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
    return [head, *(fenced(body) for body in bodies if body.strip()), _escape(card.result.cut or card.output.cut)]


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]!#|~<>&:])", lambda found: _ENTITIES.get(found[1], "\\" + found[1]), text)


_ENTITIES: dict[str, Any] = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def _line(text: str) -> str:
    return _escape(" ".join(plain(text).split()))
