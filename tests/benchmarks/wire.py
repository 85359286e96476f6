"""What a transcript costs on the wire: bytes and messages on IOPub, counted as whole raw frames of a real kernel.

A cell feeds deltas of four characters of markdown through a live transcript; a bare ZMQ socket counts what the kernel
publishes from the cell's busy to its idle: headers, signatures, the widget's opening, patches, and the static output at
the end. Beside it a peer: one `display(Markdown)` handle, updated at each delta, which is quadratic.

    python tests/benchmarks/wire.py            # the table
    python tests/benchmarks/wire.py --check    # fails beyond the promised bounds
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

TEXT = """
import asyncio, time
PARAGRAPH = '''## Findings of week {n}

The **ledger** agrees with `bank.csv` in all but two rows; see [the report](https://example.com/r/{n}).

- row {n} differs by *EUR 4.50*
- row {n}7 has no date, so it was left out

| week | rows | sum |
|------|-----:|----:|
| {n} | 214 | 9,871.20 |

```python
rows = ledger.loc[ledger.week == {n}]
print(rows.amount.sum())
```

'''
def deltas(count):
    text = "".join(PARAGRAPH.replace("{n}", str(n)) for n in range(count * 4 // 300 + 2))
    return [text[i : i + 4] for i in range(0, count * 4, 4)]
"""

OURS = """
from nbagent import events as ev
from nbagent.widgets.transcript import Transcript
from IPython.display import display

async def run(count, pause, keep):
    about = dict(session_id="s", agent_name="a", stream_id="t")
    transcript = Transcript(on_stop=lambda: None)
    handle = display(transcript.widget, display_id=True)
    seq = 1
    async def emit(cls, **fields):
        nonlocal seq
        await transcript.on_event(cls(seq=seq, timestamp=time.time(), **about, **fields))
        seq += 1
    await emit(ev.StreamStarted)
    await emit(ev.UserMessage, content="Check the ledger")
    for delta in deltas(count):
        await emit(ev.AgentChoice, content=delta)
        await asyncio.sleep(pause)
    await emit(ev.StreamStopped, reason="completed")
    await transcript.finish((lambda bundle: handle.update(bundle, raw=True)) if keep else None)
"""

PEER = """
from IPython.display import Markdown, display

async def run(count, pause, keep):
    handle = display(Markdown(""), display_id=True)
    text = ""
    for delta in deltas(count):
        text += delta
        handle.update(Markdown(text))
        await asyncio.sleep(pause)
"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one cell published: `size` bytes in `messages` messages over `seconds`, for `text` bytes of text."""

    text: int
    size: int
    messages: int
    seconds: float

    @property
    def factor(self) -> float:
        """Bytes on the wire for each byte of text."""
        return self.size / self.text


@contextmanager
def kernel() -> Generator[tuple[BlockingKernelClient, zmq.Socket[bytes], Any]]:
    """A kernel, a client for its shell channel and a bare socket on its IOPub channel."""
    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    context = zmq.Context()
    tap = context.socket(zmq.SUB)
    try:
        tap.setsockopt(zmq.RCVHWM, 0)
        tap.setsockopt(zmq.SUBSCRIBE, b"")
        tap.connect(f"tcp://{manager.ip}:{manager.iopub_port}")
        client.start_channels()
        client.wait_for_ready(timeout=60)
        yield client, tap, client.session
    finally:
        client.stop_channels()
        tap.close(0)
        context.term()
        manager.shutdown_kernel(now=True)


def measure(source: str, count: int, pause: float = 0.0, keep: bool = False, bound: float = 300.0) -> Traffic:
    """Run one cell in a fresh kernel and count what it publishes."""
    with kernel() as (client, tap, session):
        client.execute_interactive(TEXT + source, timeout=60)
        _drain(tap, session, None, bound)
        began = time.monotonic()
        asked = client.execute(f"await run({count}, {pause}, {keep})")
        size, messages = _drain(tap, session, asked, bound)
        reply = client.get_shell_msg(timeout=bound)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"].get("traceback", [])))
        return Traffic(4 * count, size, messages, time.monotonic() - began)


def _drain(tap: zmq.Socket[bytes], session: Any, asked: str | None, bound: float) -> tuple[int, int]:
    """Count frames until the idle of the request `asked` (of any, where None); every frame counts, the topic too."""
    size = messages = 0
    deadline = time.monotonic() + bound
    while tap.poll(int(max(deadline - time.monotonic(), 0) * 1000)):
        frames = tap.recv_multipart()
        size += sum(map(len, frames))
        messages += 1
        start = frames.index(b"<IDS|MSG>") + 2
        header, parent, content = (session.unpack(frames[i]) for i in (start, start + 1, start + 3))
        idle = header["msg_type"] == "status" and content["execution_state"] == "idle"
        if idle and parent.get("msg_type") == "execute_request" and asked in (None, parent.get("msg_id")):
            return size, messages
    raise TimeoutError("the kernel did not become idle")


def row(name: str, count: int, traffic: Traffic) -> str:
    """A line of the table."""
    return (
        f"{name:38} {count:>7,} {traffic.text / 1e3:>8.0f} {traffic.size / 1e3:>9.0f} {traffic.factor:>7.2f}"
        f" {traffic.messages:>8} {traffic.messages / traffic.seconds:>6.0f} {traffic.seconds:>6.1f}"
    )


def main(check: bool) -> int:
    """Print the table; with `check`, 1 beyond the bounds."""
    print(f"{'':38} {'deltas':>7} {'text kB':>8} {'wire kB':>9} {'factor':>7} {'messages':>8} {'a s':>6} {'s':>6}")
    live = {count: measure(OURS, count) for count in (4_000, 16_000)}
    for count, traffic in live.items():
        print(row("transcript, live", count, traffic), flush=True)
    print(row("the same, and the output that is kept", 16_000, measure(OURS, 16_000, keep=True)), flush=True)
    print(row("transcript, live, 400 deltas a second", 4_000, measure(OURS, 4_000, pause=0.0025)), flush=True)
    for count in (250, 1_000):
        print(row("display(Markdown), updated", count, measure(PEER, count)), flush=True)
    growth = live[16_000].size / live[4_000].size
    print(f"\nfrom 4,000 to 16,000 deltas: {growth:.2f} times the bytes (bound 4.4); factor at 16,000 bound 4.0")
    return int(check and (growth > 4.4 or live[16_000].factor > 4.0))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
