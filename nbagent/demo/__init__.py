"""The demo agent: offline, scripted, and honest about it.

It tells one small story, a picnic on Saturday, that shows what a run is made of: streamed markdown, a function tool,
an MCP server that asks a form in the cell, and an answer that depends on what was filled in. No model is asked and
nothing leaves the computer; the agent's first line says so. The README, the quickstart and ``make demo`` use it.

`story` holds the script, `server` the MCP server, `showcase` executes the quickstart in a terminal. Below: `agent`,
`models`, `toolsets`. Above: `notebook`, for the agent name ``demo``, and the command line.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbagent.agent import Agent

__all__ = ["agent"]


def agent(delay: float = 0.015) -> Agent:
    """Build the demo agent.

    Parameters
    ----------
    delay
        Seconds between two words of its script, so that one can watch it write.

    Returns
    -------
    Agent
        A new agent named ``demo``; its MCP server starts with its first run.

    Examples
    --------
    >>> import nbagent
    >>> answers = {"name": "Ada", "guests": 6}
    >>> result = nbagent.run_sync(agent(delay=0), "Plan a picnic for Sunday", answers=answers)
    >>> result.reason
    'completed'
    """
    from nbagent.agent import Agent
    from nbagent.demo.story import SCRIPT, forecast
    from nbagent.models import ScriptedModel
    from nbagent.toolsets import MCPToolset

    # The server's one tool only looks something up, and says so by its read-only hint; `trust` lets the hint count, so
    # that the story has a form and no approval before it.
    office = MCPToolset(sys.executable, args=["-m", "nbagent.demo.server"], name="park-office", trust=True)
    return Agent(
        "demo",
        model=ScriptedModel(SCRIPT, delay=delay),
        description="A scripted demo that plans a picnic; no language model is asked.",
        instructions="Plan the picnic that the user asks for.",
        tools=[forecast],
        toolsets=[office],
    )
