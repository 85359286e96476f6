"""Forms act as a person sees them: errors at their fields, one answer, nothing left behind."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import ipywidgets
import pytest
from ipywidgets.widgets import widget as registry

from nbagent.errors import AnswerRefused, InvalidAnswer
from nbagent.events import ElicitationRequest, MaxIterationsReached, ToolCallConfirmation
from nbagent.schema import validate
from nbagent.widgets.forms import ApprovalForm, ElicitationForm, LimitForm, QuestionForm, refusal

EVERYTHING: dict[str, Any] = json.loads((Path(__file__).parent / "everything_form.json").read_text())
"""The form of the MCP reference server's tool `trigger-elicitation-request`: 13 fields, all kinds."""

EVENT: dict[str, Any] = {
    "session_id": "s",
    "agent_name": "helper",
    "stream_id": "x",
    "seq": 1,
    "timestamp": 0.0,
    "id": "ask",
}
Sent = list[tuple[str, dict[str, Any] | None]]


def models() -> dict[str, ipywidgets.Widget]:
    """Every widget model of the process, layouts and styles included."""
    return dict(registry._instances)  # pyright: ignore[reportPrivateUsage, reportUnknownArgumentType, reportUnknownMemberType]


@pytest.fixture(autouse=True)
def no_model_is_left() -> Iterator[None]:
    before = set(models())
    yield
    for model in set(models()) - before:
        models()[model].close()


@pytest.fixture
def sent() -> Sent:
    return []


def request(schema: Mapping[str, Any] | None, message: str = "What?", **more: Any) -> ElicitationRequest:
    return ElicitationRequest(**EVENT, message=message, schema=schema, **more)


def form_of(
    properties: dict[str, Any], sent: Sent, *, required: tuple[str, ...] = (), **schema: Any
) -> ElicitationForm:
    whole = {"type": "object", "properties": properties, "required": list(required), **schema}
    return ElicitationForm(request(whole), lambda *answer: sent.append(answer))


def by_title(form: QuestionForm, title: str) -> Any:
    """The input or button that a person knows by `title`."""
    return next(w for w in descendants(form.widget) if getattr(w, "description", None) == title)


def descendants(box: Any) -> Iterator[Any]:
    for child in box.children:
        yield child
        if hasattr(child, "children"):
            yield from descendants(child)


def type_in(form: QuestionForm, title: str, text: Any) -> None:
    """What a front end sends when a person enters `text`."""
    widget = by_title(form, title)
    widget.set_state({"index" if "index" in widget.keys and "_options_labels" in widget.keys else "value": text})


def html_of(form: QuestionForm) -> str:
    return "\n".join(w.value for w in descendants(form.widget) if isinstance(w, ipywidgets.HTML))


def error_at(form: ElicitationForm, name: str) -> str:
    note = next(field.note.value for field in form.fields if field.spec.name == name)
    found = re.search(r'nba-form-error" role="alert">(.*?)</div>', note)
    return found[1] if found else ""


# ---------------------------------------------------------------- the reference server's form


def test_the_form_of_13_fields_is_answered_with_what_was_entered(sent: Sent) -> None:
    form = ElicitationForm(request(EVERYTHING, source="everything"), lambda *answer: sent.append(answer))
    type_in(form, "String", "Ada Lovelace")
    type_in(form, "Boolean", True)
    type_in(form, "String with default", "Call me Ishmael.")
    type_in(form, "String with email format", "ada@example.org")
    type_in(form, "String with uri format", "https://example.org/ada")
    type_in(form, "String with date format", {"year": 1815, "month": 11, "date": 10})
    type_in(form, "Integer", "7")
    type_in(form, "Number in range 1-1000", "2.5")
    type_in(form, "Untitled Single Select Enum", 3)
    type_in(form, "Untitled Multiple Select Enum", [1, 2])
    type_in(form, "Titled Single Select Enum", 2)
    type_in(form, "Titled Multiple Select Enum", [0, 2])
    type_in(form, "Legacy Titled Single Select Enum", 5)
    by_title(form, "Submit").click()
    content = {
        "name": "Ada Lovelace",
        "check": True,
        "firstLine": "Call me Ishmael.",
        "email": "ada@example.org",
        "homepage": "https://example.org/ada",
        "birthdate": "1815-12-10",
        "integer": 7,
        "number": 2.5,
        "untitledSingleSelectEnum": "Joey",
        "untitledMultipleSelectEnum": ["Piano", "Violin"],
        "titledSingleSelectEnum": "hero-2",
        "titledMultipleSelectEnum": ["fish-1", "fish-3"],
        "legacyTitledEnum": "pet-5",
    }
    assert sent == [("accept", content)] and validate(content, EVERYTHING) == {}


