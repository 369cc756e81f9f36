"""What a dialect says about itself."""

from busbar_fast.dialects.base import Facts


def test_facts_default_to_a_plain_dialect() -> None:
    """Config §5: a dialect has a name and a path, and nothing else unless it says so."""
    facts = Facts("one", "/v1/one")
    assert (facts.name, facts.path) == ("one", "/v1/one")
    assert (facts.later_options, facts.takes_path_base, facts.region_labels) == (frozenset(), False, ())
    assert (facts.provider_options, facts.settings) == ({}, {})


def test_facts_keep_what_they_are_given() -> None:
    """Config §14, X24: options and settings of a dialect are its own."""
    facts = Facts(
        "two",
        "/v1/{model}",
        later_options=frozenset({"three"}),
        takes_path_base=True,
        region_labels=("two",),
        provider_options={"region": ""},
        settings={"fallback": ("reject", "drop")},
    )
    assert (facts.later_options, facts.takes_path_base, facts.region_labels) == (frozenset({"three"}), True, ("two",))
    assert (facts.provider_options, facts.settings) == ({"region": ""}, {"fallback": ("reject", "drop")})
