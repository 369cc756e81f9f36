"""Numbered cases of the dialects' chapters about requests that go to another dialect, one look at each."""

import json
import re
from typing import Any

import pytest

from busbar_fast.aws.eventstream import encode_event
from busbar_fast.dialects.preparing import prepare_request
from busbar_fast.dialects.registry import DIALECTS, speak, translator
from busbar_fast.dialects.translator import Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.report import Report
from busbar_fast.ir.tool_names import fitting
from tests.golden.crossing import read, sent, shown, streamed

THINKER = Recipient("m", has_reasoning=True)
CLAUDE = Recipient("anthropic.claude-sonnet-4-20250514-v1:0", has_reasoning=True)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
HI = {"role": "user", "content": "hi"}
HI_PART = {"role": "user", "content": [{"text": "hi"}]}


def user(*content: dict[str, Any]) -> dict[str, Any]:
    """Return a turn of a user."""
    return {"role": "user", "content": list(content)}


def assistant(*content: dict[str, Any]) -> dict[str, Any]:
    """Return a turn of a model."""
    return {"role": "assistant", "content": list(content)}


# How long an answer may be


@pytest.mark.parametrize(("asked", "default", "wanted"), [(None, 4096, 4096), (None, 8192, 8192), (7, 8192, 7)])
def test_length_is_filled_for_who_insists(asked: int | None, default: int, wanted: int) -> None:
    """Openai case 1, anthropic case 12: the lane's default where the caller says nothing, the caller's own else."""
    found = sent("openai", "anthropic", Recipient("m", default_max_tokens=default), max_tokens=asked)
    assert found.body["max_tokens"] == wanted


@pytest.mark.parametrize("lane", ["bedrock", "gemini", "cohere", "responses"])
def test_length_is_filled_for_nobody_else(lane: str) -> None:
    """Openai case 2, anthropic case 12, bedrock case 12: no cap is made up where none is needed."""
    assert "oken" not in str(sent("openai", lane).body)


@pytest.mark.parametrize("length", [0, 5_000_000_000])
def test_length_that_cannot_be_is_absent(length: int) -> None:
    """Bedrock case 12: out of range is as if nothing had been said."""
    found = sent("bedrock", "openai", inferenceConfig={"maxTokens": length})
    assert "max_tokens" not in found.body
    assert "max_completion_tokens" not in found.body


def test_length_has_a_floor_at_responses() -> None:
    """Responses case 6: fewer than 16 tokens is what the vendor refuses."""
    found = sent("openai", "responses", max_tokens=5)
    assert found.body["max_output_tokens"] == 16
    assert ("clamped", "max_tokens") in found.lost


# How it is drawn


@pytest.mark.parametrize(("lane", "given"), [("anthropic", 1.7), ("bedrock", 1.4), ("cohere", 1.7)])
def test_temperature_is_clamped_and_told(lane: str, given: float) -> None:
    """Anthropic case 17, bedrock case 11, cohere case 26: 1 where the vendor ends, and 0.7 to the digit."""
    for value, wanted, is_told in ((given, 1, True), (0.7, 0.7, False)):
        found = sent("openai", lane, temperature=value)
        there = found.body.get("inferenceConfig", found.body)
        assert there["temperature"] == wanted
        assert (("clamped", "temperature") in found.lost) is is_told


def test_cohere_has_limits_of_its_own() -> None:
    """Cohere cases 26, 27: `p` ends below 1, penalties do not go below 0."""
    found = sent("openai", "cohere", top_p=1, frequency_penalty=-0.5)
    assert (found.body["p"], found.body["frequency_penalty"]) == (0.99, 0)
    assert {("clamped", "top_p"), ("clamped", "frequency_penalty")} <= found.lost


def test_responses_gets_no_sampling_it_does_not_know() -> None:
    """Responses case 20: stop, seed, penalties, n and top_k of others are not written, and told of."""
    members: dict[str, Any] = {
        "stop": ["x"],
        "seed": 5,
        "presence_penalty": 1,
        "frequency_penalty": 1,
        "n": 2,
        "stream": True,
    }
    found = sent("openai", "responses", **members)
    assert not {"stop", "seed", "presence_penalty", "frequency_penalty", "n"} & set(found.body)
    assert "top_k" not in sent("anthropic", "responses", top_k=4).body
    assert {("dropped", name) for name in ("stop", "seed", "presence_penalty", "frequency_penalty", "n")} <= found.lost


def test_stream_is_asked_of_the_lane() -> None:
    """Responses case 21: who wants a stream makes the lane stream."""
    assert sent("openai", "responses", stream=True).body["stream"] is True


