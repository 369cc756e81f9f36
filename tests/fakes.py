"""Stand-ins for the loop, its clock and a transport: time moves and bytes arrive when the test says so."""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from typing import Any, ClassVar, cast

from busbar_fast.errors import BusbarError
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.wheel import TICK_S, Wheel

MOST_CALLS = 100_000


class FakeHandle:
    """A call that a fake loop will make."""

    def __init__(self, callback: Callable[..., object], arguments: tuple[object, ...] = ()) -> None:
        self._callback = callback
        self._arguments = arguments
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def run(self) -> None:
        if not self.is_cancelled:
            self._callback(*self._arguments)


class FakeClock:
    """Seconds that pass when told to; called like `clock.now`."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class FakeLoop:
    """The part of an event loop that the wire uses, in manual time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.complaints: list[dict[str, Any]] = []
        self._numbers = count()
        self._later: list[tuple[float, int, FakeHandle]] = []
        self._soon: list[FakeHandle] = []

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    def call_soon(self, callback: Callable[..., object], *arguments: object, context: object = None) -> FakeHandle:
        del context
        handle = FakeHandle(callback, arguments)
        self._soon.append(handle)
        return handle

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> FakeHandle:
        handle = FakeHandle(callback)
        heapq.heappush(self._later, (self.clock.now_s + delay_s, next(self._numbers), handle))
        return handle

    def run_ready(self) -> None:
        """Make the calls that are due now, and those they ask for."""
        for _ in range(MOST_CALLS):
            if not self._soon:
                return
            self._soon.pop(0).run()
        raise AssertionError("the loop never comes to rest")

    def advance(self, seconds: float) -> None:
        """Let time pass, making each call at its moment."""
        end_s = self.clock.now_s + seconds
        self.run_ready()
        for _ in range(MOST_CALLS):
            if not self._later or self._later[0][0] > end_s:
                self.clock.now_s = end_s
                return
            at_s, _, handle = heapq.heappop(self._later)
            self.clock.now_s = max(at_s, self.clock.now_s)
            handle.run()
            self.run_ready()
        raise AssertionError("the loop never comes to rest")

    def advance_past(self, seconds: float) -> None:
        """Let time pass until a deadline of so many seconds has fired: the wheel may be late by two ticks and more."""
        self.advance(seconds + 4 * TICK_S)

    def new_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=cast("asyncio.AbstractEventLoop", self))

    def new_wheel(self) -> Wheel:
        return Wheel(self.call_later, self.clock)


class FakeSocket:
    """A socket of which the kernel says what the test wants."""

    def __init__(self) -> None:
        self.tcp_state = 1  # established

    def getsockopt(self, _level: int, _option: int, _size: int) -> bytes:
        return bytes((self.tcp_state,))

    def setsockopt(self, _level: int, _option: int, _value: bytes) -> None:
        """Take any option."""

    def fileno(self) -> int:
        return -1


class FakeTransport(asyncio.Transport):
    """A transport that records what is asked of it; `buffer_bytes` is what it claims to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.calls: list[str] = []
        self.water_marks: tuple[int | None, int | None] = (None, None)
        self.buffer_bytes = 0
        self.is_reading_now = True
        self.is_closed = False
        self.is_aborted = False
        self.has_eof = False
        self.sock = FakeSocket()

    @property
    def written(self) -> bytes:
        """Everything written so far."""
        return b"".join(self.writes)

    def take_written(self) -> bytes:
        """Return what was written and forget it."""
        written = self.written
        self.writes.clear()
        return written

    def write(self, data: Any) -> None:
        assert not self.is_aborted, "written to after abort"
        self.writes.append(bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_eof = True

    def pause_reading(self) -> None:
        assert self.is_reading_now, "paused twice"
        self.is_reading_now = False
        self.calls.append("pause")

    def resume_reading(self) -> None:
        assert not self.is_reading_now, "resumed twice"
        self.is_reading_now = True
        self.calls.append("resume")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.water_marks = (high, low)

    def get_write_buffer_size(self) -> int:
        return self.buffer_bytes

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.sock if name == "socket" else default

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True
        self.calls.append("close")

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True
        self.calls.append("abort")


class ProbeStrand(Strand):
    """A strand that remembers how it ended.

    What has begun is held until it ends or its test does: in the product its connection would hold it, and a collector
    that comes at any moment would otherwise close it in the middle of the test.
    """

    begun: ClassVar[set["ProbeStrand"]] = set()

    def __init__(self, wheel: Wheel) -> None:
        super().__init__(wheel)
        self.ends: list[BaseException | None] = []
        self.result: Any = None

    def on_end(self, error: BaseException | None) -> None:
        self.ends.append(error)
        self.begun.discard(self)

    @property
    def error(self) -> BaseException | None:
        """What the coroutine ended with; it must have ended."""
        assert self.is_over
        return self.ends[-1]

    def start(self, coroutine: Any) -> "ProbeStrand":
        """Run a coroutine of any result, which is kept."""
        self.begun.add(self)
        self.run(self._keep(coroutine))
        return self

    async def _keep(self, coroutine: Any) -> None:
        self.result = await coroutine


def run_now(wheel: Wheel, coroutine: Any) -> Any:
    """Run a coroutine that has nothing to wait for and return its result, or raise what it raised."""
    strand = ProbeStrand(wheel).start(coroutine)
    assert strand.is_over, "it waits"
    if strand.error is not None:
        raise strand.error
    return strand.result


def late() -> BusbarError:
    """Return the error of a deadline that a test sets."""
    return BusbarError("late")


def expire_after(strand: Strand, delay_s: float, error: Callable[[], BusbarError]) -> None:
    """Set a deadline on a strand from outside, for as long as it lives."""
    ExitStack().enter_context(strand.within(delay_s, error))
