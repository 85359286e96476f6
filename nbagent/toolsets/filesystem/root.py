"""Opens what lies below one directory, and nothing besides.

A path is taken apart by its text alone, and then opened component by component, each relative to the open directory
above it and never through a symbolic link. So there is no instant between a check and its use: whoever swaps a
directory for a link meanwhile gets an error, not a way out. Links that point to places inside are refused too.
What is no plain file (a pipe, a device) is not opened for reading.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nbagent.errors import ToolError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a pipe without a writer would block

DEEPEST = 60
"""How many directories deep a walk goes."""
SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache"}
)
"""Directories that no walk enters."""

Parts = tuple[str, ...]


class Missing(ToolError):
    """There is nothing of that name."""


@contextmanager
def spoken(path: str) -> Generator[None]:
    """What the system says about `path`, in words for the model."""
    try:
        yield
    except OSError as error:
        kind = Missing if isinstance(error, FileNotFoundError) else ToolError
        raise kind(f"{path}: {error.strerror or error}") from None
    except UnicodeEncodeError:
        raise ToolError(f"{path!r} is no text that a file can have in its name or hold.") from None


class Root:
    """A directory below which files are opened.

    Parameters
    ----------
    path
        The directory; made absolute at once, so that a later `chdir` changes nothing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._given = os.path.normpath(Path(path).expanduser().absolute())
        self.path = Path(self._given).resolve()

    def parts(self, path: str) -> Parts:
        """The components of a path below the root, by its text alone.

        Raises
        ------
        ToolError
            It leads out of the root.
        """
        if "\0" in path:
            raise ToolError(f"{path!r} is no path.")
        normal = os.path.normpath(path or ".")
        for root in (str(self.path), self._given):
            if normal == root or normal.startswith(root.rstrip("/") + "/"):
                normal = os.path.relpath(normal, root)
                break
        parts = tuple(part for part in normal.split("/") if part != ".")
        if os.path.isabs(normal) or ".." in parts:
            raise ToolError(f"{path} is outside of {self.path}, where these tools work; paths are relative to that.")
        return parts

    @contextmanager
    def directory(self, parts: Parts, *, make: bool = False) -> Generator[int]:
        """The directory's descriptor; `make`: with every directory on the way that is not there."""
        descriptor = os.open(self.path, _DIRECTORY)
        try:
            for number, part in enumerate(parts):
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                below = _below(descriptor, part, "/".join(parts[: number + 1]))
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def file(self, path: str) -> Generator[int]:
        """A plain file's descriptor, for reading.

        Raises
        ------
        ToolError
            There is none.
        """
        with spoken(path):
            *above, name = self.parts(path) or ("",)
            if not name:
                raise ToolError(f"{path or '.'} is a directory.")
            with self.directory(tuple(above)) as directory:
                descriptor = open_plain(directory, name, path)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def walk(self, path: str) -> Iterator[tuple[str, list[str], list[str], int]]:
        """The directories from `path` down, sorted: path from the root, directories and files in it, descriptor.

        Directories that the caller takes out of the list are not entered.
        """
        parts = self.parts(path)
        with spoken(path), self.directory(parts) as top:
            start = "/".join(parts)
            for here, directories, files, descriptor in os.fwalk(".", dir_fd=top):
                at = os.path.normpath(os.path.join(start, here)) if start or here != "." else ""
                links = {name for name in directories if _is_link(descriptor, name)}
                directories[:] = sorted(set(directories) - SKIPPED - links)
                if at.count("/") >= DEEPEST:
                    directories.clear()
                yield at, directories, sorted([*files, *links]), descriptor


def open_plain(directory: int, name: str, path: str) -> int:
    """A plain file in an open directory, for reading; `path` is for words.

    Raises
    ------
    ToolError
        It is something else.
    """
    _refuse_link(directory, name, path)
    descriptor = os.open(name, _FILE, dir_fd=directory)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise ToolError(f"{path} is {'a directory' if stat.S_ISDIR(mode) else 'no file'}.")
    return descriptor


def _below(directory: int, name: str, path: str) -> int:
    _refuse_link(directory, name, path)
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)


def _refuse_link(directory: int, name: str, path: str) -> None:
    """Say it in words where it is a link now; one that becomes a link in this instant is refused by O_NOFOLLOW."""
    if _is_link(directory, name):
        raise ToolError(f"{path} is a symbolic link; links are not followed here.")


def _is_link(directory: int, name: str) -> bool:
    """Whether it is one now; False where it is gone, which the next to open it finds out."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False


def joined(at: str, name: str) -> str:
    """The path of `name` in the directory `at`, where "" is the root."""
    return f"{at}/{name}" if at else name


def names(items: Sequence[str], most: int) -> tuple[Sequence[str], str]:
    """The first `most`, and a note on the rest."""
    left = len(items) - most
    return items[:most], f"\n[… and {left:,} more]" if left > 0 else ""
