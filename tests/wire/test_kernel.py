"""What the kernel is asked about sockets, on real pairs over the loopback."""

import contextlib
import select
import socket
from collections.abc import Iterator

import pytest

from busbar_fast.wire import kernel

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Yield two connected TCP sockets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        ours.settimeout(5)
        theirs.settimeout(5)
        yield ours, theirs


def wait_readable(sock: socket.socket) -> None:
    """Return once the kernel has something to say about a socket."""
    assert select.select([sock], [], [], 5)[0]


def test_open_connection_is_not_closed(pair: Pair) -> None:
    """A live peer is not taken for gone, unread bytes or not."""
    ours, theirs = pair
    assert not kernel.has_peer_closed(ours)
    theirs.sendall(b"unread")
    wait_readable(ours)
    assert not kernel.has_peer_closed(ours)


def test_close_behind_unread_bytes_is_seen(pair: Pair) -> None:
    """A peer that wrote and closed is gone although its bytes are still unread."""
    ours, theirs = pair
    theirs.sendall(b"unread")
    theirs.close()
    wait_readable(ours)
    assert ours.recv(16, socket.MSG_PEEK) == b"unread"
    assert any(kernel.has_peer_closed(ours) for _ in range(10_000))


def test_reset_is_seen(pair: Pair) -> None:
    """A peer that reset the connection is gone."""
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    wait_readable(ours)
    assert kernel.has_peer_closed(ours)


def test_dead_descriptor_counts_as_gone(pair: Pair) -> None:
    """A socket that can no longer be asked has no peer and nothing pending."""
    ours, _ = pair
    ours.close()
    assert kernel.has_peer_closed(ours)


def test_platform_that_cannot_say_means_no(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel does not tell the state, nobody is declared gone."""
    ours, theirs = pair
    monkeypatch.setattr(kernel, "_TCP_INFO", None)
    theirs.close()
    wait_readable(ours)
    assert not kernel.has_peer_closed(ours)


def test_unacknowledged_bytes_are_counted(pair: Pair) -> None:
    """Bytes the peer cannot take are counted, and none when everything was taken."""
    ours, theirs = pair
    assert kernel.count_unacknowledged(ours) == 0
    ours.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        for _ in range(10_000):
            sent += ours.send(bytes(65536))
    assert 0 < kernel.count_unacknowledged(ours) <= sent
    for _ in range(100_000):
        if sent <= 0:
            break
        sent -= len(theirs.recv(1 << 20))
    assert any(kernel.count_unacknowledged(ours) == 0 for _ in range(10_000))


def test_socket_without_a_queue_counts_nothing() -> None:
    """What is no socket has nothing pending."""

    class Gone:
        def fileno(self) -> int:
            return 1 << 20

        def getsockopt(self, _level: int, _option: int, _size: int) -> bytes:
            raise OSError("gone")

    assert kernel.count_unacknowledged(Gone()) == 0
    assert kernel.has_peer_closed(Gone())


def test_accepted_sockets_inherit_the_options() -> None:
    """Set once on the listener, the options hold on every accepted socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kernel.set_server_options(listener)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


def test_missing_options_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without the finer probe settings still gets the probes."""
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
        monkeypatch.delattr(socket, name)
    with socket.socket() as listener:
        kernel.set_server_options(listener)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
