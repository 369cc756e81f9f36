"""What operators may say of keys."""

import json
from typing import Any

import pytest

from busbar_fast.governance.drafts import BadDraft, changed, read_changes, read_new
from busbar_fast.governance.keys import Key

PLAIN = {"name": "n", "budget_period": "total", "allowed_pools": ()}


def new(**members: object) -> Any:
    """Read a new key."""
    return read_new(json.dumps({"name": "n", **members}).encode())


def test_what_is_not_said_has_defaults() -> None:
    """Governance §2: null is as good as nothing."""
    assert new() == (PLAIN, False)
    assert new(budget_period=None, allowed_pools=None, issue_aws_credential=None) == (PLAIN, False)
    assert new(rpm_limit=None) == ({**PLAIN, "rpm_limit": None}, False)


def test_what_is_said_is_kept() -> None:
    """Governance §2: names once each, in their order."""
    got, wants_pair = new(
        allowed_pools=["b", "a,c", "b"],
        budget_period="daily",
        max_budget_cents=5,
        tpm_limit=7,
        issue_aws_credential=True,
    )
    assert wants_pair
    assert got == {
        "name": "n",
        "allowed_pools": ("b", "a,c"),
        "budget_period": "daily",
        "max_budget_cents": 5,
        "tpm_limit": 7,
    }


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("rpm_limit", [1, 4294967295], [True, 1.5, 0, -1, 4294967296, "1", []]),
        ("tpm_limit", [1], [0, False]),
        ("max_budget_cents", [0, 2**63 - 1], [-1, 2**63, 1.0, True, "5"]),
        ("name", ["x" * 256, "\u00fc \U0001f600"], ["x" * 257, "", " ", "a\nb", "a\x7f", "a\u2028b", 7, [], True]),
        ("budget_period", ["total", "daily", "monthly"], ["weekly", "", 7, "Total", []]),
        ("allowed_pools", [[], ["a"]], ["a", [7], [""], {"a": 1}, [["a"]]]),
        ("issue_aws_credential", [True, False], [1, 0, "true"]),
    ],
)
def test_values_are_judged(name: str, good: list[Any], bad: list[Any]) -> None:
    """Governance cases 46 to 48 and 50: types and ranges; the complaint names the member and repeats no value."""
    for value in good:
        new(**{name: value})
    for value in bad:
        with pytest.raises(BadDraft, match=f"^{name}: ") as caught:
            new(**{name: value})
        assert "weekly" not in str(caught.value)
    if name == "budget_period":
        assert "total, daily, monthly" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"name":"\\ud800"}',
        b"\xff",
        b"[" * 2000,
        b'{"name":null}',
        b"{}",
        b'{"name":"s","x":1}',
    ],
)
def test_what_is_no_draft_is_refused(body: bytes) -> None:
    """Governance cases 45, 49 and 50: no JSON, no object, no name, or a member that nobody knows."""
    with pytest.raises(BadDraft):
        read_new(body)


def test_known_members_are_named() -> None:
    """Governance case 45: a typo must not mint a key that may do anything."""
    with pytest.raises(BadDraft, match="allowed_pools") as caught:
        new(allowed_pool=["hush"])
    assert "hush" not in str(caught.value)
    with pytest.raises(BadDraft, match="enabled"):
        read_changes(b'{"budget_period":"daily"}')


def test_changes() -> None:
    """Governance case 51 and §10: absent leaves, null clears a limit, and `enabled: null` leaves."""
    key = Key("i", "n", ("a",), 5, "daily", 7, 8, enabled=True, created_at=9)
    assert read_changes(b"{}") == {}
    assert changed(key, read_changes(b'{"enabled":null,"name":null,"allowed_pools":null}')) == key
    cleared = changed(key, read_changes(b'{"rpm_limit":null,"max_budget_cents":null,"tpm_limit":3,"enabled":false}'))
    assert cleared == key._replace(rpm_limit=None, max_budget_cents=None, tpm_limit=3, enabled=False)
    assert changed(key, read_changes(b'{"allowed_pools":[],"name":"m"}')) == key._replace(allowed_pools=(), name="m")
