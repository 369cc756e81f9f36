"""Making connections to upstreams: resolve, apply the address policy, connect, TLS.

The address that was checked is the address that is dialled, so a name cannot resolve to one thing for the guard and to
another for the socket. Certificates are always verified. Every failure comes out as `ConnectFailed` with its cause.
The whole of it happens inside the strand that wants the connection, under one time-out; closing the strand closes the
half-made socket.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from busbar_fast.clock import now
from busbar_fast.errors import ConnectFailed, ConnectTimeout
from busbar_fast.wire.pool import OriginKey
from busbar_fast.wire.strand import Strand

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger("busbar_fast.wire")

_PATIENCE_S = 1.0  # with an address while another is left
_WARN_EVERY_S = 60.0  # about the same host

Connecting = asyncio.Task[tuple[asyncio.Transport, asyncio.Protocol]]


class _NoAnswer(ConnectTimeout):
    """One of several addresses did not answer soon enough."""


class Dialer:
    """Connects strands to origins."""

    __slots__ = ("_ca_file", "_loop", "_timeout_s", "_tls", "_warn_at_s")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeout_s: float,
        *,
        ca_file: str | None = None,
    ) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None
        self._warn_at_s: dict[str, float] = {}  # by host; hosts are those of the configuration

    async def dial(
        self, strand: Strand, key: OriginKey, make: Callable[[], asyncio.Protocol], limit_s: float = inf
    ) -> asyncio.BaseTransport:
        """Return the transport of a new connection; its protocol is the last one made. Nobody waits past `limit_s`."""
        with strand.within(
            min(self._timeout_s, limit_s), lambda: ConnectTimeout(f"no connection to {key.host} in time")
        ):
            addresses = await self._resolve(key)
            for address in addresses[:-1]:
                # One that swallows what it is sent must not keep us from the next.
                with suppress(OSError, _NoAnswer), strand.within(_PATIENCE_S, _NoAnswer):
                    return await self._connect(key, address, make)
            try:
                return await self._connect(key, addresses[-1], make)
            except OSError as error:
                raise ConnectFailed(f"cannot connect to {key.host}:{key.port}") from error

    async def _resolve(self, key: OriginKey) -> list[str]:
        """Return the allowed addresses of a host, in the resolver's order."""
        addresses = [key.host] if _is_address(key.host) else await self._ask_resolver(key)
        policy = key.policy
        allowed = [address for address in addresses if policy is None or policy.is_allowed(key.host, address)]
        if not allowed:
            self._warn_of_blocked(key.host, addresses)
            raise ConnectFailed(f"every address of {key.host} is blocked")
        return allowed

    def _warn_of_blocked(self, host: str, addresses: list[str]) -> None:
        """Tell the operator, but not with each request that would go there."""
        now_s = now()
        if now_s >= self._warn_at_s.get(host, now_s):
            self._warn_at_s[host] = now_s + _WARN_EVERY_S
            _log.warning("every address of %s is blocked: %s", host, ", ".join(addresses))

    async def _ask_resolver(self, key: OriginKey) -> list[str]:
        try:
            found = await self._loop.getaddrinfo(key.host, key.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"cannot resolve {key.host}") from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _connect(
        self, key: OriginKey, address: str, make: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """Connect in a task: the loop's own code is made for one, and undoes what it began when that is cancelled."""
        if key.is_tls and self._tls is None:
            from busbar_fast.wire.tls import new_client_context  # noqa: PLC0415  see there

            self._tls = new_client_context(self._ca_file)
        tls, name = (self._tls, key.host) if key.is_tls else (None, None)
        connecting = self._loop.create_task(
            self._loop.create_connection(make, address, key.port, ssl=tls, server_hostname=name)
        )
        try:
            transport, _ = await connecting
        except BaseException:
            connecting.add_done_callback(_abort_late)
            raise
        return transport


def _is_address(host: str) -> bool:
    """Return whether a host is an address already; such a one does not wait for the threads of the resolver."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            return True
    return False


def _abort_late(connecting: Connecting) -> None:
    """Drop a connection that came about when nobody waited for it any more."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result()[0].abort()
