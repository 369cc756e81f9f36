"""Vectors for clients of one dialect from lanes of another, over real sockets and with the official clients."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from busbar_fast.gateway.offers import Tolerance
from busbar_fast.mock.content import estimate_tokens
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from tests.system.fleets import fleet
from tests.system.gateways import Fate, Front, Shape, Utterance, gateway_over
from tests.system.governing import governed
from tests.system.rawclient import Answer
from tests.system.sdk import Caller, Stand, openai_caller
from tests.system.sdk_callers import contents_caller
from tests.system.sdk_cohere import cohere_caller
from tests.system.serving import Serve, post
from tests.system.test_gateway import ask

POOL = "demo"
TITAN, OTHERS = "amazon.titan-embed-text-v2:0", "cohere.embed-v4:0"
TEXTS = ["the tide is höch", "two"]
# Each lane as a dialect and a model, with the path that it is asked by.
LANES = {
    "gemini": ("gemini", "gemini-embedding-001", b"/v1beta/models/gemini-embedding-001:batchEmbedContents"),
    "cohere": ("cohere", "embed-v4.0", b"/v2/embed"),
    "bedrock": ("bedrock", OTHERS, b"/model/cohere.embed-v4%3A0/invoke"),
}
FOREIGN = pytest.mark.parametrize("lane", LANES)
BOTH_WAYS = pytest.mark.parametrize("kind", ["sync", "async"])
LENIENT: Any = {"_strict_response_validation": False}
JSON = b"application/json"
DOWN = Script(status=503)


def mixed(*dialects: str, model: str = TITAN, **changes: Any) -> Shape:
    """Return a pool whose lanes clients of all dialects reach."""
    return Shape(dialects=dialects, model=model, is_mixed=True, **changes)


def vectors_of(texts: list[str], **more: object) -> list[list[float]]:
    """Return what the mock makes of these texts, whoever is asked."""
    body = json.dumps({"model": "m", "input": texts, **more}).encode()
    rows = json.loads(answer(b"POST", b"/v1/embeddings", {}, body).frames[0])["data"]
    return [row["embedding"] for row in rows]


@asynccontextmanager
async def calling(
    serve: Serve, parser: str, kind: str, shape: Shape, *fates: Fate
) -> AsyncIterator[tuple[Front, Caller]]:
    """Open OpenAI's client on a gateway over one backend, or one for each fate."""
    async with (
        gateway_over(serve, parser, *(fates or (None,)), shape=shape) as front,
        openai_caller(Stand(front), kind, **LENIENT) as caller,
    ):
        yield front, caller


async def embed(front: Front, **members: object) -> Answer:
    """Ask for vectors without a client."""
    body = json.dumps({"model": POOL, "input": "one", **members}).encode()
    return await ask(front, body, b"/v1/embeddings")


@BOTH_WAYS
@FOREIGN
@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
async def test_openai_embeds(serve: Serve, parser_kind: str, kind: str, lane: str, form: Any) -> None:
    """OpenAI case 66: one text or several, in floats and in the base64 that the client asks for by itself."""
    dialect, model, target = LANES[lane]
    async with calling(serve, parser_kind, kind, mixed(dialect, model=model)) as (front, caller):
        several = await caller.ask(lambda client: client.embeddings.create(model=POOL, input=TEXTS, **form))
        one = await caller.ask(
            lambda client: client.embeddings.create(model=POOL, input=TEXTS[0], dimensions=3, **form)
        )
        assert {received.target for received in front.received} == {target}
        assert front.received[0].fields[b"content-type"] == JSON
        expected = vectors_of(TEXTS, **form), vectors_of(TEXTS[:1], dimensions=3, **form)
        assert ([row.embedding for row in several.data], [row.embedding for row in one.data]) == expected
        assert [(row.object, row.index) for row in several.data] == [("embedding", 0), ("embedding", 1)]
        assert (several.object, several.model) == ("list", model)
        assert several.usage.prompt_tokens == several.usage.total_tokens == sum(map(estimate_tokens, TEXTS))


