"""Fields that choose from a list: one of it, or several.

Values may be any JSON scalars under any titles, so the place in the list is what counts, never the value's equality.
Below: `fields`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from nbagent.schema.shapes import is_list
from nbagent.widgets.forms.fields import MISSING, Field, Spec
from nbagent.widgets.forms.parts import Parts, label


class ChoiceField(Field):
    """One of a list."""

    trait = "index"

    def __init__(self, spec: Spec, parts: Parts, values: Sequence[Any], titles: Sequence[str]) -> None:
        self._values: list[Any] = list(values)
        self._titles = [label(title, 200) or "(empty)" for title in titles]
        super().__init__(spec, parts)

    def _make(self, parts: Parts) -> Any:
        # a first line that stands for nothing, unless the choice is made and must stay made
        chosen = _position(self.spec.schema.get("default", MISSING), self._values)
        self._blank = not self.spec.required or chosen is None
        if self._blank:
            self._values.insert(0, MISSING)
            self._titles.insert(0, "Choose…" if self.spec.required else "")
        return self._new(
            parts,
            ipywidgets.Dropdown,
            options=_numbered(self._titles),
            index=0,
        )

    def enter(self, value: Any) -> None:
        position = _position(value, self._values)
        if position is not None:
            self.input.index = position

    def _empty(self) -> Any:
        return 0 if self._blank else None

    def _read(self) -> Any:
        value = MISSING if self.raw is None else self._values[self.raw]
        return self.spec.blank if value is MISSING else value


class ChoicesField(Field):
    """Any number of a list."""

    trait = "index"

    def __init__(self, spec: Spec, parts: Parts, values: Sequence[Any], titles: Sequence[str]) -> None:
        self._values: list[Any] = list(values)
        self._titles = [label(title, 200) or "(empty)" for title in titles]
        self.hint = f"{_amount(spec.schema, spec.required)} Hold Ctrl (⌘) to choose several."
        super().__init__(spec, parts)

    def _make(self, parts: Parts) -> Any:
        return self._new(
            parts,
            ipywidgets.SelectMultiple,
            options=_numbered(self._titles),
            rows=min(max(len(self._values), 2), 8),
        )

    def enter(self, value: Any) -> None:
        if is_list(value):
            places = [_position(one, self._values) for one in value]
            self.input.index = tuple(at for at in places if at is not None)

    def _empty(self) -> Any:
        return ()

    def _read(self) -> Any:
        chosen = [self._values[at] for at in self.raw]
        return chosen if chosen or (self.spec.required and not self.spec.nullable) else self.spec.blank


def _position(value: Any, values: Sequence[Any]) -> int | None:
    """Where `value` stands in `values`; True is not 1."""
    alike = (
        at for at, known in enumerate(values) if known == value and isinstance(known, bool) == isinstance(value, bool)
    )
    return next(alike, None)


def _numbered(titles: Sequence[str]) -> list[tuple[str, int]]:
    return [(title, at) for at, title in enumerate(titles)]


def _amount(schema: Mapping[str, Any], required: bool) -> str:
    low, high = schema.get("minItems"), schema.get("maxItems")
    if low and high:
        return f"Choose {low}." if low == high else f"Choose {low} to {high}."
    if low:
        return f"Choose {low} or more."
    return f"Choose up to {high}." if high else ""
