"""Wrong top-level keys: the address, `tls`, `auth`, `server`, `shutdown`, and keys that nobody knows."""

from pathlib import Path

import pytest

from tests.config.cases import BASE, Row, check_row, member, model, pool, provider, read

LISTEN = [
    Row("no port", "listen: localhost\n" + BASE, {"listen": "localhost"}),
    Row("a port only", "listen: 8080\n" + BASE, {"listen": "8080"}),
    Row("no host", 'listen: ":8080"\n' + BASE, {"listen": ":8080"}),
    Row("an empty port", 'listen: "a:"\n' + BASE, {"listen": "a:"}),
    Row("port too large", "listen: a:65536\n" + BASE, {"listen": "a:65536"}),
    Row("port with six digits", "listen: a:655360\n" + BASE, {"listen": "a:655360"}),
    Row("negative port", 'listen: "a:-1"\n' + BASE, {"listen": "a:-1"}),
    Row("port in other digits", "listen: a:\uff18\uff10\n" + BASE, {"listen": "a:\uff18\uff10"}),
    Row("bare IPv6", 'listen: "::1:80"\n' + BASE, {"listen": "::1:80"}),
    Row("no IPv6 in brackets", 'listen: "[abc]:80"\n' + BASE, {"listen": "[abc]:80"}),
    Row("IPv4 in brackets", 'listen: "[1.2.3.4]:80"\n' + BASE, {"listen": "[1.2.3.4]:80"}),
    Row("a URL", "listen: http://a:80\n" + BASE, {"listen": "http://a:80"}),
    Row("userinfo", "listen: http://u:hush@a:80\n" + BASE, {"listen": "http://***@a:80"}, secrets=("hush",)),
    Row("a blank", "listen: 'a :80'\n" + BASE, {"listen": "a :80"}),
    Row("a new line", 'listen: "a:80\\n"\n' + BASE, {"listen": "a:80\\n"}),
    Row("empty", "listen: ''\n" + BASE, {"listen": ""}),
    Row("a list", "listen: [a:80]\n" + BASE, {"listen": None}),
    Row("a map", "listen: {a: 80}\n" + BASE, {"listen": None}),
    Row("a control character", 'listen: "a\\x01b:80"\n' + BASE, {"listen": "a\\x01b:80"}),
    Row("DEL", 'listen: "a\\x7f:80"\n' + BASE, {"listen": "a\\x7f:80"}),
    Row("admin equal", f"listen: a:1\ngovernance: {{admin_listen: a:1}}\n{BASE}", {"governance.admin_listen": "a:1"}),
    Row(
        "admin equal to the default",
        f"governance: {{admin_listen: '0.0.0.0:8080'}}\n{BASE}",
        {"governance.admin_listen": "0.0.0.0:8080"},
    ),
    Row(
        "admin equal, governed",
        f"listen: a:1\ngovernance: {{enabled: true, admin_token: t, admin_listen: a:1}}\n{BASE}",
        {"governance.admin_listen": "a:1"},
    ),
    Row("admin without a port", f"admin_listen: a\n{BASE}", {"governance.admin_listen": "a"}),
    Row("admin twice", f"admin_listen: a:1\ngovernance: {{admin_listen: a:2}}\n{BASE}", {"admin_listen": None}),
]

SECTIONS = [
    Row("neither", "listen: a:1\n", {"providers": None, "models": None}),
    Row("no models", BASE.partition("models")[0], {"models": None}),
    Row("null sections", "providers:\nmodels: ~\n", {"providers": None, "models": None}),
    Row("providers as a list", "providers: [p]\nmodels: {}\n", {"providers": None}),
    Row("models as a text", "providers: {}\nmodels: m\n", {"models": None}),
    Row("a provider as a text", "providers: {p: x}\nmodels: {m: {provider: p}}\n", {"providers.p": None}),
    Row("a model as a list", f"{BASE.partition('models')[0]}models: {{m: [p]}}\n", {"models.m": None}),
    Row("a pool as a number", f"{BASE}pools: {{a: 5}}\n", {"pools.a": None}),
    Row("pools as a list", f"{BASE}pools: [a]\n", {"pools": None}),
    *(
        Row(f"{name} as a text", f"{BASE}{name}: x\n", {name: None})
        for name in (
            "tls",
            "auth",
            "limits",
            "observability",
            "governance",
            "security",
            "metrics",
            "health",
            "routing",
            "shutdown",
            "server",
            "responses",
            "advanced",
        )
    ),
    Row("providers_file as a list", f"{BASE}providers_file: [a]\n", {"providers_file": None}),
]

