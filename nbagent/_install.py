"""The name of the distribution, and every hint that tells somebody to install something.

The import name is `nbagent`; the distribution is not, since that name on PyPI is somebody else's. So no message spells
an install command of its own: each is built here, and a test looks for those that are not.
Imports nothing of nbagent.
"""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "jupyter-nbagent"
"""What pip knows the package as."""


def install_hint(extra: str | None = None) -> str:
    """The command that installs nbagent.

    Parameters
    ----------
    extra
        The name of an optional part, such as ``demo``.

    Returns
    -------
    str
        A line for a shell.

    Examples
    --------
    >>> install_hint()
    'pip install jupyter-nbagent'
    >>> install_hint("demo")
    'pip install "jupyter-nbagent[demo]"'
    """
    return f'pip install "{DISTRIBUTION}[{extra}]"' if extra else f"pip install {DISTRIBUTION}"