def test_every_title_description_and_default_of_the_form_is_shown() -> None:
    form = ElicitationForm(request(EVERYTHING, source="everything"), lambda *_: None)
    shown = html_of(form)
    for field in EVERYTHING["properties"].values():
        assert by_title(form, field["title"])
        assert field["description"] in shown
    assert by_title(form, "Integer").value == "42"
    assert by_title(form, "Number in range 1-1000").value == "3.14"
    assert by_title(form, "Titled Single Select Enum").label == "Superman"
    assert by_title(form, "Legacy Titled Single Select Enum").label == "Cats"
    assert by_title(form, "Titled Multiple Select Enum").label == ("Tuna",)


def test_left_alone_the_defaults_go_out_and_nothing_else(sent: Sent) -> None:
    form = ElicitationForm(request(EVERYTHING), lambda *answer: sent.append(answer))
    type_in(form, "String", "Ada")
    by_title(form, "Submit").click()
    defaults = {name: field["default"] for name, field in EVERYTHING["properties"].items() if "default" in field}
    assert sent == [("accept", {"name": "Ada", **defaults})]


@pytest.mark.timed
def test_the_form_of_13_fields_is_cheap(capsys: pytest.CaptureFixture[str]) -> None:
    ElicitationForm(request(EVERYTHING), lambda *_: None).dispose()
    before = len(models())
    durations: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        form = ElicitationForm(request(EVERYTHING), lambda *_: None)
        durations.append(time.perf_counter() - began)
        opened = len(models()) - before
        form.dispose()
        assert opened <= 40
    with capsys.disabled():
        print(f"\nform of 13 fields: {opened} comm_open, {min(durations) * 1e3:.0f} ms")  # pyright: ignore[reportPossiblyUnboundVariable]
    assert min(durations) < 0.06


# ---------------------------------------------------------------- errors, Submit, one answer


@pytest.mark.parametrize(
    ("field", "typed", "error"),
    [
        ({"type": "string", "minLength": 15}, "CH93 00", "At least 15 characters, 7 so far."),
        ({"type": "string", "maxLength": 3}, "abcd", "At most 3 characters, 4 now."),
        ({"type": "string", "pattern": "^[a-z]+$"}, "A1", "Must match the pattern ^[a-z]+$"),
        ({"type": "string", "format": "email"}, "ada@", "An email address, such as name@example.org."),
        ({"type": "string", "format": "uri"}, "example.org", "A full address, such as https://example.org."),
        ({"type": "integer", "minimum": 1, "maximum": 100}, "101", "Between 1 and 100."),
        ({"type": "integer"}, "1.5", "A whole number, written without a decimal point."),
        ({"type": "integer"}, "one", "A whole number."),
        ({"type": "number", "exclusiveMinimum": 0}, "0", "More than 0."),
        ({"type": "number"}, "1,5", "Write decimals with a point."),
        ({"type": "number"}, "nan", "A number."),
        ({"type": "number"}, "1e999", "A finite number expected."),
        ({"type": "number"}, "1_000", "A number."),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 1}, [0, 1], "At most 1 item, 2 so far."),
        ({"type": "object"}, "{", "This is not JSON yet (line 1, column 2)."),
        ({"type": "object"}, "[]", "An object expected, not a list."),
        ({"type": "object"}, '{"a": NaN}', "This is not JSON yet."),
    ],
)
def test_an_invalid_value_is_refused_at_its_field(field: dict[str, Any], typed: Any, error: str, sent: Sent) -> None:
    form = form_of({"x": {"title": "X", **field}, "y": {"type": "string"}}, sent)
    assert not form.submit.disabled
    type_in(form, "X", typed)
    assert (error_at(form, "x"), error_at(form, "y")) == (error, "")
    assert form.submit.disabled and "nba-invalid" in by_title(form, "X")._dom_classes
    form.submit.click()
    assert sent == []


