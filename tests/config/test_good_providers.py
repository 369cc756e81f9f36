"""Providers that are accepted: merged over the catalog, with keys from anywhere, at places that guard A passes."""

from pathlib import Path

import pytest

from busbar_fast.config.schema import (
    NONE,
    Provider,
    Secret,
)
from busbar_fast.config.secrets import reveal
from tests.config.cases import BASE, MODELS, accepted, provider, read


def entry(fields: str, catalog: str) -> tuple[str, str]:
    """Return a deployment of one provider with these fields, and a catalog that has others for it."""
    return f"providers: {{p: {{api_key: none, {fields}}}}}\n{MODELS}", f"p: {{{catalog}}}\n"


CATALOGUED = (
    "protocol: openai, base_url: 'https://c.example', path: /c, auth: bearer, error_map: {a: auth, b: billing}, "
    "health: {mode: active, interval_secs: 7, timeout_secs: 3}, allow_metadata_hosts: [c.example], stream_usage: false"
)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ("", "protocol", "openai"),
        ("base_url: 'https://d.example'", "base_url", "https://d.example"),
        ("", "base_url", "https://c.example"),
        ("path: /d", "path", "/d"),
        ("", "path", "/c"),
        ("auth: api-key", "auth", "api-key"),
        ("auth: x-api-key", "auth", "x-api-key"),
        ("", "auth", "bearer"),
        ("", "error_map", {"a": "auth", "b": "billing"}),
        ("error_map: {b: timeout, 1113: network}", "error_map", {"a": "auth", "b": "timeout", "1113": "network"}),
        ("error_map: {b: , c: ~}", "error_map", {"a": "auth"}),
        ("error_map: {}", "error_map", {"a": "auth", "b": "billing"}),
        ("allow_metadata_hosts: []", "allow_metadata_hosts", ()),
        ("allow_metadata_hosts: [d]", "allow_metadata_hosts", ("d",)),
        ("", "allow_metadata_hosts", ("c.example",)),
        ("", "options", {"stream_usage": False}),
        ("stream_usage: true", "options", {"stream_usage": True}),
    ],
)
def test_a_deployment_is_merged_over_the_catalog(fields: str, name: str, value: object, tmp_path: Path) -> None:
    """Config §5: each line of the merge rules."""
    text, catalog = entry(fields, CATALOGUED)
    assert getattr(accepted(tmp_path, text, {}, catalog).providers["p"], name) == value


@pytest.mark.parametrize(
    ("fields", "mode", "interval_secs", "timeout_secs"),
    [
        ("", "active", 7, 3),
        ("health: ", "active", 7, 3),
        ("health: {}", "none", 44, 6),
        ("health: {mode: dead}", "dead", 44, 6),
        ("health: {interval_secs: 1, timeout_secs: 1}", "none", 1, 1),
    ],
)
def test_health_is_replaced_as_a_whole(
    fields: str, mode: str, interval_secs: int, timeout_secs: int, tmp_path: Path
) -> None:
    """Config §5: the deployment's block replaces the catalog's, field by field only the gateway's defaults fill it."""
    text, catalog = entry(fields, CATALOGUED)
    defaults = "health: {default_probe_interval_secs: 44, default_probe_timeout_secs: 6}\n"
    health = accepted(tmp_path, text + defaults, {}, catalog).providers["p"].health
    assert (health.mode, health.interval_secs, health.timeout_secs) == (mode, interval_secs, timeout_secs)


def test_the_deployment_may_change_the_protocol(tmp_path: Path) -> None:
    """Config §5: the deployment's protocol wins, and with it the options that apply."""
    text, catalog = entry("protocol: bedrock, region: eu-west-1", "protocol: openai, base_url: 'https://c.example'")
    found = accepted(tmp_path, text, {}, catalog).providers["p"]
    assert (found.protocol, found.options) == ("bedrock", {"region": "eu-west-1"})


def test_values_of_unused_catalog_entries_are_not_judged(tmp_path: Path) -> None:
    """Config §5: of an entry that no deployment names only the types are looked at."""
    catalog = (
        "x: {protocol: chat, base_url: 'ftp://x', path: y, auth: jwt-bearer, error_map: {a: b}, "
        "health: {mode: on, interval_secs: 0, timeout_secs: 0}, allow_metadata_hosts: [a/b]}\n"
    )
    assert accepted(tmp_path, BASE, {}, catalog).catalog_file == str(tmp_path / "providers.yaml")


