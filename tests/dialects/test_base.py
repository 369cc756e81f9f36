"""What a dialect says about itself."""

import pytest

from busbar_fast.dialects.base import (
    Facts,
    complaint_of_pair,
    complaint_of_region,
    complaint_of_word,
    no_complaint,
)


def test_facts_default_to_a_plain_dialect() -> None:
    """Config §5: a dialect has a name and a path, and nothing else unless it says so."""
    facts = Facts("one", "/v1/one")
    assert (facts.name, facts.path) == ("one", "/v1/one")
    assert (facts.later_options, facts.takes_path_base, facts.region_labels) == (frozenset(), False, ())
    assert (facts.provider_options, facts.option_checks, facts.settings) == ({}, {}, {})
    assert (facts.complaint_of_key is no_complaint, no_complaint("any\n")) == (True, "")


def test_facts_keep_what_they_are_given() -> None:
    """Config §14, X24: options and settings of a dialect are its own."""
    facts = Facts(
        "two",
        "/v1/{model}",
        later_options=frozenset({"three"}),
        takes_path_base=True,
        region_labels=("two",),
        options={"region": ("", complaint_of_region)},
        complaint_of_key=complaint_of_pair,
        settings={"fallback": ("reject", "drop")},
    )
    assert (facts.later_options, facts.takes_path_base, facts.region_labels) == (frozenset({"three"}), True, ("two",))
    assert (facts.provider_options, facts.settings) == ({"region": ""}, {"fallback": ("reject", "drop")})
    assert (facts.option_checks, facts.complaint_of_key) == ({"region": complaint_of_region}, complaint_of_pair)


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("2023-06-01", True),
        ("~!", True),
        ("", False),
        ("a b", False),
        ("a\r\nb: c", False),
        ("a\n", False),
        ("\xe9", False),
    ],
)
def test_a_word_can_stand_in_a_header(text: str, is_good: bool) -> None:
    """Config §14, X24: what goes into the head of a request neither ends its line nor looks like two words."""
    assert (complaint_of_word(text) == "") is is_good


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("us-east-1", True),
        ("us-gov-west-1", True),
        ("us-iso-east-12", True),
        ("us-1", False),
        ("us-east", False),
        ("us-e4st-1", False),
        ("us--1", False),
        ("US-East-1", False),
        ("us-east-1\n", False),
        ("us-east-\xb2", False),
        ("", False),
    ],
)
def test_regions_have_a_shape(text: str, is_good: bool) -> None:
    """Config §5: words and a number at the end."""
    assert (complaint_of_region(text) == "") is is_good


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", ""),
        ("one", ""),
        ("a:s", ""),
        ("a:s:t:u", ""),
        ("a:s:", ""),
        (":s", "before the first colon"),
        ("a:", "behind the first colon"),
        ("a::t", "behind the first colon"),
        ("a:\x7f", "no header may carry"),
    ],
)
def test_a_pair_has_both_its_halves(key: str, words: str) -> None:
    """AWS wire case 5: what cannot sign is refused, and the reason holds none of it."""
    found = complaint_of_pair(key)
    assert words in found
    assert bool(found) is bool(words)
