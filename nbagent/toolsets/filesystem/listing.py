"""Directories and trees, as lines of text.

Above `root`. Sorted, bounded, links named and not followed.
"""

from __future__ import annotations

import os
import stat
import threading

from nbagent.toolsets.filesystem.root import SKIPPED, Root, names, spoken

MOST = 1_000
"""Entries of a listing or a tree."""


def listed(root: Root, path: str) -> str:
    """The entries of a directory: a word for the kind, the name, a file's size."""
    with spoken(path), root.directory(root.parts(path)) as directory:
        shown, note = names(sorted(os.listdir(directory)), MOST)
        lines = [_line(directory, name) for name in shown]
    return "\n".join(lines) + note if lines else "[the directory is empty]"


def _line(directory: int, name: str) -> str:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return f"gone  {name}"
    if stat.S_ISDIR(status.st_mode):
        return f"dir   {name}/"
    if stat.S_ISLNK(status.st_mode):
        return f"link  {name}"
    return f"file  {name} ({status.st_size:,} bytes)"


def tree(root: Root, path: str, deepest: int | None, stop: threading.Event) -> str:
    """What is below a directory, indented."""
    lines: list[str] = []
    base = len(root.parts(path))
    for at, directories, files, _ in root.walk(path):
        depth = (at.count("/") + 1 if at else 0) - base
        if depth or not at:
            lines.append("  " * depth + (os.path.basename(at) or ".") + "/")
        else:
            lines.append(f"{at}/")
        if deepest is not None and depth + 1 >= deepest:
            lines += ["  " * (depth + 1) + f"{name}/ …" for name in directories]
            directories.clear()
        lines += ["  " * (depth + 1) + name for name in files]
        if len(lines) > MOST or stop.is_set():
            break
    note = f"\n[cut at {MOST:,} lines; look at a directory below, or set max_depth]" if len(lines) > MOST else ""
    return "\n".join(lines[:MOST]) + note


LEFT_OUT = ", ".join(sorted(SKIPPED))
"""The directories that a tree or a search does not enter, in words."""
