"""Events turned into one JSON array."""

import json

import httpx
import orjson
import pytest
from google.genai import errors
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.gemini.stream import ArrayReframer
from busbar_fast.errors import UpstreamGarbled
from busbar_fast.wire.sse import EVENT_CAP_BYTES
from tests.dialects.gemini.official import client
from tests.wire.twins import cut_at, events_by_the_book, every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
FIRST = (
    '{"candidates":[{"content":{"role":"model","parts":[{"text":"M\u00e4rz \U0001f642 \\n]"}]},"index":0}]}'.encode()
)
LAST = b'{ "candidates" : [], "usageMetadata":{"promptTokenCount":1e0} , "big":123456789012345678901234567890}'
OUT_OF_ROOM = b'{"error":{"code":503,"message":"No luck.","status":"UNAVAILABLE"}}'
FAULT = Fault(Kind.OVERLOADED, "No luck.")


def events(*payloads: bytes, line_end: bytes = b"\r\n") -> bytes:
    """Return payloads as a stream."""
    return b"".join(b"data: %b%b%b" % (payload, line_end, line_end) for payload in payloads)


def outputs(*pieces: bytes, fault: Fault | None = None) -> list[bytes]:
    """Return all that comes out of a reframer, step by step; with a fault the stream breaks off."""
    reframer = ArrayReframer()
    steps = [reframer.feed(piece) for piece in pieces]
    return [*steps, reframer.finish() if fault is None else reframer.fail(fault)]


def array_of(*pieces: bytes, fault: Fault | None = None) -> bytes:
    """Return the whole array."""
    return b"".join(outputs(*pieces, fault=fault))


def array_by_the_book(stream: bytes) -> bytes:
    """Return the array that a whole stream makes."""
    whole, rest = events_by_the_book(stream)
    elements = []
    for event in (*whole, rest):
        try:
            document = orjson.loads(event.payload or b"")
        except orjson.JSONDecodeError:
            document = None
        if isinstance(document, dict) and event.payload is not None:
            elements.append(event.payload)
    return b"[" + b",\r\n".join(elements) + b"]"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_events_become_elements_wherever_the_stream_is_cut(line_end: bytes) -> None:
    """Gemini case 12: first byte and last byte are brackets, and the documents in between are untouched."""
    stream = events(FIRST, LAST, FIRST, line_end=line_end)
    expected = b"[" + FIRST + b",\r\n" + LAST + b",\r\n" + FIRST + b"]"
    assert [json.loads(FIRST), json.loads(LAST), json.loads(FIRST)] == json.loads(expected)
    for pieces in every_cut(stream):
        assert array_of(*pieces) == expected


def test_each_element_leaves_with_its_event() -> None:
    """An element is out as soon as its event has ended, and the bracket not before the first of them."""
    assert outputs(b"", b": hello\n\n", events(FIRST), events(LAST, FIRST), events(LAST)[:-1]) == [
        b"",
        b"",
        b"[" + FIRST,
        b",\r\n" + LAST + b",\r\n" + FIRST,
        b",\r\n" + LAST,
        b"]",
    ]


_DEEP = b'{"a":' + b"[" * 9999


@pytest.mark.parametrize("stream", [b"", b"\n\n", b": ping\n\n", b"data: [DONE]\n\n", b"\xef\xbb\xbf", b"data: {"])
def test_no_elements_are_an_empty_array(stream: bytes) -> None:
    """Gemini case 13: a stream without documents is exactly two brackets."""
    for pieces in every_cut(stream):
        assert array_of(*pieces) == b"[]"


@pytest.mark.parametrize(
    "noise",
    [
        b"nonsense",
        b"[DONE]",
        b'{"a":1',
        b'{"a" 1}',
        b"[1]",
        b"7",
        b"null",
        b'"x"',
        b"",
        b'{"a":"\xff"}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        _DEEP,
    ],
)
def test_a_frame_that_is_no_document_is_skipped(noise: bytes) -> None:
    """What would spoil the array is left out of it."""
    expected = b"[" + FIRST + b",\r\n" + LAST + b"]"
    assert array_of(events(FIRST, noise, LAST)) == expected
    assert array_of(events(noise, FIRST, LAST, noise)) == expected


@pytest.mark.parametrize("odd", [rb'{"s":"\ud83d"}', b'{"n":1e400}', b'{"n":-1E+999,"dup":1,"dup":{}}'])
def test_a_document_that_few_can_hold_is_an_element_all_the_same(odd: bytes) -> None:
    """Half a surrogate pair and a number beyond all floats are JSON, so the client gets them as they came."""
    assert array_of(events(FIRST, odd, LAST)) == b"[" + b",\r\n".join((FIRST, odd, LAST)) + b"]"


