"""Pools as reliability sees them, made of a configuration."""

import pytest

from busbar_fast.config import schema
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.sections.pools import MOST_OUTCOMES
from busbar_fast.dialects.registry import speak
from busbar_fast.gateway.lanes import Lane, new_state
from busbar_fast.gateway.offers import Offer
from busbar_fast.gateway.pools import breaker_settings, new_offers, new_rankers
from busbar_fast.gateway.rankers import Ranker
from busbar_fast.reliability.breaker import BreakerSettings, Trip
from busbar_fast.reliability.pools import Action, OnExhausted, PoolSettings
from busbar_fast.reliability.window import MOST
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.pool import Pool as Upstreams
from tests.gateway.test_topology import CHAT, config, model

MODELS = {"m": model(), "n": model(attempt_timeout_ms=900), "o": model()}
LIMITS = schema.Limits(reasoning_effort_budgets={}, hard_down_cooldown_secs=7, max_honored_retry_after_secs=8)


def lanes() -> dict[str, Lane]:
    """Return a lane for each model."""
    return {name: Lane(new_state(name), None, "/", speak(CHAT)) for name in MODELS}  # type: ignore[arg-type]


def record(*members: schema.Member, **settings: object) -> schema.Pool:
    """Return a pool as it was written."""
    return schema.Pool(members=members, policy=schema.Policy(timeout_ms=1)).with_(**settings)


def offers(pools: dict[str, schema.Pool], made: dict[str, Lane], before: dict[str, Offer] | None = None) -> list[Offer]:
    """Return the offers of these pools."""
    return new_offers(config(MODELS, pools, limits=LIMITS), made, before, {})


def test_breaker_is_as_written() -> None:
    """Config §6.3 `breaker`: every setting arrives under its own name, those of the whole gateway beside them."""
    trip = schema.Trip(mode="consecutive", window_secs=3, threshold=0.25, min_requests=4, consecutive_n=5)
    written = schema.Breaker(base_cooldown_secs=6, max_cooldown_secs=60, trip=trip)
    assert breaker_settings(written, LIMITS) == BreakerSettings(Trip.CONSECUTIVE, 3, 0.25, 4, 5, 6, 60, 7, 8)
    plain = breaker_settings(schema.Breaker(), schema.Limits(reasoning_effort_budgets={}))
    assert plain == BreakerSettings()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (schema.Exhausted(), OnExhausted()),
        (schema.Exhausted(action="least_bad"), OnExhausted(Action.LEAST_BAD)),
        (schema.Exhausted(action="fallback_pool", pool="q"), OnExhausted(Action.FALL_BACK, "q")),
        (schema.Exhausted(action="fallback_pool", pool="q", max_ms=5), OnExhausted(Action.FALL_BACK, "q", 0.005)),
        (schema.Exhausted(action="queue", max_ms=1500), OnExhausted(Action.QUEUE, max_wait_s=1.5)),
    ],
)
def test_exhaustion_is_as_written(written: schema.Exhausted, expected: OnExhausted) -> None:
    """Config §6.3 `failover`, `on_exhausted`: deadline, hops, exclusions and what comes last."""
    failover = schema.Failover(timeout_secs=9, max_hops=2, exclusions=("n",))
    pool = record(schema.Member(target="m"), schema.Member(target="n"), failover=failover, on_exhausted=written)
    (offer,) = offers({"p": pool}, lanes())
    assert offer.pool.settings == PoolSettings(9, 2, ("n",), expected)
    assert [member.lane.model for member in offer.pool.serving] == ["m"]


def test_no_breaker_asks_for_more_outcomes_than_a_cell_remembers() -> None:
    """Reliability §5: with a higher `min_requests` a pool could never trip, so the loader takes none."""
    assert MOST_OUTCOMES == MOST


def test_members_are_as_written() -> None:
    """Config §6.3 `members`: weight, cost, tier, tags, and the time-out of the member before that of the model."""
    first = schema.Member(target="m", weight=3, cost_per_mtok=0.5, tier="t", tags=("x",), context_max=1000)
    members = (first, schema.Member(target="n"), schema.Member(target="n", attempt_timeout_ms=50))
    made = lanes()
    (offer,) = offers({"p": record(*members)}, made)
    one, two, three = offer.pool.members
    assert (one.weight, one.cost_per_mtok, one.tier, one.tags, one.attempt_timeout_s) == (3, 0.5, "t", ("x",), None)
    assert (two.attempt_timeout_s, three.attempt_timeout_s) == (0.9, 0.05)
    assert (made["m"].state.context_max, made["n"].state.context_max) == (1000, None)
    assert one.cell is made["m"].state.cells["p"]


def test_cells_go_on_with_new_settings_and_go_with_their_pools() -> None:
    """Config §14 X9: the cell of a pool lives on, judged by what is written now; that of a pool that is gone goes."""
    made = lanes()
    before = offers({"p": record(schema.Member(target="m")), "q": record(schema.Member(target="m"))}, made)
    cell = before[0].pool.members[0].cell
    changed = record(schema.Member(target="m"), breaker=schema.Breaker(base_cooldown_secs=1))
    (after,) = offers({"p": changed}, made, {offer.name: offer for offer in before})
    assert after.pool.members[0].cell is cell
    assert cell.settings.base_cooldown_s == 1
    assert set(made["m"].state.cells) == {"", "p"}


def rankers(**policies: schema.Policy) -> dict[str, Ranker]:
    """Return who ranks in pools with these policies, over one member each."""
    pools = {name: record(schema.Member(target="n"), policy=policy) for name, policy in policies.items()}
    upstreams = Upstreams(None, None, None, UpstreamLimits())  # type: ignore[arg-type]
    return new_rankers(config(MODELS, pools, limits=LIMITS), upstreams, Inputs({"HOST": "h"}))


def test_who_ranks_is_as_written() -> None:
    """Reliability §8 and §11: each kind of route has its ranker, called as the headers show it; weights need none."""
    plain = schema.Policy(timeout_ms=90)
    url = schema.Secret(kind="text", source="https://u:p@${HOST}/x")
    found = rankers(
        a=plain,
        b=plain.with_(route="native", name="weighted"),
        c=plain.with_(route="native", name="fastest", explore=True),
        d=plain.with_(route="script", script="candidates"),
        e=plain.with_(route="webhook", url=url),
    )
    assert {name: ranker.name for name, ranker in found.items()} == {"c": "fastest", "d": "script", "e": "webhook"}
    origins = {name: ranker.maybe_origin for name, ranker in found.items()}
    origin = origins["e"]
    assert (origins["c"], origins["d"]) == (None, None)
    assert origin is not None
    assert (origin.key.is_tls, origin.key.host, origin.key.port) == (True, "h", 443)
    guard = origin.key.policy
    assert guard is not None
    assert [guard.is_allowed("h", to) for to in ("8.8.8.8", "127.0.0.1", "10.0.0.1", "169.254.169.254")] == [
        True,
        True,
        False,
        False,
    ]
    assert rankers(a=plain) == {}


def test_pool_has_its_ranker() -> None:
    """Reliability §11: a pool is ranked by its own policy, the others by none."""
    pools = {name: record(schema.Member(target="m")) for name in "pq"}
    ranker = rankers(q=schema.Policy(timeout_ms=1, route="script", script="candidates"))["q"]
    first, second = new_offers(config(MODELS, pools, limits=LIMITS), lanes(), None, {"q": ranker})
    assert (first.ranker, second.ranker) == (None, ranker)
