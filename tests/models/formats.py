"""The streaming formats of three providers, as their servers write them: what a `Format` says, and how it reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from nbagent.models import ProviderModel

KEY = "sk-canary-1f0c9a2b7d3e4f56"
"""The key that a test's provider gets, and that is to be seen nowhere else."""


@dataclass
class Call:
    """A tool call as it is streamed."""

    id: str
    name: str
    pieces: Sequence[str]


def sse(data: Any, event: str = "") -> str:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


class Chat:
    """Chat completions."""

    name = "openai-chat:gpt-4.1-mini"
    key_name = "OPENAI_API_KEY"

    def model(self, url: str, **options: Any) -> ProviderModel:
        return ProviderModel(self.name, base_url=f"{url}/v1", **options)

    def said(
        self, text: Iterable[str] = (), calls: Sequence[Call] = (), reasoning: str = "", stop: str = ""
    ) -> list[str]:
        events = [self._delta({"role": "assistant", "content": ""})]
        events += [self._delta({"reasoning_content": reasoning})] if reasoning else []
        events += [self._delta({"content": piece}) for piece in text]
        for place, call in enumerate(calls):
            start = {
                "index": place,
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }
            events.append(self._delta({"tool_calls": [start]}))
        for pieces in zip_longest(*(call.pieces for call in calls)):
            for place, piece in enumerate(pieces):
                if piece is not None:
                    function = {"index": place, "function": {"arguments": piece}}
                    events.append(self._delta({"tool_calls": [function]}))
        if stop != "none":
            events.append(self._delta({}, stop or ("tool_calls" if calls else "stop")))
            usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
            events.append(sse({**self._head(), "choices": [], "usage": usage}))
            events.append(sse("[DONE]"))
        return events

    def _head(self) -> dict[str, Any]:
        return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1-mini"}

    def _delta(self, delta: dict[str, Any], finish: str | None = None) -> str:
        return sse({**self._head(), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def heard(self, body: dict[str, Any]) -> list[tuple[str, ...]]:
        heard: list[tuple[str, ...]] = []
        for message in body["messages"]:
            if message["role"] == "tool":
                heard.append(("result", message["tool_call_id"], message["content"]))
                continue
            if message.get("content"):
                heard.append((message["role"], message["content"]))
            for call in message.get("tool_calls") or ():
                heard.append(("call", call["id"], call["function"]["name"], call["function"]["arguments"]))
        return heard

    def tools(self, body: dict[str, Any]) -> list[str]:
        return [tool["function"]["name"] for tool in body.get("tools") or ()]


class Responses:
    """OpenAI's Responses."""

    name = "openai:gpt-5-mini"
    key_name = "OPENAI_API_KEY"

    def model(self, url: str, **options: Any) -> ProviderModel:
        return ProviderModel(self.name, base_url=f"{url}/v1", **options)

    def said(
        self, text: Iterable[str] = (), calls: Sequence[Call] = (), reasoning: str = "", stop: str = ""
    ) -> list[str]:
        self._number = 0
        events = [self._event("response.created", response=self._response("in_progress"))]
        place = 0
        if reasoning:
            where = {"item_id": "r1", "output_index": place, "summary_index": 0}
            item = {"id": "r1", "type": "reasoning", "summary": []}
            part = {"type": "summary_text", "text": ""}
            events += [
                self._event("response.output_item.added", output_index=place, item=item),
                self._event("response.reasoning_summary_part.added", **where, part=part),
                self._event("response.reasoning_summary_text.delta", **where, delta=reasoning),
            ]
            place += 1
        if pieces := list(text):
            where = {"item_id": "m1", "output_index": place, "content_index": 0}
            item = {"id": "m1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
            part = {"type": "output_text", "text": "", "annotations": []}
            events.append(self._event("response.output_item.added", output_index=place, item=item))
            events.append(self._event("response.content_part.added", **where, part=part))
            events += [self._event("response.output_text.delta", **where, delta=piece, logprobs=[]) for piece in pieces]
            place += 1
        for index, call in enumerate(calls):
            events.append(
                self._event("response.output_item.added", output_index=place + index, item=self._call(call, ""))
            )
        for row in zip_longest(*(call.pieces for call in calls)):
            for index, piece in enumerate(row):
                if piece is not None:
                    where = {"item_id": f"i{calls[index].id}", "output_index": place + index}
                    events.append(self._event("response.function_call_arguments.delta", **where, delta=piece))
        for index, call in enumerate(calls):
            item = self._call(call, "".join(call.pieces))
            events.append(self._event("response.output_item.done", output_index=place + index, item=item))
        if stop != "none":
            events.append(self._last(stop))
        return events

    def _call(self, call: Call, arguments: str) -> dict[str, Any]:
        return {
            "id": f"i{call.id}", "type": "function_call", "status": "in_progress", "call_id": call.id,
            "name": call.name, "arguments": arguments,
        }  # fmt: skip

    def _last(self, stop: str) -> str:
        if not stop:
            return self._event("response.completed", response=self._response("completed"))
        why = {"length": "max_output_tokens", "content_filter": "content_filter"}[stop]
        response = self._response("incomplete") | {"incomplete_details": {"reason": why}}
        return self._event("response.incomplete", response=response)

    def _response(self, status: str) -> dict[str, Any]:
        usage = {
            "input_tokens": 11, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18,
        }  # fmt: skip
        return {
            "id": "resp1", "object": "response", "created_at": 1, "model": "gpt-5-mini", "status": status,
            "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": usage if status != "in_progress" else None,
        }  # fmt: skip

    def _event(self, kind: str, **fields: Any) -> str:
        self._number += 1
        return sse({"type": kind, "sequence_number": self._number, **fields}, kind)

    def heard(self, body: dict[str, Any]) -> list[tuple[str, ...]]:
        heard: list[tuple[str, ...]] = []
        for item in body["input"]:
            kind = item.get("type", "message")
            if kind == "function_call":
                heard.append(("call", item["call_id"], item["name"], item["arguments"]))
            elif kind == "function_call_output":
                heard.append(("result", item["call_id"], item["output"]))
            else:
                content = item["content"]
                text = content if isinstance(content, str) else "".join(part["text"] for part in content)
                heard.append((item["role"], text))
        return heard

    def tools(self, body: dict[str, Any]) -> list[str]:
        return [tool["name"] for tool in body.get("tools") or ()]


class Messages:
    """Anthropic's messages."""

    name = "anthropic:claude-haiku-4-5"
    key_name = "ANTHROPIC_API_KEY"

    def model(self, url: str, **options: Any) -> ProviderModel:
        return ProviderModel(self.name, base_url=url, **options)

    def said(
        self, text: Iterable[str] = (), calls: Sequence[Call] = (), reasoning: str = "", stop: str = ""
    ) -> list[str]:
        message = {
            "id": "msg1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 1},
        }  # fmt: skip
        events = [self._event("message_start", message=message)]
        blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        if reasoning:
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": reasoning}, {"type": "signature_delta", "signature": "s"}]
            blocks.append((start, deltas))
        if pieces := list(text):
            blocks.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]))
        for call in calls:
            start = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            blocks.append((start, [{"type": "input_json_delta", "partial_json": piece} for piece in call.pieces]))
        for index, (start, deltas) in enumerate(blocks):
            events.append(self._event("content_block_start", index=index, content_block=start))
            events += [self._event("content_block_delta", index=index, delta=delta) for delta in deltas]
            events.append(self._event("content_block_stop", index=index))
        if stop != "none":
            reason = {"length": "max_tokens", "content_filter": "refusal"}.get(
                stop, "tool_use" if calls else "end_turn"
            )
            delta = {"stop_reason": reason, "stop_sequence": None}
            events.append(self._event("message_delta", delta=delta, usage={"output_tokens": 7}))
            events.append(self._event("message_stop"))
        return events

    def _event(self, kind: str, **fields: Any) -> str:
        return sse({"type": kind, **fields}, kind)

    def heard(self, body: dict[str, Any]) -> list[tuple[str, ...]]:
        heard: list[tuple[str, ...]] = []
        for message in body["messages"]:
            content = message["content"]
            for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                if block["type"] == "tool_use":
                    heard.append(("call", block["id"], block["name"], json.dumps(block["input"])))
                elif block["type"] == "tool_result":
                    inner = block["content"]
                    words = inner if isinstance(inner, str) else "".join(part["text"] for part in inner)
                    heard.append(("result", block["tool_use_id"], words))
                else:
                    heard.append((message["role"], block["text"]))
        return heard

    def tools(self, body: dict[str, Any]) -> list[str]:
        return [tool["name"] for tool in body.get("tools") or ()]


Format = Chat | Responses | Messages
FORMATS: tuple[Format, ...] = (Chat(), Responses(), Messages())
