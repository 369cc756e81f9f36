"""`limits`, and the defaults that `health` and `routing` give to providers and pools; `metrics`."""

from busbar_fast.config.reading import U32, Section
from busbar_fast.config.schema import Health, Limits, Metrics

_BUDGETS = {"minimal": 1024, "low": 4096, "medium": 8192, "high": 16384}
_AT_LEAST_ONE = (
    "upstream_error_body_max_bytes",
    "upstream_request_timeout_secs",
    "pool_idle_timeout_secs",
    "hard_down_cooldown_secs",
    "max_honored_retry_after_secs",
    "tls_handshake_timeout_secs",
    "header_read_timeout_secs",
    "max_headers",
    "max_request_line_bytes",
    "request_body_read_timeout_secs",
    "keepalive_idle_timeout_secs",
    "write_stall_timeout_secs",
    "max_pipelined_requests",
)
_LEAST_MIB = 96  # twice of what one holds that has nothing to do
_ANY = (
    "pool_max_idle_per_host",
    "max_inbound_concurrent",
    "inbound_queue_max_ms",
    "max_connections",
    "max_connections_per_ip",
    "max_requests_per_connection",
    "max_connection_age_secs",
    "stream_keepalive_secs",
    "memory_soft_limit_mib",
)


def read_limits(root: Section) -> Limits:
    """Return every limit."""
    with root.section("limits") as section:
        given = {name: section.maybe_integer(name, 1) for name in _AT_LEAST_ONE}
        given |= {name: section.maybe_integer(name) for name in _ANY}
        given["default_max_tokens"] = section.maybe_integer("default_max_tokens", 1, U32)
        given["request_body_max_bytes"] = section.maybe_integer("request_body_max_bytes", 65536, 1073741824)
        given["max_header_bytes"] = section.maybe_integer("max_header_bytes", 8192, 1048576)
        if 0 < (given["memory_soft_limit_mib"] or 0) < _LEAST_MIB:
            reason = f"below {_LEAST_MIB} the gateway alone may need more, and then one request at a time is let in"
            section.warn("W29", "memory_soft_limit_mib", reason)
        found = {name: value for name, value in given.items() if value is not None}
        return Limits(reasoning_effort_budgets=_read_budgets(section)).with_(**found)


def _read_budgets(section: Section) -> dict[str, int]:
    with section.section("reasoning_effort_budgets") as words:
        budgets = {word: words.integer(word, default, 1) for word, default in _BUDGETS.items()}
        values = list(budgets.values())
        if values != sorted(values):
            section.error("reasoning_effort_budgets", f"must rise from {' to '.join(_BUDGETS)}", str(values))
        return budgets


def read_metrics(root: Section) -> Metrics:
    """Return the limits of the exposition."""
    with root.section("metrics") as section:
        return Metrics(key_gauge_limit=section.integer("key_gauge_limit", 2000))


def read_default_health(root: Section) -> Health:
    """Return what a provider's probing is when it does not say."""
    with root.section("health") as section:
        return Health(
            interval_secs=section.integer("default_probe_interval_secs", 30, 1),
            timeout_secs=section.integer("default_probe_timeout_secs", 5, 1),
        )


def read_default_policy_timeout_ms(root: Section) -> int:
    """Return how long a policy may think when its pool does not say."""
    with root.section("routing") as section:
        return section.integer("default_policy_timeout_ms", 150, 1)


def read_health(section: Section, default: Health, *, is_used: bool = True) -> Health | None:
    """Return a provider's probing, None if it does not say; of a provider that nobody uses, types are checked only."""
    lowest = 1 if is_used else 0
    found = section.maybe_section("health")
    if found is None:
        return None
    with found as health:
        return Health(
            mode=health.choice("mode", "none", ("none", "dead", "active")) if is_used else health.text("mode", ""),
            interval_secs=health.integer("interval_secs", default.interval_secs, lowest),
            timeout_secs=health.integer("timeout_secs", default.timeout_secs, lowest),
        )
