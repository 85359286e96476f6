"""The hostile corpus through every place that shows text of a model, a tool or a server: none of it acts or hides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest

from nbagent import errors
from nbagent import events as ev
from nbagent.notebook import stdin
from nbagent.notebook.displaying import table
from nbagent.widgets.document import Document
from nbagent.widgets.forms import ApprovalForm, ElicitationForm, LimitForm
from nbagent.widgets.images import VARIABLE, allow_images
from nbagent.widgets.markdown import render, safe_markdown, sanitise
from nbagent.widgets.plain import PlainTranscript, terminal
from nbagent.widgets.static import bundle
from nbagent.widgets.wire import Wire
from tests.safety.corpus import CONTROLS, CORPUS
from tests.widgets.telling import Inspector, Teller, hostile_story, inspect

pytestmark = pytest.mark.anyio

BLANK = "\u200b"
"""ipywidgets' own description of an HTML."""

each = pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))


def shown(document: Document) -> Iterator[str]:
    """All HTML that the live view is given."""
    wire = Wire(document)
    wire.patch()
    for _, _, _, props, html, _ in wire.whole()["nodes"]:
        yield html
        yield from (*props.get("media", ()), *props.get("pictures", ()), props.get("html", ""))


def told(text: str) -> Document:
    document = Document()
    for event in hostile_story(text):
        document.apply(event)
    return document


@each
def test_the_html_of_markdown_and_of_displays_does_not_act(text: str) -> None:
    for html in (render(text), sanitise(text), render(safe_markdown(text)), sanitise(render(text))):
        assert inspect(html).faults == []


@each
def test_the_live_view_is_given_no_html_that_acts(text: str) -> None:
    document = told(text)
    for html in shown(document):
        assert inspect(html).faults == []
    wire = Wire(document)
    document.changed = {block.id: block for block in document.blocks()}
    assert not set(json.dumps(wire.patch(), ensure_ascii=False)) & CONTROLS


@each
def test_no_form_that_a_notebook_keeps_acts_or_hides(text: str) -> None:
    document = told(text)
    forms = bundle(document) | {"terminal": terminal(document)}
    assert inspect(forms["text/html"]).faults == []
    assert [kind for kind, form in forms.items() if set(form) & CONTROLS] == []


@each
def test_what_is_printed_as_it_comes_moves_no_cursor(text: str) -> None:
    written: list[str] = []
    transcript = PlainTranscript(written.append)
    for event in hostile_story(text):
        transcript.take(event)
    assert not set("".join(written)) & CONTROLS


def test_a_sequence_that_comes_in_pieces_is_no_sequence_either() -> None:
    written: list[str] = []
    transcript, tell = PlainTranscript(written.append), Teller()
    for piece in ("a\x1b", "]8;;https://evil.example", "\x07click\x1b]8;;", "\x07 \x9b", "2Jb"):
        transcript.take(tell(ev.AgentChoice, content=piece))
    assert not set("".join(written)) & CONTROLS


# ---------------------------------------------------------------- forms

ABOUT: dict[str, Any] = {"session_id": "s", "stream_id": "t", "seq": 1, "timestamp": 0.0, "id": "q"}


