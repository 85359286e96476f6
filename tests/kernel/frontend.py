"""A front end for tests: what JupyterLab does for a notebook, in one thread and without a browser.

It starts a real kernel, executes cells as a notebook does (with a ``cellId``), keeps the widgets' models as the comm
messages build them, types into them as ipywidgets does (the next state of a model only after the idle of its last
message), and presses buttons. Nothing runs in the background: messages are taken in `wait_for` and what calls it,
every one of which is bounded. Frames are counted raw, so that a test can say how many bytes a notebook cost.

Example
-------
>>> with FrontEnd() as front:                                             # doctest: +SKIP
...     cell = front.execute("form()", cell_id="a")
...     front.set_state(front.widget(description="Name"), {"value": "Ada"})
...     front.click(front.widget(description="Submit"))
...     assert front.finish(cell).status == "ok"
"""

from __future__ import annotations

import copy
import json
import os
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psutil
import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).parents[2]
TIMEOUT = 20.0
"""Seconds that a test waits for anything, unless it says otherwise."""

OUTPUTS = {"stream", "display_data", "update_display_data", "execute_result", "error", "clear_output"}

VIEW = "application/vnd.jupyter.widget-view+json"

Message = dict[str, Any]


@dataclass(eq=False)
class Execution:
    """One execute_request and what came of it.

    Parameters
    ----------
    msg_id
        The request's identifier; compares equal to nothing but itself.
    messages
        Every IOPub message under its header, in order.
    reply
        The reply's content, once it has come.
    states
        The execution states published under its header, such as ``["busy", "idle"]``.
    idle_at
        `time.monotonic` when idle came.
    """

    msg_id: str
    messages: list[Message] = field(default_factory=list[Message])
    reply: dict[str, Any] | None = None
    states: list[str] = field(default_factory=list[str])
    idle_at: float | None = None

    @property
    def done(self) -> bool:
        """Whether both the reply and idle have come."""
        return self.reply is not None and self.idle_at is not None

    @property
    def status(self) -> str:
        """The reply's status: ``ok``, ``error`` or ``aborted``; "" before it."""
        return (self.reply or {}).get("status", "")

    @property
    def error(self) -> str:
        """The reply's error name, or ""."""
        return (self.reply or {}).get("ename", "")

    @property
    def text(self) -> str:
        """What was printed."""
        return "".join(m["content"]["text"] for m in self.messages if m["msg_type"] == "stream")

    @property
    def outputs(self) -> list[Message]:
        """The messages that a notebook shows under the cell."""
        return [m for m in self.messages if m["msg_type"] in OUTPUTS]

    def data(self, mime: str) -> list[Any]:
        """What was displayed (or returned) in that MIME type, updates included."""
        return [m["content"]["data"][mime] for m in self.outputs if mime in m["content"].get("data", {})]


@dataclass(eq=False)
class Model:
    """A widget's model, as comm messages have made it.

    Parameters
    ----------
    state
        The trait values; buffers stand in their places.
    received
        Custom messages from the kernel: their contents and buffers.
    closed
        The kernel closed it.
    """

    comm_id: str
    target: str
    state: dict[str, Any]
    cell: str | None = None
    received: list[tuple[Any, list[bytes]]] = field(default_factory=list[tuple[Any, list[bytes]]])
    closed: bool = False
    pending: str | None = None
    buffered: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The model's class in the front end, such as ``TextModel``."""
        return self.state.get("_model_name", "")

    @property
    def description(self) -> str:
        """The label at the widget."""
        return self.state.get("description", "")


