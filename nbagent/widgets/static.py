"""The static twin of a transcript: what a saved notebook keeps, read without a kernel, a script or a widget.

One document becomes ``text/html`` (details fold, no script, one small style that may be stripped without loss of
sense), ``text/markdown`` and ``text/plain``. Front ends strip differently: JupyterLab keeps the style in trusted
output, GitHub and untrusted notebooks drop it, nbconvert keeps all; so states are words and signs, and structure is
HTML's own.
Classes ``mathjax_ignore`` and ``tex2jax_ignore`` keep "$5 … $6" from becoming a formula.

It guarantees: nothing of a model, a tool or a server reaches the output but as escaped text or HTML that passed nh3;
each form has at most `TIMES` times the text (what `flat` makes of it) and `SPARE` characters more, pictures apart.
Where markup would outweigh that, what only adorns goes first: tables of arguments that stand in a card's line already,
colours of code, then boxes and folding, and at last all structure. No text stands in it twice: of a long one the first
lines stand before the fold, and the others in it.
Below: `document`, `markdown`, `media`, `flat`, `arguments`. Above: `transcript`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from nbagent.plaintext import plain
from nbagent.widgets import arguments, media, words
from nbagent.widgets.assets import asset
from nbagent.widgets.blocks import Block, Card, Drawn, Footer, Group, Heading, Note, Prompt, Question, Reasoning, Text
from nbagent.widgets.document import Document
from nbagent.widgets.flat import asked, ended, facts, flat, said_in
from nbagent.widgets.inert import escaped, fenced
from nbagent.widgets.markdown import lean, safe_markdown
from nbagent.widgets.plain import LONG, abridged, terminal
from nbagent.widgets.wire import result, thinking

_OPEN_LINES = 15
PROMPT_LINES = 8
"""Lines of a long prompt that are not folded."""
_FIRST_LINES, _FIRST = 12, 3000
"""Lines, and characters, of a long output that are not folded."""
_SHORT_GROUP = 1500
"""Characters of a nested agent's part that is not folded."""
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
    for richness in (_WHOLE, _RICH, _THRIFTY, _SLIM):
        writer = _Writer(richness)
        form = _wrapped(writer.children(document.root) + _html_footer(document.footer))
        if _fits(form, said, len(pictures)):
            return form
    return _wrapped(f"<pre>{_bare(said)}</pre>{pictures}")


def _wrapped(inside: str) -> str:
    style = f"<style>{asset('twin.css')}</style>"
    return f'<div class="nba-s mathjax_ignore tex2jax_ignore">{style}{_PRE.sub(_reachable, inside)}</div>'


_PRE = re.compile(r"<pre([^>]*)>(.*?)</pre>", re.DOTALL)
_TALL, _BROAD = 12, 45
"""Lines, and characters of one, that a narrow column shows without scrolling."""


def _reachable(found: re.Match[str]) -> str:
    """What may scroll can be reached by the keyboard; not all of it, or each would be a stop of the Tab key."""
    how, text = found.groups()
    lines = text.split("\n")
    broad = "nba-code" in how and any(len(line) > _BROAD for line in lines)
    scrolls = len(lines) > _TALL or len(text) > _TALL * _BROAD or broad
    return f"<pre tabindex=0{how}>{text}</pre>" if scrolls else found[0]


def _bare(text: str) -> str:
    """Text as HTML, with no more escapes than it needs: what cannot begin a tag or a character's name stays."""
    return _BEGINS.sub(lambda found: "&amp;" if found[0] == "&" else "&lt;", text)


_BEGINS = re.compile(r"""[&<](?![&<>"=\d\n])""")
"""All but what every parser of HTML takes for a sign of the text."""


def _pictures(group: Group) -> Iterator[str]:
    for block in group.children:
        if isinstance(block, Group):
            yield from _pictures(block)
        elif isinstance(block, Card):
            yield from (media.as_html(shown) for shown in block.displays if media.is_picture(shown))
        elif isinstance(block, Drawn) and media.is_picture(block.bundle):
            yield media.as_html(block.bundle)


_WHOLE, _RICH, _THRIFTY, _SLIM = 3, 2, 1, 0
_TYPESET = 'class="nba-math mathjax_process tex2jax_process"'
"""What has the page's own renderer typeset a formula, and in the whole transcript nothing else."""
_OPTIONAL = re.compile(r"</(?:p|li|td|th|tr|thead|tbody)>")
"""Ends that HTML implies, in all that markdown makes."""


