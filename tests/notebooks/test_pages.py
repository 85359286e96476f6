"""What README and the pages of the site say is true: every block of code runs, every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from nbagent import config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "notebooks").rglob("*.md"))]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its page, the line it begins at, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def tokens(page: Path) -> list[Token]:
    """The page as markdown-it reads it, inline parts included."""
    found = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    return [part for token in found for part in (token, *(token.children or ()))]


def blocks(language: str) -> list[Block]:
    """The fenced blocks of all pages in `language`."""
    return [
        Block(page, token.map[0] + 1, language, token.content)
        for page in PAGES
        for token in tokens(page)
        if token.type == "fence" and token.info.strip() == language and token.map
    ]


def test_there_are_blocks_to_run() -> None:
    assert len(blocks("python")) >= 5
    assert blocks("yaml")


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_a_block_of_python_runs_as_it_stands(block: Block, tmp_path: Path) -> None:
    if re.search(r"^\s*%", block.text, re.MULTILINE):
        notebook = new_notebook(cells=[new_code_cell(block.text)])
        NotebookClient(notebook, timeout=60, kernel_name="python3").execute(cwd=str(tmp_path))
        return
    done = subprocess.run(
        [sys.executable, "-c", block.text], cwd=tmp_path, timeout=60, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_file_of_yaml_is_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(block.text, encoding="utf-8")
    assert [str(problem) for problem in config.validate(file)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    addresses = [str(token.attrs.get("href") or token.attrs.get("src") or "") for token in tokens(page)]
    inside = [address.split("#")[0] for address in addresses if not re.match(r"https?:|mailto:|#", address)]
    assert [address for address in inside if address and not (page.parent / address).exists()] == []


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "notebooks", str(tmp_path)],
        cwd=ROOT, timeout=110, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0
    for page in ("index", "00_quickstart", "concepts/bridge", "guide/reference"):
        assert (tmp_path / f"{page}.html").exists()
    assert "run_stream" in (tmp_path / "guide/reference.html").read_text(encoding="utf-8")
