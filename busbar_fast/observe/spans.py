"""Spans as OTLP has them, in protocol buffers of our own writing: the few messages we need are a page of code.

The official library costs 150 ms of import and an object for every attribute; here a span is encoded once, when it is
over. Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto`. Knows neither clocks nor sockets.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

_match_parent = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?").fullmatch
_NO_VERSION = b"ff"
_FIRST_VERSION = b"00"  # has nothing behind its flags
_SAMPLED = 1
_ERROR = 2

_LONG = 0x80  # what takes more than one byte
_SHORT = tuple(bytes((number,)) for number in range(_LONG))
_VARINT, _FIXED64, _BYTES = 0, 1, 2

Attributes = Mapping[str, str | int | float | bool]


class Kind(IntEnum):
    """What a span stands for."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Parent(NamedTuple):
    """What a caller says of the trace it is in."""

    trace_id: bytes
    span_id: bytes
    is_sampled: bool


class Span(NamedTuple):
    """One span that is over; times are nanoseconds since 1970."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes  # empty: it is the first
    name: str
    kind: Kind
    began_ns: int
    ended_ns: int
    attributes: Attributes
    is_error: bool = False


def parse_parent(field: bytes) -> Parent | None:
    """Return what a `traceparent` header says, None if it says nothing valid."""
    match = _match_parent(field)
    if match is None or match[1] == _NO_VERSION or (match[1] == _FIRST_VERSION and match[5]):
        return None
    trace_id, span_id = bytes.fromhex(match[2].decode()), bytes.fromhex(match[3].decode())
    if not any(trace_id) or not any(span_id):
        return None
    return Parent(trace_id, span_id, bool(int(match[4], 16) & _SAMPLED))


def encode_span(span: Span) -> bytes:
    """Return a span as it stands in a batch."""
    fields = [_bytes(1, span.trace_id), _bytes(2, span.span_id)]
    if span.parent_id:
        fields.append(_bytes(4, span.parent_id))
    fields += (
        _bytes(5, span.name.encode()),
        _number(6, span.kind),
        _fixed64(7, span.began_ns),
        _fixed64(8, span.ended_ns),
        *_attributes(9, span.attributes),
    )
    if span.is_error:
        fields.append(_bytes(15, _number(3, _ERROR)))
    return _bytes(2, b"".join(fields))


def encode_batch(resource: Attributes, scope: str, spans: Iterable[bytes]) -> bytes:
    """Return the body of an export: encoded spans with who made them."""
    described = _bytes(1, b"".join(_attributes(1, resource)))
    scoped = _bytes(1, _bytes(1, scope.encode())) + b"".join(spans)
    return _bytes(1, described + _bytes(2, scoped))


def _attributes(number: int, attributes: Attributes) -> Iterable[bytes]:
    return [_bytes(number, _name(name) + _bytes(2, _value(value))) for name, value in attributes.items()]


@lru_cache(256)
def _name(name: str) -> bytes:
    return _bytes(1, name.encode())


def _value(value: str | float | bool) -> bytes:
    if isinstance(value, str):
        return _bytes(1, value.encode())
    if isinstance(value, bool):
        return _number(2, int(value))
    if isinstance(value, int):
        return _number(3, value)
    return _varint(4 << 3 | _FIXED64) + struct.pack("<d", value)


def _bytes(number: int, value: bytes) -> bytes:
    size = len(value)
    if size < _LONG:
        return _SHORT[number << 3 | _BYTES] + _SHORT[size] + value
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _fixed64(number: int, value: int) -> bytes:
    return _varint(number << 3 | _FIXED64) + value.to_bytes(8, "little")


def _varint(value: int) -> bytes:
    if 0 <= value < _LONG:
        return _SHORT[value]
    value &= 0xFFFFFFFFFFFFFFFF  # a negative number is written as its complement
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
