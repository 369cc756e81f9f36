"""From files to a checked configuration: what is read and remembered, and that nothing ever raises or leaks."""

import marshal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.config import files
from busbar_fast.config import load as loading
from busbar_fast.config.complaints import Mark
from busbar_fast.config.load import load
from busbar_fast.config.record import pack, unpack
from busbar_fast.config.vocabulary import Vocabulary
from busbar_fast.observe import log
from busbar_fast.wire.parsers import choice
from tests.config.cases import (
    BASE,
    VOCABULARY,
    accepted,
    check_secrets,
    everything,
    paths_of,
    pool,
    read,
    soon,
    warnings_of,
)


def test_a_deployment_file_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    """Config §2: the error names the path, the reason and how to name another file."""
    for name, reason in (
        ("none", "No such file or directory"),
        ("a\0b", "no file can have this name"),
        ("", "Is a directory"),
    ):
        loaded = load(f"{tmp_path}/{name}", None, {}, VOCABULARY)
        (error,) = loaded.complaints.errors
        assert (loaded.config, error.mark) == (None, Mark(file=f"{tmp_path}/{name}"))
        assert error.reason == f"cannot be read: {reason}; name another with --config or BUSBAR_CONFIG"


@pytest.mark.parametrize("where", ["named", "field", "neighbour"])
def test_a_catalog_that_cannot_be_read_is_one_error(where: str, tmp_path: Path) -> None:
    """Config §2: a catalog that is named or there has to be readable; providers are not complained about then."""
    text = BASE + ("providers_file: none\n" if where == "field" else "") + "pools: {p: {members: [{target: m}]}}\n"
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    if where == "neighbour":
        (tmp_path / "providers.yaml").mkdir()
    loaded = load(str(tmp_path / "c.yaml"), str(tmp_path / "none") if where == "named" else None, {}, VOCABULARY)
    assert paths_of(loaded.complaints.errors) == ["", "pools.p"]
    assert "BUSBAR_PROVIDERS" in loaded.complaints.errors[0].reason


def test_a_named_catalog_wins(tmp_path: Path) -> None:
    """Config §2: flag and variable come before `providers_file`."""
    (tmp_path / "named.yaml").write_text("q: {protocol: openai, base_url: 'https://q'}\n", encoding="utf-8")
    (tmp_path / "c.yaml").write_text(
        "providers_file: none\nproviders: {q: {api_key: none}}\nmodels: {}\n", encoding="utf-8"
    )
    loaded = load(str(tmp_path / "c.yaml"), str(tmp_path / "named.yaml"), {}, VOCABULARY)
    assert loaded.config is not None
    assert loaded.config.catalog_file == str(tmp_path / "named.yaml")


def test_a_broken_catalog_hides_no_missing_providers(tmp_path: Path) -> None:
    """Config §6.1: that `providers` is missing is said beside what is wrong with the catalog."""
    assert sorted(paths_of(read(tmp_path, "models: {}\n", {}, "- x\n").complaints.errors)) == ["", "providers"]


