"""The binary frames of an AWS event stream (`application/vnd.amazon.eventstream`), read and written.

A frame is a prelude of twelve bytes (total length, length of the headers, CRC of those eight bytes), the headers, the
payload, and a CRC over everything before it; all numbers are big endian, both CRCs are zlib's. This module knows
frames and the headers that tell events, exceptions and errors apart, and nothing of what is inside them. The dialect
whose stream this is and the mock backend call it.

Reading: `FrameReader` is fed pieces cut anywhere and gives out one whole frame at a time, so the frames before a broken
one are delivered. Lengths are judged as soon as the prelude is there, so a hostile length reserves nothing.

Writing: a header block that is used for many frames is encoded once by `encode_headers` and handed to `encode_frame`;
`encode_message` does both. What does not fit the format is refused whole by `FrameTooLarge`, never cut.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from types import MappingProxyType
from typing import Final
from zlib import crc32

from busbar_fast.errors import BusbarError, UpstreamGarbled

HeaderValue = bool | int | bytes | str

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
MAX_HEADERS_BYTES: Final = 128 * 1024
OVERHEAD_BYTES: Final = 16  # prelude of twelve bytes and the closing CRC
JSON_TYPE: Final = "application/json"

_MAX_NAME_BYTES: Final = 0xFF
_MAX_VALUE_BYTES: Final = 0xFFFF
_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9  # type numbers of header values
_NUMBERS: Final = {2: Struct(">b"), 3: Struct(">h"), 4: Struct(">i"), 5: Struct(">q"), 8: Struct(">q")}
_UUID_BYTES: Final = 16
_PRELUDE_BYTES: Final = 12
_USUAL_HEADERS_BYTES: Final = 256
_PRELUDE: Final = Struct(">II")
_WHOLE_PRELUDE: Final = Struct(">III")
_UINT32: Final = Struct(">I")  # a checksum, a length
_LENGTH: Final = Struct(">H")
_VALUE_HEAD: Final = Struct(">BH")


class FrameTooLarge(BusbarError):
    """A name, value or frame exceeds what the format or our cap allows; the frame must be dropped whole."""


class FrameGarbled(UpstreamGarbled):
    """The bytes are not frames, or the stream ends within one; nothing behind that place can be read."""


class Kind(IntEnum):
    """What a frame tells, by its `:message-type`; a type that nobody knows makes an event that nobody knows."""

    EVENT = 1
    EXCEPTION = 2  # one that the service's model names
    ERROR = 3  # one that it does not


_KINDS: Final = MappingProxyType({"exception": Kind.EXCEPTION, "error": Kind.ERROR})


class Frame:
    """One whole frame: its bytes as they came, its headers decoded, its payload."""

    __slots__ = ("headers", "payload", "raw")

    def __init__(self, raw: bytes, headers: Mapping[str, HeaderValue], payload: bytes) -> None:
        self.raw = raw
        self.headers = headers
        self.payload = payload

    @property
    def kind(self) -> Kind:
        """Return whether this is an event or one of the two sorts of failure."""
        return _KINDS.get(self.text(":message-type"), Kind.EVENT)

    @property
    def event_type(self) -> str:
        """Return the name of an event; empty if it has none."""
        return self.text(":event-type")

    @property
    def exception_name(self) -> str:
        """Return the name of an exception without its namespace, as a union member is spelt; empty if it has none."""
        return bare_name(self.text(":exception-type"))

    def text(self, name: str) -> str:
        """Return the value of a header that is a string; empty if there is none."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


def bare_name(name: str) -> str:
    """Return the last part of a name like `namespace#Name` that is not empty, its first letter lowered."""
    parts = [part for part in name.replace("#", "/").split("/") if part]
    return parts[-1][0].lower() + parts[-1][1:] if parts else name


