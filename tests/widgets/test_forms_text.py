"""`plain` and `visible`: no text moves the cursor, hides, or turns the reading around."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagent.plaintext import plain, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.org\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\text", "text"),
        ("\x9b2Jcleared", "cleared"),
        ("a\u202eb\u2066c\u200f", "abc"),
        ("a\u200bb\ufeffc\u00ad", "abc"),
        ("a\U000e0041\U000e007fb", "ab"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("tab\tnul\x00", "tab\tnul"),
        ("\ud800", "\ufffd"),
        ("שלום, José 👩‍👩‍👧", "שלום, José 👩‍👩‍👧"),
        ("", ""),
    ],
)
def test_plain_drops_what_is_not_text(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_plain_cuts_with_an_ellipsis() -> None:
    assert (plain("abcdef", 4), plain("abcd", 4), plain("abc", 0)) == ("abc…", "abcd", "…")


def test_visible_hides_nothing() -> None:
    assert visible("a\u202eb\x1b[1m\ud800\n") == "a⟨U+202E⟩b⟨U+001B⟩[1m⟨U+D800⟩\n"


@given(st.text(st.characters() | st.sampled_from("\x1b[]m;\x07\u202e\ud800\r")))
def test_plain_is_stable_and_goes_over_the_wire(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    json.dumps(once, ensure_ascii=False).encode()
    assert not set(once) & set("\x00\x07\x1b\x9b\u202e\u2066\r")


def test_joiners_stay_where_scripts_need_them_and_go_where_they_only_hide() -> None:
    assert plain("👩\u200d💻 می\u200cخواهم") == "👩\u200d💻 می\u200cخواهم"
    assert plain("pay\u200dpal ad\u3164min x\u180ey") == "paypal admin xy"
    assert visible("a\u200c\u200db") == "a⟨U+200C⟩⟨U+200D⟩b"
