"""What the kernel knows about a TCP socket that asyncio does not tell.

Each function has an honest answer for platforms that cannot say: "not known" reads as "no". This module knows sockets,
not HTTP.
"""

import array
import contextlib
import fcntl
import socket
import struct
import termios
from typing import Protocol

_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
_STATE_CLOSE = 7  # the peer reset the connection
_STATE_CLOSE_WAIT = 8  # the peer's FIN has arrived, though bytes before it may be unread
_LINGER_NOT = struct.pack("ii", 1, 0)
_TCP_INFO = getattr(socket, "TCP_INFO", None)


class SocketLike(Protocol):
    """The part of a socket that a transport lends out."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """Read an option's raw bytes."""

    def fileno(self) -> int:
        """Return the descriptor."""


class SettableSocket(Protocol):
    """A socket whose options can be changed."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option's raw bytes."""


def has_peer_closed(sock: SocketLike) -> bool:
    """Say whether the peer has closed or reset, even while unread bytes or a paused reader hide it."""
    if _TCP_INFO is None:
        return False
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0]
    except OSError:
        return True
    return state in (_STATE_CLOSE, _STATE_CLOSE_WAIT)


def count_unacknowledged(sock: SocketLike) -> int:
    """Return how many bytes the kernel holds that the peer has not taken."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    except OSError:
        return 0
    return count[0]


def has_unread(sock: SocketLike | None) -> bool:
    """Say whether bytes have arrived that nobody has read yet."""
    count = array.array("i", [0])
    if sock is not None:
        with contextlib.suppress(OSError):  # gone already
            fcntl.ioctl(sock.fileno(), termios.FIONREAD, count)
    return count[0] > 0


def reset_on_close(sock: SettableSocket) -> None:
    """Make the close of a connection a reset, so that the peer cannot take it for the end of what it reads."""
    with contextlib.suppress(OSError):  # gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def set_server_options(listener: socket.socket) -> None:
    """Set on a listening socket what every accepted one inherits: no delay, and probes for peers that vanish."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
