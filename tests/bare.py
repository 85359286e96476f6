"""The bare install, counted: packages and megabytes of `pip install jupyter-nbagent`, below a ceiling.

    python -m tests.bare             # in build/bare; exit status 1 above the ceiling
    python -m tests.bare --beside    # and the same of ipykernel and ipywidgets alone, which a notebook has anyway

What is counted are the distributions in a fresh environment, and the bytes of their files without compiled caches.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = 85
"""The most packages; see CONTRIBUTING.md for why."""
MEGABYTES = 120
"""The most megabytes (1,000,000 bytes) of all of them together."""
FORBIDDEN = ("openai", "anthropic", "google-genai", "groq", "mistralai", "boto3", "pydantic-ai-slim", "pandas", "numpy")
"""What must not come along: SDKs of providers, and libraries that a notebook may do without."""


def installed(folder: Path, *requirements: str) -> tuple[list[str], int]:
    """The packages that `requirements` bring into a fresh environment, by name, and their bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([python, *install, *requirements], check=True, cwd=ROOT)
    site = next((folder / "lib").glob("python*/site-packages"))
    names = sorted(path.name.split("-")[0].replace("_", "-").lower() for path in site.glob("*.dist-info"))
    names = [name for name in names if name not in ("pip", "setuptools")]
    left_out = ("pip", "setuptools", "pkg_resources", "__pycache__")
    size = sum(
        path.stat().st_size
        for path in site.rglob("*")
        if path.is_file() and path.relative_to(site).parts[0].split("-")[0] not in left_out and path.suffix != ".pyc"
    )
    return names, size


def main(*, beside: bool) -> int:
    """Count, print, and compare with the ceiling."""
    folder = ROOT / "build" / "bare"
    names, size = installed(folder, ".")
    print(f"jupyter-nbagent: {len(names)} packages, {size / 1e6:.0f} MB (ceiling: {PACKAGES} and {MEGABYTES} MB)")
    if beside:
        base, base_size = installed(folder, "ipykernel", "ipywidgets")
        print(f"of these with ipykernel and ipywidgets anyway: {len(base)} packages, {base_size / 1e6:.0f} MB")
        print(f"beside them: {', '.join(sorted(set(names) - set(base)))}")
    wrong = [name for name in FORBIDDEN if name in names]
    if wrong:
        print(f"these must not come along: {', '.join(wrong)}")
    return int(bool(wrong) or len(names) > PACKAGES or size > MEGABYTES * 1e6)


if __name__ == "__main__":
    sys.exit(main(beside="--beside" in sys.argv))
