"""The life of one forwarded request, top to bottom: read, resolve, pick, send, head, commit, relay.

An attempt that fails before the first byte of its body goes to the next lane; once a byte is out there is no way back.
"""

import logging
from collections.abc import Mapping

from busbar_fast.errors import BodyTooLarge, BusbarError, NotJson, TooDeep
from busbar_fast.gateway.lanes import Lane, LanePool
from busbar_fast.gateway.replies import refuse, request_id_line
from busbar_fast.reliability.selection import pick
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.heads import select_fields
from busbar_fast.wire.json_scan import decode_string, find_members
from busbar_fast.wire.relay import relay
from busbar_fast.wire.states import AnswerPhase

_log = logging.getLogger("busbar_fast.gateway")

WAIT_S = 300.0
_SHOWN_CHARACTERS = 200  # of a name that a client chose
_RELAYED = (b"content-type", b"retry-after", b"x-request-id")
_WORTH_ANOTHER = frozenset((429, 500, 502, 503, 504, 529))


async def forward(exchange: Exchange, pools: Mapping[str, LanePool]) -> None:
    """Answer one request by one of the lanes of the pool that its body names."""
    try:
        body = await exchange.read_body()
        name = read_model(body)
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
    pool = pools.get(name)
    if pool is None:
        message = f"The model `{name[:_SHOWN_CHARACTERS]}` does not exist or you do not have access to it."
        refuse(exchange, 404, message, code="model_not_found")
        return
    tried: list[Lane] = []
    while (lane := pick(pool.lanes, tried)) is not None:
        tried.append(lane)
        if await attempt(exchange, lane, body, is_last=len(tried) == len(pool.lanes)):
            return
    refuse(exchange, 503, "The server is overloaded or not ready yet.", fields=b"Retry-After: 1\r\n")


def read_model(body: bytes) -> str | None:
    """Return the model that a request's body names; of several the last, as any JSON parser would."""
    spans = find_members(body, (b"model",)).get(b"model")
    if not spans:
        return None
    start, end = spans[-1]
    return decode_string(body[start:end]) if body[start] == 0x22 else None


async def attempt(exchange: Exchange, lane: Lane, body: bytes, *, is_last: bool) -> bool:
    """Try one lane; return whether the client has its answer. Raise if the answer broke off in the middle."""
    head = exchange.head
    request = lane.encode_request(head.method, head.target, body)
    with lane:
        try:
            with await lane.origin.call(exchange, head.method, request, WAIT_S) as upstream:
                answer = upstream.head
                assert answer is not None
                if answer.status in _WORTH_ANOTHER and not is_last:
                    lane.failed += 1
                    _log.info("lane %s answered %d, trying another", lane.name, answer.status)
                    return False
                fields = select_fields(answer.fields, _RELAYED)
                if b"x-request-id" not in answer.fields:
                    fields += request_id_line()
                await relay(upstream, exchange, answer.status, fields)
        except BusbarError as error:
            lane.failed += 1
            if exchange.phase is not AnswerPhase.PENDING:
                _log.warning("lane %s broke off: %s", lane.name, error)
                raise
            _log.info("lane %s failed: %s", lane.name, error)
            return False
        lane.answered += 1
        _log.info("lane %s answered %d", lane.name, answer.status)
        return True
