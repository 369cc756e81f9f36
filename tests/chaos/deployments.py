"""The deployments that the gateway is sent between: every way to pick a lane, to wait for one and to give up.

Each dialect has lanes at three backends and one that leads to nobody. Limits are short, so that in a run of seconds
everything that may time out does.
"""

from typing import NamedTuple

from tests.system.doors import DOORS, Door

TOKEN = "chaos-token"
ENVIRON = {"CHAOS_TOKEN": TOKEN, "CHAOS_KEY": "sk-upstream", "CHAOS_PAIR": "AKIACHAOS:secret"}
BUDGET = 400  # requests that the limited lane of each dialect may serve

_LIMITS = """\
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: ["${CHAOS_TOKEN}"]}
limits:
  upstream_request_timeout_secs: 2
  pool_idle_timeout_secs: 1
  pool_max_idle_per_host: 16
  max_inbound_concurrent: <gate>
  inbound_queue_max_ms: 800
  hard_down_cooldown_secs: 1
  max_honored_retry_after_secs: 2
  request_body_read_timeout_secs: 3
  write_stall_timeout_secs: 3
observability: {token_metrics: <meters>}
shutdown: {drain_timeout_secs: 5}
"""
_FAST = "breaker: {base_cooldown_secs: 1, max_cooldown_secs: 2, trip: {mode: consecutive, consecutive_n: 2}}"
_RATE = "trip: {window_secs: 2, threshold: 0.4, min_requests: 4}"
_RATED = f"breaker: {{base_cooldown_secs: 1, max_cooldown_secs: 1, {_RATE}}}"
_HASTE = "failover: {timeout_secs: 2, max_hops: 3}"


class Ports(NamedTuple):
    """Where the backends are; at the last one nobody is."""

    steady: int
    shaky: int
    broken: int
    nowhere: int


class Variant(NamedTuple):
    """What differs between the deployments."""

    gate: int = 150
    meters: bool = False
    health: tuple[str, str] = ("active", "dead")  # at the steady and at the broken backend
    narrow: int = 2  # permits of the narrow lanes
    weights: tuple[int, int, int] = (3, 2, 1)


FIRST = Variant()
SECOND = Variant(gate=0, meters=True, health=("dead", "active"), narrow=4, weights=(1, 1, 3))
CALM = Variant(gate=0, health=("none", "none"))

# What clients may ask for in each dialect, beside the pool of all.
POOLS = ("first", "spare", "queue", "rated")
LANES = ("steady", "narrow", "limited", "shaky", "broken")
NOWHERE = "nowhere"
EVERYBODY = "everybody"


def deployment(ports: Ports, variant: Variant = FIRST) -> str:
    """Return the text of a deployment file."""
    text = _LIMITS.replace("<gate>", str(variant.gate)).replace("<meters>", str(variant.meters).lower())
    names = [door.name for door in DOORS]
    every = ", ".join(f"{{target: {name}-{lane}}}" for name in names for lane in LANES)
    return "".join(
        (
            text,
            "providers:\n",
            *(_providers(door, ports, variant) for door in DOORS),
            "models:\n",
            *(_models(name, variant) for name in names),
            "pools:\n",
            *(_pools(name, variant) for name in names),
            f"  {EVERYBODY}:\n    members: [{every}]\n    {_RATED}\n    {_HASTE}\n",
        )
    )


def _providers(door: Door, ports: Ports, variant: Variant) -> str:
    key = "CHAOS_PAIR" if door.name == "bedrock" else "CHAOS_KEY"
    steady, broken = variant.health
    modes = (steady, "none", broken, "none")  # where nobody probes, every trial is a client's
    return "".join(
        f"  {door.name}-{place}: {{protocol: {door.name}, base_url: 'http://127.0.0.1:{port}', api_key_env: {key},"
        f" health: {{mode: {mode}, interval_secs: 1, timeout_secs: 1}}}}\n"
        for place, port, mode in zip(Ports._fields, ports, modes, strict=True)
    )


def _models(name: str, variant: Variant) -> str:
    places = {
        "steady": "steady, max_concurrent: 12",
        "narrow": f"steady, max_concurrent: {variant.narrow}",
        "limited": f"shaky, max_requests: {BUDGET}",
        "shaky": "shaky, max_concurrent: 20, attempt_timeout_ms: 300",
        "broken": "broken",
        NOWHERE: NOWHERE,
    }
    return "".join(
        f"  {name}-{lane}: {{provider: {name}-{rest}, upstream_model: vendor-m}}\n" for lane, rest in places.items()
    )


def _pools(name: str, variant: Variant) -> str:
    one, two, three = variant.weights
    members = {
        "first": f"{{target: {name}-steady, weight: {one}, context_max: 1000}},"
        f" {{target: {name}-shaky, weight: {two}}}, {{target: {name}-broken, weight: {three}}},"
        f" {{target: {name}-{NOWHERE}}}",
        "spare": f"{{target: {name}-broken}}, {{target: {name}-limited}}",
        "queue": f"{{target: {name}-narrow}}",
        "rated": f"{{target: {name}-broken}}, {{target: {name}-narrow}}, {{target: {name}-{NOWHERE}}}",
    }
    rules = {
        "first": f"{_FAST}\n    {_HASTE}\n    on_exhausted: {{fallback_pool: {name}-spare}}",
        "spare": f"{_RATED}\n    {_HASTE}\n    on_exhausted: {{action: least_bad}}",
        "queue": f"{_FAST}\n    {_HASTE}\n    on_exhausted: {{queue: {{max_ms: 400}}}}",
        "rated": f"{_RATED}\n    {_HASTE}\n    affinity: {{header_name: x-chaos-session}}",
    }
    return "".join(f"  {name}-{pool}:\n    members: [{members[pool]}]\n    {rules[pool]}\n" for pool in POOLS)
