"""Objects of the wire: two spellings, one object for a list, numbers for words."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.fields import Fields, decoded, fields_in, fields_of, items_of, read_fields
from busbar_fast.errors import Misshapen, NotJson
from tests.dialects.gemini.translation.turns import raw

MODES = {2: "ANY"}


def opened(document: object) -> Fields:
    """Return a document taken apart."""
    return fields_of(raw(document), "at")


@pytest.mark.parametrize(
    "document",
    [
        {"inlineData": 1},
        {"inline_data": 1},
        {"inline_data": 2, "inlineData": 1},
        {"inlineData": 1, "inline_data": 2},
        {"inlineData": None, "inline_data": 1},
    ],
)
def test_both_spellings_are_one_name(document: object) -> None:
    """Where both are given camel case wins (gemini.md section 3)."""
    fields = opened(document)
    assert fields.raw("inlineData") == Raw(b"1")
    assert fields.rest() is None


def test_unknown_names_are_left_as_they_are() -> None:
    """Only names that the vendor gives are turned; null is as good as nothing."""
    assert opened({"soon_here": 1, "topK": None}).rest() == {"soon_here": Raw(b"1")}


def test_inner_objects_know_their_place() -> None:
    """An object, a list of them and a single one are taken apart."""
    fields = opened({"a": {"b": 1}, "list": [{}, {}], "one": {}, "text": "x"})
    inner = fields.inner("a")
    assert inner is not None
    assert inner.place("b") == "at.a.b"
    assert fields.inner("missing") is None
    assert [item.path for item in fields.several("list")] == ["at.list[0]", "at.list[1]"]
    assert [item.path for item in fields.several("one")] == ["at.one[0]"]
    assert fields.several("missing") == []
    with pytest.raises(Misshapen):
        fields.several("text")


def test_texts_are_a_list_or_one() -> None:
    """What is no text, or empty, is left out."""
    fields = opened({"many": ["a", "", 1], "one": "b", "other": 1})
    assert [fields.texts(name) for name in ("many", "one", "other", "missing")] == [["a"], ["b"], [], []]


@pytest.mark.parametrize(("mode", "word"), [("ANY", "ANY"), (2, "ANY"), ("2", "ANY"), (9, ""), (True, ""), (None, "")])
def test_words_may_be_numbers(mode: object, word: str) -> None:
    """Older clients send the numbers of enums (gemini.md case 28)."""
    assert opened({"mode": mode}).word("mode", MODES) == word


def test_documents_have_to_be_objects() -> None:
    """Everything else is refused, or has no members."""
    with pytest.raises(Misshapen):
        fields_of(Raw(b"[]"))
    with pytest.raises(Misshapen):
        read_fields(b"[]")
    with pytest.raises(NotJson):
        read_fields(b"{")
    assert read_fields(b'{"a_b":1}').rest() == {"a_b": Raw(b"1")}
    assert decoded(Raw(b'{"inline_data":null}')) == {"inline_data": Raw(b"null")}
    assert [fields_in(Raw(text)).rest() for text in (b"", b"[]", b'{"a":1}')] == [None, None, {"a": Raw(b"1")}]


def test_items_are_those_of_a_list_or_one_object() -> None:
    """Nothing has none; anything else is told apart."""
    values = (b"", b"{}", b"[1, 2]", b"1")
    assert [items_of(Raw(text)) for text in values] == [[], [Raw(b"{}")], [Raw(b"1"), Raw(b"2")], None]
