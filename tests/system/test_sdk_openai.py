"""OpenAI's client, blocking and not, against the gateway over two mock backends: chat.

Every answer is compared with what the backend said, and every request with what the client wrote.
"""

from typing import Any

import httpx2
import openai
import orjson
import pytest
from openai.types.chat import ChatCompletion

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.content import CREATED_S, mint
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script, Stop
from busbar_fast.wire.limits import Limits
from tests.system.gateways import DOWN, Fate
from tests.system.sdk import (
    LANES,
    MODEL,
    OWN_KEY,
    PNG,
    POOL,
    TOKEN,
    Caller,
    Visit,
    all_at_once,
    check_openai_refusal,
    check_passed_on,
    openai_caller,
)
from tests.system.serving import Gate, Serve, until

PATH = b"/v1/chat/completions"
JSON = b"application/json"
EVENTS = b"text/event-stream"
QUESTION = "When is high water?"
TURNS: Any = [{"role": "user", "content": QUESTION}]
SAID = f"You said: {QUESTION}"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "tides",
        "description": "Tide tables",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
        "strict": False,
    },
}
ARGS = '{"place":"Brest","hours":24}'
THOUGHT = "The user wants an answer, so I give one."
UPSTREAM_ID = "req_5eed5eed5eed5eed5eed5eed5eed5ee1"  # of every answer of the mock backend
BROKEN = (openai.APIError, httpx2.RemoteProtocolError)


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, openai_caller)


async def create(caller: Caller, **more: Any) -> ChatCompletion:
    """Ask for a whole answer."""
    asked = {"model": POOL, "messages": TURNS, **more}
    got = await caller.ask(lambda client: client.chat.completions.create(**asked))
    assert isinstance(got, ChatCompletion)
    return got


async def stream(caller: Caller, chunks: list[Any] | None = None, **more: Any) -> list[Any]:
    """Ask for a streamed answer; return its chunks."""
    asked = {"model": POOL, "messages": TURNS, "stream": True, **more}
    return await caller.pieces(lambda client: client.chat.completions.create(**asked), chunks)


async def refused(caller: Caller, kind: type[openai.APIStatusError], *, streamed: bool = False, **more: Any) -> Any:
    """Ask in vain; return the exception, which is of this very class."""
    with pytest.raises(openai.APIStatusError) as caught:
        await (stream if streamed else create)(caller, **more)
    assert type(caught.value) is kind
    return caught.value


# Answers


async def test_text_and_usage_of_a_whole_answer(visit: Visit) -> None:
    """OpenAI case 4: the answer is the backend's in every member, the request differs in model and key only."""
    async with visit(Script(usage_in=31, usage_out=18, cached=7)) as (site, caller):
        got = await create(caller, temperature=0.7, max_completion_tokens=99, seed=2**40, stop=["X"], user="u-1")
        assert (got.id, got.object, got.created) == (mint("chatcmpl-", 38), "chat.completion", CREATED_S)
        assert (got.model, got.service_tier, got.system_fingerprint) == (MODEL, "default", "fp_mock000001")
        (choice,) = got.choices
        assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
        message = choice.message
        assert (message.role, message.content, message.refusal) == ("assistant", SAID, None)
        assert message.tool_calls is None
        assert got.usage is not None
        assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (31, 18, 49)
        assert got.usage.prompt_tokens_details is not None
        assert got.usage.prompt_tokens_details.cached_tokens == 7
        assert check_passed_on(site, PATH, JSON) == {
            "messages": TURNS,
            "model": MODEL,
            "temperature": 0.7,
            "max_completion_tokens": 99,
            "seed": 2**40,
            "stop": ["X"],
            "user": "u-1",
        }


async def test_text_and_usage_of_a_stream(visit: Visit) -> None:
    """OpenAI §9: role, text piece by piece, finish, usage because it was asked for, and nothing behind it."""
    async with visit(Script(usage_in=31, usage_out=18, delta_chars=9)) as (site, caller):
        chunks = await stream(caller, stream_options={"include_usage": True})
        assert {(chunk.object, chunk.created, chunk.model) for chunk in chunks} == {
            ("chat.completion.chunk", CREATED_S, MODEL)
        }
        assert len({chunk.id for chunk in chunks}) == 1
        *said, last = chunks
        assert [chunk.choices[0].delta.role for chunk in said] == ["assistant"] + [None] * (len(said) - 1)
        pieces = [SAID[at : at + 9] for at in range(0, len(SAID), 9)]
        assert [chunk.choices[0].delta.content for chunk in said] == ["", *pieces, None]
        assert [chunk.choices[0].finish_reason for chunk in said] == [None] * (len(pieces) + 1) + ["stop"]
        assert [chunk.usage for chunk in said] == [None] * len(said)
        assert last.choices == []
        assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (31, 18, 49)
        document = check_passed_on(site, PATH, EVENTS)
        assert (document["stream"], document["stream_options"]) == (True, {"include_usage": True})


