"""The frames of an AWS event stream, both ways: the published vectors, botocore's parser, every cut, every lie."""

import struct
import sys
from itertools import pairwise
from typing import Any
from zlib import crc32

import orjson
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import EventStreamError
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws.eventstream import (
    MAX_FRAME_BYTES,
    MAX_HEADERS_BYTES,
    OVERHEAD_BYTES,
    Frame,
    FrameEdge,
    FrameGarbled,
    FrameReader,
    FrameTooLarge,
    HeaderValue,
    Kind,
    bare_name,
    decode_headers,
    encode_error,
    encode_event,
    encode_exception,
    encode_frame,
    encode_headers,
    encode_message,
)
from busbar_fast.errors import Retry, Side, UpstreamGarbled
from tests.aws.peers import events_of, stream_exceptions

PROPERTY = settings(derandomize=True, deadline=None, max_examples=120)
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")
DELTA = encode_event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"tide"}}')
STOP = encode_event("contentBlockStop", b'{"contentBlockIndex":0}')


def event_headers(name: str) -> list[tuple[str, str]]:
    return [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")]


def test_empty_frame_matches_vector() -> None:
    """aws-wire case 25, vector 4: the smallest frame is sixteen bytes long."""
    assert encode_message([], b"") == EMPTY


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
    """aws-wire case 25: lengths and both CRCs equal the vectors of the wire chapter."""
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


def test_event_and_exception_have_the_documented_headers() -> None:
    """aws-wire chapter 4: the short forms write the three headers in the documented order."""
    assert encode_event("metadata", b"{}") == encode_message(event_headers("metadata"), b"{}")
    headers = [(":exception-type", "x"), (":content-type", "application/json"), (":message-type", "exception")]
    assert encode_exception("x", b"{}") == encode_message(headers, b"{}")


NAMES = st.text(min_size=1, max_size=40).filter(lambda name: 0 < len(name.encode()) <= 255)


@PROPERTY
@given(
    headers=st.dictionaries(NAMES, st.text(max_size=200), max_size=8),
    payload=st.binary(max_size=4096),
)
def test_any_frame_is_read_back_by_botocore(headers: dict[str, str], payload: bytes) -> None:
    """aws-wire cases 25 and 37: the vendor's parser checks both CRCs and yields what was written."""
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
    """aws-wire case 34: a name or value that the length fields cannot hold is refused, never cut."""
    with pytest.raises(FrameTooLarge):
        encode_headers([(name, value)])


def test_header_at_the_limit_of_the_format_is_written() -> None:
    """The longest name and value still fit."""
    block = encode_headers([("n" * 255, "v" * 65535)])
    assert len(block) == 1 + 255 + 3 + 65535


def test_frame_over_the_cap_is_refused() -> None:
    """aws-wire case 34: one byte more than the cap refuses the whole frame; the cap itself is fine."""
    room = MAX_FRAME_BYTES - OVERHEAD_BYTES
    assert len(encode_frame(b"", bytes(room))) == MAX_FRAME_BYTES
    with pytest.raises(FrameTooLarge):
        encode_frame(b"", bytes(room + 1))


def test_header_block_over_the_cap_is_refused() -> None:
    """Header blocks have a cap of their own."""
    with pytest.raises(FrameTooLarge):
        encode_frame(bytes(MAX_HEADERS_BYTES + 1), b"")


def test_nothing_of_a_refused_event_is_written() -> None:
    """aws-wire case 34: an event whose name or payload is too large raises instead of giving bytes."""
    for name, size in (("n" * 65536, 0), ("n", MAX_FRAME_BYTES)):
        with pytest.raises(FrameTooLarge):
            encode_event(name, bytes(size))


def test_half_a_surrogate_in_a_text_is_replaced() -> None:
    """A text that cannot be UTF-8 does not stop an error frame from being written."""
    (frame,) = read([encode_error("code", "a\ud83db")])
    assert frame.text(":error-message") == "a?b"


@pytest.mark.parametrize("name", stream_exceptions())
@pytest.mark.parametrize("message", ["slow down", 'Marée 🌊 "quoted" \\ \n', ""])
def test_exception_behind_whole_frames_is_the_clients_own_error(name: str, message: str) -> None:
    """aws-wire cases 25 and 36: each exception of the vendor's model ends a stream with its own code and words."""
    raw = DELTA + encode_exception(name, orjson.dumps({"message": message}))
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))], [DELTA, raw[len(DELTA) :]]):
        seen: list[Any] = []
        with pytest.raises(EventStreamError) as caught:
            events_of(pieces, seen)
        assert caught.value.response["Error"] == {"Code": name, "Message": message}
        assert seen == [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "tide"}}}]


