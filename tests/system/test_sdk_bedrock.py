"""The official AWS client, boto3, against the gateway: what either side says arrives as it was said.

Refusals, keys and broken answers are the subject of `test_sdk_bedrock_faults`, signatures that of
`test_sdk_bedrock_signing`.
"""

import base64
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from busbar_fast.mock.content import SIGNATURE
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script, Stop
from tests.system.sdk import MODEL, OWN_KEY, PNG, POOL, TOKEN, Stand, in_thread, stand
from tests.system.sdk_callers import converse_client, deployed, make_room
from tests.system.serving import Serve, all_of

SAID = "You said: hi"
TURNS: Any = [{"role": "user", "content": [{"text": "hi"}]}]
ASK: Any = {"modelId": POOL, "messages": TURNS}
TOOLS: Any = {
    "tools": [{"toolSpec": {"name": "tide_at", "inputSchema": {"json": {"type": "object", "properties": {}}}}}],
    "toolChoice": {"any": {}},
}
CALL = Script(tools=("tide_at",), args='{"port":"Brest","hours":24}')
ARGS = {"port": "Brest", "hours": 24}
CALL_ID = "tooluse_MockMockMockMockMockM1"
REQUEST_ID = "5eed0000-5eed-4000-8000-00000000b00c"
WHOLE = f"/model/{MODEL}/converse".encode()
STREAM = f"/model/{MODEL}/converse-stream".encode()
ARN = "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.kiln-v1:0"
RAW_ARN = b"arn%3Aaws%3Abedrock%3Aeu-west-1%3A111122223333%3Ainference-profile%2Feu.kiln-v1%3A0"
CONFIG = """
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: [<token>]}
providers:
  vendor: {protocol: bedrock, base_url: "http://127.0.0.1:<port>", region: eu-west-1, api_key_env: UP_KEY}
models:
  "kiln.large-v1:0": {provider: vendor, upstream_model: "<arn>"}
  "<arn>": {provider: vendor}
  "family/kiln": {provider: vendor, upstream_model: "kiln.large-v1:0"}
  "100%": {provider: vendor, upstream_model: "a%41"}
pools:
  "a pool": {members: [{target: family/kiln}]}
""".replace("<arn>", ARN)


def converse(made: Stand, **members: Any) -> Any:
    """Return what the client reads of a whole answer."""
    with converse_client(made) as client:
        return client.converse(**(ASK | members))


def stream(made: Stand, **members: Any) -> list[Any]:
    """Return the events that the client reads of a stream."""
    with converse_client(made) as client:
        return list(client.converse_stream(**(ASK | members))["stream"])


def deltas_of(events: list[Any], kind: str) -> list[Any]:
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    return [delta[kind] for delta in deltas if kind in delta]


def check_received(made: Stand, target: bytes = WHOLE) -> None:
    """The backend got the very body that the client sent, our key, and nothing else of the client."""
    sent, got = made.sent[-1], made.last
    is_stream = target.endswith(b"-stream")
    assert (got.method, got.target, got.body) == (b"POST", target, sent.body)
    assert got.fields == {
        b"host": b"h",
        b"content-type": b"application/json",
        b"accept": b"application/vnd.amazon.eventstream" if is_stream else b"application/json",
        b"authorization": f"Bearer {OWN_KEY}".encode(),
    }
    assert sent.fields["authorization"] == f"Bearer {TOKEN}"
    assert {"amz-sdk-invocation-id", "amz-sdk-request"} <= set(sent.fields)


