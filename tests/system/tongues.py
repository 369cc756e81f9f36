"""One small request in each dialect, and what an answer to it says; for tests that go from each dialect to another."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from busbar_fast.dialects.registry import speak, translator
from busbar_fast.ir.blocks import AnyBlock, Text, Thinking, ToolUse
from busbar_fast.ir.events import Kind
from tests.dialects.translating import Bench, Call

TOOL_NAME = "tide_at"
_SCHEMA = {"type": "object", "properties": {"port": {"type": "string"}}}
_FUNCTION = {"name": TOOL_NAME, "parameters": _SCHEMA}
_CHAT: dict[str, Any] = {
    "model": "demo",
    "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
    "tools": [{"type": "function", "function": _FUNCTION}],
}
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "openai": _CHAT | {"max_tokens": 99},
    "cohere": _CHAT | {"max_tokens": 99},
    "responses": {
        "model": "demo",
        "instructions": "be kind",
        "input": "hi",
        "max_output_tokens": 99,
        "tools": [{"type": "function", **_FUNCTION}],
    },
    "anthropic": {
        "model": "demo",
        "max_tokens": 99,
        "system": "be kind",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": TOOL_NAME, "input_schema": _SCHEMA}],
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "be kind"}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 99},
        "tools": [{"functionDeclarations": [{"name": TOOL_NAME, "parametersJsonSchema": _SCHEMA}]}],
    },
    "bedrock": {
        "system": [{"text": "be kind"}],
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 99},
        "toolConfig": {"tools": [{"toolSpec": {"name": TOOL_NAME, "inputSchema": {"json": _SCHEMA}}}]},
    },
}
_PATHS: Mapping[str, tuple[bytes, bytes]] = {
    "openai": (b"/v1/chat/completions", b"/v1/chat/completions"),
    "cohere": (b"/v2/chat", b"/v2/chat"),
    "responses": (b"/v1/responses", b"/v1/responses"),
    "anthropic": (b"/v1/messages", b"/v1/messages"),
    "gemini": (b"/v1beta/models/demo:generateContent", b"/v1beta/models/demo:streamGenerateContent?alt=sse"),
    "bedrock": (b"/model/demo/converse", b"/model/demo/converse-stream"),
}
_IN_PATH = ("gemini", "bedrock")
NAMES = tuple(_BODIES)


class Said(NamedTuple):
    """What an answer says."""

    thought: str
    text: str
    calls: list[tuple[str, Any]]


def request_of(name: str, *, in_stream: bool = False, **more: object) -> tuple[bytes, bytes]:
    """Return path and body of the small request; `more` are members of its body."""
    body = {**_BODIES[name], **more}
    if in_stream and name not in _IN_PATH:
        body["stream"] = True
    return _PATHS[name][in_stream], json.dumps(body).encode()


def bench(name: str) -> Bench:
    """Return the bench of a dialect."""
    return Bench(translator(speak(name)))


def said_in(name: str, body: bytes) -> Said:
    """Return what a whole answer says."""
    return _said(bench(name).read_answer(body).blocks)


def said_in_stream(name: str, body: bytes) -> Said:
    """Return what a streamed answer says; it has to be complete."""
    calls = bench(name).hear(body)
    assert calls[-1][0] == "end"
    assert [call[0] for call in calls if call[0] in ("finish", "fail")] == ["finish"]
    kinds = {call[1]: call for call in calls if call[0] == "open"}
    named = [index for index, call in kinds.items() if call[2] is Kind.TOOL_USE]
    arguments = [(kinds[index][4], json.loads(_joined(calls, "args", index))) for index in named]
    return Said(_joined(calls, "thinking"), _joined(calls, "text"), arguments)


def _joined(calls: list[Call], name: str, index: int | None = None) -> str:
    return "".join(call[2] for call in calls if call[0] == name and index in (None, call[1]))


def _said(blocks: list[AnyBlock]) -> Said:
    return Said(
        "".join(block.text for block in blocks if isinstance(block, Thinking)),
        "".join(block.text for block in blocks if isinstance(block, Text)),
        [(block.name, json.loads(bytes(block.args))) for block in blocks if isinstance(block, ToolUse)],
    )
