"""The cells that are measured: how nbagent, and each of its peers, shows a text that comes in pieces.

Each defines ``async def shown(pieces)``, where `pieces` is an async iterator at a given pace; `FRAME` runs it and keeps
the kernel's CPU seconds and the instant of the first piece. Above: `wire`, which puts them into real kernels.
"""

from __future__ import annotations

FRAME = """
import asyncio, time
from IPython.display import display, Markdown
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

def text_of(count, kind):
    size = 4 * count
    if kind == "code":
        return "```python\\n" + "rows = ledger.loc[ledger.week == 7]\\n" * (size // 36) + "```\\n"
    return "".join(PARAGRAPH.replace("{n}", str(n)) for n in range(size // 300 + 2))[:size]

async def paced(text, rate):
    global first
    began = time.perf_counter()
    first = time.time()
    for n, i in enumerate(range(0, len(text), 4)):
        yield text[i : i + 4]
        await asyncio.sleep(max(began + n / rate - time.perf_counter(), 0) if rate else 0)

async def run(count, kind, rate, keep):
    global cpu, seconds, text
    text = text_of(count, kind)
    began, worked = time.perf_counter(), time.process_time()
    await shown(paced(text, rate), keep)
    cpu, seconds = time.process_time() - worked, time.perf_counter() - began
"""
"""What every cell shares."""

NBAGENT = """
from nbagent import events as ev
from nbagent.widgets.transcript import Transcript

async def shown(pieces, keep):
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
    async for piece in pieces:
        await emit(ev.AgentChoice, content=piece)
    await emit(ev.StreamStopped, reason="completed")
    await transcript.finish((lambda bundle: handle.update(bundle, raw=True)) if keep else None)
"""

CHATLAS = """
from chatlas._display import EchoDisplayOptions, IPyMarkdownDisplay
options = EchoDisplayOptions(
    rich_markdown={}, rich_console={}, css_styles={}, tool_result_max_lines=20, tool_result_max_height=None,
    thinking_max_lines=10, web_activity_max_sources=4, image_max_lines=16)

async def shown(pieces, keep):
    with IPyMarkdownDisplay(options) as screen:
        async for piece in pieces:
            screen.echo(piece)
"""

MARKDOWN = """
async def shown(pieces, keep):
    handle, text = display(Markdown(""), display_id=True), ""
    async for piece in pieces:
        text += piece
        handle.update(Markdown(text))
"""

HTML = """
import html, ipywidgets

async def shown(pieces, keep):
    display(widget := ipywidgets.HTML())
    async for piece in pieces:
        widget.value += html.escape(piece)
"""

RICH = """
import rich.live, rich.markdown

async def shown(pieces, keep):
    text = ""
    with rich.live.Live() as live:
        async for piece in pieces:
            text += piece
            live.update(rich.markdown.Markdown(text))
"""

SUBJECTS = {
    "nbagent": NBAGENT,
    "chatlas' notebook display": CHATLAS,
    "display(Markdown) update": MARKDOWN,
    "ipywidgets.HTML value": HTML,
    "rich.live.Live": RICH,
}

FORM = """
import json, time
from pathlib import Path
from IPython.display import display
from nbagent.events import ElicitationRequest
from nbagent.widgets.forms import ElicitationForm
schema = json.loads(Path({schema!r}).read_text())

async def run(*ignored):
    global cpu, seconds, first, text, form
    text, first = "", time.time()
    request = ElicitationRequest(
        session_id="s", agent_name="a", stream_id="t", seq=1, timestamp=0.0, id="ask", message="What?", schema=schema)
    began, worked = time.perf_counter(), time.process_time()
    form = ElicitationForm(request, lambda action, content: None)
    display(form.widget)
    cpu, seconds = time.process_time() - worked, time.perf_counter() - began
"""
"""The creation of a form; `schema` is the path of its schema."""
