"""A kernel for each module of tests and each interpreter: this one's, and those named in ``NBAGENT_KERNELS``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.environments import kernels
from tests.kernel.frontend import FrontEnd

SETUP = """
import asyncio, signal
%load_ext tests.kernel.rig
from tests.kernel import rig
"""


@pytest.fixture(scope="module", params=kernels())
def front(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    """A notebook on a kernel with the rig loaded."""
    with FrontEnd(request.param) as front:
        assert front.run(SETUP).status == "ok"
        yield front


@pytest.fixture(params=kernels())
def fresh(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    """The same, for a test that leaves its kernel in no state for others."""
    with FrontEnd(request.param) as front:
        assert front.run(SETUP).status == "ok"
        yield front


@pytest.fixture(params=["awaited", "re-entered"])
def ask(request: pytest.FixtureRequest) -> str:
    """A statement that shows the form `Name`, in both ways, and binds its answer to ``x``."""
    if request.param == "awaited":
        return "x = %agent_run form Name"
    return "def ask():\n    x = %agent_run form Name\n    return x\nx = ask()"
