"""Request heads: every refusal of operations chapter 3, with both parsers and for every split of the bytes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from busbar_fast.errors import Refused
from busbar_fast.wire.heads import CHUNKED, Fields, RequestHead
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.parsers import HeadParser
from busbar_fast.wire.parsers.h11_heads import PARSER as H11
from busbar_fast.wire.parsers.httptools_heads import PARSER as HTTPTOOLS
from busbar_fast.wire.requests import METHODS, NO_ANSWER, RequestReader
from tests.wire.twins import every_cut

LIMITS = Limits()
SMALL = replace(LIMITS, max_header_bytes=96, max_request_line_bytes=24, max_headers=3)
BEHIND = b"hello GET"
PROPERTY = settings(derandomize=True, deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])

pytestmark = pytest.mark.parametrize("parser", [HTTPTOOLS, H11], ids=lambda parser: str(parser.name))

Verdict = tuple[Any, ...] | int | None


def facts(head: RequestHead) -> tuple[Any, ...]:
    """Return all that a head says as a value that can be compared."""
    return (
        head.method,
        head.target,
        head.minor,
        head.length,
        head.is_keep_alive,
        head.expects_continue,
        dict(head.fields),
    )


def verdict(pieces: Iterable[bytes], parser: HeadParser, limits: Limits = LIMITS) -> Verdict:
    """Return the first head and all bytes behind it, the status of a refusal, or None when more is wanted."""
    reader = RequestReader(limits, parser)
    found: RequestHead | None = None
    rest = b""
    try:
        for piece in pieces:
            if found is not None:
                rest += piece
            else:
                found = reader.next_head(piece)
                rest = reader.held.peek()
    except Refused as refusal:
        return refusal.status
    return None if found is None else (*facts(found), rest)


def same_verdict(raw: bytes, parser: HeadParser, limits: Limits = LIMITS) -> Verdict:
    """Return the verdict on bytes fed whole, having made sure that every split earns the same."""
    whole = verdict([raw], parser, limits)
    assert [verdict(pieces, parser, limits) for pieces in every_cut(raw)] == [whole] * (len(raw) + 1)
    return whole


def head_of(*lines: bytes, first: bytes = b"POST /v1 HTTP/1.1", host: bytes = b"h") -> bytes:
    """Return a request head with these field lines."""
    return b"\r\n".join([first, *([b"Host: " + host] if host else []), *lines, b"", b""])


def accepted(raw: bytes, parser: HeadParser) -> RequestHead:
    """Return the head of bytes that are accepted with the same meaning for every split, the rest staying behind."""
    assert isinstance(same_verdict(raw + BEHIND, parser), tuple)
    reader = RequestReader(LIMITS, parser)
    head = reader.next_head(raw + BEHIND)
    assert head is not None
    assert reader.held.peek() == BEHIND
    return head


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: chunked", b"content-length: 0"],
        [b"Transfer-Encoding: gzip, chunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: ", b"Content-Length: 5"],
    ],
)
def test_length_and_coding_together_are_refused(parser: HeadParser, lines: list[bytes]) -> None:
    """Operations §3.1, case 15: a body delimited in two ways is refused in either order."""
    assert same_verdict(head_of(*lines) + b"0\r\n\r\n", parser) == 400


@pytest.mark.parametrize(
    "value",
    [
        b"2, 2", b"2,2", b"+2", b"-1", b"0x2", b"2 3", b"", b" ", b"18446744073709551618", b"9223372036854775808",
        b"1e1", b"2.0", b"2_0", b"\xb2", b"2;", b"two", b"0000000000000000002", b"9" * 400, b"0" * 400,
    ],
)  # fmt: skip
def test_bad_length_is_refused(parser: HeadParser, value: bytes) -> None:
    """Operations §3.1, case 16: signs, lists, hex, nothing, overflow and more than 18 digits are no length."""
    assert verdict([head_of(b"Content-Length: " + value)], parser) == 400
    assert same_verdict(head_of(b"content-length:" + value[:30]), parser) == 400


@pytest.mark.parametrize("second", [b"2", b"3", b""])
@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
def test_two_lengths_are_refused(parser: HeadParser, second: bytes, name: bytes) -> None:
    """Operations §3.1, case 16: a second length is refused, whether it is equal or not."""
    assert same_verdict(head_of(b"Content-Length: 2", b"X: y", name + b": " + second) + b"ok", parser) == 400


@pytest.mark.parametrize(
    ("line", "length"),
    [
        (b"Content-Length: 0002", 2),
        (b"Content-Length:7", 7),
        (b"CONTENT-LENGTH: \t 7 \t ", 7),
        (b"content-length: 999999999999999999", 10**18 - 1),
        (b"Content-Length: 0", 0),
        (b"Transfer-Encoding: chunked", CHUNKED),
        (b"transfer-encoding: CHUNKED", CHUNKED),
        (b"Transfer-Encoding:chunked ", CHUNKED),
        (b"X-Content-Length: 5", 0),
        (b"transfer_encoding: chunked", 0),
        (b"content_length: 5", 0),
    ],
)
def test_length_of_an_accepted_head(parser: HeadParser, line: bytes, length: int) -> None:
    """Operations §3.1: leading zeros, blanks and any case are fine, and a name that only resembles one counts not."""
    head = accepted(head_of(line), parser)
    assert head.length == length
    assert b"content-length" not in head.fields


def test_underscored_coding_does_not_frame(parser: HeadParser) -> None:
    """Operations §3.1, case 22: with `transfer_encoding: chunked` beside it the length still counts."""
    assert accepted(head_of(b"transfer_encoding: chunked", b"Content-Length: 5"), parser).length == 5


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"Transfer-Encoding: gzip, chunked"], 501),
        ([b"Transfer-Encoding: gzip,\tdeflate,chunked"], 501),
        ([b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"], 501),
        ([b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: ,chunked"], 400),
        ([b"Transfer-Encoding: chunked,"], 400),
        ([b"Transfer-Encoding: chunked, chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked, gzip"], 400),
        ([b"Transfer-Encoding: chunked, identity"], 400),
        ([b"Transfer-Encoding: xchunked"], 400),
        ([b"Transfer-Encoding: chunkedx"], 400),
        ([b'Transfer-Encoding: "chunked"'], 400),
        ([b"Transfer-Encoding: chunked;q=1"], 400),
        ([b"Transfer-Encoding: chunked\t"], 400),
        ([b"Transfer-Encoding: \x0bchunked"], 400),
        ([b"Transfer-Encoding: chunked\x00"], 400),
        ([b"Transfer-Encoding: gzip"], 400),
        ([b"Transfer-Encoding: identity"], 400),
        ([b"Transfer-Encoding:"], 400),
    ],
)
def test_bad_coding_is_refused(parser: HeadParser, lines: list[bytes], status: int) -> None:
    """Operations §3.1, case 17: only `chunked` alone is a coding, and one that we merely lack is a 501."""
    assert same_verdict(head_of(*lines), parser) == status


@pytest.mark.parametrize("value", [b"chunked", b"gzip, chunked"])
@pytest.mark.parametrize("host", [b"h", b""])
def test_coding_in_an_old_request_is_refused(parser: HeadParser, value: bytes, host: bytes) -> None:
    """Operations §3.1, case 17: HTTP/1.0 knows no transfer coding."""
    raw = head_of(b"Transfer-Encoding: " + value, first=b"POST /v1 HTTP/1.0", host=host)
    assert same_verdict(raw, parser) == 400


@pytest.mark.parametrize(
    "raw",
    [
        head_of(b"X: a", b" b"),
        head_of(b"X: a", b"\tb"),
        head_of(b"X:", b" b"),
        b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        b"GET / HTTP/1.1\r\n\tHost: h\r\n\r\n",
        b"GET / HTTP/1.1\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\n\r\n",
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\rHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\r\n\r\n",
        b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        head_of(b"X: a\x00b"),
        head_of(b"X: a\x01b"),
        head_of(b"X: a\x7fb"),
        head_of(b"X: a\x0bb"),
        head_of(b"X\x00: a"),
        head_of(b"X : a"),
        head_of(b"X\t: a"),
        head_of(b"Content-Length : 5"),
        head_of(b"Transfer-Encoding : chunked"),
        head_of(b": a"),
        head_of(b"X Y: a"),
        head_of(b"X\x80: a"),
        head_of(b"X(Y): a"),
        head_of(b"X"),
        head_of(b"X;y"),
    ],
)
def test_bad_field_line_is_refused(parser: HeadParser, raw: bytes) -> None:
    """Operations §3.1, case 18: folds, bare line ends, control bytes, odd names and missing colons are refused."""
    assert same_verdict(raw, parser) == 400


@pytest.mark.parametrize(
    "host", [b"a b", b"a/b", b"u@h", b"h,h", b"a\\b", b'"h"', b"<h>", b"h#x", b"h?x", b"\xe4.test", b"h\x7f"]
)
def test_bad_host_is_refused(parser: HeadParser, host: bytes) -> None:
    """Operations §3.1, case 19: a host holds nothing that could be a list, a path or a user."""
    assert same_verdict(head_of(host=host), parser) == 400


def test_number_of_hosts(parser: HeadParser) -> None:
    """Operations §3.1, case 19: HTTP/1.1 wants exactly one host, HTTP/1.0 none or one."""
    assert same_verdict(head_of(host=b""), parser) == 400
    assert same_verdict(head_of(b"Host: h"), parser) == 400
    assert same_verdict(head_of(b"host: "), parser) == 400
    assert same_verdict(head_of(b"Host:", b"Host:", host=b""), parser) == 400
    assert same_verdict(head_of(b"Host: h", first=b"GET / HTTP/1.0"), parser) == 400
    assert accepted(head_of(first=b"GET / HTTP/1.0", host=b""), parser).minor == 0
    assert accepted(head_of(first=b"GET / HTTP/1.0"), parser).fields == {b"host": b"h"}


@pytest.mark.parametrize("host", [b"h", b"h:8080", b"[::1]:80", b"127.0.0.1", b"a-b.c_d~e%20"])
def test_good_host_is_accepted(parser: HeadParser, host: bytes) -> None:
    """Names, ports, addresses and escapes are hosts."""
    assert accepted(head_of(host=host), parser).fields == {b"host": host}


def test_high_bytes_in_a_value_are_opaque(parser: HeadParser) -> None:
    """Operations §3.1: bytes from 0x80 in a value are passed through as they came."""
    value = bytes(range(0x80, 0x100))
    assert accepted(head_of(b"X: " + value), parser).fields[b"x"] == value


def test_values_are_trimmed_and_joined(parser: HeadParser) -> None:
    """Blanks around a value go, inner ones stay, and repeated fields are joined in order."""
    fields = accepted(head_of(b"A: \t x \t y\t ", b"B:", b"a:z", b"B: ", b"C: \t "), parser).fields
    assert fields == {b"host": b"h", b"a": b"x \t y, z", b"b": b", ", b"c": b""}


def test_trailer_stays_with_the_body(parser: HeadParser) -> None:
    """Operations §3.1, case 21: what follows the head is never read as a field."""
    body = b"0\r\nHost: evil\r\nx-admin-token: right\r\n\r\n"
    found = same_verdict(head_of(b"Transfer-Encoding: chunked") + body, parser)
    assert found is not None
    assert found == (b"POST", b"/v1", 1, CHUNKED, True, False, {b"host": b"h", b"transfer-encoding": b"chunked"}, body)


@pytest.mark.parametrize(
    "line",
    [
        b"GET  /healthz HTTP/1.1", b"GET /healthz  HTTP/1.1", b" GET / HTTP/1.1", b"GET / HTTP/1.1 ",
        b"GET\t/ HTTP/1.1", b"*",
        b"GET /a#b HTTP/1.1", b"GET /a\\b HTTP/1.1", b"GET /%00 HTTP/1.1", b"GET /%zz HTTP/1.1", b"GET /% HTTP/1.1",
        b"GET /%4 HTTP/1.1", b"GET /?q=%0 HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /\x01 HTTP/1.1", b"GET /\x7f HTTP/1.1",
        b"GET /\xc3\xa4 HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET h HTTP/1.1", b"GET ?x HTTP/1.1", b"GET  HTTP/1.1",
        b"GET", b"GET ftp://h/ HTTP/1.1", b"GET h:80 HTTP/1.1", b"G(T / HTTP/1.1", b"GET /\x1b HTTP/1.1",
        b"GET / HTTP/1.2", b"GET / HTTP/1.10", b"GET / http/1.1", b"GET / HTTP/01.1", b"GET / HTTP/1.1x",
        b"GET / HTTP/1", b"GET / HTTP/", b"GET / XTTP/1.1", b"GET / HTTP/0.8", b"GET / HTTP 1.1", b"GET / HTTP/10.0",
    ],
)  # fmt: skip
def test_malformed_request_line_is_refused(parser: HeadParser, line: bytes) -> None:
    """Operations §3.2, case 23: spaces, odd bytes, bad escapes, odd targets and odd versions are refused."""
    assert same_verdict(head_of(first=line), parser) == 400


@pytest.mark.parametrize(
    "target", [b"/%2F", b"/a%2fb", b"/a/../b", b"//a", b"/?a=%41{}|^`[]\"'<>", b"/", b"/a:b@c;d=e"]
)
def test_target_is_left_as_it_came(parser: HeadParser, target: bytes) -> None:
    """Operations §3.2: escapes, dot segments and doubled slashes are neither resolved nor refused."""
    assert accepted(head_of(first=b"GET %b HTTP/1.1" % target), parser).target == target


def test_methods(parser: HeadParser) -> None:
    """Operations §3.2, case 24: known methods pass to the routes, CONNECT is a 405, the rest a 501."""
    for method in METHODS - {b"CONNECT"}:
        found = verdict([head_of(first=method + b" /v1 HTTP/1.1")], parser)
        assert isinstance(found, tuple)
        assert found[:2] == (method, b"/v1")
    for method in (b"FOO", b"get", b"Get", b"GETX", b"PRI", b"X-Y", b"9"):
        assert same_verdict(head_of(first=method + b" / HTTP/1.1"), parser) == 501
    for target in (b"a:80", b"/", b"*", b"h", b"http://h/"):
        assert same_verdict(head_of(first=b"CONNECT %b HTTP/1.1" % target), parser) == 405


@pytest.mark.parametrize(
    "line",
    [
        b"GET /", b"GET / HTTP/0.9", b"GET / HTTP/2.0", b"GET / HTTP/2", b"GET / HTTP/3", b"GET / HTTP/3.0",
        b"OPTIONS rtsp://h RTSP/1.0", b"GET / RTSP/1.0", b"SOURCE /live ICE/1.0", b"PRI * HTTP/2.0", b"FOO /",
    ],
)  # fmt: skip
def test_other_protocols_are_refused(parser: HeadParser, line: bytes) -> None:
    """Operations §3.2, case 25: HTTP/0.9, HTTP/2, RTSP and ICE are a 505, as soon as the line is there."""
    assert same_verdict(line + b"\r\n\r\nSM\r\n\r\n", parser) == 505
    assert same_verdict(line + b"\r\n", parser) == 505


def test_tls_hello_gets_no_answer(parser: HeadParser) -> None:
    """Operations §3.2, case 25: the first byte of a TLS handshake ends it, wherever line ends follow."""
    for rest in (b"", b"\x03\x01\x02\x00\x01\x00", b"\x03\r\n\r\n", b"\n\r\n\r\n", b"\r\n", b"\r" * 200):
        assert same_verdict(b"\x16" + rest, parser) == NO_ANSWER
        assert same_verdict(b"\r\n\x16" + rest, parser, SMALL) == NO_ANSWER


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (b"GET http://h/p?q HTTP/1.1", b"/p?q"),
        (b"GET HTTP://H/p HTTP/1.1", b"/p"),
        (b"GET https://h HTTP/1.1", b"/"),
        (b"GET http://h?q HTTP/1.1", b"/?q"),
        (b"OPTIONS * HTTP/1.1", b"*"),
    ],
)
def test_other_forms_of_target(parser: HeadParser, line: bytes, target: bytes) -> None:
    """Operations §3.2, case 26: of an absolute form the path counts, and an asterisk belongs to OPTIONS."""
    assert accepted(head_of(first=line), parser).target == target


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://other/p HTTP/1.1", b"GET http://h:80/p HTTP/1.1", b"GET http://u@h/p HTTP/1.1", b"GET * HTTP/1.1",
        b"GET http:///p HTTP/1.1", b"GET http://h.evil/p HTTP/1.1", b"GET http:/h/p HTTP/1.1", b"POST * HTTP/1.1",
        b"GET http://h%zz/ HTTP/1.1", b"GET http://h/#f HTTP/1.1", b"OPTIONS *x HTTP/1.1",
    ],
)  # fmt: skip
def test_target_that_disagrees_with_the_host_is_refused(parser: HeadParser, line: bytes) -> None:
    """Operations §3.2, case 26: authority and host are the same, or the request is refused."""
    assert same_verdict(head_of(first=line), parser) == 400


def test_absolute_target_without_a_host(parser: HeadParser) -> None:
    """An old client that names the host in the target only is served, unless it names no host at all."""
    assert accepted(head_of(first=b"GET http://any/p HTTP/1.0", host=b""), parser).target == b"/p"
    assert same_verdict(head_of(first=b"GET http://u@h/p HTTP/1.0", host=b""), parser) == 400
    assert same_verdict(head_of(first=b"GET http:// HTTP/1.0", host=b""), parser) == 400


@pytest.mark.parametrize("size", [24, 25, 26])
def test_length_of_the_target_is_limited(parser: HeadParser, size: int) -> None:
    """Operations §2, case 8: a target at the limit passes, a longer one is a 414."""
    raw = head_of(first=b"GET /%b HTTP/1.1" % (b"a" * (size - 1)))
    found = same_verdict(raw, parser, SMALL)
    assert found == 414 if size > 24 else isinstance(found, tuple)


@pytest.mark.parametrize(
    "first", [b"GET /", b"G" * 60, b"FOO /", b"get http://h/", b"GET " * 9, b"\x00" * 50, b"GET /%zz"]
)
@pytest.mark.parametrize("tail", [b"", b"\n", b"\r", b"\r\n", b"a\r\r\n\r\n", b" HTTP/1.1\r\n\r\n", b"\n\r\n\r\n"])
def test_overlong_request_line_is_judged_the_same_for_every_split(
    parser: HeadParser, first: bytes, tail: bytes
) -> None:
    """Operations §2, case 8: around the longest line we read, no split changes the status."""
    for size in range(50, 62):
        line = first + b"a" * max(0, size - len(first))
        found = same_verdict(line + tail, parser, SMALL)
        assert found in ({400, 414, 501, 505} if len(line) > 57 else {None, 400, 414, 501, 505})


@pytest.mark.parametrize("size", [95, 96, 97, 98, 99])
def test_size_of_the_head_is_limited(parser: HeadParser, size: int) -> None:
    """Operations §2, case 8: a head at the limit passes, a larger one is a 431, blank lines counted."""
    raw = head_of(b"X: " + b"a" * (size - len(head_of(b"X: "))))
    assert len(raw) == size
    for whole in (raw, b"\r\n" * 10 + raw.replace(b"a" * 20, b"", 1)):
        assert len(whole) == size
        found = same_verdict(whole + b"rest", parser, SMALL)
        assert found == 431 if size > 96 else isinstance(found, tuple)


@pytest.mark.parametrize("lines", range(46, 52))
def test_blank_lines_without_end_are_refused(parser: HeadParser, lines: int) -> None:
    """Operations §2: empty lines before a request count towards the size of its head."""
    for odd in (0, 1):
        limits = replace(SMALL, max_header_bytes=96 + odd)
        for tail in (b"", b"\r", b"\rX", b"G", b"\x16", b"\n"):
            found = same_verdict(b"\r\n" * lines + tail, parser, limits)
            refused = {431, 400 if tail in {b"\n", b"\rX"} else 431, NO_ANSWER if tail == b"\x16" else 431}
            assert found in (refused if 2 * lines + len(tail) > 96 + odd else refused ^ {None, 431})


def test_number_of_fields_is_limited(parser: HeadParser) -> None:
    """Operations §2, case 8: fields at the limit pass, one more is a 431."""
    lines = [b"X: y"] * 99
    assert isinstance(verdict([head_of(*lines)], parser), tuple)
    assert verdict([head_of(*lines, b"X: y")], parser) == 431
    assert same_verdict(head_of(b"X: y", b"X: y", b"X: y"), parser, SMALL) == 431
    assert same_verdict(head_of(b"X: y", b"X: y", b"X: \ny"), parser, SMALL) == 400


def test_default_limits(parser: HeadParser) -> None:
    """Operations §2, case 8: 65537 bytes are a 431 and a target of 16385 is a 414, one less passes."""
    for size in (65536, 65537):
        raw = head_of(b"X: " + b"a" * (size - len(head_of(b"X: "))))
        pieces = [raw[at : at + 4096] for at in range(0, size, 4096)]
        found = verdict([raw], parser)
        assert verdict(pieces, parser) == found
        assert found == 431 if size == 65537 else isinstance(found, tuple)
    assert verdict([head_of(first=b"GET /%b HTTP/1.1" % (b"a" * 16384))], parser) == 414
    assert isinstance(verdict([head_of(first=b"GET /%b HTTP/1.1" % (b"a" * 16383))], parser), tuple)


def test_head_in_single_bytes_costs_linear_work(parser: HeadParser) -> None:
    """A head at the size limit that comes byte by byte is searched once, not once a byte."""
    raw = head_of(b"X: " + b"a" * (65536 - len(head_of(b"X: "))))
    assert verdict((raw[at : at + 1] for at in range(len(raw))), parser) == verdict([raw], parser)


@pytest.mark.parametrize(
    ("first", "connection", "is_kept"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"close", False),
        (b"GET / HTTP/1.1", b"keep-alive, Close", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"Keep-Alive", False),
    ],
)
def test_keep_alive_of_a_request(parser: HeadParser, first: bytes, connection: bytes, is_kept: bool) -> None:
    """Operations §3.3: HTTP/1.1 stays open unless it says close, HTTP/1.0 always closes."""
    lines = [b"Connection: " + connection] if connection else []
    assert accepted(head_of(*lines, first=first), parser).is_keep_alive is is_kept


def test_upgrade_is_ignored_and_the_body_stays(parser: HeadParser) -> None:
    """Operations §3.3, case 31: a POST with `Upgrade: h2c` keeps its body, by length and chunked."""
    upgrade = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"]
    assert accepted(head_of(*upgrade, b"Content-Length: 5"), parser).length == 5
    assert accepted(head_of(*upgrade, b"Transfer-Encoding: chunked"), parser).length == CHUNKED
    assert accepted(head_of(b"Connection: upgrade", b"Upgrade: websocket"), parser).is_keep_alive


@pytest.mark.parametrize(
    ("lines", "minor", "expected"),
    [
        ([b"Expect: 100-continue", b"Content-Length: 5"], 1, True),
        ([b"Expect: 100-Continue", b"Transfer-Encoding: chunked"], 1, True),
        ([b"Expect: 100-continue"], 1, False),
        ([b"Expect: 100-continue", b"Content-Length: 5"], 0, False),
        ([b"Expect: x", b"Content-Length: 5"], 0, False),
        ([b"Expect: x"], 1, 417),
        ([b"Expect:"], 1, 417),
        ([b"Expect: 100-continue", b"Expect: 100-continue"], 1, 417),
    ],
)
def test_expectations(parser: HeadParser, lines: list[bytes], minor: int, expected: bool | int) -> None:
    """Operations §3.3, case 28: only 100-continue before a body is known, and HTTP/1.0 has no expectations."""
    raw = head_of(*lines, first=b"POST / HTTP/1.%d" % minor)
    if expected == 417:
        assert same_verdict(raw, parser) == 417
    else:
        assert accepted(raw, parser).expects_continue is expected


def test_pipelined_heads_come_one_at_a_time(parser: HeadParser) -> None:
    """Operations §3.3, case 27: ten requests in one segment are given out in order, each when it is asked for."""
    raws = [head_of(first=b"GET /%d HTTP/1.1" % number) for number in range(10)]
    for pieces in every_cut(b"".join(raws)):
        reader = RequestReader(LIMITS, parser)
        targets = []
        for piece in pieces:
            head = reader.next_head(piece)
            while head is not None:
                targets.append(head.target)
                head = reader.next_head(b"")
        assert targets == [b"/%d" % number for number in range(10)]
        assert reader.held.is_empty


def test_second_head_is_judged_afresh(parser: HeadParser) -> None:
    """What was checked of one head is not taken for checked in the next one."""
    for pieces in ([b"GET / HTTP/1.1\r\nHo", b"st: h\r\n\r\nGET", b" /\n"], [head_of(), b"FOO / HTTP/1.1\r\n"]):
        reader = RequestReader(LIMITS, parser)
        with pytest.raises(Refused):
            [reader.next_head(piece) for piece in pieces]


def test_fields_of_an_accepted_head_are_plain(parser: HeadParser) -> None:
    """Names come in lower case, values as they are, and the record can be printed."""
    head = accepted(head_of(b"X-API-Key: K", b"Content-Length: 3"), parser)
    fields: Fields = {b"host": b"h", b"x-api-key": b"K"}
    assert head.fields == fields
    assert repr(head) == "<b'POST' b'/v1' HTTP/1.1 length=3>"


LENGTH_LINES = [
    b"", b"Content-Length: 5\r\n", b"content-length: 0\r\n", b"Content-Length:5\r\n", b"Content-Length:  5\r\n",
    b"Content-Length: 05 \r\n", b"CONTENT-LENGTH: 12\r\n", b"X-Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X-Content-Length: 7\r\nContent-Length: 5\r\n", b"Content-Length: 5\r\nX-Content-Length: 7\r\n",
    b"Expect: 100-continue\r\nContent-Length: 0\r\n", b"Content-Length: 1\r\nX: content-length: 1\r\n",
]  # fmt: skip
first_heads = st.builds(
    lambda length_line, padding, minor: (
        b"POST /v1 HTTP/1.%d\r\nHost: h\r\n%bX: %b\r\n\r\n" % (minor, length_line, padding)
    ),
    st.sampled_from(LENGTH_LINES),
    st.integers(0, 60).map(lambda size: b"a" * size),
    st.sampled_from([1, 1, 0]),
)
changes = st.lists(
    st.tuples(
        st.integers(0, 100),
        st.integers(0, 2),
        st.sampled_from(
            [b"", b"0", b"5", b"12", b" ", b"\t", b"-", b"\r\n", b"X", b",", b"\xb2", b"Content-Length: 5\r\n"]
        ),
    ),
    max_size=2,
)


def changed(raw: bytes, what: list[tuple[int, int, bytes]]) -> bytes:
    """Return bytes with some of them replaced; the places count from behind, where lengths and ends are."""
    for place, size, instead in what:
        at = max(0, len(raw) - place)
        raw = raw[:at] + instead + raw[at + size :]
    return raw


@PROPERTY
@given(
    first=first_heads, what=changes, digits=st.sampled_from([None, b"0", b"3", b"003", b"12"]), body=st.integers(0, 13)
)
@example(first=LENGTH_LINES[3].join([b"POST /v1 HTTP/1.1\r\nHost: h\r\n", b"\r\n"]), what=[], digits=None, body=0)
@example(first=LENGTH_LINES[8].join([b"POST /v1 HTTP/1.1\r\nHost: h\r\n", b"\r\n"]), what=[], digits=None, body=0)
@example(first=LENGTH_LINES[11].join([b"POST /v1 HTTP/1.1\r\nHost: h\r\n", b"\r\n"]), what=[], digits=b"3", body=3)
def test_remembered_head_is_the_head_read_afresh(
    parser: HeadParser, first: bytes, what: list[tuple[int, int, bytes]], digits: bytes | None, body: int
) -> None:
    """Whatever a request resembles, the memory gives what reading its bytes afresh gives, or nothing."""
    limits = replace(SMALL, max_header_bytes=110, max_headers=4)
    reader = RequestReader(limits, parser)
    try:
        remembered = reader.next_head(first)
    except Refused:
        return
    assert remembered is not None
    piece = first if digits is None else first.replace(b": 5", b": " + digits).replace(b": 0", b": " + digits)
    piece = changed(piece, what) + b"x" * body
    again = reader.maybe_repeat(piece)
    if again is not None:
        head, payload = again
        assert head.length == len(payload)
        assert verdict([piece], parser, limits) == (*facts(head), payload)


@pytest.mark.parametrize(
    ("second", "payload"),
    [
        (head_of(b"Content-Length: 5", b"A: b") + b"hello", b"hello"),
        (head_of(b"Content-Length: 11", b"A: b") + b"hello world", b"hello world"),
        (head_of(b"Content-Length: 0", b"A: b"), b""),
        (head_of(b"Content-Length: 000000000005", b"A: b") + b"hello", b"hello"),
        (head_of(b"Content-Length: 0000000000005", b"A: b") + b"hello", None),
        (head_of(b"Content-Length: 5", b"A: b") + b"hell", None),
        (head_of(b"Content-Length: 5", b"A: b") + b"hello!", None),
        (head_of(b"Content-Length: 5", b"A: b"), None),
        (head_of(b"Content-Length: 5", b"A: c") + b"hello", None),
        (head_of(b"content-length: 5", b"A: b") + b"hello", None),
        (head_of(b"Content-Length: ", b"A: b"), None),
        (head_of(b"Content-Length: 5", b"A: b")[:-2], None),
        (b"", None),
    ],
)
def test_repeat_is_one_whole_request_under_the_same_head(
    parser: HeadParser, second: bytes, payload: bytes | None
) -> None:
    """The length may differ, everything else is as it was, and the body is there to its end."""
    reader = RequestReader(LIMITS, parser)
    assert reader.maybe_repeat(second) is None
    first = reader.next_head(head_of(b"Content-Length: 7", b"A: b"))
    assert first is not None
    again = reader.maybe_repeat(second)
    assert again is None if payload is None else again is not None
    if again is not None:
        head, body = again
        assert (head.length, body) == (len(second.partition(b"\r\n\r\n")[2]), payload)
        assert head.fields is first.fields
        assert b"content-length" not in head.fields
        assert first.length == 7


@pytest.mark.parametrize(
    ("raw", "is_remembered"),
    [
        (head_of(first=b"GET / HTTP/1.1"), True),
        (head_of(b"X-Content-Length: 5"), True),
        (head_of(b"Transfer-Encoding: chunked"), False),
        (head_of(b"Content-Length:5"), False),
        (head_of(b"Content-Length:\t5"), False),
        (head_of(b"Expect: 100-continue"), False),
        (head_of(b"Content-Length:0"), True),
        (head_of(b"X: " + b"a" * (96 - 12 - len(head_of(b"X: ")))), True),
        (head_of(b"X: " + b"a" * (96 - 11 - len(head_of(b"X: ")))), False),
    ],
)
def test_head_alone_is_repeated_only_if_it_has_no_body(parser: HeadParser, raw: bytes, is_remembered: bool) -> None:
    """A head whose body is still to come never passes for a whole request, nor one that is nearly too large."""
    reader = RequestReader(SMALL, parser)
    first = reader.next_head(raw)
    again = reader.maybe_repeat(raw)
    assert again == ((first, b"") if is_remembered else None)
    assert reader.maybe_repeat(raw + b"x") is None


def test_only_the_last_head_is_remembered(parser: HeadParser) -> None:
    """A head that is not remembered makes the one before it forgotten."""
    reader = RequestReader(LIMITS, parser)
    assert reader.next_head(head_of()) is not None
    assert reader.next_head(head_of(b"Transfer-Encoding: chunked")) is not None
    assert reader.maybe_repeat(head_of()) is None
