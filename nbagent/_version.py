"""The version, in one place: the build reads it from here, and `nbagent.__version__` is it.

Imports nothing.
"""

__version__ = "0.1.0"