def test_five_exceptions_may_stand_in_a_stream() -> None:
    """aws-wire case 36: those are all names that the vendor's client knows there."""
    assert stream_exceptions() == [
        "internalServerException",
        "modelStreamErrorException",
        "validationException",
        "throttlingException",
        "serviceUnavailableException",
    ]


def test_error_without_a_model_is_the_clients_own_error() -> None:
    """aws-wire case 33: the vendor's client shows code and message of the frame that we write."""
    with pytest.raises(EventStreamError) as caught:
        events_of([encode_error("InternalError", "Marée")], [])
    assert caught.value.response["Error"] == {"Code": "InternalError", "Message": "Marée"}


# Reading.


def drain(reader: FrameReader) -> list[Frame]:
    """Return every frame that is there."""
    return list(iter(reader.maybe_next, None))


def read(pieces: list[bytes]) -> list[Frame]:
    """Return the frames of a whole stream."""
    reader = FrameReader()
    frames: list[Frame] = []
    for piece in pieces:
        reader.feed(piece)
        frames += drain(reader)
    reader.finish()
    return frames


def frames_before_fault(pieces: list[bytes]) -> list[bytes]:
    """Return the frames that are delivered before the stream turns out to be broken, checking that it stays so."""
    reader = FrameReader()
    delivered: list[bytes] = []

    def run() -> None:
        for piece in pieces:
            reader.feed(piece)
            while (frame := reader.maybe_next()) is not None:
                delivered.append(frame.raw)
        reader.finish()

    with pytest.raises(FrameGarbled) as caught:
        run()
    if caught.value.args != ("the stream ends within a frame",):
        reader.feed(DELTA)
        assert reader.held_bytes == 0
        for again in (reader.maybe_next, reader.finish):
            with pytest.raises(FrameGarbled, match=f"^{caught.value}$"):
                again()
    return delivered


def cut_at(stream: bytes, places: list[int]) -> list[bytes]:
    """Return the stream cut at these places; some pieces may be empty."""
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def seal(total_bytes: int, headers_bytes: int, rest: bytes) -> bytes:
    """Return a frame with lengths that may lie and checksums that hold."""
    prelude = struct.pack(">II", total_bytes, headers_bytes)
    prelude += struct.pack(">I", crc32(prelude))
    return prelude + rest + struct.pack(">I", crc32(prelude + rest))


def framed(block: bytes, payload: bytes = b"{}") -> bytes:
    """Return a frame around any header block."""
    return seal(len(block) + len(payload) + 16, len(block), block + payload)


def raw_header(name: bytes, kind: int, value: bytes) -> bytes:
    """Return one header as it is written."""
    return bytes((len(name),)) + name + bytes((kind,)) + value


Typed = tuple[int, HeaderValue]
FORMATS = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q"}


def raw_value(kind: int, value: HeaderValue) -> bytes:
    """Return a value as the documentation has it, one type after the other."""
    if kind in FORMATS:
        return struct.pack(FORMATS[kind], value)
    if isinstance(value, bool):
        return b""
    assert isinstance(value, bytes | str)
    packed = value.encode() if isinstance(value, str) else value
    return packed if kind == 9 else struct.pack(">H", len(packed)) + packed


def integers(bits: int) -> st.SearchStrategy[int]:
    """Return signed integers of a width."""
    return st.integers(min_value=-(2 ** (bits - 1)), max_value=2 ** (bits - 1) - 1)


