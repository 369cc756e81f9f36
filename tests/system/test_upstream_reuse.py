"""Real upstream connections: kept, used again, replaced when they died, and reported when nobody answers."""

import asyncio
import socket

from busbar_fast.errors import ConnectFailed, UpstreamGone
from tests.fakes import ProbeStrand
from tests.system.origins import GET, OK, STREAM, Peer, answering, gateway, serving_upstream, until


async def test_one_connection_serves_many_requests(parser_kind: str) -> None:
    """Requests that follow each other share one upstream connection, whatever the framing of the answers."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        for answer in (OK, STREAM + b"2\r\nok\r\n0\r\n\r\n", OK, OK):
            server.script = answering(answer)
            assert await site.ask() == b"HTTP/1.1 200 OK"
            await until(lambda: site.origin.idle == 1)
        assert len(server.peers) == 1
        assert site.origin.dialled == 1


async def test_requests_at_the_same_time_have_their_own(parser_kind: str) -> None:
    """Two requests under way never share a connection; both are kept afterwards."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        both = asyncio.gather(site.ask(), site.ask())
        await until(lambda: sum(peer.requests for peer in server.peers) == 2)
        for peer in server.peers:
            peer.say(OK)
        assert set(await both) == {b"HTTP/1.1 200 OK"}
        await until(lambda: site.origin.idle == 2)


async def test_upstream_that_closes_while_idle_is_noticed(parser_kind: str) -> None:
    """The end of an idle connection is seen at once, and the next request gets a fresh one."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        server.script = answering(OK)
        await site.ask()
        server.peers[0].transport.close()
        await until(lambda: site.origin.open == 0)
        assert await site.ask() == b"HTTP/1.1 200 OK"
        assert site.origin.dialled == 2


async def test_upstream_that_closed_unnoticed_is_retried_silently(parser_kind: str) -> None:
    """A request sent on a connection whose end is already on its way is sent once more, and nobody is told."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        server.script = answering(OK)
        client = await site.client()
        await site.ask(client)

        def hang_up(peer: Peer) -> None:
            if peer is server.peers[0]:
                peer.reset()
            else:
                answering(OK)(peer)

        server.script = hang_up
        assert await site.ask(client) == b"HTTP/1.1 200 OK"
        assert (site.origin.dialled, site.errors) == (2, [])
        assert bytes(server.peers[0].received).count(GET) == 1


async def test_end_and_request_that_cross_are_retried_silently(parser_kind: str) -> None:
    """An orderly close that crosses the request is as harmless as a reset."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        server.script = answering(OK)
        client = await site.client()
        await site.ask(client)
        for round_trip in range(5):
            server.peers[-1].transport.close()  # its FIN and our request leave in the same turn of the loop
            assert await site.ask(client) == b"HTTP/1.1 200 OK", round_trip
        assert site.errors == []


async def test_fresh_connection_that_hangs_up_is_an_error(parser_kind: str) -> None:
    """An upstream that takes the request and leaves is reported, once."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        server.script = Peer.reset
        assert await site.ask() == b"HTTP/1.1 502 Bad Gateway"
        assert [type(error) for error in site.errors] == [UpstreamGone]
        assert site.origin.dialled == 1


async def test_refused_connect_is_an_error(parser_kind: str) -> None:
    """A port where nobody listens is a failed connect."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with gateway(parser_kind, unused.getsockname()[1]) as site:
            assert await site.ask() == b"HTTP/1.1 502 Bad Gateway"
            assert [type(error) for error in site.errors] == [ConnectFailed]
            assert isinstance(site.errors[0].__cause__, ConnectionRefusedError)


async def test_until_close_body_ended_by_a_reset_is_cut(parser_kind: str) -> None:
    """A body that lasts until the close reaches the client whole after a close, and visibly broken after a reset."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        for is_reset in (False, True):
            client = await site.client()
            client.say(GET)
            peer = await server.peer(int(is_reset))
            await peer.heard(GET)
            peer.say(b"HTTP/1.1 200 OK\r\n\r\nsome")
            await client.heard(b"4\r\nsome\r\n")
            if is_reset:
                peer.reset()
                await client.over()
            else:
                peer.transport.close()
                await client.heard(b"0\r\n\r\n")
            assert client.received.endswith(b"0\r\n\r\n") != is_reset


async def test_whole_answer_and_close_at_once_is_whole(parser_kind: str) -> None:
    """An answer that ends in the same breath as its connection is passed on in full, and nothing is kept."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        for answer in (OK, STREAM + b"2\r\nok\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nok"):

            def answer_and_leave(peer: Peer, answer: bytes = answer) -> None:
                peer.say(answer)
                peer.transport.close()

            server.script = answer_and_leave
            client = await site.client()
            await site.ask(client)
            await client.heard(b"ok")
            await until(lambda: site.origin.open == 0)
            assert not client.is_over
        assert site.errors == []


async def test_no_delay_on_both_legs(parser_kind: str) -> None:
    """Small writes leave at once: neither leg collects them."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        server.script = answering(OK)
        await site.ask()
        legs = [site.leased[0].transport, next(iter(site.service.connections)).transport]
        for transport in legs:
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_connection_with_a_request_half_sent_serves_nobody_else(parser_kind: str) -> None:
    """An upstream that answers early may read the next request as the rest of this one, so it gets none."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        server.script = answering(OK)
        async with asyncio.timeout(5):
            for is_whole in (False, True):
                strand = ProbeStrand(site.wheel)

                async def upload(strand: ProbeStrand = strand, is_whole: bool = is_whole) -> None:
                    with await site.origin.lease(strand, b"POST", 5.0) as upstream:
                        upstream.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
                        if is_whole:
                            upstream.write(b"xx", is_last=True)
                        await upstream.read_body(9)

                strand.start(upload())
                await until(lambda strand=strand: strand.is_over)  # type: ignore[misc]
                assert strand.error is None
                assert site.origin.idle == int(is_whole)
        await until(lambda: site.origin.open == 1)
