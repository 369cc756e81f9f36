"""What a gateway costs, measured from outside: slow readers, slow upstreams, idle clients, clients that vanish."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Thread

import pytest

from tests.house.source import ROOT
from tests.system.origins import linger_none

MIB = 1024
BIG_BYTES = 200_000_000
PIECE = bytes(65536)
LIMIT_S = 20.0
MOST_PIECES = 20_000
ABORTED = 10_000
AT_ONCE = 100
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG_BYTES
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Stats = dict[str, int]


class Gateway:
    """The program under measurement."""

    def __init__(self, port: int) -> None:
        self._port = port

    def connect(self) -> socket.socket:
        """Return a client."""
        return socket.create_connection(("127.0.0.1", self._port), LIMIT_S)

    def stats(self) -> Stats:
        """Ask what the program holds; the asking client is counted among the clients."""
        with self.connect() as sock:
            sock.sendall(b"GET /stats HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            raw = b"".join(iter(lambda: sock.recv(65536), b""))
        stats: Stats = json.loads(raw.partition(b"\r\n\r\n")[2])
        return stats


@contextmanager
def measured(upstream: socket.socket) -> Iterator[Gateway]:
    """Run the program in front of a listening upstream, without the debug switches that keep every trace."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONASYNCIODEBUG"}
    command = [sys.executable, "-m", "tests.system.gateway_program", str(upstream.getsockname()[1])]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            yield Gateway(int(program.stdout.readline()))
        finally:
            program.kill()


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    """Yield a listening upstream."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.settimeout(LIMIT_S)
        yield listener


def read_until(sock: socket.socket, text: bytes) -> bytes:
    """Read until a text has come, and return everything."""
    got = b""
    while text not in got:
        piece = sock.recv(65536)
        assert piece, got
        got += piece
    return got


class Flow:
    """A thread that sends all it has; `sent` tells how far it got."""

    def __init__(self, sock: socket.socket, size: int, *, is_chunked: bool = False) -> None:
        self.sent = 0
        self._sock = sock
        self._size = size
        self._is_chunked = is_chunked
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):
            while self.sent < self._size:
                piece = PIECE[: self._size - self.sent]
                self._sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece)
                self.sent += len(piece)
            if self._is_chunked:
                self._sock.sendall(b"0\r\n\r\n")

    def stalled(self) -> int:
        """Wait until nothing moves any more and return how much was sent."""
        end_s = time.monotonic() + LIMIT_S
        before, still = -1, 0
        while still < 5:
            assert time.monotonic() < end_s, "it never stalls"
            still = still + 1 if self.sent == before else 0
            before = self.sent
            time.sleep(0.05)
        return self.sent

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join(LIMIT_S)
        assert self.sent == self._size


def drain(sock: socket.socket, size: int) -> int:
    """Read so many zero bytes, among framing, and return how many came."""
    sock.settimeout(LIMIT_S)
    came = 0
    for _ in range(MOST_PIECES * 10):
        if came >= size:
            break
        piece = sock.recv(1 << 20)
        assert piece, came
        came += piece.count(0)
    return came


@pytest.mark.timeout(60)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_client_that_stops_reading_costs_little(upstream: socket.socket, framing: str) -> None:
    """While a client does not read a 200 MB answer its upstream is paused and little is held; then all of it comes."""
    with measured(upstream) as gateway, gateway.connect() as client:
        before = gateway.stats()
        client.sendall(GET)
        with closing(upstream.accept()[0]) as peer:
            peer.settimeout(LIMIT_S)
            read_until(peer, b"\r\n\r\n")
            peer.sendall(LENGTH if framing == "length" else CHUNKED)
            flow = Flow(peer, BIG_BYTES, is_chunked=framing == "chunked")
            stalled = flow.stalled()
            held = gateway.stats()
            assert drain(client, BIG_BYTES) == BIG_BYTES
            flow.join()
        after = gateway.stats()
        grown = after["peak_kib"] - before["now_kib"]
        note(f"{framing}: {stalled >> 20} MiB sent when stalled, {grown} KiB more at the peak")
        assert stalled < BIG_BYTES
        assert held["now_kib"] - before["now_kib"] <= 32 * MIB
        assert grown <= 32 * MIB


def note(text: str) -> None:
    """Keep a measured value in the test's output, for `pytest -rP`."""
    print("measured", text)  # noqa: T201


