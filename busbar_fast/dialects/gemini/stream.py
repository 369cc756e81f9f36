"""Turns the events of an upstream into the one JSON array that clients without `alt=sse` read.

The documents in the events become the elements, their bytes untouched; what is no JSON object is left out, because one
such element would spoil the whole array. Clients want `[` as the very first byte and nothing behind the `]`. No byte is
given out before the first element is there, so that until then the request can still be answered by somebody else.
Knows no sockets; whoever relays a stream feeds this and writes what comes back.
"""

from typing import Final

from busbar_fast.dialects.faults import Fault
from busbar_fast.wire.sse import SseSplitter, parse_event

_OPENING: Final = b"["
_BETWEEN: Final = b",\r\n"
_CLOSING: Final = b"]"


class ArrayReframer:
    """One stream. After `finish` or `fail` nothing more comes out."""

    __slots__ = ("_has_error", "_is_closed", "_is_open", "_splitter")

    def __init__(self) -> None:
        self._splitter = SseSplitter()
        self._is_open = False  # the first element is out
        self._has_error = False  # the upstream has reported its failure itself
        self._is_closed = False

    def feed(self, piece: bytes) -> bytes:
        """Return the elements that end in this piece; nothing if none does. Raise UpstreamGarbled at a huge event."""
        if self._is_closed:
            return b""
        return b"".join([self._element(event) for event in self._splitter.feed(piece)])

    def finish(self) -> bytes:
        """Return the end of the array; an event without its empty line is an element if it is whole."""
        if self._is_closed:
            return b""
        last = self._element(self._splitter.take_rest())
        return last + self._close()

    def fail(self, fault: Fault) -> bytes:
        """Return one error element and the end of the array; if the upstream sent the error, only the end."""
        from busbar_fast.dialects.gemini.faults import encode_error  # noqa: PLC0415  most streams do not fail

        if self._is_closed:
            return b""
        if self._has_error:
            return self._close()
        return self._separator() + encode_error(fault) + self._close()

    def whole(self, document: bytes) -> bytes:
        """Return the array of one element that a whole answer becomes, or the answer if it is the array already."""
        self._is_closed = True
        return document if document.lstrip().startswith(_OPENING) else _OPENING + document + _CLOSING

    def _element(self, event: bytes) -> bytes:
        """Return what an event adds to the array."""
        payload = parse_event(event).payload
        document = None if payload is None else _maybe_document(payload)
        if payload is None or not isinstance(document, dict):
            return b""
        self._has_error = self._has_error or "error" in document
        return self._separator() + payload

    def _separator(self) -> bytes:
        """Return what stands before the next element."""
        if self._is_open:
            return _BETWEEN
        self._is_open = True
        return _OPENING

    def _close(self) -> bytes:
        self._is_closed = True
        return _CLOSING if self._is_open else _OPENING + _CLOSING


def _maybe_document(payload: bytes) -> object:
    """Return what a payload says; None if it is no JSON."""
    from orjson import JSONDecodeError, loads  # noqa: PLC0415  13 ms that whoever does not come here saves

    try:
        return loads(payload)
    except JSONDecodeError:  # also of half a surrogate pair and of a number no float can hold, which are JSON
        return _maybe_odd_document(payload)


def _maybe_odd_document(payload: bytes) -> object:
    """Do the same with the library that takes all of JSON, and a little more but for what is refused here."""
    from json import loads  # noqa: PLC0415  as good as never

    try:
        return loads(payload.decode(), parse_constant=int)  # of `NaN` and its like, which no number is written as
    except (ValueError, RecursionError):
        return None
