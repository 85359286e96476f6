"""A hook that is a program: `CommandHook` asks it by JSON on stdin, and takes its answer from exit code and stdout.

Above `contract` (what is said) and `nbagent.processes` (who says it); `calling` calls it. Exit code 0 is an answer, 2
blocks and stderr says why, anything else is a failure, which the runtime reports and passes over, except at
``pre_tool_use``, where a guard that fails lets nothing through. It guarantees: however the call ends, the command and
all that it started end with it; values of `env` and of variables named like secrets are in no text that comes back.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from nbagent.errors import ConfigError
from nbagent.hooks import contract
from nbagent.hooks.points import HookContext, HookResult
from nbagent.processes.process import Ended, Process
from nbagent.toolsets.threads import run_process

TIMEOUT = 60.0
"""Seconds that a command has."""
BLOCKED = 2
"""The exit code that blocks."""

_SECRET_NAME = re.compile(r"key|token|secret|passw|auth|credential", re.IGNORECASE)
_RUNS_A_SCRIPT = re.compile(r"python[\d.]*|node|ruby|perl|bash|sh|zsh")
_FILE_NAME = re.compile(r"[\w.+-]+")


class CommandFailed(Exception):
    """The command could not answer; the words say how."""


class CommandHook:
    """A program as a hook; a `Hook`.

    Parameters
    ----------
    command
        A program and its arguments; or one text for the shell.
    timeout
        Seconds that it has.
    env
        Added to the environment, which it inherits.
    cwd
        Its working directory; the kernel's where None.

    Raises
    ------
    ConfigError
        There is no command, or no time.

    Examples
    --------
    >>> CommandHook(["./guard.py", "--strict"])
    CommandHook(guard.py)
    """

    def __init__(
        self,
        command: str | Sequence[str],
        timeout: float = TIMEOUT,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> None:
        words = [command] if isinstance(command, str) else list(command)
        if not words or not all(isinstance(word, str) for word in words) or not words[0].strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                "CommandHook: give a program and its arguments as a list of texts, or one text for the shell"
            )
        if not timeout > 0:
            raise ConfigError(f"CommandHook: timeout={timeout!r}; it is a number of seconds, more than 0")
        self._command = ["/bin/sh", "-c", *words] if isinstance(command, str) else words
        self._timeout = timeout
        self._env = dict(env or {})
        self._cwd = None if cwd is None else os.fspath(cwd)
        self.__name__ = _name(command)

    def __repr__(self) -> str:
        return f"CommandHook({self.__name__})"

    async def __call__(self, context: HookContext) -> HookResult:
        """Run it once.

        Raises
        ------
        CommandFailed
            It could not be started, took too long, ended with another code than 0 or 2, or said what it must not.
        """
        environment = {**os.environ, **self._env}
        process = Process(self._command, environment, contract.told(context), self._timeout, cwd=self._cwd)
        try:
            ended = await run_process(process, f"nbagent-hook-{self.__name__}")
        except (OSError, ValueError) as error:
            raise CommandFailed(f"it cannot be started: {self._redacted(str(error), environment)}") from None
        return _result(context.point, ended, lambda text: self._redacted(text, environment))

    def _redacted(self, text: str, environment: Mapping[str, str]) -> str:
        for name, value in environment.items():
            if len(value) >= 6 and (name in self._env or _SECRET_NAME.search(name)):
                text = text.replace(value, "***")
        return text


def _result(point: str, ended: Ended, redacted: Callable[[str], str]) -> HookResult:
    if ended.cut:
        raise CommandFailed(ended.cut)
    stderr = redacted(ended.stderr.decode(errors="replace")).strip()
    if ended.code == BLOCKED:
        return HookResult(block=True, reason=stderr)
    if ended.code != 0:
        last = f": {stderr.splitlines()[-1][:300]}" if stderr else ""
        raise CommandFailed(f"it {_told(ended.code)}{last}")
    try:
        said = contract.heard(point, ended.stdout.decode(errors="replace"))
    except contract.BadOutput as error:
        raise CommandFailed(redacted(str(error))) from None
    words = {name: redacted(getattr(said, name)) for name in ("reason", "context", "message")}
    return replace(said, **words)


def _told(code: int) -> str:
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"


def _name(command: str | Sequence[str]) -> str:
    """The program's file name alone: arguments and what is set before them may be secret."""
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError:
        words = []
    while words and re.match(r"\w+=", words[0]):
        del words[0]
    names = [os.path.basename(word) for word in words[:2]]
    if len(names) == 2 and _RUNS_A_SCRIPT.fullmatch(names[0]) and re.fullmatch(r"[\w./+-]*\w\.\w+", words[1]):
        del names[0]
    return names[0] if names and _FILE_NAME.fullmatch(names[0]) else "command"
