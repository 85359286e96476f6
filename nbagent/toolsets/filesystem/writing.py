"""Files written at once or not at all, and exact replacements in them.

Above `root`, `reading`. A file is written beside its place and then put there, so that no reader ever sees half of it,
and a crash or a cancelled call leaves the old one; its permissions are kept. Two edits of one message do not lose each
other, and a file that somebody else has changed in between is left alone.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from collections.abc import Mapping, Sequence

from nbagent.errors import ToolError
from nbagent.toolsets.filesystem import reading
from nbagent.toolsets.filesystem.root import Root, open_plain, spoken

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_ROOM = 200  # bytes of a file's name that leave room for what is added to it, of the 255 that systems take

_Version = tuple[int, int, int]
Edit = Mapping[str, str]

_one_at_a_time = threading.Lock()


def write(root: Root, path: str, content: str, stop: threading.Event) -> str:
    """Make the file, or put `content` in the place of what it holds; what was done, in words."""
    data = _encoded(path, content)
    with _one_at_a_time, spoken(path):
        _put(root, path, data, stop)
    return f"Wrote {path} ({len(data):,} bytes)."


def edit(root: Root, path: str, edits: Sequence[Edit], stop: threading.Event) -> str:
    """Make replacements in a file, all of them or none; what was done, in words.

    Raises
    ------
    ToolError
        One does not fit exactly once.
    """
    with _one_at_a_time, spoken(path):
        with root.file(path) as descriptor:
            version = _version(os.fstat(descriptor))
            content = replaced(reading.whole(descriptor, path), edits, path)
        _put(root, path, _encoded(path, content), stop, version)
    return f"Edited {path}: {len(edits)} replacement{'s' if len(edits) != 1 else ''}."


def replaced(text: str, edits: Sequence[Edit], path: str) -> str:
    """The text after the edits, one after the other.

    Raises
    ------
    ToolError
        What one of them looks for is not there, or there more than once.
    """
    crlf = "\r\n" in text
    for number, one in enumerate(edits, 1):
        old, new = one["oldText"], one["newText"]
        if crlf and old not in text:  # the model wrote the line ends that it is used to
            old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
        found = text.count(old)
        if found != 1:
            why = "is not in" if not found else f"is {found} times in"
            raise ToolError(
                f"Edit {number}: its oldText {why} {path}; it must be there exactly once. Nothing was done."
            )
        text = text.replace(old, new)
    return text


def make_directories(root: Root, paths: Sequence[str]) -> str:
    """Make directories, with those above them; what was done, in words."""
    for path in paths:
        with spoken(path), root.directory(root.parts(path), make=True):
            pass
    return f"There is now {', '.join(paths)}."


def remove_directories(root: Root, paths: Sequence[str]) -> str:
    """Remove empty directories; what was done, in words."""
    for path in paths:
        *above, name = root.parts(path) or ("",)
        if not name:
            raise ToolError("The root itself stays.")
        with spoken(path), root.directory(tuple(above)) as directory:
            os.rmdir(name, dir_fd=directory)
    return f"Removed {', '.join(paths)}."


def _encoded(path: str, content: str) -> bytes:
    with spoken(path):
        return content.encode()


def _version(status: os.stat_result) -> _Version:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _put(root: Root, path: str, data: bytes, stop: threading.Event, version: _Version | None = None) -> None:
    """Write beside, then put in place; with a `version`, only where the file is still that one."""
    *above, name = root.parts(path) or ("",)
    if not name:
        raise ToolError(f"{path or '.'} is a directory.")
    if len(os.fsencode(name)) > _NAME_ROOM:
        raise ToolError(f"{path}: the name is too long.")
    with root.directory(tuple(above), make=version is None) as directory:
        mode = _mode(directory, name, path)
        beside = f".{name}.{secrets.token_hex(4)}.tmp"
        descriptor = os.open(beside, _NEW, 0o666 if mode is None else 0o600, dir_fd=directory)
        try:
            with open(descriptor, "wb") as file:
                if mode is not None:
                    os.fchmod(descriptor, mode)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            if version is not None and version != _version(os.stat(name, dir_fd=directory, follow_symlinks=False)):
                raise ToolError(f"{path} was changed by somebody else meanwhile. Nothing was done; read it again.")
            if stop.is_set():  # nobody waits any more: the late call changes nothing
                raise ToolError("The call was given up.")
            os.replace(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=directory)
            raise


def _mode(directory: int, name: str, path: str) -> int | None:
    """The permissions of the plain file that is there; None where nothing is."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    descriptor = open_plain(directory, name, path)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
