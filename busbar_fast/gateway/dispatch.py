"""One try on one lane: shape, send, head, then either the answer or a verdict on why there is none.

A try ends in one of two ways: the client has its answer, or another lane is needed and the reason is returned. Whatever
fails after the first byte for the client can only be told inside the answer.
"""

import logging
import time
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from busbar_fast.clock import now
from busbar_fast.dialects.asks import Operation
from busbar_fast.dialects.dialect import JSON, StreamFault, Usage
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.plain_usage import plain_usage
from busbar_fast.dialects.upstream_errors import UpstreamError
from busbar_fast.errors import BusbarError, Side, UpstreamTimeout
from busbar_fast.gateway.answers import Answer, Source, StreamFailed, relayed_fields, unpacked
from busbar_fast.gateway.lanes import Lane
from busbar_fast.gateway.offers import Tolerance
from busbar_fast.gateway.replies import fault_of
from busbar_fast.gateway.requests import Request
from busbar_fast.observe.log import fields as fields_of
from busbar_fast.reliability.attempts import Attempt, Attempts, Phase
from busbar_fast.reliability.dispositions import Disposition
from busbar_fast.wire.heads import ResponseHead
from busbar_fast.wire.repeated import sole_value
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.upstream import Upstream

if TYPE_CHECKING:
    from busbar_fast.gateway.crossing import Crossed, Crossing
    from busbar_fast.gateway.rankers import Ranker

_log: Final = logging.getLogger("busbar_fast.gateway")

_JSON_TYPE: Final = b"application/json"
_RUNNING: Final[Phase] = Phase.RUNNING
_APART_BYTES: Final = 65536  # a larger body is not copied behind its head
_TIMED_OUT: Final = 504
_REFUSAL_S: Final = 10.0
_OK: Final = 200
_NOT_OK: Final = 300
_HARD_DOWN: Final = (Disposition.HARD_DOWN_AUTH, Disposition.HARD_DOWN_BILLING)
# Stands where a client sends back what another vendor has sealed: `ir.seals`, which is not imported for it.
_SEALED_ELSEWHERE: Final = b"bbf1"


_ANYTHING_GOES: Final = Tolerance()


class Rejection(NamedTuple):
    """An upstream's refusal as the client gets it."""

    status: int
    fields: bytes
    body: bytes


