"""What every test shares: the event loop that async tests run on, and what a skip means.

A test that needs Chromium, Node or another kernel says so by a skip that names the command which brings it. With
NBAGENT_REQUIRE_ALL=1, as in continuous integration, such a skip is a failure: there, everything is to be present.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=os.environ.get("NBAGENT_REQUIRE_ALL") == "1")
settings.load_profile("steady")
"""No test of properties fails by the clock; continuous integration tries the same examples each time."""


def pytest_configure() -> None:
    """Let interrupts come also where a shell started the tests in the background, which ignores the signal for them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as kernels do."""
    return "asyncio"


STARTS_SOMETHING = {"FrontEnd", "NotebookClient", "sync_playwright", "Lab"}
"""Names that a module of tests imports to start kernels and browsers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow whatever starts a kernel or a browser."""
    for item in items:
        starts = isinstance(item, pytest.Function) and STARTS_SOMETHING & vars(item.module).keys()
        if starts or {"front", "fresh", "notebook", "lab", "browser"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where tests run in parallel, each module stays in one process, and all that opens a browser in one and the same.

    Two browsers at once would have each wait for the other, and a kernel serves all tests of its module.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "browser" if nodeid.startswith("tests/browser/") else nodeid.partition("::")[0]

    return ByModule(config, log)


def _require_all() -> bool:
    return os.environ.get("NBAGENT_REQUIRE_ALL") == "1"


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not _require_all():
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{reason}\n(NBAGENT_REQUIRE_ALL=1: nothing may be skipped here)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
