"""Answers of vendors whose own tools ran: they searched the web and ran code, whole and as streams."""

import json
from typing import Any

from tests.dialects.translating import sse

URL = "https://u.test/a"
SAID = ("Let me see. ", "Élan is 5.")  # the second one rests on a page

_PAGE = {"type": "web_search_result", "url": URL, "title": "T", "encrypted_content": "x", "page_age": None}
_CITED = {
    "type": "web_search_result_location",
    "cited_text": "It is five.",
    "encrypted_index": "Eo8B",
    "title": "T",
    "url": URL,
}
_RAN = {"type": "bash_code_execution_result", "stdout": "5", "stderr": "", "return_code": 0, "content": []}
ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "text", "text": SAID[0]},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "élan"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [_PAGE]},
        {"type": "server_tool_use", "id": "srvtoolu_2", "name": "bash_code_execution", "input": {"command": "bc"}},
        {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_2", "content": _RAN},
        {"type": "text", "text": SAID[1], "citations": [_CITED]},
    ],
    "stop_reason": "pause_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 5},
}

_NOTES = [{"type": "url_citation", "url": URL, "title": "T", "start_index": 12, "end_index": 21}]
_TEXT = {"type": "output_text", "text": "".join(SAID), "annotations": _NOTES, "logprobs": []}
_SEARCHED = {"type": "search", "query": "élan", "queries": ["élan"], "sources": [{"type": "url", "url": URL}]}
_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
_COUNTED = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 15,
}
RESPONSES: dict[str, Any] = _RESPONSE | {
    "status": "completed",
    "output": [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": _SEARCHED},
        {
            "type": "code_interpreter_call",
            "id": "ci_1",
            "status": "completed",
            "code": "print(5)",
            "container_id": "cntr_1",
            "outputs": [{"type": "logs", "logs": "5"}],
        },
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [_TEXT]},
    ],
    "usage": _COUNTED,
}

_RESTS = {"partIndex": 3, "startIndex": 0, "endIndex": 10, "text": "Élan is 5"}
_GROUNDING: dict[str, Any] = {
    "webSearchQueries": ["élan"],
    "groundingChunks": [{"web": {"uri": URL, "title": "T"}}],
    "groundingSupports": [
        {
            "segment": {"partIndex": 3, "startIndex": 0, "endIndex": 10, "text": "Élan is 5"},
            "groundingChunkIndices": [0],
        }
    ],
}
_PARTS: list[dict[str, Any]] = [
    {"text": SAID[0]},
    {"executableCode": {"language": "PYTHON", "code": "print(5)"}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "5"}},
    {"text": SAID[1]},
]
GEMINI: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": _PARTS},
            "finishReason": "STOP",
            "index": 0,
            "groundingMetadata": _GROUNDING,
        }
    ],
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
    "modelVersion": "m",
}
ANSWERS: dict[str, dict[str, Any]] = {"anthropic": ANTHROPIC, "responses": RESPONSES, "gemini": GEMINI}


def _blocks() -> list[dict[str, Any]]:
    """Return the events of Anthropic's blocks: input comes in pieces, references in front of their text."""
    found: list[dict[str, Any]] = []
    for at, block in enumerate(ANTHROPIC["content"]):
        shown, deltas = block, []
        if block["type"] == "text":
            shown = {"type": "text", "text": ""}
            deltas = [{"type": "citations_delta", "citation": one} for one in block.get("citations", ())]
            deltas += [{"type": "text_delta", "text": text} for text in (block["text"][:3], block["text"][3:])]
        elif block["type"] == "server_tool_use":
            shown, told = block | {"input": {}}, json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", told[:4], told[4:])]
        found.append({"type": "content_block_start", "index": at, "content_block": shown})
        found += [{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas]
        found.append({"type": "content_block_stop", "index": at})
    return found


def _anthropic() -> bytes:
    start = ANTHROPIC | {"content": [], "stop_reason": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
    delta = {"stop_reason": "pause_turn", "stop_sequence": None}
    return sse(
        {"type": "message_start", "message": start},
        *_blocks(),
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
        named=True,
    )


def _responses() -> bytes:
    events: list[dict[str, Any]] = []

    def tell(name: str, **members: Any) -> None:
        events.append({"type": f"response.{name}", "sequence_number": len(events), **members})

    tell("created", response=_RESPONSE | {"status": "in_progress", "output": []})
    for at, item in enumerate(RESPONSES["output"]):
        place = {"output_index": at, "item_id": item["id"]}
        if item["type"] == "message":
            tell("output_item.added", output_index=at, item=item | {"status": "in_progress", "content": []})
            text = place | {"content_index": 0}
            tell("content_part.added", **text, part=_TEXT | {"text": "", "annotations": []})
            for piece in SAID:
                tell("output_text.delta", **text, delta=piece, logprobs=[])
            for number, note in enumerate(_NOTES):
                tell("output_text.annotation.added", **text, annotation_index=number, annotation=note)
            tell("output_text.done", **text, text="".join(SAID), logprobs=[])
            tell("content_part.done", **text, part=_TEXT)
        else:
            tell("output_item.added", output_index=at, item=item | {"status": "in_progress"})
            tell(f"{item['type']}.in_progress", **place)
            if item["type"] == "code_interpreter_call":
                tell("code_interpreter_call_code.delta", **place, delta=item["code"])
                tell("code_interpreter_call_code.done", **place, code=item["code"])
                tell("code_interpreter_call.interpreting", **place)
            else:
                tell("web_search_call.searching", **place)
            tell(f"{item['type']}.completed", **place)
        tell("output_item.done", output_index=at, item=item)
    tell("completed", response=RESPONSES)
    return sse(*events, named=True)


def _gemini() -> bytes:
    """Return the stream: places count from the beginning of all text, and come last."""
    (support,) = _GROUNDING["groundingSupports"]
    segment = {"startIndex": 12, "endIndex": 22, "text": "Élan is 5"}
    grounding = _GROUNDING | {"groundingSupports": [support | {"segment": segment}]}
    told = [
        {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], "modelVersion": "m"}
        for part in _PARTS
    ]
    end = {"finishReason": "STOP", "index": 0, "groundingMetadata": grounding}
    return sse(*told, {"candidates": [end], "usageMetadata": GEMINI["usageMetadata"], "modelVersion": "m"})


STREAMS: dict[str, bytes] = {"anthropic": _anthropic(), "responses": _responses(), "gemini": _gemini()}
