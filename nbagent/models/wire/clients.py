"""Builds the model object of each provider, with a connection of its own, and the question to put to it.

Runs on a worker thread, since the SDKs take a second and more to import. It guarantees: retries are nobody's but
nbagent's, and a missing package is a `ModelError` that names the extra which brings it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from nbagent._install import install_hint
from nbagent.errors import ModelError
from nbagent.models.keys import without
from nbagent.models.providers import Access
from nbagent.models.wire.answers import Question
from nbagent.models.wire.failures import failure
from nbagent.models.wire.history import messages_of, parameters_of
from nbagent.ports import ModelRequest

NO_KEY = "no-key"
"""Sent to servers that ask for none, since the SDKs insist on one."""
LOCAL_ANSWER = 1024
"""Tokens of a local model's answer, where no other limit is set: small ones may go on for ever."""
_WATCHED = ("bedrock",)
"""Whose SDK tries again by itself when it has waited in vain."""


def question(request: ModelRequest, name: str, access: Access, settings: Mapping[str, Any], stall: float) -> Question:
    """The request, ready to be sent.

    Raises
    ------
    ModelError
        A package is missing, or the provider's SDK refuses how it is to be reached.
    """
    provider = access.provider
    if provider.name == "local":
        settings = {"max_tokens": LOCAL_ANSWER, **settings}
    try:
        model = _BUILDERS[provider.name](access, stall)
    except ImportError:
        raise ModelError(f"{name} needs packages that are missing: {install_hint(provider.extra)}") from None
    except UserError as error:  # a region, an address: something that is to be set
        raise ModelError(f"{name}: {without(str(error), access.key)}", "auth") from None
    except Exception as error:  # the SDK's, by whatever name
        raise failure(error, name, access.key, access.key_hint) from None
    return Question(
        name=name,
        model=model,
        messages=messages_of(request, provider.name, model),
        parameters=parameters_of(request, model),
        settings=_settings(provider.name, settings, stall),
        key=access.key,
        key_hint=access.key_hint,
        stall=stall,
        watched=provider.name in _WATCHED,
    )


def _settings(provider: str, given: Mapping[str, Any], stall: float) -> ModelSettings:
    ours: dict[str, Any] = {} if provider == "bedrock" else {"max_retries": 0}
    if provider not in _WATCHED:
        ours["timeout"] = stall
    if provider == "openai":
        ours["openai_store"] = False  # the history is sent whole, so there is nothing to keep there
    return cast("ModelSettings", ours | dict(given))


def _openai(access: Access, stall: float) -> Model:
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIResponsesModel(
        access.model, provider=OpenAIProvider(base_url=access.base_url, api_key=access.key or NO_KEY)
    )


def _openai_chat(access: Access, stall: float) -> Model:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIChatModel(
        access.model, provider=OpenAIProvider(base_url=access.base_url, api_key=access.key or NO_KEY)
    )


def _ollama(access: Access, stall: float) -> Model:
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.providers.ollama import OllamaProvider

    return OllamaModel(access.model, provider=OllamaProvider(base_url=access.base_url, api_key=access.key or NO_KEY))


def _anthropic(access: Access, stall: float) -> Model:
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    return AnthropicModel(
        access.model, provider=AnthropicProvider(api_key=access.key or NO_KEY, base_url=access.base_url)
    )


def _google(access: Access, stall: float) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    return GoogleModel(access.model, provider=GoogleProvider(api_key=access.key or NO_KEY, base_url=access.base_url))


def _groq(access: Access, stall: float) -> Model:
    from pydantic_ai.models.groq import GroqModel
    from pydantic_ai.providers.groq import GroqProvider

    return GroqModel(access.model, provider=GroqProvider(api_key=access.key or NO_KEY, base_url=access.base_url))


def _mistral(access: Access, stall: float) -> Model:
    from pydantic_ai.models.mistral import MistralModel
    from pydantic_ai.providers.mistral import MistralProvider

    return MistralModel(access.model, provider=MistralProvider(api_key=access.key or NO_KEY, base_url=access.base_url))


def _bedrock(access: Access, stall: float) -> Model:
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    get = access.secrets.get
    signing: dict[str, Any] = {"api_key": access.key} if access.key else {}
    if not access.key and get("AWS_ACCESS_KEY_ID") and get("AWS_SECRET_ACCESS_KEY"):
        signing = {
            "aws_access_key_id": get("AWS_ACCESS_KEY_ID"),
            "aws_secret_access_key": get("AWS_SECRET_ACCESS_KEY"),
            "aws_session_token": get("AWS_SESSION_TOKEN"),
        }
    provider = BedrockProvider(
        region_name=get("AWS_REGION") or get("AWS_DEFAULT_REGION"),
        base_url=access.base_url,
        aws_read_timeout=stall,
        aws_connect_timeout=10,
        **signing,
    )
    return BedrockConverseModel(access.model, provider=provider)


_BUILDERS = {
    "openai": _openai,
    "openai-chat": _openai_chat,
    "local": _openai_chat,
    "ollama": _ollama,
    "anthropic": _anthropic,
    "google": _google,
    "groq": _groq,
    "mistral": _mistral,
    "bedrock": _bedrock,
}
