"""Cohere's client, blocking and not, against the gateway over two mock backends.

Every answer is compared with what the backend said, and every request with what the client wrote.
"""

from typing import Any

import cohere
import pytest

from busbar_fast.mock.content import mint
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script, Stop
from tests.system.sdk import LANES, MODEL, PNG, POOL, Caller, Visit, all_at_once, check_passed_on
from tests.system.sdk_cohere import (
    ANSWER_ID,
    ARGS,
    EVENTS,
    JSON,
    PATH,
    QUESTION,
    SAID,
    THOUGHT,
    TOOL,
    TURNS,
    UNKNOWN,
    chat,
    check_own,
    cohere_caller,
    refused,
    request,
    stream,
    streamed_text,
    text_of,
    whole_text,
)
from tests.system.serving import Gate, Serve

in_both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, cohere_caller)


# Answers


async def test_text_and_usage_of_a_whole_answer(visit: Visit) -> None:
    """Cohere cases 1, 3 and 5: every member is the backend's, the request differs in model and key only."""
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
    """Cohere cases 47, 48 and 50, same dialect: start, one block in pieces, the end with reason and usage."""
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
        assert whole_text(await chat(caller, messages=turns, tools=[TOOL])) == "At 06:12."
        received = check_passed_on(site, PATH, JSON)["messages"]
        assert received == turns
        assert received[1]["tool_plan"] == "I will look."
        assert site.visits == (1, 1)


async def test_tool_calls_of_a_stream(visit: Visit) -> None:
    """Cohere cases 38 and 53, same dialect: a plan comes first, then each call under its own number."""
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
        assert [event.index for event in events if event.type == "tool-call-end"] == [0, 1]
        assert [event.delta.message.tool_calls.id for event in opening] == [mint("tides_", 18, 0), mint("moon_", 17, 1)]
        assert events[-1].delta.finish_reason == "TOOL_CALL"


@in_both_ways
async def test_pictures_travel_untouched(visit: Visit, *, streamed: bool) -> None:
    """Cohere case 10, same dialect: blocks keep their order and their details."""
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/tide.png"}},
    ]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    async with visit() as (site, caller):
        assert await text_of(caller, streamed=streamed, messages=turns) == SAID
        assert check_passed_on(site, PATH, EVENTS if streamed else JSON)["messages"] == turns


@in_both_ways
async def test_documents_and_citations(visit: Visit, *, streamed: bool) -> None:
    """Cohere case 41, same dialect: documents go as they were sent, and each comes back as the source of a citation."""
    documents = ["06:12", {"id": "d1", "data": {"title": "Tables", "text": "06:12"}}]
    more: Any = {"documents": documents, "citation_options": {"mode": "FAST"}}
    async with visit(Script(delta_chars=9, thinking=True)) as (site, caller):
        if streamed:
            events = await stream(caller, **more)
            assert streamed_text(events) == SAID
            opening = [event for event in events if event.type == "citation-start"]
            assert [event.index for event in opening] == [0, 1]
            assert [event.index for event in events if event.type == "citation-end"] == [0, 1]
            citations = [event.delta.message.citations for event in opening]
        else:
            got = await chat(caller, **more)
            assert whole_text(got) == SAID
            citations = got.message.citations or []
        assert [(found.start, found.end, found.text, found.content_index) for found in citations] == [
            (0, len(SAID), SAID, 1)
        ] * 2
        sources = [source.model_dump(exclude_none=True) for found in citations for source in found.sources]
        assert sources == [
            {"type": "document", "id": "doc:0", "document": {"id": "doc:0", "text": "06:12"}},
            {"type": "document", "id": "d1", "document": {"id": "d1", "title": "Tables", "text": "06:12"}},
        ]
        document = check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert {name: document[name] for name in more} == more


@in_both_ways
@pytest.mark.parametrize(
    "turns",
    [
        [*TURNS, {"role": "system", "content": "Late."}, *TURNS],
        [{"role": "system", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": " brief."}]}, *TURNS],
        [
            *TURNS,
            {
                "role": "assistant",
                "tool_plan": "I look.",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "tides", "arguments": '{"a": '}},
                    {"id": "", "type": "function", "function": {"name": "tides", "arguments": '{"a":1.10}'}},
                ],
            },
            {
                "role": "tool",
                "tool_call_id": "a",
                "content": [{"type": "text", "text": "06"}, {"type": "text", "text": ":12"}],
            },
            {
                "role": "tool",
                "tool_call_id": "",
                "content": [{"type": "document", "document": {"id": "d", "data": {"a": 1}}}],
            },
        ],
        [
            *TURNS,
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "At 06:12."}],
                "citations": [{"start": 3, "end": 8, "text": "06:12", "sources": [], "content_index": 1}],
            },
            {"role": "user", "content": [{"type": "new_block", "model": "kept"}, {"type": "text", "text": QUESTION}]},
        ],
    ],
    ids=["late", "blocks", "tools", "echo"],
)
async def test_turns_travel_untouched(visit: Visit, turns: Any, *, streamed: bool) -> None:
    """Cohere cases 7, 9, 15 to 17, 20 and 21, same dialect: whatever a turn says, the backend reads it."""
    async with visit() as (site, caller):
        asked = {"model": POOL, "messages": turns, "stream": streamed}
        got = await request(caller, "v2/chat", json=asked)
        assert got.status_code == 200
        assert check_passed_on(site, PATH, EVENTS if streamed else JSON)["messages"] == turns