async def test_stream_without_usage(visit: Visit) -> None:
    """OpenAI §9.4: who does not ask for usage gets no chunk of it, and no chunk without a choice."""
    async with visit(Script(split=7)) as (site, caller):
        chunks = await stream(caller)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
        assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
        assert "stream_options" not in site.sent[-1].body.decode()


@pytest.mark.parametrize(
    ("stop", "word"),
    [(Stop.LENGTH, "length"), (Stop.SAFETY, "content_filter"), (Stop.SEQUENCE, "stop"), (Stop.END, "stop")],
)
async def test_finish_reasons(visit: Visit, stop: Stop, word: str) -> None:
    """OpenAI §7: the backend's word reaches the client, whole and streamed."""
    async with visit(Script(stop=stop, text="Tide")) as (_, caller):
        assert (await create(caller)).choices[0].finish_reason == word
        assert (await stream(caller))[-1].choices[0].finish_reason == word


async def test_refusal_by_the_model(visit: Visit) -> None:
    """OpenAI §7: a refusal stands in its own member, whole and streamed."""
    async with visit(Script(stop=Stop.REFUSAL, text="I will not.")) as (_, caller):
        message = (await create(caller)).choices[0].message
        assert (message.content, message.refusal) == (None, "I will not.")
        chunks = await stream(caller)
        assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == "I will not."


async def test_tool_call_and_its_result(visit: Visit) -> None:
    """OpenAI §4: two calls come with ids and arguments to the letter, and go back with their results."""
    async with visit(Script(tools=("tides", "moon"), args=ARGS), [Script(text="At 06:12.")]) as (site, caller):
        first = await create(caller, tools=[TOOL], tool_choice="auto", parallel_tool_calls=True)
        assert first.choices[0].finish_reason == "tool_calls"
        message = first.choices[0].message
        assert message.content is None
        calls = [call for call in message.tool_calls or [] if call.type == "function"]
        assert [(call.function.name, call.function.arguments) for call in calls] == [("tides", ARGS), ("moon", ARGS)]
        ids = [call.id for call in calls]
        assert ids == [mint("call_", 29, number) for number in (0, 1)]
        document = check_passed_on(site, PATH, JSON)
        assert (document["tools"], document["tool_choice"]) == ([TOOL], "auto")
        results: Any = [{"role": "tool", "tool_call_id": call_id, "content": '{"at":"06:12"}'} for call_id in ids]
        turns = [*TURNS, message.model_dump(exclude_none=True), *results]
        assert (await create(caller, messages=turns, tools=[TOOL])).choices[0].message.content == "At 06:12."
        received = check_passed_on(site, PATH, JSON)["messages"]
        assert received == turns
        assert [call["id"] for call in received[1]["tool_calls"]] == ids
        assert site.visits == (1, 1)


async def test_tool_calls_of_a_stream(visit: Visit) -> None:
    """OpenAI §9.1: each call opens once with its name, and its arguments come in pieces under its number."""
    async with visit(Script(tools=("tides", "moon"), args=ARGS, delta_chars=10)) as (_, caller):
        chunks = await stream(caller, tools=[TOOL])
        parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
        opening = [(part.index, part.type, part.function.name) for part in parts if part.id]
        assert opening == [(0, "function", "tides"), (1, "function", "moon")]
        for number in (0, 1):
            pieces = [part.function.arguments for part in parts if part.index == number]
            assert pieces == ["", ARGS[:10], ARGS[10:20], ARGS[20:]]
        assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("script", [Script(delta_chars=5), Script(tools=("tides",), args=ARGS, delta_chars=5)])
async def test_stream_helper(serve: Serve, parser_kind: str, script: Script) -> None:
    """OpenAI §11: the helper that puts chunks together gets what the whole answer says."""
    async with Visit(serve, parser_kind, "async", openai_caller)(script) as (_, caller):
        async with caller.client.chat.completions.stream(model=POOL, messages=TURNS, tools=[TOOL]) as events:
            final = await events.get_final_completion()
        whole = await create(caller, tools=[TOOL])
        assert final.choices[0].message.content == whole.choices[0].message.content
        assert final.choices[0].finish_reason == whole.choices[0].finish_reason
        calls = [(call.id, call.function.arguments) for call in final.choices[0].message.tool_calls or []]
        assert calls == [(call.id, call.function.arguments) for call in whole.choices[0].message.tool_calls or []]  # type: ignore[union-attr]


