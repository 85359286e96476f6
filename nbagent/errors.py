"""One tree of exceptions, named after the state that they report.

    NbagentError
    ├── ConfigError          what was declared is wrong: an agent, a tool, an option, a file
    ├── UsageError           a magic was called wrongly; one line that says what to do
    ├── SessionBusy          the session has a turn under way
    ├── StoreError           the file that keeps the sessions cannot be used; nothing in it was overwritten
    ├── StreamEnded          the stream reads no more messages: begin a new turn
    ├── NestingTooDeep       a stream inside a stream inside a stream …, more than 10 deep
    ├── AnswerRefused        nobody waits for that answer: late, second, or unknown id
    ├── InvalidAnswer        the answer does not fit the question's schema; the question stays open
    ├── ModelError           the model or its provider failed (`code` says how)
    ├── ToolError            a tool failed; the model reads the message and goes on
    ├── ToolsUnavailable     a toolset could not be opened, so the stream cannot begin
    ├── RunError             `run()` ended in error; carries the partial `Result`
    └── UnsupportedKernel    this ipykernel lacks a name that nbagent borrows

Closed by you and broken by others are different: a stream that you cancel ends with a reason, never with an exception.
`Interrupted` stands apart, outside `Exception`: an interrupt that reached user code on the loop's thread.
Their words may be a server's or a provider's, so they reach a screen as plain text. Below: `plaintext`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbagent.plaintext import plain

if TYPE_CHECKING:
    from nbagent.session import Result


class NbagentError(Exception):
    """The root: catch it to catch whatever nbagent raises on purpose."""

    def __str__(self) -> str:
        """The message, without what could move a cursor, hide, or turn the reading around."""
        return plain(super().__str__())


class ConfigError(NbagentError):
    """What was declared is wrong; the message says what to change."""


class UsageError(NbagentError):
    """A magic was called wrongly; shown to the user as one line."""


class SessionBusy(NbagentError):
    """The session already has a turn under way; wait for it or cancel it."""


class StreamEnded(NbagentError):
    """The stream reads no more messages, since it has ended; begin a new turn."""


class NestingTooDeep(NbagentError):
    """A stream would be nested in more than 10 others; something delegates in circles."""


class StoreError(NbagentError):
    """The file that keeps the sessions cannot be used; the message names it and says what to do."""


class AnswerRefused(NbagentError):
    """Nobody waits for that answer: the question was answered, cancelled, or never asked."""


class InvalidAnswer(NbagentError):
    """The content does not fit the schema of the question, which stays open.

    Parameters
    ----------
    errors
        One message a field, by the field's name (``""`` for the whole).
    """

    def __init__(self, errors: dict[str, str]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in errors.items()))


class ModelError(NbagentError):
    """The model or its provider failed.

    Parameters
    ----------
    message
        What happened, and what to do about it.
    code
        One of the codes of `nbagent.events.Error`: ``model_error``, ``rate_limited``, ``context_exceeded``, ``auth``,
        ``timeout``, ``content_filter`` …
    transient
        The same request may succeed in a moment.
    retry_after
        Seconds that the provider asked to wait before it, where it did.
    """

    def __init__(
        self, message: str, code: str = "model_error", *, transient: bool = False, retry_after: float | None = None
    ) -> None:
        self.code = code
        self.transient = transient
        self.retry_after = retry_after
        super().__init__(message)


class ToolError(NbagentError):
    """A tool failed; raise it from a tool to choose the words that the model reads."""


class ToolsUnavailable(NbagentError):
    """A toolset could not be opened: its command does not exist, its server does not answer."""


class RunError(NbagentError):
    """`Runtime.run` ended in error, after every event was drained.

    Attributes
    ----------
    code
        The code of the stream's error event.
    result
        The partial `Result`: text, messages, usage and ``reason == "error"``.
    """

    def __init__(self, message: str, code: str, result: Result) -> None:
        self.code = code
        self.result = result
        super().__init__(message)


class UnsupportedKernel(NbagentError):
    """This ipykernel lacks a name that nbagent borrows, so no answer could reach a busy cell.

    Parameters
    ----------
    version
        The version of ipykernel.
    missing
        The attribute that is gone.
    """

    def __init__(self, version: str, missing: str) -> None:
        self.version = version
        self.missing = missing
        super().__init__(
            f"ipykernel {version} has no {missing}, which nbagent needs to deliver answers to a running cell; "
            "see the table of supported kernels in README.md"
        )


class Interrupted(BaseException):
    """A KeyboardInterrupt stopped user code on the loop's thread; its run ends as interrupted."""
