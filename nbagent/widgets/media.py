"""What a tool displays (a MIME bundle) as HTML that is safe to show.

The richest form that is harmless wins: raster images as data of their own, HTML tables sanitised, markdown rendered,
else plain text. SVG and JavaScript are never shown. Below: `depth`, `markdown`, `plaintext`. Above: `wire`, `static`.
"""

from __future__ import annotations

import base64
import binascii
import html
from collections.abc import Mapping
from typing import Any, cast

from nbagent.plaintext import plain
from nbagent.widgets import words
from nbagent.widgets.depth import too_deep
from nbagent.widgets.markdown import render, sanitise

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
TEXTS = ("text/html", "text/markdown", "text/plain")
IMAGE_LIMIT = 8_000_000
"""Characters of base64 of one image that are put into a notebook."""

TEXT_LIMIT = 64_000


def as_html(bundle: Mapping[str, Any]) -> str:
    """Safe HTML of a MIME bundle."""
    for kind in IMAGES:
        if kind in bundle:
            return _image(kind, bundle[kind], bundle.get("text/plain"))
    markup = bundle.get("text/html")
    if markup and len(text := joined(markup)) <= 4 * TEXT_LIMIT and not too_deep(text):
        return f'<div class="nba-html">{sanitise(text)}</div>'
    if "text/markdown" in bundle:
        return f'<div class="nba-html">{render(joined(bundle["text/markdown"])[:TEXT_LIMIT])}</div>'
    return f'<pre class="nba-pre">{html.escape(as_text(bundle))}</pre>'


def is_picture(bundle: Mapping[str, Any]) -> bool:
    """Whether `as_html` shows it as an image."""
    return any(kind in bundle for kind in IMAGES)


def as_text(bundle: Mapping[str, Any]) -> str:
    """The plain text of a MIME bundle, or its types where it has none."""
    for kind in ("text/plain", "text/markdown"):
        if kind in bundle:
            return plain(joined(bundle[kind]), TEXT_LIMIT)
    return "(" + ", ".join(plain(str(kind), 60) for kind in bundle) + ")"


def of_content(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """The MIME bundle of an MCP content block."""
    kind = block.get("type")
    if kind == "image":
        return {str(block.get("mimeType", "")): block.get("data", "")}
    if kind == "resource":
        resource: Any = block.get("resource") or {}
        return {"text/plain": str(resource.get("text", resource.get("uri", "")))}
    if kind == "resource_link":
        return {"text/plain": str(block.get("uri", ""))}
    if kind == "text":
        return {"text/plain": str(block.get("text", ""))}
    return {"text/plain": f"({kind or 'unknown'} content)"}


def joined(value: Any) -> str:
    """Text as notebooks keep it: whole, or as a list of lines."""
    return "".join(map(str, cast("list[Any]", value))) if isinstance(value, list | tuple) else str(value)


def _image(kind: str, data: Any, described: Any) -> str:
    try:
        if isinstance(data, bytes):
            encoded = base64.b64encode(data).decode("ascii")
        else:
            encoded = "".join(joined(data).split())
            base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        return f'<pre class="nba-pre">({kind}, damaged)</pre>'
    if len(encoded) > IMAGE_LIMIT:
        return f'<pre class="nba-pre">({kind}, {words.size(len(encoded) * 3 // 4)}: too large to show)</pre>'
    alt = html.escape(plain(joined(described), 200)) if described else "image"
    return f'<img class="nba-image" alt="{alt}" src="data:{kind};base64,{encoded}">'
