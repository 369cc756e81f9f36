"""What a client may cost us (operations §2): sizes of heads and bodies, and the time to send and to take them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from busbar_fast.wire import downstream
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES, Limits
from tests.system.rawclient import RawClient, split_answers, turns
from tests.system.serving import GET, LAST, SMUGGLED, TEXT, Serve, Site, all_of, chunked_head, post, until
from tests.system.verdicts import check_refusals

PIECE = b"x" * 65536
LATE_S = 2.0  # what a deadline of some tenths of a second cannot take on a machine that is merely busy


async def trickle(client: RawClient, piece: bytes, gap_s: float) -> None:
    """Send a piece again and again until the server ends the connection."""
    while not client.has_ended:
        client.send(piece)
        await asyncio.sleep(gap_s)


async def answer_to_trickle(site: Site, start: bytes, piece: bytes, gap_s: float) -> tuple[bytes, float]:
    """Return what came on a connection that never stops sending, and after how many seconds it ended."""
    loop = asyncio.get_running_loop()
    client = await site.connected()
    begun_at = loop.time()
    client.send(start)
    sender = loop.create_task(trickle(client, piece, gap_s))
    try:
        received = await client.read_all()
    finally:
        sender.cancel()
        client.close()
    return received, loop.time() - begun_at


# The head


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /first HTTP/1.1\r\nA: ", b"x"),
        (b"", b""),
        (b"", b"\r\n"),
        (b"G", b""),
    ],
    ids=["one byte at a time", "silence", "empty lines", "one byte, then silence"],
)
async def test_head_takes_its_time_from_the_accept(serve: Serve, start: bytes, piece: bytes) -> None:
    """Operations §13 case 7: a head not complete in time is 408 although bytes keep coming; silence is as well."""
    async with serve(limits=Limits(header_read_timeout_s=0.3)) as site:
        received, took_s = await answer_to_trickle(site, start, piece, 0.03)
        check_refusals(site, [received], 408)
        assert 0.25 <= took_s < LATE_S  # from the accept, which was before we looked at the clock


async def test_later_head_takes_its_time_from_its_first_byte(serve: Serve) -> None:
    """Operations §13 case 7: between requests the quiet costs nothing, a head begun is timed again."""
    async with serve(limits=Limits(header_read_timeout_s=0.3, keepalive_idle_timeout_s=5.0)) as site:
        client = await site.connected()
        client.send(GET)
        await client.read_answer()
        await asyncio.sleep(0.5)
        assert client.received_nothing()
        client.send(b"GET ")
        (answer,) = split_answers(await client.read_all())
        assert answer.status == 408


def head_of(size: int) -> bytes:
    """Return a head of exactly so many bytes."""
    start = b"GET /first HTTP/1.1\r\nHost: h\r\nA: "
    return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"


def head_with_fields(count: int) -> bytes:
    """Return a head of exactly so many fields."""
    return b"GET /first HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * (count - 1) + b"\r\n"


def head_with_target(size: int) -> bytes:
    """Return a head whose target has exactly so many bytes."""
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nHost: h\r\n\r\n"


def in_pieces(raw: bytes, size: int) -> list[bytes]:
    """Return the bytes cut into pieces of one size."""
    return [raw[at : at + size] for at in range(0, len(raw), size)]


TOO_LARGE = {
    "head": (head_of(65536), head_of(65537), 431),
    "fields": (head_with_fields(100), head_with_fields(101), 431),
    "target": (head_with_target(16384), head_with_target(16385), 414),
    "empty lines": (b"\r\n" * 32750 + GET, b"\r\n" * 32768 + GET, 431),
}


@pytest.mark.parametrize(("fits", "too_large", "status"), TOO_LARGE.values(), ids=TOO_LARGE)
async def test_head_may_grow_to_its_limit(serve: Serve, fits: bytes, too_large: bytes, status: int) -> None:
    """Operations §13 case 8: 65 537 bytes, 101 fields, a target of 16 385 bytes are refused, one less is served."""
    async with serve() as site:
        for size in (len(fits), 9973, 1024):
            client = await site.connected()
            await client.send_pieces(*in_pieces(fits, size))
            assert (await client.read_answer()).status == 200
            client.close()
        served = len(site.targets)
        received = [await site.ask(*in_pieces(too_large + SMUGGLED, size)) for size in (len(too_large), 9973, 1024)]
        check_refusals(site, received, status)
        assert len(site.targets) == served


@pytest.mark.parametrize(
    ("start", "status"),
    [(b"GET /" + b"a" * 20000, 414), (b"GET / HTTP/1.1\r\nA: " + b"x" * 70000, 431), (b"\r\n" * 40000, 431)],
    ids=["target", "head", "empty lines"],
)
async def test_head_that_outgrows_its_limit_is_refused_before_its_end(serve: Serve, start: bytes, status: int) -> None:
    """Operations §2: sizes are counted while the bytes come, nobody waits for the end of the head."""
    async with serve() as site:
        check_refusals(site, [await site.ask(start), await site.ask(*in_pieces(start, 997))], status)


# The body


async def wait_for_body(exchange: Exchange) -> None:
    """Read the body part by part, then answer with its size."""
    size = 0
    while (part := await exchange.next_part()) is not None:
        size += len(part)
    exchange.reply(200, TEXT, b"%d" % size)


def in_chunks(body: bytes, size: int) -> bytes:
    """Return a body in chunks of one size, with the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in in_pieces(body, size)) + b"0\r\n\r\n"


