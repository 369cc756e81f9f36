"""Tokens of callers: where they are found, and which of them are let in."""

import hmac
from typing import Any

import pytest

from busbar_fast.gateway.admission import Admission, caller_token
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.repeated import join_values


@pytest.mark.parametrize(
    ("fields", "query", "token"),
    [
        ({}, b"", b""),
        ({b"authorization": b"Bearer abc"}, b"", b"abc"),
        ({b"authorization": b"bEaReR abc"}, b"", b"abc"),
        ({b"authorization": b"Bearer  abc"}, b"", b" abc"),
        ({b"authorization": b"Bearer a b"}, b"", b"a b"),
        ({b"authorization": b"Bearer"}, b"", b""),
        ({b"authorization": b"Bearer "}, b"", b""),
        ({b"authorization": b"Basic abc", b"x-api-key": b"second"}, b"", b"second"),
        ({b"authorization": b"AWS4-HMAC-SHA256 x", b"x-goog-api-key": b"third"}, b"", b"third"),
        ({b"authorization": b"Bearer wrong", b"x-api-key": b"right"}, b"", b"wrong"),
        ({b"x-api-key": b"second", b"x-goog-api-key": b"third"}, b"", b"second"),
        ({b"x-api-key": b"", b"x-goog-api-key": b"third"}, b"", b"third"),
        ({b"authorization": b"Bearer \xc3\xa4", b"x-api-key": b"second"}, b"", b"second"),
        ({b"x-api-key": b"a\x80"}, b"", b""),
        ({b"x_api_key": b"dashes only"}, b"", b""),
        ({}, b"alt=sse&key=a%20b", b"a b"),
        ({}, b"key=second&x=1&key=second", b"second"),
        ({}, b"key=a%62&key=%61b", b"ab"),
        ({}, b"key=second&key=other", b""),
        ({}, b"key=&key=second", b""),
        ({}, b"monkey=x&key=%00", b""),
        ({b"x-api-key": b"second"}, b"key=fourth", b"second"),
        ({b"x-api-key": join_values(b"a", b"a")}, b"", b"a"),
        ({b"x-api-key": join_values(b"a", b"b")}, b"", b""),
        ({b"x-api-key": b"a, b"}, b"", b"a, b"),
        ({b"x-api-key": join_values(b"a", b"b"), b"x-goog-api-key": b"third"}, b"", b"third"),
        ({b"authorization": join_values(b"Bearer a", b"Bearer a")}, b"", b"a"),
        ({b"authorization": join_values(b"Bearer a", b"bearer a"), b"x-api-key": b"second"}, b"", b"second"),
        ({b"authorization": join_values(b"Basic x", b"Bearer a")}, b"key=fourth", b"fourth"),
    ],
)
def test_first_usable_carrier_counts(fields: Fields, query: bytes, token: bytes) -> None:
    """Governance §1.2: Bearer, then x-api-key, then x-goog-api-key, then the query where it is offered."""
    assert caller_token(fields, query) == token


def test_only_listed_tokens_are_let_in() -> None:
    """Governance §1: a token of the list is let in, another and none are not, not even beside an empty entry."""
    admission = Admission("token", ["right", "another", ""])
    assert [admission.admits(token) for token in (b"right", b"another", b"wrong", b"", b"Right", b"right ")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert not admission.passes_on


@pytest.mark.parametrize(("mode", "passes_on"), [("none", False), ("passthrough", True)])
def test_open_modes_let_everybody_in(mode: str, passes_on: bool) -> None:
    """Governance §1: without a list everybody is let in, and only passthrough hands the caller's key on."""
    admission = Admission(mode, ["inert"])
    assert admission.admits(b"")
    assert admission.admits(b"anything")
    assert admission.passes_on is passes_on


@pytest.mark.parametrize("mode", ["token", "none", "passthrough"])
def test_metrics_may_have_a_token_of_their_own(mode: str) -> None:
    """Governance §1.1: where `/metrics` has its own token nobody else's opens it; it opens nothing else."""
    admission = Admission(mode, ["client"], "scraper")
    tokens = (b"scraper", b"client", b"", b"scraper ", b"Scraper")
    assert [admission.admits_scraper(token) for token in tokens] == [True, False, False, False, False]
    assert admission.admits(b"scraper") is (mode != "token")
    plain = Admission(mode, ["client"])
    assert [plain.admits_scraper(token) for token in tokens] == [plain.admits(token) for token in tokens]


def test_metrics_token_is_compared_as_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Governance §1.3: digests of equal length are compared, whatever a caller sends."""
    compared: list[int] = []

    def compare(ours: bytes, theirs: bytes) -> bool:
        compared.extend((len(ours), len(theirs)))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    admission = Admission("none", (), "scraper")
    for token in (b"scraper", b"", b"x" * 500):
        assert not admission.admits_scraper(token)
    assert compared == [32] * 6


def test_every_entry_is_compared_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Governance case 11: the first match does not end the comparison, and digests are compared, never texts."""
    compared: list[tuple[Any, Any]] = []

    def compare(ours: Any, theirs: Any) -> bool:
        compared.append((ours, theirs))
        return bool(ours == theirs)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    admission = Admission("token", ["a", "b" * 200, "c"])
    for token in (b"a", b"c", b"x", b""):
        compared.clear()
        admission.admits(token)
        assert len(compared) == 3
        assert {len(side) for pair in compared for side in pair} == {32}
