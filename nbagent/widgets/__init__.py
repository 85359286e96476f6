"""What the user sees: the transcript of a run, its forms, and the static twin that a saved notebook keeps.

    words, text, assets    how states read; text made plain; the files of ``static/``
    splitter, markdown     growing markdown, in blocks, becomes safe HTML: the door to markdown-it-py, pygments, nh3
    images                 the hosts whose images load without a click
    media                  what a tool displays, as safe HTML
    blocks, document       events become one tree of blocks
    wire, transcript       the tree as numbered patches; the live anywidget: the door to anywidget and its script
    static, flat, plain    the tree as HTML, markdown and text, without a script
    renderers              how the user's own code draws a tool's result, or an event
    forms                  a question's form, an approval

`Transcript` shows a run live, `static.bundle` shows any document, `plain.PlainTranscript` writes one to a terminal.
Importing this package imports none of them, and so neither ipywidgets nor a renderer. Below: `events`, `schema`.
Above: `notebook`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbagent.widgets.images import allow_images
    from nbagent.widgets.renderers import register_renderer, unregister_renderer

__all__ = ["allow_images", "register_renderer", "unregister_renderer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        home = "images" if name == "allow_images" else "renderers"
        return getattr(import_module(f"nbagent.widgets.{home}"), name)
    raise AttributeError(f"module 'nbagent.widgets' has no attribute {name!r}")
