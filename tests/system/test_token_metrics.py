"""Tokens counted as answers pass, in all six dialects, and what of that a client sees: nothing."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from busbar_fast.aws.eventstream import encode_event, encode_exception
from busbar_fast.mock.script import Script
from tests.system.doors import BY_NAME, DOORS, LANE_KEY, MODEL, Door, House, Keeper, Seen, chunked, config, cuts, read
from tests.system.engines import running
from tests.system.gateways import Received
from tests.system.origins import serving_upstream
from tests.system.rawclient import RawClient, turns
from tests.system.sdk import POOL, openai_caller
from tests.system.sdk_callers import KINDS, deployed
from tests.system.serving import Serve, post, until

ON = "observability: {token_metrics: true}\n"
CLOSE = b"Connection: close"
EVENTS = b"text/event-stream; charset=utf-8"
FRAMES = b"application/vnd.amazon.eventstream"
EVERY_DOOR = pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])
OPENAI, ANTHROPIC, GEMINI, BEDROCK = (BY_NAME[name] for name in ("openai", "anthropic", "gemini", "bedrock"))
_SAMPLE = re.compile(r'busbar_tokens_total\{direction="(\w+)",lane="([^"]*)",pool="([^"]*)"\} (\S+)')
ASKED = b'"stream_options":{"include_usage":true},'


def sse(*payloads: bytes, name: bytes = b"") -> bytes:
    """Return events."""
    return b"".join((b"event: %b\n" % name if name else b"") + b"data: %b\n\n" % payload for payload in payloads)


# For each dialect: a document with its usage, the events of a stream, and what both come to.
ANSWERS: dict[str, tuple[bytes, list[bytes], tuple[int, int]]] = {
    "openai": (
        b'{"choices":[{"message":{"content":"\\"usage\\":{"}}], "usage": {"prompt_tokens":31,"completion_tokens":18}}',
        [
            sse(b'{"choices":[{"delta":{"content":"high"},"finish_reason":null}],"usage":null}'),
            sse(b'{"choices":[{"delta":{"content":"\xc3\xa9 \\"usage\\":null "},"finish_reason":null}],"usage":null}'),
            sse(b'{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}'),
            sse(b'{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":18}}'),
            sse(b"[DONE]"),
        ],
        (31, 18),
    ),
    "responses": (
        b'{"object":"response","output":[],"usage":{"input_tokens":31,"output_tokens":18}}',
        [
            sse(b'{"type":"response.created","response":{"usage":null}}', name=b"response.created"),
            sse(b'{"type":"response.output_text.delta","delta":"high"}', name=b"response.output_text.delta"),
            sse(b'{"response":{"usage":{"input_tokens":31,"output_tokens":18}}}', name=b"response.completed"),
        ],
        (31, 18),
    ),
    "anthropic": (
        b'{"content":[],"usage":{"input_tokens":20,"cache_read_input_tokens":11,"output_tokens":18}}',
        [
            sse(
                b'{"message":{"usage":{"input_tokens":20,"cache_read_input_tokens":11,"output_tokens":1}}}',
                name=b"message_start",
            ),
            sse(b'{"index":0,"delta":{"type":"text_delta","text":"high"}}', name=b"content_block_delta"),
            sse(b'{"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":18}}', name=b"message_delta"),
            sse(b'{"type":"message_stop"}', name=b"message_stop"),
        ],
        (31, 18),
    ),
    "cohere": (
        b'{"message":{},"usage":{"billed_units":{"input_tokens":1},"tokens":{"input_tokens":31.0,"output_tokens":18}}}',
        [
            sse(b'{"type":"content-delta","delta":{"message":{}}}', name=b"content-delta"),
            sse(
                b'{"delta":{"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":31,"output_tokens":18}}}}',
                name=b"message-end",
            ),
            sse(b"[DONE]"),
        ],
        (31, 18),
    ),
    "gemini": (
        b'{"candidates":[],"usageMetadata":{"promptTokenCount":31,"candidatesTokenCount":12,"thoughtsTokenCount":6}}',
        [
            sse(b'{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":31}}'),
            sse(b'{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":18}}'),
        ],
        (31, 18),
    ),
    "bedrock": (
        b'{"output":{},"usage":{"inputTokens":20,"outputTokens":18,"cacheReadInputTokens":11}}',
        [
            encode_event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"high"}}'),
            encode_event("messageStop", b'{"stopReason":"end_turn"}'),
            encode_event("metadata", b'{"usage":{"inputTokens":20,"outputTokens":18,"cacheReadInputTokens":11}}'),
        ],
        (31, 18),
    ),
}
FAULTS = {
    "openai": sse(b'{"error":{"message":"x"}}'),
    "responses": sse(b'{"type":"response.failed","response":{"error":{}}}', name=b"response.failed"),
    "anthropic": sse(b'{"type":"error","error":{"type":"overloaded_error"}}', name=b"error"),
    "cohere": sse(b'{"delta":{"finish_reason":"ERROR","error":"x"}}', name=b"message-end"),
    "gemini": sse(b'{"error":{"code":503}}'),
    "bedrock": encode_exception("modelStreamErrorException", b"{}"),
}


def stream_type(door: Door) -> bytes:
    """Return the content type of a stream."""
    return FRAMES if door is BEDROCK else EVENTS


def stream_body(door: Door, more: bytes = b"") -> bytes:
    """Return a body that asks for a stream at this door."""
    return door.minimal if door in (GEMINI, BEDROCK) else door.minimal.replace(b"{", b'{"stream":true,' + more, 1)


def wanting(door: Door) -> bytes:
    """Return the same from a client that wants to know what the stream used, where it may say so."""
    return stream_body(door, ASKED if door is OPENAI else b"")


def framed(kind: bytes, parts: Sequence[bytes], framing: str) -> list[bytes]:
    """Return the pieces of an answer: its head, and then a piece for each part."""
    line = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n" % kind
    if framing == "length":
        return [line + b"Content-Length: %d\r\n\r\n" % len(b"".join(parts)), *parts]
    if framing == "close":
        return [line + b"\r\n", *parts]
    chunks = [chunked(part, len(part)).removesuffix(b"0\r\n\r\n") for part in parts]
    return [line + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n"]


@asynccontextmanager
async def house(folder: Path, more: str = ON, old: str = "", new: str = "") -> AsyncIterator[House]:
    """Run the gateway with six doors over one scripted upstream, a part of its configuration replaced."""
    async with serving_upstream() as upstream:
        text = config(upstream.port, more=more).replace(old, new)
        async with running(folder, text, UP_KEY=LANE_KEY) as site:
            keeper = Keeper()
            upstream.script = keeper
            yield House(site, upstream, keeper)


async def tokens(home: House) -> dict[tuple[str, str], tuple[int, int]]:
    """Return what is counted of each lane in each pool, as a scrape shows it, where it is not nothing."""
    page = read(await home.say(b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "GET").body.decode()
    found: dict[tuple[str, str], dict[str, int]] = {}
    for direction, lane, pool, value in _SAMPLE.findall(page):
        found.setdefault((pool, lane), {})[direction] = int(float(value))
    return {key: (pair["input"], pair["output"]) for key, pair in found.items() if any(pair.values())}


async def play(home: House, door: Door, body: bytes, pieces: Sequence[bytes], old: bool = False) -> Seen:
    """Ask for a stream at a door and let the upstream answer in these pieces."""
    home.keeper.pieces = pieces
    home.keeper.closes = b"\r\nContent-Length:" not in pieces[0] and b"chunked" not in pieces[0]
    asked = post(body, CLOSE, target=door.stream)
    return read(await home.say(asked.replace(b"HTTP/1.1", b"HTTP/1.0") if old else asked))


# Counting


@EVERY_DOOR
async def test_document_is_counted_and_arrives_as_it_was(tmp_path: Path, door: Door) -> None:
    """Operations §7, added `busbar_tokens_total`: the usage of a document counts once, however it is framed and cut."""
    document, _, (taken, given) = ANSWERS[door.name]
    async with house(tmp_path) as home:
        count = 0
        for framing in ("length", "close", "chunks"):
            raw = b"".join(framed(b"application/json", [document], framing))
            at = len(raw) - len(document)
            for pieces in [(raw,), *cuts(raw, range(at - 3, len(raw), 17))]:
                home.keeper.pieces, home.keeper.closes = pieces, framing == "close"
                seen = read(await home.say(post(door.minimal, CLOSE, target=door.target)))
                assert (seen.status, seen.body) == (200, document)
                count += 1
        pool = f"{door.name}-m"
        assert await tokens(home) == {(pool, pool): (count * taken, count * given)}


@EVERY_DOOR
@pytest.mark.parametrize("framing", ["length", "close", "chunks"])
async def test_stream_is_counted_and_arrives_as_it_was(tmp_path: Path, door: Door, framing: str) -> None:
    """OpenAI §9.4 and Anthropic case 66: whoever may see the usage gets every byte, and each stream counts once."""
    _, parts, (taken, given) = ANSWERS[door.name]
    pieces = framed(stream_type(door), parts, framing)
    raw, head = b"".join(pieces), len(pieces[0])
    plays = [pieces, [raw], [raw[:head], *(raw[at : at + 1] for at in range(head, len(raw)))]]
    plays += [[raw[:at], raw[at:]] for at in range(head + 1, len(raw), 23)]
    async with house(tmp_path) as home:
        for number, cut in enumerate(plays):
            seen = await play(home, door, wanting(door), cut, old=number % 4 == 3)
            assert (seen.status, seen.body) == (200, b"".join(parts))
        pool = f"{door.name}-m"
        assert await tokens(home) == {(pool, pool): (len(plays) * taken, len(plays) * given)}
        assert set(home.keeper.bodies) == {wanting(door).replace(door.model, MODEL)}


@EVERY_DOOR
async def test_long_stream_runs_through_and_is_counted(tmp_path: Path, door: Door) -> None:
    """Operations §7, IR case 43: what stands at the start and the end of many chunks counts, and none is changed."""
    _, parts, usage = ANSWERS[door.name]
    dull = parts[0] if door is BEDROCK else parts[1] if door is not GEMINI else sse(b'{"candidates":[{"content":{}}]}')
    if door.name == "cohere":
        dull = parts[0]
    many = [parts[0], *[dull] * 200, *parts[1:]]
    async with house(tmp_path) as home:
        seen = await play(home, door, wanting(door), framed(stream_type(door), many, "chunks"))
        assert seen.body == b"".join(many)
        assert await tokens(home) == {(f"{door.name}-m",) * 2: usage}


async def test_array_is_counted(tmp_path: Path) -> None:
    """Gemini's array is made of events, and these are counted."""
    _, parts, usage = ANSWERS["gemini"]
    async with house(tmp_path) as home:
        home.keeper.pieces = framed(EVENTS, parts, "chunks")
        seen = await home.ask(GEMINI, target=GEMINI.stream.replace(b"?alt=sse", b""))
        assert [set(element) for element in orjson.loads(seen.body)] == [{"candidates", "usageMetadata"}] * 2
        assert await tokens(home) == {("gemini-m", "gemini-m"): usage}


