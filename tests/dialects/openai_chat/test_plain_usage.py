"""Usage that stands plainly at the end of an answer; whatever else it may be is left to the watch."""

import pytest

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.openai_chat.plain_usage import plain_usage
from busbar_fast.dialects.openai_chat.requests import DIALECT

PLAIN = b'{"id":"x","usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}}'
JSON = b"application/json; charset=utf-8"


def test_three_counts_at_the_end_are_read() -> None:
    """OpenAI, usage: what every server writes; the last of two counts, as for any parser."""
    twice = PLAIN[:-1] + b"," + PLAIN[10:].replace(b":9", b":7")
    assert plain_usage(PLAIN) == Usage(9, 8)
    assert plain_usage(twice) == DIALECT.usage_in(JSON, twice) == Usage(7, 8)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        PLAIN[10:],
        PLAIN + b"\n",
        PLAIN[:-1],
        PLAIN.replace(b":9", b": 9"),
        PLAIN.replace(b":9", b":-9"),
        PLAIN.replace(b":9", b":9.0"),
        PLAIN.replace(b":9", b":null"),
        PLAIN.replace(b":9", b":" + b"9" * 19),
        PLAIN.replace(b":8", b":" + b"9" * 19),
        PLAIN.replace(b":8", b":"),
        PLAIN.replace(b":17", b":x"),
        PLAIN.replace(b"completion", b"output"),
        PLAIN.replace(b"total", b"all"),
        PLAIN.replace(b'"total_tokens":17', b'"prompt_tokens_details":{"cached_tokens":4}'),
        PLAIN.replace(b',"total_tokens":17', b""),
        PLAIN.replace(b"17", b'17,"queue":1'),
        b'{"text":"' + PLAIN.replace(b'"', b'\\"') + b'"}',
        b'{"x":1,"usage":{"prompt_tokens":}}',
        b'{"x":1,"usage":{"prompt_tokens":}',
    ],
)
def test_everything_else_is_left_to_the_watch(raw: bytes) -> None:
    """OpenAI, usage: no guess is made; whoever looks closely finds what there is."""
    assert plain_usage(raw) is None
    watch = DIALECT.new_watch(JSON)
    watch.feed_whole(raw)
    assert DIALECT.usage_in(JSON, raw) == watch.maybe_usage()


def test_an_event_stream_is_no_document() -> None:
    """OpenAI, usage: what is said to be a stream of events is read as one."""
    assert DIALECT.usage_in(b"text/event-stream", b"data: " + PLAIN + b"\n\n") == Usage(9, 8)
    assert DIALECT.usage_in(b"text/event-stream", PLAIN) is None