class FormInspector(Inspector):
    """An `Inspector` that knows what else forms are made of."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        mine = {"role", "tabindex", "id", "for", "class", "dir"}
        super().handle_starttag(
            tag, [(name, value) for name, value in attrs if not (name in mine or name[:5] == "aria-")]
        )


def parts(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)


def faults(form: Any) -> list[str]:
    """What could act in the widgets of a form, or hide in their words."""
    found: list[str] = []
    for part in parts(form.widget):
        kind = type(part).__name__
        if isinstance(part, ipywidgets.HTML):
            inspector = FormInspector()
            inspector.feed(part.value)
            inspector.close()
            found += inspector.faults
        elif getattr(part, "description_allow_html", False):
            found.append(f"{kind} takes HTML as its description")
        words = [str(getattr(part, name, "")) for name in ("description", "placeholder", "tooltip")]
        words += map(str, getattr(part, "_options_labels", ()))
        words += [part.value] if isinstance(part, ipywidgets.HTML) else []
        found += [f"{kind}: {said!r}" for said in words if set(said) & CONTROLS and said != BLANK]
    form.close("The run has ended.")
    return found


def schema_of(text: str) -> dict[str, Any]:
    about = {"title": text, "description": text}
    fields: dict[str, Any] = {
        text: {"type": "string"} | about,
        "name": {"type": "string", "default": text, "pattern": "^a$"} | about,
        "age": {"type": "integer", "minimum": 1} | about,
        "ok": {"type": "boolean"} | about,
        "one": {"type": "string", "enum": [text, "b"], "enumNames": [text, "B"]} | about,
        "titled": {"type": "string", "oneOf": [{"const": text, "title": text}, {"const": "b", "title": "B"}]} | about,
        "many": {"type": "array", "items": {"enum": [text, "b"]}} | about,
        "anything": {"type": "object", "properties": {text: {"const": text}}} | about,
    }
    return {"type": "object", "properties": fields, "required": ["name", "age"]}


def ignore(action: str, content: dict[str, Any] | None) -> None:
    """Whatever is answered."""


@each
def test_no_form_acts_whatever_its_schema_says(text: str) -> None:
    event = ev.ElicitationRequest(message=text, schema=schema_of(text), source=text, agent_name=text, **ABOUT)
    form = ElicitationForm(event, ignore, agent_name=text)
    assert faults(form) == []


@each
def test_no_form_acts_whatever_it_is_refused_with(text: str) -> None:
    def refuse(action: str, content: dict[str, Any] | None) -> None:
        if action == "accept":
            raise errors.InvalidAnswer({"name": text, "": text})

    schema = {"type": "object", "properties": {"name": {"type": "string", "default": "Ann"}}}
    form = ElicitationForm(ev.ElicitationRequest(message="?", schema=schema, agent_name="a", **ABOUT), refuse)
    (submit,) = [part for part in parts(form.widget) if getattr(part, "description", "") == "Submit"]
    submit.click()
    assert any("nba-form-error" in part.value for part in parts(form.widget) if isinstance(part, ipywidgets.HTML))
    assert faults(form) == []


@each
def test_no_address_acts_whatever_it_says(text: str) -> None:
    event = ev.ElicitationRequest(message=text, mode="url", url=text, source=text, agent_name=text, **ABOUT)
    assert faults(ElicitationForm(event, ignore)) == []


@each
def test_no_approval_acts_or_hides_what_is_approved(text: str) -> None:
    call = ev.ToolCallConfirmation(
        name=text, arguments={text: text, "code": text}, code_argument="code", preview=text, toolset=text, pattern=text,
        agent_name=text, tool_call_id="c", **ABOUT,
    )  # fmt: skip
    assert faults(ApprovalForm(call, ignore, agent_name=text)) == []
    limit = ev.MaxIterationsReached(max_iterations=3, message=text, agent_name=text, **ABOUT)
    assert faults(LimitForm(limit, ignore)) == []


@each
async def test_no_prompt_in_a_terminal_moves_the_cursor(text: str) -> None:
    said: list[str] = []

    async def read(prompt: str) -> str:
        said.append(prompt)
        if len(said) > 12:
            raise EOFError
        return "y" if len(said) == 1 else "wrong"

    about: dict[str, Any] = {"message": text, "source": text, "agent_name": text} | ABOUT
    choice = ev.ElicitationRequest(schema={"properties": {"one": {"type": "string", "enum": [text, "b"]}}}, **about)
    event = ev.ElicitationRequest(message=text, schema=schema_of(text), source=text, agent_name=text, **ABOUT)
    call = ev.ToolCallConfirmation(
        name=text, arguments={text: text, "code": text}, code_argument="code", preview=text, pattern=text,
        agent_name=text, tool_call_id="c", **ABOUT,
    )  # fmt: skip
    away = ev.ElicitationRequest(message=text, mode="url", url=text, source=text, agent_name=text, **ABOUT)
    limit = ev.MaxIterationsReached(max_iterations=3, message=text, agent_name=text, **ABOUT)
    for asked in (event, choice, call, away, limit):
        said.clear()
        await stdin.ask(asked, read)
        assert not set("".join(said)) & CONTROLS


@each
def test_tables_and_errors_are_plain(text: str) -> None:
    document = table(("name", "what"), [(text, text)], empty="None.")
    assert inspect(document["text/html"].replace("<table>", "").replace("</table>", "")).faults == []
    assert not set("".join(document.values())) & CONTROLS
    for error in (errors.UsageError(text), errors.ModelError(text), errors.InvalidAnswer({text: text})):
        assert not set(str(error)) & CONTROLS


# ---------------------------------------------------------------- images of hosts that the user has named


@pytest.fixture
def own_images() -> Iterator[None]:
    allow_images("cdn.example.org")
    yield
    allow_images()


def image(url: str) -> str:
    return render(f"![a chart]({url})")


@pytest.mark.usefixtures("own_images")
def test_images_of_a_named_host_load_at_once() -> None:
    wanted = '<img class="nba-image" alt="a chart" src="https://cdn.example.org/a.png?b=1&amp;c=2" '
    assert wanted + 'referrerpolicy="no-referrer" loading="lazy">' in image("https://cdn.example.org/a.png?b=1&c=2")
    assert "<img" in render("![a][r]\n\n[r]: https://CDN.example.org/a.png")


@pytest.mark.usefixtures("own_images")
@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example.org/a.png", "https://cdn.example.org.evil.example/a", "https://x.cdn.example.org/a",
        "https://cdn.example.org@evil.example/a", "https://user@cdn.example.org/a", "https://cdn.example.org:8443/a",
        "https://evil.example/cdn.example.org", "https://evil.example\\@cdn.example.org/a",
        "https://evil.example/?https://cdn.example.org", "https://cdn.example.org\\.evil.example/",
        "https:cdn.example.org/a", "https:///cdn.example.org/a", "https://cdn.example.org./a",
        "https://ⓒdn.example.org/a", "https://[cdn.example.org", "https://example.org/a",
    ],
)  # fmt: skip
def test_images_of_any_other_host_wait_for_a_click(url: str) -> None:
    assert "<img" not in image(url)
    assert "<img" not in render(f"![a](<{url}>)")


@pytest.mark.usefixtures("own_images")
@each
def test_with_a_named_host_nothing_else_gets_through(text: str) -> None:
    assert inspect(render(text)).faults == []


def test_the_environment_names_hosts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "<img" not in image("https://cdn.example.org/a.png")
    monkeypatch.setenv(VARIABLE, "a.example, cdn.example.org")
    assert "<img" in image("https://cdn.example.org/a.png")
    monkeypatch.setenv(VARIABLE, "*")
    assert "<img" not in image("https://cdn.example.org/a.png")


@pytest.mark.parametrize("name", ["https://a.example", "*.example.org", "a/b", "", "a b", "a@b"])
def test_a_pattern_is_no_host(name: str) -> None:
    with pytest.raises(ValueError, match="exact name"):
        allow_images(name)
