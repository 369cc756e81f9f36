"""Parts of every kind through Google's official client: parallel calls, pictures, signatures, answers withheld.

What a gateway need not understand must arrive as well, in both directions; that text arrives is shown elsewhere.
"""

import base64
from typing import Any

import pydantic
import pytest
from google.genai import types

from busbar_fast.mock.content import SIGNATURE
from busbar_fast.mock.script import Script, Stop
from tests.system.sdk import PNG, POOL, Stand, stand
from tests.system.sdk_callers import KINDS, contents_caller
from tests.system.serving import Serve

SAID = "You said: hi"
ASK: Any = {"model": POOL, "contents": "hi"}
ARGS = {"port": "Brest", "hours": [24, 36.5], "note": "marée \U0001f30a"}
RAW_ARGS = '{"port":"Brest","hours":[24,36.5],"note":"marée \U0001f30a"}'
THOUGHT = "The user wants an answer, so I give one."
RAW_SIGNATURE = base64.b64decode(SIGNATURE)
TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name=name, parameters_json_schema={"type": "object", "properties": {}})
            for name in ("tide_at", "moon_at")
        ]
    )
]
BOTH_WAYS = pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])

pytestmark = pytest.mark.parametrize("kind", KINDS)


class Tide(pydantic.BaseModel):
    """What a client wants an answer to be."""

    port: str
    hours: list[float]


def config(**members: Any) -> Any:
    """Return what is said beside the contents; functions are not called by the client itself."""
    no_loop = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(automatic_function_calling=no_loop, **members)


async def chunks_of(caller: Any, ask: Any, *, is_streamed: bool) -> list[Any]:
    """Return the chunks of a stream, or the one that a whole answer is."""
    if is_streamed:
        return list(await caller.pieces(lambda client: client.models.generate_content_stream(**ask)))
    return [await caller.ask(lambda client: client.models.generate_content(**ask))]


def parts_of(chunks: list[Any]) -> list[Any]:
    return [part for chunk in chunks for part in chunk.candidates[0].content.parts]


def check_body(made: Stand) -> None:
    assert made.last.body == made.sent[-1].body


