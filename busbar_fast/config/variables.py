"""`${NAME}` in configuration files: found in the text, made inert for the YAML parser, filled in afterwards.

Each reference becomes a token of private-use characters, which means nothing to YAML, so that no value can add a key,
end a string or start a comment, and a reference inside a comment is never looked at. A token is filled in when a
scalar that holds it is read. Nothing is read from the process's environment here: the caller passes a look-up.
"""

import re
import unicodedata
from collections.abc import Callable

from busbar_fast.config.complaints import Complaints, Mark, Path

# The value of a variable; None if it is not set; a reason in a ValueError if it cannot be used.
LookUp = Callable[[str], str | None]

_OPEN, _CLOSE = "\ue000", "\ue001"
_REFERENCE = re.compile(r"\$\{(?:([^}\n]*)\})?|[\ue000\ue001]")
_TOKEN = re.compile(rf"{_OPEN}(\d+){_CLOSE}")
_NAME_START = re.compile(r"\w*")
_LINE_SEPARATORS = frozenset("\u2028\u2029")
_DEFAULT = ":-"


class Variables:
    """The references of one text, by the number in their token."""

    __slots__ = ("_look_up", "_sources", "_unclosed")

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._sources: list[str] = []
        self._unclosed: dict[int, str] = {}

    def make_inert(self, text: str) -> str:
        """Return the text with a token in place of each reference."""

        def token(match: re.Match[str]) -> str:
            number = len(self._sources)
            self._sources.append(match[0])
            if match[0] == "${":
                name = _NAME_START.match(text, match.end())
                self._unclosed[number] = "${" + (name[0] if name else "")
            return f"{_OPEN}{number}{_CLOSE}"

        return _REFERENCE.sub(token, text)

    def fill(self, text: str, complaints: Complaints, mark: Mark, path: Path) -> tuple[str | None, str]:
        """Return a scalar's text with the values in place of the tokens, and as it stands in the file.

        The text is None if a value is missing or cannot be used; each reason is noted.
        """
        if _OPEN not in text:
            return text, text
        template = _TOKEN.sub(lambda match: self._sources[int(match[1])], text)
        filled: str | None = ""
        at = 0
        for match in _TOKEN.finditer(text):
            try:
                value = self._value(int(match[1]))
            except ValueError as error:
                complaints.error(mark, path, str(error))
                filled = None
            else:
                filled = None if filled is None else filled + text[at : match.start()] + value
            at = match.end()
        return None if filled is None else filled + text[at:], template

    def _value(self, number: int) -> str:
        if number in self._unclosed:
            raise ValueError(f"`{self._unclosed[number]}` has no closing `}}`")
        return resolve(self._sources[number], self._look_up)


def resolve(source: str, look_up: LookUp) -> str:
    """Return the value of one reference as it stands in a file. Raise ValueError with the reason if there is none."""
    if not source.startswith("${"):
        return source  # a private-use character of the file's own
    name, has_default, default = source[2:-1].partition(_DEFAULT)
    if not name:
        raise ValueError("`${}` names no variable")
    value = look_up(name)
    if has_default and not value:
        value = default
    if value is None:
        raise ValueError(f"the variable {name} is not set")
    check_plain(f"the variable {name}", value)
    return value


def expand(template: str, look_up: LookUp) -> str:
    """Return a template, as it stands in a file, with its variables filled in. Raise ValueError."""
    return _REFERENCE.sub(lambda match: resolve(match[0], look_up), template)


def check_plain(owner: str, value: str) -> None:
    """Raise ValueError if a value holds a character that could break a line or a terminal."""
    for character in value:
        if unicodedata.category(character) == "Cc" or character in _LINE_SEPARATORS:
            raise ValueError(f"{owner} holds the control character U+{ord(character):04X}")
        if "\ud800" <= character <= "\udfff":
            raise ValueError(f"{owner} is not valid UTF-8")
