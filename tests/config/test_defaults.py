"""What a deployment leaves to the loader: the default of every field, and sections that are empty."""

from pathlib import Path
from typing import Any

from busbar_fast.config.record import Record
from tests.config.cases import BASE, accepted

# Everything that a deployment of one provider, one model and one pool leaves to the loader.
DEFAULTS: dict[str, object] = {
    "listen.host": "0.0.0.0",  # noqa: S104  the default
    "listen.port": 8080,
    "tls": None,
    "auth.mode": "none",
    "auth.client_tokens": (),
    "providers.p.protocol": "openai",
    "providers.p.base_url": "https://up.example",
    "providers.p.path": "",
    "providers.p.path_base": "",
    "providers.p.auth": "",
    "providers.p.error_map": {},
    "providers.p.health.mode": "none",
    "providers.p.health.interval_secs": 30,
    "providers.p.health.timeout_secs": 5,
    "providers.p.allow_metadata_hosts": (),
    "providers.p.credential.kind": "none",
    "providers.p.credential.source": "",
    "providers.p.options.stream_usage": True,
    "models.m.provider": "p",
    "models.m.upstream_model": "m",
    "models.m.max_concurrent": None,
    "models.m.max_requests": -1,
    "models.m.default_max_tokens": 4096,
    "models.m.attempt_timeout_ms": None,
    "models.m.reasoning": False,
    "models.m.prompt_caching": False,
    "models.m.options": {},
    "pools.a.members.0.target": "m",
    "pools.a.members.0.weight": 1,
    "pools.a.members.0.context_max": None,
    "pools.a.members.0.tier": "",
    "pools.a.members.0.tags": (),
    "pools.a.members.0.cost_per_mtok": None,
    "pools.a.members.0.attempt_timeout_ms": None,
    "pools.a.members.0.reasoning": None,
    "pools.a.policy.route": "weighted",
    "pools.a.policy.name": "weighted",
    "pools.a.policy.url.kind": "none",
    "pools.a.policy.url.source": "",
    "pools.a.policy.timeout_ms": 150,
    "pools.a.policy.on_error": "weighted",
    "pools.a.policy.script": "",
    "pools.a.policy.max_steps": 20000,
    "pools.a.policy.explore": False,
    "pools.a.breaker.base_cooldown_secs": 15,
    "pools.a.breaker.max_cooldown_secs": 120,
    "pools.a.breaker.trip.mode": "error_rate",
    "pools.a.breaker.trip.window_secs": 30,
    "pools.a.breaker.trip.threshold": 0.5,
    "pools.a.breaker.trip.min_requests": 5,
    "pools.a.breaker.trip.consecutive_n": 3,
    "pools.a.failover.timeout_secs": 120,
    "pools.a.failover.max_hops": 3,
    "pools.a.failover.exclusions": (),
    "pools.a.on_exhausted.action": "reject",
    "pools.a.on_exhausted.pool": "",
    "pools.a.on_exhausted.max_ms": 0,
    "pools.a.affinity.mode": "session",
    "pools.a.affinity.header_name": "x-session-id",
    "pools.a.affinity.from_system": False,
    "pools.a.drop_guardrails": False,
    "pools.a.on_lossy": "warn",
    "pools.a.reject_on": (),
    "pools.a.emit_translation_header": False,
    "limits.request_body_max_bytes": 33554432,
    "limits.upstream_error_body_max_bytes": 262144,
    "limits.upstream_request_timeout_secs": 300,
    "limits.pool_max_idle_per_host": 64,
    "limits.pool_idle_timeout_secs": 90,
    "limits.max_inbound_concurrent": 0,
    "limits.inbound_queue_max_ms": 10000,
    "limits.hard_down_cooldown_secs": 1800,
    "limits.max_honored_retry_after_secs": 86400,
    "limits.tls_handshake_timeout_secs": 10,
    "limits.default_max_tokens": 4096,
    "limits.header_read_timeout_secs": 30,
    "limits.max_header_bytes": 65536,
    "limits.max_headers": 100,
    "limits.max_request_line_bytes": 16384,
    "limits.request_body_read_timeout_secs": 30,
    "limits.keepalive_idle_timeout_secs": 75,
    "limits.write_stall_timeout_secs": 60,
    "limits.max_pipelined_requests": 16,
    "limits.max_connections": 0,
    "limits.max_connections_per_ip": 0,
    "limits.max_requests_per_connection": 0,
    "limits.max_connection_age_secs": 0,
    "limits.stream_keepalive_secs": 0,
    "limits.memory_soft_limit_mib": 0,
    "limits.reasoning_effort_budgets.minimal": 1024,
    "limits.reasoning_effort_budgets.low": 4096,
    "limits.reasoning_effort_budgets.medium": 8192,
    "limits.reasoning_effort_budgets.high": 16384,
    "observability.otlp_endpoint.kind": "none",
    "observability.otlp_endpoint.source": "",
    "observability.request_log_webhook_url.kind": "none",
    "observability.request_log_webhook_url.source": "",
    "observability.max_inflight_webhook_deliveries": 64,
    "observability.webhook_delivery_timeout_secs": 2,
    "observability.emit_server_timing": False,
    "observability.emit_route_headers": True,
    "observability.metrics_token.kind": "none",
    "observability.metrics_token.source": "",
    "observability.accept_traceparent": True,
    "observability.request_log_detail": False,
    "observability.token_metrics": False,
    "observability.status_page": False,
    "observability.log_format": "",
    "governance.enabled": False,
    "governance.admin_token.kind": "none",
    "governance.admin_token.source": "",
    "governance.admin_listen": None,
    "governance.price_per_request_cents": 1,
    "governance.price_per_1k_tokens_cents": 0,
    "governance.price_per_1m_tokens_cents": 0,
    "governance.budget_on_store_error": "allow",
    "governance.sqlite_busy_timeout_ms": 5000,
    "governance.rate_sweep_interval": 256,
    "governance.usage_flush_interval_ms": 100,
    "governance.reserve_tokens": False,
    "governance.on_disconnect": "observed",
    "governance.secret_key_env": "",
    "governance.keys_store": None,
    "governance.counters_store": None,
    "governance.key_refresh_secs": 5,
    "governance.key_max_stale_secs": 300,
    "security.blocked_metadata_hosts": (),
    "security.allow_metadata_hosts": (),
    "security.allow_all_metadata": False,
    "security.allow_sink_hosts": (),
    "metrics.key_gauge_limit": 2000,
    "shutdown.drain_timeout_secs": 300,
    "shutdown.readiness_delay_secs": 0,
    "server.workers": 1,
    "server.reuse_port": False,
    "server.proxy_protocol": "off",
    "server.trusted_proxies": (),
    "dialects.responses.stateful_fallback": "reject",
    "catalog_file": "",
}


