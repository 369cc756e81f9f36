"""Cohere's client, blocking and not, against the gateway over two mock backends.

Every answer is compared with what the backend said, and every request with what the client wrote.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import cohere
import httpx
import orjson
import pytest
from cohere.core.api_error import ApiError
from cohere.v2 import V2ChatResponse

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.content import mint
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script, Stop
from busbar_fast.wire.limits import Limits
from tests.system.gateways import DOWN, Fate
from tests.system.sdk import (
    LANES,
    LIMIT_S,
    MODEL,
    OWN_KEY,
    PNG,
    POOL,
    TOKEN,
    Caller,
    Stand,
    Visit,
    all_at_once,
    check_neutral,
    check_passed_on,
)
from tests.system.serving import Gate, Serve, until

PATH = b"/v2/chat"
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
    },
}
ARGS = '{"place":"Brest","hours":24}'
THOUGHT = "The user wants an answer, so I give one."
ANSWER_ID = "5eed0000-5eed-4000-8000-00000000c04e"  # of every answer of the mock backend


@asynccontextmanager
async def cohere_caller(site: Stand, kind: str, **options: Any) -> AsyncIterator[Caller]:
    """Open Cohere's client; it tries nothing twice unless told to."""
    chosen = {"api_key": TOKEN, "base_url": site.origin, "max_retries": 0, "timeout": LIMIT_S, **options}
    if kind == "sync":
        with httpx.Client(event_hooks={"request": [site.note]}) as http:
            yield Caller(cohere.ClientV2(httpx_client=http, **chosen), kind)
    else:
        async with httpx.AsyncClient(event_hooks={"request": [site.note_soon]}) as async_http:
            yield Caller(cohere.AsyncClientV2(httpx_client=async_http, **chosen), kind)


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, cohere_caller)


async def chat(caller: Caller, **more: Any) -> V2ChatResponse:
    """Ask for a whole answer."""
    asked = {"model": POOL, "messages": TURNS, **more}
    got = await caller.ask(lambda client: client.chat(**asked))
    assert isinstance(got, V2ChatResponse)
    return got


async def stream(caller: Caller, events: list[Any] | None = None, **more: Any) -> list[Any]:
    """Ask for a streamed answer; return its events."""
    asked = {"model": POOL, "messages": TURNS, **more}
    return await caller.pieces(lambda client: client.chat_stream(**asked), events)


async def request(caller: Caller, path: str, method: str = "POST", **more: Any) -> httpx.Response:
    """Ask for something that the client has no method for, in its own words; return the bare answer."""
    http = caller.client._client_wrapper.httpx_client
    got = await caller.ask(lambda _client: http.request(path, method=method, **more))
    assert isinstance(got, httpx.Response)
    return got


async def refused(caller: Caller, kind: type[ApiError], *, streamed: bool = False, **more: Any) -> ApiError:
    """Ask in vain; return the exception, which is of this very class."""
    with pytest.raises(ApiError) as caught:
        await (stream if streamed else chat)(caller, **more)
    assert type(caught.value) is kind
    return caught.value


def check_own(error: ApiError, status: int, message: str) -> None:
    """A refusal is the gateway's own: one member, which holds a neutral text."""
    assert (error.status_code, error.body) == (status, {"message": message})
    assert (error.headers or {})["content-type"] == "application/json"
    check_neutral(message)


def text_of(got: V2ChatResponse) -> str:
    return "".join(block.text for block in got.message.content or [] if block.type == "text")


def streamed_text(events: list[Any], member: str = "text") -> str:
    contents = [event.delta.message.content for event in events if event.type == "content-delta"]
    return "".join(getattr(content, member, None) or "" for content in contents)


# Answers


