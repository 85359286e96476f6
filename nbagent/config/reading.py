"""The text of a file as plain data, and where in the text each value stands.

The one door to PyYAML here. Only its scanner and composer are used: nodes become dicts, lists, texts, numbers, booleans
and None by the rules of YAML 1.2 (``on`` and ``2024-01-01`` are texts), so that no tag can make anything else. Keys
are texts; null is as good as absent.

It guarantees: whatever the bytes are, reading ends within bounds and everything wrong is a `Problem`. A file has at
most `LARGEST` bytes and, its aliases written out, `MOST` values; a key stands in a mapping once; nesting has `DEEPEST`
levels.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from nbagent.config.problems import Place, Report

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, ScalarNode

LARGEST = 500_000
"""Bytes that a file may have."""
MOST = 20_000
"""Values that a file may hold, those that aliases repeat counted each time."""
DEEPEST = 60
"""Levels that it may be nested."""

_TAG = "tag:yaml.org,2002:"
_PLAIN = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    "merge": (r"<<", "<"),
}


_TOO_MANY = f"the file holds more than {MOST:,} values; aliases count each time"
_TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"


class _Beyond(Exception):
    """The document is beyond its bounds: why, and where."""


class _Refused(Exception):
    """The document is beyond its bounds; it has been reported."""


def read(report: Report) -> dict[str, Any]:
    """The document in the report's file; what is wrong with it is in the report then."""
    text = _text(report)
    if text is None:
        return {}
    node = _composed(text, report)
    if node is None:
        return {}
    try:
        data = _Data(report).value(node, ())
    except _Refused:
        return {}
    if not isinstance(data, dict):
        report.error((), "the file is no mapping; it begins with keys such as agents: and models:")
        return {}
    return cast("dict[str, Any]", data)


def _text(report: Report) -> str | None:
    report.read.append(report.file)
    try:
        with open(report.file, "rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            report.error((), f"the file has more than {LARGEST:,} bytes")
            return None
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        report.at(before.count(b"\n") + 1, len(before) - before.rfind(b"\n"), "this is not UTF-8")
    except (OSError, ValueError) as error:
        report.error((), f"it cannot be read: {getattr(error, 'strerror', None) or error}")
    return None


@cache
def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Resolves plain scalars as YAML 1.2 does, and stops where a document is beyond its bounds.

        Here, since the scanner of a document that is merely refused afterwards takes a minute for a megabyte.
        """

        yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012
        nodes = depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.nodes += 1
            self.depth += 1
            if self.depth > DEEPEST + 1 or self.nodes > 2 * MOST:  # each value has a key at most
                words = _TOO_DEEP if self.depth > DEEPEST + 1 else _TOO_MANY
                raise _Beyond(words, cast("Any", self).peek_event().start_mark)
            try:
                return cast("Any", super()).compose_node(parent, index)
            finally:
                self.depth -= 1

    for name, (pattern, first) in _PLAIN.items():
        cast("Any", Loader).add_implicit_resolver(
            _TAG + name, re.compile(f"(?:{pattern})\\Z"), ["" if c == "\0" else c for c in first]
        )
    return Loader


def plain_data(text: str) -> Any:
    """YAML of any other kind as data, by the same rules for scalars and within the same bounds.

    Raises
    ------
    ValueError
        It is not YAML, or is beyond the bounds; the message says where.
    """
    import yaml

    try:
        return cast("Any", yaml).load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {error}") from None
    except _Beyond as beyond:
        words, mark = beyond.args
        raise ValueError(f"line {mark.line + 1}: {words}") from None


def _composed(text: str, report: Report) -> Node | None:
    import yaml

    try:
        return cast("Any", yaml).compose(text, Loader=_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        line, column = (mark.line + 1, mark.column + 1) if mark else _position(text, getattr(error, "position", 0))
        report.at(line, column, f"this is not YAML: {problem}")
    except _Beyond as beyond:
        words, mark = beyond.args
        report.at(mark.line + 1, mark.column + 1, words)
    except (ValueError, OverflowError) as error:  # an escape or a directive with a number beyond all bounds
        report.error((), f"this is not YAML: {type(error).__name__}")
    return None


def _position(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@dataclass(slots=True)
class _Data:
    """Makes data of nodes."""

    report: Report
    count: int = 0
    open: list[int] = field(default_factory=list[int])
    """The nodes that are being read; one that comes again within itself has no end."""

    def value(self, node: Node, place: Place) -> Any:
        import yaml

        self.report.marks[place] = _mark(node)
        self._bound(node, place)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            self.report.error(place, f"the tag {node.tag[:80]!r} is not allowed here: a file is data")
            return None
        self.open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, place)
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        finally:
            self.open.pop()

    def _bound(self, node: Node, place: Place) -> None:
        self.count += 1
        if id(node) in self.open:
            self.report.error(place, "an alias stands within what it names, so this has no end")
        elif self.count > MOST:
            self.report.error((), _TOO_MANY)
        elif len(self.open) > DEEPEST:
            self.report.error(place, _TOO_DEEP)
        else:
            return
        raise _Refused

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        import yaml

        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        pairs: Any = node.value
        for key, value in pairs:
            if not isinstance(key, yaml.ScalarNode):
                self.report.error(place, "a key is a text, and here it is a list or a mapping")
            elif key.tag == _TAG + "merge":
                merged = self._merged(value, place) | merged
            else:
                self._pair(self._text(str(key.value), place), key, value, place, found)
        whole = {name: value for name, value in (merged | found).items() if value is not None}
        self.report.mappings[id(whole)] = place
        return whole

    def _pair(self, name: str, key: Node, value: Node, place: Place, found: dict[str, Any]) -> None:
        here = (*place, name)
        if name in found:
            mark = self.report.keys[here]
            self.report.keys[here] = _mark(key)
            self.report.error(here, f"this key stands a second time in the same mapping, first in line {mark[0]}")
        else:
            self.report.keys[here] = _mark(key)
            found[name] = self.value(value, here)

    def _merged(self, node: Node, place: Place) -> dict[str, Any]:
        """What ``<<`` brings: a mapping, or several, of which the first wins."""
        mark = self.report.marks[place]
        given = self.value(node, place)
        self.report.marks[place] = mark
        several: list[Any] = cast("list[Any]", given) if isinstance(given, list) else [given]
        merged: dict[str, Any] = {}
        for one in several:
            if not isinstance(one, dict):
                self.report.error(place, "<< takes a mapping, by an alias such as *defaults")
                return {}
            merged = cast("dict[str, Any]", one) | merged
        return merged

    def _scalar(self, node: ScalarNode, place: Place) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        match kind:
            case "str" | "merge":
                return self._text(text, place)
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" | "float" if (number := _number(text, kind)) is not None:
                return number
            case "int" | "float" | "bool":
                self.report.error(place, f"{text[:40]!r} is no {kind}")
            case _:
                self.report.error(place, f"the tag {node.tag[:80]!r} is not allowed here: a file is data")
        return None

    def _text(self, text: str, place: Place) -> str:
        """The text; the two halves of a character, as JSON escapes them, are one."""
        if "\0" in text:
            self.report.error(place, "a NUL character is not allowed here")
        try:
            return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.report.error(place, "there is half of a character here")
            return ""


def _number(text: str, kind: str) -> int | float | None:
    try:
        if kind == "float":
            return number if math.isfinite(number := float(text)) else None
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    except (ValueError, OverflowError):
        return None


def _mark(node: Node) -> tuple[int, int]:
    mark: Any = node.start_mark
    return (mark.line + 1, mark.column + 1)
