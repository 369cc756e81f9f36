"""What requests and answers mean (operations §3.3): expectations, versions, pipelining, upgrades, framing."""

import asyncio
import logging

import pytest

from busbar_fast.errors import Overloaded
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import Limits
from tests.system.rawclient import Truncated, split_answers, turns
from tests.system.serving import GET, LAST, SMUGGLED, TEXT, Gate, Serve, Site, chunked_head, echo, post, soon, until
from tests.system.verdicts import check_refused, check_served

EXPECT = b"Expect: 100-continue"


async def refuse_at_once(exchange: Exchange) -> None:
    """Refuse by the head alone, as one does whose credential is wrong."""
    exchange.reply(401, TEXT, b"who are you?")


async def stream_parts(exchange: Exchange) -> None:
    """Answer in parts of which nobody knew the number."""
    exchange.start(200, TEXT)
    for part in (b"one ", b"", b"two ", b"three"):
        exchange.write(part)
        await asyncio.sleep(0.001)
    exchange.finish()


# Expectations


@pytest.mark.parametrize("request_raw", [post(b"abc", EXPECT), chunked_head(EXPECT) + b"3\r\nabc\r\n0\r\n\r\n"])
async def test_awaited_continue_comes_once(serve: Serve, request_raw: bytes) -> None:
    """Operations §13 case 28: a client that waits for a word gets 100, then 200, and may go on."""
    head, body = request_raw[: request_raw.index(b"\r\n\r\n") + 4], request_raw[request_raw.index(b"\r\n\r\n") + 4 :]
    async with serve() as site:
        client = await site.connected()
        for _ in range(2):
            await client.send_pieces(head)
            assert (await client.read_answer()).status == 100
            assert client.received_nothing()
            await client.send_pieces(*(body[at : at + 1] for at in range(len(body))))
            answer = await client.read_answer()
            assert (answer.status, answer.body, answer.closes) == (200, b"/first\nabc", False)
        assert site.targets == [b"/first", b"/first"]


async def test_body_that_did_not_wait_needs_no_continue(serve: Serve) -> None:
    """Operations §13 case 28: once a byte of the body has come, nobody says 100."""
    whole = post(b"abcdef", EXPECT)
    async with serve() as site:
        for pieces in ([whole], [whole[:-5], whole[-5:]], [whole[:-1], whole[-1:]]):
            client = await site.connected()
            await client.send_pieces(*pieces)
            assert (await client.read_answer()).status == 200
            client.send(LAST)
            assert [answer.status for answer in split_answers(await client.read_all())] == [200]
            client.close()


async def test_refused_expectation_gets_no_continue(serve: Serve) -> None:
    """Operations §13 case 28: with a bad token the answer is 401 without a 100, and the connection ends."""
    async with serve(refuse_at_once) as site:
        head = post(b"abc", EXPECT)[:-3]
        for received in await site.ask_cut_everywhere(head):
            assert [(answer.status, answer.closes) for answer in split_answers(received)] == [(401, True)]
        client = await site.connected()
        await client.send_pieces(head, SMUGGLED)
        assert [answer.status for answer in split_answers(await client.read_all())] == [401]
        assert b"/smuggled" not in site.targets


async def test_refused_expectation_whose_body_came_closes_or_goes_on_cleanly(serve: Serve) -> None:
    """Operations §3.3: a refused request that has come whole leaves nothing behind that could be a request."""
    async with serve(refuse_at_once) as site:
        received = await site.ask(post(SMUGGLED, EXPECT), LAST)
        assert {answer.status for answer in split_answers(received)} == {401}
        assert b"/smuggled" not in site.targets


@pytest.mark.parametrize("expectation", [b"x", b"100-continue, x", b"200-ok", b"100-continue;a=b"])
async def test_unknown_expectation_fails(serve: Serve, expectation: bytes) -> None:
    """Operations §13 case 28: any other expectation is 417."""
    await check_refused(serve, post(b"ab", b"Expect: " + expectation), 417)


async def test_expectation_of_http_1_0_is_ignored(serve: Serve) -> None:
    """Operations §3.3: HTTP/1.0 knows no interim answers."""
    raw = b"POST /first HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    async with serve() as site:
        client = await site.connected()
        await client.send_pieces(raw)
        assert client.received_nothing()
        client.send(b"abc")
        assert [answer.body for answer in split_answers(await client.read_all())] == [b"/first\nabc"]


