"""How the twin is built: arguments in tables, long results and nested agents folded, calls side by side, both ways."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nbagent import events as ev
from nbagent.widgets.document import Document
from nbagent.widgets.flat import flat
from nbagent.widgets.static import as_html, as_markdown, bundle
from tests.widgets.telling import Teller, inspect


def told(*events: Any) -> Document:
    document = Document()
    for event in events:
        document.apply(event)
    return document


def call(arguments: Any = None, response: str = "1", **more: Any) -> Document:
    tell = Teller()
    return told(
        tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={} if arguments is None else arguments),
        tell(ev.ToolCallResponse, tool_call_id="c", name="f", response=response, duration=0.3, **more),
    )


def small(document: Document) -> bool:
    size = 2 * len(flat(document).encode()) + 4096
    return all(len(form.encode()) <= size for form in bundle(document).values())


def test_arguments_stand_in_a_small_table() -> None:
    document = call({"vendor": "<b>print</b>", "options": {"currency": "EUR"}, "note": "one\ntwo"})
    html = as_html(document)
    table = re.findall(r"<table>.*?</table>", html, re.DOTALL)
    assert table == [
        "<table><tr><th>vendor<td>&lt;b&gt;print&lt;/b&gt;"
        '<tr><th>options<td>{"currency": "EUR"}<tr><th>note<td>one\ntwo</table>'
    ]
    assert inspect(html).faults == []
    assert "<table" not in as_html(call('{"half": ')) and "<table" not in as_html(call({}))


def test_markdown_has_a_table_where_each_value_fits_a_line() -> None:
    markdown = as_markdown(call({"vendor": "print | paper", "n": 3}))
    assert "| argument | value |\n|---|---|\n| vendor | print \\| paper |\n| n | 3 |\n" in markdown
    assert "| argument |" not in as_markdown(call({"note": "one\ntwo"}))
    assert "```\nnote: " + "x" * 150 in as_markdown(call({"note": "x" * 300}))


def test_a_long_result_is_folded_below_its_first_lines_and_is_there_once() -> None:
    lines = [f"line {number} of the ledger" for number in range(2431)]
    document = call(response="\n".join(lines))
    html = as_html(document)
    before, _, rest = html.partition("<details><summary>Show all 2,431 lines</summary>")
    assert "line 11 of" in before and "line 12 of" not in before
    assert "line 12 of" in rest and "line 2430 of" in rest
    assert all(html.count(f"{line}\n") + html.count(f"{line}<") == 1 for line in lines)
    assert small(document)
    assert "<summary>Show" not in as_html(call(response="\n".join(lines[:14])))


def test_of_a_result_that_is_cut_the_fold_does_not_promise_all() -> None:
    html = as_html(call(response="a line of the ledger\n" * 100_000))
    assert re.search(r"<summary>Show the first [\d,]+ lines</summary>", html)
    assert "the session keeps all of it" in html


def nested(depth: int, words: str, reason: str = "completed") -> Document:
    tellers = [Teller(f"t{level}", f"agent {level}") for level in range(depth + 1)]
    events: list[Any] = [tellers[0](ev.UserMessage, content="Go")]
    for level in range(depth):
        stream = f"t{level + 1}"
        about = {"child_stream_id": stream, "child_session_id": stream, "child_agent": f"agent {level + 1}"}
        events.append(tellers[level](ev.SubSessionStarted, **about))
    events.append(tellers[-1](ev.AgentChoice, content=words))
    for teller in reversed(tellers):
        teller.now = 103.5
        events.append(teller(ev.StreamStopped, reason=reason))
    return told(*events)


def test_nested_agents_fold_with_their_state_and_time_at_any_depth() -> None:
    html = as_html(nested(10, "Deep words."))
    for level in range(1, 11):
        label = f"agent {level} · for agent {level - 1} <em>✓ done · "
        assert f'<details class="u" open><summary>{label}' in html
    assert html.index("agent 10 ·") < html.index("Deep words.") < html.index("</details>")
    assert html.count("<details") == html.count("</details>") == 10
    markdown = as_markdown(nested(2, "Deep words."))
    assert re.search(r"> \*\*agent 1 · for agent 0\*\* ✓ done · 3\.\d s\n", markdown)
    assert "> > Deep words." in markdown


@pytest.mark.parametrize(("reason", "opened"), [("completed", False), ("error", True)])
def test_a_long_part_is_closed_where_it_went_well(reason: str, opened: bool) -> None:
    html = as_html(nested(1, "Some words of it. " * 200, reason))
    assert ('<details class="u" open>' in html) is opened
    assert html.count('<details class="u"') == 1


def test_calls_that_ran_at_the_same_time_stand_side_by_side_in_their_order() -> None:
    tell = Teller()
    names = ("one", "two", "three")
    events = [tell(ev.ToolCallStarted, tool_call_id=name, name=name, arguments={}) for name in names]
    events += [tell(ev.ToolCallResponse, tool_call_id=name, name=name, response="1") for name in reversed(names)]
    events.append(tell(ev.ToolCallStarted, tool_call_id="later", name="later", arguments={}))
    html = as_html(told(*events))
    row = html[html.index('<div class="r">') : html.index("</div>", html.index('<div class="r">'))]
    assert re.findall(r"<b>(\w+)</b>", row) == ["one", "two", "three"]
    assert html.count('<div class="r">') == 1 and "<b>later</b>" in html


def test_each_block_finds_its_direction_where_words_are_written_from_right_to_left() -> None:
    tell = Teller()
    html = as_html(
        told(
            tell(ev.AgentChoice, content="English.\n\nשלום **עולם**\n\n- مرحبا\n\n| a |\n|--:|\n| שלום |\n"),
            tell(ev.Warning, message="שלום"),
            tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={"to": "שלום"}),
            tell(ev.ToolCallResponse, tool_call_id="c", name="f", response="שלום"),
        )
    )
    for opening in ("<p", "<li", "<td", '<div class="y"', "<pre"):
        assert re.search(re.escape(opening) + r' dir="auto"[^>]*>[^<]*[\u0590-\u06ff]', html), opening
    assert '<th>to<td dir="auto">שלום' in html
    assert "<p dir" not in as_html(told(tell(ev.AgentChoice, content="English.")))
    assert not re.search(
        r"(?:margin|padding|border)-(?:left|right)|text-align:(?:left|right)|float:(?:left|right)", html
    )


def test_a_hundred_calls_with_arguments_stay_small() -> None:
    tell, events = Teller(), list[Any]()
    for number in range(100):
        arguments = {"vendor": "print", "month": "2026-03", "text": "a few words more " * 20}
        events.append(tell(ev.ToolCallStarted, tool_call_id=f"c{number}", name="search", arguments=arguments))
        events.append(tell(ev.ToolCallResponse, tool_call_id=f"c{number}", name="search", response="17 Keller\n" * 40))
    assert small(told(*events))
