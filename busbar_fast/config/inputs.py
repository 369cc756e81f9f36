"""The loader's window on files and environment variables; remembers everything it saw.

Whatever a checked configuration was made from went through here, so the list of inputs says when a snapshot of it is
no longer true. A file or variable that does not exist is an input as well.
"""

import errno
import stat
from collections.abc import Mapping
from pathlib import Path

# Kind ("file" or "env"), name, and what was there.
Input = tuple[str, str, bytes | None]

_MAX_BYTES = 16 * 1024 * 1024


class Inputs:
    """One reading of the world; each file and variable is read once."""

    __slots__ = ("_environment", "_files", "_variables")

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._files: dict[str, bytes | OSError] = {}
        self._variables: dict[str, str | None] = {}

    def variable(self, name: str) -> str | None:
        """Return a variable's value, None if it is not set."""
        value = self._environment.get(name)
        self._variables[name] = value
        return value

    def read(self, path: str) -> bytes:
        """Return a file's content. Raise OSError."""
        path = str(Path(path).absolute())
        if path not in self._files:
            try:
                self._files[path] = _read(path)
            except OSError as error:
                self._files[path] = error
        content = self._files[path]
        if isinstance(content, OSError):
            raise content
        return content

    def is_open_to_all(self, path: str) -> bool:
        """Say whether every user of the machine may read a file."""
        try:
            return bool(Path(path).stat().st_mode & stat.S_IROTH)
        except OSError:
            return False

    def is_folder(self, path: str) -> bool:
        """Say whether a folder exists."""
        return Path(path).is_dir()

    @property
    def seen(self) -> list[Input]:
        """Everything read so far, in an order that does not depend on when."""
        files: list[Input] = [
            ("file", path, None if isinstance(content, OSError) else content)
            for path, content in sorted(self._files.items())
        ]
        return files + [
            ("env", name, None if value is None else value.encode("utf-8", "surrogateescape"))
            for name, value in sorted(self._variables.items())
        ]


def _read(path: str) -> bytes:
    """Return a file's content; refuse one that would fill the memory."""
    if "\0" in path:
        raise OSError(errno.EINVAL, "no file can have this name")
    with Path(path).open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise OSError(errno.EFBIG, "file too large")
    return content
