"""Where a stream stands, and the ends of its half events."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.wire import sse_edge
from busbar_fast.wire.sse_edge import KEPT_BYTES, Mended, SseEdge
from tests.wire.twins import cut_at, events_by_the_book

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
MEMBERS = b'"last":1'
EVENTS = [
    b'event: first\ndata: {"a":"\xc3\xa9 x"}\n\n',
    b": a comment\r\n\r\n",
    b'data: {"b":\ndata: [2]}\n\n',
    b'id: 7\rdata:{"c":3}\r\r',
    b'data: {"d":"\\u00e9"}\r\n\r\n',
]
STREAM = b"".join(EVENTS)


def fed(*pieces: bytes) -> SseEdge:
    """Return an edge behind these pieces."""
    edge = SseEdge()
    for piece in pieces:
        edge.feed(piece)
    return edge


def mended(*pieces: bytes, name: bytes | None = None, marker: bytes = b"") -> bytes:
    """Return what ends the half event."""
    found = fed(*pieces).mend(MEMBERS, name, marker)
    assert found is not None
    return found.raw


@given(st.lists(st.integers(0, len(STREAM)), max_size=8), st.integers(0, len(STREAM)))
@PROPERTY
def test_a_stream_cut_anywhere_is_made_of_whole_events(places: list[int], end: int) -> None:
    """Reliability case 57: whole events stay as they were, and at most one more says the last words."""
    part = STREAM[:end]
    found = fed(*cut_at(part, places)).mend(MEMBERS, b"late")
    assert found is not None
    whole, _ = events_by_the_book(part)
    events, rest = events_by_the_book(part + found.raw)
    assert rest.payload is None
    assert [(event.name, event.payload) for event in events[: len(whole)]] == [
        (event.name, event.payload) for event in whole
    ]
    added = events[len(whole) :]
    for event in added:
        assert event.payload is not None
        json.loads(event.payload)
    if found.has_members:
        assert [(event.name, json.loads(event.payload or b"")["last"]) for event in added] == [(b"late", 1)]


@pytest.mark.parametrize(
    ("half", "end"),
    [
        (b"d", b'ata: {"last":1}\n\n'),
        (b"data", b': {"last":1}\n\n'),
        (b"data:", b' {"last":1}\n\n'),
        (b"data: ", b'{"last":1}\n\n'),
        (b'data: {"a', b'":null,"last":1}\n\n'),
        (b'data:{"a', b'":null,"last":1}\n\n'),
        (b'data: {"a":1}', b"\n\n"),
        (b'data: {"a":1}\n', b"\n"),
        (b'data: {"a":1}\r', b"\n\n"),
        (b'data: {"a":1}\r\n', b"\n"),
        (b'data: {"a":1}\nda', b"\n\n"),
        (b'data: {"a":\n', b'data: null,"last":1}\n\n'),
        (b'data: {"a":\r', b'\ndata: null,"last":1}\n\n'),
        (b'data: {"a":\nda', b'ta: null,"last":1}\n\n'),
        (b'data: {"a":\nid: 7', b'\ndata: null,"last":1}\n\n'),
        (b": ping", b'\ndata: {"last":1}\n\n'),
        (b": ping\n", b'data: {"last":1}\n\n'),
        (b": tap\xc3", b'\x80\ndata: {"last":1}\n\n'),
        (b"event: x", b'\ndata: {"last":1}\n\n'),
    ],
)
def test_a_half_event_is_ended_where_it_stands(half: bytes, end: bytes) -> None:
    """Reliability §9: a line is finished, another begun, or only the empty line is missing."""
    assert mended(EVENTS[0], half) == end


def test_a_byte_order_mark_is_one_at_the_start_only() -> None:
    """Reliability case 57: elsewhere it is a part of a field's name, and that field says nothing."""
    mark, half = b"\xef\xbb\xbf", b'data: {"a":1'
    for pieces in ((mark + half,), (mark[:1], mark[1:] + half), (mark[:2], mark[2:], half)):
        assert mended(*pieces) == b',"last":1}\n\n'
    assert mended(STREAM, mark + half) == b'\ndata: {"last":1}\n\n'


