"""The life of one forwarded request, top to bottom: read, resolve, pick, send, head, commit, relay.

An attempt that fails before the first byte of its body goes to the next lane; once a byte is out there is no way back.
"""

import logging
from collections.abc import Sequence

from busbar_fast.errors import BodyTooLarge, BusbarError, NotJson, TooDeep
from busbar_fast.gateway.lanes import Lane, Member
from busbar_fast.gateway.replies import refuse, request_id_line
from busbar_fast.gateway.topology import Topology
from busbar_fast.reliability.selection import pick
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.heads import select_fields
from busbar_fast.wire.json_scan import Span, decode_string, find_members, splice
from busbar_fast.wire.relay import relay
from busbar_fast.wire.states import AnswerPhase

_log = logging.getLogger("busbar_fast.gateway")

_SHOWN_CHARACTERS = 200  # of a name that a client chose
_RELAYED = (b"content-type", b"retry-after", b"x-request-id")
_WORTH_ANOTHER = frozenset((429, 500, 502, 503, 504, 529))


async def forward(exchange: Exchange, topology: Topology) -> None:
    """Answer one request by one of the lanes of the pool, or by the lane, that its body names."""
    try:
        body = await exchange.read_body()
        spans = find_members(body, (b"model",)).get(b"model", [])
        name = read_model(body, spans)
    except BodyTooLarge:
        refuse(exchange, 413, "The request body is too large.", code="request_too_large")
        return
    except NotJson:
        refuse(exchange, 400, "We could not parse the JSON body of your request.")
        return
    except TooDeep:
        refuse(exchange, 400, "The JSON body of your request is nested too deeply.")
        return
    if name is None:
        refuse(exchange, 400, "you must provide a model parameter", param="model")
        return
    pool = topology.find(name)
    if pool is None:
        message = f"The model `{name[:_SHOWN_CHARACTERS]}` does not exist or you do not have access to it."
        refuse(exchange, 404, message, code="model_not_found")
        return
    tried: list[Member] = []
    while (member := choose(pool.members, tried)) is not None:
        tried.append(member)
        lane = member.lane
        request = lane.encode_request(exchange.head.method, name_model(body, spans, lane.raw_model))
        is_last = all(other in tried or other.weight == 0 for other in pool.members)
        with await lane.life.gate.enter(exchange):
            if await attempt(exchange, lane, request, topology.wait_s, is_last=is_last):
                return
    refuse(exchange, 503, "The server is overloaded or not ready yet.", fields=b"Retry-After: 1\r\n")


def read_model(body: bytes, spans: Sequence[Span]) -> str | None:
    """Return the model that a request's body names; of several the last, as any JSON parser would."""
    if not spans:
        return None
    start, end = spans[-1]
    return decode_string(body[start:end]) if body[start] == 0x22 else None


def name_model(body: bytes, spans: Sequence[Span], raw_model: bytes | None) -> bytes:
    """Return the body with the model as the upstream calls it."""
    if raw_model is None or all(body[start:end] == raw_model for start, end in spans):
        return body
    return splice(body, [(span, raw_model) for span in spans])


def choose(members: Sequence[Member], tried: Sequence[Member]) -> Member | None:
    """Return the member whose turn it is among those with room; among all when none has; never a drained one."""
    left = [member for member in members if member.weight and member not in tried]
    return pick([member for member in left if member.lane.life.gate.has_room] or left)


async def attempt(exchange: Exchange, lane: Lane, request: bytes, wait_s: float, *, is_last: bool) -> bool:
    """Try one lane; return whether the client has its answer. Raise if the answer broke off in the middle."""
    life = lane.life
    try:
        with await lane.origin.call(exchange, exchange.head.method, request, wait_s) as upstream:
            answer = upstream.head
            assert answer is not None
            if answer.status in _WORTH_ANOTHER and not is_last:
                life.failed += 1
                _log.debug("lane %s answered %d, trying another", lane.name, answer.status)
                return False
            fields = select_fields(answer.fields, _RELAYED)
            if b"x-request-id" not in answer.fields:
                fields += request_id_line()
            await relay(upstream, exchange, answer.status, fields)
    except BusbarError as error:
        life.failed += 1
        if exchange.phase is not AnswerPhase.PENDING:
            _log.warning("lane %s broke off: %s", lane.name, error)
            raise
        _log.debug("lane %s failed: %s", lane.name, error)
        return False
    life.answered += 1
    _log.debug("lane %s answered %d", lane.name, answer.status)
    return True
