"""Answers that come packed although `identity` was asked for, and faults that are larger than they need be."""

import gzip
import json
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from tests.system.doors import BY_NAME, DOORS, Door, chunked, read, six_doors
from tests.system.origins import Peer
from tests.system.serving import post, until

CLOSE = b"Connection: close"
EVERY_DOOR = pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])
OPENAI, GEMINI = BY_NAME["openai"], BY_NAME["gemini"]
SMALL = b'{"said":"high water at six"}'
LARGE = b'{"said":"%b"}' % b"".join(b"%d, " % number for number in range(60_000))
MOST_BYTES = 32 * 1024 * 1024


def raw_deflate(text: bytes) -> bytes:
    """Return a text as some servers send it under `deflate`: without the frame of zlib."""
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(text) + machine.flush()


Packer = tuple[bytes, Callable[[bytes], bytes]]
PACKERS: list[Packer] = [
    (b"gzip", gzip.compress),
    (b"GZIP", gzip.compress),
    (b"deflate", zlib.compress),
    (b"deflate", raw_deflate),
]


def head(status: int, framing: bytes, coding: bytes, kind: bytes = b"application/json") -> bytes:
    """Return the head of a packed answer."""
    return b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Encoding: %b\r\n%b\r\n\r\n" % (status, kind, coding, framing)


def packed(status: int, coding: bytes, body: bytes) -> bytes:
    """Return a packed answer of known length."""
    return head(status, b"Content-Length: %d" % len(body), coding) + body


