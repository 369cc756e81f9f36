"""How many connections there may be, and how a refused one ends (operations §2 and §3, case 10)."""

import asyncio
import errno
import socket

import pytest

from busbar_fast.wire import downstream, listener
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import LINGER_BYTES, LINGER_S, Limits
from busbar_fast.wire.listener import bind
from tests.system.rawclient import RawClient, split_answers, turns
from tests.system.serving import GET, LAST, TEXT, Serve, Site, post, until

MEBIBYTE = 1 << 20


async def refuse_at_once(exchange: Exchange) -> None:
    """Refuse by the head alone, as one does whose credential is wrong."""
    exchange.reply(401, TEXT, b"who are you?")


async def is_served(client: RawClient) -> bool:
    """Ask once; return whether an answer came."""
    client.send(GET)
    return (await client.read_answer()).status == 200


# How many


async def test_accepting_pauses_at_the_limit_and_resumes(serve: Serve) -> None:
    """Operations §2: at `max_connections` new clients wait in the kernel's queue until a connection ends."""
    async with serve(limits=Limits(max_connections=3)) as site:
        clients = [site.connect() for _ in range(5)]
        await until(lambda: len(site.service.connections) == 3)
        for client in clients:
            client.send(GET)
        assert [(await client.read_answer()).status for client in clients[:3]] == [200] * 3
        await turns(20)
        assert len(site.service.connections) == 3
        assert clients[3].received_nothing()
        assert clients[4].received_nothing()
        clients[0].close()
        assert (await clients[3].read_answer()).status == 200
        await turns(20)
        assert clients[4].received_nothing()
        clients[1].reset()
        assert (await clients[4].read_answer()).status == 200
        assert len(site.service.connections) == 3