def test_an_error_waits_until_its_field_is_touched(sent: Sent) -> None:
    form = form_of({"a": {"type": "string"}, "b": {"type": "string"}}, sent, required=("a", "b"))
    assert form.submit.disabled and error_at(form, "a") == error_at(form, "b") == ""
    type_in(form, "a", "x")
    type_in(form, "a", "")
    assert (error_at(form, "a"), error_at(form, "b")) == ("Required.", "")


def test_enter_shows_what_is_missing_and_sends_nothing(sent: Sent) -> None:
    form = form_of({"a": {"type": "string"}, "b": {"type": "string"}}, sent, required=("b",))
    by_title(form, "a")._handle_custom_msg({"event": "submit"}, [])
    assert error_at(form, "b") == "Required."
    type_in(form, "b", "x")
    by_title(form, "a")._handle_custom_msg({"event": "submit"}, [])
    assert sent == [] and not form.submit.disabled


def test_an_error_goes_when_the_value_becomes_right(sent: Sent) -> None:
    form = form_of({"n": {"type": "integer", "maximum": 9}}, sent)
    type_in(form, "n", "10")
    type_in(form, "n", "9")
    assert error_at(form, "n") == "" and not form.submit.disabled
    assert "nba-invalid" not in by_title(form, "n")._dom_classes


def test_a_default_that_does_not_fit_says_so_at_once(sent: Sent) -> None:
    form = form_of({"n": {"type": "integer", "maximum": 9, "default": 10}}, sent)
    assert form.submit.disabled and error_at(form, "n") == "At most 9."


def test_a_second_click_sends_nothing(sent: Sent) -> None:
    form = form_of({"a": {"type": "string"}}, sent)
    form.submit.click()
    form.submit.click()
    by_title(form, "Cancel").click()
    assert sent == [("accept", {})]


def test_clicks_from_many_threads_send_one_answer(sent: Sent) -> None:
    form = form_of({"a": {"type": "string"}}, sent)
    together = threading.Barrier(8)

    def click() -> None:
        together.wait(5)
        form.submit.click()

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(sent) == 1


@pytest.mark.parametrize(("button", "action"), [("Decline", "decline"), ("Cancel", "cancel")])
def test_decline_and_cancel_need_no_valid_form(button: str, action: str, sent: Sent) -> None:
    form = form_of({"a": {"type": "string"}}, sent, required=("a",))
    by_title(form, button).click()
    assert sent == [(action, None)]


def test_after_the_answer_the_values_are_cleared_and_all_is_disabled(sent: Sent) -> None:
    form = ElicitationForm(request(EVERYTHING), lambda *answer: sent.append(answer))
    type_in(form, "String", "Ada")
    type_in(form, "String with date format", {"year": 1815, "month": 11, "date": 10})
    form.submit.click()
    assert sent[0][1] is not None and sent[0][1]["name"] == "Ada"
    state = re.sub(r"IPY_MODEL_\w+", "", json.dumps([field.input.get_state() for field in form.fields], default=str))
    assert "Ada" not in state and "stormy" not in state and "1815" not in state
    assert all(field.input.disabled for field in form.fields) and form.submit.disabled


