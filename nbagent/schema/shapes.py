"""What a JSON value is, in a way that the type checker follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard


def is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether `value` is an object (any mapping)."""
    return isinstance(value, Mapping)


def is_dict(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether `value` is a dict."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether `value` is a list."""
    return isinstance(value, list)
