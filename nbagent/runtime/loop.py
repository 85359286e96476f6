"""One turn of the conversation: the prompt, then model and tools in turn until the model has no more to call.

Run by `run` inside its lifetime, so that it may fail or be cut at any await. It writes what is said through `turn`
and tells of it by the run's events. It yields to the loop at the joints of the turn, so that a consumer which keeps
up sees each of them while the stream is live; between two pieces of text only a full channel makes it wait.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from anyio.lowlevel import checkpoint

from nbagent import boundary
from nbagent.errors import ModelError
from nbagent.events import AgentInfo, AgentSwitching, MaxIterationsReached, StopReason, TeamInfo, UserMessage, Warning
from nbagent.hooks import HookResult
from nbagent.messages import Attachment
from nbagent.runtime import toolbox
from nbagent.runtime.compaction import Window, compact, keep_within_limit
from nbagent.runtime.hooking import fire
from nbagent.runtime.life import Life
from nbagent.runtime.modelcall import Said, model_call
from nbagent.runtime.repetition import MOST, Repetition
from nbagent.runtime.structured import read_output
from nbagent.runtime.toolbox import Toolbox
from nbagent.session import ToolCall

OUTPUT_TRIES = 3
"""How often a model may answer before an answer that does not fit its output type is an error."""
COMPACTIONS = 3
"""How often in a row a history that is too long for one model call is summed up."""


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
    heard = await _hear(run, run.prompt, run.options.attachments)
    if heard.block:
        run.finalize("hook_blocked", heard.reason)
        return
    talk = Talk(run.agent.max_iterations, [begun.context, heard.context])
    while True:
        async with AsyncExitStack() as stack:
            tools = await toolbox.opened(run, stack)
            reason = await _iterate(run, tools, talk)
            if reason is not None:
                await _warn_if_unsaved(run)
                run.finalize(reason)
                return
        await _hand_over(run, talk)


async def _warn_if_unsaved(run: Life) -> None:
    """Tell the user of a store that fails, which else the log alone would know."""
    failure = getattr(run.runtime.session_store, "failure", None)
    if failure is not None and (words := failure(run.session.id)):
        await run.emit(Warning, message=f"What is said here is not on disk yet: {words}.")


async def _introduce(run: Life) -> None:
    team = run.runtime.team
    begins = run.parent is None and not run.session.messages
    welcome = run.agent.welcome_message if begins else ""
    await run.emit(AgentInfo, model=run.model.name, description=run.agent.description, welcome=welcome)
    if len(team.agents) > 1:
        await run.emit(TeamInfo, agents=tuple(team.agents))
    attached = run.options.attachments
    attachments = tuple({"name": one.name, "mime": one.mime, "size": one.size} for one in attached)
    await run.emit(UserMessage, content=run.prompt, attachments=attachments)


async def _hear(run: Life, words: str, attachments: tuple[Attachment, ...] = ()) -> HookResult:
    """What the hooks make of the user's words, which are in the history then, unless one blocks them.

    In a nested stream the words are an agent's, and no hook is asked.
    """
    hooked = await fire(run, "user_prompt_submit", prompt=words) if run.parent is None else HookResult()
    if not hooked.block:
        run.turn.user(words if hooked.updated_input is None else str(hooked.updated_input), attachments)
    return hooked


async def _hear_later(run: Life, words: str, talk: Talk) -> None:
    """What the user says while the agent is at work; words that a hook blocks are dropped, and it says so."""
    await run.emit(UserMessage, content=words)
    hooked = await _hear(run, words)
    run.inbox.read(words)  # in the step in which they join the history: cut before it, they are handed back
    talk.contexts.append(hooked.context)


async def _hand_over(run: Life, talk: Talk) -> None:
    agent, run.successor = run.successor, None
    assert agent is not None
    await run.emit(AgentSwitching, to_agent=agent.name)
    run.become(agent)
    talk.limit = max(talk.limit, agent.max_iterations)
    talk.window.counted = 0
    await run.emit(AgentInfo, model=run.model.name, description=agent.description)


@dataclass(slots=True)
class Talk:
    """What is to be remembered of a turn from one model call to the next, whoever speaks.

    Parameters
    ----------
    limit
        How many model calls may be made.
    contexts
        What hooks added to the agent's instructions.
    used
        How many model calls were made.
    tries
        How many answers of the wrong type are still allowed.
    """

    limit: int
    contexts: list[str]
    used: int = 0
    tries: int = OUTPUT_TRIES
    window: Window = field(default_factory=Window)
    repetition: Repetition = field(default_factory=Repetition)


async def _iterate(run: Life, tools: Toolbox, talk: Talk) -> StopReason | None:
    """Model and tools in turn; how it ended, or None where another agent is to go on."""
    while True:
        if not await _may_go_on(run, talk):
            return "max_iterations"
        while (words := run.inbox.steering()) is not None:
            await _hear_later(run, words, talk)
        await checkpoint()
        await toolbox.follow(run, tools)
        said = await _speak(run, tools, talk)
        if said is None:
            return "hook_blocked"
        await checkpoint()
        run.turn.assistant(said.calls)
        talk.window.note(said.usage, run.session)
        if said.calls:
            await _ask_if_circling(run, said.calls, tools, talk)
            await run.calls.make(said.calls, tools)
            if run.successor is not None:
                return None
            continue
        if await _is_done(run, "".join(said.text), talk):
            return "completed"


async def _may_go_on(run: Life, talk: Talk) -> bool:
    if talk.used >= talk.limit:
        outcome = await run.questions.put(MaxIterationsReached, max_iterations=talk.limit)
        if outcome.action != "accept":
            return False
        talk.limit += run.agent.max_iterations
    talk.used += 1
    return True


async def _speak(run: Life, tools: Toolbox, talk: Talk) -> Said | None:
    """One model call with the hooks around it; None where one of them stops the run."""
    await keep_within_limit(run, talk.window)
    before = await fire(run, "before_llm_call", prompt=run.prompt)
    if before.block:
        run.finalize("hook_blocked", before.reason)
        return None
    said = await _said(run, tools, _joined(*_standing(run), *talk.contexts, before.context))
    after = await fire(run, "after_llm_call", prompt=run.prompt, response="".join(said.text))
    if after.block:
        run.finalize("hook_blocked", after.reason)
        return None
    talk.contexts.append(after.context)
    return said


async def _said(run: Life, tools: Toolbox, instructions: str) -> Said:
    """One model call; a history that the provider refuses as too long is summed up, and the call made again."""
    for _ in range(COMPACTIONS):
        try:
            return await model_call(run, tools, instructions)
        except ModelError as error:
            if error.code != "context_exceeded" or run.turn.speaking or not await compact(run, "error"):
                raise
    return await model_call(run, tools, instructions)


async def _ask_if_circling(run: Life, calls: list[ToolCall], tools: Toolbox, talk: Talk) -> None:
    """Ask whether to go on where the same call is made over and over.

    Raises
    ------
    ModelError
        It is not to go on; the calls have results that say so.
    """
    call = talk.repetition.of(calls, tools)
    if call is None:
        return
    words = f"{run.agent.name} calls {call.name} with the same arguments for the {MOST}th time in a row"
    outcome = await run.questions.put(MaxIterationsReached, max_iterations=MOST, message=f"{words}.")
    if outcome.action == "accept":
        return
    for one in calls:
        run.turn.result(one.id, f"The call was not made: {words}.", is_error=True)
    raise ModelError(f"{words}, and was stopped", "loop_detected")


async def _is_done(run: Life, text: str, talk: Talk) -> bool:
    """Whether nothing is left to do after the agent's answer; a reason to go on is in the history then."""
    problem = read_output(run, text)
    if problem is not None:
        talk.tries -= 1
        if not talk.tries:
            raise ModelError(f"the answer does not fit the output type: {problem}", "invalid_output")
        run.turn.user(f"That does not fit the schema of the answer: {problem}\nAnswer again, with the JSON alone.")
        return False
    stopping = await fire(run, "stop", prompt=run.prompt, response=text)
    if stopping.block:
        run.turn.user(stopping.reason)
        return False
    following = run.inbox.following()
    if following is not None:
        await _hear_later(run, following, talk)
        return False
    return run.inbox.close_if_empty()


def _standing(run: Life) -> tuple[str, ...]:
    """The instructions of the agent, and those of the skill that it works by."""
    nested = run.options.nested
    return (run.agent.instructions, nested.instructions if nested is not None else "")


def _joined(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
