"""Numbered cases of the dialects' chapters about answers and streams from another dialect, one look at each."""

import base64
import json
import re
from typing import Any

import pytest

from busbar_fast.aws.eventstream import FrameReader, encode_event
from busbar_fast.dialects.registry import DIALECTS, speak
from tests.dialects.translating import events, sse
from tests.golden.crossing import sent, shown, streamed

OTHERS = [name for name in DIALECTS if name != "cohere"]
CHAT: dict[str, Any] = {"id": "c", "model": "m", "object": "chat.completion", "created": 1}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk of OpenAI."""
    return {**CHAT, "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}


def chat(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    """Return a whole answer of OpenAI."""
    return {
        **CHAT,
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        **more,
    }


def frames(*told: tuple[str, dict[str, Any]]) -> bytes:
    """Return a stream of Bedrock."""
    return b"".join(encode_event(name, json.dumps(payload).encode()) for name, payload in told)


def heard(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Return the frames of a stream of Bedrock."""
    reader = FrameReader()
    reader.feed(stream)
    return [(frame.event_type, json.loads(frame.payload)) for frame in iter(reader.maybe_next, None)]


def whole(lane: str, text: str = "hi") -> dict[str, Any]:
    """Return a short whole answer of a dialect."""
    part = {"type": "text", "text": text}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    turn = {"role": "assistant", "content": [{"text": text}]}
    answers: dict[str, dict[str, Any]] = {
        "openai": chat({"content": text}),
        "responses": {"id": "r", "object": "response", "status": "completed", "model": "m", "output": [said]},
        "anthropic": {"type": "message", "role": "assistant", "content": [part], "stop_reason": "end_turn"},
        "gemini": {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]},
        "bedrock": {"output": {"message": turn}, "stopReason": "end_turn"},
        "cohere": {"message": {"role": "assistant", "content": [part]}, "finish_reason": "COMPLETE"},
    }
    return answers[lane]


# Counting


def test_what_a_cache_took_and_gave_is_in_the_total() -> None:
    """Anthropic case 40, responses case 59: read and written both count as input; only what was read is `cached`."""
    usage = {"input_tokens": 3, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 7, "output_tokens": 2}
    answer = {**whole("anthropic"), "usage": usage}
    there = shown("anthropic", "openai", answer)["usage"]
    assert (there["prompt_tokens"], there["prompt_tokens_details"]["cached_tokens"]) == (15, 5)
    other = shown("anthropic", "responses", answer)["usage"]
    assert (other["input_tokens"], other["input_tokens_details"]["cached_tokens"]) == (15, 5)
    assert other["input_tokens_details"]["cache_write_tokens"] == 7


def test_counts_of_a_cache_survive_two_ways() -> None:
    """Bedrock case 60: from Bedrock to Anthropic and back."""
    usage = {
        "inputTokens": 3,
        "cacheReadInputTokens": 5,
        "cacheWriteInputTokens": 7,
        "outputTokens": 2,
        "totalTokens": 17,
    }
    there = shown("bedrock", "anthropic", {**whole("bedrock"), "usage": usage})
    back = shown("anthropic", "bedrock", there)["usage"]
    assert {name: back[name] for name in usage} == usage


@pytest.mark.parametrize("lane", ["gemini", "anthropic"])
def test_thoughts_are_counted_as_reasoning(lane: str) -> None:
    """Responses case 61: tokens that were thought are told as such."""
    usage: dict[str, dict[str, Any]] = {
        "gemini": {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "thoughtsTokenCount": 9}},
        "anthropic": {
            "usage": {"input_tokens": 1, "output_tokens": 11, "output_tokens_details": {"thinking_tokens": 9}}
        },
    }
    there = shown(lane, "responses", {**whole(lane), **usage[lane]})["usage"]
    assert (there["output_tokens"], there["output_tokens_details"]["reasoning_tokens"]) == (11, 9)


