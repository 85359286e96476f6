"""`FilesystemToolset`: the files below one directory, and none besides.

    toolset     what the model is told, and which calls ask the user
    root        opens what lies below the root, component by component, and never through a symbolic link
    reading     text, in bounded pieces
    writing     whole files, at once or not at all; exact replacements
    listing     directories and trees
    searching   by name and by content
    difference  what a write would change, as a unified diff

Names and arguments of the tools are docker-agent's. Below: `nbagent.toolsets.builtin`, `nbagent.toolsets.threads`: all
work on files is done on a thread of its own.
"""

from nbagent.toolsets.filesystem.toolset import FilesystemToolset

__all__ = ["FilesystemToolset"]
