"""Many streams at once: a uvloop client that reads 67-frame streams over keep-alive connections and checks them all.

It knows ports and bytes, not sides. Checking happens when a stream is complete: status, chunk structure, and every
byte of the payload. The first failure ends the connection it happened on; the caller turns any failure into VOID.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final, cast

import uvloop

from perf import http_reply, shapes

_EXPECTED: Final = b"".join(shapes.stream_frames())
_TAIL: Final = len(http_reply.LAST_CHUNK)


class Tally:
    """What all connections of one run share: the work left, and what came of it."""

    __slots__ = ("completed", "failures", "is_loose", "left", "longest_gap_s", "reads", "running")

    def __init__(self, count: int, connections: int, *, is_loose: bool = False) -> None:
        self.is_loose = is_loose  # the side writes every frame anew
        self.left = count
        self.running = connections
        self.completed = 0
        self.reads = 0
        self.longest_gap_s = 0.0  # between two pieces of one stream
        self.failures: list[str] = []


class StreamCaller(asyncio.Protocol):
    """One connection asking for one stream after the other until the tally has no work left."""

    __slots__ = ("_active", "_done", "_last_s", "_parts", "_request", "_tail", "_tally", "transport")

    transport: asyncio.Transport

    def __init__(self, tally: Tally, request: bytes, done: "asyncio.Future[None]") -> None:
        self._tally = tally
        self._request = request
        self._done = done
        self._active = True
        self._parts: list[bytes] = []
        self._tail = b""
        self._last_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first stream."""
        self.transport = cast("asyncio.Transport", transport)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave; with a stream under way this is a failure."""
        if self._active:
            received = b"".join(self._parts)[:80]
            self._tally.failures.append(f"connection lost inside a stream ({exc}) after {received!r}")
            self._finish()

    def data_received(self, data: bytes) -> None:
        """Collect; look closer only when the terminator is in sight."""
        now_s, tally = time.monotonic(), self._tally
        if self._parts and now_s - self._last_s > tally.longest_gap_s:
            tally.longest_gap_s = now_s - self._last_s
        self._last_s = now_s
        self._parts.append(data)
        tally.reads += 1
        self._tail = data[-_TAIL:] if len(data) >= _TAIL else (self._tail + data)[-_TAIL:]
        if self._tail == http_reply.LAST_CHUNK:
            self._judge(b"".join(self._parts))

    def _ask(self) -> None:
        if self._tally.left <= 0:
            self._finish()
            self.transport.close()
            return
        self._tally.left -= 1
        self._parts = []
        self._tail = b""
        self.transport.write(self._request)

    def _judge(self, received: bytes) -> None:
        try:
            whole = http_reply.maybe_payload(received)
        except http_reply.BadReplyError as wrong:
            self._fail(str(wrong))
            return
        if whole is None:
            return
        status, payload = whole
        is_right = shapes.holds_stream(payload) if self._tally.is_loose else payload == _EXPECTED
        if status != http_reply.OK or not is_right:
            self._fail(f"status {status}, {len(payload)} bytes where 200 and {len(_EXPECTED)} were due")
            return
        self._tally.completed += 1
        self._ask()

    def _fail(self, reason: str) -> None:
        self._tally.failures.append(reason)
        self._finish()
        self.transport.abort()

    def _finish(self) -> None:
        self._active = False
        self._tally.running -= 1
        if self._tally.running == 0 and not self._done.done():
            self._done.set_result(None)


async def _run(port: int, request: bytes, tally: Tally, limit_s: float) -> Mapping[str, object]:
    loop = asyncio.get_running_loop()
    connections, count = tally.running, tally.left
    done: asyncio.Future[None] = loop.create_future()
    started_s = loop.time()
    for _ in range(connections):
        await loop.create_connection(lambda: StreamCaller(tally, request, done), "127.0.0.1", port)
    try:
        async with asyncio.timeout(limit_s):
            await done
    except TimeoutError:
        tally.failures.append(f"{count - tally.completed} streams unfinished after {limit_s} s")
    return {
        "completed": tally.completed,
        "failures": tally.failures[:5],
        "reads": tally.reads,
        "longest_gap_ms": tally.longest_gap_s * 1000,
        "wall_s": loop.time() - started_s,
    }


def run(port: int, request: bytes, tally: Tally, *, limit_s: float) -> Mapping[str, object]:
    """Read the streams of the tally over its connections; at most `limit_s` seconds."""
    return uvloop.run(_run(port, request, tally, limit_s))
