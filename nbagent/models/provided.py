"""A provider's model: how it is reached, when it is asked again, and who answers in its place.

Above `wire`, which speaks to providers and is imported at the first request, on a worker thread. It guarantees: nothing
is asked again and nobody else takes over once a word was heard; keys are looked up anew for each request, by no other
way than `keys`, and stand in no repr, message, event or log; leaving the stream closes the connection.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from random import uniform
from typing import TYPE_CHECKING, Any, cast

import anyio

from nbagent._install import install_hint
from nbagent.errors import ConfigError, ModelError
from nbagent.models import keys, local
from nbagent.models.constrained import as_call, named_tool, narrowed
from nbagent.models.cooling import Cooling
from nbagent.models.providers import Access, Provider, checked_url, read_name
from nbagent.ports import (
    Fallback,
    Model,
    ModelChunk,
    ModelRequest,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from nbagent.toolsets.threads import on_daemon

if TYPE_CHECKING:
    from nbagent.models.wire.answers import Question

FIRST_WAIT = 0.5
"""Seconds before the first retry, at least half of which are waited; twice as many before each further one."""
LONGEST_WAIT = 60.0
"""Seconds that a provider may ask to be waited for; one that asks for more is not asked again."""
_WORDS = (TextDelta, ReasoningDelta, ToolCallDelta)
"""What counts as heard: after it, nobody else may begin anew."""
_STAYS = ("context_exceeded", "content_filter")
"""Failures that the next model is not asked for: the history is summed up; a filter is not to be got round."""


class ProviderModel:
    """A model that a provider serves.

    Parameters
    ----------
    name
        ``PROVIDER:MODEL``, such as ``openai:gpt-5-mini``; `nbagent.models.providers.PROVIDERS` has the providers.
        ``PROVIDER:MODEL@URL`` names the address too. ``local`` is a small model on this machine, ``local:FILE`` any
        GGUF file.
    base_url
        The address of a server that speaks the provider's language.
    api_key
        The key. Better left out: then it comes from the environment, ``.env``, or the keyring.
    key_name
        The environment variable that holds the key, where it is not the provider's usual one.
    max_tokens
        Tokens that an answer may take.
    temperature
        How much chance there is in the answer, by the provider's own measure.
    settings
        What else pydantic-ai is to be told, such as ``{"thinking": "low"}`` or ``{"openai_service_tier": "flex"}``.
    stall
        Seconds without a byte after which the model counts as stalled.
    retries
        How often a request is made again that failed in a way which may pass, before anything was heard.
    fallback
        Models (or their names) that take over, in order, where this one fails before its first word.
    cooldown
        Seconds for which a model that failed is passed over, where there is another.
    context_limit
        Tokens that the model can take; known by itself for models that genai-prices knows, after the first request.

    Raises
    ------
    ConfigError
        The name means nothing, or a number cannot be; the message says what would do.

    Examples
    --------
    >>> ProviderModel("anthropic:claude-haiku-4-5", fallback=("openai:gpt-5-mini",))
    ProviderModel('anthropic:claude-haiku-4-5', fallback=('openai:gpt-5-mini',))
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        key_name: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        settings: Mapping[str, Any] | None = None,
        stall: float = 60.0,
        retries: int = 2,
        fallback: Sequence[Model | str] = (),
        cooldown: float = 60.0,
        context_limit: int | None = None,
    ) -> None:
        said = read_name(name)
        self._provider = said.provider
        self._model = said.model
        self.name = f"{said.provider.name}:{said.model}" if said.model != said.provider.default else said.provider.name
        self._base_url = checked_url(base_url, f"model {name!r}") if base_url else said.base_url
        self._api_key = api_key
        self._key_names = (key_name,) if key_name else said.provider.key_names
        given = {"max_tokens": max_tokens, "temperature": temperature}
        self._settings = {key: value for key, value in given.items() if value is not None} | dict(settings or {})
        _check(name, stall=stall, cooldown=cooldown, retries=retries, max_tokens=max_tokens)
        self._stall = stall
        self._retries = retries
        self._chain = (self, *(resolve(model) for model in ([fallback] if isinstance(fallback, str) else fallback)))
        self._cooling = Cooling(cooldown)
        self._is_default_local = said.provider.name == "local" and said.model == local.DEFAULT
        self._warned = False
        self.context_limit = context_limit or (local.DEFAULT_CONTEXT if self._is_default_local else None)

    @property
    def provider(self) -> str:
        """What OpenTelemetry's conventions call the provider."""
        return self._provider.telemetry

    def __repr__(self) -> str:
        others = tuple(model.name for model in self._chain[1:])
        return f"ProviderModel({self.name!r}" + (f", fallback={others!r})" if others else ")")

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """The answer, in pieces, of this model or of one that takes over.

        Raises
        ------
        ModelError
            None of them answered, or an answer broke off.
        """
        models, passed = self._cooling.order(self._chain)
        for index, model in enumerate(models):
            following = models[index + 1] if index + 1 < len(models) else None
            if model is not self and index == 0:
                yield Fallback(self.name, model.name, passed)
            heard = False
            try:
                async with aclosing(self._ask(model, request, following is not None)) as chunks:
                    async for chunk in chunks:
                        heard = heard or isinstance(chunk, _WORDS)
                        yield chunk
                self._cooling.answered(model)
                return
            except ModelError as error:
                if heard or following is None or error.code in _STAYS:
                    raise
                self._cooling.failed(model, error)
                failed = str(error)
            yield Fallback(model.name, following.name, failed)

    def _ask(self, model: Model, request: ModelRequest, another: bool) -> AsyncGenerator[ModelChunk]:
        """The stream of one model of the chain; this one's own, or another's whole."""
        return self._patiently(request, another) if model is self else cast("Any", model.stream(request))

    async def _patiently(self, request: ModelRequest, another: bool) -> AsyncGenerator[ModelChunk]:
        """This model's answer, asked for again where that may help; a full provider not, where there is another."""
        for attempt in range(self._retries + 1):
            heard = False
            try:
                async with aclosing(self._once(request)) as chunks:
                    async for chunk in chunks:
                        heard = heard or isinstance(chunk, _WORDS)
                        yield chunk
                return
            except ModelError as error:
                wait = _wait(error, attempt)
                hopeless = wait > LONGEST_WAIT or (another and error.code == "rate_limited")
                if heard or not error.transient or hopeless or attempt == self._retries:
                    raise
                failed = str(error)
            yield Notice(f"{failed}; asking again in {wait:.1f} s.")
            await anyio.sleep(wait)

    async def _once(self, request: ModelRequest) -> AsyncGenerator[ModelChunk]:
        if self._is_default_local and not self._warned:
            self._warned = True
            yield Notice(local.SMALL)
        tool = None
        if self._provider.name == "local":
            tool = named_tool(request)
            request = narrowed(request, tool)
        question = await on_daemon(partial(self._question, request), f"nbagent-{self.name}")
        from nbagent.models.wire.answers import answer

        answered = answer(question)
        async with aclosing(answered if tool is None else as_call(answered, tool)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _question(self, request: ModelRequest) -> Question:
        """The request ready to be sent; on a thread of its own, since an SDK takes a second and more to import."""
        try:
            from nbagent.models.wire import clients
        except ImportError:
            hint = install_hint(self._provider.extra)
            raise ModelError(f"{self.name} needs packages that are missing: {hint}") from None
        try:
            access = self._access(keys.read_secrets())
        except ConfigError as error:
            raise ModelError(str(error)) from None
        question = clients.question(request, self.name, access, self._settings, self._stall)
        if self.context_limit is None:
            self.context_limit = question.model.context_window
        return question

    def _access(self, secrets: keys.Secrets) -> Access:
        """How the provider is reached now.

        Raises
        ------
        ConfigError
            The local model cannot be had.
        ModelError
            There is no key, one that must not be sent, or the local model did not start.
        """
        if self._provider.name == "local":
            server = local.serve(self._model)
            return Access(self._provider, self._model, f"{server.url}/v1", server.key, "", secrets)
        key = self._api_key or secrets.key(self._key_names)
        base_url = self._base_url or self._address(secrets, key) or self._provider.address
        hint = _key_hint(self._provider, self._key_names)
        if key is None and not (self._provider.optional_key or base_url):
            raise ModelError(f"{self.name} needs a key: {hint}", "auth")
        return Access(self._provider, self._model, base_url, key, hint, secrets)

    def _address(self, secrets: keys.Secrets, key: str | None) -> str | None:
        """The address that the environment or ``.env`` sets.

        A folder that somebody else wrote must not have the user's own key sent to an address of its choice.
        """
        name = self._provider.url_name
        address = secrets.get(name) if name else None
        if address is None:
            return None
        if key is not None and secrets.is_of_file(name) and key not in secrets.file.values():
            raise ModelError(
                f"{self.name}: the file .env sets {name}, but the key is not from there; "
                f"set both in the environment or both in .env",
                "auth",
            )
        return checked_url(address, name)


def _key_hint(provider: Provider, names: Sequence[str]) -> str:
    if not names:
        return f"sign in to {provider.name}"
    return f"set {' or '.join(names)} in the environment, or in the file .env of the working folder"


def _wait(error: ModelError, attempt: int) -> float:
    """Seconds to wait before the next attempt."""
    if error.retry_after is not None:
        return error.retry_after
    return FIRST_WAIT * 2**attempt * uniform(0.5, 1.0)


def _check(name: str, stall: float, cooldown: float, retries: int, max_tokens: int | None) -> None:
    wrong = {
        "stall, which must be more than 0": stall <= 0,
        "cooldown, which must be at least 0": cooldown < 0,
        "retries, which must be at least 0": retries < 0,
        "max_tokens, which must be at least 1": max_tokens is not None and max_tokens < 1,
    }
    for words, is_wrong in wrong.items():
        if is_wrong:
            raise ConfigError(f"model {name!r}: look at {words}")


def resolve(model: Model | str) -> Model:
    """The model that a user means.

    Parameters
    ----------
    model
        A model, or the name of a provider's (``openai:gpt-5-mini``).

    Raises
    ------
    ConfigError
        It is neither a model nor the name of one; the message lists the known providers.
    """
    if isinstance(model, str):
        return ProviderModel(model)
    if not callable(getattr(model, "stream", None)) or not isinstance(getattr(model, "name", None), str):
        raise ConfigError(f"model={model!r} is not a model: it needs a `name` and a `stream(request)` method")
    return model
