"""Refusals before any dialect words them."""

import pytest

from busbar_fast.dialects.faults import Fault, Kind, kind_of
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


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, Kind.MALFORMED),
        (400, Kind.MALFORMED),
        (401, Kind.UNAUTHENTICATED),
        (402, Kind.OVER_BUDGET),
        (403, Kind.FORBIDDEN),
        (404, Kind.UNKNOWN_MODEL),
        (408, Kind.TIMED_OUT),
        (424, Kind.INTERNAL),
        (413, Kind.TOO_LARGE),
        (422, Kind.MALFORMED),
        (429, Kind.RATE_LIMITED),
        (500, Kind.INTERNAL),
        (502, Kind.INTERNAL),
        (503, Kind.OVERLOADED),
        (504, Kind.TIMED_OUT),
        (529, Kind.OVERLOADED),
    ],
)
def test_a_refusal_in_another_dialect_has_its_kind_by_status(status: int, kind: Kind) -> None:
    """Reliability §8, D19: the table by status, and a kind of its own for prompts that are too long."""
    assert kind_of(status) is kind
    assert kind_of(status, is_context_length=True) is Kind.TOO_LONG
