"""One turn of the conversation: the prompt, then model and tools in turn until the model has no more to call.

Run by `run` inside its lifetime, so that it may fail or be cut at any await. It writes what is said through `turn`
and tells of it by the run's events. It yields to the loop at the joints of the turn, so that a consumer which keeps
up sees each of them while the stream is live; between two pieces of text only a full channel makes it wait.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from anyio.lowlevel import checkpoint

from nbagent import boundary
from nbagent.errors import ModelError
from nbagent.events import AgentInfo, AgentSwitching, MaxIterationsReached, StopReason, TeamInfo, UserMessage
from nbagent.hooks import HookResult
from nbagent.runtime import toolbox
from nbagent.runtime.hooking import fire
from nbagent.runtime.life import Life
from nbagent.runtime.modelcall import Said, model_call
from nbagent.runtime.toolbox import Toolbox

OUTPUT_TRIES = 3
"""How often a model may answer before an answer that does not fit its output type is an error."""


async def converse(run: Life) -> None:
    """Speak one turn and finalize the run with how it ended."""
    try:
        await _turn(run)
    except BaseException as error:
        if boundary.is_failure(error):
            code = getattr(error, "code", type(error).__name__)
            await fire(run, "on_error", error=boundary.told(error), code=str(code))
        raise


async def session_end(run: Life, reason: StopReason) -> None:
    """The hooks of the end, after the channel has closed."""
    if run.started.is_set():
        await fire(run, "session_end", prompt=run.prompt, reason=reason)


async def _turn(run: Life) -> None:
    await checkpoint()
    await _introduce(run)
    begun = await fire(run, "session_start", prompt=run.prompt, source="resume" if run.session.messages else "startup")
    if begun.block:
        run.finalize("hook_blocked", begun.reason)
        return
    heard = await _hear(run, run.prompt)
    if heard.block:
        run.finalize("hook_blocked", heard.reason)
        return
    contexts = [begun.context, heard.context]
    budget = Budget(run.agent.max_iterations)
    while True:
        async with AsyncExitStack() as stack:
            tools = await toolbox.opened(run, stack)
            reason = await _iterate(run, tools, contexts, budget)
            if reason is not None:
                run.finalize(reason)
                return
        await _hand_over(run, budget)


async def _introduce(run: Life) -> None:
    team = run.runtime.team
    await run.emit(AgentInfo, model=run.model.name, description=run.agent.description)
    if len(team.agents) > 1:
        await run.emit(TeamInfo, agents=tuple(team.agents))
    await run.emit(UserMessage, content=run.prompt)


async def _hear(run: Life, words: str) -> HookResult:
    """What the hooks make of the user's words, which are in the history then, unless one blocks them.

    In a nested stream the words are an agent's, and no hook is asked.
    """
    hooked = await fire(run, "user_prompt_submit", prompt=words) if run.parent is None else HookResult()
    if not hooked.block:
        run.turn.user(words if hooked.updated_input is None else str(hooked.updated_input))
    return hooked


async def _hear_later(run: Life, words: str, contexts: list[str]) -> None:
    """What the user says while the agent is at work; words that a hook blocks are dropped, and it says so."""
    await run.emit(UserMessage, content=words)
    hooked = await _hear(run, words)
    contexts.append(hooked.context)


async def _hand_over(run: Life, budget: Budget) -> None:
    agent, run.successor = run.successor, None
    assert agent is not None
    await run.emit(AgentSwitching, to_agent=agent.name)
    run.become(agent)
    budget.limit = max(budget.limit, agent.max_iterations)
    await run.emit(AgentInfo, model=run.model.name, description=agent.description)


@dataclass(slots=True)
class Budget:
    """How many model calls were made, and how many may be: over the whole turn, whoever speaks."""

    limit: int
    used: int = 0
    tries: int = OUTPUT_TRIES


async def _iterate(run: Life, tools: Toolbox, contexts: list[str], budget: Budget) -> StopReason | None:
    """Model and tools in turn; how it ended, or None where another agent is to go on."""
    while True:
        if not await _may_go_on(run, budget):
            return "max_iterations"
        for words in run.inbox.steering():
            await _hear_later(run, words, contexts)
        await checkpoint()
        said = await _speak(run, tools, contexts)
        if said is None:
            return "hook_blocked"
        await checkpoint()
        run.turn.assistant(said.calls)
        if said.calls:
            await run.calls.make(said.calls, tools)
            if run.successor is not None:
                return None
            continue
        if await _is_done(run, "".join(said.text), contexts, budget):
            return "completed"


async def _may_go_on(run: Life, budget: Budget) -> bool:
    if budget.used >= budget.limit:
        outcome = await run.questions.put(MaxIterationsReached, max_iterations=budget.limit)
        if outcome.action != "accept":
            return False
        budget.limit += run.agent.max_iterations
    budget.used += 1
    return True


async def _speak(run: Life, tools: Toolbox, contexts: list[str]) -> Said | None:
    """One model call with the hooks around it; None where one of them stops the run."""
    before = await fire(run, "before_llm_call", prompt=run.prompt)
    if before.block:
        run.finalize("hook_blocked", before.reason)
        return None
    said = await model_call(run, tools, _joined(run.agent.instructions, *contexts, before.context))
    after = await fire(run, "after_llm_call", prompt=run.prompt, response="".join(said.text))
    if after.block:
        run.finalize("hook_blocked", after.reason)
        return None
    contexts.append(after.context)
    return said


async def _is_done(run: Life, text: str, contexts: list[str], budget: Budget) -> bool:
    """Whether nothing is left to do after the agent's answer; a reason to go on is in the history then."""
    problem = _read_output(run, text)
    if problem is not None:
        budget.tries -= 1
        if not budget.tries:
            raise ModelError(f"the answer does not fit the output type: {problem}", "invalid_output")
        run.turn.user(f"That does not fit the schema of the answer: {problem}\nAnswer again, with the JSON alone.")
        return False
    stopping = await fire(run, "stop", prompt=run.prompt, response=text)
    if stopping.block:
        run.turn.user(stopping.reason)
        return False
    following = run.inbox.next()
    if following is not None:
        await _hear_later(run, following, contexts)
        return False
    return run.inbox.close_if_empty()


def _joined(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)


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
