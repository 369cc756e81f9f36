"""The breaker of one lane in one pool: a cell.

A closed cell serves. Failures put it to rest: softly at first, which means that it serves only when nobody else can,
and with enough of them it trips open and serves nobody until the rest is over. Then one request may try, and while it
does the cell is half-open. That trial has an owner, known by a token: the owner's success closes the cell, its failure
opens it for longer, and an owner that ends without a verdict leaves the cell as it was before. What others report
meanwhile counts for the statistics and moves nothing.

A request that waits for a permit elsewhere may stand in line here, too, until this cell serves again. While anybody
does, newcomers find the cell not ready: those in line go first, as soon as `call` is told that it is time.

Times are monotonic seconds and come from the caller, chance too. Hot: `ready_at_s` is the one number a healthy request
looks at, and `succeed` is what it calls; perf/micro/bench_reliability.py.
"""

from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import Final, NamedTuple, Protocol

from busbar_fast.errors import OutOfOrder
from busbar_fast.reliability.backoff import cooldown_s, honoured_s
from busbar_fast.reliability.window import Window

Chance = Callable[[], float]

# What `revise` needs to know of a success: its serial in the window, the streak it ended, and the count of successes.
Receipt = tuple[int, int, int]

NO_TRIAL: Final = 0
_NO_SERIAL: Final = -1


class State(IntEnum):
    """Where a cell is."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Event(IntEnum):
    """What moves a cell."""

    TRIPPED = 0  # too many failures
    TRIED = 1  # a trial began
    RECOVERED = 2  # the trial's owner succeeded, or a health probe did; or the key that was refused is another one now
    RELAPSED = 3  # the trial's owner failed, or a health probe did
    RELEASED = 4  # the trial ended without a verdict
    CONDEMNED = 5  # the lane is hard-down


NEXT: Final = {
    (State.CLOSED, Event.TRIPPED): State.OPEN,
    (State.CLOSED, Event.RECOVERED): State.CLOSED,
    (State.CLOSED, Event.CONDEMNED): State.OPEN,
    (State.OPEN, Event.TRIED): State.HALF_OPEN,
    (State.OPEN, Event.RECOVERED): State.CLOSED,
    (State.OPEN, Event.CONDEMNED): State.OPEN,
    (State.HALF_OPEN, Event.RECOVERED): State.CLOSED,
    (State.HALF_OPEN, Event.RELAPSED): State.OPEN,
    (State.HALF_OPEN, Event.RELEASED): State.OPEN,
    (State.HALF_OPEN, Event.CONDEMNED): State.OPEN,
}


# HOT: names for members of an IntEnum save 0.4 µs a request, perf/micro/bench_reliability.py, CPython 3.11, 2026-11.
_CLOSED: Final[State] = State.CLOSED


class Trip(IntEnum):
    """What a closed cell is judged by."""

    ERROR_RATE = 0
    CONSECUTIVE = 1


class BreakerSettings(NamedTuple):
    """How a pool's cells judge. The last two are the same for every pool."""

    trip: Trip = Trip.ERROR_RATE
    window_s: float = 30.0
    threshold: float = 0.5
    min_requests: int = 5
    consecutive_n: int = 3
    base_cooldown_s: float = 15.0
    max_cooldown_s: float = 120.0
    hard_down_cooldown_s: float = 1800.0
    max_retry_after_s: float = 86400.0


class Waiting(Protocol):
    """One that stands in the line of a cell."""

    def on_ready(self, cell: "Cell") -> None:
        """Hear that the cell would serve one more, and that its line is left."""


