"""What a prompt says beyond its words: variables of the notebook, and files.

    expanding   `{name}` and `@file` found in a prompt; everything else stays as it was written
    rendering   one value for a model: short ones in the line, others typed and bounded below the prompt, pictures seen
    files       one file for a model: text bounded below the prompt, pictures and PDF attached
    aside       where the values' own code runs

Below: `kernel.toolset` (which describes values), `toolsets.pictures`. Above: `plan`, `completion`.
"""

from nbagent.notebook.prompt.expanding import Expanded, expand

__all__ = ["Expanded", "expand"]