def test_content_that_the_asker_refuses_is_shown_and_the_form_stays_open(sent: Sent) -> None:
    refuse = [True]

    def answer(action: str, content: dict[str, Any] | None) -> None:
        if refuse:
            raise InvalidAnswer({"a": "Taken already.", "b[0]": "Wrong.", "c": "Of no field."})
        sent.append((action, content))

    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"enum": ["x"]}}}}
    form = ElicitationForm(request(schema), answer)
    type_in(form, "a", "me")
    form.submit.click()
    assert (error_at(form, "a"), error_at(form, "b")) == ("Taken already.", "Wrong.")
    assert "Of no field." in form.status.value and form.submit.disabled
    refuse.clear()
    type_in(form, "a", "you")
    assert error_at(form, "a") == "" and not form.submit.disabled
    form.submit.click()
    assert sent == [("accept", {"a": "you"})]


def test_a_late_answer_closes_the_form_and_says_so() -> None:
    def answer(action: str, content: Any) -> None:
        raise AnswerRefused("nobody waits for this answer")

    form = ElicitationForm(request({"properties": {"a": {"type": "string"}}}), answer)
    form.submit.click()
    assert "nobody waits" in form.status.value and form.submit.disabled and not form.is_open


def test_an_answer_that_fails_leaves_the_form_open(sent: Sent) -> None:
    fail = [True]

    def answer(action: str, content: Any) -> None:
        if fail:
            raise RuntimeError("no")
        sent.append((action, content))

    form = ElicitationForm(request(None), answer)
    with pytest.raises(RuntimeError):
        form._submit()  # pyright: ignore[reportPrivateUsage]
    fail.clear()
    form.submit.click()
    assert sent == [("accept", {"answer": ""})]


def test_close_says_why_keeps_what_was_typed_and_sends_nothing(sent: Sent) -> None:
    form = form_of({"a": {"type": "string"}}, sent)
    type_in(form, "a", "a long answer")
    form.close("the cell was <interrupted>")
    assert "the cell was &lt;interrupted&gt;" in form.status.value
    assert by_title(form, "a").value == "a long answer" and by_title(form, "a").disabled
    form.submit.click()
    form.close("twice")
    assert sent == [] and "twice" not in form.status.value


def test_dispose_leaves_no_model(sent: Sent) -> None:
    before = set(models())
    forms: list[QuestionForm] = [
        ElicitationForm(request(EVERYTHING), lambda *_: None),
        ElicitationForm(
            request({"properties": {"x": {"type": "object"}, "d": {"type": "string", "format": "date-time"}}}),
            lambda *_: None,
        ),
        ElicitationForm(request(None, mode="url", url="https://example.org"), lambda *_: None),
        ElicitationForm(request({"properties": {"password": {"type": "string"}}}), lambda *_: None),
        ApprovalForm(ToolCallConfirmation(**EVENT, tool_call_id="t", name="rm", arguments={"a": 1}), lambda *_: None),
        LimitForm(MaxIterationsReached(**EVENT, max_iterations=3), lambda *_: None),
    ]
    assert len(models()) > len(before) + 50
    forms[0].close("ended")
    for form in forms:
        form.dispose()
        form.dispose()
    assert set(models()) == before


# ---------------------------------------------------------------- kinds of schema


def test_without_a_schema_the_answer_is_free_text(sent: Sent) -> None:
    form = ElicitationForm(request(None, "How shall it be called?"), lambda *answer: sent.append(answer))
    type_in(form, "Answer", "Ada's report")
    form.submit.click()
    assert sent == [("accept", {"answer": "Ada's report"})]


def test_an_object_without_properties_only_asks_to_agree(sent: Sent) -> None:
    form = ElicitationForm(request({"type": "object", "properties": {}}), lambda *answer: sent.append(answer))
    form.submit.click()
    assert form.fields == [] and sent == [("accept", {})]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"anyOf": [{"required": ["a"]}]},
        {"properties": {f"f{n}": {"type": "string"} for n in range(200)}},
    ],
)
def test_a_schema_that_is_no_flat_object_is_answered_in_json(schema: dict[str, Any], sent: Sent) -> None:
    form = ElicitationForm(request({"minProperties": 1, **schema}), lambda *answer: sent.append(answer))
    (field,) = form.fields
    field.input.set_state({"value": "3"})
    assert form.submit.disabled and error_at(form, "")
    field.input.set_state({"value": '{"a": 1}'})
    assert form.submit.disabled is (schema == {"type": "string"})


