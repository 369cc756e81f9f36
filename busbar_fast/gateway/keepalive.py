"""Signs of life in a stream whose lane is silent, for balancers and clients that give up on silence.

A sign is what the client's vendor would send, or a comment where its clients read over that; it stands between events
and between chunks only, so the stream stays the one that the lane sent.
"""

from typing import NamedTuple, Protocol

from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.heads import CHUNKED, UNTIL_CLOSE
from busbar_fast.wire.states import AnswerPhase
from busbar_fast.wire.upstream import Upstream
from busbar_fast.wire.wheel import Wheel


class Sign(NamedTuple):
    """A sign of life: what is shown, and after how much silence."""

    shown: bytes
    every_s: float


class Stream(Protocol):
    """An answer on its way."""

    @property
    def is_between(self) -> bool:
        """Whether the client has whole events only, and may get one more."""


class Keepalive:
    """Watches one stream for the length of a `with`."""

    __slots__ = ("_exchange", "_sign", "_stream", "_timer", "_upstream", "_wheel")

    def __init__(self, upstream: Upstream, exchange: Exchange, stream: Stream, sign: Sign, wheel: Wheel) -> None:
        self._upstream = upstream
        self._exchange = exchange
        self._stream = stream
        self._sign = sign
        self._wheel = wheel
        self._timer = self._wheel.timer(self._on_tick)

    def __enter__(self) -> None:
        self._timer.arm(self._sign.every_s)

    def __exit__(self, *_: object) -> None:
        self._timer.close()

    def _on_tick(self) -> None:
        left_s = self._upstream.heard_at + self._sign.every_s - self._wheel.coarse
        if left_s > 0:
            self._timer.arm(left_s)
            return
        self._timer.arm(self._sign.every_s)
        exchange = self._exchange
        has_room = exchange.phase is AnswerPhase.STREAMING and not exchange.is_congested
        is_open = exchange.owed in (CHUNKED, UNTIL_CLOSE)  # what has a length takes nothing more
        chunks = self._upstream.chunks
        is_between = self._stream.is_between and (chunks is None or chunks.is_between_chunks)
        if has_room and is_open and is_between:
            exchange.write(self._sign.shown)
