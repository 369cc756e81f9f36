"""The checker of answers: heads, lengths and chunks, split anywhere, and refused when anything is off."""

import pytest

from perf import http_reply

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"


@pytest.mark.parametrize(("raw", "payload"), [(PLAIN, b"hello"), (CHUNKED, b"hello world")])
def test_whole_answer_gives_its_payload(raw: bytes, payload: bytes) -> None:
    """Both framings end in status and payload."""
    assert http_reply.maybe_payload(raw) == (200, payload)


@pytest.mark.parametrize("raw", [PLAIN, CHUNKED])
def test_every_prefix_of_an_answer_is_incomplete(raw: bytes) -> None:
    """No proper prefix passes for a whole answer."""
    assert [at for at in range(len(raw)) if http_reply.maybe_payload(raw[:at]) is not None] == []


def test_empty_chunked_body_is_complete() -> None:
    """A body of only the last chunk has no line end of an earlier chunk before it."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert http_reply.maybe_payload(raw) == (200, b"")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\n",
        PLAIN + b"!",
        CHUNKED.replace(b"5\r\nhello", b"4\r\nhello"),
        CHUNKED.replace(b"5\r\nhello", b"zz\r\nhello"),
        CHUNKED.replace(b"6;x=y\r\n world\r\n", b"0\r\n\r\n6\r\n world\r\n"),
    ],
)
def test_wrong_answer_is_refused(raw: bytes) -> None:
    """Another protocol, missing framing, bytes too many and torn chunks are errors."""
    with pytest.raises(http_reply.BadReplyError):
        http_reply.maybe_payload(raw)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_payload_is_counted_across_any_split(size: int) -> None:
    """The counter needs no particular reads."""
    counter = http_reply.PayloadCounter()
    for at in range(0, len(CHUNKED), size):
        counter.feed(CHUNKED[at : at + size])
    assert (counter.payload_bytes, counter.ended) == (11, True)


def test_counter_refuses_an_answer_that_is_not_200() -> None:
    """An error answer is no stream."""
    with pytest.raises(http_reply.BadReplyError):
        http_reply.PayloadCounter().feed(CHUNKED.replace(b"200 OK", b"503 No"))
