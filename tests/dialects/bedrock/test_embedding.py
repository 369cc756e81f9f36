"""Embeddings by InvokeModel: a body for each family of models."""

import pytest

from busbar_fast.errors import Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Purpose, Vectors
from tests.dialects.embedding import Bench

BENCH = Bench("bedrock")
OWN, FIRST, OTHER = "us.amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v1", "cohere.embed-v4:0"


def test_one_text_for_the_hosts_models() -> None:
    """OpenAI §13: the first of them have one length only, and none is told what a text is for."""
    assert BENCH.write(Embed(["a"], "input", 256, cut=Cut.NEVER), OWN) == {"inputText": "a", "dimensions": 256}
    assert BENCH.lost == set()
    assert BENCH.write(Embed(["a"], "input", 256, Purpose.QUERY, Cut.END), FIRST) == {"inputText": "a"}
    assert BENCH.lost == {("dropped", "dimensions"), ("dropped", "input_type"), ("dropped", "truncate")}
    assert BENCH.write(Embed(["a"], "input"), FIRST) == {"inputText": "a"}
    assert BENCH.lost == set()


@pytest.mark.parametrize(("texts", "place"), [(["a", "b"], "input"), (["a", "b", "c"], "requests")])
def test_several_texts_for_them_are_refused(texts: list[str], place: str) -> None:
    """OpenAI §13: a call takes one, and the client hears which of its members is meant."""
    with pytest.raises(Misshapen, match="one text at a time") as caught:
        BENCH.write(Embed(texts, place), OWN)
    assert caught.value.param == place


def test_several_texts_for_the_others() -> None:
    """OpenAI §13: the body of their maker, without the model."""
    assert BENCH.write(Embed(["a", "b"], "input", 256, Purpose.QUERY, Cut.NEVER), OTHER) == {
        "texts": ["a", "b"],
        "input_type": "search_query",
        "embedding_types": ["float"],
        "output_dimension": 256,
        "truncate": "NONE",
    }
    BENCH.write(Embed(["a"], "texts", cut=Cut.END), OTHER)
    assert BENCH.lost == {("filled", "input_type"), ("dropped", "truncate")}


def test_answers_are_read() -> None:
    """OpenAI §13: tokens are counted in the body or in the head."""
    counted = b"9"
    assert BENCH.read_answer({"embedding": [1, 2], "inputTextTokenCount": 4}) == Vectors([[1, 2]], 4)
    assert BENCH.read_answer({"embedding": [1]}, x_amzn_bedrock_input_token_count=counted) == Vectors([[1]], 9)
    by_type = {"embeddings": {"float": [[1], [2]]}}
    assert BENCH.read_answer(by_type, x_amzn_bedrock_input_token_count=counted) == Vectors([[1], [2]], 9)
    assert BENCH.read_answer(by_type, x_amzn_bedrock_input_token_count=b"many") == Vectors([[1], [2]])


def test_an_answer_without_vectors_is_refused() -> None:
    """Reliability §6: an answer that nobody can read is not passed on."""
    with pytest.raises(Misshapen):
        BENCH.read_answer({"message": "no"})
