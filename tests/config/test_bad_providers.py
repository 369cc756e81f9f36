"""Wrong entries of the catalog and of `providers`, each by itself and merged."""

from pathlib import Path

import pytest

from tests.config.cases import BASE, MODELS, Row, check_row, provider, read


def at(base_url: str, more: str = "") -> str:
    """Return a deployment whose one provider is at this place."""
    return f"providers: {{p: {{api_key: none, protocol: openai, base_url: '{base_url}', {more}}}}}\n{MODELS}"


def deployed(name: str, more: str = "") -> str:
    """Return a deployment of a provider that the catalog defines."""
    return f"providers: {{{name}: {{api_key: none, {more}}}}}\nmodels: {{}}\n"


URL = "providers.p.base_url"
GOOD = "p: {protocol: openai, base_url: 'https://c.example'}\n"

CATALOG = [
    Row("an entry as a text", BASE, {"x": None}, {}, GOOD + "x: y\n"),
    Row("an empty entry", BASE, {"x": None}, {}, GOOD + "x:\n"),
    Row("without what is required", BASE, {"x.protocol": None, "x.base_url": None}, {}, GOOD + "x: {}\n"),
    Row("used, and without a place", deployed("x"), {"x.base_url": None}, {}, GOOD + "x: {protocol: bedrock}\n"),
    Row("used, and without a protocol", deployed("x"), {"x.protocol": None}, {}, "x: {base_url: 'https://b'}\n"),
    Row("protocol as a list", BASE, {"x.protocol": None}, {}, GOOD + "x: {protocol: [a], base_url: b}\n"),
    Row("classes as a list", BASE, {"x.error_map": None}, {}, GOOD + "x: {protocol: a, base_url: b, error_map: [c]}\n"),
    Row(
        "class as a map",
        BASE,
        {"x.error_map.c": None},
        {},
        GOOD + "x: {protocol: a, base_url: b, error_map: {c: {}}}\n",
    ),
    Row("health as a text", BASE, {"x.health": None}, {}, GOOD + "x: {protocol: a, base_url: b, health: active}\n"),
    Row(
        "interval as a text",
        BASE,
        {"x.health.interval_secs": "soon"},
        {},
        GOOD + "x: {protocol: a, base_url: b, health: {interval_secs: soon}}\n",
    ),
    Row(
        "hosts as a text",
        BASE,
        {"x.allow_metadata_hosts": None},
        {},
        GOOD + "x: {protocol: a, base_url: b, allow_metadata_hosts: c}\n",
    ),
    Row(
        "flag as a text", BASE, {"x.stream_usage": "no"}, {}, GOOD + "x: {protocol: a, base_url: b, stream_usage: no}\n"
    ),
    Row("protocol used", deployed("x"), {"x.protocol": "chat"}, {}, "x: {protocol: chat, base_url: 'https://b'}\n"),
    Row("base_url used", deployed("x"), {"x.base_url": "ftp://b"}, {}, "x: {protocol: openai, base_url: 'ftp://b'}\n"),
    Row("path used", deployed("x"), {"x.path": "v1"}, {}, "x: {protocol: openai, base_url: 'https://b', path: v1}\n"),
    Row(
        "auth used",
        deployed("x"),
        {"x.auth": "basic"},
        {},
        "x: {protocol: openai, base_url: 'https://b', auth: basic}\n",
    ),
    Row(
        "class used",
        deployed("x"),
        {"x.error_map.c": "bad"},
        {},
        "x: {protocol: openai, base_url: 'https://b', error_map: {c: bad}}\n",
    ),
    Row(
        "health used",
        deployed("x"),
        {"x.health.mode": "on", "x.health.timeout_secs": "0"},
        {},
        "x: {protocol: openai, base_url: 'https://b', health: {mode: on, timeout_secs: 0}}\n",
    ),
    Row(
        "hosts used",
        deployed("x"),
        {"x.allow_metadata_hosts[0]": "10.0.0.0/8"},
        {},
        "x: {protocol: openai, base_url: 'https://b', allow_metadata_hosts: [10.0.0.0/8]}\n",
    ),
    Row(
        "option used",
        deployed("x"),
        {"x.region": None},
        {},
        "x: {protocol: openai, base_url: 'https://b', region: us-east-1}\n",
    ),
    Row(
        "region used",
        deployed("x"),
        {"x.region": "mars"},
        {},
        "x: {protocol: bedrock, base_url: 'https://b', region: mars}\n",
    ),
    Row(
        "style of another schema",
        deployed("x"),
        {"x.auth": "jwt-bearer"},
        {},
        "x: {protocol: openai, base_url: 'https://b', auth: jwt-bearer}\n",
    ),
    Row("a list", BASE, {"": None}, {}, "- a\n"),
    Row("no YAML", BASE, {"": None}, {}, "a: [\n"),
    Row("duplicate", BASE, {"x": None}, {}, "x: {protocol: a, base_url: b}\n" * 2),
    Row(
        "no YAML, and a name at fault",
        BASE + "pools: {admin: {members: []}}\n",
        {"": None, "pools.admin": "admin", "pools.admin.members": None},
        {},
        "a: [\n",
    ),
]

