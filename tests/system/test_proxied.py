"""A balancer in front that says for whom it connects: what is believed, what is closed, and what the limits count."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.system.engines import Running, running
from tests.system.fleets import call_of, config_of
from tests.system.gateways import closed_port
from tests.system.rawclient import RawClient
from tests.system.test_server_tls import Site
from tests.wire.test_proxied import V4, binary

LINE = b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 8080\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
HEALTH = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"


@asynccontextmanager
async def behind(folder: Path, version: str, more: str = "", top: str = "") -> AsyncIterator[Running]:
    """Run a gateway that is behind such a balancer."""
    server = f"server: {{proxy_protocol: {version}{more}}}\n"
    async with running(folder, config_of([closed_port()], "openai", top=server + top)) as made:
        yield made


async def ended(client: RawClient) -> bytes:
    """Return all that comes up to the end of a connection."""
    try:
        return await client.read_all()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(("version", "header"), [("v1", LINE), ("v2", binary(0x21, 0x11, V4))])
async def test_real_address_is_in_the_log(
    tmp_path: Path, version: str, header: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Operations §13, case 65: header on: the client's own address in the log, in whatever pieces it came."""
    with caplog.at_level(logging.DEBUG, "busbar_fast.wire"):
        async with behind(tmp_path, version) as made:
            for pieces in ([header + HEALTH], [header[:7], header[7:], HEALTH], [bytes((b,)) for b in header + HEALTH]):
                client = made.connect()
                for piece in pieces:
                    client.send(piece)
                    await asyncio.sleep(0)
                assert (await client.read_answer()).status == 200
                client.send(b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n")
                assert (await client.read_answer()).status == 400
    refusals = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert [text.split()[1] for text in refusals] == ["203.0.113.7:"] * 3


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_direct_connection_is_closed(tmp_path: Path, version: str) -> None:
    """Operations §13, case 65: without its header a connection is closed, unanswered; the next one is served."""
    async with behind(tmp_path, version) as made:
        client = made.connect()
        client.send(HEALTH)
        assert await ended(client) == b""
        client = made.connect()
        client.send((b"PROXY UNKNOWN\r\n" if version == "v1" else binary(0x20, 0, b"")) + HEALTH)
        assert (await client.read_answer()).status == 200


async def test_header_is_bad_http_where_it_is_not_expected(tmp_path: Path) -> None:
    """Operations §13, case 65: off, the bytes of a header are answered 400."""
    async with behind(tmp_path, "off") as made:
        for header in (LINE, binary(0x21, 0x11, V4)):
            client = made.connect()
            client.send(header + HEALTH)
            assert (await client.read_answer()).status == 400


async def test_only_trusted_peers_speak_for_others(tmp_path: Path) -> None:
    """Operations §12 "source address": who is not trusted may come for itself, and for nobody else."""
    async with behind(tmp_path, "v1", ", trusted_proxies: [192.0.2.0/24]") as made:
        client = made.connect()
        client.send(LINE + HEALTH)
        assert await ended(client) == b""
        client = made.connect()
        client.send(b"PROXY UNKNOWN\r\n" + HEALTH)
        assert (await client.read_answer()).status == 200


async def test_limit_per_address_counts_clients(tmp_path: Path) -> None:
    """Operations §12 "source address": `max_connections_per_ip` counts those behind the balancer, not the balancer."""
    async with behind(tmp_path, "v1", top="limits: {max_connections_per_ip: 1}\n") as made:
        clients = []
        for number in (1, 2, 3):
            clients.append(made.connect())
            clients[-1].send(b"PROXY TCP4 203.0.113.%d 10.0.0.1 1 2\r\n" % number + HEALTH)
            assert (await clients[-1].read_answer()).status == 200
        again = made.connect()
        again.send(b"PROXY TCP4 203.0.113.2 10.0.0.1 1 2\r\n" + HEALTH)
        assert await ended(again) == b""
        clients[1].close()
        for _ in range(100):  # until it has noticed that the one before is gone
            again = made.connect()
            again.send(b"PROXY TCP4 203.0.113.2 10.0.0.1 1 2\r\n" + LAST)
            if served := await ended(again):
                break
        assert served.startswith(b"HTTP/1.1 200")


async def test_proxy_that_says_nothing_is_let_go(tmp_path: Path) -> None:
    """Operations §2: the header has the time of a head; who leaves before is forgotten."""
    async with behind(tmp_path, "v2", top="limits: {header_read_timeout_secs: 1}\n") as made:
        silent, leaving = made.connect(), made.connect()
        leaving.send(b"\r\n\r\n\x00")
        await asyncio.sleep(0)
        leaving.close()
        assert await ended(silent) == b""
        client = made.connect()
        client.send(binary(0x20, 0, b"") + HEALTH)
        assert (await client.read_answer()).status == 200


async def test_handshake_comes_behind_the_header(tmp_path: Path) -> None:
    """Operations §12: the header stands before the TLS handshake, and none of it is lost."""
    site = Site(tmp_path)
    tls = f"tls: {{cert_file: {tmp_path}/cert.pem, key_file: {tmp_path}/key.pem}}\n"
    async with behind(tmp_path, "v1", top=tls) as made:
        plain = socket.create_connection(("127.0.0.1", made.port))
        plain.setblocking(False)
        plain.sendall(LINE)
        reader, writer = await asyncio.open_connection(sock=plain, ssl=site.context(), server_hostname="localhost")
        writer.write(call_of("openai", "nobody"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        writer.close()