async def test_expectation_without_a_body_is_not_answered(serve: Serve) -> None:
    """Operations §3.3: where no body is to come there is nothing to invite."""
    await check_served(serve, b"GET /first HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n")


# Versions, methods, keeping alive


@pytest.mark.parametrize("line", [b"", b"Connection: keep-alive\r\n", b"Connection: close\r\n"])
async def test_http_1_0_is_answered_once(serve: Serve, line: bytes) -> None:
    """Operations §3.3: the answer to HTTP/1.0 says HTTP/1.1 and always closes."""
    raw = b"POST /first HTTP/1.0\r\n" + line + b"Content-Length: 2\r\n\r\nab"
    async with serve() as site:
        for received in await site.ask_cut_everywhere(raw, SMUGGLED):
            (answer,) = split_answers(received)
            assert (answer.status, answer.body, answer.closes) == (200, b"/first\nab", True)
            assert answer.framing == (b"9", None)
        assert set(site.targets) == {b"/first"}


async def test_stream_to_http_1_0_ends_with_the_connection(serve: Serve) -> None:
    """Operations §13 case 30: a stream to HTTP/1.0 has no chunks and ends by close."""
    async with serve(stream_parts) as site:
        for received in await site.ask_cut_everywhere(b"GET /first HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"):
            (answer,) = split_answers(received)
            assert (answer.body, answer.framing, answer.closes) == (b"one two three", (None, None), True)


async def test_stream_to_http_1_1_is_chunked(serve: Serve) -> None:
    """Operations §3.3: an answer of unknown length travels in chunks, and the connection serves on."""
    async with serve(stream_parts) as site:
        for received in await site.ask_cut_everywhere(GET, LAST):
            first, last = split_answers(received)
            assert (first.body, first.framing, first.closes) == (b"one two three", (None, b"chunked"), False)
            assert (last.body, last.framing, last.closes) == (b"one two three", (None, b"chunked"), True)


@pytest.mark.parametrize("responder", [echo, stream_parts])
async def test_head_has_the_head_of_get_and_no_body(serve: Serve, responder: object) -> None:
    """Operations §13 case 29: HEAD is answered as GET is, without the body."""
    assert callable(responder)
    async with serve(responder) as site:
        client = await site.connected()
        client.send(GET)
        full = await client.read_answer()
        await client.send_pieces(GET.replace(b"GET", b"HEAD"), LAST)
        bare, _ = split_answers(await client.read_all(), b"HEAD")
        assert (bare.status, bare.framing, bare.body) == (full.status, full.framing, b"")
        assert bare.fields.keys() == full.fields.keys()
        assert full.body != b""


CONNECTIONS = {
    b"close": True,
    b"Close": True,
    b"keep-alive, close": True,
    b"close, keep-alive": True,
    b"x,\tCLOSE ,y": True,
    b"keep-alive\r\nConnection: close": True,
    b"keep-alive": False,
    b"closed": False,
    b"x-close": False,
    b"upgrade": False,
}


@pytest.mark.parametrize(("value", "closes"), CONNECTIONS.items())
async def test_close_anywhere_in_the_list_wins(serve: Serve, value: bytes, closes: bool) -> None:
    """Operations §3.3: HTTP/1.1 stays open unless `close` is among the options."""
    async with serve() as site:
        client = await site.connected()
        for _ in range(2):
            client.send(b"GET /first HTTP/1.1\r\nHost: h\r\nConnection: " + value + b"\r\n\r\n")
            assert (await client.read_answer()).closes is closes
            if closes:
                assert await client.read_all() == b""
                return


# Pipelining


def numbered(count: int) -> bytes:
    """Return so many requests, every other with a body."""
    requests = []
    for number in range(count):
        target = b"/%d" % number
        plain = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target
        requests.append(post(b"body %d" % number, target=target) if number % 2 else plain)
    return b"".join(requests)


