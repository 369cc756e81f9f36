"""What is accepted, in every spelling, and the records that come of it."""

from pathlib import Path

import pytest

from busbar_fast.config.schema import (
    Affinity,
    Breaker,
    Config,
    Exhausted,
    Failover,
    Listen,
    Pool,
    Secret,
    Server,
    Shutdown,
    Trip,
)
from busbar_fast.config.secrets import reveal
from tests.config.cases import BASE, PROVIDERS, accepted, member, model, pool, read


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("'[::1]:65535'", "::1", 65535),
        ("'[fe80::A]:1'", "fe80::A", 1),
        ("localhost:8080", "localhost", 8080),
        ("a-b.example:080", "a-b.example", 80),
    ],
)
def test_addresses_are_taken_apart(text: str, host: str, port: int, tmp_path: Path) -> None:
    """Config §6.1: an address is a host and a port, and IPv6 stands in brackets."""
    listen = accepted(tmp_path, f"listen: {text}\n{BASE}").listen
    assert listen == Listen(host=host, port=port)
    assert str(listen) == f"{f'[{host}]' if ':' in host else host}:{port}"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("7", 7),
        ("+7", 7),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b101", 5),
        ("!!int 7", 7),
        ("9223372036854775807", 2**63 - 1),
        ("0x7fffffffffffffff", 2**63 - 1),
        ("0b" + "1" * 63, 2**63 - 1),
    ],
)
def test_integers_may_be_written_in_four_bases(written: str, value: int, tmp_path: Path) -> None:
    """Config §1: integers are decimal, hexadecimal, octal or binary, up to 63 bits."""
    assert accepted(tmp_path, f"{BASE}limits: {{max_connections: {written}}}\n").limits.max_connections == value


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ("max_requests: -9223372036854775808", "max_requests", -1),
        ("max_requests: 9223372036854775807", "max_requests", 2**63 - 1),
        ("max_requests: -5", "max_requests", -1),
        ("default_max_tokens: 4294967295", "default_max_tokens", 2**32 - 1),
        ("max_concurrent: 1", "max_concurrent", 1),
        ("attempt_timeout_ms: 1", "attempt_timeout_ms", 1),
        ("upstream_model: 503", "upstream_model", "503"),
        ("upstream_model: 0123", "upstream_model", "0123"),
        ("upstream_model: 1_000", "upstream_model", "1_000"),
        ("upstream_model: yes", "upstream_model", "yes"),
        ("upstream_model: True", "upstream_model", "True"),
        ("upstream_model: 1.50", "upstream_model", "1.50"),
        ("upstream_model: 2026-01-31", "upstream_model", "2026-01-31"),
        ("upstream_model: 1:30", "upstream_model", "1:30"),
        ("upstream_model: 'null'", "upstream_model", "null"),
        ("upstream_model: ", "upstream_model", "m"),
        ("upstream_model: ~", "upstream_model", "m"),
        ("upstream_model: org/model v1#x", "upstream_model", "org/model v1#x"),
        ("upstream_model: '${A}'", "upstream_model", "a, b: {c}"),
        ("token_limit_field: max_completion_tokens", "options", {"token_limit_field": "max_completion_tokens"}),
        ("tool_id_style: hex, inline_system: true", "options", {"tool_id_style": "hex", "inline_system": True}),
        ("inline_system: false, schema_dialect: openapi", "options", {"schema_dialect": "openapi"}),
        ("reasoning: TRUE", "reasoning", True),
        ("prompt_caching: True", "prompt_caching", True),
        ("reasoning: False", "reasoning", False),
        ("reasoning: ${T}", "reasoning", True),
        ("max_concurrent: ${N}", "max_concurrent", 12),
    ],
)
def test_models_are_read(fields: str, name: str, value: object, tmp_path: Path) -> None:
    """Config §1 and §6.2: numbers at the ends of their widths, flags, and texts that keep their source."""
    config = accepted(tmp_path, model(fields), {"A": "a, b: {c}", "N": "12", "T": "true"})
    assert getattr(config.models["m"], name) == value


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ("weight: 0", "weight", 0),
        ("weight: 4294967295", "weight", 2**32 - 1),
        ("context_max: 1", "context_max", 1),
        ("cost_per_mtok: 0", "cost_per_mtok", 0.0),
        ("cost_per_mtok: .5", "cost_per_mtok", 0.5),
        ("cost_per_mtok: 1.", "cost_per_mtok", 1.0),
        ("cost_per_mtok: 1e-3", "cost_per_mtok", 0.001),
        ("cost_per_mtok: +2.5E+1", "cost_per_mtok", 25.0),
        ("cost_per_mtok: 00.5", "cost_per_mtok", 0.5),
        ("tier: 1", "tier", "1"),
        ("tags: [a, 2, yes, '']", "tags", ("a", "2", "yes", "")),
        ("tags: []", "tags", ()),
        ("reasoning: false", "reasoning", False),
        ("attempt_timeout_ms: 5", "attempt_timeout_ms", 5),
        ("model: m", "target", "m"),
    ],
)
def test_members_are_read(fields: str, name: str, value: object, tmp_path: Path) -> None:
    """Config §6.3, X7, X10 and X23: each field of a member, and equal values of both spellings of its target."""
    config = accepted(tmp_path, member(fields))
    assert getattr(config.pools["a"].members[0], name) == value


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ("on_exhausted: reject", "on_exhausted", Exhausted()),
        ("on_exhausted: 503", "on_exhausted", Exhausted()),
        ("on_exhausted: status_503", "on_exhausted", Exhausted()),
        ("on_exhausted: {action: status503}", "on_exhausted", Exhausted()),
        ("on_exhausted: {action: 503}", "on_exhausted", Exhausted()),
        ("on_exhausted: {action: least_bad}", "on_exhausted", Exhausted(action="least_bad")),
        ("on_exhausted: least-bad", "on_exhausted", Exhausted(action="least_bad")),
        ("on_exhausted: leastbad", "on_exhausted", Exhausted(action="least_bad")),
        ("on_exhausted: 'fallback_pool:b'", "on_exhausted", Exhausted(action="fallback_pool", pool="b")),
        ("on_exhausted: fallback_pool:b", "on_exhausted", Exhausted(action="fallback_pool", pool="b")),
        ("on_exhausted: {action: 'fallback_pool: b'}", "on_exhausted", Exhausted(action="fallback_pool", pool="b")),
        ("on_exhausted: {fallback_pool: b}", "on_exhausted", Exhausted(action="fallback_pool", pool="b")),
        ("on_exhausted: {queue: {max_ms: 120000}}", "on_exhausted", Exhausted(action="queue", max_ms=120000)),
        ("on_exhausted: {action: queue, max_ms: 1}", "on_exhausted", Exhausted(action="queue", max_ms=1)),
        ("on_exhausted: ", "on_exhausted", Exhausted()),
        ("on_exhausted: {action: reject, queue: }", "on_exhausted", Exhausted()),
        ("failover: {deadline_secs: 86400, cap: 0}", "failover", Failover(timeout_secs=86400, max_hops=0)),
        ("failover: {timeout_secs: 1, max_hops: 9}", "failover", Failover(timeout_secs=1, max_hops=9)),
        (
            "breaker: {trip: {mode: consecutive, window_s: 7, n: 2, threshold: 7}}",
            "breaker",
            Breaker(trip=Trip(mode="consecutive", window_secs=7, consecutive_n=2, threshold=7.0)),
        ),
        ("breaker: {trip: {consecutive_n: 0}}", "breaker", Breaker(trip=Trip(consecutive_n=0))),
        ("breaker: {trip: {threshold: 1}}", "breaker", Breaker(trip=Trip(threshold=1.0))),
        (
            "breaker: {base_cooldown_secs: 9, max_cooldown_secs: 9}",
            "breaker",
            Breaker(base_cooldown_secs=9, max_cooldown_secs=9),
        ),
        ("affinity: {header_name: X-Tenant!}", "affinity", Affinity(header_name="X-Tenant!")),
        (f"affinity: {{header_name: {'x' * 64}}}", "affinity", Affinity(header_name="x" * 64)),
        ("affinity: {mode: session, from_system: true}", "affinity", Affinity(from_system=True)),
        ("drop_guardrails: true", "drop_guardrails", True),
    ],
)
def test_pools_are_read(fields: str, name: str, value: object, tmp_path: Path) -> None:
    """Config §6.3 and X11: each spelling of failover, breaker, affinity and exhaustion."""
    text = f"{BASE}pools: {{a: {{members: [{{target: m}}], {fields}}}, b: {{members: [{{target: m}}]}}}}\n"
    assert getattr(accepted(tmp_path, text).pools["a"], name) == value