@BOTH_WAYS
async def test_openai_embeds_one_text_at_a_time(serve: Serve, parser_kind: str, kind: str) -> None:
    """OpenAI §13: a lane that takes one text a call takes a list of one, and refuses others before it is asked."""
    async with calling(serve, parser_kind, kind, mixed("bedrock")) as (front, caller):
        got = await caller.ask(lambda client: client.embeddings.create(model=POOL, input=TEXTS[:1], dimensions=256))
        assert [row.embedding for row in got.data] == vectors_of(TEXTS[:1], dimensions=256)
        assert got.usage.prompt_tokens == estimate_tokens(TEXTS[0])
        assert front.received[0].document == {"inputText": TEXTS[0], "dimensions": 256}
        with pytest.raises(openai.BadRequestError, match="one text at a time") as caught:
            await caller.ask(lambda client: client.embeddings.create(model=POOL, input=TEXTS))
        assert (caught.value.param, len(front.received)) == ("input", 1)
        assert front.counts == [(1, 0)]


@FOREIGN
@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]]])
async def test_tokens_are_refused(serve: Serve, parser_kind: str, lane: str, tokens: Any) -> None:
    """OpenAI case 66: whole numbers mean nothing to another vendor, and nobody is asked."""
    dialect, model, _ = LANES[lane]
    async with calling(serve, parser_kind, "async", mixed(dialect, model=model)) as (front, caller):
        with pytest.raises(openai.BadRequestError, match="not tokens") as caught:
            await caller.ask(lambda client: client.embeddings.create(model=POOL, input=tokens))
        assert (caught.value.param, caught.value.type) == ("input", "invalid_request_error")
        assert (front.received, front.counts) == ([], [(0, 0)])


async def test_tokens_go_to_a_lane_that_reads_them(serve: Serve, parser_kind: str) -> None:
    """OpenAI case 66: a pool with a lane of the client's dialect serves them by that one, as they stand."""
    said = Utterance(JSON, b'{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":2,"total_tokens":2}}')
    async with gateway_over(serve, parser_kind, said, shape=mixed("gemini", "openai", "cohere")) as front:
        got = [await embed(front, input=[1, 2]) for _ in range(3)]
    assert [one.body for one in got] == [said.body] * 3
    assert {received.target for received in front.received} == {b"/v1/embeddings"}


@pytest.mark.parametrize(
    ("tolerance", "status", "header"),
    [
        (Tolerance(), 200, b""),
        (Tolerance(shows_losses=True), 200, b"from=openai;to=gemini;dropped=user,other"),
        (Tolerance("reject"), 400, b""),
    ],
)
async def test_losses_are_told_as_the_pool_wants_it(
    serve: Serve, parser_kind: str, tolerance: Tolerance, status: int, header: bytes
) -> None:
    """OpenAI §13, IR cases 8, 11 to 13: who asks and what nobody knows is counted, told or refused."""
    async with gateway_over(serve, parser_kind, None, shape=mixed("gemini", tolerance=tolerance)) as front:
        got = await embed(front, user="u", invented=1)
        scraped = await ask(front, b"", b"/metrics", b"GET")
    assert (got.status, len(front.received)) == (status, 1 if status == 200 else 0)
    assert got.fields.get(b"x-busbar-translation", b"") == header
    if status == 400:
        assert b"other, user" in got.body
    else:
        assert b'loss_total{action="dropped",field="user",from="openai",to="gemini"} 1.0' in scraped.body
        assert b'loss_total{action="filled",field="usage",from="gemini",to="openai"} 1.0' in scraped.body
        assert b"invented" not in front.received[0].body
    assert b'busbar_translations_total{from="openai",to="gemini"} 1.0' in scraped.body


@pytest.mark.parametrize("dialects", [("gemini", "cohere"), ("cohere", "bedrock"), ("bedrock", "openai")])
async def test_a_lane_that_fails_is_followed_by_one_of_another_dialect(
    serve: Serve, parser_kind: str, dialects: tuple[str, ...]
) -> None:
    """OpenAI §13, IR case 62: each attempt is written anew from what the client sent."""
    shape = mixed(*dialects)
    async with calling(serve, parser_kind, "async", shape, [DOWN, None]) as (front, caller):
        got = await caller.ask(lambda client: client.embeddings.create(model=POOL, input=TEXTS[:1]))
        assert [row.embedding for row in got.data] == vectors_of(TEXTS[:1])
        assert len(front.received) == 2
        assert front.counts == [(0, 1), (1, 0)]


