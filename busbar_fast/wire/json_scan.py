r"""Finds the members its caller names in a JSON object and splices bytes there; never builds the document.

It must not know what the members mean, nor where the bytes come from. `find_members` reads a document that is here as
a whole, `MemberScanner` one that arrives in pieces; both say where the values stand, as (start, end) offsets. `splice`
and its friends write. Hot: perf/micro/bench_json_scan.py.

Theory of operation. Only the members of one object matter and everything below them is skipped: one pattern eats
strings, numbers and the shallow containers that messages are made of, and Python counts the brackets it stops at. All
patterns are possessive and no byte is tried more than a handful of times, so hostile input costs linear time and no
stack. A string ends at the first quote behind an even run of backslashes; the patterns know runs of none, one and
three, `_string_end` knows the rest.

What is checked: brackets pair up and nest at most MAX_DEPTH deep, strings end, the members of the scanned object obey
the grammar, nothing but space follows. What is not: how numbers and literals are spelt, what strings hold, commas and
colons further down. So a parser may still refuse what passes here; but valid JSON is always reported right, and other
bytes raise NotJson or TooDeep and nothing else.
"""

import re
import sys
from collections.abc import Callable, Collection, Sequence
from enum import IntEnum
from operator import itemgetter
from typing import Final, cast

from busbar_fast.errors import NotJson, TooDeep

Span = tuple[int, int]
Edit = tuple[Span, bytes]
_Row = tuple[bytes, int, Span]  # a member: its name, where its key starts, its value
_Eater = Callable[[bytes, int, int], re.Match[bytes]]

MAX_DEPTH: Final = 128

_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_COMMA: Final = 0x2C
_BRACE: Final = 0x7B
_BRACE_END: Final = 0x7D
_BRACKET: Final = 0x5B
_BRACKET_END: Final = 0x5D
_CLOSERS: Final = {_BRACE: _BRACE_END, _BRACKET: _BRACKET_END}

# Before 3.11.5 a match goes on from wherever the last, failed round of a possessive group had got to (gh-106052); an
# atomic round goes back to its start. HOT: the others save a seventh, perf/micro/bench_json_scan.py, 3.11, 2026-11
_MANY: Final = b"(?:%b)*+" if sys.version_info >= (3, 11, 5) else b"(?>%b)*+"
_SPACE: Final = rb"[ \t\r\n]*+"
_SCALAR: Final = rb"[-+.0-9A-Za-z]++"
_SCALAR_BYTES: Final = b"-+.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BETWEEN: Final = rb"[+-.0-:A-Za-z \t\r\n]*+"  # scalars, commas, colons and space
# The quote just read follows a run of one, or of three backslashes, so the string goes on to the next quote. The bound
# leaves long strings to _string_end, which is faster.
_AFTER_ONE: Final = _MANY % rb'(?<=[^\\]\\")[^"]{0,4096}+"'
_AFTER_ESCAPES: Final = _AFTER_ONE + _MANY % (rb'(?<=[^\\]\\\\\\")[^"]{0,4096}+"' + _AFTER_ONE)
_STRING: Final = rb'"[^"]{0,4096}+"(?:(?<!\\")|%b(?<!\\"))' % _AFTER_ESCAPES
_FLAT: Final = _BETWEEN + _MANY % (_STRING + _BETWEEN)
_OBJECT: Final = rb"\{%b\}" % _FLAT
_ARRAY: Final = rb"\[%b%b\]" % (_FLAT, _MANY % (_OBJECT + _FLAT))
_MESSAGE: Final = rb"\{%b%b\}" % (_FLAT, _MANY % (rb"(?:%b|%b)%b" % (_OBJECT, _ARRAY, _FLAT)))
_RUN: Final = _FLAT + _MANY % (rb"(?:%b|\[%b\])%b" % (_MESSAGE, _FLAT, _FLAT))
_RUN_DEPTH: Final = 3  # how many containers a match of _RUN may open inside each other

