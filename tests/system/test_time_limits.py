"""How long a request may take by its client's own word, which Google's client puts into a header."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.system.doors import BY_NAME, DOORS, Door, House, config, read, six_doors
from tests.system.rawclient import turns
from tests.system.serving import post, until

CLOSE = b"Connection: close"
SOON = b"X-Server-Timeout: 0.2"
GEMINI = BY_NAME["gemini"]
OTHERS = [door for door in DOORS if door is not GEMINI]
ARRAY = GEMINI.stream.replace(b"?alt=sse", b"")
STARTED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'f\r\ndata: {"a":1}\n\n\r\n'


async def check_over(house: House, raw: bytes, *, in_array: bool = False) -> None:
    """A request ends in the vendor's own word for a deadline, soon but not before its time."""
    began_s = time.monotonic()
    seen = read(await house.say(raw))
    assert 0.2 <= time.monotonic() - began_s < 3
    document = json.loads(seen.body)
    error = (document[0] if in_array else document)["error"]
    assert (seen.status, error["code"], error["status"]) == (504, 504, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("target", [GEMINI.target, GEMINI.stream, ARRAY], ids=["whole", "stream", "array"])
@pytest.mark.parametrize(
    "said",
    [(), (b"HTTP/1.1 100 Continue\r\n\r\n",), (b"HTTP/1.1 200 OK\r\nContent-",), (b"HTTP/1.1 400 X\r\nA: b\r\n\r\n{",)],
    ids=["nothing", "interim", "half a head", "half a fault"],
)
async def test_client_says_how_long_it_waits(tmp_path: Path, target: bytes, said: tuple[bytes, ...]) -> None:
    """Gemini §2: `X-Server-Timeout` caps the wait for an upstream, and the lane is not to blame for it."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = said or (b"",)
        await check_over(house, post(b"{}", CLOSE, SOON, target=target), in_array=target == ARRAY)
        await until(lambda: house.upstream.peers[0].is_over)
        assert house.site.counts("gemini-m") == (0, 0, 0)
        assert b"timeout" not in house.keeper.heads[0].lower()


async def test_time_is_that_of_the_request_and_not_of_a_lane(tmp_path: Path) -> None:
    """Reliability §6: hops, and waiting for a lane that is full, are within the same time."""
    async with six_doors(tmp_path) as house:
        text = house.site._file.read_text()
        text = text.replace("models:\n", "models:\n  other: {provider: gemini, max_concurrent: 1}\n")
        text = text.replace("[{target: gemini-m}]", "[{target: gemini-m}, {target: other}]")
        assert await house.site.reload(text)
        house.keeper.pieces = (b"",)
        holder = house.connect()
        holder.send(post(b"{}", target=b"/v1/models/other:generateContent"))
        await until(lambda: len(house.keeper.heads) == 1)
        await check_over(house, post(b"{}", CLOSE, SOON, target=b"/v1/models/other:generateContent"))
        assert len(house.keeper.heads) == 1
        house.keeper.pieces = (b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",)
        await check_over(house, post(b"{}", CLOSE, SOON, target=b"/v1/models/gemini-p:generateContent"))
        holder.close()
        await until(lambda: house.site.counts("other")[2] == 0)


async def test_stream_that_has_started_may_last(tmp_path: Path) -> None:
    """Reliability §6: the time is for the start of a stream; afterwards its silences count by our own limit."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (STARTED, EVENT)
        client = house.connect()
        client.send(post(b"{}", CLOSE, SOON, target=GEMINI.stream))
        await client.read_until(b'{"a":1}\n\n')
        await asyncio.sleep(0.5)
        last = b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n'
        house.upstream.peers[0].say(EVENT + b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))
        assert (await client.read_all()).count(b'{"a":1}') >= 1
        client.close()
        await until(lambda: house.site.counts("gemini-m") == (1, 0, 0))