CAP = 4000
CAPPED = Limits(request_body_max_bytes=CAP)


@pytest.mark.parametrize("size", [CAP, 1, 700])
async def test_body_of_exactly_its_cap_is_accepted(serve: Serve, size: int) -> None:
    """Operations §13 case 9: a body as large as the cap is served, however it is framed and cut."""
    body = b"x" * CAP
    async with serve(wait_for_body, CAPPED) as site:
        for request in (post(body), chunked_head() + in_chunks(body, size)):
            client = await site.connected()
            for step in (len(request), 1009):
                await client.send_pieces(*in_pieces(request, step))
                answer = await client.read_answer()
                assert (answer.status, answer.body, answer.closes) == (200, b"%d" % CAP, False)
            client.close()


@pytest.mark.parametrize("size", [CAP + 1, 1, 700])
async def test_body_one_byte_above_its_cap_is_too_large(serve: Serve, size: int) -> None:
    """Operations §13 case 9: one byte more is 413, also when chunked, and also when nothing but the head has come."""
    body = b"x" * (CAP + 1)
    chunks = chunked_head() + in_chunks(body, size)
    async with serve(wait_for_body, CAPPED) as site:
        declared = post(body)[: -len(body)]
        cuts = [[post(body)], [declared], in_pieces(post(body), 1009), [chunks], in_pieces(chunks, 1009)]
        for pieces in cuts:
            client = await site.connected()
            await client.send_pieces(*pieces)
            answer = await client.read_answer()
            is_unread = pieces == [declared]
            assert (answer.status, answer.closes) == (413, answer.closes or is_unread)
            client.close()


async def test_body_gap_ends_the_request(serve: Serve) -> None:
    """Operations §2: a client that announces a body and sends none is told 408."""
    async with serve(wait_for_body, Limits(request_body_read_timeout_s=0.25)) as site:
        for start in (post(b"x" * 100)[:-100], post(b"x" * 100)[:-50], chunked_head() + b"5\r\nab"):
            received, took_s = await answer_to_trickle(site, start, b"", 0.1)
            (answer,) = split_answers(received)
            assert (answer.status, answer.closes) == (408, True)
            assert 0.24 <= took_s < LATE_S
            assert site.service.in_flight == 0


@pytest.fixture
def _low_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream, "BODY_GRACE_S", 0.3)
    monkeypatch.setattr(downstream, "BODY_FLOOR_BYTES_PER_S", 1000)


@pytest.mark.usefixtures("_low_floor")
async def test_body_below_the_floor_is_cut(serve: Serve) -> None:
    """Operations §13 case 11: bytes that come in time but too few of them are 408 after the grace."""
    async with serve(wait_for_body, Limits(request_body_read_timeout_s=5.0)) as site:
        for start, piece in ((post(b"x" * 9999)[:-9999], b"x" * 4), (chunked_head(), b"1\r\nx\r\n")):
            received, took_s = await answer_to_trickle(site, start, piece, 0.03)
            assert [answer.status for answer in split_answers(received)] == [408]
            assert 0.29 <= took_s < LATE_S


