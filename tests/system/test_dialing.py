"""Making upstream connections: names, the address policy, time-outs, certificates, and nothing left of an attempt."""

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from busbar_fast.errors import ConnectFailed, ConnectTimeout, UpstreamGone
from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import Origin, OriginKey
from busbar_fast.wire.service import new_wheel
from tests.fakes import ProbeStrand, expire_after
from tests.system.origins import (
    GET,
    OK,
    answering,
    descriptors,
    gateway,
    new_authority,
    server_side,
    serving_upstream,
    until,
)

Found = list[tuple[Any, ...]]


class Loop:
    """The running loop, except that names resolve as the test says and each connect is noted."""

    def __init__(self, addresses: list[str] | OSError) -> None:
        self._real = asyncio.get_running_loop()
        self._addresses = addresses
        self.lookups: list[str] = []
        self.dialled: list[str] = []

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> Found:
        self.lookups.append(host)
        if isinstance(self._addresses, OSError):
            raise self._addresses
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self._addresses]

    def create_connection(self, make: Callable[[], asyncio.Protocol], host: str, port: int, **options: Any) -> Any:
        self.dialled.append(host)
        return self._real.create_connection(make, host, port, **options)

    def create_task(self, coroutine: Any) -> Any:
        return self._real.create_task(coroutine)


class Bench:
    """One origin with its dialer, and strands to lease from it."""

    def __init__(self, loop: Any, key: OriginKey, timeout_s: float) -> None:
        self.wheel = new_wheel(asyncio.get_running_loop().call_later)
        dialer = Dialer(loop, timeout_s)
        self.origin = Origin(key, dialer.dial, self.wheel, choose_parser(), UpstreamLimits())

    def lease(self) -> ProbeStrand:
        """Begin a lease."""
        strand = ProbeStrand(self.wheel)
        return strand.start(self.origin.lease(strand, b"GET", 5.0))

    async def failure(self) -> BaseException:
        """Return what a lease fails with."""
        strand = self.lease()
        await until(lambda: strand.is_over)
        assert strand.error is not None
        return strand.error


@asynccontextmanager
async def dialing(
    key: OriginKey,
    loop: Any = None,
    timeout_s: float = 5.0,
) -> AsyncIterator[Bench]:
    """Yield a bench; when it is left, no connection, task, timer or complaint may be left."""
    complaints: list[dict[str, Any]] = []
    real = asyncio.get_running_loop()
    real.set_exception_handler(lambda _loop, context: complaints.append(context))
    bench = Bench(loop or real, key, timeout_s)
    yield bench
    bench.origin.close()
    await until(lambda: len(asyncio.all_tasks()) == 1)
    assert bench.origin.open == 0
    assert len(bench.wheel) == 0
    bench.wheel.close()
    descriptors()  # collects what nobody asked for
    await asyncio.sleep(0)
    assert [(str(said.get("message")), repr(said.get("exception"))) for said in complaints] == []


class Rule:
    """A policy made of a function; notes what it was asked."""

    def __init__(self, is_fine: Callable[[str], bool]) -> None:
        self.asked: list[tuple[str, str]] = []
        self._is_fine = is_fine

    def is_allowed(self, host: str, address: str) -> bool:
        """Ask the function."""
        self.asked.append((host, address))
        return self._is_fine(address)


def plain(port: int, host: str = "127.0.0.1", policy: Rule | None = None) -> OriginKey:
    """Return the key of an origin without TLS."""
    return OriginKey(is_tls=False, host=host, port=port, policy=policy)


