"""Markdown of a model becomes HTML that is safe to show, one finished block at a time.

Model output is untrusted, and what nbagent displays counts as trusted in Jupyter. So raw HTML in markdown is shown as
text, remote images become their URL as text (loading one could carry a secret out; see `images`), links open nothing
but http, https and mailto, and all HTML, this module's own included, passes nh3 with no style, no id, no data attribute
and no class but those that highlighting needs. The one door to markdown-it-py, pygments and nh3.

A growing text is cut where a block is certainly over (`splitter`), so that each block is rendered once.
Below: `plaintext`, `splitter`, `formulas`, `images`, `inert`. Above: `blocks`, `media`, `wire`, `static`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from nbagent.plaintext import plain
from nbagent.widgets import formulas
from nbagent.widgets.images import shown
from nbagent.widgets.inert import escaped, fenced, sets_signs, texless
from nbagent.widgets.splitter import Splitter

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

BLOCK_LIMIT = 50_000
"""A block of more characters is shown as plain text: no parser should meet it."""

BRACKETS = 200
"""Brackets that a block may have open at once; the parser's time grows with their square."""

_SCHEMES = frozenset({"http", "https", "mailto"})
_TAG_NAMES = """
    a b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i ins kbd li mark ol
    p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var
"""
_TAGS = set(_TAG_NAMES.split())
_ATTRIBUTES: dict[str, set[str]] = {
    "a": {"href", "title"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "ol": {"start"},
}
_TOKEN_CLASSES = {"k", "s", "c", "m", "f", "b", "gd", "gi"}
_CLASSES = {"span": {*_TOKEN_CLASSES, "nba-img"}, "pre": {"nba-code"}}
_OWN_CLASSES = _CLASSES | {"span": {*_CLASSES["span"], "nba-math"}, "div": {"nba-math"}}


def sanitise(fragment: str) -> str:
    """The harmless part of an HTML fragment, its tags balanced."""
    return _clean(fragment, _CLASSES)


def _clean(fragment: str, classes: dict[str, set[str]]) -> str:
    import nh3

    return nh3.clean(
        plain(fragment),
        tags=_TAGS,
        clean_content_tags={"script", "style", "iframe", "object", "embed", "template", "noscript", "svg", "math"},
        attributes=_ATTRIBUTES,
        allowed_classes=classes,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        generic_attribute_prefixes=set(),
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        link_rel="noopener noreferrer",
        strip_comments=True,
    )


def safe_url(url: str) -> str | None:
    """`url` where following it is harmless, with https in front of ``//host``; else None."""
    url = plain(url).strip()
    if url.startswith("//"):
        return "https:" + url
    scheme, colon, _ = url.partition(":")
    return url if colon and scheme.lower() in _SCHEMES else None


# ---------------------------------------------------------------- rendering


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "linkify": True, "maxNesting": 100})
    parser.enable(["table", "strikethrough", "linkify"])
    if parser.linkify is not None:
        linkify: Any = parser.linkify
        linkify.set({"fuzzy_link": False, "fuzzy_email": False})
        linkify.pretest = _may_link  # its own looks at length for what is switched off
    parser.validateLink = lambda url: True  # the renderer decides, so that a bad link keeps its text
    parser.inline.ruler.before("html_inline", "line_break", _line_break)
    formulas.install(parser)
    rules = {"image": _image, "link_open": _link_open, "fence": _fence, "code_block": _fence}
    rules |= {"formula": _formula, "formula_block": _formula}
    for name, rule in (rules | {"th_open": _cell_open, "td_open": _cell_open}).items():
        parser.add_render_rule(name, rule)
    return parser


def _may_link(text: str) -> bool:
    """Whether an address with a scheme, or one that begins with two slashes, can stand in the text."""
    return ":" in text or "//" in text


_BR = re.compile(r"<br\s*/?>", re.IGNORECASE)


def _line_break(state: StateInline, silent: bool) -> bool:
    """`<br>` breaks the line, as models write in tables; it is the one tag that markdown may hold."""
    match = _BR.match(state.src, state.pos)
    if match is None:
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos = match.end()
    return True


