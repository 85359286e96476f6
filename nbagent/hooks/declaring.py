"""How hooks are declared: functions by hook point, some of them only for certain tools; checked once.

Above `points`; `agent` checks a declaration by it, and the runtime asks it which hooks a call is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nbagent.errors import ConfigError
from nbagent.hooks.points import POINTS, TOOL_POINTS, Hook


@dataclass(frozen=True, slots=True)
class Matching:
    """Hooks for the tools whose names fit a regular expression; made by `matching`."""

    pattern: re.Pattern[str]
    hooks: tuple[Hook, ...]


Declared = Hook | Matching
Declaration = Mapping[str, Declared | Sequence[Declared]]
"""What a user writes: by hook point, one hook or several."""


def matching(pattern: str, *hooks: Hook) -> Matching:
    """Hooks for certain tools alone, at ``pre_tool_use``, ``permission_request`` and ``post_tool_use``.

    Parameters
    ----------
    pattern
        A regular expression that the whole name of the tool must fit; ``""`` or ``"*"`` for every tool.
    hooks
        Functions or `CommandHook`\\ s.

    Raises
    ------
    ConfigError
        The pattern is no regular expression, or there is no hook.

    Examples
    --------
    >>> def guard(context): ...
    >>> matching("shell|write_.*", guard).pattern.pattern
    'shell|write_.*'
    """
    try:
        compiled = re.compile(".*" if pattern in ("", "*") else pattern, re.DOTALL)
    except (re.error, TypeError, RecursionError) as error:
        raise ConfigError(f"matching({pattern!r}): not a regular expression over tool names: {error}") from None
    if not hooks:
        raise ConfigError(f"matching({pattern!r}): give the hooks that such tools are for")
    for hook in hooks:
        _check_hook(f"matching({pattern!r})", hook)
    return Matching(compiled, hooks)


def check(given: Declaration) -> dict[str, tuple[Declared, ...]]:
    """The declaration, by point a tuple each.

    Raises
    ------
    ConfigError
        A point does not exist, a hook cannot be called, or a matcher stands where there is no tool.
    """
    checked: dict[str, tuple[Declared, ...]] = {}
    for point, hooks in given.items():
        if point not in POINTS:
            raise ConfigError(f"there is no hook point {point!r}; there are: {', '.join(POINTS)}")
        checked[point] = _several(point, hooks)
        for hook in checked[point]:
            if not isinstance(hook, Matching):
                _check_hook(f"hook of {point}", hook)
            elif point not in TOOL_POINTS:
                raise ConfigError(f"hooks of {point}: matching(…) chooses by tool, for {', '.join(TOOL_POINTS)} alone")
    return checked


def _several(point: str, given: Any) -> tuple[Declared, ...]:
    if isinstance(given, Matching) or callable(given):
        return (cast("Declared", given),)
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ConfigError(f"hooks of {point}: {given!r} is neither a function nor several")
    return tuple(given)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _check_hook(where: str, hook: object) -> None:
    if not callable(hook):
        raise ConfigError(f"{where}: {hook!r} is not a function")


def chosen(declared: Iterable[Declared], tool_name: str) -> Iterator[Hook]:
    """The hooks that are for this tool, in order; without a tool, all."""
    for hook in declared:
        if not isinstance(hook, Matching):
            yield hook
        elif hook.pattern.fullmatch(tool_name):
            yield from hook.hooks
