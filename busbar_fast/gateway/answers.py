"""The answer of a lane on its way to the client: under which head, in which frame, and what is counted of it."""

import types
from typing import TYPE_CHECKING, NamedTuple

from busbar_fast.dialects.dialect import Dialect, Reframer, Watch
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.errors import BusbarError, UpstreamGarbled
from busbar_fast.gateway.lanes import Member
from busbar_fast.gateway.replies import JSON, id_line
from busbar_fast.wire.coding import coding_of
from busbar_fast.wire.decoded import Decoded
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.heads import ResponseHead, end_to_end, select_fields
from busbar_fast.wire.relay import HELD_BYTES, relay, relay_parts, relay_whole
from busbar_fast.wire.states import AnswerPhase
from busbar_fast.wire.upstream import Upstream
from busbar_fast.wire.viewing import View

if TYPE_CHECKING:
    from busbar_fast.gateway.forward import Request

_OK = 200
_EVENT_STREAM = b"text/event-stream"
_DOCUMENT = b"application/json"
# When it makes sense to say when to come back, and the header fields that say so.
_PASSING = frozenset((429, 503, 529))
_WHEN_AGAIN = frozenset((b"retry-after", b"retry-after-ms"))
MOST_BYTES = 32 * 1024 * 1024  # of a document that is put into another frame


class _Relayed(NamedTuple):
    """What of one head is passed on in one dialect; lanes of several may share an origin and its heads."""

    dialect: Dialect
    lines: bytes
    has_id: bool
    coding: bytes


def relayed_fields(answer: ResponseHead, dialect: Dialect) -> tuple[bytes, bytes]:
    """Return the header lines of an upstream's answer that the client gets, and how its body is coded, if it is.

    An answer without an id gets one of ours.
    Raise UpstreamGarbled if the body is coded in a way that nobody can undo, so that no client could read it.
    """
    memo = answer.memo
    if not isinstance(memo, _Relayed) or memo.dialect is not dialect:
        coding = coding_of(answer.fields)
        fields = end_to_end(answer.fields)
        relayed = [name for name in dialect.relayed if name not in _WHEN_AGAIN or answer.status in _PASSING]
        lines = select_fields(fields, (*relayed, dialect.id_field))
        memo = answer.memo = _Relayed(dialect, lines, dialect.id_field in fields, coding)
    return memo.lines if memo.has_id else memo.lines + id_line(dialect), memo.coding


def unpacked(upstream: Upstream, coding: bytes, *, in_stream: bool) -> Upstream | Decoded:
    """Return where the body of an answer is to be read that may be packed."""
    return Decoded(upstream, coding, 0 if in_stream else MOST_BYTES) if coding else upstream


async def pass_on(
    source: Upstream | Decoded, request: "Request", member: Member, answer: ResponseHead, fields: bytes
) -> None:
    """Give the client the upstream's answer, and count what it used if that is wanted."""
    if request.in_stream and request.visit.time_limit_s:
        request.exchange.deadlines = ()  # a stream that has started may last
    if not request.is_metered or answer.status != _OK:
        await _give(source, request, answer, fields)
        return
    dialect = request.visit.dialect
    content_type = answer.fields.get(b"content-type", b"")
    watch = dialect.new_watch(content_type)
    is_hidden = request.usage_edits is not None and content_type.lower().startswith(_EVENT_STREAM)
    view = source.view = View(watch, dialect.new_stripper() if is_hidden else None)
    with _Meter(request.exchange, member, watch, view):
        await _give(source, request, answer, fields)


class _Meter:
    """Counts what an answer used once it is over, also when its client leaves with a part of it.

    An answer that breaks off on the upstream's side counts nothing: nobody pays for half of one.
    """

    __slots__ = ("_exchange", "_member", "_view", "_watch")

    def __init__(self, exchange: Exchange, member: Member, watch: Watch, view: View) -> None:
        self._exchange = exchange
        self._member = member
        self._watch = watch
        self._view = view

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        is_left = kind is GeneratorExit
        if not self._exchange.has_begun or (kind is not None and not is_left):
            return
        self._view.settle()
        usage, watch = self._watch.maybe_usage(), self._watch
        if usage is not None and watch.fault is None and (is_left or watch.has_ended):
            self._member.tokens.add(usage)


async def _give(source: Upstream | Decoded, request: "Request", answer: ResponseHead, fields: bytes) -> None:
    """Give the client the upstream's answer as it comes: its bytes under a head of ours."""
    dialect, exchange = request.visit.dialect, request.exchange
    reframer = dialect.new_reframer(request.ask) if request.in_stream and answer.status == _OK else None
    if reframer is not None:
        await _give_reframed(source, request, answer, reframer)
        return
    is_document = not request.in_stream and answer.fields.get(b"content-type", b"").startswith(_DOCUMENT)
    if is_document and answer.length <= HELD_BYTES:
        await relay_whole(source, exchange, answer.status, fields)
    elif isinstance(source, Upstream):
        await relay(source, exchange, answer.status, fields)
    else:
        await relay_parts(source, exchange, answer.status, fields)


async def _give_reframed(
    source: Upstream | Decoded, request: "Request", answer: ResponseHead, reframer: Reframer
) -> None:
    """Give the client the upstream's stream in the frame that was asked for."""
    exchange = request.exchange
    fields = JSON + id_line(request.visit.dialect)
    if not answer.fields.get(b"content-type", b"").startswith(_EVENT_STREAM):
        document, is_whole = await source.read_body(MOST_BYTES)
        if not is_whole:
            raise UpstreamGarbled("a document larger than any request may be")
        exchange.reply(answer.status, fields, reframer.whole(document))
        return
    try:
        while (part := await source.next_part()) is not None:
            if not (shown := reframer.feed(part)):
                continue
            if exchange.phase is AnswerPhase.PENDING:  # not before there is something: another lane may still answer
                exchange.start(answer.status, fields)
            exchange.write(shown)
            if exchange.is_congested:
                await exchange.drained()
    except BusbarError:
        if exchange.has_begun:  # what the client has becomes valid, and says that it is not all
            exchange.write(reframer.fail(Fault(Kind.UNREADABLE)))
            exchange.finish()
        raise
    if exchange.phase is AnswerPhase.PENDING:
        exchange.start(answer.status, fields)
    exchange.write(reframer.finish())
    exchange.finish()