async def test_text_arrives_whole(serve: Serve, parser_kind: str) -> None:
    """Bedrock §11: every member of a whole answer is what the backend said, and the body what the client said."""
    async with stand(serve, parser_kind) as made:
        more = {"system": [{"text": "Be brief."}], "inferenceConfig": {"maxTokens": 64, "temperature": 0.5}}
        said = await in_thread(lambda: converse(made, **more))
        head = said.pop("ResponseMetadata")
        assert said == {
            "output": {"message": {"role": "assistant", "content": [{"text": SAID}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 1, "outputTokens": 3, "totalTokens": 4},
            "metrics": {"latencyMs": 318},
        }
        assert (head["RequestId"], head["HTTPStatusCode"]) == (REQUEST_ID, 200)
        assert head["HTTPHeaders"]["content-type"] == "application/json"
        check_received(made)
        assert made.last.document == {"messages": TURNS} | more
        assert made.counts("bedrock") == [(1, 0), (0, 0)]


async def test_text_arrives_streamed(serve: Serve, parser_kind: str) -> None:
    """Bedrock case 38: each frame of a stream arrives as one event, and the answer's id in its head."""
    script = Script(text="The tide turns at six.", delta_chars=4, usage_in=9, usage_out=6)
    async with stand(serve, parser_kind, script) as made:

        def read() -> tuple[Any, list[Any]]:
            with converse_client(made) as client:
                said = client.converse_stream(**ASK)
                return said["ResponseMetadata"], list(said["stream"])

        head, events = await in_thread(read)
        assert head["RequestId"] == REQUEST_ID
        assert head["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
        assert deltas_of(events, "text") == ["The ", "tide", " tur", "ns a", "t si", "x."]
        assert events[0] == {"messageStart": {"role": "assistant"}}
        assert events[-3:] == [
            {"contentBlockStop": {"contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {
                "metadata": {
                    "usage": {"inputTokens": 9, "outputTokens": 6, "totalTokens": 15},
                    "metrics": {"latencyMs": 318},
                }
            },
        ]
        check_received(made, STREAM)


async def test_bytes_are_left_alone(serve: Serve, parser_kind: str) -> None:
    """Bedrock cases 1 and 54: odd bodies go up untouched, and frames come down as they were written."""
    script = Script(thinking=True, tools=("tide_at",), text="Marée haute 🌊", split=7)
    body = b'{ "messages" : [{"role":"user","content":[{"text":"hi"}]}] , "model":"pool",\n"stream":true,"t":1e0}'
    async with stand(serve, parser_kind, script) as made, httpx.AsyncClient() as client:
        for target in (WHOLE, STREAM):
            url = made.origin + target.decode().replace(MODEL, POOL)
            got = await client.post(url, content=body, headers={"authorization": f"Bearer {TOKEN}"})
            assert (made.last.target, made.last.body) == (target, body)
            frames = answer(b"POST", target, made.last.fields, body, script).frames
            assert got.content == b"".join(frames)
            assert got.headers["x-amzn-requestid"] == REQUEST_ID


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_tool_call_and_its_result_go_round(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock §6: a call arrives with its arguments, and the next turn takes call and result to the other lane."""
    async with stand(serve, parser_kind, CALL, Script(text="At six.")) as made:
        if is_streamed:
            events = await in_thread(lambda: stream(made, toolConfig=TOOLS))
            start = next(event["contentBlockStart"] for event in events if "contentBlockStart" in event)
            assert start == {
                "contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": CALL_ID, "name": "tide_at"}},
            }  # fmt: skip
            args = orjson.loads("".join(delta["input"] for delta in deltas_of(events, "toolUse")))
            call: Any = {"toolUse": start["start"]["toolUse"] | {"input": args}}
            assert {"messageStop": {"stopReason": "tool_use"}} in events
        else:
            said = await in_thread(lambda: converse(made, toolConfig=TOOLS))
            (call,) = said["output"]["message"]["content"]
            assert said["stopReason"] == "tool_use"
        assert call == {"toolUse": {"toolUseId": CALL_ID, "name": "tide_at", "input": ARGS}}
        result = {"toolResult": {"toolUseId": CALL_ID, "content": [{"json": {"at": "06:00"}}], "status": "success"}}
        turns = [*TURNS, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        said = await in_thread(lambda: converse(made, toolConfig=TOOLS, messages=turns))
        assert said["output"]["message"]["content"] == [{"text": "At six."}]
        check_received(made)
        assert made.last.document == {"messages": turns, "toolConfig": TOOLS}
        assert made.visits == (1, 1)


async def test_pictures_and_documents_arrive(serve: Serve, parser_kind: str) -> None:
    """Bedrock §5: pictures and documents by value reach the backend as the client encoded them."""
    raw = base64.b64decode(PNG)
    blocks = [
        {"image": {"format": "png", "source": {"bytes": raw}}},
        {"document": {"format": "txt", "name": "tides", "source": {"bytes": "Marée".encode()}}},
        {"text": "What is this?"},
    ]
    async with stand(serve, parser_kind) as made:
        said = await in_thread(lambda: converse(made, messages=[{"role": "user", "content": blocks}]))
        assert said["output"]["message"]["content"] == [{"text": "You said: What is this?"}]
        check_received(made)
        picture, document, _ = made.last.document["messages"][0]["content"]
        assert picture["image"]["source"]["bytes"] == PNG
        assert base64.b64decode(document["document"]["source"]["bytes"]).decode() == "Marée"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_reasoning_keeps_its_signature(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock case 22: reasoning arrives signed, and goes back with the next turn as it was."""
    more = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    async with stand(serve, parser_kind, Script(thinking=True, delta_chars=9)) as made:
        if is_streamed:
            pieces = deltas_of(await in_thread(lambda: stream(made, **more)), "reasoningContent")
            text = "".join(piece.get("text", "") for piece in pieces)
            (signature,) = [piece["signature"] for piece in pieces if "signature" in piece]
        else:
            said = await in_thread(lambda: converse(made, **more))
            reasoning = said["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"]
            text, signature = reasoning["text"], reasoning["signature"]
        assert (text, signature) == ("The user wants an answer, so I give one.", SIGNATURE)
        blocks = [
            {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}},
            {"reasoningContent": {"redactedContent": b"\x00odd/+"}},
            {"text": SAID},
        ]
        turns = [*TURNS, {"role": "assistant", "content": blocks}, *TURNS]
        await in_thread(lambda: converse(made, messages=turns, **more))
        check_received(made)
        first, second, _ = made.last.document["messages"][1]["content"]
        assert first == blocks[0]
        assert base64.b64decode(second["reasoningContent"]["redactedContent"]) == b"\x00odd/+"
        assert made.last.document["additionalModelRequestFields"] == more["additionalModelRequestFields"]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_cache_points_arrive_and_cached_tokens_are_read(
    serve: Serve, parser_kind: str, *, is_streamed: bool
) -> None:
    """Bedrock case 16: cache points keep their places, and the client reads what the cache gave and took."""
    script = Script(usage_in=100, usage_out=18, cached=30, cache_write=20)
    point: Any = {"cachePoint": {"type": "default", "ttl": "1h"}}
    more: Any = {
        "system": [{"text": "Long rules."}, point, {"text": "More."}],
        "messages": [{"role": "user", "content": [{"text": "hi"}, point]}],
        "toolConfig": {"tools": [*TOOLS["tools"], point]},
    }
    async with stand(serve, parser_kind, script) as made:
        if is_streamed:
            usage = (await in_thread(lambda: stream(made, **more)))[-1]["metadata"]["usage"]
        else:
            usage = (await in_thread(lambda: converse(made, **more)))["usage"]
        assert usage == {
            "inputTokens": 50,
            "outputTokens": 18,
            "totalTokens": 118,
            "cacheReadInputTokens": 30,
            "cacheWriteInputTokens": 20,
        }
        check_received(made, STREAM if is_streamed else WHOLE)
        assert made.last.document == more


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(stop=Stop.LENGTH), "max_tokens"),
        (Script(stop=Stop.SEQUENCE), "stop_sequence"),
        (Script(stop=Stop.SAFETY), "content_filtered"),
        (Script(stop_raw="guardrail_intervened"), "guardrail_intervened"),
    ],
)
async def test_stop_reasons_arrive(serve: Serve, parser_kind: str, script: Script, reason: str) -> None:
    """Bedrock case 35: the reason is the backend's own word, and the matched sequence beside it, if asked for."""
    more = {"inferenceConfig": {"stopSequences": ["END"]}, "additionalModelResponseFieldPaths": ["/stop_sequence"]}
    async with stand(serve, parser_kind, script) as made:
        said = await in_thread(lambda: converse(made, **more))
        events = await in_thread(lambda: stream(made, **more))
        (stop,) = [event["messageStop"] for event in events if "messageStop" in event]
        matched = {"stop_sequence": "END"} if reason == "stop_sequence" else None
        assert (said["stopReason"], said.get("additionalModelResponseFields")) == (reason, matched)
        assert (stop["stopReason"], stop.get("additionalModelResponseFields")) == (reason, matched)


async def test_tokens_are_counted_by_the_backend(serve: Serve, parser_kind: str) -> None:
    """Bedrock §1: the counter is asked at its own path."""
    async with stand(serve, parser_kind, Script(usage_in=41)) as made:

        def count() -> Any:
            with converse_client(made) as client:
                return client.count_tokens(modelId=POOL, input={"converse": {"messages": TURNS}})

        assert (await in_thread(count))["inputTokens"] == 41
        check_received(made, f"/model/{MODEL}/count-tokens".encode())


@pytest.mark.parametrize(
    ("name", "raw_model"),
    [
        ("kiln.large-v1:0", RAW_ARN),
        (ARN, RAW_ARN),
        ("family/kiln", b"kiln.large-v1%3A0"),
        ("a pool", b"kiln.large-v1%3A0"),
        ("vendor/family/kiln", b"kiln.large-v1%3A0"),
        ("100%", b"a%2541"),
    ],
)
async def test_names_with_slashes_and_colons_resolve(serve: Serve, tmp_path: Path, name: str, raw_model: bytes) -> None:
    """Bedrock cases 2 and 3: a name is decoded once, and the lane's own goes up as one encoded segment."""
    async with deployed(serve, tmp_path, CONFIG) as made:
        said = await in_thread(lambda: converse(made, modelId=name))
        events = await in_thread(lambda: stream(made, modelId=name))
        assert said["output"]["message"]["content"] == [{"text": SAID}]
        assert deltas_of(events, "text") == [SAID]
        places = [received.target for received in made.received]
        assert places == [b"/model/" + raw_model + b"/converse", b"/model/" + raw_model + b"/converse-stream"]
        assert [received.body for received in made.received] == [sent.body for sent in made.sent]


async def test_many_streams_at_once_keep_apart(serve: Serve, parser_kind: str) -> None:
    """Bedrock case 54: 32 streams through one gateway each say what their own request said."""
    make_room()
    script = Script(delta_chars=3, delay_frame_ms=1)
    async with stand(serve, parser_kind, script) as made:

        def read(client: Any, number: int) -> str:
            turns = [{"role": "user", "content": [{"text": f"number {number}"}]}]
            events = client.converse_stream(modelId=POOL, messages=turns)["stream"]
            return "".join(deltas_of(list(events), "text"))

        with converse_client(made, max_pool_connections=32) as client:
            texts = await all_of(in_thread(partial(read, client, number)) for number in range(32))
        assert texts == [f"You said: number {number}" for number in range(32)]
        assert made.counts("bedrock") == [(16, 0), (16, 0)]
