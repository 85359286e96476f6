"""Language models behind the port `nbagent.ports.Model`.

`ProviderModel` is a provider's, `ScriptedModel` plays a script, `DefaultModel` is for agents that name none; `resolve`
turns what a user wrote as `model=` into a model. No provider's SDK is imported before the first request to it.
"""

from __future__ import annotations

from nbagent.models.default import DefaultModel
from nbagent.models.provided import ProviderModel, resolve
from nbagent.models.scripted import ScriptedModel
from nbagent.session import ToolCall

__all__ = ["DefaultModel", "ProviderModel", "ScriptedModel", "ToolCall", "resolve"]
