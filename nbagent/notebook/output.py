"""How a run is shown: the live transcript with widgets, or text that grows, and in the end the document that the cell
keeps.

Four classes behind one Protocol, chosen once a run. `WidgetOutput` displays the transcript's widget by a display
handle made in the cell, so that its output stays the cell's whatever runs meanwhile, and replaces it at the end.
`MarkdownOutput` (for `--plain`, and where there are no widgets) updates a markdown output, ever less often as it
grows, so that the bytes on the wire stay linear; a terminal, which cannot update what it printed, gets the text as it
comes (`TerminalOutput`), or, where it would mix with another's, as a whole at the end (`LaterOutput`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from nbagent.events import Event
from nbagent.notebook.attendance import PATIENCE, Flag
from nbagent.notebook.displaying import Document, Views
from nbagent.notebook.printing import Printing, may_print
from nbagent.notebook.questions import Place
from nbagent.notebook.versions import Beside, Versions

if TYPE_CHECKING:
    from nbagent.notebook.ground import Ground
    from nbagent.notebook.plan import Plan


class Output(Protocol):
    """One run's output; also an observer of its stream."""

    @property
    def lossless(self) -> bool: ...
    @property
    def ready(self) -> Flag | None: ...
    @property
    def place(self) -> Place | None: ...
    async def on_event(self, event: Event) -> None: ...

    def display(self) -> None:
        """Show it in the cell that runs now; again for a second view."""
        ...

    def note(self, text: str) -> None:
        """Say something that no event tells."""
        ...

    async def finish(self) -> Document:
        """Replace every view by the document, which is returned; nothing of the live view is left."""
        ...

    def abandon(self) -> None:
        """The run never began: leave nothing."""
        ...


class WidgetOutput:
    """The live transcript, with text beside it; more of that where no page has shown it in time.

    Parameters
    ----------
    plan
        The run.
    stop
        Called when the user presses Stop; from any thread.
    ground
        Where it runs.
    """

    lossless = True

    def __init__(self, plan: Plan, *, stop: Callable[[], None], ground: Ground) -> None:
        from nbagent.widgets.transcript import Transcript

        self._transcript = Transcript(on_stop=stop, **plan.about)
        self._views = Views(ground)
        self._versions = Versions(self._transcript.bundle, self._send_unseen)
        self._beside = Beside(
            self._transcript.texts,
            self._transcript.bundle,
            self._send_beside,
            self._transcript.ready.is_set,
            lambda: self._transcript.steady,
        )
        self._patience = asyncio.get_running_loop().time() + PATIENCE
        self._printing = Printing(plan, self._transcript.ready.is_set, _to_stdout) if may_print(plan) else None

    @property
    def ready(self) -> Flag:
        """Set once a page shows it."""
        return self._transcript.ready

    @property
    def place(self) -> Place:
        """Where forms stand."""
        return self._transcript

    async def on_event(self, event: Event) -> None:
        """Show one event."""
        await self._transcript.on_event(event)
        if self._printing is not None:
            self._printing.take(event)
        self._touch()

    def display(self) -> None:
        """Show it in the cell that runs now."""
        self._views.add(self._transcript.widget)

    def note(self, text: str) -> None:
        """Say something that no event tells."""
        self._transcript.note(text)
        self._touch()

    async def finish(self) -> Document:
        """Replace every view by the document, before the widget's models close, so that no cell is empty in between."""
        self._versions.stop()
        self._beside.stop()
        if self._printing is not None:
            self._printing.finish()
        heard = self._transcript.ready.is_set()
        return await self._transcript.finish(lambda document: self._views.conclude(document, heard=heard))

    def abandon(self) -> None:
        """Close the models."""
        self._beside.stop()
        if self._printing is not None:
            self._printing.finish()
        self._transcript.close()

    def _touch(self) -> None:
        """The text has grown."""
        self._beside.touch()
        unseen = not self._transcript.ready.is_set() and self._printing is None
        if unseen and asyncio.get_running_loop().time() > self._patience:
            self._versions.touch()

    def _send_unseen(self, version: Document) -> None:
        """Give text to a front end without widgets; the widget stays, for a page that is only slow."""
        if not self._transcript.ready.is_set():
            self._send_beside(version)

    def _send_beside(self, version: Document) -> None:
        view = {"version_major": 2, "version_minor": 0, "model_id": self._transcript.widget.model_id}
        self._views.replace({**version, "application/vnd.jupyter.widget-view+json": view})


