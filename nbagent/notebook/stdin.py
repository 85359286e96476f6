"""Questions as prompts on stdin, for a console, a terminal, or a page that never showed the transcript.

Two ways of reading a line, behind one call. In a kernel the blocking `input` runs on a daemon thread, so that the
loop, the stream and an interrupt go on; ipykernel's input polls every 10 ms, so an asynchronous KeyboardInterrupt set
in that thread ends it when the question is settled elsewhere (left alone it would eat the next cell's input). In a
terminal `input` sits in readline, which nothing can end from outside: there it runs on the loop's thread inside the
boundary, where Ctrl-C raises.

It guarantees: what is returned was accepted by `nbagent.schema.validate`; a cancelled read leaves no thread behind.
"""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import ctypes
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from nbagent import boundary, schema
from nbagent.events import Action, ElicitationRequest, MaxIterationsReached, ToolCallConfirmation

ReadLine = Callable[[str], Awaitable[str]]
Answer = tuple[Action, dict[str, Any] | None]

_REST = 0.5
"""Seconds that a thread has to end after it was told to."""


_BOOLEANS = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}

# ---------------------------------------------------------------- reading a line


async def read_blocking(prompt: str) -> str:
    """Read on the loop's thread; an interrupt raises `nbagent.errors.Interrupted`."""
    return boundary.call(builtins.input, prompt)


async def read_threaded(prompt: str) -> str:
    """Read on a daemon thread, in this context (ipykernel keeps the cell's parent header there)."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[str] = loop.create_future()
    ended = asyncio.Event()

    def settle(line: str | None, error: BaseException | None) -> None:
        if not outcome.done():
            if error is None:
                outcome.set_result(line or "")
            else:
                outcome.set_exception(error)
        ended.set()

    def work() -> None:
        line, error = None, None
        try:
            line = context.run(builtins.input, prompt)
        except KeyboardInterrupt:
            error = EOFError("the prompt was taken back")
        except Exception as raised:  # EOF, or a front end that lost its stdin: told to the asker
            error = raised
        try:
            loop.call_soon_threadsafe(settle, line, error)
        except RuntimeError:  # the loop is closed: nobody asks any more
            return

    context = contextvars.copy_context()
    thread = threading.Thread(target=work, name="nbagent stdin", daemon=True)
    thread.start()
    try:
        return await asyncio.shield(outcome)
    except asyncio.CancelledError:
        outcome.cancel()
        _raise_in(thread)
        await asyncio.wait([asyncio.ensure_future(ended.wait())], timeout=_REST)
        raise


def _raise_in(thread: threading.Thread) -> None:
    """Set KeyboardInterrupt in the thread; it raises at the thread's next bytecode (C API, "Thread state")."""
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))


# ---------------------------------------------------------------- the three kinds of question


async def ask(event: ElicitationRequest | ToolCallConfirmation | MaxIterationsReached, read_line: ReadLine) -> Answer:
    """Put the question; the end of the input (Ctrl-D) is the answer cancel."""

    def read(prompt: str) -> Awaitable[str]:  # whatever a prompt quotes, also of an error
        return read_line(_plain(prompt))

    try:
        if isinstance(event, ElicitationRequest):
            return await _elicit(event, read)
        if isinstance(event, ToolCallConfirmation):
            return await _approve(event, read)
        reached = _plain(event.message) or f"{event.max_iterations} model calls made."
        line = await _choose(f"{reached} Go on? [y]es, [n]o: ", "yn", read)
        return ("accept", None) if line == "y" else ("decline", None)
    except EOFError:
        return "cancel", None


async def _elicit(event: ElicitationRequest, read: ReadLine) -> Answer:
    limit = f" (answer within {max(event.deadline - time.time(), 0):.0f} s)" if event.deadline is not None else ""
    head = f"{_plain(event.source) or _plain(event.agent_name)} asks: {_plain(event.message)}{limit}\n"
    if event.mode == "url":
        head += f"Open this address yourself, if you trust it: {_plain(event.url)}\n"
    choice = await _choose(f"{head}[y] answer, [n] decline, [c] cancel: ", "ync", read)
    if choice != "y":
        return ("decline" if choice == "n" else "cancel"), None
    if event.mode == "url":
        return "accept", None
    if event.schema is None:
        return "accept", {"answer": await read("answer: ")}
    return "accept", await _fill(event.schema, read)


async def _approve(event: ToolCallConfirmation, read: ReadLine) -> Answer:
    head = f"{_plain(event.agent_name)} wants to run {_called(event)}\n"
    always = f"[a]lways for {_plain(event.pattern)}, " if event.pattern else ""
    offered = f"[y]es, yes for this [s]ession, {always}[n]o: "
    choice = await _choose(head + offered, "ysan" if always else "ysn", read)
    match choice:
        case "n":
            return "decline", {"reason": (await read("reason (the model reads it; may be empty): ")).strip()}
        case "a":
            return "accept", {"scope": "always", "pattern": event.pattern}
        case _:
            return "accept", {"scope": "session" if choice == "s" else "once"}


