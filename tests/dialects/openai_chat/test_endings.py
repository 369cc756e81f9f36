"""What a client of this dialect reads of a stream that broke off."""

import json

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from busbar_fast.dialects.dialect import Refusal
from busbar_fast.dialects.openai_chat.endings import EventEnding
from busbar_fast.dialects.openai_chat.requests import DIALECT
from tests.dialects.broken import HOUSE_WORDS, payloads, prefixes
from tests.dialects.openai_chat.official import Wire

HEAD = b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"m","choices":[{"index":0,'
CHUNKS = [
    HEAD + b'"delta":{"role":"assistant","content":""},"finish_reason":null}]}',
    HEAD
    + '"delta":{"content":"\u00e9 \U0001f600 \\ud83d\\ude00 \\"x\\" \\\\ \\u0041"},"finish_reason":null}]}'.encode(),
    HEAD + b'"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":-1.5e3"}}]},"logprobs":null}]}',
]
STREAMED = Refusal(200, b"Content-Type: text/event-stream\r\n", b"")
STREAM = b"".join(b"data: %b\n\n" % chunk for chunk in CHUNKS)
ERROR = {
    "message": "The server had an error while processing your request. Sorry about that!",
    "type": "server_error",
    "param": None,
    "code": None,
}


def ending(*pieces: bytes) -> bytes | None:
    """Return the end of a stream that broke off behind these pieces."""
    made = EventEnding()
    for piece in pieces:
        made.feed(piece)
    return made.encode_break()


def read_by_the_client(wire: Wire, stream: bytes) -> tuple[list[ChatCompletionChunk], openai.APIError | None]:
    """Return the chunks that the SDK gives out, and what it raises in the end."""
    wire.answer_with(stream)
    chunks: list[ChatCompletionChunk] = []
    with wire.client.chat.completions.create(model="m", messages=[], stream=True) as events:
        try:
            chunks.extend(events)
        except openai.APIError as error:
            return chunks, error
    return chunks, None


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_client_raises_wherever_the_stream_breaks(line_end: bytes) -> None:
    """Reliability case 57: at every byte the SDK gives out whole chunks and then raises its own error, once."""
    stream, wire = STREAM.replace(b"\n", line_end), Wire(STREAMED)
    for part in prefixes(stream):
        last = ending(part)
        assert last is not None
        chunks, error = read_by_the_client(wire, part + last)
        assert error is not None
        assert error.body == ERROR
        assert len(chunks) == sum(chunk in part for chunk in CHUNKS)


def test_the_end_is_an_error_and_the_marker() -> None:
    """Reliability §9: between events the two native events follow, in the framing of the others."""
    last = ending(STREAM)
    assert last is not None
    assert payloads(last) == [json.dumps({"error": ERROR}, separators=(",", ":")).encode(), b"[DONE]"]
    assert last.startswith(b"data: {")
    assert last.endswith(b"}\n\ndata: [DONE]\n\n")
    assert [word for word in HOUSE_WORDS if word in last.lower()] == []


def test_a_marker_that_is_half_there_is_completed() -> None:
    """Reliability §9: once the upstream ends its stream all of the answer is there, so the client gets its end."""
    wire = Wire(STREAMED)
    for part in prefixes(b"data: [DONE]\n\n", start=len(b"data: [")):
        last = ending(STREAM, part)
        assert last is not None
        chunks, error = read_by_the_client(wire, STREAM + part + last)
        assert (len(chunks), error) == (len(CHUNKS), None)


@pytest.mark.parametrize("half", [b"data: plain words", b"data: <html>", b'data: {"a" 1'])
def test_what_is_no_document_cannot_be_ended(half: bytes) -> None:
    """Reliability §9: if no bytes could make an event that the client can read, only a cut connection is left."""
    assert ending(STREAM, half) is None


def test_the_dialect_makes_it() -> None:
    """The gateway asks the dialect, whatever the request was."""
    ask = DIALECT.claim(b"/v1/chat/completions", b"", {})
    assert ask is not None
    assert isinstance(DIALECT.new_ending(ask), EventEnding)
