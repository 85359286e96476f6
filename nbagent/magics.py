"""`%agent_run` and its companions: parse, one call, return.

The top of the house. `load` puts the magics, the completion and the kernel part on a shell, `unload` takes all of it
away and ends whatever still runs. At the top of a cell the kernel's input transformer calls `_awaited` in the magic's
place, so that the run is awaited as a part of the cell; the magics themselves are for every other place, and re-enter
the loop.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from IPython.core import error as shell_error
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand

from nbagent import errors
from nbagent.kernel import reentry
from nbagent.notebook.cellrun import BackgroundRun, run_foreground, start_background
from nbagent.notebook.displaying import show
from nbagent.notebook.echo import is_bare
from nbagent.notebook.extension import Extension
from nbagent.notebook.names import Names, names_of
from nbagent.notebook.parsing import OPTIONS, RunCommand, parse_answer, parse_id, parse_nothing, parse_run
from nbagent.notebook.workspace import Workspace
from nbagent.session import Result

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbagent.agent import Agent

T = TypeVar("T")

__all__ = ["AgentMagics", "_awaited", "load", "unload"]

ENTRY = "__import__('nbagent.magics', fromlist=['_'])._awaited"
"""What the input transformer calls in the place of `%agent_run`."""

HELP = """Run an agent in this cell.

    %agent_run [options] AGENT PROMPT

    %%agent_run [options] AGENT
    PROMPT, on as many lines as it takes

AGENT is the name of a variable that holds an Agent, a Team or a Runtime, or ``demo``, or a file in docker-agent's YAML
such as ``team.yaml``. PROMPT needs no quotes. In it ``{{name}}`` and ``{{name.attr}}`` become the values of your
variables, and ``@data.csv`` the file of that name; every other brace, at and dollar stays. ``/name words`` is the
prompt that the agent keeps under that name.

Options, which stand before AGENT:

{options}

``r = %agent_run …`` gives a Result: ``r.text``, ``r.messages``, ``r.usage``, ``r.reason``. Forms are answered in the
cell while it runs. The stop button and a kernel interrupt end the run and leave nothing behind; to run the cell again
is to do its turn again. See also %agent_list, %agent_stop, %agent_show, %agent_pending and %agent_answer.
"""


def _option_lines() -> str:
    forms = {name: ", ".join(filter(None, (o.short, f"{name} {o.value}".strip()))) for name, o in OPTIONS.items()}
    width = max(map(len, forms.values()))
    return "\n".join(f"    {form:<{width}}  {OPTIONS[name].help}" for name, form in forms.items())


def _documented(function: T) -> T:
    function.__doc__ = HELP.format(options=_option_lines())
    return function


# ---------------------------------------------------------------- the awaited way


def _awaited(magic_name: str, line: str, body: str | None, bare: bool) -> Coroutine[Any, Any, Any]:
    """What `await` gets in the place of `%agent_run`; called in the frame of the cell's code."""
    frame = inspect.currentframe()
    return _foreground_or_background(line, body, names_of(frame and frame.f_back), bare)


async def _foreground_or_background(
    line: str, body: str | None, names: Names, bare: bool
) -> Result | BackgroundRun | None:
    __tracebackhide__ = True  # what ends the cell is the run's; the frames between say nothing to a person
    command, workspace = _parsed(line, body), _loaded().workspace
    try:
        if command.background:
            value = start_background(workspace, command, names)
        else:
            value = await run_foreground(workspace, command, names)
    except errors.UsageError as error:
        _refuse(error)
    return None if bare else value


def _parsed(line: str, body: str | None) -> RunCommand:
    try:
        return parse_run(line, body)
    except errors.UsageError as error:
        _refuse(error)


def _refuse(error: errors.UsageError) -> NoReturn:
    raise shell_error.UsageError(str(error)) from None  # which IPython shows as one line, without a traceback


# ---------------------------------------------------------------- the magics


