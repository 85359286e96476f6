"""``python -m nbagent``: the command line. Parses, makes one call, returns.

``python -m nbagent demo`` executes the quickstart in a real kernel with the offline demo agent and prints it;
``validate FILE…`` says what is wrong with teams in YAML, for use in CI; ``schema`` prints their JSON schema, for
editors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nbagent.plaintext import plain


def _parser() -> argparse.ArgumentParser:
    from nbagent._version import __version__

    parser = argparse.ArgumentParser(prog="nbagent", description="An agent runtime for Jupyter notebooks.")
    parser.add_argument("--version", action="version", version=f"nbagent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="execute the quickstart offline, in a real kernel, and print it")
    demo.add_argument(
        "--output", type=Path, default=Path("build"), help="folder for the executed notebook (default: build)"
    )
    validate = commands.add_parser("validate", help="say what is wrong with teams in YAML; 1 where one cannot be used")
    validate.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a file in docker-agent's YAML")
    validate.add_argument("--strict", action="store_true", help="1 also where nbagent leaves something out")
    commands.add_parser("schema", help="print the JSON schema of such files, for editors")
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
    match options.command:
        case "validate":
            return _validate(options.files, options.strict)
        case "schema":
            return _print_schema()
        case _:
            from nbagent.demo import showcase

            return showcase.main(options.output)


def _validate(files: Sequence[Path], strict: bool) -> int:
    from nbagent import config

    bad = False
    for file in files:
        problems = config.validate(file)
        for problem in problems:
            print(plain(str(problem)))
        errors = sum(problem.level == "error" for problem in problems)
        bad = bad or bool(errors) or (strict and bool(problems))
        if not errors:
            print(f"{plain(str(file))}: ok" + (f", {len(problems)} warnings" if problems else ""))
    return int(bad)


def _print_schema() -> int:
    import json

    from nbagent import config

    print(json.dumps(config.schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
