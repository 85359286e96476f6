"""The scripts and styles that go over the wire, made small: they travel with every transcript.

A line that is a comment stays at home, and `packed` deflates a module and its style, which the page inflates (every
browser since 2023 can). Below: nothing. Above: `transcript`, `static`.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import zlib
from pathlib import Path

_STATIC = Path(__file__).parent / "static"


@functools.cache
def asset(name: str) -> str:
    """The text of a file of ``static/``, made short; empty where there is no such file."""
    path = _STATIC / name
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    text = re.sub(r"^\s*/\*.*?\*/\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


@functools.cache
def module(*scripts: str) -> str:
    """`scripts` as one module: what one defines, those after it know."""
    return "\n".join(asset(name) for name in scripts)


@functools.cache
def packed(scripts: tuple[str, ...], *styles: str) -> str:
    """A module that inflates the module of `scripts` and exports its default, with `styles` put into the page once."""
    style = json.dumps("\n".join(asset(name) for name in styles), ensure_ascii=False)
    source = f"globalThis.__nbagentStyle = {style};\n{module(*scripts)}"
    data = base64.b64encode(zlib.compress(source.encode(), 9)).decode()
    return _UNPACK.replace("DATA", data)


_UNPACK = """\
const bytes = Uint8Array.from(atob("DATA"), (c) => c.charCodeAt(0));
const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
const url = URL.createObjectURL(new Blob([await new Response(inflated).text()], { type: "text/javascript" }));
const module = await import(url);
URL.revokeObjectURL(url);
const style = document.getElementById("nba-style") ?? document.head.appendChild(document.createElement("style"));
style.id = "nba-style";
style.textContent = globalThis.__nbagentStyle;
export default module.default;
"""