UNDEFINED = [
    Row("not in the catalog", deployed("mystery"), {"providers.mystery": None}),
    Row("protocol missing", deployed("q", "base_url: 'https://b'"), {"providers.q": None}),
    Row("base_url missing", deployed("q", "protocol: openai"), {"providers.q": None}),
    Row("base_url of the wrong kind", deployed("q", "protocol: openai, base_url: [a]"), {"providers.q.base_url": None}),
    Row("template of a vendor", deployed("azure"), {"providers.azure": None}),
    Row("null", "providers: {q: }\nmodels: {}\n", {"providers.q": None, "providers.q.api_key_env": None}),
    Row("another case", deployed("OpenAI"), {"providers.OpenAI": None}),
]

FIELDS = [
    Row("protocol", BASE.replace("openai", "OpenAI"), {"providers.p.protocol": "OpenAI"}),
    Row("empty protocol", BASE.replace("openai", "''"), {"providers.p.protocol": ""}),
    Row("protocol by a list", BASE.replace("openai", "[openai]"), {"providers.p.protocol": None}),
    Row("auth", provider("auth: basic"), {"providers.p.auth": "basic"}),
    Row("empty auth", provider("auth: ''"), {"providers.p.auth": ""}),
    Row("style jwt", provider("auth: jwt-bearer"), {"providers.p.auth": "jwt-bearer"}),
    Row("style oauth", provider("auth: oauth-client-credentials"), {"providers.p.auth": "oauth-client-credentials"}),
    Row("path without a slash", provider("path: v1/chat"), {"providers.p.path": "v1/chat"}),
    Row("empty path", provider("path: ''"), {"providers.p.path": ""}),
    Row("path that lengthens the host", provider("path: .evil.example/x"), {"providers.p.path": ".evil.example/x"}),
    Row("path of userinfo", provider("path: '@evil.example/'"), {"providers.p.path": "@evil.example/"}),
    Row("backslash in a path", provider("path: '/a\\b'"), {"providers.p.path": "/a\\b"}),
    Row("fragment in a path", provider("path: '/a#b'"), {"providers.p.path": "/a#b"}),
    Row("blank in a path", provider("path: '/a b'"), {"providers.p.path": "/a b"}),
    Row("wide blank in a path", provider("path: '/a\u3000b'"), {"providers.p.path": "/a\\u3000b"}),
    Row("new line in a path", provider('path: "/a\\nb"'), {"providers.p.path": "/a\\nb"}),
    Row("path_base of another protocol", provider("path_base: /v1"), {"providers.p.path_base": None}),
    Row(
        "path and path_base",
        deployed("gemini", "path: '/{model}', path_base: /v1"),
        {"providers.gemini.path_base": None},
    ),
    Row("path_base without a slash", deployed("gemini", "path_base: v1"), {"providers.gemini.path_base": "v1"}),
    Row("class", provider("error_map: {'1': quota}"), {"providers.p.error_map.1": "quota"}),
    Row(
        "two classes",
        provider("error_map: {a: quota, b.c: ''}"),
        {"providers.p.error_map.a": "quota", 'providers.p.error_map."b.c"': ""},
    ),
    Row("class as a list", provider("error_map: {a: [auth]}"), {"providers.p.error_map.a": None}),
    Row("classes as a list", provider("error_map: [a]"), {"providers.p.error_map": None}),
    Row("mode", provider("health: {mode: alive}"), {"providers.p.health.mode": "alive"}),
    Row("interval", provider("health: {interval_secs: 0}"), {"providers.p.health.interval_secs": "0"}),
    Row("timeout", provider("health: {timeout_secs: 0}"), {"providers.p.health.timeout_secs": "0"}),
    Row("health as a word", provider("health: active"), {"providers.p.health": None}),
    Row(
        "a range of hosts",
        provider("allow_metadata_hosts: [10.0.0.0/8]"),
        {"providers.p.allow_metadata_hosts[0]": "10.0.0.0/8"},
    ),
    Row(
        "a URL with userinfo as a host",
        provider("allow_metadata_hosts: [a, 'https://u:hush@b/']"),
        {"providers.p.allow_metadata_hosts[1]": "https://***@b/"},
        secrets=("hush",),
    ),
    Row("allow_plaintext", provider("allow_plaintext: 1"), {"providers.p.allow_plaintext": "1"}),
    Row("region of another protocol", provider("region: us-east-1"), {"providers.p.region": None}),
    Row("version of another protocol", provider("anthropic_version: '1'"), {"providers.p.anthropic_version": None}),
    Row(
        "usage of another protocol",
        deployed("anthropic", "stream_usage: true"),
        {"providers.anthropic.stream_usage": None},
    ),
    Row("empty region", deployed("bedrock", "region: ''"), {"providers.bedrock.region": ""}),
    *(
        Row(f"region {text}", deployed("bedrock", f'region: "{text}"'), {"providers.bedrock.region": text})
        for text in ("eu-west", "EU-West-1", " eu-west-1", "eu-west-1.evil.example", "eu-west-\uff11")
    ),
    Row(
        "region that begins a field",
        deployed("bedrock", 'region: "eu-west-1\\r\\nx: y"'),
        {"providers.bedrock.region": "eu-west-1\\r\\nx: y"},
    ),
    Row(
        "version that begins a field",
        deployed("anthropic", 'anthropic_version: "2023-06-01\\r\\nx: y"'),
        {"providers.anthropic.anthropic_version": "2023-06-01\\r\\nx: y"},
    ),
    *(
        Row(
            f"version {text}",
            deployed("anthropic", f'anthropic_version: "{text}"'),
            {"providers.anthropic.anthropic_version": text},
        )
        for text in ("a b", "2023-06-01 ", "\u00e9")
    ),
    Row("stream_usage", provider("stream_usage: 'true'"), {"providers.p.stream_usage": "true"}),
]

