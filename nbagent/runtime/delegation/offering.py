"""Which tools of nbagent's own a run gets, by what its agent declares.

Asked by `toolbox` whenever a run opens its tools, so that an agent that takes a conversation over gets its own. Below:
the modules that make the tools.
"""

from __future__ import annotations

from nbagent.ports import Tool
from nbagent.runtime.delegation.background_tools import background_tools
from nbagent.runtime.delegation.handoff import handoff
from nbagent.runtime.delegation.skill import run_skill
from nbagent.runtime.delegation.transfer import transfer_task
from nbagent.runtime.life import Life


def offered(run: Life) -> list[Tool]:
    """The tools for `run`."""
    agent = run.agent
    tools: list[Tool] = []
    if agent.sub_agents:
        tools.append(transfer_task(run))
    if agent.background_agents:
        tools += background_tools(run)
    if agent.handoffs and _may_switch(run):
        tools.append(handoff(run))
    if (skill := run_skill(run)) is not None:
        tools.append(skill)
    return tools


def _may_switch(run: Life) -> bool:
    """Whether its agent may change: that of a nested stream is pinned."""
    return run.parent is None and run.options.nested is None
