"""Paths and queries, as far as several dialects read and write them alike: raw bytes in, one decoding at most.

Which paths are whose is not said here. An escape that is none stays as it stands; the HTTP layer refuses such targets
before anybody reads them.
"""

import re

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect

_replace_escapes = re.compile(rb"%([0-9A-Fa-f]{2})").sub


def unescape(raw: bytes) -> bytes:
    """Return the bytes that percent escapes stand for, decoded once."""
    return _replace_escapes(_unescape, raw) if b"%" in raw else raw


def decode_segment(segment: bytes) -> str | None:
    """Return the text of a path segment or of a name in a query, decoded once; None if it is none."""
    try:
        return unescape(segment).decode()
    except UnicodeDecodeError:
        return None


def without_key(query: bytes) -> bytes:
    """Return the query without what may be a credential of this house: `key`, however it is spelt."""
    if b"key" not in query and b"%" not in query:
        return query
    pairs = query.split(b"&")
    return b"&".join([pair for pair in pairs if unescape(pair.partition(b"=")[0]) != b"key"])


def with_query(path: str, query: bytes) -> str:
    """Return the path of a lane with a client's query behind its own; like-named members of the lane's win."""
    if not query:
        return path
    front, _, own_query = path.partition("?")
    own = {pair.partition("=")[0] for pair in own_query.split("&")}
    pairs = [pair for pair in query.decode("ascii").split("&") if pair.partition("=")[0] not in own]
    joined = "&".join([own_query, *pairs] if own_query else pairs)
    return f"{front}?{joined}" if joined else front


def replace_action(path: str, usual: str, other: str) -> str:
    """Return the path of a lane for another action than the usual one; nothing if it does not end in that."""
    place, mark, query = path.partition("?")
    return place.removesuffix(usual) + other + mark + query if place.endswith(usual) else ""


def claim_models(dialect: Dialect, rest: bytes) -> Ask | None:
    """Return what a client of this dialect asks for behind the path of the list of models; None if it goes on."""
    if not rest:
        return Ask(dialect, Operation.LIST_MODELS)
    if not rest.startswith(b"/"):
        return None
    name = None if b"/" in rest[1:] else decode_segment(rest[1:])
    return Ask(dialect, Operation.SHOW_MODEL, name=name) if name else Ask(dialect, Operation.NOTHING)


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode())
