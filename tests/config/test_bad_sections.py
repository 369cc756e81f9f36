"""Wrong limits, sinks, governance, security, and the defaults of probes and policies."""

from pathlib import Path

import pytest

from tests.config.cases import BASE, Row, check_row, read

AT_LEAST_ONE = (
    "upstream_request_timeout_secs",
    "hard_down_cooldown_secs",
    "max_honored_retry_after_secs",
    "upstream_error_body_max_bytes",
    "tls_handshake_timeout_secs",
    "default_max_tokens",
    "header_read_timeout_secs",
    "max_headers",
    "max_request_line_bytes",
    "request_body_read_timeout_secs",
    "keepalive_idle_timeout_secs",
    "write_stall_timeout_secs",
    "max_pipelined_requests",
    "pool_idle_timeout_secs",
)
AT_LEAST_NOUGHT = (
    "pool_max_idle_per_host",
    "max_inbound_concurrent",
    "inbound_queue_max_ms",
    "max_connections",
    "max_connections_per_ip",
    "max_requests_per_connection",
    "max_connection_age_secs",
    "stream_keepalive_secs",
)
BUDGETS = "limits.reasoning_effort_budgets"

LIMITS = [
    *(Row(f"{name} 0", f"{BASE}limits: {{{name}: 0}}\n", {f"limits.{name}": "0"}) for name in AT_LEAST_ONE),
    *(Row(f"{name} -1", f"{BASE}limits: {{{name}: -1}}\n", {f"limits.{name}": "-1"}) for name in AT_LEAST_NOUGHT),
    *(
        Row(f"{name} {value}", f"{BASE}limits: {{{name}: {value}}}\n", {f"limits.{name}": str(value)})
        for name, values in (
            ("request_body_max_bytes", (0, 65535, 1073741825)),
            ("max_header_bytes", (0, 8191, 1048577)),
            ("default_max_tokens", (4294967296,)),
        )
        for value in values
    ),
    Row("budget 0", f"{BASE}limits: {{reasoning_effort_budgets: {{low: 0}}}}\n", {f"{BUDGETS}.low": "0"}),
    Row(
        "falling budgets",
        f"{BASE}limits: {{reasoning_effort_budgets: {{low: 9000}}}}\n",
        {BUDGETS: "[1024, 9000, 8192, 16384]"},
    ),
    Row("budgets as a list", f"{BASE}limits: {{reasoning_effort_budgets: [1, 2]}}\n", {BUDGETS: None}),
    Row("interval", f"{BASE}health: {{default_probe_interval_secs: 0}}\n", {"health.default_probe_interval_secs": "0"}),
    Row("timeout", f"{BASE}health: {{default_probe_timeout_secs: 0}}\n", {"health.default_probe_timeout_secs": "0"}),
    Row("policy", f"{BASE}routing: {{default_policy_timeout_ms: 0}}\n", {"routing.default_policy_timeout_ms": "0"}),
    Row("gauges", f"{BASE}metrics: {{key_gauge_limit: -1}}\n", {"metrics.key_gauge_limit": "-1"}),
]


def traces(url: str) -> str:
    """Return a deployment whose traces go to this place."""
    return f"{BASE}observability: {{otlp_endpoint: '{url}'}}\n"


def records(url: str) -> str:
    """Return a deployment whose request log goes to this place."""
    return f"{BASE}observability: {{request_log_webhook_url: '{url}'}}\n"


