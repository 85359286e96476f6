"""HTML as a model reads it: markdown, or text alone.

markdownify does the work. A page may be made to be hard on whoever reads it (nested a thousand deep): then it is read
as plainly as can be. Runs on a thread, where a long one holds nothing.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import StringIO

_UNSEEN = {"script", "style", "noscript", "template", "svg", "title"}
_INLINE = {
    "a", "abbr", "b", "bdi", "code", "em", "i", "img", "kbd", "mark", "q", "s", "small", "span", "strong", "sub", "sup",
}  # fmt: skip
_XML = re.compile(r"^\s*<\?xml[^>]*\?>")
_BLANK = re.compile(r"[ \t]*\n(?:[ \t]*\n)+")


def as_markdown(page: str) -> str:
    """The page as markdown; pictures by their text alone, where their address is the picture itself."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    try:
        soup = BeautifulSoup(StringIO(_XML.sub("", page)), "html.parser")  # as a file: no guess whether it is a name
        for tag in soup.find_all([*_UNSEEN]):
            tag.decompose()
        for tag in soup.find_all("img", src=re.compile(r"^\s*data:", re.IGNORECASE)):
            tag["src"] = ""
        converter = MarkdownConverter(heading_style="ATX")
        return _tidy(converter.convert_soup(soup))
    except RecursionError:
        return as_text(page)


def as_text(page: str) -> str:
    """The words of the page."""
    words = _Words()
    words.feed(page)
    words.close()
    return _tidy("".join(words.found))


def _tidy(text: str) -> str:
    return _BLANK.sub("\n\n", text).strip()


class _Words(HTMLParser):
    """Gathers what is seen; a block begins a line of its own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._hidden = ""
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth:
            self._depth += tag == self._hidden
        elif tag in _UNSEEN:
            self._hidden, self._depth = tag, 1
        elif tag not in _INLINE:
            self.found.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._depth and tag not in _INLINE:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._depth:
            self._depth -= tag == self._hidden
        elif tag not in _INLINE:
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._depth:
            self.found.append(re.sub(r"\s+", " ", data))
