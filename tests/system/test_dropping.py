"""Clients that leave: whatever a request was doing, its upstream hears of it at once, and nothing stays behind."""

import asyncio
import random
from pathlib import Path

import pytest

from busbar_fast.wire.pool import OriginKey
from tests.system.origins import (
    GET,
    OK,
    STREAM,
    Gateway,
    Peer,
    Server,
    descriptors,
    gateway,
    new_authority,
    server_side,
    serving_upstream,
    until,
)

SOON_S = 0.1
ABORTED = 500
AT_ONCE = 50
STAGES = ("silent", "part of a head", "head", "mid-body", "body too large for the client", "idle")


def play(stage: str) -> "Script":
    """Return the upstream's script that brings a request to this stage and leaves it there."""
    said = {
        "silent": b"",
        "part of a head": STREAM[:20],
        "head": STREAM,
        "mid-body": STREAM + b"3\r\none\r\n3\r\nt",
        "body too large for the client": STREAM + b"800000\r\n" + bytes(0x800000),
        "idle": OK,
    }[stage]
    return Script(said)


class Script:
    """Says one thing to each request."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def __call__(self, peer: Peer) -> None:
        if peer.received.endswith(b"\r\n\r\n"):
            peer.take()
            if self._said:
                peer.say(self._said)


async def begin(site: Gateway, server: Server, stage: str) -> tuple[Peer, Peer]:
    """Bring a request to a stage; return its client and its upstream."""
    known = len(server.peers)
    client = await site.client()
    if stage.startswith("body too large"):
        client.transport.pause_reading()
    client.say(GET)
    peer = await server.peer(known)
    await until(lambda: hasattr(peer, "transport"))
    if stage == "mid-body":
        await client.heard(b"one")
    elif stage == "head":
        await until(lambda: site.leased)
    elif stage.startswith("body too large"):
        await until(lambda: any(connection.is_congested for connection in site.service.connections))
    else:
        await asyncio.sleep(0.02)
    return client, peer


@pytest.mark.parametrize("stage", STAGES[:5])
@pytest.mark.parametrize("way", ["close", "reset"])
async def test_upstream_hears_at_once_that_the_client_left(parser_kind: str, stage: str, way: str) -> None:
    """The upstream's connection ends within a tenth of a second of the client's, at whichever stage."""
    loop = asyncio.get_running_loop()
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        server.script = play(stage)
        took_s = []
        for _ in range(3):
            client, peer = await begin(site, server, stage)
            began_s = loop.time()
            if way == "reset":
                client.reset()
            else:
                client.transport.abort()
            await peer.over()
            took_s.append(loop.time() - began_s)
            await until(lambda: site.is_at_rest)
            site.leased.clear()
        assert min(took_s) < SOON_S
        assert site.errors == []


async def test_handshake_under_way_ends_with_its_client(parser_kind: str) -> None:
    """A client that leaves during the TLS handshake with the upstream takes the half-made connection along."""
    async with serving_upstream() as server:
        key = OriginKey(is_tls=True, host="127.0.0.1", port=server.port)
        async with gateway(parser_kind, key) as site:
            client = await site.client()
            client.say(GET)
            peer = await server.peer()
            await until(lambda: peer.received)
            client.reset()
            await peer.over()
            await until(lambda: site.is_at_rest)
            assert site.errors == []


async def test_half_closed_client_counts_as_gone(parser_kind: str) -> None:
    """A client that shuts its sending side during a request gives the request up."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        client, peer = await begin(site, server, "silent")
        client.transport.write_eof()
        await peer.over()
        await client.over()
        assert site.service.in_flight == 0


async def test_tls_upstream_hears_it_too(parser_kind: str, tmp_path: Path) -> None:
    """A TLS upstream sees the end of an abandoned request as a plain one does."""
    authority, trusted = new_authority(tmp_path)
    async with serving_upstream(server_side(authority.issue_cert("localhost"))) as server:
        server.script = play("mid-body")
        key = OriginKey(is_tls=True, host="localhost", port=server.port)
        async with gateway(parser_kind, key, ca_file=trusted) as site:
            client, peer = await begin(site, server, "mid-body")
            client.reset()
            await peer.over()
            await until(lambda: site.is_at_rest)
            assert (site.errors, site.origin.dialled) == ([], 1)


@pytest.mark.parametrize("stage", STAGES[:5])
async def test_no_descriptor_is_left(parser_kind: str, stage: str) -> None:
    """Clients that leave at one stage leave as many descriptors behind as those before them."""
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:
        server.script = play(stage)
        counts = []
        for _ in range(3):
            for client, _ in [await begin(site, server, stage) for _ in range(5)]:
                client.reset()
            await until(lambda: site.is_at_rest and all(peer.is_over for peer in server.peers))
            server.peers.clear()
            counts.append(descriptors())
        assert counts[0] == counts[1] == counts[2]


async def vanish(site: Gateway, chance: random.Random) -> None:
    """Send a request, or a part of it, and leave at some moment."""
    client = await site.client()
    client.say(GET[: chance.choice((3, len(GET), len(GET), len(GET)))])
    for _ in range(chance.randrange(12)):
        await asyncio.sleep(0)
    client.reset()


async def test_vanished_clients_leave_nothing(parser_kind: str) -> None:
    """After clients vanished at random stages nothing is counted, timed or open, and only idle connections are kept."""
    chance = random.Random(4)
    async with serving_upstream() as server, gateway(parser_kind, server.port) as site:

        def answer_at_random(peer: Peer) -> None:
            play(chance.choice(STAGES[:4] + STAGES[5:]))(peer)

        server.script = answer_at_random
        for _ in range(ABORTED // AT_ONCE):
            await asyncio.gather(*[vanish(site, chance) for _ in range(AT_ONCE)])
            server.peers[:] = [peer for peer in server.peers if not peer.is_over]
        await until(lambda: not (site.service.connections or site.service.in_flight))
        assert site.origin.open == site.origin.idle
        assert site.service.requests > ABORTED // 2
        site.pool.close()
        await until(lambda: all(peer.is_over for peer in server.peers))
        assert len(site.wheel) == 0
