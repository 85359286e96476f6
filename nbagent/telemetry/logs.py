"""The loggers of nbagent, and the fields that every record under them has.

``nbagent`` is the parent, which failures are logged to; ``nbagent.runtime.stream``, ``.model`` and ``.tool`` tell of
what begins and ends. Every record of these four carries where it happened: `FIELDS`, taken from the context where the
code that logs does not say, so that a formatter may name them. Nothing is printed unless a program asks: the parent has
a NullHandler.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

FIELDS = ("nbagent_stream_id", "nbagent_session_id", "nbagent_agent", "nbagent_parent_id")
"""Where it happened: "" where that is not known, or where the stream has no parent."""

here: ContextVar[Mapping[str, str] | None] = ContextVar("nbagent_here", default=None)
"""The fields of the stream whose code is running in this context."""

parent = logging.getLogger("nbagent")
stream = logging.getLogger("nbagent.runtime.stream")
model = logging.getLogger("nbagent.runtime.model")
tool = logging.getLogger("nbagent.runtime.tool")


def where(record: logging.LogRecord) -> bool:
    """Give a record the fields that it lacks; a filter that lets everything through."""
    fields = here.get() or {}
    for name in FIELDS:
        if not hasattr(record, name):
            setattr(record, name, fields.get(name, ""))
    return True


def tell(
    logger: logging.Logger, level: int, message: str, *args: object, fields: Mapping[str, Any] | None = None
) -> None:
    """Log, with the fields that are known; what a handler raises is dropped."""
    if logger.isEnabledFor(level):
        with contextlib.suppress(Exception):  # another's handler
            known = {f"nbagent_{name}": value for name, value in (fields or {}).items() if value is not None}
            logger.log(level, message, *args, extra={**dict.fromkeys(FIELDS, ""), **(here.get() or {}), **known})


def install() -> None:
    """Add the handler and the filter, once."""
    if where not in parent.filters:
        parent.addFilter(where)
        parent.addHandler(logging.NullHandler())