T, R = "observability.otlp_endpoint", "observability.request_log_webhook_url"
SINKS = [
    *(
        Row(f"traces {url}", traces(url), {T: url})
        for url in (
            "",
            "collector:4318",
            "https://",
            "grpc://collector",
            "http://collector.example",
            "https://10.1.2.3",
            "http://0x0a010203",
            "https://255.255.255.255",
            "https://[fc00::1]",
            "https://168.63.129.16",
            "https://instance-data",
            "http://127.0.0.1:x",
        )
    ),
    *(
        Row(f"records {url}", records(url), {R: url})
        for url in (
            "",
            "http://logs.example",
            "http://localhost",
            "https://localhost/x",
            "https://a.localhost",
            "https://127.0.0.1",
            "https://127.1",
            "https://[::1]",
            "https://172.16.0.1",
            "https://100.64.0.1",
            "https://0.0.0.0",
            "https://169.254.170.2",
            "https://metadata.internal.",
        )
    ),
    Row(
        "userinfo",
        traces("http://u:hush@collector.example/x"),
        {T: "http://***@collector.example/x"},
        secrets=("hush",),
    ),
    Row(
        "userinfo of variables",
        records("https://${U}:${P}@10.0.0.1"),
        {R: "https://***@10.0.0.1"},
        {"U": "whisper", "P": "hu/sh"},
        secrets=("whisper", "hu/sh"),
    ),
    Row(
        "blocked by the operator",
        traces("https://collector.example") + "security: {blocked_metadata_hosts: [collector.example]}\n",
        {T: "https://collector.example"},
    ),
    Row(
        "the denylist stays shut",
        traces("https://169.254.169.254")
        + "security: {allow_sink_hosts: [169.254.169.254], allow_all_metadata: true}\n",
        {T: "https://169.254.169.254"},
    ),
    Row(
        "a provider's list is for providers",
        records("https://10.0.0.1") + "security: {allow_metadata_hosts: [10.0.0.1]}\n",
        {R: "https://10.0.0.1"},
    ),
    Row(
        "deliveries",
        f"{BASE}observability: {{max_inflight_webhook_deliveries: 0}}\n",
        {"observability.max_inflight_webhook_deliveries": "0"},
    ),
    Row(
        "delivery",
        f"{BASE}observability: {{webhook_delivery_timeout_secs: 0}}\n",
        {"observability.webhook_delivery_timeout_secs": "0"},
    ),
    *(
        Row(name, f"{BASE}observability: {{{name}: on}}\n", {f"observability.{name}": "on"})
        for name in (
            "emit_server_timing",
            "emit_route_headers",
            "accept_traceparent",
            "request_log_detail",
            "token_metrics",
        )
    ),
    Row(
        "timing of another schema",
        f"{BASE}advanced: {{response_headers: {{server_timing: 1}}}}\n",
        {"observability.emit_server_timing": "1"},
    ),
    Row("log_format", f"{BASE}observability: {{log_format: logfmt}}\n", {"observability.log_format": "logfmt"}),
    Row(
        "metrics_token",
        f"{BASE}observability: {{metrics_token: ' hush'}}\n",
        {"observability.metrics_token": "***"},
        secrets=("hush",),
    ),
    Row(
        "metrics_token unset",
        f"{BASE}observability: {{metrics_token: {{env: A}}}}\n",
        {"observability.metrics_token.env": None},
    ),
    Row(
        "metrics_token that nobody can send",
        f"{BASE}observability: {{metrics_token: {{env: A}}}}\n",
        {"observability.metrics_token": None},
        {"A": "hüsh"},
        secrets=("hüsh",),
    ),
    Row(
        "metrics_token in a file that is not there",
        f"{BASE}observability: {{metrics_token: {{file: /no}}}}\n",
        {"observability.metrics_token": None},
    ),
    Row(
        "metrics_token as a list",
        f"{BASE}observability: {{metrics_token: [hush]}}\n",
        {"observability.metrics_token": None},
        secrets=("hush",),
    ),
]

