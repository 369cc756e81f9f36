"""Event streams: splitting at any place, reading, writing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.errors import UpstreamGarbled
from busbar_fast.wire.sse import Event, SseSplitter, encode_event, parse_event
from tests.wire.twins import BOM, Fields, cut_at, events_by_the_book, every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=120)

LINES = [
    b"data: x",
    b"data:y",
    b"data:  z",
    b"data:",
    b"data",
    b"data: {}",
    b"event: e",
    b"event: ",
    b"id: 7",
    b"id: a\0b",
    b"retry: 250",
    b"retry: soon",
    b": comment",
    b":",
    b"other: w",
    b"Data: no",
    BOM,
]
ENDS = [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b"\r\n\n"]

streams = st.lists(st.sampled_from(LINES + ENDS * 2), max_size=14).map(b"".join)


def fields(event: Event) -> Fields:
    """Return an event as a value that can be compared."""
    return Fields(event.name, event.payload, event.event_id, event.retry_ms)


def read(pieces: list[bytes]) -> tuple[list[Fields], Fields, bytes]:
    """Return the events dispatched, the one unfinished, and all raw bytes that came out."""
    splitter = SseSplitter()
    raw = [event for piece in pieces for event in splitter.feed(piece)]
    rest = splitter.take_rest()
    events = [fields(parse_event(event)) for event in raw]
    return [event for event in events if event.payload is not None], fields(parse_event(rest)), b"".join([*raw, rest])


def started() -> SseSplitter:
    """Return a splitter that has read its first event."""
    splitter = SseSplitter()
    splitter.feed(b"data: first\n\n")
    return splitter


@PROPERTY
@given(stream=streams)
def test_stream_cut_at_every_place_agrees_with_the_twin(stream: bytes) -> None:
    """However a stream is cut in two or into bytes, its events are those of the standard's own algorithm."""
    events, rest = events_by_the_book(stream)
    for pieces in every_cut(stream):
        assert read(pieces) == (events, rest, stream.removeprefix(BOM))


@PROPERTY
@given(stream=streams, places=st.lists(st.integers(0, 60), max_size=6))
def test_stream_cut_at_several_places_agrees_with_the_twin(stream: bytes, places: list[int]) -> None:
    """Cuts that fall together with others, or leave pieces empty, change nothing."""
    events, rest = events_by_the_book(stream)
    assert read(cut_at(stream, places)) == (events, rest, stream.removeprefix(BOM))


@PROPERTY
@given(noise=st.binary(max_size=40))
def test_any_bytes_agree_with_the_twin(noise: bytes) -> None:
    """No input makes the splitter or the parser fail."""
    events, rest = events_by_the_book(noise)
    assert read([noise]) == (events, rest, noise.removeprefix(BOM))


@pytest.mark.parametrize(
    "piece",
    [b'data: {"a":1}\n\n', b"event: e\ndata: {}\n\n", b"data: {}\r\n\r\n", b"event: e\r\ndata: {}\r\n\r\n", b"\n\n"],
)
def test_piece_that_is_one_event_is_not_copied(piece: bytes) -> None:
    """A piece that holds one whole event comes back as the same object."""
    events = started().feed(piece)
    assert len(events) == 1
    assert events[0] is piece


@pytest.mark.parametrize(
    ("piece", "raw"),
    [
        (b"data: a\n\ndata: b\n\n", [b"data: a\n\n", b"data: b\n\n"]),
        (b"data: a\r\n\r\ndata: b\n\n", [b"data: a\r\n\r\n", b"data: b\n\n"]),
        (b"data: a\n\ndata: b", [b"data: a\n\n"]),
        (b"data: a\n\ndata: b\r\n\r\n", [b"data: a\n\n", b"data: b\r\n\r\n"]),
        (b"data: a\r\rdata: b\r\n\r\n", [b"data: a\r\r", b"data: b\r\n\r\n"]),
        (b"data: a\r\nb\n", []),
        (b"data: a\r\rdata: b\n", [b"data: a\r\r"]),
        (b"data: a\n", []),
        (b"data: a\r", []),
        (b"\n", []),
        (b"", []),
    ],
)
def test_piece_of_several_events_is_split(piece: bytes, raw: list[bytes]) -> None:
    """Each whole event comes out with its empty line, and an unfinished one is kept."""
    splitter = started()
    assert splitter.feed(piece) == raw
    assert splitter.take_rest() == piece.removeprefix(b"".join(raw))
    assert splitter.take_rest() == b""


def test_event_ended_by_bare_cr_is_not_held_back() -> None:
    """An event is given out at its last CR, and an LF that comes late makes no event of its own."""
    splitter = started()
    assert splitter.feed(b"data: a\r\n\r") == [b"data: a\r\n\r"]
    assert splitter.feed(b"\ndata: b\r\n\r\n") == [b"\ndata: b\r\n\r\n"]


def test_unfinished_event_at_the_cap_is_kept() -> None:
    """The cap itself is allowed, no byte counts twice, and a finished event makes room again."""
    splitter = SseSplitter(cap_bytes=8)
    assert splitter.feed(b"data: a\n") == []
    assert splitter.feed(b"\n") == [b"data: a\n\n"]
    assert splitter.feed(b"data: b") == []
    assert splitter.take_rest() == b"data: b"
    assert [splitter.feed(b"a\n") for _ in range(4)] == [[]] * 4


