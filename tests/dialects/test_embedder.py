"""What all embedders share: texts, lengths, packed vectors."""

import json
from base64 import b64encode
from struct import pack as pack_struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from busbar_fast.dialects import embedder
from busbar_fast.dialects.members import read_object
from busbar_fast.errors import Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Purpose
from busbar_fast.ir.report import Report
from tests.dialects.translating import lost, raw


@pytest.mark.parametrize(("value", "texts"), [("a", ["a"]), (["a", "b"], ["a", "b"]), ([""], [""]), ("", [""])])
def test_texts_are_one_or_several(value: object, texts: list[str]) -> None:
    """OpenAI §13: a string is a list of one."""
    assert embedder.texts_in(raw(value), "input") == texts


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1, 2], "must be a string or a list of strings for this model, not tokens"),
        ([[1], [2]], "must be a string or a list of strings for this model, not tokens"),
        (["a", 2], "must be a string or a list of strings for this model, not tokens"),
        ([], "must not be empty"),
        (7, "must be a list"),
    ],
)
def test_what_is_no_text_is_refused(value: object, reason: str) -> None:
    """OpenAI case 66: tokens of one vendor mean nothing to another, and the member is named."""
    with pytest.raises(Misshapen) as caught:
        embedder.texts_in(raw(value), "input")
    assert (caught.value.param, caught.value.reason) == ("input", reason)


def test_texts_that_are_missing_are_missed() -> None:
    """OpenAI §13: nothing is sent for nothing."""
    with pytest.raises(Misshapen, match="is missing"):
        embedder.texts_in(Raw(b""), "input")


@pytest.mark.parametrize(("written", "number"), [(b"{}", None), (b'{"n":3}', 3), (b'{"n":3.0}', 3), (b'{"n":"3"}', 3)])
def test_length_of_vectors(written: bytes, number: int | None) -> None:
    """OpenAI §13: `dimensions` is a whole number, however it is spelt."""
    assert embedder.dimensions_in(read_object(written), "n") == number


@pytest.mark.parametrize("value", [0, -1, 1.5, "x", [], True])
def test_length_that_is_none_is_refused(value: object) -> None:
    """OpenAI §13: the member is named."""
    with pytest.raises(Misshapen) as caught:
        embedder.dimensions_in(read_object(json.dumps({"n": value}).encode()), "n")
    assert caught.value.param == "n"


def test_what_nobody_understands_is_noted() -> None:
    """IR §9: names on the list by themselves, the others as one."""
    report = Report()
    embedder.drop_rest(read_object(b'{"user":"u","strange":1,"odd":2}'), report)
    embedder.drop_rest(read_object(b"{}"), report)
    assert lost(report) == {("dropped", "user"), ("dropped", "other")}


@pytest.mark.parametrize(
    ("embed", "takes_purpose", "noted"),
    [
        (Embed([], "p"), False, set()),
        (Embed([], "p", purpose=Purpose.QUERY, cut=Cut.NEVER), True, set()),
        (Embed([], "p", purpose=Purpose.QUERY, cut=Cut.START), False, {"input_type", "truncate"}),
        (Embed([], "p", cut=Cut.END), True, {"truncate"}),
    ],
)
def test_what_an_upstream_cannot_be_told_is_noted(embed: Embed, *, takes_purpose: bool, noted: set[str]) -> None:
    """IR §9: what texts are for, and how to cut them; that they are not cut goes without saying."""
    report = Report()
    embedder.note_unsaid(embed, report, takes_purpose=takes_purpose)
    assert {entry.field for entry in report.entries} == noted


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_packed_vectors_come_back(vector: list[float]) -> None:
    """OpenAI §13: float32, the smallest byte first, and floats are taken where base64 was asked for."""
    packed = embedder.pack(vector)
    assert packed == b64encode(b"".join(pack_struct("<f", number) for number in vector)).decode()
    assert embedder.vector_in(raw(packed), "v") == vector
    assert embedder.unpack(packed) == vector


def test_plain_vectors_are_read() -> None:
    """OpenAI §13: whole numbers are numbers."""
    assert embedder.vector_in(raw([1, -0.5]), "v") == [1.0, -0.5]
    assert embedder.vectors_in(raw([[1], []]), "v") == [[1.0], []]


@pytest.mark.parametrize("value", [7, {}, ["x"], [None], "AAA", "AAAA", "?", None])
def test_what_is_no_vector_is_refused(value: Any) -> None:
    """Reliability §6: an answer that nobody can read is not passed on."""
    for read in (embedder.vector_in, embedder.vectors_in):
        with pytest.raises(Misshapen):
            read(raw(value), "v")


def test_no_vector_at_all_is_refused() -> None:
    """Reliability §6: nothing is no vector either."""
    with pytest.raises(Misshapen):
        embedder.vector_in(Raw(b""), "v")


def test_number_beyond_float32_cannot_be_packed() -> None:
    """OpenAI §13: it is not turned into another one."""
    with pytest.raises(Misshapen):
        embedder.pack([1e300])
