"""The tool `think`: a place to think, which asks nobody and changes nothing."""

from __future__ import annotations

import pytest

from nbagent.toolsets import ThinkToolset
from tests.toolsets.calling import Bench

pytestmark = pytest.mark.anyio


async def test_a_thought_is_noted_and_nobody_is_asked() -> None:
    bench = Bench(ThinkToolset())
    (tool,) = (await bench.tools()).values()
    assert (tool.spec.name, tool.toolset, tool.asks_approval) == ("think", "think", False)
    assert (await bench.text("think", thought="Two of three keys are missing.")).startswith("Noted")
    assert bench.person.asked == []
