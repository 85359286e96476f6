"""What pydantic-ai and the SDKs below it raise, as one `ModelError` with a code, in the provider's own words.

It guarantees: no error carries the key, and none is passed on as what it was, since tracebacks of it may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic_ai import exceptions as raised

from nbagent import boundary
from nbagent.errors import ModelError
from nbagent.models.keys import without

LONGEST = 500
"""Characters of what a provider says about a failure."""

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|too many tokens|prompt is too long|exceed\w*[ _]context", re.I
)


def failure(error: Exception, name: str, key: str | None, key_hint: str) -> ModelError:
    """The `ModelError` for what a request to the model `name` raised.

    Parameters
    ----------
    error
        What was raised.
    name
        The model's name.
    key
        The key that was used, to be kept out of the words.
    key_hint
        What to do about a key that is refused.
    """
    words = without(_words(error), key)[:LONGEST]
    wait = getattr(error, "retry_after", None)
    match error:
        case raised.ModelContextWindowExceededError():
            return ModelError(f"{name}: the conversation is too long for it: {words}", "context_exceeded")
        case raised.ModelQuotaExceededError():
            return ModelError(f"{name}: the account's quota is used up: {words}", "rate_limited")
        case raised.ModelRateLimitError():
            return ModelError(f"{name} is rate limited: {words}", "rate_limited", transient=True, retry_after=wait)
        case raised.ModelAuthenticationError():
            return ModelError(f"{name} refused the key; {key_hint}", "auth")
        case raised.ModelTimeoutError() if error.phase not in ("connect", "pool"):
            return ModelError(f"{name} stalled: it sent nothing for too long", "timeout")
        case raised.ModelConnectionError():
            return ModelError(f"{name}: the connection failed: {words}", transient=True)
        case raised.ModelUnavailableError() | raised.ModelServerError():
            return ModelError(f"{name} failed: {words}", transient=True, retry_after=wait)
        case raised.ContentFilterError():
            return ModelError(f"{name}: the provider's content filter stopped the answer", "content_filter")
        case _:
            return _other(error, name, words)


def _other(error: Exception, name: str, words: str) -> ModelError:
    status = getattr(error, "status_code", None)
    if status in (400, 413, 422, 500) and _TOO_LONG.search(words):
        return ModelError(f"{name}: the conversation is too long for it: {words}", "context_exceeded")
    if status is not None:
        return ModelError(f"{name} refused the request ({status}): {words}")
    return ModelError(f"{name} failed: {words}")


def _words(error: Exception) -> str:
    """What the provider says is wrong, where it does."""
    body = getattr(error, "body", None)
    found = _message_in(body)
    if found is None and isinstance(body, str) and body.strip():
        found = body
    status = getattr(error, "status_code", None)
    if found is None and status is not None:
        found = f"status {status}"
    hint = getattr(error, "suggested_model_id", None)
    text = " ".join((found or boundary.told(error)).split())
    return f"{text} (did you mean {hint!r}?)" if hint else text


def _message_in(body: object) -> str | None:
    if not isinstance(body, Mapping):
        return None
    fields = cast("Mapping[str, Any]", body)
    inner = fields.get("error")
    if isinstance(inner, Mapping):
        return _message_in(cast("Mapping[str, Any]", inner))
    message = fields.get("message") or fields.get("Message") or inner
    return message if isinstance(message, str) and message.strip() else None
