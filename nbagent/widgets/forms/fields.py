"""One field of a form: an input for one property, and the line of help and error under it.

A field reads its input as a JSON value, as nothing (`MISSING`: left empty, so left out), or raises `Unreadable` with
what to do about it; whether the value is allowed is for the schema to say. Numbers are text inputs: a number input of
a front end cannot be empty, and changes what is typed. Below: `parts`. Beside: `kinds`, which picks the field for a
schema.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar

import ipywidgets
from traitlets import CUnicode

from nbagent.plaintext import plain
from nbagent.widgets.forms.parts import Parts, label

MISSING: Any = object()
"""The field is left empty."""


_SHORT = 400
"""Characters of a description that are shown at once; the rest is folded."""


class Unreadable(ValueError):
    """What stands in the input is no value of the field's kind; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a field asks for.

    Parameters
    ----------
    name
        The property's.
    schema
        The property's, with local references followed.
    required
        It may not be left out.
    nullable
        It may be null.
    whole
        It stands for the whole content, not for one property.
    """

    name: str
    schema: Mapping[str, Any]
    required: bool = False
    nullable: bool = False
    whole: bool = False

    @property
    def title(self) -> str:
        """What the input is called."""
        return label(str(self.schema.get("title") or self.name)) or "Value"

    @property
    def blank(self) -> Any:
        """What an empty input stands for."""
        return None if self.required and self.nullable else MISSING


class Field:
    """An input and the line under it; the base of all kinds.

    Attributes
    ----------
    input
        The widget to act on; its `description` is the field's title.
    note
        Help and error.
    touched
        The person changed it, so its error may show.
    changed
        Tells whoever observes the field that something was entered.
    """

    trait: ClassVar[str] = "value"
    hint = ""

    def __init__(self, spec: Spec, parts: Parts) -> None:
        self.spec = spec
        self.touched = False
        self.error = ""
        self.changed: Callable[[], None] = lambda: None
        said = plain(str(spec.schema.get("description") or ""), 4000).strip()
        self._help, self._more = (_sentences(said, self.hint), "") if len(said) <= _SHORT else _parted(said, self.hint)
        self.input = self._make(parts)
        self._default = self.raw
        if spec.schema.get("default") is not None and self._first() is MISSING:
            self._help = _sentences(self._help, "The default that was set does not fit, so it was left out.")
        self.note = parts.make(ipywidgets.HTML, "nba-form-note", value=self._note())

    @property
    def raw(self) -> Any:
        """What stands in the input, as the widget has it."""
        return getattr(self.input, self.trait)

    @property
    def shows_default(self) -> bool:
        """Whether there is a default, and it stands in the input."""
        return "default" in self.spec.schema and self.raw == self._default and not self._is_empty(self.raw)

    @property
    def is_line(self) -> bool:
        """Whether text is typed on one line, so that Enter can mean nothing but the end of it."""
        return isinstance(self.input, ipywidgets.Text) and not isinstance(self.input, ipywidgets.Textarea)

    def read(self) -> Any:
        """The value, or `MISSING`; raises `Unreadable`."""
        if self.untouched_default is not MISSING:
            return self.untouched_default
        return self._read()

    @property
    def untouched_default(self) -> Any:
        """The schema's default where the input still shows it, exactly as the schema has it, else `MISSING`."""
        shown = self.raw == self._default and not self._is_empty(self._default)
        return self.spec.schema.get("default", MISSING) if shown else MISSING

    def clear(self) -> None:
        """Forget what was entered."""
        setattr(self.input, self.trait, self._empty())

    def reset(self) -> None:
        """Take back what was entered: the default stands there again, or nothing."""
        setattr(self.input, self.trait, self._default)
        self.touched = False

    def observe(self, changed: Callable[[], None]) -> None:
        """Call `changed` after each change of the input."""

        def touched(_: Any = None) -> None:
            self.touched = True
            changed()

        self.changed = touched
        self.input.observe(touched, self.trait)

    def show(self, error: str) -> None:
        """Show an error under the input, or take it away."""
        if error != self.error:
            self.error = error
            mark = self._marked()
            if error:
                mark.add_class("nba-invalid")
            else:
                mark.remove_class("nba-invalid")
        self.note.value = self._note()

    def _note(self) -> str:
        error = f'<div class="nba-form-error" role="alert">{escape(plain(self.error, 600))}</div>' if self.error else ""
        count = self._count()
        counted = f'<div class="nba-form-count" role="status">{escape(count)}</div>' if count else ""
        helped = f'<div class="nba-form-help" dir="auto">{escape(self._help)}</div>' if self._help else ""
        more = f"<details><summary>More</summary>{escape(self._more)}</details>" if self._more else ""
        return error + counted + helped + (f'<div class="nba-form-help" dir="auto">{more}</div>' if more else "")

    def _marked(self) -> Any:
        """The widget that is marked where there is an error."""
        return self.input

    def _count(self) -> str:
        """How much is entered, where that is worth saying."""
        return ""

    def _new(self, parts: Parts, cls: Any, *classes: str, **traits: Any) -> Any:
        """The input, under its title; what helps is its tooltip too, which screen readers read."""
        marked = ("nba-required",) if self.spec.required else ()
        traits |= {"description": self.spec.title, "tooltip": self._help or None}
        first = self._first()
        if first is not MISSING:  # as it is made, not in a message after it
            traits[self.trait] = first
        return parts.make(cls, "nba-field", *marked, *classes, **traits)

    def _first(self) -> Any:
        """The default as the input holds it, or `MISSING` where there is none that it could."""
        return self._held(self.spec.schema["default"]) if "default" in self.spec.schema else MISSING

    def _held(self, value: Any) -> Any:
        """A JSON value as the input holds it, or `MISSING` where it cannot."""
        raise NotImplementedError

    def _is_empty(self, raw: Any) -> bool:
        return raw == self._empty()

    def _empty(self) -> Any:
        return ""

    def _make(self, parts: Parts) -> Any:
        raise NotImplementedError

    def _read(self) -> Any:
        raise NotImplementedError