@pytest.mark.parametrize(
    ("model", "name", "wanted"),
    [
        ("amazon.nova-pro-v1:0", "topK", {"inferenceConfig": {"topK": 5}}),
        ("amazon.nova-pro-v1:0", "top_k", {"inferenceConfig": {"topK": 5}}),
        ("meta.llama3-70b-instruct-v1:0", "top_k", None),
    ],
)
def test_top_k_goes_where_the_model_looks(model: str, name: str, wanted: dict[str, Any] | None) -> None:
    """Bedrock case 13: both spellings are read; Nova wants it nested, Llama has none."""
    assert bytes(read("bedrock", additionalModelRequestFields={name: 5}).sampling.top_k) == b"5"
    found = sent("gemini", "bedrock", Recipient(model), generationConfig={"topK": 5})
    assert found.body.get("additionalModelRequestFields") == wanted
    assert (("dropped", "top_k") in found.lost) is (wanted is None)


# What an answer should look like


def test_schema_of_an_answer_crosses() -> None:
    """Bedrock case 14, anthropic case 33: a schema as a string at Bedrock, as an object at the others."""
    there = sent("openai", "bedrock", CLAUDE, response_format=FORMAT).body["outputConfig"]["textFormat"]
    assert json.loads(there["structure"]["jsonSchema"]["schema"]) == SCHEMA
    back = sent("bedrock", "openai", outputConfig={"textFormat": there}).body["response_format"]
    assert back["json_schema"]["schema"] == SCHEMA
    native = sent("openai", "anthropic", response_format=FORMAT).body["output_config"]
    assert native["format"]["schema"] == SCHEMA
    again = sent("anthropic", "bedrock", CLAUDE, output_config=native).body["outputConfig"]["textFormat"]
    assert json.loads(again["structure"]["jsonSchema"]["schema"]) == SCHEMA
    assert sent("anthropic", "openai", output_config=native).body["response_format"]["json_schema"]["schema"] == SCHEMA


# Thinking


def test_effort_becomes_tokens_below_the_cap() -> None:
    """Openai case 23: 16384 for `high`; below the cap where that is smaller; nothing without the lane's flag."""
    there = sent("openai", "anthropic", THINKER, reasoning_effort="high", max_tokens=32000).body
    assert there["thinking"] == {"type": "enabled", "budget_tokens": 16384}
    capped = sent("openai", "anthropic", THINKER, reasoning_effort="high").body
    assert 1024 <= capped["thinking"]["budget_tokens"] < capped["max_tokens"] == 4096
    none = sent("openai", "anthropic", reasoning_effort="high", max_tokens=32000)
    assert "thinking" not in none.body
    assert ("dropped", "reasoning") in none.lost


def test_thinking_of_responses_needs_the_flag_too() -> None:
    """Responses case 29: a budget at Gemini with it, a loss without."""
    there = sent("responses", "gemini", THINKER, reasoning={"effort": "low"}).body
    assert there["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 4096
    assert ("dropped", "reasoning") in sent("responses", "gemini", reasoning={"effort": "low"}).lost


def test_thinking_of_cohere_crosses() -> None:
    """Cohere cases 31, 32: a budget at Anthropic, off at Gemini, a loss where the lane has no flag."""
    asked: dict[str, Any] = {"thinking": {"type": "enabled", "token_budget": 2048}}
    assert sent("cohere", "anthropic", THINKER, **asked).body["thinking"]["budget_tokens"] == 2048
    assert ("dropped", "reasoning") in sent("cohere", "anthropic", **asked).lost
    off = sent("cohere", "gemini", THINKER, thinking={"type": "disabled"}).body
    assert off["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 0


def test_thinking_is_asked_of_each_model_of_bedrock_in_its_way() -> None:
    """Bedrock case 31: Claude has a budget; what no field of Nova's is known for is told as a loss."""
    claude = sent("openai", "bedrock", CLAUDE, reasoning_effort="medium", max_tokens=20000).body
    assert claude["additionalModelRequestFields"]["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    nova = sent("openai", "bedrock", Recipient("amazon.nova-pro-v1:0", has_reasoning=True), reasoning_effort="low")
    assert ("additionalModelRequestFields" in nova.body, ("dropped", "reasoning") in nova.lost) == (False, True)


@pytest.mark.parametrize(
    ("client", "asked"),
    [
        ("openai", {"reasoning_effort": "low"}),
        ("responses", {"reasoning": {"effort": "high"}}),
        ("responses", {"reasoning": {"summary": "auto"}}),
        ("anthropic", {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 9000, "top_k": 5}),
        ("anthropic", {"thinking": {"type": "adaptive"}}),
        ("anthropic", {"output_config": {"effort": "high"}}),
        ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 2000}, "topK": 5}}),
        ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}),
        ("gemini", {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}),
        ("cohere", {"thinking": {"type": "enabled", "token_budget": 2048}, "k": 5}),
    ],
)
def test_thinking_that_nova_is_not_asked_for_is_told(client: str, asked: dict[str, Any]) -> None:
    """Bedrock case 31: from every client and in all its forms; how a token is drawn arrives all the same."""
    has_top_k = not {"top_k", "k"}.isdisjoint(asked) or "topK" in str(asked)
    for model in ("amazon.nova-pro-v1:0", "us.amazon.nova-2-lite-v1:0"):
        found = sent(client, "bedrock", Recipient(model, has_reasoning=True), **asked)
        assert ("dropped", "reasoning") in found.lost
        assert ("dropped", "top_k") not in found.lost
        wanted = {"inferenceConfig": {"topK": 5}} if has_top_k else None
        assert found.body.get("additionalModelRequestFields") == wanted