def test_a_document_on_several_lines_stays_one_element() -> None:
    """The lines of an event are put together again."""
    assert array_of(b'data: {"a":\r\ndata:  1}\r\n\r\n') == b'[{"a":\n 1}]'


def test_an_event_without_its_empty_line_is_an_element_if_it_is_whole() -> None:
    """The last event of a careless upstream is not lost, half an event is not shown."""
    stream = events(FIRST, LAST)
    for cut_bytes in range(1, 5):
        assert json.loads(array_of(stream[:-cut_bytes])) == [json.loads(FIRST), json.loads(LAST)]
    assert array_of(stream[:-5]) == b"[" + FIRST + b"]"


def test_a_stream_that_breaks_off_ends_in_one_error() -> None:
    """Gemini case 14: whatever was under way, one error element and one bracket follow."""
    stream = events(FIRST, LAST)
    for at in range(len(stream) + 1):
        whole, _ = events_by_the_book(stream[:at])
        elements = [*(event.payload or b"" for event in whole), OUT_OF_ROOM]
        assert array_of(stream[:at], fault=FAULT) == b"[" + b",\r\n".join(elements) + b"]"


def test_an_error_of_the_upstream_is_the_only_one() -> None:
    """An error in the stream is passed on, and a break behind it adds no second one."""
    assert array_of(events(FIRST, OUT_OF_ROOM), fault=FAULT) == b"[" + FIRST + b",\r\n" + OUT_OF_ROOM + b"]"
    assert array_of(events(OUT_OF_ROOM), fault=FAULT) == b"[" + OUT_OF_ROOM + b"]"
    assert array_of(events(OUT_OF_ROOM, FIRST), fault=FAULT) == b"[" + OUT_OF_ROOM + b",\r\n" + FIRST + b"]"


@pytest.mark.parametrize("fault", [None, FAULT])
def test_nothing_comes_after_the_end(fault: Fault | None) -> None:
    """A reframer that has closed its array stays silent."""
    reframer = ArrayReframer()
    assert (reframer.finish() if fault is None else reframer.fail(fault)).endswith(b"]")
    assert (reframer.feed(events(FIRST)), reframer.finish(), reframer.fail(FAULT)) == (b"", b"", b"")


def test_a_huge_event_is_reported_and_the_array_can_still_be_closed() -> None:
    """An event beyond all measure raises, and what follows is an error element."""
    reframer = ArrayReframer()
    started = reframer.feed(events(FIRST))
    with pytest.raises(UpstreamGarbled):
        reframer.feed(b"data: " + b"x" * EVENT_CAP_BYTES)
    assert started + reframer.fail(FAULT) == b"[" + FIRST + b",\r\n" + OUT_OF_ROOM + b"]"


@given(
    st.lists(
        st.one_of(
            st.sampled_from([events(FIRST), events(LAST, line_end=b"\n"), b": x\r\r", b"data: {}\n", b"\n", b"\r"]),
            st.binary(max_size=6),
        ),
        max_size=8,
    ).map(b"".join),
    st.lists(st.integers(0, 300), max_size=6),
)
@PROPERTY
def test_any_stream_agrees_with_the_book(stream: bytes, cuts: list[int]) -> None:
    """Whatever comes, cut anywhere, the array is the same and is one JSON document."""
    array = array_of(*cut_at(stream, cuts))
    assert array == array_by_the_book(stream)
    assert isinstance(orjson.loads(array), list)


def test_the_official_client_raises_for_a_one_element_array() -> None:
    """A failure before the first element is an array of one error, which the SDK unwraps."""
    models = client(lambda _: httpx.Response(503, content=array_of(fault=FAULT))).models
    with pytest.raises(errors.ServerError) as caught:
        models.generate_content(model="m", contents="hi")
    assert (caught.value.code, caught.value.status, caught.value.message) == (503, "UNAVAILABLE", "No luck.")


def test_whole_answer_becomes_an_array_of_one() -> None:
    """Reliability §8: a stream was wanted and a document came, so the array has that one element."""
    reframer = ArrayReframer()
    assert reframer.whole(b'{"candidates":[]}') == b'[{"candidates":[]}]'
    assert ArrayReframer().whole(b'\n[{"candidates":[]}]') == b'\n[{"candidates":[]}]'  # it knows no events
    assert ArrayReframer().whole(b"") == b"[]"
    assert (reframer.feed(b"data: {}\n\n"), reframer.finish()) == (b"", b"")
