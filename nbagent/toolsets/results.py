"""What a function returned, as what the model reads and what the user sees.

Text stays text, data becomes JSON, pictures become image blocks. An object that knows how to show itself in a
notebook is shown on the call's card as well. The ladder goes by the object's methods, so no plotting or imaging
library is imported.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any, cast

from nbagent.ports import ToolContext, ToolResult
from nbagent.toolsets.pictures import figure, mime_of

_DATA = (Mapping, list, tuple, set, frozenset, int, float, complex, enum.Enum, datetime.date, datetime.time,
         datetime.timedelta, decimal.Decimal, uuid.UUID)  # fmt: skip
_METHODS = {
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_svg_": "image/svg+xml",
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_latex_": "text/latex",
}


def to_result(value: object, context: ToolContext) -> ToolResult:
    """The result of a call that returned `value`; a rich value is also displayed on the call's card."""
    match value:
        case ToolResult():
            return value
        case str():
            return ToolResult(value)
        case None:
            return ToolResult("done")
        case bytes() | bytearray():
            return _of_bytes(bytes(value), mime_of(bytes(value)))
        case (bytes() as data, str() as mime) if "/" in mime:
            return _of_bytes(data, mime)
        case pathlib.PurePath():
            return ToolResult(str(value))
        case _:
            return _of_object(value, context)


def _of_bytes(data: bytes, mime: str) -> ToolResult:
    if mime.startswith("image/"):
        return ToolResult(f"[{mime}, {len(data)} bytes]", content=(_image(data, mime),))
    try:
        return ToolResult(data.decode())
    except UnicodeDecodeError:
        return ToolResult(f"[{mime}, {len(data)} bytes]")


def _image(data: bytes, mime: str) -> dict[str, Any]:
    return {"type": "image", "data": base64.b64encode(data).decode(), "mimeType": mime}


def _of_object(value: object, context: ToolContext) -> ToolResult:
    picture = figure(value)
    if picture is not None:
        return _of_bytes(picture, "image/png")
    bundle = bundle_of(value)
    png = bundle.get("image/png")
    if isinstance(png, bytes):  # a picture: the model gets it as well, and its block is what the card shows
        return ToolResult(_text(value), content=(_image(png, "image/png"),))
    if bundle:
        context.emit_output("", {"text/plain": repr(value)} | bundle)
    return ToolResult(_text(value))


def _text(value: object) -> str:
    declared = not isinstance(value, type) and (
        dataclasses.is_dataclass(value) or hasattr(value, "__pydantic_serializer__")
    )
    return _json(value) if declared or isinstance(value, _DATA) else str(value)


def _json(value: Any) -> str:
    from pydantic_core import to_json

    return to_json(value, fallback=str, bytes_mode="base64").decode()


def bundle_of(value: object) -> dict[str, Any]:
    """The object's own displays by MIME type; one that fails shows nothing, as in IPython."""
    if isinstance(value, type):
        return {}
    bundle: dict[str, Any] = {}
    try:
        if callable(method := getattr(type(value), "_repr_mimebundle_", None)):
            made = method(value)
            bundle |= cast("dict[str, Any]", _first(made) or {})
        for name, mime in _METHODS.items():
            if mime not in bundle and callable(method := getattr(type(value), name, None)):
                made = method(value)
                if made is not None:
                    bundle[mime] = _first(made)
    except Exception:  # the object's own code, and only its display: the value itself is still good
        return {}
    return bundle


def _first(made: object) -> Any:
    """What a method showed, without the metadata that may come with it."""
    return cast("tuple[Any, ...]", made)[0] if isinstance(made, tuple) else made