def test_thoughts_of_earlier_turns_go_home_only() -> None:
    """Anthropic case 24: what is unsigned falls away, what is signed or redacted stays to the letter."""
    thoughts = [
        {"type": "thinking", "thinking": "free", "signature": ""},
        {"type": "thinking", "thinking": "sealed", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "cmVk"},
    ]
    there = sent("anthropic", "bedrock", CLAUDE, messages=[HI, assistant(*thoughts, {"type": "text", "text": "x"}), HI])
    parts = there.body["messages"][1]["content"]
    assert [next(iter(part.get("reasoningContent", part))) for part in parts] == [
        "reasoningText",
        "redactedContent",
        "text",
    ]
    assert parts[0]["reasoningContent"]["reasoningText"] == {"text": "sealed", "signature": "c2ln"}


@pytest.mark.parametrize("lane", ["openai", "responses"])
def test_signature_of_another_vendor_stays_here(lane: str) -> None:
    """Responses cases 25 to 27: neither the seal of Anthropic nor what it hides reaches another vendor."""
    thoughts = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
    ]
    turns = [HI, assistant(*thoughts, {"type": "text", "text": "x"}), HI]
    there = str(sent("anthropic", lane, THINKER, messages=turns).body)
    assert "c2ln" not in there
    assert "c2VjcmV0" not in there
    assert "reasoning" not in str(sent("anthropic", "responses", THINKER, messages=[user(*thoughts), HI]).body["input"])


# Prompts and turns


def test_system_prompts_move_to_the_top() -> None:
    """Anthropic case 16: nobody is called `system` among the turns."""
    turns = [{"role": "system", "content": "a"}, HI, {"role": "system", "content": "b"}, HI]
    there = sent("openai", "anthropic", messages=turns).body
    assert [block["text"] for block in there["system"]] == ["a", "b"]
    assert {turn["role"] for turn in there["messages"]} == {"user"}


def test_turns_alternate_at_bedrock() -> None:
    """Bedrock case 25: neighbours of one role become one turn, results first."""
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in range(3)]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": str(n)} for n in range(3)]
    turns = [HI, HI, {"role": "assistant", "tool_calls": calls}, *results, HI]
    there = sent("openai", "bedrock", messages=turns, tools=[FUNCTION]).body["messages"]
    assert [turn["role"] for turn in there] == ["user", "assistant", "user"]
    assert [next(iter(part)) for part in there[2]["content"]] == ["toolResult"] * 3 + ["text"]


def test_turns_with_nothing_to_say_go() -> None:
    """Bedrock cases 26, 27: an empty turn and an empty text are not sent; who lets the model begin is refused."""
    turns = [HI, {"role": "assistant", "content": ""}, {"role": "user", "content": "there?"}]
    there = sent("openai", "bedrock", messages=turns, tools=[FUNCTION]).body
    assert there["messages"] == [user({"text": "hi"}, {"text": "there?"})]
    assert "description" not in there["toolConfig"]["tools"][0]["toolSpec"]
    with pytest.raises(Misshapen):
        sent("openai", "bedrock", messages=[{"role": "assistant", "content": "I begin"}, HI])


