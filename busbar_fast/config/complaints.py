"""What is wrong with a configuration, collected so that all of it can be shown at once.

A complaint says where (file, line, dotted path), why, and what was found there. Values of secrets never come this far:
whoever complains about one passes `SECRET`. Nothing here prints.
"""

import re
from collections.abc import Collection

from busbar_fast.config.record import Record

Path = tuple[str | int, ...]

SECRET = "***"  # noqa: S105  what stands in place of one
_SHOWN_CHARACTERS = 200
_MOST_COMPARED = 2000  # names, for hints; each takes 0.1 ms, and who has that many errors made no typing error
_PLAIN_AUTHORITY = r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?=[/?#]|$)"
_AUTHORITY_END = r"[/?#\\]"
TORN_USERINFO = "the userinfo must be percent-encoded"


class Mark(Record):
    """A place in a file; line 0 means the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return escaped(self.file) + (f":{self.line}" if self.line else "")


class Complaint(Record):
    """One error or warning."""

    mark: Mark
    path: Path
    reason: str
    got: str | None = None
    id: str = ""  # of a warning

    def __str__(self) -> str:
        found = "" if self.got is None else f" (got {shown(self.got)})"
        where = f"{self.mark}: {dotted(self.path)}" if self.path else str(self.mark)
        return f"{where}: {escaped(self.reason)}{found}"


class Complaints:
    """Errors refuse a configuration, warnings do not; what is not available yet refuses a start but not a check."""

    __slots__ = ("_compared", "_noted", "errors", "unavailable", "warnings")

    def __init__(self) -> None:
        self._noted: set[Complaint] = set()
        self._compared = 0
        self.errors: list[Complaint] = []
        self.warnings: list[Complaint] = []
        self.unavailable: list[Complaint] = []

    def error(self, mark: Mark, path: Path, reason: str, got: str | None = None) -> None:
        """Note what is wrong. Userinfo and query of a URL are never kept."""
        shown_got = masked(got) if got and "://" in got else got
        self._note(self.errors, Complaint(mark=mark, path=path, reason=reason, got=shown_got))

    def warn(self, number: str, mark: Mark, path: Path, reason: str) -> None:
        """Note what deserves a second look; `number` is the warning's name in the manual."""
        self._note(self.warnings, Complaint(mark=mark, path=path, reason=reason, id=number))

    def put_off(self, mark: Mark, path: Path) -> None:
        """Note a key that is right but whose feature this version lacks."""
        self._note(self.unavailable, Complaint(mark=mark, path=path, reason="not available yet in this version"))

    def hint(self, name: str, known: Collection[str]) -> str:
        """Return words that point to the nearest known name, or none if nothing is near."""
        self._compared += len(known)
        if len(name) > _SHOWN_CHARACTERS or self._compared > _MOST_COMPARED:
            return ""
        from difflib import get_close_matches  # noqa: PLC0415  needed for typing errors only

        near = get_close_matches(name, known, n=1, cutoff=0.6)
        return f"; did you mean `{near[0]}`?" if near else ""

    def _note(self, where: list[Complaint], complaint: Complaint) -> None:
        if complaint not in self._noted:
            self._noted.add(complaint)
            where.append(complaint)


def dotted(path: Path) -> str:
    """Return a path as people write it: `pools.p.members[0].target`; a segment with a dot in it is quoted."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        else:
            quoted = f'"{shown(segment)}"' if "." in segment or not segment else shown(segment)
            text += f".{quoted}" if text else quoted
    return text


def escaped(text: str) -> str:
    """Return text on one line, with what does not print written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def shown(value: str) -> str:
    """Return a value fit for one line of a log."""
    if len(value) > _SHOWN_CHARACTERS:
        value = value[:_SHOWN_CHARACTERS] + "…"
    return escaped(value)


def masked(url: str) -> str:
    """Return a URL with `***` for its userinfo and its query; of one that makes no sense, too much is hidden."""
    return without_query(_without_userinfo(url))


def without_query(text: str) -> str:
    """Return a URL or path with `***` in place of its query, which may hold a key."""
    before, mark, _ = text.partition("?")
    return f"{before}?{SECRET}" if mark else text


def _without_userinfo(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    _, at, host = rest.rpartition("@")
    if not at or (separator and re.match(_PLAIN_AUTHORITY, rest)):
        return url
    return f"{scheme}{separator}{SECRET}@{host}"


def has_torn_userinfo(url: str) -> bool:
    """Say whether a `/`, `?` or `#` in a URL's userinfo makes a part of the secret look like the host."""
    _, separator, rest = url.partition("://")
    return (
        bool(separator) and _without_userinfo(url) != url and "@" not in re.split(_AUTHORITY_END, rest, maxsplit=1)[0]
    )
