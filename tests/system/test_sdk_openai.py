"""OpenAI's client, blocking and not, against the gateway over two mock backends: chat.

Every answer is compared with what the backend said, and every request with what the client wrote.
"""

import re
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from busbar_fast.mock.content import CREATED_S, mint
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
    check_openai_refusal,
    check_passed_on,
    openai_caller,
)
from tests.system.sdk_chat import (
    ARGS,
    EVENTS,
    JSON,
    PATH,
    QUESTION,
    SAID,
    THOUGHT,
    TOOL,
    TURNS,
    UPSTREAM_ID,
    create,
    put_together,
    refused,
    said_in,
    stream,
    text_of,
)
from tests.system.serving import Gate, Serve


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, openai_caller)


# Answers


async def test_text_and_usage_of_a_whole_answer(visit: Visit) -> None:
    """OpenAI cases 4 and 5: the answer is the backend's in every member, the request differs in model and key only."""
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
    """OpenAI cases 37 and 40, same dialect: role, text in pieces, finish, usage that was asked for, nothing else."""
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
    """OpenAI case 30, same dialect: a refusal stands in its own member, whole and streamed."""
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


@pytest.mark.parametrize("text", [None, "Looking."])
async def test_tool_calls_of_a_stream(visit: Visit, text: str | None) -> None:
    """OpenAI case 41, same dialect: behind a text or not, each call opens once and its pieces come under its number."""
    async with visit(Script(text=text, tools=("tides", "moon"), args=ARGS, delta_chars=10)) as (site, caller):
        chunks = await stream(caller, tools=[TOOL])
        assert said_in(chunks) == (text or "")
        parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
        opening = [(part.index, part.id, part.type, part.function.name) for part in parts if part.id]
        assert opening == [
            (0, mint("call_", 29, 0), "function", "tides"),
            (1, mint("call_", 29, 1), "function", "moon"),
        ]
        for number in (0, 1):
            pieces = [part.function.arguments for part in parts if part.index == number]
            assert pieces == ["", ARGS[:10], ARGS[10:20], ARGS[20:]]
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        assert check_passed_on(site, PATH, EVENTS)["tools"] == [TOOL]


def said_by(message: Any) -> Any:
    """Return what a message says, whichever of the client's types it is of."""
    thought = (message.model_extra or {}).get("reasoning_content")
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    return message.content, thought, calls


@pytest.mark.parametrize(
    "script",
    [
        Script(delta_chars=5),
        Script(tools=("tides", "moon"), args=ARGS, delta_chars=5),
        Script(text="Looking.", thinking=True, tools=("tides",), split=33),
    ],
    ids=["text", "tools", "thinking, text and tool"],
)
async def test_stream_helper(visit: Visit, script: Script) -> None:
    """OpenAI §11: the helper that puts chunks together gets what the whole answer says."""
    async with visit(script) as (_, caller):
        final = (await put_together(caller, tools=[TOOL])).choices[0]
        whole = (await create(caller, tools=[TOOL])).choices[0]
        assert final.finish_reason == whole.finish_reason
        said = [said_by(got.message) for got in (final, whole)]
        assert said[0] == said[1]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_pictures_travel_untouched(visit: Visit, *, streamed: bool) -> None:
    """OpenAI case 10, same dialect: a data URL, a plain URL and their detail come as they were sent."""
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/tide.png"}},
    ]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    async with visit() as (site, caller):
        assert await text_of(caller, streamed=streamed, messages=turns) == SAID
        assert check_passed_on(site, PATH, EVENTS if streamed else JSON)["messages"] == turns


async def test_large_picture_travels_untouched(visit: Visit) -> None:
    """A body of three megabytes, which is not copied behind its head, is the same at the backend."""
    url = "data:image/png;base64," + "QUJD" * (1 << 18) * 3
    turns = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    async with visit(Script(text="Seen.")) as (site, caller):
        assert (await create(caller, messages=turns)).choices[0].message.content == "Seen."
        assert check_passed_on(site, PATH, JSON)["messages"] == turns