def test_a_field_beyond_mcps_schema_is_json_with_its_schema_shown(sent: Sent) -> None:
    form = form_of({"tags": {"type": "array", "items": {"type": "string", "title": "<b>tag</b>"}}}, sent)
    assert "&lt;b&gt;tag&lt;/b&gt;" in html_of(form) and "<b>tag</b>" not in html_of(form)
    type_in(form, "tags", '["a", 1]')
    assert error_at(form, "tags") == "Text expected, not a whole number."
    type_in(form, "tags", '["a", "b"]')
    form.submit.click()
    assert sent == [("accept", {"tags": ["a", "b"]})]


def test_references_and_nullable_fields_are_understood(sent: Sent) -> None:
    properties = {
        "colour": {"$ref": "#/$defs/Colour", "title": "Colour"},
        "shade": {"anyOf": [{"$ref": "#/$defs/Colour"}, {"type": "null"}], "default": None},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }
    form = form_of(properties, sent, required=("colour", "note"), **{"$defs": {"Colour": {"enum": ["red", "blue"]}}})
    type_in(form, "Colour", 2)
    form.submit.click()
    assert sent == [("accept", {"colour": "blue", "note": None})]


def test_numbers_can_be_left_empty_and_keep_what_is_typed(sent: Sent) -> None:
    form = form_of({"n": {"type": "integer", "default": 3}, "x": {"type": "number"}}, sent)
    type_in(form, "n", "")
    type_in(form, "x", " 1.50 ")
    assert by_title(form, "x").value == " 1.50 "
    form.submit.click()
    assert sent == [("accept", {"x": 1.5})]


def test_a_broken_schema_can_only_be_declined_and_says_why(sent: Sent) -> None:
    form = form_of({"a": {"type": "string", "pattern": "["}}, sent)
    assert form.submit.disabled and "schema of this question is broken" in form.status.value
    by_title(form, "Decline").click()
    assert sent == [("decline", None)]


# ---------------------------------------------------------------- hostile text


HOSTILE = "<img src=x onerror=alert(1)>\u202eevil\x1b[31m"


def test_no_text_of_a_server_becomes_markup(sent: Sent) -> None:
    properties = {
        HOSTILE: {"type": "string", "title": HOSTILE, "description": HOSTILE, "enum": [HOSTILE], "enumNames": [HOSTILE]}
    }
    schema = {"type": "object", "properties": properties}
    form = ElicitationForm(
        request(schema, HOSTILE, source=HOSTILE), lambda *answer: sent.append(answer), agent_name=HOSTILE
    )
    form.close(HOSTILE)
    shown = html_of(form)
    assert "<img" not in shown and "\u202e" not in shown and "\x1b" not in shown and shown.count("&lt;img") >= 4
    inputs = [w for w in descendants(form.widget) if hasattr(w, "description_allow_html")]
    assert inputs and not any(w.description_allow_html for w in inputs)
    assert "\u202e" not in json.dumps([w.get_state() for w in inputs], default=str, ensure_ascii=False)


def test_a_form_that_asks_for_a_secret_is_declined_at_once(sent: Sent) -> None:
    asked = request({"properties": {"user": {"type": "string"}, "api_key": {"type": "string"}}}, source="evil")
    form = ElicitationForm(asked, lambda *answer: sent.append(answer))
    assert sent == [("decline", None)] and not form.is_open
    assert "api_key" in form.status.value and refusal(asked) is not None
    assert not any(isinstance(w, ipywidgets.Text) for w in descendants(form.widget))


# ---------------------------------------------------------------- addresses