class FrameReader:
    """Takes received pieces and gives back whole frames; no byte is copied more than a few times.

    Once bytes are no frame everything held is dropped, and each further call raises the same reason.
    """

    __slots__ = ("_at", "_cap_bytes", "_fault", "_later", "_piece", "_wanted_bytes")

    def __init__(self, cap_bytes: int = MAX_FRAME_BYTES) -> None:
        self._cap_bytes = cap_bytes
        self._piece = b""
        self._at = 0  # where the next frame starts in the piece
        self._later = bytearray()  # what came behind the piece while that was not read to its end
        self._wanted_bytes = _PRELUDE_BYTES  # what the next frame needs: a prelude, then all it says
        self._fault = ""

    @property
    def held_bytes(self) -> int:
        """Return how many bytes wait for the rest of their frame, or for their reader."""
        return len(self._piece) - self._at + len(self._later)

    def feed(self, piece: bytes) -> None:
        """Take the next bytes; call `maybe_next` until it has nothing more."""
        if self._fault:
            return
        if self._at == len(self._piece):
            self._piece = piece
            self._at = 0
        else:
            self._later += piece

    def maybe_next(self) -> Frame | None:
        """Return the next whole frame, or None until more is fed. Raise FrameGarbled where bytes are no frame."""
        if self._fault:
            raise FrameGarbled(self._fault)
        try:
            if self._wanted_bytes == _PRELUDE_BYTES:
                if len(self._piece) - self._at < _PRELUDE_BYTES and not self._gather():
                    return None
                self._wanted_bytes = self._total_bytes()
            if len(self._piece) - self._at < self._wanted_bytes and not self._gather():
                return None
            return self._take_frame()
        except FrameGarbled as garbled:
            self._fault = str(garbled)
            self._piece = b""
            self._at = 0
            self._later.clear()
            raise

    def finish(self) -> None:
        """Raise FrameGarbled if the stream may not end here: bytes are left, or were no frame before."""
        if self._fault:
            raise FrameGarbled(self._fault)
        if self.held_bytes:
            raise FrameGarbled("the stream ends within a frame")

    def _gather(self) -> bool:
        """Make one piece of all that is held, if that is as much as is wanted; so none is copied in vain."""
        if self.held_bytes < self._wanted_bytes:
            return False
        self._piece = self._piece[self._at :] + self._later
        self._at = 0
        self._later.clear()
        return True

    def _total_bytes(self) -> int:
        """Return the length of the frame whose prelude is here."""
        total_bytes, headers_bytes, crc = _WHOLE_PRELUDE.unpack_from(self._piece, self._at)
        if crc32(self._piece[self._at : self._at + _PRELUDE.size]) != crc:
            raise FrameGarbled("the prelude of a frame does not match its checksum")
        if not OVERHEAD_BYTES <= total_bytes <= self._cap_bytes:
            raise FrameGarbled(f"a frame of {total_bytes} bytes")
        if headers_bytes > MAX_HEADERS_BYTES or headers_bytes > total_bytes - OVERHEAD_BYTES:
            raise FrameGarbled(f"headers of {headers_bytes} bytes in a frame of {total_bytes}")
        return int(total_bytes)

    def _take_frame(self) -> Frame:
        """Return the frame that is here as a whole, and stand behind it."""
        end = self._at + self._wanted_bytes
        raw = self._piece[self._at : end]
        self._at = end
        self._wanted_bytes = _PRELUDE_BYTES
        headers_end = _PRELUDE_BYTES + _PRELUDE.unpack_from(raw)[1]
        payload_end = len(raw) - _UINT32.size
        block = raw[_PRELUDE_BYTES:headers_end]
        payload = raw[headers_end:payload_end]
        crc = crc32(payload, crc32(block, crc32(raw[:_PRELUDE_BYTES])))
        if crc != _UINT32.unpack_from(raw, payload_end)[0]:
            raise FrameGarbled("a frame does not match its checksum")
        headers = _remember_headers(block) if len(block) <= _USUAL_HEADERS_BYTES else decode_headers(block)
        return Frame(raw, headers, payload)


class FrameEdge:
    """Knows whether a stream of frames that is being sent stands between two of them; keeps hardly a byte."""

    __slots__ = ("_is_garbled", "_left_bytes", "_length")

    def __init__(self) -> None:
        self._left_bytes = 0  # of the frame being sent
        self._length = b""  # the first bytes of a frame, while they are too few to say its length
        self._is_garbled = False  # these are no frames

    def feed(self, piece: bytes) -> None:
        """Note what is being sent."""
        if self._length:
            piece = self._length + piece
            self._length = b""
        at, end = 0, len(piece)
        while at < end and not self._is_garbled:
            if not self._left_bytes:
                if end - at < _UINT32.size:
                    self._length = piece[at:]
                    return
                self._left_bytes = _UINT32.unpack_from(piece, at)[0]
                self._is_garbled = self._left_bytes < OVERHEAD_BYTES
            step = min(self._left_bytes, end - at)
            self._left_bytes -= step
            at += step

    @property
    def is_edge(self) -> bool:
        """Return whether another frame may follow here."""
        return not (self._left_bytes or self._length or self._is_garbled)


