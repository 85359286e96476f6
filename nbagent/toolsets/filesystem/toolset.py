"""The tools on files: what a model is told of them, which ask the user, and the diff that is shown.

`reading`, `writing`, `listing` and `searching` do the work, each call on a thread of its own; a call that is given up
before its file is put in place changes nothing. Above: whoever declares an agent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from nbagent.errors import ToolError, ToolsUnavailable
from nbagent.ports import Tool, ToolContext, ToolResult, ToolSpec
from nbagent.toolsets.builtin import (
    TEXT,
    WORDS,
    Arguments,
    BuiltinTool,
    BuiltinToolset,
    Show,
    Work,
    check_timeout,
    spec,
    told,
)
from nbagent.toolsets.filesystem import difference, listing, reading, searching, writing
from nbagent.toolsets.filesystem.root import Missing, Root, spoken
from nbagent.toolsets.threads import on_daemon, run_tool

Job = Callable[[Arguments, threading.Event], str]


class FilesystemToolset(BuiltinToolset):
    """The files below one directory: reading runs unasked, writing asks the user and shows what would change.

    Parameters
    ----------
    root
        The directory; relative to the kernel's working directory, as it is now. Symbolic links in it are not followed.
    read_only
        Without the tools that write.
    timeout
        Seconds that a call may take.

    Raises
    ------
    ConfigError
        `timeout` is no time.

    Examples
    --------
    ::

        from nbagent.toolsets import FilesystemToolset

        editor = nbagent.Agent("editor", model=…, toolsets=[FilesystemToolset("notes")])

    Notes
    -----
    What is read is sent to the provider of the model, unasked: choose a root without secrets.
    """

    name = "filesystem"

    def __init__(self, root: str | os.PathLike[str] = ".", *, read_only: bool = False, timeout: float = 30.0) -> None:
        self._root = Root(root)
        self._read_only = read_only
        self._timeout = check_timeout("FilesystemToolset", timeout)

    def __repr__(self) -> str:
        return f"FilesystemToolset({str(self._root.path)!r}{', read_only=True' if self._read_only else ''})"

    def _tools(self) -> Sequence[Tool]:
        if not self._root.path.is_dir():
            raise ToolsUnavailable(f"filesystem: there is no directory {self._root.path}")
        tools = [
            self._tool(_READ, self._read),
            self._tool(_READ_MANY, lambda given, stop: reading.read_each(self._root, given["paths"], stop)),
            self._tool(_LIST, lambda arguments, _: listing.listed(self._root, arguments.get("path", "."))),
            self._tool(_TREE, self._tree),
            self._tool(_SEARCH, self._search),
            BuiltinTool(_SEARCH_CONTENT, self.name, self._search_content, self._timeout),
        ]
        if not self._read_only:
            tools += [
                self._tool(_WRITE, self._write, self._write_shown),
                self._tool(_EDIT, self._edit, self._edit_shown),
                self._tool(
                    _MKDIR, lambda arguments, _: writing.make_directories(self._root, arguments["paths"]), _none
                ),
                self._tool(
                    _RMDIR, lambda arguments, _: writing.remove_directories(self._root, arguments["paths"]), _none
                ),
            ]
        return tools

    def _tool(self, spec: ToolSpec, job: Job, show: Show | None = None) -> BuiltinTool:
        """A tool that works on a thread; one that has something to show for approval asks for it."""
        return BuiltinTool(spec, self.name, _on_thread(job), self._timeout, show is not None, show)

    # ------------------------------------------------------------ reading

    def _read(self, arguments: Arguments, stop: threading.Event) -> str:
        return reading.read(self._root, arguments["path"], stop, arguments.get("line", 1), arguments.get("limit"))

    def _tree(self, arguments: Arguments, stop: threading.Event) -> str:
        return listing.tree(self._root, arguments.get("path", "."), arguments.get("max_depth"), stop)

    def _search(self, arguments: Arguments, stop: threading.Event) -> str:
        excluded = arguments.get("excludePatterns", ())
        return searching.by_name(self._root, arguments.get("path", "."), arguments["pattern"], excluded, stop)

    async def _search_content(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        path, query, excluded = arguments.get("path", "."), arguments["query"], arguments.get("excludePatterns", ())

        def gathered() -> searching.Texts:
            with spoken(path):
                return searching.texts(self._root, path, excluded, context.stop)

        within = await run_tool(gathered, context)
        if arguments.get("is_regex", False):
            found = await searching.by_pattern(within, query)
        else:
            found = await run_tool(lambda: searching.plain(within, query, context.stop), context)
        return ToolResult(await run_tool(lambda: searching.told(within, found), context))

    # ------------------------------------------------------------ writing

    def _write(self, arguments: Arguments, stop: threading.Event) -> str:
        return writing.write(self._root, arguments["path"], arguments["content"], stop)

    def _edit(self, arguments: Arguments, stop: threading.Event) -> str:
        return writing.edit(self._root, arguments["path"], arguments["edits"], stop)

    async def _write_shown(self, arguments: Arguments) -> str:
        def shown() -> str:
            path, new = arguments["path"], arguments["content"]
            try:
                with self._root.file(path) as descriptor:
                    return _replacing(descriptor, new, path)
            except Missing:
                return difference.unified("", new, path, is_new=True)

        return await on_daemon(shown, "nbagent-diff")

    async def _edit_shown(self, arguments: Arguments) -> str:
        def shown() -> str:
            path = arguments["path"]
            with self._root.file(path) as descriptor, spoken(path):
                old = reading.whole(descriptor, path)
            return difference.unified(old, writing.replaced(old, arguments["edits"], path), path)

        return await on_daemon(shown, "nbagent-diff")


def _replacing(descriptor: int, new: str, path: str) -> str:
    """What becomes of an open file whose content is replaced."""
    try:
        old = reading.whole(descriptor, path)
    except ToolError as error:  # there is no comparing with what is no text
        return f"{error} All of it is replaced.\n{difference.unified('', new, path)}"
    return difference.unified(old, new, path) or f"--- {path}\n+++ {path}\n(nothing changes)"


def _on_thread(job: Job) -> Work:
    async def work(arguments: Arguments, context: ToolContext) -> ToolResult:
        return ToolResult(await run_tool(lambda: job(arguments, context.stop), context))

    return work


async def _none(arguments: Arguments) -> str:
    """The arguments say it all."""
    return ""


_PATH = told(WORDS, "Relative to the root.")
_IN = told(WORDS, "A directory, relative to the root.", default=".")
_WHERE = told(WORDS, "A directory or a file, relative to the root.", default=".")
_PATHS = told({"type": "array", "items": WORDS, "minItems": 1, "maxItems": 50}, "Relative to the root.")
_EXCLUDED = told({"type": "array", "items": WORDS, "maxItems": 50}, "Globs of what to leave out.", default=[])

_READ = spec(
    "read_file",
    f"Read a text file, or lines of it. At most {reading.MOST:,} characters at once.",
    {
        "path": _PATH,
        "line": told({"type": "integer", "minimum": 1}, "The first line to read, from 1.", default=1),
        "limit": told({"type": "integer", "minimum": 1}, "How many lines to read; all where left out."),
    },
    optional=["line", "limit"],
)
_READ_MANY = spec("read_multiple_files", "Read several text files at once.", {"paths": _PATHS})
_LIST = spec("list_directory", "List what is in a directory.", {"path": _IN}, optional=["path"])
_TREE = spec(
    "directory_tree",
    f"Show all that is below a directory, indented. Left out: {listing.LEFT_OUT}.",
    {"path": _IN, "max_depth": told({"type": "integer", "minimum": 1}, "How many levels to show.")},
    optional=["path", "max_depth"],
)
_SEARCH = spec(
    "search_files",
    "Find files by name: a glob such as *.py, or of a whole path such as src/**/test_*.py. Left out: "
    f"{listing.LEFT_OUT}.",
    {"path": _IN, "pattern": told(WORDS, "The glob."), "excludePatterns": _EXCLUDED},
    optional=["path", "excludePatterns"],
)
_SEARCH_CONTENT = spec(
    "search_files_content",
    "Find lines in text files, by text (case counts) or by a Python regular expression.",
    {
        "path": _WHERE,
        "query": told(WORDS, "What to look for in each line."),
        "is_regex": told({"type": "boolean"}, "The query is a regular expression.", default=False),
        "excludePatterns": _EXCLUDED,
    },
    optional=["path", "is_regex", "excludePatterns"],
)
_WRITE = spec(
    "write_file",
    "Write a text file, whole: it is made where there is none, with the directories above it, and replaced where there "
    "is one. Use edit_file to change parts.",
    {"path": _PATH, "content": told(TEXT, "All that the file is to hold.")},
)
_EDIT = spec(
    "edit_file",
    "Change parts of a text file. Each edit is applied to what the one before left; all are made, or none.",
    {
        "path": _PATH,
        "edits": told(
            {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "oldText": told(WORDS, "The exact text to replace; it must be in the file exactly once."),
                        "newText": told(TEXT, "What to put in its place."),
                    },
                    "required": ["oldText", "newText"],
                    "additionalProperties": False,
                },
            },
            "The replacements.",
        ),
    },
)
_MKDIR = spec("create_directory", "Make directories, with those above them.", {"paths": _PATHS})
_RMDIR = spec("remove_directory", "Remove empty directories.", {"paths": _PATHS})
