"""A blocking client with one keep-alive connection: the plainest possible caller, for latency and readiness.

Blocking sockets on purpose: no loop, no parser and no task switch stand between the clock and the kernel.
"""

import socket
from types import TracebackType
from typing import Self

from perf import http_reply


class Caller:
    """One connection to one port on loopback; a context manager."""

    def __init__(self, port: int, *, timeout_s: float = 10.0, receive_buffer_bytes: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        if receive_buffer_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, raw_request: bytes) -> None:
        """Send a whole request."""
        self._socket.sendall(raw_request)

    def receive(self, limit_bytes: int = 65_536) -> bytes:
        """Return the next bytes; an early end is an error."""
        received = self._socket.recv(limit_bytes)
        if not received:
            raise http_reply.BadReplyError("the connection ended inside an answer")
        return received

    def receive_until(self, mark: bytes, received: bytes = b"") -> bytes:
        """Return everything up to the read in which `mark` became complete."""
        while mark not in received:
            received += self.receive()
        return received

    def receive_rest(self, received: bytes = b"") -> tuple[int, bytes]:
        """Return (status, payload) of the answer that `received` began."""
        while True:
            whole = http_reply.maybe_payload(received) if received else None
            if whole is not None:
                return whole
            received += self.receive()

    def ask(self, raw_request: bytes) -> tuple[int, bytes]:
        """Send one request and return (status, payload)."""
        self.send(raw_request)
        return self.receive_rest()