class _Writer:
    """Writes blocks as HTML.

    Whole; rich, without tables that say no more than their card's line; thrifty, where adornment outweighs a text; or
    slim, without boxes and folding.
    """

    def __init__(self, richness: int) -> None:
        self._richness = richness

    def children(self, group: Group) -> str:
        """The blocks of a group, in order."""
        written: list[str] = []
        for row in _rows(group):
            inside = "".join(map(self._block, row))
            written.append(f'<div class="r">{inside}</div>' if len(row) > 1 and self._richness else inside)
        return "".join(written)

    def _block(self, block: Block) -> str:
        match block:
            case Heading():
                return f'<div class="w"><b>{_text(block.text)}</b></div>'
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
                sign, told = _NOTE_SIGNS[block.level], _text(block.text)
                return f'<div class="{level}"{_direction(block.text)}>{sign} {told}{next_step}</div>'
            case Group():
                return self._group(block)
            case _:
                return ""

    def _text(self, block: Text) -> str:
        """The HTML of a text; where markup outweighs it, without what only adorns, and at last as it was written."""
        source, rendered = block.source.text, block.rendered.whole(block.source.text)
        rendered = rendered.replace('class="nba-math"', _TYPESET)
        if self._richness >= _RICH:
            return _OPENING.sub(r'<\1 dir="auto"', rendered) if _RIGHT_TO_LEFT.search(source) else rendered
        most = _MARKUP * len(source)
        if len(rendered) > most or self._richness == _SLIM:
            rendered = _OPTIONAL.sub("", lean(rendered))
        return rendered if len(rendered) <= most else _pre(plain(source))

    def _group(self, group: Group) -> str:
        """A nested agent's part: folded where it went well and is long."""
        if not self._richness:
            return f'<div class="u"><div class="w">{_text(ended(group))}</div>{self.children(group)}</div>'
        head = f"{_text(group.label)} {_state(group.tone, group.word)}"
        opened = "" if group.tone == "ok" and len(said_in(group)) > _SHORT_GROUP else " open"
        return f'<details class="u"{opened}><summary>{head}</summary>{self.children(group)}</details>'

    def _card(self, card: Card) -> str:
        line = f" <i>{_text(words.summary(card.arguments))}</i>" if card.arguments else ""
        head = f"<b>{_text(card.name)}</b>{line} {_state(card.tone, card.word)}"
        said = result(card)
        parts = [self._arguments(card), _folded(plain(card.output.text), card.output.cut)]
        parts += [media.as_html(shown) for shown in card.displays]
        parts += [_folded(said, card.result.cut), _cut(card.result.cut or card.output.cut)]
        short = said.count("\n") < _OPEN_LINES and len(said) < 2000
        opened = " open" if card.tone == "bad" or card.displays or (card.output.shown and short) else ""
        return f'<details class="d"{opened}><summary>{head}</summary>{"".join(parts)}</details>'

    def _arguments(self, card: Card) -> str:
        if self._richness != _WHOLE and not arguments.is_cut(card.arguments):
            return ""
        rows = "".join(
            f"<tr><th>{escape(name, quote=False)}<td{_direction(value)}>{escape(value, quote=False)}"
            for name, value in arguments.rows(card.arguments)
        )
        return f"<table>{rows}</table>" if rows else _pre(arguments.written(card.arguments))


def _rows(group: Group) -> Iterator[list[Block]]:
    """The blocks of a group, in order; calls that ran at the same time together."""
    row: list[Block] = []
    for block in group.children:
        if row and not (isinstance(block, Card) and block.row == row[0].id):
            yield row
            row = []
        row.append(block)
    if row:
        yield row


def _state(tone: str, word: str) -> str:
    opening = '<em class="e">' if tone == "bad" else "<em>"
    return f"{opening}{words.SIGNS[tone]} {_text(word)}</em>"


