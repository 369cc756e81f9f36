"""Listening sockets: bind, accept, hold back under pressure, drain.

Accepting is done here and not by the loop's server, because a gateway must be able to stop accepting without closing
the door: at the connection limit and when descriptors run out, new clients wait in the kernel's queue. An accept error
never ends the listening.
"""

import asyncio
import errno
import logging
import os
import resource
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from busbar_fast.errors import Refused
from busbar_fast.wire import kernel
from busbar_fast.wire.downstream import Downstream
from busbar_fast.wire.service import Service

if TYPE_CHECKING:
    import ssl

    from busbar_fast.wire.proxied import Proxies

_log = logging.getLogger("busbar_fast.wire")

BACKLOG = 4096
_ACCEPTS_PER_TURN = 64
_PAUSE_S = 0.1
_LAST_WORDS_S = 0.5  # for answers that are cut short to leave, and for their clients to go
_WARN_EVERY_S = 60.0
_DESCRIPTOR_SHARE = 0.8
_MOST_DESCRIPTORS = 1 << 20  # where the system sets no limit
_NO_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


def bind(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Return a listening socket on the first address of a host that can be had; clients inherit its options."""
    failure: OSError | None = None
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        try:
            return _bind_address(family, address, reuse_port=reuse_port)
        except OSError as error:
            failure = failure or error
    raise failure or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def _bind_address(family: int, address: tuple[Any, ...], *, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kernel.set_server_options(sock)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def most_connections(configured: int) -> int:
    """Return the connection limit: as configured, or four fifths of the descriptor limit."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        descriptors = _MOST_DESCRIPTORS
    return configured or int(descriptors * _DESCRIPTOR_SHARE)


class Listener:
    """Accepts connections for a service on any number of sockets."""

    __slots__ = (
        "_by_ip",
        "_drained",
        "_is_accepting",
        "_joining",
        "_loop",
        "_most",
        "_open",
        "_service",
        "_sockets",
        "_warn_again_at",
        "proxies",
        "tls",
    )

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop, tls: "ssl.SSLContext | None" = None) -> None:
        self._service = service
        self._loop = loop
        self.tls = tls  # for handshakes from now on; running connections keep theirs
        self.proxies: Proxies | None = None  # who speak for those who connect, if anybody does
        self._sockets: list[socket.socket] = []
        self._joining: dict[asyncio.Task[None], Downstream] = {}
        self._by_ip: dict[str, int] = {}
        self._open = 0  # connections, those being set up included
        self._is_accepting = False
        self._warn_again_at = 0.0
        self._most = most_connections(service.limits.max_connections)
        self._drained: asyncio.Future[None] | None = None
        service.on_connection_closed = self._on_connection_closed

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of every listening socket."""
        return [sock.getsockname()[:2] for sock in self._sockets]

    def serve(self, sock: socket.socket) -> None:
        """Accept on a listening socket, which is ours from now on."""
        self._sockets.append(sock)
        if self._is_accepting:
            self._loop.add_reader(sock, self._accept, sock)
        else:
            self._resume_with_room()

    def adopt(self, sock: socket.socket, peer: str, received: bytes = b"") -> None:
        """Take over a connection that somebody else accepted and may have read from; close one above the limits."""
        if self._open >= self._most:
            self._warn_of_limit()
            sock.close()
            return
        self._admit(sock, peer, received)

    def leave(self) -> None:
        """Say `Connection: close` in every answer from now on; still accept."""
        self._service.is_leaving = True

    async def drain(self, limit_s: float) -> bool:
        """Stop accepting, let requests finish, cut them at the limit (0 = none). Return whether all finished."""
        self.leave()
        for sock in self._sockets:  # who is connected already is served
            self._accept_rest(sock)
        self._close_sockets()
        if self._joining:
            await asyncio.wait(self._joining, timeout=_PAUSE_S if self.tls or self.proxies else None)
            for task, connection in self._joining.items():
                if connection not in self._service.connections:  # a slow handshake has asked for nothing yet
                    task.cancel()
        # Who becomes idle from now on, its last answer begun before it could say close, is let go at once as well.
        self._service.limits = replace(self._service.limits, keepalive_idle_timeout_s=0.0)
        for connection in list(self._service.connections):
            connection.close_if_idle()
        if not await self._is_empty_within(limit_s or None):
            await self.cut_short()
            return False
        return True

    async def cut_short(self) -> None:
        """End whatever is under way with a last word, and cut what is not over in a moment."""
        self._stop()
        for connection in list(self._service.connections):
            connection.cut_short()
        await self._is_empty_within(_LAST_WORDS_S)
        self.cut()

    def cut(self) -> None:
        """Cut every connection now."""
        self._stop()
        for connection in list(self._service.connections):
            connection.cut()

    def _stop(self) -> None:
        self.leave()
        self._service.is_cutting = True
        self._close_sockets()
        for task in list(self._joining):
            task.cancel()

    async def _is_empty_within(self, limit_s: float | None) -> bool:
        """Wait for the last connection to close; return whether it did in time."""
        if self._open:
            if self._drained is None or self._drained.done():
                self._drained = self._loop.create_future()
            await asyncio.wait((self._drained,), timeout=limit_s)
        return not self._open

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if not self._is_accepting or not self._accept_one(sock):
                return

    def _accept_rest(self, sock: socket.socket) -> None:
        """Accept everybody who waits in the kernel's queue, as far as the limits allow."""
        while self._open < self._most and self._accept_one(sock):
            continue

    def _accept_one(self, sock: socket.socket) -> bool:
        """Accept one connection; return whether there may be more."""
        try:
            accepted, address = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            _log.debug("accept failed: %s", os.strerror(error.errno or 0))
            if error.errno in _NO_DESCRIPTORS:
                self._pause()
                self._loop.call_later(_PAUSE_S, self._resume_with_room)
            return False
        self._admit(accepted, address[0])
        return True

    def _admit(self, accepted: socket.socket, peer: str, received: bytes = b"") -> None:
        if self.proxies is None and self._has_too_many(peer):
            accepted.close()
            return
        accepted.setblocking(False)
        self._open += 1
        self._by_ip[peer] = self._by_ip.get(peer, 0) + 1
        connection = Downstream(self._service, peer, received)
        task = self._loop.create_task(self._join(accepted, connection))
        self._joining[task] = connection
        task.add_done_callback(self._joining.pop)
        if self._open >= self._most:
            self._warn_of_limit()
            self._pause()

    def _has_too_many(self, peer: str) -> bool:
        limit = self._service.limits.max_connections_per_ip
        return 0 < limit <= self._by_ip.get(peer, 0)

    def _warn_of_limit(self) -> None:
        """Tell that the limit is reached, once a minute: from then on each close lets one in and pauses again."""
        now = self._loop.time()
        if now >= self._warn_again_at:
            self._warn_again_at = now + _WARN_EVERY_S
            _log.warning("%d connections: accepting is paused until one closes", self._most)

    async def _join(self, sock: socket.socket, connection: Downstream) -> None:
        """Connect an accepted socket. To be cancelled only before: later the loop would not tell of the loss."""
        try:
            if self.proxies is not None:
                await self._learn_peer(self.proxies, sock, connection)
            protocol = cast("asyncio.Protocol", connection)
            if self.tls is None:
                await self._loop.connect_accepted_socket(lambda: protocol, sock)
            else:
                await self._loop.connect_accepted_socket(
                    lambda: protocol,
                    sock,
                    ssl=self.tls,
                    ssl_handshake_timeout=self._service.limits.tls_handshake_timeout_s,
                )
        except (OSError, Refused, asyncio.CancelledError) as error:
            if connection not in self._service.connections:  # else it is counted, and takes itself off the counts
                sock.close()
                self._forget(connection.peer)
            if isinstance(error, asyncio.CancelledError):
                raise
            _log.debug("connection from %s failed: %s", connection.peer, str(error) or type(error).__name__)

    async def _learn_peer(self, proxies: "Proxies", sock: socket.socket, connection: Downstream) -> None:
        """Read for whom a proxy has connected. Raise Refused, or OSError if it says nothing in time."""
        from busbar_fast.wire.proxied import ProxyHeader  # noqa: PLC0415  few are behind a proxy of this kind

        header = ProxyHeader(proxies.version)
        async with asyncio.timeout(self._service.limits.header_read_timeout_s):
            while not header.is_over:
                seen = await self._peek(sock, header.wanted)
                if not seen:
                    raise ConnectionResetError(errno.ECONNRESET, "it left before it said for whom it came")
                sock.recv(header.feed(seen))
        if not header.address:
            return  # the proxy comes for itself
        if not proxies.is_trusted(connection.peer):
            raise Refused(0, "it speaks for others and is not trusted")
        if self._has_too_many(header.address):
            raise Refused(0, f"{header.address} has too many connections")
        self._uncount(connection.peer)
        connection.peer = header.address
        self._by_ip[header.address] = self._by_ip.get(header.address, 0) + 1

    async def _peek(self, sock: socket.socket, most: int) -> bytes:
        """Return what is there to be read, at most so much, and leave it there."""
        while True:
            try:
                return sock.recv(most, socket.MSG_PEEK)
            except (BlockingIOError, InterruptedError):
                readable = asyncio.Event()
                self._loop.add_reader(sock, readable.set)
                try:
                    await readable.wait()
                finally:
                    self._loop.remove_reader(sock)

    def _on_connection_closed(self, connection: Downstream) -> None:
        self._forget(connection.peer)

    def _forget(self, peer: str) -> None:
        """Take a connection off the counts; let the next one in and a drain finish."""
        self._open -= 1
        self._uncount(peer)
        if not self._is_accepting and self._sockets and self._open < self._most:
            self._resume()
        if self._drained is not None and not self._drained.done() and not self._open:
            self._drained.set_result(None)

    def _uncount(self, peer: str) -> None:
        left = self._by_ip.get(peer, 1) - 1
        if left:
            self._by_ip[peer] = left
        else:
            self._by_ip.pop(peer, None)

    def _pause(self) -> None:
        self._is_accepting = False
        for sock in self._sockets:
            self._loop.remove_reader(sock)

    def _resume_with_room(self) -> None:
        if self._open < self._most:
            self._resume()

    def _resume(self) -> None:
        self._is_accepting = True
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock)

    def _close_sockets(self) -> None:
        self._pause()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