@pytest.mark.parametrize(
    ("fields", "environment", "credential", "value"),
    [
        ("api_key_env: A", {"A": " k\n"}, Secret(kind="env", source="A"), "k"),
        ("api_key: {env: A}", {"A": "k"}, Secret(kind="env", source="A"), "k"),
        ("api_key: none", {}, NONE, ""),
        ("api_key: 'none'", {}, NONE, ""),
        ("api_key_env: '${B}'", {"A": "k", "B": "A"}, Secret(kind="env", source="A"), "k"),
        ("api_key_env: A", {}, Secret(kind="env", source="A"), ""),
        ("api_key_env: A, api_key: hush", {"A": "k"}, Secret(kind="env", source="A"), "k"),
        ("api_key_env: A, api_key: ", {"A": "k"}, Secret(kind="env", source="A"), "k"),
    ],
)
def test_keys_are_sources(
    fields: str, environment: dict[str, str], credential: Secret, value: str, tmp_path: Path
) -> None:
    """Config §6.2 and X1: a provider keeps where its key comes from, and the key is found there."""
    loaded = read(tmp_path, provider("").replace("api_key: none", fields), environment)
    assert loaded.config is not None
    found = loaded.config.providers["p"].credential
    assert (found, reveal(found, loaded.inputs)) == (credential, value)


def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    """Config §14, X1: a file's key loses one trailing new line."""
    file = tmp_path / "key"
    file.write_text("k\n", encoding="utf-8")
    loaded = read(tmp_path, provider("").replace("none", f"{{file: {file}}}"))
    assert loaded.config is not None
    assert reveal(loaded.config.providers["p"].credential, loaded.inputs) == "k"


@pytest.mark.parametrize(
    ("base_url", "more"),
    [
        ("http://127.0.0.1:8000", ""),
        ("http://localhost", ""),
        ("http://a.localhost", ""),
        ("http://10.0.0.1", ""),
        ("http://[::1]", ""),
        ("http://0x7f000001", ""),
        ("HTTPS://Up.Example./", ""),
        ("https://up.example/v1/", ""),
        ("http://vllm:8000", "allow_plaintext: true"),
        ("http://169.254.1.1", "allow_metadata_hosts: [169.254.1.1]"),
        ("http://metadata.google.internal", "allow_metadata_hosts: [METADATA.google.internal.]"),
        ("https://up.example", "path: '/{model}/chat?api-version=1'"),
        ("https://up.example", "path: '//x'"),
    ],
)
def test_urls_that_guard_a_passes_are_kept(base_url: str, more: str, tmp_path: Path) -> None:
    """Config §10, X8 and X18: what a provider may be reached at."""
    text = f"providers: {{p: {{api_key: none, protocol: openai, base_url: '{base_url}', {more}}}}}\n{MODELS}"
    found = accepted(tmp_path, text).providers["p"]
    assert isinstance(found, Provider)
    assert found.base_url == base_url


def test_path_base_is_for_protocols_with_a_model_in_their_path(tmp_path: Path) -> None:
    """Config §14, X8: `path_base` replaces what stands before the model."""
    text = "providers: {gemini: {api_key: none, path_base: /v1/projects/x/models}}\nmodels: {}\n"
    assert accepted(tmp_path, text).providers["gemini"].path_base == "/v1/projects/x/models"


def test_the_catalog_may_be_named_or_near(tmp_path: Path) -> None:
    """Config §2 and X3: `providers_file` is relative to the deployment file and wins over the neighbour."""
    (tmp_path / "other.yaml").write_text("q: {protocol: openai, base_url: 'https://q.example'}\n", encoding="utf-8")
    text = "providers_file: other.yaml\nproviders: {q: {api_key: none}}\nmodels: {}\n"
    config = accepted(tmp_path, text, {}, "r: {protocol: openai, base_url: 'https://r.example'}\n")
    assert config.catalog_file == str(tmp_path / "other.yaml")
    near = accepted(tmp_path, "providers: {r: {api_key: none}}\nmodels: {}\n")
    assert (near.catalog_file, near.providers["r"].base_url) == (str(tmp_path / "providers.yaml"), "https://r.example")