UNKNOWN = [
    Row("top level", BASE + "listne: a:1\n", {"listne": None}),
    Row("with a dot", BASE + "tls.key: a\n", {'"tls.key"': None}),
    Row("an empty key", BASE + "'': a\n", {'""': None}),
    Row("null at the top", BASE + "listne:\n", {"listne": None}),
    Row("x without a dash", BASE + "x: 1\nxy: 1\n", {"x": None, "xy": None}),
    Row("auth", BASE + "auth: {mod: none}\n", {"auth.mod": None}),
    Row("limits", BASE + "limits: {max_header: 5}\n", {"limits.max_header": None}),
    Row(
        "budgets",
        BASE + "limits: {reasoning_effort_budgets: {most: 5}}\n",
        {"limits.reasoning_effort_budgets.most": None},
    ),
    Row("observability", BASE + "observability: {otlp: x}\n", {"observability.otlp": None}),
    Row("governance", BASE + "governance: {enable: true}\n", {"governance.enable": None}),
    Row("store", BASE + "governance: {store: {key: {}}}\n", {"governance.store.key": None}),
    Row(
        "keys store",
        BASE + "governance: {store: {keys: {kind: sqlite, mode: strict}}}\n",
        {"governance.store.keys.mode": None},
    ),
    Row("security", BASE + "security: {allow_all: true}\n", {"security.allow_all": None}),
    Row("metrics", BASE + "metrics: {limit: 1}\n", {"metrics.limit": None}),
    Row("health", BASE + "health: {mode: none}\n", {"health.mode": None}),
    Row("routing", BASE + "routing: {timeout_ms: 1}\n", {"routing.timeout_ms": None}),
    Row("shutdown", BASE + "shutdown: {drain: 1}\n", {"shutdown.drain": None}),
    Row("server", BASE + "server: {worker: 1}\n", {"server.worker": None}),
    Row("responses", BASE + "responses: {stateful: drop}\n", {"responses.stateful": None}),
    Row("provider", provider("base: x"), {"providers.p.base": None}),
    Row("provider's health", provider("health: {interval: 5}"), {"providers.p.health.interval": None}),
    Row(
        "provider with a dot",
        BASE + "x-a: 1\n" + "pools: {z.a: {x: 1}}\n",
        {'pools."z.a".members': None, 'pools."z.a".x': None},
    ),
    Row("model", model("max_concurent: 5"), {"models.m.max_concurent": None}),
    Row("pool", pool("weight: 5"), {"pools.a.weight": None}),
    Row("member", member("weigth_: 5"), {"pools.a.members[0].weigth_": None}),
    Row("policy", pool("policy: {names: x}"), {"pools.a.policy.names": None}),
    Row("breaker", pool("breaker: {cooldown: 5}"), {"pools.a.breaker.cooldown": None}),
    Row("trip", pool("breaker: {trip: {windows_secs: 5}}"), {"pools.a.breaker.trip.windows_secs": None}),
    Row("failover", pool("failover: {hops: 5}"), {"pools.a.failover.hops": None}),
    Row("exhausted", pool("on_exhausted: {action: reject, x: 5}"), {"pools.a.on_exhausted.x": None}),
    Row("queue", pool("on_exhausted: {queue: {max_ms: 5, x: 5}}"), {"pools.a.on_exhausted.queue.x": None}),
    Row("affinity", pool("affinity: {header: x}"), {"pools.a.affinity.header": None}),
    Row(
        "tls",
        BASE + "tls: {cert_file: /no, key_file: /no, ca_file: /no}\n",
        {"tls.ca_file": None, "tls.cert_file": "/no", "tls.key_file": "/no"},
    ),
]

