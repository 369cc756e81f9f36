"""Content codings: what an answer was packed in although nobody asked for it, undone piece by piece.

Upstreams are asked for `identity`; some pack all the same. `coding_of` says how, `Decoder` unpacks. It gives no more
than STEP_BYTES at a time, so that a small piece cannot become a large one in memory, and it knows where its input ends:
what is cut short or goes on behind its end is garbled. It must not know how large an answer may be. zlib is imported
with the first decoder, for hardly anybody needs one.
"""

from typing import Final, Protocol

from busbar_fast.errors import UpstreamGarbled
from busbar_fast.wire.heads import Fields

STEP_BYTES: Final = 65536

_ACCEPTED = b"identity"
_DEFLATE = b"deflate"
# What tells zlib which of its formats to expect.
_GZIP_WBITS, _ZLIB_WBITS, _RAW_WBITS = 31, 15, -15
_WBITS = {b"gzip": _GZIP_WBITS, b"x-gzip": _GZIP_WBITS, _DEFLATE: _ZLIB_WBITS}
_ZLIB_HEAD_BYTES = 2


def coding_of(fields: Fields) -> bytes:
    """Return the coding that an answer's body is in, empty if it is in none. Raise UpstreamGarbled for an unknown one.

    Codings on top of each other count as unknown: no upstream is known to apply two.
    """
    coding = fields.get(b"content-encoding", _ACCEPTED).lower()
    if not coding or coding == _ACCEPTED:  # a list may be empty, RFC 9110, 5.6.1
        return b""
    if coding not in _WBITS:
        raise UpstreamGarbled("a content coding that was not accepted")
    return coding


class Machine(Protocol):
    """What zlib decodes one stream with."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was read."""

    @property
    def unconsumed_tail(self) -> bytes:
        """The input that there was no room for the output of."""

    @property
    def unused_data(self) -> bytes:
        """The input behind the end."""

    def decompress(self, raw: bytes, max_length: int, /) -> bytes:
        """Return what more input becomes, at most so much of it."""


class Decoder:
    """See the module. `feed` what has come, then take parts until there is none; `finish` at the end of the input."""

    __slots__ = ("_coding", "_held", "_is_full", "_machine", "_members")

    def __init__(self, coding: bytes) -> None:
        self._coding = coding
        self._held = b""  # of the input, not decoded yet
        self._machine: Machine | None = None
        self._is_full = False  # the last part was as large as a part may be, so more may come without any input
        self._members = 0  # begun so far; gzip may be several behind each other

    def feed(self, piece: bytes) -> None:
        """Add bytes as they were received."""
        self._held += piece

    def next_part(self) -> bytes:
        """Return the next decoded bytes, nothing if more input is needed for any. Raise UpstreamGarbled."""
        import zlib  # noqa: PLC0415  see the module

        while self._held or self._is_full:
            machine = self._machine or self._maybe_begin()
            if machine is None:
                break
            try:
                part = machine.decompress(self._held, STEP_BYTES)
            except zlib.error as error:
                raise UpstreamGarbled("a body that cannot be decoded") from error
            self._is_full = len(part) == STEP_BYTES and not machine.eof
            self._held = machine.unused_data if machine.eof else machine.unconsumed_tail
            self._machine = None if machine.eof else machine
            if part:
                return part
        return b""

    def finish(self) -> None:
        """Take note that the input has ended and all parts are taken. Raise UpstreamGarbled if something is missing."""
        if self._machine is not None or self._held:
            raise UpstreamGarbled("a coded body that ends too early")

    def _maybe_begin(self) -> Machine | None:
        """Return what decodes the bytes that are held, None while there are too few to tell."""
        import zlib  # noqa: PLC0415  see the module

        wbits = _WBITS[self._coding]
        if self._coding == _DEFLATE:
            if self._members:
                raise UpstreamGarbled("bytes behind the end of a coded body")
            if len(self._held) < _ZLIB_HEAD_BYTES:
                return None
            if not _is_zlib_head(self._held):
                wbits = _RAW_WBITS
        self._members += 1
        self._machine = zlib.decompressobj(wbits)
        return self._machine


def _is_zlib_head(raw: bytes) -> bool:
    """Say whether a body begins as RFC 1950 §2.2 wants it; some send the bare stream inside instead."""
    return raw[0] & 0x0F == 8 and int.from_bytes(raw[:_ZLIB_HEAD_BYTES], "big") % 31 == 0