TYPED: st.SearchStrategy[Typed] = st.one_of(
    st.just((0, True)),
    st.just((1, False)),
    *(st.tuples(st.just(kind), integers(bits)) for kind, bits in ((2, 8), (3, 16), (4, 32), (5, 64), (8, 64))),
    st.tuples(st.just(6), st.binary(max_size=60)),
    st.tuples(st.just(7), st.text(max_size=40)),
    st.tuples(st.just(9), st.binary(min_size=16, max_size=16)),
)
MESSAGES = st.lists(st.tuples(st.dictionaries(NAMES, TYPED, max_size=5), st.binary(max_size=80)), max_size=4)


@PROPERTY
@given(messages=MESSAGES, places=st.lists(st.integers(min_value=0, max_value=900), max_size=8))
def test_any_stream_is_read_back_from_any_pieces(
    messages: list[tuple[dict[str, Typed], bytes]], places: list[int]
) -> None:
    """Headers of all types, payloads and raw bytes come back however the stream is cut, and botocore reads the same."""
    blocks = [
        b"".join(raw_header(name.encode(), kind, raw_value(kind, value)) for name, (kind, value) in headers.items())
        for headers, _ in messages
    ]
    raw = [framed(block, payload) for block, (_, payload) in zip(blocks, messages, strict=True)]
    frames = read(cut_at(b"".join(raw), places))
    expected = [({name: value for name, (_, value) in headers.items()}, payload) for headers, payload in messages]
    assert [(dict(frame.headers), frame.payload) for frame in frames] == expected
    assert [frame.raw for frame in frames] == raw
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(raw))
    assert [(event.headers, event.payload) for event in buffer] == expected


@PROPERTY
@given(
    headers=st.dictionaries(NAMES, st.text(max_size=40), max_size=5),
    payload=st.binary(max_size=200),
    places=st.lists(st.integers(min_value=0, max_value=400), max_size=6),
)
def test_what_is_encoded_is_decoded(headers: dict[str, str], payload: bytes, places: list[int]) -> None:
    """aws-wire case 37: decoding what was encoded gives it back for every cut."""
    raw = encode_message(headers.items(), payload)
    (frame,) = read(cut_at(raw, places))
    assert (dict(frame.headers), frame.payload, frame.raw) == (headers, payload, raw)


def test_three_frames_are_the_same_for_every_cut() -> None:
    """aws-wire case 26: cut at every place, and byte by byte, the frames are those of the whole."""
    raw = [DELTA, encode_exception("throttlingException", b"{}"), EMPTY]
    stream = b"".join(raw)
    cuts = [[stream[:at], stream[at:]] for at in range(len(stream) + 1)]
    for pieces in [*cuts, [bytes((byte,)) for byte in stream]]:
        assert [frame.raw for frame in read(pieces)] == raw


def test_reading_late_loses_nothing() -> None:
    """Pieces may be fed before the frames of earlier ones are taken."""
    reader = FrameReader()
    reader.feed(DELTA + STOP[:30])
    assert reader.held_bytes == len(DELTA) + 30
    first = reader.maybe_next()
    reader.feed(STOP[30:] + EMPTY[:5])
    reader.feed(EMPTY[5:])
    assert [frame.raw for frame in [first, *drain(reader)] if frame] == [DELTA, STOP, EMPTY]
    assert reader.held_bytes == 0
    reader.finish()


@pytest.mark.parametrize(
    ("raw", "payload"),
    [
        (EMPTY, b""),
        (seal(18, 0, b"{}"), b"{}"),
        (encode_frame(b"", bytes(65536)), bytes(65536)),
        (encode_event("x", '{"text":"marée 🌊 \\u00e9"}'.encode()), '{"text":"marée 🌊 \\u00e9"}'.encode()),
    ],
)
def test_frame_of_any_size_is_read(raw: bytes, payload: bytes) -> None:
    """aws-wire cases 27 and 37: the least frame, one of eighteen bytes, a large and a non-ASCII one come out whole."""
    (frame,) = read([raw])
    assert (frame.payload, frame.raw) == (payload, raw)


