"""Blocks of every kind through boto3: parallel tools, pictures, secret reasoning, guards and what they saw.

What a gateway need not understand must arrive as well, in both directions; that text arrives is shown elsewhere.
"""

import base64
from typing import Any

import orjson
import pytest

from busbar_fast.mock.content import REDACTED, SIGNATURE
from busbar_fast.mock.script import Script
from tests.system.sdk import PNG, POOL, Stand, in_thread, stand
from tests.system.sdk_callers import converse_client
from tests.system.serving import Serve

SAID = "You said: hi"
USER: Any = {"role": "user", "content": [{"text": "hi"}]}
ASK: Any = {"modelId": POOL, "messages": [USER]}
TOOLS: Any = {
    "tools": [
        {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}}
        for name in ("tide_at", "moon_at")
    ],
    "toolChoice": {"any": {}},
}
ARGS = {"port": "Brest", "hours": [24, 36.5], "note": "marée \U0001f30a"}
RAW_ARGS = '{"port":"Brest","hours":[24,36.5],"note":"marée \U0001f30a"}'
THOUGHT = "The user wants an answer, so I give one."
IDS = ["tooluse_MockMockMockMockMockM1", "tooluse_MockMockMockMockMockM2"]
GUARD: Any = {"guardrailIdentifier": "gr-1", "guardrailVersion": "2", "trace": "enabled"}
TRACE = {
    "guardrail": {
        "inputAssessment": {
            "gr-1": {
                "wordPolicy": {
                    "customWords": [{"match": "storm", "action": "BLOCKED", "detected": True}],
                    "managedWordLists": [],
                }
            }
        }
    }
}
BOTH_WAYS = pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])


class Said:
    """What a client reads of an answer, whole or streamed: its blocks put together, and what stands beside them."""

    def __init__(self, said: Any, *, is_streamed: bool) -> None:
        self.events = list(said["stream"]) if is_streamed else []
        if not is_streamed:
            self.content = said["output"]["message"]["content"]
            self.stop, self.beside = said["stopReason"], said
            return
        blocks: dict[int, Any] = {}
        for event in self.events:
            for place in ("contentBlockStart", "contentBlockDelta"):
                if place in event:
                    part = event[place].get("start") or event[place].get("delta")
                    blocks.setdefault(event[place]["contentBlockIndex"], []).append(part)
        assert sorted(blocks) == list(range(len(blocks)))
        self.content = [_joined(blocks[index]) for index in range(len(blocks))]
        (self.stop,) = [event["messageStop"]["stopReason"] for event in self.events if "messageStop" in event]
        self.beside = self.events[-1]["metadata"]


def _joined(parts: list[Any]) -> Any:
    """Return the whole block that the parts of a streamed one make."""
    if "toolUse" in parts[0]:
        args = "".join(part["toolUse"]["input"] for part in parts[1:])
        return {"toolUse": parts[0]["toolUse"] | {"input": orjson.loads(args)}}
    if "reasoningContent" not in parts[0]:
        return {"text": "".join(part["text"] for part in parts)}
    pieces = [part["reasoningContent"] for part in parts]
    if "redactedContent" in pieces[0]:
        return parts[0]
    text = "".join(piece.get("text", "") for piece in pieces)
    return {"reasoningContent": {"reasoningText": {"text": text, "signature": pieces[-1]["signature"]}}}


async def said_of(made: Stand, *, is_streamed: bool, **members: Any) -> Said:
    """Return what a client reads."""

    def run() -> Said:
        with converse_client(made) as client:
            ask = client.converse_stream if is_streamed else client.converse
            return Said(ask(**(ASK | members)), is_streamed=is_streamed)

    return await in_thread(run)


def check_body(made: Stand, *, is_streamed: bool) -> None:
    assert made.last.body == made.sent[-1].body
    assert made.last.target.endswith(b"/converse-stream" if is_streamed else b"/converse")


