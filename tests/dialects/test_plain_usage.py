"""Usage that stands plainly at the end of an answer; whatever else it may be is left to the watch."""

import pytest

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.plain_usage import plain_usage

PLAIN = b'{"id":"x","usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}}'
WORDS = (b'"usage":{"prompt_tokens":', b',"completion_tokens":', b',"total_tokens":')


def test_three_counts_at_the_end_are_read() -> None:
    """Governance §6: what every server writes; the last of two counts, as for any parser."""
    twice = PLAIN[:-1] + b"," + PLAIN[10:].replace(b":9", b":7")
    assert plain_usage(PLAIN, WORDS) == Usage(9, 8)
    assert plain_usage(twice, WORDS) == Usage(7, 8)


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
    """Governance §6: no guess is made; whoever looks closely finds what there is."""
    assert plain_usage(raw, WORDS) is None
