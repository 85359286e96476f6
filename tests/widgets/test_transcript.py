"""The live transcript in-process: frames, readiness, sync, forms, the end; no kernel, ipywidgets' dummy comm."""

from __future__ import annotations

import asyncio
import json
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import anyio
import ipywidgets
import pytest
from ipywidgets.widgets import widget as ipywidgets_widget

from nbagent import events as ev
from nbagent.widgets.transcript import FRAME, Transcript
from tests.widgets.telling import Teller

pytestmark = pytest.mark.anyio


class Screen:
    """A transcript, what it sent, and how often its Stop was pressed."""

    def __init__(self) -> None:
        self.stops = self.deflated = 0
        self.sent: list[dict[str, Any]] = []
        self.changed = asyncio.Event()
        self.transcript = Transcript(on_stop=self._stop, agent="a")
        comm: Any = self.transcript.widget.comm
        send = comm.send

        def record(data: Any = None, *args: Any, **kwargs: Any) -> None:
            if data and data.get("method") == "custom":
                content = data["content"]
                deflated = content["type"] == "deflated"
                self.deflated += deflated
                self.sent.append(json.loads(zlib.decompress(kwargs["buffers"][0])) if deflated else content)
                self.changed.set()
            send(data, *args, **kwargs)

        comm.send = record

    def _stop(self) -> None:
        self.stops += 1

    def press(self, **content: Any) -> None:
        """A custom message from the view."""
        self.transcript.widget._handle_custom_msg(content, [])

    async def until(self, count: int) -> None:
        """Wait until `count` messages were sent."""
        with anyio.fail_after(5):
            while len(self.sent) < count:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def models() -> Iterator[dict[str, Any]]:
    """ipywidgets' registry, which must be at the end what it was at the start."""
    registry: Any = ipywidgets_widget._instances  # pyright: ignore[reportPrivateUsage]
    before = set(registry)
    yield registry
    assert set(registry) == before


async def test_events_become_few_frames(models: dict[str, Any]) -> None:
    screen, tell = Screen(), Teller()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(5_000):
        await screen.transcript.on_event(tell(ev.AgentChoice, content="word "))
        await asyncio.sleep(0)
    await screen.until(1)
    frames = len(screen.sent)
    assert frames <= (loop.time() - began) / FRAME + 2
    assert frames < 500
    screen.transcript.close()


async def test_the_stop_is_sent_at_once(models: dict[str, Any]) -> None:
    screen, tell = Screen(), Teller()
    await screen.transcript.on_event(tell(ev.StreamStarted))
    await screen.transcript.on_event(tell(ev.StreamStopped, reason="completed"))
    assert screen.sent[-1]["ops"][-1][4]["reason"] == "completed"
    await screen.transcript.finish()


async def test_ready_from_another_thread_wakes_who_waits(models: dict[str, Any]) -> None:
    screen = Screen()
    assert not screen.transcript.ready.is_set()
    thread = threading.Thread(target=screen.press, kwargs={"type": "ready"})
    thread.start()
    with anyio.fail_after(5):
        await screen.transcript.ready.wait()
    thread.join(5)
    screen.transcript.close()


async def test_a_view_that_asks_gets_the_whole_once(models: dict[str, Any]) -> None:
    screen, tell = Screen(), Teller()
    await screen.transcript.on_event(tell(ev.UserMessage, content="Hello"))
    await screen.until(1)
    screen.press(type="sync")
    screen.press(type="sync")
    await screen.until(2)
    document = screen.sent[-1]
    assert document["type"] == "document"
    assert document["seq"] == screen.sent[0]["seq"]
    assert "Hello" in str(document["nodes"])
    await screen.transcript.on_event(tell(ev.UserMessage, content="Again"))
    await screen.until(3)
    assert [message["type"] for message in screen.sent] == ["patch", "document", "patch"]
    assert screen.sent[-1]["seq"] == document["seq"] + 1
    screen.transcript.close()


