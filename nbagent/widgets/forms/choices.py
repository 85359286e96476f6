"""Fields that choose from a list: one of it, one of a long one by typing, or several.

Values may be any JSON scalars under any titles, so the place in the list is what counts, never the value's equality.
What is typed into a filter counts only once it is one of the titles: the front end sends nothing before, and the
page's script (``forms.js``) tells that it does not. Above a long list of which several may be chosen the script puts a
filter of its own: it hides lines and changes no choice, so that nothing of it comes here. Below: `fields`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from nbagent.schema.shapes import is_list
from nbagent.widgets.forms.fields import MISSING, Field, Spec, Unreadable
from nbagent.widgets.forms.parts import Parts, label

LONG = 15
"""More choices than these are filtered by typing."""

_MOST_TYPED = 200
_MOST_NAMED = 20


class _ListedField(Field):
    """Has a list of values, each under a title."""

    trait = "index"

    def __init__(self, spec: Spec, parts: Parts, values: Sequence[Any], titles: Sequence[str]) -> None:
        self._values: list[Any] = list(values)
        self._titles = _told_apart([label(title, 200) or "(empty)" for title in titles])
        super().__init__(spec, parts)


class ChoiceField(_ListedField):
    """One of a list."""

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
            **({} if chosen is not None else {"index": 0}),
        )

    def _held(self, value: Any) -> Any:
        position = _position(value, self._values)
        return MISSING if position is None else position

    def _empty(self) -> Any:
        return 0 if self._blank else None

    def _read(self) -> Any:
        value = MISSING if self.raw is None else self._values[self.raw]
        return self.spec.blank if value is MISSING else value


class FilterField(_ListedField):
    """One of a long list, found by typing a part of its title."""

    trait = "value"

    def __init__(self, spec: Spec, parts: Parts, values: Sequence[Any], titles: Sequence[str]) -> None:
        self.hint = f"{len(values)} choices: type a part of one, and pick it from the list."
        self._unsent = ""
        super().__init__(spec, parts, values, titles)
        self.input.on_msg(self._typed)

    def _make(self, parts: Parts) -> Any:
        # the empty one is an option too, or the front end would not let the choice be taken back
        return self._new(parts, ipywidgets.Combobox, "nba-combo", options=("", *self._titles), ensure_option=True)

    def _held(self, value: Any) -> Any:
        position = _position(value, self._values)
        return MISSING if position is None else self._titles[position]

    def reset(self) -> None:
        self._unsent = ""
        super().reset()
        self._tell()

    def clear(self) -> None:
        self._unsent = ""
        super().clear()

    def _typed(self, widget: Any, content: Any, buffers: Any) -> None:
        """The page shows text that it does not send as the value, since it is no option; or a new page asks for it."""
        match content:
            case {"event": "typed", "text": str(text)}:
                self._unsent = "" if text in self._titles else text[:_MOST_TYPED]
                self.changed()
            case {"event": "ask"}:
                self._tell()
            case _:
                pass

    def _marked(self) -> Any:
        return self.note  # a change of the input would have the page show its value again, in place of what is typed

    def _tell(self) -> None:
        """Have the page show what stands here, which it cannot know where the value has not changed."""
        self.input.send({"event": "show", "text": self._unsent or self.raw})

    @property
    def is_line(self) -> bool:
        return False  # there Enter picks from the list

    @property
    def untouched_default(self) -> Any:
        return MISSING if self._unsent else super().untouched_default

    def _read(self) -> Any:
        if self._unsent or (self.raw and self.raw not in self._titles):
            raise Unreadable("Not in the list: pick one of it.")
        return self._values[self._titles.index(self.raw)] if self.raw else self.spec.blank


class ChoicesField(_ListedField):
    """Any number of a list; one of a long list shows the titles of those that are chosen, since it may hide them."""

    def __init__(self, spec: Spec, parts: Parts, values: Sequence[Any], titles: Sequence[str]) -> None:
        self._long = len(values) > LONG
        several = "Hold Ctrl (⌘) to choose several."
        filtered = f"{len(values)} choices: type above the list to find some; what is chosen stays chosen."
        self.hint = f"{several} {filtered}" if self._long else several
        super().__init__(spec, parts, values, titles)

    def _make(self, parts: Parts) -> Any:
        return self._new(
            parts,
            ipywidgets.SelectMultiple,
            *(("nba-filtered",) if self._long else ()),
            options=_numbered(self._titles),
            rows=min(max(len(self._values), 2), 8),
        )

    def _held(self, value: Any) -> Any:
        if not is_list(value):
            return MISSING
        places = [_position(one, self._values) for one in value]
        return tuple(at for at in places if at is not None)

    def reset(self) -> None:
        super().reset()
        if self._long:
            self.input.send({"event": "show all"})

    def _empty(self) -> Any:
        return ()

    def _count(self) -> str:
        places: Sequence[int] = self.raw
        bounds = _bounds(self.spec.schema, self._may_be_empty and not places)
        chosen = ", ".join(self._titles[at] for at in places[:_MOST_NAMED]) if self._long else ""
        more = ", …" if len(places) > _MOST_NAMED else ""
        return f"{len(places)} of {len(self._values)} chosen{bounds}{f': {chosen}{more}' if chosen else ''}"

    @property
    def _may_be_empty(self) -> bool:
        """Whether nothing chosen is no empty list: it is left out then, or null."""
        return not self.spec.required or self.spec.nullable

    def _read(self) -> Any:
        chosen = [self._values[at] for at in self.raw]
        return chosen if chosen or not self._may_be_empty else self.spec.blank


def _position(value: Any, values: Sequence[Any]) -> int | None:
    """Where `value` stands in `values`; True is not 1."""
    alike = (
        at for at, known in enumerate(values) if known == value and isinstance(known, bool) == isinstance(value, bool)
    )
    return next(alike, None)


def _numbered(titles: Sequence[str]) -> list[tuple[str, int]]:
    return [(title, at) for at, title in enumerate(titles)]


def _told_apart(titles: Sequence[str]) -> list[str]:
    """The titles, each once: what stands there twice gets a number."""
    told: dict[str, None] = {}
    for title in titles:
        tries = itertools.chain([title], (f"{title} ({number})" for number in itertools.count(2)))
        told[next(one for one in tries if one not in told)] = None
    return list(told)


def _bounds(schema: Mapping[str, Any], may_be_empty: bool) -> str:
    """How many are wanted, where that is bounded; while it is and `may_be_empty`, none is allowed too."""
    low, high = schema.get("minItems"), schema.get("maxItems")
    none = "none or " if low and may_be_empty else ""
    if low and low == high:
        return f", {none}exactly {low} wanted"
    return (f", {none}at least {low}" if low else "") + (f", at most {high}" if high else "")
