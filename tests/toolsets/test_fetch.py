"""The tool `fetch`: where it goes and where not, what it reads of a page, and its bounds."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Generator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest

from nbagent.errors import ConfigError, ToolError
from nbagent.events import ToolCallConfirmation, ToolCallResponse
from nbagent.models import ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.toolsets import FetchToolset
from nbagent.toolsets.fetch import addresses, pages, request
from nbagent.toolsets.fetch.toolset import MOST
from tests.runtime.support import drained, scripted, until
from tests.toolsets.calling import Bench

pytestmark = pytest.mark.anyio

HTML = """<!doctype html><html><head><title>T</title><style>b {}</style><body><h1>Head</h1><script>alert(1)</script>
<p>Some <b>bold</b> <a href="/x">link</a>.</p><ul><li>one<li>two</ul>
<img src="data:image/png;base64,AAAA" alt="dot"></body>"""
TLS = ssl.create_default_context()


class Site(ThreadingHTTPServer):
    """A site on loopback; keeps the requests, and can be told to stall."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.release = threading.Event()
        self.inside = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Page(BaseHTTPRequestHandler):
    server: Site  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        path, _, rest = self.path[1:].partition("/")
        match path:
            case "html":
                self.say("text/html; charset=utf-8", HTML.encode())
            case "latin":
                self.say("text/plain; charset=iso-8859-1", b"caf\xe9")
            case "odd":
                self.say("text/plain; charset=no-such", b"plain")
            case "json":
                self.say("application/json", b'{"a": 1}')
            case "image":
                self.say("image/png", b"\x89PNG")
            case "untold":
                self.say("", b"\0\1")
            case "missing":
                self.say("text/plain", b"gone away", status=404)
            case "compressed":
                self.say("text/plain", b"x", encoding="gzip")
            case "to":
                self.say("text/plain", b"", status=302, location=rest)
            case "round":
                self.say("text/plain", b"", status=302, location="/round")
            case "big":
                self.say("text/plain", b"all of it " * 150_000)
            case "endless":
                self.say("text/plain", b"x" * 1_000_000, length=1 << 40)
                self.server.inside.set()
                self.server.release.wait(20)
            case _:
                self.say("text/plain", b"")

    def say(
        self, kind: str, body: bytes, *, status: int = 200, location: str = "", encoding: str = "", length: int = 0
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Location": location, "Content-Encoding": encoding, "Set-Cookie": "a=b"}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Generator[Site]:
    with Site() as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join(10)


@pytest.fixture
def bench() -> Bench:
    return Bench(FetchToolset(allow_private=True))


# ---------------------------------------------------------------- where it goes


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1",
        "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2001:0:53aa:64c::1", "2001:db8::1", "192.0.2.1",
    ],
)  # fmt: skip
def test_what_is_not_anybodys_is_not_public(address: str) -> None:
    assert not addresses.public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_anybodys_is_public(address: str) -> None:
    assert addresses.public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:7f00:1]"]
)
async def test_by_default_it_does_not_go_to_this_host_however_it_is_spelled(site: Site, host: str) -> None:
    with pytest.raises(ToolError, match=r"no public address|no host"):
        await Bench(FetchToolset()).call("fetch", url=f"http://{host}:{site.server_port}/html")
    assert site.requests == []


class Names:
    """A resolver of our own: each name's answers, one after the other."""

    def __init__(self, **answers: list[Sequence[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers[host.partition(".")[0]].pop(0)


async def got(url: str, names: Names, permits: addresses.Permits = lambda address: address.is_loopback) -> request.Page:
    with anyio.fail_after(10):
        return await request.get(url, 1000, TLS, permits, names)


@pytest.mark.parametrize("found", [["93.184.216.34", "10.0.0.1"], ["10.0.0.1", "93.184.216.34"]])
async def test_a_name_of_which_one_address_is_private_is_refused(site: Site, found: Sequence[str]) -> None:
    names = Names(mixed=[found])
    with pytest.raises(ToolError, match=r"10\.0\.0\.1, which is no public address"):
        await got(f"http://mixed.test:{site.server_port}/", names, addresses.public)
    with pytest.raises(ToolError, match="no address"):
        await got("http://none.test/", Names(none=[[]]))


async def test_it_connects_to_the_very_address_that_was_checked(site: Site) -> None:
    """A name that resolves to something else by the second look (DNS rebinding) is looked up once."""
    names = Names(rebinds=[["127.0.0.1"], ["10.0.0.1"]])
    page = await got(f"http://rebinds.test:{site.server_port}/json", names)
    assert (page.text, page.url) == ('{"a": 1}', f"http://rebinds.test:{site.server_port}/json")
    assert names.asked == ["rebinds.test"]
    assert site.requests[0][1]["host"] == f"rebinds.test:{site.server_port}"


async def test_the_next_address_is_tried_where_one_does_not_answer(site: Site) -> None:
    names = Names(two=[["127.0.0.99", "127.0.0.1"]])
    assert (await got(f"http://two.test:{site.server_port}/json", names)).ok


@pytest.mark.parametrize(
    "target", ["http://inner.test/x", "//inner.test/x", "http://10.0.0.1/x", "http://[::ffff:10.0.0.1]/x"]
)
async def test_each_redirect_is_checked_anew(site: Site, target: str) -> None:
    inner: dict[str, list[Sequence[str]]] = {
        "inner": [["10.0.0.1"]],
        "10": [["10.0.0.1"]],
        "::ffff:a00:1": [["::ffff:10.0.0.1"]],
        "::ffff:10": [["::ffff:10.0.0.1"]],
    }
    names = Names(outer=[["127.0.0.1"]], **inner)
    with pytest.raises(ToolError, match="no public address"):
        await got(f"http://outer.test:{site.server_port}/to/{target}", names)
    assert len(site.requests) == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "gopher://host", "http://a:b@127.0.0.1/x"])
async def test_a_redirect_to_another_scheme_or_a_password_is_refused(site: Site, target: str) -> None:
    with pytest.raises(ToolError, match=r"only http and https|password"):
        await got(f"http://outer.test:{site.server_port}/to/{target}", Names(outer=[["127.0.0.1"]]))


async def test_redirects_are_followed_without_cookies_and_bounded(site: Site, bench: Bench) -> None:
    text = await bench.text("fetch", url=f"{site.url}/to//json")
    assert text == f'{site.url}/json (200 OK)\n\n{{"a": 1}}'
    assert all("cookie" not in headers for _, headers in site.requests)
    with pytest.raises(ToolError, match="more than 5 times"):
        await bench.call("fetch", url=f"{site.url}/round")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "javascript:alert(1)", "//host", "http://", "http://u:p@h/", "x" * 9]
)
async def test_only_addresses_of_the_web_are_fetched(bench: Bench, url: str) -> None:
    with pytest.raises(ToolError, match=r"only http and https|password|no address"):
        await bench.call("fetch", url=url)


