"""JSON schema: does a value fit, what would fill its gaps, and does it ask for a secret.

The one door to `jsonschema`. Answers to forms and arguments of tools pass through `validate`; everything that a schema
can hold is taken as hostile: it comes from a server. So nothing is ever fetched (`$ref` stays inside the schema), a
pattern runs with a bound (`patterns`), the whole check has one second, and a schema that is itself broken is one clear
error. Below: nothing of nbagent. Above: `runtime` and `widgets`.

Two decisions, both stricter than the specification. ``3.0`` is no integer: a tool that declares ``int`` would get a
float, and the message tells the model what to write. NaN and the infinities are refused everywhere: they are not JSON.
"""

from __future__ import annotations

from nbagent.schema.compiling import warm
from nbagent.schema.secret import secret_field
from nbagent.schema.validation import validate, with_defaults

__all__ = ["secret_field", "validate", "warm", "with_defaults"]