@pytest.mark.parametrize("gap", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_exactly_as_many_connections_as_allowed_are_accepted(serve: Serve, limit: int, gap: int) -> None:
    """Operations §2: however fast they come, so many connections are served at once and no fewer."""
    async with serve(limits=Limits(max_connections=limit)) as site:
        clients = []
        for _ in range(limit + 20):
            clients.append(site.connect())
            await turns(gap)
        await until(lambda: len(site.service.connections) == limit)
        await turns(20)
        assert len(site.service.connections) == limit
        for client in clients:
            assert await is_served(client)
            client.close()


async def test_pause_at_the_limit_is_warned_of(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Operations §2: the operator learns that clients wait."""
    async with serve(limits=Limits(max_connections=1)) as site:
        client = await site.connected()
        assert await is_served(client)
    assert [record.levelname for record in caplog.records if record.name == "busbar_fast.wire"] == ["WARNING"]


async def test_address_with_enough_connections_gets_no_more(serve: Serve) -> None:
    """Operations §2: beyond `max_connections_per_ip` an accepted socket is closed at once; others are not affected."""
    async with serve(limits=Limits(max_connections_per_ip=2)) as site:
        first, second = await site.connected(), await site.connected()
        third = site.connect()
        assert await third.read_all() == b""
        other = site.connect(source="127.0.0.2")
        assert await is_served(other)
        assert await is_served(first)
        assert await is_served(second)
        first.close()
        await until(lambda: len(site.service.connections) == 2)
        assert await is_served(site.connect())
        assert await site.connect().read_all() == b""


class FailingDoor:
    """A listening socket whose `accept` fails for a while."""

    def __init__(self, door: socket.socket, code: int) -> None:
        self._door = door
        self._code = code
        self.failures_left = 0
        self.attempts = 0

    def fileno(self) -> int:
        return self._door.fileno()

    def getsockname(self) -> tuple[str, int]:
        name: tuple[str, int] = self._door.getsockname()
        return name

    def close(self) -> None:
        self._door.close()

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        self.attempts += 1
        if self.failures_left:
            self.failures_left -= 1
            raise OSError(self._code, "no")
        return self._door.accept()


def install_failing_door(monkeypatch: pytest.MonkeyPatch, code: int) -> list[FailingDoor]:
    """Have every listening socket made from now on fail as told."""
    doors: list[FailingDoor] = []
    serve_on = listener.Listener.serve

    def serve_through(self: listener.Listener, sock: socket.socket) -> None:
        door = FailingDoor(sock, code)
        doors.append(door)
        serve_on(self, door)  # type: ignore[arg-type]

    monkeypatch.setattr(listener.Listener, "serve", serve_through)
    return doors


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_shortage_of_descriptors_pauses_accepting(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Operations §1: when descriptors run out accepting rests for 100 ms instead of spinning, then goes on."""
    doors = install_failing_door(monkeypatch, code)
    loop = asyncio.get_running_loop()
    async with serve() as site:
        (door,) = doors
        door.failures_left = 2
        begun_at = loop.time()
        client = site.connect()
        assert await is_served(client)
        assert 0.19 <= loop.time() - begun_at < 2.0
        assert door.attempts <= 5


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.ECONNRESET])
async def test_failed_accept_is_no_reason_to_rest(serve: Serve, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Operations §1: a client that has gone before it was accepted costs the next one nothing."""
    doors = install_failing_door(monkeypatch, code)
    async with serve() as site:
        doors[0].failures_left = 1
        assert await is_served(site.connect())
        assert doors[0].failures_left == 0


async def test_drain_within_a_shortage_stays_drained(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations §4: the end of a pause does not reopen closed doors."""
    doors = install_failing_door(monkeypatch, errno.EMFILE)
    async with serve() as site:
        doors[0].failures_left = 1
        client = site.connect()
        await until(lambda: doors[0].attempts > 0)
        assert await site.listener.drain(1.0)
        await asyncio.sleep(0.15)
        assert await client.read_all() == b""
        with socket.socket() as late:
            assert late.connect_ex(("127.0.0.1", site.port)) == errno.ECONNREFUSED


# Refused uploads


@pytest.mark.parametrize("size", [30 * MEBIBYTE, 100_000, 70_000])
async def test_refused_upload_can_read_its_answer(serve: Serve, size: int) -> None:
    """Operations §13 case 10: 401 is sent without waiting for 30 MiB, and the client that goes on sending reads it."""
    async with serve(refuse_at_once) as site:
        client = await site.connected()
        head = post(b"x")[:-6] + b"%d\r\n\r\n" % size
        await client.send_pieces(head)
        sender = asyncio.get_running_loop().create_task(client.send_large(bytes(size)))
        (answer,) = split_answers(await client.read_all())
        assert (answer.status, answer.body, answer.closes) == (401, b"who are you?", True)
        sent = await sender
        assert sent == size or size > 100_000


async def test_client_that_reads_only_after_sending_has_its_answer(serve: Serve) -> None:
    """Operations §13 case 10: the answer survives although the client first tries to send everything."""
    async with serve(refuse_at_once) as site:
        client = await site.connected()
        await client.send_pieces(post(b"x")[:-6] + b"%d\r\n\r\n" % (30 * MEBIBYTE))
        assert await client.send_large(bytes(30 * MEBIBYTE)) < 30 * MEBIBYTE
        assert (await client.read_answer()).status == 401


async def lingering(site: Site) -> RawClient:
    """Return a client whose request was refused and who has read the answer, but goes on sending."""
    client = await site.connected()
    client.send(post(b"x")[:-6] + b"%d\r\n\r\n" % MEBIBYTE)
    (answer,) = split_answers(await client.read_all())
    assert answer.status == 401
    return client


async def test_lingering_ends_after_its_bytes(serve: Serve) -> None:
    """Operations §3: after a refusal 64 KiB are thrown away, not more."""
    async with serve(refuse_at_once) as site:
        client = await lingering(site)
        for _ in range(LINGER_BYTES // 1024):
            await client.send_pieces(b"x" * 1024)
        assert len(site.service.connections) == 1
        await client.send_pieces(b"x")
        await until(lambda: not site.service.connections, 0.5)


async def test_lingering_ends_after_its_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations §3: after a refusal we wait for the client so long, whatever it sends."""
    assert LINGER_S == 2.0
    monkeypatch.setattr(downstream, "LINGER_S", 0.3)
    loop = asyncio.get_running_loop()
    async with serve(refuse_at_once) as site:
        client = await lingering(site)
        begun_at = loop.time()
        while site.service.connections:
            assert loop.time() - begun_at < 2.0
            client.send(b"x")
            await asyncio.sleep(0.02)
        assert loop.time() - begun_at >= 0.25


async def test_lingering_ends_with_the_client(serve: Serve) -> None:
    """Operations §3: a client that has read its answer and leaves is let go at once."""
    async with serve(refuse_at_once) as site:
        client = await lingering(site)
        client.close()
        await until(lambda: not site.service.connections, 1.0)
        assert site.service.refusals == {}


async def test_probe_that_connects_and_leaves_costs_nothing(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Operations §12: a TCP health check leaves no log line above debug and no count."""
    async with serve() as site:
        for _ in range(3):
            (await site.connected()).close()
            (await site.connected()).reset()
        await site.is_idle()
        assert (site.service.requests, site.service.refusals) == (0, {})
    assert [record for record in caplog.records if record.name.startswith("busbar_fast")] == []


async def test_accepted_sockets_send_at_once_and_probe_their_peers(serve: Serve) -> None:
    """Operations §2: TCP_NODELAY and keepalive 60/15/4 are set on accepted sockets."""
    async with serve() as site:
        await site.connected()
        (connection,) = site.service.connections
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [sock.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [60, 15, 4]


async def test_adopted_connection_is_served(serve: Serve) -> None:
    """Operations §12: a connection that somebody else accepted, and may have read from, is served like any other."""
    async with serve() as site:
        with socket.create_server(("127.0.0.1", 0)) as door:
            client = RawClient(door.getsockname()[1])
            site.clients.append(client)
            accepted, _ = door.accept()
        accepted.setblocking(False)
        site.listener.adopt(accepted, "192.0.2.1", GET[:20])
        await client.send_pieces(GET[20:], LAST)
        assert [answer.body for answer in split_answers(await client.read_all())] == [b"/first\n", b"/last\n"]


@pytest.mark.parametrize(
    ("host", "family"), [("localhost", None), ("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
)
def test_name_binds_its_first_usable_address(host: str, family: int | None) -> None:
    """Config §6.1: `listen` takes a name or an address of either kind."""
    with bind(host, 0) as door:
        assert family in (None, door.family)
        with socket.create_connection(door.getsockname()[:2], 1.0):
            pass


def test_second_address_is_bound_when_the_first_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §6.1: an address that cannot be had does not hide the next; if none can, the first reason is told."""

    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, 1, 6, "", ("192.0.2.1", 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with bind("two", 0) as door:
        assert door.getsockname()[0] == "127.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolve()[:1])
    with pytest.raises(OSError, match="assign requested address"):
        bind("one", 0)