@contextmanager
def full_backlog() -> Iterator[int]:
    """Yield the port of a listener whose queue is full, so that a connect waits for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            waiting.append(sock)
        yield port
        for sock in waiting:
            sock.close()


# Addresses


async def test_blocked_address_is_never_dialled() -> None:
    """A host whose every address the policy forbids is refused before any connect."""
    loop = Loop(["10.0.0.1", "127.0.0.1"])
    async with dialing(plain(1, "inside", Rule(lambda _address: False)), loop) as bench:
        assert isinstance(await bench.failure(), ConnectFailed)
        assert loop.dialled == []


async def test_checked_address_is_the_dialled_one() -> None:
    """The name is looked up once, and the connect gets the very address that passed the policy."""
    rule = Rule(lambda address: address != "169.254.169.254")
    async with serving_upstream() as server:
        loop = Loop(["169.254.169.254", "127.0.0.1", "127.0.0.1"])
        async with dialing(plain(server.port, "rebound", rule), loop) as bench:
            strand = bench.lease()
            await until(lambda: strand.is_over)
            assert loop.lookups == ["rebound"]
            assert rule.asked == [("rebound", "169.254.169.254"), ("rebound", "127.0.0.1")]
            assert loop.dialled == ["127.0.0.1"]
            strand.result.release()


async def test_next_address_is_tried() -> None:
    """An address that refuses is followed by the next one of the host."""
    async with serving_upstream() as server:
        loop = Loop(["127.0.0.2", "127.0.0.1"])
        async with dialing(plain(server.port, "two"), loop) as bench:
            strand = bench.lease()
            await until(lambda: strand.is_over)
            assert loop.dialled == ["127.0.0.2", "127.0.0.1"]
            assert bench.origin.open == 1
            strand.result.release()


async def test_address_is_not_looked_up() -> None:
    """A host that is an address waits for no resolver; the policy is asked all the same."""
    rule = Rule(lambda _address: True)
    async with serving_upstream() as server:
        loop = Loop(OSError("asked"))
        async with dialing(plain(server.port, "127.0.0.1", rule), loop) as bench:
            strand = bench.lease()
            await until(lambda: strand.is_over)
            assert (loop.lookups, loop.dialled) == ([], ["127.0.0.1"])
            assert rule.asked == [("127.0.0.1", "127.0.0.1")]
            strand.result.release()
        async with dialing(plain(1, "::1", Rule(lambda _address: False)), loop) as bench:
            assert isinstance(await bench.failure(), ConnectFailed)
            assert (loop.lookups, loop.dialled) == ([], ["127.0.0.1"])


async def test_unknown_name_is_a_failed_connect() -> None:
    """A name that does not resolve, or is no name, is the upstream's failure and keeps its cause."""
    async with dialing(plain(1, "gone"), Loop(socket.gaierror(-2, "unknown"))) as bench:
        failure = await bench.failure()
        assert isinstance(failure, ConnectFailed)
        assert isinstance(failure.__cause__, socket.gaierror)
    async with dialing(plain(1, "x" * 64 + ".invalid")) as bench:
        assert isinstance(await bench.failure(), ConnectFailed)


async def test_strand_that_leaves_a_look_up_hears_no_more_of_it() -> None:
    """A look-up that fails after its strand was closed complains to nobody."""
    async with dialing(plain(1, "no-such-host.invalid")) as bench:
        bench.lease().close()
        await asyncio.sleep(0.2)
        assert bench.origin.dialled == 0


# Time and leaving


async def test_connect_that_never_ends_is_timed() -> None:
    """An upstream that does not take the connection is given up in time, and the socket with it."""
    with full_backlog() as port:
        async with dialing(plain(port), timeout_s=0.2) as bench:
            await bench.failure()  # a loop may open descriptors of its own the first time
            await asyncio.sleep(0.05)
            before = descriptors()
            began_s = bench.wheel.now()
            assert isinstance(await bench.failure(), ConnectTimeout)
            assert 0.2 <= bench.wheel.now() - began_s < 1.0
            await asyncio.sleep(0.01)
            assert descriptors() <= before


