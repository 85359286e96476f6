"""The patterns of rules and approvals: which calls they speak of.

    tool                        calls of the tools whose name fits the glob
    tool:argument=glob[:…]      of these, the calls whose argument fits; several arguments must all fit
    mcp:server:tool[:…]         the tools of an MCP server, by its name and their own names there

Above `globs`; `nbagent.permissions` asks. A pattern that grants something reads a call carefully: its wildcards take
nothing in an argument that a shell would act on, and no ``..``. A pattern that denies or asks takes all that could be
meant: also a tool's own name where the model calls it by another, the default of an argument that is left out, and the
value that a tool makes of an argument (``"yes"``, where it takes a boolean).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from nbagent.errors import ConfigError
from nbagent.permissions.globs import SHELL, Glob, class_end, quoted
from nbagent.ports import Tool

_ARGUMENT = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
_SPELLINGS = "write 'tool', 'tool:argument=value' or 'mcp:server:tool', where * stands for any text"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, read.

    Parameters
    ----------
    text
        As it was written.
    tool
        The tool's name.
    server
        For ``mcp:…``: the toolset's name.
    arguments
        What the arguments must be.
    """

    text: str
    tool: Glob
    server: Glob | None
    arguments: tuple[tuple[str, Glob], ...]

    def grants(self, tool: Tool, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether it covers this call for certain; `name` is how the model calls the tool."""
        if self.server is None:
            named = self.tool.matches(name)
        else:
            named = _is_mcp(tool) and self.server.matches(tool.toolset) and self.tool.matches(own_name(tool))
        return named and self._fit(tool, arguments, careful=True)

    def concerns(self, tool: Tool, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether it may be meant for this call."""
        names = {name, tool.spec.name, own_name(tool)}
        from_there = self.server is None or (bool(tool.toolset) and self.server.matches(tool.toolset))
        return from_there and any(map(self.tool.matches, names)) and self._fit(tool, arguments, careful=False)

    def _fit(self, tool: Tool, arguments: Mapping[str, Any], *, careful: bool) -> bool:
        if not self.arguments:
            return True
        readings = [arguments] if careful else [arguments, _meant(tool, arguments)]
        return all(
            any(_takes(glob, read[key] if key in read else _default(tool, key), careful) for read in readings)
            for key, glob in self.arguments
        )


_MISSING = object()


def _takes(glob: Glob, value: Any, careful: bool) -> bool:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    unsafe = SHELL if isinstance(value, str) else SHELL - {"{", "}"}
    return value is not _MISSING and glob.matches(text, unsafe if careful else frozenset())


def _meant(tool: Tool, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments as the tool will read them: one that takes a boolean takes ``"yes"`` too."""
    converted: Any = getattr(tool, "meant", None)
    meant = arguments if converted is None else converted(arguments)
    whole = {key: int(value) for key, value in meant.items() if isinstance(value, float) and value.is_integer()}
    return {**meant, **whole}


def _default(tool: Tool, key: str) -> Any:
    properties = tool.spec.parameters.get("properties")
    if not isinstance(properties, Mapping):
        return _MISSING
    field = cast("Mapping[str, Any]", properties).get(key)
    return cast("Mapping[str, Any]", field).get("default", _MISSING) if isinstance(field, Mapping) else _MISSING


def _is_mcp(tool: Tool) -> bool:
    return bool(tool.toolset) and getattr(tool, "kind", "") == "mcp"


def own_name(tool: Tool) -> str:
    """The tool's name on its server, where that is another than the model's."""
    name = getattr(tool, "own_name", "")
    return name if isinstance(name, str) and name else tool.spec.name


def read(text: str) -> Pattern:
    """The pattern that is written as `text`.

    Raises
    ------
    ConfigError
        It is none.

    Examples
    --------
    >>> read("shell:cmd=ls*").arguments[0][0]
    'cmd'
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"the permission {text!r} is no text: {_SPELLINGS}")
    return _read(text)


@lru_cache(maxsize=1024)
def _read(text: str) -> Pattern:
    server: Glob | None = None
    named, *rest = _split(text)
    if named == "mcp" and rest and not _ARGUMENT.fullmatch(rest[0]):
        server, named, rest = Glob(rest[0]), "".join(rest[1:2]), rest[2:]
    if not named.strip() or "=" in re.sub(r"\[=\]", "", named) or (server is not None and not server.text.strip()):
        raise ConfigError(f"the permission {text!r} cannot be read: {_SPELLINGS}")
    return Pattern(text, Glob(named), server, tuple(_arguments(text, rest)))


def _arguments(text: str, parts: list[str]) -> Iterator[tuple[str, Glob]]:
    """The arguments of a pattern; a colon that begins no argument belongs to the value before it."""
    found: list[list[str]] = []
    for part in parts:
        match = _ARGUMENT.fullmatch(part)
        if match is not None:
            found.append([match[1], match[2]])
        elif found:
            found[-1][1] += f":{part}"
        else:
            raise ConfigError(f"the permission {text!r} cannot be read: {_SPELLINGS}")
    return ((name, Glob(glob)) for name, glob in found)


def _split(text: str) -> list[str]:
    """The text between colons, those in brackets aside."""
    parts, begun, index = list[str](), 0, 0
    while index < len(text):
        if text[index] == "[":
            index = max(class_end(text, index), index)
        elif text[index] == ":":
            parts.append(text[begun:index])
            begun = index + 1
        index += 1
    return [*parts, text[begun:]]


def spelled(tool: Tool, name: str) -> str:
    """The pattern for every call of this tool, and of no other."""
    if _is_mcp(tool):
        return f"mcp:{exactly(tool.toolset)}:{exactly(own_name(tool))}"
    return exactly(name)


def exactly(name: str) -> str:
    """The pattern for the tool of this name alone, whatever characters a server put into it."""
    return quoted(name).replace(":", "[:]").replace("=", "[=]")


def with_argument(pattern: str, argument: str, glob: str) -> str:
    """The pattern narrowed to an argument; ``""`` where the argument's name cannot be written."""
    if not _ARGUMENT.fullmatch(f"{argument}="):
        return ""
    return f"{pattern}:{argument}=" + re.sub(r":(?=[A-Za-z_][\w.-]*=)", "[:]", glob)
