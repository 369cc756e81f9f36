"""Clients of every dialect at lanes of every other, over real sockets."""

import asyncio
import json
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from busbar_fast.gateway.offers import Tolerance
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from busbar_fast.reliability.breaker import BreakerSettings
from busbar_fast.reliability.pools import PoolSettings
from tests.dialects.vendors import streamed
from tests.system.fleets import fleet
from tests.system.gateways import Fate, Front, Shape, Utterance, gateway_over
from tests.system.rawclient import Answer
from tests.system.serving import Serve, post, until
from tests.system.test_gateway import ask
from tests.system.tongues import NAMES, TOOL_NAME, Said, bench, request_of, said_in, said_in_stream

THOUGHT = "The user wants an answer, so I give one."
SCRIPT = Script(text="Tide is höch", tools=(TOOL_NAME,), args='{"port": "Brest"}', thinking=True)
SAID = Said(THOUGHT, "Tide is höch", [(TOOL_NAME, {"port": "Brest"})])
PAIRS = [(client, lane) for client in NAMES for lane in NAMES if client != lane]
FIRST_BYTE_LATER = Script(text="0123456789" * 20, delta_chars=10, fail_after=6, status=503)


def mixed(*dialects: str, **changes: Any) -> Shape:
    """Return a pool whose lanes clients of all dialects reach."""
    return Shape(dialects=dialects, model="kiln", is_mixed=True, **changes)


async def get(front: Front, name: str, *, in_stream: bool = False, **more: object) -> Answer:
    """Ask in a dialect."""
    path, body = request_of(name, in_stream=in_stream, **more)
    return await ask(front, body, path)


@pytest.mark.parametrize(("client", "lane"), PAIRS)
async def test_every_client_is_served_by_every_lane(serve: Serve, parser_kind: str, client: str, lane: str) -> None:
    """IR cases 1, 2, 19, 56: text, thoughts and calls arrive whole and streamed, under the lane's model."""
    async with gateway_over(serve, parser_kind, SCRIPT, shape=mixed(lane)) as front:
        whole, streamed = await get(front, client), await get(front, client, in_stream=True)
        asked = bench(lane).read(front.received[0].body)
    assert (whole.status, streamed.status) == (200, 200)
    assert said_in(client, whole.body) == SAID
    assert said_in_stream(client, streamed.body) == SAID
    assert (b"kiln" in whole.body) is (client != "bedrock")
    assert ([tool.name for tool in asked.tools], bytes(asked.sampling.max_tokens)) == ([TOOL_NAME], b"99")


@pytest.mark.parametrize("client", NAMES)
@pytest.mark.parametrize(("status", "shown"), [(400, 400), (429, 503), (503, 503)])
async def test_errors_are_worded_for_the_client(
    serve: Serve, parser_kind: str, client: str, status: int, shown: int
) -> None:
    """IR cases 67, 68: status and hint when to come back are kept, the text of a client's own mistake too."""
    lane = "cohere" if client != "cohere" else "openai"
    fate = Script(status=status, error="too odd a question", retry_after_s=7)
    async with gateway_over(serve, parser_kind, fate, shape=mixed(lane)) as front:
        got = await get(front, client)
    same = await one_of_its_own(serve, parser_kind, client, fate)
    assert got.status == shown
    assert (b"too odd a question" in got.body) is (status == 400)
    assert json.loads(got.body).keys() <= json.loads(same.body).keys() | {"__type", "request_id"}


async def one_of_its_own(serve: Serve, parser_kind: str, client: str, fate: Fate) -> Answer:
    """Return what a lane of the client's own dialect answers."""
    async with gateway_over(serve, parser_kind, fate, shape=mixed(client)) as front:
        return await get(front, client)


@pytest.mark.parametrize("client", NAMES)
async def test_stream_that_fails_later_ends_natively(serve: Serve, parser_kind: str, client: str) -> None:
    """IR cases 44, 47: what was said arrives, then an error that a reader of the dialect knows, and a whole body."""
    lane = "anthropic" if client != "anthropic" else "gemini"
    async with gateway_over(serve, parser_kind, FIRST_BYTE_LATER, shape=mixed(lane)) as front:
        got = await get(front, client, in_stream=True)
    calls = bench(client).hear(got.body)
    assert got.status == 200
    assert [call[0] for call in calls].count("fail") == 1
    assert b"0123456789" in got.body


