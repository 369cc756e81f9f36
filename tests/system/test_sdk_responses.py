"""OpenAI's client, blocking and not, against the gateway over two mock backends: the Responses API.

Every answer is compared with what the backend said, and every request with what the client wrote.
"""

from typing import Any

import httpx2
import openai
import orjson
import pytest
from openai.types.responses import Response

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.content import CREATED_S, SIGNATURE, mint
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

PATH = b"/v1/responses"
JSON = b"application/json"
EVENTS = b"text/event-stream"
QUESTION = "When is high water?"
SAID = f"You said: {QUESTION}"
TOOL: Any = {
    "type": "function",
    "name": "tides",
    "description": "Tide tables",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    "strict": False,
}
ARGS = '{"place":"Brest","hours":24}'
THOUGHT = "The user wants an answer, so I give one."
UPSTREAM_ID = "req_5eed5eed5eed5eed5eed5eed5eed5ee1"  # of every answer of the mock backend
BROKEN = (openai.APIError, httpx2.RemoteProtocolError)


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, openai_caller)


async def create(caller: Caller, **more: Any) -> Response:
    """Ask for a whole answer."""
    asked = {"model": POOL, "input": QUESTION, **more}
    got = await caller.ask(lambda client: client.responses.create(**asked))
    assert isinstance(got, Response)
    return got


async def stream(caller: Caller, events: list[Any] | None = None, **more: Any) -> list[Any]:
    """Ask for a streamed answer; return its events."""
    asked = {"model": POOL, "input": QUESTION, "stream": True, **more}
    return await caller.pieces(lambda client: client.responses.create(**asked), events)


async def refused(caller: Caller, kind: type[openai.APIStatusError], *, streamed: bool = False, **more: Any) -> Any:
    """Ask in vain; return the exception, which is of this very class."""
    with pytest.raises(openai.APIStatusError) as caught:
        await (stream if streamed else create)(caller, **more)
    assert type(caught.value) is kind
    return caught.value


