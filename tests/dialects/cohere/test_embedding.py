"""Embeddings of this dialect: what clients ask, what lanes are asked, and both answers."""

from typing import Any

import pytest

from busbar_fast.errors import Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Encoding, Purpose, Vectors
from tests.dialects.embedding import Bench

BENCH = Bench("cohere")
ASKED = {"model": "m", "texts": ["a"], "input_type": "search_query", "embedding_types": ["base64", "float"]}


def test_a_client_is_read() -> None:
    """Cohere §1: texts, what they are for, how they are cut, and the forms of the vectors."""
    found = BENCH.read(ASKED | {"output_dimension": 3, "truncate": "START", "max_tokens": 9, "priority": 1})
    assert found == Embed(["a"], "texts", 3, Purpose.QUERY, Cut.START, (Encoding.BASE64, Encoding.FLOAT))
    assert BENCH.lost == {("dropped", "max_tokens"), ("dropped", "other")}


@pytest.mark.parametrize(("word", "noted"), [("", set()), ("image", {("dropped", "input_type")})])
def test_a_client_that_says_little_gets_floats(word: str, noted: set[tuple[str, str]]) -> None:
    """Cohere §1: floats are the default, and other words are noted."""
    assert BENCH.read({"texts": ["a"], "input_type": word}) == Embed(["a"], "texts")
    assert BENCH.lost == noted


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"images": ["data:"]}, "images"),
        ({"inputs": [{"content": []}]}, "inputs"),
        ({"texts": []}, "texts"),
        ({"embedding_types": ["float", "int8"]}, "embedding_types"),
        ({"embedding_types": [7]}, "embedding_types"),
        ({"output_dimension": -1}, "output_dimension"),
    ],
)
def test_what_no_other_lane_can_do_is_named(more: dict[str, Any], param: str) -> None:
    """Cohere §1: pictures and small numbers are the vendor's own."""
    with pytest.raises(Misshapen) as caught:
        BENCH.read(ASKED | more)
    assert caught.value.param == param


@pytest.mark.parametrize(("cut", "word"), [(Cut.NEVER, "NONE"), (Cut.START, "START"), (Cut.END, "END")])
def test_a_lane_is_asked(cut: Cut, word: str) -> None:
    """OpenAI §13: what is too long for a vendor that refuses it is refused here too."""
    assert BENCH.write(Embed(["a", "b"], "input", 256, Purpose.CLUSTERING, cut)) == {
        "model": "m",
        "texts": ["a", "b"],
        "input_type": "clustering",
        "embedding_types": ["float"],
        "output_dimension": 256,
        "truncate": word,
    }
    assert BENCH.lost == set()


def test_a_lane_is_read() -> None:
    """Cohere §1: vectors have their counts in `meta`."""
    document = {"embeddings": {"float": [[1, 2]]}, "meta": {"billed_units": {"input_tokens": 4.0}}}
    assert BENCH.read_answer(document) == Vectors([[1, 2]], 4)
    assert BENCH.read_answer({"embeddings": [[1]]}) == Vectors([[1]])


@pytest.mark.parametrize(
    ("encodings", "shown"),
    [
        ((Encoding.FLOAT,), {"float": [[1.0, -2.0]]}),
        ((Encoding.BASE64,), {"base64": ["AACAPwAAAMA="]}),
        ((Encoding.BASE64, Encoding.FLOAT), {"float": [[1.0, -2.0]], "base64": ["AACAPwAAAMA="]}),
    ],
)
def test_a_client_gets_the_forms_it_asked_for(encodings: tuple[Encoding, ...], shown: object) -> None:
    """Cohere §1: vectors by type."""
    written = BENCH.write_answer(Vectors([[1.0, -2.0]], 3), Embed(["a"], "texts", encodings=encodings))
    assert len(written.pop("id")) == 36
    assert written == {
        "texts": ["a"],
        "embeddings": shown,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 3}},
        "response_type": "embeddings_by_type",
    }