async def test_pictures_travel_untouched(visit: Visit) -> None:
    """OpenAI case 10, same dialect: a data URL, a plain URL and their detail come as they were sent."""
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/tide.png"}},
    ]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    async with visit() as (site, caller):
        assert (await create(caller, messages=turns)).choices[0].message.content == SAID
        assert check_passed_on(site, PATH, JSON)["messages"] == turns


async def test_large_picture_travels_untouched(visit: Visit) -> None:
    """A body of three megabytes, which is not copied behind its head, is the same at the backend."""
    url = "data:image/png;base64," + "QUJD" * (1 << 18) * 3
    turns = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    async with visit(Script(text="Seen.")) as (site, caller):
        assert (await create(caller, messages=turns)).choices[0].message.content == "Seen."
        assert check_passed_on(site, PATH, JSON)["messages"] == turns


async def test_reasoning(visit: Visit) -> None:
    """OpenAI §5, same dialect: the effort goes to the backend, its thoughts and their number come back."""
    async with visit(Script(thinking=True, usage_out=50)) as (site, caller):
        got = await create(caller, reasoning_effort="high")
        extra = got.choices[0].message.model_extra
        assert extra is not None
        assert extra["reasoning_content"] == THOUGHT
        assert got.usage is not None
        assert got.usage.completion_tokens_details is not None
        assert (got.usage.completion_tokens, got.usage.completion_tokens_details.reasoning_tokens) == (50, 10)
        assert check_passed_on(site, PATH, JSON)["reasoning_effort"] == "high"
        chunks = await stream(caller, reasoning_effort="high")
        deltas = [chunk.choices[0].delta for chunk in chunks]
        assert "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas) == THOUGHT
        assert "".join(delta.content or "" for delta in deltas) == SAID


async def test_members_nobody_knows_travel(visit: Visit) -> None:
    """OpenAI case 6: whatever else a body says reaches a backend of the same dialect, a nested `model` as well."""
    more = {"logit_bias": {"50256": -100}, "store": True, "x_new": {"model": "kept", "n": [1.0, 1e2]}}
    async with visit() as (site, caller):
        assert (await create(caller, extra_body=more)).model == MODEL
        document = check_passed_on(site, PATH, JSON)
        assert {name: document[name] for name in more} == more


async def test_sixty_four_streams_at_once(serve: Serve, parser_kind: str) -> None:
    """Each of many streams at once carries its own answer, and the lanes share them evenly."""
    script = Script(deltas=10, delta_chars=11, delay_frame_ms=1)
    hold = Gate()

    async def read(caller: Caller, number: int) -> tuple[str, str]:
        text = f"[{number:04}] "
        chunks = await stream(caller, messages=[{"role": "user", "content": text}])
        return text, "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    async with Visit(serve, parser_kind, "async", openai_caller)(script, hold=hold) as (site, caller):
        for text, said in await all_at_once(hold, [read(caller, number) for number in range(64)]):
            whole = f"You said: {text}"
            assert said == (whole * 7)[:110]
        assert site.visits == (32, 32)
        assert site.counts("openai") == [(32, 0), (32, 0)]


# Models, and who may ask


async def test_list_of_models(visit: Visit) -> None:
    """OpenAI §13: pools and models are listed, one can be looked at, and no backend is asked."""
    async with visit() as (site, caller):
        page = await caller.ask(lambda client: client.models.list())
        assert [model.id for model in page.data] == [POOL, *sorted(LANES)]
        assert {(model.object, model.owned_by) for model in page.data} == {("model", "system")}
        one = await caller.ask(lambda client: client.models.retrieve(POOL))
        assert one == page.data[0]
        with pytest.raises(openai.NotFoundError) as caught:
            await caller.ask(lambda client: client.models.retrieve("gpt-none"))
        check_openai_refusal(caught.value, 404, "not_found_error", "model_not_found")
        assert site.received == []


async def test_model_of_its_own_name(visit: Visit) -> None:
    """A single lane can be asked for by its name, and only it is asked."""
    async with visit() as (site, caller):
        for _ in range(2):
            assert (await create(caller, model="openai-b")).model == MODEL
        assert site.visits == (0, 2)
        assert site.last.body == site.sent[-1].body.replace(b'"openai-b"', f'"{MODEL}"'.encode())


