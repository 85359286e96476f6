"""The end of a cell that was executed again while it ran.

No further statement of it may execute, no `except Exception` may catch its end, and yet its reply must be ok: an error
would make the kernel abort the queue, and with it the re-execution. So its code ends by a private BaseException that
IPython is told to show nothing of, and whose trace is taken out of the result at `post_run_cell`, from which ipykernel
makes the reply. IPython's one slot for such exceptions is borrowed for just that time. Above: `foreground`.
"""

from __future__ import annotations

from typing import Any, cast


class Superseded(BaseException):
    """The cell was executed again; nothing more of this execution is to happen."""


class Silencer:
    """Lets `Superseded` end a cell of one shell in silence."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._before: tuple[Any, Any] | None = None
        self._ours: Any = None

    def arm(self) -> None:
        """Borrow the slot for custom exceptions, in front of the user's own; call before raising."""
        if self._before is not None:
            return
        shell = self._shell
        exceptions, handler = shell.custom_exceptions, shell.CustomTB
        self._before = (exceptions, handler)

        def show(_: Any, kind: type[BaseException], error: BaseException, tb: Any, tb_offset: int | None = None) -> Any:
            return None if issubclass(kind, Superseded) else handler(kind, error, tb, tb_offset)

        shell.set_custom_exc((Superseded, *exceptions), show)
        self._ours = shell.CustomTB

    def end_cell(self, result: Any) -> None:
        """Give the slot back, and make a superseded cell's result that of a cell that ended well."""
        if self._before is not None:
            if self._shell.CustomTB is self._ours:
                self._shell.custom_exceptions, self._shell.CustomTB = self._before
            self._before = self._ours = None
        if result is not None and _only_superseded(result.error_in_exec):
            result.error_in_exec = None
            self._shell.last_execution_succeeded = True


def _only_superseded(error: Any) -> bool:
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return all(_only_superseded(member) for member in members)
    return isinstance(error, Superseded)