def test_an_address_is_shown_whole_and_opened_by_a_click_alone(sent: Sent) -> None:
    url = 'https://accounts.example.org:8443/a/b?x="<b>"&y=1#z'.replace('"<b>"', "%22")
    form = ElicitationForm(request(None, mode="url", url=url, source="calendar"), lambda *answer: sent.append(answer))
    shown = html_of(form)
    assert "<b>accounts.example.org</b>:8443/a/b?x=%22&amp;y=1#z" in shown
    assert f'href="{url.replace("&", "&amp;")}" target="_blank" rel="noopener noreferrer"' in shown
    assert sent == []
    by_title(form, "Accept").click()
    assert sent == [("accept", None)]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//example.org",
        "example.org",
        "",
        "https://",
        "ftp://a.org",
        "https://good.org\\@evil.org",
        "https://good.org@evil.org",
        "https://a b.org",
        "https://a.org/\n",
        "https://a.org/\u202e",
        "https://a.org:99999/",
        "https://[::1",
        'https://a.org/"onclick=',
        "https://a.org/" + "x" * 5000,
    ],
)
def test_an_address_that_is_not_to_be_opened_is_declined_at_once(url: str, sent: Sent) -> None:
    asked = request(None, mode="url", url=url)
    form = ElicitationForm(asked, lambda *answer: sent.append(answer))
    assert sent == [("decline", None)] and refusal(asked)
    assert "href" not in html_of(form)


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("https://\u0430pple.com/", "mixing Cyrillic and Latin letters"),
        ("https://xn--pple-43d.com/", "mixing Cyrillic and Latin letters"),
        ("https://münchen.de/", "xn--mnchen-3ya.de"),
        ("http://example.org/", "not encrypted"),
    ],
)
def test_a_disguised_or_open_address_is_warned_about(url: str, warning: str) -> None:
    form = ElicitationForm(request(None, mode="url", url=url), lambda *_: None)
    assert warning in html_of(form)
    assert re.search(r'href="[ -~]+"', html_of(form))


def test_an_ordinary_address_warns_of_nothing() -> None:
    form = ElicitationForm(request(None, mode="url", url="http://localhost:8888/x"), lambda *_: None)
    assert "nba-form-warning" not in html_of(form)


# ---------------------------------------------------------------- approvals and limits


def approval(sent: Sent, **arguments: Any) -> ApprovalForm:
    call = ToolCallConfirmation(**EVENT, tool_call_id="t", name="write_file", arguments=arguments, toolset="files")
    return ApprovalForm(call, lambda *answer: sent.append(answer))


@pytest.mark.parametrize(
    ("button", "answer"),
    [
        ("Approve", ("accept", {"scope": "once"})),
        ("Approve for this session", ("accept", {"scope": "session"})),
        ("Reject", ("decline", None)),
    ],
)
def test_an_approval_is_answered_once(button: str, answer: Any, sent: Sent) -> None:
    form = approval(sent)
    by_title(form, button).click()
    by_title(form, "Approve").click()
    assert sent == [answer]


def test_a_rejection_carries_its_reason(sent: Sent) -> None:
    form = approval(sent, path="/etc")
    type_in(form, "Reason", " not that file ")
    by_title(form, "Reject").click()
    assert sent == [("decline", {"reason": "not that file"})] and by_title(form, "Reason").value == ""


def test_an_approval_shows_the_arguments_whole_and_nothing_hidden(sent: Sent) -> None:
    shown = html_of(approval(sent, path="a\u202etxt.exe", code="<script>\n\x1b[8m", deep={"a": [1, None]}))
    assert "a⟨U+202E⟩txt.exe" in shown and "&lt;script&gt;" in shown and "⟨U+001B⟩" in shown
    assert "<script" not in shown and "null" in shown and "write_file" in shown and "files" in shown
    assert "30,000 more characters are not shown" in html_of(approval(sent, text="x" * 50_000))


