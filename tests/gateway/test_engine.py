"""What the engine makes of a configuration: limits by name, and the fields that are read at a start only."""

import resource

import pytest

from busbar_fast.config.schema import NONE, Config, Governance, Limits, Listen, Secret, Server, Shutdown, Tls
from busbar_fast.config.schema import Engine as Store
from busbar_fast.gateway.engine import _needing_restart, limits_of, upstream_limits_of
from busbar_fast.wire.limits import Limits as WireLimits
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.listener import most_connections

LIMITS = Limits(reasoning_effort_budgets={})
CONFIG = Config(providers={}, models={}, pools={}, dialects={}, limits=LIMITS, config_file="c", catalog_file="")
FILE = Secret(kind="file", source="f")


def test_defaults_of_both_records_agree() -> None:
    """Config §6.4: what an operator gets who says nothing is what the wire does by itself."""
    assert limits_of(CONFIG) == WireLimits()
    assert upstream_limits_of(CONFIG) == UpstreamLimits()


@pytest.mark.parametrize("name", sorted(set(WireLimits.__slots__) - {"inbound_queue_max_s"}))
def test_each_limit_comes_from_its_key(name: str) -> None:
    """Config §14 X13: every key of `limits` that concerns clients changes its own limit and no other."""
    key = f"{name}ecs" if name.endswith("_s") else name
    changed = limits_of(CONFIG.with_(limits=LIMITS.with_(**{key: 77})))
    assert getattr(changed, name) == 77
    assert [slot for slot in WireLimits.__slots__ if getattr(changed, slot) != getattr(WireLimits(), slot)] == [name]


def test_no_limit_of_descriptors_is_no_limit_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §14 X13: with `max_connections: 0` and unlimited descriptors, which are -1, clients are let in."""
    for limits, most in (((1000, 4000), 800), ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 800_000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        assert most_connections(0) >= most
        assert most_connections(7) == 7


def test_limits_with_other_units() -> None:
    """Config §6.4: milliseconds become seconds, and upstream keys reach the upstream side."""
    assert limits_of(CONFIG.with_(limits=LIMITS.with_(inbound_queue_max_ms=1500))).inbound_queue_max_s == 1.5
    limits = LIMITS.with_(pool_idle_timeout_secs=5, pool_max_idle_per_host=0)
    changed = upstream_limits_of(CONFIG.with_(limits=limits))
    assert (changed.idle_timeout_s, changed.max_idle_per_origin) == (5, 0)


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({}, []),
        ({"listen": Listen(host="::1", port=1)}, ["listen"]),
        ({"tls": Tls(cert=FILE, key=FILE)}, ["tls"]),
        ({"server": Server(proxy_protocol="v1")}, ["server"]),
        ({"governance": Governance(enabled=True, db_path="d")}, ["governance.enabled", "governance.db_path"]),
        ({"governance": Governance(admin_listen=Listen(host="h", port=1))}, ["governance.admin_listen"]),
        ({"governance": Governance(sqlite_busy_timeout_ms=1)}, ["governance.sqlite_busy_timeout_ms"]),
        ({"governance": Governance(secret_key_env="X")}, ["governance.secret_key_env"]),
        ({"governance": Governance(rate_sweep_interval=1, usage_flush_interval_ms=10)}, []),
        ({"governance": Governance(keys_store=Store(kind="k"))}, ["governance.store"]),
        ({"governance": Governance(counters_store=Store(kind="k"))}, ["governance.store"]),
        ({"governance": Governance(admin_token=FILE, price_per_request_cents=2)}, []),
        ({"shutdown": Shutdown(drain_timeout_secs=1)}, []),
        ({"config_file": "d", "limits": LIMITS.with_(max_headers=5)}, []),
    ],
)
def test_what_is_read_at_a_start_only(changes: dict[str, object], paths: list[str]) -> None:
    """Config §9 W24: exactly these fields need a restart."""
    assert _needing_restart(CONFIG, CONFIG.with_(**changes)) == paths


def test_other_material_is_no_restart() -> None:
    """Config §14 X9: TLS that stays on may change everything about itself."""
    one = CONFIG.with_(tls=Tls(cert=FILE, key=FILE, client_ca=NONE))
    other = CONFIG.with_(tls=Tls(cert=NONE, key=FILE, client_ca=FILE, reload_interval_secs=9))
    assert _needing_restart(one, other) == []
    assert _needing_restart(one, CONFIG) == ["tls"]