@pytest.mark.parametrize("target", [GEMINI.stream, ARRAY], ids=["stream", "array"])
@pytest.mark.parametrize("metered", ["false", "true"])
async def test_head_alone_is_no_start(tmp_path: Path, target: bytes, metered: str) -> None:
    """Gemini §2: a stream has started when its client has a byte of it; until then its time runs."""
    async with six_doors(tmp_path, more=f"observability: {{token_metrics: {metered}}}\n") as house:
        house.keeper.pieces = (STARTED,)
        await check_over(house, post(b"{}", CLOSE, SOON, target=target), in_array=target == ARRAY)
        await until(lambda: house.site.counts("gemini-m") == (0, 0, 0))


async def test_whole_answer_is_cut_when_time_is_over(tmp_path: Path) -> None:
    """Reliability §6: the body of a whole answer is within the time as well; what is out of a large one ends short."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b'{"a":')
        await check_over(house, post(b"{}", CLOSE, SOON, target=GEMINI.target))
        house.keeper.pieces = (b"HTTP/1.1 200 OK\r\nContent-Length: 70001\r\n\r\n", b"x" * 70000)
        raw = await house.say(post(b"{}", SOON, target=GEMINI.target))
        assert b"Content-Length: 70001\r\n" in raw
        assert 65536 <= len(raw.partition(b"\r\n\r\n")[2]) <= 70000
        await until(lambda: house.site.counts("gemini-m") == (1, 0, 0))  # it had begun, and the lane did nothing wrong


@pytest.mark.parametrize("value", [b"5", b"1.5", b"86400", b"999999999", b"0.25", b"007"])
async def test_enough_time_changes_nothing(tmp_path: Path, value: bytes) -> None:
    """Gemini §2: within its time a request is served as any other, and nobody upstream hears of the limit."""
    async with six_doors(tmp_path) as house:
        for lines in ([b"X-Server-Timeout: " + value], [b"x-server-timeout:%b" % value] * 2, [b"X-Server-Timeout:"]):
            for target in (GEMINI.target, GEMINI.stream):
                assert (await house.ask(GEMINI, *lines, target=target)).status == 200
        assert not any(b"timeout" in head.lower() for head in house.keeper.heads)
        client = house.connect()
        for _ in range(3):
            client.send(post(b"{}", b"X-Server-Timeout: " + value, target=GEMINI.target))
            assert (await client.read_answer(b"POST")).status == 200
        await turns()
        client.close()


@pytest.mark.parametrize("value", [b"0", b"0.0", b"-1", b"soon", b"1e3", b"5s", b"1,5", b"inf", b"9999999999", b".5"])
async def test_time_that_is_none_is_refused(tmp_path: Path, value: bytes) -> None:
    """Gemini §14: a limit that cannot be kept is not passed over in silence; callers without a token learn nothing."""
    async with six_doors(tmp_path, "{mode: token, client_tokens: [t]}") as house:
        line = b"X-Server-Timeout: " + value
        for lines in ([line], [b"X-Server-Timeout: 5", line]):
            seen = await house.ask(GEMINI, b"x-goog-api-key: t", *lines)
            error = json.loads(seen.body)["error"]
            assert (seen.status, error["status"]) == (400, "INVALID_ARGUMENT")
            assert "x-server-timeout" in error["message"]
            assert "details" not in error
            assert "API key not valid" in json.loads((await house.ask(GEMINI, *lines)).body)["error"]["message"]
        assert house.keeper.heads == []


@pytest.mark.parametrize("door", OTHERS, ids=[door.name for door in OTHERS])
async def test_other_vendors_know_no_such_header(tmp_path: Path, door: Door) -> None:
    """Gemini §2: the header means something to one vendor's clients only."""
    async with six_doors(tmp_path) as house:
        assert (await house.ask(door, b"X-Server-Timeout: soon")).status == 200


async def test_own_limit_holds_if_it_is_shorter(tmp_path: Path) -> None:
    """Config §6.4: the limit of the deployment is not stretched by what a client asks for."""
    async with six_doors(tmp_path) as house:
        more = "limits: {upstream_request_timeout_secs: 1}\n"
        assert await house.site.reload(config(house.upstream.port, more=more))
        house.keeper.pieces = (b"",)
        seen = await house.ask(GEMINI, b"X-Server-Timeout: 60")
        assert (seen.status, json.loads(seen.body)["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
        assert house.site.counts("gemini-m") == (0, 1, 0)
