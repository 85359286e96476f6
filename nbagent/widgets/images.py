"""Which hosts' images a transcript loads by itself: none, unless the user has named the host.

A remote image's address can carry a secret out, so a transcript shows the address and waits for a click. For hosts
that are yours, `allow_images`, or the environment variable NBAGENT_IMAGE_HOSTS (names with commas between), lets their
images load at once: over https, where the address names exactly that host, and no user or other port.

It guarantees: only what `markdown` itself wrote for an image becomes one, after all else was sanitised.
Below: nothing. Above: `markdown`.
"""

from __future__ import annotations

import html
import os
import re
from urllib.parse import urlsplit

VARIABLE = "NBAGENT_IMAGE_HOSTS"

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")
_WRITTEN = re.compile(r'<span class="nba-img">image: ([^<]*) <a href="([^"]*)"[^>]*>[^<]*</a></span>')
_allowed: set[str] = set()


def allow_images(*hosts: str) -> None:
    """Let the images of these hosts load without a click, from now on; without an argument, of none.

    Parameters
    ----------
    hosts
        Exact names, such as ``"cdn.example.org"``, with a port where it is not the usual one. A name does not stand
        for the ones below it.

    Raises
    ------
    ValueError
        It is no host's name: an address, a pattern.

    Examples
    --------
    >>> allow_images("cdn.example.org")
    >>> allow_images()
    """
    names = [host.lower() for host in hosts]
    for name in names:
        if not _HOST.fullmatch(name):
            raise ValueError(f"{name!r} is no host's exact name, such as 'cdn.example.org'")
    _allowed.clear()
    _allowed.update(names)


def is_allowed(url: str) -> bool:
    """Whether the image at `url` loads without a click."""
    named = {name.strip().lower() for name in os.environ.get(VARIABLE, "").split(",")} | _allowed
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and parts.netloc.lower() in named - {""}


def shown(safe: str) -> str:
    """Sanitised HTML with the images of allowed hosts in place of their addresses."""
    return _WRITTEN.sub(_image, safe) if "nba-img" in safe else safe


def _image(match: re.Match[str]) -> str:
    url = html.unescape(match[2])
    if not is_allowed(url):
        return match[0]
    words = html.escape(html.unescape(match[1]))
    source = html.escape(url)
    return f'<img class="nba-image" alt="{words}" src="{source}" referrerpolicy="no-referrer" loading="lazy">'
