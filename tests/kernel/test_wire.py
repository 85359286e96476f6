"""What a run costs on the wire: every raw frame on IOPub of a whole cell, its kept output included (section 6)."""

from __future__ import annotations

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


def _cost(front: FrontEnd, agent: str) -> int:
    front.drain()
    before = front.bytes["iopub"]
    execution = front.run(f"%agent_run --new {agent} go")
    assert execution.status == "ok", execution.error
    front.drain()
    return front.bytes["iopub"] - before


def test_bytes_are_at_most_four_times_the_text_and_grow_with_it(
    front: FrontEnd, capsys: pytest.CaptureFixture[str]
) -> None:
    few, many = _cost(front, "few"), _cost(front, "many")
    with capsys.disabled():
        print(f"\n16,000 deltas: {many / 64_000:.2f} times the text in bytes; {many / few:.2f} times 4,000")
    assert many <= 4 * 64_000
    assert many <= 4.4 * few