KEYS = [
    Row("no key", provider("").replace("api_key: none, ", ""), {"providers.p.api_key_env": None}),
    Row("empty name", provider("api_key_env: ''").replace("api_key: none, ", ""), {"providers.p.api_key_env": ""}),
    Row("null name", provider("api_key_env: ").replace("api_key: none, ", ""), {"providers.p.api_key_env": None}),
    Row(
        "name as a list", provider("api_key_env: [A]").replace("api_key: none, ", ""), {"providers.p.api_key_env": None}
    ),
    Row(
        "unset name", provider("api_key_env: '${A}'").replace("api_key: none, ", ""), {"providers.p.api_key_env": None}
    ),
    Row("plain key", provider("").replace("none", "sk-hush"), {"providers.p.api_key": "***"}, secrets=("hush",)),
    Row(
        "key of a variable",
        provider("").replace("none", "'${A}'"),
        {"providers.p.api_key": "***"},
        {"A": "sk-hush"},
        "",
        ("hush",),
    ),
    Row("None", provider("").replace("none", "None"), {"providers.p.api_key": "***"}),
    Row("key as a list", provider("").replace("none", "[hush]"), {"providers.p.api_key": "***"}, secrets=("hush",)),
    Row("none and a name", provider("api_key_env: A"), {"providers.p.api_key": "none"}, {"A": "hush"}, "", ("hush",)),
    Row(
        "both",
        provider("api_key_env: A").replace("none", "{env: B}"),
        {"providers.p.api_key": None},
        {"A": "hush"},
        "",
        ("hush",),
    ),
    Row("no reference", provider("").replace("none", "{}"), {"providers.p.api_key": None}),
    Row("two references", provider("").replace("none", "{env: A, file: B}"), {"providers.p.api_key": None}),
    Row("module", provider("").replace("none", "{module: vault}"), {"providers.p.api_key.module": None}),
    Row(
        "unknown reference",
        provider("").replace("none", "{vault: hush}"),
        {"providers.p.api_key.vault": None},
        secrets=("hush",),
    ),
    Row("empty reference", provider("").replace("none", "{env: ''}"), {"providers.p.api_key.env": ""}),
    Row("null reference", provider("").replace("none", "{file: }"), {"providers.p.api_key.file": None}),
    Row("reference as a list", provider("").replace("none", "{env: [A]}"), {"providers.p.api_key.env": None}),
    Row("file missing", provider("").replace("none", "{file: /nowhere/key}"), {"providers.p.api_key": None}),
    Row("file with NUL", provider("").replace("none", '{file: "a\\0b"}'), {"providers.p.api_key": None}),
    Row("a folder", provider("").replace("none", "{file: /}"), {"providers.p.api_key": None}),
    *(
        Row(
            f"half a pair {number}",
            deployed("bedrock", "api_key_env: PAIR").replace("api_key: none, ", ""),
            {"providers.bedrock.api_key_env": None},
            {"PAIR": pair},
            "",
            ("hush",),
        )
        for number, pair in enumerate((":hush", "hush:", "hush::hush", "::hush", "hush\u00e9:hush", "hush:hu\u00e9sh"))
    ),
]

