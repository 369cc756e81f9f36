"""Heads: what is written, what may travel on, and who keeps a connection open."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from busbar_fast.clock import DateLine
from busbar_fast.wire.heads import (
    CHUNKED,
    HOP_BY_HOP,
    REASONS,
    STATUS_LINES,
    UNTIL_CLOSE,
    Fields,
    HeadWriter,
    RequestHead,
    ResponseHead,
    encode_fields,
    end_to_end,
    has_body,
    is_keep_alive,
    is_safe_value,
    select_fields,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
EPOCH = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> HeadWriter:
    """Return a writer at the beginning of time."""
    monkeypatch.setattr("time.time", lambda: 0.5)
    return HeadWriter(DateLine())


@pytest.mark.parametrize(
    ("status", "fields", "framing", "close", "body", "raw"),
    [
        (200, b"", b"", False, b"", b"HTTP/1.1 200 OK\r\n" + EPOCH + b"\r\n"),
        (
            404,
            b"A: b\r\n",
            b"Content-Length: 2\r\n",
            True,
            b"no",
            b"HTTP/1.1 404 Not Found\r\n" + EPOCH + b"A: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        ),
        (599, b"", b"", False, b"", b"HTTP/1.1 599 Status 599\r\n" + EPOCH + b"\r\n"),
    ],
)
def test_head_is_encoded(
    writer: HeadWriter, status: int, fields: bytes, framing: bytes, close: bool, body: bytes, raw: bytes
) -> None:
    """Status line, date, fields, framing and the end stand in this order, and the body follows."""
    assert writer.encode(status, fields, framing, close=close, body=body) == raw


def test_every_status_has_a_line() -> None:
    """Each status from 100 to 599 has one line with a reason."""
    assert list(STATUS_LINES) == list(range(100, 600))
    for status, line in STATUS_LINES.items():
        assert line == f"HTTP/1.1 {status} {REASONS.get(status, f'Status {status}')}\r\n".encode()


@pytest.mark.parametrize(
    ("minor", "connection", "is_kept"),
    [
        (1, None, True),
        (0, None, False),
        (1, b"keep-alive", True),
        (0, b"keep-alive", False),
        (0, b"Keep-Alive", False),
        (1, b"close", False),
        (0, b"close", False),
        (1, b"CLOSE", False),
        (1, b"keep-alive, close", False),
        (1, b"close,keep-alive", False),
        (0, b"keep-alive ,\tClose", False),
        (0, b"upgrade, keep-alive", False),
        (0, b"upgrade", False),
        (1, b"upgrade", True),
        (1, b"Upgrade, HTTP2-Settings", True),
        (1, b"", True),
        (0, b"", False),
        (1, b",", True),
        (1, b"closed", True),
        (1, b"not-close", True),
        (0, b"keep-alivex", False),
    ],
)
def test_keep_alive(minor: int, connection: bytes | None, is_kept: bool) -> None:
    """Operations §3.3: 1.1 stays open by default, 1.0 never does, and `close` anywhere in the list wins."""
    assert is_keep_alive(minor, connection) is is_kept


@pytest.mark.parametrize(
    ("status", "has_one"),
    [(100, False), (199, False), (200, True), (204, False), (205, True), (304, False), (599, True)],
)
def test_which_answers_have_a_body(status: int, has_one: bool) -> None:
    """Interim answers, 204 and 304 have none."""
    assert has_body(status) is has_one


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\0b", b"\r\n", b"\n", b"x\r\nSet-Cookie: y"])
def test_unsafe_value_is_left_out(value: bytes) -> None:
    """Operations §3.3, case 34: a value with CR, LF or NUL is never written, and its neighbours are."""
    assert not is_safe_value(value)
    assert encode_fields([(b"A", b"1"), (b"B", value), (b"C", b"")]) == b"A: 1\r\nC: \r\n"


@PROPERTY
@given(value=st.binary(max_size=12))
def test_written_value_stays_in_its_line(value: bytes) -> None:
    """Whatever the bytes are, what is written is one line or none."""
    raw = encode_fields([(b"A", value)])
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n") == (1 if raw else 0)
    assert b"\0" not in raw
    assert (raw != b"") is is_safe_value(value)


def test_fields_are_selected_in_the_order_asked_for() -> None:
    """Only what is allowed and there is relayed, under the name it is asked for by."""
    fields = {b"b": b"2", b"a": b"1", b"c": b"3"}
    assert select_fields(fields, (b"a", b"x", b"b")) == b"a: 1\r\nb: 2\r\n"
    assert select_fields(fields, ()) == b""


@pytest.mark.parametrize(
    ("connection", "left"),
    [
        (None, {b"x-a", b"x-b", b"content-type"}),
        (b"close", {b"x-a", b"x-b", b"content-type"}),
        (b"X-A", {b"x-b", b"content-type"}),
        (b"keep-alive, x-a ,\tX-B,", {b"content-type"}),
    ],
)
def test_only_end_to_end_fields_travel_on(connection: bytes | None, left: set[bytes]) -> None:
    """Neither the hop-by-hop fields nor what `Connection` names goes beyond the next hop."""
    fields: Fields = dict.fromkeys([*HOP_BY_HOP, b"x-a", b"x-b", b"content-type"], b"v")
    del fields[b"connection"]
    if connection is not None:
        fields[b"connection"] = connection
    kept = end_to_end(fields)
    assert kept == dict.fromkeys(left, b"v")
    assert len(fields) > len(kept)


def test_head_for_another_length_shares_all_else() -> None:
    """The copy differs in the length only, and for the same length there is none."""
    head = RequestHead(b"POST", b"/v1", 1, {b"host": b"h"})
    head.length, head.is_keep_alive = 5, True
    assert head.with_length(5) is head
    other = head.with_length(7)
    assert (other.length, head.length) == (7, 5)
    assert (other.method, other.target, other.minor, other.is_keep_alive) == (b"POST", b"/v1", 1, True)
    assert other.fields is head.fields
    assert not other.expects_continue


def test_heads_can_be_printed() -> None:
    """A head shows its line and its length, and no field, which may hold a credential."""
    request, answer = RequestHead(b"GET", b"/", 0, {b"a": b"secret"}), ResponseHead(200, 1, {b"a": b"secret"})
    assert repr(request) == "<b'GET' b'/' HTTP/1.0 length=0>"
    assert repr(answer) == "<200 HTTP/1.1 length=0>"
    assert (answer.is_keep_alive, {CHUNKED, UNTIL_CLOSE}) == (False, {-1, -2})
