"""Finds fields in a form of several parts, the way files are sent (RFC 7578); never copies what is in them.

Whoever reads a form more leniently than this module must not find another field in it: that could be another model
than the one that was looked at. So it is strict. Parts stand one behind the other from the first byte on, lines end in
CR and LF, each part says its name once and plainly, and the boundary occurs nowhere else.
"""

import re

from busbar_fast.errors import NotForm
from busbar_fast.wire.json_scan import Span

_CRLF = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_CHARACTERS = rb"[0-9A-Za-z'()+_,./:=?-]{1,70}"
# One parameter and no other: of several boundaries each reader takes another one.
_match_type = re.compile(
    rb'[ \t]*+multipart/form-data[ \t]*+;[ \t]*+boundary=(?:"([0-9A-Za-z\'()+_,./:=? -]{1,70})"|(%b))[ \t]*+'
    % _CHARACTERS,
    re.IGNORECASE,
).fullmatch
# A quote that some take for escaped ends the value for others, so none may stand behind a backslash.
_VALUE = rb'"[^"\\\r\n]*+(?:\\[^"\r\n][^"\\\r\n]*+)*+"|[^";\s]++'
_match_disposition = re.compile(
    rb"content-disposition:[ \t]*+form-data((?:[ \t]*+;[ \t]*+[A-Za-z*]++=(?:%b))*+)[ \t]*+" % _VALUE, re.IGNORECASE
).fullmatch
_find_parameters = re.compile(rb";[ \t]*+([A-Za-z*]++)=(%b)" % _VALUE).findall


def is_form(content_type: bytes) -> bool:
    """Say whether a content type is that of a form of several parts."""
    return content_type.lstrip()[:10].lower() == b"multipart/"


def find_fields(body: bytes, content_type: bytes, name: bytes) -> list[Span]:
    """Return the spans of the values of all fields of this name, should they be files. Raise NotForm."""
    found = _match_type(content_type)
    if found is None:
        raise NotForm("its type does not say one boundary and nothing else")
    delimiter = b"--" + (found[1] or found[2])
    begin = _CRLF + delimiter
    if not body.startswith(delimiter) or body.count(delimiter) != body.count(begin) + 1:
        raise NotForm("the boundary stands where none may stand")
    spans: list[Span] = []
    at = len(delimiter)
    while not body.startswith(b"--", at):
        value_start = body.find(_HEAD_END, at) + len(_HEAD_END)
        value_end = body.find(begin, value_start)
        if not body.startswith(_CRLF, at) or value_start < len(_HEAD_END) or value_end < 0:
            raise NotForm("a part without a head or an end")
        if _name_of(body[at + len(_CRLF) : value_start - len(_HEAD_END)]) == name:
            spans.append((value_start, value_end))
        at = value_end + len(begin)
    if body[at + 2 :].strip(b"\r\n"):
        raise NotForm("something follows the last part")
    return spans


def _name_of(head: bytes) -> bytes:
    """Return the name of a field by the head of its part."""
    lines = [line for line in head.split(_CRLF) if line[:20].lower() == b"content-disposition:"]
    match = _match_disposition(lines[0]) if len(lines) == 1 else None
    if match is None or b"\n" in head.replace(_CRLF, b"") or _CRLF + b" " in head or _CRLF + b"\t" in head:
        raise NotForm("a part without one plain name")
    pairs = [(word.lower(), value.strip(b'"')) for word, value in _find_parameters(match[1])]
    names = [value for word, value in pairs if word == b"name"]
    if len(names) != 1 or any(word == b"name*" for word, _ in pairs):
        raise NotForm("a part without one plain name")
    (found,) = names
    return bytes(found)
