"""What a client of this dialect reads of a stream that broke off."""

import anthropic
import httpx2
import pytest

from busbar_fast.dialects.anthropic.endings import EventEnding
from busbar_fast.dialects.anthropic.requests import DIALECT
from tests.dialects.broken import HOUSE_WORDS, prefixes

DOCUMENTS = [
    (
        b"message_start",
        (
            b'{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],'
            b'"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}'
        ),
    ),
    (b"ping", b'{"type":"ping"}'),
    (
        b"content_block_start",
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
    ),
    (
        b"content_block_delta",
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\u00e9\\ud83d\\ude00"}}'.encode(),
    ),
    (b"content_block_stop", b'{"type":"content_block_stop","index":0}'),
]
STREAM = b"".join(b"event: %b\ndata: %b\n\n" % pair for pair in DOCUMENTS)
ERROR = {"type": "api_error", "message": "Internal server error"}
LAST = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Internal server error"}}\n\n'


def ending(*pieces: bytes) -> bytes | None:
    """Return the end of a stream that broke off behind these pieces."""
    made = EventEnding()
    for piece in pieces:
        made.feed(piece)
    return made.encode_break()


class Reader:
    """The SDK, its answers being the streams it is to read."""

    def __init__(self) -> None:
        self._stream = b""
        http = httpx2.Client(transport=httpx2.MockTransport(self._respond))
        self._client = anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http, max_retries=0)

    def _respond(self, _: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=self._stream)

    def read(self, stream: bytes) -> tuple[list[str], anthropic.APIStatusError | None]:
        """Return the types of the events that the SDK's helper gives out, and what it raises in the end."""
        self._stream = stream
        types: list[str] = []
        try:
            with self._client.messages.stream(model="m", max_tokens=1, messages=[]) as events:
                types.extend(event.type for event in events if event.type != "text")
        except anthropic.APIStatusError as error:
            return types, error
        return types, None


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_client_raises_wherever_the_stream_breaks(line_end: bytes) -> None:
    """Reliability case 57: at every byte the SDK gives out whole events and then raises what the event says."""
    stream, reader = STREAM.replace(b"\n", line_end), Reader()
    for part in prefixes(stream):
        last = ending(part)
        assert last is not None
        types, error = reader.read(part + last)
        assert error is not None
        assert isinstance(error.body, dict)
        assert (error.type, error.body["error"]) == ("api_error", ERROR)
        whole = [name.decode() for name, document in DOCUMENTS if document in part]
        assert types == [name for name in whole if name != "ping"]


def test_the_end_is_one_error_event() -> None:
    """Reliability §9: the native event, no `message_stop`, and no word of what stands between."""
    assert ending(STREAM) == LAST
    assert [word for word in HOUSE_WORDS if word in LAST.lower()] == []


def test_a_half_event_becomes_the_error() -> None:
    """Reliability §9: what was begun is completed, and the later name and members win."""
    assert ending(STREAM, b'event: ping\ndata: {"type": "pi') == (
        b'","type":"error","error":{"type":"api_error","message":"Internal server error"}}\nevent: error\n\n'
    )


def test_the_dialect_makes_it() -> None:
    """The gateway asks the dialect, whatever the request was."""
    ask = DIALECT.claim(b"/v1/messages", b"", {})
    assert ask is not None
    assert isinstance(DIALECT.new_ending(ask), EventEnding)
