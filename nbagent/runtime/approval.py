"""Whether a tool call may be made, and with which arguments: the rules, the hooks, and at last the user.

Called by `calls` for each call, after `pre_tool_use`. `nbagent.permissions` decides; where it says ask, the hooks of
`permission_request` may decide instead, and then the question is an event like any other, answered by `Runtime.answer`
and cancelled by the run's end. It guarantees:

- what is called is what was approved: the arguments are copied once the hooks have had them, and again for the event;
- an approval that reaches further than its call settles every call that it covers and that waits at that moment, and
  none slips through beside it: nothing is awaited between a decision and its question;
- a call that its tool knows will fail is not asked about;
- arguments that the user changed fit the tool's schema and break no rule, and the model reads what ran.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from nbagent import boundary
from nbagent.errors import ConfigError, InvalidAnswer, ToolError
from nbagent.events import Event, ToolCallConfirmation, Warning
from nbagent.permissions import EVERYTHING, Decision, Permissions, decide, exactly, read, suggested
from nbagent.ports import ElicitationResult, Tool
from nbagent.runtime.hooking import fire
from nbagent.runtime.life import Life
from nbagent.session import ToolCall

SCOPES = ("once", "session", "always", "all")
NOBODY_ASKED = "The call was not made: this run approves no tool that can hurt (approve='none')."

Arguments = Mapping[str, Any]


class Refused(Exception):
    """The call may not be made; the words are for the model."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """A call that wants to be made; `hooked` is what the hooks of `pre_tool_use` said."""

    call: ToolCall
    tool: Tool
    arguments: Arguments
    hooked: Literal["allow", "ask"] | None


class Approvals:
    """The approvals of one run's calls."""

    def __init__(self, run: Life) -> None:
        self._run = run
        self._waiting: dict[str, _Ask] = {}

    async def approve(
        self, call: ToolCall, tool: Tool, arguments: Arguments, hooked: Literal["allow", "deny", "ask"] | None
    ) -> Arguments:
        """The arguments to call `tool` with, once the call is approved.

        Parameters
        ----------
        call, tool, arguments
            Which call.
        hooked
            What the hooks of ``pre_tool_use`` said of it.

        Raises
        ------
        Refused
            It may not be made.
        ToolError
            It would fail, so that nobody is asked.
        """
        ask = _Ask(call, tool, copy.deepcopy(arguments), None if hooked == "deny" else hooked)
        if self._allowed(ask) or await self._allowed_by_hooks(ask):
            return ask.arguments
        preview = await self._preview(ask)
        if self._allowed(ask):
            return ask.arguments
        return await self._answered(ask, preview)

    @property
    def _rules(self) -> Permissions:
        return self._run.runtime.team.permissions | self._run.agent.permissions

    def _decision(self, ask: _Ask) -> Decision:
        run = self._run
        approved = run.session.approved | run.runtime.approved.get(run.agent.name, set())
        return decide(ask.tool, ask.call.name, ask.arguments, run.options.approve, self._rules, approved, ask.hooked)

    def _allowed(self, ask: _Ask) -> bool:
        match self._decision(ask):
            case "deny":
                raise Refused(self._denial(ask, ask.arguments) or "The call was not made.")
            case "refuse":
                raise Refused(NOBODY_ASKED)
            case decision:
                return decision == "allow"

    def _denial(self, ask: _Ask, arguments: Arguments) -> str:
        """Why a rule forbids the call with these arguments; ``""`` where none does."""
        pattern = self._rules.denying(ask.tool, ask.call.name, arguments)
        return "" if pattern is None else f"The call was not made: a rule denies it ({pattern})."

    async def _allowed_by_hooks(self, ask: _Ask) -> bool:
        """What the hooks say in the user's place, who is about to be asked."""
        run, call = self._run, ask.call
        given = copy.deepcopy(ask.arguments)
        fields = {"prompt": run.prompt, "tool_name": call.name, "tool_call_id": call.id}
        hooked = await fire(run, "permission_request", arguments=given, **fields)
        if hooked.block:
            raise Refused(f"The call was blocked: {hooked.reason}")
        if hooked.updated_input is not None:
            run.record(
                Warning, message="A hook of permission_request changed the arguments, which only pre_tool_use can."
            )
        return hooked.permission == "allow"

    async def _preview(self, ask: _Ask) -> str:
        """What the call would change, where its tool can tell; a tool that cannot tell is asked about all the same."""
        preview = getattr(ask.tool, "preview", None)
        if not inspect.iscoroutinefunction(preview):
            return ""
        try:
            told: object = await preview(copy.deepcopy(ask.arguments))
        except ToolError:
            raise
        except BaseException as error:  # another's tool
            if not boundary.is_failure(error):
                raise
            self._run.record(
                Warning, message=f"What {ask.call.name} would change cannot be shown: {boundary.told(error)}"
            )
            return ""
        return told if isinstance(told, str) else ""

    async def _answered(self, ask: _Ask, preview: str) -> Arguments:
        """The arguments, as the user approves them."""
        call, tool = ask.call, ask.tool
        self._waiting[call.id] = ask
        try:
            outcome = await self._run.questions.put(
                ToolCallConfirmation,
                check=lambda outcome: self._check(ask, outcome),
                tool_call_id=call.id,
                name=call.name,
                arguments=copy.deepcopy(ask.arguments),
                toolset=tool.toolset,
                code_argument=getattr(tool, "code_argument", ""),
                pattern=suggested(tool, call.name, ask.arguments),
                preview=preview,
            )
        finally:
            del self._waiting[call.id]
        content = outcome.content or {}
        if outcome.action != "accept":
            why = content.get("reason") or outcome.explanation
            raise Refused("The user did not approve the call" + (f": {why}" if why else "."))
        self._remember(ask, content)
        return self._edited(ask, content)

    # ------------------------------------------------------------ what the user says

    def _check(self, ask: _Ask, outcome: ElicitationResult) -> None:
        """Refuse an answer that cannot be taken; the question stays open."""
        content = outcome.content or {}
        if outcome.action != "accept":
            if not isinstance(content.get("reason") or "", str):
                raise InvalidAnswer({"reason": "The reason is a text."})
            return
        scope = content.get("scope") or "once"
        if scope not in SCOPES:
            raise InvalidAnswer({"scope": f"One of {', '.join(SCOPES)}, not {scope!r}."})
        if scope == "always":
            try:
                read(_pattern(ask, content))
            except ConfigError as error:
                raise InvalidAnswer({"pattern": str(error)}) from None
        if content.get("arguments") is not None:
            self._check_edited(ask, content["arguments"])

    def _check_edited(self, ask: _Ask, arguments: object) -> None:
        from nbagent.schema import validate

        if not isinstance(arguments, Mapping):
            raise InvalidAnswer({"arguments": f"The arguments are an object, not {type(arguments).__name__}."})
        given = dict(cast("Arguments", arguments))
        if errors := validate(given, ask.tool.spec.parameters):
            listed = "; ".join(f"{name}: {text}" if name else text for name, text in errors.items())
            raise InvalidAnswer({"arguments": listed})
        if denial := self._denial(ask, given):
            raise InvalidAnswer({"arguments": denial})

    def _remember(self, ask: _Ask, content: Mapping[str, Any]) -> None:
        """Keep an approval that reaches further than its call, and settle what waits and is covered by it."""
        run = self._run
        match content.get("scope"):
            case "session":
                run.session.approved.add(exactly(ask.call.name))
            case "all":
                run.session.approved.add(EVERYTHING)
            case "always":
                run.runtime.approved.setdefault(run.agent.name, set()).add(_pattern(ask, content))
            case _:
                return
        run.questions.resolve_alike(self._covered, ElicitationResult("accept", {"scope": "once"}))

    def _covered(self, event: Event) -> bool:
        ask = self._waiting.get(event.tool_call_id) if isinstance(event, ToolCallConfirmation) else None
        return ask is not None and self._decision(ask) == "allow"

    def _edited(self, ask: _Ask, content: Mapping[str, Any]) -> Arguments:
        """The arguments that the call runs with; the model reads of those that the user changed."""
        given = content.get("arguments")
        if given is None or given == ask.arguments:
            return ask.arguments
        arguments = copy.deepcopy(dict(given))
        if denial := self._denial(ask, arguments):  # a rule of an agent that took over meanwhile
            raise Refused(denial)
        told = json.dumps(arguments, ensure_ascii=False, default=str)
        self._run.calls.note(ask.call.id, f"the user edited this call before it ran; it ran with the arguments {told}")
        return arguments


def _pattern(ask: _Ask, content: Mapping[str, Any]) -> str:
    """The pattern that an approval for good is for."""
    return content.get("pattern") or suggested(ask.tool, ask.call.name, content.get("arguments") or ask.arguments)