async def test_no_proxy_of_the_environment_is_used(site: Site, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert "200 OK" in await bench.text("fetch", url=f"{site.url}/json")


async def test_the_certificate_is_checked_against_the_name(site: Site) -> None:
    """No TLS is spoken there: what counts is that the request is made with TLS and fails."""
    with pytest.raises(ToolError, match="cannot be reached"):
        await got(f"https://outer.test:{site.server_port}/", Names(outer=[["127.0.0.1"]]))
    assert site.requests == []


# ---------------------------------------------------------------- what it reads


async def test_html_is_read_as_markdown_as_text_or_as_it_is(site: Site, bench: Bench) -> None:
    head = f"{site.url}/html (200 OK)\n\n"
    markdown = await bench.text("fetch", url=f"{site.url}/html")
    assert markdown.startswith(f"{head}# Head") and "**bold** [link](/x)" in markdown and "* one" in markdown
    text = await bench.text("fetch", url=f"{site.url}/html", format="text")
    assert text.startswith(f"{head}Head") and "Some bold link." in text
    for read in (markdown, text):
        assert "alert" not in read and "b {}" not in read and "AAAA" not in read
    assert await bench.text("fetch", url=f"{site.url}/html", format="html") == head + HTML


async def test_charsets_are_honoured_and_unknown_ones_survived(site: Site, bench: Bench) -> None:
    assert (await bench.text("fetch", url=f"{site.url}/latin")).endswith("café")
    assert (await bench.text("fetch", url=f"{site.url}/odd")).endswith("plain")


async def test_what_is_no_text_is_refused(site: Site, bench: Bench) -> None:
    for path, words in {"image": "image/png", "untold": "no text", "compressed": "compressed"}.items():
        with pytest.raises(ToolError, match=words):
            await bench.call("fetch", url=f"{site.url}/{path}")


async def test_an_error_of_the_server_is_one(site: Site, bench: Bench) -> None:
    result = await bench.call("fetch", url=f"{site.url}/missing")
    assert result.is_error and result.text == f"{site.url}/missing (404 Not Found)\n\ngone away"


async def test_what_is_read_is_bounded(site: Site) -> None:
    text = await Bench(FetchToolset(allow_private=True, max_bytes=200_000)).text("fetch", url=f"{site.url}/endless")
    assert len(text) < MOST + 200 and text.endswith("[the page is longer: these are its first 50,000 characters]")


def test_a_page_made_to_be_hard_is_read_all_the_same() -> None:
    assert "deep" in pages.as_markdown("<div>" * 5_000 + "deep")
    assert pages.as_markdown("http://page.test/a.html") == "http://page.test/a.html"
    assert pages.as_markdown('<?xml version="1.0"?><rss><p>news</p></rss>') == "news"
    assert pages.as_text("<b>" * 5_000 + "deep") == "deep"
    assert pages.as_text("<script>x</script>a<br>b<svg><svg></svg>hidden</svg>&lt;c&gt;") == "a\nb<c>"


# ---------------------------------------------------------------- its ends


async def test_one_that_takes_too_long_is_given_up(site: Site) -> None:
    with pytest.raises(ToolError, match=r"more than 0\.5 s"):
        await Bench(FetchToolset(allow_private=True, timeout=0.5, max_bytes=2 << 20)).call(
            "fetch", url=f"{site.url}/endless"
        )


async def test_one_that_is_cancelled_ends_at_once(site: Site, bench: Bench) -> None:
    task = asyncio.create_task(bench.call("fetch", url=f"{site.url}/endless"))
    while not site.inside.is_set():
        await anyio.sleep(0.01)
    task.cancel()
    with anyio.fail_after(2), pytest.raises(asyncio.CancelledError):
        await task


async def test_p11_the_user_is_asked_and_offered_the_host(site: Site) -> None:
    call = ToolCall("fetch", {"url": f"{site.url}/json"})
    runtime = Runtime(scripted(call, "done", toolsets=[FetchToolset(allow_private=True)]))
    async with runtime.run_stream(Session(), "hi") as stream:
        asked = await until(stream, ToolCallConfirmation)
        assert isinstance(asked, ToolCallConfirmation)
        assert asked.pattern.startswith("fetch:url=http") and site.requests == []
        runtime.answer(asked.id, "accept")
        (response,) = [event for event in await drained(stream) if isinstance(event, ToolCallResponse)]
    assert response.state == "ok"


def test_what_is_declared_is_checked() -> None:
    with pytest.raises(ConfigError, match="max_bytes=0"):
        FetchToolset(max_bytes=0)