@pytest.mark.parametrize(
    ("fields", "route", "name", "value"),
    [
        ("route: weighted", "weighted", "name", "weighted"),
        ("route: cheapest", "native", "name", "cheapest"),
        ("route: fastest", "native", "name", "fastest"),
        ("route: least_busy", "native", "name", "least_busy"),
        ("route: usage", "native", "name", "usage"),
        ("route: native, policy: {name: weighted}", "native", "name", "weighted"),
        ("route: native, policy: {name: usage}", "native", "name", "usage"),
        ("route: usage, policy: {name: fastest}", "native", "name", "fastest"),
        ("policy: {name: best}", "weighted", "name", "weighted"),
        ("policy: {timeout_ms: 0}", "weighted", "timeout_ms", 70),
        ("policy: {timeout_ms: 5}", "weighted", "timeout_ms", 5),
        ("policy: {on_error: abstain}", "weighted", "on_error", "weighted"),
        ("policy: {on_error: first}", "weighted", "on_error", "first"),
        ("route: script, policy: {script: '[0, 1]'}", "script", "script", "[0, 1]"),
        ("route: script, policy: {script: candidates, max_steps: 250000}", "script", "max_steps", 250000),
        (
            "route: webhook, policy: {url: 'https://rank.example/a?b=c'}",
            "webhook",
            "url",
            Secret(kind="text", source="https://rank.example/a?b=c"),
        ),
        (
            "route: webhook, policy: {url: 'http://127.0.0.1:9400'}",
            "webhook",
            "url",
            Secret(kind="text", source="http://127.0.0.1:9400"),
        ),
    ],
)
def test_routes_are_read(fields: str, route: str, name: str, value: object, tmp_path: Path) -> None:
    """Config §6.3: long and short forms of routes, and where a policy's time-out comes from."""
    policy = accepted(tmp_path, pool(fields) + "routing: {default_policy_timeout_ms: 70}\n").pools["a"].policy
    assert (policy.route, getattr(policy, name)) == (route, value)


