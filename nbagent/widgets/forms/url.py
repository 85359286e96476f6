"""Addresses that a server wants the user to open: shown whole, judged, and opened only by the user's own click.

Python and browsers read odd addresses differently (a backslash, a blank, a control character), so an address with any
of these is refused, as is every scheme but http and https. A host in other letters is written in the letters that the
network uses, since ``аpple.com`` with a Cyrillic letter looks like another; what is shown is exactly what is opened.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlsplit

_LIMIT = 4000
_LOCAL = ("localhost", "127.0.0.1", "::1")


class BadAddress(ValueError):
    """An address that is not to be opened; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address that may be opened.

    Parameters
    ----------
    before, host, after
        Its three parts, in ASCII; joined they are the address.
    warnings
        What the user should know before opening it.
    """

    before: str
    host: str
    after: str
    warnings: tuple[str, ...]

    @property
    def full(self) -> str:
        """The whole address."""
        return self.before + self.host + self.after


def parse(url: str) -> Address:
    """Take an address apart.

    Raises
    ------
    BadAddress
        It is not one to open.

    Examples
    --------
    >>> parse("https://example.org/a?b=c").host
    'example.org'
    """
    if len(url) > _LIMIT:
        raise BadAddress(f"the address has more than {_LIMIT} characters")
    if any(c.isspace() or c in '\\<>"`{}|^' or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn") for c in url):
        raise BadAddress("the address holds characters that no address may hold")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadAddress(f"the address cannot be read ({error})") from None
    if parts.scheme not in ("http", "https"):
        raise BadAddress(f"only http and https addresses are opened, not {parts.scheme[:20] or 'one without a scheme'}")
    ascii_host = _ascii(host)
    if "@" in parts.netloc:
        raise BadAddress("the address has a name or password before its host, which disguises where it leads")
    shown = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    query, fragment = (quote(part, safe="!#$%&'()*+,/:;=?@[]~-._") for part in (parts.query, parts.fragment))
    after = f":{port}" if port is not None else ""
    after += quote(parts.path, safe="!$%&'()*+,/:;=@~-._[]") + (f"?{query}" if query else "")
    after += f"#{fragment}" if fragment else ""
    return Address(f"{parts.scheme}://", shown, after, _warnings(parts.scheme, host, ascii_host))


def _ascii(host: str) -> str:
    if not host:
        raise BadAddress("the address has no host")
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise BadAddress("the host of the address cannot be read") from None


def _warnings(scheme: str, host: str, ascii_host: str) -> tuple[str, ...]:
    found: list[str] = []
    if any(part.startswith("xn--") for part in ascii_host.split(".")):
        found.append(_foreign(host, ascii_host))
    if scheme == "http" and ascii_host not in _LOCAL:
        found.append("This address is not encrypted (http): others can read what you send there.")
    return tuple(found)


def _foreign(host: str, ascii_host: str) -> str:
    """The warning for a host in other letters than ASCII's."""
    try:
        read = ascii_host.encode("ascii").decode("idna")
    except UnicodeError:
        read = host
    scripts = {unicodedata.name(c, "?").split()[0] for c in read if c.isalpha()}
    names = " and ".join(sorted(script.capitalize() for script in scripts))
    mixed = f", mixing {names} letters" if len(scripts) > 1 else f" in {names} letters"
    return (
        f"The host is written “{read}”{mixed}: it may only look like one that you know. Its real name is {ascii_host}."
    )


def html(address: Address) -> str:
    """The address as text with its host emphasised, the warnings, and the link that opens it."""
    text = f"{escape(address.before)}<b>{escape(address.host)}</b>{escape(address.after)}"
    warnings = "".join(f'<div class="nba-form-warning" role="note">{escape(said)}</div>' for said in address.warnings)
    new_tab = 'target="_blank" rel="noopener noreferrer"'
    link = f'<a class="nba-form-open" href="{escape(address.full, quote=True)}" {new_tab}>Open in a new tab</a>'
    advice = "Nothing is opened before you click. Accept when you have finished there."
    return (
        f'<div class="nba-form-url" dir="ltr">{text}</div>{warnings}'
        f'<div>{link}<span class="nba-form-help">{advice}</span></div>'
    )