async def test_tokens_count_for_pool_and_lane(tmp_path: Path) -> None:
    """Operations §7, `lane`: a lane counts for the pool it was asked by, and for its own name, each by itself."""
    document, _, usage = ANSWERS["openai"]
    async with house(tmp_path) as home:
        home.keeper.pieces = framed(b"application/json", [document], "length")
        for name in (b"openai-p", b"openai-m", b"openai-p"):
            assert (await home.ask(OPENAI, body=b'{"model":"%b"}' % name)).status == 200
        assert await tokens(home) == {
            ("openai-p", "openai-m"): (2 * usage[0], 2 * usage[1]),
            ("openai-m", "openai-m"): usage,
        }


async def test_series_are_there_from_the_start_and_survive_a_reload(tmp_path: Path) -> None:
    """Operations §7: every pool and lane has its zero; without the setting there is no series that could be wrong."""
    document, _, usage = ANSWERS["openai"]
    async with serving_upstream() as upstream:
        off = config(upstream.port)
        on = config(upstream.port, more=ON)
        async with running(tmp_path, off, UP_KEY=LANE_KEY) as site:
            home = House(site, upstream, Keeper(*framed(b"application/json", [document], "length")))
            upstream.script = home.keeper

            async def samples() -> list[tuple[str, str, str, str]]:
                raw = await home.say(b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                return _SAMPLE.findall(read(raw, "GET").body.decode())

            assert (await home.ask(OPENAI)).status == 200
            assert await samples() == []
            assert await site.reload(on)
            shown = await samples()
            assert len(shown) == 2 * 2 * len(DOORS)
            assert {value for *_, value in shown} == {"0.0"}
            assert (await home.ask(OPENAI)).status == 200
            assert await site.reload(on + "limits: {max_headers: 90}\n")
            assert await tokens(home) == {("openai-m", "openai-m"): usage}


# What counts nothing


@EVERY_DOOR
async def test_stream_with_an_error_in_it_counts_nothing(tmp_path: Path, door: Door) -> None:
    """Reliability §9: an error event ends the billing, and reaches the client as it came."""
    _, parts, _ = ANSWERS[door.name]
    spoilt = [*parts[:-1], FAULTS[door.name], parts[-1]]
    async with house(tmp_path) as home:
        seen = await play(home, door, wanting(door), framed(stream_type(door), spoilt, "chunks"))
        assert seen.body == b"".join(spoilt)
        assert await tokens(home) == {}


@EVERY_DOOR
async def test_stream_that_breaks_off_counts_nothing(tmp_path: Path, door: Door) -> None:
    """Reliability case 57: a connection that ends in the middle of an answer bills no tokens."""
    _, parts, _ = ANSWERS[door.name]
    pieces = framed(stream_type(door), parts[:1], "chunks")[:-1]
    async with house(tmp_path) as home:
        home.keeper.pieces, home.keeper.closes = pieces, True
        raw = await home.say(post(wanting(door), CLOSE, target=door.stream))
        assert parts[0] in raw
        assert await tokens(home) == {}


@pytest.mark.parametrize("asks", [False, True])
async def test_half_event_that_was_held_back_is_not_ended(tmp_path: Path, asks: bool) -> None:
    """Reliability case 57: a native end goes on from what the client has, which is less where usage is taken out."""
    _, parts, _ = ANSWERS["openai"]
    pieces = framed(EVENTS, [parts[0], parts[1][:40]], "chunks")[:-1]
    async with house(tmp_path) as home:
        home.keeper.pieces, home.keeper.closes = pieces, True
        seen = read(await home.say(post(stream_body(OPENAI, ASKED * asks), CLOSE, target=OPENAI.stream)))
        *said, done, rest = seen.body.split(b"\n\n")
        last = orjson.loads(said[-1].removeprefix(b"data: "))
        assert (len(said), last["error"]["type"], done, rest) == (2, "server_error", b"data: [DONE]", b"")
        assert (parts[1][:40] in seen.body) == asks


async def test_stream_without_an_end_counts_nothing(tmp_path: Path) -> None:
    """Reliability case 60, openai case 46, anthropic case 64: no finish reason is no end, no `[DONE]` behind one is."""
    _, parts, usage = ANSWERS["openai"]
    async with house(tmp_path) as home:
        await play(home, OPENAI, wanting(OPENAI), framed(EVENTS, [parts[0], parts[3]], "chunks"))
        assert await tokens(home) == {}
        await play(home, OPENAI, wanting(OPENAI), framed(EVENTS, parts[2:4], "chunks"))
        assert await tokens(home) == {("openai-m", "openai-m"): usage}


async def test_refusals_count_nothing(tmp_path: Path) -> None:
    """Operations §7: what looks like usage in an answer other than 200 is none."""
    document = ANSWERS["openai"][0]
    async with house(tmp_path) as home:
        home.keeper.pieces = [
            framed(b"application/json", [document], "length")[0].replace(b"200 OK", b"400 X"),
            document,
        ]
        seen = await home.ask(OPENAI)
        assert (seen.status, seen.body) == (400, document)
        assert await tokens(home) == {}


@pytest.mark.parametrize("is_reset", [False, True])
async def test_client_that_leaves_pays_for_what_was_seen(tmp_path: Path, is_reset: bool) -> None:
    """Reliability §6: after the client has gone in the middle of a stream, what the vendor had counted is billed."""
    _, parts, _ = ANSWERS["anthropic"]
    async with house(tmp_path) as home:
        home.keeper.pieces = framed(EVENTS, parts, "chunks")[:3]
        client = home.connect()
        client.send(post(stream_body(ANTHROPIC), target=ANTHROPIC.stream))
        await client.read_until(b"text_delta")
        await leave(client, home, is_reset=is_reset)
        assert await tokens(home) == {("anthropic-m", "anthropic-m"): (31, 1)}


async def test_client_that_leaves_with_nothing_pays_nothing(tmp_path: Path) -> None:
    """Reliability §6: before the first byte has gone out nothing is recorded, whatever has been counted by then."""
    async with house(tmp_path) as home:
        home.keeper.pieces = framed(EVENTS, ANSWERS["openai"][1][3:4], "chunks")[:2]
        client = home.connect()
        client.send(post(stream_body(OPENAI), target=OPENAI.stream))
        await until(lambda: home.keeper.bodies != [])
        await turns(100)
        assert client.received_nothing()
        await leave(client, home, is_reset=False)
        assert await tokens(home) == {}


async def leave(client: RawClient, home: House, *, is_reset: bool) -> None:
    """Let a client go, and wait until its request has ended."""
    if is_reset:
        client.reset()
    else:
        client.close()
    await until(lambda: all(lane.state.inflight == 0 for lane in home.site.engine.lanes.values()))


# What the client sees of OpenAI's streams


SHOWN = b"".join(ANSWERS["openai"][1][:3]).replace(b',"usage":null}', b"}") + sse(b"[DONE]")


@pytest.mark.parametrize("framing", ["length", "close", "chunks"])
async def test_client_that_did_not_ask_sees_no_usage(tmp_path: Path, framing: str) -> None:
    """OpenAI cases 36 and 39: no usage anywhere, every other byte as it was, whatever the cut; and it is counted."""
    _, parts, (taken, given) = ANSWERS["openai"]
    pieces = framed(EVENTS, parts, framing)
    raw, head = b"".join(pieces), len(pieces[0])
    plays = [pieces, [raw], [raw[:head], *(raw[at : at + 1] for at in range(head, len(raw)))]]
    plays += [[raw[:at], raw[at:]] for at in range(head + 1, len(raw), 11)]
    async with house(tmp_path) as home:
        for number, cut in enumerate(plays):
            seen = await play(home, OPENAI, stream_body(OPENAI), cut, old=number % 4 == 3)
            assert (seen.status, seen.body) == (200, SHOWN)
        assert await tokens(home) == {("openai-m", "openai-m"): (len(plays) * taken, len(plays) * given)}
        asked = stream_body(OPENAI).replace(b"{", b"{" + ASKED, 1).replace(OPENAI.model, MODEL)
        assert set(home.keeper.bodies) == {asked}


@pytest.mark.parametrize(
    ("members", "sent"),
    [
        (b'"stream_options":{"include_usage":false,"x":1}', b'"stream_options":{"include_usage":true,"x":1}'),
        (b'"stream_options":{"x" : [1]}', b'"stream_options":{"include_usage":true,"x" : [1]}'),
        (b'"stream_options":null', b'"stream_options":{"include_usage":true}'),
        (b'"stream_options" : { }', b'"stream_options" : {"include_usage":true }'),
        (b'"stream_options":{"x":1},"stream_options":{}', b"{}"),
    ],
)
async def test_options_of_the_client_are_kept(tmp_path: Path, members: bytes, sent: bytes) -> None:
    """OpenAI case 38: options that are there are merged, not doubled, and everything around them stays as it was."""
    template = b' {"n" : 1.50e0,%b, "stream": true,\r\n"model":"%b","x":{"stream_options":null}} '
    if sent == b"{}":
        sent = b'"stream_options":{"include_usage":true,"x":1},"stream_options":{"include_usage":true}'
    async with house(tmp_path) as home:
        pieces = framed(EVENTS, ANSWERS["openai"][1], "chunks")
        seen = await play(home, OPENAI, template % (members, OPENAI.model), pieces)
        assert seen.body == SHOWN
        assert home.keeper.bodies == [template % (sent, MODEL)]


async def test_chunks_without_usage_pass_as_they_were_framed(tmp_path: Path) -> None:
    """OpenAI §9.4: where there is nothing to hide, not even the framing of a chunk changes."""
    plain = [part.replace(b',"usage":null', b"") for part in ANSWERS["openai"][1]]
    pieces = framed(EVENTS, [plain[0], *[plain[1]] * 30, *plain[2:]], "chunks")
    async with house(tmp_path) as home:
        home.keeper.pieces = pieces
        raw = await home.say(post(stream_body(OPENAI), CLOSE, target=OPENAI.stream))
        body = raw.partition(b"\r\n\r\n")[2]
        assert b'"completion_tokens"' in pieces[33]
        assert body == b"".join([*pieces[1:33], *pieces[34:]])
        assert await tokens(home) == {("openai-m", "openai-m"): (31, 18)}


async def test_odd_case_of_the_type_hides_nothing_from_us(tmp_path: Path) -> None:
    """OpenAI §9.4: a media type is the same in capitals."""
    async with house(tmp_path) as home:
        pieces = framed(b"Text/Event-Stream", ANSWERS["openai"][1], "chunks")
        assert (await play(home, OPENAI, stream_body(OPENAI), pieces)).body == SHOWN
        assert await tokens(home) == {("openai-m", "openai-m"): (31, 18)}


async def test_answer_that_is_no_stream_is_shown_with_its_usage(tmp_path: Path) -> None:
    """OpenAI §9.4: what is hidden is the usage of streams; a document where a stream was wanted has it by right."""
    document, _, usage = ANSWERS["openai"]
    async with house(tmp_path) as home:
        seen = await play(home, OPENAI, stream_body(OPENAI), framed(b"application/json", [document], "chunks"))
        assert seen.body == document
        assert await tokens(home) == {("openai-m", "openai-m"): usage}


async def test_nothing_is_asked_or_hidden_where_nobody_counts(tmp_path: Path) -> None:
    """OpenAI §9.4: without the setting a request differs in its model only, and an answer in nothing."""
    pieces = framed(EVENTS, ANSWERS["openai"][1], "chunks")
    async with house(tmp_path, more="") as home:
        for body in (stream_body(OPENAI), wanting(OPENAI), stream_body(OPENAI, b'"stream_options":null,')):
            home.keeper.pieces = pieces
            raw = await home.say(post(body, CLOSE, target=OPENAI.stream))
            assert raw.partition(b"\r\n\r\n")[2] == b"".join(pieces[1:])
            assert home.keeper.bodies[-1] == body.replace(OPENAI.model, MODEL)
        assert await tokens(home) == {}


async def test_provider_that_rejects_the_question_is_not_asked(tmp_path: Path) -> None:
    """OpenAI §9.4, `stream_usage: false`: the request stays as it is; usage that comes is counted and hidden anyway."""
    pieces = framed(EVENTS, ANSWERS["openai"][1], "chunks")
    async with house(tmp_path, ON, "protocol: openai,", "protocol: openai, stream_usage: false,") as home:
        assert (await play(home, OPENAI, stream_body(OPENAI), pieces)).body == SHOWN
        assert (await play(home, OPENAI, wanting(OPENAI), pieces)).body == b"".join(ANSWERS["openai"][1])
        bodies = [body.replace(OPENAI.model, MODEL) for body in (stream_body(OPENAI), wanting(OPENAI))]
        assert home.keeper.bodies == bodies
        assert await tokens(home) == {("openai-m", "openai-m"): (62, 36)}


async def test_each_lane_gets_what_it_takes(tmp_path: Path) -> None:
    """Reliability case 53: the next lane gets the client's request shaped anew, and only what answers is counted."""
    text = (
        "listen: 127.0.0.1:0\nauth: {mode: none}\nobservability: {token_metrics: true}\nproviders:\n"
        "  asked: {protocol: openai, base_url: 'http://127.0.0.1:PORT', api_key_env: UP_KEY}\n"
        "  spared: {protocol: openai, base_url: 'http://127.0.0.1:PORT', api_key_env: UP_KEY, stream_usage: false}\n"
        "models: {a: {provider: asked}, b: {provider: spared}}\n"
        "pools: {p: {members: [{target: a, weight: 9}, {target: b, weight: 1}]}}\n"
    )
    async with serving_upstream() as upstream, running(tmp_path, text.replace("PORT", f"{upstream.port}")) as site:
        home = House(site, upstream, Keeper(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"))
        upstream.script = home.keeper
        asking = post(b'{"stream":true,"model":"p"}', CLOSE, target=OPENAI.stream)
        assert read(await home.say(asking)).status == 503
        assert home.keeper.bodies == [
            b"{" + ASKED + b'"stream":true,"model":"a"}',
            b'{"stream":true,"model":"b"}',
        ]
        assert await tokens(home) == {}


# The official client


DEPLOYED = (
    "listen: 127.0.0.1:0\nauth: {mode: none}\nobservability: {token_metrics: true}\n"
    "providers: {up: {protocol: openai, base_url: 'http://127.0.0.1:<port>', api_key_env: UP_KEY}}\n"
    f"models: {{m: {{provider: up}}}}\npools: {{{POOL}: {{members: [{{target: m}}]}}}}\n"
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_wanted", [False, True])
async def test_client_of_the_vendor_sees_usage_only_if_it_asks(
    serve: Serve, tmp_path: Path, kind: str, *, is_wanted: bool
) -> None:
    """OpenAI cases 36 and 37: one chunk of usage for who asks, chunks of choices only for who does not; both count."""
    script = Script(usage_in=31, usage_out=18, deltas=12)
    more = {"stream_options": {"include_usage": True}} if is_wanted else {}
    asked = {"model": POOL, "messages": [{"role": "user", "content": "x"}], "stream": True, **more}
    async with deployed(serve, tmp_path, DEPLOYED, script) as site, openai_caller(site, kind) as caller:
        chunks = await caller.pieces(lambda client: client.chat.completions.create(**asked))
        usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
        assert [chunk.choices == [] for chunk in chunks] == [False] * (len(chunks) - is_wanted) + [True] * is_wanted
        assert [(usage.prompt_tokens, usage.completion_tokens) for usage in usages] == [(31, 18)] * is_wanted
        assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) != ""
        last: Received = site.last
        assert last.document["stream_options"] == {"include_usage": True}
        member = site.front.lanes[0]
        assert member.state.ok == 1
