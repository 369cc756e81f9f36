"""What a client of this dialect reads of a stream that broke off."""

from itertools import islice
from typing import Any

import orjson
import pytest

from busbar_fast.dialects.dialect import Refusal
from busbar_fast.dialects.openai_responses.endings import EventEnding
from busbar_fast.dialects.openai_responses.requests import DIALECT
from busbar_fast.wire.sse_edge import KEPT_BYTES
from tests.dialects.broken import HOUSE_WORDS, payloads, prefixes
from tests.dialects.openai_chat.official import Wire

RESPONSE = (
    b'{"id":"resp_7c","object":"response","created_at":1760002000,"status":"in_progress","model":"m","output":[],'
    b'"error":null,"incomplete_details":null,"tools":[],"usage":null}'
)
DOCUMENTS = [
    (b"response.created", b'{"type":"response.created","sequence_number":0,"response":%b}' % RESPONSE),
    (
        b"response.output_item.added",
        (
            b'{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message",'
            b'"id":"msg_2b","role":"assistant","status":"in_progress","content":[]}}'
        ),
    ),
    (
        b"response.content_part.added",
        (
            b'{"type":"response.content_part.added","sequence_number":2,"output_index":0,"item_id":"msg_2b",'
            b'"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}'
        ),
    ),
    (
        b"response.output_text.delta",
        '{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_2b","output_index":0,'
        '"content_index":0,"delta":"\u00e9 \\n \\ud83d\\ude00","logprobs":[]}'.encode(),
    ),
]
STREAMED = Refusal(200, b"Content-Type: text/event-stream\r\n", b"")
STREAM = b"".join(b"event: %b\ndata: %b\n\n" % pair for pair in DOCUMENTS)
ERROR = {
    "code": "server_error",
    "message": "The server had an error while processing your request. Sorry about that!",
}


def ending(*pieces: bytes) -> bytes | None:
    """Return the end of a stream that broke off behind these pieces."""
    made = EventEnding()
    for piece in pieces:
        made.feed(piece)
    return made.encode_break()


def report(*pieces: bytes) -> dict[str, Any]:
    """Return what the last event says if the stream broke off between events."""
    last = ending(*pieces)
    assert last is not None
    document: dict[str, Any] = orjson.loads(payloads(last)[-1])
    return document


def read_by_the_client(wire: Wire, stream: bytes) -> list[Any]:
    """Return the events that the SDK gives out."""
    wire.answer_with(stream)
    return list(wire.client.responses.create(model="m", input="hi", stream=True))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("share", range(4))
def test_the_client_is_told_wherever_the_stream_breaks(share: int, line_end: bytes) -> None:
    """Reliability case 57, Responses case 62: whole events, then `response.failed` with the id of the first event."""
    stream, wire = STREAM.replace(b"\n", line_end), Wire(STREAMED)
    for part in islice(prefixes(stream), share, None, 4):
        last = ending(part)
        assert last is not None
        *whole, end = read_by_the_client(wire, part + last)
        assert [event.type for event in whole] == [name.decode() for name, document in DOCUMENTS if document in part]
        assert (end.type, end.response.status) == ("response.failed", "failed")
        assert end.response.error.to_dict() == ERROR
        if b'"resp_7c"' in part:
            assert end.response.id == "resp_7c"
        if whole:
            assert end.sequence_number == whole[-1].sequence_number + 1
            assert (end.response.model, end.response.created_at) == ("m", 1760002000)


def test_the_helper_of_the_client_takes_the_end() -> None:
    """Responses §11.1: id, time and model are those of the first event, so the SDK's helper follows to the end."""
    last = ending(STREAM)
    assert last is not None
    wire = Wire(Refusal(200, b"Content-Type: text/event-stream\r\n", STREAM + last))
    with wire.client.responses.stream(model="m", input="hi") as events:
        types = [event.type for event in events]
    assert types[-1] == "response.failed"


def test_the_end_is_one_event() -> None:
    """Reliability §9: status, code from the vendor's list, message; what the first event said of itself stays."""
    last = ending(STREAM)
    assert last is not None
    assert last.startswith(b"event: response.failed\ndata: {")
    assert report(STREAM) == {
        "type": "response.failed",
        "sequence_number": 4,
        "response": orjson.loads(RESPONSE) | {"status": "failed", "error": ERROR},
    }
    assert [word for word in HOUSE_WORDS if word in last.lower()] == []


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"data: nothing\n\n", None),
        (b"data: [1]\n\n", None),
        (b'data: {"type":"response.created","response":{"id":"resp_1"}}\n\n', "resp_1"),
        (b'data: {"type":"response.created","response":{"id":"resp_1","note":"\\ud800"}}\n\n', "resp_1"),
        (b'data: {"type":"response.created","response":{"id":7}}\n\n', None),
        (b'data: {"type":"response.created"}\n\n', None),
        (b": " + b"x" * KEPT_BYTES + b"\n\n", None),
    ],
)
def test_an_odd_first_event_does_not_matter(first: bytes, name: str | None) -> None:
    """Reliability §9: the id is found if there is one; else the report has one of its own, and the first number."""
    document = report(first[:9], first[9:-1], first[-1:])
    assert document["sequence_number"] == 0
    assert document["response"]["status"] == "failed"
    found = document["response"]["id"]
    assert found == name if name else found.startswith("resp_") and len(found) == 53


def test_a_half_event_keeps_its_number() -> None:
    """Reliability §9: an event that becomes the report says its number first."""
    last = ending(STREAM, b'data: {"sequence_number":4, "delta":"x')
    assert last is not None
    assert last.startswith(b'","type":"response.failed","sequence_number":4,')
    assert last.endswith(b"}}\nevent: response.failed\n\n")


def test_the_dialect_makes_it() -> None:
    """The gateway asks the dialect, whatever the request was."""
    ask = DIALECT.claim(b"/v1/responses", b"", {})
    assert ask is not None
    assert isinstance(DIALECT.new_ending(ask), EventEnding)
