"""To which addresses a connection may be made.

A model's address may lead anywhere: to the kernel's own host, to a cloud's metadata, to the printer next door. So the
name is resolved here, every address it has is checked, and `request` connects to what was checked and not to the name
again, which might resolve to something else by then (DNS rebinding). Numbers in odd spellings (``http://2130706433``)
are resolved as all others are.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from nbagent.errors import ToolError
from nbagent.toolsets.threads import on_daemon

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Permits = Callable[[Address], bool]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def public(address: Address) -> bool:
    """Whether an address is anybody's: not private, loopback, link-local, multicast or reserved, in whatever guise."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def anywhere(address: Address) -> bool:
    """Whether it is an address of one host, be it private."""
    return not address.is_multicast


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, by the system."""
    found = await on_daemon(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), "nbagent-resolve")
    return [str(entry[4][0]) for entry in found]


async def permitted(host: str, port: int, permits: Permits, resolve: Resolve) -> Sequence[str]:
    """The addresses of a host, all of which may be connected to.

    Raises
    ------
    ToolError
        It has none, or one that is not permitted.
    """
    try:
        found = list(dict.fromkeys(await resolve(host, port)))
    except (OSError, UnicodeError) as error:
        raise ToolError(f"There is no host {host!r}: {error}") from None
    for text in found:
        if not permits(ipaddress.ip_address(text.partition("%")[0])):
            raise ToolError(f"{host} is at {text}, which is no public address; this tool does not go there.")
    if not found:
        raise ToolError(f"The host {host!r} has no address.")
    return found