def _called(event: ToolCallConfirmation) -> str:
    """The call on a line, its code and what it would change beneath; what would not show is written as its number."""
    from nbagent.plaintext import visible

    arguments = dict(event.arguments)
    code = arguments.get(event.code_argument)
    if isinstance(code, str):
        del arguments[event.code_argument]
    listed = ", ".join(f"{_plain(k)}={_plain(json.dumps(v, default=str))}" for k, v in arguments.items())
    lines = [*(code.splitlines() if isinstance(code, str) else ()), *event.preview.splitlines()]
    beneath = "".join(f"\n    {visible(line)}" for line in lines)
    return f"{_plain(event.name)}({listed}){beneath}"


async def _choose(prompt: str, keys: str, read: ReadLine) -> str:
    while True:
        line = (await read(prompt)).strip().lower()
        if line[:1] and line[:1] in keys:
            return line[0]
        prompt = f"one of {', '.join(keys)}, please: "


async def _fill(form: Mapping[str, Any], read: ReadLine) -> dict[str, Any]:
    """Ask each field until its value is valid, those first that are required; then all again where the whole is not."""
    properties = cast(Mapping[str, Mapping[str, Any]], form.get("properties") or {})
    required = frozenset(cast(list[str], form.get("required") or []))
    if not properties:
        return await _whole(form, read)
    note = ""
    while True:
        content: dict[str, Any] = {}
        for name in sorted(properties, key=lambda name: name not in required):
            field = properties[name]
            value = await _field(name, field, name in required, read, note)
            note = ""
            if value is not None:
                content[name] = value
        errors = schema.validate(content, form)
        if not errors:
            return content
        note = "; ".join(f"{name}: {text}" if name else text for name, text in errors.items()) + "\n"


async def _whole(form: Mapping[str, Any], read: ReadLine) -> dict[str, Any]:
    """What has no fields to ask for: nothing, where that fits, else an object in JSON."""
    if not schema.validate({}, form):
        return {}
    prompt = f"{_plain(json.dumps(form, ensure_ascii=False, default=str))}\nAn object in JSON that fits this: "
    while True:
        value = _value(await read(prompt), {})
        errors = schema.validate(value, form) if isinstance(value, dict) else {"": "An object in braces is expected."}
        if not errors:
            return cast("dict[str, Any]", value)
        prompt = "; ".join(f"{name}: {text}" if name else text for name, text in errors.items()) + " Again: "


async def _field(name: str, field: Mapping[str, Any], required: bool, read: ReadLine, note: str) -> Any:
    """The field's value; None where it is left out."""
    prompt = f"{note}{_field_prompt(name, field, required)}"
    while True:
        line = await read(prompt)
        if not line.strip():
            if "default" in field or not required:
                return field.get("default")
            prompt = f"Required. {_plain(name)}: "
            continue
        value = _value(line, field)
        errors = schema.validate({name: value}, {"type": "object", "properties": {name: field}})
        if not errors:
            return value
        prompt = f"{next(iter(errors.values()))} {_plain(name)}: "


def _field_prompt(name: str, field: Mapping[str, Any], required: bool) -> str:
    notes = [_plain(str(field["description"]))] if field.get("description") else []
    choices = _choices(field)
    if choices:
        listed = ", ".join(v if v == title else f"{v} ({title})" for v, title in choices.items())
        notes.append(f"{'some' if field.get('type') == 'array' else 'one'} of: {_plain(listed)}")
    if "default" in field:
        notes.append(f"empty: {_plain(json.dumps(field['default'], ensure_ascii=False))}")
    elif not required:
        notes.append("may be empty")
    title = _plain(str(field.get("title") or name))
    return f"{title}{' (' + '; '.join(notes) + ')' if notes else ''}: "


def _choices(field: Mapping[str, Any]) -> dict[str, str]:
    """What may be chosen: titles by value, in MCP's four spellings."""
    source = cast(Mapping[str, Any], field.get("items") or {}) if field.get("type") == "array" else field
    listed = cast(list[Mapping[str, Any]], source.get("oneOf") or source.get("anyOf") or [])
    if listed:
        return {str(one["const"]): str(one.get("title", one["const"])) for one in listed if "const" in one}
    values = cast(list[Any], source.get("enum") or [])
    titles = cast(list[Any], source.get("enumNames") or values)
    return {str(value): str(title) for value, title in zip(values, titles, strict=False)}


def _value(line: str, field: Mapping[str, Any]) -> Any:
    """The line as the field's type; as it is where it cannot be, so that validation names the fault."""
    text = line.strip()
    by_title = {title: value for value, title in _choices(field).items()}
    match field.get("type"):
        case "boolean":
            return _BOOLEANS.get(text.lower(), text)
        case "array":
            return [by_title.get(part.strip(), part.strip()) for part in text.split(",") if part.strip()]
        case "string":
            return by_title.get(text, line)
        case _:
            try:
                return json.loads(text)
            except ValueError:
                return text


def _plain(text: str) -> str:
    """Hostile text for a terminal: no control characters, ANSI sequences or bidi overrides."""
    from nbagent.plaintext import plain

    return plain(text)
