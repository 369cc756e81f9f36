"""The checked configuration as records: every section with every field, its type, and its default where it has one.

Whoever holds a `Config` may trust it: types, ranges, references between names and the URL guards were checked before.
Names of fields are those of the files, so the manual is the manual of these records too. Secrets are sources, never
values. Must not know how any of it was written down.
"""

from collections.abc import Mapping

from busbar_fast.config.record import Record


class Secret(Record):
    """Where a secret comes from: `env` names a variable, `file` a path, `text` is a template; `none` means nowhere.

    URLs that may hold credentials are secrets too.
    """

    kind: str
    source: str = ""


NONE = Secret(kind="none")


class Listen(Record):
    """An address to listen on; the host may be a name."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Tls(Record):
    """Material for TLS with clients, each piece from a file or a variable."""

    cert: Secret
    key: Secret
    client_ca: Secret = NONE
    reload_interval_secs: int = 0


class Auth(Record):
    """Who may call."""

    mode: str = "none"
    client_tokens: tuple[Secret, ...] = ()


class Health(Record):
    """How a provider's lanes are probed."""

    mode: str = "none"
    interval_secs: int = 30
    timeout_secs: int = 5


class Provider(Record):
    """A provider, the catalog's entry and the deployment's merged."""

    protocol: str
    base_url: str
    path: str = ""  # empty: the protocol's own
    path_base: str = ""
    auth: str = ""  # empty: the protocol's own
    error_map: Mapping[str, str]
    health: Health
    allow_metadata_hosts: tuple[str, ...] = ()
    credential: Secret = NONE
    options: Mapping[str, str | bool]  # settings that only some protocols know


class Model(Record):
    """One lane: a model at a provider."""

    provider: str
    upstream_model: str
    max_concurrent: int | None = None
    max_requests: int = -1
    default_max_tokens: int
    attempt_timeout_ms: int | None = None
    reasoning: bool = False
    prompt_caching: bool = False
    options: Mapping[str, str | bool]


class Member(Record):
    """A model's place in a pool."""

    target: str
    weight: int = 1
    context_max: int | None = None
    tier: str = ""
    tags: tuple[str, ...] = ()
    cost_per_mtok: float | None = None
    attempt_timeout_ms: int | None = None
    reasoning: bool | None = None


class Policy(Record):
    """Who ranks the members of a pool."""

    route: str = "weighted"
    name: str = "weighted"  # of a native route
    url: Secret = NONE
    timeout_ms: int
    on_error: str = "weighted"
    script: str = ""
    max_steps: int = 20000
    explore: bool = False


class Trip(Record):
    """When a cell opens."""

    mode: str = "error_rate"
    window_secs: int = 30
    threshold: float = 0.5
    min_requests: int = 5
    consecutive_n: int = 3


class Breaker(Record):
    """When a cell opens, and for how long."""

    base_cooldown_secs: int = 15
    max_cooldown_secs: int = 120
    trip: Trip = Trip()


class Failover(Record):
    """How long and how often a request may move on."""

    timeout_secs: int = 120
    max_hops: int = 3
    exclusions: tuple[str, ...] = ()


class Exhausted(Record):
    """What happens when nobody can serve: `pool` belongs to `fallback_pool`, `max_ms` to `queue`."""

    action: str = "reject"
    pool: str = ""
    max_ms: int = 0


class Affinity(Record):
    """What keeps a session with one member."""

    mode: str = "session"
    header_name: str = "x-session-id"
    from_system: bool = False


class Pool(Record):
    """A named set of members."""

    members: tuple[Member, ...]
    policy: Policy
    breaker: Breaker = Breaker()
    failover: Failover = Failover()
    on_exhausted: Exhausted = Exhausted()
    affinity: Affinity = Affinity()
    drop_guardrails: bool = False
    on_lossy: str = "warn"
    reject_on: tuple[str, ...] = ()
    emit_translation_header: bool = False