@EVERY_DOOR
@pytest.mark.parametrize("text", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
async def test_packed_answer_is_unpacked(tmp_path: Path, door: Door, text: bytes) -> None:
    """Reliability §8: gzip and deflate, of known length or in chunks, reach the client as plain text, and say so."""
    async with six_doors(tmp_path) as house:
        for (coding, pack), target in product(PACKERS, (door.target, door.stream)):
            body = pack(text)
            for raw in (
                packed(200, coding, body),
                head(200, b"Transfer-Encoding: chunked", coding) + chunked(body, 1000),
            ):
                house.keeper.pieces = (raw[:90], raw[90:])
                seen = await house.ask(door, target=target)
                assert (seen.status, seen.body == text) == (200, True)
                assert "content-encoding" not in seen.names
                assert seen.value("content-type") == "application/json"
        assert house.site.counts(f"{door.name}-m")[1] == 0


async def test_packed_answer_may_come_byte_by_byte(tmp_path: Path) -> None:
    """Reliability §8: how a packed body is split makes no difference, nor does the end of the connection as its end."""
    async with six_doors(tmp_path) as house:
        for coding, pack in PACKERS:
            body = pack(SMALL)
            house.keeper.pieces = (head(200, b"X: 1", coding), *(body[at : at + 1] for at in range(len(body))))
            house.keeper.closes = True
            for version in (b"HTTP/1.1", b"HTTP/1.0"):
                raw = post(OPENAI.minimal, CLOSE, target=OPENAI.target).replace(b"HTTP/1.1", version)
                assert read(await house.say(raw)).body == SMALL


async def test_packed_stream_arrives_as_it_is_said(tmp_path: Path) -> None:
    """Reliability §8: each event that an upstream flushes reaches the client before the next one is there."""
    machine = zlib.compressobj(wbits=31)
    async with six_doors(tmp_path) as house:
        first = machine.compress(b'data: {"n":1}\n\n') + machine.flush(zlib.Z_SYNC_FLUSH)
        house.keeper.pieces = (
            head(200, b"Transfer-Encoding: chunked", b"gzip", b"text/event-stream"),
            b"%x\r\n%b\r\n" % (len(first), first),
        )
        client = house.connect()
        client.send(post(OPENAI.minimal.replace(b"}", b',"stream":true}'), CLOSE, target=OPENAI.target))
        said = await client.read_until(b'data: {"n":1}\n\n')
        assert b"\r\nContent-Type: text/event-stream\r\n" in said.replace(b"content-type", b"Content-Type")
        assert b"gzip" not in said
        second = machine.compress(b"data: [DONE]\n\n") + machine.flush()
        house.upstream.peers[0].say(b"%x\r\n%b\r\n0\r\n\r\n" % (len(second), second))
        rest = await client.read_all()
        assert b"data: [DONE]\n\n" in rest
        assert rest.endswith(b"0\r\n\r\n")
        client.close()


async def test_packed_stream_becomes_an_array(tmp_path: Path) -> None:
    """Gemini §13: a client that wants one array gets it of packed events, and of a packed document."""
    array = GEMINI.stream.replace(b"?alt=sse", b"")
    last: dict[str, object] = {"candidates": [{"finishReason": "STOP"}]}
    events = gzip.compress(b'data: {"a":1}\r\n\r\ndata: %b\r\n\r\n' % json.dumps(last).encode())
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (
            head(200, b"Transfer-Encoding: chunked", b"gzip", b"text/event-stream") + chunked(events, 10),
        )
        assert json.loads((await house.ask(GEMINI, target=array)).body) == [{"a": 1}, last]
        house.keeper.pieces = (packed(200, b"deflate", zlib.compress(b'{"a":3}')),)
        assert json.loads((await house.ask(GEMINI, target=array)).body) == [{"a": 3}]


@EVERY_DOOR
@pytest.mark.parametrize("status", [400, 404, 422, 429, 503])
async def test_packed_fault_is_unpacked(tmp_path: Path, door: Door, status: int) -> None:
    """Reliability §8: what an upstream complains of can be read, however it was packed."""
    async with six_doors(tmp_path, on_exhausted="least_bad") as house:
        for coding, pack in PACKERS:
            house.keeper.pieces = (packed(status, coding, pack(SMALL)),)
            seen = await house.hear(door)
            assert (seen.status, seen.body) == (status, SMALL)
            assert "content-encoding" not in seen.names


BROKEN = [
    (b"gzip", gzip.compress(SMALL)[:-1]),
    (b"gzip", gzip.compress(SMALL)[:12]),
    (b"gzip", gzip.compress(SMALL) + b"x"),
    (b"gzip", SMALL),
    (b"gzip", gzip.compress(SMALL)[:-8] + bytes(8)),
    (b"deflate", zlib.compress(SMALL)[:-1]),
    (b"deflate", gzip.compress(SMALL)),
    (b"br", SMALL),
    (b"gzip, gzip", gzip.compress(gzip.compress(SMALL))),
]


@EVERY_DOOR
@pytest.mark.parametrize(("coding", "body"), BROKEN)
async def test_what_cannot_be_unpacked_is_no_answer(tmp_path: Path, door: Door, coding: bytes, body: bytes) -> None:
    """Reliability §8: before a byte is out, a body that cannot be decoded is a failed attempt like any other."""
    async with six_doors(tmp_path) as house:
        for status in (200, 400):
            house.keeper.pieces = (packed(status, coding, body),)
            assert (await house.ask(door)).status == 503
        assert house.site.counts(f"{door.name}-m") == (0, 2, 0)


async def test_packed_answer_that_breaks_off_is_cut(tmp_path: Path) -> None:
    """Reliability case 58: what is out of a packed answer when it turns out to be broken never looks whole."""
    body = gzip.compress(LARGE)
    async with six_doors(tmp_path) as house:
        for raw in (packed(200, b"gzip", body[:-9] + bytes(9)), packed(200, b"gzip", body[:-9] + b"\0" * 9)):
            house.keeper.pieces = (raw,)
            said = await house.say(post(OPENAI.minimal, target=OPENAI.target))
            assert said.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\nTransfer-Encoding: chunked\r\n" in said
            assert not said.endswith(b"0\r\n\r\n")
        await until(lambda: house.site.counts("openai-m") == (2, 2, 0))  # it had begun well, and then it failed


async def test_answer_that_swells_is_cut_at_the_cap(tmp_path: Path) -> None:
    """Reliability §8: a whole answer may become as large as any body, 32 MiB, and what would go beyond ends there."""
    async with six_doors(tmp_path) as house:
        for size, is_whole in ((MOST_BYTES, True), (MOST_BYTES + 1, False)):
            house.keeper.pieces = (packed(200, b"gzip", gzip.compress(bytes(size))),)
            said = await house.say(post(OPENAI.minimal, CLOSE, target=OPENAI.target))
            assert said.endswith(b"0\r\n\r\n") == is_whole
            assert said.count(b"\0") <= MOST_BYTES
        await until(lambda: house.site.counts("openai-m") == (2, 1, 0))


async def test_other_lane_answers_for_one_that_packs_badly(tmp_path: Path) -> None:
    """Reliability §8: an unknown coding is a transport failure, so the next member is asked."""
    async with six_doors(tmp_path) as house:
        text = house.site._file.read_text()
        text = text.replace("models:\n", "models:\n  other: {provider: openai, upstream_model: o}\n")
        text = text.replace("[{target: openai-m}]", "[{target: openai-m}, {target: other}]")
        assert await house.site.reload(text)
        answers = [(packed(200, b"zstd", b"x"),), (packed(200, b"gzip", gzip.compress(SMALL)),)]

        def by_turns(peer: Peer) -> None:
            house.keeper.pieces = answers[len(house.keeper.heads) % 2]
            house.keeper(peer)

        house.upstream.script = by_turns
        seen = [await house.ask(OPENAI, body=b'{"model":"openai-p"}') for _ in range(2)]
        assert [one.body for one in seen] == [SMALL] * 2
        assert len(house.keeper.heads) == 4


# Faults that are too large

CAP = "limits: {upstream_error_body_max_bytes: 1000}\n"


@EVERY_DOOR
@pytest.mark.parametrize("status", [300, 400, 401, 404, 422, 429, 503])
async def test_fault_is_relayed_up_to_its_cap(tmp_path: Path, door: Door, status: int) -> None:
    """Reliability §8: a fault is relayed verbatim as far as the limit goes, and is a complete answer even beyond."""
    async with six_doors(tmp_path, "{mode: passthrough}", CAP, on_exhausted="least_bad") as house:
        for size in (0, 1, 999, 1000, 1001, 100_000):
            body = bytes(97 + number % 26 for number in range(size))
            for raw in (
                b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, size, body),
                b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n%b" % (status, chunked(body, 700)),
                packed(status, b"gzip", gzip.compress(body)),
            ):
                house.keeper.pieces = (raw,)
                for in_stream in (False, True):
                    seen = await house.hear(door, in_stream=in_stream)
                    assert (seen.status, seen.body) == (status, body[:1000])
                    assert seen.value("content-length") == str(min(size, 1000))


