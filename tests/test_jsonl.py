"""A recorded run: every event in order, durable, replayable, and no harm to the stream whatever becomes of the file."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbagent
from nbagent.events import EVENTS, Event, JsonlRecorder, StreamStopped, ToolCallOutput, from_dict, jsonl, read_jsonl
from nbagent.models import ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.runtime.support import StalledModel, assert_whole, events_of, scripted, until

pytestmark = pytest.mark.anyio

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field; of a mapping whatever JSON can say."""
    if "Mapping" in str(hint):
        mapping = st.dictionaries(st.text(), json_values, max_size=3)
        if str(hint).startswith("tuple"):
            return st.lists(mapping, max_size=2).map(tuple)
        return mapping if "None" not in str(hint) else mapping | st.none()
    if "float" in str(hint):  # infinity comes back; what is no number is never equal to itself
        return st.floats(allow_nan=False) | (st.none() if "None" in str(hint) else st.nothing())
    return st.from_type(hint)


@st.composite
def recorded(draw: st.DrawFn) -> Event:
    """Any event."""
    cls = draw(st.sampled_from(list(EVENTS.values())))
    hints = get_type_hints(cls)
    return cls(**{field.name: draw(strategy(hints[field.name])) for field in dataclasses.fields(cls)})


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(recorded(), max_size=5))
def test_what_is_read_is_what_was_recorded(events: list[Event]) -> None:
    lines = [event.to_json() for event in events]
    assert all("\n" not in line for line in lines)
    assert [from_dict(json.loads(line)) for line in lines] == events


def output(value: Any) -> ToolCallOutput:
    """An event with a value of a display's bundle."""
    return ToolCallOutput(
        session_id="s", agent_name="a", stream_id="t", seq=1, timestamp=1.0, tool_call_id="c", data={"value": value}
    )


class Unspeakable:
    """Says nothing of itself."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def cycle() -> list[Any]:
    """A list in itself."""
    found: list[Any] = []
    found.append(found)
    return found


def well() -> list[Any]:
    """A list deeper than Python's stack."""
    found: list[Any] = []
    for _ in range(20_000):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"\x00\xff", str(b"\x00\xff")),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ({1}, [1]),
        (10**5000, f"a number of {(10**5000).bit_length()} bits"),
        ("half a pair \ud83d", "half a pair \ud83d"),
        (MappingProxyType({"a": (1, 2)}), {"a": [1, 2]}),
        ({("a", 1): 2, 3: 4}, {"('a', 1)": 2, "3": 4}),
        (Path("/tmp/x"), "/tmp/x"),
        (Unspeakable(), "<Unspeakable>"),
    ],
    ids=["bytes", "nan", "infinity", "set", "huge", "surrogate", "mapping", "keys", "object", "unspeakable"],
)
def test_what_json_has_no_word_for_is_described(value: Any, told: Any) -> None:
    def strict(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    line = output(value).to_json()
    line.encode()
    assert json.loads(line, parse_constant=strict)["data"] == {"value": told}


@pytest.mark.parametrize("value", [cycle(), well()], ids=["cycle", "deep"])
def test_what_has_no_end_is_cut(value: Any) -> None:
    line = output(value).to_json()
    assert "\\u2026" in line and len(line) < 1000
    assert isinstance(from_dict(json.loads(line)), ToolCallOutput)


# ---------------------------------------------------------------- a run on disk


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where to record."""
    return tmp_path / "run.jsonl"


@pytest.mark.parametrize("of", ["runtime", "run"])
async def test_a_run_is_in_the_file_when_it_has_ended(file: Path, of: str) -> None:
    recorder = JsonlRecorder(file)
    assert recorder.lossless
    runtime = Runtime(scripted("one two three " * 200), observers=[recorder] if of == "runtime" else [])
    events = await events_of(runtime, observers=[recorder] if of == "run" else [])
    assert list(read_jsonl(file)) == events
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_several_runs_and_nested_ones_are_in_one_file_in_order(file: Path) -> None:
    inner = Runtime(scripted("from within"))

    async def delegate() -> str:
        async with inner.run_stream(Session(), "inner", observers=[JsonlRecorder(file)]) as stream:
            return "".join([event.type async for event in stream])

    runtime = Runtime(scripted(ToolCall("delegate"), "done", tools=[delegate]), observers=[JsonlRecorder(file)])
    outer = [await events_of(runtime), await events_of(runtime)]
    found = list(read_jsonl(file))
    by_stream = {id: [event for event in found if event.stream_id == id] for id in {e.stream_id for e in found}}
    assert len(by_stream) == 4
    for events in by_stream.values():
        assert_whole(events)
    assert [by_stream[events[0].stream_id] for events in outer] == outer


async def test_a_nested_stream_is_in_the_file_where_it_happened(file: Path) -> None:
    child = scripted("from the child", name="child")
    lead = scripted(ToolCall("transfer_task", {"agent": "child", "task": "t"}), "done", name="lead", sub_agents=[child])
    async with Runtime(lead, observers=[JsonlRecorder(file)]).run_stream(Session(), "go") as stream:
        events = [event async for event in stream]  # bounded by the test's time: a first transfer imports jsonschema
        await stream.join()
    assert list(read_jsonl(file)) == events
    assert {event.agent_name for event in events} == {"lead", "child"}


async def test_events_are_on_disk_while_the_stream_still_runs(file: Path) -> None:
    model = StalledModel()
    runtime = Runtime(nbagent.Agent("stalled", model=model), observers=[JsonlRecorder(file)])
    async with runtime.run_stream(Session(), "hi") as stream:
        await until(stream, EVENTS["agent_choice"])
        with anyio.fail_after(5):
            while [event.type for event in read_jsonl(file)][-1:] != ["agent_choice"]:
                await anyio.sleep(jsonl.INTERVAL / 10)
        stream.cancel()
        await stream.join()
    assert isinstance(list(read_jsonl(file))[-1], StreamStopped)


async def test_no_thread_and_no_open_file_outlasts_the_run(file: Path) -> None:
    threads, files = set(threading.enumerate()), os.listdir("/dev/fd")
    recorder = JsonlRecorder(file)
    await events_of(Runtime(scripted("hello"), observers=[recorder]))
    for thread in set(threading.enumerate()) - threads:
        thread.join(5)
        assert not thread.is_alive()
    assert os.listdir("/dev/fd") == files


def test_a_file_that_cannot_be_is_an_error_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        JsonlRecorder(tmp_path / "missing" / "run.jsonl")


# ---------------------------------------------------------------- what goes wrong


FULL = """
import logging, resource, signal, sys, nbagent
from nbagent.events import JsonlRecorder
from nbagent.models import ScriptedModel

logging.basicConfig()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
agent = nbagent.Agent("wordy", model=ScriptedModel(["word " * 500]))
result = nbagent.run_sync(agent, "go", observers=[JsonlRecorder(sys.argv[1])])
print(result.reason, len(result.text))
"""


def test_a_full_disk_costs_events_and_leaves_whole_lines(file: Path) -> None:
    """In a process of its own: beyond the limit writing fails in mid-line, also for a test's own output in a file."""
    limit = 3000
    file.write_text(output("x" * (limit - 500)).to_json() + "\n")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(file), str(limit)], timeout=60, check=False, capture_output=True, text=True
    )
    assert done.stdout.split() == ["completed", "2500"], done.stderr
    assert "are lost" in done.stderr
    assert [event.type for event in read_jsonl(file)] == ["tool_call_output"]