URLS = [
    Row("empty", at(""), {URL: ""}),
    Row("no scheme", at("up.example"), {URL: "up.example"}),
    Row("no host", at("https://"), {URL: "https://"}),
    Row("other scheme", at("ftp://up.example"), {URL: "ftp://up.example"}),
    Row("plain http", at("http://up.example"), {URL: "http://up.example"}),
    Row("plain http to a public address", at("http://8.8.8.8"), {URL: "http://8.8.8.8"}),
    Row("odd spelling of it", at("http://0x08080808"), {URL: "http://0x08080808"}),
    Row("blank", at("https://up.example/a b"), {URL: "https://up.example/a b"}),
    Row("backslash", at("https://up.example\\a"), {URL: "https://up.example\\a"}),
    Row("userinfo", at("https://u:hush@up.example"), {URL: "https://***@up.example"}, secrets=("hush",)),
    Row(
        "userinfo of a variable",
        at("https://${A}@up.example"),
        {URL: "https://***@up.example"},
        {"A": "u:hu/sh"},
        "",
        ("hu/sh",),
    ),
    Row("userinfo and one slash", at("https:/u:hush@up.example"), {URL: "***@up.example"}, secrets=("hush",)),
    Row("userinfo without a scheme", at("u:hush@up.example"), {URL: "***@up.example"}, secrets=("hush",)),
    Row("two schemes", at("https://https://u:hush@up.example"), {URL: "https://***@up.example"}, secrets=("hush",)),
    Row("query", at("https://up.example/?a=b"), {URL: "https://up.example/?***"}),
    Row("fragment", at("https://up.example/#a"), {URL: "https://up.example/#a"}),
    Row("empty port", at("https://up.example:"), {URL: "https://up.example:"}),
    Row("no port", at("https://up.example:x"), {URL: "https://up.example:x"}),
    Row("zone", at("https://[fe80::1%251]"), {URL: "https://[fe80::1%251]"}),
    Row("empty label", at("https://up..example"), {URL: "https://up..example"}),
    Row("a number that is no address", at("https://1.2.3.4.5"), {URL: "https://1.2.3.4.5"}),
    Row("metadata address", at("https://169.254.169.254"), {URL: "https://169.254.169.254"}),
    Row("over http", at("http://169.254.169.254/x"), {URL: "http://169.254.169.254/x"}),
    Row("as a number", at("http://2852039166"), {URL: "http://2852039166"}),
    Row("as octal", at("http://0251.0376.0251.0376"), {URL: "http://0251.0376.0251.0376"}),
    Row("inside IPv6", at("https://[::ffff:169.254.169.254]"), {URL: "https://[::ffff:169.254.169.254]"}),
    Row("metadata name", at("https://Metadata.Google.Internal."), {URL: "https://Metadata.Google.Internal."}),
    Row("AWS over IPv6", at("https://[fd00:ec2::254]"), {URL: "https://[fd00:ec2::254]"}),
    Row(
        "blocked by the operator",
        at("https://imds.corp") + "security: {blocked_metadata_hosts: [IMDS.corp.]}\n",
        {URL: "https://imds.corp"},
    ),
    Row(
        "allowed for another",
        f"providers: {{p: {{api_key: none, protocol: openai, base_url: 'https://169.254.1.1'}}, q: {{api_key: none, "
        f"protocol: openai, base_url: 'https://b', allow_metadata_hosts: [169.254.1.1]}}}}\n{MODELS}",
        {URL: "https://169.254.1.1"},
    ),
    Row(
        "plaintext does not open the denylist",
        at("http://169.254.169.254", "allow_plaintext: true"),
        {URL: "http://169.254.169.254"},
    ),
    Row(
        "the deployment's empty list replaces the catalog's",
        deployed("x", "allow_metadata_hosts: []"),
        {"x.base_url": "https://169.254.1.1"},
        {},
        "x: {protocol: openai, base_url: 'https://169.254.1.1', allow_metadata_hosts: [169.254.1.1]}\n",
    ),
]


