"""`ShellToolset`: a command in a shell, whose output the user sees as it comes.

The command runs below `nbagent.processes.watch`, in a session of its own: no interrupt of the kernel reaches it, and it
ends, with all that it has started, when the call ends in whatever way, and when the kernel is gone. It guarantees: the
user is asked before; stdin is empty, so that nothing waits for input; a flood is bounded for the card and, more
narrowly, for the model. Below: `builtin`, `bounded`, `threads`, `nbagent.processes`.
"""

from __future__ import annotations

import codecs
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nbagent.errors import ToolError, ToolsUnavailable
from nbagent.ports import Tool, ToolContext, ToolResult
from nbagent.processes import watch
from nbagent.processes.process import Ended, Process
from nbagent.toolsets.bounded import Bounded
from nbagent.toolsets.builtin import TEXT, WORDS, Arguments, BuiltinTool, BuiltinToolset, check_timeout, spec, told
from nbagent.toolsets.threads import run_process

CARD = 1 << 20
"""Characters that the card shows of one command's output."""

_SHELLS = {"sh", "bash", "zsh", "dash", "ksh"}
"""Shells that take ``-c`` and speak POSIX."""


class ShellToolset(BuiltinToolset):
    """The tool ``shell``, which runs a command once the user has approved it.

    Parameters
    ----------
    cwd
        The directory that commands run in; the kernel's working directory where None.
    env
        Added to the environment.
    timeout
        Seconds that a command may take.

    Raises
    ------
    ConfigError
        `timeout` is no time.

    Examples
    --------
    ::

        from nbagent.toolsets import ShellToolset

        coder = nbagent.Agent("coder", model=…, toolsets=[ShellToolset(cwd="project")])

    Notes
    -----
    As from any shell, a command sees the kernel's whole environment, the secrets in it included, and may do whatever
    the user may do. What it leaves running in the background ends with the call.
    """

    name = "shell"

    def __init__(
        self,
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._cwd = None if cwd is None else Path(cwd).expanduser().absolute()
        self._env = dict(env or {})
        self._timeout = check_timeout("ShellToolset", timeout)

    def __repr__(self) -> str:
        return f"ShellToolset(cwd={None if self._cwd is None else str(self._cwd)!r}, timeout={self._timeout:g})"

    def _tools(self) -> Sequence[Tool]:
        if self._cwd is not None and not self._cwd.is_dir():
            raise ToolsUnavailable(f"shell: there is no directory {self._cwd}")
        return (BuiltinTool(_SHELL, self.name, self._run, asks_approval=True),)

    async def _run(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        cwd = self._directory(arguments.get("cwd", ""))
        environment = {**os.environ, **self._env}
        output = _Output(context.emit_output)
        command = [sys.executable, "-I", "-S", watch.__file__, watch.DEAF, str(os.getpid())]
        command += [_shell(environment), "-c", arguments["cmd"]]
        process = Process(command, environment, None, self._timeout, cwd=str(cwd), hear=output.hear)
        try:
            ended = await run_process(process, "nbagent-shell")
        except (OSError, ValueError) as error:
            raise ToolError(f"The command cannot be started: {error}") from None
        return _result(ended, output.text)

    def _directory(self, given: str) -> Path:
        """Where this command runs: relative to where all of them do."""
        directory = Path(self._cwd or Path.cwd(), given)
        if not directory.is_dir():
            raise ToolError(f"cwd: there is no directory {directory}")
        return directory


class _Output:
    """What a command says, passed on as it comes and kept for the model."""

    def __init__(self, emit: Callable[[str, None], None]) -> None:
        self._emit = emit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._kept = Bounded()
        self._room = CARD

    def hear(self, piece: bytes) -> None:
        """Take a piece; an empty one is the end."""
        text = self._decoder.decode(piece, final=not piece)
        self._kept.add(text)
        if text and self._room > 0:
            self._emit(text[: self._room], None)
            self._room -= len(text)
            if self._room <= 0:
                self._emit(f"\n[… after {CARD:,} characters no more is shown …]\n", None)

    @property
    def text(self) -> str:
        """What the model reads."""
        return self._kept.text.rstrip("\n")


def _shell(environment: Mapping[str, str]) -> str:
    """The user's own shell, where it is one of the usual, else the system's."""
    shell = environment.get("SHELL", "")
    return shell if os.path.basename(shell) in _SHELLS and os.access(shell, os.X_OK) else "/bin/sh"


def _result(ended: Ended, said: str) -> ToolResult:
    """The output, and how the command ended where that was not well."""
    if ended.cut:
        how = f"The command was ended: {ended.cut}."
    elif ended.code == 0:
        return ToolResult(said or "The command said nothing, and ended well.")
    else:
        how = f"The command ended with exit code {ended.code}{_signalled(ended.code)}."
    return ToolResult(f"{said}\n\n{how}" if said else how, is_error=True)


def _signalled(code: int) -> str:
    """The signal that a shell means by an exit code above 128."""
    try:
        return f" ({signal.Signals(code - 128).name})" if code > 128 else ""
    except ValueError:
        return ""


_SHELL = spec(
    "shell",
    "Run a command in the user's shell and get its output, stdout and stderr in one. The user approves it first. It "
    "has no terminal and no input; what it leaves in the background ends with it. Long output is cut in the middle.",
    {
        "cmd": told(WORDS, "The command."),
        "cwd": told(TEXT, "The directory to run it in.", default=""),
    },
    optional=["cwd"],
)