def turns_with_call(arguments: str, *results: dict[str, Any], call_id: str = "call_bb1") -> list[dict[str, Any]]:
    """Return a conversation in which the model called, with what came of it."""
    call = {"id": call_id, "type": "function", "function": {"name": "tides", "arguments": arguments}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    return [*TURNS, said, *results, *TURNS]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "turns",
    [
        [*TURNS, {"role": "system", "content": "Late."}, {"role": "developer", "content": "Later."}, *TURNS],
        turns_with_call(
            "{}", {"role": "tool", "tool_call_id": "call_bb1", "content": [{"type": "text", "text": "a"}] * 2}
        ),
        turns_with_call('{"a": ', {"role": "tool", "tool_call_id": "call_bb1", "content": "no"}),
        turns_with_call("", {"role": "tool", "tool_call_id": "call_bb161", "content": ""}, call_id="call_bb161"),
        [*TURNS, {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}, *TURNS],
        [*TURNS, {"role": "function", "name": "f", "content": "x"}, {"role": "wizard", "content": "y"}, *TURNS],
        [*TURNS, {"role": "assistant", "content": None, "refusal": "No.", "reasoning_content": "Hm."}, *TURNS],
        [
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "t.pdf"},
                    },
                    {"type": "new_part", "model": "kept"},
                    {"type": "text", "text": QUESTION},
                ],
            }
        ],
    ],
    ids=["system", "texts", "broken", "empty", "function call", "roles", "refusal", "parts"],
)
async def test_turns_travel_untouched(visit: Visit, turns: Any, *, streamed: bool) -> None:
    """OpenAI cases 8, 9, 11, 15, 16 and 21, same dialect: whatever a turn says, a backend of this dialect reads it."""
    async with visit() as (site, caller):
        assert await text_of(caller, streamed=streamed, messages=turns) == SAID
        assert check_passed_on(site, PATH, EVENTS if streamed else JSON)["messages"] == turns


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "more",
    [
        {"stop": ["a", "b", "c", "d", "e", "f"], "frequency_penalty": -1.5, "presence_penalty": 2},
        {
            "tools": [{"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}}}],
            "parallel_tool_calls": False,
        },
        {
            "tools": [TOOL],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "tides"}}]},
            },
        },
        {"functions": [{"name": "f", "parameters": {}}], "function_call": {"name": "f"}},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}, "web_search_options": {}},
        {"prediction": {"type": "content", "content": "At "}, "verbosity": "low", "service_tier": "flex"},
        {"safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h", "metadata": {"a": "b"}},
        {"reasoning_effort": "none", "max_completion_tokens": 0, "max_tokens": 7},
    ],
    ids=["stops", "custom", "allowed", "functions", "audio", "prediction", "keys", "limits"],
)
async def test_settings_travel_untouched(visit: Visit, more: dict[str, Any], *, streamed: bool) -> None:
    """OpenAI cases 3, 6, 7, 18 and 19, same dialect: every setting that the client can make reaches the backend."""
    async with visit() as (site, caller):
        assert await text_of(caller, streamed=streamed, **more) == SAID
        document = check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert {name: document[name] for name in more} == more


class Tide(BaseModel):
    """What a structured answer is read into."""

    at: str
    height: float


TIDE = '{"at":"06:12","height":5.5}'


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_structured_answer(visit: Visit, *, streamed: bool) -> None:
    """OpenAI §2: the schema that the client makes of a type reaches the backend, and the answer becomes that type."""
    async with visit(Script(text=TIDE, delta_chars=7)) as (site, caller):
        if streamed:
            got = await put_together(caller, response_format=Tide)
        else:
            asked: Any = {"model": POOL, "messages": TURNS, "response_format": Tide}
            got = await caller.ask(lambda client: client.chat.completions.parse(**asked))
        (choice,) = got.choices
        assert (choice.message.content, choice.message.parsed) == (TIDE, Tide(at="06:12", height=5.5))
        wanted = check_passed_on(site, PATH, EVENTS if streamed else JSON)["response_format"]
        assert (wanted["type"], wanted["json_schema"]["name"], wanted["json_schema"]["strict"]) == (
            "json_schema",
            "Tide",
            True,
        )
        assert wanted["json_schema"]["schema"]["properties"]["height"] == {"title": "Height", "type": "number"}


