"""The kernel's own tools: what an agent may do with the notebook that it runs in.

    toolset     `KernelToolset`: the four tools, which of them ask, and the shell that they work on
    execution   run_python: a piece of code as a cell would run it, but for the cell's own history
    steps       the user code of one call, step by step: where an interrupt raises, and what is put back after each
    printed     what the code showed, whole for the card and bounded for the model
    tracebacks  what a model reads of an exception: the user's own frames
    figures     matplotlib's figures go to the card, and not to the end of the user's cell
    variables   which names are the user's, and what they are, without a value
    inspection  one value, bounded and redacted
    redaction   whose value is not shown
    beside      on a thread of its own, with a bound: where the reprs of the user's objects run
    next_cell   add_cell, by the payload of an execute_reply

Below: `nbagent.boundary`, `nbagent.toolsets`, `nbagent.runtime`, and the rest of `nbagent.kernel`. IPython is imported
where it is used.
"""

from nbagent.kernel.toolset.toolset import KernelToolset

__all__ = ["KernelToolset"]
