"""What a file says of how a model is to answer, as `nbagent.models.ProviderModel` takes it.

Pure functions over `shape.Model` and `shape.Provider`, of which the model's own word counts first. Used by `models`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from nbagent.config.problems import Place, Report, meant

if TYPE_CHECKING:
    from nbagent.config import shape

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "adaptive")
"""How much a model may think, in docker-agent's words; also ``adaptive/low`` and so on."""

_SAMPLING = ("top_p", "frequency_penalty", "presence_penalty", "parallel_tool_calls")
_OPTIONS = ("top_k", "seed")
"""Of ``provider_opts``, what goes on as it is."""
_DURATION = re.compile(r"(\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def check(given: shape.Model | shape.Provider, place: Place, report: Report) -> None:
    """Report what is wrong with the settings at `place`, and what of them is left out."""
    budget = given.thinking_budget
    if isinstance(budget, str) and budget.removeprefix("adaptive/") not in EFFORTS:
        report.error(
            (*place, "thinking_budget"), f"a number of tokens or an effort belongs here; {meant(budget, EFFORTS)}"
        )
    if isinstance(budget, int) and budget < -1:
        report.error((*place, "thinking_budget"), "it must be at least -1")
    for key, value in given.provider_opts.items():
        here = (*place, "provider_opts", key)
        if key == "extra_body":
            if not isinstance(value, dict):
                report.error(here, "a mapping (key: value) belongs here")
        elif key == "http_headers":
            if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
                report.error(here, "a mapping of texts belongs here")
        elif key in _OPTIONS or key == "context_size":
            if not isinstance(value, int) or isinstance(value, bool):
                report.error(here, "a whole number belongs here")
        else:
            report.warning(here, "nbagent does not know this option; it is left out")


def check_fallback(given: shape.Fallback, place: Place, report: Report) -> None:
    """Report a duration that is none."""
    if given.cooldown is not None and seconds(given.cooldown) is None:
        report.error((*place, "cooldown"), "a duration belongs here, such as 30s or 1m30s")


def of_fallback(given: shape.Fallback | None) -> dict[str, Any]:
    """How often a model is asked again, and for how long one that failed is passed over."""
    if given is None:
        return {}
    options: dict[str, Any] = {} if not given.retries else {"retries": max(0, given.retries)}
    cooldown = seconds(given.cooldown) if given.cooldown is not None else None
    return options if cooldown is None else options | {"cooldown": cooldown}


def of_model(kind: str, model: shape.Model, provider: shape.Provider | None) -> dict[str, Any]:
    """The keyword arguments of the model, of a provider of that kind."""
    options = {
        key: value for key in ("max_tokens", "temperature") if (value := _first(key, model, provider)) is not None
    }
    settings = {key: value for key in _SAMPLING if (value := _first(key, model, provider)) is not None}
    further = {**(provider.provider_opts if provider is not None else {}), **model.provider_opts}
    settings |= {key: further[key] for key in (*_OPTIONS, "extra_body") if key in further}
    if (budget := _first("thinking_budget", model, provider)) is not None:
        settings |= thinking(kind, budget)
    if "context_size" in further:
        options["context_limit"] = further["context_size"]
    return options | ({"settings": settings} if settings else {})


def headers(model: shape.Model, provider: shape.Provider | None) -> Mapping[str, str]:
    """What goes with each request, with variables."""
    given: dict[str, Any] = dict(provider.headers) if provider is not None else {}
    for one in (provider, model):
        given |= cast("dict[str, Any]", one.provider_opts.get("http_headers", {})) if one is not None else {}
    return given


def thinking(kind: str, budget: int | str) -> Mapping[str, Any]:
    """A thinking budget in pydantic-ai's words.

    Examples
    --------
    >>> thinking("openai", "adaptive/high"), thinking("openai", 0), thinking("groq", 8192)
    ({'thinking': 'high'}, {'thinking': False}, {'thinking': 'medium'})
    """
    if isinstance(budget, str):
        effort = budget.removeprefix("adaptive/")
        return {"thinking": {"none": False, "adaptive": True}.get(effort, effort)}
    if budget <= 0:
        return {"thinking": budget < 0}
    if kind == "anthropic":
        return {"anthropic_thinking": {"type": "enabled", "budget_tokens": budget}}
    if kind == "google":
        return {"google_thinking_config": {"include_thoughts": True, "thinking_budget": budget}}
    return {"thinking": "low" if budget <= 2048 else "medium" if budget <= 8192 else "high"}


def seconds(duration: str) -> float | None:
    """The seconds of a duration in Go's notation; None where it is none.

    Examples
    --------
    >>> seconds("1m30s"), seconds("soon")
    (90.0, None)
    """
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration or len(duration) > 40:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _first(name: str, *given: object) -> Any:
    return next((value for one in given if (value := getattr(one, name, None)) is not None), None)