def test_a_script_may_stand_in_a_file(tmp_path: Path) -> None:
    """Config §6.3: `script_file` holds the text of the script, whose references are left alone."""
    text = "[c for c in candidates if c.tier == '${x}']\n"
    (tmp_path / "s").write_text(text, encoding="utf-8")
    policy = accepted(tmp_path, pool(f"route: script, policy: {{script_file: {tmp_path / 's'}}}")).pools["a"].policy
    assert policy.script == text


def test_a_target_listed_twice_stands_once(tmp_path: Path) -> None:
    """Config §6.3: weights of one target are added, and the first entry's metadata is kept."""
    text = f"{BASE}pools: {{a: {{members: [{{target: m, weight: 2, tier: x}}, {{model: m, weight: 3, tier: y}}]}}}}\n"
    (only,) = accepted(tmp_path, text).pools["a"].members
    assert (only.weight, only.tier) == (5, "x")


def test_a_context_size_holds_wherever_its_model_is(tmp_path: Path) -> None:
    """Config §8, E09: a size that one member sets wins over none at the others."""
    text = f"{BASE}pools: {{a: {{members: [{{target: m}}]}}, b: {{members: [{{target: m, context_max: 9}}]}}}}\n"
    assert [pool.members[0].context_max for pool in accepted(tmp_path, text).pools.values()] == [9, 9]