def test_what_was_read_is_remembered(tmp_path: Path) -> None:
    """Config §12: every file and variable that the configuration was made from is an input, absent ones too."""
    (tmp_path / "key").write_text("k", encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    text = (
        "providers: {p: {api_key_env: K, protocol: openai, base_url: 'https://${HOST}'}, "
        f"q: {{api_key: {{file: {tmp_path}/key}}, protocol: openai, base_url: 'https://u'}}}}\nmodels: {{}}\n"
    )
    seen = {(kind, name): content for kind, name, content in read(tmp_path, text, {"HOST": "h"}).inputs.seen}
    assert seen["file", str(tmp_path / "config.yaml")] == text.encode()
    assert (seen["file", str(tmp_path / "key")], seen["file", str(tmp_path / "providers.yaml")]) == (b"k", None)
    assert ("file", files.PACKAGED) in seen
    assert (seen["env", "HOST"], seen["env", "K"]) == (b"h", None)
    assert ("env", "RUST_LOG") in seen


def test_missing_features_are_kept_apart(tmp_path: Path) -> None:
    """Config §1: a right key whose feature is missing refuses nothing while it is only checked."""
    text = (
        "providers: {p: {api_key: none, protocol: openai, base_url: 'https://u', stream_usage: false}}\n"
        "models: {m: {provider: p, attempt_timeout_ms: 5}}\ngovernance: {key_refresh_secs: 5}\n"
        "auth: {mode: token, client_tokens: [t]}\n"
    )
    loaded = read(tmp_path, text)
    assert loaded.config is not None
    assert paths_of(loaded.complaints.unavailable) == ["governance.key_refresh_secs"]


def test_every_error_has_the_line_it_is_about(tmp_path: Path) -> None:
    """Config §1: an error line names file, line, path, reason and value."""
    text = (
        "providers:\n  p:\n    api_key: none\n    protocol: nope\n    base_url: https://u\n"
        "models:\n  m:\n    provider: q\n"
    )
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    lines = [str(error).removeprefix(f"{tmp_path}/") for error in read(tmp_path, text).complaints.errors]
    assert lines[0].startswith("config.yaml:4: providers.p.protocol: must be one of anthropic, ")
    assert lines[0].endswith(" (got nope)")
    assert lines[1] == "config.yaml:8: models.m.provider: no provider of this name (got q)"


def test_an_error_of_the_catalog_names_the_catalog(tmp_path: Path) -> None:
    """Config §5: what a catalog's entry has wrong is reported in the catalog, what the deployment changed there."""
    catalog = "p:\n  protocol: openai\n  base_url: ftp://c\n  path: x\n"
    errors = read(tmp_path, "providers: {p: {api_key: none, path: y}}\nmodels: {}\n", {}, catalog).complaints.errors
    assert [(Path(error.mark.file).name, error.mark.line) for error in errors] == [
        ("providers.yaml", 3),
        ("config.yaml", 1),
    ]
    errors = read(
        tmp_path, "providers: {p: {api_key: none, path: y}}\nmodels: {}\n", {}, catalog.replace("ftp", "https")
    ).complaints.errors
    assert [(Path(error.mark.file).name, error.path) for error in errors] == [
        ("config.yaml", ("providers", "p", "path"))
    ]


def test_log_levels_and_proxies_are_looked_at(tmp_path: Path) -> None:
    """Config §2: what the environment asks for in vain is warned about."""
    environment = {"RUST_LOG": "Trace", "BUSBAR_LOG": "all", "http_proxy": "x"}
    assert warnings_of(read(tmp_path, BASE, environment)) == [
        ("W1", "auth"),
        ("W19", "http_proxy"),
        ("W20", "BUSBAR_LOG"),
    ]


alphabet = st.sampled_from("ab:-[]{}&*!<>|'\"#?,%@ \n\t$\\0")
# Words of the schema, so that a random document gets further than its first key.
WORDS = """
    providers models pools p m a openai none api_key api_key_env protocol base_url members target weight https://u http://x
    auth mode token client_tokens limits max_headers governance enabled true false admin_token on_exhausted action queue
    max_ms fallback_pool breaker trip policy name url route webhook native 0 1 -1 0.5 tls cert_file key_file env file <<
""".split()  # noqa: SIM905  a list would take a page
leaf = st.sampled_from(WORDS) | st.none() | st.text(max_size=3)
documents = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=40,
)


def check_any(folder: Path, raw: bytes, catalog: str = "") -> None:
    """Demand complaints or a configuration, soon."""
    with soon():
        loaded = read(folder, raw, {"A": "x"}, catalog)
    assert (loaded.config is None) is bool(loaded.complaints.errors)
    assert all("\n" not in str(complaint) for complaint in everything(loaded))
    if loaded.config is not None:
        assert unpack(marshal.loads(marshal.dumps(pack(loaded.config)))) == loaded.config  # noqa: S302  written just now


