"""Text from anyone, made plain: what is left can neither move the cursor, nor hide, nor turn the reading around.

Everything that a widget, a form, a terminal or an error shows of a model, a tool or a server passes `plain` first.
Where a person decides by what they read (an approval), `visible` marks what `plain` would drop, so that nothing is
approved unseen. Below: nothing. Above: `errors`, `widgets`, `notebook`.
"""

from __future__ import annotations

import re

_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC and its kin: links, titles
    r"|\x1b[@-Z\\-_]"
)
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but for tab and line ends
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi marks, embeddings, overrides, isolates
    "\u00ad\u034f\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb"  # what has no width and no use
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters without a shape
    "\U000e0000-\U000e0fff]"  # tags: text that a model reads and a person does not see
    "|(?<=[ -~])[\u200c\u200d]+(?=[ -~])"  # joiners, which emoji and some scripts need: within ASCII, they only hide
)
_ENDS = re.compile("\r\n|[\r\u2028\u2029]")
_SUSPECT = re.compile(f"[\x1b\r\u2028\u2029\ud800-\udfff{_HIDDEN.pattern[1:]}")
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON and the wire cannot carry one alone


def plain(text: str, limit: int | None = None) -> str:
    """`text` without ANSI sequences, control characters, bidi overrides and invisible characters.

    Parameters
    ----------
    text
        From anyone.
    limit
        The most characters to keep; what is longer ends with an ellipsis.
    """
    if _SUSPECT.search(text):  # hardly ever
        text = _HIDDEN.sub("", _ENDS.sub("\n", _SURROGATE.sub("\ufffd", _ANSI.sub("", text))))
    return text if limit is None or len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def visible(text: str) -> str:
    """`text` with every character that `plain` drops written as its number, such as ``⟨U+202E⟩``."""
    text = _ENDS.sub("\n", _SURROGATE.sub(_number, text))
    return _HIDDEN.sub(_number, text)


def _number(match: re.Match[str]) -> str:
    return "".join(f"⟨U+{ord(hidden):04X}⟩" for hidden in match[0])