@pytest.mark.parametrize(
    ("total_bytes", "headers_bytes"),
    [
        (0xFFFFFFFF, 0),
        (MAX_FRAME_BYTES + 1, 0),
        (8, 0),
        (15, 0),
        (0, 0),
        (16, 1),
        (100, 85),
        (MAX_FRAME_BYTES, MAX_HEADERS_BYTES + 1),
        (100, 0xFFFFFFFF),
    ],
)
def test_impossible_lengths_are_refused_at_once(total_bytes: int, headers_bytes: int) -> None:
    """aws-wire case 28: twelve bytes are enough to refuse a frame, and nothing is held any longer."""
    prelude = seal(total_bytes, headers_bytes, b"")[:12]
    reader = FrameReader()
    reader.feed(DELTA + prelude[:11])
    assert [frame.raw for frame in drain(reader)] == [DELTA]
    reader.feed(prelude[11:])
    with pytest.raises(FrameGarbled):
        reader.maybe_next()
    assert reader.held_bytes == 0


def test_lengths_at_the_limits_are_waited_for() -> None:
    """The largest frame and the largest header block are no fault."""
    for total_bytes, headers_bytes in ((MAX_FRAME_BYTES, MAX_HEADERS_BYTES), (100, 84)):
        reader = FrameReader()
        reader.feed(seal(total_bytes, headers_bytes, b"")[:12])
        assert reader.maybe_next() is None
        assert reader.held_bytes == 12


def test_cap_can_be_lower() -> None:
    """A reader may be given a lower cap than the format's."""
    reader = FrameReader(cap_bytes=len(DELTA))
    reader.feed(DELTA + encode_frame(b"", bytes(len(DELTA))))
    assert reader.maybe_next() is not None
    with pytest.raises(FrameGarbled):
        reader.maybe_next()


@pytest.mark.parametrize("place", [8, 11, len(STOP) - 4, len(STOP) - 1])
def test_broken_checksum_is_refused_behind_good_frames(place: int) -> None:
    """aws-wire case 29: a flipped bit in either checksum ends the stream, the frames before it are delivered."""
    broken = bytearray(STOP)
    broken[place] ^= 1
    assert frames_before_fault([DELTA + EMPTY + bytes(broken) + DELTA]) == [DELTA, EMPTY]


def test_clean_end_and_fault_both_hold_nothing_and_differ() -> None:
    """aws-wire case 30: drained and broken readers are equally empty, but only one of them says that all is well."""
    clean, broken = FrameReader(), FrameReader()
    clean.feed(DELTA)
    broken.feed(bytes(12))
    assert len(drain(clean)) == 1
    with pytest.raises(FrameGarbled):
        broken.maybe_next()
    assert (clean.held_bytes, broken.held_bytes) == (0, 0)
    assert clean.maybe_next() is None
    clean.finish()
    with pytest.raises(FrameGarbled):
        broken.finish()


@pytest.mark.parametrize("left", [1, 11, 12, 15, len(DELTA) - 1])
def test_stream_cut_within_a_frame_is_garbled_at_its_end(left: int) -> None:
    """aws-wire case 36: whole frames are delivered, the piece of one at the end is a fault."""
    assert frames_before_fault([STOP + DELTA[:left]]) == [STOP]


@PROPERTY
@given(
    place=st.integers(min_value=0, max_value=10_000), flip=st.integers(min_value=1, max_value=255), cut=st.booleans()
)
def test_any_corrupted_byte_is_a_fault(place: int, flip: int, cut: bool) -> None:
    """A changed byte anywhere never gives a wrong frame or another exception: what was before it comes, then ours."""
    raw = [DELTA, STOP, encode_exception("x", b"{}")]
    broken = bytearray(b"".join(raw))
    place %= len(broken)
    broken[place] ^= flip
    pieces = [bytes((byte,)) for byte in broken] if cut else [bytes(broken)]
    whole = 0 if place < len(DELTA) else 1 if place < len(DELTA) + len(STOP) else 2
    assert frames_before_fault(pieces) == raw[:whole]


@PROPERTY
@given(block=st.binary(max_size=60), payload=st.binary(max_size=10))
def test_any_sealed_header_block_is_read_or_refused(block: bytes, payload: bytes) -> None:
    """Random headers under good checksums are read as botocore reads them, or refused by our own exception."""
    reader = FrameReader()
    reader.feed(framed(block, payload))
    try:
        frame = reader.maybe_next()
    except FrameGarbled:
        return
    assert frame is not None
    buffer = EventStreamBuffer()
    buffer.add_data(framed(block, payload))
    (event,) = list(buffer)
    assert dict(frame.headers) == event.headers


