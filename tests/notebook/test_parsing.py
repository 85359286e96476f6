"""The magics' options and arguments: the prompt word for word, and one clear line for every mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagent.errors import UsageError
from nbagent.notebook.parsing import RunCommand, parse_id, parse_nothing, parse_run


def test_prompt_is_the_rest_of_the_line() -> None:
    assert parse_run("helper what's $5 in {1,2}  and more ") == RunCommand("helper", "what's $5 in {1,2}  and more")


@pytest.mark.parametrize("quote", ['"', "'", '"""', "'''"])
def test_one_pair_of_quotes_around_the_prompt_is_taken_off(quote: str) -> None:
    assert parse_run(f"helper {quote}say hi{quote}").prompt == "say hi"


@pytest.mark.parametrize("prompt", ['"a" and "b"', '"', "it's John's", 'say "hi"'])
def test_quotes_that_belong_to_the_prompt_stay(prompt: str) -> None:
    assert parse_run(f"helper {prompt}").prompt == prompt


def test_every_option_in_both_forms() -> None:
    line = "-b -n --model openai:gpt-5-mini --approve=all --answers form --plain helper go"
    expected = RunCommand(
        "helper", "go", background=True, new=True, model="openai:gpt-5-mini", approve="all", answers="form", plain=True
    )
    assert parse_run(line) == expected
    assert parse_run(line.replace("-b", "--background").replace("-n ", "--new ")) == expected
    assert parse_run('--session "the taxes" helper go').session == "the taxes"


def test_cell_magic_takes_the_body_and_options_on_either_side_of_the_agent() -> None:
    assert parse_run("-n helper --plain", "\nline 1\n  line 2\n") == RunCommand(
        "helper", "line 1\n  line 2", new=True, plain=True
    )
    assert parse_run("helper", '"quoted"').prompt == '"quoted"'


@pytest.mark.parametrize(
    ("line", "body", "words"),
    [
        ("", None, "no agent"),
        ("helper", None, "no prompt"),
        ('helper ""', None, "no prompt"),
        ("helper", " \n", "no prompt"),
        ("--bakground helper hi", None, "did you mean --background"),
        ("--frobnicate helper hi", None, "known are"),
        ("--session", None, "--session needs a value"),
        ("--session --new helper hi", None, "--session needs a value"),
        ("--new=1 helper hi", None, "takes no value"),
        ("--approve maybe helper hi", None, "ask, all or none"),
        ("-n --session x helper hi", None, "choose one"),
        ("helper --new hi", None, "before the agent"),
        ("helper please", "do this", "below the line"),
    ],
)
def test_a_mistake_is_one_clear_line(line: str, body: str | None, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_run(line, body)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_quoted_prompt_may_begin_with_an_option() -> None:
    assert parse_run('helper "--new is an option"').prompt == "--new is an option"
    assert parse_run("-- helper hi") == RunCommand("helper", "hi")


@given(st.text(), st.none() | st.text())
def test_anything_parses_or_is_a_usage_error(line: str, body: str | None) -> None:
    try:
        command = parse_run(line, body)
    except UsageError as error:
        message = str(error)
    else:
        message = ""
        assert command.agent
        assert command.prompt
    assert "\n" not in message


def test_a_magic_that_takes_nothing_says_so() -> None:
    parse_nothing("  ", "agent_pending")
    with pytest.raises(UsageError, match='%agent_pending takes nothing and lists all; found "x y"'):
        parse_nothing(" x  y ", "agent_pending")


def test_an_id_is_optional_and_single() -> None:
    assert parse_id("", "agent_stop") is None
    assert parse_id(" run_1 ", "agent_stop") == "run_1"
    for line in ("a b", "--all"):
        with pytest.raises(UsageError, match="agent_list"):
            parse_id(line, "agent_stop")
