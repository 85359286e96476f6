"""A model's name says what is meant, or an error what would; nothing is imported before the first request."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nbagent.errors import ConfigError, ModelError
from nbagent.models import ProviderModel, resolve
from nbagent.models.cooling import Cooling
from nbagent.models.providers import PROVIDERS, read_name
from nbagent.models.scripted import ScriptedModel
from tests.test_layers import ROOT, graph


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt-5", "write PROVIDER:MODEL"),
        ("opnai:gpt-5", "did you mean 'openai'"),
        ("zzz:m", "known providers: openai, openai-chat, anthropic, google, groq, mistral, bedrock, ollama, local"),
        ("openai:", "names no model"),
        ("openai", "write PROVIDER:MODEL"),
        ("openai-chat:m@http://", "no address"),
        ("openai-chat:m@http://me:secret@host/v1", "in the environment"),
        ("openai-chat:m@http://host:99999/v1", "no address"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_what_would_do(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resolve(name)


@pytest.mark.parametrize("options", [{"stall": 0}, {"retries": -1}, {"cooldown": -1}, {"max_tokens": 0}])
def test_numbers_that_cannot_be_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        ProviderModel("openai:m", **options)  # pyright: ignore[reportArgumentType]


def test_a_name_says_provider_model_and_address() -> None:
    assert read_name("bedrock:anthropic.claude-3-haiku-20240307-v1:0").model.endswith("-v1:0")
    name = read_name("openai-chat:org/qwen3@https://host:8000/v1")
    assert (name.model, name.base_url) == ("org/qwen3", "https://host:8000/v1")
    assert read_name("local").model == "smollm2" and resolve("local").name == "local"


def test_fallbacks_are_resolved_where_they_are_declared() -> None:
    model = ProviderModel("openai:a", fallback=("anthropic:b", ScriptedModel([])))
    assert repr(model) == "ProviderModel('openai:a', fallback=('anthropic:b', 'scripted'))"
    with pytest.raises(ConfigError, match="did you mean 'anthropic'"):
        ProviderModel("openai:a", fallback=("antropic:b",))


def test_all_that_have_failed_are_asked_in_their_order() -> None:
    cooling, (a, b) = Cooling(100), (ScriptedModel([], name="a"), ScriptedModel([], name="b"))
    cooling.failed(a, ModelError("no"))
    assert [model.name for model in cooling.order((a, b))[0]] == ["b"]
    cooling.failed(b, ModelError("no"))
    assert [model.name for model in cooling.order((a, b))[0]] == ["a", "b"]
    cooling.answered(a)
    cooling.failed(b, ModelError("no key", "auth"))
    assert [model.name for model in cooling.order((a, b))[0]] == ["a"]


def test_one_package_alone_imports_pydantic_ai() -> None:
    found = {name for name, imported in graph(ROOT).items() if "pydantic_ai" in imported}
    assert found and all(name.startswith("nbagent.models.wire.") for name in found)


def run(code: str) -> str:
    """What `code` prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LAZY = """
import sys, nbagent
nbagent.Agent("a", model="openai:gpt-5-mini")
print(sorted({"pydantic_ai", "openai", "anthropic", "httpx", "httpx2", "genai_prices", "keyring"} & set(sys.modules)))
"""


def test_declaring_an_agent_imports_no_sdk() -> None:
    assert run(LAZY) == "[]"


MISSING = """
import sys, os, nbagent
os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = "x"
for name in {blocked!r}:
    sys.modules[name] = None
try:
    nbagent.run_sync(nbagent.Agent("a", model={model!r}), "hi")
except nbagent.RunError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("blocked", "model", "extra"),
    [
        (["pydantic_ai"], "openai:m", "openai"),
        (["anthropic"], "anthropic:m", "anthropic"),
        (["openai"], "ollama:m", "openai"),
    ],
)
def test_a_missing_package_is_named_by_its_extra(blocked: list[str], model: str, extra: str) -> None:
    said = run(MISSING.format(blocked=blocked, model=model))
    assert said == f'{model} needs packages that are missing: pip install "jupyter-nbagent[{extra}]"'


def test_every_provider_has_a_builder() -> None:
    clients = pytest.importorskip("nbagent.models.wire.clients", reason='pip install "jupyter-nbagent[all-providers]"')
    assert set(clients._BUILDERS) == set(PROVIDERS)