class Dispatch:
    """What the tries of one request share. `rejection` is why the last lane could not take it as it is.

    `ranker` is whose order the attempts follow, if they follow one.
    """

    __slots__ = ("_attempts", "_ranker", "_request", "rejection")

    def __init__(self, request: Request, attempts: Attempts, ranker: "Ranker | None" = None) -> None:
        self._ranker = ranker
        self._request = request
        self._attempts = attempts
        self.rejection: Rejection | None = None

    async def run(self, attempt: Attempt) -> str:
        """Try one lane; return why another one is needed, nothing if the client has its answer.

        Raise if the answer broke off in the middle and nothing but a cut connection can tell the client.
        """
        request, attempts = self._request, self._attempts
        topology, exchange = request.visit.topology, request.exchange
        lane = topology.lanes[attempt.lane.model]
        request.lane = lane
        tally = lane.tallies[attempts.pool.name]
        translation = None
        if lane.dialect is not request.dialect or (
            (request.body.rfind(_SEALED_ELSEWHERE) >= 0 or (topology.is_mixed and _may_be_in_loop(request)))
            and _has_conversation(request)
        ):
            translation = self._maybe_translation(attempt, lane)
            if translation is None:
                return "untranslatable"
        tally.attempts += 1
        first, apart = shape(request, lane, translation)
        sent_s = now()
        wait_s = min(topology.wait_s, attempt.member.attempt_timeout_s or inf)
        try:
            with await lane.origin.call(exchange, b"POST", first, wait_s, apart, attempts.deadline_s) as upstream:
                head = upstream.head
                assert head is not None
                waited_s = request.waited_s = now() - sent_s
                if request.trace is not None:
                    request.trace.note_head(head.status, waited_s)
                if head.status >= _NOT_OK:
                    return await self._weigh(attempt, lane, upstream, head)
                fields, coding = relayed_fields(head, request.dialect)
                if self._ranker is not None or topology.shows_timing:
                    self._note_route(attempt)
                    fields += request.own_lines
                source = unpacked(upstream, coding, in_stream=request.in_stream)
                latency_ms = waited_s * 1000
                self._tell("lane %s answers %d", lane.name, head.status)
                if translation is not None and translation.is_foreign:
                    await self._give(
                        attempt,
                        lane,
                        upstream,
                        self._new_translated(attempt, lane, source, head, latency_ms, translation),
                    )
                    return ""
                whole = None if request.in_stream else source.maybe_whole()
                if whole is not None:
                    if request.is_metered and head.status == _OK:
                        self._count_whole(lane, head, whole)
                    self._commit(attempt, latency_ms)
                    exchange.reply(head.status, fields, whole)
                    return ""
                answer = self._new_answer(attempt, lane, source, head, fields, latency_ms)
                await self._give(attempt, lane, upstream, answer)
        except StreamFailed as failed:
            told = lane.read_fault(failed.fault)
            begun = Rejection(_OK, failed.fields, failed.begun)
            return self._act(attempt, lane, told, begun if failed.begun else reworded(request, told))
        except BusbarError as error:
            if error.side is Side.OURS or attempt.phase is not _RUNNING:
                raise
            self._tell("lane %s failed: %s", lane.name, error)
            self._fail(attempt, lane)
            return "timeout" if error.status == _TIMED_OUT else "connect"
        return ""

    def relay_rejection(self) -> None:
        """Answer with why the last lane could not take the request as it is."""
        rejection = self.rejection
        assert rejection is not None  # an attempt ended so
        self._request.exchange.reply(*rejection)

    # Another dialect

    def _maybe_translation(self, attempt: Attempt, lane: Lane) -> "Crossing[Any] | None":
        """Translate the request for a lane; None if that cannot be done, and why not is kept as its rejection."""
        from busbar_fast.gateway.crossing import Refused  # noqa: PLC0415  brings the neutral model

        offer = self._request.visit.topology.offers.get(self._attempts.pool.name)
        try:
            return _crossing(self._request, lane, _ANYTHING_GOES if offer is None else offer.tolerance)
        except Refused as refused:
            attempt.unfit()
            self.rejection = refusal(self._request, refused.fault)
            return None

    def _new_translated(
        self, attempt: Attempt, lane: Lane, source: Source, head: ResponseHead, latency_ms: float, by: "Crossing[Any]"
    ) -> "Crossed":
        return by.new_answer(
            source,
            head,
            begin_well=partial(self._commit, attempt, latency_ms),
            count=partial(self._count_usage, lane),
        )

    # A good answer

    def _note_route(self, attempt: Attempt) -> None:
        """Note what the client is told of the policy; pools that one falls back to, and last resorts, follow none."""
        attempts, ranker = self._attempts, self._ranker
        is_ranked = ranker is not None and attempts.pool is attempts.visited[0] and not attempt.is_last_resort
        self._request.route_lines = ranker.route_lines(attempt.lane.model) if ranker and is_ranked else b""

    def _commit(self, attempt: Attempt, latency_ms: float) -> None:
        """Take notice that an answer begins: the lane has succeeded, unless it is blamed already."""
        now_s = self._request.first_byte_s = now()
        if attempt.phase is _RUNNING:
            attempt.commit(now_s, latency_ms)

    def _count_usage(self, lane: Lane, usage: Usage) -> None:
        """Count what an answer used, for the lane that gave it and for whoever pays."""
        self._request.used = usage
        lane.tallies[self._attempts.pool.name].add_usage(usage.input_tokens, usage.output_tokens)

    def _count_whole(self, lane: Lane, head: ResponseHead, document: bytes) -> None:
        """Count what an answer used that is here as a whole."""
        dialect, kind = self._request.dialect, head.fields.get(b"content-type", b"")
        is_plain = dialect.plain_counts and kind.startswith(_JSON_TYPE)
        usage = plain_usage(document, dialect.plain_counts) if is_plain else None
        if usage is None:
            watch = dialect.new_watch(kind)
            watch.feed_whole(document)
            usage = watch.maybe_usage()
        if usage is not None:
            self._count_usage(lane, usage)

    def _new_answer(
        self, attempt: Attempt, lane: Lane, source: Source, head: ResponseHead, fields: bytes, latency_ms: float
    ) -> Answer:
        return Answer(
            self._request,
            source,
            head,
            fields,
            begin_well=partial(self._commit, attempt, latency_ms),
            refuses=partial(self._refuses, attempt, lane),
            count=partial(self._count_usage, lane),
        )

    async def _give(self, attempt: Attempt, lane: Lane, upstream: Upstream, answer: "Answer | Crossed") -> None:
        """Give the client an answer as it comes, and settle how it ended."""
        request = self._request
        try:
            if request.in_stream:  # lasts as long as it goes on
                upstream.wait_s = max(upstream.wait_s, request.visit.topology.wait_s)
                every_s = request.visit.topology.keepalive_s or answer.keepalive_s
                if every_s and request.dialect.keepalive:
                    from busbar_fast.gateway.keepalive import Keepalive, Sign  # noqa: PLC0415  few want it

                    sign = Sign(request.dialect.keepalive, every_s)
                    with Keepalive(upstream, request.exchange, answer, sign, lane.origin.wheel):
                        await answer.give()
                else:
                    await answer.give()
            elif upstream.is_whole:  # HOT: a deadline for nothing takes 3 µs, CPython 3.11, 2026-11
                await answer.give()
            else:
                with request.exchange.within(self._left_s(), _too_slow):
                    await answer.give()
        except BusbarError as error:
            if error.side is Side.UPSTREAM and attempt.phase is Phase.COMMITTED:
                self._die(attempt, lane, is_refunded=True)
            raise
        if answer.fault is not None:
            self._blame(attempt, lane, answer.fault)
        elif answer.has_stopped and attempt.phase is Phase.COMMITTED:
            self._die(attempt, lane, is_refunded=True, stopped_by=answer.stopped_by)

    def _refuses(self, attempt: Attempt, lane: Lane, fault: StreamFault) -> bool:
        """Say whether a stream that begins with an error is worth another lane; note the faults of clients."""
        disposition = lane.judge(lane.read_fault(fault), passes_on=self._request.passes_on)
        if disposition is Disposition.CLIENT_FAULT:
            attempt.client_fault()
        return disposition not in (Disposition.CLIENT_FAULT, Disposition.CALLERS_KEY)

    def _blame(self, attempt: Attempt, lane: Lane, fault: StreamFault) -> None:
        """Hold against a lane what it reported inside a stream that had begun well."""
        if attempt.phase is not Phase.COMMITTED:
            return  # for its first event, already
        error = lane.read_fault(fault)
        disposition = lane.judge(error, passes_on=self._request.passes_on)
        if disposition is Disposition.TRANSIENT:
            self._die(attempt, lane, is_refunded=False, retry_after_s=error.retry_after_s)
        elif disposition in _HARD_DOWN:
            self._put_down(attempt, lane, disposition)

    def _die(
        self,
        attempt: Attempt,
        lane: Lane,
        *,
        is_refunded: bool,
        retry_after_s: int | None = None,
        stopped_by: str = "upstream",
    ) -> None:
        """Take notice that an answer broke off, or ended in a failure."""
        tally = lane.tallies[self._attempts.pool.name]
        tally.failures["transient_upstream"] += 1
        if self._request.in_stream:
            self._request.count_abort(stopped_by)
        if attempt.die(now(), is_refunded=is_refunded, retry_after_s=retry_after_s):
            self._note_trip(lane)

    # A refusal

    async def _weigh(self, attempt: Attempt, lane: Lane, upstream: Upstream, head: ResponseHead) -> str:
        """Read an answer that is no success and do what its verdict asks for."""
        request = self._request
        fields, coding = relayed_fields(head, request.dialect)
        source = unpacked(upstream, coding, in_stream=False)
        most_bytes = lane.origin.limits.max_error_body_bytes
        body, is_whole = await read_refusal(source, request.exchange, most_bytes, self._left_s())
        error = lane.dialect.read_error(head.status, head.fields, body, time.time())
        is_readable = is_whole and lane.dialect is request.dialect
        rejection = Rejection(head.status, fields, body) if is_readable else reworded(request, error)
        return self._act(attempt, lane, error, rejection)

    def _act(self, attempt: Attempt, lane: Lane, error: UpstreamError, rejection: Rejection) -> str:
        """Do what a refusal asks for; return why another lane is needed, nothing if the client has its answer."""
        disposition = lane.judge(error, passes_on=self._request.passes_on)
        self._tell("lane %s answered %d: %s", lane.name, error.status, disposition.name)
        if disposition is Disposition.TRANSIENT:
            self._fail(attempt, lane, error.retry_after_s)
            if not attempt.is_last_resort:
                return "transient_upstream"
        elif disposition in _HARD_DOWN:
            self._put_down(attempt, lane, disposition)
            return "hard_down"
        elif disposition is Disposition.CONTEXT:
            lane.tallies[self._attempts.pool.name].failures["context_length"] += 1
            attempt.context_rejected()
            self.rejection = rejection
            return "context_length"
        elif disposition is Disposition.CLIENT_FAULT:
            attempt.client_fault()
        self._request.exchange.reply(*rejection)
        return ""

    def _fail(self, attempt: Attempt, lane: Lane, retry_after_s: int | None = None) -> None:
        lane.tallies[self._attempts.pool.name].failures["transient_upstream"] += 1
        if attempt.fail(now(), retry_after_s):
            self._note_trip(lane)

    def _put_down(self, attempt: Attempt, lane: Lane, disposition: Disposition) -> None:
        lane.tallies[self._attempts.pool.name].failures["hard_down"] += 1
        is_auth = disposition is Disposition.HARD_DOWN_AUTH
        reason = "auth" if is_auth else "billing"
        if attempt.hard_down(now(), reason, is_auth=is_auth, key_number=lane.key_number):
            self._note_trip(lane)

    def _note_trip(self, lane: Lane) -> None:
        pool = self._attempts.pool.name
        lane.tallies[pool].trips += 1
        _log.warning("lane out of service", extra=fields_of(lane=lane.name, pool=pool))

    def _tell(self, text: str, *words: object) -> None:
        """Tell those of an attempt who look that closely."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(text, *words, extra=fields_of(request=self._request.id))

    def _left_s(self) -> float:
        return self._attempts.remaining_s(now())


def shape(request: Request, lane: Lane, translation: "Crossing[Any] | None" = None) -> tuple[bytes, bytes]:
    """Return a request as a lane gets it: head and body in one if the body is small, else apart."""
    ask, in_stream = request.ask, request.in_stream
    if request.is_form:
        body = lane.shape_form(request.body, request.spans)
    elif translation is None:
        body = lane.shape(request.body, request.spans, request.usage_edits)
    else:
        body = translation.body
    forwarded = b""
    if lane.dialect is request.dialect:
        forwarded = lane.forwarded_fields(request.exchange.head.fields)
        if ask.action:  # what was read as JSON is to be read as nothing else, whatever its client calls it
            kind = sole_value(request.exchange.head.fields, b"content-type")
            forwarded += b"Content-Type: %b\r\n" % kind if request.is_form else JSON
    else:
        ask = lane.own_ask(ask, in_stream=in_stream)
        forwarded = JSON if ask.action else b""  # the others say so by themselves
    key = request.visit.token if request.passes_on else None
    head = lane.encode_head(ask, forwarded, body, in_stream=in_stream, callers_key=key)
    return (head + body, b"") if len(body) < _APART_BYTES else (head, body)


def _crossing(request: Request, lane: Lane, tolerance: Tolerance) -> "Crossing[Any]":
    """Return a request as it is written anew for a lane. Raise Refused if it cannot be."""
    if request.ask.operation is Operation.EMBED:
        from busbar_fast.gateway.embedding import Embedding  # noqa: PLC0415  brings the neutral model

        return Embedding(request, lane, tolerance)
    if request.ask.operation is Operation.COUNT_TOKENS:
        from busbar_fast.gateway.counting import Counting  # noqa: PLC0415  as above

        return Counting(request, lane, tolerance)
    from busbar_fast.gateway.translation import Translation  # noqa: PLC0415  as above

    return Translation(request, lane, tolerance)


def reworded(request: Request, error: UpstreamError) -> Rejection:
    """Return a refusal in the client's dialect, for one that broke off, and for one in another dialect."""
    return refusal(request, fault_of(error))


