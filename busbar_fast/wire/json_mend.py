"""Completes a JSON object that broke off somewhere, with last words of the caller's.

It must not know what the object says. `missing_end` is asked once when a stream has broken, so nothing here is hot.

Theory of operation. What is there is read token by token, with a stack of the closers that are due; a table says what
may follow what. The last token may be half there: a string is closed behind its last whole character, a number or a
word gets the rest that makes it one. Then the value that is missing becomes null, every open container is closed, and
the caller's members become the last ones of the root, where they win over any of the same name.
"""

import re
from enum import IntEnum
from typing import Final

_PLAIN: Final = rb'[^"\\\x00-\x1f]*'
_STRING: Final = rb'"%b(?:\\.%b)*"' % (_PLAIN, _PLAIN)
_TOKEN: Final = re.compile(rb"[ \t\r\n]*(?:(%b)|([-+.0-9A-Za-z]+)|([{}\[\],:]))" % _STRING)
_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_INSIDE: Final = re.compile(rb'%b(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})%b)*' % (_PLAIN, _PLAIN))
_is_inside = _INSIDE.fullmatch
_HALF_ESCAPE: Final = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?")
_ENDS_IN_HIGH: Final = re.compile(rb"(?:^|[^\\])(?:\\\\)*\\u[dD][89abAB][0-9A-Fa-f]{2}$")
_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS: Final = (b"true", b"false", b"null")
# What a half escape is filled up with: a space, or the second half of a pair if the first is there.
_USUAL, _LOW = rb"\u0020", rb"\udc00"


class _Due(IntEnum):
    """What comes next."""

    FIRST_KEY = 0
    KEY = 1
    COLON = 2
    VALUE = 3
    FIRST_ITEM = 4
    ITEM = 5
    SEPARATOR = 6


_KEYS: Final = (_Due.FIRST_KEY, _Due.KEY)
_VALUES: Final = (_Due.VALUE, _Due.FIRST_ITEM, _Due.ITEM)
# What closes the innermost container from where it is.
_MISSING: Final = {
    _Due.FIRST_KEY: b"",
    _Due.KEY: b'"":null',
    _Due.COLON: b":null",
    _Due.VALUE: b"null",
    _Due.FIRST_ITEM: b"",
    _Due.ITEM: b"null",
    _Due.SEPARATOR: b"",
}
_CLOSERS: Final = {b"{": b"}", b"[": b"]"}


def missing_end(beginning: bytes, members: bytes) -> bytes | None:
    """Return what makes a whole object of the beginning of one, ending in these members, which are not empty.

    Nothing is missing of a whole object. None if the bytes are no beginning of an object.
    """
    tail = _half_token_end(beginning)
    if tail is None:
        return None
    open_closers, due = _read(beginning + tail)
    if due is None:
        return None
    if not open_closers:
        return b"" if due is _Due.SEPARATOR else b"{%b}" % members
    if len(open_closers) > 1:
        tail += _MISSING[due] + b"".join(reversed(open_closers[1:]))
        due = _Due.SEPARATOR
    if due in _KEYS:
        return tail + members + b"}"
    return b"%b%b,%b}" % (tail, _MISSING[due], members)


def missing_character(text: bytes) -> bytes:
    """Return the bytes that end a character of UTF-8 that broke off; they make one, though hardly the one meant."""
    for length in range(1, min(3, len(text)) + 1):
        lead = text[-length]
        if lead & 0xC0 != 0x80:
            break
    else:
        return b""
    wanted = 2 if 0xC2 <= lead <= 0xDF else 3 if 0xE0 <= lead <= 0xEF else 4 if 0xF0 <= lead <= 0xF4 else 1
    if wanted <= length:
        return b""
    # Not every byte may follow a lead: these two need one that is larger.
    second = {0xE0: b"\xa0", 0xF0: b"\x90"}.get(lead, b"\x80") if length == 1 else b""
    return (second + b"\x80\x80\x80")[: wanted - length]


def _read(text: bytes) -> tuple[list[bytes], _Due | None]:
    """Return the closers that are due, the root's first, and what comes next; None there if this is no object."""
    closers: list[bytes] = []
    due: _Due | None = _Due.VALUE
    at = 0
    while (at := _SPACE.match(text, at).end()) < len(text) and due is not None:  # type: ignore[union-attr]
        token = _TOKEN.match(text, at)
        is_behind = due is _Due.SEPARATOR and not closers
        if token is None or is_behind or (not closers and token[3] != b"{"):
            return closers, None
        at = token.end()
        due = _step(token, closers, due)
    return closers, due


def _step(token: re.Match[bytes], closers: list[bytes], due: _Due) -> _Due | None:
    """Return what comes behind one token; None if it may not stand here."""
    string, scalar, mark = token.groups()
    if (string is not None and not _is_inside(string[1:-1])) or (scalar is not None and not _is_scalar(scalar)):
        return None
    if string is not None and due in _KEYS:
        return _Due.COLON
    if string is not None or scalar is not None:
        return _Due.SEPARATOR if due in _VALUES else None
    if mark in _CLOSERS:
        closers.append(_CLOSERS[mark])
        following = _Due.FIRST_KEY if mark == b"{" else _Due.FIRST_ITEM
        return following if due in _VALUES else None
    if mark == b":":
        return _Due.VALUE if due is _Due.COLON else None
    if mark == b",":
        following = _Due.KEY if closers[-1] == b"}" else _Due.ITEM
        return following if due is _Due.SEPARATOR else None
    can_close = due in (_Due.SEPARATOR, _Due.FIRST_KEY, _Due.FIRST_ITEM)
    return _Due.SEPARATOR if closers.pop() == mark and can_close else None


def _is_scalar(text: bytes) -> bool:
    """Say whether this is a word or a number of JSON."""
    return text in _WORDS or _NUMBER.fullmatch(text) is not None


def _half_token_end(text: bytes) -> bytes | None:
    """Return what the last token lacks; None if nothing could make it one."""
    at = 0
    last: re.Match[bytes] | None = None
    while token := _TOKEN.match(text, at):
        last = token
        at = token.end()
    at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
    if at < len(text):
        return _string_end(text[at + 1 :]) if text[at : at + 1] == b'"' else None
    if last is None or last[2] is None or last.end() < len(text):
        return b""
    return _scalar_end(last[2])


def _scalar_end(text: bytes) -> bytes | None:
    """Return what makes a word or a number of the beginning of one."""
    for word in _WORDS:
        if word.startswith(text):
            return word[len(text) :]
    return next((end for end in (b"", b"0") if _NUMBER.fullmatch(text + end)), None)


def _string_end(inside: bytes) -> bytes | None:
    """Return what closes a string whose inside broke off."""
    fill = missing_character(inside)
    inside += fill
    match = _INSIDE.match(inside)
    assert match is not None, "the pattern matches anything"
    whole, half = match[0], inside[match.end() :]
    is_half_pair = _ENDS_IN_HIGH.search(whole) is not None
    if half:
        if not _HALF_ESCAPE.fullmatch(half):
            return None
        if half == b"\\" and not is_half_pair:
            return fill + b'\\"'
        rest = (_LOW if is_half_pair else _USUAL)[len(half) :]
        whole, is_half_pair = half + rest, not is_half_pair and _ENDS_IN_HIGH.search(half + rest) is not None
        fill += rest
    return fill + (_LOW if is_half_pair else b"") + b'"'