class MarkdownOutput:
    """Text that grows, without widgets; questions become prompts on stdin.

    Parameters
    ----------
    plan, stop, ground
        As for `WidgetOutput`; there is no Stop button here.
    """

    lossless = True
    ready = None
    place = None

    def __init__(self, plan: Plan, *, stop: Callable[[], None], ground: Ground) -> None:
        from nbagent.widgets.document import Document as Blocks

        self._blocks = Blocks(**plan.about)
        self._views = Views(ground)
        self._versions = Versions(self._bundle, self._views.replace)

    async def on_event(self, event: Event) -> None:
        """Take one event; a new version is sent when it is worth it."""
        self._blocks.apply(event)
        self._blocks.changed.clear()
        self._versions.touch()

    def display(self) -> None:
        """Show it in the cell that runs now."""
        self._views.add(self._bundle())

    def note(self, text: str) -> None:
        """Say something that no event tells."""
        self._blocks.note(text)
        self._versions.touch()

    async def finish(self) -> Document:
        """The last version, which is the document."""
        self._versions.stop()
        document = self._bundle()
        self._views.conclude(document, heard=False)
        return document

    def abandon(self) -> None:
        """Nothing was shown."""
        self._versions.stop()

    def _bundle(self) -> Document:
        from nbagent.widgets.static import bundle

        return bundle(self._blocks)


class TerminalOutput:
    """Text as it comes, for IPython in a terminal."""

    lossless = True
    ready = None
    place = None

    def __init__(self, plan: Plan, *, stop: Callable[[], None]) -> None:
        from nbagent.widgets.plain import PlainTranscript

        self._plain = PlainTranscript(_to_stdout, color=sys.stdout.isatty(), **plan.about)

    async def on_event(self, event: Event) -> None:
        """Write one event."""
        await self._plain.on_event(event)

    def display(self) -> None:
        """What was written so far, for a second view; nothing at the beginning."""
        from nbagent.widgets.plain import terminal

        if self._plain.document.root.children:
            _to_stdout(terminal(self._plain.document) + "\n")

    def note(self, text: str) -> None:
        """Say something that no event tells."""
        _to_stdout(f"· {text}\n\n")

    async def finish(self) -> Document:
        """The document, for `%agent_show`."""
        from nbagent.widgets.static import bundle

        return bundle(self._plain.document)

    def abandon(self) -> None:
        """Nothing was shown."""


class LaterOutput:
    """The whole text at the end, for a background agent in a terminal: what is on the screen belongs to another run."""

    lossless = True
    ready = None
    place = None

    def __init__(self, plan: Plan) -> None:
        from nbagent.widgets.document import Document as Blocks

        self._blocks = Blocks(**plan.about)

    async def on_event(self, event: Event) -> None:
        """Take one event."""
        self._blocks.apply(event)
        self._blocks.changed.clear()

    def display(self) -> None:
        """What was said so far, for `%agent_show`; nothing at the beginning."""
        from nbagent.widgets.plain import terminal

        if self._blocks.root.children:
            _to_stdout(terminal(self._blocks) + "\n")

    def note(self, text: str) -> None:
        """Say something that no event tells."""
        self._blocks.note(text)

    async def finish(self) -> Document:
        """Write it, and give the document for `%agent_show`."""
        from nbagent.widgets.static import bundle

        _to_stdout("\n")
        self.display()
        return bundle(self._blocks)

    def abandon(self) -> None:
        """Nothing was shown."""


def _to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
