"""The life of one forwarded request, top to bottom: read, resolve, pick, send, head, commit, relay.

An attempt that fails before the first byte of its body goes to the next lane; once a byte is out there is no way back.
"""

import logging
from collections.abc import Sequence

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.errors import BodyTooLarge, BusbarError, NotJson, Side, TooDeep
from busbar_fast.gateway.answers import pass_on, relayed_fields, unpacked
from busbar_fast.gateway.lanes import LanePool, Member
from busbar_fast.gateway.replies import refuse
from busbar_fast.gateway.status import Status
from busbar_fast.gateway.visits import Visit
from busbar_fast.reliability.selection import pick
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.json_scan import Edit, Span, decode_string, find_members, is_true
from busbar_fast.wire.states import AnswerPhase

_log = logging.getLogger("busbar_fast.gateway")

_MEMBERS = (b"model", b"stream")
_WORTH_ANOTHER = frozenset((401, 403, 429, 500, 502, 503, 504, 529))
_KEY_REFUSED = frozenset((401, 403))
_APART_BYTES = 65536  # a larger body is not copied behind its head
_QUOTE = 0x22
_SHOWN_CHARACTERS = 200  # of a name that a client chose
_TIMED_OUT = 504
_NOTHING_HEARD = "timeout"  # of the reasons for another attempt
_NOT_OK = 300  # a fault or a redirect, of which no more is read than the limits say


class Request:
    """One request: what its head and its body ask for. `pool` is set once its name is known."""

    __slots__ = (
        "ask",
        "body",
        "exchange",
        "in_stream",
        "is_metered",
        "passes_on",
        "pool",
        "spans",
        "status",
        "usage_edits",
        "visit",
    )

    def __init__(self, exchange: Exchange, visit: Visit, ask: Ask, status: Status, *, passes_on: bool) -> None:
        self.status = status
        self.exchange = exchange
        self.visit = visit
        self.ask = ask
        self.passes_on = passes_on  # the caller's own key goes upstream
        self.is_metered = visit.topology.counts_tokens  # what its answer used is counted
        self.body = b""
        self.spans: list[Span] = []
        self.in_stream = False
        self.usage_edits: Sequence[Edit] | None = None  # ask for usage that the client must not see
        self.pool: LanePool | None = None

    def read(self, body: bytes) -> str | None:
        """Take the body; return the name that is asked for, None if the body should say it and does not."""
        self.body = body
        dialect = self.visit.dialect
        found = find_members(body, (*_MEMBERS, dialect.usage_member) if self.is_metered else _MEMBERS)
        ask = self.ask
        self.spans = found.get(b"model", [])
        if ask.operation is not Operation.CONVERSE:
            self.spans = [*ask.dialect.find_inner_models(body, ask), *self.spans]
        streams = found.get(b"stream")
        self.in_stream = is_true(body, streams[-1]) if ask.in_stream is None and streams else bool(ask.in_stream)
        if self.is_metered and self.in_stream:
            self.usage_edits = dialect.ask_for_usage(body, found.get(dialect.usage_member, []))
        return read_model(body, self.spans) if ask.name is None else ask.name

    def refuse(self, kind: Kind, message: str = "", **more: str | int | None) -> None:
        """Answer with a refusal."""
        refuse(self.exchange, self.visit.dialect, self.ask, Fault(kind, message, **more))  # type: ignore[arg-type]


async def forward(request: Request) -> None:
    """Answer one request by one of the lanes of the pool, or by the lane, that it names."""
    try:
        body = request.exchange.maybe_body()
        name = request.read(await request.exchange.read_body() if body is None else body)
    except BodyTooLarge:
        request.refuse(Kind.TOO_LARGE)
        return
    except NotJson:
        request.refuse(Kind.MALFORMED)
        return
    except TooDeep:
        request.refuse(Kind.MALFORMED, "The request body is nested too deeply.")
        return
    if not name:
        request.refuse(Kind.MALFORMED, "You must provide a model parameter.", param="model")
        return
    if not resolve(request, name):
        return
    pool = request.pool
    assert pool is not None  # it was resolved
    members = pool.serving(request.visit.dialect)
    tried: list[Member] = []
    hop = ""
    is_silent = False  # whoever was asked said nothing in time
    while (member := choose(members, tried)) is not None:
        tried.append(member)
        is_last = len(tried) == len(members)
        gate = member.gate
        with gate.maybe_enter() or await gate.enter(request.exchange):
            if hop:
                request.status.count_hop(pool.name, hop)
            member.attempts.value += 1
            hop = await attempt(request, member, is_last=is_last)
            if not hop:
                return
            is_silent = hop == _NOTHING_HEARD and (is_silent or len(tried) == 1)
    if is_silent:
        request.refuse(Kind.TIMED_OUT)
    elif any(member.lane.dialect is request.visit.dialect for member in pool.members):
        request.refuse(Kind.OVERLOADED, retry_after_s=1)
    else:  # nobody here speaks as this client does
        request.refuse(Kind.UNKNOWN_MODEL, name=name)


