"""What the tests of providers share: the three wire formats, one after the other."""

from __future__ import annotations

import pytest

from tests.models.formats import FORMATS, KEY, Format


@pytest.fixture(params=FORMATS, ids=lambda spoken: type(spoken).__name__)
def spoken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Format:
    """One of the wire formats, with a key for it in the environment."""
    monkeypatch.setenv(request.param.key_name, KEY)
    return request.param
