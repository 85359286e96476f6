"""`TodoToolset`: the steps of a longer task, kept in view by the agent that does it.

Each session has a list of its own, so that sub-agents and background agents do not tick off each other's steps. Lists
live as long as the toolset; of the sessions the last `SESSIONS` are kept. Below: `builtin`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from nbagent.errors import ToolError
from nbagent.ports import Tool, ToolContext, ToolResult
from nbagent.toolsets.builtin import WORDS, Arguments, BuiltinTool, BuiltinToolset, spec, told

SESSIONS = 200
"""Sessions whose lists are kept."""
MOST = 200
"""Steps in a list."""
LONGEST = 1_000
"""Characters of a step."""

_SIGNS = {"pending": "[ ]", "in-progress": "[>]", "completed": "[x]"}


@dataclass(slots=True)
class Todo:
    """A step; `status` is pending, in-progress or completed."""

    id: str
    description: str
    status: str = "pending"


class TodoToolset(BuiltinToolset):
    """The tools ``create_todo``, ``create_todos``, ``update_todos`` and ``list_todos``; one list a session.

    Examples
    --------
    >>> TodoToolset().name
    'todo'
    """

    name = "todo"

    def __init__(self) -> None:
        self._lists: OrderedDict[str, list[Todo]] = OrderedDict()

    def __repr__(self) -> str:
        return "TodoToolset()"

    def _tools(self) -> Sequence[Tool]:
        return (
            BuiltinTool(_CREATE_ONE, self.name, self._create),
            BuiltinTool(_CREATE, self.name, self._create),
            BuiltinTool(_UPDATE, self.name, self._update),
            BuiltinTool(_LIST, self.name, self._list),
        )

    def _todos(self, context: ToolContext) -> list[Todo]:
        todos = self._lists.setdefault(context.session.id, [])
        self._lists.move_to_end(context.session.id)
        while len(self._lists) > SESSIONS:
            self._lists.popitem(last=False)
        return todos

    async def _create(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        todos = self._todos(context)
        descriptions = arguments["descriptions"] if "descriptions" in arguments else [arguments["description"]]
        if len(todos) + len(descriptions) > MOST:
            raise ToolError(f"A list has {MOST} steps at most, and there are {len(todos)}; take larger steps.")
        for description in descriptions:
            todos.append(Todo(f"todo_{len(todos) + 1}", description))
        return ToolResult(_told(todos))

    async def _update(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        todos = self._todos(context)
        by_id = {todo.id: todo for todo in todos}
        unknown = [update["id"] for update in arguments["updates"] if update["id"] not in by_id]
        for update in arguments["updates"]:
            if update["id"] in by_id:
                by_id[update["id"]].status = update["status"]
        note = f"There is no {', '.join(unknown)}.\n" if unknown else ""
        return ToolResult(note + _told(todos), is_error=len(unknown) == len(arguments["updates"]))

    async def _list(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        return ToolResult(_told(self._todos(context)))


def _told(todos: Sequence[Todo]) -> str:
    """The list, a step a line, and what is left of it."""
    if not todos:
        return "The list is empty."
    lines = [f"{_SIGNS[todo.status]} {todo.id}: {' '.join(todo.description.split())}" for todo in todos]
    left = sum(todo.status != "completed" for todo in todos)
    return "\n".join([*lines, f"{left} of {len(todos)} left." if left else "All done."])


_DESCRIPTION = {**WORDS, "maxLength": LONGEST}
_STATUS = told({"type": "string", "enum": [*_SIGNS]}, "What it is now.")
_ONE_UPDATE = {
    "type": "object",
    "properties": {"id": told(WORDS, "Such as todo_1."), "status": _STATUS},
    "required": ["id", "status"],
    "additionalProperties": False,
}
_CREATE_ONE = spec(
    "create_todo", "Add a step to your list.", {"description": told(_DESCRIPTION, "What is to be done.")}
)
_CREATE = spec(
    "create_todos",
    "Add steps to your list, before you begin a task of several steps.",
    {
        "descriptions": told(
            {"type": "array", "items": _DESCRIPTION, "minItems": 1, "maxItems": MOST}, "What is to be done, in order."
        )
    },
)
_UPDATE = spec(
    "update_todos",
    "Say how far steps of your list are: in-progress before you begin one, completed as soon as it is done.",
    {"updates": told({"type": "array", "items": _ONE_UPDATE, "minItems": 1, "maxItems": MOST}, "The steps.")},
)
_LIST = spec("list_todos", "Show your list of steps.", {})
