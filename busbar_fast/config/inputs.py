"""The loader's window on files and environment variables; remembers everything it saw.

Whatever a checked configuration was made from went through here, so the list of inputs says when a snapshot of it is
no longer true. A file or variable that does not exist is an input as well.
"""

import errno
import os
import stat
from collections.abc import Mapping

# Kind, name, and what was there: of "env" and "file" the content, of "rights" whether every user may read the file.
Input = tuple[str, str, bytes | None]

_MAX_BYTES = 16 * 1024 * 1024
_STEP_BYTES = 65536
_NOT_REGULAR = "not a regular file"


class Inputs:
    """One reading of the world; each file and variable is read once."""

    __slots__ = ("_environment", "_files", "_rights", "_variables")

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._files: dict[str, bytes | OSError] = {}
        self._rights: dict[str, bytes | None] = {}
        self._variables: dict[str, str | None] = {}

    def variable(self, name: str) -> str | None:
        """Return a variable's value, None if it is not set."""
        value = self._environment.get(name)
        self._variables[name] = value
        return value

    def read(self, path: str) -> bytes:
        """Return a file's content. Raise OSError."""
        path = absolute(path)
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
        path = absolute(path)
        try:
            is_open = bool(os.stat(path).st_mode & stat.S_IROTH)  # noqa: PTH116  pathlib takes 3 ms to import
        except OSError:
            self._rights[path] = None
            return False
        self._rights[path] = b"%d" % is_open
        return is_open

    def is_folder(self, path: str) -> bool:
        """Say whether a folder exists."""
        return os.path.isdir(path)  # noqa: PTH112  pathlib takes 3 ms to import

    @property
    def seen(self) -> list[Input]:
        """Everything read so far, in an order that does not depend on when."""
        files: list[Input] = [
            ("file", path, None if isinstance(content, OSError) else content)
            for path, content in sorted(self._files.items())
        ]
        rights: list[Input] = [("rights", path, content) for path, content in sorted(self._rights.items())]
        return [*files, *rights] + [
            ("env", name, None if value is None else value.encode("utf-8", "surrogateescape"))
            for name, value in sorted(self._variables.items())
        ]


def absolute(path: str) -> str:
    """Return a path that means the same from every working folder; `..` stays, for it may follow a link."""
    if path.startswith("/"):
        return path
    try:
        return f"{os.getcwd()}/{path}"  # noqa: PTH109  pathlib takes 3 ms to import
    except OSError:  # the working folder is gone
        return path


def _read(path: str) -> bytes:
    """Return a regular file's content; refuse one that would fill the memory. Waits for nobody to write."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except ValueError as error:
        raise OSError(errno.EINVAL, "no file can have this name") from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # what the kernel says of a socket
            raise OSError(errno.EINVAL, _NOT_REGULAR) from error
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, _NOT_REGULAR)
        content = bytearray()
        while part := os.read(descriptor, _STEP_BYTES):  # all at once would take the memory for the largest file
            content += part
            if len(content) > _MAX_BYTES:
                raise OSError(errno.EFBIG, "file too large")
    finally:
        os.close(descriptor)
    return bytes(content)
