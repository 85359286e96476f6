"""JupyterLab and Chromium for the tests in this folder.

The server is shared by all; Playwright is started anew for each module, since its synchronous API keeps an event loop
running in this thread and async tests elsewhere could not start theirs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser.lab import Lab

expect.set_options(timeout=20_000)

SCREENS = Path(__file__).parents[2] / "build" / "screens"
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab server in the light theme."""
    with Lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def dark_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab server in the dark theme."""
    with Lab(tmp_path_factory.mktemp("dark"), theme="JupyterLab Dark") as server:
        yield server


@pytest.fixture(scope="session")
def notebook_7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A Notebook 7 server."""
    with Lab(tmp_path_factory.mktemp("notebook7"), app="notebook") as server:
        yield server


@pytest.fixture(params=["lab", "notebook_7"])
def either(request: pytest.FixtureRequest) -> Lab:
    """The server of each front end in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is missing: make test-deps")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        SCREENS.mkdir(parents=True, exist_ok=True)
        yield browser
        browser.close()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def scale() -> float:
    """Pixels of the screen in a pixel of the page."""
    return 1


@pytest.fixture
def page(browser: Browser, scale: float, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own, 1100 x 1400 pixels; where the test fails, a picture of it is kept."""
    context = browser.new_context(viewport={"width": 1100, "height": 1400}, device_scale_factor=scale)
    context.set_default_timeout(30_000)
    page = context.new_page()
    yield page
    if request.node.stash.get(FAILED, False):
        page.screenshot(path=SCREENS / f"failed-{request.node.name}.png")
    context.close()


@pytest.fixture
def shot() -> Callable[[Page | Locator, str], Path]:
    """Keeps a picture of a page, or of a part of it, under ``build/screens``."""

    def take(part: Page | Locator, name: str) -> Path:
        path = SCREENS / f"{name}.png"
        part.screenshot(path=path)
        return path

    return take
