"""What helps a person to fill a form in: required fields first, filters, counts, Reset, Enter, and what is wrong."""

from __future__ import annotations

from typing import Any

import ipywidgets
import pytest

from nbagent.errors import InvalidAnswer
from nbagent.widgets.forms import ElicitationForm
from tests.widgets.test_forms import (
    Sent,
    by_title,
    error_at,
    form_of,
    html_of,
    no_model_is_left,
    request,
    type_in,
)

__all__ = ["no_model_is_left"]

CITIES = [f"City {number}" for number in range(40)]


@pytest.fixture
def sent() -> Sent:
    return []


def enter(form: ElicitationForm, title: str) -> None:
    """What the page sends for the key Enter."""
    by_title(form, title)._handle_custom_msg({"event": "submit"}, [])


def blocked(form: ElicitationForm) -> list[str]:
    """The marks by which the page sees that an answer could not go out."""
    frame: Any = form.widget
    return [name for name in frame._dom_classes if name.startswith("nba-blocked-")]


def long_form(sent: Sent, **schema: Any) -> ElicitationForm:
    return form_of({"city": {"type": "string", "title": "City", "enum": CITIES, **schema}}, sent, required=("city",))


# ---------------------------------------------------------------- order, counts, Reset


def test_required_fields_come_first_and_keep_their_order(sent: Sent) -> None:
    text = {"type": "string"}
    form = form_of({"a": text, "b": text, "c": text, "d": text}, sent, required=("d", "b"))
    assert [field.spec.name for field in form.fields] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("bounds", "count"),
    [
        ({}, "2 of 5 chosen"),
        ({"minItems": 1}, "2 of 5 chosen, at least 1"),
        ({"minItems": 1, "maxItems": 3}, "2 of 5 chosen, at least 1, at most 3"),
        ({"minItems": 2, "maxItems": 2}, "2 of 5 chosen, exactly 2 wanted"),
    ],
)
def test_a_multiple_choice_counts_what_is_chosen(bounds: dict[str, int], count: str, sent: Sent) -> None:
    form = form_of({"x": {"type": "array", "title": "X", "items": {"enum": list("abcde")}, **bounds}}, sent)
    assert "0 of 5 chosen" in form.fields[0].note.value
    type_in(form, "X", [1, 3])
    assert f'role="status">{count}</div>' in form.fields[0].note.value


@pytest.mark.parametrize(
    ("required", "bounds", "count", "sends"),
    [
        (False, {"minItems": 1}, "0 of 5 chosen, none or at least 1", {}),
        (False, {"minItems": 2, "maxItems": 2}, "0 of 5 chosen, none or exactly 2 wanted", {}),
        (False, {"maxItems": 2}, "0 of 5 chosen, at most 2", {}),
        (True, {"minItems": 1}, "0 of 5 chosen, at least 1", None),
        (True, {}, "0 of 5 chosen", {"x": []}),
    ],
)
def test_the_count_of_nothing_chosen_says_what_submit_does(
    required: bool, bounds: dict[str, int], count: str, sends: dict[str, Any] | None, sent: Sent
) -> None:
    schema = {"type": "array", "title": "X", "items": {"enum": list("abcde")}, **bounds}
    form = form_of({"x": schema}, sent, required=("x",) if required else ())
    assert f'role="status">{count}</div>' in form.fields[0].note.value
    assert form.submit.disabled is (sends is None)
    form.submit.click()
    assert sent == ([] if sends is None else [("accept", sends)])


@pytest.mark.parametrize("spelling", ["enum", "oneOf", "anyOf"])
def test_a_long_multiple_choice_is_filtered_and_names_what_is_chosen(spelling: str, sent: Sent) -> None:
    titled = [{"const": at, "title": f"<b>{city}</b>"} for at, city in enumerate(CITIES)]
    items = {"enum": CITIES} if spelling == "enum" else {spelling: titled}
    form = form_of({"x": {"type": "array", "title": "X", "items": items, "maxItems": 3}}, sent)
    widget: Any = form.fields[0].input
    assert "nba-filtered" in widget._dom_classes
    assert "40 choices: type above the list" in form.fields[0].note.value
    type_in(form, "X", [1, 39])
    named = "City 1, City 39" if spelling == "enum" else "&lt;b&gt;City 1&lt;/b&gt;, &lt;b&gt;City 39&lt;/b&gt;"
    assert f'role="status">2 of 40 chosen, at most 3: {named}</div>' in form.fields[0].note.value
    form.submit.click()
    assert sent == [("accept", {"x": ["City 1", "City 39"] if spelling == "enum" else [1, 39]})]


