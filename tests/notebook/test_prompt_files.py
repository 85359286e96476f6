"""Files in a prompt: `@data.csv` is read to the model; handles, addresses and decorators are none of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbagent.errors import UsageError
from nbagent.notebook.completion import Known, candidates
from nbagent.notebook.prompt import expand
from nbagent.notebook.prompt.expanding import HEAD
from nbagent.notebook.prompt.files import TEXT

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    (tmp_path / "my notes.md").write_text("# Notes\n```python\nx\n```\n")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.png").write_bytes(PNG)
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / ".env").write_text("OPENAI_API_KEY=canary")
    (tmp_path / "noise.bin").write_bytes(bytes(range(200, 256)))
    return tmp_path


def test_a_text_file_stands_below_the_prompt() -> None:
    said = expand("Sum up @data.csv.", {})
    assert said.text == f"Sum up @data.csv.\n\n{HEAD}\n\ndata.csv:\n```csv\na,b\n1,2\n```"


def test_a_name_with_blanks_is_quoted_and_a_fence_is_longer_than_those_within() -> None:
    text = expand('Read @"my notes.md" twice: @"my notes.md"', {}).text
    assert text.count("# Notes") == 1
    assert "````md\n# Notes" in text


@pytest.mark.parametrize("written", ["@plots/a.png", "@./plots/a.png", "@~/plots/a.png", "(@plots/a.png)"])
def test_a_picture_is_attached(written: str) -> None:
    said = expand(f"Look at {written}", {})
    assert said.text == f"Look at {written}"
    assert [(one.mime, one.name, one.size) for one in said.attachments] == [("image/png", "a.png", len(PNG))]


def test_a_path_in_a_variable_attaches_its_picture_and_no_other_file(folder: Path) -> None:
    names = {"plot": folder / "plots" / "a.png", "data": folder / "data.csv", "none": Path("none.png")}
    said = expand("{plot} {data} {none}", names)
    assert said.text == f"{names['plot']} {names['data']} none.png"
    assert [(one.mime, one.name) for one in said.attachments] == [("image/png", "a.png")]


def test_pdf_is_attached() -> None:
    assert [one.mime for one in expand("@report.pdf", {}).attachments] == ["application/pdf"]


@pytest.mark.parametrize(
    "text",
    ["ada@example.org", "@tool", "use @pytest.fixture and @dataclass", "@ data.csv", "a@data.csv", "@ada: hello",
     "@plots", "`@data.csv`", "npx @modelcontextprotocol/server-everything",
     "@functools.cache", "write to @example.com", "@a.setter"],
)  # fmt: skip
def test_what_is_no_file_stays(text: str) -> None:
    assert expand(text, {}).text == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("@missing.csv", "there is no file missing.csv here"),
        ("@./missing", "there is no file ./missing here"),
        ('@"no such file"', "there is no file no such file here"),
        ("@./plots", "./plots is a folder"),
        ("@missing.parquet", "there is no file missing.parquet here"),
        ("@missing.yaml", "there is no file missing.yaml here"),
        ("@.ssh/config", "a file of that name holds secrets"),
        ("@away", "a file of that name holds secrets"),
        ("@/proc/self/environ", "a file of that name holds secrets"),
        ("@.env", "a file of that name holds secrets"),
        ("@link", "a file of that name holds secrets"),
        ("@noise.bin", "neither text in UTF-8 nor a picture nor PDF"),
        ("@pipe", "no regular file"),
    ],
)
def test_a_file_that_cannot_be_shown_is_one_clear_line(text: str, why: str, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(".env")
    (folder / ".ssh").mkdir()
    (folder / ".ssh" / "config").write_text("canary")
    (folder / "away").symlink_to(".ssh/config")
    with pytest.raises(UsageError, match=why) as raised:
        expand(text, {})
    assert "\n" not in str(raised.value) and "canary" not in str(raised.value)


def test_a_long_file_is_cut_and_says_so_and_a_huge_one_is_refused(folder: Path) -> None:
    (folder / "long.txt").write_text("word\n" * 40_000 + "the end")
    text = expand("@long.txt", {}).text
    assert len(text) < TEXT * 1.1 and "the end" in text and "are cut here" in text
    (folder / "huge.txt").write_bytes(b"x" * 5_000_001)
    with pytest.raises(UsageError, match="5,000,001 bytes, and a text may have 5,000,000"):
        expand("@huge.txt", {})


def test_a_file_cannot_name_a_variable_nor_a_value_a_file(folder: Path) -> None:
    (folder / "sly.txt").write_text("{password} @.env")
    assert "{password} @.env" in expand("@sly.txt", {"password": "hunter2"}).text
    assert expand("{it}", {"it": "@.env"}).text == "@.env"


def test_names_of_files_are_completed() -> None:
    known = Known({"helper": 1}, list, list)
    assert candidates("%agent_run helper Look at @pl", known) == ("pl", ["plots/"])
    assert candidates("%agent_run helper Look at @plots/", known) == ("plots/", ["plots/a.png"])
    assert candidates("%agent_run helper mail ada@pl", known) == ("ada@pl", [])