@pytest.mark.usefixtures("_low_floor")
async def test_body_above_the_floor_passes(serve: Serve) -> None:
    """Operations §13 case 11: a body of twice the floor is served, however long it takes."""
    async with serve(wait_for_body, Limits(request_body_read_timeout_s=0.3)) as site:
        client = await site.connected()
        client.send(post(b"x" * 3600)[:-3600])
        for _ in range(30):
            client.send(b"x" * 120)
            await asyncio.sleep(0.03)
        assert (await client.read_answer()).body == b"3600"


# Between requests


async def test_idle_connection_is_closed_silently(serve: Serve) -> None:
    """Operations §13 case 13: after the idle time the connection ends without a word; a request before is served."""
    async with serve(limits=Limits(keepalive_idle_timeout_s=0.3, header_read_timeout_s=5.0)) as site:
        client = await site.connected()
        for _ in range(3):
            client.send(GET)
            assert (await client.read_answer()).status == 200
            await asyncio.sleep(0.15)
        assert await client.read_all() == b""
        assert site.service.refusals == {}


@pytest.mark.parametrize(("jitter", "last"), [(0.0, 9), (0.5, 10), (1.0, 11)])
async def test_connection_serves_so_many_requests(serve: Serve, jitter: float, last: int) -> None:
    """Operations §2: the last request a connection serves is answered with close, ten per cent sooner or later."""
    async with serve(limits=Limits(max_requests_per_connection=10)) as site:
        site.service.jitter = lambda: jitter
        answers = split_answers(await site.ask(GET * 20))
        assert [answer.closes for answer in answers] == [False] * (last - 1) + [True]
        assert len(site.targets) == last


@pytest.mark.parametrize(("jitter", "age_s"), [(0.0, 0.36), (1.0, 0.44)])
async def test_connection_grows_so_old(serve: Serve, jitter: float, age_s: float) -> None:
    """Operations §13 case 66: an aged connection closes after an answer, ten per cent sooner or later."""
    loop = asyncio.get_running_loop()
    async with serve(limits=Limits(max_connection_age_s=0.4)) as site:
        site.service.jitter = lambda: jitter
        begun_at = loop.time()
        client = await site.connected()
        is_last = False
        while not is_last:
            client.send(GET)
            is_last = (await client.read_answer()).closes
            age = loop.time() - begun_at
            assert is_last or age < LATE_S
            await asyncio.sleep(0.005)
        assert age > age_s - 0.01
        assert await client.read_all() == b""


async def test_answer_that_outlives_its_connection_is_finished(serve: Serve) -> None:
    """Operations §13 case 66: age never ends an answer in the middle."""

    async def slow(exchange: Exchange) -> None:
        exchange.start(200, TEXT)
        for _ in range(6):
            exchange.write(b"part")
            await asyncio.sleep(0.05)
        exchange.finish()

    async with serve(slow, Limits(max_connection_age_s=0.1)) as site:
        client = await site.connected()
        client.send(GET)
        assert (await client.read_answer()).body == b"part" * 6
        client.send(GET)
        assert (await client.read_answer()).closes


# Writing


class Flood:
    """A responder that writes as fast as the client takes, and remembers how it ended."""

    def __init__(self, *, ends_after: int = 1 << 40) -> None:
        self.ends_after = ends_after
        self.written = 0
        self.is_over = False

    async def __call__(self, exchange: Exchange) -> None:
        """Write until the end, or until somebody ends us."""
        try:
            exchange.start(200, TEXT)
            while self.written < self.ends_after:
                exchange.write(PIECE)
                self.written += len(PIECE)
                await exchange.drained()
            exchange.finish()
        finally:
            self.is_over = True


@asynccontextmanager
async def stalled(site: Site, flood: Flood) -> AsyncIterator[RawClient]:
    """Ask for a flood, read nothing of it, and go on when the server is stuck."""
    client = await site.connected(receive_buffer_bytes=8192)
    client.send(GET)
    written = -1
    while flood.written > written:
        written = flood.written
        await asyncio.sleep(0.02)
    yield client


async def test_client_that_reads_nothing_is_aborted(serve: Serve) -> None:
    """Operations §13 case 14: what is not read piles up to a bound, then the connection and its exchange end."""
    flood = Flood()
    async with serve(flood, Limits(write_stall_timeout_s=0.4)) as site, stalled(site, flood):
        (connection,) = site.service.connections
        assert connection.transport.get_write_buffer_size() <= HIGH_WATER_BYTES + 2 * len(PIECE)
        assert not flood.is_over
        await until(lambda: flood.is_over, 2.0)
        assert site.service.in_flight == 0
        await until(lambda: not site.service.connections, 0.5)


