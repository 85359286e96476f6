"""One GET: checked, pinned to the address that was checked, bounded in redirects and bytes.

Above `addresses`. It guarantees: each hop, redirects too, is resolved and checked anew, and its connection goes to a
checked address (with the host's own name in the request and in the check of its certificate); no proxy, no cookie, no
password and no compressed body (which may be a thousand times what arrives); what is no text is not read.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbagent._version import __version__
from nbagent.errors import ToolError
from nbagent.toolsets.fetch.addresses import Permits, Resolve, permitted, resolved

if TYPE_CHECKING:
    import httpx2

MOST_REDIRECTS = 5
CONNECT = 10.0
"""Seconds for one address, before the next one is tried."""

_REDIRECTS = {301, 302, 303, 307, 308}
_READABLE = ("text/", "application/json", "application/xml", "application/xhtml", "application/javascript")


@dataclass(frozen=True, slots=True)
class Page:
    """What came back.

    Parameters
    ----------
    url
        Where it came from in the end.
    status, kind
        The HTTP status with its reason, and the content type without parameters.
    text
        The body.
    ok
        Whether the status says that this is what was asked for.
    cut
        The body goes on.
    """

    url: str
    status: str
    kind: str
    text: str
    ok: bool
    cut: bool


async def get(
    url: str, most: int, tls: ssl.SSLContext, permits: Permits, resolve: Resolve = resolved, accept: str = "*/*"
) -> Page:
    """Get a page, at most `most` bytes of it.

    Raises
    ------
    ToolError
        It cannot be had, or must not.
    """
    import httpx2

    target = _target(url)
    try:
        for _ in range(MOST_REDIRECTS + 1):
            answer = await _hop(target, most, tls, permits, resolve, accept)
            if isinstance(answer, Page):
                return answer
            target = _target(str(target.join(answer)))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ToolError(f"{target} cannot be had: {error or type(error).__name__}") from None
    raise ToolError(f"{url} redirects more than {MOST_REDIRECTS} times.")


def _target(url: str) -> httpx2.URL:
    import httpx2

    try:
        target = httpx2.URL(url)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise ToolError(f"This is no address: {error}") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise ToolError(f"{url}: only http and https addresses can be fetched.")
    if target.userinfo:
        raise ToolError("An address with a user or a password in it is not fetched.")
    return target.copy_with(fragment=None)


async def _hop(
    target: httpx2.URL, most: int, tls: ssl.SSLContext, permits: Permits, resolve: Resolve, accept: str
) -> Page | str:
    """One request: the page, or where it redirects to."""
    import httpx2

    port = target.port or (443 if target.scheme == "https" else 80)
    host = target.raw_host.decode("ascii")
    headers = {
        "Host": target.netloc.decode("ascii"),
        "User-Agent": f"nbagent/{__version__}",
        "Accept": accept,
        "Accept-Encoding": "identity",
    }
    failure: Exception | None = None
    for address in await permitted(host, port, permits, resolve):
        timeout = httpx2.Timeout(None, connect=CONNECT)
        async with httpx2.AsyncClient(verify=tls, trust_env=False, timeout=timeout) as client:
            pinned = target.copy_with(host=address)
            try:
                extensions = {"sni_hostname": host}
                async with client.stream("GET", pinned, headers=headers, extensions=extensions) as response:
                    location = response.headers.get("location", "")
                    if response.status_code in _REDIRECTS and location:
                        return location
                    return await _page(target, response, most)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
    raise ToolError(f"{target} cannot be reached: {failure or 'no answer'}")


async def _page(target: httpx2.URL, response: httpx2.Response, most: int) -> Page:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    readable = not kind or kind.startswith(_READABLE) or kind.endswith(("+json", "+xml"))
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if not readable:
        raise ToolError(f"{target} is {kind}, which is no text. ({status})")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise ToolError(f"{target} comes compressed, although that was not asked for; it is not read.")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > most:
            break
    data = bytes(body[:most])
    if not kind and b"\0" in data:
        raise ToolError(f"{target} is no text. ({status})")
    return Page(str(target), status, kind, _decoded(data, response), response.is_success, len(body) > most)


def _decoded(data: bytes, response: httpx2.Response) -> str:
    try:
        return data.decode(response.charset_encoding or "utf-8", "replace")
    except LookupError:  # a charset that nobody knows
        return data.decode("utf-8", "replace")
