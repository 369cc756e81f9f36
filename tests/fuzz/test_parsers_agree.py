"""Hostile heads through both parsers: the same verdict and the same fields, but for the differences listed here.

The run is the same each time. `BUSBAR_FUZZ_EXAMPLES=200000` makes it longer and, from then on, random.
"""

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from busbar_fast.errors import Refused, UpstreamGarbled
from busbar_fast.wire.framing import response_length
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.parsers import HeadParser
from busbar_fast.wire.parsers.h11_heads import PARSER as H11
from busbar_fast.wire.parsers.httptools_heads import PARSER as HTTPTOOLS
from busbar_fast.wire.requests import METHODS, read_request

EXAMPLES = int(os.environ.get("BUSBAR_FUZZ_EXAMPLES", "0"))
FUZZ = settings(
    derandomize=not EXAMPLES,
    max_examples=EXAMPLES or 1500,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LIMITS = Limits()
GARBLED = "garbled"

Verdict = tuple[Any, ...] | int | str


class Difference(NamedTuple):
    """Where the parsers may differ: a test on the head and both verdicts, and why it is harmless."""

    is_it: Callable[[bytes, Verdict, Verdict], bool]
    reason: str


# What is not listed here is a failure; docs/adr/0004-where-the-parsers-differ.md is about these.
DIFFERENCES = (
    Difference(
        lambda raw, ours, theirs: (
            raw.startswith(b"HTTP/")
            and re.search(rb"(?i)\r\ntransfer-encoding:[ \t]*chunked[ \t]*\t[ \t]*\r\n", raw) is not None
            and isinstance(ours, tuple)
            and ours[2][b"transfer-encoding"].lower() == b"chunked"
            and theirs == GARBLED
        ),
        "an answer whose coding is followed by a tab is chunked to httptools and garbled to h11",
    ),
)

START_LINES = [
    *(method + b" /v1 HTTP/1.1" for method in sorted(METHODS)),
    *[b"POST /v1/chat HTTP/1.1", b"GET / HTTP/1.0", b"OPTIONS * HTTP/1.1", b"GET http://h/x?y HTTP/1.1"] * 6,
    *[b"GET /a?b=%41{}|^` HTTP/1.1", b"GET /\xc3 HTTP/1.1", b"FOO / HTTP/1.1", b"GET / HTTP/2.0", b"GET  / HTTP/1.1"],
]
STATUS_LINES = [
    *[b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK"] * 12,
    *(b"HTTP/1.1 %d x" % status for status in (0, 99, 100, 101, 103, 204, 206, 304, 404, 503, 599, 600, 999, 1000)),
    *[b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200  OK ", b"HTTP/1.1 200 \x80\t\xff", b"HTTP/1.1 200\tOK"],
    *[
        b"HTTP/2.0 200 OK",
        b"HTTP/0.9 200 OK",
        b"HTTP/1.2 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/1.1  200 OK",
        b"ICE/1.0 200 x",
    ],
]
NAMES = [
    *[b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"X"] * 3,
    *[
        b"host",
        b"CONTENT-LENGTH",
        b"transfer_encoding",
        b"Upgrade",
        b"Expect",
        b"Proxy-Connection",
        b"TE",
        b"Keep-Alive",
    ],
    *[
        b"",
        b"X Y",
        b"X ",
        b" X",
        b"\tX",
        b"X\x80",
        b"X\x00",
        b"!#$%&'*+-.^_`|~1a",
        b"X(",
        b'"X"',
        b"Trailer",
        b"Content-Length ",
    ],
]
VALUES = [
    *[b"h", b"5", b"chunked", b"close", b"keep-alive", b"", b"a b"] * 3,
    *[b"Chunked", b"gzip, chunked", b"identity", b"identity, chunked", b",chunked", b"chunked,", b"chunked, chunked"],
    *[b"chunked\t", b"chunked ", b"xchunked", b"chunked;a=b", b'"chunked"', b"gzip", b"chunked, gzip", b"br,  chunked"],
    *[
        b"0005",
        b"0" * 19,
        b"0" * 27 + b"2",
        b"9" * 18,
        b"9" * 19,
        b"9" * 40,
        b"18446744073709551616",
        b"+2",
        b"-1",
        b"0x2",
    ],
    *[b"2, 2", b"2 3", b"5 ", b"5\t", b"\x0b5", b"5\x0c", b"\xb2", b"upgrade", b"Upgrade, HTTP2-Settings", b"h2c"],
    *[
        b"websocket",
        b"100-continue",
        b"x\r\n y",
        b"x\r\n\ty",
        b"\r\n x",
        b"a\rb",
        b"a\nb",
        b"a\x00b",
        b"a\x01b",
        b"a\x7fb",
    ],
    *[b"\x80\xff", b"\xa0", b"\x85", b" \t ", b"a" * 300, b"trailers", b"u@h", b"a/b", b"close, upgrade"],
]
line_ends = st.sampled_from([b"\r\n"] * 24 + [b"\n", b"\r", b"\r\r\n", b"\r\n\r", b"\n\r\n", b"\x0b\r\n", b"\x00\r\n"])
separators = st.sampled_from([b": "] * 8 + [b":", b":\t", b":  ", b" : ", b"\t:", b"", b"::", b" ", b": \t ", b":\x0b"])
fields = st.builds(
    lambda *parts: b"".join(parts), st.sampled_from(NAMES), separators, st.sampled_from(VALUES), line_ends
)
hosts = st.sampled_from(
    [b"Host: h\r\n"] * 8 + [b"", b"Host:h\r\n", b"hOST: \r\n", b"Host: a b\r\n", b"Host: h\r\nHost: h\r\n"]
)
flaws = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.integers(0, 2),
        st.one_of(
            st.just(b""),
            st.sampled_from([b"\r", b"\n", b"\0", b" ", b"\t", b":", b",", b"\x7f", b"\x80"]),
            st.binary(max_size=2),
        ),
    ),
    max_size=2,
)


def flawed(raw: bytes, what: list[tuple[int, int, bytes]]) -> bytes:
    """Return a head with bytes inserted, removed and replaced, cut behind its end."""
    for place, size, instead in what:
        at = place % len(raw)
        raw = raw[:at] + instead + raw[at + size :]
    raw = raw.lstrip(b"\r\n") + b"\r\n\r\n"
    return raw[: raw.index(b"\r\n\r\n") + 4]


def heads(lines: list[bytes], host: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return complete heads that begin with one of these lines, many of them damaged."""
    return st.builds(
        lambda line, end, first, rest, what: flawed(b"".join([line, end, first, *rest, b"\r\n"]), what),
        st.sampled_from(lines),
        line_ends,
        host,
        st.lists(fields, max_size=4),
        st.one_of(st.just([]), flaws),
    )


def request_verdict(raw: bytes, parser: HeadParser) -> Verdict:
    """Return all that a request's head says, or the status it is refused with."""
    try:
        head = read_request(raw, LIMITS, parser)
    except Refused as refusal:
        return refusal.status
    line = (head.method, head.target, head.minor)
    return (*line, head.length, head.is_keep_alive, head.expects_continue, head.fields)


def response_verdict(raw: bytes, parser: HeadParser) -> Verdict:
    """Return all that an answer's head says, or that it is garbled."""
    try:
        status, minor, found = parser.response_fields(raw)
        return status, minor, found, response_length(b"GET", status, found), response_length(b"HEAD", status, found)
    except UpstreamGarbled:
        return GARBLED


def check_agreement(raw: bytes, verdict: Callable[[bytes, HeadParser], Verdict]) -> None:
    """Assert that both verdicts are the same, or that their difference is listed."""
    ours, theirs = verdict(raw, HTTPTOOLS), verdict(raw, H11)
    event("accepted" if isinstance(ours, tuple) else f"refused: {ours}")
    assert ours == theirs or any(difference.is_it(raw, ours, theirs) for difference in DIFFERENCES)


@FUZZ
@given(raw=heads(START_LINES, hosts))
def test_parsers_agree_on_requests(raw: bytes) -> None:
    """Each hostile request is refused with the same status, or accepted with the same meaning."""
    check_agreement(raw, request_verdict)


@FUZZ
@given(raw=heads(STATUS_LINES, st.just(b"")))
def test_parsers_agree_on_answers(raw: bytes) -> None:
    """Each hostile answer is garbled to both parsers, or says the same to both."""
    check_agreement(raw, response_verdict)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: str(difference.reason))
def test_listed_difference_exists(difference: Difference) -> None:
    """A difference that is gone, because a parser changed, is taken off the list."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n"
    assert difference.is_it(raw, response_verdict(raw, HTTPTOOLS), response_verdict(raw, H11))