async def test_client_that_reads_slowly_is_not_cut(serve: Serve) -> None:
    """Operations §2: a client that takes little, but takes, is not stalled; its backlog stays bounded."""
    flood = Flood()
    async with serve(flood, Limits(write_stall_timeout_s=0.3)) as site, stalled(site, flood) as client:
        (connection,) = site.service.connections
        for _ in range(50):
            await client.receive(8192)
            client.drop_received()
            await asyncio.sleep(0.02)
            assert connection.transport.get_write_buffer_size() <= HIGH_WATER_BYTES + 2 * len(PIECE)
        assert not flood.is_over
        client.close()
        await until(lambda: flood.is_over, 0.5)


async def test_client_that_takes_the_rest_of_a_last_answer_has_it_whole(serve: Serve) -> None:
    """Operations §2: a closing connection waits for a client that reads slowly."""
    flood = Flood(ends_after=40 * len(PIECE))
    async with serve(flood, Limits(write_stall_timeout_s=0.3)) as site:
        client = await site.connected(receive_buffer_bytes=8192)
        client.send(LAST)
        size = 0
        while not client.has_ended:
            size += await client.receive(65536)
            await asyncio.sleep(0.005)
        assert size > 40 * len(PIECE)
        assert client.drop_received() == size
        assert not client.was_reset


async def test_client_that_stops_reading_the_rest_of_a_last_answer_is_aborted(serve: Serve) -> None:
    """Operations §2: a stall is a stall below the low-water mark as well, once the connection is to close."""

    async def large_then_small(exchange: Exchange) -> None:
        exchange.start(200, TEXT)
        exchange.write(PIECE * 4)
        exchange.write(PIECE[: LOW_WATER_BYTES // 2])
        exchange.finish()

    async with serve(large_then_small, Limits(write_stall_timeout_s=0.3)) as site:
        client = await site.connected(receive_buffer_bytes=4096)
        (connection,) = site.service.connections
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.send(LAST)
        await until(lambda: connection.is_congested)
        while connection.is_congested:
            await client.receive(1024)
            await turns()
        assert 0 < connection.transport.get_write_buffer_size() < LOW_WATER_BYTES
        await until(lambda: not site.service.connections, 2.0)


async def test_client_that_asks_much_and_reads_nothing_is_held_back(serve: Serve) -> None:
    """Operations §2: answers nobody takes are not piled up, however many requests are pipelined."""

    async def large(exchange: Exchange) -> None:
        exchange.reply(200, TEXT, PIECE)

    async with serve(large, Limits(write_stall_timeout_s=0.4)) as site:
        client = await site.connected(receive_buffer_bytes=8192)
        sender = asyncio.get_running_loop().create_task(client.send_large(GET * 20000))
        (connection,) = site.service.connections
        largest = 0
        while site.service.connections:
            largest = max(largest, connection.transport.get_write_buffer_size())
            await asyncio.sleep(0.002)
        assert largest <= HIGH_WATER_BYTES + 2 * len(PIECE)
        sender.cancel()


async def test_held_back_client_that_reads_again_is_served(serve: Serve) -> None:
    """Operations §2: requests that waited for the client to read are answered in order once it does."""

    async def large(exchange: Exchange) -> None:
        exchange.reply(200, TEXT, exchange.head.target + PIECE)

    count = 120
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(count))
    async with serve(large) as site:
        client = await site.connected(receive_buffer_bytes=8192)
        client.send(requests)
        await asyncio.sleep(0.1)
        assert len(site.targets) < count
        for number in range(count):
            assert (await client.read_answer()).body == b"/%d" % number + PIECE
        client.send(GET)
        assert (await client.read_answer()).body == b"/first" + PIECE


async def test_many_slow_heads_do_not_stop_a_good_client(serve: Serve) -> None:
    """Operations §2: clients that say nothing cost a connection each and nobody else's time."""
    async with serve(limits=Limits(header_read_timeout_s=0.4)) as site:
        silent = [site.connect() for _ in range(100)]
        await until(lambda: len(site.service.connections) == 100)
        client = await site.connected()
        client.send(GET)
        assert (await client.read_answer()).status == 200
        received = await all_of(other.read_all() for other in silent)
        assert {answer.status for raw in received for answer in split_answers(raw)} == {408}
        client.send(GET)
        assert (await client.read_answer()).status == 200
