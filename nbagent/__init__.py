"""nbagent: an agent runtime for Jupyter notebooks.

`%load_ext nbagent`, then `%agent_run AGENT PROMPT`: the agent's stream runs on the kernel's own event loop, its
events appear in the cell as they happen, and what a tool or an MCP server asks is answered in the same cell while it
runs.

The house, lowest floor first; each module imports only what stands above it in this list:

    plaintext, errors, events           text made plain; the exceptions, in one tree; what happened, as facts
    records, messages, session          dataclasses as JSON; what is said; a conversation
    ports, boundary, processes          where the layers meet; where user code runs; commands that end with us
    schema, permissions, skills         what counts as an answer; what may run; instructions kept in folders
    hooks, models, toolsets             code around the turn; language models; functions and MCP servers
    agent                               what a user declares
    config                              docker-agent's YAML as a team
    store, telemetry                    sessions on disk; spans and log records: what `runtime` keeps and tells
    runtime                             the life of a stream: the heart
    kernel                              the only part that knows ipykernel and signals
    widgets                             transcript and forms, and their static twin for saved notebooks
    notebook                            one run shown in one cell
    magics                              %agent_run and its companions
    demo                                the offline agent of the quickstart, beside `runtime`

Everything up to `runtime` works without IPython, so a script can use it. Importing nbagent defines names and does
nothing else: what a name needs is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbagent._version import __version__ as __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbagent.agent import Agent, Team
    from nbagent.config import load
    from nbagent.errors import RunError
    from nbagent.ports import ElicitationResult
    from nbagent.runtime import Runtime, Stream
    from nbagent.runtime.asking import ask, ask_sync, cancelled
    from nbagent.runtime.sync import run_sync
    from nbagent.session import Result, Session
    from nbagent.toolsets.functions import tool

__all__ = [
    "Agent",
    "ElicitationResult",
    "Result",
    "RunError",
    "Runtime",
    "Session",
    "Stream",
    "Team",
    "ask",
    "ask_sync",
    "cancelled",
    "load",
    "load_ipython_extension",
    "run_sync",
    "tool",
    "unload_ipython_extension",
]

_HOMES = {
    "Agent": "agent",
    "ElicitationResult": "ports",
    "Result": "session",
    "RunError": "errors",
    "Runtime": "runtime",
    "Session": "session",
    "Stream": "runtime",
    "Team": "agent",
    "ask": "runtime.asking",
    "ask_sync": "runtime.asking",
    "cancelled": "runtime.asking",
    "load": "config",
    "run_sync": "runtime.sync",
    "tool": "toolsets.functions",
}

_MODULES = (
    "config", "demo", "errors", "events", "hooks", "kernel", "models", "permissions", "runtime", "skills", "store",
    "toolsets", "widgets",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"nbagent.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"nbagent.{name}")
    raise AttributeError(f"module 'nbagent' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """`%load_ext nbagent`: add `%agent_run`, and `%agent_list`, `_stop`, `_show`, `_pending` and `_answer` beside it.

    Parameters
    ----------
    ipython
        The shell, as IPython passes it.

    Raises
    ------
    UnsupportedKernel
        This ipykernel lacks a name that nbagent borrows.
    """
    from nbagent import magics

    magics.load(ipython)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """`%unload_ext nbagent`: end every run and every MCP server, and put back everything that loading changed."""
    from nbagent import magics

    magics.unload()
