"""`import nbagent` defines names and does nothing else: it is quick, and brings nothing that it does not use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("IPython", "ipykernel", "ipywidgets", "anywidget", "mcp", "pydantic_ai", "pydantic", "openai", "anthropic",
         "google.genai", "groq", "mistralai", "boto3", "httpx2", "jsonschema", "markdown_it", "nh3", "pygments", "yaml",
         "numpy", "pandas", "nest_asyncio2", "opentelemetry", "anyio", "asyncio")  # fmt: skip

IMPORT = """
import json, sys, time
began = time.perf_counter()
import nbagent
took = time.perf_counter() - began
print(json.dumps([took, sorted(sys.modules)]))
"""


def imported() -> tuple[float, set[str]]:
    """Seconds that the import takes in a fresh process, and all modules that are there afterwards."""
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, timeout=60, check=True)
    took, modules = json.loads(done.stdout)
    return took, set(modules)


@pytest.mark.timed
def test_import_nbagent_takes_less_than_150_ms() -> None:
    assert min(imported()[0] for _ in range(5)) < 0.150


@pytest.mark.parametrize("name", HEAVY)
def test_import_nbagent_brings_nothing_that_it_does_not_use(name: str, modules: set[str]) -> None:
    assert name not in modules


@pytest.fixture(scope="module")
def modules() -> set[str]:
    """What one import brings."""
    return imported()[1]


def test_names_that_need_nothing_heavy_bring_nothing_heavy() -> None:
    code = "import nbagent, sys; nbagent.Session; nbagent.RunError; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"IPython", "ipywidgets", "mcp", "pydantic_ai"} & set(done.stdout.split())
