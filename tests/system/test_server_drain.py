"""Leaving in good order (operations §4): say close, close the doors, let requests finish, cut at the limit."""

import asyncio
import errno
import socket
import time

import pytest

from busbar_fast.errors import ProcessEnds
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import Limits
from tests.system.rawclient import Truncated, split_answers, turns
from tests.system.serving import GET, LAST, TEXT, Gate, Serve, Site, post, until


async def stream_for_a_while(exchange: Exchange) -> None:
    """Stream for a quarter of a second."""
    exchange.start(200, TEXT)
    for _ in range(5):
        exchange.write(b"part")
        await asyncio.sleep(0.05)
    exchange.finish()


async def stream_for_ever(exchange: Exchange) -> None:
    """Stream without an end."""
    exchange.start(200, TEXT)
    while True:
        exchange.write(b"part")
        await asyncio.sleep(0.01)


def is_refused(site: Site) -> bool:
    """Return whether a new client finds the door closed."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", site.port)) == errno.ECONNREFUSED


async def test_leaving_says_close_and_still_accepts(serve: Serve) -> None:
    """Operations §13 case 37: from the signal on every answer says close, while new clients are served."""
    async with serve() as site:
        old = await site.connected()
        old.send(GET)
        assert not (await old.read_answer()).closes
        site.listener.leave()
        new = await site.connected()
        for client in (old, new):
            client.send(GET)
            assert (await client.read_answer()).closes
            assert await client.read_all() == b""


async def test_leaving_marks_answers_begun_before_their_head_is_written(serve: Serve) -> None:
    """Operations §13 case 37: a request that was running at the signal is answered with close as well."""
    gate = Gate()

    async def gated(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200, TEXT, b"done")

    async with serve(gated) as site:
        client = await site.connected()
        client.send(GET)
        await until(lambda: gate.waiting == 1)
        site.listener.leave()
        gate.open()
        (answer,) = split_answers(await client.read_all())
        assert answer.closes


@pytest.mark.parametrize("is_accepted", [False, True], ids=["in the queue", "accepted"])
async def test_drain_answers_what_has_arrived(serve: Serve, is_accepted: bool) -> None:
    """Operations §4: a request that reached the machine before the drain is answered, read by then or not."""
    async with serve() as site:
        clients = [await site.connected() if is_accepted else site.connect() for _ in range(100)]
        for client in clients:
            client.send(GET)
        site.listener.leave()
        draining = asyncio.ensure_future(site.listener.drain(5.0))
        for client in clients:
            (answer,) = split_answers(await client.read_all())
            assert (answer.status, answer.closes) == (200, True)
        assert await draining


async def test_drain_on_a_busy_loop_lets_nobody_go(serve: Serve) -> None:
    """Operations §4: who is accepted by the drain itself is served, however long the loop takes for a turn."""

    def spin(times: int) -> None:
        begun_s = time.perf_counter()
        while time.perf_counter() - begun_s < 0.12:
            pass
        if times:
            asyncio.get_running_loop().call_soon(spin, times - 1)

    async with serve() as site:
        clients = [site.connect() for _ in range(20)]
        for client in clients:
            client.send(GET)
        spin(4)
        assert await site.listener.drain(5.0)
        for client in clients:
            assert [answer.status for answer in split_answers(await client.read_all())] == [200]


async def test_drain_closes_doors_and_idle_connections_at_once(serve: Serve) -> None:
    """Operations §4 phase 1: nobody is accepted any more, and who has no request is let go silently."""
    async with serve() as site:
        used, fresh = await site.connected(), await site.connected()
        used.send(GET)
        await used.read_answer()
        assert await site.listener.drain(5.0)
        assert is_refused(site)
        assert site.listener.addresses == []
        assert await used.read_all() == b""
        assert await fresh.read_all() == b""


async def test_drain_of_nothing_is_done_at_once(serve: Serve) -> None:
    """Operations §4: without connections there is nothing to wait for."""
    async with serve() as site:
        assert await site.listener.drain(0.0)
        assert await site.listener.drain(1.0)


@pytest.mark.parametrize("limit_s", [5.0, 0.0])
async def test_drain_lets_a_running_stream_finish(serve: Serve, limit_s: float) -> None:
    """Operations §13 case 37: a stream runs on to its end, without a limit when there is none."""
    async with serve(stream_for_a_while) as site:
        clients = [await site.connected() for _ in range(3)]
        for client in clients:
            client.send(GET)
        await until(lambda: site.service.in_flight == 3)
        drain = asyncio.get_running_loop().create_task(site.listener.drain(limit_s))
        await turns()
        assert is_refused(site)
        assert not drain.done()
        for client in clients:
            (answer,) = split_answers(await client.read_all())
            assert answer.body == b"part" * 5
            assert not answer.closes  # its head was written before the signal
        assert await drain
        assert site.service.in_flight == 0


async def speak_to_the_last(exchange: Exchange) -> None:
    """Stream without an end, and say so when there has to be one."""
    exchange.start(200, TEXT)
    exchange.write(b"part")
    try:
        await asyncio.sleep(60)
    except ProcessEnds:
        exchange.write(b", and no more")
        exchange.finish()


@pytest.mark.parametrize("is_limit", [True, False], ids=["at the limit", "told"])
async def test_drain_lets_a_stream_say_its_last_word(serve: Serve, is_limit: bool) -> None:
    """Operations §13 case 38: at the limit, or told to, a stream is ended by whoever answers, and then closed."""
    loop = asyncio.get_running_loop()
    async with serve(speak_to_the_last) as site:
        clients = [await site.connected() for _ in range(3)]
        for client in clients:
            client.send(GET)
        await until(lambda: site.service.in_flight == 3)
        begun_at = loop.time()
        if is_limit:
            assert not await site.listener.drain(0.3)
        else:
            await site.listener.cut_short()
        assert loop.time() - begun_at < 2.0
        assert not site.service.connections
        for client in clients:
            (answer,) = split_answers(await client.read_all())
            assert answer.body == b"part, and no more"


async def test_drain_that_is_cut_short_refuses_what_has_not_begun(serve: Serve) -> None:
    """Operations §4 phase 3: a request without a byte of an answer is refused, one that is half read is let go."""
    gate = Gate()

    async def gated(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200, TEXT, b"done")

    async with serve(gated) as site:
        asker, reader, idler = [await site.connected() for _ in range(3)]
        asker.send(GET)
        await reader.send_pieces(GET[:10])
        await until(lambda: gate.waiting == 1)
        await site.listener.cut_short()
        (answer,) = split_answers(await asker.read_all())
        assert (answer.status, answer.closes) == (503, True)
        assert await reader.read_all() == b""
        assert await idler.read_all() == b""
        assert site.service.in_flight == 0


async def test_drain_cuts_at_its_limit(serve: Serve) -> None:
    """Operations §4 phase 3: who has no last word is cut at the limit, its exchange undone, and the drain says so."""
    loop = asyncio.get_running_loop()
    async with serve(stream_for_ever) as site:
        client = await site.connected()
        client.send(GET)
        await until(lambda: site.service.in_flight == 1)
        begun_at = loop.time()
        assert not await site.listener.drain(0.3)
        assert 0.29 <= loop.time() - begun_at < 2.0
        assert site.service.in_flight == 0
        assert not site.service.connections
        received = await client.read_all()
        with pytest.raises(Truncated):
            split_answers(received)


async def test_drain_times_a_head_that_has_begun(serve: Serve) -> None:
    """Operations §4 phase 1: a head on its way gets its time, is served when it comes, refused when it does not."""
    async with serve(limits=Limits(header_read_timeout_s=0.4)) as site:
        quick, slow = await site.connected(), await site.connected()
        await quick.send_pieces(GET[:10])
        await slow.send_pieces(GET[:10])
        drain = asyncio.get_running_loop().create_task(site.listener.drain(5.0))
        await turns()
        quick.send(GET[10:])
        (answer,) = split_answers(await quick.read_all())
        assert (answer.status, answer.closes) == (200, True)
        (refusal,) = split_answers(await slow.read_all())
        assert refusal.status == 408
        slow.close()
        assert await drain


async def test_drain_waits_for_a_body_on_its_way(serve: Serve) -> None:
    """Operations §4 phase 2: a request whose body is still coming is in flight."""
    async with serve() as site:
        client = await site.connected()
        await client.send_pieces(post(b"abcdef")[:-3])
        drain = asyncio.get_running_loop().create_task(site.listener.drain(5.0))
        await turns()
        client.send(b"def")
        (answer,) = split_answers(await client.read_all())
        assert (answer.body, answer.closes) == (b"/first\nabcdef", True)
        assert await drain


async def test_drain_answers_one_of_several_pipelined_requests(serve: Serve) -> None:
    """Operations §4: the running request is answered with close, those behind it are for another server."""
    gate = Gate()

    async def gated(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200, TEXT, b"done")

    async with serve(gated) as site:
        client = await site.connected()
        await client.send_pieces(GET + GET + LAST)
        drain = asyncio.get_running_loop().create_task(site.listener.drain(5.0))
        await turns()
        gate.open()
        (answer,) = split_answers(await client.read_all())
        assert answer.closes
        client.close()
        assert await drain
        assert site.targets == [b"/first"]


async def test_drain_serves_whom_it_accepted_last(serve: Serve) -> None:
    """Operations §4: a connection that was being set up when the doors closed is not lost to the count."""
    async with serve() as site:
        client = site.connect()
        await turns(1)
        client.send(LAST)
        drain = asyncio.get_running_loop().create_task(site.listener.drain(2.0))
        received = await client.read_all()
        assert received == b"" or split_answers(received)[0].status == 200
        client.close()
        assert await drain
        assert not site.service.connections


async def test_second_drain_at_once_cuts(serve: Serve) -> None:
    """Operations §4: a second signal need not wait for the first drain."""
    async with serve(stream_for_ever) as site:
        client = await site.connected()
        client.send(GET)
        await until(lambda: site.service.in_flight == 1)
        drain = asyncio.get_running_loop().create_task(site.listener.drain(5.0))
        await turns()
        site.listener.cut()
        assert await drain
        assert site.service.in_flight == 0
