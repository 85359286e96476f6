"""Language models behind the port `nbagent.ports.Model`.

`ScriptedModel` plays a script; `resolve` turns what a user wrote as `model=` into a model.
"""

from __future__ import annotations

from nbagent.errors import ConfigError
from nbagent.models.scripted import ScriptedModel
from nbagent.ports import Model
from nbagent.session import ToolCall

__all__ = ["ScriptedModel", "ToolCall", "resolve"]


def resolve(model: Model | str) -> Model:
    """The model that a user means.

    Raises
    ------
    ConfigError
        It is neither a model nor the name of one.
    """
    if isinstance(model, str):
        raise ConfigError(
            f"model {model!r}: this version has no providers; pass a model object such as ScriptedModel([…])"
        )
    if not callable(getattr(model, "stream", None)) or not isinstance(getattr(model, "name", None), str):
        raise ConfigError(f"model={model!r} is not a model: it needs a `name` and a `stream(request)` method")
    return model