@pytest.mark.parametrize(("client", "lane"), PAIRS)
async def test_stream_that_is_killed_anywhere_ends_legally(
    serve: Serve, parser_kind: str, client: str, lane: str
) -> None:
    """IR cases 44 to 47, issue: cut behind and within every event, it ends by one error, or whole if it was whole."""
    path, body = request_of(lane, in_stream=True)
    frames = answer(b"POST", path, {}, body, SCRIPT).frames
    ends = list(accumulate(len(frame) for frame in frames))
    cuts = sorted({0, 1, *ends[:-1], *(end - 3 for end in ends)})
    shape = mixed(lane, breaker=BreakerSettings(min_requests=10**6))
    async with gateway_over(serve, parser_kind, [replace(SCRIPT, cut_at=cut) for cut in cuts], shape=shape) as front:
        got = [await get(front, client, in_stream=True) for _ in cuts]
    assert len(front.received) == len(cuts)
    told = [one for one in got if one.status == 200]
    assert all(one.status >= 500 for one in got if one.status != 200)
    assert len(told) > len(cuts) / 2
    for one in told:
        calls = bench(client).hear(one.body)
        assert calls[-1][0] == "end"
        (end,) = [call[0] for call in calls if call[0] in ("finish", "fail")]
        text = "".join(call[2] for call in calls if call[0] == "text")
        assert SAID.text.startswith(text)
        if end == "finish":
            assert said_in_stream(client, one.body) == SAID


@pytest.mark.parametrize(
    ("client", "sign"),
    [("openai", b'"role":"assistant"'), ("anthropic", b"message_start"), ("bedrock", b"messageStart")],
)
async def test_start_is_not_held_for_long(serve: Serve, parser_kind: str, client: str, sign: bytes) -> None:
    """IR §5: what a lane has begun reaches the client within a second or so, however long it thinks about the rest."""
    lane = "responses"
    path, body = request_of(client, in_stream=True)
    shape = mixed(lane)
    async with gateway_over(serve, parser_kind, replace(SCRIPT, delay_frame_ms=60_000), shape=shape) as front:
        caller = front.site.connect()
        caller.send(post(body, target=path))
        async with asyncio.timeout(5):
            got = await caller.read_until(sign)
        assert b"200 OK" in got
        caller.close()
        await until(lambda: front.lanes[0].state.inflight == 0)
        assert front.lanes[0].state.ok == 1


async def test_pool_of_many_tongues_fails_over_in_every_order(serve: Serve, parser_kind: str) -> None:
    """IR cases 7, 62, issue: from a foreign lane to one of the client's own, which gets the client's very bytes."""
    path, body = request_of("anthropic")
    async with gateway_over(
        serve, parser_kind, [Script(status=503), SCRIPT], shape=mixed("openai", "anthropic")
    ) as front:
        got = await ask(front, body, path)
    assert got.status == 200
    assert [received.target for received in front.received] == [b"/v1/chat/completions", b"/v1/messages"]
    assert front.received[1].body == body.replace(b'"demo"', b'"kiln"')


async def test_error_in_front_of_a_stream_goes_elsewhere(serve: Serve, parser_kind: str) -> None:
    """IR case 47: nothing was said yet, so another lane says it."""
    fate = [Script(fail_after=0, status=503), SCRIPT]
    async with gateway_over(serve, parser_kind, fate, shape=mixed("anthropic", "gemini")) as front:
        got = await get(front, "openai", in_stream=True)
    assert said_in_stream("openai", got.body) == SAID


async def test_ids_and_seals_come_back(serve: Serve, parser_kind: str) -> None:
    """IR cases 21, 22, 25: the lane sees its own ids and seals, another vendor none of them."""
    async with gateway_over(serve, parser_kind, SCRIPT, shape=mixed("anthropic")) as front:
        first = json.loads((await get(front, "gemini")).body)["candidates"][0]["content"]
        call = next(part["functionCall"] for part in first["parts"] if "functionCall" in part)
        answer = {"functionResponse": {"id": call["id"], "name": TOOL_NAME, "response": {"height": 3}}}
        turns = [{"role": "user", "parts": [{"text": "hi"}]}, first, {"role": "user", "parts": [answer]}]
        await get(front, "gemini", contents=turns)
        native = bench("anthropic").read_answer(json.dumps({"content": []}).encode())
        sent = json.loads(front.received[1].body)["messages"]
    assert native.blocks == []
    blocks = {block["type"]: block for message in sent for block in message["content"]}
    assert blocks["tool_use"]["id"] == blocks["tool_result"]["tool_use_id"]
    assert blocks["tool_use"]["id"].startswith("toolu_01")
    assert "bbf1" not in json.dumps(sent)


