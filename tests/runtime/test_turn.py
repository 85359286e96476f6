"""P8: the history is valid at every instant, and wherever a turn is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbagent.runtime.turn import CUT_SHORT, TurnRecord
from nbagent.session import Session, ToolCall, Turn
from tests.runtime.support import assert_paired


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(0, 3)), max_size=4), st.integers(0, 12), st.booleans())
def test_p8_history_is_paired_wherever_a_turn_is_cut(
    script: list[tuple[str, int]], steps: int, interrupted: bool
) -> None:
    session = Session()
    record = TurnRecord(session, "a")
    record.user("hi")
    for text, count in script:
        record.text(text)
        calls = [ToolCall("f") for _ in range(count)]
        record.assistant(calls)
        for call in reversed(calls):
            if not steps:
                break
            steps -= 1
            assert record.result(call.id, "ok", False)
            assert not record.result(call.id, "again", False)
            assert_paired(session)
        if not steps:
            break
    record.text("partial")
    record.close(interrupted=interrupted)
    record.close(interrupted=interrupted)
    assert_paired(session)
    assert session.messages[-1].content == "partial" and session.messages[-1].interrupted
    before = len(session.messages)
    record.user("too late")
    assert len(session.messages) == before


def test_p8_a_call_cut_short_has_a_result_that_says_so() -> None:
    session = Session()
    record = TurnRecord(session, "a")
    call = ToolCall("f")
    record.assistant([call])
    assert session.messages == []
    record.close(interrupted=True)
    assert [message.content for message in session.messages] == ["", CUT_SHORT]


def test_p8_rewinding_a_cell_takes_its_turn_and_all_after_it_into_a_branch() -> None:
    session = Session()
    for cell, execution in (("a", "1"), ("b", "2"), ("a", "3")):
        session.turns.append(Turn("s", len(session.messages), cell, execution, "completed"))
        record = TurnRecord(session, "h")
        record.user(cell)
        record.close(interrupted=False)
    assert session.rewind_cell("b", "2") == 0
    assert session.rewind_cell("b", "9") == 2
    assert [message.content for message in session.messages] == ["a"]
    assert [[message.content for message in branch] for branch in session.branches] == [["b", "a"]]
    assert session.rewind_cell("unknown", "9") == 0