class FrontEnd:
    """A kernel and one notebook on it.

    Parameters
    ----------
    python
        The interpreter whose ipykernel is started; this one by default.
    ready
        Whether an anywidget's page says ``{"type": "ready"}`` as soon as it is displayed, as nbagent's JavaScript does.
    env
        Environment variables beside this process's own.
    cwd
        The kernel's working directory; a new empty one by default.
    inputs
        What the user types when a cell asks by ``input()``, in order.
    """

    def __init__(
        self,
        python: str = sys.executable,
        *,
        ready: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        inputs: Sequence[str] = (),
    ) -> None:
        self.python = python
        self.ready = ready
        self.inputs = list(inputs)
        self.prompts: list[str] = []
        self.models: dict[str, Model] = {}
        self.executions: dict[str, Execution] = {}
        self.replies: dict[str, Message] = {}
        self.statuses: list[tuple[str, str]] = []
        self.displays: dict[str, Any] = {}
        self.bytes = Counter[str]()
        self.subshell_for_comms: str | None = None
        self._idle: set[str] = set()
        self._home = tempfile.TemporaryDirectory(prefix="nbagent-test-", ignore_cleanup_errors=True)
        self._cwd = cwd or self._home.name
        self._env = os.environ | {"IPYTHONDIR": self._home.name, "PYTHONPATH": str(ROOT)} | dict(env or {})
        self._start()

    # ---------------------------------------------------------------- the kernel's life

    def _start(self) -> None:
        self.manager = KernelManager()
        self.manager._kernel_spec = KernelSpec(
            argv=[self.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python"
        )
        self.manager.start_kernel(env=dict(self._env), cwd=self._cwd)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(timeout=60)
        self._join()

    def _join(self) -> None:
        """Listen to the channels of `client`."""
        self.session = self.client.session
        self._channels: dict[str, Any] = {
            "iopub": self.client.iopub_channel.socket,
            "shell": self.client.shell_channel.socket,
            "control": self.client.control_channel.socket,
            "stdin": self.client.stdin_channel.socket,
        }
        self._poller = zmq.Poller()
        for socket in self._channels.values():
            self._poller.register(socket, zmq.POLLIN)

    @property
    def pid(self) -> int:
        """The kernel's process."""
        provisioner: Any = self.manager.provisioner
        return int(provisioner.pid)

    @property
    def alive(self) -> bool:
        """Whether the kernel runs."""
        return self.manager.is_alive()

    def children(self) -> list[psutil.Process]:
        """The processes that the kernel has started, and theirs, zombies not counted."""
        return [p for p in psutil.Process(self.pid).children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]

    def interrupt(self) -> float:
        """Press the stop button: a real SIGINT to the kernel's process group; returns `time.monotonic`."""
        at = time.monotonic()
        self.manager.interrupt_kernel()
        return at

    def shutdown(self, *, now: bool = False) -> None:
        """End the kernel by a shutdown_request (or, with `now`, kill it), and close the channels."""
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=now)
        self.client.stop_channels()
        self.client.context.destroy(linger=0)
        self.manager.context.destroy(linger=0)
        self._home.cleanup()

    def watch_end(self, timeout: float = TIMEOUT) -> float:
        """Take messages until the kernel has ended, and what it sent last; the seconds that took."""
        begun, process = time.monotonic(), psutil.Process(self.pid)
        while time.monotonic() - begun < timeout:
            ended = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
            ready: list[tuple[Any, int]] = self._poller.poll(100)
            self._take({socket for socket, _ in ready})
            if ended and not ready:
                return time.monotonic() - begun
        raise TimeoutError(f"the kernel runs on after {timeout} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(now=kind is not None)

    # ---------------------------------------------------------------- cells

    def execute(
        self,
        code: str,
        cell_id: str | None = None,
        *,
        allow_stdin: bool = False,
        subshell_id: str | None = None,
        silent: bool = False,
        stop_on_error: bool = True,
    ) -> Execution:
        """Send an execute_request, as Shift-Enter does; returns at once."""
        content = {
            "code": code,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {},
            "allow_stdin": allow_stdin,
            "stop_on_error": stop_on_error,
        }
        metadata = {"cellId": cell_id} if cell_id is not None else {}
        msg_id = self.request("execute_request", content, metadata=metadata, subshell_id=subshell_id)
        return self.executions[msg_id]

    def finish(self, execution: Execution, timeout: float = TIMEOUT) -> Execution:
        """Wait for the reply and idle of an execution."""
        self.wait_for(lambda: execution.done, timeout)
        return execution

    def run(self, code: str, cell_id: str | None = None, *, timeout: float = TIMEOUT, **options: Any) -> Execution:
        """Execute a cell and wait for its end.

        Older kernels still abort what comes in the instant after a failing cell's end: then it is executed again.
        """
        execution = self.finish(self.execute(code, cell_id, **options), timeout)
        if execution.status == "aborted":
            execution = self.finish(self.execute(code, cell_id, **options), timeout)
        return execution

    def request(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        channel: Literal["shell", "control"] = "shell",
        metadata: Mapping[str, Any] | None = None,
        subshell_id: str | None = None,
        buffers: Sequence[bytes] = (),
    ) -> str:
        """Send any message; its reply arrives in `replies` under the identifier that is returned."""
        message = self.session.msg(msg_type, dict(content), metadata=dict(metadata or {}))
        if subshell_id is not None:
            message["header"]["subshell_id"] = subshell_id
        msg_id: str = message["header"]["msg_id"]
        if msg_type == "execute_request":
            self.executions[msg_id] = Execution(msg_id)
        self.session.send(self._channels[channel], message, buffers=list(buffers))
        return msg_id

    def ask(self, msg_type: str, content: Mapping[str, Any] | None = None, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Send a request on the shell channel and return its reply's content."""
        msg_id = self.request(msg_type, content or {})
        self.wait_for(lambda: msg_id in self.replies, timeout)
        return self.replies[msg_id]["content"]

    @property
    def has_subshells(self) -> bool:
        """Whether this kernel has subshells: ipykernel does since 7."""
        return "kernel subshells" in self.ask("kernel_info_request").get("supported_features", [])

    def create_subshell(self) -> str:
        """Create a subshell (ipykernel 7); set `subshell_for_comms` to send comm messages there, as JupyterLab does."""
        msg_id = self.request("create_subshell_request", {}, channel="control")
        self.wait_for(lambda: msg_id in self.replies)
        return self.replies[msg_id]["content"]["subshell_id"]

    # ---------------------------------------------------------------- widgets

    def widgets(self, *, description: str | None = None, name: str | None = None, closed: bool = False) -> list[Model]:
        """The models with that description and that class (``TextModel``), oldest first."""
        return [
            model
            for model in self.models.values()
            if (description is None or model.description == description)
            and (name is None or model.name == name)
            and (closed or not model.closed)
        ]

    def widget(self, *, description: str | None = None, name: str | None = None, timeout: float = TIMEOUT) -> Model:
        """The latest such model, waited for."""
        self.wait_for(lambda: bool(self.widgets(description=description, name=name)), timeout)
        return self.widgets(description=description, name=name)[-1]

    def set_state(self, model: Model | str, state: Mapping[str, Any]) -> None:
        """Change traits as a person does: sent now, or together with what else waits for the last message's idle."""
        model = self.models[model] if isinstance(model, str) else model
        model.state.update(state)
        if model.pending is not None:
            model.buffered = (model.buffered or {}) | dict(state)
        else:
            model.pending = self._send_update(model, state)

    def type(self, model: Model, text: str) -> None:
        """Type into a text field, key by key."""
        before = model.state.get("value", "")
        for end in range(1, len(text) + 1):
            self.set_state(model, {"value": before + text[:end]})

    def settle(self, model: Model, timeout: float = TIMEOUT) -> None:
        """Wait until everything set has been sent, and handled by the kernel."""
        self.wait_for(lambda: model.pending is None, timeout)

    def click(self, button: Model) -> str:
        """Press a button."""
        return self.send(button, {"event": "click"})

    def send(self, model: Model, content: Any, buffers: Sequence[bytes] = ()) -> str:
        """Send a custom message from a model's view; returns the message's identifier."""
        return self._comm("comm_msg", model, {"method": "custom", "content": content}, buffers)

    def close_comm(self, model: Model) -> str:
        """Close the model from the front end's side."""
        model.closed = True
        return self._comm("comm_close", model, {})

    def is_idle(self, msg_id: str) -> bool:
        """Whether the kernel has published idle under that message."""
        return msg_id in self._idle

    def _send_update(self, model: Model, state: Mapping[str, Any]) -> str:
        return self._comm("comm_msg", model, {"method": "update", "state": dict(state), "buffer_paths": []})

    def _comm(self, msg_type: str, model: Model, data: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> str:
        content = {"comm_id": model.comm_id, "data": dict(data)}
        return self.request(msg_type, content, subshell_id=self.subshell_for_comms, buffers=buffers)

    # ---------------------------------------------------------------- messages

    def wait_for(self, predicate: Callable[[], Any], timeout: float = TIMEOUT) -> None:
        """Take messages until `predicate()` holds.

        Raises
        ------
        TimeoutError
            It does not hold after `timeout` seconds, or the kernel has died.
        """
        deadline = time.monotonic() + timeout
        while not predicate():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not so after {timeout} s; the last statuses: {self.statuses[-6:]}")
            ready: list[tuple[Any, int]] = self._poller.poll(int(min(left, 0.5) * 1000) + 1)
            if not ready and not self.alive:
                raise TimeoutError("the kernel died")
            self._take({socket for socket, _ in ready})

    def take_until(self, moment: float) -> None:
        """Take messages until `time.monotonic` is `moment`: for a test whose subject is an instant."""
        while (left := moment - time.monotonic()) > 0:
            self._take({socket for socket, _ in self._poller.poll(max(1, int(left * 1000)))})

    def drain(self) -> None:
        """Take what has arrived."""
        while ready := self._poller.poll(0):
            self._take({socket for socket, _ in ready})

    def _take(self, sockets: set[Any]) -> None:
        for name, socket in self._channels.items():
            if socket not in sockets:
                continue
            frames: list[bytes] = socket.recv_multipart()
            self.bytes[name] += sum(map(len, frames))
            _, parts = self.session.feed_identities(frames)
            message = self.session.deserialize(parts)
            getattr(self, f"_on_{name}")(message)

    def _on_shell(self, message: Message) -> None:
        parent: str = message["parent_header"].get("msg_id", "")
        self.replies[parent] = message
        if execution := self.executions.get(parent):
            execution.reply = message["content"]

    _on_control = _on_shell

    def _on_stdin(self, message: Message) -> None:
        self.prompts.append(message["content"]["prompt"])
        if self.inputs:
            reply = self.session.msg("input_reply", {"value": self.inputs.pop(0)})
            self.session.send(self._channels["stdin"], reply)

    def _on_iopub(self, message: Message) -> None:
        parent: str = message["parent_header"].get("msg_id", "")
        execution = self.executions.get(parent)
        if execution is not None:
            execution.messages.append(message)
        match message["msg_type"]:
            case "status":
                self._on_status(parent, message["content"]["execution_state"], execution)
            case "display_data" | "update_display_data":  # found by its display id, under whatever request it comes
                self._on_display(message["content"])
            case "comm_open":
                self._on_comm_open(parent, message)
            case "comm_msg":
                self._on_comm_msg(message)
            case "comm_close":
                if model := self.models.get(message["content"]["comm_id"]):
                    model.closed = True
            case _:
                pass

    def _on_status(self, parent: str, state: str, execution: Execution | None) -> None:
        self.statuses.append((parent, state))
        if execution is not None:
            execution.states.append(state)
            if state == "idle":
                execution.idle_at = time.monotonic()
        if state != "idle":
            return
        self._idle.add(parent)
        for model in self.models.values():
            if model.pending == parent:
                buffered, model.buffered = model.buffered, None
                model.pending = self._send_update(model, buffered) if buffered else None

    def _on_comm_open(self, parent: str, message: Message) -> None:
        content = message["content"]
        data = content.get("data", {})
        state = _with_buffers(data, message["buffers"])
        model = Model(content["comm_id"], content["target_name"], state, cell=parent)
        self.models[model.comm_id] = model

    def _on_display(self, content: Mapping[str, Any]) -> None:
        """Render a view: a page does so when the model is displayed, and not when it hears of it."""
        if display_id := content.get("transient", {}).get("display_id"):
            self.displays[display_id] = content["data"]
        model = self.models.get(content["data"].get(VIEW, {}).get("model_id", ""))
        if self.ready and model is not None and model.name == "AnyModel":
            self.send(model, {"type": "ready"})

    def _on_comm_msg(self, message: Message) -> None:
        model = self.models.get(message["content"]["comm_id"])
        if model is None:
            return
        data = message["content"]["data"]
        if data.get("method") == "update":
            model.state.update(_with_buffers(data, message["buffers"]))
        elif data.get("method") == "custom":
            content, buffers = data.get("content"), [bytes(b) for b in message["buffers"]]
            if content.get("type") == "deflated":  # as the transcript's JavaScript reads it
                content, buffers = json.loads(zlib.decompress(buffers[0])), []
            model.received.append((content, buffers))


def _with_buffers(data: Mapping[str, Any], buffers: Sequence[Any]) -> dict[str, Any]:
    """The state in `data`, its binary buffers put where they belong."""
    state: dict[str, Any] = copy.deepcopy(data.get("state", {}))
    for path, buffer in zip(data.get("buffer_paths", []), buffers, strict=False):
        place: Any = state
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = bytes(buffer)
    return state
