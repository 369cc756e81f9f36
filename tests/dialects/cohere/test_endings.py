"""What a client of this dialect reads of a stream that broke off."""

from typing import Any

import cohere
import httpx
import orjson
import pytest

from busbar_fast.dialects.cohere.endings import EventEnding
from busbar_fast.dialects.cohere.requests import DIALECT
from busbar_fast.dialects.dialect import Usage
from tests.dialects.broken import HOUSE_WORDS, payloads, prefixes

DOCUMENTS = [
    (b"message-start", b'{"id":"5f1c","type":"message-start","delta":{"message":{"role":"assistant","content":[]}}}'),
    (
        b"content-start",
        b'{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}',
    ),
    (
        b"content-delta",
        '{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"\u00e9 \\ud83d\\ude00"}}}}'.encode(),
    ),
    (b"content-end", b'{"type":"content-end","index":0}'),
]
STREAM = b"".join(b"event: %b\ndata: %b\n\n" % pair for pair in DOCUMENTS)
NOTHING = {"input_tokens": 0, "output_tokens": 0}


def ending(*pieces: bytes, usage: Usage | None = None) -> bytes | None:
    """Return the end of a stream that broke off behind these pieces."""
    made = EventEnding()
    for piece in pieces:
        made.feed(piece)
    return made.encode_break(usage)


def read_by_the_client(stream: bytes) -> list[Any]:
    """Return the events that the SDK gives out."""

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with httpx.Client(transport=httpx.MockTransport(respond)) as http:
        client = cohere.ClientV2(api_key="k", base_url="http://x", httpx_client=http)
        return list(client.chat_stream(model="m", messages=[]))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_client_is_told_wherever_the_stream_breaks(line_end: bytes) -> None:
    """Reliability case 57: at every byte the SDK gives out whole events and then the one that says why it ended."""
    stream = STREAM.replace(b"\n", line_end)
    for part in prefixes(stream):
        last = ending(part)
        assert last is not None
        *whole, end = read_by_the_client(part + last)
        assert [event.type for event in whole] == [name.decode() for name, document in DOCUMENTS if document in part]
        assert (end.type, end.delta.finish_reason, end.delta.error) == ("message-end", "ERROR", "internal server error")
        assert end.delta.usage.tokens.dict(exclude_none=True) == NOTHING


@pytest.mark.parametrize(("usage", "tokens"), [(None, NOTHING), (Usage(7, 2), {"input_tokens": 7, "output_tokens": 2})])
def test_the_end_is_a_message_end_and_the_marker(usage: Usage | None, tokens: dict[str, int]) -> None:
    """Cohere case 60: reason, text and the usage last known, none of it billed; no untyped object."""
    last = ending(STREAM, usage=usage)
    assert last is not None
    assert last.startswith(b"event: message-end\ndata: ")
    document, marker = payloads(last)
    assert orjson.loads(document) == {
        "type": "message-end",
        "delta": {
            "error": "internal server error",
            "finish_reason": "ERROR",
            "usage": {"billed_units": NOTHING, "tokens": tokens},
        },
    }
    assert marker == b"[DONE]"
    assert [word for word in HOUSE_WORDS if word in last.lower()] == []


def test_the_dialect_makes_it() -> None:
    """The gateway asks the dialect, whatever the request was."""
    ask = DIALECT.claim(b"/v2/chat", b"", {})
    assert ask is not None
    assert isinstance(DIALECT.new_ending(ask), EventEnding)
