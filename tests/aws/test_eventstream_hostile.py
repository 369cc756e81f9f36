"""Event streams from somebody who means ill: lengths that lie, frames cut or changed, sizes at the edge."""

import struct
import tracemalloc
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws.eventstream import (
    MAX_FRAME_BYTES,
    MAX_HEADERS_BYTES,
    OVERHEAD_BYTES,
    Frame,
    FrameGarbled,
    FrameReader,
    decode_headers,
    encode_event,
    encode_exception,
    encode_frame,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300)
GOOD = encode_event("contentBlockStop", b'{"contentBlockIndex":0}')
BAD = encode_exception("throttlingException", '{"message":"marée"}'.encode())
U32 = st.integers(min_value=0, max_value=2**32 - 1)
# Around the limits as often as anywhere.
NEAR = st.sampled_from([0, 15, 16, 17, MAX_HEADERS_BYTES, MAX_FRAME_BYTES]).flatmap(
    lambda edge: st.integers(min_value=max(0, edge - 2), max_value=edge + 20)
)


def prelude(total_bytes: int, headers_bytes: int) -> bytes:
    """Return a prelude whose checksum holds whatever it says."""
    lengths = struct.pack(">II", total_bytes, headers_bytes)
    return lengths + struct.pack(">I", crc32(lengths))


def sealed(block: bytes, payload: bytes, headers_bytes: int | None = None) -> bytes:
    """Return a frame whose checksums hold, around any block of headers, whose length may be a lie."""
    said = len(block) if headers_bytes is None else headers_bytes
    body = prelude(len(block) + len(payload) + OVERHEAD_BYTES, said) + block + payload
    return body + struct.pack(">I", crc32(body))


def delivered(stream: bytes) -> tuple[list[Frame], bool]:
    """Return the frames that a stream gives, and whether it may end where it ends."""
    reader = FrameReader()
    reader.feed(stream)
    frames: list[Frame] = []
    try:
        frames.extend(iter(reader.maybe_next, None))
        reader.finish()
    except FrameGarbled:
        return frames, False
    return frames, True


def test_every_change_of_every_byte_is_a_fault() -> None:
    """aws-wire case 29: no byte of a frame can become any other unnoticed, and the frame before it is delivered."""
    for place in range(len(BAD)):
        for flip in range(1, 256):
            broken = bytearray(BAD)
            broken[place] ^= flip
            frames, is_whole = delivered(GOOD + bytes(broken) + GOOD)
            assert ([frame.raw for frame in frames], is_whole) == ([GOOD], False), (place, flip)


@pytest.mark.parametrize("place", range(12))
@pytest.mark.parametrize("flip", [1, 0x80])
def test_broken_prelude_is_refused_before_its_frame_has_come(place: int, flip: int) -> None:
    """aws-wire case 29: nobody waits for a frame of a length that its own checksum contradicts."""
    broken = bytearray(BAD[:12])
    broken[place] ^= flip
    reader = FrameReader()
    reader.feed(GOOD + bytes(broken))
    assert reader.maybe_next() is not None
    with pytest.raises(FrameGarbled, match="prelude"):
        reader.maybe_next()
    assert reader.held_bytes == 0


def test_fault_drops_what_came_behind_it() -> None:
    """aws-wire case 28: pieces that were fed before the fault was found are released with it."""
    reader = FrameReader()
    for piece in (GOOD + prelude(2**32 - 1, 0), BAD, bytes(1000)):
        reader.feed(piece)
    assert reader.maybe_next() is not None
    assert reader.held_bytes == 12 + len(BAD) + 1000
    with pytest.raises(FrameGarbled):
        reader.maybe_next()
    assert reader.held_bytes == 0


@pytest.mark.parametrize("left", range(1, len(BAD)))
def test_frame_cut_at_any_place_is_waited_for_and_then_a_fault(left: int) -> None:
    """aws-wire case 36: what is there of a frame is held until the stream ends, and never delivered."""
    reader = FrameReader()
    reader.feed(GOOD + BAD[:left])
    first = reader.maybe_next()
    assert first is not None
    assert first.raw == GOOD
    assert (reader.maybe_next(), reader.held_bytes) == (None, left)
    with pytest.raises(FrameGarbled, match="ends within a frame"):
        reader.finish()
    reader.feed(BAD[left:])
    last = reader.maybe_next()
    assert last is not None
    assert last.exception_name == "throttlingException"


@pytest.mark.parametrize("missing", range(1, len(BAD)))
def test_byte_that_is_lost_is_noticed(missing: int) -> None:
    """aws-wire case 29: a byte that is missing from the middle of a stream ends it at that frame."""
    frames, is_whole = delivered(GOOD + BAD[:missing] + BAD[missing + 1 :] + GOOD)
    assert ([frame.raw for frame in frames], is_whole) == ([GOOD], False)


@PROPERTY
@given(
    total_bytes=st.one_of(U32, NEAR),
    headers_bytes=st.one_of(U32, NEAR),
    rest=st.binary(max_size=40),
    is_behind=st.booleans(),
)
def test_prelude_is_believed_only_within_the_limits(
    total_bytes: int, headers_bytes: int, rest: bytes, *, is_behind: bool
) -> None:
    """aws-wire case 28: lengths that cannot be are refused although the checksum holds, all others are waited for."""
    may_be = 16 <= total_bytes <= MAX_FRAME_BYTES and headers_bytes <= min(MAX_HEADERS_BYTES, total_bytes - 16)
    reader = FrameReader()
    reader.feed((GOOD if is_behind else b"") + prelude(total_bytes, headers_bytes))
    if is_behind:
        assert reader.maybe_next() is not None
    if may_be:
        assert (reader.maybe_next(), reader.held_bytes) == (None, 12)
        reader.feed(rest)
        assert reader.held_bytes == 12 + len(rest)
    else:
        with pytest.raises(FrameGarbled):
            reader.maybe_next()
        reader.feed(rest)
        assert reader.held_bytes == 0


