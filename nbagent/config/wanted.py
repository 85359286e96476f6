"""A model of a file, made when it is first asked; and one that is sent the last messages alone.

Used by `models`, which knows what the file says. A model with a variable in its address is made anew when the
variable has changed. Where it cannot be made, the first request is a `ModelError` of one line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nbagent.config import expansion
from nbagent.errors import ConfigError, ModelError
from nbagent.models import ProviderModel
from nbagent.ports import Model, ModelChunk, ModelRequest


class ConfiguredModel:
    """A model that a file speaks of; implements `nbagent.ports.Model`.

    Parameters
    ----------
    name
        What users see.
    make
        Gives it, also where its variables have changed meanwhile; raises `ConfigError` where it cannot be had.
    """

    def __init__(self, name: str, make: Callable[[], Model]) -> None:
        self.name = name
        self._make = make

    def __repr__(self) -> str:
        return f"ConfiguredModel({self.name!r})"

    @property
    def provider(self) -> str:
        """What OpenTelemetry's conventions call its provider, where that is known."""
        try:
            return getattr(self._make(), "provider", "")
        except ConfigError:
            return ""

    @property
    def context_limit(self) -> int | None:
        """Tokens that it can take, where that is known."""
        try:
            return getattr(self._make(), "context_limit", None)
        except ConfigError:  # which the first request tells
            return None

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """The answer, in pieces.

        Raises
        ------
        ModelError
            It cannot be had: a provider is not installed, a variable is not set.
        """
        try:
            model = self._make()
        except ConfigError as error:
            raise ModelError(str(error)) from None
        return model.stream(request)


class RecentMessages:
    """A model that is sent the last messages alone; implements `nbagent.ports.Model`.

    Calls and their results stay together: what is sent begins with what a user or an agent said.
    """

    def __init__(self, model: Model, count: int) -> None:
        self._model = model
        self._count = count

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    @property
    def context_limit(self) -> int | None:
        """The model's."""
        return getattr(self._model, "context_limit", None)

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """The answer to the last messages."""
        messages = list(request.messages)
        begin = max(0, len(messages) - self._count)
        while begin and messages[begin].role == "tool":
            begin -= 1
        unsent = (*request.summarised, *messages[:begin])
        return self._model.stream(replace(request, messages=tuple(messages[begin:]), summarised=unsent))


_Filled = tuple[str | None, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model with its options, from the file, not yet made.

    Parameters
    ----------
    name
        As nbagent names it, such as ``anthropic:claude-sonnet-4-5``.
    base_url
        Where it is reached, with variables.
    options
        What is passed on.
    where
        For messages.
    headers
        What goes with each request, with variables.
    """

    name: str
    base_url: str | None
    options: Mapping[str, Any]
    where: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    _last: dict[_Filled, Model] = field(default_factory=dict["_Filled", Model], repr=False, compare=False)

    def made(self) -> Model:
        """The model: the last one again, as long as its address and headers are what they were.

        Raises
        ------
        ConfigError
            A variable is not set, an address is none.
        """
        base_url = expansion.filled(self.base_url, self.where) if self.base_url else None
        headers = expansion.filled_all(self.headers, self.where)
        filled = (base_url, tuple(headers.items()))
        if filled not in self._last:
            made = self._made_with(base_url, headers)
            self._last.clear()
            self._last[filled] = made
        return self._last[filled]

    def _made_with(self, base_url: str | None, headers: Mapping[str, str]) -> Model:
        options = dict(self.options)
        if headers:
            options["settings"] = {**options.get("settings", {}), "extra_headers": dict(headers)}
        try:
            return ProviderModel(self.name, base_url=base_url, **options)
        except ConfigError as error:
            words = str(error).replace(base_url, self.base_url or "") if base_url else str(error)
            raise ConfigError(words) from None