@pytest.mark.parametrize("pieces", [[b"data: abc"], [b"data", b": ", b"abc"], [b"a\n"] * 5])
def test_unfinished_event_above_the_cap_is_refused(pieces: list[bytes]) -> None:
    """An event that never ends is the upstream's fault."""
    splitter = SseSplitter(cap_bytes=8)
    with pytest.raises(UpstreamGarbled):
        [splitter.feed(piece) for piece in pieces]


def test_large_event_in_tiny_pieces_costs_linear_work() -> None:
    """An event of half a megabyte in pieces that all end with a line end comes out whole, and soon."""
    pieces = [b"data: y\n"] * 65_536
    splitter = SseSplitter()
    assert [event for piece in pieces for event in splitter.feed(piece)] == []
    (event,) = splitter.feed(b"\n")
    assert event == b"".join(pieces) + b"\n"


@pytest.mark.parametrize("flood", [b"\n", b"\r", b"\r\n", b"\n\r", b"data: x\n\n", b"data\n", b":", b"\r\n\n"])
def test_flood_of_line_ends_costs_linear_work(flood: bytes) -> None:
    """A hostile piece comes out complete, and soon."""
    stream = flood * (1_500_000 // len(flood))
    splitter = started()
    raw = splitter.feed(stream)
    assert b"".join(raw) + splitter.take_rest() == stream


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'data: {"a":1}\n\n', Fields(None, b'{"a":1}', None, None)),
        (b"data: \n\n", Fields(None, b"", None, None)),
        (b"event: e\ndata: {}\n\n", Fields(b"e", b"{}", None, None)),
        (b"event: \ndata: {}\n\n", Fields(None, b"{}", None, None)),
        (b"event: e\n\n", Fields(b"e", None, None, None)),
        (b"event: e\ndata: a\ndata: b\n\n", Fields(b"e", b"a\nb", None, None)),
        (b"data: a\nevent: e\n\n", Fields(b"e", b"a", None, None)),
        (b"data: a\rdata: b\n\n", Fields(None, b"a\nb", None, None)),
        (b"event: e\ndata: a\r\n\r\n", Fields(b"e", b"a", None, None)),
        (b"data: a", Fields(None, b"a", None, None)),
        (b": still here\n\n", Fields(None, None, None, None)),
        (b"id: 1\nretry: 20\n\n", Fields(None, None, b"1", 20)),
        (b"id: 1\nid: 2\0\nretry: 2s\n\n", Fields(None, None, b"1", None)),
        (b"retry: " + b"9" * 5_000 + b"\n\n", Fields(None, None, None, None)),
        (b"", Fields(None, None, None, None)),
    ],
)
def test_event_is_read_field_by_field(raw: bytes, expected: Fields) -> None:
    """Each shape of event, usual or not, says what the standard says it does."""
    assert fields(parse_event(raw)) == expected


@pytest.mark.parametrize(
    ("payload", "name", "line_end", "raw"),
    [
        (b"{}", None, b"\n", b"data: {}\n\n"),
        (b"{}", b"e", b"\n", b"event: e\ndata: {}\n\n"),
        (b"{}", None, b"\r\n", b"data: {}\r\n\r\n"),
        (b"a\nb\r\nc\rd\n", b"e", b"\n", b"event: e\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (b"a\nb", None, b"\r\n", b"data: a\r\ndata: b\r\n\r\n"),
        (b"a\rb", None, b"\n", b"data: a\ndata: b\n\n"),
        (b"", None, b"\n", b"data: \n\n"),
    ],
)
def test_event_is_written_line_by_line(payload: bytes, name: bytes | None, line_end: bytes, raw: bytes) -> None:
    """Payloads of one line and of several are written with the line end asked for."""
    assert encode_event(payload, name, line_end) == raw


@PROPERTY
@given(
    payload=st.lists(st.sampled_from([b"a", b" ", b":", b"\n", b"\r", b"\r\n", b"{}"]), max_size=8).map(b"".join),
    name=st.sampled_from([None, b"e", b"a b:c"]),
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_written_event_reads_back(payload: bytes, name: bytes | None, line_end: bytes) -> None:
    """What is written comes back as one event with the same lines."""
    (raw,) = started().feed(encode_event(payload, name, line_end))
    lines = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert fields(parse_event(raw)) == Fields(name, lines, None, None)


def test_splitter_says_whether_an_event_is_open() -> None:
    """Between events nothing is held; before the first byte there may be a byte order mark."""
    splitter = SseSplitter()
    assert (splitter.is_between, splitter.held_bytes) == (False, 0)
    for piece, held_bytes in ((b"\xef\xbb\xbf: x\n\n", 0), (b"data", 4), (b": 1\n", 8), (b"\n", 0), (b"a\n\nb", 1)):
        splitter.feed(piece)
        assert (splitter.is_between, splitter.held_bytes) == (held_bytes == 0, held_bytes)
    assert splitter.take_rest() == b"b"
    assert splitter.is_between
