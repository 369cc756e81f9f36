"""Where chat answers count tokens."""

import pytest

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.openai_chat.usage import new_tap
from tests.wire.twins import every_cut

# As the vendor spells them, with the numbers of a harbour master.
BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1760001000,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"\\"usage\\":{\\"prompt_tokens\\":7} \xc3\xa9","usage":{"prompt_tokens":8}},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":31,"completion_tokens":18,"total_tokens":49,'
    b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":4}},"x":1}\n'
)
CHUNK = b'{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"\xf0\x9f\x8c\x8a"}}],"usage":%b}'
STREAM = b"".join(
    b"data: %b\r\n\r\n" % payload
    for payload in (
        b'{"id":"","choices":[],"prompt_filter_results":[]}',
        CHUNK % b"null",
        CHUNK % b'{"prompt_tokens":31,"completion_tokens":1}',
        CHUNK % b"null",
        b'{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":31,"completion_tokens":18,"total_tokens":49}}',
        b"[DONE]",
    )
)


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        (b"application/json", BODY),
        (b"text/event-stream", STREAM),
        (b"Text/Event-Stream; charset=utf-8", STREAM.replace(b"\r\n", b"\n")),
    ],
)
def test_answer_cut_anywhere_counts_the_same(content_type: bytes, answer: bytes) -> None:
    """OpenAI §8 and cases 47 and 52: the last usage object counts, also beside a choice, however the bytes come."""
    for pieces in every_cut(answer):
        tap = new_tap(content_type)
        for piece in pieces:
            tap.feed(piece)
        assert tap.maybe_usage() == Usage(31, 18)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (b'{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}', Usage(100, 5)),
        (b'{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}', Usage(40, 5)),
        (b'{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":40}', Usage(40, 5)),
        (b'{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":40}', Usage(40, 5)),
        (b'{"input_tokens":10,"output_tokens":5}', None),
    ],
)
def test_cached_input_is_part_of_the_input(usage: bytes, counted: Usage | None) -> None:
    """OpenAI case 49: reads of a cache are counted once, wherever a back end reports them."""
    tap = new_tap(b"application/json")
    tap.feed(b'{"usage":%b}' % usage)
    assert tap.maybe_usage() == counted