def refusal(request: Request, fault: Fault) -> Rejection:
    """Return a refusal of our own in the client's dialect."""
    return Rejection(*request.dialect.encode_fault(fault, request.ask, request.dialect.new_id()))


async def read_refusal(source: Source, strand: Strand, most_bytes: int, left_s: float) -> tuple[bytes, bool]:
    """Return the body of a refusal, as much of it as is kept and comes in time, and whether it did not break off."""
    whole = source.maybe_whole()
    if whole is not None:
        return whole[:most_bytes], True
    parts: list[bytes] = []
    size = 0
    is_whole = True
    try:
        with strand.within(min(_REFUSAL_S, left_s), _too_slow):
            while size < most_bytes and (part := await source.next_part()) is not None:
                parts.append(part)
                size += len(part)
    except BusbarError as error:
        if error.side is not Side.UPSTREAM:
            raise
        _log.debug("a refusal is not whole: %s", error)
        is_whole = False
    return b"".join(parts)[:most_bytes], is_whole


def _has_conversation(request: Request) -> bool:
    """Return whether a conversation is held, or its tokens are counted, and not something else asked for."""
    if request.ask.operation is Operation.COUNT_TOKENS:
        from busbar_fast.dialects.counted import find_counted  # noqa: PLC0415  few requests get here

        return find_counted(request.body, request.dialect.counted_at) is not None
    return request.ask.operation is Operation.CONVERSE


def _may_be_in_loop(request: Request) -> bool:
    """Return whether the client's vendor, told to think, may find itself in a loop of calls that another one began."""
    words = request.dialect.loop_words
    return bool(words) and all(request.body.find(word) >= 0 for word in words)


def _too_slow() -> UpstreamTimeout:
    return UpstreamTimeout("an answer did not come to its end in time")