def test_hostile_length_reserves_nothing() -> None:
    """aws-wire case 28: a prelude that speaks of 16 MiB costs what was sent, and one of 4 GiB nothing at all."""
    tracemalloc.start()
    try:
        readers = [FrameReader() for _ in range(100)]
        for reader, total_bytes in zip(readers, [MAX_FRAME_BYTES, 2**32 - 1] * 50, strict=True):
            reader.feed(prelude(total_bytes, 0))
            try:
                assert reader.maybe_next() is None
                assert total_bytes == MAX_FRAME_BYTES
            except FrameGarbled:
                assert total_bytes > MAX_FRAME_BYTES
                reader.feed(bytes(1024 * 1024))
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("step", [4096, 65536, MAX_FRAME_BYTES])
def test_frame_of_the_largest_size_is_read(step: int) -> None:
    """aws-wire case 28: sixteen MiB are a frame, in a few copies at most, and one byte more is refused at its start."""
    raw = encode_frame(b"", bytes(MAX_FRAME_BYTES - OVERHEAD_BYTES))
    pieces = [raw[at : at + step] for at in range(0, len(raw), step)]
    reader = FrameReader()
    tracemalloc.start()
    try:
        for piece in pieces[:-1]:
            reader.feed(piece)
            assert reader.maybe_next() is None
        reader.feed(pieces[-1])
        frame = reader.maybe_next()
        assert tracemalloc.get_traced_memory()[1] < 5 * MAX_FRAME_BYTES
    finally:
        tracemalloc.stop()
    assert frame is not None
    assert frame.raw == raw
    reader.feed(prelude(MAX_FRAME_BYTES + 1, 0))
    with pytest.raises(FrameGarbled, match=str(MAX_FRAME_BYTES + 1)):
        reader.maybe_next()


def long_header(name: bytes, kind: int, size: int) -> bytes:
    """Return a header of type 6 or 7 with a value of this size."""
    return bytes((len(name),)) + name + bytes((kind,)) + struct.pack(">H", size) + b"v" * size


def test_headers_of_the_largest_size_are_read() -> None:
    """aws-wire case 28: 128 KiB of headers, the longest names and values, are read as botocore reads them."""
    block = long_header(b"n" * 255, 6, 65535) + long_header(b"m" * 255, 7, 64000)
    block += long_header(b"o", 7, MAX_HEADERS_BYTES - len(block) - 5)
    assert len(block) == MAX_HEADERS_BYTES
    raw = sealed(block, b"{}")
    ((frame,), is_whole) = delivered(raw)
    assert is_whole
    assert frame.headers["n" * 255] == b"v" * 65535
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    (event,) = list(buffer)
    assert dict(frame.headers) == event.headers
    assert delivered(sealed(block + b"\x01p\x00", b"")) == ([], False)


ENDS = {0: 0, 31: 1, 64: 2, 86: 3}  # where a header of the good frame ends, and how many there are then


@pytest.mark.parametrize("said", range(110))
def test_length_of_the_headers_that_lies_makes_the_frame_garbled(said: int) -> None:
    """aws-wire case 28: a possible length that ends within a header, or reaches into the payload, is a fault."""
    assert len(GOOD) == 125
    frames, is_whole = delivered(BAD + sealed(GOOD[12:98], GOOD[98:-4], said) + BAD)
    if said in ENDS:
        assert (len(frames), is_whole) == (3, True)
        assert len(frames[1].headers) == ENDS[said]
        assert frames[1].payload == GOOD[12 + said : -4]
    else:
        assert ([frame.raw for frame in frames], is_whole) == ([BAD], False)


@PROPERTY
@given(
    changes=st.lists(
        st.tuples(st.integers(min_value=0, max_value=96), st.integers(min_value=0, max_value=255)), max_size=3
    ),
    cut=st.integers(min_value=0, max_value=97),
)
def test_changed_headers_are_read_as_the_vendor_reads_them_or_refused(changes: list[tuple[int, int]], cut: int) -> None:
    """aws-wire case 31: headers changed under checksums that hold are never read in a way of our own."""
    block = bytearray(BAD[12:109])
    for place, byte in changes:
        block[place] = byte
    raw = sealed(bytes(block[:cut]), b"{}")
    frames, is_whole = delivered(raw)
    if not is_whole:
        with pytest.raises(FrameGarbled):
            decode_headers(bytes(block[:cut]))
        return
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    assert [event.headers for event in buffer] == [dict(frame.headers) for frame in frames]


def test_endless_empty_frames_are_frames() -> None:
    """aws-wire case 27: frames without anything in them come one by one and hold nothing."""
    frames, is_whole = delivered(encode_frame(b"", b"") * 10_000)
    assert is_whole
    assert {(len(frame.headers), frame.payload, frame.event_type) for frame in frames} == {(0, b"", "")}
    assert len(frames) == 10_000
