"""The encoder of AWS event-stream frames, against the published vectors and botocore's own parser."""

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.aws.eventstream import (
    MAX_FRAME_BYTES,
    MAX_HEADERS_BYTES,
    OVERHEAD_BYTES,
    FrameTooLarge,
    encode_frame,
    encode_headers,
    encode_message,
)


def event_headers(name: str) -> list[tuple[str, str]]:
    return [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")]


def test_empty_frame_matches_vector() -> None:
    """The smallest frame is sixteen bytes long (aws-wire case 25, vector 4)."""
    assert encode_message([], b"") == bytes.fromhex("000000100000000005c248eb7d98c8ff")


@pytest.mark.parametrize(
    ("headers", "payload", "total_bytes", "headers_bytes", "prelude_crc", "message_crc"),
    [
        (event_headers("contentBlockStop"), '{"contentBlockIndex":0}', 125, 86, "e6680fd6", "b32e4d34"),
        (
            event_headers("contentBlockDelta"),
            '{"contentBlockIndex":0,"delta":{"text":"marée"}}',
            152,
            87,
            "715b77ef",
            "dc07803f",
        ),
        (
            [
                (":exception-type", "throttlingException"),
                (":content-type", "application/json"),
                (":message-type", "exception"),
            ],
            '{"message":"slow down"}',
            136,
            97,
            "de0175f4",
            "832ee072",
        ),
    ],
)
def test_frame_matches_vector(
    headers: list[tuple[str, str]],
    payload: str,
    total_bytes: int,
    headers_bytes: int,
    prelude_crc: str,
    message_crc: str,
) -> None:
    """Lengths and both CRCs equal the vectors of the wire chapter (aws-wire case 25)."""
    frame = encode_message(headers, payload.encode())
    assert len(frame) == total_bytes
    assert frame[:4] == total_bytes.to_bytes(4, "big")
    assert frame[4:8] == headers_bytes.to_bytes(4, "big")
    assert frame[8:12].hex() == prelude_crc
    assert frame[-4:].hex() == message_crc


def test_prepared_header_block_gives_the_same_frame() -> None:
    """Encoding the headers apart changes nothing."""
    block = encode_headers(event_headers("metadata"))
    assert encode_frame(block, b"{}") == encode_message(event_headers("metadata"), b"{}")


NAMES = st.text(min_size=1, max_size=40).filter(lambda name: 0 < len(name.encode()) <= 255)


@given(
    headers=st.dictionaries(NAMES, st.text(max_size=200), max_size=8),
    payload=st.binary(max_size=4096),
)
def test_any_frame_is_read_back_by_botocore(headers: dict[str, str], payload: bytes) -> None:
    """The vendor's parser checks both CRCs and yields what was written (aws-wire cases 25 and 37)."""
    buffer = EventStreamBuffer()
    buffer.add_data(encode_message(headers.items(), payload))
    (event,) = list(buffer)
    assert event.headers == headers
    assert event.payload == payload


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "v"), ("n" * 256, "v"), ("é" * 128, "v"), ("n", "v" * 65536)],
)
def test_header_beyond_the_format_is_refused(name: str, value: str) -> None:
    """A name or value that the length fields cannot hold is refused, never cut (aws-wire case 34)."""
    with pytest.raises(FrameTooLarge):
        encode_headers([(name, value)])


def test_header_at_the_limit_of_the_format_is_written() -> None:
    """The longest name and value still fit."""
    block = encode_headers([("n" * 255, "v" * 65535)])
    assert len(block) == 1 + 255 + 3 + 65535


def test_frame_over_the_cap_is_refused() -> None:
    """One byte more than the cap refuses the whole frame; the cap itself is fine (aws-wire case 34)."""
    room = MAX_FRAME_BYTES - OVERHEAD_BYTES
    assert len(encode_frame(b"", bytes(room))) == MAX_FRAME_BYTES
    with pytest.raises(FrameTooLarge):
        encode_frame(b"", bytes(room + 1))


def test_header_block_over_the_cap_is_refused() -> None:
    """Header blocks have a cap of their own."""
    with pytest.raises(FrameTooLarge):
        encode_frame(bytes(MAX_HEADERS_BYTES + 1), b"")