@pytest.mark.parametrize("step", [1 << 20, 100, 7, 1])
async def test_pipelined_requests_are_answered_in_order(serve: Serve, step: int) -> None:
    """Operations §13 case 27: ten requests, however cut, are executed one at a time and answered in order."""
    running = 0

    async def slow(exchange: Exchange) -> None:
        nonlocal running
        running += 1
        assert running == 1
        body = await exchange.read_body()
        await asyncio.sleep(0.001)
        running -= 1
        exchange.reply(200, TEXT, exchange.head.target + body)

    raw = numbered(10) + LAST
    async with serve(slow) as site:
        received = await site.ask(*(raw[at : at + step] for at in range(0, len(raw), step)))
        wanted = [b"/%d" % number + (b"body %d" % number if number % 2 else b"") for number in range(10)]
        assert [answer.body for answer in split_answers(received)] == [*wanted, b"/last"]


async def test_chunked_requests_can_be_pipelined(serve: Serve) -> None:
    """Operations §3.3: the end of a chunked body is found within a segment that holds the next request."""
    one = chunked_head() + b"2\r\nab\r\n0\r\nA: b\r\n\r\n"
    await check_served(serve, one, b"ab")
    async with serve() as site:
        answers = split_answers(await site.ask(one * 5 + LAST))
        assert [answer.body for answer in answers] == [b"/first\nab"] * 5 + [b"/last\n"]


@pytest.mark.parametrize("is_one_segment", [True, False])
async def test_seventeenth_pending_request_pauses_reading(serve: Serve, is_one_segment: bool) -> None:
    """Operations §13 case 27: sixteen may wait, the next one stops the reading until they are answered."""
    gate = Gate()

    async def gated(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200, TEXT, exchange.head.target)

    async with serve(gated) as site:
        client = await site.connected()
        (connection,) = site.service.connections
        await client.send_pieces(*([GET * 17] if is_one_segment else [GET] * 17))
        assert connection.transport.is_reading()
        await client.send_pieces(GET)
        assert not connection.transport.is_reading()
        while len(site.targets) < 18 or gate.waiting:
            gate.open()
            await turns(1)
        await until(connection.transport.is_reading)
        client.send(LAST)
        await until(lambda: gate.waiting == 1)
        gate.open()
        answers = split_answers(await client.read_all())
        assert [answer.body for answer in answers] == [b"/first"] * 18 + [b"/last"]


async def test_seventeen_pending_requests_in_one_segment_pause_reading(serve: Serve) -> None:
    """Operations §13 case 27: it makes no difference that they came together with the one that runs."""
    gate = Gate()

    async def gated(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200, TEXT, exchange.head.target)

    async with serve(gated) as site:
        client = await site.connected()
        (connection,) = site.service.connections
        await client.send_pieces(GET * 18)
        assert not connection.transport.is_reading()
        assert site.service.in_flight == 1


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize("pending", [0, 3, 17, 40])
async def test_departure_with_requests_pending_is_noticed(serve: Serve, pending: int, is_reset: bool) -> None:
    """Operations §13 case 33: FIN and RST cancel the running request within 100 ms, reading paused or not."""
    gate = Gate()

    async def gated(exchange: Exchange) -> None:
        del exchange
        await gate.wait()

    async with serve(gated, Limits(max_pipelined_requests=16)) as site:
        client = await site.connected()
        (connection,) = site.service.connections
        await client.send_pieces(GET, GET * pending)
        assert connection.transport.is_reading() is (pending < 17)
        for _ in range(3):  # the kernel keeps what came while nobody reads
            client.send(GET)
        if is_reset:
            client.reset()
        else:
            client.finish_sending()
        assert await soon(lambda: gate.waiting == 0)
        assert site.service.in_flight == 0
        assert site.targets == [b"/first"]


async def test_late_requests_do_not_destroy_the_last_answer(serve: Serve) -> None:
    """Operations §3.1, case 27: bytes that come after an answer that says close leave that answer readable."""

    async def long(exchange: Exchange) -> None:
        exchange.reply(200, TEXT, b"z" * 60_000)

    async with serve(long, Limits(max_requests_per_connection=1)) as site:
        client = await site.connected(receive_buffer_bytes=4096)
        await client.send_pieces(GET)
        for _ in range(5):
            client.send(GET)
        (answer,) = split_answers(await client.read_all())
        assert (len(answer.body), answer.closes) == (60_000, True)
        assert site.targets == [b"/first"]