async def test_seal_of_another_vendor_never_reaches_a_lane(serve: Serve, parser_kind: str) -> None:
    """IR case 22: yesterday's turn of another vendor is taken out of a body that otherwise stays what it says."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "bbf1gemic2ln"}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "ho"}]},
        {"role": "user", "content": "and?"},
    ]
    async with gateway_over(serve, parser_kind, SCRIPT, shape=mixed("anthropic")) as front:
        got = await get(front, "anthropic", messages=turns)
    assert got.status == 200
    assert b"bbf1" not in front.received[0].body
    assert [len(turn["content"]) for turn in front.received[0].document["messages"]] == [1, 1, 1]


def counted(lane: str, seal: str, name: str = "demo") -> tuple[bytes, dict[str, Any]]:
    """Return where tokens are counted, and of what: a turn of the model, whose thought has this seal if any."""
    said: list[Any] = [{"type": "text", "text": "ho"}]
    turns: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    if lane == "anthropic":
        thought: Any = {"type": "thinking", "thinking": "hm", "signature": seal}
        turns.append({"role": "assistant", "content": [thought, *said] if seal else said})
        return b"/v1/messages/count_tokens", {"model": name, "messages": turns}
    said = [{"text": "ho"}]
    if lane == "bedrock":
        thought = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": seal}}}
        turns = [{"role": "user", "content": [{"text": "hi"}]}]
        turns.append({"role": "assistant", "content": [thought, *said] if seal else said})
        return b"/model/demo/count-tokens", {"input": {"converse": {"messages": turns}}}
    part = {"text": "hm", "thought": True} | ({"thoughtSignature": seal} if seal else {})
    told = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [part, *said]}]}
    if lane == "gemini":
        return b"/v1beta/models/demo:countTokens", told
    return b"/v1beta/models/demo:countTokens", {"generateContentRequest": {"model": f"models/{name}"} | told}


@pytest.mark.parametrize("lane", ["anthropic", "bedrock", "gemini", "gemini, wrapped"])
async def test_seal_of_another_vendor_is_not_sent_to_be_counted(serve: Serve, parser_kind: str, lane: str) -> None:
    """IR case 22: what is counted is what would be asked, in the frame that the vendor wants; all else stays."""
    async with gateway_over(serve, parser_kind, None, shape=mixed(lane.partition(",")[0])) as front:
        for seal in ("bbf1openc2ln", "c2ln"):
            path, document = counted(lane, seal)
            await ask(front, json.dumps(document).encode(), path)
        received = [one.document for one in front.received]
    assert received == [counted(lane, seal, "kiln")[1] for seal in ("", "c2ln")]


async def test_what_is_no_conversation_is_counted_as_it_is(serve: Serve, parser_kind: str) -> None:
    """IR case 22: a body in the words of a model's maker is passed on, whatever stands in it."""
    body = b'{"input": {"invokeModel": {"body": "bbf1openc2ln"}}}'
    async with gateway_over(serve, parser_kind, None, shape=mixed("bedrock")) as front:
        await ask(front, body, b"/model/demo/count-tokens")
    assert [one.body for one in front.received] == [body]