@pytest.mark.parametrize(
    ("written", "environment", "value"),
    [
        ("tok", {}, "tok"),
        ("0123", {}, "0123"),
        ("yes", {}, "yes"),
        ("'${A}'", {"A": "t, {o}: [k] \"'#"}, "t, {o}: [k] \"'#"),
        ("'${A}-${B}'", {"A": "a", "B": "b"}, "a-b"),
        ("'$${A}'", {"A": "a"}, "$a"),
        ("'$A $ $$ $(A)'", {"A": "a"}, "$A $ $$ $(A)"),
        ("'${A}'", {"A": "${B}", "B": "b"}, "${B}"),
        ("'${A:-b}'", {}, "b"),
        ("'${A:-b}'", {"A": ""}, "b"),
        ("'${A:-b}'", {"A": "a"}, "a"),
        ("'${A:-b:-c}'", {}, "b:-c"),
        ("'${A:-$B}x'", {}, "$Bx"),
        ('"\\x24{A}"', {"A": "a"}, "${A}"),
        ('"\\x24{A}${A}$"', {"A": "a"}, "${A}a$"),
        ("{env: A}", {"A": " t "}, "t"),
    ],
)
def test_tokens_are_sources(written: str, environment: dict[str, str], value: str, tmp_path: Path) -> None:
    """Config §4 and X1: a token's template or reference gives the text that the file means."""
    loaded = read(tmp_path, f"{BASE}auth: {{mode: token, client_tokens: [{written}]}}\n", environment)
    assert loaded.config is not None
    assert [reveal(token, loaded.inputs) for token in loaded.config.auth.client_tokens] == [value]


@pytest.mark.parametrize("written", ["token", "' Token '", "TOKEN"])
def test_modes_are_trimmed_in_any_case(written: str, tmp_path: Path) -> None:
    """Config §6.1: the mode may be written in any case with blanks around it."""
    assert accepted(tmp_path, f"{BASE}auth: {{mode: {written}, client_tokens: [t]}}\n").auth.mode == "token"


def test_token_mode_needs_no_tokens_under_governance(tmp_path: Path) -> None:
    """Config §8, E13: keys replace the list."""
    text = f"{BASE}auth: {{mode: token}}\ngovernance: {{enabled: true, admin_token: t, db_path: {tmp_path}/k.db}}\n"
    assert accepted(tmp_path, text).governance.enabled


def test_keys_of_other_places_are_moved(tmp_path: Path) -> None:
    """Config §14, X19 and X21: keys of the other schema arrive at ours."""
    text = (
        "admin_listen: 127.0.0.1:9\nadvanced: {response_headers: {route_policy: false, server_timing: true}, "
        "rate_sweep_interval: 7, usage_flush_interval_ms: 70, worker_threads: 1}\n"
    )
    for sections in ("", "observability:\ngovernance:\nserver:\n", "observability: {emit_server_timing: }\n"):
        config = accepted(tmp_path, BASE + text + sections)
        assert config.governance.admin_listen == Listen(host="127.0.0.1", port=9)
        assert (config.governance.rate_sweep_interval, config.governance.usage_flush_interval_ms) == (7, 70)
        assert (config.observability.emit_route_headers, config.observability.emit_server_timing) == (False, True)
    assert accepted(tmp_path, f"{BASE}admin_listen:\ngovernance: {{admin_listen: a:1}}\n").governance.admin_listen


def test_moving_a_key_leaves_what_an_alias_shares_alone(tmp_path: Path) -> None:
    """Config §14, X21: a map that stands in two places by an alias gets no key that was moved to one of them."""
    text = f"{BASE}limits: &e {{}}\ngovernance: *e\nadmin_listen: a:1\n"
    assert accepted(tmp_path, text).governance.admin_listen == Listen(host="a", port=1)