async def test_base_url_without_version(visit: Visit) -> None:
    """OpenAI §1: a base URL that lacks `/v1` works as well."""
    async with visit() as (site, caller):
        caller.client.base_url = site.origin
        assert (await create(caller)).choices[0].message.content == SAID
        assert site.sent[-1].path == "/chat/completions"
        check_passed_on(site, PATH, JSON)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_wrong_token(visit: Visit, *, streamed: bool) -> None:
    """Governance §1.4: a token that is not on the list ends in the native 401, and nobody is asked."""
    async with visit(api_key="sk-wrong") as (site, caller):
        error = await refused(caller, openai.AuthenticationError, streamed=streamed)
        check_openai_refusal(error, 401, "authentication_error", "invalid_api_key")
        assert error.body["message"] == "Incorrect API key provided."
        with pytest.raises(openai.AuthenticationError):
            await caller.ask(lambda client: client.models.list())
        assert site.received == []


async def test_passthrough(visit: Visit) -> None:
    """Governance §1: the caller's own key goes upstream and the lane's never does; its refusal is the caller's."""
    script = Script(status=401, error="No such key.")
    async with visit([None, script], admission=Admission("passthrough")) as (site, caller):
        for _ in range(2):
            assert (await create(caller)).choices[0].message.content == SAID
            check_passed_on(site, PATH, JSON, credential=TOKEN)
        error = await refused(caller, openai.AuthenticationError)
        assert error.body == fault_of(script)
        assert all(OWN_KEY.encode() not in repr(got).encode() for got in site.received)
        assert site.visits == (2, 1)


async def test_nobody_is_asked_for_a_token(visit: Visit) -> None:
    """Governance §1: without admission any token will do, and the lane's own key goes upstream."""
    async with visit(admission=Admission("none"), api_key=TOKEN) as (site, caller):
        assert (await create(caller)).choices[0].message.content == SAID
        check_passed_on(site, PATH, JSON)
        caller.client.api_key = "sk-somebody-else"
        chunks = await stream(caller)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
        assert site.last.fields[b"authorization"] == f"Bearer {OWN_KEY}".encode()


# What is wrong with a request


async def test_unknown_model(visit: Visit) -> None:
    """OpenAI §10: a name nobody has configured is 404 and named."""
    async with visit() as (site, caller):
        error = await refused(caller, openai.NotFoundError, model="gpt-none")
        check_openai_refusal(error, 404, "not_found_error", "model_not_found")
        assert error.body["message"] == "The model `gpt-none` does not exist or you do not have access to it."
        assert site.received == []