async def test_fault_without_an_end_is_not_waited_for(tmp_path: Path) -> None:
    """Reliability §8: an upstream that goes on complaining is left as soon as enough has come."""
    async with six_doors(tmp_path, more=CAP) as house:
        house.keeper.pieces = (
            b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"800\r\n%b\r\n" % (b"x" * 2048),
        )
        assert (await house.ask(OPENAI)).body == b"x" * 1000
        await until(lambda: house.upstream.peers[0].is_over)
        assert house.site.counts("openai-m") == (0, 0, 0)  # a client's fault is neither


async def test_default_cap_of_a_fault(tmp_path: Path) -> None:
    """Config §6.4: without a setting the first 256 KiB of a fault are relayed; a reload changes that at once."""
    async with six_doors(tmp_path) as house:
        body = b"x" * 300_000
        house.keeper.pieces = (b"HTTP/1.1 400 X\r\nContent-Length: 300000\r\n\r\n" + body,)
        assert len((await house.ask(OPENAI)).body) == 262_144
        assert await house.site.reload(CAP + house.site._file.read_text())
        assert len((await house.ask(OPENAI)).body) == 1000


@EVERY_DOOR
async def test_fault_that_breaks_off_is_judged_by_what_came(tmp_path: Path, door: Door) -> None:
    """Reliability §6: of a fault that breaks off the status counts, and the client gets a whole one of its own kind."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (b"HTTP/1.1 400 X\r\nContent-Length: 50\r\n\r\n{",)
        house.keeper.closes = True
        seen = await house.ask(door)
        assert seen.status == 400
        assert isinstance(json.loads(seen.body), dict)
        assert house.site.counts(f"{door.name}-m") == (0, 0, 0)


# When to come back

FORMS = [b"7", b"0", b"Wed, 21 Oct 2026 07:28:00 GMT", b"99999999999999999999", b"soon, or later", b"1.5"]


@EVERY_DOOR
@pytest.mark.parametrize("status", [200, 301, 400, 404, 409, 422, 429, 500, 502, 503, 504, 529])
async def test_time_to_come_back_is_told_when_it_is_one(tmp_path: Path, door: Door, status: int) -> None:
    """Reliability §8 D20: `Retry-After` goes on with limits, in whatever form; to Anthropic's clients with anything."""
    async with six_doors(tmp_path, on_exhausted="least_bad") as house:
        for form in FORMS:
            lines = b"Retry-After: %b\r\nretry-after-ms: 250\r\nx-should-retry: false\r\n" % form
            house.keeper.pieces = (b"HTTP/1.1 %d X\r\n%bContent-Length: 2\r\n\r\n{}" % (status, lines),)
            seen = await house.hear(door)
            assert seen.status == status
            told = dict(seen.fields)
            is_told = status in {429, 503, 529} or door.name == "anthropic"
            assert told.get("retry-after") == (form.decode() if is_told else None)
            assert told.get("retry-after-ms") == ("250" if door.name == "anthropic" else None)
            assert told.get("x-should-retry") == ("false" if door.name == "anthropic" else None)
