"""Back-pressure: who may stop whose reading, and for which reasons.

A connection reads while no reason speaks against it. Each reason is held and released by whoever knows it; the
transport is touched only when the first reason comes or the last one goes. Writers count as congested between the
transport's two water marks, and whoever feeds them stops pulling; what is not pulled fills a reader up to its own mark,
which holds that reader: so pressure travels from a slow client to its upstream, and the other way round, through
bounded buffers only.
"""

import asyncio
from typing import Final, Protocol

# Reasons not to read; they add up.
BUFFERED: Final = 1  # enough received that nobody took
PIPELINED: Final = 2  # enough requests waiting for their turn
UNTAKEN: Final = 4  # enough answers written that the peer did not take


class Receiver(Protocol):
    """The connection that a body travels on to, once nothing but bytes is left to say."""

    transport: asyncio.Transport
    is_congested: bool


class Sink(Protocol):
    """Whoever a body is passed on to."""

    @property
    def is_congested(self) -> bool:
        """Whether it has more than it should."""

    def write_framed(self, piece: bytes) -> None:
        """Write bytes that carry their framing."""

    def maybe_receiver(self) -> Receiver | None:
        """Return the connection itself, if pieces may be written there directly from now on."""

    async def drained(self) -> None:
        """Wait for room."""


class Reader:
    """The reading half of one transport."""

    __slots__ = ("_holds", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._holds = 0

    @property
    def is_held(self) -> bool:
        """Whether any reason speaks against reading."""
        return self._holds != 0

    def hold(self, reason: int) -> None:
        """Stop reading for a reason."""
        if self._holds == 0 and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds |= reason

    def release(self, reason: int) -> None:
        """Take a reason back, and read on if it was the last."""
        if self._holds & reason:
            self._holds &= ~reason
            if self._holds == 0 and not self._transport.is_closing():
                self._transport.resume_reading()
