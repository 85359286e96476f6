"""What README, the pages and the tutorials name is there: attributes, magics, options, targets, files, messages.

A page that quotes a message which nbagent no longer says, or an attribute under another name, sends a reader astray
without any link being dead. `test_pages` runs the blocks of code; this is about what stands within the sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
import pytest
from markdown_it import MarkdownIt

import nbagent
from nbagent.notebook.parsing import OPTIONS

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(NOTEBOOKS.rglob("*.md")), *sorted(NOTEBOOKS.glob("*.ipynb"))]
TROUBLE = NOTEBOOKS / "guide" / "troubleshooting.md"
CLASSES = {"runtime": nbagent.Runtime, "stream": nbagent.Stream, "session": nbagent.Session, "result": nbagent.Result}
"""What the pages call an object of these."""
OTHERS = {"--to", "--execute", "--no-deps", "--yolo"}
"""Options of other programs, and of what `make` runs."""


@cache
def sources() -> str:
    """All of nbagent's own code, and the tests' where a page may name a variable of theirs; white space all alike."""
    files = [*(ROOT / "nbagent").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    return " ".join(" ".join(file.read_text(encoding="utf-8").split()) for file in files if file != Path(__file__))


def spans(text: str) -> Iterator[str]:
    """The `code` within the sentences of a page."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield from (part.content for part in token.children or () if part.type == "code_inline")


def resolves(path: str) -> bool:
    """Whether a dotted name leads to something: modules first, attributes then."""
    head, *rest = path.split(".")
    found: Any = import_module(head)
    for done, name in enumerate(rest):
        try:
            found = getattr(found, name)
        except AttributeError:
            try:
                found = import_module(".".join((head, *rest[: done + 1])))
            except ModuleNotFoundError:
                return False
    return True


def has(kind: type[Any], name: str) -> bool:
    """Whether objects of a class have that attribute, also one that is documented, or annotated, and set later."""
    return hasattr(kind, name) or name in getattr(kind, "__annotations__", {}) or f"self.{name}" in _code_of(kind)


@cache
def _code_of(kind: type[Any]) -> str:
    return Path(str(import_module(kind.__module__).__file__)).read_text(encoding="utf-8")


def missing(span: str) -> list[str]:
    """What a span of code names, and is not there."""
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    magics = (ROOT / "nbagent" / "magics.py").read_text(encoding="utf-8")
    found = [name for name in re.findall(r"\bnbagent(?:\.[A-Za-z_]\w*)+", span) if not resolves(name.rstrip("."))]
    for word, name in re.findall(r"(?<![\w.])(runtime|stream|session|result)\.([a-z_]+)", span):
        if not has(CLASSES[word], name):
            found.append(f"{word}.{name}")
    found += [f"%{name}" for name in re.findall(r"%(agent_\w+)", span) if f"def {name}(" not in magics]
    found += [f"make {name}" for name in re.findall(r"^make ([a-z][a-z-]*)", span) if not _is_target(name, targets)]
    found += [name for name in re.findall(r"\bNBAGENT_[A-Z_]+", span) if name not in sources()]
    if re.match(r"--|%+agent_run", span):
        options = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", span))
        found += sorted(options - OPTIONS.keys() - OTHERS)
    found += [
        path for path in re.findall(r"\b(?:tests|nbagent)/[\w./*]+", span) if not any(ROOT.glob(path.rstrip("/.")))
    ]
    return found


def _is_target(name: str, makefile: str) -> bool:
    return re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE) is not None


def text_of(page: Path) -> str:
    """A page, or the cells of text of a notebook."""
    if page.suffix != ".ipynb":
        return page.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in nbformat.read(page, as_version=4).cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    assert [name for span in spans(text_of(page)) for name in missing(span)] == []


@pytest.mark.parametrize(
    "span",
    [
        "nbagent.askk", "nbagent.toolsets.MCPTools", "runtime.pending", "stream.halt()", "%agent_kill", "make coffee",
        "NBAGENT_NOTHING", "--aproved", "%agent_run --sesion a", "tests/nowhere.py",
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_is_found(span: str) -> None:
    assert missing(span)


def test_every_message_that_troubleshooting_quotes_is_said_somewhere() -> None:
    quoted = re.findall(r'^"[^:]*"', TROUBLE.read_text(encoding="utf-8"), re.MULTILINE)
    quoted = [text for line in quoted for text in re.findall(r'"([^"]+)"', line)]
    assert len(quoted) >= 5
    assert [text for text in quoted if text not in sources()] == []


def test_a_tutorial_that_tells_of_papermills_parameters_has_a_cell_for_them() -> None:
    telling = [page for page in NOTEBOOKS.glob("*.ipynb") if "`parameters`" in text_of(page)]
    assert telling
    for page in telling:
        cells = nbformat.read(page, as_version=4).cells
        assert ["parameters"] in [cell.metadata.get("tags") for cell in cells if cell.cell_type == "code"], page.name
