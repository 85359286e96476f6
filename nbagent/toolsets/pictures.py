"""Pictures and files that go to a model: what counts as one, and how many a message may carry.

Below: `messages`. Above: `results`, `runtime.calls`, and the prompts of `notebook`. It imports no plotting and no
imaging library: objects are known by their package and their methods. It guarantees that what a message carries stays
within `MOST` and `LARGEST` and is what it says it is (a provider that refuses one picture refuses the conversation from
then on), and that words stand for whatever does not.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from typing import Any, cast

from nbagent.messages import Attachment

LARGEST = 5_000_000
"""Bytes of one attachment: Anthropic takes pictures up to 5 MB (its documentation of vision)."""
MOST = 20
"""Attachments of one message."""

_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""The pictures that every provider with eyes takes."""


def mime_of(data: bytes) -> str:
    """The type that the first bytes of a file tell; ``application/octet-stream`` where they tell none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    return next((mime for start, mime in _SIGNATURES.items() if data.startswith(start)), "application/octet-stream")


def figure(value: object) -> bytes | None:
    """The PNG of a matplotlib figure, which has no method of IPython's to show itself; else None."""
    if isinstance(value, type) or not type(value).__module__.startswith("matplotlib.") or not hasattr(value, "savefig"):
        return None
    buffer = io.BytesIO()
    cast("Any", value).savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def drawn(value: object) -> bytes | None:
    """A figure or picture as PNG or JPEG: one of matplotlib's, or an object that shows itself as one; else None."""
    if isinstance(value, type):
        return None
    if (picture := figure(value)) is not None:
        return picture
    for name in ("_repr_png_", "_repr_jpeg_"):
        if callable(method := getattr(type(value), name, None)):
            made = method(value)
            made = cast("tuple[Any, ...]", made)[0] if isinstance(made, tuple) else made
            if isinstance(made, bytes):
                return made
    return None


def attached(data: bytes, name: str = "", mime: str = "") -> Attachment:
    """Bytes as an attachment.

    Raises
    ------
    ValueError
        They are more than `LARGEST`.
    """
    if len(data) > LARGEST:
        raise ValueError(f"{name or 'a picture'} has {len(data):,} bytes; a model is sent {LARGEST:,} at most")
    return Attachment(mime or mime_of(data), base64.b64encode(data).decode(), name)


def of_result(content: Iterable[Mapping[str, Any]]) -> tuple[tuple[Attachment, ...], str]:
    """What of a tool's content blocks the model gets to see, and words for what it does not.

    Parameters
    ----------
    content
        MCP's content blocks (https://modelcontextprotocol.io/specification/2025-06-18/server/tools#tool-result).
    """
    found: list[Attachment] = []
    left: list[str] = []
    for block in content:
        data, mime, name = _embedded(block)
        if not data:
            continue
        one = _readable(data, name) if len(found) < MOST else None
        if one is None:
            left.append(name or mime)
        else:
            found.append(one)
    more = f" and {len(left) - MOST} more" if len(left) > MOST else ""
    words = f"not sent to the model, since too large, too many, or no picture or PDF: {', '.join(left[:MOST])}{more}"
    return tuple(found), words if left else ""


def _readable(data: str, name: str) -> Attachment | None:
    """What a tool gave as base64, if it is small enough and of a type that models take, whatever it was called."""
    if len(data) * 3 // 4 > LARGEST:
        return None
    try:
        raw = base64.b64decode("".join(data.split()), validate=True)
    except ValueError:
        return None
    mime = mime_of(raw)
    return attached(raw, name, mime) if mime in (*SHOWN, "application/pdf") else None


def _embedded(block: Mapping[str, Any]) -> tuple[str, str, str]:
    """Base64, type and name of what a block carries."""
    match block:
        case {"type": "image" | "audio", "data": str() as data, **rest}:
            return data, str(rest.get("mimeType", "a picture")), ""
        case {"type": "resource", "resource": {"blob": str() as data, **rest}}:
            return data, str(rest.get("mimeType", "a file")), str(rest.get("uri", ""))
        case _:
            return "", "", ""
