"""Embeddings and rerank of the mock backend, read by the official clients."""

import orjson
import pytest

from busbar_fast.mock import Script
from tests.mock.official import ask, cohere_client, openai_client

EMBEDDINGS = b"/v1/embeddings"


def test_openai_embeddings_are_the_same_as_floats_and_as_base64() -> None:
    """The client asks for base64 by itself."""
    client = openai_client(Script())
    packed = client.embeddings.create(model="m", input=["tide", "moon"])
    plain = client.embeddings.create(model="m", input=["tide", "moon"], encoding_format="float")
    assert [row.embedding for row in packed.data] == [row.embedding for row in plain.data]
    assert [row.index for row in packed.data] == [0, 1]
    assert packed.data[0].embedding != packed.data[1].embedding
    assert len(packed.data[0].embedding) == 8
    assert packed.usage.total_tokens == 2


def test_openai_embeddings_have_the_width_asked_for() -> None:
    """The number of dimensions is bounded."""
    row = openai_client(Script()).embeddings.create(model="m", input="tide", dimensions=3).data[0]
    assert len(row.embedding) == 3
    for width in (b"0", b"4097", b'"3"'):
        assert ask(EMBEDDINGS, b'{"model":"m","input":"x","dimensions":%b}' % width).status == 400


@pytest.mark.parametrize("texts", [b"[]", b"7", b"[1,2]", b"null"])
def test_texts_missing_or_wrong_are_refused(texts: bytes) -> None:
    """Only texts can be embedded here."""
    assert ask(EMBEDDINGS, b'{"model":"m","input":%b}' % texts).status == 400
    assert ask(b"/v2/embed", b'{"model":"m","texts":%b}' % texts).status == 400


def test_cohere_embed_is_read() -> None:
    """One float vector per text."""
    answer = cohere_client(Script()).embed(
        model="m", texts=["tide", "moon"], input_type="search_document", embedding_types=["float"]
    )
    assert answer.embeddings.float_ is not None
    assert [len(vector) for vector in answer.embeddings.float_] == [8, 8]


def test_cohere_rerank_is_read() -> None:
    """Documents keep their order, and only so many as asked for come back."""
    client = cohere_client(Script())
    answer = client.rerank(model="m", query="tide", documents=["a", "b", "c"])
    assert [row.index for row in answer.results] == [0, 1, 2]
    assert answer.results[0].relevance_score > answer.results[1].relevance_score
    assert len(client.rerank(model="m", query="tide", documents=["a", "b", "c"], top_n=2).results) == 2


def test_gemini_vectors_are_read() -> None:
    """One vector for a text, or one for each request of a batch, all of which name the model of the path."""
    one, many = b"/v1beta/models/m:embedContent", b"/v1beta/models/m:batchEmbedContents"
    content = b'"content":{"parts":[{"text":"tide"}]}'
    vector = orjson.loads(ask(one, b"{%b}" % content).frames[0])["embedding"]["values"]
    batch = b'{"requests":[{"model":"models/m",%b},{"model":"models/m",%b}]}' % (content, content)
    document = orjson.loads(ask(many, batch).frames[0])
    assert [row["values"] for row in document["embeddings"]] == [vector, vector]
    wrong = (b'{"requests":[]}', b'{"requests":[7]}', b'{"requests":[{%b}]}' % content, batch.replace(b"s/m", b"s/x"))
    assert [ask(many, body).status for body in wrong] == [400] * 4
    assert ask(one, b'{"model":"models/x",%b}' % content).status == 400


def test_answers_are_json() -> None:
    """The raw shapes are what the vendors document."""
    document = orjson.loads(ask(b"/v2/rerank", b'{"model":"m","query":"q","documents":["a"]}').frames[0])
    assert document["results"] == [{"index": 0, "relevance_score": 1.0}]


def test_vectors_of_all_vendors_have_the_length_asked_for() -> None:
    """The same text has the same vector everywhere."""
    model = b'"model":"models/m","content":{"parts":[{"text":"tide"}]},"outputDimensionality":3'
    asked = (
        (EMBEDDINGS, b'{"model":"m","input":"tide","dimensions":3}'),
        (b"/v1beta/models/m:embedContent", b"{%b}" % model),
        (b"/v2/embed", b'{"model":"m","texts":["tide"],"output_dimension":3}'),
        (b"/model/amazon.titan-embed-text-v2%3A0/invoke", b'{"inputText":"tide","dimensions":3}'),
        (b"/model/cohere.embed-v4%3A0/invoke", b'{"texts":["tide"],"input_type":"x","output_dimension":3}'),
    )
    first, *others = [orjson.loads(ask(*call).frames[0]) for call in asked]
    vector = first["data"][0]["embedding"]
    shown = [others[0]["embedding"]["values"], others[1]["embeddings"]["float"][0], others[2]["embedding"]]
    assert [*shown, others[3]["embeddings"]["float"][0]] == [vector] * 4
    assert others[2]["inputTextTokenCount"] == 1
    assert b"x-amzn-bedrock-input-token-count: 1\r\n" in ask(*asked[4]).headers


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (b"amazon.titan-embed-text-v2%3A0", b'{"inputText":["tide"]}'),
        (b"amazon.titan-embed-text-v2%3A0", b'{"inputText":"tide","model":"m"}'),
        (b"cohere.embed-v4%3A0", b'{"texts":["tide"]}'),
        (b"cohere.embed-v4%3A0", b'{"texts":["tide"],"input_type":"x","model":"m"}'),
        (b"cohere.embed-v4%3A0", b'{"input_type":"x"}'),
    ],
)
def test_bodies_of_other_models_are_refused(model: bytes, body: bytes) -> None:
    """Each family takes its own members only, and what makes no vectors is not there."""
    assert ask(b"/model/%b/invoke" % model, body).status == 400
    assert ask(b"/model/anthropic.claude-3/invoke", body).status == 404
