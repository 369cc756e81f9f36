"""What is wrong with a configuration, collected so that all of it can be shown at once.

A complaint says where (file, line, dotted path), why, and what was found there. Values of secrets never come this far:
whoever complains about one passes `SECRET`. Nothing here prints.
"""

from busbar_fast.config.record import Record

Path = tuple[str | int, ...]

SECRET = "***"  # noqa: S105  what stands in place of one
_SHOWN_CHARACTERS = 200


class Mark(Record):
    """A place in a file; line 0 means the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


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
        return f"{where}: {self.reason}{found}"


class Complaints:
    """Errors refuse a configuration, warnings do not; what is not available yet refuses a start but not a check."""

    __slots__ = ("errors", "unavailable", "warnings")

    def __init__(self) -> None:
        self.errors: list[Complaint] = []
        self.warnings: list[Complaint] = []
        self.unavailable: list[Complaint] = []

    def error(self, mark: Mark, path: Path, reason: str, got: str | None = None) -> None:
        """Note what is wrong."""
        complaint = Complaint(mark=mark, path=path, reason=reason, got=got)
        if complaint not in self.errors:
            self.errors.append(complaint)

    def warn(self, number: str, mark: Mark, path: Path, reason: str) -> None:
        """Note what deserves a second look; `number` is the warning's name in the manual."""
        complaint = Complaint(mark=mark, path=path, reason=reason, id=number)
        if complaint not in self.warnings:
            self.warnings.append(complaint)

    def put_off(self, mark: Mark, path: Path) -> None:
        """Note a key that is right but whose feature this version lacks."""
        self.unavailable.append(Complaint(mark=mark, path=path, reason="not available yet in this version"))


def dotted(path: Path) -> str:
    """Return a path as people write it: `pools.p.members[0].target`; a segment with a dot in it is quoted."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        else:
            quoted = f'"{escaped(segment)}"' if "." in segment or not segment else escaped(segment)
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


def hint(name: str, known: list[str]) -> str:
    """Return words that point to the nearest known name, or none if nothing is near."""
    from difflib import get_close_matches  # noqa: PLC0415  needed for typing errors only

    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""