COUNTED = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
LATE = sse(
    chunk({"role": "assistant", "content": "hi"}, usage=None), chunk(None, "stop"), {**CHAT, **COUNTED}, "[DONE]"
)


def test_late_counts_stand_where_each_client_looks() -> None:
    """Openai cases 34, 35, anthropic case 46, responses case 60, bedrock case 45, IR case 40: once, at the very end."""
    named = [name for name, _ in events(streamed("openai", "anthropic", LATE)) if name != "ping"]
    assert named == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    said = dict(events(streamed("openai", "anthropic", LATE)))
    assert said["message_delta"]["usage"]["output_tokens"] == 4
    other = events(streamed("openai", "responses", LATE))
    assert (other[-1][0], other[-1][1]["response"]["usage"]["input_tokens"]) == ("response.completed", 3)
    for stream, tokens in ((LATE, 3), (LATE.replace(sse({**CHAT, **COUNTED}), b""), 0)):
        told = heard(streamed("openai", "bedrock", stream))
        assert [name for name, _ in told if name == "metadata"] == ["metadata"]
        assert (told[-1][0], told[-1][1]["usage"]["inputTokens"]) == ("metadata", tokens)


# Thoughts


def test_thoughts_come_before_what_is_said() -> None:
    """Anthropic case 47: block 0 is the thought, block 1 the text, whole and streamed."""
    there = shown("openai", "anthropic", chat({"content": "hi", "reasoning_content": "hm"}))["content"]
    assert [block["type"] for block in there] == ["thinking", "text"]
    stream = sse(chunk({"reasoning_content": "hm"}), chunk({"content": "hi"}), chunk(None, "stop"), "[DONE]")
    opened = [said for name, said in events(streamed("openai", "anthropic", stream)) if name == "content_block_start"]
    assert [(one["index"], one["content_block"]["type"]) for one in opened] == [(0, "thinking"), (1, "text")]


def test_thoughts_and_plans_of_cohere_cross() -> None:
    """Cohere cases 39, 40: a thought is one everywhere, a plan is said first."""
    message = {
        "role": "assistant",
        "tool_plan": "I look",
        "content": [{"type": "thinking", "thinking": "hm"}],
        "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    answer = {"id": "i", "message": message, "finish_reason": "TOOL_CALL"}
    there = shown("cohere", "anthropic", answer)["content"]
    assert [(b["type"], b.get("thinking") or b.get("text")) for b in there] == [
        ("text", "I look"),
        ("thinking", "hm"),
        ("tool_use", None),
    ]
    assert shown("cohere", "openai", answer)["choices"][0]["message"]["reasoning_content"] == "hm"


def test_nobody_forges_what_is_redacted() -> None:
    """Bedrock case 23: a signature that looks like a redacted thought stays a signature."""
    content = [{"reasoningContent": {"reasoningText": {"text": "free", "signature": "redacted:eA=="}}}]
    answer = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}
    (block,) = shown("bedrock", "anthropic", answer)["content"]
    assert (block["type"], block["thinking"]) == ("thinking", "free")


def test_signature_in_two_pieces_is_one() -> None:
    """Bedrock case 49: what two frames say of a seal belongs together."""
    stream = frames(
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "c2"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "ln"}}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
    )
    sealed = [
        said["delta"]["signature"]
        for name, said in events(streamed("bedrock", "anthropic", stream))
        if name == "content_block_delta" and "signature" in said["delta"]
    ]
    assert len(sealed) == 1
    assert base64.b64decode(sealed[0].removeprefix("bbf1bedr")) == b"c2ln"


# References


def test_references_of_bedrock_are_read() -> None:
    """Bedrock case 24: the text reaches everybody, what it rests on reaches Anthropic."""
    cited = {
        "title": "T",
        "location": {"web": {"url": "https://u.example", "domain": "u"}},
        "sourceContent": [{"text": "s"}],
    }
    content = [{"citationsContent": {"content": [{"text": "said"}], "citations": [cited]}}]
    answer = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}
    assert shown("bedrock", "openai", answer)["choices"][0]["message"]["content"] == "said"
    (block,) = shown("bedrock", "anthropic", answer)["content"]
    assert (block["text"], block["citations"][0]["title"]) == ("said", "T")