@pytest.mark.parametrize("name", ["", 7, None, ["pool"]])
async def test_model_that_is_no_name(visit: Visit, name: Any) -> None:
    """OpenAI §1: a model that is missing, empty or no text is 400 and the member is named."""
    async with visit() as (site, caller):
        error = await refused(caller, openai.BadRequestError, extra_body={"model": name})
        check_openai_refusal(error, 400, "invalid_request_error", param="model")
        assert site.received == []


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"model":"pool"', b'{"a":' * 200 + b"1" + b"}" * 200])
async def test_bad_body(visit: Visit, body: bytes) -> None:
    """OpenAI §10: what is no JSON object is 400 in neutral words."""
    async with visit() as (site, caller):
        with pytest.raises(openai.BadRequestError) as caught:
            await caller.ask(lambda client: client.post("/chat/completions", cast_to=object, content=body))
        check_openai_refusal(caught.value, 400, "invalid_request_error", param=caught.value.param)
        assert site.received == []


async def test_too_large(visit: Visit) -> None:
    """OpenAI §10: a body beyond the cap is 413, and the next one on the same client is served."""
    async with visit(limits=Limits(request_body_max_bytes=4096)) as (site, caller):
        turns = [{"role": "user", "content": "x" * 5000}]
        error = await refused(caller, openai.APIStatusError, messages=turns)
        check_openai_refusal(error, 413, "invalid_request_error")
        assert (await create(caller)).choices[0].message.content == SAID
        assert len(site.received) == 1


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
async def test_wrong_method(visit: Visit, method: str) -> None:
    """OpenAI §1: another method is 405 and the right one is named."""
    async with visit() as (site, caller):
        with pytest.raises(openai.APIStatusError) as caught:
            await caller.ask(lambda client: getattr(client, method)("/chat/completions", cast_to=object))
        check_openai_refusal(caught.value, 405, "invalid_request_error")
        assert caught.value.response.headers["allow"] == "POST"
        assert site.received == []


async def test_unknown_path(visit: Visit) -> None:
    """OpenAI §1: what is not offered is 404 in this envelope, without a code."""
    async with visit() as (site, caller):
        with pytest.raises(openai.NotFoundError) as caught:
            await caller.ask(lambda client: client.embeddings.create(model=POOL, input="x"))
        check_openai_refusal(caught.value, 404, "not_found_error")
        assert site.received == []


# What backends refuse


def fault_of(script: Script) -> Any:
    """Return the error that a backend answers with this script."""
    return orjson.loads(raw_fault(script))["error"]


def raw_fault(script: Script) -> bytes:
    return b"".join(answer(b"POST", PATH, {}, b"{}", script).frames)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("script", "kind", "visits"),
    [
        (Script(status=400, error="Bad.", error_code="bad_thing"), openai.BadRequestError, (1, 0)),
        (Script(status=404, error="Gone, 100%."), openai.NotFoundError, (1, 0)),
        (Script(status=409, error="Twice."), openai.ConflictError, (1, 0)),
        (Script(status=422, error="Hm.", error_code="odd"), openai.UnprocessableEntityError, (1, 0)),
        (Script(status=429, error="Slow down.", retry_after_s=17), openai.RateLimitError, (1, 1)),
        (Script(status=500, error="Oh."), openai.InternalServerError, (1, 1)),
        (Script(status=503, error="Later.", retry_after_s=5), openai.InternalServerError, (1, 1)),
    ],
    ids=["400", "404", "409", "422", "429", "500", "503"],
)
async def test_refusal_is_relayed(
    visit: Visit, script: Script, kind: type[openai.APIStatusError], visits: tuple[int, int], *, streamed: bool
) -> None:
    """OpenAI §10: an error of a backend comes verbatim, with its id and Retry-After, and is tried elsewhere or not."""
    async with visit(script) as (site, caller):
        error = await refused(caller, kind, streamed=streamed)
        assert error.status_code == script.status
        assert error.response.content == raw_fault(script)
        assert error.body == fault_of(script)
        assert error.request_id == UPSTREAM_ID
        after = None if script.retry_after_s is None else str(script.retry_after_s)
        assert error.response.headers.get("retry-after") == after
        assert site.visits == visits


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fate", [DOWN, Script(refuse=True), Script(garbage=True), Script(reset_at=0)])
async def test_nobody_answers(visit: Visit, fate: Fate, *, streamed: bool) -> None:
    """OpenAI §10: when every lane fails the client gets 503 with Retry-After, in neutral words."""
    async with visit(fate) as (site, caller):
        error = await refused(caller, openai.InternalServerError, streamed=streamed)
        check_openai_refusal(error, 503, "server_error")
        assert error.response.headers["retry-after"] == "1"
        assert site.counts("openai") == [(0, 1), (0, 1)]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [401, 403])
async def test_key_of_the_lane_is_refused(visit: Visit, status: int, *, streamed: bool) -> None:
    """Reliability §8: that a backend refuses the gateway's own key shows as the native 401, without its words."""
    async with visit(Script(status=status, error=f"Key {OWN_KEY} is bad.")) as (site, caller):
        error = await refused(caller, openai.AuthenticationError, streamed=streamed)
        check_openai_refusal(error, 401, "authentication_error", "invalid_api_key")
        assert error.body["message"] == "Incorrect API key provided."
        assert site.visits == (1, 1)


async def test_next_lane_answers(visit: Visit) -> None:
    """A lane that fails before the first byte is made up for by the other one, whole and streamed."""
    async with visit(DOWN, None) as (site, caller):
        assert (await create(caller)).choices[0].message.content == SAID
        chunks = await stream(caller)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
        assert site.visits == (0, 2)


# Time, and streams that break


@pytest.mark.parametrize(
    "script",
    [Script(status=503), Script(status=429, retry_after_s=1), Script(status=500)],
    ids=["503", "429", "500"],
)
async def test_client_tries_again(visit: Visit, script: Script) -> None:
    """OpenAI §11: the client repeats what failed, after the time it was told, and each try is seen by a backend."""
    async with visit([script, None], max_retries=1) as (site, caller):
        assert (await create(caller)).choices[0].message.content == SAID
        assert sorted(site.visits) == [1, 2]
        assert [sent.fields["x-stainless-retry-count"] for sent in site.sent] == ["0", "1"]
        check_passed_on(site, PATH, JSON)
        assert {got.body for got in site.received} == {site.last.body}


