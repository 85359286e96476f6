"""A real JupyterLab, or Notebook 7, in Chromium, driven as a person would: open a notebook, run cells, press buttons.

`Lab` is the server: its own port, token, folder and settings, ended by its process id. `Notebook` is one open notebook
in a page: cells by index, the kernel's state as the toolbar shows it, and what was saved to the disk. Every wait is
bounded by Playwright's timeout, and none is a sleep.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Page, expect

from tests.servers import free_port

SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "apputils-extension/themes": {"theme": "JupyterLab Light"},
    "completer-extension/inline-completer": {"providers": {}},
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
SESSIONS = """
    const {baseUrl, token} = JSON.parse(document.getElementById('jupyter-config-data').textContent);
    const headers = {Authorization: `token ${token}`};
    const all = await (await fetch(`${baseUrl}api/sessions`, {headers})).json();
    const sessions = all.filter(({path}) => location.pathname.endsWith(path));"""
"""JavaScript: the sessions of the notebook in front, as `sessions`."""

CONNECTED = "sessions.length == 1 && sessions[0].kernel.connections > 0 && sessions[0].kernel.execution_state == 'idle'"
"""JavaScript: whether the page has reached the notebook's kernel, which has nothing to do."""

KERNELSPEC = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


@dataclass
class Lab:
    """A server of its own, of JupyterLab or Notebook 7; a context manager.

    Parameters
    ----------
    folder
        Where its settings and its notebooks live.
    theme
        The name of the theme.
    app
        ``jupyterlab`` or ``notebook``: the module that serves the pages.
    python
        The interpreter of the environment that it is in.
    port
        Set when it runs: one that was free.
    """

    folder: Path
    theme: str = "JupyterLab Light"
    app: str = "jupyterlab"
    python: str = sys.executable
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    log: list[str] = field(default_factory=list[str])

    @property
    def notebooks(self) -> Path:
        """The folder that the server shows."""
        return self.folder / "notebooks"

    def _configure(self) -> dict[str, str]:
        settings = self.folder / "settings"
        for name, values in SETTINGS.items():
            path = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values | ({"theme": self.theme} if "theme" in values else {})))
        self.notebooks.mkdir()
        places = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "run"}
        own = {f"JUPYTER_{name}": str(self.folder / place) for name, place in places.items()}
        lab = {"JUPYTERLAB_SETTINGS_DIR": str(settings), "JUPYTERLAB_WORKSPACES_DIR": str(self.folder / "workspaces")}
        return os.environ | own | lab | {"IPYTHONDIR": str(self.folder / "ipython"), "PYTHONWARNINGS": "default"}

    def __enter__(self) -> Lab:
        options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--ServerApp.port={free_port()}"]
        options += ["--LabApp.expose_app_in_browser=True"] if self.app == "jupyterlab" else []
        options += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.notebooks}"]
        self._process = subprocess.Popen(
            [self.python, "-m", self.app, *options],
            env=self._configure(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(running,), daemon=True)
        self._reader.start()
        if not running.wait(60) or not self.port:
            self.__exit__()
            raise RuntimeError(f"{self.app} did not start:\n" + "".join(self.log[-20:]))
        self._listens()
        return self

    def _listens(self) -> None:
        """Wait until it does: it tells its address before."""
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)  # there is no event to wait for

    def _read(self, running: threading.Event) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.log.append(line)
                if found := re.search(r"http://127\.0\.0\.1:(\d+)/(lab|tree)", line):
                    self.port = int(found[1])
                    running.set()
        running.set()

    def __exit__(self, *_: object) -> None:
        server = psutil.Process(self._process.pid)
        family = [server, *server.children(recursive=True)]
        self._process.terminate()
        psutil.wait_procs([server], timeout=15)
        for process in psutil.wait_procs(family, timeout=5)[1]:
            process.kill()
        self._process.wait(5)
        self._reader.join(5)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def write(self, name: str, cells: Sequence[str]) -> Path:
        """A new notebook of code cells."""
        path = self.notebooks / name
        notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"kernelspec": KERNELSPEC})
        nbformat.write(notebook, path)
        return path

    def open(self, page: Page, path: Path) -> Notebook:
        """Open the notebook at `path` in `page`, and wait for its kernel."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.app} ended ({self._process.returncode}):\n" + "".join(self.log[-30:]))
        notebook = self.visit(page, path)
        # The toolbar's sign says "idle" before there is a connection.
        if self.app == "jupyterlab":
            expect(page.locator("#jp-main-statusbar")).to_contain_text("(ipykernel) | Idle", timeout=60_000)
        else:
            page.wait_for_function(f"async () => {{ {SESSIONS} return {CONNECTED}; }}", timeout=60_000)
        notebook.wait_idle()
        return notebook

    def visit(self, page: Page, path: Path, workspace: str = "") -> Notebook:
        """Open the notebook at `path` in `page`, whatever its kernel is doing; a second page has its own workspace."""
        name = path.relative_to(self.notebooks).as_posix()
        pages = {
            "jupyterlab": f"lab/workspaces/{path.stem}{workspace}/tree/{name}?reset&token={self.token}",
            "notebook": f"notebooks/{name}?token={self.token}",
        }
        page.goto(f"http://127.0.0.1:{self.port}/{pages[self.app]}")
        return Notebook(page, path)


@dataclass
class Notebook:
    """A notebook that is open in a page."""

    page: Page
    path: Path

    @property
    def panel(self) -> Locator:
        """The panel in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def cell(self, index: int) -> Locator:
        """The cell at `index`."""
        return self.panel.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """All that the cell at `index` shows below its input."""
        return self.cell(index).locator(".jp-Cell-outputWrapper")

    def _status(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-ExecutionIndicator")

    def wait_idle(self, timeout: float = 60) -> None:
        """Wait until the toolbar says that the kernel is idle, `timeout` seconds at most."""
        expect(self._status()).to_have_attribute("data-status", "idle", timeout=timeout * 1000)

    def wait_busy(self) -> None:
        """Wait until the toolbar says that the kernel is busy."""
        expect(self._status()).to_have_attribute("data-status", "busy", timeout=20_000)

    def start(self, index: int) -> None:
        """Run the cell at `index` as a person does, and do not wait for its end.

        The click goes into the code: one on the prompt leaves the focus in a form's field, whose keys are its own.
        """
        prompt = self.cell(index).locator(".jp-InputPrompt").first
        before = prompt.inner_text()
        for _ in range(5):  # a page that is still being put together takes no notice of the keys
            self.cell(index).locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            if before == "[*]:":
                return
            with contextlib.suppress(AssertionError):
                expect(prompt).not_to_have_text(before, timeout=3000)
                return
        raise AssertionError(f"the cell {index} did not begin to run")

    def run(self, index: int, timeout: float = 60) -> None:
        """Run the cell at `index` and wait until it has a number again."""
        self.start(index)
        prompt = self.cell(index).locator(".jp-InputPrompt").first
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=timeout * 1000)
        self.wait_idle(timeout)

    def show(self, index: int) -> None:
        """Scroll so that the cell at `index` begins at the top."""
        self.cell(index).evaluate("cell => cell.scrollIntoView({block: 'start'})")

    def interrupt(self) -> None:
        """Press the toolbar's stop button."""
        self.panel.locator('.jp-Toolbar-item[data-jp-item-name="interrupt"]').click()

    def restart(self) -> None:
        """Press the toolbar's button that restarts the kernel, and say yes."""
        self.panel.locator('.jp-Toolbar-item[data-jp-item-name="restart"]').click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()

    def save(self) -> nbformat.NotebookNode:
        """Save, wait until that is done, and read what is on the disk."""
        with self.page.expect_response(lambda answer: answer.request.method == "PUT" and "/contents/" in answer.url):
            self.panel.locator('.jp-Toolbar-item[data-jp-item-name="save"]').click()
        return nbformat.read(self.path, as_version=4)

    def expect_kernel_state(self, state: str) -> None:
        """Wait until the server takes this notebook's kernel to be in that state; it ends idle ones where it culls.

        A message for a widget makes it idle for a moment, until the kernel has told again what it is.
        """
        told = f"async () => {{ {SESSIONS} return sessions[0].kernel.execution_state === '{state}'; }}"
        self.page.wait_for_function(told, polling=100)

    def wear(self, theme: str) -> None:
        """Change JupyterLab's theme, of the page and of every page after it."""
        command = "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})"
        self.page.evaluate(command, theme)
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)  # which covers the page meanwhile

    def close_kernel(self) -> None:
        """Shut the kernel down, as closing the notebook for good does."""
        remove = "await fetch(`${baseUrl}api/sessions/${sessions[0].id}`, {method: 'DELETE', headers});"
        self.page.evaluate(f"async () => {{ {SESSIONS} {remove} }}")
