"""K4 and what the user sees: however a kernel ends, its cells keep the document of what their runs had said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.frontend import VIEW, FrontEnd
from tests.notebook.conftest import SETUP, WARM


def ask(front: FrontEnd) -> None:
    """Restart the kernel, as a notebook asks it to."""
    front.request("shutdown_request", {"restart": True}, channel="control")


def leave(front: FrontEnd) -> None:
    """Call `exit` in a cell."""
    front.execute("exit")


@pytest.mark.parametrize("end", [ask, leave])
def test_the_cells_of_an_ending_kernel_keep_what_was_said(end: Callable[[FrontEnd], None]) -> None:
    with FrontEnd() as front:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        front.run("w = %agent_run -n -b writer go", "writes")
        front.run("a = %agent_run -n -b asking go", "asks")
        if end is not leave:
            front.execute("%agent_run -n sleeper go", "waits")
        front.widget(description="City", name="TextModel")
        front.wait_for(lambda: len(front.displays) == (2 if end is leave else 3))
        front.wait_for(lambda: any("word" in str(model.received) for model in front.models.values()))
        end(front)
        assert front.watch_end() < 10
        documents = list(front.displays.values())
        front.manager.shutdown_kernel(now=True)
    assert all(VIEW not in document and "Stopped after" in document["text/markdown"] for document in documents)
    assert "word word" in documents[0]["text/plain"] and "word word" in documents[0]["text/html"]
    assert "Which city?" in documents[1]["text/plain"]