async def test_a_lane_that_takes_one_text_is_passed_by(serve: Serve, parser_kind: str) -> None:
    """IR §6: who cannot be asked for several is no hop, and is not blamed."""
    async with gateway_over(serve, parser_kind, None, shape=mixed("bedrock", "cohere")) as front:
        got = [await embed(front, input=TEXTS) for _ in range(3)]
    assert [one.status for one in got] == [200] * 3
    assert {received.target for received in front.received} == {b"/v2/embed"}
    assert front.counts == [(0, 0), (3, 0)]


@FOREIGN
@pytest.mark.parametrize(("status", "shown"), [(400, 400), (429, 503), (503, 503)])
async def test_errors_are_worded_for_the_client(
    serve: Serve, parser_kind: str, lane: str, status: int, shown: int
) -> None:
    """IR cases 67, 68: status and hint when to come back are kept, the text of a client's own mistake too."""
    dialect, model, _ = LANES[lane]
    fate = Script(status=status, error="too odd a text", retry_after_s=7)
    async with gateway_over(serve, parser_kind, fate, shape=mixed(dialect, model=model)) as front:
        got = await embed(front)
    error = json.loads(got.body)["error"]
    assert (got.status, set(error)) == (shown, {"message", "type", "param", "code"})
    assert ("too odd a text" in error["message"]) is (status == 400)


@pytest.mark.parametrize("lanes", [("anthropic",), ("responses", "anthropic"), ("bedrock",)])
async def test_lanes_without_the_operation_are_no_candidates(
    serve: Serve, parser_kind: str, lanes: tuple[str, ...]
) -> None:
    """OpenAI §13: nobody makes vectors, so the answer is 404 and no lane is hurt."""
    shape = mixed(*lanes, model="anthropic.claude-3")
    async with calling(serve, parser_kind, "async", shape) as (front, caller):
        with pytest.raises(openai.NotFoundError):
            await caller.ask(lambda client: client.embeddings.create(model=POOL, input="one"))
        assert (front.received, {*front.counts}) == ([], {(0, 0)})


@pytest.mark.parametrize(
    "body",
    [b"{", b"[1]", b'{"embeddings":5}', b'{"embeddings":[]}', b'{"embeddings":[{"values":["x"]}]}',
     b'{"embeddings":[{"values":[1e300]}]}'],
)  # fmt: skip
async def test_answer_that_nobody_can_read(serve: Serve, parser_kind: str, body: bytes) -> None:
    """Reliability §6: a good status with nonsense is a 500 in the client's words, and the lane is not blamed."""
    async with gateway_over(serve, parser_kind, Utterance(JSON, body), shape=mixed("gemini")) as front:
        got = await embed(front, encoding_format="base64")
        rest = front.lanes[0].state.cell(POOL, front.lanes[0].state.cells[""].settings).streak
    assert (got.status, rest) == (500, 0)
    assert "error" in json.loads(got.body)


async def test_error_with_a_good_status_goes_elsewhere(serve: Serve, parser_kind: str) -> None:
    """IR case 47: it is no answer, so another lane is asked."""
    fate = [Utterance(JSON, b'{"error":{"code":503,"message":"no","status":"UNAVAILABLE"}}'), None]
    async with gateway_over(serve, parser_kind, fate, shape=mixed("gemini", "cohere")) as front:
        got = await embed(front)
    assert json.loads(got.body)["data"][0]["embedding"] == vectors_of(["one"])[0]
    assert [received.target for received in front.received][1] == b"/v2/embed"


async def test_body_that_is_no_json_is_refused(serve: Serve, parser_kind: str) -> None:
    """OpenAI case 69: nobody is asked for what is nested too deeply or cannot be read."""
    deep = b'{"model":"demo","input":' + b"[" * 200 + b"]" * 200 + b"}"
    async with gateway_over(serve, parser_kind, None, shape=mixed("gemini")) as front:
        got = [await ask(front, body, b"/v1/embeddings") for body in (deep, b'{"model":"demo","input":}')]
    assert ([one.status for one in got], front.received) == ([400, 400], [])


