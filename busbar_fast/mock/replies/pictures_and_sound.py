"""What OpenAI answers that is no conversation: verdicts, pictures, texts of what was said, and sound."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

import orjson

from busbar_fast.mock.ask import BadAsk, Place, require_model
from busbar_fast.mock.content import estimate_tokens
from busbar_fast.mock.replies.voice import encode_line

_ID: Final = "modr-5eed"
_CREATED: Final = 1_700_000_000
_MOST: Final = 10
# One grey pixel.
_PNG: Final = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
_SOUND_TYPES: Final = {"mp3": b"audio/mpeg", "wav": b"audio/wav", "pcm": b"audio/pcm", "opus": b"audio/ogg"}
_SOUND_PARTS: Final = 4


def encode_moderation(document: Mapping[str, Any]) -> bytes:
    """Return one verdict per input; texts that say "violence" are flagged for it."""
    model = require_model(document, Place())
    inputs = document.get("input")
    if not inputs:
        raise BadAsk("input: required", "input")
    results = [_verdict(str(item)) for item in (inputs if isinstance(inputs, list) else [inputs])]
    return orjson.dumps({"id": _ID, "model": model, "results": results})


def _verdict(text: str) -> dict[str, Any]:
    is_flagged = "violence" in text
    return {
        "flagged": is_flagged,
        "categories": {"violence": is_flagged},
        "category_scores": {"violence": 0.99 if is_flagged else 0.01},
    }


def encode_images(document: Mapping[str, Any]) -> bytes:
    """Return as many pictures as are asked for, all the same."""
    require_model(document, Place())
    count = int(document.get("n", 1))
    if not 1 <= count <= _MOST:
        raise BadAsk("n: out of range", "n")
    tokens = estimate_tokens(str(document.get("prompt", "")))
    details = {"text_tokens": tokens, "image_tokens": 0}
    usage = {"input_tokens": tokens, "input_tokens_details": details, "output_tokens": count}
    usage["total_tokens"] = tokens + count
    pictures = [{"b64_json": b64encode(_PNG).decode()}] * count
    return orjson.dumps({"created": _CREATED, "data": pictures, "usage": usage})


def encode_transcription(document: Mapping[str, Any]) -> bytes:
    """Return how large the sound was, as if that had been said in it."""
    require_model(document, Place())
    sound = document.get("file")
    if not isinstance(sound, bytes):
        raise BadAsk("file: required", "file")
    usage = {"type": "tokens", "input_tokens": len(sound), "output_tokens": 2, "total_tokens": len(sound) + 2}
    return orjson.dumps({"text": f"{len(sound)} bytes", "usage": usage})


def encode_speech(document: Mapping[str, Any]) -> tuple[bytes, list[bytes]]:
    """Return the type and the parts of a sound: of bytes that the text decides, or of events if those are wanted."""
    require_model(document, Place())
    text = document.get("input")
    if not isinstance(text, str) or not text:
        raise BadAsk("input: required", "input")
    parts = [text.encode() * 8] * _SOUND_PARTS
    if document.get("stream_format") != "sse":
        kind = _SOUND_TYPES.get(str(document.get("response_format", "mp3")), b"audio/mpeg")
        return b"Content-Type: %b\r\n" % kind, parts
    deltas = [encode_line({"type": "speech.audio.delta", "audio": b64encode(part).decode()}) for part in parts]
    usage = {"input_tokens": estimate_tokens(text), "output_tokens": _SOUND_PARTS}
    done = encode_line({"type": "speech.audio.done", "usage": usage})
    return b"Content-Type: text/event-stream\r\n", [*deltas, done]
