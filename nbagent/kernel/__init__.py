"""The only part of nbagent that knows ipykernel, IPython's events and signals.

    ports         the names borrowed from ipykernel 6 and 7, behind one Protocol
    cells         which cell executes, in which task, and what its request said
    gate          widget messages reach their widgets while a cell is busy
    queued        the requests that wait behind the running cell
    interrupts    SIGINT: who owns it, and where it may raise
    wakeup        a signal wakes the loop
    foreground    what a run owns while its cell shows it, counted, and how its cell ends
    superseding   the end of a cell that was executed again
    transformer   magics called at the top of a cell become awaited calls
    reentry       the same from code that cannot await
    displays      what a tool displays goes to its own card
    subshells     what a subshell handles does not make the kernel look idle
    replies       no request is left unread (ipykernel 7.0 to 7.3)
    latecomers    a message for a widget that is gone says nothing in a cell
    shutdown      the last second of a kernel
    attachment    all of these on one shell, put back from the outside in
    toolset       the tools by which an agent works in the user's namespace

Below: `runtime`. Above: `widgets`, `notebook`, `magics`. Importing it changes nothing; `attach` does, `detach` undoes
it.
"""

from nbagent.kernel.attachment import Attachment, attach, current
from nbagent.kernel.cells import Cell
from nbagent.kernel.foreground import Foreground, Run
from nbagent.kernel.superseding import Superseded
from nbagent.kernel.toolset import KernelToolset

__all__ = ["Attachment", "Cell", "Foreground", "KernelToolset", "Run", "Superseded", "attach", "current"]