@BOTH_WAYS
async def test_parallel_calls_and_their_results_go_round(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock §5, §6: reasoning, text and two calls keep order and ids; results of three kinds go back in one turn."""
    script = Script(thinking=True, text="Checking.", tools=("tide_at", "moon_at"), args=RAW_ARGS, delta_chars=5)
    async with stand(serve, parser_kind, script, Script(text="At six.")) as made:
        said = await said_of(made, toolConfig=TOOLS, is_streamed=is_streamed)
        reasoning, text, *calls = said.content
        assert reasoning["reasoningContent"]["reasoningText"] == {"text": THOUGHT, "signature": SIGNATURE}
        assert text == {"text": "Checking."}
        assert calls == [
            {"toolUse": {"toolUseId": call_id, "name": name, "input": ARGS}}
            for call_id, name in zip(IDS, ("tide_at", "moon_at"), strict=True)
        ]
        assert said.stop == "tool_use"
        results = [
            {
                "toolResult": {
                    "toolUseId": IDS[0],
                    "content": [
                        {"json": {"at": "06:00"}},
                        {"text": "Low."},
                        {"image": {"format": "png", "source": {"bytes": base64.b64decode(PNG)}}},
                    ],
                    "status": "success",
                }
            },
            {"toolResult": {"toolUseId": IDS[1], "content": [{"text": "no moon"}], "status": "error"}},
        ]
        turns = [USER, {"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
        answered = await said_of(made, toolConfig=TOOLS, messages=turns, is_streamed=is_streamed)
        assert answered.content == [{"text": "At six."}]
        check_body(made, is_streamed=is_streamed)
        _, assistant, user = made.last.document["messages"]
        assert assistant["content"] == said.content
        first, second = (block["toolResult"] for block in user["content"])
        assert first["content"][:2] == [{"json": {"at": "06:00"}}, {"text": "Low."}]
        assert first["content"][2]["image"]["source"]["bytes"] == PNG
        assert (first["status"], second["status"]) == ("success", "error")
        assert made.visits == (1, 1)


async def test_arguments_arrive_in_pieces(serve: Serve, parser_kind: str) -> None:
    """Bedrock §9: each fragment of each call's arguments arrives as one event, under the index of its block."""
    script = Script(tools=("tide_at", "moon_at"), args=RAW_ARGS, delta_chars=7)
    async with stand(serve, parser_kind, script) as made:
        said = await said_of(made, toolConfig=TOOLS, is_streamed=True)
        deltas = [event["contentBlockDelta"] for event in said.events if "contentBlockDelta" in event]
        pieces = [RAW_ARGS[at : at + 7] for at in range(0, len(RAW_ARGS), 7)]
        expected = [(index, piece) for index in (0, 1) for piece in pieces]
        assert [(delta["contentBlockIndex"], delta["delta"]["toolUse"]["input"]) for delta in deltas] == expected
        starts = [
            event["contentBlockStart"]["start"]["toolUse"] for event in said.events if "contentBlockStart" in event
        ]
        assert starts == [
            {"toolUseId": IDS[0], "name": "tide_at"},
            {"toolUseId": IDS[1], "name": "moon_at"},
        ]


@BOTH_WAYS
async def test_secret_reasoning_comes_and_goes_back(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock case 22: what only the vendor can read arrives as bytes, and travels back as the same base64."""
    async with stand(serve, parser_kind, Script(thinking=True, redacted=True, delta_chars=9)) as made:
        said = await said_of(made, is_streamed=is_streamed)
        reasoning, secret, text = said.content
        assert reasoning["reasoningContent"]["reasoningText"] == {"text": THOUGHT, "signature": SIGNATURE}
        assert secret == {"reasoningContent": {"redactedContent": base64.b64decode(REDACTED)}}
        assert text == {"text": SAID}
        turns = [USER, {"role": "assistant", "content": said.content}, USER]
        await said_of(made, messages=turns, is_streamed=is_streamed)
        check_body(made, is_streamed=is_streamed)
        sent = made.last.document["messages"][1]["content"]
        assert sent[1] == {"reasoningContent": {"redactedContent": REDACTED}}
        assert sent[0] == reasoning


@BOTH_WAYS
async def test_guards_are_asked_and_their_trace_arrives(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock case 15: the guards reach a lane of the vendor untouched, and the client reads what they saw."""
    script = Script(stop_raw="guardrail_intervened", text="I cannot say that.")
    guard = GUARD | ({"streamProcessingMode": "async"} if is_streamed else {})
    async with stand(serve, parser_kind, script) as made:
        said = await said_of(made, guardrailConfig=guard, is_streamed=is_streamed)
        assert (said.content, said.stop) == ([{"text": "I cannot say that."}], "guardrail_intervened")
        assert said.beside["trace"] == TRACE
        check_body(made, is_streamed=is_streamed)
        assert made.last.document["guardrailConfig"] == guard


@BOTH_WAYS
async def test_markers_keep_their_places(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock case 16: cache points and guarded contents, mixed in system and turns, stay where the client put them."""
    point: Any = {"cachePoint": {"type": "default"}}
    guarded: Any = {"guardContent": {"text": {"text": "Is it safe?", "qualifiers": ["query"]}}}
    more: Any = {
        "system": [point, {"text": "Rules."}, guarded, point, {"text": "More."}],
        "messages": [{"role": "user", "content": [guarded, point, {"text": "hi"}, point, guarded]}],
    }
    async with stand(serve, parser_kind) as made:
        said = await said_of(made, is_streamed=is_streamed, **more)
        assert said.content == [{"text": SAID}]
        check_body(made, is_streamed=is_streamed)
        assert made.last.document == more


@BOTH_WAYS
async def test_pictures_documents_and_films_of_every_source_arrive(
    serve: Serve, parser_kind: str, *, is_streamed: bool
) -> None:
    """Bedrock case 19: bytes, and places in the vendor's own store, reach the backend, whole or streamed."""
    raw = base64.b64decode(PNG)
    stored = {"s3Location": {"uri": "s3://bucket/a b.mp4", "bucketOwner": "111122223333"}}
    blocks: Any = [
        {"image": {"format": "png", "source": {"bytes": raw}}},
        {"image": {"format": "webp", "source": stored}},
        {"video": {"format": "mp4", "source": stored}},
        {"document": {"format": "pdf", "name": "Tides (1911)", "source": {"bytes": b"%PDF-"}, "context": "old"}},
        {"document": {"format": "txt", "name": "tides", "source": {"text": "Marée"}, "citations": {"enabled": True}}},
        {"text": "What is this?"},
    ]
    async with stand(serve, parser_kind) as made:
        said = await said_of(made, messages=[{"role": "user", "content": blocks}], is_streamed=is_streamed)
        assert said.content == [{"text": "You said: What is this?"}]
        check_body(made, is_streamed=is_streamed)
        sent = made.last.document["messages"][0]["content"]
        assert sent[0]["image"]["source"]["bytes"] == PNG
        assert sent[1]["image"]["source"] == sent[2]["video"]["source"] == stored
        assert base64.b64decode(sent[3]["document"]["source"]["bytes"]) == b"%PDF-"
        assert sent[4]["document"]["source"] == {"text": "Marée"}


@BOTH_WAYS
async def test_fields_that_only_the_vendor_knows_arrive(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock §4: what no other vendor has reaches the backend, and what it says of tier and latency the client."""
    schema = {"schema": '{"type":"object","properties":{}}', "name": "tide"}
    more: Any = {
        "performanceConfig": {"latency": "optimized"},
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"team": "harbour"},
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}},
        "additionalModelRequestFields": {"top_k": 40, "inferenceConfig": {"topK": 20}, "odd": [1.5, None, "é"]},
        "inferenceConfig": {"maxTokens": 64, "temperature": 0.25, "topP": 0.5, "stopSequences": ["END"]},
    }
    async with stand(serve, parser_kind) as made:
        said = await said_of(made, is_streamed=is_streamed, **more)
        assert said.beside["performanceConfig"] == {"latency": "optimized"}
        assert said.beside["serviceTier"] == {"type": "flex"}
        check_body(made, is_streamed=is_streamed)
        assert made.last.document == {"messages": [USER]} | more


@BOTH_WAYS
async def test_empty_answer_can_be_read(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock case 33: an answer that says nothing is one empty text, or a stream without blocks, and no error."""
    async with stand(serve, parser_kind, Script(text="", usage_in=9, usage_out=0)) as made:
        said = await said_of(made, is_streamed=is_streamed)
        assert said.content == ([] if is_streamed else [{"text": ""}])
        assert said.stop == "end_turn"
        assert said.beside["usage"] == {"inputTokens": 9, "outputTokens": 0, "totalTokens": 9}
        assert said.beside["metrics"] == {"latencyMs": 318}


@BOTH_WAYS
@pytest.mark.parametrize(
    "reason", ["malformed_model_output", "malformed_tool_use", "model_context_window_exceeded", "guardrail_intervened"]
)
async def test_every_reason_of_the_vendor_arrives(
    serve: Serve, parser_kind: str, reason: str, *, is_streamed: bool
) -> None:
    """Bedrock case 34: reasons that other vendors have no word for arrive as they are."""
    async with stand(serve, parser_kind, Script(stop_raw=reason)) as made:
        assert (await said_of(made, is_streamed=is_streamed)).stop == reason