class TextField(Field):
    """Text of one line, or of several where the schema has room for them."""

    def _make(self, parts: Parts) -> Any:
        schema, default = self.spec.schema, self.spec.schema.get("default")
        example = {"email": "name@example.org", "uri": "https://…"}.get(str(schema.get("format")), "")
        roomy = _int(schema.get("minLength")) > 80 or (_int(schema.get("maxLength")) >= 240 and "format" not in schema)
        long = roomy or (isinstance(default, str) and "\n" in default)
        return self._new(parts, ipywidgets.Textarea if long else ipywidgets.Text, placeholder=example)

    def _held(self, value: Any) -> Any:
        return value if isinstance(value, str) else MISSING

    def _read(self) -> Any:
        return self.raw or self.spec.blank


class _NumberText(ipywidgets.Text):
    """The input of a number: text, which can be empty and keeps what is typed; a front end may send a number too."""

    value = CUnicode(help="What was typed.").tag(sync=True)


class NumberField(Field):
    """A number, or a whole one, typed as text."""

    _NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?\Z")
    _WHOLE = re.compile(r"[+-]?[0-9]{1,400}\Z")

    def _make(self, parts: Parts) -> Any:
        low, high = self.spec.schema.get("minimum"), self.spec.schema.get("maximum")
        bounds = f"{low} to {high}" if low is not None and high is not None and low != high else ""
        return self._new(parts, _NumberText, placeholder=plain(bounds, 40))

    def _held(self, value: Any) -> Any:
        return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else MISSING

    def _read(self) -> Any:
        text = self.raw.strip().replace("\u2212", "-")
        if not text:
            return self.spec.blank
        if self._WHOLE.match(text):
            return int(text)
        if not self._NUMBER.match(text):
            raise Unreadable("Write decimals with a point." if "," in text else self._expected())
        if self.spec.schema.get("type") == "integer":
            raise Unreadable("A whole number, written without a decimal point.")
        return float(text)

    def _expected(self) -> str:
        return "A whole number." if self.spec.schema.get("type") == "integer" else "A number."


