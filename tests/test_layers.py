"""Layers point one way, and nothing goes round in circles: read from the imports of every module (AST).

An import inside a function counts as any other. One for types alone (`if TYPE_CHECKING:`) binds nothing at run time and
may point to a higher layer, but counts for circles: who reads one of two modules that name each other must read both.
`nbagent/__init__.py` is the public face, which only names what others define: it stands outside of the order.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "nbagent"

ORDER = (
    {"_install", "_version", "errors", "events", "plaintext"},
    {"records", "messages", "session", "ports", "boundary", "processes"},
    {"schema", "permissions", "skills"},
    {"hooks", "models", "toolsets"},
    {"agent"},
    {"config", "demo", "store", "telemetry"},
    {"runtime"},
    {"kernel"},
    {"widgets"},
    {"notebook"},
    {"magics"},
    {"__main__"},
)
LAYER = {name: level for level, names in enumerate(ORDER) for name in names}
NOTEBOOK_LIBRARIES = {"IPython", "ipykernel", "ipywidgets", "anywidget", "comm", "traitlets", "zmq"}
NOT_AT_IMPORT = NOTEBOOK_LIBRARIES | {
    "bs4",
    "httpx2",
    "jsonschema",
    "markdown_it",
    "markdownify",
    "mcp",
    "nest_asyncio2",
    "nh3",
    "pydantic",
    "pygments",
    "yaml",
}


def imports(tree: ast.AST, *, for_types: bool = False) -> Iterator[str]:
    """The dotted names that run-time imports under `tree` ask for, and `for_types` the others too.

    ``from a import b`` yields ``a.b``.
    """
    for node in ast.iter_child_nodes(tree):
        if not for_types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node, for_types=for_types)


def graph(root: Path, *, for_types: bool = False) -> dict[str, set[str]]:
    """What each module of the package at `root` imports: modules of the package whole, of others the first name."""
    files = {".".join(p.relative_to(root.parent).with_suffix("").parts): p for p in root.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in files.items()}

    def resolve(name: str) -> str:
        while name.startswith(f"{root.name}.") and name not in modules:
            name = name.rpartition(".")[0]
        return name if name.split(".")[0] == root.name else name.split(".")[0]

    trees = {name: ast.parse(path.read_text()) for name, path in modules.items()}
    return {name: {resolve(i) for i in imports(tree, for_types=for_types)} for name, tree in trees.items()}


def own(modules: dict[str, set[str]], package: str = "nbagent") -> dict[str, set[str]]:
    """Of a graph, what lies inside of the package; its public face and what a module imports of itself are left out."""
    inner = modules.keys() - {package}
    return {name: (found & inner) - {name} for name, found in modules.items() if name != package}


def faults(root: Path) -> list[str]:
    """Every import that points the wrong way, and the first cycle, be it of imports for types."""
    wrong = [
        f"{name} imports {target}"
        for name, targets in own(graph(root)).items()
        for target in targets
        if LAYER[target.split(".")[1]] > LAYER[name.split(".")[1]]
    ]
    try:
        TopologicalSorter(own(graph(root, for_types=True))).prepare()
    except CycleError as error:
        wrong.append("cycle: " + " < ".join(error.args[1]))
    return wrong


def test_every_module_has_a_layer() -> None:
    assert {name.split(".")[1] for name in graph(ROOT) if name != "nbagent"} <= LAYER.keys()


def test_layers_point_one_way_and_have_no_cycle() -> None:
    assert faults(ROOT) == []


def test_runtime_and_all_below_know_no_notebook() -> None:
    low = {name for name in LAYER if LAYER[name] <= LAYER["runtime"]}
    modules = {name: found for name, found in graph(ROOT).items() if low.intersection(name.split(".")[1:2])}
    assert {name: used for name, found in modules.items() if (used := found & NOTEBOOK_LIBRARIES)} == {}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"runtime.py": "import nbagent.widgets", "widgets.py": ""}, "nbagent.runtime imports nbagent.widgets"),
        (
            {"errors.py": "def f():\n    from nbagent import ports", "ports.py": ""},
            "nbagent.errors imports nbagent.ports",
        ),
        ({"hooks.py": "from nbagent.models import x", "models.py": "import nbagent.hooks"}, "cycle: "),
        ({"hooks.py": "import nbagent.models", "models.py": "if TYPE_CHECKING:\n    import nbagent.hooks"}, "cycle: "),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    package = tmp_path / "nbagent"
    package.mkdir()
    for name, source in {"__init__.py": "", **files}.items():
        (package / name).write_text(source)
    assert [found for found in faults(package) if found.startswith(fault)]


def run(code: str) -> str:
    """What `code` prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_nbagent_imports_no_heavy_library() -> None:
    code = f"import sys, nbagent; print([name for name in {sorted(NOT_AT_IMPORT)!r} if name in sys.modules])"
    assert run(code) == "[]"


WITHOUT_NOTEBOOK = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import nbagent
from nbagent.models import ScriptedModel, ToolCall

@nbagent.tool
def add(a: int, b: int) -> int:
    "Add."
    return a + b

script = [ToolCall("add", {{"a": 1, "b": 2}}), lambda messages: "It makes " + messages[-1].content]
print(nbagent.run_sync(nbagent.Agent("sums", model=ScriptedModel(script), tools=[add]), "1 + 2?").text)
"""


def test_a_script_runs_an_agent_where_no_notebook_library_is_installed() -> None:
    assert run(WITHOUT_NOTEBOOK.format(blocked=sorted(NOTEBOOK_LIBRARIES))) == "It makes 3"
