"""Embeddings of OpenAI, Gemini and Cohere, and Cohere's rerank: small numbers that depend on the text only."""

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
_ID: Final = "5eed0000-5eed-4000-8000-000000000e4b"


def encode_openai_embeddings(document: Mapping[str, Any]) -> bytes:
    """Return one vector per input, as floats or as base64 of little-endian float32."""
    model = require_model(document, Place())
    texts = _texts(document.get("input"), "input")
    width = document.get("dimensions", _WIDTH)
    if not isinstance(width, int) or not 1 <= width <= _MAX_WIDTH:
        raise BadAsk("dimensions: out of range", "dimensions")
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
        return orjson.dumps({"embedding": {"values": _vector(_text_of_request(document, place), _WIDTH)}})
    requests = document.get("requests")
    if not isinstance(requests, list) or not requests:
        raise BadAsk("requests: a non-empty list is required", "requests")
    texts = [_text_of_request(request, place) for request in requests]
    return orjson.dumps({"embeddings": [{"values": _vector(text, _WIDTH)} for text in texts]})


def _text_of_request(request: object, place: Place) -> str:
    if not isinstance(request, dict) or not isinstance(request.get("content"), dict):
        raise BadAsk("content: an object is required", "content")
    name = request.get("model", f"models/{place.model}" if place.action == "embedContent" else None)
    if name != f"models/{place.model}":
        raise BadAsk("model: must be the one of the path", "model")
    return text_of(request["content"].get("parts"))


def encode_cohere_embed(document: Mapping[str, Any]) -> bytes:
    """Return one float vector per text."""
    require_model(document, Place())
    texts = _texts(document.get("texts"), "texts")
    return orjson.dumps(
        {
            "id": _ID,
            "texts": texts,
            "embeddings": {"float": [_vector(text, _WIDTH) for text in texts]},
            "response_type": "embeddings_by_type",
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"input_tokens": sum(map(estimate_tokens, texts))},
            },
        }
    )


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


def _vector(text: str, width: int) -> list[float]:
    """Return numbers within -1 and 1 that float32 holds exactly."""
    raw_text = text.encode()
    return [(crc32(raw_text, place) % 2048 - 1024) / 1024 for place in range(width)]


def _pack(vector: list[float]) -> str:
    return b64encode(array("f", vector).tobytes()).decode()
