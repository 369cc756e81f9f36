"""What a client of this dialect reads of a stream that broke off."""

import httpx
import orjson
import pytest
from google.genai import errors

from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.gemini.endings import ArrayEnding, EventEnding
from busbar_fast.dialects.gemini.requests import DIALECT
from busbar_fast.dialects.gemini.stream import ArrayReframer
from tests.dialects.broken import HOUSE_WORDS, prefixes
from tests.dialects.gemini.official import client

DOCUMENTS = [
    '{"candidates":[{"content":{"role":"model","parts":[{"text":"\u00e9 \\n \\ud83d\\ude00"}]},"index":0}],'
    '"usageMetadata":{"promptTokenCount":21,"totalTokenCount":22},"modelVersion":"flash-x","responseId":"q7"}'.encode(),
    (
        b'{"candidates":[{"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/png","data":"aGVsbG8="}}]},'
        b'"safetyRatings":[{"category":"HARM_CATEGORY_HARASSMENT","probability":"LOW"}],"index":0}],'
        b'"createTime":"2026-11-26T01:02:03.000004Z","promptFeedback":{"blockReason":"SAFETY"}}'
    ),
]
STREAM = b"".join(b"data: %b\n\n" % document for document in DOCUMENTS)
ERROR = {"code": 500, "message": "Internal error encountered.", "status": "INTERNAL"}
RAW_ERROR = orjson.dumps({"error": ERROR})


def ending(*pieces: bytes) -> bytes | None:
    """Return the end of a stream that broke off behind these pieces."""
    made = EventEnding()
    for piece in pieces:
        made.feed(piece)
    return made.encode_break()


def array_ending(*pieces: bytes) -> bytes | None:
    """Return the same for an array."""
    made = ArrayEnding()
    for piece in pieces:
        made.feed(piece)
    return made.encode_break()


class Reader:
    """The SDK, which takes long to be made; `stream` is what it is sent."""

    def __init__(self) -> None:
        self._stream = b""
        self._client = client(self._respond)

    def _respond(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=self._stream)

    def read(self, stream: bytes) -> tuple[int, errors.APIError | None]:
        """Return how many chunks with contents come of a stream, and what is raised in the end."""
        self._stream = stream
        count = 0
        try:
            for chunk in self._client.models.generate_content_stream(model="m", contents="hi"):
                count += bool(chunk.candidates)
        except errors.APIError as error:
            return count, error
        return count, None


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_client_raises_wherever_the_stream_breaks(line_end: bytes) -> None:
    """Reliability case 57: at every byte the SDK gives out whole chunks and then raises its own error."""
    stream, reader = STREAM.replace(b"\n", line_end), Reader()
    for part in prefixes(stream):
        last = ending(part)
        assert last is not None
        count, error = reader.read(part + last)
        assert isinstance(error, errors.ServerError)
        assert (error.code, error.status, error.message) == (500, ERROR["status"], ERROR["message"])
        assert count == sum(document in part for document in DOCUMENTS)


def test_an_error_of_the_upstream_may_be_half_there() -> None:
    """Reliability §9: the code of a report that broke off is not known, so ours takes its place."""
    reader = Reader()
    report = b'data: {"error":{"code":503,"message":"Overloaded.","status":"UNAVAILABLE"}}\n\n'
    for part in prefixes(report, start=len(b"data: {")):
        last = ending(part)
        assert last is not None
        _, error = reader.read(part + last)
        assert error is not None
        assert error.code in (500, 503)
        assert (error.code == 503) == (b"}}" in part)


def test_the_end_is_one_error_event() -> None:
    """Reliability §9: the error is the first member, its code a number, and nothing follows."""
    last = ending(STREAM)
    assert last == b"data: %b\n\n" % RAW_ERROR
    assert [word for word in HOUSE_WORDS if word in last.lower()] == []


def test_what_is_no_document_cannot_be_ended() -> None:
    """Reliability §9: if no bytes could make an event that the client can read, only a cut connection is left."""
    assert ending(STREAM, b"data: <html>") is None


@pytest.mark.parametrize(
    ("pieces", "last"),
    [
        ([], b"[%b]" % RAW_ERROR),
        ([b"", b'[{"a":1}', b""], b",\r\n%b]" % RAW_ERROR),
        ([b'[{"a":1}', b',\r\n{"a":2},\r\n{"error": {"code":503}}'], b"]"),
        ([b'[{"a":1}', b',\r\n{"error":1},\r\n{"a":2}'], b",\r\n%b]" % RAW_ERROR),
        ([b'[{"a":"\\ud800"}'], b",\r\n%b]" % RAW_ERROR),
        ([b'[{"a":1}', b"]"], b""),
        ([b"[]"], b""),
    ],
)
def test_an_array_ends_with_one_error(pieces: list[bytes], last: bytes) -> None:
    """Gemini case 14, Reliability case 57: one error element and the bracket; the upstream's own error is enough."""
    assert array_ending(*pieces) == last
    orjson.loads(b"".join(pieces).replace(b"\\ud800", b"") + last)


def test_what_the_reframer_gives_out_is_ended_alike() -> None:
    """Gemini case 14: fed with what clients are sent, this writes what the reframer would."""
    for part in prefixes(STREAM):
        reframer = ArrayReframer()
        shown = reframer.feed(part)
        assert array_ending(shown) == reframer.fail(Fault(Kind.INTERNAL))


@pytest.mark.parametrize(("query", "kind"), [(b"alt=sse", EventEnding), (b"", ArrayEnding)])
def test_the_dialect_makes_what_the_client_reads(query: bytes, kind: type) -> None:
    """The gateway asks the dialect; who wants an array gets the end of one."""
    ask = DIALECT.claim(b"/v1beta/models/m:streamGenerateContent", query, {})
    assert ask is not None
    assert isinstance(DIALECT.new_ending(ask), kind)