@pytest.mark.parametrize("has_others", [False, True])
@pytest.mark.parametrize("lane", ["anthropic", "bedrock"])
async def test_loop_of_another_vendor_is_looked_for_where_there_are_others(
    serve: Serve, parser_kind: str, lane: str, has_others: bool
) -> None:
    """Anthropic §8: where no other vendor can have begun it, the request is passed on as it is."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    call: Any = {"type": "tool_use", "id": "toolu_bbo1", "name": TOOL_NAME, "input": {}}
    result: Any = {"type": "tool_result", "tool_use_id": "toolu_bbo1", "content": "3"}
    more: dict[str, Any] = {"thinking": thinking}
    if lane == "bedrock":
        call = {"toolUse": {"toolUseId": "tooluse_bbo1", "name": TOOL_NAME, "input": {}}}
        result = {"toolResult": {"toolUseId": "tooluse_bbo1", "content": [{"text": "3"}]}}
        more = {"additionalModelRequestFields": {"thinking": thinking}}
    first = [{"text": "hi"} if lane == "bedrock" else {"type": "text", "text": "hi"}]
    told = (("user", first), ("assistant", [call]), ("user", [result]))
    more["messages"] = [{"role": role, "content": content} for role, content in told]
    lanes = (lane, "openai") if has_others else (lane, lane)
    async with gateway_over(serve, parser_kind, None, None, shape=mixed(*lanes)) as front:
        assert (await get(front, lane, **more)).status == 200
        sent = front.received[0].body
    assert (b'"budget_tokens"' in sent, b"_bbo1" in sent, b'"call_1"' in sent) == (
        (False, False, True) if has_others else (True, True, False)
    )


@pytest.mark.parametrize(
    ("tolerance", "status", "header"),
    [
        (Tolerance(), 200, b""),
        (Tolerance(shows_losses=True), 200, b"from=openai;to=anthropic;dropped=other,seed"),
        (Tolerance("reject"), 400, b""),
        (Tolerance(reject_on=("seed", "labels")), 400, b""),
        (Tolerance("allow", reject_on=("labels",)), 200, b""),
    ],
)
async def test_losses_are_told_as_the_pool_wants_it(
    serve: Serve, parser_kind: str, tolerance: Tolerance, status: int, header: bytes
) -> None:
    """IR cases 8, 11 to 13: counted, told in a header if wanted, refused before anybody is asked if wanted."""
    async with gateway_over(serve, parser_kind, SCRIPT, shape=mixed("anthropic", tolerance=tolerance)) as front:
        got = await get(front, "openai", seed=7, invented=1)
        asked = len(front.received)
        scraped = await ask(front, b"", b"/metrics", b"GET")
    assert (got.status, asked) == (status, 1 if status == 200 else 0)
    assert got.fields.get(b"x-busbar-translation", b"") == header
    if status == 400:
        assert b"seed" in got.body
    else:
        loss = b'busbar_translation_loss_total{action="dropped",field="seed",from="openai",to="anthropic"} 1.0'
        assert loss in scraped.body
    assert b'busbar_translations_total{from="openai",to="anthropic"} 1.0' in scraped.body


@pytest.mark.parametrize(("lanes", "status"), [(("anthropic", "responses"), 200), (("anthropic",), 400)])
async def test_what_a_vendor_keeps_goes_to_that_vendor(
    serve: Serve, parser_kind: str, lanes: tuple[str, ...], status: int
) -> None:
    """Responses §7, IR §6: lanes of the client's own dialect as long as there are any, else a refusal that names it."""
    async with gateway_over(serve, parser_kind, SCRIPT, shape=mixed(*lanes)) as front:
        got = [await get(front, "responses", previous_response_id="resp_1") for _ in range(3)]
    assert [answer.status for answer in got] == [status] * 3
    assert {received.target for received in front.received} == ({b"/v1/responses"} if status == 200 else set())
    if status == 400:
        assert json.loads(got[0].body)["error"]["param"] == "previous_response_id"


async def test_who_cannot_be_asked_in_his_own_words_is_passed_by(serve: Serve, parser_kind: str) -> None:
    """IR §6 and §9: what would be lost or cannot be understood goes to a lane that takes it as it is, and is no hop."""
    shape = mixed("anthropic", "openai", "gemini", tolerance=Tolerance("reject"), settings=PoolSettings(max_hops=0))
    async with gateway_over(serve, parser_kind, SCRIPT, shape=shape) as front:
        got = [await get(front, "openai", invented=7) for _ in range(3)]
        odd = [await get(front, "openai", messages=[{"role": "odd", "content": "x"}]) for _ in range(3)]
        scraped = await ask(front, b"", b"/metrics", b"GET")
    assert {received.target for received in front.received} == {b"/v1/chat/completions"}
    assert [answer.status for answer in (*got, *odd)] == [200] * 6
    assert b'busbar_failovers_total{pool="demo",reason="untranslatable"}' in scraped.body
    assert [lane.state.err for lane in front.lanes] == [0, 0, 0]


@pytest.mark.parametrize(("tolerance", "status"), [(Tolerance(), 400), (Tolerance(drops_guards=True), 200)])
async def test_guardrails_do_not_evaporate(serve: Serve, parser_kind: str, tolerance: Tolerance, status: int) -> None:
    """Bedrock §4: unless the pool lets them."""
    guard = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
    async with gateway_over(serve, parser_kind, SCRIPT, shape=mixed("openai", tolerance=tolerance)) as front:
        got = await get(front, "bedrock", guardrailConfig=guard)
    assert got.status == status


@pytest.mark.parametrize(
    ("more", "param"),
    [({"messages": 5}, "messages"), ({"messages": [{"role": "odd"}]}, "messages[0].role")],
)
async def test_request_of_a_wrong_shape_is_refused(
    serve: Serve, parser_kind: str, more: dict[str, Any], param: str
) -> None:
    """Openai case 9: the field is named, and nobody is asked."""
    async with gateway_over(serve, parser_kind, SCRIPT, shape=mixed("anthropic")) as front:
        got = await get(front, "openai", **more)
        deep = await ask(front, b'{"model":"demo","messages":' + b"[" * 200 + b"]" * 200 + b"}")
    assert (got.status, json.loads(got.body)["error"]["param"]) == (400, param)
    assert (deep.status, front.received) == (400, [])