async def test_no_invitation_in_the_middle_of_an_answer(serve: Serve) -> None:
    """Operations §3.3: once bytes of the answer are out, 100 Continue would stand among them."""

    async def answer_first(exchange: Exchange) -> None:
        exchange.start(200, TEXT)
        exchange.write(b"hello ")
        exchange.write(await exchange.read_body())
        exchange.finish()

    async with serve(answer_first) as site:
        client = await site.connected()
        await client.send_pieces(post(b"", EXPECT).replace(b"Content-Length: 0", b"Content-Length: 5"), b"abcde")
        (answer,) = split_answers(await client.read_all())
        assert (answer.status, answer.body) == (200, b"hello abcde")


async def test_empty_line_behind_a_body_is_no_request(serve: Serve) -> None:
    """RFC 9112, 2.2: a line end that some clients send behind a body does not become a refusal when time is up."""
    async with serve(limits=Limits(header_read_timeout_s=0.1)) as site:
        client = await site.connected()
        await client.send_pieces(post(b"abc") + b"\r\n")
        (answer,) = split_answers(await client.read_all())
        assert answer.status == 200


# Upgrades


UPGRADE = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
UPGRADES = {
    "length": post(b"h2c body", *UPGRADE),
    "chunked": chunked_head(*UPGRADE) + b"4\r\nh2c \r\n4\r\nbody\r\n0\r\n\r\n",
    "websocket": post(b"h2c body", b"Connection: Upgrade", b"Upgrade: websocket"),
}


@pytest.mark.parametrize("raw", UPGRADES.values(), ids=UPGRADES)
async def test_upgrade_is_ignored_and_its_body_kept(serve: Serve, raw: bytes) -> None:
    """Operations §13 case 31: the body arrives in one or many segments, and the connection serves the next request."""
    await check_served(serve, raw, b"h2c body")


@pytest.mark.parametrize("raw", UPGRADES.values(), ids=UPGRADES)
async def test_upgrade_repeated_on_one_connection_keeps_its_bodies(serve: Serve, raw: bytes) -> None:
    """Operations §13 case 31: clients send the same upgrade with every request."""
    head, body = raw.split(b"\r\n\r\n", 1)
    async with serve() as site:
        pieces = [raw, raw + raw, head + b"\r\n\r\n", body, *(raw[at : at + 9] for at in range(0, len(raw), 9)), LAST]
        answers = split_answers(await site.ask(*pieces))
        assert [answer.body for answer in answers] == [b"/first\nh2c body"] * 5 + [b"/last\n"]


# What responders do


async def ask_once(site: Site, raw: bytes) -> bytes:
    """Return what comes for a request on a connection that the client would keep."""
    client = await site.connected()
    client.send(raw)
    received = await client.read_all()
    client.close()
    await site.is_idle()
    return received


def streaming(length: int | None, *parts: bytes) -> object:
    """Return a responder that announces a length, or none, and writes these parts."""

    async def write_parts(exchange: Exchange) -> None:
        exchange.start(200, TEXT, length)
        for part in parts:
            exchange.write(part)
            await asyncio.sleep(0.001)
        exchange.finish()

    return write_parts


async def test_declared_length_is_met_exactly(serve: Serve) -> None:
    """Operations §3.3: an answer of declared length has it, whatever the parts, and the connection serves on."""
    respond = streaming(6, b"ab", b"", b"cdef")
    assert callable(respond)
    async with serve(respond) as site:
        first, last = split_answers(await site.ask(GET, LAST))
        assert (first.body, first.framing, last.closes) == (b"abcdef", (b"6", None), True)


@pytest.mark.parametrize("parts", [(), (b"abc",), (b"abc", b"de")])
async def test_answer_shorter_than_declared_cuts_the_connection(serve: Serve, parts: tuple[bytes, ...]) -> None:
    """Operations §3.3: a length that is not met cuts the connection, so that the client can tell."""
    respond = streaming(6, *parts)
    assert callable(respond)
    async with serve(respond) as site:
        received = await ask_once(site, GET)
        with pytest.raises(Truncated):
            split_answers(received)
        assert received.endswith(b"\r\n\r\n" + b"".join(parts))


