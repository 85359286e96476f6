"""The ipykernels that nbagent is tested on beside the newest: a virtual environment for each, under ``build/kernels``.

``python -m tests.kernel.environments`` makes the missing ones (`make test-deps` calls it) and prints their
interpreters. An environment is made anew when the project's dependencies have changed. The project itself is not
installed into it but found by ``PYTHONPATH``, so that what is tested is the working tree.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VERSIONS = ("6.29.5", "7.1.0")
"""Of ipykernel; the newest is in the environment that runs the tests."""


def interpreter(version: str) -> Path:
    """Where the interpreter with that ipykernel is, or will be."""
    return ROOT / "build" / "kernels" / version / "bin" / "python"


def made(version: str) -> bool:
    """Whether its environment is there and fits the project's dependencies."""
    stamp = _stamp(version)
    return stamp.exists() and stamp.read_text() == _wanted()


def make(version: str) -> None:
    """Make the environment of one ipykernel, from nothing."""
    home = interpreter(version).parents[1]
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
    requirements = [*_dependencies(), f"ipykernel=={version}"]
    subprocess.run(
        [str(interpreter(version)), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *requirements],
        check=True,
    )
    _stamp(version).write_text(_wanted())


def _stamp(version: str) -> Path:
    return interpreter(version).parents[1] / "nbagent-dependencies"


def _dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["dependencies"])


def _wanted() -> str:
    return hashlib.sha256("\n".join([sys.version, *_dependencies()]).encode()).hexdigest()


def _missing(version: str) -> pytest.MarkDecorator:
    return pytest.mark.skip(reason=f"no ipykernel {version} here; `make test-deps` brings it")


def kernels() -> list[Any]:
    """Parameters for tests: the interpreter of each ipykernel, the newest first; one that is not made is a skip.

    ``NBAGENT_KERNELS`` names more interpreters to test on, `os.pathsep` between them.
    """
    others = [
        pytest.param(str(interpreter(version)), id=version, marks=() if made(version) else _missing(version))
        for version in VERSIONS
    ]
    named = [path for path in os.environ.get("NBAGENT_KERNELS", "").split(os.pathsep) if path]
    return [pytest.param(sys.executable, id="newest"), *others, *named]


def main() -> None:
    """Make what is missing."""
    for version in VERSIONS:
        if not made(version):
            make(version)
        print(f"ipykernel {version}: {interpreter(version).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