def test_other_sections_are_read(tmp_path: Path) -> None:
    """Config §6.4 and X14, X24: sections of small records."""
    text = (
        "shutdown: {drain_timeout_secs: 0, readiness_delay_secs: 5}\nresponses: {stateful_fallback: drop}\n"
        "server: {reuse_port: true, proxy_protocol: v2, trusted_proxies: [10.0.0.1]}\nmetrics: {key_gauge_limit: 0}\n"
        "limits: {reasoning_effort_budgets: {low: 2048}, default_max_tokens: 9, pool_max_idle_per_host: 0}\n"
    )
    config = accepted(tmp_path, BASE + text)
    assert config.shutdown == Shutdown(drain_timeout_secs=0, readiness_delay_secs=5)
    assert config.dialects == {"responses": {"stateful_fallback": "drop"}}
    assert config.server == Server(reuse_port=True, proxy_protocol="v2", trusted_proxies=("10.0.0.1",))
    assert config.limits.reasoning_effort_budgets["low"] == 2048
    assert config.models["m"].default_max_tokens == 9


def test_stores_are_read(tmp_path: Path) -> None:
    """Config §14, X24: engines of keys and counters, whose addresses are secrets."""
    text = (
        "governance: {price_per_1m_tokens_cents: 5, store: {keys: {kind: postgres, url: 'postgres://u:${P}@db/x'}, "
        "counters: {kind: valkey, url: {env: V}, mode: lease, timeout_ms: 5, on_engine_error: deny}}}\n"
    )
    found = accepted(tmp_path, BASE + text, {"P": "hush"}).governance
    assert found.keys_store is not None
    assert found.counters_store is not None
    assert found.keys_store.url == Secret(kind="text", source="postgres://u:${P}@db/x")
    assert (found.counters_store.mode, found.counters_store.on_engine_error) == ("lease", "deny")


def named(config: Config) -> list[str]:
    """Return the names of the models."""
    return list(config.models)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("\ufeffmodels: {m: {provider: p}}\n" + PROVIDERS, ["m"]),
        ("models:\r\n  m:\r\n    provider: p\r\n" + PROVIDERS, ["m"]),
        ("%YAML 1.2\n---\n" + BASE + "...\n", ["m"]),
        ("x-a: &a {provider: p}\nmodels: {m: *a, n: *a}\n" + PROVIDERS, ["m", "n"]),
        ("x-a: &a {provider: q}\nmodels: {m: {<<: *a, provider: p}}\n" + PROVIDERS, ["m"]),
        ("x-a: &a {provider: p}\nx-b: &b {provider: q}\nmodels: {m: {<<: [*a, *b]}}\n" + PROVIDERS, ["m"]),
        ("x-a: &a {m: {provider: p}}\nmodels: {<<: *a, <<: {n: {provider: p}}}\n" + PROVIDERS, ["m", "n"]),
        ("x-a: &a m\nmodels: {*a : {provider: p}}\n" + PROVIDERS, ["m"]),
        ("x-a: &a q\nx-b: &a p\nmodels: {m: {provider: *a}}\n" + PROVIDERS, ["m"]),
        ("models: {1113: {provider: p}, 0123: {provider: p}}\n" + PROVIDERS, ["1113", "0123"]),
        ("models: {true: {provider: p}, ~: {provider: p}, 1.0: {provider: p}}\n" + PROVIDERS, ["true", "~", "1.0"]),
        ("models: {!!str m: {provider: !!str p}}\n" + PROVIDERS, ["m"]),
        (
            "models: {adminx: {provider: p}, Admin: {provider: p}, administrator/x: {provider: p}}\n" + PROVIDERS,
            ["adminx", "Admin", "administrator/x"],
        ),
        (
            "models: {org/model: {provider: p}, a b: {provider: p}, 'é#%': {provider: p}}\n" + PROVIDERS,
            ["org/model", "a b", "é#%"],
        ),
        ("models: {'a\u00a0b': {provider: p}, '\u200b': {provider: p}}\n" + PROVIDERS, ["a\u00a0b", "\u200b"]),
        ("models: {p: {provider: p}, openai: {provider: p}}\n" + PROVIDERS, ["p", "openai"]),
        ("models: {'${A}': {provider: '${B:-p}'}}\n" + PROVIDERS, ["x, y: z"]),
        ("models: {m: {provider: p}} # ${NOPE} ${ and ${}\n" + PROVIDERS, ["m"]),
        (
            "models: {\ue000: {provider: p}, \ue0010\ue001: {provider: p}, '${A}': {provider: p}}\n" + PROVIDERS,
            ["\ue000", "\ue0010\ue001", "x, y: z"],
        ),
        (
            'models: {"\\ue000${A}": {provider: p}, "\\uE0000\\U0000e000": {provider: p}}\n' + PROVIDERS,
            ["\ue000x, y: z", "\ue0000\ue000"],
        ),
        ("models: {m: {provider: p}}\nx-${A}: [${A}, {b: ${A}}]\n" + PROVIDERS, ["m"]),
        ("models: {}\nx-a: 1\nx-: [2]\n" + PROVIDERS, []),
        ("models: {hooks: {provider: p}}\n" + PROVIDERS, ["hooks"]),
    ],
)
def test_yaml_is_read_as_the_chapter_says(text: str, names: list[str], tmp_path: Path) -> None:
    """Config §1, §4, §7 and X22: anchors, merge keys, tags, names that stay text, and values that stay one text."""
    assert named(accepted(tmp_path, text, {"A": "x, y: z"})) == names