def _folded(value: str, cut: str) -> str:
    """Text as it is; of many lines the first ones, and the others folded below them."""
    lines = value.rstrip("\n").split("\n")
    kept = _FIRST_LINES
    while kept and sum(map(len, lines[:kept])) > _FIRST:
        kept -= 1
    if not kept or (len(lines) <= _FIRST_LINES + 3 and len(value) <= _FIRST):
        return _pre(value)
    label = f"Show {'the first' if cut else 'all'} {len(lines):,} lines"
    first, rest = _pre("\n".join(lines[:kept])), _pre("\n".join(lines[kept:]))
    return f"{first}<details><summary>{label}</summary>{rest}</details>"


def _html_slim_card(card: Card) -> str:
    """A card as a line and what it said: a thousand of them weigh little."""
    line = f" {_text(words.summary(card.arguments))}" if card.arguments else ""
    head = f"<div>{words.SIGNS[card.tone]} <b>{_text(card.name)}</b>{line} {card.word}</div>"
    bodies = [arguments.in_full(card.arguments), plain(card.output.text)]
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
    return f"<pre{_direction(value)}>{escape(value, quote=False)}</pre>" if value.strip() else ""


def _direction(text: str) -> str:
    """What makes a page find the direction of a text that holds words written from right to left."""
    return ' dir="auto"' if _RIGHT_TO_LEFT.search(text) else ""


_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_OPENING = re.compile(r"<(p|li|h[1-6]|td|th|blockquote|ul|ol)(?=[ >])")


def _cut(line: str) -> str:
    return f'<div class="i">{_text(line)}</div>' if line else ""


# ---------------------------------------------------------------- text/markdown


def as_markdown(document: Document, said: str | None = None) -> str:
    """The transcript as markdown that is harmless also where it is trusted; in a fence, where escapes outweigh it."""
    said = flat(document) if said is None else said
    foot = ["---", "*" + " · ".join(map(_line, facts(document.footer))) + "*"]
    for tables in (True, False):
        form = "\n\n".join([*_markdown_children(document.root, tables), *foot]) + "\n"
        if _fits(form, said):
            return form
    return fenced(said) + "\n"


def _markdown_children(group: Group, tables: bool) -> list[str]:
    return [part for block in group.children for part in _markdown(block, tables) if part.strip()]


def _markdown(block: Block, tables: bool) -> list[str]:
    match block:
        case Heading():
            return [f"**{_line(block.text)}**"]
        case Prompt():
            return [_quoted(escaped(plain(block.text))), escaped(", ".join(map(plain, block.attached)))]
        case Drawn():
            return [escaped(media.as_text(block.bundle))]
        case Text():
            return [safe_markdown(block.source.text).strip("\n"), escaped(block.source.cut)]
        case Reasoning():
            return [f"*{thinking(block)}*"]
        case Card():
            return _markdown_card(block, tables)
        case Question():
            note = f" ({_line(block.note)})" if block.note else ""
            return [f"{_line(asked(block))} {words.SIGNS[block.tone]} {block.word}{note}"]
        case Note():
            return [f"{_NOTE_SIGNS[block.level]} {_line(block.text)} {_line(block.next)}".strip()]
        case Group():
            head = f"**{_line(block.label)}** {words.SIGNS[block.tone]} {_line(block.word)}"
            return [_quoted("\n\n".join([head, *_markdown_children(block, tables)]))]
        case _:
            return []


def _markdown_card(card: Card, tables: bool) -> list[str]:
    line = f" ({_line(words.summary(card.arguments))})" if card.arguments else ""
    head = f"**{_line(card.name)}**{line} {words.SIGNS[card.tone]} {card.word}"
    rows = arguments.rows(card.arguments) if tables else []
    table = _markdown_table(rows)
    shown = [media.as_text(bundle) for bundle in card.displays]
    full = "" if table else arguments.in_full(card.arguments)
    bodies = [full, plain(card.output.text), *shown, result(card)]
    cut = escaped(card.result.cut or card.output.cut)
    return [head, table, *(fenced(body) for body in bodies if body.strip()), cut]


def _markdown_table(rows: list[tuple[str, str]]) -> str:
    """Arguments as a table; nothing where a value does not fit in one of its lines."""
    if not rows or any("\n" in value or len(value) > _CELL for _, value in rows):
        return ""
    lines = [f"| {_line(name)} | {_line(value)} |" for name, value in rows]
    return "\n".join(["| argument | value |", "|---|---|", *lines])


_CELL = 200
"""Characters of an argument that stands in a markdown table."""


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _line(text: str) -> str:
    return escaped(" ".join(plain(text).split()))