@settings(deadline=None)
@given(st.binary() | st.text(alphabet).map(str.encode) | st.text().map(lambda text: text.encode("utf-8", "ignore")))
def test_any_bytes_give_complaints_or_a_configuration(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    """Config §1: there is no file that raises, as a deployment or as a catalog."""
    folder = tmp_path_factory.mktemp("any")
    check_any(folder, raw)
    check_any(folder, BASE.encode() + raw)
    (folder / "providers.yaml").write_bytes(raw)
    check_any(folder, BASE.encode())


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), documents, max_size=6), st.booleans())
def test_any_document_gives_complaints_or_a_configuration(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], is_based: bool
) -> None:
    """Config §1: there is no shape of a document that raises."""
    if is_based:
        document = {"providers": {"p": {"api_key": "none", "protocol": "openai", "base_url": "https://u"}}} | document
    check_any(tmp_path_factory.mktemp("any"), yaml.safe_dump(document, sort_keys=False).encode())


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return maps with any choice of these fields."""
    return st.fixed_dictionaries({}, optional=dict(fields.items()))


positive = st.integers(1, 2**31)
members = st.lists(
    st.fixed_dictionaries(
        {"target": st.sampled_from(["m", "n"])}, optional={"weight": st.integers(0, 9), "tier": st.text("xyz")}
    ),
    min_size=1,
    max_size=4,
)
valid: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "providers": st.just({"p": {"api_key": "none", "protocol": "openai", "base_url": "https://up.example"}}),
        "models": st.fixed_dictionaries(
            {
                name: st.fixed_dictionaries(
                    {"provider": st.just("p")},
                    optional={"max_concurrent": positive, "upstream_model": st.text("xyz", min_size=1)},
                )
                for name in ("m", "n")
            }
        ),
    },
    optional={
        "pools": st.dictionaries(
            st.sampled_from("abc"),
            st.fixed_dictionaries(
                {"members": members},
                optional={
                    "failover": optional(timeout_secs=st.integers(1, 86400), max_hops=st.integers(0, 9)),
                    "breaker": optional(base_cooldown_secs=st.integers(1, 120)),
                    "route": st.sampled_from(["usage", "fastest", "weighted"]),
                    "on_exhausted": st.sampled_from([503, "reject", "least-bad", {"queue": {"max_ms": 5}}]),
                },
            ),
        ),
        "limits": optional(
            max_headers=positive, max_connections=st.integers(0, 2**63 - 1), default_max_tokens=positive
        ),
        "security": optional(
            allow_all_metadata=st.booleans(), allow_sink_hosts=st.lists(st.sampled_from(["a", "b.c"]))
        ),
        "observability": optional(emit_server_timing=st.booleans(), otlp_endpoint=st.just("https://x.example")),
    },
)


@settings(deadline=None)
@given(valid)
def test_a_generated_configuration_comes_back_from_its_snapshot(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    """Config §12: what is packed for the next start is the configuration."""
    config = accepted(tmp_path_factory.mktemp("valid"), yaml.safe_dump(document))
    assert unpack(marshal.loads(marshal.dumps(pack(config)))) == config  # noqa: S302  written just now
    assert set(config.models) == {"m", "n"}


SECRETIVE = """
providers:
  p: {api_key_env: KEY, protocol: openai, base_url: 'https://up.example'}
  q: {api_key: {file: FOLDER/key}, protocol: openai, base_url: 'https://up.example'}
  r: {api_key_env: KEY, api_key: "${KEY}", protocol: openai, base_url: 'https://up.example'}
models: {m: {provider: p}}
auth: {mode: token, client_tokens: ["${TOKEN}", {env: TOKEN}, {file: FOLDER/token}]}
pools: {a: {members: [{target: m}], route: webhook, policy: {url: "https://u:${PASS}@rank.example"}}}
governance:
  enabled: true
  admin_token: "${ADMIN}"
  db_path: FOLDER/k.db
  store: {keys: {kind: postgres, url: "${URL}"}}
observability:
  otlp_endpoint: "${SINK}"
  request_log_webhook_url: "https://${PASS}@logs.example/x"
  metrics_token: "${TOKEN}"