def test_references_are_flat_at_responses() -> None:
    """Responses cases 67, 68: what has an address is an annotation, what has none is not; and the way back."""
    cited = {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "A",
        "cited_text": "x",
        "encrypted_index": "e",
    }
    nowhere = {
        "type": "char_location",
        "document_index": 0,
        "document_title": "d",
        "start_char_index": 0,
        "end_char_index": 1,
        "cited_text": "x",
    }
    answer = {**whole("anthropic"), "content": [{"type": "text", "text": "said", "citations": [cited, nowhere]}]}
    (part,) = shown("anthropic", "responses", answer)["output"][0]["content"]
    (note,) = part["annotations"]
    assert (note["type"], note["url"], note["title"]) == ("url_citation", "https://a.example", "A")
    output = [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "said", "annotations": [note]}],
        }
    ]
    (block,) = shown("responses", "anthropic", {**whole("responses"), "output": output})["content"]
    assert block["citations"][0]["url"] == "https://a.example"


def test_places_of_references_count_characters() -> None:
    """Cohere case 68: behind a letter of four bytes a place is where it was."""
    text = "🌊 tide"
    cited = {
        "start": 2,
        "end": 6,
        "text": "tide",
        "sources": [{"type": "document", "id": "d", "document": {"title": "T", "url": "https://d.example"}}],
    }
    message = {"role": "assistant", "content": [{"type": "text", "text": text}], "citations": [cited]}
    answer = {"id": "i", "message": message, "finish_reason": "COMPLETE"}
    note = shown("cohere", "openai", answer)["choices"][0]["message"]["annotations"][0]["url_citation"]
    assert text[note["start_index"] : note["end_index"]] == "tide"


# Reasons and ids


def test_reasons_of_cohere() -> None:
    """Cohere cases 45, 46: safety is ERROR and nothing else; what nobody knows is COMPLETE."""
    assert shown("openai", "cohere", chat({"content": ""}, "content_filter"))["finish_reason"] == "ERROR"
    stream = sse(chunk({"content": "x"}), chunk(None, "content_filter"), "[DONE]")
    assert b"ERROR_TOXIC" not in streamed("openai", "cohere", stream)
    assert shown("openai", "cohere", chat({"content": "x"}, "surprise"))["finish_reason"] == "COMPLETE"


def test_ids_look_native_and_are_nobodys_clock() -> None:
    """Cohere case 37, responses case 34: version 4 for one, 48 characters for the other, never twice."""
    found = {shown("openai", "cohere", whole("openai"))["id"] for _ in range(50)}
    assert len(found) == 50
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in found
    )
    many = {speak("cohere").new_id() for _ in range(100_000)}
    assert len(many) == 100_000
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = shown(
        "openai", "responses", chat({"content": "x", "tool_calls": [call]}, "tool_calls", id="chatcmpl-secret")
    )
    ids = [answer["id"], *(item["id"] for item in answer["output"])]
    assert [one.partition("_")[0] for one in ids] == ["resp", "msg", "fc"]
    assert all(len(one.partition("_")[2]) == 48 for one in ids)
    assert "secret" not in str(answer)


# Streams


