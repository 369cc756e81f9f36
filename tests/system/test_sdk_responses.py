"""OpenAI's client, blocking and not, against the gateway over two mock backends: the Responses API.

Every answer is compared with what the backend said, and every request with what the client wrote.
"""

from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from busbar_fast.mock.content import CREATED_S, SIGNATURE, mint
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script, Stop
from tests.system.sdk import (
    LANES,
    MODEL,
    PNG,
    POOL,
    Caller,
    Visit,
    all_at_once,
    check_passed_on,
    openai_caller,
)
from tests.system.sdk_responses import (
    ARGS,
    EVENTS,
    JSON,
    PATH,
    QUESTION,
    SAID,
    THOUGHT,
    TOOL,
    UPSTREAM_ID,
    create,
    put_together,
    refused,
    said_in,
    stream,
    text_of,
)
from tests.system.serving import Gate, Serve

in_both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, openai_caller)


# Answers


async def test_text_and_usage_of_a_whole_answer(visit: Visit) -> None:
    """Responses cases 30, 31 and 33, same dialect: all is the backend's, the request differs in model and key."""
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
    """Responses cases 44 to 49, same dialect: events come numbered, the last one repeats what was streamed."""
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


@pytest.mark.parametrize("tools", [(), ("tides",)], ids=["text", "call"])
@pytest.mark.parametrize(
    ("stop", "reason"), [(Stop.LENGTH, "max_output_tokens"), (Stop.SAFETY, "content_filter"), (Stop.END, None)]
)
async def test_how_answers_end(visit: Visit, stop: Stop, reason: str | None, tools: tuple[str, ...]) -> None:
    """Responses cases 35 to 38, same dialect: what is incomplete says why, also behind a call, whole and streamed."""
    status = "completed" if reason is None else "incomplete"
    async with visit(Script(stop=stop, text="Tide", tools=tools)) as (_, caller):
        last = (await stream(caller))[-1]
        assert last.type == f"response.{status}"
        for got in (await create(caller), last.response):
            assert (got.status, got.output_text, got.error) == (status, "Tide", None)
            assert [item.type for item in got.output] == ["message", *["function_call"] * len(tools)]
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
        final = await put_together(caller, tools=[TOOL])
        said = [[item.model_dump(exclude_none=True) for item in got.output] for got in (final, whole)]
        assert said[0] == said[1]
        assert (final.id, final.status, final.usage) == (whole.id, "completed", whole.usage)


@in_both_ways
async def test_pictures_and_files_travel_untouched(visit: Visit, *, streamed: bool) -> None:
    """Responses cases 13 and 14, same dialect: data, URLs and ids of pictures and files come as they were sent."""
    parts = [
        {"type": "input_text", "text": QUESTION},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
        {"type": "input_image", "image_url": "https://pictures.example/tide.png", "detail": "auto"},
        {"type": "input_image", "file_id": "file-1", "detail": "auto"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERg==", "filename": "t.pdf"},
        {"type": "input_file", "file_url": "https://files.example/t.pdf"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "input_new", "model": "kept"},
    ]
    turns = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    async with visit() as (site, caller):
        assert await text_of(caller, streamed=streamed, input=turns) == SAID
        assert check_passed_on(site, PATH, EVENTS if streamed else JSON)["input"] == turns


HOSTED: Any = [
    {"type": "web_search", "search_context_size": "low"},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "mcp", "server_label": "dm", "server_url": "https://tools.example/mcp", "require_approval": "never"},
    {"type": "image_generation"},
    {"type": "custom", "name": "sql", "format": {"type": "text"}},
    {"type": "local_shell"},
    TOOL,
]