def test_choices_that_look_the_same_are_told_apart_and_spelled_as_in_json(sent: Sent) -> None:
    mixed = {"title": "E", "enum": [1, "1", True, None, ""]}
    twice = {"title": "T", "oneOf": [{"const": 1, "title": "One"}, {"const": "1", "title": "One"}]}
    form = form_of({"e": mixed, "t": twice}, sent)
    shown = [[title for title, _ in by_title(form, title).options] for title in "ET"]
    assert shown == [["", "1", '"1"', "true", "null", "(empty)"], ["", "One", "One (2)"]]


def test_one_allowed_value_and_a_list_of_references_are_choices(sent: Sent) -> None:
    agree = {"title": "Consent", "const": "I agree"}
    form = form_of({"ok": agree, "l": {"type": "array", "title": "L", "items": {"$ref": "#/properties/k"}},
                    "k": {"title": "K", "enum": ["x", "y"]}}, sent, required=("ok",))  # fmt: skip
    assert form.submit.disabled
    type_in(form, "Consent", 1)
    type_in(form, "L", [1])
    form.submit.click()
    assert sent == [("accept", {"ok": "I agree", "l": ["y"]})]


def test_a_default_that_no_input_holds_is_left_out_and_said(sent: Sent) -> None:
    day = {"type": "string", "title": "Day", "format": "date", "default": "tomorrow"}
    form = form_of({"day": day, "need": {**day, "title": "Need"}}, sent, required=("need",))
    for field in form.fields:
        assert "The default that was set does not fit" in field.note.value
        assert "nba-form-error" not in field.note.value
    assert "Still to fill in: Need." in form.status.value


def test_a_very_long_description_is_folded_and_whole(sent: Sent) -> None:
    words = [f"word{number}" for number in range(300)]
    form = form_of({"x": {"type": "string", "description": " ".join(words)}}, sent)
    note = form.fields[0].note.value
    shown, more, rest = note.partition("<details><summary>More</summary>")
    assert more and len(html_of(form)) and len(shown) < 500
    assert all(word in shown + rest for word in words)


def test_reset_brings_the_defaults_back_and_takes_the_errors_away(sent: Sent) -> None:
    properties: dict[str, Any] = {
        "name": {"type": "string", "minLength": 2},
        "age": {"type": "integer", "default": 30, "maximum": 99},
        "ok": {"type": "boolean"},
        "day": {"type": "string", "format": "date", "default": "2026-05-01"},
        "many": {"type": "array", "items": {"enum": ["a", "b"]}, "default": ["b"]},
    }
    form = form_of(properties, sent)
    type_in(form, "name", "A")
    type_in(form, "age", "100")
    type_in(form, "ok", True)
    type_in(form, "day", None)
    type_in(form, "many", [0])
    assert form.submit.disabled
    assert form.reset is not None
    form.reset.click()
    assert error_at(form, "name") == error_at(form, "age") == "" and form.status.value == ""
    form.submit.click()
    assert sent == [("accept", {"age": 30, "day": "2026-05-01", "many": ["b"]})]


def test_a_question_without_fields_has_nothing_to_reset() -> None:
    assert ElicitationForm(request(None, mode="url", url="https://example.org"), lambda *_: None).reset is None


# ---------------------------------------------------------------- long choices


def test_a_long_choice_is_a_filter_that_takes_options_alone(sent: Sent) -> None:
    form = long_form(sent)
    city = by_title(form, "City")
    assert isinstance(city, ipywidgets.Combobox) and city.ensure_option
    assert form.submit.disabled and city.value == ""
    type_in(form, "City", "Atlantis")
    assert error_at(form, "city") == "Not in the list: pick one of it."
    type_in(form, "City", "City 7")
    form.submit.click()
    assert sent == [("accept", {"city": "City 7"})]


