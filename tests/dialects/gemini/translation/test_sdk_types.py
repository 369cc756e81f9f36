"""What is written, held against the vendor's own SDK; what that SDK writes, read."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.genai import errors, types
from msgspec import Raw

from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as FaultKind
from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.dialects.preparing import prepare_answer
from busbar_fast.dialects.registry import speak, translator
from busbar_fast.dialects.replaying import replay
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    Citation,
    CitationKind,
    Code,
    CodeResult,
    Inline,
    Json,
    Media,
    MediaKind,
    Seal,
    Span,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import (
    ChoiceMode,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningMode,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)
from busbar_fast.mock.ask import Ask as MockAsk
from busbar_fast.mock.content import compose
from busbar_fast.mock.replies import anthropic, bedrock, cohere, gemini, openai_chat, openai_responses
from busbar_fast.mock.script import Script
from tests.dialects.gemini.official import client
from tests.dialects.gemini.translation.turns import EVENTS, LANE, foreign, guarded, raw, reply_to, written

WEB = Citation(CitationKind.WEB, Span(0, 2), title="A", url="https://a.test")
ANSWER = Answer(
    "other",
    model="flash-x",
    blocks=[
        Thinking("hm", seal=Seal("anth", "EqUBCg==")),
        Text("Hi", [WEB, Citation(CitationKind.DOCUMENT, Span(0, 1), title="T")]),
        ToolUse("toolu_1", "tide", Raw(b'{"port":"Brest"}')),
        Code("print(1)", "python"),
        CodeResult("1", "ok"),
        Media(kind=MediaKind.IMAGE, source=Inline("AA=="), mime="image/png"),
        Media(kind=MediaKind.IMAGE, source=Url("https://a.test/x.png")),
    ],
    stop=Stop(Reason.END_TURN),
    usage=Usage(7, 5, cache_read=3, reasoning=2),
    logprobs=[TokenLogprob("Hi", Raw(b"-0.1"), top=[TokenLogprob("Ho", Raw(b"-2"))])],
)


def received(body: bytes, kind: str = "application/json") -> types.GenerateContentResponse:
    """Return an answer as the SDK reads it."""
    official = client(lambda _: httpx.Response(200, headers={"content-type": kind}, content=body))
    return official.models.generate_content(model="flash-x", contents="hi")


def iterated(body: bytes) -> Iterator[types.GenerateContentResponse]:
    """Yield the chunks of a stream as the SDK reads them."""
    official = client(lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body))
    yield from official.models.generate_content_stream(model="flash-x", contents="hi")


def shown(answer: Answer) -> bytes:
    """Return an answer as a client gets it, prepared first."""
    report = Report()
    prepared = prepare_answer(answer, TRANSLATOR.abilities, Spelling(TRANSLATOR.abilities), "flash-x", report)
    return TRANSLATOR.write_answer(prepared, reply_to(), report)


def sent_by_sdk(**members: Any) -> Request:
    """Return what the SDK sends, as it is understood."""
    bodies: list[bytes] = []

    def respond(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200, content=shown(Answer("other", blocks=[Text("ok")])))

    client(respond).models.generate_content(model="flash-x", **members)
    return TRANSLATOR.read_request(bodies[0], EVENTS, Report())


def test_the_sdk_reads_a_whole_answer() -> None:
    """All that is in it arrives."""
    response = received(shown(ANSWER))
    assert response.text == "Hi"
    assert response.function_calls is not None
    assert [(call.id, call.name, call.args) for call in response.function_calls] == [
        ("toolu_1", "tide", {"port": "Brest"})
    ]
    assert response.usage_metadata is not None
    assert response.usage_metadata.total_token_count == 15
    assert response.candidates is not None
    found = response.candidates[0]
    assert found.finish_reason is types.FinishReason.STOP
    assert found.grounding_metadata is not None
    assert found.grounding_metadata.grounding_supports is not None
    assert found.citation_metadata is not None
    assert found.citation_metadata.citations is not None
    assert found.logprobs_result is not None
    assert response.model_version == "flash-x"


def test_the_sdk_reads_a_streamed_answer() -> None:
    """Its texts together are those of the whole one (gemini.md case 18, ir.md case 2)."""
    guard = guarded()
    replay(ANSWER, guard)
    chunks = list(iterated(guard.take()))
    assert "".join(chunk.text or "" for chunk in chunks) == "Hi"
    calls = [call for chunk in chunks for call in chunk.function_calls or ()]
    assert [(call.id, call.args) for call in calls] == [("toolu_1", {"port": "Brest"})]
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.thoughts_token_count == 2


@pytest.mark.parametrize("reason", list(Reason))
def test_the_sdk_knows_every_end(reason: Reason) -> None:
    """Whole or streamed, a word is one of its own (ir.md case 34)."""
    answer = Answer("other", blocks=[Text("Hi")], stop=Stop(reason, detail="why"))
    guard = guarded()
    replay(answer, guard)
    for response in (received(shown(answer)), list(iterated(guard.take()))[-1]):
        assert response.candidates is not None
        assert response.candidates[0].finish_reason in list(types.FinishReason)


def test_the_sdk_reads_a_refused_prompt() -> None:
    """There is no candidate, and the reason is one of its own."""
    answer = Answer("other", stop=Stop(Reason.SAFETY))
    guard = guarded()
    replay(answer, guard)
    for response in (received(shown(answer)), *iterated(guard.take())):
        assert response.prompt_feedback is not None
        assert response.prompt_feedback.block_reason is types.BlockedReason.SAFETY


def test_the_sdk_raises_what_breaks_off_a_stream() -> None:
    """The error has its number and its name (gemini.md case 56)."""
    guard = guarded()
    guard.text(0, "Hi")
    guard.break_off(Fault(FaultKind.OVERLOADED))
    with pytest.raises(errors.ServerError) as caught:
        list(iterated(guard.take()))
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


def test_a_seal_in_an_envelope_comes_back_from_the_sdk() -> None:
    """It decodes seals and encodes them again, in its own alphabet (gemini.md section 15, ir.md case 21)."""
    response = received(shown(ANSWER))
    assert response.candidates is not None
    content = response.candidates[0].content
    assert content is not None
    request = sent_by_sdk(contents=["hi", content])
    thoughts = [block for block in request.messages[1].blocks if isinstance(block, Thinking)]
    assert thoughts == [Thinking("hm", seal=Seal("anth", "EqUBCg=="))]


def test_a_streamed_turn_comes_back_from_the_sdk_as_one() -> None:
    """Its chat keeps each chunk; the thought and its seal are together again."""
    guard = guarded()
    replay(ANSWER, guard)
    contents = [chunk.candidates[0].content for chunk in iterated(guard.take()) if chunk.candidates]
    request = sent_by_sdk(contents=["hi", *[content for content in contents if content and content.parts]])
    assert [message.role for message in request.messages] == [Role.USER, Role.ASSISTANT]
    assert request.messages[1].blocks[:3] == [
        Thinking("hm", seal=Seal("anth", "EqUBCg==")),
        Text("Hi"),
        ToolUse("toolu_1", "tide", Raw(b'{"port": "Brest"}')),
    ]


def tide_at(port: str) -> str:
    """Return the tide at a port."""
    return port


def test_what_the_sdk_sends_is_understood() -> None:
    """It mixes both spellings, both alphabets and floats (gemini.md cases 19, 20, 22, 23, 24 and 26)."""
    request = sent_by_sdk(
        contents=[
            types.Part.from_bytes(data=b"\xff\xfe\xfd", mime_type="image/png"),
            types.Part.from_uri(file_uri="https://a.test/x.pdf", mime_type="application/pdf"),
            "hi",
        ],
        config=types.GenerateContentConfig(
            system_instruction="Be brief.",
            tools=[tide_at],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(
                    mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["tide_at"]
                )
            ),
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2048),
            top_k=40,
            temperature=0.7,
            stop_sequences=["END"],
            response_mime_type="application/json",
            response_json_schema={"type": "object"},
            safety_settings=[
                types.SafetySetting(
                    category=types.HarmCategory.HARM_CATEGORY_HARASSMENT,
                    threshold=types.HarmBlockThreshold.BLOCK_NONE,
                )
            ],
        ),
    )
    assert request.system == [Text("Be brief.")]
    assert request.messages[0].blocks == [
        Media(kind=MediaKind.IMAGE, source=Inline("//79"), mime="image/png"),
        Media(kind=MediaKind.DOCUMENT, source=Url("https://a.test/x.pdf"), mime="application/pdf"),
        Text("hi"),
    ]
    assert request.tools[0].name == "tide_at"
    assert b'"port"' in bytes(request.tools[0].schema)
    assert request.tool_choice == ToolChoice(ChoiceMode.NAMED, "tide_at")
    assert request.reasoning == Reasoning(ReasoningMode.ON, budget=2048, is_shown=True)
    assert (request.sampling.top_k, request.sampling.temperature) == (Raw(b"40"), Raw(b"0.7"))
    assert request.format == OutputFormat(Raw(b'{"type": "object"}'), mime="application/json")
    assert list(request.ext or ()) == ["safetySettings"]


def test_what_lanes_get_fits_the_types_of_the_sdk() -> None:
    """Contents, tools and configuration hold no member and no word that it does not know."""
    request = foreign(
        Message(Role.USER, [Text("hi"), Media(kind=MediaKind.IMAGE, source=Url("https://a.test/x.png"))]),
        Message(Role.ASSISTANT, [Thinking("hm"), ToolUse("call_1", "tide"), Code("1", "python"), CodeResult("1")]),
        Message(Role.TOOL, [ToolResult("call_1", [Json(Raw(b"[1]"))], is_error=True)]),
        system=[Text("Be brief.")],
        tools=[Tool("tide", "d", Raw(b'{"type":"object"}'), strict=True), Tool("moon", strict=True)],
        tool_choice=ToolChoice(ChoiceMode.REQUIRED, allowed=["tide", "moon"]),
        sampling=Sampling(Raw(b"9"), Raw(b"0.70"), Raw(b"1"), Raw(b"40"), Raw(b"7"), stop=["a"], has_logprobs=True),
        format=OutputFormat(Raw(b'{"type":"object"}')),
        reasoning=Reasoning(ReasoningMode.ON, "high"),
    )
    for lane in (LANE, LANE._replace(options={"schema_dialect": "openapi"}), LANE._replace(model="gemini-3-pro")):
        document = written(request, lane)
        contents = [types.Content.model_validate(content) for content in document["contents"]]
        assert [content.role for content in contents] == ["user", "model", "user"]
        types.Content.model_validate(document["systemInstruction"])
        assert len([types.Tool.model_validate(tool) for tool in document["tools"]]) == 1
        mode = types.ToolConfig.model_validate(document["toolConfig"]).function_calling_config
        assert mode is not None
        assert mode.mode is types.FunctionCallingConfigMode.ANY
        config = types.GenerationConfig.model_validate(document["generationConfig"])
        assert (config.max_output_tokens, config.top_k, config.seed) == (9, 40, 7)
        assert set(document) == {"systemInstruction", "contents", "tools", "toolConfig", "generationConfig"}


VOICES = {
    "anthropic": anthropic.VOICE,
    "openai": openai_chat.VOICE,
    "responses": openai_responses.VOICE,
    "bedrock": bedrock.VOICE,
    "cohere": cohere.VOICE,
    "gemini": gemini.VOICE,
}


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("tools", [(), ("tide", "moon")])
def test_the_sdk_reads_what_any_vendor_says(name: str, tools: tuple[str, ...]) -> None:
    """Whole or streamed: texts, calls and counts are the same, thoughts are no text (gemini.md cases 18 and 42)."""
    script = Script(text="Low water 04:12, \u00e4\U0001f642.", thinking=True, tools=tools, args='{"port":"Brest"}')
    said = compose(script, MockAsk(model="flash-x", prompt="tides?", include_usage=True))
    lane = translator(speak(name))
    report = Report()
    whole = received(shown(lane.read_answer(VOICES[name].encode_body(said), report)))
    guard = guarded(report=report)
    reader = lane.new_reader(guard, report)
    for piece in VOICES[name].encode_stream(said):
        reader.feed(piece)
    reader.end()
    chunks = list(iterated(guard.take()))
    assert whole.text == "".join(chunk.text or "" for chunk in chunks) == script.text
    calls = [call for chunk in chunks for call in chunk.function_calls or ()]
    for found in (calls, whole.function_calls or []):
        assert [(call.name, call.args) for call in found] == [(tool, {"port": "Brest"}) for tool in tools]
        assert all(call.id for call in found)
    counts = whole.usage_metadata, chunks[-1].usage_metadata
    assert counts[0] is not None
    assert counts[1] is not None
    assert counts[0].total_token_count == counts[1].total_token_count == said.usage.total


DOCUMENT: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "tides?"},
                {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "mediaResolution": {"level": "X"}},
                {"inlineData": {"mimeType": "text/plain", "data": "YQ=="}},
                {"fileData": {"fileUri": "gs://bucket/a.mp4", "mimeType": "video/mp4"}, "videoMetadata": {"fps": 1}},
                {"fileData": {"fileUri": "https://a.test/x.pdf", "mimeType": "application/pdf"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"functionCall": {"id": "c1", "name": "tide", "args": {"b": [1, 2]}}, "thoughtSignature": "c2ln"},
                {"executableCode": {"language": "PYTHON", "code": "1"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                {"toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "c1",
                        "name": "tide",
                        "response": {"high": 1},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
                        "scheduling": "SILENT",
                    }
                },
                {"text": "and?"},
            ],
        },
        {"role": "model", "parts": [{"text": "so"}, {"text": "", "thoughtSignature": "bGFzdA=="}]},
        {"role": "user", "parts": [{"text": "thanks"}]},
    ],
    "tools": [
        {
            "functionDeclarations": [
                {"name": "tide", "description": "d", "parametersJsonSchema": {"type": "object"}},
                {"name": "moon", "parameters": {"type": "OBJECT", "properties": {"a_b": {"type": "STRING"}}}},
            ]
        },
        {"googleSearch": {}},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["tide", "moon"]},
        "retrievalConfig": {"languageCode": "de"},
    },
    "generationConfig": {
        "maxOutputTokens": 100,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "candidateCount": 2,
        "stopSequences": ["a", "b", "c", "d", "e"],
        "responseLogprobs": True,
        "logprobs": 20,
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "propertyOrdering": ["a"]},
        "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True},
        "speechConfig": {"languageCode": "de"},
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    "cachedContent": "cachedContents/1",
    "labels": {"team": "x"},
    "serviceTier": "flex",
}


def test_a_rich_request_of_an_own_client_is_rebuilt() -> None:
    """What was read is written: nothing is lost, nothing is added (gemini.md case 64)."""
    request = TRANSLATOR.read_request(bytes(raw(DOCUMENT)), EVENTS, Report())
    report = Report()
    assert json.loads(TRANSLATOR.write_request(request, LANE, report)) == DOCUMENT
    assert report.entries == []
