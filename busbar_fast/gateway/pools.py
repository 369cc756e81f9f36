"""The pools of a configuration, as reliability sees them: settings in its words, members on their cells.

Making them moves the cells of lanes that lived before to the new settings, so nothing may fail any more afterwards.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from busbar_fast.config import schema
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.secrets import reveal
from busbar_fast.gateway.lanes import Lane
from busbar_fast.gateway.offers import Affinity, Offer, Tolerance
from busbar_fast.reliability.breaker import BreakerSettings, Trip
from busbar_fast.reliability.lanes import DEFAULT
from busbar_fast.reliability.pools import Action, OnExhausted, Pool, PoolMember, PoolSettings
from busbar_fast.wire.pool import Pool as Upstreams

if TYPE_CHECKING:
    from busbar_fast.gateway.rankers import Ranker, Terms

_TRIPS: Final = {"error_rate": Trip.ERROR_RATE, "consecutive": Trip.CONSECUTIVE}
_ACTIONS: Final = {
    "reject": Action.REJECT,
    "least_bad": Action.LEAST_BAD,
    "fallback_pool": Action.FALL_BACK,
    "queue": Action.QUEUE,
}


def new_rankers(config: schema.Config, upstreams: Upstreams, inputs: Inputs) -> dict[str, "Ranker"]:
    """Return who ranks the members of those pools that have a policy. Raise NoSecret.

    Nothing goes on from before: what a policy knows is in the lanes.
    """
    policies = {name: pool.policy for name, pool in config.pools.items() if not _is_weighted(pool.policy)}
    if not policies:
        return {}
    from busbar_fast.gateway.rankers import Terms  # noqa: PLC0415  most pools have none

    places = {model: place for place, model in enumerate(config.models)}
    shows_choice = config.observability.emit_route_headers
    rankers = {}
    for name, policy in policies.items():
        shown = policy.name if policy.route == "native" else policy.route
        terms = Terms(name, shown, policy.on_error, places, shows_choice)
        rankers[name] = _new_ranker(terms, policy, config.security, upstreams, inputs)
    return rankers


def new_offers(
    config: schema.Config,
    lanes: Mapping[str, Lane],
    before: Mapping[str, Offer] | None,
    rankers: Mapping[str, "Ranker"],
) -> list[Offer]:
    """Return every pool as clients may ask for it, with what goes on from the ones before."""
    default = breaker_settings(schema.Breaker(), config.limits)
    contexts = dict(_contexts(config))
    for name, lane in lanes.items():
        state = lane.state
        state.context_max = contexts.get(name)
        state.cell(DEFAULT, default)
        state.keep_cells(config.pools)
    return [
        Offer(
            _new_pool(name, pool, config, lanes, before or {}),
            lanes,
            _affinity(pool.affinity),
            rankers.get(name),
            _tolerance(pool),
        )
        for name, pool in config.pools.items()
    ]


def breaker_settings(breaker: schema.Breaker, limits: schema.Limits) -> BreakerSettings:
    """Return how cells judge."""
    trip = breaker.trip
    return BreakerSettings(
        trip=_TRIPS[trip.mode],
        window_s=trip.window_secs,
        threshold=trip.threshold,
        min_requests=trip.min_requests,
        consecutive_n=trip.consecutive_n,
        base_cooldown_s=breaker.base_cooldown_secs,
        max_cooldown_s=breaker.max_cooldown_secs,
        hard_down_cooldown_s=limits.hard_down_cooldown_secs,
        max_retry_after_s=limits.max_honored_retry_after_secs,
    )


def _is_weighted(policy: schema.Policy) -> bool:
    return policy.route == "weighted" or (policy.route == "native" and policy.name == "weighted")


def _new_ranker(
    terms: "Terms", policy: schema.Policy, security: schema.Security, upstreams: Upstreams, inputs: Inputs
) -> "Ranker":
    from busbar_fast.gateway.rankers import NativeRanker, ScriptRanker  # noqa: PLC0415  as above

    if policy.route == "native":
        from busbar_fast.reliability.policies.native import RANKINGS  # noqa: PLC0415  as above

        return NativeRanker(terms, RANKINGS[policy.name], explores=policy.explore and policy.name == "fastest")
    if policy.route == "script":
        return ScriptRanker(terms, policy.script, max_steps=policy.max_steps, timeout_ms=policy.timeout_ms)
    assert policy.route == "webhook"  # the loader knows no other
    from busbar_fast.gateway.webhooks import new_webhook_ranker  # noqa: PLC0415  brings the guards

    return new_webhook_ranker(terms, reveal(policy.url, inputs), policy.timeout_ms / 1000, upstreams, security)


def _affinity(record: schema.Affinity) -> Affinity:
    return Affinity(record.header_name.lower().encode(), record.from_system)


def _tolerance(record: schema.Pool) -> Tolerance:
    reasoning = {member.target: member.reasoning for member in record.members if member.reasoning is not None}
    return Tolerance(
        record.on_lossy, record.reject_on, record.drop_guardrails, record.emit_translation_header, reasoning
    )


def _new_pool(
    name: str, record: schema.Pool, config: schema.Config, lanes: Mapping[str, Lane], before: Mapping[str, Offer]
) -> Pool:
    breaker = breaker_settings(record.breaker, config.limits)
    members = [_new_member(name, member, lanes[member.target], config, breaker) for member in record.members]
    pool = Pool(name, members, _pool_settings(record))
    old = before.get(name)
    pool.go_on_from(None if old is None else old.pool)
    return pool


def _new_member(
    pool: str, record: schema.Member, lane: Lane, config: schema.Config, breaker: BreakerSettings
) -> PoolMember:
    timeout_ms = record.attempt_timeout_ms or config.models[record.target].attempt_timeout_ms
    return PoolMember(
        lane.state,
        lane.state.cell(pool, breaker),
        record.weight,
        cost_per_mtok=record.cost_per_mtok,
        tier=record.tier,
        tags=record.tags,
        attempt_timeout_s=None if timeout_ms is None else timeout_ms / 1000,
    )


def _pool_settings(record: schema.Pool) -> PoolSettings:
    failover, on = record.failover, record.on_exhausted
    max_wait_s = on.max_ms / 1000 if on.max_ms else None
    return PoolSettings(
        timeout_s=failover.timeout_secs,
        max_hops=failover.max_hops,
        exclusions=failover.exclusions,
        on_exhausted=OnExhausted(_ACTIONS[on.action], on.pool, max_wait_s),
    )


def _contexts(config: schema.Config) -> Iterator[tuple[str, int]]:
    """Yield how much each model holds, where a pool says so; the loader has made sure that all say the same."""
    for pool in config.pools.values():
        for member in pool.members:
            if member.context_max is not None:
                yield member.target, member.context_max
