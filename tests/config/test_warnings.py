"""Every warning of the loader: where it is raised, and the nearest configuration that does not raise it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.config.cases import BASE, PROVIDERS, member, pool, provider, read, warnings_of

OPEN = "auth: {mode: token, client_tokens: [t]}\n"  # keeps W1 away


@dataclass(frozen=True)
class Pair:
    """A configuration with the paths that a warning is raised at, and one that stays silent."""

    number: str
    text: str
    paths: tuple[str, ...]
    silent: str
    environment: Mapping[str, str] = field(default_factory=dict)
    silent_environment: Mapping[str, str] | None = None
    catalog: str = ""

    def __str__(self) -> str:
        return f"{self.number} {' '.join(self.paths)}"


def keyed(fields: str) -> str:
    """Return a deployment whose one provider has a key from somewhere."""
    return provider("").replace("api_key: none", fields) + OPEN


def governed(fields: str) -> str:
    """Return a deployment with virtual keys."""
    return f"{BASE}governance: {{enabled: true, admin_token: t, {fields}}}\n"


def bedrock(fields: str) -> str:
    """Return a deployment of a provider whose hosts tell a region."""
    return f"providers: {{b: {{api_key: none, protocol: bedrock, {fields}}}}}\nmodels: {{}}\n"


def two(first: str, second: str) -> str:
    """Return a deployment of a pool with models at two providers that speak these protocols."""
    places = ", ".join(
        f"p{number}: {{api_key: none, protocol: {name}, base_url: 'https://up.example'}}"
        for number, name in enumerate((first, second))
    )
    return (
        f"providers: {{{places}}}\nmodels: {{m: {{provider: p0}}, n: {{provider: p1}}}}\n"
        "pools: {a: {members: [{target: m}, {target: n}]}}\n"
    )


def lane(protocol: str, fields: str) -> str:
    """Return a deployment whose one model has these fields at a provider that speaks this protocol."""
    place = f"api_key: none, protocol: {protocol}, base_url: 'https://up.example'"
    return f"providers: {{p: {{{place}}}}}\nmodels: {{m: {{provider: p, {fields}}}}}\n"


PAIRS = [
    Pair("W1", BASE, ("auth",), BASE + OPEN),
    Pair("W1", BASE + "auth: {client_tokens: []}\n", ("auth",), governed("")),
    Pair("W1", BASE + "auth: {mode: none}\n", ("auth.mode",), BASE + "auth: {mode: passthrough}\n"),
    Pair(
        "W2", BASE + "auth: {mode: none, client_tokens: [t]}\n", ("auth.client_tokens",), BASE + "auth: {mode: none}\n"
    ),
    Pair("W2", BASE + "auth: {mode: token, client_tokens: [t, u, t]}\n", ("auth.client_tokens[2]",), BASE + OPEN),
    Pair(
        "W2",
        BASE + "auth: {mode: token, client_tokens: ['${A}', {env: A}]}\n",
        ("auth.client_tokens[1]",),
        BASE + "auth: {mode: token, client_tokens: ['${A}', {env: B}]}\n",
        {"A": "t"},
        {"A": "t", "B": "u"},
    ),
    Pair(
        "W2",
        BASE + OPEN + "observability: {metrics_token: '${A}'}\n",
        ("observability.metrics_token",),
        BASE + OPEN + "observability: {metrics_token: '${A}'}\n",
        {"A": "t"},
        {"A": "u"},
    ),
    Pair(
        "W3",
        keyed("api_key_env: A").replace(OPEN, "auth: {mode: passthrough}\n"),
        ("providers.p",),
        keyed("api_key_env: A").replace(OPEN, "auth: {mode: passthrough}\n"),
        {"A": "k"},
        {},
    ),
    Pair("W4", keyed("api_key_env: A"), ("providers.p.api_key_env",), keyed("api_key_env: A"), {}, {"A": "k"}),
    Pair("W4", keyed("api_key: {env: A}"), ("providers.p.api_key",), keyed("api_key: none"), {"A": " "}),
    Pair("W5", two("openai", "cohere"), ("pools.a",), two("openai", "openai")),
    Pair("W6", governed(""), ("governance.enabled",), governed("") + "auth: {mode: token}\n"),
    Pair("W6", governed("") + OPEN, ("governance.enabled",), BASE + OPEN),
    Pair("W7", governed("price_per_request_cents: 0"), ("governance.price_per_request_cents",), governed("")),
    Pair(
        "W7",
        governed("price_per_request_cents: -2"),
        ("governance.price_per_request_cents",),
        BASE + "governance: {price_per_request_cents: 0}\n",
    ),
    Pair(
        "W8",
        BASE + "security: {allow_all_metadata: true}\n",
        ("security.allow_all_metadata",),
        BASE + "security: {allow_all_metadata: false}\n",
    ),
    Pair(
        "W9",
        keyed("api_key_env: A, api_key: hush"),
        ("providers.p.api_key",),
        keyed("api_key_env: A, api_key: "),
        {"A": "k"},
    ),
    Pair(
        "W10",
        BASE.replace("https://up.example", "https://169.254.1.1").replace(
            "}}\nmodels", ", allow_metadata_hosts: [169.254.1.1]}}\nmodels"
        ),
        ("providers.p.base_url",),
        provider("allow_metadata_hosts: [169.254.1.1]"),
    ),
    Pair(
        "W10",
        BASE.replace("https://up.example", "http://vllm").replace("}}\nmodels", ", allow_plaintext: true}}\nmodels"),
        ("providers.p.base_url",),
        provider("allow_plaintext: true"),
    ),
    Pair(
        "W10",
        BASE.replace("https://up.example", "http://169.254.1.1") + "security: {allow_all_metadata: true}\n",
        ("providers.p.base_url",),
        BASE + "security: {allow_all_metadata: true}\n",
    ),
    Pair(
        "W10",
        BASE + "observability: {otlp_endpoint: 'http://collector'}\nsecurity: {allow_sink_hosts: [collector]}\n",
        ("observability.otlp_endpoint",),
        BASE + "observability: {otlp_endpoint: 'https://collector'}\nsecurity: {allow_sink_hosts: [collector]}\n",
    ),
    Pair(
        "W10",
        pool("route: webhook, policy: {url: 'https://10.0.0.1'}") + "security: {allow_sink_hosts: [10.0.0.1]}\n",
        ("pools.a.policy.url",),
        pool("route: webhook, policy: {url: 'http://127.0.0.1'}") + "security: {allow_sink_hosts: [10.0.0.1]}\n",
    ),
    Pair(
        "W11",
        bedrock("base_url: 'https://b.example'"),
        ("providers.b.base_url",),
        bedrock("base_url: 'https://b.example', region: eu-west-1"),
    ),
    Pair(
        "W11",
        bedrock("base_url: 'https://bedrock-runtime.mars'"),
        ("providers.b.base_url",),
        bedrock("base_url: 'https://BEDROCK-runtime-fips.us-gov-west-1.amazonaws.com'"),
    ),
    Pair(
        "W12",
        keyed("api_key_env: A"),
        ("providers.p.api_key_env",),
        keyed("api_key_env: A"),
        {"A": "k\x07y"},
        {"A": "k y"},
    ),
    Pair(
        "W12",
        keyed("api_key: {env: A}"),
        ("providers.p.api_key",),
        keyed("api_key: {env: A}"),
        {"A": "ké"},
        {"A": " k "},
    ),
    Pair(
        "W13",
        BASE + "governance: {price_per_request_cents: -1, price_per_1k_tokens_cents: -9223372036854775808}\n",
        ("governance.price_per_request_cents", "governance.price_per_1k_tokens_cents"),
        BASE + "governance: {price_per_request_cents: 0}\n",
    ),
    Pair("W14", "providers: {}\nmodels: {}\n", ("providers", "models"), BASE),
    Pair("W14", PROVIDERS + "models: {}\n", ("models",), BASE),
    Pair(
        "W15", pool("route: cheapest"), ("pools.a",), member("cost_per_mtok: 0").replace("]}}", "], route: cheapest}}")
    ),
    Pair("W15", pool("route: native, policy: {name: cheapest}"), ("pools.a",), pool("policy: {name: cheapest}")),
    Pair(
        "W17",
        "providers: {gemini: {api_key: none, path: /v1/x}}\nmodels: {}\n",
        ("providers.gemini.path",),
        "providers: {gemini: {api_key: none, path: '/v1/{model}'}}\nmodels: {}\n",
    ),
    Pair(
        "W17",
        bedrock("base_url: 'https://bedrock.us-east-1.x', path: /v1"),
        ("providers.b.path",),
        provider("path: /v1"),
    ),
    Pair(
        "W18",
        f"{PROVIDERS}models: {{org/m: {{provider: p}}, 'a?': {{provider: p}}, 'b c': {{provider: p}}}}\n"
        "pools: {'d%': {members: [{target: org/m}]}, 'e#': {members: [{target: org/m}]}}\n",
        ("models.org/m", "models.a?", "models.b c", "pools.d%", "pools.e#"),
        BASE.replace("p:", "'p/q':").replace("provider: p}", "provider: p/q}"),
    ),
    *(
        Pair("W19", BASE, (name,), BASE, {name: "http://proxy"}, {name: ""})
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "no_proxy")
    ),
    Pair("W20", BASE, ("RUST_LOG",), BASE, {"RUST_LOG": "busbar=debug"}, {"RUST_LOG": " WARN "}),
    Pair("W20", BASE, ("BUSBAR_LOG",), BASE, {"BUSBAR_LOG": "loud"}, {"BUSBAR_LOG": ""}),
    Pair(
        "W21",
        pool("policy: {name: usage, timeout_ms: 5}"),
        ("pools.a.policy.name", "pools.a.policy.timeout_ms"),
        pool("policy: {name: , url: }"),
    ),
    Pair(
        "W21",
        pool("route: usage, policy: {name: fastest}"),
        ("pools.a.policy.name",),
        pool("route: usage, policy: {name: usage}"),
    ),
    Pair(
        "W21",
        pool("route: usage, policy: {timeout_ms: 5, url: 'https://x', script: y, max_steps: 5}"),
        tuple(f"pools.a.policy.{name}" for name in ("timeout_ms", "url", "script", "max_steps")),
        pool("route: fastest, policy: {on_error: first, explore: true}"),
    ),
    Pair(
        "W21",
        pool("route: cheapest, policy: {explore: true}"),
        ("pools.a.policy.explore",),
        pool("route: fastest, policy: {explore: true}"),
    ),
    Pair(
        "W21",
        pool("route: webhook, policy: {url: 'https://x', name: usage, explore: true}"),
        ("pools.a.policy.name", "pools.a.policy.explore"),
        pool("route: webhook, policy: {url: 'https://x', timeout_ms: 5, on_error: reject}"),
    ),
    Pair(
        "W21",
        pool("route: script, policy: {script: candidates, url: 'https://x'}"),
        ("pools.a.policy.url",),
        pool("route: script, policy: {script: candidates, timeout_ms: 5, on_error: first, max_steps: 5}"),
    ),
    Pair(
        "W21",
        BASE + "advanced: {tokio: 1, response_headers: {other: 2, route_policy: true}}\n",
        ("advanced.tokio", "advanced.response_headers.other"),
        BASE + "advanced: {worker_threads: 1, response_headers: {server_timing: true}}\n",
    ),
    Pair(
        "W21",
        BASE + "observability: {request_log_detail: true, accept_traceparent: false}\n",
        ("observability.request_log_detail", "observability.accept_traceparent"),
        BASE + "observability: {request_log_webhook_url: 'https://x', request_log_detail: true}\n",
    ),
    Pair("W21", BASE + "advanced: {response_headers: x}\n", ("advanced.response_headers",), BASE + "advanced: {}\n"),
    Pair(
        "W22",
        f"{BASE}pools: {{a: {{members: [{{target: m}}, {{model: m}}, {{target: m}}]}}}}\n",
        ("pools.a.members[1]", "pools.a.members[2]"),
        f"{BASE}pools: {{a: {{members: [{{target: m}}]}}, b: {{members: [{{target: m}}]}}}}\n",
    ),
    Pair(
        "W23",
        BASE,
        ("x.health.mood", "x.colour"),
        BASE,
        catalog="x: {protocol: openai, base_url: 'https://x', colour: red, health: {mood: good}}\n",
    ),
    Pair(
        "W21",
        BASE + "server: {trusted_proxies: [10.0.0.1]}\n",
        ("server.trusted_proxies",),
        BASE + "server: {proxy_protocol: v1, trusted_proxies: [10.0.0.1]}\n",
    ),
    Pair(
        "W28",
        BASE + "server: {proxy_protocol: v1}\n",
        ("server.proxy_protocol",),
        BASE + "server: {proxy_protocol: v1, trusted_proxies: [10.0.0.1]}\n",
    ),
    Pair(
        "W25",
        f"{PROVIDERS}models: {{m: {{provider: p}}, n: {{provider: p}}}}\n"
        "pools: {a: {members: [{target: m, weight: 0}, {target: n}]}}\n",
        ("pools.a.members[0].weight",),
        pool(""),
    ),
    Pair("W25", member("weight: 0"), ("pools.a.members[0].weight", "pools.a"), member("weight: 1")),
    Pair("W21", pool("reject_on: [seed, seed]"), ("pools.a.reject_on",), pool("reject_on: [seed, stop]")),
    Pair(
        "W29",
        BASE + "limits: {memory_soft_limit_mib: 95}\n",
        ("limits.memory_soft_limit_mib",),
        BASE + "limits: {memory_soft_limit_mib: 96}\n",
    ),
    Pair(
        "W21",
        lane("openai", "hosted_tools: map"),
        ("models.m.hosted_tools",),
        lane("gemini", "hosted_tools: map"),
    ),
    Pair(
        "W21", lane("cohere", "hosted_tools: drop"), ("models.m.hosted_tools",), lane("anthropic", "hosted_tools: drop")
    ),
    Pair("W27", governed("db_path: ':memory:'"), ("governance.db_path",), BASE + "governance: {db_path: ':memory:'}\n"),
]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_warning_is_raised_at_its_place(pair: Pair, tmp_path: Path) -> None:
    """Config §9: each warning carries the path it is about, and is no error."""
    loaded = read(tmp_path, pair.text, pair.environment, pair.catalog)
    assert tuple(path for number, path in warnings_of(loaded) if number == pair.number) == pair.paths
    assert loaded.config is not None


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.number != "W23"], ids=str)
def test_a_warning_is_not_raised_without_its_cause(pair: Pair, tmp_path: Path) -> None:
    """Config §9: the nearest configuration without the cause stays silent."""
    environment = pair.environment if pair.silent_environment is None else pair.silent_environment
    loaded = read(tmp_path, pair.silent, environment)
    assert [path for number, path in warnings_of(loaded) if number == pair.number] == []
    assert loaded.config is not None


def test_the_catalog_of_the_package_holds_no_unknown_key(tmp_path: Path) -> None:
    """Config §9, W23: the packaged catalog raises no warning."""
    assert "W23" not in dict(warnings_of(read(tmp_path, BASE)))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (keyed("api_key: {{file: {file}}}".replace("{{", "{").replace("}}", "}")), "providers.p.api_key"),
        (BASE + "auth: {mode: token, client_tokens: [{file: {file}}]}\n", "auth.client_tokens[0]"),
        (governed("admin_token: {file: {file}}").replace("admin_token: t, ", ""), "governance.admin_token"),
    ],
)
@pytest.mark.parametrize(("mode", "is_warned"), [(0o644, True), (0o640, False), (0o600, False)])
def test_a_secret_that_all_can_read_is_warned_about(
    text: str, path: str, mode: int, is_warned: bool, tmp_path: Path
) -> None:
    """Config §9, W16: a file that every user of the machine can read is no secret."""
    file = tmp_path / "secret"
    file.write_text("s", encoding="utf-8")
    file.chmod(mode)
    loaded = read(tmp_path, text.replace("{file}", str(file)))
    assert (("W16", path) in warnings_of(loaded)) is is_warned


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        (keyed("api_key_env: NOPE"), "W4", "NOPE"),
        (two("openai", "cohere"), "W5", "cohere openai"),
        (PAIRS[0].text, "W1", "no client authentication"),
        (BASE + "auth: {mode: none}\n", "W1", "`none`"),
        (pool("policy: {name: usage}"), "W21", "weighted"),
    ],
)
def test_a_warning_names_what_it_must(text: str, number: str, words: str, tmp_path: Path) -> None:
    """Config §9: variables, protocols and routes stand in the text, and W1 has two."""
    reason = next(warning.reason for warning in read(tmp_path, text).complaints.warnings if warning.id == number)
    assert [word for word in words.split() if word not in reason] == []


def test_a_model_without_a_provider_warns_of_no_mixture(tmp_path: Path) -> None:
    """Config §9, W5: only what is known counts."""
    loaded = read(tmp_path, two("openai", "cohere").replace("provider: p1", "provider: p9"))
    assert "W5" not in dict(warnings_of(loaded))
