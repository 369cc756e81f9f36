"""Google's official client against the gateway, blocking and not: what either side says arrives, and as it was said.

Refusals, keys and broken answers are the subject of `test_sdk_gemini_faults`; streams that are one JSON array that of
`test_sdk_gemini_array`.
"""

import base64
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.genai import types

from busbar_fast.mock.content import SIGNATURE
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script, Stop
from tests.system.sdk import LIMIT_S, MODEL, OWN_KEY, PNG, POOL, TOKEN, Stand, stand
from tests.system.sdk_callers import KINDS, contents_caller, deployed, make_room
from tests.system.serving import Serve, all_of

SAID = "You said: hi"
ASK: Any = {"model": POOL, "contents": "hi"}
CALL = Script(tools=("tide_at",), args='{"port":"Brest","hours":24}', thinking=True)
ARGS = {"port": "Brest", "hours": 24}
RAW_SIGNATURE = base64.b64decode(SIGNATURE)
RESPONSE_ID = "MockMockMockMoc1"
WHOLE = f"/v1beta/models/{MODEL}:generateContent".encode()
STREAM = f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse".encode()
COUNT = f"/v1beta/models/{MODEL}:countTokens".encode()
CONFIG = """
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: [<token>]}
providers:
  vendor: {protocol: gemini, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
  vertex:
    protocol: gemini
    base_url: "http://127.0.0.1:<port>"
    path_base: /v1/projects/p/locations/l/publishers/google/models
    auth: bearer
    api_key_env: UP_KEY
models:
  "openai/gpt-4o": {provider: vendor, upstream_model: flash-x}
  "flash:exp": {provider: vertex, upstream_model: "flash:exp"}
  plain: {provider: vendor, upstream_model: "tuned/plain x"}
pools:
  "z pool": {members: [{target: plain}]}
  family/all: {members: [{target: plain}]}
"""

pytestmark = pytest.mark.parametrize("kind", KINDS)


def check_received(made: Stand, target: bytes = WHOLE, accept: bytes = b"application/json") -> None:
    """The backend got the very body that the client sent, our key, and nothing else of the client."""
    sent, got = made.sent[-1], made.last
    assert (got.method, got.target, got.body) == (b"POST", target, sent.body)
    assert got.fields == {
        b"host": b"h",
        b"content-type": b"application/json",
        b"accept": accept,
        b"x-goog-api-key": OWN_KEY.encode(),
    }
    assert sent.fields["x-goog-api-key"] == TOKEN


def config(**members: Any) -> Any:
    return types.GenerateContentConfig(**members)


def parts_of(chunks: list[Any]) -> list[Any]:
    return [part for chunk in chunks for part in chunk.candidates[0].content.parts]


