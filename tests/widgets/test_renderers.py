"""Renderers of the user's own: what they draw is shown and kept, and what they break is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from nbagent.errors import ConfigError
from nbagent.models import ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.widgets import register_renderer, renderers, unregister_renderer
from nbagent.widgets.transcript import Transcript
from tests.runtime.support import scripted

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """No renderer before and after."""
    renderers._renderers.clear()
    yield
    renderers._renderers.clear()


def forecast(day: str) -> str:
    """Say the weather."""
    return f"sun on {day}"


async def shown(*answers: Any) -> dict[str, str]:
    """The bundle that the cell keeps of a run that calls `forecast` and then says "Done."."""
    agent = scripted(ToolCall("forecast", {"day": "Sunday"}), *(answers or ("Done.",)), tools=[forecast])
    transcript = Transcript(on_stop=lambda: None)
    try:
        result = await Runtime(agent).run(Session(), "And?", observers=[transcript])
        assert result.reason == "completed"
        return await transcript.finish()
    finally:
        transcript.close()


async def test_a_tools_result_is_drawn_in_its_card_and_kept() -> None:
    told: list[renderers.Call] = []

    def draw(call: renderers.Call) -> dict[str, str]:
        told.append(call)
        return {"text/html": "<table><tr><td>drawn</td></tr></table>", "text/plain": "drawn plainly"}

    register_renderer("forecast", draw)
    bundle = await shown()
    (call,) = told
    assert (call.name, call.arguments, call.response, call.state) == (
        "forecast", {"day": "Sunday"}, "sun on Sunday", "ok"
    )  # fmt: skip
    assert "<td>drawn</td>" in bundle["text/html"] and "sun on Sunday" not in bundle["text/html"]
    assert "drawn plainly" in bundle["text/plain"] and "drawn plainly" in bundle["text/markdown"]
    assert unregister_renderer("forecast") and not unregister_renderer("forecast")
    assert "sun on Sunday" in (await shown())["text/html"]


async def test_an_event_is_drawn_below_what_it_shows_itself() -> None:
    register_renderer("token_usage", lambda event: f"{event.input_tokens} tokens so far")
    bundle = await shown()
    assert "tokens so far" in bundle["text/html"] and "tokens so far" in bundle["text/plain"]


async def test_what_is_drawn_is_sanitised() -> None:
    evil = '<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b>'
    register_renderer("forecast", lambda call: {"text/html": evil})
    html = (await shown())["text/html"]
    assert "<b>bold</b>" in html
    assert "alert" not in html and "onerror" not in html
    register_renderer("forecast", lambda call: "<i>no markup</i>")
    assert "&lt;i&gt;no markup&lt;/i&gt;" in (await shown())["text/html"]


class Table:
    def _repr_html_(self) -> str:
        return "<table><tr><td>mine</td></tr></table>"


async def test_an_object_shows_itself() -> None:
    from matplotlib.figure import Figure

    register_renderer("forecast", lambda call: Table())
    assert "<td>mine</td>" in (await shown())["text/html"]
    register_renderer("forecast", lambda call: Figure(figsize=(1, 1)))
    assert "data:image/png;base64," in (await shown())["text/html"]


def fail(call: Any) -> Any:
    raise SystemExit("no ink")


def hang(call: Any) -> Any:
    time.sleep(3)


@pytest.mark.parametrize(
    ("renderer", "why"),
    [
        (fail, "SystemExit: no ink"),
        (hang, "it took more than 0.1 s"),
        (lambda call: object(), "it returned object, which shows itself in no notebook"),
        (lambda call: {"html": "<b>"}, "it returned a mapping whose keys are no MIME types"),
    ],
)
async def test_one_that_fails_leaves_what_is_shown_without_it_and_says_so(
    renderer: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderers, "DEADLINE", 0.1)
    register_renderer("forecast", renderer)
    with anyio.fail_after(10):
        bundle = await shown()
    assert "sun on Sunday" in bundle["text/html"] and "Done." in bundle["text/html"]
    assert f"The renderer of forecast failed: {why}" in " ".join(bundle["text/plain"].split())


async def test_none_is_what_is_shown_without_it() -> None:
    register_renderer("forecast", lambda call: None)
    bundle = await shown()
    assert "sun on Sunday" in bundle["text/html"] and "failed" not in bundle["text/plain"]


@pytest.mark.parametrize(("name", "renderer"), [("forecast", "text"), ("agent_choice", print), ("", print)])
def test_what_cannot_be_a_renderer_is_refused(name: str, renderer: Any) -> None:
    with pytest.raises(ConfigError, match="renderer of"):
        register_renderer(name, renderer)
