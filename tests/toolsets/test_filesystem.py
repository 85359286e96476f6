"""The files below one directory: what is read, what is written and how, and that nothing leads out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagent.errors import ConfigError, ToolError, ToolsUnavailable
from nbagent.events import ToolCallConfirmation, ToolCallResponse
from nbagent.models import ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.toolsets import FilesystemToolset
from nbagent.toolsets.filesystem import difference, listing, reading, searching, writing
from nbagent.toolsets.filesystem.root import Root
from tests.runtime.support import assert_nothing_left, scripted
from tests.toolsets.calling import Bench
from tests.toolsets.processes import below

pytestmark = pytest.mark.anyio

WRITES = {"write_file", "edit_file", "create_directory", "remove_directory"}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the root, with something to steal."""
    there = tmp_path / "outside"
    there.mkdir()
    (there / "secret.txt").write_text("secret")
    return there


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    """The root, with a few files."""
    here = tmp_path / "root"
    (here / "src" / "deep").mkdir(parents=True)
    (here / "notes.txt").write_text("one\ntwo\nthree\n")
    (here / "src" / "a.py").write_text("import os\nprint('a')\n")
    (here / "src" / "deep" / "b.py").write_text("print('b')\n")
    (here / "src" / "data.bin").write_bytes(b"\0\1print\n")
    return here


@pytest.fixture
def bench(root: Path) -> Bench:
    return Bench(FilesystemToolset(root))


async def refused(bench: Bench, words: str, tool_name: str, /, **arguments: Any) -> None:
    with pytest.raises(ToolError, match=words):
        await bench.call(tool_name, **arguments)


def temporary(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.endswith(".tmp")]


# ---------------------------------------------------------------- what asks


async def test_p11_what_writes_asks_and_what_reads_does_not(bench: Bench, root: Path) -> None:
    tools = await bench.tools()
    assert {name for name, tool in tools.items() if tool.asks_approval} == WRITES
    assert tools.keys() - WRITES == (await Bench(FilesystemToolset(root, read_only=True)).tools()).keys()


async def test_what_is_declared_is_checked(root: Path) -> None:
    with pytest.raises(ConfigError, match="timeout=-1"):
        FilesystemToolset(root, timeout=-1)
    with pytest.raises(ToolsUnavailable, match="no directory"):
        await Bench(FilesystemToolset(root / "none")).tools()