G = "governance: {enabled: true, admin_token: hush"
GOVERNANCE = [
    Row("no token", f"{BASE}governance: {{enabled: true}}\n", {"governance.admin_token": None}),
    Row("blank token", f"{BASE}governance: {{enabled: true, admin_token: ' '}}\n", {"governance.admin_token": None}),
    Row(
        "empty by a variable",
        f"{BASE}governance: {{enabled: true, admin_token: '${{A}}'}}\n",
        {"governance.admin_token": None},
        {"A": ""},
    ),
    Row(
        "unset variable",
        f"{BASE}governance: {{enabled: true, admin_token: '${{A}}'}}\n",
        {"governance.admin_token": None},
    ),
    Row(
        "token as a list",
        f"{BASE}governance: {{enabled: true, admin_token: [hush]}}\n",
        {"governance.admin_token": None},
        secrets=("hush",),
    ),
    Row(
        "reference unset",
        f"{BASE}governance: {{enabled: true, admin_token: {{env: A}}}}\n",
        {"governance.admin_token.env": None},
    ),
    Row(
        "reference unset, not governed",
        f"{BASE}governance: {{admin_token: {{env: A}}}}\n",
        {"governance.admin_token.env": None},
    ),
    Row(
        "file missing",
        f"{BASE}governance: {{enabled: true, admin_token: {{file: /nowhere}}}}\n",
        {"governance.admin_token": None},
    ),
    Row("passthrough", f"{BASE}{G}}}\nauth: {{mode: passthrough}}\n", {"auth.mode": "passthrough"}, secrets=("hush",)),
    Row(
        "both",
        f"{BASE}governance: {{enabled: true}}\nauth: {{mode: passthrough}}\n",
        {"governance.admin_token": None, "auth.mode": "passthrough"},
    ),
    Row("no folder", f"{BASE}{G}, db_path: /nowhere/keys.db}}\n", {"governance.db_path": "/nowhere/keys.db"}),
    Row("folder with NUL", f'{BASE}{G}, db_path: "/a\\0/keys.db"}}\n', {"governance.db_path": "/a\\x00/keys.db"}),
    Row("empty path", f"{BASE}governance: {{db_path: ''}}\n", {"governance.db_path": ""}),
    Row("enabled", f"{BASE}governance: {{enabled: yes}}\n", {"governance.enabled": "yes"}),
    Row(
        "price", f"{BASE}governance: {{price_per_request_cents: 0.5}}\n", {"governance.price_per_request_cents": "0.5"}
    ),
    Row(
        "two prices",
        f"{BASE}governance: {{price_per_1k_tokens_cents: 1, price_per_1m_tokens_cents: 1}}\n",
        {"governance.price_per_1m_tokens_cents": None},
    ),
    Row(
        "store error",
        f"{BASE}governance: {{budget_on_store_error: block}}\n",
        {"governance.budget_on_store_error": "block"},
    ),
    Row(
        "busy timeout",
        f"{BASE}governance: {{sqlite_busy_timeout_ms: -1}}\n",
        {"governance.sqlite_busy_timeout_ms": "-1"},
    ),
    Row("sweep", f"{BASE}governance: {{rate_sweep_interval: 0}}\n", {"governance.rate_sweep_interval": "0"}),
    Row("sweep elsewhere", f"{BASE}advanced: {{rate_sweep_interval: 0}}\n", {"governance.rate_sweep_interval": "0"}),
    Row(
        "two sweeps",
        f"{BASE}governance: {{rate_sweep_interval: 5}}\nadvanced: {{rate_sweep_interval: 5}}\n",
        {"advanced.rate_sweep_interval": None},
    ),
    Row("flush", f"{BASE}governance: {{usage_flush_interval_ms: 9}}\n", {"governance.usage_flush_interval_ms": "9"}),
    Row(
        "flush elsewhere",
        f"{BASE}advanced: {{usage_flush_interval_ms: 5001}}\n",
        {"governance.usage_flush_interval_ms": "5001"},
    ),
    Row("reserve", f"{BASE}governance: {{reserve_tokens: 1}}\n", {"governance.reserve_tokens": "1"}),
    Row("disconnect", f"{BASE}governance: {{on_disconnect: guess}}\n", {"governance.on_disconnect": "guess"}),
    Row("secret key", f"{BASE}governance: {{secret_key_env: ' '}}\n", {"governance.secret_key_env": " "}),
    Row("refresh", f"{BASE}governance: {{key_refresh_secs: 0}}\n", {"governance.key_refresh_secs": "0"}),
    Row("stale", f"{BASE}governance: {{key_max_stale_secs: -1}}\n", {"governance.key_max_stale_secs": "-1"}),
    Row("admin_listen", f"{BASE}governance: {{admin_listen: ':80'}}\n", {"governance.admin_listen": ":80"}),
    Row("admin_listen beside a wrong section", f"{BASE}governance: 5\nadmin_listen: a:1\n", {"governance": None}),
    Row("store as a word", f"{BASE}governance: {{store: sqlite}}\n", {"governance.store": None}),
    Row(
        "stores without a kind",
        f"{BASE}governance: {{store: {{keys: {{}}, counters: {{}}}}}}\n",
        {"governance.store.keys.kind": None, "governance.store.counters.kind": None},
    ),
    Row(
        "kinds",
        f"{BASE}governance: {{store: {{keys: {{kind: local}}, counters: {{kind: sqlite}}}}}}\n",
        {"governance.store.keys.kind": "local", "governance.store.counters.kind": "sqlite"},
    ),
    Row(
        "stores as words",
        f"{BASE}governance: {{store: {{keys: sqlite, counters: local}}}}\n",
        {"governance.store.keys": None, "governance.store.counters": None},
    ),
    Row(
        "counters",
        BASE + "governance: {store: {counters: {kind: local, mode: loose, timeout_ms: 0, on_engine_error: ask}}}\n",
        {
            "governance.store.counters.mode": "loose",
            "governance.store.counters.timeout_ms": "0",
            "governance.store.counters.on_engine_error": "ask",
        },
    ),
    Row(
        "engine's url",
        f"{BASE}governance: {{store: {{keys: {{kind: valkey, url: ''}}}}}}\n",
        {"governance.store.keys.url": "***"},
    ),
]

