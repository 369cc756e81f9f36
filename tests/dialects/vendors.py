"""What the mock of each vendor answers to a plain request, for tests that need no socket."""

import json
from collections.abc import Mapping
from typing import Any

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script

# Of a request in each dialect: its path, and its body without the model.
CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "responses": ("/v1/responses", {"input": "hi"}),
    "anthropic": ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    "cohere": ("/v2/chat", {"messages": [{"role": "user", "content": "hi"}]}),
    "gemini": ("/v1beta/models/{model}:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
    "bedrock": ("/model/{model}/converse", {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}),
}
STREAM_PATHS = {
    "gemini": "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    "array": "/v1beta/models/{model}:streamGenerateContent",
    "bedrock": "/model/{model}/converse-stream",
}
_HEADERS = {b"anthropic-version": b"2023-06-01", b"content-type": b"application/json"}
_STREAMING = {"stream": True, "stream_options": {"include_usage": True}}


def told(dialect: str, script: Script, *, in_stream: bool = False) -> tuple[int, bytes]:
    """Return status and body of an answer; a stream tells its usage."""
    path, document = CALLS[dialect]
    if in_stream:
        path = STREAM_PATHS.get(dialect, path)
    if "{model}" not in path:
        document = {"model": "m"} | document | (_STREAMING if in_stream else {})
    target = path.replace("{model}", "m").encode()
    reply = answer(b"POST", target, _HEADERS, json.dumps(document).encode(), script)
    return reply.status, b"".join(reply.frames)


def streamed(dialect: str, script: Script) -> bytes:
    """Return the bytes of a stream."""
    status, stream = told(dialect, script, in_stream=True)
    assert status == 200, stream
    return stream
