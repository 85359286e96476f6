"""The toolsets of a file: which class each type is, and what it is told.

`lending` makes them when an agent opens them. What nbagent does not have, or could not hold to (a restriction of
docker-agent's), loads with a warning and fails only when it is opened: a restriction is never dropped in silence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbagent.config import expansion
from nbagent.config.lending import ConfiguredToolset, FunctionsToolset, Server
from nbagent.config.problems import Place, Report, meant
from nbagent.errors import ToolsUnavailable
from nbagent.ports import Toolset

if TYPE_CHECKING:
    from nbagent.config import shape

CLASSES: Mapping[str, str] = {
    "filesystem": "FilesystemToolset",
    "file": "FilesystemToolset",
    "shell": "ShellToolset",
    "fetch": "FetchToolset",
    "think": "ThinkToolset",
    "todo": "TodoToolset",
    "user_prompt": "UserPromptToolset",
}
"""The class of `nbagent.toolsets` for each type."""
BACKGROUND = "background_agents"
"""The type that is no toolset here but `Agent(background_agents=True)`."""
OTHERS = ("mcp", "python", BACKGROUND)
ELSEWHERE = frozenset(
    {"mcp_catalog", "script", "memory", "background_jobs", "tasks", "plan", "session_plan", "session_context", "api"}
    | {"a2a", "lsp", "openapi", "open_url", "model_picker", "scheduler", "rag", "git", "webhook"}
)
"""Types of docker-agent's that nbagent does not have."""
_TIMED = ("FilesystemToolset", "ShellToolset", "FetchToolset")
_CHANGES_NOTHING = ("think", "todo", "user_prompt")


@dataclass(slots=True)
class Toolsets:
    """Makes the toolsets of one file."""

    document: shape.Document
    report: Report

    def of_agent(self, name: str, agent: shape.Agent) -> tuple[list[Toolset], str]:
        """An agent's toolsets, and what it is told about them."""
        made: list[Toolset] = []
        told: list[str] = []
        for index, one in enumerate(agent.toolsets):
            place: Place = ("agents", name, "toolsets", index)
            given = one.model_copy(update={"readonly": True}) if agent.readonly else one
            if given.instruction:
                told.append(given.instruction.replace("{ORIGINAL_INSTRUCTIONS}", "").strip())
            if given.type != BACKGROUND and (toolset := self._made(given, place)) is not None:
                made.append(toolset)
        return made, "\n\n".join(filter(None, told))

    def _made(self, given: shape.Toolset, place: Place) -> Toolset | None:
        name = given.name or given.type
        if given.type in ELSEWHERE:
            return self._unavailable(name, (*place, "type"), f"nbagent has no toolset of type {given.type}")
        if given.type not in CLASSES and given.type not in OTHERS:
            known = [*CLASSES, *OTHERS]
            self.report.error((*place, "type"), f"there is no toolset of that type; {meant(given.type, known)}")
            return None
        if (lost := _not_kept(given)) is not None:
            return self._unavailable(name, (*place, lost), f"nbagent cannot hold {given.type} to this restriction")
        if given.type == "mcp":
            return self._server(given, place)
        if given.type == "python":
            return self._functions(given, place)
        if given.timeout is not None and CLASSES[given.type] not in _TIMED:
            self.report.warning((*place, "timeout"), f"{given.type} takes no time of its own; it is left out")
        options = self._options(given)
        return ConfiguredToolset(name, "", lambda: _of_class(CLASSES[given.type], options), given.tools)

    def _unavailable(self, name: str, place: Place, why: str) -> Toolset:
        self.report.warning(place, f"{why}; a run that opens this toolset fails")
        where = self.report.line(place)

        def make() -> Toolset:
            raise ToolsUnavailable(f"toolset {name}: {why} ({where}); take it out of the file to run without it")

        return ConfiguredToolset(name, "", make)

    def _options(self, given: shape.Toolset) -> dict[str, Any]:
        """The keyword arguments of the class."""
        options: dict[str, Any] = {}
        if given.timeout is not None and CLASSES[given.type] in _TIMED:
            options["timeout"] = given.timeout
        if given.type == "shell":
            options |= {"env": _Env(given.env, self.report.file.name)} if given.env else {}
            options |= {"cwd": self._path(given.working_dir)} if given.working_dir else {}
        if given.type == "fetch" and given.allow_private_ips:
            options["allow_private"] = True
        if CLASSES[given.type] == "FilesystemToolset":
            options |= {"root": self._path(given.allow_list[0])} if given.allow_list else {}
            options |= {"read_only": True} if given.readonly else {}
        return options

    def _path(self, path: str) -> str:
        return os.fspath(self.report.path(path))

    def _functions(self, given: shape.Toolset, place: Place) -> Toolset | None:
        if not given.functions:
            self.report.error((*place, "functions"), "this key is missing; write functions: [package.module:name]")
            return None
        for index, path in enumerate(given.functions):
            if not all(path.rpartition(":")[::2]):
                self.report.error((*place, "functions", index), "write it as package.module:name")
        name = given.name or "python"
        limit = {} if given.timeout is None else {"timeout": given.timeout}
        return ConfiguredToolset(name, "", lambda: FunctionsToolset(name, given.functions, **limit), given.tools)

    def _server(self, given: shape.MCPServer, place: Place) -> Toolset | None:
        """An MCP server, also one that stands below ``mcps:``."""
        source = given
        if given.ref is not None and not given.ref.startswith("docker:"):
            shared = self.document.mcps.get(given.ref)
            if shared is None:
                self.report.error(
                    (*place, "ref"), f"there is none of that name below mcps:; {meant(given.ref, self.document.mcps)}"
                )
                return None
            source = shared
        ways = [way for way in ("command", "remote", "ref") if getattr(source, way) is not None]
        if len(ways) != 1 or (source is not given and source.ref and not source.ref.startswith("docker:")):
            self.report.error(place, "an MCP server has one of command, remote and ref (docker:NAME)")
            return None
        name = given.name or source.name or (given.ref or "").removeprefix("docker:") or None
        tools = given.tools if given.tools is not None else source.tools
        limit, prefix = given.timeout or source.timeout, given.prefix or source.prefix
        server = Server(source, self.report.folder, self.report.line(place), name, limit, prefix)
        return ConfiguredToolset(server.shown, "mcp", server.made, tools)

    def check(self) -> None:
        """Report what is wrong below ``mcps:``, also where no agent uses it."""
        for name, server in self.document.mcps.items():
            self._server(server, ("mcps", name))


@dataclass(frozen=True, slots=True)
class _Env:
    """Variables for a command, filled in when the toolset is made."""

    given: Mapping[str, str]
    where: str


def _of_class(name: str, options: Mapping[str, Any]) -> Toolset:
    from nbagent import toolsets

    filled = {
        key: expansion.filled_all(value.given, value.where) if isinstance(value, _Env) else value
        for key, value in options.items()
    }
    return getattr(toolsets, name)(**filled)


def _not_kept(given: shape.Toolset) -> str | None:
    """The key of a restriction that nbagent's toolset would not hold to."""
    is_files = CLASSES.get(given.type) == "FilesystemToolset"
    if given.readonly and not is_files and given.type not in _CHANGES_NOTHING:
        return "readonly"
    if len(given.allow_list) > 1 or (given.allow_list and not is_files):
        return "allow_list"
    return next((key for key in ("deny_list", "allowed_domains", "blocked_domains") if getattr(given, key)), None)