@BOTH_WAYS
async def test_parallel_calls_and_their_results_go_round(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Gemini §5: thoughts, text and two signed calls keep their order and ids, and both results go back in one turn."""
    script = Script(thinking=True, text="Checking.", tools=("tide_at", "moon_at"), args=RAW_ARGS)
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.HIGH)
    choice = types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(
            mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["tide_at", "moon_at"]
        )
    )
    settings = config(tools=TOOLS, tool_config=choice, thinking_config=thinking)
    async with stand(serve, parser_kind, script, Script(text="At six.")) as made, contents_caller(made, kind) as caller:
        chunks = await chunks_of(caller, ASK | {"config": settings}, is_streamed=is_streamed)
        parts = [part for part in parts_of(chunks) if part.text or part.function_call]
        assert "".join(part.text for part in parts if part.thought) == THOUGHT
        assert "".join(part.text for part in parts if part.text and not part.thought) == "Checking."
        called = [part for part in parts if part.function_call]
        assert parts[-2:] == called
        assert [(part.function_call.id, part.function_call.name) for part in called] == [
            ("MockMoc1", "tide_at"),
            ("MockMoc2", "moon_at"),
        ]
        assert [part.function_call.args for part in called] == [ARGS, ARGS]
        assert [part.thought_signature for part in called] == [RAW_SIGNATURE, RAW_SIGNATURE]
        assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP
        results = [
            types.FunctionResponse(id="MockMoc1", name="tide_at", response={"output": {"at": "06:00"}}),
            types.FunctionResponse(id="MockMoc2", name="moon_at", response={"error": "no moon"}),
        ]
        turns = [
            types.Content(role="user", parts=[types.Part(text="hi")]),
            types.Content(role="model", parts=parts),
            types.Content(role="user", parts=[types.Part(function_response=result) for result in results]),
        ]
        ask = ASK | {"config": settings, "contents": turns}
        answered = await chunks_of(caller, ask, is_streamed=is_streamed)
        assert "".join(chunk.text for chunk in answered) == "At six."
        check_body(made)
        document = made.last.document
        responses = [part["functionResponse"]["response"] for part in document["contents"][2]["parts"]]
        assert responses == [{"output": {"at": "06:00"}}, {"error": "no moon"}]
        assert document["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"
        assert made.visits == (1, 1)


@BOTH_WAYS
async def test_signature_behind_a_text_survives_the_chat(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Gemini case 41: a signature on the last part of a text, empty in a stream, goes back with the next turn."""
    async with stand(serve, parser_kind, Script(thinking=True)) as made, contents_caller(made, kind) as caller:
        chat = caller.client.chats.create(model=POOL)
        if is_streamed:
            chunks = await caller.pieces(lambda _client: chat.send_message_stream("hi"))
        else:
            chunks = [await caller.ask(lambda _client: chat.send_message("hi"))]
        last = parts_of(chunks)[-1]
        assert (last.text, last.thought_signature) == ("" if is_streamed else SAID, RAW_SIGNATURE)
        await caller.ask(lambda _client: chat.send_message("again"))
        check_body(made)
        said = [part for turn in made.last.document["contents"][1:-1] for part in turn["parts"]]
        assert "".join(part["text"] for part in said if not part.get("thought")) == SAID
        signatures = [base64.urlsafe_b64decode(part["thoughtSignature"]) for part in said if "thoughtSignature" in part]
        assert signatures == [RAW_SIGNATURE]


@BOTH_WAYS
async def test_pictures_sounds_and_files_arrive(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Gemini §5: bytes of any type and addresses reach the backend as the client encoded them, whole or streamed."""
    odd = bytes(range(256))  # of every letter of either alphabet
    contents = [
        types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png"),
        types.Part.from_bytes(data=odd, mime_type="audio/wav"),
        types.Part.from_uri(file_uri="gs://bucket/a b.pdf", mime_type="application/pdf"),
        types.Part(text="What is this?"),
    ]
    async with stand(serve, parser_kind) as made, contents_caller(made, kind) as caller:
        chunks = await chunks_of(caller, {"model": POOL, "contents": contents}, is_streamed=is_streamed)
        assert "".join(chunk.text for chunk in chunks) == "You said: What is this?"
        check_body(made)
        picture, sound, file, _ = made.last.document["contents"][0]["parts"]
        assert base64.urlsafe_b64decode(picture["inlineData"]["data"]) == base64.b64decode(PNG)
        assert base64.urlsafe_b64decode(sound["inlineData"]["data"]) == odd
        assert file["fileData"]["file_uri"] == "gs://bucket/a b.pdf"


@BOTH_WAYS
async def test_answer_that_is_withheld_is_no_error(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Gemini cases 43 and 44: a candidate without content, and no candidate at all, are answers that say why."""
    async with (
        stand(serve, parser_kind, Script(stop=Stop.SAFETY, text=""), Script(stop=Stop.REFUSAL, text="")) as made,
        contents_caller(made, kind) as caller,
    ):
        (unsafe,) = await chunks_of(caller, ASK, is_streamed=is_streamed)
        assert (unsafe.candidates[0].content, unsafe.text) == (None, None)
        assert unsafe.candidates[0].finish_reason is types.FinishReason.SAFETY
        (blocked,) = await chunks_of(caller, ASK, is_streamed=is_streamed)
        assert (blocked.candidates, blocked.text) == (None, None)
        assert blocked.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT
        assert blocked.usage_metadata.prompt_token_count == 1
        assert made.visits == (1, 1)
        assert made.counts("gemini") == [(1, 0), (1, 0)]


@BOTH_WAYS
async def test_answer_in_a_schema_is_parsed(serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool) -> None:
    """Gemini §9: the schema of a client's own class reaches the backend, and the answer becomes an object of it."""
    script = Script(text='{"port":"Brest","hours":[24,36.5]}')
    settings = config(response_mime_type="application/json", response_schema=Tide)
    async with stand(serve, parser_kind, script) as made, contents_caller(made, kind) as caller:
        chunks = await chunks_of(caller, ASK | {"config": settings}, is_streamed=is_streamed)
        text = "".join(chunk.text for chunk in chunks)
        assert Tide.model_validate_json(text) == Tide(port="Brest", hours=[24, 36.5])
        if not is_streamed:
            assert chunks[0].parsed == Tide(port="Brest", hours=[24, 36.5])
        check_body(made)
        sent = made.last.document["generationConfig"]
        assert sent["responseMimeType"] == "application/json"
        assert set(sent["responseSchema"]["properties"]) == {"port", "hours"}


@BOTH_WAYS
async def test_fields_that_only_the_vendor_knows_arrive(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Gemini cases 63 and 64: limits of safety, the vendor's own tools and numbers reach a backend of the vendor."""
    settings = config(
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HATE_SPEECH,
                threshold=types.HarmBlockThreshold.BLOCK_ONLY_HIGH,
            )
        ],
        tools=[types.Tool(google_search=types.GoogleSearch()), types.Tool(url_context=types.UrlContext())],
        candidate_count=1,
        seed=7,
        top_k=40,
        stop_sequences=["END"],
        response_modalities=["TEXT", "IMAGE"],
        http_options=types.HttpOptions(extra_body={"odd": [1.0, None, "é"], "model": "models/nobody"}),
    )
    async with stand(serve, parser_kind) as made, contents_caller(made, kind) as caller:
        await chunks_of(caller, ASK | {"config": settings}, is_streamed=is_streamed)
        sent, got = made.sent[-1].body, made.last.body
        assert got == sent.replace(b"models/nobody", b"models/vendor-large-2026-07")
        document = made.last.document
        assert document["safetySettings"] == [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_ONLY_HIGH"}]
        assert len(document["tools"]) == 2
        assert document["generationConfig"]["seed"] == 7
        assert document["odd"] == [1.0, None, "é"]


async def test_tokens_are_counted_with_everything_around(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §1: a count of pictures and turns is the backend's, asked with the client's own body."""
    contents = [
        types.Content(
            role="user", parts=[types.Part(text="hi"), types.Part.from_bytes(data=b"x", mime_type="image/png")]
        )
    ]
    async with stand(serve, parser_kind, Script(usage_in=77)) as made, contents_caller(made, kind) as caller:
        count = await caller.ask(lambda client: client.models.count_tokens(model=POOL, contents=contents))
        assert count.total_tokens == 77
        check_body(made)
        assert made.last.target.endswith(b":countTokens")