TLS = [
    Row("empty", BASE + "tls: {}\n", {"tls.cert_file": None, "tls.key_file": None}),
    Row("no key", BASE + "tls: {cert_file: /no}\n", {"tls.cert_file": "/no", "tls.key_file": None}),
    Row("null", BASE + "tls: {cert_file: , key_file: ~}\n", {"tls.cert_file": None, "tls.key_file": None}),
    Row("blank", BASE + "tls: {cert_file: ' ', key_file: ''}\n", {"tls.cert_file": " ", "tls.key_file": ""}),
    Row("folders", BASE + "tls: {cert_file: /, key_file: /}\n", {"tls.cert_file": "/", "tls.key_file": "/"}),
    Row(
        "no authority file",
        BASE + "tls: {cert_file: /no, key_file: /no, client_ca_file: /nope}\n",
        {"tls.cert_file": "/no", "tls.key_file": "/no", "tls.client_ca_file": "/nope"},
    ),
    Row(
        "a key instead of its path",
        BASE + "tls:\n  cert_file: /no\n  key_file: |\n    -----BEGIN PRIVATE KEY-----\n    hush\n",
        {"tls.cert_file": "/no", "tls.key_file": "***"},
        secrets=("hush",),
    ),
    Row(
        "both spellings",
        BASE + "tls: {cert_file: /no, cert: {file: /no}, key: {file: /no}}\n",
        {"tls.cert": None, "tls.cert_file": "/no", "tls.key": "/no"},
    ),
    Row("texts", BASE + "tls: {cert: /no, key: hush}\n", {"tls.cert": None, "tls.key": None}, secrets=("hush",)),
    Row(
        "references",
        BASE + "tls: {cert: {env: A, file: B}, key: {module: m}, client_ca: {}}\n",
        {"tls.cert": None, "tls.key.module": None, "tls.client_ca": None},
    ),
    Row("variables", BASE + "tls: {cert: {env: A}, key: {env: B}}\n", {"tls.cert": "A", "tls.key": "B"}, {"A": ""}),
    Row(
        "no UTF-8",
        BASE + "tls: {cert: {env: A}, key: {env: B}}\n",
        {"tls.cert": "A", "tls.key": "B"},
        {"A": "\udcff", "B": "hush\udcff"},
        secrets=("hush",),
    ),
    Row(
        "interval",
        BASE + "tls: {cert: {env: A}, key: {env: A}, reload_interval_secs: -1}\n",
        {"tls.cert": "A", "tls.key": "A", "tls.reload_interval_secs": "-1"},
    ),
]

AUTH = [
    Row("mode", BASE + "auth: {mode: tokens}\n", {"auth.mode": "tokens"}),
    Row("empty mode", BASE + "auth: {mode: ''}\n", {"auth.mode": ""}),
    Row("mode as a flag", BASE + "auth: {mode: [token]}\n", {"auth.mode": None}),
    Row("no tokens", BASE + "auth: {mode: token}\n", {"auth.client_tokens": None}),
    Row("an empty list", BASE + "auth: {mode: ' Token ', client_tokens: []}\n", {"auth.client_tokens": None}),
    Row("tokens null", BASE + "auth: {mode: token, client_tokens: }\n", {"auth.client_tokens": None}),
    Row(
        "tokens as a text",
        BASE + "auth: {mode: token, client_tokens: hush}\n",
        {"auth.client_tokens": None},
        secrets=("hush",),
    ),
    Row(
        "an unset token",
        BASE + "auth: {mode: token, client_tokens: ['${NOPE}']}\n",
        {"auth.client_tokens[0]": None},
    ),
    Row(
        "bad tokens",
        BASE + "auth: {mode: token, client_tokens: [fine, '', '  ', ' hush', 'hush ', hüsh, \"hu\\tsh\", ~, [hush]]}\n",
        {f"auth.client_tokens[{n}]": "***" for n in range(1, 7)}
        | {"auth.client_tokens[7]": None, "auth.client_tokens[8]": None},
        secrets=("hush", "hüsh"),
    ),
    Row(
        "bad tokens of variables",
        BASE + "auth: {mode: token, client_tokens: ['${A}', '${B}', '${C}']}\n",
        {f"auth.client_tokens[{n}]": "***" for n in range(3)},
        {"A": "", "B": " hush", "C": "hüsh"},
        secrets=("hush", "hüsh"),
    ),
    Row(
        "references without values",
        BASE + "auth: {mode: token, client_tokens: [{env: A}, {file: /no}, {env: B}, {env: C}]}\n",
        {"auth.client_tokens[0].env": None, "auth.client_tokens[1]": None, "auth.client_tokens[2].env": None}
        | {"auth.client_tokens[3]": None},
        {"B": " ", "C": "hu sh\x07"},
        secrets=("hu sh",),
    ),
    Row(
        "references that are none",
        BASE + "auth: {mode: token, client_tokens: [{}, {env: A, file: B}, {module: hush}, {envy: A}, "
        "{env: }, {env: ''}]}\n",
        {
            "auth.client_tokens[0]": None,
            "auth.client_tokens[1]": None,
            "auth.client_tokens[2].module": None,
            "auth.client_tokens[3].envy": None,
            "auth.client_tokens[4].env": None,
            "auth.client_tokens[5].env": "",
        },
        secrets=("hush",),
    ),
    Row("token", BASE + "auth: {token: hush}\n", {"auth.token": None}, secrets=("hush",)),
]