def resolve(request: Request, name: str) -> bool:
    """Find who serves a name; refuse the request and return False if nobody does."""
    topology, provider = request.visit.topology, request.ask.provider
    pool = topology.find(name) if provider is None else topology.find_lane(name)
    if pool is None and provider is None and "/" in name:
        provider, _, model = name.partition("/")
        pool = topology.find_lane(model)
    shown = name[:_SHOWN_CHARACTERS]
    if pool is None:
        request.refuse(Kind.UNKNOWN_MODEL, name=shown)
        return False
    if provider is not None and pool.members[0].lane.provider != provider:
        request.refuse(Kind.MALFORMED, name=shown)
        return False
    request.pool = pool
    return True


def read_model(body: bytes, spans: Sequence[Span]) -> str | None:
    """Return the model that a request's body names; of several the last, as any JSON parser would."""
    if not spans:
        return None
    start, end = spans[-1]
    return decode_string(body[start:end]) if body[start] == _QUOTE else None


def choose(members: Sequence[Member], tried: Sequence[Member]) -> Member | None:
    """Return the member whose turn it is among those with room; among all when none has."""
    if len(members) == 1:
        return None if tried else members[0]
    return pick(members, tried, needs_room=True) or pick(members, tried)


async def attempt(request: Request, member: Member, *, is_last: bool) -> str:
    """Try one lane; return why another one is needed, nothing if the client has its answer.

    Raise if the answer broke off in the middle.
    """
    exchange, visit, lane = request.exchange, request.visit, member.lane
    life = lane.life
    body = lane.shape(request.body, request.spans, request.usage_edits)
    forwarded = lane.forwarded_fields(exchange.head.fields)
    key = visit.token if request.passes_on else None
    head = lane.encode_head(request.ask, forwarded, body, in_stream=request.in_stream, callers_key=key)
    first, apart = (head + body, b"") if len(body) < _APART_BYTES else (head, body)
    try:
        with await lane.origin.call(exchange, b"POST", first, visit.topology.wait_s, apart) as upstream:
            answer = upstream.head
            assert answer is not None
            if answer.status in _WORTH_ANOTHER and not request.passes_on:
                if not is_last:
                    life.failed += 1
                    _log.debug("lane %s answered %d, trying another", lane.name, answer.status)
                    return "hard_down" if answer.status in _KEY_REFUSED else "transient_upstream"
                if answer.status in _KEY_REFUSED:  # our key, not the caller's: the caller learns no more than that
                    life.failed += 1
                    _log.warning("lane %s refuses its key with %d", lane.name, answer.status)
                    request.refuse(Kind.UNAUTHENTICATED)
                    return ""
            fields, coding = relayed_fields(answer, visit.dialect)
            source = unpacked(upstream, coding, in_stream=request.in_stream)
            if answer.status >= _NOT_OK:
                fault, _ = await source.read_body(lane.origin.limits.max_error_body_bytes)
                exchange.reply(answer.status, fields, fault)
            elif (whole := None if request.in_stream or request.is_metered else source.maybe_whole()) is None:
                await pass_on(source, request, member, answer, fields)
            else:
                exchange.reply(answer.status, fields, whole)
    except BusbarError as error:
        if error.side is Side.OURS:
            raise
        life.failed += 1
        if exchange.phase is not AnswerPhase.PENDING:
            _log.warning("lane %s broke off: %s", lane.name, error)
            raise
        _log.debug("lane %s failed: %s", lane.name, error)
        return _NOTHING_HEARD if error.status == _TIMED_OUT else "connect"
    life.answered += 1
    _log.debug("lane %s answered %d", lane.name, answer.status)
    return ""