# These match anywhere, if only nothing.
_eat_space: Final = cast("_Eater", re.compile(_SPACE).match)
_eat_scalar: Final = cast("_Eater", re.compile(_SCALAR + rb"|").match)
_eat_flat: Final = cast("_Eater", re.compile(_FLAT).match)
# HOT: 500 messages in one call instead of 3,000 strings in Python, perf/micro/bench_json_scan.py, 3.11, 2026-11
_eat_run: Final = cast("_Eater", re.compile(_RUN).match)
# A key and a whole scalar or string up to the comma or brace behind it, or a key and the first byte of its value.
_match_member: Final = re.compile(
    rb'%b"([^"\\]*+%b)"%b:%b(?:(%b|%b)%b[,}]|["\[{])'
    % (_SPACE, _MANY % rb'\\.[^"\\]*+', _SPACE, _SPACE, _STRING, _SCALAR, _SPACE),
    re.DOTALL,
).match
_match_empty: Final = re.compile(rb"%b\{%b\}%b" % (_SPACE, _SPACE, _SPACE)).fullmatch
_match_item: Final = re.compile(rb'%b(?:(%b|%b)(?=[ \t\r\n,\]])|["\[{])' % (_SPACE, _STRING, _SCALAR), re.DOTALL).match
_match_no_items: Final = re.compile(rb"\[%b\]" % _SPACE).fullmatch
_match_string_rest: Final = re.compile(rb'[^"]*+"%b' % _AFTER_ESCAPES).match
_replace_escapes: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.?))", re.DOTALL).sub

_ESCAPED: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPES: Final = {code: f"\\u{code:04x}" for code in range(32)} | {
    ord(v): "\\" + k for k, v in _ESCAPED.items() if k != "/"
}


def find_members(
    document: bytes, names: Collection[bytes], start: int = 0, end: int | None = None
) -> dict[bytes, list[Span]]:
    """Return the spans of all values of the named members of the object in document[start:end].

    A name that does not occur has no entry. Parsers let the last of several win, so `[-1]` is the value that counts;
    the others are listed so that a splicer can replace them too. Keys are compared with their escapes resolved. To
    look into a value that is an object, call again with its span.
    """
    found: dict[bytes, list[Span]] = {}
    for name, _, value_at in _rows(document, names, start, len(document) if end is None else end):
        if name in found:
            found[name].append(value_at)
        else:
            found[name] = [value_at]
    return found


def find_items(document: bytes, start: int, end: int) -> list[Span]:
    """Return the spans of the items of the array that stands there. What is no array, or broken, raises NotJson."""
    if _match_no_items(document, start, end):
        return []
    found: list[Span] = []
    at = start + 1
    byte = _COMMA if document[start] == _BRACKET else 0
    while byte == _COMMA:
        match = _match_item(document, at, end)
        if match is None:
            raise NotJson("not an item of an array")
        value_start, value_end = match.span(1)
        if value_end < 0:
            value_start = match.end() - 1
            value_end = _value_end(document, value_start, end)
        at = _eat_space(document, value_end, end).end()
        byte = document[at] if at < end else 0
        at += 1
        found.append((value_start, value_end))
    if byte != _BRACKET_END or at != end:
        raise NotJson("not an array")
    return found


def _rows(document: bytes, names: Collection[bytes], start: int, end: int) -> list[_Row]:
    """Return the named members of the object in document[start:end], in order."""
    found: list[_Row] = []
    at = start + 1 if start < end and document[start] == _BRACE else _object_start(document, start, end)
    byte = _COMMA
    while byte == _COMMA:
        match = _match_member(document, at, end)
        if match is None:
            if _match_empty(document, start, end):
                return found
            raise NotJson("not a member of an object")
        key, at = match[1], match.end()
        byte = document[at - 1]
        value_start, value_end = match.span(2)
        if value_end < 0:
            value_start = at - 1
            value_end = _value_end(document, value_start, end)
            at = _separator_end(document, value_end, end)
            byte = document[at - 1]
        if key in names:
            found.append((key, match.start(1) - 1, (value_start, value_end)))
        elif _BACKSLASH in key and (name := _name_of(key, names)):
            found.append((name, match.start(1) - 1, (value_start, value_end)))
    if at != end and _eat_space(document, at, end).end() != end:
        raise NotJson("something follows the object")
    return found


def _object_start(document: bytes, start: int, end: int) -> int:
    """Return the offset behind the opening brace."""
    at = _eat_space(document, start, end).end()
    if not document.startswith(b"{", at, end):
        raise NotJson("not an object")
    return at + 1


def _separator_end(document: bytes, at: int, end: int) -> int:
    """Return the offset behind the comma or closing brace that follows a value."""
    if at < end and document[at] in (_COMMA, _BRACE_END):
        return at + 1
    at = _eat_space(document, at, end).end()
    if at < end and document[at] in (_COMMA, _BRACE_END):
        return at + 1
    raise NotJson("no comma or brace behind a value")