async def test_text_and_usage_of_a_whole_answer(visit: Visit) -> None:
    """Cohere cases 1 and 3: the answer is the backend's in every member, the request differs in model and key only."""
    async with visit(Script(usage_in=31, usage_out=18, cached=7)) as (site, caller):
        got = await chat(caller, temperature=0.7, max_tokens=99, k=5, p=0.5, seed=7, safety_mode="OFF")
        assert (got.id, got.finish_reason) == (ANSWER_ID, "COMPLETE")
        assert (got.message.role, got.message.tool_calls, got.message.tool_plan) == ("assistant", None, None)
        assert [(block.type, getattr(block, "text", None)) for block in got.message.content or []] == [("text", SAID)]
        assert got.usage is not None
        assert got.usage.tokens is not None
        assert got.usage.billed_units is not None
        assert (got.usage.tokens.input_tokens, got.usage.tokens.output_tokens) == (31, 18)
        assert (got.usage.billed_units.input_tokens, got.usage.billed_units.output_tokens) == (31, 18)
        assert got.usage.cached_tokens == 7
        assert check_passed_on(site, PATH, JSON) == {
            "k": 5,
            "max_tokens": 99,
            "messages": TURNS,
            "model": MODEL,
            "p": 0.5,
            "safety_mode": "OFF",
            "seed": 7,
            "stream": False,
            "temperature": 0.7,
        }


async def test_text_and_usage_of_a_stream(visit: Visit) -> None:
    """Cohere §8: start, one block in pieces, its end, and the end of the message with reason and usage."""
    async with visit(Script(usage_in=31, usage_out=18, delta_chars=9, split=13)) as (site, caller):
        events = await stream(caller)
        pieces = [SAID[at : at + 9] for at in range(0, len(SAID), 9)]
        assert [event.type for event in events] == [
            "message-start",
            "content-start",
            *["content-delta"] * len(pieces),
            "content-end",
            "message-end",
        ]
        assert (events[0].id, events[0].delta.message.role) == (ANSWER_ID, "assistant")
        assert [event.delta.message.content.text for event in events[2:-2]] == pieces
        assert {event.index for event in events[1:-1]} == {0}
        end = events[-1].delta
        assert (end.finish_reason, end.usage.tokens.input_tokens, end.usage.tokens.output_tokens) == (
            "COMPLETE",
            31,
            18,
        )
        assert check_passed_on(site, PATH, EVENTS) == {"messages": TURNS, "model": MODEL, "stream": True}


@pytest.mark.parametrize(
    ("stop", "word"),
    [(Stop.LENGTH, "MAX_TOKENS"), (Stop.SEQUENCE, "STOP_SEQUENCE"), (Stop.SAFETY, "ERROR"), (Stop.END, "COMPLETE")],
)
async def test_finish_reasons(visit: Visit, stop: Stop, word: str) -> None:
    """Cohere §6: the backend's word reaches the client, whole and streamed."""
    async with visit(Script(stop=stop, text="Tide")) as (_, caller):
        assert (await chat(caller)).finish_reason == word
        assert (await stream(caller))[-1].delta.finish_reason == word


async def test_tool_call_and_its_result(visit: Visit) -> None:
    """Cohere case 38: a plan and two calls come to the letter, and are echoed whole with their results."""
    script = Script(text="I will look.", tools=("tides", "moon"), args=ARGS)
    async with visit(script, Script(text="At 06:12.")) as (site, caller):
        first = await chat(caller, tools=[TOOL], tool_choice="REQUIRED", strict_tools=True)
        assert (first.finish_reason, first.message.tool_plan) == ("TOOL_CALL", "I will look.")
        assert first.message.content is None
        calls = first.message.tool_calls or []
        functions = [(call.type, call.function and (call.function.name, call.function.arguments)) for call in calls]
        assert functions == [("function", ("tides", ARGS)), ("function", ("moon", ARGS))]
        assert [call.id for call in calls] == [mint("tides_", 18, 0), mint("moon_", 17, 1)]
        document = check_passed_on(site, PATH, JSON)
        assert (document["tools"], document["tool_choice"], document["strict_tools"]) == ([TOOL], "REQUIRED", True)
        found = [{"type": "document", "document": {"data": {"at": "06:12"}}}]
        results = [{"role": "tool", "tool_call_id": call.id, "content": found} for call in calls]
        said = first.message.model_dump(exclude_none=True)
        turns = [*TURNS, said, *results]
        assert text_of(await chat(caller, messages=turns, tools=[TOOL])) == "At 06:12."
        received = check_passed_on(site, PATH, JSON)["messages"]
        assert received == turns
        assert received[1]["tool_plan"] == "I will look."
        assert site.visits == (1, 1)


