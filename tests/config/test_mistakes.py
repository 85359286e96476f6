"""One problem a mistake, with line and column, in words that say what was meant; whatever the bytes are, no more."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import nbagent
from nbagent.config import reading, validate
from nbagent.errors import ConfigError
from tests.config.support import ALL, FILES, MINIMAL, errors, said, written

AGENT = "agents: {root: {model: openai/a, %s}}"
MODEL = MINIMAL + "models: {a: {provider: openai, model: b, %s}}"

MISTAKES = {
    "agents: {root: {instruction: Hi}}": "1:10: error: agents.root.model: this key is missing; write",
    "agents: {root: {model: qick}}\nmodels: {quick: {provider: openai, model: a}}": (
        "1:17: error: agents.root.model: there is no such model; did you mean quick?"
    ),
    "agents: {root: {model: opnai/a}}": "1:17: error: agents.root.model: there is no such provider; did you mean op",
    "agents: {}": "1:1: error: agents: there must be at least one",
    "models: {}": "1:1: error: agents: this key is missing",
    "agents: [a]": "1:1: error: agents: a mapping (key: value) belongs here, and this is a list",
    "- a": "1:1: error: the file is no mapping; it begins with keys such as agents: and models:",
    "agents:\n  root:\n    model: 5": "3:5: error: agents.root.model: a text belongs here, and this is a number; put",
    AGENT % "toolsets: {type: think}": "agents.root.toolsets: a list belongs here, and this is a mapping; write",
    AGENT % "toolsets: [{type: filesytem}]": (
        "agents.root.toolsets[0].type: there is no toolset of that type; did you mean filesystem?"
    ),
    AGENT % "toolsets: [{name: x}]": "agents.root.toolsets[0].type: this key is missing",
    AGENT % "toolsets: [{type: mcp}]": "agents.root.toolsets[0]: an MCP server has one of command, remote and ref",
    AGENT % "toolsets: [{type: mcp, command: a, ref: 'docker:b'}]": "an MCP server has one of command, remote and ref",
    AGENT % "toolsets: [{type: mcp, ref: ledgr}]}}\nmcps: {ledger: {command: a": (
        "agents.root.toolsets[0].ref: there is none of that name below mcps:; did you mean ledger?"
    ),
    AGENT % "toolsets: [{type: background_agents}]": "it runs the agent's sub_agents, and there are none",
    AGENT % "toolsets: [{type: python, functions: [os.getcwd]}]": "functions[0]: write it as package.module:name",
    AGENT % "sub_agents: [rot]": "agents.root.sub_agents[0]: there is no such agent; did you mean root?",
    AGENT % "handoffs: [root]": "agents.root.handoffs[0]: an agent cannot give work to itself",
    AGENT % "max_iterations: -1": "agents.root.max_iterations: it must be at least 0",
    AGENT % "max_iterations: 2.5": "agents.root.max_iterations: a whole number belongs here",
    AGENT % "add_date: yes": "agents.root.add_date: true or false belongs here, and this is a text",
    AGENT % "commands: {a: 5}": "commands.a: a text or a mapping (key: value) belongs here, and this is a number",
    AGENT % "commands: {a: {instruction: 5}}": "commands.a.instruction: a text belongs here",
    AGENT % "skills: [./none/]": "agents.root.skills[0]: skills: ",
    AGENT
    % "skills: [{name: 'a b', description: c, instructions: d}]": "agents.root.skills[0]: skill 'a b': a name has",
    AGENT % "instruction_file: ../secret": "agents.root.instruction_file: the file lies outside of this one's folder",
    AGENT % "instruction_file: none.md": "agents.root.instruction_file: the file cannot be read: No such file",
    AGENT % "instruction: a, instruction_file: b": "there is an instruction too; write one of the two",
    AGENT % "fallback: {models: [openai]}": "agents.root.fallback.models[0]: there is no such model",
    AGENT % "fallback: {cooldown: soon}": "agents.root.fallback.cooldown: a duration belongs here, such as 30s",
    AGENT % "structured_output: {name: a, schema: {type: objekt}}": "agents.root.structured_output.schema: ",
    AGENT % "hooks: {pre_tool_use: [{matcher: '(', hooks: [{type: command, command: a}]}]}": (
        "agents.root.hooks.pre_tool_use[0].matcher: matching('('): not a regular expression"
    ),
    AGENT % "hooks: {stop: [{type: comand}]}": "agents.root.hooks.stop[0].type: there is no hook of that type",
    AGENT % "hooks: {stop: [{type: command}]}": "agents.root.hooks.stop[0].command: this key is missing",
    AGENT % "hooks: {stop: [{type: command, command: a, on_error: blok}]}": (
        "agents.root.hooks.stop[0].on_error: one of warn, ignore, block belongs here; did you mean block?"
    ),
    f"{MINIMAL}permissions: {{deny: ['=x']}}": "permissions.deny[0]: the permission '=x' cannot be read",
    f"{MINIMAL}version: two": "version: it is a number from 1 to 16, in quotes",
    f"{MINIMAL}models: {{a: {{provider: openai}}}}": "models.a.model: this key is missing",
    MODEL % "temperature: 3": "models.a.temperature: it must be at most 2",
    MODEL % "thinking_budget: hgh": "did you mean high?",
    MODEL % "provider_opts: {seed: x}": "a whole number belongs here",
    f"{MINIMAL}providers: {{a: {{provider: b}}}}": "providers.a.provider: there is no such provider",
    f"{MINIMAL}mcps: {{a: {{env: {{}}}}}}": "mcps.a: an MCP server has one of command, remote and ref",
    "agents:\n  root: {model: openai/a}\n  root: {model: openai/b}": (
        "3:3: error: agents.root: this key stands a second time in the same mapping, first in line 2"
    ),
    f"{MINIMAL}mcps: {{a: {{remote: {{url: x, transport_type: streamible}}}}}}": "did you mean streamable?",
    "a: [1": "1:6: error: this is not YAML: expected ',' or ']'",
    "a: !!python/object/apply:os.getcwd []": "1:1: error: a: the tag",
    "a: !secret x": "1:1: error: a: the tag '!secret' is not allowed here",
    "[a]: b\nagents: {}": "1:1: error: a key is a text, and here it is a list or a mapping",
    'a: "\\UFFFFFFFF"': "error: this is not YAML: ",
    "a: \x07": "1:4: error: this is not YAML: special characters are not allowed",
    "a: &x [*x]": "an alias stands within what it names, so this has no end",
    'a: "\\ud800"': "there is half of a character here",
    'a: "x\\0y"': "a NUL character is not allowed here",
    "<<: 5\nagents: {}": "<< takes a mapping, by an alias",
    "a: " + "[" * 80 + "]" * 80: "nested more than 60 levels deep",
    "a: " + "[" * 5000: "1:64: error: it is nested more than 60 levels deep",
    f"agents: {'9' * 5000}": "is no int",
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_a_mistake_is_one_error_that_says_where_and_what(tmp_path: Path, text: str, words: str) -> None:
    found = said(tmp_path, text)
    assert len([line for line in found if " error: " in line]) == 1, found
    assert any(words in line for line in found), found


def test_every_mistake_of_a_file_is_told_at_once_in_its_order(tmp_path: Path) -> None:
    text = """
    version: two
    agents:
      root:
        model: nothing
        sub_agents: [nobody]
        toolsets:
          - type: nowhere
    """
    assert [problem.line for problem in errors(tmp_path, text)] == [2, 5, 6, 8]
    with pytest.raises(ConfigError) as raised:
        nbagent.load(tmp_path / "team.yaml")
    assert len(str(raised.value).splitlines()) == 4


def test_a_message_holds_twenty_mistakes_at_most(tmp_path: Path) -> None:
    agents = "\n".join(f"  a{number}: {{model: none}}" for number in range(30))
    with pytest.raises(ConfigError) as raised:
        nbagent.load(written(tmp_path, f"agents:\n{agents}"))
    assert str(raised.value).splitlines()[20:] == ["… and 10 more"]


def test_a_file_that_is_not_there_or_not_utf_8_or_a_folder_is_one_error(tmp_path: Path) -> None:
    assert "No such file" in str(validate(tmp_path / "none.yaml")[0])
    assert "Is a directory" in str(validate(tmp_path)[0])
    (tmp_path / "a.yaml").write_bytes(b"agents:\n  caf\xe9: x")
    assert ":2:6: error: this is not UTF-8" in str(validate(tmp_path / "a.yaml")[0])


def test_a_file_of_instructions_is_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("x" * 100_001)
    (problem,) = errors(tmp_path, AGENT % "instruction_file: long.md")
    assert "more than 100,000 bytes" in problem.message


def test_a_file_is_bounded_in_bytes(tmp_path: Path) -> None:
    (problem,) = errors(tmp_path, "a: " + "x" * reading.LARGEST)
    assert "more than 500,000 bytes" in problem.message


@pytest.mark.timeout(20)
def test_aliases_that_multiply_are_bounded(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (problem,) = errors(tmp_path, "\n".join(lines))
    assert "more than 20,000 values" in problem.message


HARD = {
    "brackets": "[" * 499_000,
    "flow": f"a: [{'1,' * 240_000}]",
    "keys": "\n".join(f"k{n}: v" for n in range(45_000)),
    "unknown": MINIMAL + "\n".join(f"k{n}: v" for n in range(9_000)),
    "anchors": "\n".join(f"k{n}: &k{n} 1" for n in range(25_000)),
    "merges": "k0: &k0 {x: 1}\n" + "\n".join(f"k{n}: &k{n} {{<<: [*k{n - 1}, *k{n - 1}]}}" for n in range(1, 40)),
    "digits": "a: " + "9" * 499_000,
}


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", HARD)
def test_a_file_made_to_be_hard_is_read_in_bounded_time(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, HARD[kind])
    begun = time.process_time()
    assert validate(path)
    assert time.process_time() - begun < 15


def test_a_key_reaches_a_terminal_without_what_would_steer_it(tmp_path: Path) -> None:
    (line,) = said(tmp_path, MINIMAL + '"\\e[31mred\\nline": 1')
    assert line.isprintable() and "red" in line


SECRET = "s3cr3t-v4lue"


@pytest.mark.parametrize(
    "text",
    [
        AGENT % "toolsets: [{type: mcp, command: a, env: {A: [%s]}}]" % SECRET,
        AGENT % "max_iterations: %s" % SECRET,
        MODEL % f"thinking_budget: {SECRET}",
        MODEL % f"provider_opts: {{seed: {SECRET}}}",
        AGENT % "hooks: {stop: [{type: command, command: a, on_error: %s}]}" % SECRET,
    ],
)
def test_no_value_of_the_file_is_in_what_is_said_of_it(tmp_path: Path, text: str) -> None:
    found = said(tmp_path, text)
    assert found and not any(SECRET in line for line in found)


# ---------------------------------------------------------------- whatever it is


SEEDS = [path.read_text() for path in ALL]
KNOWN = ["agents", "root", "model", "toolsets", "type", "mcp", "ref", "hooks", "skills", "commands", "null", "1e999"]
MARKS = [
    "<<",
    "*a",
    "&a ",
    "!!int ",
    "{",
    "}",
    "[",
    "]",
    "0x",
    "'",
    '"',
    "...",
    "- ",
    ": ",
    "\n",
    "\n  ",
    "|\n",
    "%YAML 9",
    "\t",
    "\0",
    "\ufeff",
    "\u2028",
    "2024-01-01T00:00:00Z",
    "9" * 50,
    "? ",
    "!!binary ",
    "root: ",
    "<<: *a\n",
    "${env.",
    "$",
]
WORDS = st.sampled_from([*KNOWN, *MARKS])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A good file with a piece of it put elsewhere, taken out, or replaced."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        begin, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        end = min(end, begin + 40)
        text = text[:begin] + draw(WORDS | st.text(max_size=5) | st.just("")) + text[end:]
    return text


def assert_only_a_config_error(path: Path) -> None:
    levels = {problem.level for problem in validate(path)}
    try:
        nbagent.load(path)
    except ConfigError:
        assert "error" in levels
    except UserWarning:
        assert "warning" in levels and "error" not in levels
    else:
        assert levels == set()


FUZZ = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(st.binary(max_size=200) | st.lists(WORDS, max_size=40).map(lambda words: "".join(words).encode()))
@example(b"? [a]\n: b")
@example(b"a: !!int ''")
@example(b"%YAML 1.99999999999999999999\n---\na: b")
def test_bytes_of_any_kind_raise_nothing_but_a_config_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(raw)
    assert_only_a_config_error(path)


@FUZZ
@given(mutated())
def test_a_good_file_gone_wrong_raises_nothing_but_a_config_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    assert_only_a_config_error(path)


@FUZZ
@given(st.sampled_from(["agents", "models", "providers", "mcps", "permissions", "metadata", "version"]), VALUES)
def test_values_of_any_kind_in_any_place_raise_nothing_but_a_config_error(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "any.yaml"
    data = {"agents": {"root": {"model": "openai/a"}}, key: value}
    path.write_text(json.dumps(data))
    assert_only_a_config_error(path)


DATA = [data for path in ALL if (data := yaml.safe_load(path.read_text()))]


def places_in(data: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place, *(found for key, value in inner for found in places_in(value, (*place, key)))]


def put(data: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = dict(data) if isinstance(data, dict) else list(data)
    changed[place[0]] = put(data[place[0]], place[1:], value)
    return changed


@settings(FUZZ, max_examples=100)
@given(st.data())
def test_values_of_any_kind_at_any_place_of_a_good_file_raise_nothing_but_a_config_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    good = data.draw(st.sampled_from(DATA))
    place = data.draw(st.sampled_from(places_in(good)))
    path = tmp_path / "any.yaml"
    path.write_text(json.dumps(put(good, place, data.draw(VALUES)), default=str))
    assert_only_a_config_error(path)


AGENT_KEYS = sorted(
    {"toolsets", "hooks", "skills", "commands", "fallback", "structured_output", "instruction_file", "model"}
)


@FUZZ
@given(st.sampled_from(AGENT_KEYS), VALUES)
def test_values_of_any_kind_in_an_agent_raise_nothing_but_a_config_error(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(json.dumps({"agents": {"root": {"model": "openai/a", key: value}}}))
    assert_only_a_config_error(path)


def test_the_seeds_are_good() -> None:
    assert len(SEEDS) == 9 and FILES.is_dir()
