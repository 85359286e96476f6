"""What to allow for good, as a suggestion made of one call: a pattern that covers this call and the ones like it.

The user sees the pattern, may change it, and takes it by an approval with the scope ``always``. It guarantees: the
suggestion covers the call that it is made of, and no suggestion is made where it would have to be wide to be of use
(code, a text of many lines). Above `patterns`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from nbagent.permissions import patterns
from nbagent.permissions.globs import quoted
from nbagent.ports import Tool

_COMMANDS = {"cmd", "command", "commandline", "command_line"}
_ADDRESSES = {"url", "uri", "href"}
_PATHS = {"path", "file", "filename", "file_path", "filepath", "dir", "directory"}
_SEVERAL_IN_ONE = {
    "apt", "apt-get", "brew", "cargo", "conda", "docker", "gh", "git", "go", "helm", "hg", "kubectl", "make", "mamba",
    "npm", "pip", "pip3", "pnpm", "podman", "poetry", "svn", "systemctl", "terraform", "uv", "yarn",
}  # fmt: skip
"""Programs whose first argument says what they do."""
_RUN_ANYTHING = {
    "ash", "awk", "bash", "bun", "bunx", "chroot", "command", "csh", "dash", "deno", "doas", "env", "eval", "exec",
    "find", "fish", "gawk", "ionice", "ksh", "lua", "nice", "node", "nohup", "npx", "nsenter", "osascript", "parallel",
    "perl", "php", "pipx", "python", "rm", "ruby", "setsid", "sh", "ssh", "stdbuf", "su", "sudo", "tclsh", "time",
    "timeout", "tmux", "ts-node", "uvx", "watch", "xargs", "zsh",
}  # fmt: skip
"""Programs for which no prefix says what will happen."""
_WORD = re.compile(r"[\w./+-]+")
_LONGEST = 200


def suggested(tool: Tool, name: str, arguments: Mapping[str, Any]) -> str:
    """The pattern that an approval for good is to be for; ``""`` where none is offered.

    Parameters
    ----------
    tool, name, arguments
        The call; `name` is how the model calls the tool.
    """
    every = patterns.spelled(tool, name)
    if getattr(tool, "code_argument", ""):
        return ""
    for argument, value in arguments.items():
        kind = argument.lower()
        if kind not in _COMMANDS | _ADDRESSES | _PATHS:
            continue
        if not isinstance(value, str) or not value or len(value) > _LONGEST or not value.isprintable():
            return ""
        alike = _command(value) if kind in _COMMANDS else _address(value) if kind in _ADDRESSES else quoted(value)
        found = (patterns.with_argument(every, argument, glob) for glob in (alike, quoted(value)))
        return next((text for text in found if text and patterns.read(text).grants(tool, name, arguments)), "")
    return every


def _command(value: str) -> str:
    """The program with other arguments; with its subcommand, where it has such; as it is, where it runs anything.

    A space before the star, since ``ps*`` is ``psql`` too, and ``git diff*`` is ``git difftool``.
    """
    words = value.split(" ")
    program = words[0].rpartition("/")[2]
    if not _WORD.fullmatch(words[0]) or program.rstrip("0123456789.") in _RUN_ANYTHING:
        return quoted(value)
    if program not in _SEVERAL_IN_ONE:
        spoken = 1
    elif len(words) > 1 and re.fullmatch(r"[a-z][\w-]*", words[1]):
        spoken = 2
    else:
        return quoted(value)
    return quoted(" ".join(words[:spoken])) + " *" if len(words) > spoken else quoted(value)


def _address(value: str) -> str:
    """Everything on the same host."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return quoted(value)
    host = f"{parts.scheme}://{parts.netloc}/"
    return quoted(host) + "*" if parts.netloc and "@" not in parts.netloc and value.startswith(host) else quoted(value)