async def test_tool_calls_of_a_stream(visit: Visit) -> None:
    """Cohere §8: the plan comes first, then each call under its own number, its arguments in pieces."""
    script = Script(text="I will look.", tools=("tides", "moon"), args=ARGS, delta_chars=10)
    async with visit(script) as (_, caller):
        events = await stream(caller, tools=[TOOL])
        plan = [event.delta.message.tool_plan for event in events if event.type == "tool-plan-delta"]
        assert plan == ["I will loo", "k."]
        opening = [event for event in events if event.type == "tool-call-start"]
        calls = [(event.index, event.delta.message.tool_calls) for event in opening]
        assert [(index, call.function.name, call.function.arguments) for index, call in calls] == [
            (0, "tides", ""),
            (1, "moon", ""),
        ]
        deltas = [event for event in events if event.type == "tool-call-delta"]
        for number in (0, 1):
            pieces = [event.delta.message.tool_calls.function.arguments for event in deltas if event.index == number]
            assert pieces == [ARGS[:10], ARGS[10:20], ARGS[20:]]
        assert events[-1].delta.finish_reason == "TOOL_CALL"


async def test_pictures_and_documents_travel_untouched(visit: Visit) -> None:
    """Cohere case 10, same dialect: blocks keep their order and their details, documents come along."""
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/tide.png"}},
    ]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    documents = ["plain", {"id": "d1", "data": {"title": "Tables", "text": "06:12"}}]
    async with visit() as (site, caller):
        got = await chat(caller, messages=turns, documents=documents, citation_options={"mode": "FAST"})
        assert text_of(got) == SAID
        document = check_passed_on(site, PATH, JSON)
        assert document["messages"] == turns
        assert (document["documents"], document["citation_options"]) == (documents, {"mode": "FAST"})