@pytest.mark.parametrize("name", ["hooks", "upstream_credentials"])
def test_a_pool_may_have_the_name_of_a_retired_key(name: str, tmp_path: Path) -> None:
    """Config §15: a map among the pools is a pool, whatever it is called."""
    text = f"{BASE}pools: {{{name}: {{members: [{{target: m}}]}}}}\n"
    assert isinstance(accepted(tmp_path, text).pools[name], Pool)


@pytest.mark.parametrize(
    ("text", "depth_or_nodes"),
    [
        (BASE + "x-a: " + "[" * 99 + "1" + "]" * 99, 100),
        (f"x-a: &a {'[' * 50}{']' * 50}\nx-b: {'[' * 49}*a{']' * 49}\n{BASE}", 100),
        (BASE + "x-a: [" + "1, " * 199_000 + "]", 200_000),
        (BASE + "#" * (8 * 1024 * 1024 - len(BASE)), 0),
    ],
    ids=("depth", "depth by an alias", "nodes", "bytes"),
)
def test_a_file_at_a_cap_is_read(text: str, depth_or_nodes: int, tmp_path: Path) -> None:
    """Config §1: what reaches a cap and does not pass it is accepted."""
    assert (named(accepted(tmp_path, text)), depth_or_nodes >= 0) == (["m"], True)


@pytest.mark.parametrize(
    ("name", "url", "allowed"),
    [
        ("otlp_endpoint", "http://localhost:4318/v1/traces", ""),
        ("otlp_endpoint", "https://u:${A}@collector.example", ""),
        ("otlp_endpoint", "http://collector:4318", "collector"),
        ("otlp_endpoint", "https://10.0.0.9", "10.0.0.9"),
        ("request_log_webhook_url", "https://logs.example/x", ""),
        ("request_log_webhook_url", "https://${A}@logs.example/x", ""),
        ("request_log_webhook_url", "http://192.168.0.9/x", "192.168.0.9"),
    ],
)
def test_sinks_are_templates(name: str, url: str, allowed: str, tmp_path: Path) -> None:
    """Config §6.4 and X15: a sink keeps its URL as it was written, so that no value of a variable is kept."""
    text = f"{BASE}observability: {{{name}: '{url}'}}\nsecurity: {{allow_sink_hosts: [{allowed}]}}\n"
    found = getattr(accepted(tmp_path, text, {"A": "hush"}).observability, name)
    assert found == Secret(kind="text", source=url)
