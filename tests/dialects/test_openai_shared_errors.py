"""What both dialects of one vendor read alike."""

import pytest

from busbar_fast.dialects.openai_shared_errors import read_shared, speaks_of_length

NOW_S = 0.0


@pytest.mark.parametrize(
    ("status", "code", "is_context_length"),
    [
        (400, "context_length_exceeded", True),
        (413, "context_length_exceeded", True),
        (429, "context_length_exceeded", False),
        (503, "context_length_exceeded", False),
        (400, "other", False),
    ],
)
def test_the_code_says_it_on_two_statuses(status: int, code: str, is_context_length: bool) -> None:
    """Reliability §4: the vendor's own code for a prompt that is too long."""
    error = read_shared(status, {}, b'{"error":{"code":"%b","type":"t"}}' % code.encode(), NOW_S)
    assert (error.is_context_length, error.code, error.type) == (is_context_length, code, "t")
    assert speaks_of_length(error, "nothing of it").is_context_length == is_context_length


@pytest.mark.parametrize(
    ("text", "is_context_length"),
    [("exceeds the context", True), ("exceeds your token limit", True), ("exceeds", False), ("context", False)],
)
def test_two_words_say_it_together(text: str, is_context_length: bool) -> None:
    """Reliability case 47: neither does alone, and on other statuses not even both."""
    assert speaks_of_length(read_shared(400, {}, b"", NOW_S), text).is_context_length == is_context_length
    assert not speaks_of_length(read_shared(429, {}, b"", NOW_S), text).is_context_length