async def test_reasoning(visit: Visit) -> None:
    """Cohere case 15, same dialect: the budget goes to the backend, its thoughts come back, whole and streamed."""
    wanted = {"type": "enabled", "token_budget": 2048}
    async with visit(Script(thinking=True)) as (site, caller):
        got = await chat(caller, thinking=wanted)
        blocks = [block.model_dump(exclude_none=True) for block in got.message.content or []]
        assert blocks == [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": SAID}]
        assert check_passed_on(site, PATH, JSON)["thinking"] == wanted
        events = await stream(caller, thinking=wanted)
        assert (streamed_text(events, "thinking"), streamed_text(events)) == (THOUGHT, SAID)
        assert [event.index for event in events if event.type == "content-start"] == [0, 1]
        turns = [*TURNS, got.message.model_dump(exclude_none=True), *TURNS]
        assert text_of(await chat(caller, messages=turns)) == SAID
        assert check_passed_on(site, PATH, JSON)["messages"] == turns


async def test_members_nobody_knows_travel(visit: Visit) -> None:
    """Cohere case 4: whatever else a body says reaches the backend, a nested `model` as well."""
    more = {"x_new": {"model": "kept", "n": [1.0, 1e2]}, "raw": "a  b"}
    async with visit() as (site, caller):
        assert text_of(await chat(caller, request_options={"additional_body_parameters": more})) == SAID
        document = check_passed_on(site, PATH, JSON)
        assert {name: document[name] for name in more} == more


async def test_name_of_the_client_travels(visit: Visit) -> None:
    """Cohere §2: the name that a client gives itself goes along, nothing else that it says of itself does."""
    async with visit(client_name="harbour-desk") as (site, caller):
        assert text_of(await chat(caller)) == SAID
        assert site.sent[-1].fields["x-fern-sdk-name"] == "cohere"
        check_passed_on(site, PATH, JSON, x_client_name=b"harbour-desk")


async def test_sixty_four_streams_at_once(serve: Serve, parser_kind: str) -> None:
    """Each of many streams at once carries its own answer, and the lanes share them evenly."""
    script = Script(deltas=10, delta_chars=11, delay_frame_ms=1)
    hold = Gate()

    async def read(caller: Caller, number: int) -> tuple[str, str]:
        text = f"[{number:04}] "
        return text, streamed_text(await stream(caller, messages=[{"role": "user", "content": text}]))

    async with Visit(serve, parser_kind, "async", cohere_caller)(script, hold=hold) as (site, caller):
        for text, said in await all_at_once(hold, [read(caller, number) for number in range(64)]):
            assert said == (f"You said: {text}" * 7)[:110]
        assert site.visits == (32, 32)
        assert site.counts("cohere") == [(32, 0), (32, 0)]


# Models, and who may ask


async def test_list_of_models(visit: Visit) -> None:
    """Cohere §1: the vendor's client gets the vendor's list, and no backend is asked."""
    async with visit() as (site, caller):
        got = await caller.ask(lambda client: client.models.list())
        assert [model.name for model in got.models] == [POOL, *sorted(LANES)]
        assert {tuple(model.endpoints) for model in got.models} == {("chat",)}
        one = await caller.ask(lambda client: client.models.get(POOL))
        assert (one.name, one.endpoints) == (POOL, ["chat"])
        with pytest.raises(cohere.NotFoundError) as caught:
            await caller.ask(lambda client: client.models.get("command-none"))
        check_own(caught.value, 404, "model 'command-none' not found, make sure the correct model ID was used")
        assert site.received == []


async def test_model_of_its_own_name(visit: Visit) -> None:
    """A single lane can be asked for by its name, and only it is asked."""
    async with visit() as (site, caller):
        for _ in range(2):
            assert text_of(await chat(caller, model="cohere-b")) == SAID
        assert site.visits == (0, 2)
        assert site.last.document["model"] == MODEL


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_wrong_token(visit: Visit, *, streamed: bool) -> None:
    """Governance §1.4: a token that is not on the list ends in the native 401, and nobody is asked."""
    async with visit(api_key="wrong") as (site, caller):
        check_own(await refused(caller, cohere.UnauthorizedError, streamed=streamed), 401, "invalid api token")
        with pytest.raises(cohere.UnauthorizedError):
            await caller.ask(lambda client: client.models.list())
        assert site.received == []


async def test_passthrough(visit: Visit) -> None:
    """Governance §1: the caller's own key goes upstream and the lane's never does; its refusal is the caller's."""
    script = Script(status=401, error="No such key.")
    async with visit([None, script], admission=Admission("passthrough")) as (site, caller):
        for _ in range(2):
            assert text_of(await chat(caller)) == SAID
            check_passed_on(site, PATH, JSON, credential=TOKEN)
        error = await refused(caller, cohere.UnauthorizedError)
        assert error.body == {"id": ANSWER_ID, "message": "No such key."}
        assert all(OWN_KEY.encode() not in repr(got).encode() for got in site.received)
        assert site.visits == (2, 1)


async def test_nobody_is_asked_for_a_token(visit: Visit) -> None:
    """Governance §1: without admission any token will do, and the lane's own key goes upstream."""
    async with visit(admission=Admission("none"), api_key="somebody-else") as (site, caller):
        assert text_of(await chat(caller)) == SAID
        assert streamed_text(await stream(caller)) == SAID
        keys = [got.fields[b"authorization"] for got in site.received]
        assert keys == [f"Bearer {OWN_KEY}".encode()] * 2


# What is wrong with a request


async def test_unknown_model(visit: Visit) -> None:
    """Cohere §9: a name nobody has configured is 404 and named."""
    async with visit() as (site, caller):
        error = await refused(caller, cohere.NotFoundError, model="command-none")
        check_own(error, 404, "model 'command-none' not found, make sure the correct model ID was used")
        assert site.received == []


@pytest.mark.parametrize("name", ["", 7, None, ["pool"]])
async def test_model_that_is_no_name(visit: Visit, name: Any) -> None:
    """Cohere case 1: a model that is missing, empty or no text is 400."""
    async with visit() as (site, caller):
        options = {"additional_body_parameters": {"model": name}}
        error = await refused(caller, cohere.BadRequestError, request_options=options)
        check_own(error, 400, "You must provide a model parameter.")
        assert site.received == []


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"a":' * 200 + b"1" + b"}" * 200])
async def test_bad_body(visit: Visit, body: bytes) -> None:
    """Cohere §9: what is no JSON object is 400 in neutral words."""
    async with visit() as (site, caller):
        got = await request(caller, "v2/chat", content=body, headers={"content-type": "application/json"})
        assert (got.status_code, set(got.json())) == (400, {"message"})
        check_neutral(got.json()["message"])
        assert site.received == []


async def test_too_large(visit: Visit) -> None:
    """Cohere §9: a body beyond the cap is 413, and the next one on the same client is served."""
    async with visit(limits=Limits(request_body_max_bytes=4096)) as (site, caller):
        error = await refused(caller, ApiError, messages=[{"role": "user", "content": "x" * 5000}])
        check_own(error, 413, "request entity too large")
        assert text_of(await chat(caller)) == SAID
        assert len(site.received) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_wrong_method(visit: Visit, method: str) -> None:
    """Cohere case 2: another method is 405 in this envelope and the right one is named."""
    async with visit() as (site, caller):
        got = await request(caller, "v2/chat", method)
        assert (got.status_code, got.json()) == (405, {"message": "method not allowed"})
        assert got.headers["allow"] == "POST"
        assert site.received == []


@pytest.mark.parametrize(
    "question",
    [
        lambda client: client.embed(model=POOL, texts=["x"], input_type="search_query", embedding_types=["float"]),
        lambda client: client.rerank(model=POOL, query="x", documents=["y"]),
        lambda client: client.tokenize(model=POOL, text="x"),
    ],
    ids=["embed", "rerank", "tokenize"],
)
async def test_what_is_not_offered(visit: Visit, question: Any) -> None:
    """Cohere §1: other operations of the vendor are 404 in this envelope."""
    async with visit() as (site, caller):
        with pytest.raises(cohere.NotFoundError) as caught:
            await caller.ask(question)
        check_own(caught.value, 404, "not found")
        assert site.received == []


# What backends refuse


def raw_fault(script: Script) -> Any:
    """Return the error that a backend answers with this script."""
    return orjson.loads(b"".join(answer(b"POST", PATH, {}, b"{}", script).frames))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("script", "kind", "visits"),
    [
        (Script(status=400, error="Bad."), cohere.BadRequestError, (1, 0)),
        (Script(status=404, error="Gone, 100%."), cohere.NotFoundError, (1, 0)),
        (Script(status=422, error="Hm."), cohere.UnprocessableEntityError, (1, 0)),
        (Script(status=429, error="Slow down.", retry_after_s=17), cohere.TooManyRequestsError, (1, 1)),
        (Script(status=500, error="Oh."), cohere.InternalServerError, (1, 1)),
        (Script(status=503, error="Later.", retry_after_s=5), cohere.ServiceUnavailableError, (1, 1)),
    ],
    ids=["400", "404", "422", "429", "500", "503"],
)
async def test_refusal_is_relayed(
    visit: Visit, script: Script, kind: type[ApiError], visits: tuple[int, int], *, streamed: bool
) -> None:
    """Cohere §9: an error of a backend comes verbatim, its id and Retry-After too, and is tried elsewhere or not."""
    async with visit(script) as (site, caller):
        error = await refused(caller, kind, streamed=streamed)
        assert (error.status_code, error.body) == (script.status, raw_fault(script))
        after = None if script.retry_after_s is None else str(script.retry_after_s)
        assert (error.headers or {}).get("retry-after") == after
        assert site.visits == visits


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fate", [DOWN, Script(refuse=True), Script(garbage=True), Script(reset_at=0)])
async def test_nobody_answers(visit: Visit, fate: Fate, *, streamed: bool) -> None:
    """Cohere §9: when every lane fails the client gets 503 with Retry-After, in neutral words."""
    async with visit(fate) as (site, caller):
        error = await refused(caller, cohere.ServiceUnavailableError, streamed=streamed)
        check_own(error, 503, "the service is temporarily unavailable, please try again later")
        assert (error.headers or {})["retry-after"] == "1"
        assert site.counts("cohere") == [(0, 1), (0, 1)]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [401, 403])
