"""The list of models, in the shape of the vendor whose client asks."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from busbar_fast.mock.content import CREATED_S

MODELS: Final = ("mock-large", "mock-small")
_GEMINI_ACTIONS: Final = ("generateContent", "streamGenerateContent", "countTokens")


def encode_models(dialect: str) -> bytes:
    """Return the list for one dialect; the OpenAI shape serves whoever has none of its own."""
    encode = _ENCODERS.get(dialect, _openai)
    return orjson.dumps(encode())


def dialect_of(headers: Mapping[bytes, bytes]) -> str:
    """Return whose client asks on the path that the vendors share."""
    if b"anthropic-version" in headers:
        return "anthropic"
    if b"x-goog-api-key" in headers:
        return "gemini"
    is_cohere = headers.get(b"x-fern-sdk-name") == b"cohere" or b"cohere/" in headers.get(b"user-agent", b"")
    return "cohere" if is_cohere else "openai"


def _openai() -> dict[str, Any]:
    rows = [{"id": name, "object": "model", "created": CREATED_S, "owned_by": "mock"} for name in MODELS]
    return {"object": "list", "data": rows}


def _anthropic() -> dict[str, Any]:
    created = "2025-10-09T08:53:20Z"  # CREATED_S
    rows = [{"type": "model", "id": name, "display_name": name, "created_at": created} for name in MODELS]
    return {"data": rows, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}


def _gemini() -> dict[str, Any]:
    return {
        "models": [
            {
                "name": f"models/{name}",
                "displayName": name,
                "supportedGenerationMethods": list(_GEMINI_ACTIONS),
            }
            for name in MODELS
        ]
    }


def _cohere() -> dict[str, Any]:
    return {"models": [{"name": name, "endpoints": ["chat", "embed", "rerank"]} for name in MODELS]}


_ENCODERS: Final = {"anthropic": _anthropic, "gemini": _gemini, "cohere": _cohere}
