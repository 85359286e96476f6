"""What a saved notebook keeps: whole, small, harmless, and readable without style, script or kernel."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nbagent import events as ev
from nbagent.widgets.document import Document
from nbagent.widgets.flat import flat
from nbagent.widgets.plain import PlainTranscript, terminal
from nbagent.widgets.static import as_html, as_markdown, bundle
from tests.widgets.telling import HOSTILE, Teller, hostile_story, inspect

pytestmark = pytest.mark.anyio


def told(*events: Any) -> Document:
    document = Document()
    for event in events:
        document.apply(event)
    return document


def payment(reason: str = "completed") -> Document:
    tell, child = Teller(agent="bookkeeper"), Teller("t2", "auditor")
    return told(
        tell(ev.StreamStarted),
        tell(ev.AgentInfo, model="gpt-5-mini"),
        tell(ev.UserMessage, content="Pay the invoice"),
        tell(ev.AgentChoiceReasoning, content="It is the one of March."),
        tell(ev.AgentChoice, content="I found **one** invoice over `EUR 412.50`.\n\n"),
        tell(ev.ToolCallStarted, tool_call_id="c1", name="search", arguments={"vendor": "print"}),
        tell(ev.ToolCallResponse, tool_call_id="c1", name="search", response="17 Keller 412.50", duration=0.31),
        tell(ev.SubSessionStarted, child_stream_id="t2", child_session_id="s2", child_agent="auditor"),
        child(ev.AgentChoice, content="It matches the order."),
        child(ev.StreamStopped, reason="completed"),
        tell(ev.ToolCallStarted, tool_call_id="c2", name="transfer", arguments={"amount": 412.5}),
        tell(ev.ElicitationRequest, id="q", message="Transfer EUR 412.50?", source="ledger", tool_call_id="c2"),
        tell(ev.ElicitationResolved, id="q", action="accept"),
        tell(ev.ToolCallResponse, tool_call_id="c2", name="transfer", response="paid", duration=0.4),
        tell(ev.TokenUsage, input_tokens=3204, output_tokens=412, cost=0.0031),
        tell(ev.StreamStopped, reason=reason),
    )


READS = [
    "Pay the invoice", "412.50", "search", 'vendor="print"', "17 Keller 412.50", "auditor", "It matches the order.",
    "transfer", "ledger asked: Transfer EUR 412.50?", "answered", "paid", "gpt-5-mini", "3,204 in · 412 out", "$0.0031",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/plain"])
def test_every_form_tells_the_whole_run(kind: str) -> None:
    text = bundle(payment())[kind]
    text = inspect(text).text if kind == "text/html" else text.replace("\\", "")
    for words in READS:
        assert words in text


def test_the_html_has_no_script_and_one_style() -> None:
    html = as_html(payment())
    found = inspect(html)
    assert found.faults == []
    assert found.styles == 1
    assert "<script" not in html
    assert html.count("<details") == 4


def test_without_its_style_the_html_still_says_the_states_in_words() -> None:
    html = re.sub(r"<style>.*?</style>", "", as_html(payment("interrupted")), flags=re.DOTALL)
    text = inspect(html).text
    assert "✓ 0.3 s" in text
    assert "Interrupted after 3 s. The text so far is kept. Run the cell again to start over." in text


@pytest.mark.parametrize(
    "reason", ["interrupted", "cancelled", "superseded", "error", "hook_blocked", "max_iterations"]
)
def test_every_early_end_is_told_with_what_to_do(reason: str) -> None:
    document = payment(reason)
    said = {
        "interrupted": "Interrupted after", "cancelled": "Stopped after", "superseded": "the cell was run again",
        "error": "The run failed.", "hook_blocked": "Blocked by a hook", "max_iterations": "Raise max_iterations",
    }[reason]  # fmt: skip
    for text in bundle(document).values():
        assert said in text.replace("\\", "")


def test_the_html_is_small() -> None:
    tell = Teller()
    paragraph = "The **ledger** agrees with `bank.csv` in all but two rows.\n\n- one row\n- another row\n\n"
    code = "```python\nrows = ledger.loc[ledger.week == 3]\nprint(rows.amount.sum())\n```\n\n"
    for text in (paragraph, (paragraph + code) * 200):
        document = told(tell(ev.UserMessage, content="Check"), tell(ev.AgentChoice, content=text))
        assert len(as_html(document).encode()) <= 2 * len(text) + 4096


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_every_place_is_harmless(text: str) -> None:
    document = told(*hostile_story(text))
    found = inspect(as_html(document))
    assert found.faults == []
    assert found.styles == 1
    for form in (as_markdown(document), terminal(document)):
        assert not set(form) & set("\x00\x07\x1b\x9b\u202e")


def test_markdown_results_cannot_leave_their_fence() -> None:
    tell = Teller()
    markdown = as_markdown(
        told(
            tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}),
            tell(
                ev.ToolCallResponse, tool_call_id="c", name="f", response="```\n<img src=x>\n````\n![a](//e.example/x)"
            ),
        )
    )
    assert "`````\n```\n<img src=x>\n````\n![a](//e.example/x)\n`````" in markdown


def test_only_the_word_for_an_answer_is_kept_not_its_values() -> None:
    tell = Teller()
    document = told(
        tell(ev.ElicitationRequest, id="q", message="Your name?", schema={"properties": {"name": {"default": "Zoe"}}}),
        tell(ev.ElicitationResolved, id="q", action="accept"),
    )
    for text in bundle(document).values():
        assert "answered" in text
        assert "Zoe" not in text


def test_images_are_kept_as_data_and_svg_is_not() -> None:
    tell = Teller()
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    html = as_html(
        told(
            tell(ev.ToolCallStarted, tool_call_id="c", name="plot", arguments={}),
            tell(ev.ToolCallOutput, tool_call_id="c", data={"image/png": png + "\n", "text/plain": "<Figure>"}),
            tell(ev.ToolCallOutput, tool_call_id="c", data={"image/svg+xml": "<svg/>", "text/plain": "<Drawing>"}),
        )
    )
    assert f'<img class="nba-image" alt="&lt;Figure&gt;" src="data:image/png;base64,{png}">' in html
    assert "&lt;Drawing&gt;" in html
    assert inspect(html).faults == []


def test_a_table_of_a_display_is_kept() -> None:
    tell = Teller()
    table = (
        '<style>.x{}</style><table border="1" class="dataframe"><tr style="text-align: right"><th>a</th></tr></table>'
    )
    html = as_html(
        told(
            tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}),
            tell(ev.ToolCallOutput, tool_call_id="c", data={"text/html": table, "text/plain": "a"}),
        )
    )
    assert "<table><tbody><tr><th>a</th></tr></tbody></table>" in html


def test_the_terminal_wraps_prose_and_keeps_code() -> None:
    tell = Teller()
    code = "```\n" + "x" * 120 + "\n```"
    text = terminal(told(tell(ev.AgentChoice, content="word " * 40 + "\n\n" + code)), width=60)
    assert "x" * 120 in text
    assert max(len(line) for line in text.split("\n") if line.startswith("word")) <= 60


def test_a_long_result_is_folded_in_the_terminal() -> None:
    tell = Teller()
    text = terminal(
        told(
            tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}),
            tell(ev.ToolCallResponse, tool_call_id="c", name="f", response="\n".join(map(str, range(1000)))),
        )
    )
    assert "… 960 more lines" in text


def test_the_plain_text_of_a_long_run_is_abridged_and_says_so() -> None:
    tell = Teller()
    paragraphs = "".join(f"Paragraph {number}.\n\n" for number in range(5000))
    forms = bundle(told(tell(ev.AgentChoice, content=paragraphs)))
    assert len(forms["text/plain"]) < 25_000
    assert "characters more" in forms["text/plain"]
    assert "Paragraph 0." in forms["text/plain"] and "Paragraph 4999." in forms["text/plain"]
    for kind in ("text/html", "text/markdown"):
        assert all(f"Paragraph {number}." in forms[kind] for number in range(0, 5000, 7))


async def test_a_run_is_written_as_it_happens() -> None:
    written: list[str] = []
    transcript = PlainTranscript(written.append)
    tell = Teller()
    await transcript.on_event(tell(ev.UserMessage, content="Pay"))
    assert written == ["│ Pay\n\n"]
    await transcript.on_event(tell(ev.AgentChoice, content="On"))
    assert written[-1] == "On"
    await transcript.on_event(tell(ev.AgentChoice, content="e."))
    await transcript.on_event(tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={"x": 1}))
    await transcript.on_event(tell(ev.ToolCallResponse, tool_call_id="c", name="f", response="1", duration=0.1))
    await transcript.on_event(tell(ev.StreamStopped, reason="completed"))
    assert "".join(written).startswith("│ Pay\n\nOne.\n\n✓ f  x=1  0.1 s\n    1\n\n")


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_is_written_as_it_happens_cannot_move_the_cursor(text: str) -> None:
    written: list[str] = []
    transcript = PlainTranscript(written.append)
    for event in hostile_story(text):
        await transcript.on_event(event)
    assert not set("".join(written)) & set("\x00\x07\x1b\x9b\u202e")


# ---------------------------------------------------------------- small, whatever is said

CODE = "```python\nfor i in range(10): print(f'{i}', x[i], 3 + 4)\nclass A(B): pass\n```\n\n"


def cards(count: int, response: str, **arguments: Any) -> Document:
    tell, events = Teller(), list[Any]()
    for number in range(count):
        events += [
            tell(ev.ToolCallStarted, tool_call_id=f"c{number}", name="search", arguments=arguments),
            tell(ev.ToolCallResponse, tool_call_id=f"c{number}", name="search", response=response, duration=0.3),
        ]
    return told(*events)


def nested(count: int) -> Document:
    tell, events = Teller(), list[Any]()
    for number in range(count):
        child = Teller(f"t{number}", "b")
        about = {"child_stream_id": f"t{number}", "child_session_id": "s", "child_agent": "b"}
        events += [
            tell(ev.SubSessionStarted, **about),
            child(ev.AgentChoice, content="ok"),
            tell(ev.Warning, message="no"),
        ]
    return told(*events)


def said(text: str) -> Document:
    return told(Teller()(ev.AgentChoice, content=text))


SIZES = {
    "nothing": lambda: told(),
    "tiny": lambda: said("Hi"),
    "some code": lambda: said(CODE * 5),
    "code": lambda: said(CODE * 300),
    "code of a page": lambda: said("```html\n<a><b></b></a>\n```\n" * 500),
    "a table": lambda: said("| a | b | c |\n|---|--:|---|\n" + "| a | b | 1 |\n" * 1000),
    "a narrow table": lambda: said("|a|b|c|\n|-|-|-|\n" + "|1|2|3|\n" * 1000),
    "short paragraphs": lambda: said("Hi.\n\n" * 2000),
    "Chinese": lambda: said("漢字。\n\n" * 2000),
    "a list": lambda: said("- a\n" * 2000),
    "emphasis": lambda: said("*a* `b` " * 2000),
    "signs": lambda: said("*_[]" * 2000),
    "headings": lambda: said("# A\n" * 2000),
    "links": lambda: said("[a](https://e.org) " * 1000),
    "tags": lambda: said("<b>x</b> " * 1000),
    "cards": lambda: cards(1000, "17 Keller 412.50", vendor="print"),
    "tiny cards": lambda: cards(1000, "1"),
    "cards of many lines": lambda: cards(1000, "1\n" * 60),
    "nested": lambda: nested(400),
    "escapes": lambda: said("<" * 20_000),
    "escapes of all kinds": lambda: said('<&"\n\n' * 5000),
    "escapes in a card": lambda: cards(300, '<&">' * 10, text='<&"' * 10),
    "signs in warnings": lambda: told(*(Teller()(ev.Warning, message="****") for _ in range(4000))),
}


@pytest.mark.parametrize("name", SIZES)
def test_no_form_outweighs_twice_the_text_and_four_kilobytes(name: str) -> None:
    document = SIZES[name]()
    text, forms = flat(document), bundle(document)
    for form in forms.values():
        assert len(form) <= 2 * len(text) + 4096
        assert len(form.encode()) <= 2 * len(text.encode()) + 4096
    assert inspect(forms["text/html"]).faults == []
    languages = {"python", "html"}  # the word behind a fence is not shown
    assert set(re.findall(r"\w+", text)) - languages <= set(re.findall(r"\w+", forms["text/html"]))


def test_a_run_of_usual_size_keeps_its_colours_boxes_and_folding() -> None:
    html = as_html(payment())
    assert html.count('<details class="d"') == 2
    assert '<span class="k">' in as_html(said("Here is one:\n\n" + CODE))
    assert as_html(cards(20, "17 invoices of Keller & Sons, 412.50 EUR in all", vendor="print")).count("<details") == 20


def test_a_thousand_cards_are_lines_with_what_they_said() -> None:
    html = as_html(cards(1000, "17 Keller 412.50", vendor="print"))
    assert html.count('✓ <b>search</b> vendor="print" 0.3 s') == 1000
    assert html.count("<pre>17 Keller 412.50</pre>") == 1000


def test_pictures_do_not_count_and_stay_whatever_else_goes() -> None:
    tell, picture = Teller(), "A" * 40_000
    events = [tell(ev.Warning, message="no") for _ in range(1000)]
    events += [
        tell(ev.ToolCallStarted, tool_call_id="c", name="plot", arguments={}),
        tell(ev.ToolCallOutput, tool_call_id="c", data={"image/png": picture}),
    ]
    assert picture in as_html(told(*events))
    assert picture in as_html(told(*events[-2:]))
