"""A conversation on its way to a lane of another dialect, and the lane's answer on its way back.

What was read of the request is kept with the request. A stream is translated as it passes: the reader of the lane's
dialect calls a guard, the guard calls the writer of the client's, and what comes out is sent. Nothing is sent before
there is something to say, so an error up to then may still go to another lane.

This module brings the neutral model with it, which costs some milliseconds of import; `dispatch` loads it when needed.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from busbar_fast.clock import now
from busbar_fast.dialects.collecting import Collector
from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.estimating import tokens_of
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.guard import Guard
from busbar_fast.dialects.preparing import prepare_answer, prepare_request
from busbar_fast.dialects.registry import translator
from busbar_fast.dialects.replaying import replay
from busbar_fast.dialects.spelling import Spelling, renamed
from busbar_fast.dialects.translator import BUDGETS, Recipient, Reply, StreamReader
from busbar_fast.errors import (
    BusbarError,
    FaultReported,
    Misshapen,
    NotJson,
    Side,
    TooDeep,
    UpstreamGone,
)
from busbar_fast.gateway.answers import MOST_BYTES, Source, StreamFailed, breaks_off
from busbar_fast.gateway.crossing import Crossing
from busbar_fast.gateway.lanes import Lane
from busbar_fast.gateway.offers import Tolerance
from busbar_fast.gateway.replies import JSON, fault_of, id_line
from busbar_fast.gateway.requests import Request
from busbar_fast.ir import answers as ir
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request as Neutral
from busbar_fast.wire.heads import ResponseHead

_OK: Final = 200
_JSON_TYPE: Final = b"application/json"
_EVENT_STREAM: Final = b"text/event-stream"
_PATIENCE_S: Final = 1.0
_BROKEN: Final = Fault(Kind.INTERNAL)


class Translation(Crossing[Neutral]):
    """See the module, and `Crossing`. Raise Refused if the request cannot be written for this lane."""

    __slots__ = ("_sent_s", "client", "other")

    def __init__(self, request: Request, lane: Lane, tolerance: Tolerance) -> None:
        self.client, self.other = translator(request.dialect), translator(lane.dialect)
        self._sent_s = now()
        super().__init__(request, lane, tolerance)

    @property
    def reply(self) -> Reply:
        """What the form of the answer depends on."""
        return Reply(self.neutral, self.request.ask, self.model, int(time.time()), self._elapsed_ms)

    @property
    def spelling(self) -> Spelling:
        """How ids of others look to the client."""
        salt = self.request.dialect.new_id().decode("ascii")
        names = renamed([tool.name for tool in self.neutral.tools], self.other.abilities)
        in_hex = self.lane.traits.options.get("tool_id_style") == "hex"
        return Spelling(self.client.abilities, salt, names, in_hex=in_hex)

    def new_answer(
        self,
        source: Source,
        head: ResponseHead,
        *,
        begin_well: Callable[[], None],
        count: Callable[[Usage], None],
    ) -> "Translated":
        """Return the lane's answer as the client gets it."""
        return Translated(self, source, head, begin_well=begin_well, count=count)

    def _elapsed_ms(self) -> int:
        return int((now() - self._sent_s) * 1000)

    def _read_request(self, report: Report) -> Neutral:
        return self.client.read_request(self.request.body, self.request.ask, report)

    def _write_request(self) -> bytes:
        traits, tolerance = self.lane.traits, self.tolerance
        recipient = Recipient(
            self.model,
            traits.host,
            traits.options,
            traits.default_max_tokens,
            tolerance.reasoning.get(self.lane.name, traits.has_reasoning),
            traits.has_prompt_caching,
            {**BUDGETS, **traits.budgets} if traits.budgets else BUDGETS,
            tolerance.drops_guards,
            traits.drops_held,
        )
        prepared = prepare_request(self.neutral, self.other.abilities, recipient, self._report)
        return self.other.write_request(prepared, recipient, self._report)


