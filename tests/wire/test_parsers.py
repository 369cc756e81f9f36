"""Both parsers through one suite: the fields of complete heads, the status line, and how one is chosen."""

import importlib
from types import ModuleType

import pytest

from busbar_fast.errors import Refused, UpstreamGarbled
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.parsers import HeadParser, choose_parser
from busbar_fast.wire.parsers.h11_heads import PARSER as H11
from busbar_fast.wire.parsers.httptools_heads import PARSER as HTTPTOOLS
from busbar_fast.wire.parsers.status import check_head_start
from busbar_fast.wire.repeated import sole_value

both = pytest.mark.parametrize("parser", [HTTPTOOLS, H11], ids=lambda parser: str(parser.name))

FIELDS: list[tuple[bytes, Fields]] = [
    (b"", {}),
    (b"A: b\r\n", {b"a": b"b"}),
    (b"A:b\r\nB:  c \t\r\nC:\td\r\n", {b"a": b"b", b"b": b"c", b"c": b"d"}),
    (b"A:\r\nB: \r\nC: \t \r\n", {b"a": b"", b"b": b"", b"c": b""}),
    (b"A: 1\r\nB: 2\r\na: 3\r\nA:\r\n", {b"a": b"1, 3, ", b"b": b"2"}),
    (b"A: b: c\r\nB::\r\n", {b"a": b"b: c", b"b": b":"}),
    (b"A: x \t y\r\n", {b"a": b"x \t y"}),
    (b"A: \x80\xff\r\n", {b"a": b"\x80\xff"}),
    (b"!#$%&'*+-.^_`|~09aZ: x\r\n", {b"!#$%&'*+-.^_`|~09az": b"x"}),
    (b"Content-Length: 0005\r\n", {b"content-length": b"0005"}),
    (b"Transfer-Encoding: Chunked\r\n", {b"transfer-encoding": b"Chunked"}),
    (b"Connection: Upgrade\r\nUpgrade: h2c\r\n", {b"connection": b"Upgrade", b"upgrade": b"h2c"}),
    (b"Connection: close, x\r\nKeep-Alive: 5\r\n", {b"connection": b"close, x", b"keep-alive": b"5"}),
    (b"Proxy-Connection: close\r\nTE: trailers\r\n", {b"proxy-connection": b"close", b"te": b"trailers"}),
    (b"Set-Cookie: a\r\nSet-Cookie: b\r\n", {b"set-cookie": b"a, b"}),
]
BAD_FIELDS = [
    b"A : b\r\n", b"A\t: b\r\n", b": b\r\n", b"A\r\n", b"A B: c\r\n", b"A\x80: b\r\n", b"A: b\n", b"A: b\nC: d\r\n",
    b"A: b\rC: d\r\n", b"A: b\r\r\n", b"A: b\x00\r\n", b"A: \x01\r\n", b"A: \x7f\r\n", b"A: b\r\n c\r\n",
    b"A:\r\n\tc\r\n",
    b" A: b\r\n", b"\tA: b\r\n", b"A(: b\r\n", b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Content-Length: +5\r\n",
    b"Content-Length: 5, 5\r\n", b"Content-Length:\r\n", b"Content-Length: 99999999999999999999999\r\n",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    b"\n",
]  # fmt: skip


