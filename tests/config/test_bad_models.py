"""Wrong models, wrong names, wrong numbers and flags, and the keys of another schema."""

from pathlib import Path

import pytest

from tests.config.cases import BASE, MODELS, PROVIDERS, Row, check_row, member, model, pool, provider, read

MODEL = [
    Row("no provider", f"{PROVIDERS}models: {{m: {{}}}}\n", {"models.m.provider": None}),
    Row("null model", f"{PROVIDERS}models: {{m: }}\n", {"models.m.provider": None}),
    Row("null provider", f"{PROVIDERS}models: {{m: {{provider: }}}}\n", {"models.m.provider": None}),
    Row("empty provider", f"{PROVIDERS}models: {{m: {{provider: ''}}}}\n", {"models.m.provider": ""}),
    Row("unknown provider", f"{PROVIDERS}models: {{m: {{provider: q}}}}\n", {"models.m.provider": "q"}),
    Row("only in the catalog", f"{PROVIDERS}models: {{m: {{provider: openai}}}}\n", {"models.m.provider": "openai"}),
    Row("provider as a list", f"{PROVIDERS}models: {{m: {{provider: [p]}}}}\n", {"models.m.provider": None}),
    Row("wrong provider, model at fault", f"providers: {{p: x}}\n{MODELS}", {"providers.p": None}),
    Row("max_concurrent 0", model("max_concurrent: 0"), {"models.m.max_concurrent": "0"}),
    Row("max_concurrent negative", model("max_concurrent: -1"), {"models.m.max_concurrent": "-1"}),
    Row("max_requests 0", model("max_requests: 0"), {"models.m.max_requests": "0"}),
    Row("max_requests -0", model("max_requests: -0"), {"models.m.max_requests": "-0"}),
    Row("default_max_tokens", model("default_max_tokens: 0"), {"models.m.default_max_tokens": "0"}),
    Row("upstream_model blank", model("upstream_model: ' '"), {"models.m.upstream_model": " "}),
    Row("upstream_model null byte", model('upstream_model: "a\\0"'), {"models.m.upstream_model": "a\\x00"}),
    Row("upstream_model with a line", model('upstream_model: "a\\Lb"'), {"models.m.upstream_model": "a\\u2028b"}),
    Row("attempt_timeout_ms", model("attempt_timeout_ms: 0"), {"models.m.attempt_timeout_ms": "0"}),
    Row("reasoning", model("reasoning: on"), {"models.m.reasoning": "on"}),
    Row("prompt_caching", model("prompt_caching: 1"), {"models.m.prompt_caching": "1"}),
    Row("token_limit_field", model("token_limit_field: max"), {"models.m.token_limit_field": "max"}),
    Row("tool_id_style", model("tool_id_style: uuid"), {"models.m.tool_id_style": "uuid"}),
    Row("schema_dialect", model("schema_dialect: ''"), {"models.m.schema_dialect": ""}),
    Row("inline_system", model("inline_system: x"), {"models.m.inline_system": "x"}),
    Row("hosted_tools", model("hosted_tools: keep"), {"models.m.hosted_tools": "keep"}),
    Row("hosted_tools as a flag", model("hosted_tools: true"), {"models.m.hosted_tools": "true"}),
]

NAMES = [
    *(
        Row(
            f"all called {name!r}",
            f"providers: {{{quoted}: {{api_key: none, protocol: openai, base_url: 'https://up.example'}}}}\n"
            f"models: {{{quoted}: {{provider: {quoted}}}}}\n",
            {f"providers.{shown}": value, f"models.{shown}": value},
        )
        for name, quoted, shown, value in (
            ("admin", "admin", "admin", "admin"),
            ("admin/", "admin/", "admin/", "admin/"),
            ("admin/x", "admin/x", "admin/x", "admin/x"),
            (" a", "' a'", " a", " a"),
            ("a ", "'a '", "a ", "a "),
            ("a\t", '"a\\t"', "a\\t", "a\\t"),
            ("a\tb", '"a\\tb"', "a\\tb", "a\\tb"),
            ("a\x85b", '"a\\Nb"', "a\\x85b", "a\\x85b"),
        )
    ),
    Row("empty", f"{BASE}pools: {{'': {{members: [{{target: m}}]}}}}\n", {'pools.""': ""}),
    Row("blank", f"{BASE}pools: {{' ': {{members: [{{target: m}}]}}}}\n", {"pools. ": " "}),
    Row("pool admin", f"{BASE}pools: {{admin: {{members: [{{target: m}}]}}}}\n", {"pools.admin": "admin"}),
    Row("pool is a model", f"{BASE}pools: {{m: {{members: [{{target: m}}]}}}}\n", {"pools.m": "m"}),
    Row("pool is a provider", f"{BASE}pools: {{p: {{members: [{{target: m}}]}}}}\n", {"pools.p": "p"}),
    Row(
        "names by variables", f"{BASE}pools: {{'${{A}}': {{members: [{{target: m}}]}}}}\n", {"pools.m": "m"}, {"A": "m"}
    ),
]

