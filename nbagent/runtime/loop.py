"""One turn of the conversation: the prompt, then model and tools in turn until the model has no more to call.

Run by `run` inside its lifetime, so that it may fail or be cut at any await. It writes what is said through `turn`
and tells of it by the run's events. It yields to the loop at the joints of the turn, so that a consumer which keeps
up sees each of them while the stream is live; between two pieces of text only a full channel makes it wait.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, cast

from anyio.lowlevel import checkpoint

from nbagent import boundary
from nbagent.errors import ModelError
from nbagent.events import (
    AgentChoice,
    AgentChoiceReasoning,
    AgentInfo,
    MaxIterationsReached,
    PartialToolCall,
    StopReason,
    TeamInfo,
    TokenUsage,
    UserMessage,
)
from nbagent.ports import ModelRequest, ReasoningDelta, TextDelta, ToolCallDelta
from nbagent.runtime import toolbox
from nbagent.runtime.hooking import fire
from nbagent.runtime.life import Life
from nbagent.runtime.toolbox import Toolbox
from nbagent.session import ToolCall, Usage, new_id

OUTPUT_TRIES = 3
"""How often a model may answer before an answer that does not fit its output type is an error."""


async def converse(run: Life) -> None:
    """Speak one turn and finalize the run with how it ended."""
    await checkpoint()
    await _introduce(run)
    contexts: list[str] = []
    prompt = run.prompt
    for point in ("session_start", "user_prompt_submit") if run.parent is None else ("session_start",):
        hooked = await fire(run, point, prompt=prompt)
        if hooked.block:
            run.finalize("hook_blocked", hooked.reason)
            return
        contexts.append(hooked.context)
        if point == "user_prompt_submit" and hooked.updated_input is not None:
            prompt = str(hooked.updated_input)
    run.turn.user(prompt)
    instructions = "\n\n".join(text for text in (run.agent.instructions, *contexts) if text)
    async with AsyncExitStack() as stack:
        tools = await toolbox.opened(run, stack)
        reason = await _iterate(run, tools, instructions)
        run.finalize(reason)


async def session_end(run: Life, reason: StopReason) -> None:
    """The hooks of the end, after the channel has closed."""
    if run.started.is_set():
        await fire(run, "session_end", prompt=run.prompt, reason=reason)


async def _introduce(run: Life) -> None:
    team = run.runtime.team
    await run.emit(AgentInfo, model=run.model.name, description=run.agent.description)
    if len(team.agents) > 1:
        await run.emit(TeamInfo, agents=tuple(team.agents))
    await run.emit(UserMessage, content=run.prompt)


async def _iterate(run: Life, tools: Toolbox, instructions: str) -> StopReason:
    limit = run.agent.max_iterations
    tries = OUTPUT_TRIES
    iteration = 0
    while True:
        if iteration >= limit:
            outcome = await run.questions.put(MaxIterationsReached, max_iterations=limit)
            if outcome.action != "accept":
                return "max_iterations"
            limit += run.agent.max_iterations
        iteration += 1
        await checkpoint()
        said = await _model_call(run, tools, instructions)
        await checkpoint()
        run.turn.assistant(said.calls)
        if said.calls:
            await run.calls.make(said.calls, tools)
            continue
        problem = _read_output(run, "".join(said.text))
        if problem is None:
            return "completed"
        tries -= 1
        if not tries:
            raise ModelError(f"the answer does not fit the output type: {problem}", "invalid_output")
        run.turn.user(f"That does not fit the schema of the answer: {problem}\nAnswer again, with the JSON alone.")


@dataclass(slots=True)
class _Said:
    """What the model said in one call.

    Parameters
    ----------
    taken
        Identifiers of calls that the session holds already. Some models count from 0 in every message; a call that
        repeats one gets another, since events, cards and results know a call by it.
    """

    taken: set[str]
    ids: dict[str, str] = field(default_factory=dict[str, str])
    text: list[str] = field(default_factory=list[str])
    arguments: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    names: dict[str, str] = field(default_factory=dict[str, str])

    def piece(self, given: str, name: str, arguments: str) -> str:
        """A piece of the call that the model knows as `given`; the call's identifier in the session."""
        key = self.ids.get(given)
        if key is None:
            key = self.ids[given] = given if given and given not in self.taken else new_id("call")
        self.names[key] = self.names.get(key) or name
        self.arguments.setdefault(key, []).append(arguments)
        return key

    @property
    def calls(self) -> list[ToolCall]:
        return [ToolCall(self.names[key], _parsed("".join(parts)), key) for key, parts in self.arguments.items()]


def _parsed(arguments: str) -> dict[str, Any] | str:
    try:
        value: Any = json.loads(arguments or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        return arguments
    return cast("dict[str, Any]", value) if isinstance(value, dict) else arguments


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")  # Python reads NaN and Infinity, which nobody else could


async def _model_call(run: Life, tools: Toolbox, instructions: str) -> _Said:
    adapter = run.agent.output_adapter
    request = ModelRequest(
        messages=tuple(run.session.messages),
        instructions=instructions,
        tools=toolbox.specs(tools),
        output_schema=adapter.json_schema() if adapter is not None else None,
    )
    said = _Said({call.id for message in request.messages for call in message.tool_calls})
    chunks = None
    try:
        chunks = run.model.stream(request)
        async for chunk in chunks:
            match chunk:
                case TextDelta(str() as content):
                    said.text.append(content)
                    run.turn.text(content)
                    await run.emit(AgentChoice, content=content)
                case ReasoningDelta(str() as content):
                    run.turn.reasoning(content)
                    await run.emit(AgentChoiceReasoning, content=content)
                case ToolCallDelta(str() as given, str() as name, str() as arguments):
                    key = said.piece(given, name, arguments)
                    await run.emit(PartialToolCall, tool_call_id=key, name=said.names[key], arguments=arguments)
                case Usage():
                    run.usage += chunk
                    usage = run.usage
                    await run.emit(
                        TokenUsage, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cost=usage.cost
                    )
                case _:
                    raise ModelError(f"{run.model.name} yielded {repr(chunk)[:200]}, which is no piece of an answer")
    except ModelError:
        raise
    except BaseException as error:  # another's model
        if not boundary.is_failure(error):
            raise
        raise ModelError(f"{run.model.name} failed: {boundary.told(error)}") from error
    finally:
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()
    return said


def _read_output(run: Life, text: str) -> str | None:
    """Set the run's output from the final text; what is wrong with it, or None."""
    adapter = run.agent.output_adapter
    if adapter is None:
        return None
    from pydantic import ValidationError

    try:
        run.output = adapter.validate_json(_unfenced(text))
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors())
    return None


def _unfenced(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped.split("\n", 1)[-1].rsplit("```", 1)[0]
    return stripped