def _value_end(document: bytes, start: int, end: int) -> int:
    """Return the end of a container, or of a string that `_match_member` declined."""
    closer = _CLOSERS.get(document[start])
    if closer is None:
        at = _string_end(document, start + 1, end)
        if at < 0:
            raise NotJson("ends inside a string")
        return at
    # HOT: most values end where one match ends, and need no stack, perf/micro/bench_json_scan.py, 3.11, 2026-11
    at = _eat_run(document, start + 1, end).end()
    if at < end and document[at] == closer:
        return at + 1
    closers = bytearray((_BRACE_END, closer))
    at = _skip(document, at, end, closers)
    if len(closers) > 1:
        raise NotJson("ends inside a container")
    return at


def _skip(text: bytes, at: int, end: int, closers: bytearray) -> int:
    """Read on until only the root is open, and return the offset behind the bracket that closed the rest.

    `closers` holds the bracket that each open container ends with, the root's first, and is kept up to date. When the
    text runs out before, return `end`, or the offset of the quote that starts a string without an end.
    """
    while True:
        eat = _eat_run if len(closers) <= MAX_DEPTH - _RUN_DEPTH else _eat_flat
        at = eat(text, at, end).end()
        if at == end:
            return end
        byte = text[at]
        if byte == closers[-1]:
            at = _close(text, at, end, closers)
            if len(closers) == 1:
                return at
        elif byte == _QUOTE:
            behind = _string_end(text, at + 1, end)
            if behind < 0:
                return at
            at = behind
        else:
            _open(byte, closers)
            at += 1


def _close(text: bytes, at: int, end: int, closers: bytearray) -> int:
    """Read closing brackets that stand side by side, and return the offset behind them."""
    while at < end and text[at] == closers[-1]:
        closers.pop()
        at += 1
        if len(closers) == 1:
            break
    return at


def _open(byte: int, closers: bytearray) -> None:
    """Go one container deeper."""
    closer = _CLOSERS.get(byte)
    if closer is None:
        raise NotJson("unexpected byte in a container")
    if len(closers) == MAX_DEPTH:
        raise TooDeep(f"more than {MAX_DEPTH} levels")
    closers.append(closer)


def _string_end(text: bytes, at: int, end: int) -> int:
    """Return the offset behind the quote that ends the string whose inside goes on at `at`, or -1 when starved."""
    # HOT: a long string costs one memchr, a tenth of the pattern's time, perf/micro/bench_json_scan.py, 3.11, 2026-11
    quote = text.find(_QUOTE, at, end)
    if quote < 0:
        return -1
    if quote == at or text[quote - 1] != _BACKSLASH:
        return quote + 1
    while match := _match_string_rest(text, at, end):
        if not _ends_in_escape(text[at : match.end() - 1]):
            return match.end()
        at = match.end()
    return -1


def _ends_in_escape(inside: bytes) -> bool:
    """Return whether a part of a string ends in an odd run of backslashes, which escapes what follows."""
    return (len(inside) - len(inside.rstrip(b"\\"))) % 2 == 1


def _name_of(key: bytes, names: Collection[bytes]) -> bytes | None:
    """Return which of the names a key spells by means of escapes, if any."""
    # An escape takes at most six bytes for each byte of the name it spells; longer keys need no decoding.
    if len(key) > 6 * max(map(len, names), default=0):
        return None
    name = decode_string(b'"%b"' % key).encode("utf-8", "surrogatepass")
    return name if name in names else None


class _Phase(IntEnum):
    """What the scanner expects next, or is inside of."""

    ROOT = 0
    FIRST_KEY = 1
    KEY = 2
    IN_KEY = 3
    COLON = 4
    VALUE = 5
    IN_SCALAR = 6
    IN_STRING = 7
    IN_CONTAINER = 8
    SEPARATOR = 9
    DONE = 10


# What a byte that is not space means between the tokens of the root object; what is absent is not JSON.
_NEXT: Final[dict[tuple[_Phase, int], _Phase]] = {
    (_Phase.ROOT, _BRACE): _Phase.FIRST_KEY,
    (_Phase.FIRST_KEY, _QUOTE): _Phase.IN_KEY,
    (_Phase.FIRST_KEY, _BRACE_END): _Phase.DONE,
    (_Phase.KEY, _QUOTE): _Phase.IN_KEY,
    (_Phase.COLON, b":"[0]): _Phase.VALUE,
    (_Phase.VALUE, _QUOTE): _Phase.IN_STRING,
    (_Phase.VALUE, _BRACE): _Phase.IN_CONTAINER,
    (_Phase.VALUE, _BRACKET): _Phase.IN_CONTAINER,
    **{(_Phase.VALUE, byte): _Phase.IN_SCALAR for byte in _SCALAR_BYTES},
    (_Phase.SEPARATOR, _COMMA): _Phase.KEY,
    (_Phase.SEPARATOR, _BRACE_END): _Phase.DONE,
}


