"""What Binder builds, built here and visited: the quickstart in JupyterLab, to a prompt of the visitor's own.

    python -m tests.binder      # about three minutes; exit status 1 where something is not as promised

As repo2docker does, it makes a fresh environment with JupyterLab, Notebook and JupyterHub's single-user server,
installs ``binder/requirements.txt`` from the root of the repository, and runs ``binder/postBuild`` with that
environment first on the path. Then Jupyter starts from it, and a visitor runs the quickstart. Printed: how long it
took, the most memory that the server and all below it held at once, and whom they spoke to beyond loopback, which is to
be nobody.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import psutil
from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import ARGUMENTS
from tests.browser.lab import Lab

ROOT = Path(__file__).parents[1]
MOST = 2_000_000_000
"""Bytes of memory; Binder gives 1 to 2 GB (https://mybinder.readthedocs.io/en/latest/about/user-guidelines.html)."""
BASE = ("jupyterlab==4.*", "notebook==7.*", "jupyterhub==5.*")
"""What repo2docker puts into its environment first (its `environment.yml`)."""
PROMPT = "agent_run --new somebody"


def build(folder: Path) -> Path:
    """The interpreter of the environment that Binder would build."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *BASE], check=True, cwd=ROOT)
    subprocess.run([*install, "-r", "binder/requirements.txt"], check=True, cwd=ROOT)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["binder/postBuild"], check=True, cwd=ROOT, env=os.environ | {"PATH": path})
    return python


class Watch:
    """The memory of a process and all below it, and whom they speak to, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.most = 0
        self.outside: set[str] = set()
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            held = 0
            try:
                server = psutil.Process(self._pid)
                for process in (server, *server.children(recursive=True)):
                    held += process.memory_info().rss
                    far = (one.raddr.ip for one in process.net_connections("inet") if one.raddr)
                    self.outside |= {ip for ip in far if not ip.startswith("127.") and ip != "::1"}
            except psutil.NoSuchProcess:
                continue
            self.most = max(self.most, held)


def visit(lab: Lab) -> None:
    """Run every cell of the quickstart, fill in its form, and put a prompt of one's own to the small model."""
    path = lab.notebooks / "00_quickstart.ipynb"
    shutil.copy(ROOT / "notebooks" / path.name, path)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1100, "height": 1400})
        notebook = lab.open(page, path)
        for index, cell in enumerate(nbformat.read(path, as_version=4).cells):
            if cell.cell_type != "code":
                continue
            source = cell.source
            notebook.start(index)
            if "picnic for Saturday" in source:
                form = notebook.output(index)
                form.get_by_label("Name on the sign").fill("A visitor")
                form.get_by_role("button", name="Submit").click()
            number = notebook.cell(index).locator(".jp-InputPrompt").first
            expect(number).to_have_text(re.compile(r"\[\d+\]:"), timeout=90_000)
            if PROMPT in source:
                expect(notebook.output(index)).to_contain_text("local", timeout=90_000)
                said = notebook.output(index).inner_text()
                print("the small model said:", " ".join(said.split())[-300:])
                assert re.search(r"local · \d+ in · \d+ out", said), said
            elif "picnic for Saturday" in source:
                expect(notebook.output(index)).to_contain_text("A visitor")
        page.screenshot(path=ROOT / "build" / "screens" / "binder.png")
        browser.close()


def main() -> int:
    """Build, visit, print."""
    began = time.monotonic()
    python = build(ROOT / "build" / "binder")
    print(f"built in {time.monotonic() - began:.0f} s")
    (ROOT / "build" / "screens").mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), python=str(python)) as lab, Watch(lab.pid) as watch:
        visit(lab)
    took, most = time.monotonic() - began, watch.most / 1e6
    print(f"visited in {took:.0f} s; at most {most:.0f} MB of memory at once (Binder gives {MOST / 1e6:.0f})")
    if watch.outside:
        print(f"spoke to {', '.join(sorted(watch.outside))}")
    return int(watch.most > MOST or bool(watch.outside))


if __name__ == "__main__":
    sys.exit(main())
