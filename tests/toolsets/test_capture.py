"""What a tool prints is captured by context; all other code prints as if nothing were there."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import threading

import pytest

from nbagent.toolsets.capture import captured
from tests.toolsets.asking import Card

pytestmark = pytest.mark.anyio


def test_the_streams_are_put_back_exactly() -> None:
    out, err = sys.stdout, sys.stderr
    with captured(Card().emit):
        assert sys.stdout is not out
        with captured(Card().emit):
            pass
        assert sys.stdout is not out
    assert (sys.stdout, sys.stderr) == (out, err)


def test_a_stream_that_was_put_in_place_meanwhile_stays() -> None:
    out, card = sys.stdout, Card()
    capture = captured(card.emit)
    capture.__enter__()
    redirect = contextlib.redirect_stdout(io.StringIO())
    mine = redirect.__enter__()
    capture.__exit__(None, None, None)
    assert sys.stdout is mine
    redirect.__exit__(None, None, None)  # puts the proxy back, which passes everything through
    try:
        print("through")
        assert card.text == ""
    finally:
        sys.stdout = out


def test_other_threads_print_where_they_always_did(capsys: pytest.CaptureFixture[str]) -> None:
    card = Card()
    with captured(card.emit):
        print("captured")
        thread = threading.Thread(target=lambda: print("other"))
        thread.start()
        thread.join(10)
    assert card.text == "captured\n"
    assert capsys.readouterr().out == "other\n"


async def test_tasks_that_a_call_starts_print_to_its_card(capsys: pytest.CaptureFixture[str]) -> None:
    card = Card()

    async def child() -> None:
        print("child")

    with captured(card.emit):
        await asyncio.create_task(child())
    assert card.text == "child\n"
    assert capsys.readouterr().out == ""


def test_what_the_stream_behind_can_do_is_still_there() -> None:
    class Kernel(io.StringIO):
        parent = None

        def set_parent(self, parent: str) -> None:
            self.parent = parent

    out, kernel = sys.stdout, Kernel()
    sys.stdout = kernel
    try:
        with captured(Card().emit):
            sys.stdout.set_parent("cell")  # type: ignore[attr-defined]  # pyright: ignore
            assert not sys.stdout.isatty()
            assert sys.stdout.encoding == kernel.encoding
            sys.stdout.writelines(["a", "b"])
            sys.stdout.flush()
            sys.stdout.close()
            with pytest.raises(TypeError):
                sys.stdout.write(3)  # type: ignore[arg-type]  # pyright: ignore
    finally:
        sys.stdout = out
    assert kernel.parent == "cell"
    assert not kernel.closed