class MemberScanner:
    """Finds what `find_members` finds while the document arrives, split anywhere; offsets count from its start.

    `found` grows as values end. After an error the scanner is spent.
    """

    __slots__ = ("_base", "_closers", "_escaped", "_key", "_name", "_names", "_phase", "_value_start", "found")

    def __init__(self, names: Collection[bytes]) -> None:
        self._names = names
        self._phase = _Phase.ROOT
        self._base = 0  # the offset of the piece being read
        self._closers = bytearray((_BRACE_END,))
        self._escaped = False  # the piece before ended behind a backslash inside a string
        self._key: list[bytes] = []
        self._name: bytes | None = None
        self._value_start = 0
        self.found: dict[bytes, list[Span]] = {}

    @property
    def open_start(self) -> int | None:
        """Where the named value began that has not ended yet; who keeps the bytes from there on can read it later."""
        return self._value_start if self._name is not None and self._phase > _Phase.VALUE else None

    def feed(self, piece: bytes) -> None:
        """Read the next piece of the document; it is not kept."""
        at, end = 0, len(piece)
        while at < end:
            match self._phase:
                case _Phase.IN_CONTAINER:
                    at = self._read_container(piece, at)
                case _Phase.IN_STRING:
                    at = self._read_string(piece, at)
                case _Phase.KEY | _Phase.FIRST_KEY:
                    at = self._read_member(piece, at)
                case _Phase.IN_KEY:
                    at = self._read_key(piece, at)
                case _Phase.IN_SCALAR:
                    at = self._read_scalar(piece, at)
                case _:
                    at = self._read_punctuation(piece, at)
        self._base += end

    def finish(self) -> dict[bytes, list[Span]]:
        """Return all that was found, now that the document has ended."""
        if self._phase is not _Phase.DONE:
            raise NotJson("ends too early")
        return self.found

    def _read_punctuation(self, piece: bytes, at: int) -> int:
        at = _eat_space(piece, at, len(piece)).end()
        if at == len(piece):
            return at
        byte = piece[at]
        before = self._phase
        try:
            self._phase = _NEXT[before, byte]
        except KeyError:
            raise NotJson("unexpected byte in an object") from None
        if before is _Phase.VALUE:
            self._value_start = self._base + at
            if self._phase is _Phase.IN_CONTAINER:
                _open(byte, self._closers)
        return at + 1

    def _read_member(self, piece: bytes, at: int) -> int:
        """Read a whole member, or its key and the first byte of its value, or else one token."""
        match = _match_member(piece, at, len(piece))
        if match is None:
            return self._read_punctuation(piece, at)
        self._name = self._name_of(match[1])
        at = match.end()
        value_start, value_end = match.span(2)
        if value_end < 0:
            # The key was fine; read the first byte of the value as if nothing had come before.
            self._phase = _Phase.VALUE
            return self._read_punctuation(piece, at - 1)
        self._value_start = self._base + value_start
        self._end_value(value_end)
        self._phase = _NEXT[_Phase.SEPARATOR, piece[at - 1]]
        return at

    def _read_key(self, piece: bytes, at: int) -> int:
        behind = self._behind_quote(piece, at)
        if behind < 0:
            self._key.append(piece[at:])
            return len(piece)
        self._key.append(piece[at : behind - 1])
        key = b"".join(self._key)
        self._name = self._name_of(key)
        self._key.clear()
        self._phase = _Phase.COLON
        return behind

    def _read_scalar(self, piece: bytes, at: int) -> int:
        at = _eat_scalar(piece, at, len(piece)).end()
        if at < len(piece):
            self._end_value(at)
        return at

    def _read_string(self, piece: bytes, at: int) -> int:
        behind = self._behind_quote(piece, at)
        if behind < 0:
            return len(piece)
        if len(self._closers) > 1:
            self._phase = _Phase.IN_CONTAINER
        else:
            self._end_value(behind)
        return behind

    def _read_container(self, piece: bytes, at: int) -> int:
        end = len(piece)
        at = _skip(piece, at, end, self._closers)
        if len(self._closers) == 1:
            self._end_value(at)
        elif at < end:
            self._phase = _Phase.IN_STRING
            at += 1
        return at

    def _behind_quote(self, piece: bytes, at: int) -> int:
        """Return the offset behind the quote that ends the open string, or -1 when starved."""
        if self._escaped:
            at += 1
        behind = _string_end(piece, at, len(piece))
        self._escaped = behind < 0 and _ends_in_escape(piece[at:])
        return behind

    def _name_of(self, key: bytes) -> bytes | None:
        return key if key in self._names else _name_of(key, self._names) if _BACKSLASH in key else None

    def _end_value(self, at: int) -> None:
        if self._name is not None:
            self.found.setdefault(self._name, []).append((self._value_start, self._base + at))
            self._name = None
        self._phase = _Phase.SEPARATOR