def leaves(value: Any, path: str = "") -> dict[str, object]:
    """Return every value in a tree of records, maps and lists of records, by its path; empty ones count as values."""
    if isinstance(value, Record):
        inside = {name: getattr(value, name) for name in value._defaults}
    elif isinstance(value, dict) and value:
        inside = value
    elif isinstance(value, tuple) and value and isinstance(value[0], Record):
        inside = {str(number): item for number, item in enumerate(value)}
    else:
        return {path: value}
    return {k: v for name, item in inside.items() for k, v in leaves(item, f"{path}.{name}" if path else name).items()}


def test_every_field_has_its_default(tmp_path: Path) -> None:
    """Config §6: a deployment of providers, models and one pool has every other field at the manual's default."""
    config = accepted(tmp_path, BASE + "pools: {a: {members: [{target: m}]}}\n")
    found = leaves(config)
    assert found.pop("config_file") == str(tmp_path / "config.yaml")
    assert found.pop("governance.db_path") == str(Path.cwd() / "busbar-governance.db")
    assert found == DEFAULTS


def test_empty_and_null_sections_are_omitted_ones(tmp_path: Path) -> None:
    """Config §1: a section with nothing after it is as if it were not there."""
    names = "tls auth pools limits observability governance security metrics health routing shutdown server responses"
    bare = accepted(tmp_path, BASE)
    assert accepted(tmp_path, BASE + "".join(f"{name}:\n" for name in [*names.split(), "listen", "advanced"])) == bare
    assert accepted(tmp_path, BASE + "".join(f"{name}: {{}}\n" for name in names.split() if name != "tls")) == bare
