"""Whole deployments that people start from: they load, with no other warning than those their first lines name."""

import os
from pathlib import Path

import pytest
import trustme

from busbar_fast.config.load import Loaded, load
from tests.config.cases import VOCABULARY, check_secrets, warnings_of
from tests.house.source import ROOT

CORPUS = ROOT / "tests" / "corpus" / "config"
KEYS = (
    "COUNTER_TOKEN",
    "OFFICE_TOKEN",
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "COHERE_API_KEY",
    "BEDROCK_CREDENTIALS",
    "AZURE_KEY",
    "KIOSK_KEY",
    "MISTRAL_API_KEY",
    "ANTHROPIC_KEY",
    "OPENAI_KEY",
    "BUSBAR_CLIENT_TOKEN",
)
SECRETS = {name: f"hush-{name.lower()}:{number}" for number, name in enumerate(KEYS)}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with TLS material, which is also where data may lie."""
    place = tmp_path_factory.mktemp("material")
    authority = trustme.CA()
    leaf = authority.issue_cert("gateway.example")
    (place / "server.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(place / "server.key")
    os.chmod(place / "server.key", 0o600)  # noqa: PTH101  as an operator does it
    authority.cert_pem.write_to_path(place / "clients.pem")
    return place


def loaded_from(name: str, folder: Path) -> Loaded:
    """Return what the loader makes of an example."""
    environment = SECRETS | {"PEM_DIR": str(folder), "DATA_DIR": str(folder)}
    return load(str(CORPUS / name), None, environment, VOCABULARY)


@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        (
            "every-section.yaml",
            [("W10", "providers.kiosk.base_url")]
            + [("W5", f"pools.{pool}") for pool in ("desk", "quotes", "archive", "overnight", "overflow")]
            + [("W6", "governance.enabled")],
        ),
        ("smallest.yaml", [("W1", "auth")]),
        ("first-steps.yaml", [("W1", "auth")]),
        ("first-pool.yaml", [("W5", "pools.smart")]),
    ],
)
def test_an_example_loads_as_it_says(name: str, warnings: list[tuple[str, str]], folder: Path) -> None:
    """Config, first lines: the examples load without an error and with exactly the warnings in their headers."""
    loaded = loaded_from(name, folder)
    assert [str(error) for error in loaded.complaints.errors] == []
    assert warnings_of(loaded) == warnings
    check_secrets(loaded, tuple(SECRETS.values()))


def test_the_large_example_means_what_it_says(folder: Path) -> None:
    """Config, first lines: short forms, shared maps and merged entries of the example arrive in the records."""
    config = loaded_from("every-section.yaml", folder).config
    assert config is not None
    assert config.providers["gemini"].error_map == {"RESOURCE_EXHAUSTED": "rate_limit", "UNAVAILABLE": "overloaded"}
    assert config.providers["openai"].health.interval_secs == 50
    assert config.pools["overnight"].breaker == config.pools["overflow"].breaker
    assert config.pools["overflow"].on_exhausted.pool == "end-of-line"
    assert [member.context_max for member in config.pools["quotes"].members] == [1000000, 1048576, None]
    assert config.models["llama"].max_concurrent is None
    assert config.models["qwen"].default_max_tokens == 1024


def test_nothing_that_the_examples_ask_for_is_missing(folder: Path) -> None:
    """Config §1: keys whose feature this version lacks are kept apart from what is wrong; here are none."""
    for name in ("smallest.yaml", "every-section.yaml"):
        assert loaded_from(name, folder).complaints.unavailable == []