async def test_address_that_swallows_everything_does_not_hide_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with one dead and one healthy address is reached, and nothing of the first try stays."""
    monkeypatch.setattr("busbar_fast.wire.dial._PATIENCE_S", 0.1)
    with full_backlog() as port, socket.create_server(("127.0.0.2", port)):
        loop = Loop(["127.0.0.1", "127.0.0.2"])
        async with dialing(plain(port, "two"), loop) as bench:
            strand = bench.lease()
            await until(lambda: strand.is_over)
            assert strand.error is None
            assert loop.dialled == ["127.0.0.1", "127.0.0.2"]
            strand.result.release()


@pytest.mark.parametrize("is_orderly", [True, False], ids=["close_notify", "cut"])
async def test_until_close_body_over_tls_needs_an_orderly_end(
    parser_kind: str, loop_kind: str, tmp_path: Path, is_orderly: bool
) -> None:
    """Who cuts the connection below TLS cannot make a part of an answer look whole (ADR 0007 for the stock loop)."""
    authority, ca_file = new_authority(tmp_path)
    context = server_side(authority.issue_cert("localhost"))

    def serve(listener: socket.socket) -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as secured:
            secured.recv(1000)
            secured.sendall(b"HTTP/1.1 200 OK\r\n\r\nsome")
            if is_orderly:
                with suppress(OSError), secured.unwrap():  # which says so, and waits for the other side to say so
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.get_running_loop().run_in_executor(None, serve, listener)
        key = OriginKey(is_tls=True, host="localhost", port=listener.getsockname()[1])
        async with gateway(parser_kind, key, ca_file=ca_file) as site:
            client = await site.client()
            client.say(GET)
            await client.heard(b"some")
            await until(lambda: client.is_over or client.received.endswith(b"0\r\n\r\n"))
            assert client.received.endswith(b"0\r\n\r\n") == (is_orderly or loop_kind == "asyncio")
        await serving


async def test_handshake_that_never_ends_is_timed() -> None:
    """An upstream that takes the connection and is silent on TLS is given up as well, and sees the end."""
    async with (
        serving_upstream() as server,
        dialing(OriginKey(is_tls=True, host="127.0.0.1", port=server.port), timeout_s=0.2) as bench,
    ):
        assert isinstance(await bench.failure(), ConnectTimeout)
        await (await server.peer()).over()


@pytest.mark.parametrize("is_tls", [False, True])
async def test_closing_a_waiting_dial_frees_its_socket(is_tls: bool) -> None:
    """A strand closed during the connect or the handshake takes its socket along, without a complaint."""
    with full_backlog() as port:
        async with serving_upstream() as server:
            key = OriginKey(is_tls=True, host="127.0.0.1", port=server.port) if is_tls else plain(port)
            async with dialing(key) as bench:
                for round_trip in range(3):
                    strand = bench.lease()
                    await asyncio.sleep(0.05)
                    assert not strand.is_over
                    strand.close()
                    await asyncio.sleep(0.01)
                    if round_trip == 0:
                        before = descriptors()
                assert descriptors() <= before


@pytest.mark.parametrize("expires", [False, True])
async def test_leaving_at_any_turn_of_a_dial_leaves_nothing(expires: bool) -> None:
    """Whatever turn of the loop a dial is dropped in, every count returns to zero and no descriptor stays."""
    async with serving_upstream() as server, dialing(plain(server.port)) as bench:
        leased = 0
        for turns in range(40):
            strand = bench.lease()
            for _ in range(turns):
                await asyncio.sleep(0)
            if strand.is_over:
                leased += 1
                strand.result.release()
            elif expires:
                expire_after(strand, 0.0, lambda: ConnectTimeout("now"))
                strand._on_overdue()
                assert isinstance(strand.error, ConnectTimeout)
            else:
                strand.close()
            await until(lambda: bench.origin.open == 0)
            if turns == 0:
                before = descriptors()
        await until(lambda: all(peer.is_over for peer in server.peers))
        assert leased
        assert descriptors() <= before


async def test_upstream_that_closes_at_once_is_counted_out() -> None:
    """A connection that dies between the connect and the request never upsets the counters."""
    async with serving_upstream() as server, dialing(plain(server.port)) as bench:
        for attempt in range(20):
            strand = ProbeStrand(bench.wheel)
            strand.start(bench.origin.call(strand, b"GET", GET, 5.0))
            peer = await server.peer(attempt)
            await until(lambda peer=peer: hasattr(peer, "transport"))  # type: ignore[misc]
            peer.reset() if attempt % 2 else peer.transport.close()
            await until(lambda strand=strand: strand.is_over)  # type: ignore[misc]
            assert isinstance(strand.error, ConnectFailed | UpstreamGone)
        await until(lambda: bench.origin.open == 0)


# Certificates


async def test_good_certificate_is_accepted_and_the_connection_reused(parser_kind: str, tmp_path: Path) -> None:
    """Over TLS requests are answered and the connection is kept, with the same means as without."""
    authority, trusted = new_authority(tmp_path)
    async with serving_upstream(server_side(authority.issue_cert("localhost"))) as server:
        server.script = answering(OK)
        key = OriginKey(is_tls=True, host="localhost", port=server.port)
        async with gateway(parser_kind, key, ca_file=trusted) as site:
            for _ in range(3):
                assert await site.ask() == b"HTTP/1.1 200 OK"
                await until(lambda: site.origin.idle == 1)
            assert site.origin.dialled == 1
            assert site.leased[0].transport.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")


PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("fault", ["wrong name", "unknown authority", "expired", "no TLS at all"])
async def test_bad_certificate_is_refused(parser_kind: str, tmp_path: Path, fault: str) -> None:
    """A certificate of another name, of a stranger or of the past ends the connect before a byte of the request."""
    authority, trusted = new_authority(tmp_path)
    certificate = {
        "wrong name": lambda: authority.issue_cert("elsewhere.test"),
        "unknown authority": lambda: trustme.CA().issue_cert("localhost"),
        "expired": lambda: authority.issue_cert("localhost", not_after=PAST),
    }.get(fault)
    tls = None if certificate is None else server_side(certificate())
    async with serving_upstream(tls) as server:
        if tls is None:
            server.script = lambda peer: peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        key = OriginKey(is_tls=True, host="localhost", port=server.port)
        async with gateway(parser_kind, key, ca_file=trusted) as site:
            assert await site.ask() == b"HTTP/1.1 502 Bad Gateway"
            assert [type(error) for error in site.errors] == [ConnectFailed]
            cause = site.errors[0].__cause__
            assert isinstance(cause, ssl.SSLError if tls is None else ssl.SSLCertVerificationError)
        assert not any(GET in peer.received for peer in server.peers)