async def test_client_gives_up(visit: Visit) -> None:
    """OpenAI §11: what is refused at each try raises the last refusal, and a fault of the client is never repeated."""
    async with visit(Script(status=503), max_retries=1) as (site, caller):
        await refused(caller, openai.InternalServerError)
        assert site.visits == (2, 2)
    async with visit(Script(status=400), max_retries=2) as (site, caller):
        await refused(caller, openai.BadRequestError)
        assert site.visits == (1, 0)


@pytest.mark.parametrize("script", [Script(delay_head_ms=60_000), Script(stall_at=20)])
async def test_client_that_waits_too_long(visit: Visit, script: Script) -> None:
    """The client's own time-out is a time-out to it, and the backend is let go."""
    async with visit(script, timeout=0.2) as (site, caller):
        with pytest.raises(openai.APITimeoutError):
            await create(caller)
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert sum(site.visits) == 1
        assert site.counts("openai") == [(0, 0), (0, 0)]


async def test_stream_that_stalls(visit: Visit) -> None:
    """A stream that falls silent gives what it has, then the client's time-out; the backend is let go."""
    async with visit(Script(stall_at=700), timeout=0.2) as (site, caller):
        chunks: list[Any] = []
        with pytest.raises((openai.APITimeoutError, httpx2.ReadTimeout)):
            await stream(caller, chunks)
        assert chunks[0].choices[0].delta.role == "assistant"
        await until(lambda: site.front.in_flight == [0] * len(LANES))


@pytest.mark.parametrize("script", [Script(cut_at=800), Script(reset_at=800), Script(cut_at=800, split=50)])
async def test_stream_that_is_cut(visit: Visit, script: Script) -> None:
    """Reliability §9: a stream that breaks off is an error to the client, behind the chunks that came before."""
    async with visit(script) as (site, caller):
        chunks: list[Any] = []
        with pytest.raises(BROKEN):
            await stream(caller, chunks)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert SAID.startswith(text)
        assert all(chunk.choices[0].finish_reason is None for chunk in chunks)
        assert site.visits == (1, 0)
        assert site.counts("openai") == [(0, 1), (0, 0)]


async def test_whole_answer_that_is_cut(visit: Visit) -> None:
    """Reliability §9: a document too large to be held never parses as an answer when it breaks off."""
    async with visit(Script(body_bytes=100_000, cut_at=80_000)) as (site, caller):
        with pytest.raises(openai.APIConnectionError):
            await create(caller)
        assert site.visits == (1, 0)


async def test_error_inside_a_stream(visit: Visit) -> None:
    """OpenAI §10: an error that a backend writes into its stream is raised in the backend's words."""
    async with visit(Script(fail_after=3, status=429, error="Enough.")) as (_, caller):
        chunks: list[Any] = []
        with pytest.raises(openai.APIError, match=r"^Enough\.$") as caught:
            await stream(caller, chunks)
        assert (caught.value.type, caught.value.code) == ("rate_limit_error", "rate_limit_exceeded")
        assert len(chunks) == 3


async def test_client_leaves_a_stream(serve: Serve, parser_kind: str) -> None:
    """A stream that the client closes is closed at the backend too, and blames nobody."""
    async with Visit(serve, parser_kind, "async", openai_caller)(Script(stall_at=700)) as (site, caller):
        chunks = await caller.client.chat.completions.create(model=POOL, messages=TURNS, stream=True)
        assert (await anext(chunks)).choices[0].delta.role == "assistant"
        assert sum(site.front.in_flight) == 1
        await chunks.close()
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert site.counts("openai") == [(0, 0), (0, 0)]


# Ids


async def test_ids_of_answers(visit: Visit) -> None:
    """Reliability §8: an answer has the backend's id, a refusal of our own a new one each time."""
    async with visit() as (_, caller):
        assert (await create(caller))._request_id == UPSTREAM_ID
        raw = await caller.ask(
            lambda client: client.chat.completions.with_raw_response.create(model=POOL, messages=TURNS, stream=True)
        )
        assert raw.headers["x-request-id"] == UPSTREAM_ID
        assert raw.headers["content-type"] == "text/event-stream; charset=utf-8"
        ids = {(await refused(caller, openai.NotFoundError, model="gpt-none")).request_id for _ in range(8)}
        assert len(ids) == 8
