"""`governance`, read by itself."""

from pathlib import Path

import pytest

from busbar_fast.config.schema import NONE, Engine, Governance, Listen, Secret
from busbar_fast.config.sections.governance import read_governance
from tests.config.cases import paths_of, section_of


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("{}", {}),
        ("{enabled: true, admin_token: t}", {"enabled": True, "admin_token": Secret(kind="text", source="t")}),
        ("{admin_token: ' '}", {}),
        ("{admin_token: {env: A}}", {"admin_token": Secret(kind="env", source="A")}),
        ("{admin_listen: 'a:1'}", {"admin_listen": Listen(host="a", port=1)}),
        (
            "{price_per_request_cents: -3, price_per_1m_tokens_cents: 4}",
            {"price_per_request_cents": 0, "price_per_1m_tokens_cents": 4},
        ),
        ("{store: {keys: {kind: sqlite}}}", {"keys_store": Engine(kind="sqlite")}),
        (
            "{store: {counters: {kind: valkey, url: 'u', mode: lease}}}",
            {"counters_store": Engine(kind="valkey", url=Secret(kind="text", source="u"), mode="lease")},
        ),
    ],
)
def test_governance_is_read(text: str, changes: dict[str, object]) -> None:
    """Config §6.4 and X24: each field, and stores in sections of their own."""
    section = section_of(f"governance: {text}")
    usual = Governance(db_path=str(Path.cwd() / "busbar-governance.db"))
    assert read_governance(section) == usual.with_(**changes)
    assert section.complaints.errors == []


@pytest.mark.parametrize(
    ("written", "kept"), [("d/x.db", "{cwd}/d/x.db"), ("/x.db", "/x.db"), (":memory:", ":memory:")]
)
def test_the_database_is_the_same_from_every_folder(
    written: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Config §6.4: a path is meant from the working folder that the file was read in."""
    monkeypatch.chdir(tmp_path)
    section = section_of(f"governance: {{db_path: '{written}'}}")
    assert read_governance(section).db_path == kept.replace("{cwd}", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("{admin_token: '${NOPE}'}", ["governance.admin_token"]),
        ("{admin_token: [t]}", ["governance.admin_token"]),
        ("{price_per_1k_tokens_cents: 1, price_per_1m_tokens_cents: 1}", ["governance.price_per_1m_tokens_cents"]),
        ("{store: {keys: {}, counters: x}}", ["governance.store.counters", "governance.store.keys.kind"]),
    ],
)
def test_what_is_wrong_is_noted(text: str, errors: list[str]) -> None:
    """Config §6.4: complaints stand at their fields."""
    section = section_of(f"governance: {text}")
    assert read_governance(section).admin_token == NONE
    assert sorted(paths_of(section.complaints.errors)) == errors


def test_prices_are_warned_about() -> None:
    """Config §9, W7 and W13: a negative price and one that limits nothing."""
    section = section_of("governance: {enabled: true, price_per_request_cents: -1}")
    read_governance(section)
    assert [warning.id for warning in section.complaints.warnings] == ["W13", "W7"]
    assert section.complaints.unavailable == []


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("{reserve_tokens: false, on_disconnect: observed}", []),
        ("{reserve_tokens: true, on_disconnect: estimate}", []),
        ("{key_refresh_secs: 5, secret_key_env: X}", ["governance.key_refresh_secs"]),
    ],
)
def test_what_is_not_there_yet_is_said(text: str, paths: list[str]) -> None:
    """Config §1: no setting does nothing in silence."""
    section = section_of(f"governance: {text}")
    read_governance(section)
    assert sorted(paths_of(section.complaints.unavailable)) == paths
