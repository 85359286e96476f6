"""Renderers of the user's own: what they draw is shown and kept, and what they break is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anyio
import ipywidgets
import pytest

from nbagent.errors import ConfigError
from nbagent.events import EVENTS
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
    assert "sun on Sunday" not in bundle["text/plain"]
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


# ---------------------------------------------------------------- widgets


async def live(renderer: Any, name: str = "forecast") -> tuple[dict[int, Any], dict[str, str]]:
    """The properties of what a view is given before the end, and what the cell keeps."""
    register_renderer(name, renderer)
    agent = scripted(ToolCall("forecast", {"day": "Sunday"}), "Done.", tools=[forecast])
    transcript = Transcript(on_stop=lambda: None)
    try:
        await Runtime(agent).run(Session(), "And?", observers=[transcript])
        nodes = transcript._wire.whole()["nodes"]
        return {node[0]: node[3] for node in nodes}, await transcript.finish()
    finally:
        transcript.close()


async def test_a_widget_is_shown_while_the_run_lasts_and_closed_with_all_its_parts() -> None:
    made: list[Any] = []
    models: list[str] = []

    def draw(call: renderers.Call) -> Any:
        slider = ipywidgets.IntSlider(description=str(call.arguments))
        made.append(ipywidgets.VBox([slider]))
        made.extend((slider, slider.layout, slider.style, made[0].layout))
        models.extend(part.model_id for part in made)
        return made[0]

    props, bundle = await live(draw)
    (card,) = (shown for shown in props.values() if shown.get("widgets"))
    assert card["widgets"] == models[:1] and card["media"] == [""]
    assert all(part.comm is None for part in made)
    assert "VBox" in bundle["text/plain"] and "sun on Sunday" in bundle["text/html"]
    assert "widget" not in " ".join(bundle)


async def test_what_is_given_beside_a_widget_is_kept_in_its_place() -> None:
    _, bundle = await live(lambda call: (ipywidgets.IntSlider(), {"text/html": "<b>beside</b><script>x</script>"}))
    assert "<b>beside</b>" in bundle["text/html"]
    assert "IntSlider" not in bundle["text/plain"] and "sun on Sunday" not in bundle["text/html"]
    assert "<script" not in bundle["text/html"]


async def test_a_widget_that_is_updated_stays_where_it_is() -> None:
    bar = ipywidgets.IntProgress()
    model = bar.model_id

    def draw(event: Any) -> Any:
        bar.value += 1
        if bar.value == 2:
            raise RuntimeError("no ink")
        return bar, f"step {bar.value}"

    props, bundle = await live(draw, "token_usage")
    assert [shown["widget"] for shown in props.values() if shown.get("widget")] == [model]
    assert bar.value >= 2 and bar.comm is None
    assert "no ink" in bundle["text/plain"] and "step 1" in bundle["text/plain"]
    _, bundle = await live(draw, "token_usage")
    assert "a widget that is closed: make a new one for each call" in " ".join(bundle["text/plain"].split())


def fail(call: Any) -> Any:
    raise SystemExit("no ink")


def hang(call: Any) -> Any:
    time.sleep(3)


class Unspeakable(BaseException):
    def __str__(self) -> str:
        raise KeyboardInterrupt


def say_nothing(call: Any) -> Any:
    raise Unspeakable


def late(call: Any) -> Any:
    raise TimeoutError("the printer's")


def stop(call: Any) -> Any:
    raise KeyboardInterrupt


async def later() -> str:
    return "never"


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("renderer", "why"),
    [
        (fail, "SystemExit: no ink"),
        (hang, "it took more than 0.1 s"),
        (lambda call: object(), "it returned object, which shows itself in no notebook"),
        (lambda call: {"html": "<b>"}, "it returned a mapping whose keys are no MIME types"),
        (say_nothing, "Unspeakable"),
        (late, "TimeoutError: the printer's"),
        (stop, "KeyboardInterrupt"),
        (lambda call: later(), "it returned what must be awaited"),
        (lambda call: {"text/plain": Mute()}, "RuntimeError: no words"),
        (lambda call: b"no picture", "it returned bytes, which shows itself in no notebook"),
        (lambda call: ("a", "b"), "it returned a tuple that is not a widget"),
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


async def draw_later(call: Any) -> str:
    return "never"


@pytest.mark.parametrize(
    ("name", "renderer"), [("forecast", "text"), ("agent_choice", print), ("", print), ("forecast", draw_later)]
)
def test_what_cannot_be_a_renderer_is_refused(name: str, renderer: Any) -> None:
    with pytest.raises(ConfigError, match="renderer of"):
        register_renderer(name, renderer)


async def test_every_kind_of_event_but_the_many_can_be_drawn() -> None:
    kinds = {kind for kind in EVENTS if kind not in renderers.TOO_MANY}
    for kind in kinds:
        register_renderer(kind, lambda event: f"drawn {event.type}")
    bundle = await shown()
    for kind in ("stream_started", "user_message", "tool_call", "tool_call_response", "token_usage", "stream_stopped"):
        assert f"drawn {kind}" in bundle["text/plain"]
        assert f"drawn {kind}" in bundle["text/html"]


async def test_what_is_huge_or_deep_is_cut_to_what_can_be_shown() -> None:
    huge = "y" * 5_000_000
    register_renderer("forecast", lambda call: {"text/plain": huge, "text/html": "<div>" * 50_000})
    with anyio.fail_after(10):
        bundle = await shown()
    assert "Done." in bundle["text/html"] and len(bundle["text/html"]) < 200_000


async def test_a_pictures_bytes_are_a_picture() -> None:
    register_renderer("forecast", lambda call: b"\x89PNG\r\n\x1a\n picture")
    assert "data:image/png;base64," in (await shown())["text/html"]
