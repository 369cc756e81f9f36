"""`${NAME}` in configuration files: found in the text, made inert for the YAML parser, filled in afterwards.

Each reference becomes a token, a number between two private-use characters that the text has nowhere else. It means
nothing to YAML, so no value can add a key, end a string or start a comment, and a reference inside a comment is never
looked at. A token is filled in when a scalar that holds it is read. Nothing is read from the process's environment
here: the caller passes a look-up.
"""

import re
from collections.abc import Callable

from busbar_fast.config.complaints import Complaints, Mark, Path, shown

# The value of a variable; None if it is not set; a reason in a ValueError if it cannot be used.
LookUp = Callable[[str], str | None]

# Patterns as texts: a start from a snapshot uses few of them, and need not compile the others.
_REFERENCE = r"\$\{([^}\n]*)\}"
_START = "${"
_NAME = r"\w*"
_DEFAULT = ":-"
_PRIVATE = "[\ue000-\uf8ff]"
_ESCAPE = r"\\(?:u|U0000)([0-9A-Fa-f]{4})"
_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029]"
_MOST_UNCLOSED = 10  # that are said of one text
_ENOUGH_ERRORS = 100  # of any kind; beside them no unclosed reference is news
_NO_UTF8 = "[\ud800-\udfff]"
# In a template `${}`, which no file may hold, stands for a `$` that YAML made of an escape: it starts no reference.
_DOLLAR = "${}"


class Variables:
    """The references of one text, by the number in their token."""

    __slots__ = ("_edge", "_look_up", "_sources", "_token")

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._sources: list[str] = []
        self._edge = ""
        self._token = _PRIVATE

    def make_inert(self, text: str) -> str:
        """Return the text with a token in place of each reference. Raise ValueError if it leaves no character free."""
        self._edge = _free_character(text)
        self._token = f"{self._edge}([0-9]+){self._edge}"
        return "\n".join(map(self._inert_line, text.split("\n")))

    def _inert_line(self, line: str) -> str:
        """Return a line with tokens; each reference ends on its line, and behind the last brace none does."""
        if _START not in line:
            return line
        closed, brace, rest = line.rpartition("}")
        inert = re.sub(_REFERENCE, lambda match: self._new_token(match[0]), closed + brace)
        if _START in rest:
            rest = rest.replace(_START, self._new_token(_START))
        return inert + rest

    def _new_token(self, source: str) -> str:
        self._sources.append(source)
        return f"{self._edge}{len(self._sources) - 1}{self._edge}"

    def fill(self, text: str, complaints: Complaints, mark: Mark, path: Path) -> tuple[str | None, str]:
        """Return a scalar's text with the values in place of the tokens, and the template it came from.

        The text is None if a value is missing or cannot be used; each reason is noted. `expand` makes the text of the
        template again.
        """
        if self._edge not in text:
            return text, text if _START not in text else _as_template(text)
        filled: list[str] = []
        template: list[str] = []
        is_whole = True
        at = unclosed = 0
        for match in re.finditer(self._token, text):
            source = self._sources[int(match[1])]
            before, at = text[at : match.start()], match.end()
            template += _as_template(before), source
            unclosed += source == _START
            if source == _START and (unclosed > _MOST_UNCLOSED or len(complaints.errors) >= _ENOUGH_ERRORS):
                return None, source  # there may be millions more
            try:
                filled += before, self._value(source, text, at)
            except ValueError as error:
                complaints.error(mark, path, str(error))
                is_whole = False
        template.append(_as_template(text[at:]))
        filled.append(text[at:])
        return "".join(filled) if is_whole else None, "".join(template)

    def _value(self, source: str, text: str, at: int) -> str:
        if source == _START:
            name = re.match(_NAME, text[at:])
            raise ValueError(f"`{_START}{shown(name[0]) if name else ''}` has no closing `}}`")
        return resolve(source, self._look_up)


def _free_character(text: str) -> str:
    """Return a private-use character that stands nowhere in a text, in no escape either."""
    taken = {*re.findall(_PRIVATE, text), *(chr(int(code, 16)) for code in re.findall(_ESCAPE, text))}
    for code in range(0xE000, 0xF900):
        if chr(code) not in taken:
            return chr(code)
    raise ValueError("every private-use character of Unicode is in use")


def _as_template(text: str) -> str:
    return text.replace(_START, _DOLLAR + "{")


def resolve(source: str, look_up: LookUp) -> str:
    """Return the value of one reference as it stands in a file. Raise ValueError with the reason if there is none."""
    name, has_default, default = source[2:-1].partition(_DEFAULT)
    if not name:
        raise ValueError("`${}` names no variable")
    value = look_up(name)
    if has_default and not value:
        value = default
    if value is None:
        raise ValueError(f"the variable {shown(name)} is not set")
    check_plain(f"the variable {shown(name)}", value)
    return value


def expand(template: str, look_up: LookUp) -> str:
    """Return what a template stands for. Raise ValueError if a variable in it has no usable value."""
    return re.sub(_REFERENCE, lambda match: "$" if match[0] == _DOLLAR else resolve(match[0], look_up), template)


def check_plain(owner: str, value: str) -> None:
    """Raise ValueError if a value holds a character that could break a line or a terminal."""
    control = re.search(_CONTROL, value)
    if control is not None:
        raise ValueError(f"{owner} holds the control character U+{ord(control[0]):04X}")
    if re.search(_NO_UTF8, value) is not None:
        raise ValueError(f"{owner} is not valid UTF-8")


def has_control(text: str) -> bool:
    """Say whether a text holds a control character or a separator of lines."""
    return re.search(_CONTROL, text) is not None
