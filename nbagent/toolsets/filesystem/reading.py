"""Text from files, in bounded pieces.

Above `root`. Text is UTF-8; what is not, or holds a NUL, is binary and refused. Line ends stay as they are, so that
what a model reads is what `edit_file` looks for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from io import TextIOWrapper

from nbagent.errors import ToolError
from nbagent.toolsets.filesystem.root import Root

MOST = 60_000
"""Characters that a model reads at once."""
WHOLE = 10 << 20
"""Bytes of a file that is read whole, to be edited or compared."""

_PIECE = 65_536
_HEAD = 8_192


def read(
    root: Root, path: str, stop: threading.Event, line: int = 1, limit: int | None = None, room: int = MOST
) -> str:
    """Lines of a file, from `line` on, at most `limit` lines and `room` characters.

    Raises
    ------
    ToolError
        There is no such file, or it is not text.
    """
    with root.file(path) as descriptor:
        taken, number, left = list[str](), 0, room
        with _text(descriptor, path) as stream:
            try:
                for number, piece in _pieces(stream):
                    if stop.is_set():
                        raise ToolError("The call was given up.")
                    if number < line:
                        continue
                    if limit is not None and number >= line + limit:
                        return "".join(taken) + f"\n[the file goes on: line={number}]"
                    if len(piece) > left:
                        return "".join([*taken, piece[:left]]) + f"\n[cut at {room:,} characters, in line {number}]"
                    taken.append(piece)
                    left -= len(piece)
            except UnicodeDecodeError:
                raise ToolError(f"{path} is no text: it is not UTF-8.") from None
    if not taken:
        return "[the file is empty]" if not number else f"[the file has {number} lines]"
    return "".join(taken)


def read_each(root: Root, paths: Sequence[str], stop: threading.Event) -> str:
    """Several files, each under its name; what cannot be read says why in its place."""
    parts: list[str] = []
    left = MOST
    for path in paths:
        try:
            text = read(root, path, stop, room=max(left, 0))
        except ToolError as error:
            text = f"[{error}]"
        left -= len(text)
        parts.append(f"=== {path} ===\n{text}")
    return "\n\n".join(parts)


def whole(descriptor: int, path: str) -> str:
    """All of an open file.

    Raises
    ------
    ToolError
        It is too large, or not text.
    """
    if os.fstat(descriptor).st_size > WHOLE:
        raise ToolError(f"{path} is larger than {WHOLE >> 20} MiB.")
    try:
        with _text(descriptor, path) as stream:
            return stream.read()
    except UnicodeDecodeError:
        raise ToolError(f"{path} is no text: it is not UTF-8.") from None


def _text(descriptor: int, path: str) -> TextIOWrapper:
    if b"\0" in os.pread(descriptor, _HEAD, 0):
        raise ToolError(f"{path} is no text: it is binary.")
    return open(descriptor, encoding="utf-8", newline="", closefd=False)


def _pieces(stream: TextIOWrapper) -> Iterator[tuple[int, str]]:
    """The lines, numbered from 1; a very long one in several pieces."""
    number = 1
    while piece := stream.readline(_PIECE):
        yield number, piece
        number += piece.endswith("\n")
