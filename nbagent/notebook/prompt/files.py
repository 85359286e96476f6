"""One file for a model: text bounded below the prompt, pictures and PDF attached.

A prompt goes to the model's provider, so files that hold keys are refused by name. Paths are the kernel's: relative to
its working folder, with `~` for the home. Only regular files are opened. Below: `toolsets.pictures` and `bounded`.
Above: `expanding`, `completion`.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from nbagent.errors import UsageError
from nbagent.kernel.toolset.redaction import without_keys
from nbagent.notebook.prompt.rendering import Shown
from nbagent.toolsets import pictures
from nbagent.toolsets.bounded import Bounded

TEXT = 60_000
"""Characters of a text file that a model reads; of a longer one, its head and its tail."""
LARGEST_TEXT = 5_000_000
"""Bytes of a text file."""
_SECRET = re.compile(
    r"(^\.env(\..*)?$|^\.netrc$|^\.pypirc$|^\.npmrc$|^\.pgpass$|^\.git-credentials$|^id_(rsa|dsa|ecdsa|ed25519)(_sk)?$"
    r"|^credentials(\.json)?$|^\.?dockercfg$|\.(pem|key|p12|pfx|kdbx)$)",
    re.IGNORECASE,
)
_SECRET_FOLDERS = {".ssh", ".aws", ".gnupg", ".kube", ".azure"}
_OF_THE_SYSTEM = (Path("/proc"), Path("/sys"))
"""Where files hold what the kernel's process has, its environment with its keys too, and tell no size."""
_EXPLICIT = ("./", "../", "~/", "/")
_SUFFIXES = frozenset({
    ".bmp", ".cfg", ".conf", ".csv", ".doc", ".docx", ".gif", ".gz", ".html", ".ini", ".ipynb", ".jpeg", ".jpg",
    ".json", ".jsonl", ".log", ".md", ".parquet", ".pdf", ".png", ".ppt", ".pptx", ".py", ".rst", ".sql", ".svg",
    ".tex", ".toml", ".tsv", ".txt", ".webp", ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zip",
})  # fmt: skip
"""Endings that only a file has: `@nothing.csv` is a mistake; `@functools.cache` and `@example.com` are none. A list of
our own, since the one that `mimetypes` reads is another on each machine, and knows `.com`, `.cache` and `.tree`."""


def shown(name: str, written: str, *, certain: bool) -> Shown | None:
    """The file that the prompt names, or None where none was meant.

    Parameters
    ----------
    name
        The path.
    written
        How it stands in the prompt, which it keeps.
    certain
        Whether nothing else can have been meant, since it was quoted.

    Raises
    ------
    UsageError
        There is no such file, or it is none that a model is shown.
    """
    try:
        path = Path(name).expanduser()
        status = os.stat(path)
    except (OSError, ValueError, RuntimeError):
        if certain or name.startswith(_EXPLICIT) or Path(name).suffix.lower() in _SUFFIXES:
            raise UsageError(
                f"there is no file {name} here ({written} in the prompt); write a space after the @ if none is meant"
            ) from None
        return None
    if stat.S_ISDIR(status.st_mode):
        if certain or name.startswith(_EXPLICIT):
            raise UsageError(f"{name} is a folder ({written} in the prompt); name the files in it")
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{name} is no regular file ({written} in the prompt)")
    if any(_holds_secrets(one) for one in (path.absolute(), path.resolve())):
        raise UsageError(f"{name} is not put into a prompt: a file of that name holds secrets")
    return _read(path, status.st_size, name, written)


def picture(path: Path, name: str) -> Shown | None:
    """The picture that a variable's path leads to, or None where it leads to none."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".gif", ".webp") or not path.is_file():
        return None
    found = shown(str(path), f"{{{name}}}", certain=True)
    return Shown(name, str(path), attachment=found.attachment) if found and found.attachment else None


def _holds_secrets(path: Path) -> bool:
    system = any(path.is_relative_to(folder) for folder in _OF_THE_SYSTEM)
    return system or bool(_SECRET.search(path.name)) or not _SECRET_FOLDERS.isdisjoint(path.parts)


def _read(path: Path, size: int, name: str, written: str) -> Shown:
    try:
        with path.open("rb") as file:
            mime = pictures.mime_of(file.read(16))
            file.seek(0)
            if mime != "application/octet-stream":
                data = file.read(pictures.LARGEST + 1)
                return Shown(name, written, attachment=pictures.attached(data, path.name, mime))
            if size > LARGEST_TEXT:
                raise ValueError(f"it has {size:,} bytes, and a text may have {LARGEST_TEXT:,}; give the agent a tool")
            return Shown(name, written, below=_text(name, file.read(LARGEST_TEXT).decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise UsageError(f"{name} is neither text in UTF-8 nor a picture nor PDF ({written} in the prompt)") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be put into the prompt: {error}") from None


def _text(name: str, content: str) -> str:
    bounded = Bounded(TEXT)
    bounded.add(without_keys(content))
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`{3,}", content) or [""]))
    language = Path(name).suffix[1:]
    return f"{name}:\n{fence}{language}\n{bounded.text.rstrip()}\n{fence}"


def names(fragment: str) -> list[str]:
    """The files and folders whose paths begin with `fragment`; for completion."""
    folder, _, start = fragment.rpartition("/")
    head = f"{folder}/" if "/" in fragment else ""
    try:
        found = sorted(os.scandir(Path(head or ".").expanduser()), key=lambda entry: entry.name)
        return [
            f"{head}{entry.name}{'/' if entry.is_dir() else ''}"
            for entry in found
            if entry.name.startswith(start) and (start.startswith(".") or not entry.name.startswith("."))
        ][:200]
    except OSError:
        return []