def test_three_calls_at_once_are_one_turn() -> None:
    """Responses cases 10, 22, 32: calls next to each other belong together, text stands where it stood."""
    calls = [{"type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": "{}"} for n in range(3)]
    outputs = [{"type": "function_call_output", "call_id": f"c{n}", "output": str(n)} for n in range(3)]
    there = sent("responses", "anthropic", input=[HI, *calls, *outputs]).body["messages"]
    assert [[block["type"] for block in turn["content"]] for turn in there[1:]] == [
        ["tool_use"] * 3,
        ["tool_result"] * 3,
    ]
    text, use = {"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    done = user({"type": "tool_result", "tool_use_id": "t", "content": "1"})
    back = sent("anthropic", "responses", messages=[HI, assistant(use), done]).body["input"]
    assert [item.get("type", "message") for item in back] == ["message", "function_call", "function_call_output"]
    mixed = sent("anthropic", "responses", messages=[HI, assistant(text, use, text), done]).body["input"]
    kinds = [item.get("type", "message") for item in mixed]
    assert kinds == ["message", "message", "function_call", "message", "function_call_output"]


# Tools


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("required", {"any": {}}),
        ("auto", {"auto": {}}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}),
    ],
)
def test_choices_reach_bedrock(choice: Any, wanted: dict[str, Any]) -> None:
    """Bedrock case 28: three members of a union, and no configuration without tools."""
    there = sent("openai", "bedrock", tools=[FUNCTION], tool_choice=choice).body["toolConfig"]
    assert there["toolChoice"] == wanted
    back = sent("bedrock", "openai", toolConfig={"tools": [SPEC], "toolChoice": wanted}).body
    assert back["tool_choice"] == choice
    assert "toolConfig" not in sent("openai", "bedrock", tool_choice="auto").body