@pytest.mark.parametrize("row", CATALOG, ids=str)
def test_a_malformed_catalog_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §5: every entry is decoded, and the values of those that are used are checked, at their own place."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", UNDEFINED, ids=str)
def test_a_provider_that_nobody_defines_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §8, E01: a provider stands in the catalog or has `protocol` and `base_url` (X4)."""
    check_row(row, tmp_path)


def test_an_undefined_provider_names_what_is_missing_and_the_catalog(tmp_path: Path) -> None:
    """Config §14, X4: the error names the field that is missing, and §8 the catalog."""
    text = "providers: {q: {api_key: none, protocol: openai}, grok: {api_key: none}}\nmodels: {}\n"
    reasons = [
        error.reason for error in read(tmp_path, text, {}, "groq: {protocol: openai, base_url: b}\n").complaints.errors
    ]
    assert "base_url missing" in reasons[0]
    assert "protocol and base_url missing; did you mean `groq`?" in reasons[1]
    assert all("providers.yaml" in reason for reason in reasons)


@pytest.mark.parametrize("row", FIELDS, ids=str)
def test_a_wrong_field_of_a_provider_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §5 and §6.2: each cell of "Refused when", and options of another protocol (X8, X24)."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", KEYS, ids=str)
def test_a_key_in_the_wrong_place_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.2 and X1: a key comes from one variable or file, and is never shown."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", URLS, ids=str)
def test_a_url_that_guard_a_refuses_is_an_error(row: Row, tmp_path: Path) -> None:
    """Config §10, E07 and E08: guard A judges base_url, and its userinfo is never shown."""
    check_row(row, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b" \n", "empty"), (b"k" * 65537, "larger than 65536 bytes"), (b"\xff", "not valid UTF-8")],
)
def test_a_file_without_a_usable_key_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    """Config §14, X1: an empty file, one over 64 KiB and one that is no text are errors that name the path."""
    file = tmp_path / "key"
    file.write_bytes(content)
    errors = read(tmp_path, provider("").replace("none", f"{{file: {file}}}")).complaints.errors
    assert [error.reason for error in errors] == [f"{file}: {said}"]


def test_a_denied_host_names_the_three_exceptions(tmp_path: Path) -> None:
    """Config §8, E08: the error says what would let the host through."""
    reason = read(tmp_path, at("https://169.254.169.254")).complaints.errors[0].reason
    for exception in ("allow_metadata_hosts", "security.allow_metadata_hosts", "security.allow_all_metadata"):
        assert exception in reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BASE.replace("openai", "x"), "anthropic openai gemini bedrock responses cohere"),
        (
            provider("error_map: {a: x}"),
            "rate_limit overloaded server_error timeout network auth billing client_error context_length",
        ),
        (provider("auth: x"), "bearer api-key"),
        (provider("health: {mode: x}"), "none dead active"),
    ],
)
def test_an_unknown_word_lists_those_allowed(text: str, words: str, tmp_path: Path) -> None:
    """Config §8, E06: what is allowed is listed in full."""
    reason = read(tmp_path, text).complaints.errors[0].reason
    assert [word for word in words.split() if word not in reason] == []
