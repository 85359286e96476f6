"""Files by name, and lines by what they say.

Above `root`, `reading`. Names are matched by globs, component by component (``**`` stands for any number of
directories). Plain text is looked for right here; a regular expression runs in a short-lived Python process, since one
that backtracks could otherwise hold the kernel, and nothing could stop it.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from nbagent.errors import ToolError
from nbagent.processes.process import Process
from nbagent.toolsets.filesystem import reading
from nbagent.toolsets.filesystem.root import Root, joined, names, open_plain
from nbagent.toolsets.threads import run_process

MOST_FILES = 500
"""Files that a search by name tells."""
MOST_LINES = 200
"""Lines that a search by content tells."""
SECONDS = 10.0
"""What a regular expression has for all files."""

_EACH = 2 << 20  # bytes of a file that is searched
_ALL = 32 << 20  # bytes that one search reads
_SHOWN = 300  # characters of a line
_CHILD = """
import json, re, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
except Exception:
    pass
asked = json.loads(sys.stdin.buffer.read())
try:
    search = re.compile(asked["pattern"]).search
except (re.error, OverflowError, RecursionError, MemoryError) as error:
    print(json.dumps({"error": str(error) or type(error).__name__}))
    sys.exit()
found = []
for number, text in enumerate(asked["texts"]):
    for line, said in enumerate(text.splitlines(), 1):
        if search(said):
            found.append([number, line])
            if len(found) > asked["most"]:
                break
    if len(found) > asked["most"]:
        break
print(json.dumps({"found": found}))
"""


@dataclass(slots=True)
class Texts:
    """What is searched: names and texts of files; `cut` says that there was more than one search reads."""

    names: list[str] = field(default_factory=list[str])
    texts: list[str] = field(default_factory=list[str])
    cut: bool = False


def fits(pattern: str, path: str) -> bool:
    """Whether a glob fits a path: its name alone, where the glob has no slash."""
    if "/" not in pattern:
        return fnmatchcase(path.rpartition("/")[2], pattern)
    return _fits(pattern.strip("/").split("/"), path.split("/"))


def _fits(globs: Sequence[str], parts: Sequence[str]) -> bool:
    """Component by component; which of the globs may come next is kept for each, so the time is their product."""
    at = _with_skips({0}, globs)
    for part in parts:
        after = {i if globs[i] == "**" else i + 1 for i in at if i < len(globs) and _one(globs[i], part)}
        at = _with_skips(after, globs)
    return len(globs) in at


def _one(glob: str, part: str) -> bool:
    return glob == "**" or fnmatchcase(part, glob)


def _with_skips(at: set[int], globs: Sequence[str]) -> set[int]:
    """Also behind each ``**``, which may stand for nothing."""
    reached: set[int] = set()
    for start in at:
        while start not in reached:
            reached.add(start)
            if start < len(globs) and globs[start] == "**":
                start += 1
    return reached


def _found(root: Root, path: str, excluded: Sequence[str], stop: threading.Event) -> Iterator[tuple[str, str, int]]:
    """Each file below `path` that no pattern excludes: its path, its name, its directory's descriptor."""

    def wanted(path: str) -> bool:
        return not any(fits(pattern, path) for pattern in excluded)

    for at, directories, files, descriptor in root.walk(path):
        directories[:] = [name for name in directories if wanted(joined(at, name))]
        for name in files:
            if stop.is_set():
                return
            if wanted(joined(at, name)):
                yield joined(at, name), name, descriptor


def by_name(root: Root, path: str, pattern: str, excluded: Sequence[str], stop: threading.Event) -> str:
    """The files whose path below the root, or below `path`, fits the glob."""
    base = "/".join(root.parts(path))
    found: list[str] = []
    for file, _, _ in _found(root, path, excluded, stop):
        if fits(pattern, file) or (base and fits(pattern, file.removeprefix(f"{base}/"))):
            found.append(file)
    shown, note = names(found, MOST_FILES)
    return "\n".join(shown) + note if found else "No file fits."


def texts(root: Root, path: str, excluded: Sequence[str], stop: threading.Event) -> Texts:
    """The text files below `path`, read within bounds; a file is searched as well where `path` is one."""
    gathered = Texts()
    room = _ALL
    for file, name, directory in _files(root, path, excluded, stop):
        text = _text(directory, name, file)
        if text is None:
            continue
        room -= len(text)
        if room < 0:
            gathered.cut = True
            break
        gathered.names.append(file)
        gathered.texts.append(text)
    return gathered


def _files(root: Root, path: str, excluded: Sequence[str], stop: threading.Event) -> Iterator[tuple[str, str, int]]:
    *above, name = root.parts(path) or ("",)
    with root.directory(tuple(above)) as directory:
        status = os.stat(name or ".", dir_fd=directory, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            yield "/".join([*above, name]), name, directory
            return
    yield from _found(root, path, excluded, stop)


def _text(directory: int, name: str, path: str) -> str | None:
    """The file's text; None for what is none, or too large, or gone."""
    try:
        descriptor = open_plain(directory, name, path)
    except (OSError, ToolError):
        return None
    try:
        return reading.whole(descriptor, path) if os.fstat(descriptor).st_size <= _EACH else None
    except (OSError, ToolError):
        return None
    finally:
        os.close(descriptor)


def plain(within: Texts, query: str, stop: threading.Event) -> list[tuple[int, int]]:
    """Where the text stands: number of the file, number of the line."""
    found: list[tuple[int, int]] = []
    for number, text in enumerate(within.texts):
        if stop.is_set() or len(found) > MOST_LINES:
            break
        if query in text:
            found += [(number, line) for line, said in enumerate(text.splitlines(), 1) if query in said]
    return found


async def by_pattern(within: Texts, pattern: str) -> list[tuple[int, int]]:
    """Where the regular expression fits: number of the file, number of the line.

    Raises
    ------
    ToolError
        It is none, or too slow.
    """
    asked = json.dumps({"pattern": pattern, "texts": within.texts, "most": MOST_LINES}).encode()
    process = Process([sys.executable, "-I", "-S", "-c", _CHILD], {}, asked, SECONDS)
    ended = await run_process(process, "nbagent-search")
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        raise ToolError(
            f"The regular expression is too slow here ({ended.cut or 'it failed'}); write a simpler one."
        ) from None
    if "error" in answer:
        raise ToolError(f"This is no regular expression: {answer['error']}")
    return [(number, line) for number, line in answer["found"]]


def told(within: Texts, found: Sequence[tuple[int, int]]) -> str:
    """The lines that were found, as ``path:line: text``."""
    lines: list[str] = []
    split: dict[int, list[str]] = {}
    for number, line in found[:MOST_LINES]:
        said = split.setdefault(number, within.texts[number].splitlines())[line - 1]
        lines.append(f"{within.names[number]}:{line}: {said[:_SHOWN]}{'…' if len(said) > _SHOWN else ''}")
    notes = ["[… and more lines]"] if len(found) > MOST_LINES else []
    if within.cut:
        notes.append(f"[only the first {_ALL >> 20} MiB were searched; search in a directory below]")
    return "\n".join([*lines, *notes] or ["Nothing was found."])