@in_both_ways
@pytest.mark.parametrize(
    "choice",
    [
        "none",
        "required",
        {"type": "function", "name": "tides"},
        {"type": "web_search_preview"},
        {"type": "mcp", "server_label": "dm"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "tides"}]},
    ],
    ids=["none", "required", "function", "hosted", "mcp", "allowed"],
)
async def test_tools_travel_untouched(visit: Visit, choice: Any, *, streamed: bool) -> None:
    """Responses cases 15 to 19, same dialect: tools that the vendor hosts and every choice come as they were sent."""
    async with visit() as (site, caller):
        more = {"tools": HOSTED, "tool_choice": choice, "parallel_tool_calls": False}
        asked = {"model": POOL, "input": QUESTION, "stream": streamed, **more}
        await caller.ask(lambda client: client.post("/responses", cast_to=httpx2.Response, body=asked))
        document = check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert {name: document[name] for name in more} == more


@in_both_ways
@pytest.mark.parametrize(
    "turns",
    [
        [{"role": "user", "content": QUESTION}, {"type": "message", "role": "system", "content": "Late."}],
        [
            {"role": "user", "content": QUESTION},
            {"type": "input_image", "image_url": "https://pictures.example/tide.png"},
        ],
        [
            {"role": "user", "content": QUESTION},
            {"type": "function_call", "call_id": "call_" + "x" * 60, "name": "tides", "arguments": '{"a": '},
            {"type": "function_call", "call_id": "call_bb1", "name": "tides", "arguments": ""},
            {
                "type": "function_call_output",
                "call_id": "call_" + "x" * 60,
                "output": [{"type": "input_text", "text": "a"}, {"type": "input_image", "file_id": "file-1"}],
            },
            {"type": "function_call_output", "call_id": "call_bb1", "output": ""},
        ],
        [
            {"role": "user", "content": QUESTION},
            {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "1"},
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {"type": "search", "query": "q"},
            },
            {"type": "item_reference", "id": "msg_1"},
            {"type": "compaction", "encrypted_content": "x"},
            {"type": "new_item", "model": "kept"},
        ],
    ],
    ids=["messages", "bare", "calls", "hosted"],
)
async def test_items_travel_untouched(visit: Visit, turns: Any, *, streamed: bool) -> None:
    """Responses cases 2, 4, 11, 12 and 23, same dialect: whatever an item says, a backend of this dialect reads it."""
    async with visit() as (site, caller):
        assert await text_of(caller, streamed=streamed, input=turns) == SAID
        assert check_passed_on(site, PATH, EVENTS if streamed else JSON)["input"] == turns


class Tide(BaseModel):
    """What a structured answer is read into."""

    at: str
    height: float


TIDE = '{"at":"06:12","height":5.5}'


@in_both_ways
async def test_structured_answer(visit: Visit, *, streamed: bool) -> None:
    """Responses case 7, same dialect: the schema of a type reaches the backend, and the answer becomes that type."""
    async with visit(Script(text=TIDE, delta_chars=7)) as (site, caller):
        if streamed:
            got = await put_together(caller, text_format=Tide)
        else:
            got = await caller.ask(lambda client: client.responses.parse(model=POOL, input=QUESTION, text_format=Tide))
        assert (got.output_text, got.output_parsed) == (TIDE, Tide(at="06:12", height=5.5))
        wanted = check_passed_on(site, PATH, EVENTS if streamed else JSON)["text"]["format"]
        assert (wanted["type"], wanted["name"], wanted["strict"]) == ("json_schema", "Tide", True)
        assert wanted["schema"]["properties"]["height"] == {"title": "Height", "type": "number"}