def splice(document: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the document with each span replaced by its bytes; spans may be empty but must not overlap."""
    parts: list[bytes] = []
    at = 0
    for (start, end), raw in sorted(edits, key=itemgetter(0)):
        assert at <= start, "edits overlap"
        parts += (document[at:start], raw)
        at = end
    parts.append(document[at:])
    return b"".join(parts)


def insertion(document: bytes, name: bytes, raw_value: bytes, start: int = 0) -> Edit:
    """Return the edit that adds a member in front of all others of the object that begins at `start`.

    The object has been scanned before; the name is one that needs no escapes.
    """
    at = _object_start(document, start, len(document))
    comma = b"" if document[_eat_space(document, at, len(document)).end()] == _BRACE_END else b","
    return (at, at), b'"%b":%b%b' % (name, raw_value, comma)


def removals(document: bytes, name: bytes, start: int = 0, end: int | None = None) -> list[Edit]:
    """Return the edits that take every member of this name, and a comma each, out of the object in that range."""
    end = len(document) if end is None else end
    edits: list[Edit] = []
    chain_start = -1  # where the members began that stand side by side and all go
    for _, key_start, (_, value_end) in _rows(document, (name,), start, end):
        behind = _separator_end(document, value_end, end)
        is_last = document[behind - 1] == _BRACE_END
        cut_end = value_end if is_last else _eat_space(document, behind, end).end()
        if not edits or edits[-1][0][1] != key_start:
            chain_start = key_start
        edits.append(((key_start, cut_end), b""))
        if is_last:
            # Nothing but space stands between the chain and the comma, or the opening brace, in front of it.
            comma = document.rfind(_COMMA, start, chain_start)
            edits.append(((comma if comma >= 0 else chain_start, chain_start), b""))
    return edits


def insert_member(document: bytes, name: bytes, raw_value: bytes, start: int = 0) -> bytes:
    """Return the document with one more member, the first of the object that begins at `start`."""
    return splice(document, (insertion(document, name, raw_value, start),))


def remove_member(document: bytes, name: bytes, start: int = 0, end: int | None = None) -> bytes:
    """Return the document without the members of this name in the object in document[start:end]."""
    return splice(document, removals(document, name, start, end))


def cut_out(document: bytes, span: Span) -> bytes:
    """Return what stands there."""
    start, end = span
    return document[start:end]


def is_true(document: bytes, span: Span) -> bool:
    """Return whether the value is the literal `true`."""
    return document[span[0] : span[1]] == b"true"


def is_array(document: bytes, span: Span) -> bool:
    """Return whether the value is an array, so that `find_items` may look into it."""
    return document[span[0]] == _BRACKET


def is_object(document: bytes, span: Span) -> bool:
    """Return whether the value is an object, so that `find_members` may look into it."""
    return document[span[0]] == _BRACE


def encode_string(text: str) -> bytes:
    """Return the text as a JSON string; a lone surrogate is written as its escape."""
    return b'"%b"' % text.translate(_ESCAPES).encode("utf-8", "backslashreplace")


def decode_string(raw: bytes) -> str:
    r"""Return the text of a JSON string, quotes included.

    A lone surrogate escape, as in "\ud800", stays a lone surrogate: `encode_string` writes it back, `str.encode` would
    refuse. Bytes that are no JSON string raise NotJson; control characters are let through.
    """
    if len(raw) < 2 or raw[0] != _QUOTE or raw[-1] != _QUOTE:
        raise NotJson("not a string")
    try:
        text = raw[1:-1].decode()
    except UnicodeDecodeError as error:
        raise NotJson("not UTF-8") from error
    if "\\" not in text:
        return text
    # Halves of pairs come from escapes alone, since UTF-8 cannot spell them; UTF-16 joins those that belong together.
    return _replace_escapes(_unescape, text).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    try:
        return _ESCAPED[match[2]]
    except KeyError:
        raise NotJson("no such escape") from None
