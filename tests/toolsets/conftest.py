"""Servers for the tests of toolsets."""

from __future__ import annotations

import pytest

from tests import servers


@pytest.fixture
def everything_server() -> tuple[str, list[str]]:
    """Command and arguments of the MCP reference server over stdio."""
    found = servers.everything()
    if found is None:
        pytest.skip(servers.REMEDY)
    return found