"""


@settings(deadline=None)
@given(
    st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=6, max_size=9),
    st.sampled_from(["", "spoil: 1\n"]),
)
def test_no_secret_is_shown_or_kept(tmp_path_factory: pytest.TempPathFactory, secret: str, spoilt: str) -> None:
    """Config §1: tokens, keys and userinfo from variables and files are in no complaint and in no snapshot."""
    folder = tmp_path_factory.mktemp("hush")
    secrets = {name: f"{secret}-{number}" for number, name in enumerate(("KEY", "TOKEN", "PASS", "ADMIN", "FILE"))}
    environment = secrets | {
        "URL": f"postgres://u:{secrets['PASS']}@db",
        "SINK": f"https://u:{secrets['PASS']}@x.example",
    }
    for name in ("key", "token"):
        (folder / name).write_text(secrets["FILE"], encoding="utf-8")
    loaded = read(folder, SECRETIVE.replace("FOLDER", str(folder)) + spoilt, environment)
    assert paths_of(loaded.complaints.errors) == (["spoil"] if spoilt else [])
    check_secrets(loaded, tuple(secrets.values()))


def test_a_guard_judges_what_path_and_base_make_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §5: base_url and path are judged once more when they are joined."""
    from busbar_fast.config.guards.verdicts import RefusalKind, Verdict  # noqa: PLC0415  beside what it stands in for
    from busbar_fast.config.sections import providers  # noqa: PLC0415  as above

    asked = []

    def refuse(url: str, _: object) -> Verdict:
        asked.append(url)
        return Verdict("no", RefusalKind.DENIED)

    monkeypatch.setattr(providers, "judge_joined_url", refuse)
    text = BASE.replace("https://up.example", "https://up.example/v1/").replace("}}\n", ", path: /x}}\n", 1)
    assert paths_of(read(tmp_path, text).complaints.errors) == ["providers.p.path"]
    assert asked == ["https://up.example/v1/x"]


def test_thousands_of_errors_are_listed_soon(tmp_path: Path) -> None:
    """Config §1: all problems are printed, however many there are, and in little time."""
    many = "".join(f"lisenn{number}: 1\n" for number in range(5000))
    providers = "".join(f"  q{number}: {{protocol: opena}}\n" for number in range(1000))
    with soon():
        loaded = read(tmp_path, f"{many}providers:\n{providers}models: {{m: {{provider: qq}}}}\n")
    assert len(loaded.complaints.errors) == 5000 + 2 * 1000 + 1


@pytest.mark.parametrize(
    ("text", "errors", "warnings"),
    [
        (b"#" * (8 * 1024 * 1024 + 1), [""], []),
        (b"a: \xff", [""], []),
        ("a: " + "".join(map(chr, range(0xE000, 0xF900))), [""], []),
        ("- a", [""], []),
        ("", ["providers", "models"], ["W1"]),
        (BASE + "x-a: 1\ny: 1\n", ["y"], ["W1"]),
        (BASE + "admin_listen: a:1\ngovernance: {admin_listen: b:1}\n", ["admin_listen"], ["W1"]),
        (BASE + "admin_listen: a:1\ngovernance: x\n", ["governance"], ["W1"]),
        (BASE + "admin_listen: \ngovernance: {admin_listen: b:1}\n", [], ["W1"]),
        (BASE + "admin_listen: a:1\ngovernance: {admin_listen: }\n", [], ["W1"]),
        (BASE + "advanced: {worker_threads: 1, x: 1, response_headers: {y: 1}}\n", [], ["W21", "W21", "W1"]),
        (BASE + "advanced: {response_headers: 5}\n", [], ["W21", "W1"]),
        (BASE + "advanced: 5\n", ["advanced"], ["W1"]),
        (BASE + "pools: {a: {members: [{target: m}, {target: m}]}}\n", [], ["W22", "W1"]),
    ],
)
def test_files_and_keys_are_put_in_order(
    text: str | bytes, errors: list[str], warnings: list[str], tmp_path: Path
) -> None:
    """Config §1, X21 and X22: what is no map of ours is refused, and keys of other places are moved."""
    loaded = read(tmp_path, text)
    assert paths_of(loaded.complaints.errors) == errors
    assert [number for number, _ in warnings_of(loaded)] == warnings


def test_a_deployment_with_tls_is_checked_with_its_material(tmp_path: Path) -> None:
    """Config §1: TLS files are checked with everything else, before anything is bound."""
    loaded = read(tmp_path, BASE + f"tls: {{cert_file: {tmp_path}/c, key_file: {tmp_path}/k}}\n")
    assert paths_of(loaded.complaints.errors) == ["tls.cert_file", "tls.key_file"]


def test_thousands_of_exclusions_are_read_soon(tmp_path: Path) -> None:
    """Config §1: looking names up takes time in proportion to their number."""
    excluded = ", ".join(f"x{number}" for number in range(5000))
    with soon():
        loaded = read(tmp_path, pool(f"failover: {{exclusions: [{excluded}]}}"))
    assert len(loaded.complaints.errors) == 5000


def test_words_of_the_environment_are_those_of_the_manual() -> None:
    """Config §2: five bare levels, and the loader knows the words that log and parsers go by."""
    assert loading.LEVELS == ("error", "warn", "info", "debug", "trace")
    assert (set(log.LEVELS), choice.NAMES) == (set(loading.LEVELS), loading.PARSERS)