async def test_key_of_the_lane_is_refused(visit: Visit, status: int, *, streamed: bool) -> None:
    """Reliability §8: that a backend refuses the gateway's own key shows as the native 401, without its words."""
    async with visit(Script(status=status, error=f"Key {OWN_KEY} is bad.")) as (site, caller):
        check_own(await refused(caller, cohere.UnauthorizedError, streamed=streamed), 401, "invalid api token")
        assert site.visits == (1, 1)


async def test_next_lane_answers(visit: Visit) -> None:
    """A lane that fails before the first byte is made up for by the other one, whole and streamed."""
    async with visit(DOWN, None) as (site, caller):
        assert text_of(await chat(caller)) == SAID
        assert streamed_text(await stream(caller)) == SAID
        assert site.visits == (0, 2)


# Time, and streams that break


@pytest.mark.parametrize("script", [Script(status=503), Script(status=429, retry_after_s=1)], ids=["503", "429"])
async def test_client_tries_again(visit: Visit, script: Script) -> None:
    """Cohere §9: the client repeats what failed, after the time it was told, and a backend sees each try."""
    async with visit([script, None], max_retries=1) as (site, caller):
        assert text_of(await chat(caller)) == SAID
        assert (len(site.sent), sorted(site.visits)) == (2, [1, 2])
        check_passed_on(site, PATH, JSON)
        assert {got.body for got in site.received} == {site.last.body}


