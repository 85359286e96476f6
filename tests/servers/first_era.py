"""A first-era MCP server over stdio, of the standard library alone, that can misbehave on demand.

Its tools are the functions of `Tools`. Options: ``--exit CODE`` ends at once after a word on stderr, ``--silent``
never answers, ``--garbage`` first writes what is not MCP, ``--stubborn`` ignores the end of stdin and SIGTERM,
``--strict`` ends when it is asked for the second era.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
BOUND = 20.0  # seconds that any wait here may take

_lock = threading.Lock()
_ids = itertools.count(1)
_answers: dict[str, queue.Queue[dict[str, Any]]] = {}
_cancelled: dict[Any, threading.Event] = {}
_seen: list[dict[str, Any]] = []
_state: set[str] = set()
_added: list[str] = []
_dropped: set[str] = set()
NO_ANSWER = object()


def write(message: dict[str, Any]) -> None:
    with _lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def elicit(**params: Any) -> dict[str, Any]:
    """Ask the client's user and wait for the answer."""
    identifier = f"ask-{next(_ids)}"
    _answers[identifier] = queue.Queue()
    write({"id": identifier, "method": "elicitation/create", "params": params})
    answer = _answers[identifier].get(timeout=BOUND)
    return answer.get("result") or answer.get("error") or {}


class Refused(Exception):
    """A tool's protocol error: code, message, data."""


class Tools:
    """Each method is a tool; it gets the arguments and the event that is set when its call is cancelled."""

    def add(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        return str(arguments["a"] + arguments["b"])

    def ask(self, arguments: dict[str, Any], cancelled: threading.Event) -> object:
        """As a good server does: a cancelled call is not answered."""
        answer = elicit(message=arguments.get("message", "Who?"), requestedSchema=FORM, mode="form")
        return NO_ANSWER if cancelled.is_set() else json.dumps(answer)

    def ask_url(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        return json.dumps(elicit(message="Sign in", url="https://example.org/in", elicitationId="e1", mode="url"))

    def sign_in(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        """The user has to go to an address first; the second call finds that done."""
        if "signed in" in _state:
            return "welcome"
        _state.add("signed in")
        wanted = {"mode": "url", "message": "Sign in", "url": "https://example.org/in", "elicitationId": "e2"}
        raise Refused(-32042, "sign in first", {"elicitations": [wanted]})

    def wait(self, arguments: dict[str, Any], cancelled: threading.Event) -> object:
        """As a good server does: ends when cancelled, and then does not answer."""
        progress(arguments, "waiting")
        return NO_ANSWER if cancelled.wait(BOUND) else "waited in vain"

    def ask_late(self, arguments: dict[str, Any], cancelled: threading.Event) -> object:
        """As a bad server does: goes on after the cancellation, asks, and then answers all the same."""
        progress(arguments, "waiting")
        cancelled.wait(BOUND)
        answer = elicit(message="late", requestedSchema=FORM, mode="form")
        return f"late answer: {json.dumps(answer)}"

    def die(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        print("I die", file=sys.stderr, flush=True)
        os._exit(int(arguments.get("code", 7)))

    def garbage(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        with _lock:
            print("this is not MCP", flush=True)
            print('{"jsonrpc": "2.0", "id": [], "result": 1}', flush=True)
        return "after the garbage"

    def bad_result(self, arguments: dict[str, Any], cancelled: threading.Event) -> dict[str, Any]:
        return {"content": [{"type": "nonsense"}]}

    def say(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        print(arguments["text"], file=sys.stderr, flush=True)
        return "said"

    def spawn(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        """Start a child that outlives this server, in a session of its own if asked."""
        child = subprocess.Popen(
            ["sleep", "600"], start_new_session=bool(arguments.get("session")), stdout=subprocess.DEVNULL
        )
        return str(child.pid)

    def pid(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        return str(os.getpid())

    def change(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        """Offer other tools from now on: those of `add` too, those of `drop` no more; and say so, unless `silent`."""
        _added.extend(arguments.get("add", []))
        _dropped.update(arguments.get("drop", []))
        if not arguments.get("silent"):
            write({"method": "notifications/tools/list_changed"})
        return "changed"

    def flood(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        return "all of it " * 500_000

    def seen(self, arguments: dict[str, Any], cancelled: threading.Event) -> str:
        return json.dumps(_seen)


def progress(arguments: dict[str, Any], message: str) -> None:
    token = arguments.get("_token")
    if token is not None:
        params = {"progressToken": token, "progress": 1, "message": message}
        write({"method": "notifications/progress", "params": params})


def call(identifier: Any, params: dict[str, Any]) -> None:
    name = params["name"]
    tool: Callable[..., Any] | None = None if name in _dropped else getattr(Tools(), name, None)
    if name in _added and tool is None:
        tool = lambda arguments, cancelled: f"{name} was added"  # noqa: E731
    if tool is None:
        write({"id": identifier, "error": {"code": -32602, "message": f"unknown tool {name}"}})
        return
    arguments = params.get("arguments", {}) | {"_token": params.get("_meta", {}).get("progressToken")}
    try:
        answer = tool(arguments, _cancelled[identifier])
    except Refused as refused:
        code, message, data = refused.args
        write({"id": identifier, "error": {"code": code, "message": message, "data": data}})
        return
    except Exception as error:
        answer = {"content": [{"type": "text", "text": f"failed: {error!r}"}], "isError": True}
    if isinstance(answer, str):
        answer = {"content": [{"type": "text", "text": answer}]}
    if answer is not NO_ANSWER:
        write({"id": identifier, "result": answer})


def listed() -> list[dict[str, Any]]:
    names = [name for name in [*vars(Tools), *_added] if not (name.startswith("_") or name in _dropped)]
    hints = {"add": {"annotations": {"readOnlyHint": True}}}
    return [{"name": name, "inputSchema": {"type": "object"}, **hints.get(name, {})} for name in names]


def handle(message: dict[str, Any]) -> None:
    identifier, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    if method is None:
        _answers[str(identifier)].put(message)
    elif identifier is None:
        _seen.append({"method": method, "params": params})
        if method == "notifications/cancelled" and params["requestId"] in _cancelled:
            _cancelled[params["requestId"]].set()
    elif method == "initialize":
        info = {"name": "first-era", "version": "1"}
        capabilities = {"tools": {"listChanged": True}}
        version = params["protocolVersion"]
        result = {"protocolVersion": version, "capabilities": capabilities, "serverInfo": info}
        write({"id": identifier, "result": result})
    elif method == "tools/list":
        write({"id": identifier, "result": {"tools": listed()}})
    elif method == "tools/call":
        _cancelled[identifier] = threading.Event()
        threading.Thread(target=call, args=(identifier, params), daemon=True).start()
    else:
        write({"id": identifier, "error": {"code": -32601, "message": "Method not found"}})


def main() -> None:
    options = sys.argv[1:]
    if "--exit" in options:
        print(f"no configuration, key {os.environ.get('API_KEY', '')}", file=sys.stderr, flush=True)
        sys.exit(int(options[options.index("--exit") + 1]))
    if "--garbage" in options:
        print("Welcome to the server!", flush=True)
    if "--stubborn" in options:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        if "--strict" in options and json.loads(line)["method"] == "server/discover":
            sys.exit("expected an initialize request")
        if "--silent" not in options:
            handle(json.loads(line))
    if "--stubborn" in options:
        threading.Event().wait(600)
    os._exit(0)


if __name__ == "__main__":
    main()