class Cell:
    """See the module. `current_weight` belongs to the rotation of the pool."""

    __slots__ = (
        "_chance",
        "_is_calling",
        "_is_condemned",
        "_line",
        "_successes",
        "_trials",
        "armings",
        "cooldown_until_s",
        "current_weight",
        "hold_until_s",
        "ready_at_s",
        "settings",
        "state",
        "streak",
        "trial",
        "window",
    )

    def __init__(self, settings: BreakerSettings, chance: Chance) -> None:
        self.settings = settings
        self._chance = chance
        self.window = Window(settings.window_s)
        self.state = _CLOSED
        self.streak = 0
        self.cooldown_until_s = 0.0
        self.hold_until_s = 0.0  # the part of the rest that an upstream asked for; never after its end
        self.ready_at_s = 0.0  # when a newcomer may be sent here; never while a trial runs or others are in line
        self._is_condemned = False  # it rests because of a hard-down
        self.trial = NO_TRIAL  # the token of its owner
        self._trials = 0
        self.armings = 0  # how often a rest began
        self._successes = 0
        self.current_weight = 0
        self._line: OrderedDict[Waiting, None] = OrderedDict()
        self._is_calling = False

    def __repr__(self) -> str:
        return f"<Cell {self.state.name} streak={self.streak} cooldown_until_s={self.cooldown_until_s:.3f}>"

    def copy(self, settings: BreakerSettings) -> "Cell":
        """Return a cell that starts where this one is, except that it owns no trial: half-open becomes open."""
        made = Cell(settings, self._chance)
        made.state = State.CLOSED if self.state is State.CLOSED else State.OPEN
        made._is_condemned = self._is_condemned
        made.streak = self.streak
        made.armings = self.armings
        made.cooldown_until_s = made.ready_at_s = self.cooldown_until_s
        made.hold_until_s = self.hold_until_s
        return made

    def retune(self, settings: BreakerSettings) -> None:
        """Judge by other settings from now on."""
        self.settings = settings
        self.window.span_s = settings.window_s

    # Questions.

    def is_ready(self, now_s: float) -> bool:
        """Whether a request may be sent here like to any other."""
        return self.state is not State.HALF_OPEN and now_s >= self.cooldown_until_s

    def is_soft(self, now_s: float) -> bool:
        """Whether a request may be sent here when nobody else can take it."""
        return self.state is State.CLOSED and self.hold_until_s <= now_s < self.cooldown_until_s

    def is_suppressed(self, now_s: float) -> bool:
        """Whether a health probe could bring this cell back earlier."""
        return self.state is not State.CLOSED or now_s < self.cooldown_until_s

    def cooldown_left_s(self, now_s: float) -> float:
        """Return how long the rest goes on."""
        return max(0.0, self.cooldown_until_s - now_s)

    # Those in line.

    @property
    def has_line(self) -> bool:
        """Whether anybody waits for this cell to serve again."""
        return bool(self._line)

    def line_up(self, waiting: Waiting) -> None:
        """Put somebody last in line."""
        self._line[waiting] = None
        self._settle()

    def leave(self, waiting: Waiting) -> None:
        """Take somebody out of the line."""
        del self._line[waiting]
        self._settle()

    def call(self, now_s: float) -> bool:
        """Let those in line go on who may be served now, in order; return whether there was anybody.

        One that is called may run its request to the end at once and come back here; it finds this loop running.
        """
        has_called = False
        if self._is_calling:
            return has_called
        self._is_calling = True
        try:
            while self._line and (self.is_ready(now_s) or self.is_soft(now_s)):
                waiting, _ = self._line.popitem(last=False)
                has_called = True
                waiting.on_ready(self)
        finally:
            self._is_calling = False
            self._settle()
        return has_called

    # What requests do and report. `token` is what `admit` returned to the one that reports.

    def admit(self) -> int:
        """Let a request in that may be sent here; return its token, `NO_TRIAL` if it is no trial."""
        if self.state is _CLOSED:
            return NO_TRIAL
        self._advance(Event.TRIED)
        self._settle()
        self._trials += 1
        self.trial = self._trials
        return self.trial

    def succeed(self, now_s: float, token: int = NO_TRIAL) -> Receipt:
        """Take a success. An open cell stays open and keeps its streak, so that its rests go on growing."""
        streak = self.streak
        self._successes += 1
        if self.state is _CLOSED:
            serial = self.window.add(now_s)
            if streak:
                self._forgive()
        elif self.owns(token):
            self._recover()
            serial = _NO_SERIAL
        else:
            serial = self.window.add(now_s)
        return serial, streak, self._successes

    def fail(self, now_s: float, token: int = NO_TRIAL, retry_after_s: float | None = None) -> bool:
        """Take a failure; return whether the cell tripped by it."""
        self.window.add(now_s, is_error=True)
        if self.state is State.CLOSED:
            return self._suffer(now_s, self.streak + 1, retry_after_s)
        if self.owns(token):
            self._advance(Event.RELAPSED)
            self.streak += 1
            self._arm(now_s, retry_after_s)
        return False

    def revise(self, now_s: float, receipt: Receipt, retry_after_s: float | None = None) -> bool:
        """Turn a success that was reported into a failure; return whether the cell tripped by it.

        The streak which that success ended goes on, unless others succeeded since.
        """
        serial, ended, successes = receipt
        self.window.turn(serial, now_s)
        if self.state is not State.CLOSED:
            return False
        before = ended if successes == self._successes else 0
        return self._suffer(now_s, before + self.streak + 1, retry_after_s)

    def release(self, token: int) -> None:
        """End a trial without a verdict: the next request may try at once. Only its owner can, and once."""
        if self.owns(token):
            self._advance(Event.RELEASED)
            self._settle()

    def owns(self, token: int) -> bool:
        """Whether this token is the one of the trial that runs."""
        return token != NO_TRIAL and token == self.trial

    # What concerns the whole lane.

    def condemn(self, now_s: float) -> bool:
        """Rest as long as a hard-down lane does; return whether the cell was closed."""
        was_closed = self.state is State.CLOSED
        self._advance(Event.CONDEMNED)
        self._is_condemned = True
        self._rest_until(now_s + self.settings.hard_down_cooldown_s)
        return was_closed

    def pardon(self) -> None:
        """Close the cell if it rests because of a hard-down; a rest for any other reason goes on."""
        if self._is_condemned:
            self._recover()

    def probe_succeeded(self, now_s: float, armings: int) -> None:
        """Take a health probe's success. A rest that began after it was sent, when `armings` was counted, goes on."""
        if self.armings == armings:
            if self.is_suppressed(now_s):
                self._recover()
            self.streak = 0
        self.window.add(now_s)

    def probe_failed(self, now_s: float, retry_after_s: float | None = None) -> bool:
        """Take a health probe's failure, which ends a trial as its owner's would; return whether the cell tripped."""
        return self.fail(now_s, self.trial, retry_after_s)

    def _suffer(self, now_s: float, streak: int, retry_after_s: float | None) -> bool:
        """Live through a failure as a closed cell; return whether it trips."""
        self.streak = streak
        has_tripped = self._has_enough(now_s)
        if has_tripped:
            self._advance(Event.TRIPPED)
        self._arm(now_s, retry_after_s)
        return has_tripped

    def _has_enough(self, now_s: float) -> bool:
        settings = self.settings
        if settings.trip is Trip.CONSECUTIVE:
            return self.streak >= settings.consecutive_n
        total, errors = self.window.count(now_s)
        return total >= settings.min_requests and errors / total >= settings.threshold

    def _forgive(self) -> None:
        """End the streak and the soft part of the rest; what an upstream asked for stays."""
        self.streak = 0
        self._rest(self.hold_until_s)

    def _recover(self) -> None:
        self._advance(Event.RECOVERED)
        self.hold_until_s = 0.0
        self._forgive()
        self.window.clear()
        self.current_weight = 0  # a stale one would skew the first picks

    def _arm(self, now_s: float, retry_after_s: float | None) -> None:
        """Begin a rest for the present streak."""
        settings = self.settings
        rest_s = cooldown_s(settings.base_cooldown_s, settings.max_cooldown_s, self.streak, self._chance())
        if retry_after_s is not None:
            asked_s = honoured_s(retry_after_s, settings.max_retry_after_s)
            self.hold_until_s = max(self.hold_until_s, now_s + asked_s)
            rest_s = max(rest_s, asked_s)
        self._rest_until(now_s + rest_s)

    def _rest_until(self, until_s: float) -> None:
        self.armings += 1
        self._rest(max(self.cooldown_until_s, until_s))

    def _rest(self, until_s: float) -> None:
        self.cooldown_until_s = until_s
        self._settle()

    def _settle(self) -> None:
        """Say to newcomers when they may be sent here; those in line are told by `call`."""
        is_kept = self._line or self.state is State.HALF_OPEN
        self.ready_at_s = inf if is_kept else self.cooldown_until_s

    def _advance(self, event: Event) -> None:
        """Move on; whatever moves a cell ends its trial and its hard-down, and only their beginnings start them."""
        try:
            self.state = NEXT[self.state, event]
        except KeyError:
            raise OutOfOrder(self.state, event.name) from None
        self.trial = NO_TRIAL
        self._is_condemned = False