@magics_class
class AgentMagics(Magics):
    """The magics of one shell."""

    def __init__(self, shell: InteractiveShell, extension: Extension) -> None:
        super().__init__(shell)
        self._extension = extension

    @no_var_expand
    @line_cell_magic
    @_documented
    def agent_run(self, line: str, cell: str | None = None) -> Any:
        __tracebackhide__ = True
        frame = _user_frame()
        work = _foreground_or_background(line, cell, names_of(frame), is_bare(frame))
        try:
            value = reentry.run(work)
        except errors.UsageError as error:
            _refuse(error)
        return self._extension.echo.silence(value) if isinstance(value, Result) else value

    @no_var_expand
    @line_magic
    def agent_list(self, line: str) -> None:
        """List the runs that are live, and the last finished ones: %agent_list"""
        self._takes_nothing(line, "agent_list")
        show(self._workspace.runs.table())

    @no_var_expand
    @line_magic
    def agent_stop(self, line: str) -> None:
        """Stop a live run: %agent_stop [ID], where %agent_list shows the IDs; without one, the only live run."""
        try:
            print(f"stopped {self._workspace.runs.stop(parse_id(line, 'agent_stop'))}")
        except errors.UsageError as error:
            _refuse(error)

    @no_var_expand
    @line_magic
    def agent_show(self, line: str) -> None:
        """Display a run again, live or finished: %agent_show [ID]; without one, the newest."""
        try:
            run = self._workspace.runs.find(parse_id(line, "agent_show"))
        except errors.UsageError as error:
            _refuse(error)
        if run.live is not None:
            run.live.show()
        elif run.document is not None:
            show(run.document)

    @no_var_expand
    @line_magic
    def agent_pending(self, line: str) -> None:
        """List the questions that wait for an answer: %agent_pending"""
        self._takes_nothing(line, "agent_pending")
        show(self._workspace.answering.table())

    @no_var_expand
    @line_magic
    def agent_answer(self, line: str) -> None:
        """Answer a question that waits: %agent_answer [ID] accept {"name": "Ada"}, or decline, or cancel.

        %agent_pending shows what waits; without an ID, it is the newest. A tool call is approved by accept, for the
        whole session by accept {"scope": "session"}, and refused by decline {"reason": "…"}.
        """
        try:
            command = parse_answer(line)
            print(f"{self._workspace.answering.answer(command)}: {command.action}")
        except errors.UsageError as error:
            _refuse(error)

    @staticmethod
    def _takes_nothing(line: str, magic: str) -> None:
        try:
            parse_nothing(line, magic)
        except errors.UsageError as error:
            _refuse(error)

    @property
    def _workspace(self) -> Workspace:
        return self._extension.workspace


def _user_frame() -> FrameType | None:
    """The frame of the code that called the magic: the first outside of IPython and of this module."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("IPython", "nbagent"):
        frame = frame.f_back
    return frame


# ---------------------------------------------------------------- the extension

_current: Extension | None = None


def load(shell: InteractiveShell) -> None:
    """Put nbagent on `shell`; where it is, nothing changes.

    Raises
    ------
    UnsupportedKernel
        This ipykernel lacks a name that nbagent borrows.
    """
    global _current
    if _current is not None and _current.shell is shell:
        return
    unload()
    _current = Extension(
        shell,
        entry=ENTRY,
        awaited={"agent_run": "line_cell"},
        magics=lambda extension: AgentMagics(shell, extension),
        bundled={"demo": _demo},
    )


def unload() -> None:
    """Take nbagent off again: every run and every server is ended; idempotent."""
    global _current
    extension, _current = _current, None
    if extension is not None:
        extension.close()


def _loaded() -> Extension:
    if _current is None:
        _refuse(errors.UsageError("nbagent is not loaded: %load_ext nbagent"))
    return _current


def _demo() -> Agent:
    from nbagent import demo

    return demo.agent()
