"""Embeddings of this dialect: what clients ask, what lanes are asked, and both answers."""

from typing import Any

import pytest

from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Encoding, Purpose, Vectors
from tests.dialects.embedding import Bench

BENCH = Bench("openai")


def test_a_client_is_read() -> None:
    """OpenAI §13: texts, length and form; who asks has no place elsewhere."""
    found = BENCH.read({"model": "m", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64", "user": "u"})
    assert found == Embed(["a", "b"], "input", 3, Purpose.NONE, Cut.NEVER, (Encoding.BASE64,))
    assert BENCH.lost == {("dropped", "user")}


@pytest.mark.parametrize("more", [{}, {"encoding_format": "float"}, {"dimensions": None, "encoding_format": None}])
def test_a_client_that_says_little_gets_floats(more: dict[str, Any]) -> None:
    """OpenAI §13: base64 is only what the official client asks for by itself."""
    assert BENCH.read({"model": "m", "input": "a", **more}) == Embed(["a"], "input", cut=Cut.NEVER)
    assert BENCH.lost == set()


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"input": [1, 2]}, "input"),
        ({"input": [[1], [2]]}, "input"),
        ({"input": None}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"encoding_format": 7}, "encoding_format"),
    ],
)
def test_what_no_lane_can_do_is_named(more: dict[str, Any], param: str) -> None:
    """OpenAI case 66: tokens and odd forms are refused, and the member is named."""
    with pytest.raises(Misshapen) as caught:
        BENCH.read({"model": "m", "input": "a", **more})
    assert caught.value.param == param


def test_a_lane_is_asked_for_floats() -> None:
    """OpenAI §13: all digits arrive, whatever form the client wants."""
    assert BENCH.write(Embed(["a"], "texts", purpose=Purpose.QUERY, cut=Cut.END)) == {
        "model": "m",
        "input": ["a"],
        "encoding_format": "float",
    }
    assert BENCH.lost == {("dropped", "input_type"), ("dropped", "truncate")}
    assert BENCH.write(Embed(["a"], "texts", 256))["dimensions"] == 256
    assert BENCH.lost == set()


def test_a_lane_is_read() -> None:
    """OpenAI §13: floats or packed, in the order of their numbers."""
    rows = [{"index": 1, "embedding": "AACAPwAAAMA="}, {"index": 0, "embedding": [0.25, 1]}]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    assert BENCH.read_answer({"data": rows, "model": "up", "usage": usage}) == Vectors([[0.25, 1], [1, -2]], 5, "up")
    assert BENCH.read_answer({"data": [{"embedding": []}], "error": None}) == Vectors([[]])


def test_an_error_with_a_good_status_is_one() -> None:
    """OpenAI case 61: some back ends answer so."""
    with pytest.raises(FaultReported) as caught:
        BENCH.read_answer({"error": {"message": "no"}})
    assert caught.value.payload == b'{"error": {"message": "no"}}'


@pytest.mark.parametrize("body", [{"data": [{}]}, {"data": [{"embedding": {}}]}, {"data": 7}])
def test_an_answer_without_vectors_is_refused(body: object) -> None:
    """Reliability §6: an answer that nobody can read is not passed on."""
    with pytest.raises(Misshapen):
        BENCH.read_answer(body)


@pytest.mark.parametrize(("encoding", "shown"), [(Encoding.FLOAT, [1.0, -2.0]), (Encoding.BASE64, "AACAPwAAAMA=")])
def test_a_client_gets_the_form_it_asked_for(encoding: Encoding, shown: object) -> None:
    """OpenAI case 66: floats, or base64 of float32 with the smallest byte first."""
    written = BENCH.write_answer(Vectors([[1.0, -2.0]], 3, "up"), Embed(["a"], "input", encodings=(encoding,)))
    assert written == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": shown}],
        "model": "up",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
