"""Refusals before any dialect words them."""

import pytest

from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.registry import speak_all

HOUSE_WORDS = (b"busbar", b"gateway", b"pool", b"lane", b"upstream")


def test_a_fault_is_no_more_than_it_was_told() -> None:
    """Operations §6: kind and words; the name, the member and the wait only where there are some."""
    bare = Fault(Kind.TIMED_OUT)
    assert (bare.kind, bare.message, bare.name, bare.param, bare.retry_after_s) == (Kind.TIMED_OUT, "", "", None, None)
    full = Fault(Kind.RATE_LIMITED, "slow down", name="m", param="messages", retry_after_s=7)
    assert (full.message, full.name, full.param, full.retry_after_s) == ("slow down", "m", "messages", 7)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_dialect_has_words_for_every_kind(kind: Kind) -> None:
    """Operations §6: no kind is forgotten by a dialect, and no usual words name a part of the gateway."""
    for dialect in speak_all():
        refusal = dialect.encode_fault(Fault(kind, name="m"), None, b"id")
        assert 400 <= refusal.status <= 599
        assert refusal.body.startswith(b"{")
        assert [word for word in HOUSE_WORDS if word in refusal.body.lower()] == []