JSON, EVENTS = b"application/json", b"text/event-stream; charset=utf-8"
STREAMED = (
    b'data: {"choices":[{"index":0,"delta":{"content":"he"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"llo"}%b}]}\n\n'
)
WHOLE = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}'


@pytest.mark.parametrize("client", ["anthropic", "gemini"])
@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"choices":5}', b'{"choices":[]}'])
async def test_answer_that_nobody_can_read(serve: Serve, parser_kind: str, client: str, body: bytes) -> None:
    """Reliability §6: a good status with nonsense is a 500 in the client's words, and the lane is not blamed."""
    async with gateway_over(serve, parser_kind, Utterance(JSON, body), shape=mixed("openai")) as front:
        got = await get(front, client)
        rest = front.lanes[0].state.cell("demo", front.lanes[0].state.cells[""].settings).streak
    assert (got.status, rest) == (500, 0)
    assert "error" in json.loads(got.body)


@pytest.mark.parametrize("client", [name for name in NAMES if name != "openai"])
async def test_document_for_who_asked_for_a_stream(serve: Serve, parser_kind: str, client: str) -> None:
    """Reliability §8: the whole sequence of events that would have said it."""
    async with gateway_over(serve, parser_kind, Utterance(JSON, WHOLE), shape=mixed("openai")) as front:
        got = await get(front, client, in_stream=True)
    assert said_in_stream(client, got.body) == Said("", "hello", [])


@pytest.mark.parametrize("client", [name for name in NAMES if name != "openai"])
async def test_stream_for_who_asked_for_a_document(serve: Serve, parser_kind: str, client: str) -> None:
    """IR §5: what came in pieces is collected."""
    whole = STREAMED % b',"finish_reason":"stop"'
    async with gateway_over(serve, parser_kind, Utterance(EVENTS, whole), shape=mixed("openai")) as front:
        got = await get(front, client)
    assert said_in(client, got.body) == Said("", "hello", [])


async def test_torn_stream_is_no_document(serve: Serve, parser_kind: str) -> None:
    """IR case 44: half an answer goes to the next lane instead of passing for a whole one; an error does too."""
    failed = b'data: {"error":{"message":"busy"}}\n\n'
    fate = [Utterance(EVENTS, STREAMED % b""), Utterance(EVENTS, failed), Utterance(JSON, WHOLE)]
    async with gateway_over(serve, parser_kind, *fate, shape=mixed("openai")) as front:
        got = await get(front, "anthropic")
    assert said_in("anthropic", got.body) == Said("", "hello", [])
    assert len(front.received) == 3


async def test_patience_with_a_lane_ends_with_it(tmp_path: Path, serve: Serve) -> None:
    """IR §6 "start": a lane that breaks off early leaves nothing behind that begins another's stream."""
    torn, slow = Script(cut_at=100), Script(deltas=3, delay_frame_ms=250)
    members = "{target: m0, cost_per_mtok: 1}, {target: m1, cost_per_mtok: 2}"
    async with fleet(tmp_path, serve, torn, slow, dialect="anthropic", members=members, pool="route: cheapest") as made:
        made.dialect = "openai"
        answer = await made.ask(stream=True)
        assert made.asked == "01"
        assert answer.status == 200
        assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_stream_that_nobody_can_read_is_counted_apart(serve: Serve, parser_kind: str) -> None:
    """Operations §7: what a lane garbled in good order ends natively, as its failure, and not as a cut connection."""
    frames = bytearray(streamed("bedrock", Script(text="0123456789" * 200_000, delta_chars=10_000)))
    frames[-20_000] ^= 1  # behind more than is read at once
    fate = Utterance(b"application/vnd.amazon.eventstream", bytes(frames))
    async with gateway_over(serve, parser_kind, fate, shape=mixed("bedrock")) as front:
        got = await get(front, "openai", in_stream=True)
        scraped = await ask(front, b"", b"/metrics", b"GET")
    assert got.status == 200
    assert b"0123456789" in got.body
    assert b'"error"' in got.body
    assert b'busbar_streams_aborted_total{pool="demo",reason="translate"} 1.0' in scraped.body
    assert b'busbar_streams_aborted_total{pool="demo",reason="upstream"} 0.0' in scraped.body
