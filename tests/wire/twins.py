"""Slow and obvious twins of the fast scanners, and the ways to cut a text into pieces."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

SPACE = " \t\r\n"
BOM = b"\xef\xbb\xbf"


class Fields(NamedTuple):
    """What the lines of one event say."""

    name: bytes | None
    payload: bytes | None
    event_id: bytes | None
    retry_ms: int | None


def every_cut(text: bytes) -> Iterator[list[bytes]]:
    """Yield the text whole, cut in two at every place, and byte by byte."""
    yield [text]
    for at in range(1, len(text)):
        yield [text[:at], text[at:]]
    yield [bytes((byte,)) for byte in text]


def cut_at(text: bytes, places: list[int]) -> list[bytes]:
    """Return the text cut at these places; some pieces may be empty."""
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def lines_by_the_book(stream: bytes) -> tuple[list[bytes], bytes]:
    """Return the ended lines of an event stream and what follows the last one, read byte by byte."""
    lines, line, at = [], b"", 0
    stream = stream.removeprefix(BOM)
    while at < len(stream):
        byte = stream[at : at + 1]
        at += 1
        if byte == b"\r" and stream[at : at + 1] == b"\n":
            at += 1
        if byte in (b"\r", b"\n"):
            lines.append(line)
            line = b""
        else:
            line += byte
    return lines, line


def fields_by_the_book(lines: list[bytes]) -> Fields:
    """Return what the lines of one event say (HTML standard, 9.2.6)."""
    name, payload, event_id, retry_ms = b"", None, None, None
    for line in lines:
        field, value = line, b""
        if b":" in line:
            colon = line.index(b":")
            field, value = line[:colon], line[colon + 1 :]
        if value[:1] == b" ":
            value = value[1:]
        if field == b"event":
            name = value
        if field == b"data":
            payload = (payload or b"") + value + b"\n"
        if field == b"id" and b"\x00" not in value:
            event_id = value
        if field == b"retry" and value and all(byte in b"0123456789" for byte in value):
            retry_ms = int(value)
    return Fields(name or None, None if payload is None else payload[:-1], event_id, retry_ms)


def events_by_the_book(stream: bytes) -> tuple[list[Fields], Fields]:
    """Return the events that a stream dispatches, and the one it leaves unfinished."""
    events, block = [], []
    lines, rest = lines_by_the_book(stream)
    for line in lines:
        if line:
            block.append(line)
        else:
            events.append(fields_by_the_book(block))
            block = []
    return [event for event in events if event.payload is not None], fields_by_the_book([*block, rest])


def members_by_json(document: bytes, names: frozenset[bytes]) -> dict[bytes, list[tuple[int, int]]]:
    """Return the spans of the named members of an object that the standard parser accepts, found with that parser."""
    text = document.decode()
    decoder = json.JSONDecoder(strict=False)
    found: dict[bytes, list[tuple[int, int]]] = {}

    def behind_space(at: int) -> int:
        while at < len(text) and text[at] in SPACE:
            at += 1
        return at

    at = behind_space(behind_space(0) + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        start = behind_space(behind_space(at) + 1)
        _, at = decoder.raw_decode(text, start)
        name = key.encode("utf-8", "surrogatepass")
        if name in names:
            span = len(text[:start].encode()), len(text[:at].encode())
            found.setdefault(name, []).append(span)
        at = behind_space(at)
        if text[at] == ",":
            at = behind_space(at + 1)
    return found