COUNT = "models.m.max_concurrent"
NUMBERS = [
    *(
        Row(f"no number: {text}", model(f"max_concurrent: {text}"), {COUNT: text.strip("'\"")})
        for text in (
            "1.0",
            "1.5",
            "1e3",
            "'5'",
            '"5"',
            "1_000",
            "1:30",
            "0777",
            "-01",
            "+-1",
            "0x",
            "0xg",
            "0X1F",
            "0b2",
            "0o8",
            "-0x1",
            "five",
            "true",
            ".inf",
            "\uff15",
            "''",
            "2026-01-31",
        )
    ),
    Row("a list", model("max_concurrent: [5]"), {COUNT: None}),
    Row("a map", model("max_concurrent: {a: 5}"), {COUNT: None}),
    Row("a string by tag", model("max_concurrent: !!str 5"), {COUNT: "5"}),
    Row("a string by a bare tag", model("max_concurrent: ! 5"), {COUNT: "5"}),
    Row("a block", PROVIDERS + "models:\n  m:\n    provider: p\n    max_concurrent: |-\n      5\n", {COUNT: "5"}),
    Row("63 bits", model("max_concurrent: 9223372036854775808"), {COUNT: "9223372036854775808"}),
    Row("hex beyond", model("max_concurrent: 0x8000000000000000"), {COUNT: "0x8000000000000000"}),
    Row("very long", model(f"max_concurrent: {'9' * 5000}"), {COUNT: "9" * 200 + "…"}),
    Row("64 bits up", model("max_requests: 9223372036854775808"), {"models.m.max_requests": "9223372036854775808"}),
    Row("64 bits down", model("max_requests: -9223372036854775809"), {"models.m.max_requests": "-9223372036854775809"}),
    Row("32 bits: tokens", model("default_max_tokens: 4294967296"), {"models.m.default_max_tokens": "4294967296"}),
    Row("32 bits: weight", member("weight: 4294967296"), {"pools.a.members[0].weight": "4294967296"}),
    Row("32 bits: n", pool("breaker: {trip: {n: 4294967296}}"), {"pools.a.breaker.trip.n": "4294967296"}),
    Row(
        "32 bits: sweep",
        BASE + "governance: {rate_sweep_interval: 4294967296}\n",
        {"governance.rate_sweep_interval": "4294967296"},
    ),
    Row(
        "64 bits: price",
        BASE + "governance: {price_per_request_cents: 9223372036854775808}\n",
        {"governance.price_per_request_cents": "9223372036854775808"},
    ),
    *(
        Row(
            f"no float: {text}", member(f"cost_per_mtok: {text}"), {"pools.a.members[0].cost_per_mtok": text.strip("'")}
        )
        for text in (
            ".nan",
            ".NaN",
            ".inf",
            "-.Inf",
            "+.INF",
            "1e999",
            "'1.5'",
            "1.2.3",
            "1e",
            "nan",
            "inf",
            "0x10",
            "0777",
            ".",
            "e5",
            "1_0.0",
        )
    ),
    Row("negative price", member("cost_per_mtok: -1"), {"pools.a.members[0].cost_per_mtok": "-1"}),
    *(
        Row(
            f"no flag: {text}", provider(f"allow_plaintext: {text}"), {"providers.p.allow_plaintext": text.strip("'\"")}
        )
        for text in ("yes", "no", "on", "off", "y", "1", "0", "tRUE", "'true'", '"false"', "''")
    ),
    Row("a flag as a list", provider("allow_plaintext: [true]"), {"providers.p.allow_plaintext": None}),
]

