"""What any bytes say of an upstream's refusal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.registry import speak_all
from busbar_fast.dialects.upstream_errors import (
    BODY_CAP_BYTES,
    LONGEST_WAIT_S,
    Envelope,
    UpstreamError,
    counted_status,
    find_texts,
    find_value,
    lowered,
    read_retry_after,
    round_up,
    trimmed,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)
NOW_S = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
DEEP = b'{"error":{"code":"quota","message":"m","details":' + b"[" * 200_000
TOKENS = b'{}[]":,\\\n "error" "code" "message" "type" "status" 12 -1e999 null \xff \xed\xa0\x80 "\\ud800"'.split(b" ")


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        (b"90", 90),
        (b" 0 ", 0),
        (b"007", 7),
        (b"9" * 20, LONGEST_WAIT_S),
        (b"1" * 9000, LONGEST_WAIT_S),
        (b"Sun, 06 Nov 1994 08:51:07 GMT", 90),
        (b"Sunday, 06-Nov-94 08:51:07 GMT", 90),
        (b"Sun Nov  6 08:51:07 1994", 90),
        (b"Sun, 06 Nov 1994 08:49:36 GMT", 0),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (b"Fri, 31 Dec 9999 23:59:60 GMT", LONGEST_WAIT_S),
        (b"Fri, 31 Feb 2096 08:49:37 GMT", None),
        (b"Wed, 30 Feb 2095 08:49:37 GMT", None),
        (b"Wed, 29 Feb 2096 08:49:37 GMT", LONGEST_WAIT_S),
        (b"Tue, 29 Feb 2095 08:49:37 GMT", None),
        (b"Monday, 06-Nov-95 08:49:37 GMT", 31_536_000),
        (b"Sunday, 06-Nov-60 08:49:37 GMT", 0),
        (b"", None),
        (b"-5", None),
        (b"+5", None),
        (b"1.5", None),
        (b"5s", None),
        (b"5, 5", None),
        (b"1" * 10_001, None),
        (b"soon", None),
        (b"\xff\xfe", None),
        (b"Sun, 06 Nov 1994 08:49:37 PST", None),
        (b"Sun, 06 Nov 0000 08:49:37 GMT", None),
        (b"Sun, 00 Nov 1994 08:49:37 GMT", None),
        (b"Sun, 32 Nov 1994 08:49:37 GMT", None),
        (b"Sun, 06 Nix 1994 08:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 24:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 08:60:37 GMT", None),
        (b"Sun, 06 Nov 1994 08:49:61 GMT", None),
        (b"Sun Nov    08:51:07 1994", None),
    ],
)
def test_the_time_to_wait_is_read_in_every_form(value: bytes, wait_s: int | None) -> None:
    """Reliability case 39: whole seconds and three forms of date; a past one is no wait, anything else is absent."""
    assert read_retry_after({b"retry-after": value}, NOW_S) == wait_s


def test_a_part_of_a_second_is_waited_out() -> None:
    """Reliability case 39: dates have whole seconds, and our clock has not."""
    assert read_retry_after({b"retry-after": b"Sun, 06 Nov 1994 08:49:39 GMT"}, NOW_S + 0.5) == 2


@pytest.mark.parametrize(
    ("fields", "wait_s"),
    [
        ({}, None),
        ({b"retry-after-ms": b"1"}, 1),
        ({b"retry-after-ms": b"2000"}, 2),
        ({b"retry-after-ms": b" 2000.25"}, 3),
        ({b"retry-after-ms": b"2000.0"}, 2),
        ({b"retry-after-ms": b"0"}, 0),
        ({b"retry-after-ms": b"-1"}, None),
        ({b"retry-after-ms": b"soon"}, None),
        ({b"retry-after": b"7", b"retry-after-ms": b"2000"}, 7),
        ({b"retry-after": b"soon", b"retry-after-ms": b"2000"}, 2),
    ],
)
def test_milliseconds_are_rounded_up_and_come_second(fields: dict[bytes, bytes], wait_s: int | None) -> None:
    """Reliability D9: the head in seconds counts first, then the one in milliseconds."""
    assert read_retry_after(fields, NOW_S) == wait_s


@pytest.mark.parametrize(
    ("amount", "seconds"), [(b"3", 3), (b"3.0", 3), (b"3.000001", 4), (b"0.5", 1), (b".5", None), (b"1e3", None)]
)
def test_amounts_are_rounded_up(amount: bytes, seconds: int | None) -> None:
    """Reliability D9: nobody comes back too early."""
    assert round_up(amount) == seconds
    assert round_up(b"9" * 9) == 999_999_999


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        (b'{"error":{"code":"a","type":"b","status":"c","message":"d"}}', ("a", "b", "c", "d")),
        (b'{"error":{"code":1113,"message":"d"},"code":7,"message":"x"}', ("1113", None, None, "d")),
        (b'{"code":400,"message":"d","type":"BadRequestError"}', ("400", None, None, "d")),
        (b'{"error":{"code":null,"message":""},"code":-3,"message":"d"}', ("-3", None, None, "d")),
        (b'{"error":"no such model"}', (None, None, None, "no such model")),
        (b'{"error":"Bad Request","message":"d"}', (None, None, None, "d")),
        (b'{"error":{"code":1.5,"type":true,"message":["d"]}}', (None, None, None, None)),
        (b'{"error":{"code":12345678901234567890123}}', ("12345678901234567890123", None, None, None)),
        (b'{"error":{"code":"a"},"error":{"code":"b"}}', ("b", None, None, None)),
        (b'{"err\\u006fr":{"c\\u006fde":"\\u0061"}}', ("a", None, None, None)),
        (b'{"error":{"message":"tap\xc3\xa9 \xff"}}', (None, None, None, "tap\u00e9 \ufffd")),
        (b'{"error":{"message":"\\ud800"}}', (None, None, None, "\ud800")),
        (b'{"error":{"message":"\\x"}}', (None, None, None, None)),
        (b'{"error":{"code":"a","message":"cut he', ("a", None, None, None)),
        (b'{"error":{"code":"a","details":{"x":[1,', ("a", None, None, None)),
        (b'{"error":{"code":"a"} oops', ("a", None, None, None)),
        (b'[{"error":{"code":"a"}}]', (None, None, None, None)),
        (b"<html>no</html>", (None, None, None, None)),
        (b"", (None, None, None, None)),
        (b"null", (None, None, None, None)),
        (DEEP[:BODY_CAP_BYTES], ("quota", None, None, "m")),
    ],
)
def test_the_parts_of_an_envelope_are_found(document: bytes, parts: tuple[str | None, ...]) -> None:
    """Reliability D8: whole numbers are texts, members beside `error` stand in, and what broke off counts so far."""
    envelope = Envelope(document)
    assert (envelope.code, envelope.type, envelope.status, envelope.message) == parts


def test_a_body_is_looked_at_up_to_a_size() -> None:
    """Reliability §4: 256 KiB at most, without what may stand in front of a document."""
    assert trimmed(b'\xef\xbb\xbf [{"a":1}]') == b'{"a":1}]'
    assert len(trimmed(b"x" * (BODY_CAP_BYTES + 1))) == BODY_CAP_BYTES == 262_144
    assert lowered(b"A\xffB") == "a\ufffdb"


def test_a_value_is_found_as_far_as_it_is_there() -> None:
    """Reliability §4: the last of several members of a name counts, also if it is cut."""
    assert find_value(b'{"a":1,"a":{"b":2}}', b"a") == b'{"b":2}'
    assert find_value(b'{"a":1,"a":{"b":', b"a") == b'{"b":'
    assert find_value(b'{"a":1}', b"b") == b""
    assert find_texts(b'{"a":"","b":"x","c":3,"d":{}}', (b"a", b"b", b"c", b"d")) == {b"b": "x", b"c": "3"}


@pytest.mark.parametrize(
    ("status", "signals", "counted"),
    [
        (404, ("quota",), 404),
        (302, (), 302),
        (200, ("quota", "other"), 402),
        (200, (None, "other"), 418),
        (200, ("unheard of", None), 500),
        (200, (), 500),
    ],
)
def test_a_failure_inside_a_stream_has_the_status_it_stands_for(
    status: int, signals: tuple[str | None, ...], counted: int
) -> None:
    """Reliability D22: it came with a success, so its own signals say what it is; one unheard of is the server's."""
    assert counted_status(status, {"quota": 402, "other": 418}, *signals) == counted


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join),
    st.sampled_from([200, 302, 400, 401, 403, 413, 424, 429, 500, 529]),
    st.dictionaries(st.sampled_from([b"retry-after", b"retry-after-ms", b"x-amzn-errortype"]), st.binary(max_size=40)),
)
@PROPERTY
def test_no_bytes_are_too_odd_for_any_dialect(body: bytes, status: int, fields: dict[bytes, bytes]) -> None:
    """Reliability §4: whatever an upstream sends is read without an exception, in all six dialects."""
    for dialect in speak_all():
        error = dialect.read_error(status, fields, body, NOW_S)
        assert isinstance(error, UpstreamError)
        assert not error.is_context_length or error.status in (400, 413)


@pytest.mark.parametrize("body", [DEEP, b"[" * 300_000, b'{"error":' * 100_000, b"9" * 300_000, b'"' * 300_000])
def test_no_body_is_too_large_for_any_dialect(body: bytes) -> None:
    """Reliability §4: nesting, numbers and sizes that would choke a parser are survived."""
    for dialect in speak_all():
        error = dialect.read_error(400, {}, body, NOW_S)
        assert (error.status, error.is_context_length, error.retry_after_s) == (400, False, None)