class BooleanField(Field):
    """Yes or no; one that may be left out is left out until it is touched."""

    def _make(self, parts: Parts) -> Any:
        return self._new(parts, ipywidgets.Checkbox)

    @property
    def untouched_default(self) -> Any:
        return MISSING

    def _held(self, value: Any) -> Any:
        return value if isinstance(value, bool) else MISSING

    def _empty(self) -> Any:
        return False

    def _read(self) -> Any:
        known = self.touched or self.raw or self.spec.required or isinstance(self.spec.schema.get("default"), bool)
        return bool(self.raw) if known else MISSING


class DateField(Field):
    """A date of the calendar."""

    def _make(self, parts: Parts) -> Any:
        return self._new(parts, ipywidgets.DatePicker)

    def _held(self, value: Any) -> Any:
        try:
            return datetime.date.fromisoformat(value)
        except (TypeError, ValueError):
            return MISSING

    def _empty(self) -> Any:
        return None

    def _read(self) -> Any:
        return self.spec.blank if self.raw is None else self.raw.isoformat()


class DateTimeField(Field):
    """A date and a time, entered in the browser's zone, sent in UTC: RFC 3339 demands a zone."""

    hint = "In your own time zone."

    def _make(self, parts: Parts) -> Any:
        return self._new(parts, ipywidgets.DatetimePicker)

    def _held(self, value: Any) -> Any:
        try:
            moment = datetime.datetime.fromisoformat(value.upper().replace(" ", "T"))
        except (AttributeError, TypeError, ValueError):
            return MISSING
        return moment if moment.tzinfo is not None else MISSING

    def _empty(self) -> Any:
        return None

    def _read(self) -> Any:
        if self.raw is None:
            return self.spec.blank
        try:
            text: str = self.raw.astimezone(datetime.UTC).isoformat()
        except (OverflowError, ValueError):  # the years 1 and 9999 have no room for a zone
            raise Unreadable("A date and a time of this era.") from None
        return text.replace("+00:00", "Z")


class JSONField(Field):
    """Anything else, as JSON text with the schema at hand."""

    def __init__(self, spec: Spec, parts: Parts) -> None:
        shown = plain(json.dumps(spec.schema, indent=2, ensure_ascii=False, default=str), 4000)
        self._schema = f"<details><summary>What is expected</summary><pre>{escape(shown)}</pre></details>"
        super().__init__(spec, parts)

    def _make(self, parts: Parts) -> Any:
        return self._new(parts, ipywidgets.Textarea, "nba-json", placeholder="JSON", rows=4)

    def _note(self) -> str:
        return super()._note() + f'<div class="nba-form-help">{self._schema}</div>'

    def _held(self, value: Any) -> Any:
        return json.dumps(value, indent=2, ensure_ascii=False, default=str)

    def _read(self) -> Any:
        if not self.raw.strip():
            return self.spec.blank
        try:
            return json.loads(self.raw, parse_constant=_refuse_constant)
        except RecursionError:
            raise Unreadable("Nested too deeply.") from None
        except ValueError as error:
            where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
            raise Unreadable(f"This is not JSON yet{where}.") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _sentences(first: str, second: str) -> str:
    stop = "" if not first or not second or first[-1] in ".!?:;…)。" else "."
    return f"{first}{stop} {second}".strip()


def _parted(text: str, hint: str) -> tuple[str, str]:
    """A long text as what is shown at once, and the rest of it."""
    at = text.rfind(" ", 1, _SHORT)
    at = at if at > 0 else _SHORT
    return f"{text[:at]}… {hint}".strip(), f"…{text[at:]}"


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0