@pytest.mark.parametrize(
    ("environment", "errors", "warnings"),
    [
        ({"BUSBAR_LOG_FORMAT": "", "BUSBAR_HTTP_PARSER": ""}, [], []),
        ({"BUSBAR_LOG_FORMAT": "text", "BUSBAR_HTTP_PARSER": "h11"}, [], []),
        ({"BUSBAR_LOG_FORMAT": "json", "BUSBAR_HTTP_PARSER": "httptools"}, [], []),
        ({"BUSBAR_LOG_FORMAT": "JSON"}, [], [("W20", "BUSBAR_LOG_FORMAT")]),
        ({"BUSBAR_HTTP_PARSER": "nginx"}, ["BUSBAR_HTTP_PARSER"], []),
    ],
)
def test_format_and_parser_are_looked_at(
    environment: dict[str, str], errors: list[str], warnings: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Config §2 and X17: a form of the log that nobody knows is warned about, an unknown parser is refused."""
    loaded = read(tmp_path, BASE, environment)
    assert paths_of(loaded.complaints.errors) == errors
    assert warnings_of(loaded) == [("W1", "auth"), *warnings]
    assert {("env", "BUSBAR_LOG_FORMAT"), ("env", "BUSBAR_HTTP_PARSER")} <= {one[:2] for one in loaded.inputs.seen}


def test_a_named_catalog_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §14, X3: `providers_file` is meant from the deployment file's folder, and kept as a whole path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "named.yaml").write_text("{}", encoding="utf-8")
    (tmp_path / "d" / "c.yaml").write_text(BASE + "providers_file: named.yaml\n", encoding="utf-8")
    loaded = load("d/c.yaml", None, {}, VOCABULARY)
    assert loaded.config is not None
    assert loaded.config.catalog_file == f"{tmp_path}/d/named.yaml"


def test_what_a_catalog_of_others_asks_for_is_put_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §5: what this version lacks is said of a neighbour's used entry, and never of the packaged catalog."""
    monkeypatch.setattr(Vocabulary, "later_options", frozenset({"health", "error_map"}))
    catalog = "q: {protocol: openai, base_url: 'https://c', health: {mode: dead}}\nr: {protocol: openai, base_url: u}\n"
    loaded = read(tmp_path, "providers: {q: {api_key: none}}\nmodels: {}\n", {}, catalog)
    assert paths_of(loaded.complaints.unavailable) == ["q.health"]
    (tmp_path / "providers.yaml").unlink()
    loaded = read(tmp_path, "providers: {zai: {api_key: none}}\nmodels: {}\n")
    assert loaded.complaints.unavailable == []


@pytest.mark.parametrize(
    "text",
    [
        "a: *hush",
        "a: &hush {b: *hush}",
        "a: !hush x",
        "a: !!hush x",
        "a: !hush [1]",
        "auth: {client_tokens: [{env: sk-hush}]}",
        "providers: {p: {api_key_env: sk-hush}}",
        "providers: {p: {api_key: {env: sk-hush}}}",
    ],
)
def test_names_that_may_be_secrets_are_not_shown(text: str, tmp_path: Path) -> None:
    """Config §1: a key that begins with a sign of YAML, or stands where a variable's name belongs, is not echoed."""
    loaded = read(tmp_path, text)
    assert loaded.complaints.errors
    assert [complaint for complaint in everything(loaded) if "hush" in str(complaint)] == []


@pytest.mark.parametrize("text", ["a: " + "${" * 2_000_000, 'a: "' + "${x " * 1_000_000 + '"', "#" + "${" * 2_000_000])
def test_millions_of_unclosed_references_are_refused_soon(text: str, tmp_path: Path) -> None:
    """Config §4: the first few are said; whoever has more has more to mend than a list could help with."""
    with soon():
        loaded = read(tmp_path, text)
    assert 2 <= len(loaded.complaints.errors) <= 14


def test_a_pool_without_trouble_is_kept_as_it_is(tmp_path: Path) -> None:
    """Config §6.3: settling pools changes nothing where nothing is doubled."""
    config = accepted(tmp_path, pool("failover: {max_hops: 1}"))
    assert config.pools["a"].failover.max_hops == 1
