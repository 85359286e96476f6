"""The real local model in a real kernel: it speaks in the cell, an interrupt stops it, and it ends with the kernel."""

from __future__ import annotations

import ast
import json
import time
import urllib.request

import psutil
import pytest

from tests.kernel.frontend import FrontEnd
from tests.notebook.conftest import kept

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
pytest.importorskip(
    "xllamacpp",
    reason='pip install "jupyter-nbagent[local]"; on Debian: apt-get install libgomp1',
    exc_type=ImportError,
)
pytest.importorskip("pydantic_ai", reason='pip install "jupyter-nbagent[local]"')

SETUP = """
%load_ext nbagent
from nbagent import Agent
from nbagent.models import ProviderModel, local
friend = Agent("friend", model="local")
writer = Agent("writer", model=ProviderModel("local", temperature=0))
served = local.serve(local.DEFAULT)
(served.url, served.key, served.process.pid)
"""


def generated(url: str, key: str) -> int | None:
    """How many tokens of an answer the server has generated; None: it generates none right now."""
    asked = urllib.request.Request(f"{url}/slots", headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        (slot,) = json.load(answer)
    return slot["next_token"][0]["n_decoded"] if slot["is_processing"] else None


@pytest.mark.timed
def test_an_interrupt_in_mid_stream_stops_the_generation_and_the_server_ends_with_its_kernel() -> None:
    with FrontEnd() as front:
        setup = front.run(SETUP, timeout=120)
        assert setup.status == "ok", setup.reply
        url, key, pid = ast.literal_eval(setup.data("text/plain")[-1])
        server = psutil.Process(pid)
        said = front.run("%agent_run friend Tell me about the sea.", timeout=120)
        assert said.status == "ok" and len(kept(said)["text/markdown"].split()) > 30
        cell = front.execute("%agent_run -n writer Write a long story about the sea.")
        front.wait_for(lambda: (generated(url, key) or 0) > 20, timeout=60)
        pressed = front.interrupt()
        while generated(url, key) is not None:
            time.sleep(0.005)
        took = time.monotonic() - pressed
        front.finish(cell)
        print(f"generation stopped {1000 * took:.0f} ms after the interrupt")
        assert took < 0.25
        assert cell.error == "KeyboardInterrupt" and "Interrupted" in kept(cell)["text/markdown"]
        assert server.is_running()
    server.wait(timeout=10)
