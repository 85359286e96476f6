"""The hooks of a file: programs at hook points, as `nbagent.hooks` declares them.

A kind of hook that nbagent does not have loads with a warning. At ``pre_tool_use`` and ``permission_request`` it stands
there all the same and lets nothing through: it was meant to guard. It guarantees: variables of the environment are
filled in when a hook is called, and their values are in no message.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbagent.config import expansion
from nbagent.config.problems import Place, Report
from nbagent.errors import ConfigError
from nbagent.hooks import (
    POINTS,
    TOOL_POINTS,
    CommandFailed,
    CommandHook,
    Declared,
    Hook,
    HookContext,
    HookResult,
    matching,
)

if TYPE_CHECKING:
    from nbagent.config import shape

KINDS = ("command", "builtin", "model")
"""docker-agent's kinds of hooks, of which nbagent has the first."""
BRIEFINGS = ("add_date", "add_environment_info", "add_prompt_files")
"""docker-agent's builtin hooks that are the keys of an agent of the same names."""
_GUARDS = ("pre_tool_use", "permission_request")


class ConfiguredHook(CommandHook):
    """A program that a file declares as a hook.

    Parameters
    ----------
    command
        For the shell.
    timeout
        Seconds that it has.
    env, cwd
        Its variables, not yet filled in, and its folder.
    on_error
        What its failure means: ``warn`` and go on, ``ignore`` it, or ``block``.
    where
        For messages.
    """

    def __init__(
        self, command: str, timeout: float, env: Mapping[str, str], cwd: str, *, on_error: str, where: str
    ) -> None:
        super().__init__(command, timeout, None, cwd)
        self._given = (command, timeout, dict(env), cwd)
        self._on_error = on_error
        self._where = where

    async def __call__(self, context: HookContext) -> HookResult:
        """Run it once.

        Raises
        ------
        CommandFailed
            It could not answer, and a failure is to be told.
        """
        command, timeout, env, cwd = self._given
        try:
            filled = expansion.filled_all(env, self._where)
            return await CommandHook(command, timeout, filled, cwd)(context)
        except (CommandFailed, ConfigError) as error:
            if self._on_error == "block":
                return HookResult(block=True, reason=f"the hook {self.__name__} failed: {error}")
            if self._on_error == "ignore" and context.point != "pre_tool_use":
                return HookResult()
            raise CommandFailed(str(error)) from None


def made(name: str, hooks: shape.Hooks, report: Report) -> dict[str, list[Declared]]:
    """What an agent declares; what is wrong is in the report then."""
    declared: dict[str, list[Declared]] = {}
    for point in POINTS:
        place: Place = ("agents", name, "hooks", point)
        given: Sequence[Any] = getattr(hooks, point)
        if point in TOOL_POINTS:
            found = [_matching(point, one, (*place, index), report) for index, one in enumerate(given)]
        else:
            found = [_hook(point, one, (*place, index), report) for index, one in enumerate(given)]
        if kept := [one for one in found if one is not None]:
            declared[point] = kept
    return declared


def briefings(name: str, hooks: shape.Hooks, report: Report) -> dict[str, list[str]]:
    """The builtin hooks that add to what an agent is told, with their arguments."""
    for index, given in enumerate(hooks.turn_start):
        if not _is_briefing(given):
            report.warning(("agents", name, "hooks", "turn_start", index), "nbagent has no such hook; it is left out")
    given = (*hooks.session_start, *hooks.turn_start)
    return {one.command or "": list(one.args) for one in given if _is_briefing(one)}


def _is_briefing(given: shape.HookCommand) -> bool:
    return given.type == "builtin" and given.command in BRIEFINGS


def _matching(point: str, given: shape.HookMatcher, place: Place, report: Report) -> Declared | None:
    inner = [_hook(point, one, (*place, "hooks", index), report) for index, one in enumerate(given.hooks)]
    hooks = [hook for hook in inner if hook is not None]
    if not hooks:
        if not given.hooks:
            report.error((*place, "hooks"), "there must be at least one")
        return None
    try:
        return matching(given.matcher, *hooks)
    except ConfigError as error:
        report.error((*place, "matcher"), str(error))
        return None


def _hook(point: str, given: shape.HookCommand, place: Place, report: Report) -> Hook | None:
    if given.type not in KINDS:
        report.error((*place, "type"), f"there is no hook of that type; write one of {', '.join(KINDS)}")
        return None
    if given.type != "command":
        return _lacking(point, given, place, report)
    if not given.command or not given.command.strip():
        report.error((*place, "command"), "this key is missing; write the command, as for a shell")
        return None
    command = " ".join([given.command, *map(shlex.quote, given.args)])
    cwd = os.fspath(report.path(given.working_dir or "."))
    where = f"the hook of {report.line(place)}"
    hook = ConfiguredHook(command, given.timeout, given.env, cwd, on_error=given.on_error, where=where)
    if given.name:
        hook.__name__ = given.name
    return hook


def _lacking(point: str, given: shape.HookCommand, place: Place, report: Report) -> Hook | None:
    kind = f"{given.type} {given.command}" if given.command else given.type
    if point == "session_start" and _is_briefing(given):
        return None
    if point not in _GUARDS:
        report.warning((*place, "type"), f"nbagent has no hook {kind}; it is left out")
        return None
    report.warning((*place, "type"), f"nbagent has no hook {kind}; the calls that it is to guard are not made")

    def guard(context: HookContext) -> HookResult:
        return HookResult(block=True, reason=f"nbagent has no hook {kind}, which is to guard this call")

    return guard
