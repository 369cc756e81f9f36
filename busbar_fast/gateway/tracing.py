"""Traces of forwarded requests: one span for the request, one for its forwarding, one for each attempt.

A `Trace` belongs to one request and keeps moments; spans are made of them when the request is over, encoded at once and
sent in batches. Names and attributes are configured words and numbers, never anything that a client or a vendor wrote.
Nothing waits for a collector: what it does not take in time is dropped and counted.
"""

import os
import time
from collections.abc import Iterator
from typing import Final

from busbar_fast import __version__
from busbar_fast.clock import now
from busbar_fast.gateway.courier import Courier
from busbar_fast.observe.counters import Shed, outcome_of
from busbar_fast.observe.spans import Attributes, Kind, Parent, Span, encode_batch, encode_span, parse_parent
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.repeated import sole_value
from busbar_fast.wire.wheel import Wheel

_MOST_WAITING: Final = 2048
_BATCH: Final = 512
_EVERY_S: Final = 5.0
_BROKEN: Final = 500
_NS: Final = 1_000_000_000


class Attempt:
    """One try on one lane."""

    __slots__ = ("began_s", "egress", "ended_s", "failure", "lane", "status", "waited_s")

    def __init__(self, lane: str, egress: str) -> None:
        self.lane = lane
        self.egress = egress
        self.began_s = now()
        self.ended_s = 0.0  # not yet
        self.failure = ""
        self.status = 0  # the lane's; none came
        self.waited_s = 0.0  # for the head of its answer


class Trace:
    """See the module."""

    __slots__ = ("_began_ns", "_began_s", "_parent", "attempts")

    def __init__(self, parent: Parent | None) -> None:
        self._parent = parent
        self._began_ns = time.time_ns()
        self._began_s = now()
        self.attempts: list[Attempt] = []

    def begin_attempt(self, lane: str, egress: str) -> None:
        """A lane is tried."""
        self.attempts.append(Attempt(lane, egress))

    def note_head(self, status: int, waited_s: float) -> None:
        """The lane that is tried answers."""
        self.attempts[-1].status, self.attempts[-1].waited_s = status, waited_s

    def end_attempt(self, failure: str) -> None:
        """The try is over; `failure` says why another one is needed, if it is."""
        self.attempts[-1].ended_s, self.attempts[-1].failure = now(), failure

    def spans(self, name: str, status: int | None, about: Attributes, forwarded: Attributes) -> Iterator[Span]:
        """Yield what is to be told of the request, which is over."""
        parent, ended_s = self._parent, now()
        trace_id = os.urandom(16) if parent is None else parent.trace_id
        root_id, forward_id = os.urandom(8), os.urandom(8)
        above = b"" if parent is None else parent.span_id
        is_error = status is not None and status >= _BROKEN
        began_ns, ended_ns = self._began_ns, self._at_ns(ended_s)
        outcome: Attributes = {"busbar.outcome": outcome_of(status)}
        if status is not None:
            outcome = {**outcome, "http.response.status_code": status}
        whole = {**about, **outcome}
        yield Span(trace_id, root_id, above, name, Kind.SERVER, began_ns, ended_ns, whole, is_error)
        if not self.attempts:
            return
        first_ns = self._at_ns(self.attempts[0].began_s)
        yield Span(trace_id, forward_id, root_id, "forward", Kind.INTERNAL, first_ns, ended_ns, forwarded, is_error)
        for number, tried in enumerate(self.attempts, 1):
            said: dict[str, str | int | float | bool] = {"lane": tried.lane, "egress": tried.egress, "attempt": number}
            if tried.status:
                said |= {"status": tried.status, "ttfb_ms": round(tried.waited_s * 1000, 3)}
            if tried.failure:
                said["failure"] = tried.failure
            times = self._at_ns(tried.began_s), self._at_ns(tried.ended_s or ended_s)
            yield Span(trace_id, os.urandom(8), forward_id, "attempt", Kind.CLIENT, *times, said, tried.failure != "")

    def _at_ns(self, moment_s: float) -> int:
        return self._began_ns + int((moment_s - self._began_s) * _NS)


class Tracer:
    """Collects spans and sends them in batches."""

    __slots__ = ("_accepts_parents", "_courier", "_resource", "_sending", "_shed", "_timer", "_waiting")

    def __init__(self, courier: Courier, wheel: Wheel, shed: Shed, instance: str, *, accepts_parents: bool) -> None:
        self._accepts_parents = accepts_parents
        self._courier = courier
        self._resource = {
            "service.name": "busbar-fast",
            "service.version": __version__,
            "service.instance.id": instance,
        }
        self._shed = shed
        self._waiting: list[bytes] = []
        self._sending = 0  # spans under way
        self._timer = wheel.timer(self._send)

    def maybe_trace(self, fields: Fields) -> Trace | None:
        """Return the trace of a request that begins, unless its caller says that it is not to be traced."""
        parent = parse_parent(sole_value(fields, b"traceparent")) if self._accepts_parents else None
        return None if parent is not None and not parent.is_sampled else Trace(parent)

    def take(self, spans: Iterator[Span]) -> None:
        """Send spans soon; drop what is too much."""
        for span in spans:
            if len(self._waiting) >= _MOST_WAITING:
                self._shed.spans += 1
            else:
                self._waiting.append(encode_span(span))
        if len(self._waiting) >= _BATCH:
            self._send()
        elif not self._sending and not self._timer.is_armed:
            self._timer.arm(_EVERY_S)

    async def finish(self, ends_s: float) -> None:
        """Send what is left, up to that moment."""
        while (self._waiting or self._sending) and (left_s := ends_s - now()) > 0:
            self._send()
            await self._courier.finish(left_s)

    def close(self) -> None:
        """Drop what is left."""
        self._timer.close()
        self._courier.close()
        self._shed.spans += len(self._waiting) + self._sending
        self._waiting.clear()
        self._sending = 0

    def _send(self) -> None:
        if self._sending or not self._waiting:
            return
        batch = self._waiting[:_BATCH]
        del self._waiting[:_BATCH]
        self._sending = len(batch)
        self._timer.disarm()
        self._courier.post(encode_batch(self._resource, "busbar_fast", batch), self._on_sent)

    def _on_sent(self, why: str) -> None:
        self._shed.spans += self._sending if why else 0
        self._sending = 0
        if len(self._waiting) >= _BATCH:
            self._send()
        elif self._waiting:
            self._timer.arm(_EVERY_S)
