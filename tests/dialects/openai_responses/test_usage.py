"""Where answers of the Responses API count tokens."""

import pytest

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.openai_responses.usage import new_tap
from tests.wire.twins import every_cut

USAGE = (
    b'{"input_tokens":100,"input_tokens_details":{"cached_tokens":30,"cache_write_tokens":0},'
    b'"output_tokens":18,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":118}'
)
OBJECT = (
    b'{"id":"resp_7c","object":"response","created_at":1760002000,"status":"%b","model":"m","output":['
    b'{"type":"message","content":[{"type":"output_text","text":"\\"usage\\":{\\"input_tokens\\":7} \xc3\xa9",'
    b'"usage":{"input_tokens":9}}]}],"usage":%b,"user":null}'
)


def event(name: bytes, payload: bytes) -> bytes:
    """Return one event as the vendor frames it."""
    return b'event: %b\ndata: {"type":"%b","sequence_number":0,%b}\n\n' % (name, name, payload)


def stream(last: bytes) -> bytes:
    """Return a stream that ends with this event."""
    return (
        event(b"response.created", b'"response":' + OBJECT % (b"in_progress", b"null"))
        + event(b"response.output_text.delta", b'"delta":"\xf0\x9f\x8c\x8a","usage":{"input_tokens":5}')
        + event(last, b'"response":' + OBJECT % (b"completed", USAGE))
    )


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        (b"application/json", OBJECT % (b"completed", USAGE)),
        (b"text/event-stream", stream(b"response.completed")),
        (b"text/event-stream; charset=utf-8", stream(b"response.incomplete").replace(b"\n", b"\r\n")),
    ],
)
def test_answer_cut_anywhere_counts_the_same(content_type: bytes, answer: bytes) -> None:
    """Responses cases 57 and 66: the usage of the object in the last event counts, however the bytes come."""
    for pieces in every_cut(answer):
        tap = new_tap(content_type)
        for piece in pieces:
            tap.feed(piece)
        assert tap.maybe_usage() == Usage(100, 18)


def test_last_event_of_any_size_counts() -> None:
    """The last event repeats instructions, tools and the whole answer, and is read without keeping it."""
    tap = new_tap(b"text/event-stream")
    long = b'"response":{"instructions":"%b","usage":%b}' % (b"tide " * 100_000, USAGE)
    answer = event(b"response.completed", long)
    for at in range(0, len(answer), 65_536):
        tap.feed(answer[at : at + 65_536])
    assert tap.maybe_usage() == Usage(100, 18)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (b'{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":40}}', Usage(40, 5)),
        (b'{"input_tokens":10,"output_tokens":5,"cached_tokens":40}', Usage(10, 5)),
        (b'{"input_tokens":10,"output_tokens":5}', Usage(10, 5)),
        (b'{"prompt_tokens":10,"completion_tokens":5}', None),
        (b"null", None),
    ],
)
def test_usage_is_read_with_what_there_is(usage: bytes, counted: Usage | None) -> None:
    """Responses case 58: more cached than put in counts as put in, and details may be missing."""
    tap = new_tap(b"application/json")
    tap.feed(b'{"usage":%b}' % usage)
    assert tap.maybe_usage() == counted