def code_approval(sent: Sent, code: str = "x = 1", answer: Any = None, **more: Any) -> ApprovalForm:
    """An approval of a call that runs code."""
    arguments = {"code": code, "title": "sums"}
    call = ToolCallConfirmation(
        **EVENT,
        tool_call_id="t",
        name="run_python",
        arguments=arguments,
        toolset="kernel",
        code_argument="code",
        **more,
    )
    return ApprovalForm(call, answer or (lambda *answer: sent.append(answer)))


def test_code_is_shown_as_code_and_nothing_in_it_is_hidden(sent: Sent) -> None:
    form = code_approval(sent, "def f():  # \u202e<script>\n    return 'é'")
    shown = html_of(form)
    assert '<pre class="nba-code"' in shown and '<span class="k">def' in shown
    assert "⟨U+202E⟩&lt;script&gt;" in shown and "<script" not in shown
    assert "sums" in shown and "No arguments" not in shown and shown.count("return") == 1
    assert by_title(form, "Code").value == "def f():  # \u202e<script>\n    return 'é'"
    assert "5,000 more characters are not shown" in html_of(code_approval(sent, "x" * 25_000))


def test_what_a_call_would_change_is_shown_before_its_arguments_and_hides_nothing(sent: Sent) -> None:
    diff = "--- f\n+++ f\n@@ -1 +1 @@\n-old\n+new \u202e<script>"
    call = ToolCallConfirmation(
        **EVENT, tool_call_id="t", name="edit_file", arguments={"path": "f"}, toolset="filesystem", preview=diff
    )
    shown = html_of(ApprovalForm(call, lambda *answer: sent.append(answer)))
    assert '<span class="gd">-old' in shown and '<span class="gi">+new ⟨U+202E⟩&lt;script&gt;' in shown
    assert shown.index("+new") < shown.index("<details><summary>Arguments</summary>") < shown.index("path")
    long = dataclasses.replace(call, preview="x" * 25_000)
    assert "5,000 more characters are not shown" in html_of(ApprovalForm(long, lambda *answer: None))


@pytest.mark.parametrize("sends_back", ["a\nb", "a\r\nb"])
def test_code_that_is_left_alone_is_approved_without_arguments(sends_back: str, sent: Sent) -> None:
    form = code_approval(sent, "a\r\nb")
    type_in(form, "Code", sends_back)  # a front end's text area has line ends of its own
    by_title(form, "Approve").click()
    assert sent == [("accept", {"scope": "once"})]


@pytest.mark.parametrize(("button", "scope"), [("Approve", "once"), ("Approve for this session", "session")])
def test_edited_code_goes_out_with_the_other_arguments(button: str, scope: str, sent: Sent) -> None:
    form = code_approval(sent)
    type_in(form, "Code", "x = 2")
    by_title(form, button).click()
    assert sent == [("accept", {"scope": scope, "arguments": {"code": "x = 2", "title": "sums"}})]
    assert by_title(form, "Code").value == "" and by_title(form, "Code").disabled


def test_the_editor_takes_the_views_place(sent: Sent) -> None:
    form = code_approval(sent)
    assert form.code is not None
    assert "nba-hidden" in form.code.input._dom_classes and "nba-hidden" not in form.code.view._dom_classes
    by_title(form, "Edit").click()
    assert "nba-hidden" in form.code.view._dom_classes and "nba-hidden" not in form.code.input._dom_classes
    assert "nba-hidden" in by_title(form, "Edit")._dom_classes and sent == []


@pytest.mark.parametrize("code", [3, None])
def test_code_that_is_no_text_is_shown_as_any_argument(code: Any, sent: Sent) -> None:
    form = code_approval(sent, code)
    assert form.code is None and f">{json.dumps(code)}</code>" in html_of(form)