async def test_the_root_is_where_it_was_when_it_was_declared(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    bench = Bench(FilesystemToolset("src"))
    monkeypatch.chdir("/")
    assert "a.py" in await bench.text("list_directory")


# ---------------------------------------------------------------- nothing leads out


@pytest.mark.parametrize("path", ["../outside/secret.txt", "src/../../outside/secret.txt", "/etc/passwd", "a\0b", "~"])
@pytest.mark.parametrize("tool", ["read_file", "list_directory", "search_files_content", "write_file", "edit_file"])
async def test_no_path_leads_out(bench: Bench, outside: Path, tool: str, path: str) -> None:
    more: dict[str, Any] = {
        "search_files_content": {"query": "secret"},
        "write_file": {"content": "x"},
        "edit_file": {"edits": [{"oldText": "secret", "newText": "x"}]},
    }
    if (tool, path) == ("write_file", "~"):  # a name as any other
        return
    await refused(bench, "outside|no path|No such file", tool, path=path, **more.get(tool, {}))
    assert (outside / "secret.txt").read_text() == "secret"


async def test_an_absolute_path_below_the_root_is_taken(bench: Bench, root: Path) -> None:
    assert await bench.text("read_file", path=str(root / "notes.txt"), limit=1) == "one\n\n[the file goes on: line=2]"


@pytest.mark.parametrize("link", ["src/link", "link"])
async def test_no_link_leads_out(bench: Bench, root: Path, outside: Path, link: str) -> None:
    (root / link).symlink_to(outside)
    (root / "file-link").symlink_to(outside / "secret.txt")
    await refused(bench, "symbolic link", "read_file", path=f"{link}/secret.txt")
    await refused(bench, "symbolic link", "read_file", path="file-link")
    await refused(bench, "symbolic link", "list_directory", path=link)
    await refused(bench, "symbolic link", "write_file", path=f"{link}/new.txt", content="x")
    await refused(bench, "symbolic link", "write_file", path="file-link", content="x")
    await refused(bench, "symbolic link", "edit_file", path="file-link", edits=[{"oldText": "s", "newText": "x"}])
    await refused(bench, "symbolic link", "create_directory", paths=[f"{link}/new"])
    await refused(bench, "symbolic link|Not a directory", "remove_directory", paths=[f"{link}/new"])
    assert await bench.text("search_files_content", query="secret") == "Nothing was found."
    assert await bench.text("search_files", pattern="secret*") == "No file fits."
    assert "secret" not in await bench.text("directory_tree")
    assert f"link  {Path(link).name}" in await bench.text("list_directory", path=str(Path(link).parent))
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "secret"


class Swapping:
    """Turns a path into a link to somewhere else between the look at it and its opening, every time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, target: Path) -> None:
        self.swapped = 0
        real = os.open

        def opening(name: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if name == path.name and dir_fd is not None:
                if not path.is_symlink():
                    path.rename(path.with_name(f"{path.name}-was"))
                    path.symlink_to(target)
                self.swapped += 1
            return real(name, flags, mode, dir_fd=dir_fd)

        monkeypatch.setattr(os, "open", opening)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read_file", {"path": "src/secret.txt"}),
        ("list_directory", {"path": "src"}),
        ("write_file", {"path": "src/secret.txt", "content": "x"}),
        ("create_directory", {"paths": ["src/new"]}),
        ("search_files_content", {"path": "src", "query": "secret"}),
    ],
)
async def test_a_directory_that_becomes_a_link_in_between_leads_nowhere(
    bench: Bench, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: dict[str, Any]
) -> None:
    swap = Swapping(monkeypatch, root / "src", outside)
    await refused(bench, "Not a directory|symbolic link|Too many levels", name, **arguments)
    assert swap.swapped and (root / "src").is_symlink()
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "secret"


async def test_a_file_that_becomes_a_link_in_between_is_not_read(
    bench: Bench, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = Swapping(monkeypatch, root / "notes.txt", outside / "secret.txt")
    await refused(bench, "Too many levels", "read_file", path="notes.txt")
    assert swap.swapped


async def test_a_walk_does_not_enter_what_becomes_a_link_in_between(
    bench: Bench, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = Swapping(monkeypatch, root / "src" / "deep", outside)
    assert await bench.text("search_files_content", query="secret") == "Nothing was found."
    assert swap.swapped and (root / "src" / "deep").is_symlink()


@settings(max_examples=150)
@given(st.lists(st.sampled_from(["..", ".", "", "in", "out", "file", "~", "new"]), max_size=7), st.booleans())
def test_whatever_the_path_what_is_outside_stays_as_it_is(parts: list[str], absolute: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "root" / "in").mkdir(parents=True)
        (base / "out").mkdir()
        (base / "root" / "out").symlink_to(base / "out")
        (base / "root" / "in" / "file").symlink_to(base / "out" / "file")
        path = (f"{base}/" if absolute else "") + "/".join(parts)
        for work in (
            lambda root: writing.write(root, path, "x", threading.Event()),
            lambda root: writing.make_directories(root, [path]),
            lambda root: writing.remove_directories(root, [path]),
        ):
            with contextlib.suppress(ToolError):
                work(Root(base / "root"))
        assert sorted(entry.name for entry in base.iterdir()) == ["out", "root"]
        assert list((base / "out").iterdir()) == []


async def test_what_is_no_plain_file_is_not_opened(bench: Bench, root: Path) -> None:
    os.mkfifo(root / "pipe")
    await refused(bench, "is no file", "read_file", path="pipe")
    await refused(bench, "is no file", "write_file", path="pipe", content="x")
    await refused(bench, "is a directory", "read_file", path="src")
    await refused(bench, "is a directory", "write_file", path="src", content="x")


# ---------------------------------------------------------------- reading


async def test_lines_are_read_as_they_are(bench: Bench, root: Path) -> None:
    assert await bench.text("read_file", path="notes.txt") == "one\ntwo\nthree\n"
    assert await bench.text("read_file", path="notes.txt", line=2, limit=1) == "two\n\n[the file goes on: line=3]"
    assert await bench.text("read_file", path="notes.txt", line=9) == "[the file has 3 lines]"
    (root / "empty").touch()
    assert await bench.text("read_file", path="empty") == "[the file is empty]"
    (root / "crlf").write_bytes(b"a\r\nb\r\n")
    assert await bench.text("read_file", path="crlf") == "a\r\nb\r\n"


async def test_what_is_read_is_bounded(bench: Bench, root: Path) -> None:
    (root / "long").write_text("x" * (reading.MOST + 10_000))
    text = await bench.text("read_file", path="long")
    assert len(text) < reading.MOST + 100 and "cut at 60,000 characters" in text
    both = await bench.text("read_multiple_files", paths=["long", "long", "notes.txt"])
    assert len(both) < reading.MOST + 500


@pytest.mark.parametrize("data", [b"\0\1", b"caf\xe9", b"text\n" * 5_000 + b"\xff"])
async def test_what_is_no_text_is_refused(bench: Bench, root: Path, data: bytes) -> None:
    (root / "file").write_bytes(data)
    await refused(bench, "is no text", "read_file", path="file")


async def test_several_files_are_read_and_a_missing_one_is_named_in_its_place(bench: Bench) -> None:
    text = await bench.text("read_multiple_files", paths=["notes.txt", "none.txt"])
    assert text == "=== notes.txt ===\none\ntwo\nthree\n\n\n=== none.txt ===\n[none.txt: No such file or directory]"


async def test_directories_and_trees_are_listed(bench: Bench, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".git").mkdir()
    assert await bench.text("list_directory") == "dir   .git/\nfile  notes.txt (14 bytes)\ndir   src/"
    assert await bench.text("directory_tree") == (
        "./\n  notes.txt\n  src/\n    a.py\n    data.bin\n    deep/\n      b.py"
    )
    assert await bench.text("directory_tree", max_depth=1) == "./\n  src/ …\n  notes.txt"
    assert await bench.text("directory_tree", path="src/deep") == "src/deep/\n  b.py"
    monkeypatch.setattr(listing, "MOST", 2)
    assert "cut at 2 lines" in await bench.text("directory_tree")
    assert "and 1 more" in await bench.text("list_directory")


# ---------------------------------------------------------------- searching


async def test_files_are_found_by_name(bench: Bench) -> None:
    assert await bench.text("search_files", pattern="*.py") == "src/a.py\nsrc/deep/b.py"
    assert await bench.text("search_files", pattern="src/*.py") == "src/a.py"
    assert await bench.text("search_files", pattern="**/b.py") == "src/deep/b.py"
    assert await bench.text("search_files", path="src", pattern="deep/*") == "src/deep/b.py"
    assert await bench.text("search_files", pattern="*.py", excludePatterns=["deep"]) == "src/a.py"


@pytest.mark.parametrize(
    ("glob", "path", "fit"),
    [
        ("**", "a/b", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("a/*/c", "a/c", False),
        ("a", "b/a", True),
    ],
)
def test_globs(glob: str, path: str, fit: bool) -> None:
    assert searching.fits(glob, path) is fit


def test_a_glob_of_many_stars_takes_no_time() -> None:
    assert not searching.fits("/".join(["**", "*a*a*a*a*b"] * 10), "/".join(["a" * 200] * 30))


async def test_lines_are_found_by_text_and_by_pattern(bench: Bench) -> None:
    assert (
        await bench.text("search_files_content", query="print('")
        == "src/a.py:2: print('a')\nsrc/deep/b.py:1: print('b')"
    )
    assert await bench.text("search_files_content", query=r"^print\('b", is_regex=True) == "src/deep/b.py:1: print('b')"
    assert (
        await bench.text("search_files_content", path="notes.txt", query="t") == "notes.txt:2: two\nnotes.txt:3: three"
    )
    assert await bench.text("search_files_content", query="print", excludePatterns=["*.py"]) == "Nothing was found."
    await refused(bench, "no regular expression", "search_files_content", query="(", is_regex=True)


async def test_a_pattern_that_never_ends_holds_nothing(
    bench: Bench, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "trap").write_text("a" * 60 + "!")
    monkeypatch.setattr(searching, "SECONDS", 0.5)
    before = below()
    await refused(bench, "too slow", "search_files_content", query="(a+)+$", is_regex=True)
    monkeypatch.setattr(searching, "SECONDS", 30.0)
    task = asyncio.create_task(bench.call("search_files_content", query="(a+)+$", is_regex=True))
    with anyio.fail_after(10):
        while below() == before:
            await anyio.sleep(0.01)
    task.cancel()
    with anyio.fail_after(3), pytest.raises(asyncio.CancelledError):
        await task
    assert below() == before


async def test_what_is_found_is_bounded(bench: Bench, root: Path) -> None:
    (root / "many").write_text("print\n" * 5_000 + "print" * 1_000)
    text = await bench.text("search_files_content", path="many", query="print")
    assert text.count("\n") == searching.MOST_LINES and text.endswith("[… and more lines]")
    assert await bench.text("search_files_content", path="many", query="p.*t", is_regex=True) == text


# ---------------------------------------------------------------- writing


async def test_a_file_is_written_with_what_is_above_it_and_its_mode_is_kept(bench: Bench, root: Path) -> None:
    assert (
        await bench.text("write_file", path="new/deep/file.txt", content="ä\n") == "Wrote new/deep/file.txt (3 bytes)."
    )
    assert (root / "new/deep/file.txt").read_bytes() == "ä\n".encode()
    (root / "notes.txt").chmod(0o640)
    await bench.text("write_file", path="notes.txt", content="all new")
    assert (root / "notes.txt").read_text() == "all new"
    assert stat.S_IMODE((root / "notes.txt").stat().st_mode) == 0o640
    assert temporary(root) == []


async def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(
    bench: Bench, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    await refused(bench, "notes.txt: No space left", "write_file", path="notes.txt", content="half")
    assert (root / "notes.txt").read_text() == "one\ntwo\nthree\n"
    assert temporary(root) == []
    await refused(bench, "no text that a file can have", "write_file", path="notes.txt", content="\ud800")


async def test_a_write_that_was_given_up_changes_nothing(root: Path) -> None:
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(ToolError, match="given up"):
        writing.write(Root(root), "notes.txt", "late", given_up)
    assert (root / "notes.txt").read_text() == "one\ntwo\nthree\n" and temporary(root) == []


async def test_edits_are_exact_and_all_or_none(bench: Bench, root: Path) -> None:
    edits = [{"oldText": "two", "newText": "2"}, {"oldText": "2\nthree", "newText": "2\n3"}]
    assert await bench.text("edit_file", path="notes.txt", edits=edits) == "Edited notes.txt: 2 replacements."
    assert (root / "notes.txt").read_text() == "one\n2\n3\n"
    one, missing, twice = ({"oldText": old, "newText": "x"} for old in ("one", "four", "\n"))
    await refused(bench, "Edit 2: its oldText is not in", "edit_file", path="notes.txt", edits=[one, missing])
    await refused(bench, "is 3 times in", "edit_file", path="notes.txt", edits=[twice])
    assert (root / "notes.txt").read_text() == "one\n2\n3\n"


async def test_line_ends_are_kept_by_an_edit(bench: Bench, root: Path) -> None:
    (root / "crlf").write_bytes(b"a\r\nb\r\nc\r\n")
    await bench.text("edit_file", path="crlf", edits=[{"oldText": "a\nb\n", "newText": "x\ny\n"}])
    assert (root / "crlf").read_bytes() == b"x\r\ny\r\nc\r\n"


async def test_edits_side_by_side_do_not_lose_each_other(bench: Bench, root: Path) -> None:
    names = [f"<{number}>" for number in range(12)]
    (root / "list").write_text("\n".join(names))
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(bench.text("edit_file", path="list", edits=[{"oldText": name, "newText": name[1:-1]}]))
    assert (root / "list").read_text().split("\n") == [str(number) for number in range(12)]


async def test_a_file_that_somebody_changed_meanwhile_is_left_alone(
    bench: Bench, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[int], None] = os.fsync

    def meanwhile(descriptor: int) -> None:
        real(descriptor)
        (root / "notes.txt").write_text("somebody else's")

    monkeypatch.setattr(os, "fsync", meanwhile)
    edits = [{"oldText": "two", "newText": "2"}]
    await refused(bench, "changed by somebody else", "edit_file", path="notes.txt", edits=edits)
    assert (root / "notes.txt").read_text() == "somebody else's" and temporary(root) == []


async def test_directories_are_made_and_only_empty_ones_removed(bench: Bench, root: Path) -> None:
    await bench.text("create_directory", paths=["x/y", "z"])
    assert (root / "x/y").is_dir() and (root / "z").is_dir()
    await bench.text("remove_directory", paths=["z"])
    assert not (root / "z").exists()
    await refused(bench, "not empty", "remove_directory", paths=["x"])
    await refused(bench, "root itself", "remove_directory", paths=["."])


# ---------------------------------------------------------------- what the user is shown


async def asked_about(root: Path, name: str, **arguments: Any) -> tuple[ToolCallConfirmation | None, ToolCallResponse]:
    """What one call asks, and what comes of it once it is approved."""
    runtime, session = (
        Runtime(scripted(ToolCall(name, arguments), "done", toolsets=[FilesystemToolset(root)])),
        Session(),
    )
    asked: ToolCallConfirmation | None = None
    response: ToolCallResponse | None = None
    with anyio.fail_after(10):
        async with runtime.run_stream(session, "hi") as stream:
            async for event in stream:
                if isinstance(event, ToolCallConfirmation):
                    asked = event
                    runtime.answer(event.id, "accept")
                if isinstance(event, ToolCallResponse):
                    response = event
    assert_nothing_left(runtime, session)
    assert response is not None
    return asked, response


async def test_an_edit_shows_its_diff_before_it_is_made(root: Path) -> None:
    edits = [{"oldText": "two", "newText": "2"}]
    asked, response = await asked_about(root, "edit_file", path="notes.txt", edits=edits)
    assert asked is not None and response.state == "ok"
    assert asked.preview == "--- notes.txt\n+++ notes.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three"
    assert (root / "notes.txt").read_text() == "one\n2\nthree\n"


async def test_a_new_file_and_one_that_is_no_text_are_shown_for_what_they_are(root: Path) -> None:
    asked, _ = await asked_about(root, "write_file", path="new.txt", content="a\nb")
    assert asked is not None
    assert asked.preview == "--- /dev/null\n+++ new.txt\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file"
    asked, _ = await asked_about(root, "write_file", path="src/data.bin", content="a\n")
    assert asked is not None and asked.preview.startswith(
        "src/data.bin is no text: it is binary. All of it is replaced"
    )
    asked, _ = await asked_about(root, "write_file", path="notes.txt", content="one\ntwo\nthree\n")
    assert asked is not None and asked.preview.endswith("(nothing changes)")


async def test_nobody_is_asked_about_an_edit_that_does_not_fit(root: Path) -> None:
    asked, response = await asked_about(root, "edit_file", path="notes.txt", edits=[{"oldText": "4", "newText": "5"}])
    assert asked is None
    assert response.state == "failed" and "is not in notes.txt" in response.response


@pytest.mark.parametrize(
    ("old", "new", "diff"),
    [
        ("a\n", "a\n", ""),
        ("a\n", "a", "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file"),
        ("", "a\n", "@@ -0,0 +1 @@\n+a"),
        ("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\n5\n6\n7\n9\n", "@@ -5,4 +5,4 @@\n 5\n 6\n 7\n-8\n+9"),
        ("a\nb\n", "a\nx\nb\n", "@@ -1,2 +1,3 @@\n a\n+x\n b"),
        ("@@ -1 +1 @@\n", "@@ -2 +2 @@\n", "@@ -1 +1 @@\n-@@ -1 +1 @@\n+@@ -2 +2 @@"),
    ],
)
def test_diffs(old: str, new: str, diff: str) -> None:
    assert difference.unified(old, new, "f") == (f"--- f\n+++ f\n{diff}" if diff else "")


def test_a_diff_of_much_takes_no_time_and_hides_nothing() -> None:
    old = "\n".join(f"{number % 90}" for number in range(20_000)) + "\n"
    new = "\n".join(f"{number % 89}" for number in range(20_000)) + "\n"
    _, _, head, *lines = difference.unified(old, new, "f").split("\n")
    assert head == "@@ -90,19911 +90,19911 @@"
    assert [line[1:] for line in lines if line[0] == "-"] == old.splitlines()[89:]
    assert [line[1:] for line in lines if line[0] == "+"] == new.splitlines()[89:]
