"""What answers cost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.gemini.translation.fields import fields_of
from busbar_fast.dialects.gemini.translation.usages import read_counts, take_counts, usage_metadata, usage_of
from busbar_fast.ir.answers import Usage
from tests.dialects.gemini.translation.turns import raw


def counted(document: object) -> Usage:
    """Return what is counted."""
    usage = usage_of(take_counts(fields_of(raw(document))))
    assert usage_of(read_counts(raw(document))) == usage  # the fast way comes to the same
    return usage


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        ({}, Usage()),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 2}, Usage(6, 2, cache_read=4)),
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 3}, Usage(13)),
        ({"candidatesTokenCount": 2, "thoughtsTokenCount": 5}, Usage(None, 7, reasoning=5)),
        ({"promptTokenCount": 3, "cachedContentTokenCount": 9}, Usage(0, cache_read=9)),
        ({"promptTokenCount": "7", "candidatesTokenCount": 2.0}, Usage(7, 2)),
        ({"promptTokenCount": -1, "candidatesTokenCount": 1.5, "thoughtsTokenCount": "x"}, Usage()),
        ({"promptTokenCount": None, "candidatesTokenCount": [1]}, Usage()),
        ({"promptTokenCount": 10**30}, Usage(10**30)),
    ],
)
def test_counts_are_read(document: object, usage: Usage) -> None:
    """Odd counts are none, and nothing falls below zero (gemini.md cases 51 and 52)."""
    assert counted(document) == usage


def test_other_members_are_left() -> None:
    """The total is not carried, for it is written anew."""
    fields = fields_of(raw({"totalTokenCount": 1, "trafficType": "X"}))
    take_counts(fields)
    assert list(fields.rest() or ()) == ["trafficType"]


def test_what_goes_into_a_cache_is_part_of_the_prompt() -> None:
    """It is no part of what came from it (ir.md case 38)."""
    assert usage_metadata(Usage(5, 7, cache_read=3, cache_write=2, reasoning=9)) == {
        "promptTokenCount": 10,
        "cachedContentTokenCount": 3,
        "candidatesTokenCount": 0,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 17,
    }


COUNTS = st.integers(0, 2**40)


@given(COUNTS, COUNTS, st.none() | COUNTS, st.none() | st.integers(1, 2**20))
def test_what_is_written_is_read(uncached: int, answer: int, cached: int | None, thoughts: int | None) -> None:
    """A usage comes back, and the total is the sum (ir.md case 36)."""
    usage = Usage(uncached, answer + (thoughts or 0), cache_read=cached, reasoning=thoughts)
    written = usage_metadata(usage)
    assert counted(json.loads(json.dumps(written))) == usage
    assert written["totalTokenCount"] == uncached + (cached or 0) + answer + (thoughts or 0)
