"""K3 in real kernels: the interrupt comes at a moment that nobody chose, a hundred times and more on each."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.kernel.environments import kernels
from tests.kernel.frontend import Execution, FrontEnd
from tests.notebook.conftest import NOTHING, SETUP, WARM, result, value

SEED = int(os.environ.get("NBAGENT_SEED", "20250612"))
TIMES = 108
LATEST = 0.4
"""Seconds after the cell's first output within which it is interrupted."""

AGENTS = """
@nbagent.tool(main_thread=True)
def spin() -> str:
    while True:
        print("spinning")

def hook(context):
    while True:
        pass

async def async_hook(context):
    await asyncio.sleep(60)

async def nest() -> str:
    async with Runtime(agent("inner", "word " * 3000, delay=0.01)).run_stream(Session(), "go") as stream:
        return str([event async for event in stream])

def calling(name, tool, **options):
    return Agent(name, model=ScriptedModel([ToolCall(tool.__name__, {})] * 50), tools=[tool], **options)

agents = [asking, writer, sleeper, sync_sleeper, calling("spinning", spin), calling("nesting", nest),
          calling("hooked", spin, hooks={"pre_tool_use": hook}), calling("hooked_async", spin,
          hooks={"user_prompt_submit": async_hook}), agent("asking_twice", *[ToolCall("ask_two", {})] * 50)]
runtimes = [Runtime(agent) for agent in agents]
"""
COUNT = 9

AWAITED = "runtime = runtimes[{n}]\nprint('go', flush=True)\n%agent_run -n runtime go\nprint('never')"
REENTERED = (
    "runtime = runtimes[{n}]\ndef f():\n    %agent_run -n runtime go\n    print('never')\nprint('go', flush=True)\nf()"
)

LEFT = "owned(), [(r.bridge.live, r.bridge.pending) for r in runtimes if r.bridge.live or r.bridge.pending]"


@pytest.fixture(scope="module", params=kernels(("6.29.5",)))
def front(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    with FrontEnd(request.param) as front:
        for code in (SETUP, WARM, AGENTS):
            assert front.run(code, timeout=60).status == "ok"
        yield front


def interrupted(front: FrontEnd, code: str, delay: float) -> Execution:
    """Execute the cell and interrupt it once, `delay` seconds after its first output."""
    cell = front.execute(code, "a")
    front.wait_for(lambda: "go" in cell.text)
    front.take_until(time.monotonic() + delay)
    front.interrupt()
    return front.finish(cell)


@pytest.mark.timeout(600)
def test_k3_an_interrupt_at_a_random_moment_ends_the_cell_and_leaves_nothing(front: FrontEnd) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    ended = Counter[str]()
    for n in range(TIMES):
        code = (AWAITED, REENTERED)[n // COUNT % 2].format(n=n % COUNT)
        cell = interrupted(front, code, chance.uniform(0, LATEST))
        ended[cell.error] += 1
        assert cell.error == "KeyboardInterrupt", (n, code, cell.reply)
        assert "never" not in cell.text, (n, code)
        assert value(front, LEFT) == f"({NOTHING}, [])", (n, code)
        assert result(front.run("x = %agent_run -n helper hi\nx.text")) == ["'Hello **you**.'"], (n, code)
    assert ended == {"KeyboardInterrupt": TIMES}