def text_of(events: list[Any]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


# Answers


async def test_text_and_usage_of_a_whole_answer(visit: Visit) -> None:
    """Responses case 30: the answer is the backend's in every member, the request differs in model and key only."""
    async with visit(Script(usage_in=31, usage_out=18, cached=7, cache_write=3)) as (site, caller):
        got = await create(caller, instructions="Be brief.", temperature=0.7, max_output_tokens=99, metadata={"a": "b"})
        assert (got.id, got.object, got.created_at) == (mint("resp_", 53, filler="5eed"), "response", CREATED_S)
        assert (got.model, got.status, got.error, got.incomplete_details) == (MODEL, "completed", None, None)
        assert (got.instructions, got.temperature, got.max_output_tokens) == ("Be brief.", 0.7, 99)
        assert (got.parallel_tool_calls, got.tool_choice, got.tools, got.metadata) == (True, "auto", [], {"a": "b"})
        (item,) = got.output
        assert item.type == "message"
        assert (item.id, item.role, item.status) == (mint("msg_", 52, filler="5eed"), "assistant", "completed")
        (part,) = item.content
        assert part.type == "output_text"
        assert (part.text, part.annotations, got.output_text) == (SAID, [], SAID)
        usage = got.usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (31, 18, 49)
        assert (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens) == (7, 3)
        assert usage.output_tokens_details.reasoning_tokens == 0
        assert check_passed_on(site, PATH, JSON) == {
            "input": QUESTION,
            "instructions": "Be brief.",
            "max_output_tokens": 99,
            "metadata": {"a": "b"},
            "model": MODEL,
            "temperature": 0.7,
        }


async def test_text_and_usage_of_a_stream(visit: Visit) -> None:
    """Responses cases 44 to 49: the events come in order and numbered, and the last one repeats what was streamed."""
    async with visit(Script(usage_in=31, usage_out=18, delta_chars=9)) as (site, caller):
        events = await stream(caller)
        pieces = [SAID[at : at + 9] for at in range(0, len(SAID), 9)]
        assert [event.type.removeprefix("response.") for event in events] == [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            *["output_text.delta"] * len(pieces),
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        deltas = events[4 : 4 + len(pieces)]
        assert [event.delta for event in deltas] == pieces
        assert {(event.item_id, event.output_index, event.content_index) for event in deltas} == {
            (mint("msg_", 52, filler="5eed"), 0, 0)
        }
        first, last = events[0].response, events[-1].response
        assert (first.id, first.created_at, first.model) == (last.id, last.created_at, MODEL)
        assert last.output == [events[-2].item]
        assert last.output_text == SAID
        assert (last.usage.input_tokens, last.usage.output_tokens, last.usage.total_tokens) == (31, 18, 49)
        assert check_passed_on(site, PATH, EVENTS) == {"input": QUESTION, "model": MODEL, "stream": True}


@pytest.mark.parametrize(
    ("stop", "reason"), [(Stop.LENGTH, "max_output_tokens"), (Stop.SAFETY, "content_filter"), (Stop.END, None)]
)
async def test_how_answers_end(visit: Visit, stop: Stop, reason: str | None) -> None:
    """Responses case 38: what is incomplete says why, whole and streamed."""
    status = "completed" if reason is None else "incomplete"
    async with visit(Script(stop=stop, text="Tide")) as (_, caller):
        last = (await stream(caller))[-1]
        assert last.type == f"response.{status}"
        for got in (await create(caller), last.response):
            assert (got.status, got.output_text) == (status, "Tide")
            assert (got.incomplete_details and got.incomplete_details.reason) == reason


async def test_refusal_by_the_model(visit: Visit) -> None:
    """Responses case 39: a refusal stands in a part of its own, whole and streamed."""
    async with visit(Script(stop=Stop.REFUSAL, text="I will not.")) as (_, caller):
        (item,) = (await create(caller)).output
        assert item.type == "message"
        assert [(part.type, getattr(part, "refusal", None)) for part in item.content] == [("refusal", "I will not.")]
        events = await stream(caller)
        pieces = [event.delta for event in events if event.type == "response.refusal.delta"]
        assert "".join(pieces) == "I will not."


async def test_tool_call_and_its_result(visit: Visit) -> None:
    """Responses case 9: two calls come with ids and arguments to the letter, and go back with their outputs."""
    async with visit(Script(tools=("tides", "moon"), args=ARGS), Script(text="At 06:12.")) as (site, caller):
        first = await create(caller, tools=[TOOL], tool_choice="required", parallel_tool_calls=True)
        calls = [item for item in first.output if item.type == "function_call"]
        assert [(call.name, call.arguments, call.status) for call in calls] == [
            ("tides", ARGS, "completed"),
            ("moon", ARGS, "completed"),
        ]
        assert [call.call_id for call in calls] == [mint("call_", 29, number) for number in (0, 1)]
        assert [tool.name for tool in first.tools if tool.type == "function"] == ["tides"]
        document = check_passed_on(site, PATH, JSON)
        assert (document["tools"], document["tool_choice"]) == ([TOOL], "required")
        results = [{"type": "function_call_output", "call_id": call.call_id, "output": "06:12"} for call in calls]
        turns = [
            {"role": "user", "content": QUESTION},
            *[call.model_dump(exclude_none=True) for call in calls],
            *results,
        ]
        assert (await create(caller, input=turns, tools=[TOOL])).output_text == "At 06:12."
        assert check_passed_on(site, PATH, JSON)["input"] == turns
        assert site.visits == (1, 1)


async def test_tool_calls_of_a_stream(visit: Visit) -> None:
    """Responses cases 47 and 48: each call is added without arguments, which come in pieces and then whole."""
    async with visit(Script(tools=("tides", "moon"), args=ARGS, delta_chars=10)) as (_, caller):
        events = await stream(caller, tools=[TOOL])
        added = [event for event in events if event.type == "response.output_item.added"]
        assert [(event.output_index, event.item.name, event.item.arguments) for event in added] == [
            (0, "tides", ""),
            (1, "moon", ""),
        ]
        deltas = [event for event in events if event.type == "response.function_call_arguments.delta"]
        for event in added:
            pieces = [delta.delta for delta in deltas if delta.item_id == event.item.id]
            assert pieces == [ARGS[:10], ARGS[10:20], ARGS[20:]]
        whole = [event for event in events if event.type == "response.function_call_arguments.done"]
        assert [event.arguments for event in whole] == [ARGS, ARGS]


@pytest.mark.parametrize(
    "script",
    [
        Script(delta_chars=5, thinking=True),
        Script(tools=("tides", "moon"), args=ARGS, delta_chars=5),
        Script(text="Looking.", tools=("tides",), split=33),
    ],
    ids=["reasoning", "tools", "text and tool"],
)
async def test_stream_helper(visit: Visit, script: Script) -> None:
    """Responses case 46: the helper that puts events together gets what the whole answer says."""
    async with visit(script) as (_, caller):
        whole = await create(caller, tools=[TOOL])
        if caller.is_blocking:
            final = await caller.ask(read_whole)
        else:
            async with caller.client.responses.stream(model=POOL, input=QUESTION, tools=[TOOL]) as events:
                final = await events.get_final_response()
        said = [[item.model_dump(exclude_none=True) for item in got.output] for got in (final, whole)]
        assert said[0] == said[1]
        assert (final.id, final.status, final.usage) == (whole.id, "completed", whole.usage)


def read_whole(client: openai.OpenAI) -> Any:
    with client.responses.stream(model=POOL, input=QUESTION, tools=[TOOL]) as events:
        return events.get_final_response()


async def test_pictures_travel_untouched(visit: Visit) -> None:
    """Responses case 13, same dialect: a data URL, a plain URL and the id of a file come as they were sent."""
    parts = [
        {"type": "input_text", "text": QUESTION},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
        {"type": "input_image", "image_url": "https://pictures.example/tide.png"},
        {"type": "input_image", "file_id": "file-1"},
    ]
    turns = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    async with visit() as (site, caller):
        assert (await create(caller, input=turns)).output_text == SAID
        assert check_passed_on(site, PATH, JSON)["input"] == turns


async def test_reasoning(visit: Visit) -> None:
    """Responses cases 7 and 24, same dialect: effort goes, thoughts and signature come, and go back with the turn."""
    wanted = {"effort": "high", "summary": "auto"}
    async with visit(Script(thinking=True, usage_out=50)) as (site, caller):
        got = await create(caller, reasoning=wanted, include=["reasoning.encrypted_content"])
        thought = got.output[0]
        assert thought.type == "reasoning"
        assert [part.text for part in thought.content or []] == [THOUGHT]
        assert (thought.id, thought.encrypted_content) == (mint("rs_", 51, filler="5eed"), SIGNATURE)
        assert got.usage is not None
        assert got.usage.output_tokens_details.reasoning_tokens == 10
        document = check_passed_on(site, PATH, JSON)
        assert (document["reasoning"], document["include"]) == (wanted, ["reasoning.encrypted_content"])
        events = await stream(caller, reasoning=wanted)
        pieces = [event.delta for event in events if event.type == "response.reasoning_text.delta"]
        assert "".join(pieces) == THOUGHT
        assert text_of(events) == SAID
        turns = [*[item.to_dict() for item in got.output], {"role": "user", "content": QUESTION}]
        assert (await create(caller, input=turns)).output_text == SAID
        assert check_passed_on(site, PATH, JSON)["input"] == turns


async def test_members_nobody_knows_travel(visit: Visit) -> None:
    """Responses case 8: whatever else a body says reaches a backend of the same dialect, state included."""
    more = {
        "previous_response_id": "resp_1",
        "store": True,
        "truncation": "auto",
        "text": {"format": {"type": "text"}, "verbosity": "low"},
    }
    unknown = {"x_new": {"model": "kept", "n": [1.0, 1e2]}}
    async with visit() as (site, caller):
        got = await create(caller, **more, extra_body=unknown)
        assert got.previous_response_id == "resp_1"
        document = check_passed_on(site, PATH, JSON)
        assert document == {"model": MODEL, "input": QUESTION, **more, **unknown}


async def test_sixty_four_streams_at_once(serve: Serve, parser_kind: str) -> None:
    """Responses case 44: each of many streams at once carries its own answer and its own numbers."""
    script = Script(deltas=10, delta_chars=11, delay_frame_ms=1)
    hold = Gate()

    async def read(caller: Caller, number: int) -> tuple[str, list[Any]]:
        text = f"[{number:04}] "
        return text, await stream(caller, input=text)

    async with Visit(serve, parser_kind, "async", openai_caller)(script, hold=hold) as (site, caller):
        for text, events in await all_at_once(hold, [read(caller, number) for number in range(64)]):
            assert text_of(events) == (f"You said: {text}" * 7)[:110]
            assert [event.sequence_number for event in events] == list(range(len(events)))
        assert site.visits == (32, 32)
        assert site.counts("responses") == [(32, 0), (32, 0)]


# Who may ask, and for what


async def test_base_url_without_version(visit: Visit) -> None:
    """Responses case 1: a base URL that lacks `/v1` works as well."""
    async with visit() as (site, caller):
        caller.client.base_url = site.origin
        assert (await create(caller)).output_text == SAID
        assert site.sent[-1].path == "/responses"
        check_passed_on(site, PATH, JSON)


async def test_models_are_those_of_chat(visit: Visit) -> None:
    """Responses §15: the list of models is the same whatever the client goes on to ask; a lane has its own name."""
    async with visit() as (site, caller):
        page = await caller.ask(lambda client: client.models.list())
        assert [model.id for model in page.data] == [POOL, *sorted(LANES)]
        assert (await create(caller, model="responses-b")).model == MODEL
        assert site.visits == (0, 1)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_wrong_token(visit: Visit, *, streamed: bool) -> None:
    """Governance §1.4: a token that is not on the list ends in the native 401, and nobody is asked."""
    async with visit(api_key="sk-wrong") as (site, caller):
        error = await refused(caller, openai.AuthenticationError, streamed=streamed)
        check_openai_refusal(error, 401, "authentication_error", "invalid_api_key")
        assert error.body["message"] == "Incorrect API key provided."
        assert site.received == []


async def test_passthrough(visit: Visit) -> None:
    """Governance §1: the caller's own key goes upstream and the lane's never does; its refusal is the caller's."""
    script = Script(status=401, error="No such key.")
    async with visit([None, script], admission=Admission("passthrough")) as (site, caller):
        for _ in range(2):
            assert (await create(caller)).output_text == SAID
            check_passed_on(site, PATH, JSON, credential=TOKEN)
        error = await refused(caller, openai.AuthenticationError)
        assert error.response.content == raw_fault(script)
        assert all(OWN_KEY.encode() not in repr(got).encode() for got in site.received)
        assert site.visits == (2, 1)


async def test_nobody_is_asked_for_a_token(visit: Visit) -> None:
    """Governance §1: without admission any token will do, and the lane's own key goes upstream."""
    async with visit(admission=Admission("none"), api_key="sk-somebody-else") as (site, caller):
        assert (await create(caller)).output_text == SAID
        assert text_of(await stream(caller)) == SAID
        keys = [got.fields[b"authorization"] for got in site.received]
        assert keys == [f"Bearer {OWN_KEY}".encode()] * 2


# What is wrong with a request


async def test_unknown_model(visit: Visit) -> None:
    """Responses §12: a name nobody has configured is 404 and named."""
    async with visit() as (site, caller):
        error = await refused(caller, openai.NotFoundError, model="gpt-none")
        check_openai_refusal(error, 404, "not_found_error", "model_not_found")
        assert error.body["message"] == "The model `gpt-none` does not exist or you do not have access to it."
        assert site.received == []


@pytest.mark.parametrize("name", ["", 7, None, ["pool"]])
async def test_model_that_is_no_name(visit: Visit, name: Any) -> None:
    """Responses §1: a model that is missing, empty or no text is 400 and the member is named."""
    async with visit() as (site, caller):
        error = await refused(caller, openai.BadRequestError, extra_body={"model": name})
        check_openai_refusal(error, 400, "invalid_request_error", param="model")
        assert site.received == []


@pytest.mark.parametrize(
    ("body", "param"), [(b"{", None), (b"{}", "model"), (b"[]", None), (b'{"a":' * 200 + b"1" + b"}" * 200, None)]
)
async def test_bad_body(visit: Visit, body: bytes, param: str | None) -> None:
    """Responses case 3: what is no JSON object, and one without anything in it, is 400 in neutral words."""
    async with visit() as (site, caller):
        with pytest.raises(openai.BadRequestError) as caught:
            await caller.ask(lambda client: client.post("/responses", cast_to=object, content=body))
        check_openai_refusal(caught.value, 400, "invalid_request_error", param=param)
        assert site.received == []


async def test_too_large(visit: Visit) -> None:
    """Responses §12: a body beyond the cap is 413, and the next one on the same client is served."""
    async with visit(limits=Limits(request_body_max_bytes=4096)) as (site, caller):
        error = await refused(caller, openai.APIStatusError, input="x" * 5000)
        check_openai_refusal(error, 413, "invalid_request_error")
        assert (await create(caller)).output_text == SAID
        assert len(site.received) == 1


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
async def test_wrong_method(visit: Visit, method: str) -> None:
    """Responses case 1: another method is 405 and the right one is named."""
    async with visit() as (site, caller):
        with pytest.raises(openai.APIStatusError) as caught:
            await caller.ask(lambda client: getattr(client, method)("/responses", cast_to=object))
        check_openai_refusal(caught.value, 405, "invalid_request_error")
        assert caught.value.response.headers["allow"] == "POST"
        assert site.received == []


@pytest.mark.parametrize(
    "question",
    [
        lambda client: client.responses.retrieve("resp_1"),
        lambda client: client.responses.delete("resp_1"),
        lambda client: client.responses.cancel("resp_1"),
        lambda client: client.responses.input_items.list("resp_1"),
    ],
    ids=["retrieve", "delete", "cancel", "items"],
)
async def test_answers_are_not_kept(visit: Visit, question: Any) -> None:
    """Responses case 1: nothing can be asked about an answer of the past: 404 in this envelope, without a code."""
    async with visit() as (site, caller):
        with pytest.raises(openai.NotFoundError) as caught:
            await caller.ask(question)
        check_openai_refusal(caught.value, 404, "not_found_error")
        assert site.received == []


# What backends refuse


def raw_fault(script: Script) -> bytes:
    """Return the error that a backend answers with this script."""
    return b"".join(answer(b"POST", PATH, {}, b"{}", script).frames)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("script", "kind", "visits"),
    [
        (Script(status=400, error="Bad.", error_code="bad_thing"), openai.BadRequestError, (1, 0)),
        (Script(status=404, error="Gone, 100%."), openai.NotFoundError, (1, 0)),
        (Script(status=422, error="Hm.", error_code="odd"), openai.UnprocessableEntityError, (1, 0)),
        (Script(status=429, error="Slow down.", retry_after_s=17), openai.RateLimitError, (1, 1)),
        (Script(status=503, error="Later.", retry_after_s=5), openai.InternalServerError, (1, 1)),
    ],
    ids=["400", "404", "422", "429", "503"],
)
async def test_refusal_is_relayed(
    visit: Visit, script: Script, kind: type[openai.APIStatusError], visits: tuple[int, int], *, streamed: bool
) -> None:
    """Responses §12: an error of a backend comes verbatim, with id and Retry-After, and is tried elsewhere or not."""
    async with visit(script) as (site, caller):
        error = await refused(caller, kind, streamed=streamed)
        assert error.status_code == script.status
        assert error.response.content == raw_fault(script)
        assert error.body == orjson.loads(raw_fault(script))["error"]
        assert error.request_id == UPSTREAM_ID
        after = None if script.retry_after_s is None else str(script.retry_after_s)
        assert error.response.headers.get("retry-after") == after
        assert site.visits == visits


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fate", [DOWN, Script(refuse=True), Script(garbage=True), Script(reset_at=0)])
async def test_nobody_answers(visit: Visit, fate: Fate, *, streamed: bool) -> None:
    """Responses case 64: when every lane fails the client gets 503 `server_error` with Retry-After."""
    async with visit(fate) as (site, caller):
        error = await refused(caller, openai.InternalServerError, streamed=streamed)
        check_openai_refusal(error, 503, "server_error")
        assert error.response.headers["retry-after"] == "1"
        assert site.counts("responses") == [(0, 1), (0, 1)]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [401, 403])