@in_both_ways
async def test_log_probabilities(visit: Visit, *, streamed: bool) -> None:
    """Responses §2, same dialect: each piece comes with its probability and as many others as were asked for."""
    more: Any = {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    async with visit(Script(delta_chars=9)) as (site, caller):
        if streamed:
            events = await stream(caller, **more)
            rows = [row for event in events if event.type == "response.output_text.delta" for row in event.logprobs]
            (done,) = [event for event in events if event.type == "response.output_text.done"]
            assert [row.token for row in done.logprobs] == [row.token for row in rows]
        else:
            (item,) = (await create(caller, **more)).output
            assert item.type == "message"
            (part,) = item.content
            assert part.type == "output_text"
            rows = part.logprobs or []
        assert [(row.token, row.logprob) for row in rows] == [
            ("You said:", -0.625),
            (" When is ", -0.625),
            ("high wate", -0.625),
            ("r?", -0.1875),
        ]
        assert [[other.token for other in row.top_logprobs] for row in rows] == [[row.token] for row in rows]
        document = check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert {name: document[name] for name in more} == more


@pytest.mark.parametrize(
    "script",
    [
        Script(delta_chars=7),
        Script(thinking=True, split=5),
        Script(tools=("tides",)),
        Script(fail_after=2, delay_frame_ms=20),
    ],
)
async def test_stream_is_the_backends_to_the_byte(visit: Visit, script: Script) -> None:
    """Responses case 66: nothing is added to a stream, which has no terminator, and nothing taken away."""
    async with visit(script) as (site, caller):
        asked = {"model": POOL, "input": QUESTION, "stream": True}
        got = await caller.ask(lambda client: client.post("/responses", cast_to=httpx2.Response, body=asked))
        assert got.content == b"".join(answer(b"POST", PATH, {}, site.last.body, script).frames)
        assert b"[DONE]" not in got.content
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert set(got.headers) == {"content-type", "date", "transfer-encoding", "x-request-id"}


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
        assert said_in(events) == SAID
        turns = [*[item.to_dict() for item in got.output], {"role": "user", "content": QUESTION}]
        assert (await create(caller, input=turns)).output_text == SAID
        assert check_passed_on(site, PATH, JSON)["input"] == turns


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": "resp_1", "store": True, "truncation": "auto"},
        {"text": {"format": {"type": "text"}, "verbosity": "low"}, "metadata": {"a": "b"}, "user": "u-1"},
        {"conversation": "conv_1", "background": True, "max_tool_calls": 3, "service_tier": "flex"},
        {"prompt": {"id": "pmpt_1", "variables": {"model": "kept"}}, "safety_identifier": "s", "prompt_cache_key": "k"},
        {"max_output_tokens": 0, "top_p": 0.125, "temperature": 2, "stream_options": {"include_obfuscation": False}},
    ],
    ids=["state", "text", "conversation", "prompt", "limits"],
)
@in_both_ways
async def test_members_nobody_knows_travel(visit: Visit, more: dict[str, Any], *, streamed: bool) -> None:
    """Responses cases 5, 8 and 28, same dialect: whatever else a body says reaches a backend, state included."""
    unknown = {"x_new": {"model": "kept", "n": [1.0, 1e2]}}
    async with visit() as (site, caller):
        asked = {"model": POOL, "input": QUESTION, "stream": streamed, **more, **unknown}
        await caller.ask(lambda client: client.post("/responses", cast_to=httpx2.Response, body=asked))
        document = check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert document == {**asked, "model": MODEL}


async def test_sixty_four_streams_at_once(serve: Serve, parser_kind: str) -> None:
    """Responses case 44: each of many streams at once carries its own answer and its own numbers."""
    script = Script(deltas=10, delta_chars=11, delay_frame_ms=1)
    hold = Gate()

    async def read(caller: Caller, number: int) -> tuple[str, list[Any]]:
        text = f"[{number:04}] "
        return text, await stream(caller, input=text)

    async with Visit(serve, parser_kind, "async", openai_caller)(script, hold=hold) as (site, caller):
        for text, events in await all_at_once(hold, [read(caller, number) for number in range(64)]):
            assert said_in(events) == (f"You said: {text}" * 7)[:110]
            assert [event.sequence_number for event in events] == list(range(len(events)))
        assert site.visits == (32, 32)
        assert site.counts("responses") == [(32, 0), (32, 0)]


# Models and ids


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


@in_both_ways
async def test_nothing_of_the_client_goes_along(visit: Visit, *, streamed: bool) -> None:
    """Responses §1: organisation, project, agent and header fields of other vendors neither mislead nor travel."""
    others = {"x-api-key": "sk-no", "x-goog-api-key": "no", "anthropic-version": "2023-06-01", "OpenAI-Beta": "a=v2"}
    async with visit(organization="org-1", project="proj_1", default_headers=others) as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        check_passed_on(site, PATH, EVENTS if streamed else JSON)