@pytest.mark.parametrize(
    ("stop", "kind"),
    [(Stop.LENGTH, openai.LengthFinishReasonError), (Stop.SAFETY, openai.ContentFilterFinishReasonError)],
)
async def test_structured_answer_that_is_cut_short(visit: Visit, stop: Stop, kind: type[Exception]) -> None:
    """OpenAI case 31, same dialect: what ends too early is the client's own exception, whole and streamed."""
    asked: Any = {"model": POOL, "messages": TURNS, "response_format": Tide}
    async with visit(Script(text='{"at":', stop=stop)) as (_, caller):
        with pytest.raises(kind):
            await caller.ask(lambda client: client.chat.completions.parse(**asked))
        with pytest.raises(kind):
            await put_together(caller, response_format=Tide)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_log_probabilities(visit: Visit, *, streamed: bool) -> None:
    """OpenAI case 64, same dialect: each piece comes with its probability and as many others as were asked for."""
    async with visit(Script(delta_chars=9)) as (site, caller):
        more: Any = {"logprobs": True, "top_logprobs": 2}
        if streamed:
            chunks = await stream(caller, **more)
            found = [chunk.choices[0].logprobs for chunk in chunks]
            assert (found[0], found[-1]) == (None, None)
            rows = [row for part in found[1:-1] for row in part.content]
        else:
            probabilities = (await create(caller, **more)).choices[0].logprobs
            assert probabilities is not None
            assert probabilities.refusal is None
            rows = probabilities.content or []
        assert [(row.token, row.logprob) for row in rows] == [
            ("You said:", -0.625),
            (" When is ", -0.625),
            ("high wate", -0.625),
            ("r?", -0.1875),
        ]
        assert [bytes(row.bytes).decode() for row in rows] == [row.token for row in rows]
        assert [(other.token, other.logprob) for other in rows[-1].top_logprobs] == [("r?", -0.1875), ("r?'", -0.25)]
        document = check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert (document["logprobs"], document["top_logprobs"]) == (True, 2)


async def test_several_choices(visit: Visit) -> None:
    """OpenAI case 65, same dialect: who asks for three answers gets three, whole and streamed."""
    async with visit(Script(delta_chars=9)) as (site, caller):
        got = await create(caller, n=3)
        assert [(choice.index, choice.message.content) for choice in got.choices] == [(0, SAID), (1, SAID), (2, SAID)]
        chunks = await stream(caller, n=3)
        for index in range(3):
            own = [chunk for chunk in chunks if chunk.choices[0].index == index]
            assert said_in(own) == SAID
            assert [chunk.choices[0].finish_reason for chunk in own][-1] == "stop"
        assert check_passed_on(site, PATH, EVENTS)["n"] == 3


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
    """OpenAI case 40, same dialect: nothing is added to a stream, which has one terminator, and nothing taken away."""
    async with visit(script) as (site, caller):
        asked = {"model": POOL, "messages": TURNS, "stream": True, "stream_options": {"include_usage": True}}
        got = await caller.ask(
            lambda client: client.post("/chat/completions", cast_to=httpx2.Response, body=asked, stream=False)
        )
        frames = answer(b"POST", PATH, {}, site.last.body, script).frames
        assert got.content == b"".join(frames)
        assert got.content.count(b"data: [DONE]\n\n") == 1
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert set(got.headers) == {"content-type", "date", "transfer-encoding", "x-request-id"}


async def test_reasoning(visit: Visit) -> None:
    """OpenAI cases 24 and 25, same dialect: the effort goes to the backend, its thoughts and their number come back."""
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


# Models and ids


async def test_list_of_models(visit: Visit) -> None:
    """OpenAI case 67: pools and models are listed in order, one can be looked at, and no backend is asked."""
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
    """OpenAI case 62: a base URL that lacks `/v1` works as well."""
    async with visit() as (site, caller):
        caller.client.base_url = site.origin
        assert (await create(caller)).choices[0].message.content == SAID
        assert site.sent[-1].path == "/chat/completions"
        check_passed_on(site, PATH, JSON)


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
        ids |= {(await caller.ask(lambda client: client.models.list()))._request_id for _ in range(8)}
        ids |= {(await caller.ask(lambda client: client.models.retrieve(POOL)))._request_id for _ in range(8)}
        assert len(ids) == 24
        assert [made for made in ids if not re.fullmatch("req_[0-9a-f]{32}", str(made))] == []


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_nothing_of_the_client_goes_along(visit: Visit, *, streamed: bool) -> None:
    """OpenAI §1: organisation, project, agent and header fields of other vendors neither mislead nor travel."""
    others = {"x-api-key": "sk-no", "x-goog-api-key": "no", "anthropic-version": "2023-06-01", "OpenAI-Beta": "a=v2"}
    options: Any = {
        "organization": "org-1",
        "project": "proj_1",
        "default_headers": others,
        "default_query": {"a": "b"},
    }
    async with visit(**options) as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        sent = site.sent[-1].fields
        assert (sent["openai-organization"], sent["openai-project"], sent["openai-beta"]) == ("org-1", "proj_1", "a=v2")
        check_passed_on(site, PATH, EVENTS if streamed else JSON)
