"""An exception of the `mcp` library, or of what lies below it, in words for a person and a model."""

from __future__ import annotations

from typing import cast


def leaf(error: BaseException) -> BaseException:
    """The exception itself, or the first in a group: anyio's task groups make them."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def explained(error: BaseException) -> str:
    """The innermost reason, in one line or a few.

    An exception without a text is named by its type.
    """
    from mcp import MCPError

    error = leaf(error)
    text = str(error).strip()
    if isinstance(error, MCPError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def unparsed(error: Exception) -> str:
    """What a server wrote in place of a message, cut to a line's length."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        written = error.errors(include_url=False)[0].get("input")
        return repr(written)[:200]
    return explained(error)[:200]
