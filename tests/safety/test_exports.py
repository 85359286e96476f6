"""What a notebook's transcript becomes elsewhere: nbconvert's LaTeX, Markdown and HTML, and a page that strips HTML."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import nh3
import pytest
from nbconvert import HTMLExporter, LatexExporter, MarkdownExporter

from nbagent import events as ev
from nbagent.widgets.document import Document
from nbagent.widgets.inert import texless
from nbagent.widgets.static import bundle, texts
from tests.safety.corpus import CORPUS
from tests.widgets.telling import Inspector, Teller

VIEW = {"version_major": 2, "version_minor": 0, "model_id": "gone"}


def told(reason: str | None, text: str = "I found **one** invoice: $x_1$.") -> Document:
    """A run that ended so, or still runs."""
    tell, document = Teller(agent="clerk"), Document()
    about: dict[str, Any] = {"tool_call_id": "c", "name": "search"}
    for event in (
        tell(ev.StreamStarted),
        tell(ev.UserMessage, content=f"Pay 100 % & # _ {text}"),
        tell(ev.AgentChoice, content=text),
        tell(ev.ToolCallStarted, arguments={"vendor": "print", "text": text}, **about),
        tell(ev.ElicitationRequest, id="q", message="Transfer it?", source="ledger", tool_call_id="c"),
        tell(ev.ElicitationResolved, id="q", action="accept"),
        tell(ev.ToolCallResponse, response=f"17 Keller\n{text}", duration=0.31, **about),
        tell(ev.AgentChoice, content="Paid at last."),
    ):
        document.apply(event)
    if reason is not None:
        document.apply(tell(ev.StreamStopped, reason=reason))
    return document


READS = ("Pay 100", "search", "print", "Transfer it?", "answered", "17 Keller", "Paid at last.")


def exported(exporter: Any, *outputs: dict[str, Any]) -> str:
    shown = [nbformat.v4.new_output("display_data", output) for output in outputs]
    cells = [nbformat.v4.new_code_cell("%agent_run clerk", outputs=shown)]
    return exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))[0]


@pytest.mark.parametrize("exporter", [MarkdownExporter, HTMLExporter])
def test_finished_interrupted_and_saved_in_mid_run_all_of_it_is_in_the_export(exporter: Any) -> None:
    view = {"application/vnd.jupyter.widget-view+json": VIEW}
    outputs = (bundle(told("completed")), bundle(told("interrupted")), texts(told(None)) | view)
    page = exported(exporter(), *outputs)
    for words in ("one", *READS):
        assert page.count(words) >= 3
    assert page.count("Interrupted after") == 1
    assert "gone" not in page.partition("<body")[2]


# ---------------------------------------------------------------- TeX

CITES = '<cite data-cite="x&#10;&#96;&#96;&#96;&#10;\\input{x}&#10;">y</cite>'
"""What nbconvert makes a command of, also in code: a fence of backticks that no backtick shows ends in the middle."""
TEX = (
    r"see \input{/etc/passwd} and \\\input{x} and `\input{x}`{=latex}",
    "```{=latex}\n\\input{x}\n```",
    r"$\input{/etc/passwd}$ and $$a % b$$ and $\frac{a}{b}$",
    "---\nsecret: hidden\n---\n\nx",
    "% Title\n% Author",
    "```\n\\end{verbatim}\\input{x}\n```",
    "```\nnever closed \\input{x}",
    "- one\n\n  ```\n\n  \\input{x}\n\n  ```",
    "x ``` y\n```\n\\input{x}\n```\n\\input{x} ```",
    "a ` b\nc ` \\input{x} `",
    r"^[\input{x}^ ~\input{x}~ ~~~\input{x}~~~",
    r"\begin{filecontents}{x}\end{filecontents}\def\x{y}\csname input\endcsname ^^5cinput",
    "-----  ----\na\n\n\\input{x}\n---",
    "| \\input{x} |\n|---|\n| b |",
    CITES,
    f"```\n{CITES}\n```",
    f"see `{CITES}`",
    f"- one\n\n      {CITES}",
    r"\(a} # \) \\(\input{x} } & \\) \\[ } & \\] \\\\(b}",
)


@pytest.fixture
def pandoc(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pytest.importorskip("pypandoc").get_pandoc_path()
    monkeypatch.setenv("PATH", f"{Path(found).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("pandoc")
def test_no_word_of_a_run_is_a_command_of_tex_and_none_is_lost() -> None:
    finished, mid = bundle(told("interrupted")), texts(told(None))
    text = "".join(exported(LatexExporter(), finished, mid, *(bundle(told(None, text)) for text in TEX)))
    body = text.partition("\\begin{document}")[2]
    for words in READS:
        assert body.count(words) >= 2 + len(TEX)
    assert "Interrupted after" in body and "\\(x_1\\)" in body and "\\frac{a}{b}" in body
    assert len(re.findall("secret: ?hidden", body)) >= 2 and "Title" in body
    body = re.sub(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", "", body, flags=re.DOTALL)
    assert re.findall(r"\\(?:input|cite|write|def\\x|csname|begin\{filecontents)|\^\^5c", body) == []
    assert set(re.findall(r"\\[(\[].*?\\[)\]]", body)) == {"\\(x_1\\)", "\\(\\frac{a}{b}\\)"}


def test_formulas_and_code_stay_as_they_are() -> None:
    for text in (
        r"$\frac{a}{b}$ and $$\begin{pmatrix}a&b\\c&d\end{pmatrix}$$",
        r"`\n` and ``a`b\c``, ~~not~~ **this**",
        "- one\n\n  ```py\n  print('\\n')\n  ```",
        "```py\n\\x {y} $z$\n```",
    ):
        assert texless(text) == text
    assert texless(r"$5 and \cmd{x}") == r"\$5 and \\cmd\{x}"


# ---------------------------------------------------------------- a page that strips what it does not know

TAGS = """
    h1 h2 h3 h4 h5 h6 h7 h8 br b i strong em a pre code img tt div ins del sup sub p picture ol ul table thead tbody
    tfoot blockquote dl dt dd kbd q samp var hr ruby rt rp li tr td th s strike summary details caption figure
    figcaption abbr bdo cite dfn mark small source span time wbr
"""
"""What GitHub documents that it keeps; of attributes it drops `style` and `class`."""


@pytest.mark.parametrize("reason", ["completed", "interrupted"])
def test_on_github_every_word_is_there_in_order_and_what_folds_still_folds(reason: str) -> None:
    html = bundle(told(reason))["text/html"]
    kept = nh3.clean(
        html, tags=set(TAGS.split()), attributes={"a": {"href"}, "img": {"src", "alt"}, "details": {"open"}}
    )
    page = Inspector()
    page.feed(kept)
    assert "<style" not in kept and ".nba" not in page.text
    assert kept.count("<details") == html.count("<details") > 0
    places = [page.text.index(words) for words in ("Pay 100", "search", "17 Keller", "Paid at last.")]
    assert places == sorted(places)
    assert all(words in page.text for words in READS)


def test_on_github_no_text_of_the_corpus_hides_what_comes_after_it() -> None:
    for text in CORPUS:
        html = bundle(told("completed", text))["text/html"]
        page = Inspector()
        page.feed(nh3.clean(html, tags=set(TAGS.split()), attributes={"a": {"href"}}))
        assert "Paid at last." in page.text
