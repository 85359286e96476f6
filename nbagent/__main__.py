"""``python -m nbagent``: the command line. Parses, makes one call, returns.

``python -m nbagent demo`` executes the quickstart in a real kernel with the offline demo agent and prints it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    from nbagent._version import __version__

    parser = argparse.ArgumentParser(prog="nbagent", description="An agent runtime for Jupyter notebooks.")
    parser.add_argument("--version", action="version", version=f"nbagent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="execute the quickstart offline, in a real kernel, and print it")
    demo.add_argument(
        "--output", type=Path, default=Path("build"), help="folder for the executed notebook (default: build)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        Those of the process where None.

    Returns
    -------
    int
        The exit status.
    """
    options = _parser().parse_args(arguments)
    from nbagent.demo import showcase

    return showcase.main(options.output)


if __name__ == "__main__":
    sys.exit(main())
