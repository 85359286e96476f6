"""What a transcript says: events become an ordered tree of blocks.

A `Document` takes every event of a run and keeps blocks: prompts, texts, reasoning, tool cards, questions, notes and
nested groups (one a sub-stream), and the facts of the footer. It is pure: it knows no widget and no clock but that of
the events. The live view (`wire`), the static twin (`static`) and the terminal (`plain`) all read this one tree.

It guarantees: blocks are only ever added at the end of their group (the card of a call that runs beside others: at the
end of their row), and their ids never change; text only grows, apart from the last line of a tool's output (progress
bars); whatever changed since the last look is in `changed`.
Below: `events`, `blocks`, `words`. Above: `wire`, `static`, `plain`, `transcript`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, Unpack

from nbagent import events as ev
from nbagent.widgets import attached, media, words
from nbagent.widgets.attached import About
from nbagent.widgets.blocks import Block, Card, Drawn, Footer, Group, Heading, Note, Prompt, Question, Reasoning, Text
from nbagent.widgets.endings import ending

B = TypeVar("B", bound=Block)

_WRITTEN = 500
"""Characters of a call's arguments that are shown while the model writes them."""


class Document:
    """The blocks of one run.

    Parameters
    ----------
    about
        What is known of the run beforehand.

    Examples
    --------
    >>> document = Document()
    >>> about = dict(session_id="s", agent_name="a", stream_id="t", timestamp=0.0)
    >>> document.apply(ev.UserMessage(content="Hello", seq=1, **about))
    >>> [block.text for block in document.root.children]
    ['Hello']
    """

    def __init__(self, **about: Unpack[About]) -> None:
        agent, heading = about.get("agent", ""), about.get("heading", "")
        self._ids = itertools.count(2)
        self.root = Group(0, 0, agent=agent)
        self.footer = Footer(1, 0, agent=agent, model=about.get("model", ""))
        self.changed: dict[int, Block] = {}
        self._groups: dict[str, Group] = {}
        self._by_id: dict[int, Group] = {}  # the nested ones
        self._cards: dict[tuple[int, str], Card] = {}
        self._questions: dict[str, Question] = {}
        self._widgets: dict[str, Drawn] = {}
        self._usages: dict[int, ev.TokenUsage] = {}
        self._attachments = tuple(about.get("attachments", ()))
        if heading:
            self._add(self.root, Heading(next(self._ids), 0, heading))
        self._handlers: dict[str, Callable[[Group, Any], None]] = {
            "stream_started": self._started, "stream_stopped": self._stopped, "user_message": self._prompt,
            "agent_info": self._agent, "agent_choice": self._text, "agent_choice_reasoning": self._reasoning,
            "partial_tool_call": self._partial, "tool_call": self._call, "tool_call_output": self._output,
            "tool_call_response": self._response, "tool_call_confirmation": self._confirmation,
            "elicitation_request": self._elicitation, "elicitation_resolved": self._resolved,
            "max_iterations_reached": self._limit, "sub_session_started": self._sub_started,
            "sub_session_completed": self._sub_completed, "token_usage": self._usage, "warning": self._warning,
            "error": self._error, "hook_blocked": self._blocked, "hook_finished": self._hook,
            "mcp_init_started": self._server, "mcp_init_finished": self._server_up,
            "agent_switching": self._switching, "model_fallback": self._fallback,
            "session_compaction": self._compaction,
        }  # fmt: skip

    # ------------------------------------------------------------ what others read and add

    def apply(self, event: ev.Event) -> None:
        """Take one event, in order."""
        handler = self._handlers.get(event.type)
        if handler is not None:
            handler(self._group(event), event)

    def note(self, text: str, *, level: str = "info", next: str = "") -> None:
        """Add a line that no event tells, such as how many messages a re-run left for a branch."""
        self._note(self.root, level, text, next)

    def card(self, event: ev.ToolCallResponse) -> Card | None:
        """The card of a call that has ended."""
        return self._cards.get((self._group(event).id, event.tool_call_id))

    def draw(self, event: ev.Event, bundle: Mapping[str, Any], widget: str = "", *, complete: bool = True) -> None:
        """Show what a renderer of the user's own made of an event that was applied: on a call's card, else below.

        Of a widget, the bundle is what the twin has in its place; one that already stands below an event stays there.
        """
        card = self.card(event) if isinstance(event, ev.ToolCallResponse) else None
        shown = card or (self._widgets.get(widget) if widget else None)
        if shown is None:
            group = self._group(event)
            self._settle(group, event.timestamp)
            shown = self._widgets[widget] = self._add(group, Drawn(next(self._ids), group.id, bundle, widget))
        shown.draw(bundle, widget, complete=complete)
        self._touch(shown)

    def question(self, question_id: str) -> Question | None:
        """The block of a question, once it was asked."""
        return self._questions.get(question_id)

    def blocks(self) -> list[Block]:
        """Every block, each after its group, in reading order; the footer last."""

        def walk(group: Group) -> list[Block]:
            found: list[Block] = []
            for block in group.children:
                found.append(block)
                if isinstance(block, Group):
                    found += walk(block)
            return found

        return [*walk(self.root), self.footer]

    # ------------------------------------------------------------ the tree

    def _group(self, event: ev.Event) -> Group:
        known = self._groups.get(event.stream_id)
        if known is not None:
            return known
        if not self._groups:
            self._groups[event.stream_id] = self.root
            self.root.agent = self.footer.agent = event.agent_name or self.root.agent
            self._touch(self.footer)
            return self.root
        parent = self._groups.get(getattr(event, "parent_id", None) or "", self.root)
        return self._nested(parent, event.stream_id, event.agent_name, event.timestamp)

    def _nested(self, parent: Group, stream_id: str, agent: str, at: float) -> Group:
        group = self._add(parent, Group(next(self._ids), parent.id, agent=agent, of=parent.agent, started=at))
        self._groups[stream_id] = self._by_id[group.id] = group
        return group

    def _around(self, group_id: int) -> Iterator[Group]:
        """The nested group of that id, and those around it."""
        while (group := self._by_id.get(group_id)) is not None:
            yield group
            group_id = group.parent

    def _add(self, group: Group, block: B) -> B:
        group.children.append(block)
        self._touch(block)
        return block

    def _touch(self, block: Block) -> None:
        self.changed[block.id] = block

    def _settle(self, group: Group, at: float) -> None:
        growing, group.growing = group.growing, None
        if growing is None:
            return
        if isinstance(growing, Text):
            growing.done = True
        else:
            growing.ended = at
        self._touch(growing)

    def _note(self, group: Group, level: str, text: str, next_step: str = "") -> None:
        self._add(group, Note(next(self._ids), group.id, level, words.sentence(text), next_step))

    # ------------------------------------------------------------ stream

    def _started(self, group: Group, event: ev.StreamStarted) -> None:
        if group is self.root and self.footer.started is None:
            self.footer.started = event.timestamp
            self._touch(self.footer)

    def _stopped(self, group: Group, event: ev.StreamStopped) -> None:
        self._end(group, event.reason, event.timestamp)
        if group is not self.root:
            return
        for nested in self._by_id.values():
            self._end(nested, event.reason, event.timestamp)
        self.footer.stopped, self.footer.reason, self.footer.doing = event.timestamp, event.reason, ""
        self._touch(self.footer)
        told = any(isinstance(block, Note) and block.level == "error" for block in group.children)
        if (note := ending(event.reason, event.message, self.footer.elapsed, told=told)) is not None:
            self._note(group, *note)

    def _end(self, group: Group, reason: str, at: float) -> None:
        if group.reason is not None:
            return
        self._settle(group, at)
        group.reason, group.ended = reason, at
        for card in group.row:
            if card.state == "writing":  # the model did not come to its end
                card.state = "cancelled"
                self._touch(card)
        if group is not self.root:
            self._touch(group)

    def _prompt(self, group: Group, event: ev.UserMessage) -> None:
        self._settle(group, event.timestamp)
        group.row = []
        names = attached.names(event.attachments)
        pictures = attached.pictures(self._attachments) if names and group is self.root else ()
        self._add(group, Prompt(next(self._ids), group.id, event.content, names, pictures))

    def _agent(self, group: Group, event: ev.AgentInfo) -> None:
        if group is self.root:
            self.footer.model = event.model
            self._touch(self.footer)
        if event.welcome:
            self._note(group, "info", event.welcome)

    def _usage(self, group: Group, event: ev.TokenUsage) -> None:
        """Each stream tells of its own; the footer, of all together."""
        self._usages[group.id] = event
        usages = self._usages.values()
        self.footer.sent = sum(usage.input_tokens for usage in usages)
        self.footer.received = sum(usage.output_tokens for usage in usages)
        costs = [usage.cost for usage in usages if usage.cost is not None]
        self.footer.cost = sum(costs) if costs else None
        self._touch(self.footer)

    def _text(self, group: Group, event: ev.AgentChoice) -> None:
        if not isinstance(group.growing, Text):
            self._settle(group, event.timestamp)
            group.row = []
            group.growing = self._add(group, Text(next(self._ids), group.id))
        group.growing.source.add(event.content)
        self._touch(group.growing)

    def _reasoning(self, group: Group, event: ev.AgentChoiceReasoning) -> None:
        if not isinstance(group.growing, Reasoning):
            self._settle(group, event.timestamp)
            group.row = []
            group.growing = self._add(group, Reasoning(next(self._ids), group.id, event.timestamp))
        group.growing.source.add(event.content)
        self._touch(group.growing)

    # ------------------------------------------------------------ tools

    def _card(self, group: Group, event: Any, *, fresh: bool = False) -> Card:
        """The card of the event's call; with `fresh`, not one that has ended (models use their ids again)."""
        key = (group.id, event.tool_call_id)
        card = self._cards.get(key)
        if card is None or (fresh and card.over):
            self._settle(group, event.timestamp)
            card = Card(next(self._ids), group.id, event.tool_call_id, getattr(event, "name", ""), event.timestamp)
            self._cards[key] = card
            self._stand(group, card)
        self._touch(card)
        return card

    def _stand(self, group: Group, card: Card) -> None:
        """Put a new card beside the calls that run, else below all that is said."""
        if all(other.over for other in group.row):
            group.children.append(card)
            group.row = [card]
            return
        card.row = group.row[0].id
        place = len(group.children)
        while group.children[place - 1] is not group.row[-1]:
            place -= 1
        group.children.insert(place, card)
        group.row.append(card)

    def _partial(self, group: Group, event: ev.PartialToolCall) -> None:
        card = self._cards.get((group.id, event.tool_call_id))
        if card is None or card.over or not card.name:
            card = self._card(group, event, fresh=True)
            card.name = event.name
        if card.state == "writing" and len(written := str(card.arguments)) < _WRITTEN:
            card.arguments = written + event.arguments
            self._touch(card)

    def _call(self, group: Group, event: ev.ToolCallStarted) -> None:
        card = self._card(group, event, fresh=True)
        card.name, card.arguments, card.toolset = event.name, event.arguments, event.toolset
        card.state, card.started = "running", event.timestamp

    def _output(self, group: Group, event: ev.ToolCallOutput) -> None:
        card = self._card(group, event)
        if event.content:
            card.output.add(event.content)
        if event.data:
            card.displays.append(event.data)

    def _response(self, group: Group, event: ev.ToolCallResponse) -> None:
        card = self._card(group, event)
        card.name = event.name or card.name
        card.state, card.duration, card.asked = event.state, event.duration, None
        if event.is_error and event.state == "ok":
            card.state = "failed"
        card.result.add(event.response)
        card.displays += [media.of_content(block) for block in event.content]

    # ------------------------------------------------------------ questions

    def _ask(self, group: Group, question: Question, at: float) -> None:
        self._settle(group, at)
        self._questions[question.question_id] = self._add(group, question)
        self._asks(group.id, 1)
        card = self._cards.get((question.parent, question.call_id or ""))
        if card is not None and not card.over:
            card.asked = at
            self._touch(card)

    def _asks(self, group_id: int, change: int) -> None:
        """One more or one less of the questions in that group, and in those around it, is open."""
        for around in self._around(group_id):
            around.asking += change
            self._touch(around)

    def _elicitation(self, group: Group, event: ev.ElicitationRequest) -> None:
        question = Question(
            next(self._ids), group.id, event.id, "elicitation", event.message, event.source, event.tool_call_id
        )
        self._ask(group, question, event.timestamp)

    def _confirmation(self, group: Group, event: ev.ToolCallConfirmation) -> None:
        message = f"May {event.agent_name or 'the agent'} call {event.name}?"
        question = Question(next(self._ids), group.id, event.id, "approval", message, event.toolset, event.tool_call_id)
        self._ask(group, question, event.timestamp)

    def _limit(self, group: Group, event: ev.MaxIterationsReached) -> None:
        if event.id is not None:
            message = f"{event.message or f'{event.max_iterations} model calls were made.'} Go on?"
            self._ask(group, Question(next(self._ids), group.id, event.id, "limit", message), event.timestamp)

    def _resolved(self, group: Group, event: ev.ElicitationResolved) -> None:
        question = self._questions.get(event.id)
        if question is None or question.action is not None:
            return
        question.action, question.note = event.action, event.note
        self._touch(question)
        self._asks(question.parent, -1)
        same = (question.parent, question.call_id)
        waiting = [q for q in self._questions.values() if (q.parent, q.call_id) == same and q.action is None]
        card = self._cards.get((question.parent, question.call_id or ""))
        if card is not None and not waiting:
            card.asked = None
            self._touch(card)

    # ------------------------------------------------------------ nested streams and notes

    def _sub_started(self, group: Group, event: ev.SubSessionStarted) -> None:
        self._settle(group, event.timestamp)
        if event.background:
            name = f" as {event.background_id}" if event.background_id else ""
            self._note(group, "info", f"{event.child_agent} runs in the background{name}.")
        elif event.child_stream_id not in self._groups:
            self._nested(group, event.child_stream_id, event.child_agent, event.timestamp)

    def _sub_completed(self, group: Group, event: ev.SubSessionCompleted) -> None:
        child = self._groups.get(event.child_stream_id)
        if child is not None and child is not self.root:
            self._end(child, event.reason, event.timestamp)

    def _warning(self, group: Group, event: ev.Warning) -> None:
        self._note(group, "warning", event.message, words.after_warning(event.message, event.hook))

    def _error(self, group: Group, event: ev.Error) -> None:
        self._settle(group, event.timestamp)
        self._note(group, "error", event.message, words.advice(event.code, event.message))

    def _blocked(self, group: Group, event: ev.HookBlocked) -> None:
        self._settle(group, event.timestamp)  # what the model says next, being told so, is another answer
        level, steps = ("error", words.ADVICE) if event.point == "user_prompt_submit" else ("warning", words.STEPS)
        text = f"The hook {event.hook} blocked {event.point}: {event.reason}"
        self._note(group, level, text, steps["hook_blocked"])

    def _hook(self, group: Group, event: ev.HookFinished) -> None:
        if event.error and not event.told:
            text = f"The hook {event.hook} of {event.point} failed: {event.error}"
            self._note(group, "warning", text, words.STEPS["hook_failed"])

    def _server(self, group: Group, event: ev.MCPInitStarted) -> None:
        self.footer.doing = f"starting {event.server}"
        self._touch(self.footer)

    def _server_up(self, group: Group, event: ev.MCPInitFinished) -> None:
        self.footer.doing = ""
        self._touch(self.footer)
        if event.error:
            text = f"The server {event.server} did not start: {event.error}"
            self._note(group, "warning", text, words.STEPS["server_down"])

    def _switching(self, group: Group, event: ev.AgentSwitching) -> None:
        self._settle(group, event.timestamp)
        self._note(group, "info", f"{event.agent_name} hands over to {event.to_agent}.")

    def _fallback(self, group: Group, event: ev.ModelFallback) -> None:
        text = f"{event.from_model} failed ({event.error}); {event.to_model} takes over."
        self._note(group, "warning", text, words.STEPS["fallback"])

    def _compaction(self, group: Group, event: ev.SessionCompaction) -> None:
        kept = f"{event.messages_before} messages became {event.messages_after}"
        self._note(group, "info", f"The history was summarised to fit the model's context: {kept}.")
