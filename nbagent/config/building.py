"""The team of a file: its agents, made of what the other modules make, and joined by their names.

Above `models`, `toolsets`, `hooks`, `skills` and `briefing`. Building starts nothing and reads no variable, so that
`validate` builds too, and sees what no schema can: names that mean nothing, patterns that cannot be read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from nbagent import permissions
from nbagent.agent import DEFAULT_MAX_ITERATIONS, Agent, Team
from nbagent.config import hooks, skills
from nbagent.config.briefing import LARGEST, Briefing, ConfiguredAgent
from nbagent.config.models import Models
from nbagent.config.problems import Place, Report, meant
from nbagent.config.toolsets import BACKGROUND, Toolsets
from nbagent.errors import ConfigError
from nbagent.permissions import Permissions
from nbagent.ports import Model
from nbagent.schema import validate

if TYPE_CHECKING:
    from nbagent.config import shape

ROOT = "root"
"""The agent that the user talks to; where none has that name, the first."""
NEWEST = 16
"""docker-agent's version of the format whose keys are known here."""


def build(document: shape.Document, report: Report, given: Mapping[str, Model]) -> Team | None:
    """The team, or None where the report has errors then."""
    _check_version(document, report)
    models, toolsets = Models(document, report, given), Toolsets(document, report)
    models.check()
    toolsets.check()
    rules = _permissions(document.permissions, report)
    parts = {name: _Parts(name, agent, report).made(models, toolsets) for name, agent in document.agents.items()}
    _check_names(document, report)
    if report.errors:
        return None
    agents = {name: ConfiguredAgent(name, **options) for name, options in parts.items()}
    for name, agent in document.agents.items():
        _join(agents[name], agent, agents)
    first = ROOT if ROOT in agents else next(iter(agents))
    return Team(agents[first], *agents.values(), permissions=rules)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one agent is made of."""

    name: str
    agent: shape.Agent
    report: Report

    def made(self, models: Models, toolsets: Toolsets) -> dict[str, Any]:
        """The keyword arguments of the agent."""
        agent = self.agent
        sets, told = toolsets.of_agent(self.name, agent)
        limit = DEFAULT_MAX_ITERATIONS if agent.max_iterations is None else agent.max_iterations or sys.maxsize
        return {
            "model": models.of_agent(self.name, agent),
            "instructions": "\n\n".join(part for part in (self._instruction(), told) if part),
            "description": agent.description,
            "toolsets": sets,
            "skills": skills.made(self.name, agent, self.report),
            "hooks": hooks.made(self.name, agent.hooks, self.report) if agent.hooks is not None else None,
            "max_iterations": limit,
            "output_type": self._output(),
            "commands": self._commands(),
            "welcome_message": agent.welcome_message,
            "briefing": self._briefing(),
        }

    def _place(self, key: str) -> Place:
        return ("agents", self.name, key)

    def _briefing(self) -> Briefing:
        agent = self.agent
        hooked = hooks.briefings(self.name, agent.hooks, self.report) if agent.hooks is not None else {}
        return Briefing(
            folder=self.report.folder,
            date=agent.add_date or "add_date" in hooked,
            environment=agent.add_environment_info or "add_environment_info" in hooked,
            files=tuple(dict.fromkeys([*agent.add_prompt_files, *hooked.get("add_prompt_files", ())])),
            where=f"agent {self.name} of {self.report.file.name}",
        )

    def _instruction(self) -> str:
        given = self.agent.instruction_file
        if given is None:
            return self.agent.instruction.strip()
        place = self._place("instruction_file")
        if self.agent.instruction:
            self.report.error(place, "there is an instruction too; write one of the two")
        return "\n\n".join(self._file(name, place) for name in ([given] if isinstance(given, str) else given))

    def _file(self, name: str, place: Place) -> str:
        path = self.report.folder / name
        if not path.resolve().is_relative_to(self.report.folder.resolve()):
            self.report.error(place, "the file lies outside of this one's folder")
            return ""
        self.report.read.append(path)
        try:
            if path.stat().st_size > LARGEST:
                self.report.error(place, f"the file has more than {LARGEST:,} bytes")
                return ""
            return path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            self.report.error(
                place, f"the file cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
            )
            return ""

    def _commands(self) -> dict[str, str]:
        made: dict[str, str] = {}
        for name, command in self.agent.commands.items():
            text, place = command if isinstance(command, str) else command.instruction, (*self._place("commands"), name)
            if not text.strip():
                self.report.warning(place, "there is no instruction; it is left out")
                continue
            if not re.fullmatch(r"/?[^\s/]+", name):
                self.report.warning(place, "nobody can call it by /name: there is a blank or a / in its name")
            if "!`" in text:
                self.report.warning(place, "nbagent runs no !`command` of a prompt; the model reads it as it stands")
            made[name.removeprefix("/")] = text.strip()
        return made

    def _output(self) -> Any:
        """The type of the final answer: objects that fit the schema."""
        given = self.agent.structured_output
        if given is None:
            return None
        wrong = validate({}, given.schema_).get("", "")
        if wrong.startswith("The schema"):
            self.report.error((*self._place("structured_output"), "schema"), wrong.partition(": ")[2] or wrong)
            return None
        return output_type(given.name, given.description, given.schema_)


def output_type(name: str, description: str, schema: Mapping[str, Any]) -> Any:
    """A type, for `Agent(output_type=…)`, of objects that fit a JSON schema."""
    from pydantic import AfterValidator, WithJsonSchema

    def fits(value: dict[str, Any]) -> dict[str, Any]:
        wrong = validate(value, schema)
        if wrong:
            raise ValueError("; ".join(f"{place}: {words}" if place else words for place, words in wrong.items()))
        return value

    words = {"title": name} | ({"description": description} if description else {})
    return Annotated[dict[str, Any], AfterValidator(fits), WithJsonSchema({**words, **schema})]


def _check_version(document: shape.Document, report: Report) -> None:
    number = document.version.removeprefix("v")
    if not number:
        return
    if not number.isdecimal():
        report.error(("version",), f"it is a number from 1 to {NEWEST}, in quotes")
    elif len(number) > 9 or int(number) > NEWEST:
        report.warning(("version",), f"nbagent knows the keys up to version {NEWEST}")


def _permissions(given: shape.Permissions | None, report: Report) -> Permissions | None:
    if given is None:
        return None
    for key in ("allow", "ask", "deny"):
        for index, pattern in enumerate(getattr(given, key)):
            try:
                permissions.read(pattern)
            except ConfigError as error:
                report.error(("permissions", key, index), str(error))
    if report.errors:
        return None
    return Permissions(deny=given.deny, allow=given.allow, ask=given.ask)


def _check_names(document: shape.Document, report: Report) -> None:
    for name, agent in document.agents.items():
        if not name.strip():
            report.error(("agents", name), "an agent needs a name")
        for key in ("sub_agents", "handoffs"):
            for index, other in enumerate(getattr(agent, key)):
                _check_name(other, name, document, report, ("agents", name, key, index))
        for index, toolset in enumerate(agent.toolsets):
            if toolset.type == BACKGROUND and not any(other in document.agents for other in agent.sub_agents):
                report.error(("agents", name, "toolsets", index), "it runs the agent's sub_agents, and there are none")


def _check_name(other: str, name: str, document: shape.Document, report: Report, place: Place) -> None:
    if other == name:
        report.error(place, "an agent cannot give work to itself")
    elif other in document.agents:
        return
    elif "/" in other or ":" in other:
        report.warning(place, "nbagent takes no agents from a registry or the net; it is left out")
    else:
        report.error(place, f"there is no such agent; {meant(other, document.agents)}")


def _join(made: Agent, agent: shape.Agent, agents: Mapping[str, Agent]) -> None:
    """Circles are fine, so agents are joined when all of them are there."""
    made.sub_agents = _those(agent.sub_agents, agents)
    made.handoffs = _those(agent.handoffs, agents)
    made.background_agents = any(toolset.type == BACKGROUND for toolset in agent.toolsets)


def _those(names: Sequence[str], agents: Mapping[str, Agent]) -> tuple[Agent, ...]:
    return tuple(agents[name] for name in dict.fromkeys(names) if name in agents)
