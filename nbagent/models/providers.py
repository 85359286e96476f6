"""The providers that nbagent knows, and what a model's name says: ``openai:gpt-5-mini``, ``openai-chat:qwen3@http://…``.

Below `provided` and `wire`, which reach them. It guarantees: a name that means nothing is a `ConfigError` that lists
what would, before anything is imported or sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import urlsplit

from nbagent.errors import ConfigError
from nbagent.models.keys import Secrets


@dataclass(frozen=True, slots=True)
class Provider:
    """Where models are had from.

    Parameters
    ----------
    name
        What a model's name begins with.
    key_names
        Environment variables that hold its key, the first found is taken; none: the provider's own way of signing in.
    url_name
        The environment variable that holds another address.
    extra
        The part of nbagent that brings what it needs.
    telemetry
        What OpenTelemetry's conventions call it.
    address
        The address where the SDK knows none.
    optional_key
        It answers without a key too.
    default
        The model that its name alone means.
    """

    name: str
    key_names: tuple[str, ...]
    url_name: str = ""
    extra: str = ""
    telemetry: str = ""
    address: str | None = None
    optional_key: bool = False
    default: str = ""


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("openai", ("OPENAI_API_KEY",), "OPENAI_BASE_URL", "openai", "openai"),
        Provider("openai-chat", ("OPENAI_API_KEY",), "OPENAI_BASE_URL", "openai", "openai"),
        Provider("anthropic", ("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL", "anthropic", "anthropic"),
        Provider("google", ("GOOGLE_API_KEY", "GEMINI_API_KEY"), "GOOGLE_GEMINI_BASE_URL", "google", "gcp.gemini"),
        Provider("groq", ("GROQ_API_KEY",), "GROQ_BASE_URL", "groq", "groq"),
        Provider("mistral", ("MISTRAL_API_KEY",), "MISTRAL_BASE_URL", "mistral", "mistral_ai"),
        Provider(
            "bedrock",
            ("AWS_BEARER_TOKEN_BEDROCK",),
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
            "bedrock",
            "aws.bedrock",
            optional_key=True,
        ),
        Provider(
            "ollama", ("OLLAMA_API_KEY",), "OLLAMA_BASE_URL", "openai", "ollama", "http://localhost:11434/v1", True
        ),
        Provider("local", (), "", "local", "local", optional_key=True, default="smollm2"),
    )
}


@dataclass(frozen=True, slots=True)
class ModelName:
    """What a model's name says.

    Parameters
    ----------
    provider
        Where it is had from.
    model
        What the provider calls it.
    base_url
        The address after ``@``, where there is one.
    """

    provider: Provider
    model: str
    base_url: str | None = None


def read_name(name: str) -> ModelName:
    """The provider and the model that `name` says.

    Parameters
    ----------
    name
        ``PROVIDER:MODEL``, or ``PROVIDER:MODEL@URL`` for a server that speaks the provider's language; ``local`` alone.

    Raises
    ------
    ConfigError
        It names no provider, no model, or no address; the message says what would do.

    Examples
    --------
    >>> read_name("openai-chat:qwen3@http://127.0.0.1:8000/v1").model
    'qwen3'
    """
    prefix, colon, rest = name.strip().partition(":")
    provider = PROVIDERS.get(prefix)
    if provider is not None and provider.default and not rest:
        return ModelName(provider, provider.default)
    if provider is None or not colon:
        raise ConfigError(f"model {name!r}: {_meant(prefix, bool(colon))}; {_known()}")
    model, at, url = rest.partition("@http")
    if not model.strip():
        raise ConfigError(f"model {name!r}: it names no model; write {prefix}:MODEL")
    if not at or provider.name == "local":
        return ModelName(provider, rest if not at else f"{model}{at}{url}")
    return ModelName(provider, model, checked_url(f"http{url}", f"model {name!r}"))


def checked_url(url: str, where: str) -> str:
    """`url`, which is the address of an HTTP server.

    Raises
    ------
    ConfigError
        It is none, or holds a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = None, None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigError(f"{where}: {url!r} is no address of a server; write http://HOST:PORT/v1 or https://HOST/v1")
    if parts.username or parts.password:
        raise ConfigError(f"{where}: the address holds a name or a password; give the key in the environment")
    return url


def _meant(prefix: str, has_colon: bool) -> str:
    near = get_close_matches(prefix.lower(), PROVIDERS, 1, 0.5)
    if not has_colon:
        return "it names no provider; write PROVIDER:MODEL"
    return f"there is no provider {prefix!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _known() -> str:
    return f"known providers: {', '.join(PROVIDERS)} (a small model on this machine, without a key)"


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """How a provider is reached.

    Parameters
    ----------
    provider, model
        Which model of which provider.
    base_url
        Its address, where it is not the usual one.
    key, key_hint
        The key, and what to do where it is missing or refused.
    secrets
        What else the environment says.
    """

    provider: Provider
    model: str
    base_url: str | None
    key: str | None
    key_hint: str
    secrets: Secrets