@both
@pytest.mark.parametrize(("lines", "fields"), FIELDS)
@pytest.mark.parametrize("line", [b"POST /v1 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"QUERY http://h/ HTTP/1.1"])
def test_fields_of_a_request(parser: HeadParser, lines: bytes, fields: Fields, line: bytes) -> None:
    """Names in lower case, values without the blanks around them, repeated fields joined."""
    assert parser.request_fields(line + b"\r\nHost: h\r\n" + lines + b"\r\n") == {b"host": b"h"} | fields


@both
def test_lines_of_one_field_can_be_told_apart(parser: HeadParser) -> None:
    """A list on one line and a field on two read the same and are not the same."""
    lines = b"A: x\r\na:\t x \r\nB: x, x\r\n"
    for fields in (
        parser.request_fields(b"GET / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n"),
        parser.response_fields(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")[2],
    ):
        assert fields[b"a"] == fields[b"b"] == b"x, x"
        assert (sole_value(fields, b"a"), sole_value(fields, b"b")) == (b"x", b"x, x")


@both
@pytest.mark.parametrize(("lines", "fields"), FIELDS)
@pytest.mark.parametrize("status", [100, 103, 200, 204, 304, 404, 599])
def test_fields_of_an_answer(parser: HeadParser, lines: bytes, fields: Fields, status: int) -> None:
    """The same fields come of an answer of any status, and an upgrade that is only offered is none."""
    raw = b"HTTP/1.1 %d Some Reason\r\n%b\r\n" % (status, lines)
    assert parser.response_fields(raw) == (status, 1, fields)


@both
@pytest.mark.parametrize("lines", BAD_FIELDS)
def test_bad_field_lines_are_refused_in_both_directions(parser: HeadParser, lines: bytes) -> None:
    """Operations §3.1, cases 15 to 18: a client is told 400, an upstream is garbled."""
    with pytest.raises(Refused) as caught:
        parser.request_fields(b"POST /v1 HTTP/1.1\r\n" + lines + b"Host: h\r\n\r\n")
    assert caught.value.status == 400
    with pytest.raises(UpstreamGarbled):
        parser.response_fields(b"HTTP/1.1 200 OK\r\n" + lines + b"A: b\r\n\r\n")


@both
@pytest.mark.parametrize("coding", [b"chunked, chunked", b"xchunked", b"chunked\t"])
def test_coding_that_a_parser_refuses(parser: HeadParser, coding: bytes) -> None:
    """Operations §3.1, case 17: such codings in a request never come as far as our own framing rules."""
    with pytest.raises(Refused) as caught:
        parser.request_fields(b"POST /v1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: %b\r\n\r\n" % coding)
    assert caught.value.status == 400


@both
@pytest.mark.parametrize("end", [b"", b"\r", b"\r\n", b"\r\nHost: h", b"\r\nHost: h\r\n"])
def test_incomplete_head_is_refused(parser: HeadParser, end: bytes) -> None:
    """A parser is given complete heads only, and says so if it is not."""
    with pytest.raises(Refused):
        parser.request_fields(b"GET / HTTP/1.1" + end)
    with pytest.raises(UpstreamGarbled):
        parser.response_fields(b"HTTP/1.1 200 OK" + end)


@both
def test_old_request(parser: HeadParser) -> None:
    """HTTP/1.0 needs no host."""
    assert parser.request_fields(b"GET / HTTP/1.0\r\nA: b\r\n\r\n") == {b"a": b"b"}


def test_h11_wants_a_host() -> None:
    """What h11 refuses by itself becomes a refusal of ours."""
    with pytest.raises(Refused):
        H11.request_fields(b"GET / HTTP/1.1\r\nA: b\r\n\r\n")


@both
@pytest.mark.parametrize(
    ("line", "status", "minor"),
    [
        (b"HTTP/1.1 200 OK", 200, 1),
        (b"HTTP/1.0 404 Not Found", 404, 0),
        (b"HTTP/1.1 200", 200, 1),
        (b"HTTP/1.1 200 ", 200, 1),
        (b"HTTP/1.1 200  two  spaces ", 200, 1),
        (b"HTTP/1.1 529 a\tb \x80\xff", 529, 1),
        (b"HTTP/1.1 100 Continue", 100, 1),
        (b"HTTP/1.1 599 x", 599, 1),
    ],
)
def test_status_line(parser: HeadParser, line: bytes, status: int, minor: int) -> None:
    """The reason is anything printable or missing."""
    assert parser.response_fields(line + b"\r\nA: b\r\n\r\n") == (status, minor, {b"a": b"b"})


@both
@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 600 x", b"HTTP/1.1 099 x", b"HTTP/1.1 000 x", b"HTTP/1.1 20 x",
        b"HTTP/1.1 2000 x", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 200OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK",
        b"HTTP/1.1",
        b"HTTP/1.1 200\tOK", b"HTTP/1.1 +20 x", b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK",
        b"HTTP/2 200",
        b"HTTP/11 200 OK", b"http/1.1 200 OK", b" HTTP/1.1 200 OK", b"ICE/1.0 200 OK", b"RTSP/1.0 200 OK",
        b"ICY 200 OK",
        b"HTTP/1.1 200 a\x00b", b"HTTP/1.1 200 \x01", b"HTTP/1.1 200 \x7f", b"HTTP/1.1 200 a\rb",
        b"HTTP/1.1 200 OK\nA: b",
        b"HTTP/1.1 200\n", b"\r\nHTTP/1.1 200 OK", b"GET / HTTP/1.1", b"",
    ],
)  # fmt: skip
def test_bad_status_line_is_garbled(parser: HeadParser, line: bytes) -> None:
    """Other protocols, other versions, odd numbers and an upgrade we did not ask for are not relayed."""
    with pytest.raises(UpstreamGarbled):
        parser.response_fields(line + b"\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")


@both
def test_heads_do_not_remember_each_other(parser: HeadParser) -> None:
    """A refused head leaves no trace in the next one."""
    raw = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
    first = parser.request_fields(raw)
    with pytest.raises(Refused):
        parser.request_fields(b"POST / HTTP/1.1\r\nHost: h\r\nA: b\nC\r\n\r\n")
    assert parser.request_fields(raw) == first
    assert parser.request_fields(raw) is not first


@pytest.mark.parametrize(("wanted", "name"), [(None, "httptools"), ("httptools", "httptools"), ("h11", "h11")])
def test_parser_is_chosen_by_name(wanted: str | None, name: str) -> None:
    """Without a name it is the faster one."""
    assert choose_parser(wanted).name == name


def test_unknown_parser_is_refused() -> None:
    """A typing error names what may be chosen."""
    with pytest.raises(ValueError, match="one of httptools, h11, not 'llhttp'"):
        choose_parser("llhttp")


@pytest.mark.parametrize(
    ("missing", "wanted", "name"),
    [
        ({"httptools"}, None, "h11"),
        ({"h11"}, None, "httptools"),
        ({"httptools"}, "h11", "h11"),
        ({"httptools"}, "httptools", None),
        ({"httptools", "h11"}, None, None),
        ({"re"}, None, None),
    ],
)
def test_missing_parser(
    monkeypatch: pytest.MonkeyPatch, missing: set[str], wanted: str | None, name: str | None
) -> None:
    """The other parser takes over only if none was named, and any other missing module is an error."""
    imported = importlib.import_module

    def import_module(dotted: str) -> ModuleType:
        needed = dotted.rpartition(".")[2].removesuffix("_heads")
        lacking = sorted(missing & {needed, "re"})
        if lacking:
            raise ModuleNotFoundError(f"no {lacking[0]}", name=lacking[0])
        return imported(dotted)

    monkeypatch.setattr(importlib, "import_module", import_module)
    if name is None:
        with pytest.raises(ModuleNotFoundError):
            choose_parser(wanted)
    else:
        assert choose_parser(wanted).name == name


def is_given_up(raw: bytes) -> bool:
    """Say whether these first bytes of an answer are refused."""
    try:
        check_head_start(raw)
    except UpstreamGarbled:
        return True
    return False


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\nA: b", b"HTTP/1.0 404\r\n", b"\r"])
def test_a_head_that_may_come_is_waited_for(raw: bytes) -> None:
    """The first bytes of an answer, cut anywhere, are no reason to give it up."""
    waited = [raw[:size] for size in range(len(raw) + 1) if not is_given_up(raw[:size])]
    assert waited == [raw[:size] for size in range(len(raw) + 1)]


@pytest.mark.parametrize(
    "raw", [b"h", b"SSH-2.0", b"\r\n", b"HTTP/2", b"HTTP/1.1 20\r\n", b"HTTP/1.1 101 x\r\n", b"HTTP/1.\n"]
)
def test_a_head_that_can_not_come_is_not_waited_for(raw: bytes) -> None:
    """What is no HTTP, or no status line of one, is refused as soon as it shows."""
    assert is_given_up(raw)