def _image(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    source = str(token.attrGet("src") or "")
    words = html.escape(plain(token.content or "image"))
    url = safe_url(source)
    if url is None:
        shown = "embedded data" if source.lstrip().lower().startswith("data:") else html.escape(plain(source, 500))
        return f'<span class="nba-img">image: {words} ({shown})</span>'
    url = html.escape(url)
    return f'<span class="nba-img">image: {words} <a href="{url}">{url}</a></span>'


def _link_open(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    url = safe_url(str(tokens[index].attrGet("href") or ""))
    return f'<a href="{html.escape(url)}">' if url else "<a>"


def _cell_open(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    _, _, side = str(tokens[index].attrGet("style") or "").partition("text-align:")
    return f'<{tokens[index].tag} align="{side}">' if side else f"<{tokens[index].tag}>"


def _fence(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    return f'<pre class="nba-code"><code>{highlight(token.content, language)}</code></pre>'


def _formula(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A formula as it was written, for the page's renderer where its commands only set signs; else as code."""
    token = tokens[index]
    written, block = html.escape(token.content, quote=False), token.type == "formula_block"
    if sets_signs(formulas.tex(token.content)):
        return f'<{token.tag} class="nba-math">{written}</{token.tag}>' + "\n" * block
    return f'<pre class="nba-code"><code>{written}</code></pre>\n' if block else f"<code>{written}</code>"


def render(source: str, env: dict[str, Any] | None = None) -> str:
    """Safe HTML of markdown.

    Parameters
    ----------
    source
        Markdown, from anyone.
    env
        Holds the link definitions met so far; hand the same one to the blocks of one text.
    """
    source = plain(source)
    if len(source) > BLOCK_LIMIT or _open_brackets(source) > BRACKETS:
        return f'<pre class="nba-code">{html.escape(source)}</pre>'
    safe = _clean(_parser().render(source, {} if env is None else env), _OWN_CLASSES)
    return shown(_BETWEEN.sub(r"\1", safe).rstrip("\n"))


def _open_brackets(text: str) -> int:
    """The most brackets that are open at once, a little too high where code or escapes hold some."""
    depth = most = 0
    for match in _BRACKET.finditer(text):
        depth = depth + 1 if match[0] == "[" else max(depth - 1, 0)
        most = max(most, depth)
    return most


_BRACKET = re.compile(r"[\[\]]")
_BETWEEN = re.compile(r"(</?(?:table|thead|tbody|tr|th|td|ul|ol|li|p|h[1-6]|blockquote|pre|hr|br|div)\b[^>]*>)\n")
"""Line feeds that mean nothing; in code no such tag stands unescaped."""


# ---------------------------------------------------------------- highlighting


@cache
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@cache
def _token_class(kind: Any) -> str:
    from pygments.token import Token

    families = (
        (Token.Comment, "c"), (Token.Keyword, "k"), (Token.Operator.Word, "k"), (Token.Literal.String, "s"),
        (Token.Literal.Number, "m"), (Token.Name.Function, "f"), (Token.Name.Class, "f"), (Token.Name.Tag, "k"),
        (Token.Name.Builtin, "b"), (Token.Name.Decorator, "b"), (Token.Generic.Deleted, "gd"),
        (Token.Generic.Inserted, "gi"),
    )  # fmt: skip
    return next((name for family, name in families if kind in family), "")


def highlight(code: str, language: str) -> str:
    """Escaped HTML of code, with spans of few classes for what its language makes stand out."""
    code = plain(code)
    lexer = _lexer(language.lower()) if language and len(code) <= BLOCK_LIMIT else None
    if lexer is None:
        return html.escape(code, quote=False)
    runs: list[tuple[str, str]] = []
    for kind, value in lexer.get_tokens(code):
        name = _token_class(kind)
        if runs and (runs[-1][0] == name or not value.strip()):
            runs[-1] = (runs[-1][0], runs[-1][1] + value)
        else:
            runs.append((name, value))
    escaped = ((name, html.escape(value, quote=False)) for name, value in runs)
    return "".join(f'<span class="{name}">{value}</span>' if name else value for name, value in escaped)


_ADORNED = re.compile(
    r'<span class="(?:k|s|c|m|f|b|gd|gi|nba-math[ \w]*)">([^<]*)</span>| target="_blank" rel="noopener noreferrer"'
)


def lean(rendered: str) -> str:
    """HTML of `render` without the colours of code and what opens links elsewhere: text and sense stay."""
    return _ADORNED.sub(r"\1", rendered)


# ---------------------------------------------------------------- growing text


class Rendered:
    """The safe HTML of a growing text: each block is rendered once, when it is over.

    Attributes
    ----------
    pieces
        The HTML of the finished blocks.
    """

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._env: dict[str, Any] = {}
        self._splitter = Splitter()
        self._fed = 0

    @property
    def tail(self) -> str:
        """The text of the block that is still open."""
        return plain(self._splitter.tail)

    @property
    def in_code(self) -> bool:
        """Whether the open block is code."""
        return self._splitter.in_code

    @property
    def refers(self) -> bool:
        """Whether the text defines links, which blocks before the definition could not know."""
        return bool(self._env.get("references"))

    def advance(self, source: str, done: bool) -> None:
        """Take what `source` gained since the last time; with `done`, nothing follows."""
        finished = self._splitter.feed(source[self._fed :])
        self._fed = len(source)
        if done:
            finished += self._splitter.close()
        self.pieces += [self._render(blocks) for blocks in _together(finished)]

    def _render(self, blocks: list[str]) -> str:
        """The HTML of blocks that finished together, made in one go: a parser and a sanitiser cost by the call."""
        joint = "".join(blocks)
        if len(blocks) > 1 and _open_brackets(joint) > BRACKETS:  # of one block alone, `render` knows what to do
            return "".join(render(block, self._env) for block in blocks)
        return render(joint, self._env)

    def whole(self, source: str) -> str:
        """The HTML of all of `source`, its link definitions known from the start."""
        return render(source, self._env) if self.refers else "".join(self.pieces) + (render(self.tail, self._env))


def _together(blocks: Sequence[str]) -> list[list[str]]:
    """The blocks in order, in groups that are not too long."""
    groups: list[list[str]] = []
    length = _GROUP
    for block in blocks:
        length += len(block)
        if length > _GROUP:
            groups.append([])
            length = len(block)
        groups[-1].append(block)
    return groups


_GROUP = 8000
"""Characters that are rendered in one go, unless a single block has more."""


def safe_markdown(source: str) -> str:
    """Markdown that is harmless in a front end that trusts it: a block that holds more than safe links is escaped.

    Raw HTML, images, unsafe links and link definitions (they could complete a link elsewhere) count as more. A long one
    is put into a fence instead, as is any that is too long for a parser: a front end may have a slow one.
    """
    splitter = Splitter()
    blocks = splitter.feed(plain(source)) + splitter.close()
    return "\n\n".join(_safe(block).strip("\n") for block in blocks)


def _safe(block: str) -> str:
    if len(block) <= BLOCK_LIMIT and _harmless(block):
        return texless(block)
    return escaped(block) if len(block) <= _ESCAPED else fenced(block)


_ESCAPED = 4000
"""A block of more characters is not escaped sign by sign: JupyterLab reads it for headings, in quadratic time."""


def _harmless(block: str) -> bool:
    if "<" not in (rest := _PLAIN_LINK.sub("", block)) and "[" not in rest:  # nothing that acts can do without
        return True
    if len(block) > BLOCK_LIMIT or _open_brackets(block) > BRACKETS:
        return False
    env: dict[str, Any] = {}
    tokens = _raw_parser().parse(block, env)
    inline = [child for token in tokens for child in token.children or []]
    active = {"html_block", "html_inline", "image"}
    if env.get("references") or any(token.type in active for token in [*tokens, *inline]):
        return False
    links = [str(token.attrGet("href") or "") for token in inline if token.type == "link_open"]
    return all(safe_url(link) == link for link in links) and not _LOOSE.search(block)


_PLAIN_LINK = re.compile(r"(?<![!\\\]])\[[\w ,.;-]+\]\(https?://[\w.~/%?=-]+\)")
"""A link as most are, which no dialect reads as anything else."""

_LOOSE = re.compile(r"\]\s*:|!\[|commandlinker|\]\s*\(\s*<?\s*(?!https?:|mailto:)[a-z]*[&:]", re.IGNORECASE)
"""What another markdown dialect might read as more than we do."""


@cache
def _raw_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = lambda url: True
    return parser
