"""What an MCP server returned, as nbagent's `ToolResult`: text for the model, blocks beside it, and its failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbagent.ports import ToolResult

if TYPE_CHECKING:
    from mcp_types import CallToolResult


def to_result(answer: CallToolResult) -> ToolResult:
    """The result of a call that the server answered; structured content stands in where there is no text."""
    texts: list[str] = []
    blocks: list[dict[str, Any]] = []
    for item in answer.content:
        block = item.model_dump(by_alias=True, mode="json", exclude_none=True)
        match block["type"]:
            case "text":
                texts.append(block["text"])
            case "resource" if "text" in block["resource"]:
                texts.append(block["resource"]["text"])
                blocks.append(block)
            case _:
                blocks.append(block)
    if not texts and answer.structured_content is not None:
        texts.append(json.dumps(answer.structured_content, ensure_ascii=False))
    if not texts:
        texts += [_named(block) for block in blocks] or ["done"]
    return ToolResult("\n".join(texts), is_error=answer.is_error, content=tuple(blocks))


def _named(block: dict[str, Any]) -> str:
    match block:
        case {"type": "resource_link", "uri": uri}:
            return f"[resource {uri}]"
        case {"type": "resource", "resource": {"uri": uri}}:
            return f"[resource {uri}]"
        case _:
            return f"[{block['type']}, {block.get('mimeType', 'no type given')}]"
