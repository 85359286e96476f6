"""The tool ``fetch``: what a model is told of it, and what it gets.

`request` gets the page and `pages` makes it readable, on a thread. The user is asked before each call: an address may
carry out what the agent has read. Above: whoever declares an agent.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from nbagent.errors import ConfigError
from nbagent.ports import Tool, ToolContext, ToolResult
from nbagent.toolsets.builtin import WORDS, Arguments, BuiltinTool, BuiltinToolset, check_timeout, spec, told
from nbagent.toolsets.fetch import addresses, pages, request
from nbagent.toolsets.threads import on_daemon

MOST = 50_000
"""Characters of a page that a model reads."""

_ACCEPT = {
    "markdown": "text/markdown, text/plain;q=0.9, text/html;q=0.8, */*;q=0.1",
    "text": "text/plain, text/html;q=0.8, */*;q=0.1",
    "html": "text/html, */*;q=0.1",
}


class FetchToolset(BuiltinToolset):
    """The tool ``fetch``: a page from the web, once the user has approved it.

    Parameters
    ----------
    timeout
        Seconds that a call may take, redirects included.
    allow_private
        Also go to private and local addresses: the kernel's own host, its network, a cloud's metadata.
    max_bytes
        The most of a page that is read.

    Raises
    ------
    ConfigError
        `timeout` or `max_bytes` is not more than 0.

    Examples
    --------
    ::

        from nbagent.toolsets import FetchToolset

        reader = nbagent.Agent("reader", model=…, toolsets=[FetchToolset()])

    Notes
    -----
    Connections are made directly, and not through a proxy of the environment: what a proxy resolves, nobody can check.
    """

    name = "fetch"

    def __init__(self, *, timeout: float = 30.0, allow_private: bool = False, max_bytes: int = 2 << 20) -> None:
        if max_bytes <= 0:
            raise ConfigError(f"FetchToolset: max_bytes={max_bytes!r}; it is a number of bytes, more than 0")
        self._timeout = check_timeout("FetchToolset", timeout)
        self._allow_private = allow_private
        self._max_bytes = max_bytes
        self._tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"FetchToolset(timeout={self._timeout:g}, allow_private={self._allow_private})"

    def _tools(self) -> Sequence[Tool]:
        return (BuiltinTool(_FETCH, self.name, self._fetch, self._timeout, asks_approval=True),)

    async def _fetch(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        wanted = arguments.get("format", "markdown")
        permits = addresses.anywhere if self._allow_private else addresses.public
        tls = self._tls = self._tls or await on_daemon(ssl.create_default_context, "nbagent-certificates")
        page = await request.get(arguments["url"], self._max_bytes, tls, permits, accept=_ACCEPT[wanted])
        text = await on_daemon(lambda: _readable(page, wanted), "nbagent-page")
        head = f"{page.url} ({page.status})\n\n"
        cut = page.cut or len(text) > MOST
        note = f"\n\n[the page is longer: these are its first {min(len(text), MOST):,} characters]" if cut else ""
        return ToolResult(f"{head}{text[:MOST]}{note}", is_error=not page.ok)


def _readable(page: request.Page, wanted: str) -> str:
    if wanted == "html" or page.kind not in ("text/html", "application/xhtml+xml"):
        return page.text
    return pages.as_markdown(page.text) if wanted == "markdown" else pages.as_text(page.text)


_FETCH = spec(
    "fetch",
    "Get a page from the web by its address (http or https), as text. The user approves it first. Never put into an "
    "address what is not for others to read.",
    {
        "url": told(WORDS, "The address."),
        "format": told(
            {"type": "string", "enum": [*_ACCEPT]}, "HTML as markdown, as text alone, or as it is.", default="markdown"
        ),
    },
    optional=["format"],
)
