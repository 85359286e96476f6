"""``python -m nbagent validate`` and ``schema``; and that the schema is one for the files beside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nbagent.__main__ import main
from nbagent.config import schema, validate
from nbagent.config.shape import Document, Shape
from tests.config.support import ALL, FILES, written

BAD = "agents:\n  root:\n    modle: openai/a\n"


def test_good_files_are_ok_and_warnings_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(FILES / "team.yaml"), str(FILES / "elsewhere.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{FILES / 'team.yaml'}: ok"
    assert lines[-1].startswith(f"{FILES / 'elsewhere.yaml'}: ok, ") and lines[-1].endswith(" warnings")


def test_a_bad_file_is_told_line_by_line_and_fails_though_others_are_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = written(tmp_path, BAD)
    assert main(["validate", str(bad), str(FILES / "team.yaml")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{bad}:2:3: error: agents.root.model: this key is missing; "
        "write model: openai/gpt-5-mini, or a name below models:",
        f"{bad}:3:5: warning: agents.root.modle: this key is not known and is left out; did you mean model?",
        f"{FILES / 'team.yaml'}: ok",
    ]


def test_strict_fails_on_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--strict", str(FILES / "elsewhere.yaml")]) == 1
    assert main(["validate", "--strict", str(FILES / "team.yaml")]) == 0


def test_it_is_a_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nbagent", "validate", str(written(tmp_path, BAD))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert ":2:3: error: " in done.stdout


def test_checking_a_file_imports_no_provider_and_no_notebook(tmp_path: Path) -> None:
    code = (
        "import sys, nbagent; nbagent.load(sys.argv[1]); "
        "print([m for m in ('mcp', 'openai', 'anthropic', 'pydantic_ai', 'IPython', 'ipywidgets') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(FILES / "team.yaml")], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_the_schema_takes_every_file_but_for_the_key_that_does_not_exist(path: Path, validator: Any) -> None:
    data = yaml.safe_load(path.read_text().replace("2024-01-01", "'2024-01-01'").replace(": on\n", ": 'on'\n"))
    data = _without_null(data, validator)
    wrong = [error.message for error in validator.iter_errors(data)]
    expected = ["'instructon' was unexpected"] if path.name == "elsewhere.yaml" else []
    assert [words.partition("(")[2].rstrip(")") for words in wrong] == expected


def _without_null(data: Any, validator: Any) -> Any:
    """YAML 1.1, as this reader has it, takes `no` for false; and null is as good as absent."""
    if isinstance(data, dict):
        return {
            key: "no" if key == "description" and value is False else _without_null(value, validator)
            for key, value in data.items()
            if value is not None
        }
    return [_without_null(item, validator) for item in data] if isinstance(data, list) else data


@pytest.mark.parametrize("text", ["agents: {}", "agents: {root: {model: 5}}", "agents: {root: {toolsets: [{}]}}", "{}"])
def test_the_schema_refuses_what_loading_refuses(tmp_path: Path, text: str, validator: Any) -> None:
    assert not validator.is_valid(yaml.safe_load(text))
    assert any(problem.level == "error" for problem in validate(written(tmp_path, text)))


def shapes(base: type[Shape] = Shape) -> list[type[Shape]]:
    return [found for one in base.__subclasses__() for found in (one, *shapes(one))]


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape.__name__)
def test_no_key_is_both_used_and_left_out(shape: type[Shape]) -> None:
    assert shape.ELSEWHERE.isdisjoint(shape.keys())


def keys_in(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set(data).union(*map(keys_in, data.values()))
    return set[str]().union(*map(keys_in, data)) if isinstance(data, list) else set()


RESTRICTIONS = {"deny_list", "blocked_domains"}
"""What nbagent could not hold to, so that no file that loads without a word has it."""


def test_every_key_that_is_used_stands_in_a_file_that_loads_without_a_word() -> None:
    fine = [path for path in ALL if path.name != "elsewhere.yaml"]
    seen = set[str]().union(*(keys_in(yaml.safe_load(path.read_text())) for path in fine))
    seen |= {"ref", "allowed_domains"}  # the latter in elsewhere.yaml
    assert set[str]().union(*(shape.keys() for shape in shapes())) - seen - RESTRICTIONS == set()


def test_an_editor_is_told_of_the_keys_that_are_left_out() -> None:
    properties = schema()["$defs"]["Agent"]["properties"]
    assert "does not use it" in properties["code_mode_tools"]["description"]
    assert set(Document.keys()) <= set(schema()["properties"])
