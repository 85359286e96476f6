"""MCP servers that tests talk to, and where the reference server is.

`first_era.py` speaks 2025-11-25 with the standard library alone, and can misbehave in every way that a test needs.
`second_era.py` is made with the `mcp` library and speaks both eras, over stdio and streamable HTTP.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_EVERYTHING = Path("@modelcontextprotocol/server-everything/dist/index.js")
REMEDY = "the MCP reference server is not here; `make test-deps` brings it"


def everything(transport: str = "stdio") -> tuple[str, list[str]] | None:
    """Command and arguments of the reference server, or None where node or the package is missing."""
    node = shutil.which("node")
    places = [os.environ.get("NBAGENT_NODE_MODULES"), _ROOT / "build" / "node" / "node_modules"]
    scripts = [Path(place) / _EVERYTHING for place in places if place]
    script = next((script for script in scripts if script.is_file()), None)
    return None if node is None or script is None else (node, [str(script), transport])


def first_era(*options: str) -> tuple[str, list[str]]:
    """Command and arguments of the first-era server."""
    return sys.executable, ["-I", "-S", str(_HERE / "first_era.py"), *options]


def second_era(*options: str) -> tuple[str, list[str]]:
    """Command and arguments of the server that speaks both eras."""
    return sys.executable, [str(_HERE / "second_era.py"), *options]


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
