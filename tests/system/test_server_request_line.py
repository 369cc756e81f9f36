"""The request line (operations §3.2): methods, targets, versions, and peers that do not speak HTTP at all."""

import pytest

from busbar_fast.wire.exchange import Exchange
from tests.system.rawclient import split_answers
from tests.system.serving import LAST, TEXT, Serve
from tests.system.verdicts import check_refused, check_served

HOST = b" HTTP/1.1\r\nHost: h\r\n\r\n"


async def by_route(exchange: Exchange) -> None:
    """Serve GET on one path and refuse other methods there, as a table of routes would."""
    if exchange.head.target != b"/healthz":
        exchange.reply(404, TEXT, b"no route")
    elif exchange.head.method not in {b"GET", b"HEAD"}:
        exchange.reply(405, TEXT + b"Allow: GET, HEAD\r\n", b"not so")
    else:
        exchange.reply(200, TEXT, b"ok")


@pytest.mark.parametrize("method", [b"FOO", b"get", b"Get", b"GETX", b"PRI", b"A" * 40, b"a!#$%&'*+.^_`|~-"])
async def test_unknown_method_is_not_implemented(serve: Serve, method: bytes) -> None:
    """Operations §13 case 24: a method nobody knows is 501."""
    await check_refused(serve, method + b" /first" + HOST, 501)


@pytest.mark.parametrize(
    "method", [b"TRACE", b"QUERY", b"SOURCE", b"PROPFIND", b"M-SEARCH", b"PUT", b"PATCH", b"OPTIONS"]
)
async def test_known_method_without_a_route_is_for_the_route_to_refuse(serve: Serve, method: bytes) -> None:
    """Operations §13 case 24: `TRACE /healthz` reaches the routes, whose 405 leaves the connection open."""
    async with serve(by_route) as site:
        for received in await site.ask_cut_everywhere(method + b" /healthz" + HOST, LAST):
            first, last = split_answers(received)
            assert (first.status, first.fields[b"allow"], first.closes) == (405, b"GET, HEAD", False)
            assert last.status == 404


@pytest.mark.parametrize("target", [b"a:80", b"/first", b"http://h/", b"[::1]:80"])
async def test_connect_is_refused(serve: Serve, target: bytes) -> None:
    """Operations §13 case 24: there are no tunnels, CONNECT is 405 and the connection ends."""
    await check_refused(serve, b"CONNECT " + target + HOST, 405)


async def test_refused_connect_names_the_allowed_methods(serve: Serve) -> None:
    """Operations §3.2: a 405 carries Allow."""
    async with serve() as site:
        (answer,) = split_answers(await site.ask(b"CONNECT a:80" + HOST))
        assert answer.fields[b"allow"] == b"GET, HEAD, POST"


