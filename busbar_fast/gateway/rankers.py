"""Who ranks the members of a pool before a request's first attempt: numbers, a script, or somebody behind a URL.

A ranker is made of the configuration and replaced with it. It only ever orders: whom it leaves out is reached by weight
once the others have failed, and what becomes of its failures is the pool's `on_error`. Who asks over the network is in
`webhooks`.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from busbar_fast.clock import now
from busbar_fast.dialects.registry import name_of
from busbar_fast.errors import BusbarError, NotJson, PolicyFailed, Side
from busbar_fast.reliability.policies.candidates import Candidate, Order, RequestFacts
from busbar_fast.reliability.policies.native import Explorer, Rank, rank_by_usage
from busbar_fast.reliability.policies.order import Decision, decide, decide_without
from busbar_fast.reliability.pools import Pool, PoolMember
from busbar_fast.reliability.reminders import Reminder

if TYPE_CHECKING:
    from busbar_fast.gateway.requests import Request
    from busbar_fast.wire.pool import Origin

_log = logging.getLogger("busbar_fast.gateway")

_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


class Terms(NamedTuple):
    """What a pool says of its policy, whoever ranks. `places` are those of all models in the configuration."""

    pool: str
    name: str  # as headers and counters show it
    on_error: str
    places: Mapping[str, int]
    shows_choice: bool = True


class Ranker(ABC):
    """One pool's policy, see the module. `wants_headroom`: it may look at what is left of the caller's rate."""

    wants_headroom = True

    def __init__(self, terms: Terms) -> None:
        self.name = terms.name
        self._terms = terms
        self._policy_line = b"x-busbar-route-policy: %b\r\n" % terms.name.encode()
        self._failures = Reminder()

    @property
    def maybe_origin(self) -> "Origin | None":
        """Where its questions go to, if it has to ask somebody."""
        return None

    async def maybe_ranked(self, request: "Request", pool: Pool) -> Sequence[PoolMember] | None:
        """Return whom to try first, nobody if the weights are to choose; None if the request is to be refused."""
        terms = self._terms
        candidates = candidates_of(pool, terms.places, request.headroom if self.wants_headroom else None)
        decision = await self._decide(request, pool, candidates)
        if decision.is_refused:
            return None
        members = {terms.places[member.lane.model]: member for member in pool.members}
        return [members[idx] for idx in decision.order]

    def route_lines(self, model: str) -> bytes:
        """Return the header lines that tell a client by whom its lane was preferred, and which it is.

        What of a name cannot stand in a header is percent-encoded.
        """
        if not self._terms.shows_choice:
            return b""
        return b"%bx-busbar-route-target: %b\r\n" % (self._policy_line, quote(model, _PRINTABLE).encode())

    async def _decide(self, request: "Request", pool: Pool, candidates: Sequence[Candidate]) -> Decision:
        try:
            return decide(await self._rank(request, pool, candidates), candidates)
        except BusbarError as error:
            if not isinstance(error, PolicyFailed) and error.side is not Side.UPSTREAM:
                raise  # the client's time is over, say
            self._warn(error)
            return decide_without(self._terms.on_error, candidates)

    def _warn(self, error: BusbarError) -> None:
        """Tell the operator, but not once for each request of a busy pool."""
        failed = self._failures.count(now())
        if failed:
            _log.warning("the policy of %s failed (%d since the last warning): %s", self._terms.pool, failed, error)

    @abstractmethod
    async def _rank(self, request: "Request", pool: Pool, candidates: Sequence[Candidate]) -> Order:
        """Return an order, None for no opinion. Raise one of our errors if there can be no answer."""


class NativeRanker(Ranker):
    """Ranks by one number that the gateway knows itself."""

    def __init__(self, terms: Terms, rank: Rank, *, explores: bool = False) -> None:
        super().__init__(terms)
        self._by_number = rank
        self.wants_headroom = rank is rank_by_usage
        self._explorer = Explorer(now) if explores else None

    async def _rank(self, request: "Request", pool: Pool, candidates: Sequence[Candidate]) -> Order:  # noqa: ARG002
        order = self._by_number(candidates)
        if self._explorer is None:
            return order
        now_s, places = now(), self._terms.places
        ready = {
            places[member.lane.model]
            for member in pool.serving
            if member.lane.is_available and member.cell.is_ready(now_s)
        }
        return self._explorer.explore(order, candidates, ready.__contains__)


class ScriptRanker(Ranker):
    """Ranks by a script of the operator's. Raise ScriptRefused; the loader has compiled it before."""

    def __init__(self, terms: Terms, source: str, *, max_steps: int, timeout_ms: int) -> None:
        super().__init__(terms)
        from busbar_fast.reliability.policies.script import Script  # noqa: PLC0415  imports ast, which few need

        self._script = Script(source, max_steps=max_steps, timeout_ms=timeout_ms)
        self.wants_headroom = self._script.needs_headroom

    async def _rank(self, request: "Request", pool: Pool, candidates: Sequence[Candidate]) -> Order:
        return self._script.rank(facts_of(request, pool, counts=self._script.needs_counts), candidates)


def candidates_of(pool: Pool, places: Mapping[str, int], headroom: float | None = None) -> list[Candidate]:
    """Return the members that a policy may rank, whatever their health; `headroom` is the caller's."""
    excluded = pool.settings.exclusions
    return [
        _candidate(member, places[member.lane.model], headroom)
        for member in pool.members
        if member.lane.model not in excluded
    ]


def facts_of(request: "Request", pool: Pool, *, counts: bool = True) -> RequestFacts:
    """Return what a policy may know of a request; counting reads the whole body.

    A body that is no JSON object holds nothing to count: it is the upstream's to refuse.
    """
    plain = RequestFacts(pool.name, name_of(request.dialect), request.name, stream=request.in_stream)
    if not counts:
        return plain
    try:
        counted = request.dialect.request_facts(request.body)
    except NotJson:
        return plain
    return plain._replace(has_tools=counted.tool_count > 0, **counted._asdict())


def _candidate(member: PoolMember, place: int, headroom: float | None) -> Candidate:
    lane = member.lane
    return Candidate(
        idx=place,
        model=lane.model,
        provider=lane.provider,
        weight=member.weight,
        context_max=lane.context_max,
        tier=member.tier or None,
        cost_per_mtok=member.cost_per_mtok,
        latency_ms=lane.latency_ewma_ms,
        available_concurrency=lane.free_slots,
        budget_remaining=None if lane.budget < 0 else lane.budget,
        rate_headroom=headroom,
        tags=member.tags,
    )
