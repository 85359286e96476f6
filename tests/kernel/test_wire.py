"""What a run costs on the wire: every raw frame on IOPub of a whole cell, its kept output included (section 6)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.kernel.frontend import FrontEnd

pytestmark = pytest.mark.slow

AGENTS = '''
%load_ext nbagent
from nbagent import Agent
from nbagent.ports import TextDelta

TEXT = """## A heading

Some text with **bold**, *emphasis* and `code` in it, and a [link](https://example.org/a).

- one
- two

```python
for i in range(10):
    print(i, 'hello')
```

| a | b |
|---|---|
| 1 | 2 |

"""

class Deltas:
    "Says a number of pieces of four characters of markdown."
    name = "deltas"
    def __init__(self, count):
        self.count = count
    async def stream(self, request):
        text = (TEXT * (4 * self.count // len(TEXT) + 1))[: 4 * self.count]
        for n in range(self.count):
            yield TextDelta(text[4 * n : 4 * n + 4])

few = Agent("few", model=Deltas(4_000))
many = Agent("many", model=Deltas(16_000))
'''


@pytest.fixture(scope="module")
def front() -> Iterator[FrontEnd]:
    with FrontEnd() as front:
        execution = front.run(AGENTS + "%agent_run --new few warm up\n")
        assert execution.status == "ok", execution.error
        yield front


def _cost(front: FrontEnd, agent: str) -> tuple[int, int]:
    """Bytes of the whole cell, and of them those of the live stream: all but the output that is kept."""
    front.drain()
    before = front.bytes["iopub"]
    execution = front.run(f"%agent_run --new {agent} go")
    assert execution.status == "ok", execution.error
    front.drain()
    whole = front.bytes["iopub"] - before
    updates = [m["content"]["data"] for m in execution.messages if m["msg_type"] == "update_display_data"]
    kept = json.dumps([data for data in updates if "text/html" in data], ensure_ascii=False)
    return whole, whole - len(kept.encode())


def test_bytes_are_at_most_four_times_the_text_live_and_three_times_kept_and_grow_with_it(
    front: FrontEnd, capsys: pytest.CaptureFixture[str]
) -> None:
    (few, few_live), (many, many_live) = _cost(front, "few"), _cost(front, "many")
    with capsys.disabled():
        print(
            f"\n16,000 deltas, times the text in bytes: live {many_live / 64_000:.2f}, whole cell {many / 64_000:.2f};"
            f" times 4,000: live {many_live / few_live:.2f}, whole cell {many / few:.2f}"
        )
    kept_few, kept = few - few_live, many - many_live
    assert kept <= 3 * 64_000
    assert kept <= 4.3 * kept_few  # an exponent of 1.05
    assert many_live <= 4 * 64_000  # a frame each 33 ms: on a slow machine there are more of them for the same text