@pytest.mark.timeout(60)
def test_upstream_that_stops_reading_costs_little(upstream: socket.socket) -> None:
    """While an upstream does not read a 200 MB upload its client is paused and little is held; then all of it comes."""
    with measured(upstream) as gateway, gateway.connect() as client:
        before = gateway.stats()
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % BIG_BYTES)
        flow = Flow(client, BIG_BYTES)
        with closing(upstream.accept()[0]) as peer:
            peer.settimeout(LIMIT_S)
            stalled = flow.stalled()
            assert drain(peer, BIG_BYTES) == BIG_BYTES
            flow.join()
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            read_until(client, b"\r\n\r\nok")
        grown = gateway.stats()["peak_kib"] - before["now_kib"]
        note(f"upload: {stalled >> 20} MiB sent when stalled, {grown} KiB more at the peak")
        assert stalled < BIG_BYTES
        assert grown <= 32 * MIB


@pytest.mark.parametrize("is_used", [False, True])
def test_thousand_idle_clients_cost_little(upstream: socket.socket, *, is_used: bool) -> None:
    """A thousand idle clients, fresh or after a request each, cost at most 8 MiB."""
    with measured(upstream) as gateway:
        gateway.stats()
        before = gateway.stats()
        clients = [gateway.connect() for _ in range(1000)]
        try:
            for client in clients if is_used else ():
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                read_until(client, b"\r\n\r\nok")
            after = gateway.stats()
        finally:
            for client in clients:
                client.close()
        grown = after["now_kib"] - before["now_kib"]
        note(f"1000 idle clients, used: {is_used}: {grown} KiB")
        assert after["clients"] == 1001
        assert grown <= 8 * MIB


class VanishingClients:
    """Clients that send a request, or a part of it, and reset at some moment."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._chance = random.Random(7)

    def run(self, count: int) -> None:
        """Let so many come and go."""
        for _ in range(count // AT_ONCE):
            clients = [self._gateway.connect() for _ in range(AT_ONCE)]
            for client in clients:
                client.sendall(GET[: self._chance.choice((3, len(GET), len(GET), len(GET)))])
                if self._chance.random() < 0.02:
                    time.sleep(0.001)
            self._chance.shuffle(clients)
            for client in clients:
                linger_none(client)
                client.close()


def answer_at_random(upstream: socket.socket) -> None:
    """Take every connection and leave its request at a random stage; ends when the upstream is closed."""
    chance = random.Random(8)
    said = (b"", CHUNKED[:20], CHUNKED, CHUNKED + b"3\r\none\r\n3\r\nt", LENGTH + bytes(1000))
    peers: list[socket.socket] = []
    with suppress(OSError):
        while True:
            peer, _ = upstream.accept()
            peer.setblocking(False)
            with suppress(OSError):
                peer.sendall(chance.choice(said))
            peers.append(peer)
            if len(peers) > 2 * AT_ONCE:
                peers.pop(0).close()
    for peer in peers:
        peer.close()


def at_rest(gateway: Gateway) -> Stats:
    """Wait until only the asking client is left, and return what is held then; a dial given up ends a turn later."""
    end_s = time.monotonic() + LIMIT_S
    stats = gateway.stats()
    while (stats["in_flight"], stats["clients"], stats["open"], stats["tasks"]) != (1, 1, 0, 1):
        assert time.monotonic() < end_s, stats
        time.sleep(0.02)
        stats = gateway.stats()
    return stats


@pytest.mark.timeout(60)
def test_ten_thousand_vanished_clients_leave_nothing(upstream: socket.socket) -> None:
    """After ten thousand clients reset at random stages no connection, task, timer, descriptor or memory is left."""
    answering = Thread(target=answer_at_random, args=(upstream,), daemon=True)
    answering.start()
    with measured(upstream) as gateway:
        clients = VanishingClients(gateway)
        clients.run(ABORTED // 2)
        half = at_rest(gateway)
        clients.run(ABORTED // 2)
        whole = at_rest(gateway)
        upstream.shutdown(socket.SHUT_RDWR)  # ends the accept that waits in the thread
        answering.join(LIMIT_S)
    grown = whole["now_kib"] - half["now_kib"]
    note(f"second 5000 of 10000 aborts: {grown} KiB more, {half} {whole}")
    assert whole["requests"] > ABORTED // 2
    assert whole["descriptors"] == half["descriptors"]
    assert whole["timers"] <= 1  # the asking client's own
    assert whole["objects"] - half["objects"] < 100
    assert grown <= 4 * MIB  # the allocator's own unrest; a leak of one object each would show above