async def test_key_of_the_lane_is_refused(visit: Visit, status: int, *, streamed: bool) -> None:
    """Reliability §8: that a backend refuses the gateway's own key shows as the native 401, without its words."""
    async with visit(Script(status=status, error=f"Key {OWN_KEY} is bad.")) as (site, caller):
        error = await refused(caller, openai.AuthenticationError, streamed=streamed)
        check_openai_refusal(error, 401, "authentication_error", "invalid_api_key")
        assert error.body["message"] == "Incorrect API key provided."
        assert site.visits == (1, 1)


# Time, and streams that break


@pytest.mark.parametrize("script", [Script(status=503), Script(status=429, retry_after_s=1)], ids=["503", "429"])
async def test_client_tries_again(visit: Visit, script: Script) -> None:
    """Responses §13: the client repeats what failed, after the time it was told, and a backend sees each try."""
    async with visit([script, None], max_retries=1) as (site, caller):
        assert (await create(caller)).output_text == SAID
        assert sorted(site.visits) == [1, 2]
        assert [sent.fields["x-stainless-retry-count"] for sent in site.sent] == ["0", "1"]
        check_passed_on(site, PATH, JSON)
        assert {got.body for got in site.received} == {site.last.body}


@pytest.mark.parametrize("script", [Script(delay_head_ms=60_000), Script(stall_at=20)])
async def test_client_that_waits_too_long(visit: Visit, script: Script) -> None:
    """The client's own time-out is a time-out to it, and the backend is let go."""
    async with visit(script, timeout=0.2) as (site, caller):
        with pytest.raises(openai.APITimeoutError):
            await create(caller)
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert sum(site.visits) == 1
        assert site.counts("responses") == [(0, 0), (0, 0)]


