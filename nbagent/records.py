"""Dataclasses as JSON's types, and back: the one codec behind exports of sessions and the rows of a store.

Knows nothing of what it encodes but its type hints. Below `messages` and `session`, whose shapes it reads. It
guarantees: ``decode(cls, encode(value)) == value``, also after a trip through JSON text; what it gives shares nothing
with what it was given; what does not fit is a ValueError that names the place, such as ``messages[3].role``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Decoder = Callable[[Any], Any]

_WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def encode(value: Any) -> Any:
    """`value` as JSON's types: a dataclass as an object with all its fields, a set as a sorted list."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple):
        return [encode(item) for item in cast("list[Any]", value)]
    if (names := _names(cast("type[Any]", type(value)))) is not None:
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, set):
        return sorted(encode(item) for item in cast("set[Any]", value))
    return json.loads(json.dumps(value, default=_told), parse_constant=str)


def decode(cls: type[T], data: Any) -> T:
    """The instance of the dataclass `cls` that `data`, of `encode`, describes.

    Raises
    ------
    ValueError
        A field is missing, unknown, or not of its type.
    """
    try:
        return _decoder(cls)(data)
    except _Misfit as misfit:
        raise ValueError(f"{misfit.place or 'the whole'}: {misfit.fault}") from None


def to_text(data: Any, *, indent: int | None = None) -> str:
    """JSON text that any file and database can take, also where a model wrote half of a surrogate pair."""
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(data, indent=indent)
    return text


class _Misfit(Exception):
    """Data that does not fit; whoever passes it on says where, so that data that fits costs no words."""

    def __init__(self, fault: str, place: str = "") -> None:
        self.fault = fault
        self.place = place

    def within(self, outer: str) -> _Misfit:
        joint = "." if self.place and not self.place.startswith("[") else ""
        self.place = f"{outer}{joint}{self.place}"
        return self


@cache
def _names(cls: type[Any]) -> tuple[str, ...] | None:
    return tuple(field.name for field in fields(cls)) if is_dataclass(cls) else None


@cache
def _decoder(hint: Any) -> Decoder:
    """What reads a value of that type hint."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _record(cast("type[Any]", hint))
    if origin in (list, tuple, set):
        return _many(cast("type[Any]", origin), _decoder(arguments[0]))
    if origin in (Union, UnionType):
        return _one_of(hint, [_decoder(argument) for argument in arguments])
    if origin is Literal:
        return _checked(hint, lambda value: value in arguments)
    if origin is dict:
        is_object = _checked(hint, lambda value: isinstance(value, dict))
        return lambda value: encode(is_object(value))
    kinds = (int, float) if hint is float else hint
    return _checked(hint, lambda value: isinstance(value, kinds) and (hint is bool or not isinstance(value, bool)))


def _record(cls: type[Any]) -> Decoder:
    hints = get_type_hints(cls)
    shape = [(field.name, _decoder(hints[field.name]), _is_required(field)) for field in fields(cls)]
    known = {name for name, _, _ in shape}

    def decoded(data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise _Misfit(f"expected an object, not {_kind(data)}")
        given = cast("Mapping[str, Any]", data)
        if not given.keys() <= known:
            raise _Misfit("there is no such field", min(str(name) for name in given.keys() - known))
        values: dict[str, Any] = {}
        for name, one, required in shape:
            if name in given:
                try:
                    values[name] = one(given[name])
                except _Misfit as misfit:
                    raise misfit.within(name) from None
            elif required:
                raise _Misfit("missing", name)
        return cls(**values)

    return decoded


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _many(kind: type[Any], one: Decoder) -> Decoder:
    def decoded(data: Any) -> Any:
        if not isinstance(data, list):
            raise _Misfit(f"expected a list, not {_kind(data)}")
        items: list[Any] = []
        for item in cast("list[Any]", data):
            try:
                items.append(one(item))
            except _Misfit as misfit:
                raise misfit.within(f"[{len(items)}]") from None
        return items if kind is list else kind(items)

    return decoded


def _one_of(hint: Any, decoders: list[Decoder]) -> Decoder:
    def decoded(data: Any) -> Any:
        for one in decoders:
            try:
                return one(data)
            except _Misfit:
                continue
        raise _Misfit(f"expected {_expected(hint)}, not {_kind(data)}")

    return decoded


def _checked(hint: Any, fits: Callable[[Any], bool]) -> Decoder:
    def decoded(data: Any) -> Any:
        if not fits(data):
            raise _Misfit(f"expected {_expected(hint)}, not {_kind(data)}")
        return data

    return decoded


def _expected(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_expected, arguments))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    return _WORDS.get(hint) or ("an object" if (origin or hint) is dict else "a list")


def _kind(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, str) else type(value).__name__


def _told(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # an object of the user's, put into arguments by hand
        return type(value).__name__