class Limits(Record):
    """What a client, an upstream or a request may cost; 0 is "off" or "automatic" where the manual says so."""

    request_body_max_bytes: int = 33554432
    upstream_error_body_max_bytes: int = 262144
    upstream_request_timeout_secs: int = 300
    pool_max_idle_per_host: int = 64
    pool_idle_timeout_secs: int = 90
    max_inbound_concurrent: int = 0
    inbound_queue_max_ms: int = 10000
    hard_down_cooldown_secs: int = 1800
    max_honored_retry_after_secs: int = 86400
    tls_handshake_timeout_secs: int = 10
    default_max_tokens: int = 4096
    header_read_timeout_secs: int = 30
    max_header_bytes: int = 65536
    max_headers: int = 100
    max_request_line_bytes: int = 16384
    request_body_read_timeout_secs: int = 30
    keepalive_idle_timeout_secs: int = 75
    write_stall_timeout_secs: int = 60
    max_pipelined_requests: int = 16
    max_connections: int = 0
    max_connections_per_ip: int = 0
    max_requests_per_connection: int = 0
    max_connection_age_secs: int = 0
    stream_keepalive_secs: int = 0
    memory_soft_limit_mib: int = 0
    reasoning_effort_budgets: Mapping[str, int]


class Observability(Record):
    """What leaves the process besides answers."""

    otlp_endpoint: Secret = NONE
    request_log_webhook_url: Secret = NONE
    max_inflight_webhook_deliveries: int = 64
    webhook_delivery_timeout_secs: int = 2
    emit_server_timing: bool = False
    emit_route_headers: bool = True
    metrics_token: Secret = NONE
    accept_traceparent: bool = True
    request_log_detail: bool = False
    token_metrics: bool = False
    status_page: bool = False
    log_format: str = ""  # empty: the environment decides


class Engine(Record):
    """A store shared by several machines."""

    kind: str
    url: Secret = NONE
    mode: str = "strict"
    timeout_ms: int = 50
    on_engine_error: str = "local"


class Governance(Record):
    """Virtual keys, budgets and rates."""

    enabled: bool = False
    db_path: str = "busbar-governance.db"
    admin_token: Secret = NONE
    admin_listen: Listen | None = None
    price_per_request_cents: int = 1
    price_per_1k_tokens_cents: int = 0
    price_per_1m_tokens_cents: int = 0
    budget_on_store_error: str = "allow"
    sqlite_busy_timeout_ms: int = 5000
    rate_sweep_interval: int = 256
    usage_flush_interval_ms: int = 100
    reserve_tokens: bool = False
    on_disconnect: str = "observed"
    secret_key_env: str = ""
    keys_store: Engine | None = None
    counters_store: Engine | None = None
    key_refresh_secs: int = 5
    key_max_stale_secs: int = 300


class Security(Record):
    """What the URL guards let through or block besides their own lists."""

    blocked_metadata_hosts: tuple[str, ...] = ()
    allow_metadata_hosts: tuple[str, ...] = ()
    allow_all_metadata: bool = False
    allow_sink_hosts: tuple[str, ...] = ()


class Metrics(Record):
    """Limits of the exposition."""

    key_gauge_limit: int = 2000


class Shutdown(Record):
    """How the process ends."""

    drain_timeout_secs: int = 300
    readiness_delay_secs: int = 0


class Server(Record):
    """How connections reach the process."""

    workers: int = 1
    reuse_port: bool = False
    proxy_protocol: str = "off"
    trusted_proxies: tuple[str, ...] = ()


class Config(Record):
    """One checked configuration."""

    listen: Listen = Listen(host="0.0.0.0", port=8080)  # noqa: S104  a gateway serves its network by default
    tls: Tls | None = None
    auth: Auth = Auth()
    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    pools: Mapping[str, Pool]
    limits: Limits
    observability: Observability = Observability()
    governance: Governance = Governance()
    security: Security = Security()
    metrics: Metrics = Metrics()
    shutdown: Shutdown = Shutdown()
    server: Server = Server()
    dialects: Mapping[str, Mapping[str, str]]  # settings of a dialect for the whole gateway
    config_file: str
    catalog_file: str  # empty: the one inside the package