def test_a_later_line_gives_another_name() -> None:
    """Reliability §9: of two names of an event the last counts; an event that was whole keeps its own."""
    assert mended(b'event: a\ndata: {"b":1', name=b"c") == b',"last":1}\nevent: c\n\n'
    assert mended(b'event: a\ndata: {"b":1}\n', name=b"c") == b"\n"


@pytest.mark.parametrize(
    ("half", "found"),
    [
        (b"data: [DO", Mended(b"NE]\n\n", has_members=False)),
        (b"data: [DONE]", Mended(b"\n\n", has_members=False)),
        (b"data: [DONE]\n", Mended(b"\n", has_members=False)),
        (b"data: [DONE]\r", Mended(b"\n\n", has_members=False)),
        (b"data: [DO\n", None),
        (b"data: [DOG", None),
        (b"data: ", Mended(b'{"last":1}\n\n', has_members=True)),
    ],
)
def test_a_marker_is_ended_as_it_was_meant(half: bytes, found: Mended | None) -> None:
    """Reliability §9: the beginning of a marker can become nothing else."""
    assert fed(half).mend(MEMBERS, None, b"[DONE]") == found


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_between_events_nothing_is_missing(line_end: bytes) -> None:
    """Reliability §9: behind a whole event there is nothing to end; a CR that may be half a line end is made whole."""
    stream = b"data: {}" + 2 * line_end
    whole = b"\n" if line_end == b"\r" else b""
    for pieces in ((stream,), (stream[:-1], stream[-1:]), (stream, b""), (stream, line_end), ()):
        expected = whole if pieces else b""
        assert fed(*pieces).mend(MEMBERS) == Mended(expected, has_members=False)


def test_what_is_no_object_cannot_be_ended() -> None:
    """Reliability §9: there is no event that a client could read."""
    assert fed(b"data: plain").mend(MEMBERS) is None


def test_the_last_events_are_at_hand() -> None:
    """Reliability §9: the last whole event and the half one are known however they were cut."""
    for end in range(len(STREAM) + 1):
        whole = fed(STREAM[:end])
        bytewise = fed(*[bytes((byte,)) for byte in STREAM[:end]])
        assert whole.half_event().strip() == bytewise.half_event().strip()
        assert whole.last_event().strip() == bytewise.last_event().strip()
    assert fed(*EVENTS[:3]).last_event() == EVENTS[2]
    assert fed(*EVENTS[:3], b"dat").last_event() == EVENTS[2]
    assert fed(EVENTS[0] + EVENTS[1] + b"dat").last_event() == EVENTS[1]
    assert fed(EVENTS[0], b"dat").half_event() == b"dat"
    assert fed().last_event() == b""


def test_events_that_are_over_are_let_go() -> None:
    """Reliability §9: pieces that never end with an event fill no memory."""
    edge = SseEdge()
    piece = b"a\n\n" + EVENTS[0] * 200 + b"data: "
    for _ in range(200):
        edge.feed(piece)
    assert edge._held_bytes < sse_edge._TRIM_BYTES + len(piece)
    assert (edge.last_event(), edge.half_event()) == (EVENTS[0], b"data: ")
    assert mended(b"x" * 10, b"\ndata: {") == b'"last":1}\n\n'


def test_a_half_event_is_kept_up_to_a_size() -> None:
    """Reliability case 61: a larger one cannot be ended, and the one behind it can."""
    edge = fed(EVENTS[0], b'data: {"a":"' + b"x" * (KEPT_BYTES - 100))
    assert edge.mend(MEMBERS) == Mended(b'","last":1}\n\n', has_members=True)
    for _ in range(20):
        edge.feed(b"x" * KEPT_BYTES)
    assert edge._held_bytes == 0
    assert edge.mend(MEMBERS) is None
    edge.feed(b'"}\n\n')
    assert edge.mend(MEMBERS) == Mended(b"", has_members=False)
    assert edge.last_event() == b""
    edge.feed(b'data: {"b')
    assert edge.mend(MEMBERS) == Mended(b'":null,"last":1}\n\n', has_members=True)
