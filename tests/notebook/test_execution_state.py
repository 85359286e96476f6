"""K2 as a server sees it: the kernel is busy for as long as a form waits, however much is typed into it.

A server that takes such a kernel for idle may cull it, and its REST interface tells every page so. This is a real
`jupyter_server` on loopback, and the front end of the tests joined to the kernel that it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.kernel.environments import kernels
from tests.kernel.frontend import ROOT, TIMEOUT, FrontEnd
from tests.notebook.conftest import SETUP, WARM, result

STEADY = 0.3
"""Seconds for which the server has to say the same: a comm message's own idle passes, a wrong one would stay."""


class Server:
    """A Jupyter server of its own, whose one kernel spec is the interpreter to test; a context manager."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self._python = python
        self._token = secrets.token_hex(8)
        self._url = ""

    def __enter__(self) -> Server:
        spec = {"argv": [self._python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}
        kernel = self.folder / "data" / "kernels" / "tested" / "kernel.json"
        kernel.parent.mkdir(parents=True)
        kernel.write_text(json.dumps({**spec, "display_name": "Tested"}))
        places = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "run"}
        own = {f"JUPYTER_{name}": str(self.folder / place) for name, place in places.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
             f"--IdentityProvider.token={self._token}", f"--ServerApp.root_dir={self.folder}"],
            env=os.environ | own | {"IPYTHONDIR": str(self.folder / "ipython"), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._wait_for_address()
        return self

    def _wait_for_address(self) -> None:
        """The server writes its address to a file, when it listens."""
        deadline = time.monotonic() + 60
        told = self.folder / "run" / f"jpserver-{self._process.pid}.json"
        while time.monotonic() < deadline and self._process.poll() is None:
            if told.exists() and (found := re.search(r'"url": "(http://127[^"]+)"', told.read_text())):
                self._url = found[1]
                with contextlib.suppress(OSError):  # it listens a moment later
                    self.ask("status")
                    return
            time.sleep(0.05)  # there is no event to wait for: a file appears
        self.__exit__()
        raise RuntimeError("jupyter_server did not start")

    def __exit__(self, *_: object) -> None:
        processes = [*psutil.Process(self._process.pid).children(recursive=True), psutil.Process(self._process.pid)]
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            for process in processes:
                process.kill()
            self._process.wait(TIMEOUT)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the REST interface."""
        headers = {"Authorization": f"token {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}api/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
            return json.load(reply)


class Joined(FrontEnd):
    """The front end, on a kernel that a server has started and goes on watching."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.kernel_id: str = server.ask("kernels", {"name": "tested"})["id"]
        super().__init__()

    def _start(self) -> None:
        file = self.server.folder / "run" / f"kernel-{self.kernel_id}.json"
        self.client = BlockingKernelClient(connection_file=str(file))  # pyright: ignore
        self.client.load_connection_file()
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(timeout=60)
        self._join()

    def shutdown(self, *, now: bool = False) -> None:
        """Leave; the kernel is the server's to end."""
        self.client.stop_channels()
        self.client.context.destroy(linger=0)
        self._home.cleanup()

    @property
    def alive(self) -> bool:
        """Whether the server has not given it up."""
        return self.state() != "dead"

    def state(self) -> str:
        """What the server takes the kernel for."""
        return self.server.ask(f"kernels/{self.kernel_id}")["execution_state"]

    def settles_on(self, state: str) -> bool:
        """Whether the server comes to say that, and goes on saying it."""
        deadline = time.monotonic() + TIMEOUT
        since = time.monotonic()
        while time.monotonic() < deadline:
            self.drain()
            if self.state() != state:
                since = time.monotonic()
            elif time.monotonic() - since > STEADY:
                return True
        return False


@pytest.fixture(scope="module", params=kernels())
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests of one interpreter: it takes seconds to start."""
    with Server(tmp_path_factory.mktemp("server"), request.param) as server:
        yield server


@pytest.fixture
def joined(server: Server) -> Iterator[Joined]:
    """A notebook on a kernel that a server watches."""
    with Joined(server) as front:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        yield front


@pytest.mark.parametrize("subshell", [False, True])
@pytest.mark.parametrize("way", ["awaited", "re-entered"])
def test_k2_the_server_takes_the_kernel_for_busy_while_a_form_waits(joined: Joined, way: str, subshell: bool) -> None:
    over_subshell = subshell and joined.has_subshells  # where there are none, this is the main shell once more
    assert joined.settles_on("idle")
    call = "x = %agent_run -n asking go"
    code = call if way == "awaited" else f"def f():\n    {call}\n    return x\nx = f()"
    joined.subshell_for_comms = joined.create_subshell() if over_subshell else None
    cell = joined.execute(code, "form")
    city, submit = joined.widget(description="City", name="TextModel"), joined.widget(description="Submit")
    joined.wait_for(lambda: submit.state["disabled"])
    assert joined.settles_on("busy")
    for key in "Bergen":
        joined.type(city, key)
        joined.settle(city)
        assert joined.settles_on("busy")
    joined.wait_for(lambda: not submit.state["disabled"])
    joined.click(submit)
    joined.finish(cell)
    assert joined.settles_on("idle")
    assert result(joined.run("x.text")) == ["\"accept {'city': 'Bergen'} \""]
