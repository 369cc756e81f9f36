"""The binary frames of an AWS event stream (`application/vnd.amazon.eventstream`).

A frame is a prelude of twelve bytes (total length, length of the headers, CRC of those eight bytes), the headers, the
payload, and a CRC over everything before it; all numbers are big endian, both CRCs are zlib's. This module knows
frames and nothing of the events inside them. The Bedrock dialect and the mock backend call it.

A header block that is used for many frames is encoded once by `encode_headers` and handed to `encode_frame`;
`encode_message` does both. What does not fit the format is refused whole by `FrameTooLarge`, never cut.
"""

from collections.abc import Iterable
from struct import Struct
from zlib import crc32

from busbar_fast.errors import BusbarError

MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_HEADERS_BYTES = 128 * 1024
OVERHEAD_BYTES = 16  # prelude of twelve bytes and the closing CRC

_MAX_NAME_BYTES = 0xFF
_MAX_VALUE_BYTES = 0xFFFF
_STRING = 7  # the type number of a UTF-8 string value
_PRELUDE = Struct(">II")
_CRC = Struct(">I")
_VALUE_HEAD = Struct(">BH")


class FrameTooLarge(BusbarError):
    """A name, value or frame exceeds what the format or our cap allows; the frame must be dropped whole."""


def encode_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the header block for pairs of name and string value, in the given order."""
    parts: list[bytes] = []
    for name, value in headers:
        raw_name = name.encode()
        raw_value = value.encode()
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
    prelude = _PRELUDE.pack(total_bytes, len(raw_headers))
    unsealed = b"".join((prelude, _CRC.pack(crc32(prelude)), raw_headers, payload))
    return unsealed + _CRC.pack(crc32(unsealed))


def encode_message(headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
    """Return one frame with these string headers and this payload."""
    return encode_frame(encode_headers(headers), payload)