OTHERS = [
    Row("workers 0", BASE + "server: {workers: 0}\n", {"server.workers": "0"}),
    Row("two workers", BASE + "server: {workers: 2}\n", {"server.workers": "2"}),
    Row("worker threads", BASE + "advanced: {worker_threads: x}\n", {"server.workers": "x"}),
    Row(
        "threads and workers",
        BASE + "server: {workers: 1}\nadvanced: {worker_threads: 1}\n",
        {"advanced.worker_threads": None},
    ),
    Row(
        "two spellings of headers",
        BASE + "observability: {emit_route_headers: true}\nadvanced: {response_headers: {route_policy: true}}\n",
        {"advanced.response_headers.route_policy": None},
    ),
    Row("reuse_port", BASE + "server: {reuse_port: yes}\n", {"server.reuse_port": "yes"}),
    Row("proxy_protocol", BASE + "server: {proxy_protocol: v3}\n", {"server.proxy_protocol": "v3"}),
    Row(
        "trusted_proxies",
        BASE + "server: {trusted_proxies: ['', {a: 1}]}\n",
        {"server.trusted_proxies[0]": "", "server.trusted_proxies[1]": None},
    ),
    Row("drain", BASE + "shutdown: {drain_timeout_secs: -1}\n", {"shutdown.drain_timeout_secs": "-1"}),
    Row("delay", BASE + "shutdown: {readiness_delay_secs: 1s}\n", {"shutdown.readiness_delay_secs": "1s"}),
    Row("fallback", BASE + "responses: {stateful_fallback: keep}\n", {"responses.stateful_fallback": "keep"}),
    Row("providers_file missing", BASE + "providers_file: nowhere.yaml\n", {"": None}),
    Row("providers_file with NUL", BASE + 'providers_file: "a\\0b"\n', {"": None}),
    Row("providers_file empty", BASE + "providers_file: ''\n", {"": None}),
]


@pytest.mark.parametrize("row", LISTEN, ids=str)
def test_what_is_no_address_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.1 and X19: host and port, an IPv6 address in brackets, and an address of its own for the admin side."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", SECTIONS, ids=str)
def test_a_section_of_the_wrong_kind_is_one_error(row: Row, tmp_path: Path) -> None:
    """Config §6.1: `providers` and `models` are required, and what should be a map and is none is reported once."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", UNKNOWN, ids=str)
def test_an_unknown_key_is_refused_at_every_level(row: Row, tmp_path: Path) -> None:
    """Config §1: a key that nobody knows is an error, wherever it stands."""
    check_row(row, tmp_path)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (BASE + "listne: a:1\n", "did you mean `listen`?"),
        (model("max_concurent: 5"), "did you mean `max_concurrent`?"),
        (member("weigth_: 5"), "did you mean `weight`?"),
        (pool("breaker: {trip: {windows_secs: 5}}"), "did you mean `window_secs`?"),
        (provider("auth: baerer"), "did you mean `bearer`?"),
        (model("provider: q").replace("{p:", "{qq:").replace("provider: p, ", ""), "did you mean `qq`?"),
        (BASE.replace("protocol: openai", "protocol: opnai"), "did you mean `openai`?"),
    ],
)
def test_the_nearest_known_name_is_a_hint(text: str, hint: str, tmp_path: Path) -> None:
    """Config §1: an unknown name comes with the nearest known one."""
    assert [error.reason.partition("; ")[2] for error in read(tmp_path, text).complaints.errors] == [hint]


@pytest.mark.parametrize("row", TLS, ids=str)
def test_tls_without_usable_material_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.1 and X12: certificate and key are required and readable, and a pasted key is never shown."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", AUTH, ids=str)
def test_authentication_that_cannot_work_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.1, E13 and X1: modes, and tokens that a client could send."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", OTHERS, ids=str)
def test_a_wrong_setting_of_the_process_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §14, X3, X14, X21 and X24: process, shut-down and the place of the catalog."""
    check_row(row, tmp_path)