@in_both_ways
@pytest.mark.parametrize(
    "more",
    [
        {"tools": [TOOL], "tool_choice": "NONE", "strict_tools": True},
        {"stop_sequences": ["a", "b", "c", "d", "e"], "frequency_penalty": 0.5, "presence_penalty": 1.0},
        {"p": 0.99, "k": 500, "seed": 2**40, "temperature": 0.0, "max_tokens": 1},
        {"safety_mode": "STRICT", "priority": 7},
        {"thinking": {"type": "disabled"}},
    ],
    ids=["tools", "stops", "limits", "modes", "thinking"],
)
async def test_settings_travel_untouched(visit: Visit, more: dict[str, Any], *, streamed: bool) -> None:
    """Cohere cases 4, 23, 28 to 30 and 36, same dialect: every setting that the client can make reaches the backend."""
    async with visit() as (site, caller):
        assert await text_of(caller, streamed=streamed, **more) == SAID
        document = check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert {name: document[name] for name in more} == more


@in_both_ways
async def test_structured_answer(visit: Visit, *, streamed: bool) -> None:
    """Cohere case 33, same dialect: the schema reaches the backend as it is, the answer the client."""
    schema = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
    wanted: Any = {"type": "json_object", "json_schema": schema}
    async with visit(Script(text='{"at":"06:12"}', delta_chars=5)) as (site, caller):
        assert await text_of(caller, streamed=streamed, response_format=wanted) == '{"at":"06:12"}'
        assert check_passed_on(site, PATH, EVENTS if streamed else JSON)["response_format"] == wanted


@in_both_ways
async def test_log_probabilities(visit: Visit, *, streamed: bool) -> None:
    """Cohere case 67, same dialect: each piece comes with its probability."""
    async with visit(Script(delta_chars=9)) as (site, caller):
        if streamed:
            events = await stream(caller, logprobs=True)
            rows = [event.logprobs for event in events if event.type == "content-delta"]
        else:
            rows = (await chat(caller, logprobs=True)).logprobs or []
        assert [(row.text, row.token_ids, row.logprobs) for row in rows] == [
            ("You said:", [9], [-0.625]),
            (" When is ", [9], [-0.625]),
            ("high wate", [9], [-0.625]),
            ("r?", [2], [-0.1875]),
        ]
        assert check_passed_on(site, PATH, EVENTS if streamed else JSON)["logprobs"] is True


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
    """Cohere cases 50 and 51, same dialect: nothing is added to a stream, which has one terminator, or taken away."""
    async with visit(script) as (site, caller):
        asked = {"model": POOL, "messages": TURNS, "stream": True}
        got = await request(caller, "v2/chat", json=asked)
        assert got.content == b"".join(answer(b"POST", PATH, {}, site.last.body, script).frames)
        assert got.content.count(b"data: [DONE]\n\n") == 1
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert set(got.headers) == {"content-type", "date", "transfer-encoding"}


async def test_reasoning(visit: Visit) -> None:
    """Cohere cases 15 and 52, same dialect: the budget goes to the backend, its thoughts come back."""
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
        assert whole_text(await chat(caller, messages=turns)) == SAID
        assert check_passed_on(site, PATH, JSON)["messages"] == turns


async def test_members_nobody_knows_travel(visit: Visit) -> None:
    """Cohere case 4: whatever else a body says reaches the backend, a nested `model` as well."""
    more = {"x_new": {"model": "kept", "n": [1.0, 1e2]}, "raw": "a  b"}
    async with visit() as (site, caller):
        assert whole_text(await chat(caller, request_options={"additional_body_parameters": more})) == SAID
        document = check_passed_on(site, PATH, JSON)
        assert {name: document[name] for name in more} == more


@in_both_ways
async def test_name_of_the_client_travels(visit: Visit, *, streamed: bool) -> None:
    """Cohere §2: the name that a client gives itself goes along, nothing else that it says of itself does."""
    others = {"x-api-key": "no", "anthropic-version": "2023-06-01", "x-trace": "t"}
    async with visit(client_name="harbour-desk") as (site, caller):
        assert await text_of(caller, streamed=streamed, request_options={"additional_headers": others}) == SAID
        assert site.sent[-1].fields["x-fern-sdk-name"] == "cohere"
        assert site.sent[-1].fields["x-trace"] == "t"
        check_passed_on(site, PATH, EVENTS if streamed else JSON, x_client_name=b"harbour-desk")


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


# Models and ids


async def test_list_of_models(visit: Visit) -> None:
    """Cohere case 66: the vendor's client gets the vendor's list, and no backend is asked."""
    async with visit() as (site, caller):
        got = await caller.ask(lambda client: client.models.list())
        assert [model.name for model in got.models] == [POOL, *sorted(LANES)]
        assert {tuple(model.endpoints) for model in got.models} == {("chat",)}
        one = await caller.ask(lambda client: client.models.get(POOL))
        assert (one.name, one.endpoints) == (POOL, ["chat"])
        with pytest.raises(cohere.NotFoundError) as caught:
            await caller.ask(lambda client: client.models.get("command-none"))
        check_own(caught.value, 404, UNKNOWN)
        assert site.received == []


async def test_model_of_its_own_name(visit: Visit) -> None:
    """A single lane can be asked for by its name, and only it is asked."""
    async with visit() as (site, caller):
        for _ in range(2):
            assert whole_text(await chat(caller, model="cohere-b")) == SAID
        assert site.visits == (0, 2)
        assert site.last.document["model"] == MODEL


async def test_ids_of_answers(visit: Visit) -> None:
    """Cohere §5: the id stands in the body and is the backend's; no header is made up that the vendor has not."""
    async with visit() as (_, caller):
        raw = await caller.ask(lambda client: client.with_raw_response.chat(model=POOL, messages=TURNS))
        assert raw.data.id == ANSWER_ID
        assert set(raw.headers) == {"content-type", "content-length", "date"}
        error = await refused(caller, cohere.NotFoundError, model="command-none")
        assert set(error.headers or {}) == {"content-type", "content-length", "date"}