async def test_what_comes_after_a_failure_is_recorded_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = file.parent / "away"
    folder.mkdir()
    runtime = Runtime(scripted("one", "two"), observers=[JsonlRecorder(folder / "run.jsonl")])
    session = Session()
    folder.rename(file.parent / "elsewhere")
    first = await events_of(runtime, session)
    folder.mkdir()
    second = await events_of(runtime, session)
    assert list(read_jsonl(folder / "run.jsonl")) == second
    assert f"{len(first)} events were lost" in caplog.text


CRASH = """
import asyncio, os, sys, nbagent
from nbagent.events import JsonlRecorder
from nbagent.models import ScriptedModel, ToolCall

def crash() -> str:
    "End the process at once."
    import time; time.sleep(1)
    os.kill(os.getpid(), 9)

agent = nbagent.Agent("fated", model=ScriptedModel([ToolCall("crash")]), tools=[crash])
nbagent.run_sync(agent, "go", observers=[JsonlRecorder(sys.argv[1])])
"""


def test_a_crash_loses_nothing_that_is_a_second_old(file: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, str(file)], timeout=60, check=False)
    assert done.returncode == -9
    assert [event.type for event in read_jsonl(file)][-1] == "tool_call"


async def test_a_line_that_a_crash_cut_short_is_left_out_and_does_not_hurt_the_next_run(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, cut = output("whole").to_json(), output("cut short").to_json()[:-20]
    file.write_text(f"{whole}\n{cut}")
    assert [event.to_json() for event in read_jsonl(file)] == [whole]
    assert "line 2 was cut short" in caplog.text
    events = await events_of(Runtime(scripted("hello"), observers=[JsonlRecorder(file)]))
    assert [event.to_json() for event in read_jsonl(file)] == [whole, *(event.to_json() for event in events)]


async def test_somebody_elses_last_line_is_kept(file: Path) -> None:
    file.write_text("no newline at the end")
    await events_of(Runtime(scripted("hello"), observers=[JsonlRecorder(file)]))
    assert file.read_text().startswith('no newline at the end\n{"type": "stream_started"')


@pytest.mark.parametrize(
    "bad", ["{", "[]", '{"type": "nope"}', '{"type": "error"}', "\ufffd" * 3, "[" * 200_000, '"' + "\\ud800" + '"']
)
@pytest.mark.parametrize("last", ["", "\n"])
def test_a_line_that_is_no_event_is_an_error_with_its_number(file: Path, bad: str, last: str) -> None:
    whole = output("whole").to_json()
    file.write_text(f"{whole}\n\n{bad}\n{whole}{last}")
    events = read_jsonl(file)
    assert next(events).to_json() == whole
    with pytest.raises(ValueError, match=r"run\.jsonl, line 3: "):
        next(events)


def test_recorders_of_several_threads_do_not_mix_their_lines(file: Path) -> None:
    def record(name: str) -> None:
        agent = scripted(*["word " * 300] * 3, name=name)
        session = Session()
        for _ in range(3):
            nbagent.run_sync(agent, "go", session=session, observers=[JsonlRecorder(file)])

    threads = [threading.Thread(target=record, args=(f"agent{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = list(read_jsonl(file))
    for stream_id in {event.stream_id for event in found}:
        assert_whole([event for event in found if event.stream_id == stream_id])
    assert sum(event.type == "stream_stopped" for event in found) == 9
