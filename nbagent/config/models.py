"""The models of a file: which model of which provider an agent speaks by.

Reads ``models:``, ``providers:`` and what an agent says beside them (fallback, num_history_items); hands `wanted` what
is to be made. A file loads where no provider is installed and no key is set: the first run says what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbagent.config import settings
from nbagent.config.problems import Place, Report, meant
from nbagent.config.wanted import ConfiguredModel, RecentMessages, Wanted
from nbagent.ports import Model

if TYPE_CHECKING:
    from nbagent.config import shape

OWN: Mapping[str, str] = {
    **{
        name: name
        for name in ("openai", "openai-chat", "anthropic", "google", "groq", "mistral", "ollama", "bedrock", "local")
    },
    "amazon-bedrock": "bedrock",
}
"""docker-agent's names of providers, by which nbagent's they are."""

COMPATIBLE: Mapping[str, tuple[str, str]] = {
    "dmr": ("http://localhost:12434/engines/v1", ""),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "xai": ("https://api.x.ai/v1", "XAI_API_KEY"),
    "deepseek": ("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "together": ("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "fireworks": ("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "moonshot": ("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
}
"""Providers that speak OpenAI's chat completions: where, and which variable holds the key."""

ELSEWHERE = frozenset(
    {"azure", "requesty", "atlascloud", "baseten", "ovhcloud", "huggingface", "vercel", "cloudflare-workers-ai"}
    | {"cloudflare-ai-gateway", "nvidia", "github-copilot", "chatgpt", "minimax", "nebius", "auto"}
)
"""Providers of docker-agent's that nbagent does not have under a name of their own."""

LOCAL = "local"
"""The model that needs no provider."""
_KEYLESS = "none"
"""What a server on this machine, which asks for no key, is told as one."""


@dataclass(slots=True)
class Models:
    """Makes the models of one file.

    Parameters
    ----------
    document, report
        The file.
    given
        Models that stand in for those of the file, by the name of an agent or of a model.
    """

    document: shape.Document
    report: Report
    given: Mapping[str, Model]

    def check(self) -> None:
        """Report what is wrong below ``models:`` and ``providers:``, also where no agent uses it."""
        for name, provider in self.document.providers.items():
            settings.check(provider, ("providers", name), self.report)
            if provider.provider not in OWN and provider.provider not in COMPATIBLE:
                self._unknown_provider(provider.provider, ("providers", name, "provider"), own_alone=True)
        for name, model in self.document.models.items():
            place: Place = ("models", name)
            settings.check(model, place, self.report)
            for key in ("provider", "model"):
                if getattr(model, key) is None and name not in self.given:
                    self.report.error((*place, key), "this key is missing")
            if model.provider is not None and not self._knows(model.provider):
                self._unknown_provider(model.provider, (*place, "provider"))

    def of_agent(self, name: str, agent: shape.Agent) -> Model | None:
        """The model that an agent speaks by; None where the report says why not."""
        place: Place = ("agents", name, "model")
        model = self.given.get(name)
        if model is None:
            if agent.model is None:
                self.report.error(place, "this key is missing; write model: openai/gpt-5-mini, or a name below models:")
                return None
            model = self.named(agent.model, place, self._fallback(agent.fallback, ("agents", name, "fallback")))
        if model is not None and agent.num_history_items:
            return RecentMessages(model, agent.num_history_items)
        return model

    def _fallback(self, given: shape.Fallback | None, place: Place) -> Mapping[str, Any]:
        """The keyword arguments of a model that another may stand in for."""
        if given is None:
            return {}
        settings.check_fallback(given, place, self.report)
        found = [self.named(one, (*place, "models", index)) for index, one in enumerate(given.models)]
        others = tuple(one for one in found if one is not None)
        return settings.of_fallback(given) | ({"fallback": others} if others else {})

    def named(self, name: str, place: Place, fallback: Mapping[str, Any] = MappingProxyType({})) -> Model | None:
        """The model that `name` means at `place`."""
        if name in self.given:
            return self.given[name]
        if name == LOCAL:
            return ConfiguredModel(LOCAL, Wanted(LOCAL, None, fallback, self.report.line(place)).made)
        if (declared := self.document.models.get(name)) is not None:
            return self._declared(declared, ("models", name), fallback)
        provider, slash, model = name.partition("/")
        if not slash or not model:
            known = [*self.document.models, LOCAL]
            self.report.error(place, f"there is no such model; {meant(name, known)} Or write provider/model")
            return None
        if not self._knows(provider):
            self._unknown_provider(provider, place)
            if provider not in ELSEWHERE:
                return None
        from nbagent.config.shape import Model as Declared

        return self._declared(Declared(provider=provider, model=model), place, fallback)

    def _knows(self, provider: str) -> bool:
        return provider in self.document.providers or provider in OWN or provider in COMPATIBLE

    def _unknown_provider(self, provider: str, place: Place, *, own_alone: bool = False) -> None:
        if provider in ELSEWHERE:
            self.report.warning(place, f"{provider} is none of nbagent's providers; a run by it fails")
        else:
            known: list[str] = [*OWN, *COMPATIBLE]
            known += [] if own_alone else self.document.providers
            self.report.error(place, f"there is no such provider; {meant(provider, known)}")

    def _declared(self, declared: shape.Model, place: Place, fallback: Mapping[str, Any]) -> Model:
        provider = self.document.providers.get(declared.provider or "")
        wanted = _wanted(declared, provider, fallback, f"the model of {self.report.line(place)}")
        return ConfiguredModel(wanted.name, wanted.made)


def _wanted(model: shape.Model, provider: shape.Provider | None, fallback: Mapping[str, Any], where: str) -> Wanted:
    """The model with what its provider says where it says nothing itself."""
    kind = provider.provider if provider is not None else model.provider or ""
    base_url, token_key = COMPATIBLE.get(kind, (None, None))
    base_url = model.base_url or (provider and provider.base_url) or base_url
    token_key = model.token_key or (provider and provider.token_key) or token_key
    own = "openai-chat" if kind in COMPATIBLE else OWN.get(kind, kind)
    if own == "openai" and base_url and not (provider and provider.api_type == "openai_responses"):
        own = "openai-chat"
    options = {**settings.of_model(own, model, provider), **fallback}
    if token_key is not None:
        options |= {"key_name": token_key} if token_key else {"api_key": _KEYLESS}
    return Wanted(f"{own}:{model.model or ''}", base_url, options, where, settings.headers(model, provider))
