"""What the loader is told of protocols."""

from busbar_fast.config.vocabulary import Vocabulary
from busbar_fast.dialects.base import Facts, no_complaint


def test_the_options_of_all_protocols_are_known() -> None:
    """Config §14, X24: an option of any protocol is part of the schema, with its default."""
    one = Facts("one", "/one", options={"a": (True, no_complaint)})
    two = Facts("two", "/two", options={"b": ("x", no_complaint)})
    special = {"c": frozenset({"two"})}
    vocabulary = Vocabulary({"one": one, "two": two}, {"c": ()}, no_complaint, frozenset({"seed"}), special)
    assert vocabulary.provider_options == {"a": True, "b": "x"}
    assert (vocabulary.protocols["two"].path, vocabulary.model_options) == ("/two", {"c": ()})
    assert vocabulary.complaint_of_script("anything") == ""
    assert (vocabulary.losses, vocabulary.special_options) == (frozenset({"seed"}), special)