async def test_client_does_not_repeat_its_own_fault(visit: Visit) -> None:
    """Cohere §9: what is wrong with a request is refused once and not tried again."""
    async with visit(Script(status=400), max_retries=2) as (site, caller):
        await refused(caller, cohere.BadRequestError)
        assert (len(site.sent), site.visits) == (1, (1, 0))


@pytest.mark.parametrize("script", [Script(delay_head_ms=60_000), Script(stall_at=20)])
async def test_client_that_waits_too_long(visit: Visit, script: Script) -> None:
    """The client's own time-out is a time-out to it, and the backend is let go."""
    async with visit(script, timeout=0.2) as (site, caller):
        with pytest.raises(httpx.ReadTimeout):
            await chat(caller)
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert sum(site.visits) == 1
        assert site.counts("cohere") == [(0, 0), (0, 0)]


async def test_stream_that_stalls(visit: Visit) -> None:
    """A stream that falls silent gives what it has, then the client's time-out; the backend is let go."""
    async with visit(Script(stall_at=400), timeout=0.2) as (site, caller):
        events: list[Any] = []
        with pytest.raises(httpx.ReadTimeout):
            await stream(caller, events)
        assert events[0].type == "message-start"
        await until(lambda: site.front.in_flight == [0] * len(LANES))


@pytest.mark.parametrize("script", [Script(cut_at=400), Script(reset_at=400), Script(cut_at=400, split=50)])
async def test_stream_that_is_cut(visit: Visit, script: Script) -> None:
    """Reliability §9: a stream that breaks off never ends as if it were whole, behind the events that came before."""
    async with visit(script) as (site, caller):
        events: list[Any] = []
        with pytest.raises(httpx.RemoteProtocolError):
            await stream(caller, events)
        assert [event.type for event in events[:2]] == ["message-start", "content-start"]
        assert SAID.startswith(streamed_text(events))
        assert "message-end" not in [event.type for event in events]
        assert site.visits == (1, 0)
        assert site.counts("cohere") == [(0, 1), (0, 0)]


async def test_whole_answer_that_is_cut(visit: Visit) -> None:
    """Reliability §9: a document too large to be held never parses as an answer when it breaks off."""
    async with visit(Script(body_bytes=100_000, cut_at=80_000)) as (site, caller):
        with pytest.raises(httpx.RemoteProtocolError):
            await chat(caller)
        assert site.visits == (1, 0)


async def test_error_inside_a_stream(visit: Visit) -> None:
    """Cohere §8: a stream that fails half-way ends with its reason, in the backend's words."""
    async with visit(Script(fail_after=3, error="Enough.")) as (_, caller):
        events = await stream(caller)
        assert [event.type for event in events] == ["message-start", "content-start", "content-delta", "message-end"]
        assert (events[-1].delta.finish_reason, events[-1].delta.error) == ("ERROR", "Enough.")


async def test_ids_of_answers(visit: Visit) -> None:
    """Cohere §5: the id stands in the body and is the backend's; no header is made up that the vendor has not."""
    async with visit() as (_, caller):
        raw = await caller.ask(lambda client: client.with_raw_response.chat(model=POOL, messages=TURNS))
        assert raw.data.id == ANSWER_ID
        assert set(raw.headers) == {"content-type", "content-length", "date"}
        error = await refused(caller, cohere.NotFoundError, model="command-none")
        assert set(error.headers or {}) == {"content-type", "content-length", "date"}