@pytest.mark.parametrize("parts", [(b"abcdefg",), (b"abc", b"defg"), (b"abcdef", b"g")])
async def test_answer_longer_than_declared_cuts_the_connection(serve: Serve, parts: tuple[bytes, ...]) -> None:
    """Operations §3.3: what is beyond the length is never written, and the connection ends."""
    respond = streaming(6, *parts)
    assert callable(respond)
    async with serve(respond) as site:
        received = await ask_once(site, GET + SMUGGLED)
        assert b"g" not in received[received.index(b"\r\n\r\n") + 4 :]
        assert site.targets == [b"/first"]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_bodiless_status_has_no_framing(serve: Serve, status: int, is_stream: bool) -> None:
    """Operations §3.3: 204 and 304 carry neither a length nor chunks nor a body."""

    async def bodiless(exchange: Exchange) -> None:
        if is_stream:
            exchange.start(status, b"")
            exchange.write(b"nothing")
            exchange.finish()
        else:
            exchange.reply(status, b"", b"nothing")

    async with serve(bodiless) as site:
        first, last = split_answers(await site.ask(GET, LAST))
        assert (first.status, first.framing, last.status) == (status, (None, None), status)


async def test_responder_that_raises_is_answered_for(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Operations §3.3: a responder that fails before it answers is a 500, and the connection serves on."""

    async def fail(exchange: Exchange) -> None:
        await exchange.read_body()
        raise ValueError("broken")

    async with serve(fail) as site:
        first, last = split_answers(await site.ask(post(b"ab"), LAST))
        assert (first.status, first.closes, last.status) == (500, False, 500)
        assert b"broken" not in first.body
    assert [record.levelno for record in caplog.records if record.name == "busbar_fast.wire"] == [logging.ERROR] * 2


async def test_our_own_error_decides_the_status(serve: Serve) -> None:
    """Operations §3.3: an error of our taxonomy that nobody caught says what to answer."""

    async def fail(exchange: Exchange) -> None:
        await exchange.read_body()
        raise Overloaded("enough")

    async with serve(fail) as site:
        assert [answer.status for answer in split_answers(await site.ask(post(b"ab"), LAST))] == [503, 503]


async def test_responder_that_forgets_to_answer_is_answered_for(serve: Serve) -> None:
    """Operations §3.3: no request stays without an answer."""

    async def forget(exchange: Exchange) -> None:
        await exchange.read_body()

    async with serve(forget) as site:
        assert [answer.status for answer in split_answers(await site.ask(post(b"ab"), LAST))] == [500, 500]


@pytest.mark.parametrize("is_error", [True, False])
async def test_responder_that_breaks_off_a_stream_cuts_the_connection(serve: Serve, is_error: bool) -> None:
    """Operations §3.3: a stream that fails or is not finished ends without its last chunk."""

    async def break_off(exchange: Exchange) -> None:
        exchange.start(200, TEXT)
        exchange.write(b"some")
        await asyncio.sleep(0.001)
        if is_error:
            raise ValueError("broken")

    async with serve(break_off) as site:
        received = await ask_once(site, GET + SMUGGLED)
        assert received.endswith(b"4\r\nsome\r\n")
        assert site.targets == [b"/first"]


async def test_stream_to_http_1_0_that_breaks_off_is_reset(serve: Serve) -> None:
    """Operations §3.3: where the end of the connection is the end of the answer, only a reset shows a truncation."""

    async def break_off(exchange: Exchange) -> None:
        exchange.start(200, TEXT)
        exchange.write(b"some")
        await asyncio.sleep(0.02)
        raise ValueError("broken")

    async with serve(break_off) as site:
        client = await site.connected()
        client.send(b"GET /first HTTP/1.0\r\n\r\n")
        await client.read_all()
        assert client.was_reset


async def test_refusal_with_the_body_unread_closes(serve: Serve) -> None:
    """Operations §3: a request refused before its body was read ends the connection, the body is no request."""
    async with serve(refuse_at_once) as site:
        for received in await site.ask_cut_everywhere(post(SMUGGLED), LAST):
            assert {answer.status for answer in split_answers(received)} == {401}
        assert set(site.targets) == {b"/first", b"/last"}