BAD_LINES = {
    "relative target": b"GET first HTTP/1.1",
    "empty target": b"GET  HTTP/1.1",
    "other scheme": b"GET ftp://h/first HTTP/1.1",
    "asterisk without OPTIONS": b"GET * HTTP/1.1",
    "two blanks before the target": b"GET  /first HTTP/1.1",
    "two blanks behind the target": b"GET /first  HTTP/1.1",
    "blank before the method": b" GET /first HTTP/1.1",
    "blank behind the version": b"GET /first HTTP/1.1 ",
    "tab": b"GET\t/first HTTP/1.1",
    "fragment": b"GET /first#b HTTP/1.1",
    "backslash": b"GET /first\\b HTTP/1.1",
    "blank in the target": b"GET /first b HTTP/1.1",
    "control byte in the target": b"GET /fi\x01rst HTTP/1.1",
    "delete in the target": b"GET /fi\x7frst HTTP/1.1",
    "NUL in the target": b"GET /fi\0rst HTTP/1.1",
    "byte beyond ASCII in the target": "GET /fä HTTP/1.1".encode(),
    "escaped NUL": b"GET /fi%00rst HTTP/1.1",
    "escape of no digits": b"GET /fi%zzrst HTTP/1.1",
    "escape cut short": b"GET /first%2 HTTP/1.1",
    "escape at the end": b"GET /first% HTTP/1.1",
    "minor version two": b"GET /first HTTP/1.2",
    "minor version ten": b"GET /first HTTP/1.10",
    "lower-case version": b"GET /first http/1.1",
    "no minor version": b"GET /first HTTP/1",
    "version of letters": b"GET /first HTTP/x.y",
    "other protocol": b"GET /first SIP/2.0",
    "method no token": b"G@T /first HTTP/1.1",
    "empty method": b" /first HTTP/1.1",
    "one word": b"GET",
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
async def test_malformed_request_line_is_refused(serve: Serve, line: bytes) -> None:
    """Operations §13 case 23: odd blanks, bad bytes and escapes in the target and odd versions are 400."""
    await check_refused(serve, line + b"\r\nHost: h\r\n\r\n", 400)


VERSIONS = {
    "HTTP/0.9": b"GET /first\r\n\r\n",
    "HTTP/0.9 said": b"GET /first HTTP/0.9\r\n\r\n",
    "HTTP/2.0": b"GET /first HTTP/2.0\r\nHost: h\r\n\r\n",
    "HTTP/2": b"GET /first HTTP/2\r\nHost: h\r\n\r\n",
    "HTTP/3": b"GET /first HTTP/3.0\r\nHost: h\r\n\r\n",
    "RTSP": b"DESCRIBE /first RTSP/1.0\r\nCSeq: 2\r\n\r\n",
    "ICE": b"SOURCE /first ICE/1.0\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
}


@pytest.mark.parametrize("raw", VERSIONS.values(), ids=VERSIONS)
async def test_other_protocol_version_is_not_supported(serve: Serve, raw: bytes) -> None:
    """Operations §13 case 25: HTTP/0.9, HTTP/2.0, RTSP, ICE and the preface of HTTP/2 are 505."""
    await check_refused(serve, raw, 505)


HELLO = bytes.fromhex("160301004a010000460303") + bytes(range(64)) + b"\r\n\r\n"


async def test_tls_hello_on_a_plain_port_gets_no_answer(serve: Serve) -> None:
    """Operations §13 case 25: a TLS handshake is closed without a byte of an answer."""
    async with serve() as site:
        received = await site.ask_cut_everywhere(HELLO)
        assert set(received) == {b""}
        assert site.targets == []
        assert site.service.refusals == {0: len(received)}


async def test_tls_hello_behind_a_request_gets_no_answer(serve: Serve) -> None:
    """Operations §13 case 25: the same holds between two requests."""
    async with serve() as site:
        received = await site.ask(b"GET /first" + HOST, HELLO)
        assert [answer.status for answer in split_answers(received)] == [200]


SERVED = {
    "absolute form": (b"GET http://h/first", b"/first"),
    "absolute form in capitals": (b"GET HTTP://H/first", b"/first"),
    "absolute form over https": (b"GET https://h/first?a=b", b"/first?a=b"),
    "absolute form without a path": (b"GET http://h", b"/"),
    "absolute form with a query only": (b"GET http://h?a", b"/?a"),
    "asterisk": (b"OPTIONS *", b"*"),
    "escaped slash": (b"GET /a%2Fb", b"/a%2Fb"),
    "dot segments": (b"GET /a/../b/./c", b"/a/../b/./c"),
    "doubled slashes": (b"GET //a//b", b"//a//b"),
    "colon and punctuation": (b"POST /v1/m:go?a=b%20c&d='!*()\"<>{}|^`[]", b"/v1/m:go?a=b%20c&d='!*()\"<>{}|^`[]"),
}


@pytest.mark.parametrize(("start", "target"), SERVED.values(), ids=SERVED)
async def test_unusual_target_is_served_as_it_is(serve: Serve, start: bytes, target: bytes) -> None:
    """Operations §13 case 26: absolute form is cut to its path, the asterisk passes, nothing is normalised."""
    await check_served(serve, start + HOST, target=target)


OTHER_HOSTS = (
    b"http://i/first",
    b"http://h:80/first",
    b"http://u@h/first",
    b"http:///first",
    b"http://",
    b"http:/first",
)


@pytest.mark.parametrize("target", OTHER_HOSTS)
async def test_absolute_target_with_another_host_is_refused(serve: Serve, target: bytes) -> None:
    """Operations §13 case 26: the host in the target must be the one in Host."""
    await check_refused(serve, b"GET " + target + HOST, 400)


async def test_asterisk_reaches_the_routes(serve: Serve) -> None:
    """Operations §13 case 26: `OPTIONS *` is for the routes to refuse."""
    async with serve(by_route) as site:
        first, _ = split_answers(await site.ask(b"OPTIONS *" + HOST, LAST))
        assert first.status == 404
        assert site.targets == [b"*", b"/last"]
