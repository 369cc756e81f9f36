"""A strand: one linear coroutine resumed straight from wire events, without a Task.

Theory of operation. A strand waits for one *source* at a time (a connection, a gate): whoever waits names the source
and yields; the source stores its news, then calls `wake`, and the coroutine goes on inside that call. So a request
costs no trip through the loop's ready queue and no future. News that arrives while the strand waits for something else
stays with its source. `close` ends the coroutine at the point where it waits, which runs its `finally` and `with`
blocks synchronously: whoever dropped the strand may rely on everything being given back when `close` returns.

A plain asyncio future can be awaited as well (a look-up, a sleep, a thread's result): the strand attaches itself as its
callback, and cancels the future when it stops waiting before its time, as a Task would. What needs a current Task
(`asyncio.timeout`, `asyncio.wait_for`) does not work in a strand; deadlines come from `Strand.within`.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from operator import attrgetter
from typing import Any, Final, cast

from busbar_fast.errors import BusbarError
from busbar_fast.wire.wheel import Timer, Wheel

_log: Final = logging.getLogger("busbar_fast.wire")

Routine = Coroutine[Any, Any, None]
_ENDED: Final[Any] = object()
_advance: Final = next
_yield_once: Final = cast("Callable[[], Generator[None, None, None]]", (None,).__iter__)


class Pause:
    """What a strand awaits once it has named its source: everything up to the driver stops there."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return _yield_once()


PAUSE: Final = Pause()


def _next_turn() -> asyncio.Future[None]:
    """Return a future that is done when the loop has turned."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(_settle, future)
    return future


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Deadline:
    """A moment by which a `with` block of a strand must be over."""

    __slots__ = ("_strand", "at", "error")

    def __init__(self, strand: "Strand", at: float, error: Callable[[], BusbarError | None]) -> None:
        self._strand = strand
        self.at = at
        self.error = error

    def __enter__(self) -> None:
        self._strand.deadlines = (*self._strand.deadlines, self)

    def __exit__(self, *_: object) -> None:
        self._strand.deadlines = tuple(other for other in self._strand.deadlines if other is not self)


class Strand:
    """Drives one coroutine; subclassed by `Exchange`, used as it is by background work."""

    __slots__ = ("_coroutine", "_deadlines", "_future", "_timer", "_wheel", "source")

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._coroutine: Generator[Any, Any, None] | None = None
        self.source: object = None
        self._future: asyncio.Future[Any] | None = None
        self._timer: Timer | None = None
        self._deadlines: tuple[Deadline, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether the coroutine has ended or was closed."""
        return self._coroutine is None

    def run(self, coroutine: Routine) -> None:
        """Start the coroutine and run it up to its first wait."""
        self._coroutine = coroutine.__await__()
        self._step(None)

    async def wait_for(self, source: object) -> None:
        """Wait until `source` calls `wake`. The source must have said nothing yet that the caller has not read.

        A hot source sets `source` and awaits `PAUSE` by itself; that saves a coroutine.
        """
        self.source = source
        await PAUSE

    def wake(self, source: object) -> None:
        """Go on, if the strand waits for this source."""
        if self.source is source:
            self.source = None
            self._step(None)

    def interrupt(self, error: BusbarError) -> None:
        """Raise an error where the coroutine waits; what it does about it has run up to its next wait on return."""
        self._forget_wait()
        self._step(error)

    def within(self, delay_s: float, error: Callable[[], BusbarError | None]) -> "Deadline":
        """Return a deadline for a `with` block: when it passes, the error is raised where the coroutine waits.

        Deadlines nest; the one that passes first counts. If there is no error to raise by then, it holds no longer.
        """
        return Deadline(self, self._wheel.now() + delay_s, error)

    def timer(self, on_due: Callable[[], None]) -> Timer:
        """Return a timer, not armed, for something that outlasts the strand."""
        return self._wheel.timer(on_due)

    def close(self) -> None:
        """End the coroutine where it waits; every clean-up of it has run when this returns."""
        coroutine, self._coroutine = self._coroutine, None
        self._detach()
        if coroutine is None:
            return
        try:
            coroutine.close()
        # Whoever drops a strand has more to drop than this one; a faulty clean-up must not keep it from that.
        except Exception:  # noqa: BLE001
            _log.exception("the clean-up of a dropped strand failed")

    def on_end(self, error: BaseException | None) -> None:
        """Take notice that the coroutine ended by itself; subclasses decide what follows."""
        if error is not None:
            raise error

    @property
    def deadlines(self) -> tuple[Deadline, ...]:
        """Every deadline that holds now."""
        return self._deadlines

    @deadlines.setter
    def deadlines(self, deadlines: tuple[Deadline, ...]) -> None:
        self._deadlines = deadlines
        if self._coroutine is not None:
            self._arm()

    def _arm(self) -> None:
        """Arm the timer for the deadline that passes first."""
        if self._timer is None:
            self._timer = self._wheel.timer(self._on_overdue)
        if self._deadlines:
            self._timer.arm(min(deadline.at for deadline in self._deadlines) - self._wheel.now())
        else:
            self._timer.disarm()

    def _on_overdue(self) -> None:
        if self._coroutine is None or not self._deadlines:
            return
        first = min(self._deadlines, key=attrgetter("at"))
        if first.at > self._wheel.now():  # the wheel stood still when it was set
            self._arm()
            return
        error = first.error()
        if error is None:
            self.deadlines = tuple(other for other in self._deadlines if other is not first)
            return
        self.interrupt(error)

    def _step(self, error: BaseException | None) -> None:
        coroutine = self._coroutine
        if coroutine is None:
            return
        try:
            # HOT: catching its end took 3 % of a compiled request, python -m perf --only json.c8, 3.11, 2026-11
            awaited = _advance(coroutine, _ENDED) if error is None else coroutine.throw(error)
        except StopIteration:
            self._end()
        # Cancelled is the future we awaited: no Task runs here. Whatever it is, `on_end` answers for it.
        except (Exception, asyncio.CancelledError) as failure:  # noqa: BLE001
            self._coroutine = None
            self._detach()
            self.on_end(failure)
        else:
            if awaited is _ENDED:
                self._end()
            elif awaited is not None:
                self._attend(awaited)
            elif self.source is None:
                self._attend(_next_turn())  # a bare yield, as of asyncio.sleep(0)

    def _end(self) -> None:
        """The coroutine has come to its end."""
        self._coroutine = None
        self._forget_time()
        self.on_end(None)

    def _attend(self, future: asyncio.Future[Any]) -> None:
        """Go on when an asyncio future is done, as a Task would."""
        future._asyncio_future_blocking = False  # noqa: SLF001  the protocol between a future and whoever awaits it
        self._future = future
        future.add_done_callback(self._on_future)

    def _on_future(self, future: asyncio.Future[Any]) -> None:
        if self._future is future:
            self._future = None
            self._step(None)

    def _forget_wait(self) -> None:
        self.source = None
        future, self._future = self._future, None
        if future is not None:
            future.remove_done_callback(self._on_future)
            future.cancel()

    def _forget_time(self) -> None:
        """Let go of whatever knows us, so that a strand that is over is freed at once."""
        self._deadlines = ()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.close()

    def _detach(self) -> None:
        self._forget_wait()
        self._forget_time()
