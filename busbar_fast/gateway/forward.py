"""The life of one forwarded request, top to bottom: read, resolve, rank, pick, wait, try, and refuse if nobody served.

What one try is stands in `dispatch`; which lane is next, how often and until when, in `reliability.attempts`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from busbar_fast.clock import now
from busbar_fast.dialects.asks import Operation
from busbar_fast.dialects.faults import Kind
from busbar_fast.gateway.dispatch import Dispatch
from busbar_fast.gateway.offers import Offer
from busbar_fast.gateway.requests import Request
from busbar_fast.gateway.waiting import Line
from busbar_fast.reliability.attempts import Attempt, Attempts, Ending
from busbar_fast.reliability.pools import Pool, PoolMember

if TYPE_CHECKING:
    from busbar_fast.gateway.rankers import Ranker

_CONVERSE: Final[Operation] = Operation.CONVERSE
_AFTER_REFUSAL_S: Final = 1


async def forward(request: Request, line: Line) -> None:
    """Answer one request by one of the lanes of the pool, or by the lane, that it names."""
    offer = await request.maybe_offer()
    if offer is None:
        return
    pool, pools = reachable(request, offer)
    if not pool.members:  # nobody here speaks as this client does, or offers what it asks
        request.refuse(Kind.UNKNOWN_MODEL, name=offer.name)
        return
    began_s, ranker = now(), offer.ranker
    ranked = () if ranker is None else await maybe_ranked(request, ranker, pool)
    if ranked is None:
        request.refuse(Kind.OVERLOADED, retry_after_s=_AFTER_REFUSAL_S)
        return
    attempts = Attempts(
        pool,
        began_s,
        pools=pools,
        ranked=ranked,
        sticky=offer.maybe_sticky(request.exchange.head.fields, b"" if request.is_form else request.body),
    )
    dispatch = Dispatch(request, attempts, ranker if ranked else None)
    hop = ""
    is_silent = True  # whoever was asked said nothing in time
    while attempt := attempts.maybe_attempt(now()) or await wait_in_line(request, attempts, line):
        with attempt:
            if hop:
                request.status.count_hop(offer.name, hop)
            if request.trace is None:
                hop = await dispatch.run(attempt)
            else:
                lane = request.visit.topology.lanes[attempt.lane.model]
                request.trace.begin_attempt(lane.name, request.status.name_of(lane.dialect))
                hop = await dispatch.run(attempt)
                request.trace.end_attempt(hop)
            if not hop:
                return
        is_silent = is_silent and hop == "timeout"
    refuse(request, attempts, dispatch, is_silent=bool(hop) and is_silent)


def reachable(request: Request, offer: Offer) -> tuple[Pool, Mapping[str, Pool]]:
    """Return whom a request may be sent to, and where it may go on to.

    What only the client's own vendor can do goes to lanes of that vendor's dialect, as long as there are any.
    """
    topology, ask = request.visit.topology, request.ask
    if ask.operation is _CONVERSE and request.dialect.kept_words and request.leans_on_vendor():
        alike = offer.alike(ask)
        if alike.members:
            return alike, topology.pools_alike(ask)
    return offer.serving(ask), topology.pools_serving(ask)


async def maybe_ranked(request: Request, ranker: "Ranker", pool: Pool) -> Sequence[PoolMember] | None:
    """Ask a pool's policy, once, whom to try first; return None if it wants the request to be refused."""
    ranked = await ranker.maybe_ranked(request, pool)
    if ranked:
        request.status.count_selection(pool.name, ranker.name)
    return ranked


async def wait_in_line(request: Request, attempts: Attempts, line: Line) -> Attempt | None:
    """Return an attempt that took waiting for a permit, to be held with a `with` at once; None if there is none."""
    attempt = None
    while attempt is None and attempts.must_wait:
        attempt = await line.wait(request.exchange, attempts)
        if attempt is None:
            attempts.give_up_waiting()
            attempt = attempts.maybe_attempt(now())
    return attempt


def refuse(request: Request, attempts: Attempts, dispatch: Dispatch, *, is_silent: bool) -> None:
    """Tell the client that nobody served its request, and why if that is its own affair."""
    if attempts.ending is Ending.UNFIT:
        dispatch.relay_rejection()
    elif attempts.ending is Ending.KEY_REFUSED:
        request.refuse(Kind.UNAUTHENTICATED)
    elif is_silent and attempts.ending is Ending.EXHAUSTED:
        request.refuse(Kind.TIMED_OUT)
    else:
        request.refuse(Kind.OVERLOADED, retry_after_s=attempts.retry_after_s(now()))