SECURITY = [
    *(
        Row(
            f"{name}: {entry!r}",
            f"{BASE}security: {{{name}: [fine.example, '{entry}']}}\n",
            {f"security.{name}[1]": entry},
        )
        for name in ("blocked_metadata_hosts", "allow_metadata_hosts", "allow_sink_hosts")
        for entry in ("10.0.0.0/8", "https://x/", "", " ", "a b")
    ),
    Row(
        "a host as a map", f"{BASE}security: {{allow_sink_hosts: [{{a: 1}}]}}\n", {"security.allow_sink_hosts[0]": None}
    ),
    Row("hosts as a text", f"{BASE}security: {{allow_metadata_hosts: a}}\n", {"security.allow_metadata_hosts": None}),
    Row("allow_all_metadata", f"{BASE}security: {{allow_all_metadata: yes}}\n", {"security.allow_all_metadata": "yes"}),
]


@pytest.mark.parametrize("row", LIMITS, ids=str)
def test_a_limit_out_of_its_range_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.4 and X13: each limit has its least and most."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", SINKS, ids=str)
def test_a_sink_that_its_guard_refuses_is_an_error(row: Row, tmp_path: Path) -> None:
    """Config §6.4 and §10: guards B and C judge sinks, and userinfo is never shown."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", GOVERNANCE, ids=str)
def test_governance_that_cannot_work_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.4, E14, E15, X19, X21, X24, governance case 4: tokens, prices, stores and their ranges."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", SECURITY, ids=str)
def test_an_entry_that_names_no_one_host_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.4 and X15: exact hosts and addresses only, and flags are flags."""
    check_row(row, tmp_path)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    """Config §1: all problems of all sections are found in one reading, each once."""
    rows = (LIMITS[0], SINKS[0], GOVERNANCE[0], SECURITY[0])
    text = BASE + "".join(str(row.text).removeprefix(BASE) for row in rows) + "listen: x\nnonsense: 1\n"
    found = [error.path[0] for error in read(tmp_path, text).complaints.errors]
    assert sorted(map(str, found)) == ["governance", "limits", "listen", "nonsense", "observability", "security"]
