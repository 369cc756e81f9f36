"""Embeddings of OpenAI, Gemini, Bedrock and Cohere, and Cohere's rerank: small numbers that depend on the text only."""

from array import array
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

import orjson

from busbar_fast.mock.ask import BadAsk, Place, require_model, text_of
from busbar_fast.mock.content import estimate_tokens

_WIDTH: Final = 8
_MAX_WIDTH: Final = 4096
_OF_TITAN: Final = {"inputText", "dimensions", "normalize", "embeddingTypes"}
_OF_OTHERS: Final = {"texts", "input_type", "embedding_types", "output_dimension", "truncate"}
_ID: Final = "5eed0000-5eed-4000-8000-000000000e4b"


def encode_openai_embeddings(document: Mapping[str, Any]) -> bytes:
    """Return one vector per input, as floats or as base64 of little-endian float32."""
    model = require_model(document, Place())
    texts = _texts(document.get("input"), "input")
    width = _width(document, "dimensions")
    vectors = [_vector(text, width) for text in texts]
    is_base64 = document.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "index": index, "embedding": _pack(vector) if is_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(map(estimate_tokens, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "data": rows, "model": model, "usage": usage})


def encode_gemini_embeddings(document: Mapping[str, Any], place: Place) -> bytes:
    """Return one vector, or one for each request of a batch, all of which name the model of the path."""
    if place.action == "embedContent":
        return orjson.dumps({"embedding": {"values": _vector_of_request(document, place)}})
    requests = document.get("requests")
    if not isinstance(requests, list) or not requests:
        raise BadAsk("requests: a non-empty list is required", "requests")
    return orjson.dumps({"embeddings": [{"values": _vector_of_request(request, place)} for request in requests]})


def _vector_of_request(request: object, place: Place) -> list[float]:
    if not isinstance(request, dict) or not isinstance(request.get("content"), dict):
        raise BadAsk("content: an object is required", "content")
    name = request.get("model", f"models/{place.model}" if place.action == "embedContent" else None)
    if name != f"models/{place.model}":
        raise BadAsk("model: must be the one of the path", "model")
    return _vector(text_of(request["content"].get("parts")), _width(request, "outputDimensionality"))


def encode_cohere_embed(document: Mapping[str, Any]) -> bytes:
    """Return one float vector per text."""
    require_model(document, Place())
    meta = {
        "api_version": {"version": "2"},
        "billed_units": {"input_tokens": sum(map(estimate_tokens, _texts(document.get("texts"), "texts")))},
    }
    return orjson.dumps(_by_type(document) | {"meta": meta})


def encode_bedrock_embeddings(document: Mapping[str, Any], place: Place) -> tuple[bytes, int]:
    """Return what InvokeModel answers, and how many tokens its head counts: the body is that of the model's maker."""
    model = place.model or ""
    is_own = "titan-embed" in model
    strangers = document.keys() - (_OF_TITAN if is_own else _OF_OTHERS)
    if strangers:
        raise BadAsk(f"Malformed input request: extraneous key [{min(strangers)}] is not permitted")
    if not is_own:
        if "input_type" not in document:
            raise BadAsk("Malformed input request: required key [input_type] not found")
        return orjson.dumps(_by_type(document)), sum(map(estimate_tokens, _texts(document.get("texts"), "texts")))
    text = document.get("inputText")
    if not isinstance(text, str):
        raise BadAsk("Malformed input request: required key [inputText] not found")
    tokens = estimate_tokens(text)
    vector = _vector(text, _width(document, "dimensions"))
    return orjson.dumps({"embedding": vector, "inputTextTokenCount": tokens}), tokens


def _by_type(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return one float vector per text."""
    texts = _texts(document.get("texts"), "texts")
    width = _width(document, "output_dimension")
    vectors = {"float": [_vector(text, width) for text in texts]}
    return {"id": _ID, "texts": texts, "embeddings": vectors, "response_type": "embeddings_by_type"}


def encode_cohere_rerank(document: Mapping[str, Any]) -> bytes:
    """Return the documents in their own order, each a little less relevant than the one before."""
    require_model(document, Place())
    texts = _texts(document.get("documents"), "documents")
    top = document.get("top_n")
    count = min(len(texts), top) if isinstance(top, int) and top > 0 else len(texts)
    results = [{"index": index, "relevance_score": 1 / (index + 1)} for index in range(count)]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return orjson.dumps({"id": _ID, "results": results, "meta": meta})


def _texts(value: object, key: str) -> list[str]:
    """Return a text or a non-empty list of texts as a list."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadAsk(f"{key}: a text or a list of texts is required", key)
    return texts


def _width(document: Mapping[str, Any], key: str) -> int:
    """Return how long vectors are to be."""
    width = document.get(key, _WIDTH)
    if not isinstance(width, int) or not 1 <= width <= _MAX_WIDTH:
        raise BadAsk(f"{key}: out of range", key)
    return width


def _vector(text: str, width: int) -> list[float]:
    """Return numbers within -1 and 1 that float32 holds exactly."""
    raw_text = text.encode()
    return [(crc32(raw_text, place) % 2048 - 1024) / 1024 for place in range(width)]


def _pack(vector: list[float]) -> str:
    return b64encode(array("f", vector).tobytes()).decode()
