"""Health probes: lanes are asked in the background whether they serve, so that one that rests comes back sooner.

Each lane whose provider wants it has checkups, made anew with every topology; they keep to the times of those before.
A probe is the least that can be asked of the model, sent as a client's request would be and with the lane's own key; it
takes no permit and no budget. What its answer means is decided as for any other answer.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from busbar_fast.config.schema import Health
from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.errors import BusbarError, Side, UpstreamTimeout
from busbar_fast.gateway.answers import unpacked
from busbar_fast.gateway.dispatch import read_refusal
from busbar_fast.gateway.lanes import Lane
from busbar_fast.observe.log import fields
from busbar_fast.reliability.dispositions import Disposition
from busbar_fast.reliability.lanes import DEFAULT, LaneState, Probe
from busbar_fast.wire.coding import coding_of
from busbar_fast.wire.heads import ResponseHead
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.wheel import Wheel

_log: Final = logging.getLogger("busbar_fast.gateway")

# Called with the name of a pool and that of a lane when a probe puts the lane out of service there. A hard-down is one
# trip whatever pools there are, so it is told of the lane by itself, whose name then stands for the pool too.
OnTrip = Callable[[str, str], None]

_MOST_BODY_BYTES: Final = 65536
_REASONS: Final = {Disposition.HARD_DOWN_AUTH: "auth", Disposition.HARD_DOWN_BILLING: "billing"}
_WELL: Final = "well"


class Checkups:
    """The probes of one lane, one after the other."""

    __slots__ = ("_ask", "_health", "_lane", "_next_s", "_on_trip", "_strand", "_timer", "_told", "_wheel")

    def __init__(self, lane: Lane, health: Health, on_trip: OnTrip, wheel: Wheel, before: "Checkups | None") -> None:
        self._lane = lane
        self._health = health
        self._on_trip = on_trip
        self._wheel = wheel
        self._ask = Ask(lane.dialect, Operation.CONVERSE, in_stream=False)
        self._told = _WELL  # what the log was last told of the lane
        self._strand: Strand | None = None
        self._timer = wheel.timer(self._on_tick)
        self._next_s = 0.0
        self._come_again(health.interval_secs if before is None else min(health.interval_secs, before.left_s))

    @property
    def state(self) -> LaneState:
        """Who is asked."""
        return self._lane.state

    @property
    def left_s(self) -> float:
        """How long it is to the next probe."""
        return max(0.0, self._next_s - self._wheel.now())

    def close(self) -> None:
        """Ask no more; a probe under way is dropped."""
        self._timer.close()
        if self._strand is not None:
            self._strand.close()

    def _come_again(self, delay_s: float) -> None:
        self._next_s = self._wheel.now() + delay_s
        self._timer.arm(delay_s)

    def _on_tick(self) -> None:
        self._come_again(self._health.interval_secs)
        is_asking = self._strand is not None and not self._strand.is_over
        if is_asking or (self._health.mode == "dead" and not self._lane.state.needs_probe(self._wheel.now())):
            return
        self._strand = _ProbeStrand(self._wheel)
        self._strand.run(self._check(self._strand))

    async def _check(self, strand: Strand) -> None:
        """Send one probe and take what it says."""
        lane, now = self._lane, self._wheel.now
        probe = Probe(lane.state)
        try:
            answer, body = await self._call(strand)
        except BusbarError as error:
            if error.side is not Side.UPSTREAM:
                raise
            self._fail(probe, str(error))
            return
        if 200 <= answer.status < 300:
            probe.succeed(now())
            self._tell(_WELL, f"{answer.status}")
            return
        refusal = lane.dialect.read_error(answer.status, answer.fields, body, time.time())
        disposition = lane.judge(refusal)
        if disposition is Disposition.TRANSIENT:
            self._fail(probe, f"{answer.status}", refusal.retry_after_s)
            return
        if disposition in _REASONS and probe.condemn(now(), _REASONS[disposition]):
            self._note_trip(lane.name)
        self._tell(disposition.name.lower(), f"{answer.status}")

    async def _call(self, strand: Strand) -> tuple[ResponseHead, bytes]:
        """Return the answer to a probe, as much of it as is read. Raise what a request would be failed by."""
        lane, timeout_s = self._lane, self._health.timeout_secs
        body = lane.shape(lane.dialect.ping, [])
        head = lane.encode_head(self._ask, lane.forwarded_fields({}), body, in_stream=False, callers_key=None)
        with (
            strand.within(timeout_s, _too_slow),
            await lane.origin.call(strand, b"POST", head + body, timeout_s) as upstream,
        ):
            answer = upstream.head
            assert answer is not None
            source = unpacked(upstream, coding_of(answer.fields), in_stream=False)
            if 200 <= answer.status < 300:
                text, _ = await source.read_body(_MOST_BODY_BYTES)
            else:  # its status counts, even if the rest does not come
                text, _ = await read_refusal(source, strand, _MOST_BODY_BYTES, timeout_s)
            return answer, text

    def _fail(self, probe: Probe, why: str, retry_after_s: int | None = None) -> None:
        """Take a failure that may pass."""
        lane = self._lane
        for pool in probe.fail(self._wheel.now(), retry_after_s):
            self._note_trip(lane.name if pool == DEFAULT else pool)
        self._tell("transient", why)

    def _note_trip(self, pool: str) -> None:
        self._on_trip(pool, self._lane.name)
        _log.warning("lane out of service", extra=fields(lane=self._lane.name, pool=pool))

    def _tell(self, outcome: str, why: str) -> None:
        """Tell the log; what it has been told already is for those only who look for it."""
        level = logging.INFO if outcome == _WELL else logging.WARNING
        if outcome == self._told:
            level = logging.DEBUG
        self._told = outcome
        _log.log(level, "health probe", extra=fields(lane=self._lane.name, outcome=outcome, why=why))


class Prober:
    """The checkups of every lane of the process."""

    __slots__ = ("_checkups", "_on_trip", "_wheel")

    def __init__(self, wheel: Wheel, on_trip: OnTrip) -> None:
        self._wheel = wheel
        self._on_trip = on_trip
        self._checkups: list[Checkups] = []

    def replace(self, lanes: Iterable[tuple[Lane, Health]]) -> None:
        """Check these lanes and no others, as far as their providers want it and there is a key to ask with.

        Whoever was checked before waits for the next probe no longer than without this, however often it happens.
        """
        before = {checkups.state: checkups for checkups in self._checkups}
        self.close()
        self._checkups = [
            Checkups(lane, health, self._on_trip, self._wheel, before.get(lane.state))
            for lane, health in lanes
            if health.mode != "none" and lane.has_key
        ]

    def close(self) -> None:
        """Check nobody."""
        for checkups in self._checkups:
            checkups.close()
        self._checkups = []


class _ProbeStrand(Strand):
    """Runs one probe; a fault of ours is told to the log, nobody else waits for it."""

    __slots__ = ()

    def on_end(self, error: BaseException | None) -> None:
        if error is not None:
            _log.error("a health probe failed", exc_info=error)


def _too_slow() -> UpstreamTimeout:
    return UpstreamTimeout("no answer to a probe in time")
