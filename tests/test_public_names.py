"""The public surface: small, and frozen here. Adding a name is a decision, and this file is where it shows."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import nbagent
from nbagent._version import __version__

PUBLIC = [
    "Agent",
    "ElicitationResult",
    "Result",
    "RunError",
    "Runtime",
    "Session",
    "Stream",
    "Team",
    "ask",
    "ask_sync",
    "cancelled",
    "load",
    "load_ipython_extension",
    "run_sync",
    "tool",
    "unload_ipython_extension",
]


def test_the_public_names_are_these() -> None:
    assert nbagent.__all__ == sorted(PUBLIC)
    assert len(PUBLIC) <= 16


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_there_and_documented(name: str) -> None:
    assert getattr(nbagent, name).__doc__


@pytest.mark.parametrize("name", ["events", "models", "toolsets", "hooks", "permissions", "errors"])
def test_a_submodule_is_reached_by_its_name_alone(name: str) -> None:
    code = f"import nbagent; print(nbagent.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"nbagent.{name}"


def test_every_name_is_listed_by_dir() -> None:
    assert set(PUBLIC) <= set(dir(nbagent))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(nbagent, "no_such_name")  # noqa: B009


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert version("jupyter-nbagent") == __version__


def test_the_extension_can_be_loaded_by_its_name() -> None:
    module = importlib.import_module("nbagent")
    assert callable(module.load_ipython_extension)
    assert callable(module.unload_ipython_extension)