RETIRED = [
    *(
        Row(name, f"{BASE}{name}: {{a: 1}}\n", {name: None})
        for name in (
            "groups",
            "rate_card",
            "per_request_fee",
            "store",
            "identity-providers",
            "export",
            "hooks",
            "global_hooks",
            "plugins",
            "secrets",
            "config",
            "public_url",
            "admin_tls",
            "admin_require_mtls",
        )
    ),
    *(
        Row(f"auth.{name}", f"{BASE}auth: {{{name}: hush}}\n", {f"auth.{name}": None}, secrets=("hush",))
        for name in ("token", "chain", "admin_auth", "signing_key", "key_ttl", "role_bindings")
    ),
    *(
        Row(f"limits.{name}", f"{BASE}limits: {{{name}: 5}}\n", {f"limits.{name}": None})
        for name in ("max_keys_per_principal", "max_auto_provisioned_groups")
    ),
    *(
        Row(f"providers.*.{name}", provider(f"{name}: x"), {f"providers.p.{name}": None})
        for name in ("token_url", "scope", "subject")
    ),
    Row("pools.*.hooks", pool("hooks: [x]"), {"pools.a.hooks": None}),
    Row("pools.hooks", f"{BASE}pools: {{hooks: [x]}}\n", {"pools.hooks": None}),
    Row(
        "pools.upstream_credentials",
        f"{BASE}pools: {{upstream_credentials: hush}}\n",
        {"pools.upstream_credentials": "***"},
        secrets=("hush",),
    ),
    Row("auth: jwt-bearer", provider("auth: jwt-bearer"), {"providers.p.auth": "jwt-bearer"}),
    Row(
        "auth: oauth-client-credentials",
        provider("auth: oauth-client-credentials"),
        {"providers.p.auth": "oauth-client-credentials"},
    ),
]
# What the error points to, by the key.
PLACES = {
    "groups": "`governance`",
    "rate_card": "`governance`",
    "per_request_fee": "`governance`",
    "store": "`governance.store`",
    "identity-providers": "`auth.mode`",
    "auth.token": "`auth.client_tokens`",
    "auth.chain": "`auth.client_tokens`",
    "auth.admin_auth": "`governance`",
    "auth.signing_key": "`auth.mode`",
    "auth.key_ttl": "`auth.mode`",
    "auth.role_bindings": "`auth.mode`",
    "export": "`observability`",
    "hooks": "`policy`",
    "global_hooks": "`route`",
    "pools.*.hooks": "`policy`",
    "pools.hooks": "`policy`",
    "pools.upstream_credentials": "`auth.mode: passthrough`",
}


@pytest.mark.parametrize("row", MODEL, ids=str)
def test_a_wrong_model_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.2, E02, X5, X6, X7, X23 and X24: each cell of "Refused when" of a model."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", NAMES, ids=str)
def test_a_name_that_cannot_be_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §7, E04 and E05: reserved names, collisions, blanks and control characters."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", NUMBERS, ids=str)
def test_a_scalar_of_the_wrong_type_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §1: integers, floats and flags as YAML 1.2 knows them, each within its width."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", RETIRED, ids=str)
def test_a_key_of_another_schema_is_refused_by_name(row: Row, tmp_path: Path) -> None:
    """Config §15, governance case 3: a key of the 1.5 schema is an error at its path; the text gives its place."""
    check_row(row, tmp_path)
    reason = read(tmp_path, row.text).complaints.errors[0].reason
    assert PLACES.get(row.name, "here") in reason
    assert "removed" in reason if row.name == "auth.token" else "1.5" in reason or row.name.startswith("auth: ")


def test_both_kinds_of_collision_are_told_apart(tmp_path: Path) -> None:
    """Config §8, E05: a pool named like a model and a provider at once has two errors, which name the kinds."""
    text = f"{PROVIDERS}models: {{p: {{provider: p}}}}\npools: {{p: {{members: [{{target: p}}]}}}}\n"
    reasons = [error.reason for error in read(tmp_path, text).complaints.errors]
    assert ["models" in reasons[0], "providers" in reasons[1]] == [True, True]