def test_no_call_is_no_tools_at_bedrock() -> None:
    """Bedrock cases 28, 29: `none` takes the tools away, unless earlier calls need them; those need some anyway."""
    assert "toolConfig" not in sent("openai", "bedrock", tools=[FUNCTION], tool_choice="none").body
    call = {"id": "c", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    turns = [HI, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    kept = sent("openai", "bedrock", messages=turns, tools=[FUNCTION], tool_choice="none").body
    assert kept["toolConfig"]["tools"][0]["toolSpec"]["name"] == "f"
    made = sent("openai", "bedrock", messages=turns).body["toolConfig"]["tools"]
    assert [tool["toolSpec"]["name"] for tool in made] == ["g"]


def test_named_choice_narrows_where_nobody_can_be_named() -> None:
    """Cohere case 24: the one tool is left, and it must be called."""
    other = {"type": "function", "function": {"name": "g", "parameters": SCHEMA}}
    named = {"type": "function", "function": {"name": "g"}}
    there = sent("openai", "cohere", tools=[FUNCTION, other], tool_choice=named).body
    assert ([tool["function"]["name"] for tool in there["tools"]], there["tool_choice"]) == (["g"], "REQUIRED")


@pytest.mark.parametrize("lane", [name for name in DIALECTS if name != "cohere"])
def test_arguments_keep_their_digits(lane: str) -> None:
    """Cohere case 22: 1.10 is 1.10 at every vendor, in a string or not."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1.10}'}}
    turns = [HI, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    writing = translator(speak(lane))
    prepared = prepare_request(read("cohere", messages=turns), writing.abilities, THINKER, Report())
    assert b"1.10" in writing.write_request(prepared, THINKER, Report())


def test_plan_stands_before_the_call() -> None:
    """Cohere case 13: at Anthropic it is a text."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [HI, {"role": "assistant", "tool_plan": "I look", "tool_calls": [call]}]
    turns.append({"role": "tool", "tool_call_id": "c", "content": "1"})
    there = sent("cohere", "anthropic", messages=turns).body["messages"][1]["content"]
    assert [(block["type"], block.get("text")) for block in there] == [("text", "I look"), ("tool_use", None)]


# Files, marks, what only one vendor knows


def test_images_of_cohere_reach_anthropic() -> None:
    """Cohere case 11: bytes as base64, a place as a place."""
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
    ]
    there = sent("cohere", "anthropic", messages=[user(*parts)]).body["messages"][0]["content"]
    assert [part["source"] for part in there] == [
        {"type": "base64", "media_type": "image/png", "data": "aGk="},
        {"type": "url", "url": "https://a.example/b.png"},
    ]


def test_documents_of_bedrock_cross() -> None:
    """Bedrock case 20: a PDF at Anthropic and Gemini; names made plain and each once on the way in."""
    pdf = {"document": {"name": "d", "format": "pdf", "source": {"bytes": "aGk="}}}
    there = sent("bedrock", "anthropic", messages=[user(pdf, {"text": "x"})]).body["messages"][0]["content"][0]
    assert (there["type"], there["source"]["media_type"], there["source"]["data"]) == (
        "document",
        "application/pdf",
        "aGk=",
    )
    part = sent("bedrock", "gemini", messages=[user(pdf, {"text": "x"})]).body["contents"][0]["parts"][0]
    assert part["inlineData"] == {"mimeType": "application/pdf", "data": "aGk="}
    one = {"type": "document", "title": "a/b?.pdf", "source": there["source"]}
    named = sent("anthropic", "bedrock", messages=[user(one, one, {"type": "text", "text": "x"})]).body["messages"][0]
    names = [block["document"]["name"] for block in named["content"] if "document" in block]
    assert len(set(names)) == 2
    assert not set("/?.") & set("".join(names))


def test_results_of_bedrock_cross() -> None:
    """Bedrock case 21: JSON and pictures, and that it failed; text where there is no place for an object."""
    use = assistant({"toolUse": {"toolUseId": "t", "name": "f", "input": {}}})
    parts = [{"json": {"a": 1}}, {"image": {"format": "png", "source": {"bytes": "aGk="}}}]
    done = user({"toolResult": {"toolUseId": "t", "content": parts, "status": "error"}})
    there = sent("bedrock", "anthropic", messages=[HI_PART, use, done]).body["messages"][2]["content"][0]
    assert (there["is_error"], [part["type"] for part in there["content"]]) == (True, ["text", "image"])
    assert there["content"][0]["text"].replace(" ", "") == '{"a":1}'
    text = sent("bedrock", "openai", messages=[HI_PART, use, done]).body["messages"][2]
    assert (text["role"], text["content"].replace(" ", "")) == ("tool", '{"a":1}')


def test_marks_keep_their_time() -> None:
    """Bedrock case 17: an hour is an hour; without the lane's flag there is none, and none is doubled."""
    text = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    caching = Recipient(CLAUDE.model, has_prompt_caching=True)
    there = sent("anthropic", "bedrock", caching, messages=[user(text)]).body["messages"][0]["content"]
    assert there == [{"text": "long"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    back = sent("bedrock", "anthropic", messages=[user(*there)]).body["messages"][0]["content"]
    assert back == [text]
    assert "cachePoint" not in str(sent("anthropic", "bedrock", CLAUDE, messages=[user(text)]).body)


def test_what_only_cohere_knows_is_told() -> None:
    """Cohere case 35: it is dropped on the way to others, and each has a name in the report."""
    found = sent("cohere", "openai", safety_mode="STRICT", priority=3, citation_options={"mode": "FAST"})
    assert not {"safety_mode", "priority", "citation_options"} & set(found.body)
    assert ("dropped", "safety_settings") in found.lost
    assert len(found.lost) >= 2


@pytest.mark.parametrize("lane", ["bedrock", "anthropic", "openai", "responses"])
def test_names_that_a_vendor_refuses_are_likenesses(lane: str) -> None:
    """Bedrock case 30: the same likeness in tools, choice, calls and results, and what was said comes back."""
    odd, long = "files.read:all", "x" * 80 if lane == "bedrock" else "x" * 200
    tools = [{"functionDeclarations": [{"name": odd}, {"name": long}, {"name": "plain"}]}]
    choice = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [odd]}}
    turns = [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"functionCall": {"name": odd, "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": odd, "response": {"output": "1"}}}]},
    ]
    found = sent("gemini", lane, contents=turns, tools=tools, toolConfig=choice)
    text = json.dumps(found.body)
    assert ("mapped", "tool_name") in found.lost
    assert (odd in text, long in text) == (False, False)
    likeness = fitting(odd)
    assert text.count(f'"{likeness}"') >= 2
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", likeness)


def test_call_comes_back_under_its_own_name() -> None:
    """Bedrock case 30: a lane that was told of a likeness calls it, and the client reads the name it gave."""
    use = {"toolUse": {"toolUseId": "t", "name": fitting("files.read"), "input": {}}}
    answer = {"output": {"message": assistant(use)}, "stopReason": "tool_use"}
    part = shown("bedrock", "gemini", answer, "files.read", "plain")["candidates"][0]["content"]["parts"][0]
    assert part["functionCall"]["name"] == "files.read"
    start = {"toolUse": {"toolUseId": "t", "name": fitting("files.read")}}
    events: list[tuple[str, dict[str, Any]]] = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockStart", {"contentBlockIndex": 0, "start": start}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "tool_use"}),
    ]
    frames = b"".join(encode_event(name, json.dumps(payload).encode()) for name, payload in events)
    assert b'"name":"files.read"' in streamed("bedrock", "gemini", frames, "files.read")
