"""Nothing we publish names a machine it was made on, and each change note is one that the change log takes."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT

# Made by tools, never published; the same list as .gitignore.
LEFT_OUT = {
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
    "dist",
    "results",
}

# Only at the start of a path: a URL may well have a folder of that name.
MACHINE_PATH = re.compile(r"(?<![\w.*-])/(?:work|tmp|root|home)/")
REGISTRY = re.compile("|".join((r"pypi\.org", r"pythonhosted\.org", r"npmjs\.(?:org|com)", "--index" + "-url")))
NOTE = re.compile(r"\d+\.(breaking|feature|perf|fix|docs)(\.\d+)?\.md")


def published() -> Iterator[Path]:
    """Yield every file of ours."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT and not name.endswith(".egg-info"))
        kept = (name for name in sorted(files) if name not in LEFT_OUT and not name.startswith(".coverage"))
        yield from (Path(folder, name) for name in kept)


def traces(text: str) -> list[str]:
    """Return the machine paths and registry hosts in a text."""
    return [match.group() for rule in (MACHINE_PATH, REGISTRY) for match in rule.finditer(text)]


def readable(path: Path) -> str:
    """Return the text of a file, nothing when it holds no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def is_note(name: str) -> bool:
    """Return whether a file in changes/ has the name of a change note."""
    return name == "README.md" or NOTE.fullmatch(name) is not None


def test_no_file_names_a_machine() -> None:
    """No file holds a path of somebody's machine or the address of a package registry."""
    found = {path.relative_to(ROOT).as_posix(): traces(readable(path)) for path in published()}
    assert {path: named for path, named in found.items() if named} == {}


def test_change_notes_are_named_for_the_change_log() -> None:
    """Each file in changes/ is called number, kind, md."""
    assert [path.name for path in (ROOT / "changes").iterdir() if not is_note(path.name)] == []


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "work/main",
        "'/" + "tmp/x'",
        "cd /" + "home/me",
        "=/" + "root/.cache",
        "https://pypi" + ".org/simple",
        "--index" + "-url",
    ],
)
def test_a_trace_is_found(text: str) -> None:
    """A machine path or a registry is noticed in any surroundings."""
    assert len(traces(text)) == 1


@pytest.mark.parametrize("text", ["https://example.com/home/", "framework/", "/v1/work/", "/temporary/", "./tmp/"])
def test_what_looks_alike_passes(text: str) -> None:
    """A path inside a URL or below our own folder is no trace."""
    assert traces(text) == []


def test_a_misnamed_change_note_is_found() -> None:
    """Only a number, a known kind and md make a change note."""
    names = ["1.feature.md", "12.fix.2.md", "README.md", "feature.md", "1.bugfix.md", "1.fix.txt"]
    assert [is_note(name) for name in names] == [True, True, True, False, False, False]
