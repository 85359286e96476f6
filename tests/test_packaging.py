"""What is published: the wheel's contents, one version, and install hints that name the right distribution."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbagent._install import DISTRIBUTION, install_hint
from nbagent._version import __version__

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nbagent"
TEXTS = ("*.md", "*.py", "*.ipynb", "*.txt", "*.toml", "*.yml", "*.js", "*.html", "run", "Makefile")
BARE = re.compile(r"(?:pip3?|uv add|pipx|poetry add)[^\n|;&]*?\s[\"']?nbagent(?![\w./-])", re.IGNORECASE)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def texts() -> Iterator[Path]:
    """Every file that a person or a program may read an install command in, this one excepted."""
    folders = ("nbagent", "notebooks", "tests", "binder", ".ci")
    for pattern in TEXTS:
        yield from ROOT.glob(pattern)
        for folder in folders:
            yield from (ROOT / folder).rglob(pattern)


@pytest.mark.parametrize("line", ["pip install nbagent", "%pip install -U 'nbagent[demo]'", "uv add nbagent"])
def test_a_bare_install_of_somebody_elses_nbagent_is_found(line: str) -> None:
    assert BARE.search(line)


@pytest.mark.parametrize("line", ["pip install jupyter-nbagent", "pip install -e nbagent/", "pip list; import nbagent"])
def test_other_lines_are_let_through(line: str) -> None:
    assert not BARE.search(line)


def test_no_text_tells_anybody_to_install_somebody_elses_nbagent() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts()
        if path != Path(__file__)
        for match in BARE.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_one_constant_builds_every_hint() -> None:
    spelled = [path.name for path in PACKAGE.rglob("*.py") if DISTRIBUTION in path.read_text(encoding="utf-8")]
    assert spelled == ["_install.py"]
    assert install_hint() == f"pip install {DISTRIBUTION}"
    assert install_hint("demo") == f'pip install "{DISTRIBUTION}[demo]"'


def test_the_hints_name_what_pyproject_declares() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert {"demo", "lab", "test", "dev"} <= PROJECT["optional-dependencies"].keys()


def test_the_version_stands_in_one_place_and_the_changelog_knows_it() -> None:
    assert "version" in PROJECT["dynamic"]
    newest = re.search(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == __version__
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited
    assert cited[1] == __version__


@pytest.mark.skipif(shutil.which("git") is None, reason="install git: it lists the files")
def test_the_top_level_is_what_the_design_says() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    assert top == {
        ".ci", ".github", ".gitignore", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile",
        "README.md", "SECURITY.md", "binder", "nbagent", "notebooks", "pyproject.toml", "tests",
    }  # fmt: skip


SKIPPING = """
import pytest
def test_skipped(): pytest.skip("Chromium is missing: make test-deps")
@pytest.mark.xfail(strict=True)
def test_expected_to_fail(): assert False
def test_passes(): pass
"""


@pytest.mark.parametrize(("required", "summary"), [("", "1 passed, 1 skipped"), ("1", "1 failed, 1 passed")])
def test_a_skip_is_a_failure_where_everything_is_required(tmp_path: Path, required: str, summary: str) -> None:
    (tmp_path / "test_it.py").write_text(SKIPPING)
    plugins = ["-p", "tests.conftest", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, "-q", "-c", "/dev/null"]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, env=os.environ | {"NBAGENT_REQUIRE_ALL": required},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert summary in done.stdout
    assert ("make test-deps" in done.stdout) == bool(required)
    assert "1 xfailed" in done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this working copy."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT, check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_the_package_whole_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    info = f"jupyter_nbagent-{__version__}.dist-info/"
    assert {name for name in names if not name.startswith(info)} == sources | {"nbagent/demo/00_quickstart.ipynb"}
    assert "nbagent/py.typed" in names
    assert f"{info}licenses/LICENSE" in names


def test_the_installed_wheel_finds_its_quickstart_and_its_command(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import nbagent, nbagent.__main__\nfrom nbagent.demo.showcase import quickstart\n"
        "print(nbagent.__file__, quickstart(), quickstart().exists())\nnbagent.__main__.main(['--version'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    quickstart = tmp_path / "nbagent/demo/00_quickstart.ipynb"
    assert done.stdout.split() == [
        str(tmp_path / "nbagent/__init__.py"),
        str(quickstart),
        "True",
        "nbagent",
        __version__,
    ]