@pytest.mark.parametrize("script", [Script(cut_at=4000), Script(reset_at=4000), Script(cut_at=4000, split=99)])
async def test_stream_that_is_cut(visit: Visit, script: Script) -> None:
    """Reliability §9: a stream that breaks off fails to the client, behind the events that came before."""
    async with visit(script) as (site, caller):
        events: list[Any] = []
        with pytest.raises(BROKEN):
            await stream(caller, events)
        assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
        assert SAID.startswith(text_of(events))
        assert "response.completed" not in [event.type for event in events]
        assert site.visits == (1, 0)
        assert site.counts("responses") == [(0, 1), (0, 0)]


async def test_failure_inside_a_stream(visit: Visit) -> None:
    """Responses §12: an answer that fails half-way ends with its own event, and its words are the backend's."""
    async with visit(Script(fail_after=5, status=429, error="Enough.")) as (_, caller):
        events = await stream(caller)
        assert [event.sequence_number for event in events] == list(range(6))
        assert events[-1].type == "response.failed"
        failed = events[-1].response
        assert (failed.status, failed.error.code, failed.error.message) == ("failed", "rate_limit_exceeded", "Enough.")
        assert failed.id == events[0].response.id


async def test_ids_of_answers(visit: Visit) -> None:
    """Reliability §8: an answer has the backend's id, a refusal of our own a new one each time."""
    async with visit() as (_, caller):
        assert (await create(caller))._request_id == UPSTREAM_ID
        raw = await caller.ask(
            lambda client: client.responses.with_raw_response.create(model=POOL, input=QUESTION, stream=True)
        )
        assert raw.headers["x-request-id"] == UPSTREAM_ID
        assert raw.headers["content-type"] == "text/event-stream; charset=utf-8"
        ids = {(await refused(caller, openai.NotFoundError, model="gpt-none")).request_id for _ in range(8)}
        assert len(ids) == 8