def test_a_filter_gives_the_value_of_its_title_also_where_two_are_alike(sent: Sent) -> None:
    options = [{"const": number, "title": "Same" if number < 3 else f"No. {number}"} for number in range(20)]
    form = form_of({"x": {"title": "X", "oneOf": options, "default": 2}}, sent)
    assert by_title(form, "X").value == "Same (3)"
    type_in(form, "X", "Same (2)")
    form.submit.click()
    assert sent == [("accept", {"x": 1})]


def test_what_stands_in_a_filter_unsent_is_no_answer_and_outlives_a_reload(sent: Sent) -> None:
    form = long_form(sent, default="City 3")
    city, shown = by_title(form, "City"), []
    city.send = lambda content, buffers=None: shown.append(content)
    city._handle_custom_msg({"event": "typed", "text": "City 3 or so"}, [])  # the page does not send it as the value
    assert city.value == "City 3"
    assert error_at(form, "city") == "Not in the list: pick one of it." and form.submit.disabled
    city._handle_custom_msg({"event": "ask"}, [])  # a new page
    assert form.reset is not None
    form.reset.click()
    assert shown == [{"event": "show", "text": "City 3 or so"}, {"event": "show", "text": "City 3"}]
    form.submit.click()
    assert sent == [("accept", {"city": "City 3"})]


# ---------------------------------------------------------------- Enter


@pytest.mark.parametrize("field", [{"type": "string"}, {"type": "integer"}, {"type": "string", "format": "email"}])
def test_enter_sends_a_form_of_one_line_once_it_is_valid(field: dict[str, Any], sent: Sent) -> None:
    form = form_of({"x": {"title": "X", **field}}, sent, required=("x",))
    enter(form, "X")
    assert sent == [] and error_at(form, "x") == "Required." and blocked(form) == ["nba-blocked-1"]
    typed, value = ("7", 7) if field["type"] == "integer" else ("a@b.org", "a@b.org")
    type_in(form, "X", typed)
    enter(form, "X")
    enter(form, "X")
    assert sent == [("accept", {"x": value})]


def test_enter_sends_the_free_text_of_a_question_without_a_schema(sent: Sent) -> None:
    form = ElicitationForm(request(None), lambda *answer: sent.append(answer))
    type_in(form, "Answer", "Ada")
    enter(form, "Answer")
    assert sent == [("accept", {"answer": "Ada"})]


@pytest.mark.parametrize("field", [{"type": "string", "maxLength": 2000}, {"type": "string", "enum": CITIES}])
def test_enter_sends_nothing_where_it_means_something_else(field: dict[str, Any], sent: Sent) -> None:
    form = form_of({"x": {"title": "X", **field}}, sent)
    enter(form, "X")
    assert sent == []


# ---------------------------------------------------------------- what is wrong


def test_what_keeps_submit_disabled_is_summed_up_for_screen_readers(sent: Sent) -> None:
    form = form_of(
        {"a": {"type": "string", "title": "Name"}, "b": {"type": "integer", "title": "Age", "maximum": 9}},
        sent,
        required=("a",),
    )
    assert form.status.value == '<div class="nba-form-todo" role="status" dir="auto">Still to fill in: Name.</div>'
    type_in(form, "Age", "10")
    assert "To correct: Age. Still to fill in: Name." in form.status.value
    enter(form, "Name")
    assert 'role="alert" dir="auto">2 fields to correct. Name: Required. Age: At most 9.' in form.status.value
    type_in(form, "Name", "Ada")
    type_in(form, "Age", "9")
    assert form.status.value == ""


def test_each_blocked_answer_marks_the_form_anew_for_the_focus(sent: Sent) -> None:
    def refuse(action: str, content: Any) -> None:
        raise InvalidAnswer({"a": "Taken."})

    form = ElicitationForm(request({"properties": {"a": {"type": "string"}}}), refuse)
    form.submit.click()
    assert blocked(form) == ["nba-blocked-1"] and error_at(form, "a") == "Taken."
    type_in(form, "a", "x")
    form.submit.click()
    assert blocked(form) == ["nba-blocked-2"]


def test_a_deadline_stands_in_the_form_for_the_page_to_count_down() -> None:
    form = ElicitationForm(request(None, deadline=1_800_000_000.25), lambda *_: None)
    assert 'class="nba-form-limit" role="timer" data-until="1800000000.250"' in html_of(form)
    assert "nba-form-limit" not in html_of(ElicitationForm(request(None), lambda *_: None))
