"""Embeddings of this dialect: what clients ask, what lanes are asked, and both answers."""

from typing import Any

import pytest

from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Purpose, Vectors
from tests.dialects.embedding import Bench

BENCH = Bench("gemini")
ONE = "embedContent"


def asked(*texts: str, **more: Any) -> dict[str, Any]:
    """Return what one vector is asked for with."""
    return {"model": "models/m", "content": {"parts": [{"text": text} for text in texts]}, **more}


def test_a_client_with_one_text_is_read() -> None:
    """Gemini §1: the parts of a text are one text, and a title has no place elsewhere."""
    found = BENCH.read(asked("a", "b", taskType="RETRIEVAL_QUERY", outputDimensionality=3, title="t"), ONE)
    assert found == Embed(["ab"], "content", 3, Purpose.QUERY)
    assert BENCH.lost == {("dropped", "other")}


@pytest.mark.parametrize(
    "wishes",
    [
        {"task_type": "CLUSTERING", "output_dimensionality": 3},
        {"embedContentConfig": {"taskType": "CLUSTERING", "outputDimensionality": 3}},
        {"embed_content_config": {"task_type": "CLUSTERING", "output_dimensionality": 3}},
    ],
)
def test_a_client_with_many_texts_is_read(wishes: dict[str, Any]) -> None:
    """Gemini §1: either spelling and either place of what all of a batch ask for."""
    found = BENCH.read({"requests": [asked("a", **wishes), asked("b", **wishes)]})
    assert found == Embed(["a", "b"], "requests", 3, Purpose.CLUSTERING)
    assert BENCH.lost == set()


@pytest.mark.parametrize(
    ("word", "noted"),
    [("TASK_TYPE_UNSPECIFIED", set()), ("FACT_VERIFICATION", {("dropped", "input_type")})],
)
def test_purposes_that_others_lack_are_noted(word: str, noted: set[tuple[str, str]]) -> None:
    """IR §9: nothing gets lost in silence."""
    assert BENCH.read(asked("a", taskType=word), ONE) == Embed(["a"], "content")
    assert BENCH.lost == noted


@pytest.mark.parametrize(
    ("document", "action", "param"),
    [
        ({"requests": []}, "", "requests"),
        ({"requests": [asked("a", taskType="CLUSTERING"), asked("b")]}, "", "requests"),
        ({"requests": [asked()]}, "", "requests[0].content.parts"),
        ({}, ONE, "content.parts"),
        ({"content": {"parts": [{"text": "a"}, {"inlineData": {}}]}}, ONE, "content.parts"),
        (asked("a", outputDimensionality=0), ONE, "outputDimensionality"),
    ],
)
def test_what_no_other_lane_can_do_is_named(document: object, action: str, param: str) -> None:
    """Gemini §1: pictures are the vendor's own, and one request cannot want two things."""
    with pytest.raises(Misshapen) as caught:
        BENCH.read(document, action)
    assert caught.value.param == param


def test_a_lane_is_asked_for_a_batch() -> None:
    """OpenAI §13: each of it names the model and says what all of it is for."""
    wishes = {"taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 256}
    written = BENCH.write(Embed(["a", "b"], "input", 256, Purpose.DOCUMENT, Cut.START), "up")
    assert written == {
        "requests": [{"model": "models/up", "content": {"parts": [{"text": text}]}, **wishes} for text in ("a", "b")]
    }
    assert BENCH.lost == {("dropped", "truncate")}
    assert BENCH.write(Embed(["a"], "input", cut=Cut.NEVER)) == {"requests": [asked("a")]}
    assert BENCH.lost == set()


def test_a_lane_is_read() -> None:
    """OpenAI §13: tokens are counted by some models only."""
    rows = [{"values": [1, 2]}, {"values": [3, 4]}]
    assert BENCH.read_answer({"embeddings": rows}) == Vectors([[1, 2], [3, 4]])
    assert BENCH.read_answer({"embeddings": rows, "usageMetadata": {"promptTokenCount": 7}}).input_tokens == 7


def test_an_error_with_a_good_status_is_one() -> None:
    """IR case 47: it is not taken for an answer."""
    with pytest.raises(FaultReported):
        BENCH.read_answer({"error": {"code": 503}})


@pytest.mark.parametrize("body", [{"embeddings": [{}]}, {"embeddings": 7}])
def test_an_answer_without_vectors_is_refused(body: object) -> None:
    """Reliability §6: an answer that nobody can read is not passed on."""
    with pytest.raises(Misshapen):
        BENCH.read_answer(body)


def test_a_client_gets_one_or_many() -> None:
    """Gemini §1: as its path says."""
    vectors, embed = Vectors([[1.0]], 3), Embed(["a"], "content")
    usage = {"promptTokenCount": 3}
    assert BENCH.write_answer(vectors, embed, ONE) == {"embedding": {"values": [1.0]}, "usageMetadata": usage}
    assert BENCH.write_answer(vectors, embed) == {"embeddings": [{"values": [1.0]}], "usageMetadata": usage}
