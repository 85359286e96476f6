"""The models of a file: which provider's they are, and what a real request to one says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import anyio
import pytest

import nbagent
from nbagent.config.models import COMPATIBLE
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.config.support import written
from tests.models.formats import Chat
from tests.models.server import Reply, provider, refusal

pytestmark = pytest.mark.anyio

KEY = "sk-canary-77f1c9e2"


def made(folder: Path, model: str, rest: str = "") -> Any:
    """The provider's model behind that of an agent."""
    path = written(folder, f"agents: {{root: {{model: {model}}}}}\n{rest}")
    return cast("Any", nbagent.load(path).root.model)._make()


@pytest.mark.parametrize(
    ("written_as", "name", "url", "key"),
    [
        ("openai/gpt-5-mini", "openai:gpt-5-mini", None, "OPENAI_API_KEY"),
        ("amazon-bedrock/a.b-v1:0", "bedrock:a.b-v1:0", None, "AWS_BEARER_TOKEN_BEDROCK"),
        ("google/gemini-2.5-pro", "google:gemini-2.5-pro", None, "GOOGLE_API_KEY"),
        ("ollama/qwen3:4b", "ollama:qwen3:4b", None, "OLLAMA_API_KEY"),
        ("openrouter/meta/llama-3", "openai-chat:meta/llama-3", COMPATIBLE["openrouter"][0], "OPENROUTER_API_KEY"),
        ("dmr/ai/qwen3", "openai-chat:ai/qwen3", COMPATIBLE["dmr"][0], "OPENAI_API_KEY"),
    ],
)
def test_docker_agents_names_are_nbagents_models(
    tmp_path: Path, written_as: str, name: str, url: str | None, key: str
) -> None:
    model = made(tmp_path, written_as)
    assert (model.name, model._base_url, model._key_names[0]) == (name, url, key)


def test_a_server_on_this_machine_is_not_told_the_key_of_openai(tmp_path: Path) -> None:
    assert made(tmp_path, "dmr/ai/qwen3")._api_key == "none"


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ("provider: openai, thinking_budget: high", {"thinking": "high"}),
        ("provider: openai, thinking_budget: none", {"thinking": False}),
        ("provider: openai, thinking_budget: 0", {"thinking": False}),
        ("provider: anthropic, thinking_budget: adaptive/low", {"thinking": "low"}),
        ("provider: anthropic, thinking_budget: adaptive", {"thinking": True}),
        (
            "provider: anthropic, thinking_budget: 4096",
            {"anthropic_thinking": {"type": "enabled", "budget_tokens": 4096}},
        ),
        (
            "provider: google, thinking_budget: 512",
            {"google_thinking_config": {"include_thoughts": True, "thinking_budget": 512}},
        ),
        ("provider: groq, thinking_budget: 512", {"thinking": "low"}),
        ("provider: groq, thinking_budget: -1", {"thinking": True}),
        (
            "provider: groq, top_p: 0.5, parallel_tool_calls: false, provider_opts: {seed: 7, http_headers: {X-A: b}}",
            {"top_p": 0.5, "parallel_tool_calls": False, "seed": 7, "extra_headers": {"X-A": "b"}},
        ),
    ],
)
def test_what_a_model_is_told_of_how_to_answer(tmp_path: Path, said: str, settings: dict[str, Any]) -> None:
    assert made(tmp_path, "m", f"models: {{m: {{model: a, {said}}}}}")._settings == settings


def test_the_models_word_counts_before_its_providers(tmp_path: Path) -> None:
    rest = """
providers: {house: {provider: anthropic, temperature: 0.1, max_tokens: 9, base_url: "http://127.0.0.1:9/a"}}
models: {m: {provider: house, model: a, temperature: 0.9, provider_opts: {context_size: 5000}}}
"""
    model = made(tmp_path, "m", rest)
    assert (model.name, model._base_url) == ("anthropic:a", "http://127.0.0.1:9/a")
    assert (model._settings, model.context_limit) == ({"temperature": 0.9, "max_tokens": 9}, 5000)


def test_openai_at_another_address_speaks_chat_completions_unless_the_provider_says_responses(tmp_path: Path) -> None:
    assert made(tmp_path, "m", "models: {m: {provider: openai, model: a, base_url: 'http://h:1/v1'}}").name == (
        "openai-chat:a"
    )
    rest = "providers: {p: {api_type: openai_responses, base_url: 'http://h:1/v1'}}"
    assert made(tmp_path, "p/a", rest).name == "openai:a"


@pytest.mark.parametrize(
    ("said", "retries", "cooldown"),
    [("{models: []}", 2, 60.0), ("{retries: -1, cooldown: 1m30s}", 0, 90.0), ("{retries: 5}", 5, 60.0)],
)
def test_how_often_a_model_is_asked_again(tmp_path: Path, said: str, retries: int, cooldown: float) -> None:
    path = written(tmp_path, f"agents: {{root: {{model: openai/a, fallback: {said}}}}}")
    model = cast("Any", nbagent.load(path).root.model)._make()
    assert (model._retries, model._cooling.seconds) == (retries, cooldown)


def test_an_address_that_is_none_is_said_without_what_the_variable_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "ftp://user:pa55@host")
    with pytest.raises(nbagent.errors.ConfigError) as raised:
        made(tmp_path, "m", "models: {m: {provider: openai, model: a, base_url: '${env.WHERE}'}}")
    assert "pa55" not in str(raised.value) and "${env.WHERE}" in str(raised.value)


TEAM = """
providers:
  house:
    base_url: ${env.HOUSE_URL}/v1
    token_key: HOUSE_KEY
    headers: {x-house: "for ${WHOM}"}
    provider_opts: {extra_body: {cellar: true}}
models:
  first: {provider: house, model: small, temperature: 0.25, max_tokens: 99}
  second: {provider: house, model: large}
agents:
  root:
    model: first
    instruction: You serve ${env.WHOM}.
    fallback: {models: [second], retries: -1}
"""


async def test_a_real_request_says_what_the_file_says_and_another_model_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_KEY", KEY)
    monkeypatch.setenv("WHOM", "the queen")
    runtime = Runtime(nbagent.load(written(tmp_path, TEAM)))
    async with provider(refusal(500, "down"), Reply(Chat().said(["Your ", "majesty."]))) as house:
        monkeypatch.setenv("HOUSE_URL", house.url)
        with anyio.fail_after(60):
            async with runtime.run_stream(Session(), "hi") as stream:
                events = [event async for event in stream]
    assert stream.result().text == "Your majesty."
    assert [event.type for event in events].count("model_fallback") == 1
    first, second = house.requests
    assert (first["model"], second["model"]) == ("small", "large")
    assert first["temperature"] == 0.25 and first["cellar"] is True
    assert all("x-house: for the queen" in head.lower() for head in house.headers)
    assert first["messages"][0]["content"] == "You serve the queen."
    assert all(f"Bearer {KEY}" in head for head in house.headers)
    assert not any(KEY in str(event.to_dict()) for event in events)


async def test_a_missing_key_is_one_line_that_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    runtime = Runtime(nbagent.load(written(tmp_path, "agents: {root: {model: groq/llama}}")))
    with anyio.fail_after(60), pytest.raises(nbagent.RunError, match="GROQ_API_KEY") as raised:
        await runtime.run(Session(), "hi")
    assert "\n" not in str(raised.value)