async def test_text_arrives_whole(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §15: every member of a whole answer is what the backend said, and the request what the client said."""
    async with stand(serve, parser_kind) as made, contents_caller(made, kind) as caller:
        ask = ASK | {"config": config(system_instruction="Be brief.", top_k=40, temperature=0.5)}
        said = await caller.ask(lambda client: client.models.generate_content(**ask))
        assert (said.text, said.model_version, said.response_id) == (SAID, MODEL, RESPONSE_ID)
        assert said.candidates[0].finish_reason == types.FinishReason.STOP
        usage = said.usage_metadata
        assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (1, 3, 4)
        assert said.sdk_http_response.headers["content-type"] == "application/json"
        check_received(made)
        assert made.sent[-1].path == f"/v1/models/{POOL}:generateContent"
        assert made.counts("gemini") == [(1, 0), (0, 0)]


async def test_text_arrives_streamed(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini case 71: each chunk of a stream arrives as one, and the backend is asked for events."""
    script = Script(text="The tide turns at six.", delta_chars=4)
    async with stand(serve, parser_kind, script) as made, contents_caller(made, kind) as caller:
        chunks = await caller.pieces(lambda client: client.models.generate_content_stream(**ASK))
        assert [chunk.text for chunk in chunks] == ["The ", "tide", " tur", "ns a", "t si", "x.", ""]
        assert {chunk.response_id for chunk in chunks} == {RESPONSE_ID}
        assert [chunk.candidates[0].finish_reason for chunk in chunks[-2:]] == [None, types.FinishReason.STOP]
        assert [chunk.usage_metadata.total_token_count for chunk in chunks] == [1] * 6 + [7]
        check_received(made, STREAM, b"text/event-stream")
        assert made.sent[-1].path == f"/v1/models/{POOL}:streamGenerateContent?alt=sse"


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
async def test_every_version_of_the_path_is_served(serve: Serve, parser_kind: str, kind: str, version: str) -> None:
    """Gemini case 1: whichever version of the API a client asks for, the same lane answers."""
    async with stand(serve, parser_kind) as made, contents_caller(made, kind, api_version=version) as caller:
        said = await caller.ask(lambda client: client.models.generate_content(**ASK))
        assert said.text == SAID
        assert made.sent[-1].path == f"/{version}/models/{POOL}:generateContent"
        check_received(made)


async def test_bytes_are_left_alone(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini case 64: odd bodies go up untouched, and answers and streams come down as the backend wrote them."""
    script = Script(thinking=True, tools=("tide_at",), text="Marée haute 🌊", split=7)
    body = b'{ "contents" : {"parts":{"text":"hi"}}, "model":"models/pool",\n"generationConfig":{"topK":4e1} ,"odd":[]}'
    headers = {"x-goog-api-key": TOKEN, "content-type": "application/json"}
    async with stand(serve, parser_kind, script) as made:
        for place in ("generateContent", "streamGenerateContent?alt=sse"):
            url = f"{made.origin}/v1beta/models/{POOL}:{place}"
            async with httpx.AsyncClient() as client:
                got = await client.post(url, content=body, headers=headers)
            target, fields = made.last.target, made.last.fields
            assert got.content == b"".join(answer(b"POST", target, fields, made.last.body, script).frames)
            assert made.last.body == body.replace(b"models/pool", b"models/" + MODEL.encode())
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert kind in KINDS


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_tool_call_and_its_result_go_round(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Gemini §5: a signed call arrives, and the next turn takes call, signature and result to the other lane."""
    tool = types.Tool(
        function_declarations=[
            types.FunctionDeclaration(
                name="tide_at",
                description="Tells the tide.",
                parameters_json_schema={"type": "object", "properties": {"port": {"type": "string"}}},
            )
        ]
    )
    no_loop = types.AutomaticFunctionCallingConfig(disable=True)
    ask = ASK | {"config": config(tools=[tool], automatic_function_calling=no_loop)}
    async with stand(serve, parser_kind, CALL, Script(text="At six.")) as made, contents_caller(made, kind) as caller:
        if is_streamed:
            parts = parts_of(await caller.pieces(lambda client: client.models.generate_content_stream(**ask)))
        else:
            parts = parts_of([await caller.ask(lambda client: client.models.generate_content(**ask))])
        (signed,) = [part for part in parts if part.function_call]
        call = signed.function_call
        assert (call.id, call.name, call.args, signed.thought_signature) == ("MockMoc1", "tide_at", ARGS, RAW_SIGNATURE)
        declared = made.last.document["tools"][0]["functionDeclarations"][0]
        assert declared["parameters_json_schema"]["properties"] == {"port": {"type": "string"}}
        result = types.FunctionResponse(id=call.id, name="tide_at", response={"output": "06:00"})
        turns = [
            types.Content(role="user", parts=[types.Part(text="hi")]),
            types.Content(role="model", parts=[signed]),
            types.Content(role="user", parts=[types.Part(function_response=result)]),
        ]
        said = await caller.ask(lambda client: client.models.generate_content(**(ask | {"contents": turns})))
        assert said.text == "At six."
        check_received(made)
        _, called, answered = made.last.document["contents"]
        assert called["parts"][0]["functionCall"] == {"id": "MockMoc1", "name": "tide_at", "args": ARGS}
        assert base64.urlsafe_b64decode(called["parts"][0]["thoughtSignature"]) == RAW_SIGNATURE
        assert answered["parts"][0]["functionResponse"]["response"] == {"output": "06:00"}
        assert made.visits == (1, 1)


async def test_functions_are_called_by_the_client_itself(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §15: automatic function calling runs over the gateway, each turn a request of its own."""
    asked: list[str] = []

    def tide_at(port: str) -> str:
        """Tell the tide."""
        asked.append(port)
        return "06:00"

    call = Script(tools=("tide_at",), args='{"port":"Brest"}')
    async with stand(serve, parser_kind, call, Script(text="At six.")) as made, contents_caller(made, kind) as caller:
        ask = ASK | {"config": config(tools=[tide_at])}
        said = await caller.ask(lambda client: client.models.generate_content(**ask))
        assert (said.text, asked) == ("At six.", ["Brest"])
        response = made.last.document["contents"][2]["parts"][0]["functionResponse"]
        assert response["response"] == {"result": "06:00"}
        assert len(said.automatic_function_calling_history) == 3
        check_received(made)
        assert made.visits == (1, 1)


async def test_pictures_and_files_arrive(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §5: pictures by value and files by address reach the backend as the client wrote them."""
    contents = [
        types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png"),
        types.Part.from_uri(file_uri="https://example.com/a.pdf?x=1&y=2", mime_type="application/pdf"),
        types.Part(text="What is this?"),
    ]
    async with stand(serve, parser_kind) as made, contents_caller(made, kind) as caller:
        said = await caller.ask(lambda client: client.models.generate_content(model=POOL, contents=contents))
        assert said.text == "You said: What is this?"
        check_received(made)
        picture, file, _ = made.last.document["contents"][0]["parts"]
        assert base64.urlsafe_b64decode(picture["inlineData"]["data"]) == base64.b64decode(PNG)
        assert picture["inlineData"]["mime_type"] == "image/png"
        assert file["fileData"]["file_uri"] == "https://example.com/a.pdf?x=1&y=2"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_thinking_arrives_and_is_counted(serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool) -> None:
    """Gemini cases 42 and 51: thoughts are no part of the text, and their tokens are counted beside it."""
    script = Script(thinking=True, usage_in=31, usage_out=18)
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    ask = ASK | {"config": config(thinking_config=thinking)}
    async with stand(serve, parser_kind, script) as made, contents_caller(made, kind) as caller:
        if is_streamed:
            chunks = await caller.pieces(lambda client: client.models.generate_content_stream(**ask))
        else:
            chunks = [await caller.ask(lambda client: client.models.generate_content(**ask))]
        parts = parts_of(chunks)
        assert "".join(part.text for part in parts if part.thought) == "The user wants an answer, so I give one."
        assert "".join(part.text for part in parts if not part.thought) == SAID
        usage = chunks[-1].usage_metadata
        assert (usage.thoughts_token_count, usage.candidates_token_count, usage.total_token_count) == (10, 8, 49)
        sent = made.last.document["generationConfig"]["thinkingConfig"]
        assert sent == {"include_thoughts": True, "thinking_budget": 1024}


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_cached_content_is_named_and_counted(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Gemini §12: the name of a cache reaches the backend, and the client reads what came from there."""
    script = Script(usage_in=100, usage_out=18, cached=30)
    ask = ASK | {"config": config(cached_content="cachedContents/abc-1")}
    async with stand(serve, parser_kind, script) as made, contents_caller(made, kind) as caller:
        if is_streamed:
            said = (await caller.pieces(lambda client: client.models.generate_content_stream(**ask)))[-1]
        else:
            said = await caller.ask(lambda client: client.models.generate_content(**ask))
        usage = said.usage_metadata
        assert (usage.prompt_token_count, usage.cached_content_token_count) == (100, 30)
        assert (usage.candidates_token_count, usage.total_token_count) == (18, 118)
        assert made.last.document["cachedContent"] == "cachedContents/abc-1"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(stop=Stop.LENGTH), "MAX_TOKENS"),
        (Script(stop=Stop.SAFETY), "SAFETY"),
        (Script(stop_raw="RECITATION"), "RECITATION"),
        (Script(stop_raw="MALFORMED_FUNCTION_CALL"), "MALFORMED_FUNCTION_CALL"),
    ],
)
async def test_finish_reasons_arrive(serve: Serve, parser_kind: str, kind: str, script: Script, reason: str) -> None:
    """Gemini case 49: the reason is the backend's own word, whole and streamed."""
    async with stand(serve, parser_kind, script) as made, contents_caller(made, kind) as caller:
        said = await caller.ask(lambda client: client.models.generate_content(**ASK))
        chunks = await caller.pieces(lambda client: client.models.generate_content_stream(**ASK))
        assert said.candidates[0].finish_reason.value == reason
        assert chunks[-1].candidates[0].finish_reason.value == reason


async def test_tokens_are_counted_by_the_backend(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §1: the counter of a lane of the same vendor is asked at its own path."""
    async with stand(serve, parser_kind, Script(usage_in=41)) as made, contents_caller(made, kind) as caller:
        count = await caller.ask(lambda client: client.models.count_tokens(**ASK))
        assert count.total_tokens == 41
        check_received(made, COUNT)


async def test_request_that_is_counted_as_a_whole(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §4: a count of a whole request asks the lane for its own model, inside as outside."""
    whole = {"generateContentRequest": {"model": f"models/{POOL}", "contents": [{"parts": [{"text": "hi"}]}]}}
    async with stand(serve, parser_kind, Script(usage_in=41)) as made, contents_caller(made, kind) as caller:
        ask = ASK | {"config": types.CountTokensConfig(http_options=types.HttpOptions(extra_body=whole))}
        count = await caller.ask(lambda client: client.models.count_tokens(**ask))
        assert count.total_tokens == 41
        sent, got = made.sent[-1], made.last
        assert got.target == COUNT
        assert got.body == sent.body.replace(f'"models/{POOL}"'.encode(), f'"models/{MODEL}"'.encode())
        assert got.body != sent.body


async def test_chat_remembers_its_turns(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §15: the client's chat helper carries its history through both lanes, whole and streamed."""
    async with stand(serve, parser_kind) as made, contents_caller(made, kind) as caller:
        chat = caller.client.chats.create(model=POOL)
        first = await caller.ask(lambda _client: chat.send_message("one"))
        chunks = await caller.pieces(lambda _client: chat.send_message_stream("two"))
        assert (first.text, "".join(chunk.text for chunk in chunks)) == ("You said: one", "You said: two")
        texts = [turn["parts"][0]["text"] for turn in made.last.document["contents"]]
        assert texts == ["one", "You said: one", "two"]
        assert made.visits == (1, 1)


def get_model(client: Any, name: str) -> Any:
    return client.models.get(model=name)


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_models_are_listed(serve: Serve, tmp_path: Path, kind: str, version: str) -> None:
    """Gemini case 68: the client's key makes the shared path a list in Google's form, where each can be looked up."""
    async with deployed(serve, tmp_path, CONFIG) as made, contents_caller(made, kind, api_version=version) as caller:
        listed = await caller.pieces(lambda client: client.models.list())
        names = [model.name for model in listed]
        assert names == [f"models/{name}" for name in ("family/all", "z pool", "flash:exp", "openai/gpt-4o", "plain")]
        assert {tuple(model.supported_actions) for model in listed} == {("generateContent", "streamGenerateContent")}
        for model in listed:
            assert (await caller.ask(partial(get_model, name=model.name))).display_name == model.display_name
        assert made.received == []


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("models/openai/gpt-4o", b"/v1beta/models/flash-x:"),
        ("openai/gpt-4o", b"/v1beta/models/flash-x:"),
        ("models/flash:exp", b"/v1/projects/p/locations/l/publishers/google/models/flash%3Aexp:"),
        ("vertex/flash:exp", b"/v1/projects/p/locations/l/publishers/google/models/flash%3Aexp:"),
        ("tunedModels/plain", b"/v1beta/models/tuned%2Fplain%20x:"),
        ("z pool", b"/v1beta/models/tuned%2Fplain%20x:"),
        ("family/all", b"/v1beta/models/tuned%2Fplain%20x:"),
        ("vendor/plain", b"/v1beta/models/tuned%2Fplain%20x:"),
    ],
)
async def test_names_with_slashes_and_colons_resolve(
    serve: Serve, tmp_path: Path, kind: str, name: str, target: bytes
) -> None:
    """Gemini cases 2 to 4: a name reaches its lane whatever stands in it, and the lane's name is encoded as one."""
    async with deployed(serve, tmp_path, CONFIG) as made, contents_caller(made, kind) as caller:
        said = await caller.ask(lambda client: client.models.generate_content(model=name, contents="hi"))
        chunks = await caller.pieces(lambda client: client.models.generate_content_stream(model=name, contents="hi"))
        assert said.text == "".join(chunk.text for chunk in chunks) == SAID
        places = [received.target for received in made.received]
        assert places == [target + b"generateContent", target + b"streamGenerateContent?alt=sse"]
        assert [received.body for received in made.received] == [sent.body for sent in made.sent]
        is_vertex = b"projects" in target
        carrier = b"authorization" if is_vertex else b"x-goog-api-key"
        assert made.last.fields[carrier] == f"{'Bearer ' if is_vertex else ''}{OWN_KEY}".encode()
        assert len({b"authorization", b"x-goog-api-key", b"x-api-key"} & set(made.last.fields)) == 1


async def test_many_streams_at_once_keep_apart(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §13: 32 streams through one gateway each say what their own request said."""

    def stream(client: Any, number: int) -> Any:
        return client.models.generate_content_stream(model=POOL, contents=f"number {number}")

    make_room()
    script = Script(delta_chars=3, delay_frame_ms=1)
    async with stand(serve, parser_kind, script) as made, contents_caller(made, kind) as caller:
        answers = await all_of(caller.pieces(partial(stream, number=number)) for number in range(32))
        texts = ["".join(chunk.text for chunk in chunks) for chunks in answers]
        assert texts == [f"You said: number {number}" for number in range(32)]
        assert made.counts("gemini") == [(16, 0), (16, 0)]


async def test_time_limit_of_the_client_is_not_the_backends(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §2: who the client is and how long it waits stays here."""
    async with (
        stand(serve, parser_kind) as made,
        contents_caller(made, kind, timeout=int(LIMIT_S * 1000), headers={"x-other": "1", "cookie": "c=1"}) as caller,
    ):
        await caller.ask(lambda client: client.models.generate_content(**ASK))
        assert {"x-goog-api-client", "x-other", "cookie"} <= set(made.sent[-1].fields)
        check_received(made)