# What it costs


@pytest.mark.parametrize("dialect", ["gemini", "cohere", "bedrock"])
async def test_keys_pay_for_what_went_in(tmp_path: Path, serve: Serve, dialect: str) -> None:
    """Governance §7: tokens are charged as the lane counts them, and guessed where it does not."""
    async with governed(tmp_path, serve, None, dialect=dialect, model=f"upstream_model: '{TITAN}'") as board:
        key = await board.mint()
        client = board.fleet.site.connect()
        line = b"Authorization: Bearer %b" % key["secret"].encode()
        client.send(post(json.dumps({"model": "pool", "input": TEXTS[0]}).encode(), line, target=b"/v1/embeddings"))
        got = await client.read_answer()
        client.close()
        told = json.loads(got.body)["usage"]["prompt_tokens"]
        assert (await board.usage(key))[1:] == (told, 1)
        assert told == estimate_tokens(TEXTS[0])


async def test_tokens_are_counted_by_lane(tmp_path: Path, serve: Serve) -> None:
    """Operations §5: what went in is a series of the lane that answered."""
    top = "observability: {token_metrics: true}\n"
    async with fleet(tmp_path, serve, DOWN, None, dialect="cohere", top=top) as made:
        client = made.site.connect()
        client.send(post(json.dumps({"model": "pool", "input": TEXTS}).encode(), target=b"/v1/embeddings"))
        assert (await client.read_answer()).status == 200
        client.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
        scraped = (await client.read_answer()).body.decode()
        client.close()
    tokens = sum(map(estimate_tokens, TEXTS))
    assert f'busbar_tokens_total{{direction="input",lane="m1",pool="pool"}} {tokens}.0' in scraped
    assert made.asked == "01"


# The way back


@BOTH_WAYS
@pytest.mark.parametrize("lane", ["openai", "cohere", "bedrock"])
async def test_gemini_is_served_by_others(serve: Serve, parser_kind: str, kind: str, lane: str) -> None:
    """Gemini §1, OpenAI §13: texts, length and purpose of a batch cross too."""
    config = {"output_dimensionality": 3, "task_type": "RETRIEVAL_QUERY"}
    async with (
        gateway_over(serve, parser_kind, None, shape=mixed(lane, model=OTHERS)) as front,
        contents_caller(Stand(front), kind) as caller,
    ):
        got = await caller.ask(lambda client: client.models.embed_content(model=POOL, contents=TEXTS, config=config))
        assert [row.values for row in got.embeddings] == vectors_of(TEXTS, dimensions=3)
        said = front.received[0].document
        assert said.get("input_type", "search_query") == "search_query"


@BOTH_WAYS
@pytest.mark.parametrize("lane", ["openai", "gemini", "bedrock"])
async def test_cohere_is_served_by_others(serve: Serve, parser_kind: str, kind: str, lane: str) -> None:
    """Cohere §1, OpenAI §13: texts, length and purpose cross too."""
    asked: Any = {"texts": TEXTS, "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 3}
    async with (
        gateway_over(serve, parser_kind, None, shape=mixed(lane, model=OTHERS)) as front,
        cohere_caller(Stand(front), kind) as caller,
    ):
        got = await caller.ask(lambda client: client.embed(model=POOL, **asked))
        assert got.embeddings.float_ == vectors_of(TEXTS, dimensions=3)
        assert got.meta.billed_units.input_tokens == sum(map(estimate_tokens, TEXTS))
        assert front.received[0].target != b"/v2/embed"


async def test_one_text_of_gemini(serve: Serve, parser_kind: str) -> None:
    """Gemini §1: who asks for one vector gets one."""
    body = json.dumps({"content": {"parts": [{"text": TEXTS[0]}]}}).encode()
    async with gateway_over(serve, parser_kind, None, shape=mixed("bedrock")) as front:
        got = await ask(front, body, b"/v1beta/models/demo:embedContent")
    assert json.loads(got.body)["embedding"]["values"] == vectors_of(TEXTS[:1])[0]
