"""One coarse timer wheel for the whole process.

A connection owns its timers for life. Moving a deadline later, which every request and every chunk does, is one
attribute write: the timer stays in its slot and is moved on when the slot comes due. Only a deadline earlier than the
slot moves the timer at once. A deadline fires up to one tick late, never early; counting it from the coarse time adds
up to one tick more.
"""

from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from busbar_fast.clock import Now

TICK_S: Final = 0.05
_ROUNDING: Final = 1e-6  # of a tick: a turn that comes early by what floating point loses is still its own


class TimerHandle(Protocol):
    """What the loop gives for a call it will make later."""

    def cancel(self) -> None:
        """Call it off."""


CallLater = Callable[[float, Callable[[], None]], TimerHandle]


class _NoCall:
    """What a closed wheel gets for a call that will not be made."""

    def cancel(self) -> None:
        """There is nothing to call off."""


def _call_never(delay_s: float, call: Callable[[], None]) -> TimerHandle:
    del delay_s, call
    return _NoCall()


class Timer:
    """One deadline that can be moved; `on_due` runs once when it has passed."""

    __slots__ = ("_on_due", "_wheel", "deadline", "slot_starts", "tick")

    def __init__(self, wheel: "Wheel", on_due: Callable[[], None]) -> None:
        self._wheel = wheel
        self._on_due = on_due
        self.deadline = inf
        # Of the slot that holds this timer, if any; written by the wheel only.
        self.tick = 0
        self.slot_starts = inf

    @property
    def is_armed(self) -> bool:
        """Whether a deadline is set."""
        return self.deadline != inf

    def arm(self, delay_s: float) -> None:
        """Set the deadline, replacing the one before."""
        # HOT: the wheel's coarse time spares a look at the clock per chunk, perf/micro/bench_exchange.py, 3.11, 2026-11
        deadline = self.deadline = self._wheel.coarse + delay_s
        if deadline < self.slot_starts:
            self._wheel.place(self)

    def disarm(self) -> None:
        """Forget the deadline; the slot is left when it comes due."""
        self.deadline = inf

    def close(self) -> None:
        """Leave the wheel at once, for an owner that ends."""
        self.deadline = inf
        self._wheel.remove(self)

    def fire(self) -> None:
        """Run the callback; called by the wheel."""
        self.deadline = inf
        self._on_due()


class Wheel:
    """Slots of timers by tick; turns only while it holds any.

    `coarse` is a time at most one tick old, plus one tick: a deadline counted from it never comes early while the loop
    turns freely.
    """

    __slots__ = ("_call_later", "_handle", "_slots", "_turned_to", "coarse", "now")

    def __init__(self, call_later: CallLater, now: Now) -> None:
        self._call_later = call_later
        self.now = now
        self.coarse = 0.0
        self._slots: dict[int, set[Timer]] = {}
        self._turned_to = 0
        self._handle: TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def timer(self, on_due: Callable[[], None]) -> Timer:
        """Return a new timer, not armed."""
        return Timer(self, on_due)

    def soon(self, call: Callable[[], None]) -> None:
        """Call on one of the loop's next turns."""
        self._call_later(0.0, call)

    def place(self, timer: Timer) -> None:
        """Put a timer into the slot of its deadline, taking it out of the one it is in."""
        if self._handle is None:  # the wheel stood still, and so did its time
            now = self.now()
            timer.deadline += now + TICK_S - self.coarse
            self.coarse = now + TICK_S
            self._turned_to = int(now / TICK_S + _ROUNDING)
            self._handle = self._call_later(TICK_S, self.turn)
        elif timer.tick:
            self.remove(timer)
        # The slot may come due within the tick of the deadline but before it; then the next turn is early enough.
        tick = timer.tick = max(int(timer.deadline / TICK_S), self._turned_to + 1)
        timer.slot_starts = tick * TICK_S
        slot = self._slots.get(tick)
        if slot is None:
            self._slots[tick] = {timer}
        else:
            slot.add(timer)

    def remove(self, timer: Timer) -> None:
        """Take a timer out of its slot, if it is in one."""
        slot = self._slots.get(timer.tick)
        if slot is not None:
            slot.discard(timer)
        timer.tick = 0
        timer.slot_starts = inf

    def turn(self) -> None:
        """Fire what is due and move on what was put off."""
        self._handle = self._call_later(TICK_S, self.turn)
        now = self.now()
        self.coarse = now + TICK_S
        due = self._take_due(int(now / TICK_S + _ROUNDING))
        try:
            while due:
                timer = due.pop()
                if timer.deadline <= now:
                    timer.fire()
                elif timer.deadline != inf and timer.tick == 0:
                    self.place(timer)
        finally:  # a callback that fails loses nobody else's deadline
            for timer in due:
                if timer.deadline != inf and timer.tick == 0:
                    self.place(timer)
            if not self._slots and self._handle is not None:
                self._handle.cancel()
                self._handle = None

    def _take_due(self, upto: int) -> list[Timer]:
        """Empty all slots up to a tick. After a long pause there may be more ticks to catch up than slots."""
        first = self._turned_to + 1
        self._turned_to = max(upto, self._turned_to)
        ticks = range(first, upto + 1) if upto - first < len(self._slots) else sorted(self._slots)
        due = [timer for tick in ticks if tick <= upto for timer in self._slots.pop(tick, ())]
        for timer in due:
            timer.tick = 0
            timer.slot_starts = inf
        return due

    def close(self) -> None:
        """Stop turning for good; whoever still sets a deadline waits in vain."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._call_later = _call_never
        self._slots.clear()