def decode_headers(block: bytes) -> Mapping[str, HeaderValue]:
    """Return the headers in a block; times are milliseconds, uuids their sixteen bytes. Raise FrameGarbled."""
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(block):
            value_at = at + 1 + block[at]
            name = block[at + 1 : value_at].decode()
            if not name or name in headers:
                raise FrameGarbled("a frame with a header that has no name, or with two of one name")
            headers[name], at = _decode_value(block, value_at)
    except (ValueError, IndexError) as error:
        raise FrameGarbled("a frame with a header that is cut or not UTF-8") from error
    return MappingProxyType(headers)


# A service writes a handful of different blocks, over and over.
_remember_headers = lru_cache(maxsize=128)(decode_headers)


def _decode_value(block: bytes, at: int) -> tuple[HeaderValue, int]:
    """Return the value whose type number stands here, and where the next header starts."""
    kind = block[at]
    at += 1
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _NUMBERS:
        packed, at = _cut(block, at, _NUMBERS[kind].size)
        return int(_NUMBERS[kind].unpack(packed)[0]), at
    if kind == _UUID:
        return _cut(block, at, _UUID_BYTES)
    if kind not in (_BYTES, _STRING):
        raise FrameGarbled(f"a frame with a header of the unknown type {kind}")
    packed, at = _cut(block, at, _LENGTH.size)
    value, at = _cut(block, at, _LENGTH.unpack(packed)[0])
    return (value.decode() if kind == _STRING else value), at


def _cut(block: bytes, at: int, size: int) -> tuple[bytes, int]:
    """Return so many bytes and the place behind them; IndexError if the block ends before."""
    end = at + size
    if end > len(block):
        raise IndexError(end)
    return block[at:end], end


def encode_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the header block for pairs of name and string value, in the given order."""
    parts: list[bytes] = []
    for name, value in headers:
        raw_name = name.encode()
        raw_value = value.encode(errors="replace")
        if not 0 < len(raw_name) <= _MAX_NAME_BYTES:
            raise FrameTooLarge(f"a header name of {len(raw_name)} bytes does not fit an event stream")
        if len(raw_value) > _MAX_VALUE_BYTES:
            raise FrameTooLarge(f"a header value of {len(raw_value)} bytes does not fit an event stream")
        parts += (bytes((len(raw_name),)), raw_name, _VALUE_HEAD.pack(_STRING, len(raw_value)), raw_value)
    return b"".join(parts)


def encode_frame(raw_headers: bytes, payload: bytes) -> bytes:
    """Return one frame around a block from `encode_headers` and a payload."""
    total_bytes = len(raw_headers) + len(payload) + OVERHEAD_BYTES
    if len(raw_headers) > MAX_HEADERS_BYTES or total_bytes > MAX_FRAME_BYTES:
        raise FrameTooLarge(f"a frame of {total_bytes} bytes exceeds the cap")
    lengths = _PRELUDE.pack(total_bytes, len(raw_headers))
    prelude = lengths + _UINT32.pack(crc32(lengths))
    crc = crc32(payload, crc32(raw_headers, crc32(prelude)))
    return b"".join((prelude, raw_headers, payload, _UINT32.pack(crc)))


def encode_message(headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
    """Return one frame with these string headers and this payload."""
    return encode_frame(encode_headers(headers), payload)


def encode_event(event_type: str, payload: bytes) -> bytes:
    """Return the frame of an event, its payload being JSON."""
    return encode_frame(_typed_headers(":event-type", event_type, "event"), payload)


def encode_exception(name: str, payload: bytes) -> bytes:
    """Return the frame of a modelled exception; clients know it by the union member, in lower camel case."""
    return encode_frame(_typed_headers(":exception-type", name, "exception"), payload)


def encode_error(code: str, message: str) -> bytes:
    """Return the frame of an error that no model names; it has no payload."""
    return encode_message(((":message-type", "error"), (":error-code", code), (":error-message", message)), b"")


@lru_cache(maxsize=64)
def _typed_headers(header: str, name: str, message_type: str) -> bytes:
    return encode_headers(((header, name), (":content-type", JSON_TYPE), (":message-type", message_type)))