@PROPERTY
@given(st.lists(st.binary(max_size=20), max_size=6))
def test_any_bytes_are_waited_for_or_refused(pieces: list[bytes]) -> None:
    """Random bytes are no frame, and no other exception than ours says so."""
    if b"".join(pieces):
        assert frames_before_fault(pieces) == []


ALL_TYPES = [
    (0, b"", True),
    (1, b"", False),
    (2, b"\xff", -1),
    (3, b"\x80\x00", -32768),
    (4, b"\x00\x00\x00\x07", 7),
    (5, b"\x7f" + b"\xff" * 7, 2**63 - 1),
    (6, b"\x00\x03\x00\xff\x07", b"\x00\xff\x07"),
    (7, b"\x00\x06mar\xc3\xa9e", "marée"),
    (8, b"\x00\x00\x01\x9c\x00\x00\x00\x00", 412 << 32),
    (9, bytes(range(16)), bytes(range(16))),
]


def test_all_types_before_the_event_type_are_read() -> None:
    """aws-wire case 31: headers of all ten types may stand before the one that matters."""
    block = b"".join(raw_header(b"h%d" % kind, kind, value) for kind, value, _ in ALL_TYPES)
    block += raw_header(b":event-type", 7, b"\x00\x04stop")
    (frame,) = read([framed(block)])
    assert frame.event_type == "stop"
    assert [frame.headers[f"h{kind}"] for kind, _, _ in ALL_TYPES] == [value for _, _, value in ALL_TYPES]
    assert [type(frame.headers[f"h{kind}"]) for kind in (0, 4, 8)] == [bool, int, int]


@pytest.mark.parametrize(
    "block",
    [
        raw_header(b"a", 200, b""),
        raw_header(b"a", 10, b""),
        raw_header(b"a", 0, b"") + raw_header(b"a", 1, b""),
        raw_header(b"", 0, b""),
        raw_header(b"\xff", 0, b""),
        raw_header(b"a", 7, b"\x00\x01\xff"),
        b"\x01",
        b"\x01a",
        b"\x05a",
        b"\xff" + b"a" * 255,
        *(raw_header(b"a", kind, value)[:-1] for kind, value, _ in ALL_TYPES if value),
        *(raw_header(b"a", kind, b"") for kind, value, _ in ALL_TYPES if value),
    ],
)
def test_headers_that_are_none_make_the_frame_garbled(block: bytes) -> None:
    """aws-wire case 31: unknown types, repeated names and cut values are refused, although the checksums hold."""
    assert frames_before_fault([DELTA + framed(block) + DELTA]) == [DELTA]
    with pytest.raises(FrameGarbled):
        decode_headers(block)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("throttlingException", "throttlingException"),
        ("ThrottlingException", "throttlingException"),
        ("ns#Name", "name"),
        ("a/Name", "name"),
        ("com.x#y/Name", "name"),
        ("Name#", "name"),
        ("#Name//", "name"),
        ("#", "#"),
        ("/#/", "/#/"),
        ("É", "é"),
        ("", ""),
    ],
)
def test_exception_has_its_bare_name(value: str, name: str) -> None:
    """aws-wire case 32: the last part that is not empty names the exception, wherever the header stands."""
    assert bare_name(value) == name
    headers = [(":message-type", "exception"), ("x", "y"), (":exception-type", value), (":content-type", "z")]
    for order in (headers, headers[::-1]):
        (frame,) = read([encode_message(order, b"{}")])
        assert (frame.kind, frame.exception_name) == (Kind.EXCEPTION, name)


def test_exception_without_a_name_is_still_one() -> None:
    """aws-wire case 32: a missing name is empty, and so is one that is no string."""
    (frame,) = read([encode_message([(":message-type", "exception")], b"{}")])
    assert (frame.kind, frame.exception_name) == (Kind.EXCEPTION, "")
    block = raw_header(b":message-type", 7, b"\x00\x09exception") + raw_header(b":exception-type", 0, b"")
    (frame,) = read([framed(block)])
    assert (frame.kind, frame.exception_name) == (Kind.EXCEPTION, "")