def test_frames_of_bedrock_are_what_its_library_reads() -> None:
    """Bedrock cases 39, 40: never an empty union, padding outside of them, and no reading of it."""
    stream = sse(chunk({"role": "assistant", "content": ""}), chunk({"content": "hi"}), chunk(None, "stop"), "[DONE]")
    raw = streamed("openai", "bedrock", stream)
    assert b'"start":{}' not in raw
    told = heard(raw)
    assert [name for name, _ in told] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert all(isinstance(payload.get("p", ""), str) for _, payload in told)
    wordy = frames(
        ("messageStart", {"role": "assistant", "p": "say this"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hi"}, "p": "and this"}),
        ("messageStop", {"stopReason": "end_turn", "p": "secret"}),
    )
    there = streamed("bedrock", "openai", wordy)
    assert b"hi" in there
    assert b"this" not in there


def test_odd_order_of_bedrock_loses_nothing() -> None:
    """Bedrock cases 41 to 44: late texts, unknown ends, calls before the start, and the largest index there is."""
    use = {"toolUse": {"toolUseId": "t", "name": "f"}}
    stream = frames(
        ("contentBlockStart", {"contentBlockIndex": 0, "start": use}),
        ("messageStart", {"role": "assistant"}),
        ("contentBlockStop", {"contentBlockIndex": 77}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "behind"}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '{"a":1}'}}}),
        ("contentBlockDelta", {"contentBlockIndex": 2**63, "delta": {"text": " and far"}}),
        ("messageStop", {"stopReason": "tool_use"}),
    )
    told = events(streamed("bedrock", "anthropic", stream))
    opened = [said["index"] for name, said in told if name == "content_block_start"]
    closed = [said["index"] for name, said in told if name == "content_block_stop"]
    assert opened == closed == list(range(len(opened)))
    deltas = [said["delta"] for name, said in told if name == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == "behind and far"
    assert "".join(delta.get("partial_json", "") for delta in deltas) == '{"a":1}'


@pytest.mark.parametrize("lane", OTHERS)
def test_cohere_gets_every_letter(lane: str) -> None:
    """Cohere case 49: from each of the others."""
    text = 'Höhe 🌊 \\ " \n' * 20
    assert shown(lane, "cohere", whole(lane, text))["message"]["content"] == [{"type": "text", "text": text}]


def cohere(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    """Return an event of Cohere."""
    found: dict[str, Any] = {"type": kind}
    if index is not None:
        found["index"] = index
    return found | ({"delta": {"message": message}} if message else {})


def calling(index: int, name: str) -> dict[str, Any]:
    """Return the start of a call."""
    call = {"id": name, "type": "function", "function": {"name": name, "arguments": ""}}
    return cohere("tool-call-start", index, tool_calls=call)


def adding(index: int, text: str) -> dict[str, Any]:
    """Return a part of its arguments."""
    return cohere("tool-call-delta", index, tool_calls={"function": {"arguments": text}})


def test_indices_of_cohere_keep_their_blocks() -> None:
    """Cohere cases 54 to 57: in any order, twice, orphaned, and with an end that comes while they are open."""
    stream = sse(
        {"type": "message-start", "id": "i", "delta": {"message": {"role": "assistant"}}},
        calling(5, "a"),
        calling(5, "a"),
        cohere("content-start", 2, content={"type": "text", "text": ""}),
        cohere("content-delta", 2, content={"text": "said"}),
        calling(9, "b"),
        adding(5, '{"a":1}'),
        adding(9, '{"b":2}'),
        adding(44, "orphan"),
        cohere("tool-call-end", 45),
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    )
    told = events(streamed("cohere", "anthropic", stream))
    opened = [(said["index"], said["content_block"]) for name, said in told if name == "content_block_start"]
    assert [index for index, _ in opened] == list(range(len(opened)))
    assert [said["index"] for name, said in told if name == "content_block_stop"] == list(range(len(opened)))
    args: dict[str, str] = {}
    for index, block in opened:
        if block["type"] == "tool_use":
            pieces = [
                s["delta"].get("partial_json", "")
                for n, s in told
                if n == "content_block_delta" and s["index"] == index
            ]
            args[block["name"]] = "".join(pieces)
    assert args == {"a": '{"a":1}', "b": '{"b":2}'}
    assert [name for name, _ in told][-2:] == ["message_delta", "message_stop"]


def added(index: int, **item: Any) -> dict[str, Any]:
    """Return the start of an item of Responses."""
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def text_delta(index: int, text: str) -> dict[str, Any]:
    """Return a piece of a text of Responses."""
    return {"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": text}


def done(index: int, **item: Any) -> dict[str, Any]:
    """Return the end of an item of Responses."""
    return {"type": "response.output_item.done", "output_index": index, "item": item}


COMPLETED = {"type": "response.completed", "response": {"status": "completed", "output": []}}


def test_items_of_responses_open_and_close_once() -> None:
    """Responses cases 50 to 53, 55: each by itself, repeated starts and empty pieces are nothing, ends in order."""
    message, call = {"type": "message", "id": "m"}, {"type": "function_call", "id": "f", "call_id": "c", "name": "f"}
    stream = sse(
        {"type": "response.created", "response": {"id": "r", "model": "m"}},
        added(1, **message),
        added(1, **message),
        text_delta(1, "one"),
        text_delta(1, ""),
        {"type": "response.content_part.done", "output_index": 1, "content_index": 0},
        done(1, **message),
        added(3, **message),
        text_delta(3, "two"),
        {"type": "response.function_call_arguments.delta", "output_index": 8, "delta": "{}"},
        added(4, **call, arguments=""),
        {"type": "response.function_call_arguments.done", "output_index": 4, "arguments": '{"a":1}'},
        COMPLETED,
        named=True,
    )
    told = events(streamed("responses", "anthropic", stream))
    opened = [said["content_block"]["type"] for name, said in told if name == "content_block_start"]
    assert opened == ["text", "text", "tool_use"]
    assert [said["index"] for name, said in told if name == "content_block_stop"] == [0, 1, 2]
    deltas = [said["delta"] for name, said in told if name == "content_block_delta"]
    assert [delta.get("text") or delta.get("partial_json") for delta in deltas] == ["one", "two", '{"a":1}']


def test_arguments_that_come_at_the_end_only_are_there() -> None:
    """Responses case 56: no pieces, and yet the whole."""
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "f"}
    stream = sse(added(0, **call, arguments=""), done(0, **call, arguments='{"a":1}'), COMPLETED, named=True)
    assert b'{\\"a\\":1}' in streamed("responses", "openai", stream)


def test_more_items_than_anybody_needs() -> None:
    """Responses case 54: what is opened is closed, however many there are and however large their numbers."""
    message = {"type": "message", "id": "m"}
    told = [one for index in (*range(500), 2**64 - 1) for one in (added(index, **message), text_delta(index, "x"))]
    found = events(streamed("responses", "anthropic", sse(*told, COMPLETED, named=True)))
    opened = [said["index"] for name, said in found if name == "content_block_start"]
    assert opened == [said["index"] for name, said in found if name == "content_block_stop"]
    assert opened == list(range(len(opened)))


@pytest.mark.parametrize("native", ["toolu_01AbCdEfGhIjKlMnOpQrStUv", "toolu_short", "toolu_" + "x" * 40])
def test_ids_of_calls_go_there_and_back(native: str) -> None:
    """Openai cases 20, 22: shown as one of the client's own, at most 40 characters, and restored in the next turn."""
    use = {"type": "tool_use", "id": native, "name": "f", "input": {}}
    message = shown("anthropic", "openai", {**whole("anthropic"), "content": [use]})["choices"][0]["message"]
    seen = message["tool_calls"][0]["id"]
    assert seen.startswith("call_")
    assert len(seen) <= 40
    turns = [{"role": "user", "content": "hi"}, message, {"role": "tool", "tool_call_id": seen, "content": "1"}]
    there = sent("openai", "anthropic", messages=turns).body["messages"]
    ids = (there[1]["content"][0]["id"], there[2]["content"][0]["tool_use_id"])
    assert ids[0] == ids[1]
    assert ids[0] == native or len(native) > 40