def test_an_approval_for_good_holds_the_pattern_as_it_was_edited(sent: Sent) -> None:
    form = code_approval(sent, pattern="shell:cmd=ls*")
    assert by_title(form, "Pattern").value == "shell:cmd=ls*"
    type_in(form, "Pattern", " shell:cmd=ls -l ")
    by_title(form, "Always for this pattern").click()
    assert sent == [("accept", {"scope": "always", "pattern": "shell:cmd=ls -l"})]
    assert by_title(form, "Pattern").value == ""


def test_an_empty_pattern_is_not_sent(sent: Sent) -> None:
    form = code_approval(sent, pattern="shell")
    type_in(form, "Pattern", " ")
    by_title(form, "Always for this pattern").click()
    assert sent == [] and form.is_open and "Write what to allow" in form.status.value


def test_without_a_pattern_nothing_is_offered_for_good(sent: Sent) -> None:
    titles = {getattr(widget, "description", "") for widget in descendants(code_approval(sent).widget)}
    assert not titles & {"Pattern", "Always for this pattern"}


def test_an_answer_that_does_not_fit_says_so_and_keeps_what_was_edited(sent: Sent) -> None:
    def refuse(action: str, content: Any) -> None:
        if not sent:
            sent.append((action, content))
            raise InvalidAnswer({"pattern": "no such tool"})
        sent.append((action, content))

    form = code_approval(sent, answer=refuse, pattern="shell")
    type_in(form, "Code", "x = 2")
    by_title(form, "Always for this pattern").click()
    assert form.is_open and "no such tool" in form.status.value and by_title(form, "Code").value == "x = 2"
    by_title(form, "Approve").click()
    assert sent[-1] == ("accept", {"scope": "once", "arguments": {"code": "x = 2", "title": "sums"}})


@pytest.mark.anyio
@pytest.mark.parametrize("button", ["Approve", "Approve for this session", "Always for this pattern"])
async def test_an_approval_that_overtakes_the_last_keystrokes_waits_for_them(button: str) -> None:
    sent: Sent = []
    answered = anyio.Event()
    form = code_approval(sent, answer=lambda *answer: (sent.append(answer), answered.set())[0], pattern="p")
    type_in(form, "Code", "x = 2")
    by_title(form, button).click()
    assert sent == []
    type_in(form, "Code", "x = 23")
    with anyio.fail_after(5):
        await answered.wait()
    assert [content["arguments"]["code"] for _, content in sent if content] == ["x = 23"]
    form.dispose()


@pytest.mark.parametrize(("button", "action"), [("Continue", "accept"), ("Stop", "decline")])
def test_a_limit_goes_on_or_stops(button: str, action: str, sent: Sent) -> None:
    form = LimitForm(MaxIterationsReached(**EVENT, max_iterations=20), lambda *answer: sent.append(answer))
    assert "20 times" in html_of(form)
    by_title(form, button).click()
    assert sent == [(action, None)]


def test_a_property_without_a_name_is_a_property(sent: Sent) -> None:
    form = form_of({"": {"type": "string", "title": "Nameless"}, "a": {"type": "string"}}, sent)
    type_in(form, "Nameless", "x")
    form.submit.click()
    assert sent == [("accept", {"": "x"})]


def test_a_number_may_come_as_json_number_from_a_front_end(sent: Sent) -> None:
    form = form_of({"count": {"type": "integer", "minimum": 1, "title": "Count"}}, sent, required=("count",))
    type_in(form, "Count", 7)
    form.submit.click()
    assert sent == [("accept", {"count": 7})]


@pytest.mark.anyio
async def test_a_click_that_overtakes_the_last_keystrokes_waits_for_them() -> None:
    sent: Sent = []
    answered = anyio.Event()
    schema = {"type": "object", "properties": {"name": {"type": "string", "title": "Name"}}, "required": ["name"]}
    form = ElicitationForm(request(schema), lambda *answer: (sent.append(answer), answered.set())[0])
    type_in(form, "Name", "h")
    form.submit.click()
    assert sent == []
    type_in(form, "Name", "hello")
    with anyio.fail_after(5):
        await answered.wait()
    assert sent == [("accept", {"name": "hello"})]
    form.dispose()