@pytest.mark.parametrize("able", [True, False])
async def test_a_large_message_is_deflated_for_views_that_can_read_it(models: dict[str, Any], able: bool) -> None:
    screen, tell = Screen(), Teller()
    screen.press(type="sync", plain=not able)
    await screen.until(1)
    await screen.transcript.on_event(tell(ev.AgentChoice, content="many words " * 2000))
    await screen.until(2)
    assert screen.deflated == able
    assert "many words many" in str(screen.sent[-1])
    screen.transcript.close()


async def test_stop_calls_back(models: dict[str, Any]) -> None:
    screen = Screen()
    screen.press(type="stop")
    screen.press(type="no such thing")
    screen.press()
    assert screen.stops == 1
    screen.transcript.close()


@pytest.mark.parametrize("early", [True, False])
async def test_a_form_stands_where_its_question_is(models: dict[str, Any], early: bool) -> None:
    screen, tell = Screen(), Teller()
    form = ipywidgets.Text()
    if early:
        screen.transcript.place("q", form)
    await screen.transcript.on_event(tell(ev.ElicitationRequest, id="q", message="Sure?"))
    if not early:
        screen.transcript.place("q", form)
    await screen.until(1)
    shown = [op for message in screen.sent for op in message["ops"] if form.model_id in str(op)]
    assert len(shown) == 1
    screen.transcript.remove("q")
    await screen.until(len(screen.sent) + 1)
    assert screen.sent[-1]["ops"][-1][2] == {"form": ""}
    await screen.transcript.finish()
    for model in (form, form.layout, form.style):
        model.close()


async def test_the_end_leaves_no_widget(models: dict[str, Any]) -> None:
    before = len(models)
    for _ in range(20):
        screen, tell = Screen(), Teller()
        await screen.transcript.on_event(tell(ev.AgentChoice, content="Some *text*"))
        data = await screen.transcript.finish()
        assert set(data) == {"text/html", "text/markdown", "text/plain"}
        assert "<em>text</em>" in data["text/html"]
        assert len(models) == before


async def test_the_static_output_is_shown_before_the_models_close(models: dict[str, Any]) -> None:
    screen, tell = Screen(), Teller()
    await screen.transcript.on_event(tell(ev.AgentChoice, content="text"))
    seen: list[bool] = []
    await screen.transcript.finish(lambda data: seen.append(screen.transcript.widget.comm is not None))
    assert seen == [True]
    assert screen.transcript.widget.comm is None
    await screen.transcript.finish()


async def test_events_after_the_end_change_nothing_and_raise_nothing(models: dict[str, Any]) -> None:
    screen, tell = Screen(), Teller()
    await screen.transcript.finish()
    count = len(screen.sent)
    await screen.transcript.on_event(tell(ev.AgentChoice, content="late"))
    await screen.transcript.on_event(tell(ev.StreamStopped, reason="cancelled"))
    assert len(screen.sent) == count


async def test_the_widgets_state_is_small_and_holds_no_text(models: dict[str, Any]) -> None:
    screen, tell = Screen(), Teller()
    await screen.transcript.on_event(tell(ev.AgentChoice, content="secret words " * 1000))
    await screen.until(1)
    state = {
        name: value for name, value in screen.transcript.widget.get_state().items() if name not in ("_esm", "_css")
    }
    assert len(str(state)) < 1000
    assert "secret words" not in str(screen.transcript.widget.get_state())
    assert len(str(screen.transcript.widget.get_state())) < 64_000
    screen.transcript.close()


async def test_notes_of_the_notebook_are_shown(models: dict[str, Any]) -> None:
    screen = Screen()
    screen.transcript.note("4 messages of the earlier run were left for a branch.")
    await screen.until(1)
    assert "left for a branch" in str(screen.sent)
    assert "left for a branch" in screen.transcript.bundle()["text/plain"]
    screen.transcript.close()
