"""A hundred streams of every kind, cut short, nested, erroring and sound, leave nothing behind.

The long form, which measures memory too, is a benchmark: `tests/benchmarks/soak.py`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from nbagent.events import StreamStarted, StreamStopped, read_jsonl
from tests.benchmarks.soak import Held, Soak, interrupts, settled, soaked

pytestmark = pytest.mark.anyio

STREAMS = 100


async def test_a_hundred_streams_leave_no_task_thread_file_or_child_and_each_ends_once(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    before, soak = Held.now(), Soak(file)
    with interrupts():
        assert await soaked(STREAMS, soak) == []
    assert (await settled(before)).more_than(before) == ""
    fifth = STREAMS // 5
    assert soak.counting.reasons == {
        "completed": 4 * fifth,  # a nested one is two
        "error": fifth,
        "interrupted": fifth // 2,
        "cancelled": fifth // 2,
    }
    events = list(read_jsonl(file))
    begun = [event.stream_id for event in events if isinstance(event, StreamStarted)]
    ended = [event.stream_id for event in events if isinstance(event, StreamStopped)]
    assert len(begun) == len(set(begun)) == 6 * fifth
    assert Counter(begun) == Counter(ended)
