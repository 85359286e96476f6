"""The models of one form: made with as few messages as can be, and closed together.

In ipywidgets a layout and a style are models too, each with a comm of its own, and every input makes both unless it is
given them. A form of 13 fields would open 100 comms; shared, it opens 39. Below: ipywidgets.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import ipywidgets

from nbagent.plaintext import plain

W = TypeVar("W", bound=ipywidgets.DOMWidget)

_LABEL = "9.5rem"
_STYLES: dict[type[Any], str] = {
    ipywidgets.Text: "TextStyle",
    ipywidgets.Textarea: "TextStyle",
    ipywidgets.Checkbox: "CheckboxStyle",
    ipywidgets.HTML: "HTMLStyle",
    ipywidgets.Button: "ButtonStyle",
}


class Parts:
    """Makes the widgets of a form and closes them."""

    def __init__(self) -> None:
        self._made: list[ipywidgets.Widget] = []
        self._styles: dict[str, Any] = {}
        self._layout = self._kept(ipywidgets.Layout(width="auto"))

    def make(self, cls: type[W], *classes: str, **traits: Any) -> W:
        """A widget of the form, with the form's layout and style and the given CSS classes."""
        if not issubclass(cls, ipywidgets.Box):
            style = next((_STYLES[base] for base in cls.__mro__ if base in _STYLES), "DescriptionStyle")
            traits.setdefault("style", self._style(style))
        return self._kept(cls(layout=self._layout, _dom_classes=classes, keys=list(_synced(cls)), **traits))

    def close(self) -> None:
        """Close every model; idempotent."""
        while self._made:
            self._made.pop().close()

    def _style(self, name: str) -> Any:
        if name not in self._styles:
            cls: Any = getattr(_style_module(name), name)
            width: dict[str, str] = {} if name == "ButtonStyle" else {"description_width": _LABEL}
            self._styles[name] = self._kept(cls(**width))
        return self._styles[name]

    def _kept(self, widget: Any) -> Any:
        self._made.append(widget)
        return widget


@functools.cache
def _synced(cls: type[Any]) -> tuple[str, ...]:
    """The traits that a widget of the class syncs; each would look them up anew, a tenth of what making it takes."""
    return tuple(cls.class_traits(sync=True))


def _style_module(name: str) -> Any:
    from ipywidgets.widgets import widget_bool, widget_button, widget_description, widget_string

    return next(
        module for module in (widget_string, widget_bool, widget_button, widget_description) if hasattr(module, name)
    )


def label(text: str, limit: int = 80) -> str:
    """`text` as the description of an input: the front end shows it as text, but would typeset what stands in ``$``."""
    text = " ".join(plain(text, limit).split())
    return text.replace("$", "＄") if text.count("$") > 1 or "\\(" in text or "\\[" in text else text