class Translated:
    """The answer of a lane as the client gets it; the same to `dispatch` as an `Answer`."""

    __slots__ = (
        "_begin_well",
        "_count",
        "_has_begun",
        "_head",
        "_report",
        "_source",
        "_translation",
        "fault",
        "has_stopped",
        "stopped_by",
    )

    def __init__(
        self,
        translation: Translation,
        source: Source,
        head: ResponseHead,
        *,
        begin_well: Callable[[], None],
        count: Callable[[Usage], None],
    ) -> None:
        self._translation = translation
        self._source = source
        self._head = head
        self._begin_well = begin_well
        self._count = count
        self._has_begun = False
        self._report = Report()
        self.fault: StreamFault | None = None  # that the stream reported
        self.has_stopped = False  # without saying that it is complete
        self.stopped_by = "upstream"

    @property
    def keepalive_s(self) -> float:
        """After how long a silence the client's vendor would show a sign of life."""
        return self._translation.request.dialect.keepalive_s

    @property
    def is_between(self) -> bool:
        """Whether the client has whole events only, which is what it is sent."""
        return self._has_begun

    async def give(self) -> None:
        """Give the client the answer. Raise what the lane did wrong while another one may still be asked."""
        kind = self._head.fields.get(b"content-type", b"").lower()
        try:
            if not self._translation.request.in_stream:
                await (self._collect() if kind.startswith(_EVENT_STREAM) else self._give_document())
            elif kind.startswith(_JSON_TYPE):
                await self._give_document()
            else:
                await self._give_stream()
        finally:
            self._translation.count_losses(self._report)

    # A document

    async def _give_document(self) -> None:
        """Translate an answer that came as one document."""
        translation = self._translation
        document, is_whole = await self._source.read_body(MOST_BYTES)
        if not is_whole:
            self._give_up()
            return
        try:
            answer = translation.other.read_answer(document, self._report)
        except FaultReported as error:
            raise StreamFailed(StreamFault("", error.payload), b"", b"") from error
        except (Misshapen, NotJson, TooDeep):
            self._give_up()
            return
        self._give_answer(answer)

    async def _collect(self) -> None:
        """Translate an answer that came as a stream though nobody asked for one."""
        collector = Collector(self._translation.other.abilities.name)
        reader = self._translation.other.new_reader(collector, self._report)
        while (part := await self._source.next_part()) is not None:
            reader.feed(part)
        reader.end()
        if collector.fault is not None:
            raise StreamFailed(collector.fault, b"", b"")
        if not collector.is_complete:
            raise UpstreamGone("a stream ended before its answer did")
        self._give_answer(collector.answer())

    def _give_answer(self, answer: ir.Answer) -> None:
        translation, request = self._translation, self._translation.request
        self._settle_usage(answer.usage)
        self._begin_well()
        if request.in_stream:
            guard = self._new_guard()
            replay(answer, guard)
            request.exchange.reply(_OK, self._stream_fields(), guard.take())
            return
        client, reply = translation.client, translation.reply
        prepared = prepare_answer(answer, client.abilities, translation.spelling, reply.model, self._report)
        body = client.write_answer(prepared, reply, self._report)
        request.exchange.reply(_OK, JSON + id_line(request.dialect) + self._own_lines(), body)

    def _give_up(self) -> None:
        """Tell the client that nobody can read its answer; the lane has done its part."""
        self._begin_well()
        self._translation.request.refuse(Kind.INTERNAL)

    # A stream

    async def _give_stream(self) -> None:
        """Translate a stream as it passes; its start waits a while for what follows, which may be an error."""
        exchange, is_late = self._translation.request.exchange, None
        ours: BusbarError | None = None
        guard = self._new_guard()
        reader = self._translation.other.new_reader(guard, self._report)
        try:
            while not guard.is_over and (part := await self._source.next_part()) is not None:
                self._read_part(reader, part)
                await self._send(guard)
                if not (self._has_begun or is_late):
                    is_late = exchange.within(_PATIENCE_S, partial(self._begin_late, guard))
                    exchange.deadlines = (*exchange.deadlines, is_late)
        except BusbarError as error:
            if not (breaks_off(error) and self._has_begun):
                raise
            ours = error if error.side is Side.OURS else None
        except GeneratorExit:
            self._settle_part(guard)
            raise
        finally:  # what comes next is not to be begun for this stream, which may have been another lane's
            exchange.deadlines = tuple(other for other in exchange.deadlines if other is not is_late)
        self._end(guard, reader)
        if ours is not None and self.has_stopped:
            self._settle_part(guard)
        await self._send(guard)
        exchange.finish()
        if ours is not None and self.has_stopped:
            raise ours

    def _read_part(self, reader: StreamReader, part: bytes) -> None:
        try:
            reader.feed(part)
        except BusbarError:  # it came in good order, and yet nobody can read it
            self.stopped_by = "translate"
            raise

    def _begin_late(self, guard: Guard) -> None:
        """Let a stream begin whose lane takes its time; from now on no other lane can be asked."""
        if not self._has_begun:
            guard.begin()
            self._write(guard.take())

    def _end(self, guard: Guard, reader: StreamReader) -> None:
        """End a stream as it deserves. Raise what was wrong while another lane may still be asked."""
        if not guard.is_over:
            reader.end()
        if guard.fault is not None:
            if not self._has_begun:
                raise StreamFailed(guard.fault, b"", b"")
            self.fault = guard.fault
            guard.break_off(fault_of(self._translation.lane.read_fault(guard.fault)))
        elif guard.has_broken_off:
            if not self._has_begun:
                raise UpstreamGone("a stream ended before it began")
            self.has_stopped = True
            guard.break_off(_BROKEN)
        else:
            self._settle_usage(guard.counted)

    async def _send(self, guard: Guard) -> None:
        """Send what is to be sent by now."""
        piece = guard.take()
        if piece:
            self._write(piece)
            if self._translation.request.exchange.is_congested:
                await self._translation.request.exchange.drained()

    def _write(self, piece: bytes) -> None:
        exchange = self._translation.request.exchange
        if not self._has_begun:
            self._has_begun = True
            self._begin_well()
            exchange.start(_OK, self._stream_fields())
        exchange.write(piece)

    # Both

    def _new_guard(self) -> Guard:
        translation = self._translation
        writer = translation.client.new_writer(translation.reply, self._report)
        writer.spelling = translation.spelling
        return Guard(writer)

    def _stream_fields(self) -> bytes:
        request = self._translation.request
        kind = self._translation.client.stream_type(request.ask)
        return b"Content-Type: %b\r\n%b%b" % (kind, id_line(request.dialect), self._own_lines())

    def _own_lines(self) -> bytes:
        return self._translation.request.own_lines + self._translation.losses_line

    def _settle_part(self, guard: Guard) -> None:
        """Count what a part of a stream used: whoever leaves with one pays for what was told of it."""
        if self._has_begun and not self._settle_usage(guard.counted) and self._translation.request.is_estimated:
            self._count(Usage(0, tokens_of(guard.characters)))

    def _settle_usage(self, usage: ir.Usage) -> bool:
        """Count what the answer used, if that is wanted; return whether it was told."""
        if usage.input is None and usage.output is None:
            return False
        if self._translation.request.is_metered:
            self._count(Usage(usage.total_input, usage.output or 0))
        return True