def test_stray_exception_type_does_not_make_an_event_an_exception() -> None:
    """aws-wire case 32: only the message type decides what a frame is."""
    headers = [(":exception-type", "x"), (":event-type", "metadata"), (":message-type", "event")]
    (frame,) = read([encode_message(headers, b"{}")])
    assert (frame.kind, frame.event_type) == (Kind.EVENT, "metadata")


@pytest.mark.parametrize("headers", [[], [(":message-type", "novelty")], [(":event-type", "novelty")]])
def test_frame_of_an_unknown_sort_is_an_event(headers: list[tuple[str, str]]) -> None:
    """What nobody knows is an event that its reader skips, as botocore does."""
    (frame,) = read([encode_message(headers, b"")])
    assert frame.kind is Kind.EVENT


def test_unmodelled_error_shows_code_and_message() -> None:
    """aws-wire case 33: an error frame is told from an event and carries its two texts."""
    raw = encode_error("InternalError", "slow down")
    (frame,) = read([raw])
    assert frame.kind is Kind.ERROR
    assert (frame.text(":error-code"), frame.text(":error-message")) == ("InternalError", "slow down")
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    (event,) = list(buffer)
    assert event.to_response_dict()["status_code"] == 400


def test_fault_is_the_upstreams_and_may_be_tried_elsewhere() -> None:
    """A broken stream counts against the upstream as a passing failure."""
    assert issubclass(FrameGarbled, UpstreamGarbled)
    assert (FrameGarbled.side, FrameGarbled.retry) == (Side.UPSTREAM, Retry.YES)


def test_headers_cannot_be_changed() -> None:
    """Frames with equal headers share them, so nobody may write to them."""
    first, other, second = read([DELTA, STOP, DELTA])
    assert first.headers == second.headers != other.headers
    with pytest.raises(TypeError):
        first.headers["a"] = "b"  # type: ignore[index]


def steps(pieces: list[bytes]) -> int:
    """Return how many Python calls reading takes, as a measure of time that no busy machine disturbs."""
    count = 0

    def on_call(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    reader = FrameReader()
    before = sys.getprofile()
    sys.setprofile(on_call)
    try:
        for piece in pieces:
            reader.feed(piece)
            while reader.maybe_next() is not None:
                count += 1
    finally:
        sys.setprofile(before)
    assert reader.held_bytes == 0
    return count


def test_many_frames_in_one_piece_cost_the_same_each() -> None:
    """aws-wire case 35: ten thousand small frames in one piece take ten times the steps of a thousand."""
    frame = encode_event("contentBlockDelta", bytes(18))
    few, many = steps([frame * 1000]), steps([frame * 10_000])
    assert len(frame) * 10_000 > 1024 * 1024
    assert many <= 10 * few


def test_one_large_frame_in_many_pieces_is_not_looked_at_again() -> None:
    """aws-wire case 35: a frame of 8 MiB in pieces of 1 KiB takes a few steps a piece."""
    frame = encode_frame(b"", bytes(8 * 1024 * 1024 - 16))
    pieces = [frame[at : at + 1024] for at in range(0, len(frame), 1024)]
    assert steps(pieces) < 12 * len(pieces)


def test_an_edge_is_where_a_frame_ends_however_pieces_are_cut() -> None:
    """Reliability §9: between two frames another may follow, inside one none can."""
    stream = DELTA + STOP + EMPTY
    edges = {0, len(DELTA), len(DELTA + STOP), len(stream)}
    for end in range(len(stream) + 1):
        whole, halves, bytewise = FrameEdge(), FrameEdge(), FrameEdge()
        whole.feed(stream[:end])
        halves.feed(stream[: end // 2])
        halves.feed(stream[end // 2 : end])
        for at in range(end):
            bytewise.feed(stream[at : at + 1])
        assert [whole.is_edge, halves.is_edge, bytewise.is_edge] == [end in edges] * 3


@pytest.mark.parametrize("length", [0, 1, OVERHEAD_BYTES - 1])
def test_behind_a_length_that_is_none_there_is_no_edge(length: int) -> None:
    """Reliability §9: bytes that are no frame are nowhere followed by one."""
    edge = FrameEdge()
    edge.feed(DELTA + struct.pack(">I", length) + bytes(40))
    assert not edge.is_edge
    edge.feed(DELTA)
    assert not edge.is_edge
