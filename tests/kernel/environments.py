"""The ipykernels that nbagent is tested on beside the newest: a virtual environment for each, under ``build/kernels``.

``python -m tests.kernel.environments`` makes the missing ones (`make test-deps` calls it) and prints their
interpreters. An environment is made anew when the project's dependencies have changed. The project itself is not
installed into it but found by ``PYTHONPATH``, so that what is tested is the working tree.

Every test of kernels runs on `VERSIONS` and on the newest; `OTHERS` run what `test_matrix` says, which is what a person
does in a notebook. `matrix` makes more of them, for other interpreters.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VERSIONS = ("6.17.1", "7.1.0")
"""Of ipykernel: the oldest that is supported, and one in the middle; the newest is where the tests themselves run."""
OTHERS = ("6.29.5", "6.31.0", "7.0.1", "7.2.0", "7.3.0")
"""More of them, which a person may well have."""
FLOOR = VERSIONS[0]


@dataclass(frozen=True, slots=True)
class Environment:
    """One ipykernel on one interpreter.

    Parameters
    ----------
    version
        Of ipykernel.
    python
        The interpreter that the environment is made with; this one by default.
    tag
        What tells its directory from those of other interpreters: "", or ``3.14`` and the like.
    """

    version: str
    python: str = sys.executable
    tag: str = ""

    @property
    def interpreter(self) -> Path:
        """Where the environment's own interpreter is, or will be."""
        name = f"{self.tag}-{self.version}" if self.tag else self.version
        return ROOT / "build" / "kernels" / name / "bin" / "python"

    @property
    def made(self) -> bool:
        """Whether it is there and fits the project's dependencies."""
        return self._stamp.exists() and self._stamp.read_text() == self._wanted()

    def make(self) -> None:
        """Make it, from nothing."""
        home = self.interpreter.parents[1]
        subprocess.run([self.python, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(self.interpreter), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *_dependencies(), f"ipykernel=={self.version}"], check=True)
        self._stamp.write_text(self._wanted())

    @property
    def _stamp(self) -> Path:
        return self.interpreter.parents[1] / "nbagent-dependencies"

    def _wanted(self) -> str:
        python = self.tag or sys.version
        return hashlib.sha256("\n".join([python, *_dependencies()]).encode()).hexdigest()


def _dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["dependencies"])


def kernels(versions: tuple[str, ...] = VERSIONS) -> list[Any]:
    """Parameters for tests: the interpreter of each ipykernel, the newest first; one that is not made is a skip.

    ``NBAGENT_KERNELS`` names interpreters to test on instead, `os.pathsep` between them.
    """
    if named := os.environ.get("NBAGENT_KERNELS"):
        return [path for path in named.split(os.pathsep) if path]
    return [pytest.param(sys.executable, id="newest"), *map(_parameter, versions)]


def _parameter(version: str) -> Any:
    environment = Environment(version)
    missing = pytest.mark.skip(reason=f"no ipykernel {version} here; `make test-deps` brings it")
    return pytest.param(str(environment.interpreter), id=version, marks=() if environment.made else missing)


def main() -> None:
    """Make what is missing."""
    for version in (*VERSIONS, *OTHERS):
        environment = Environment(version)
        if not environment.made:
            environment.make()
        print(f"ipykernel {version}: {environment.interpreter.relative_to(ROOT)}", flush=True)


if __name__ == "__main__":
    main()
