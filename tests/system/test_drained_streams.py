"""What the end of the process does to what is under way: each stream gets its dialect's last word, the rest a 503."""

import asyncio
import signal
from pathlib import Path

import pytest

from busbar_fast.mock.script import Script
from tests.system.fleets import Fleet, fleet, settled
from tests.system.rawclient import Answer, RawClient, Truncated
from tests.system.serving import Serve
from tests.system.test_broken_streams import DIALECTS, LONG, check_broken

NATIVE = tuple(name for name in DIALECTS if name != "array")
LIMITED = "shutdown: {drain_timeout_secs: 1}"
PLENTY_S = 1.0


async def ended(made: Fleet, *, is_limit: bool) -> float:
    """End the engine, by its limit or by a second signal; return how long that took behind either."""
    loop, stops = asyncio.get_running_loop(), asyncio.Queue[int]()
    if not is_limit:
        stops.put_nowait(signal.SIGTERM)
    began_s = loop.time()
    await made.site.engine.end(stops, signal.SIGTERM)
    return loop.time() - began_s - is_limit


async def begun(made: Fleet) -> RawClient:
    """Ask for a stream; return its client when all is there that its backend says."""
    client = made.send(stream=True)
    await settled(lambda: made.counts("m0")[0] == 1)
    await asyncio.sleep(0.1)
    return client


async def whole_stream(folder: Path, serve: Serve, dialect: str) -> bytes:
    """Return what a backend says that nobody interrupts."""
    async with fleet(folder, serve, [Script(**LONG)], dialect=dialect) as made:
        return (await made.ask(stream=True)).body


def fifth_frame(stream: bytes) -> int:
    """Return where the fifth binary frame of a stream ends."""
    at = 0
    for _ in range(5):
        at += int.from_bytes(stream[at : at + 4], "big")
    return at


async def aborts_of(made: Fleet) -> dict[str, int]:
    """Return how many streams of the pool ended early, by who ended them."""
    tallies = made.site.engine._gateway.status._tallies
    return {reason: count for (pool, reason), count in tallies.aborts.items() if pool == "pool" and count}


@pytest.mark.parametrize("is_limit", [True, False], ids=["at the limit", "second signal"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_stream_gets_its_last_word(tmp_path: Path, serve: Serve, dialect: str, is_limit: bool) -> None:
    """Operations §13 case 38: an endless stream ends with the native error at the limit, no lane is blamed for it."""
    (tmp_path / "whole").mkdir()
    at = fifth_frame(await whole_stream(tmp_path / "whole", serve, dialect)) if dialect == "bedrock" else 1100
    async with fleet(tmp_path, serve, Script(**LONG | {"stall_at": at}), dialect=dialect, top=LIMITED) as made:
        client = await begun(made)
        assert await ended(made, is_limit=is_limit) < PLENTY_S
        answer = await client.read_answer()
        assert answer.status == 200
        check_broken(dialect, answer.body)
        assert await client.read_all() == b""
        assert made.counts("m0") == (1, 0, 0)
        assert await aborts_of(made) == {"drain": 1}


@pytest.mark.parametrize("is_limit", [True, False], ids=["at the limit", "second signal"])
@pytest.mark.parametrize("dialect", NATIVE)
async def test_translated_stream_gets_its_last_word(tmp_path: Path, serve: Serve, dialect: str, is_limit: bool) -> None:
    """Operations §13 case 38: so does one that another dialect's lane gives, in the words of its client's dialect."""
    spoken = "anthropic" if dialect == "openai" else "openai"
    async with fleet(tmp_path, serve, Script(**LONG | {"stall_at": 2500}), dialect=spoken, top=LIMITED) as made:
        made.dialect = dialect
        client = await begun(made)
        assert await ended(made, is_limit=is_limit) < PLENTY_S
        answer = await client.read_answer()
        check_broken(dialect, answer.body)
        assert await client.read_all() == b""
        assert made.counts("m0") == (1, 0, 0)
        assert await aborts_of(made) == {"drain": 1}


@pytest.mark.parametrize("in_stream", [True, False], ids=["stream", "document"])
@pytest.mark.parametrize("dialect", NATIVE)
async def test_what_has_not_begun_is_refused(tmp_path: Path, serve: Serve, dialect: str, in_stream: bool) -> None:
    """Operations §4 phase 3: who has nothing of an answer yet gets the dialect's 503, and not a bare end."""
    async with fleet(tmp_path, serve, Script(stall_at=0), dialect=dialect) as made:
        client = made.send(stream=in_stream)
        await asyncio.sleep(0.1)
        assert await ended(made, is_limit=False) < PLENTY_S
        answer = await client.read_answer()
        assert (answer.status, answer.closes) == (503, True)
        assert answer.fields[b"content-type"].startswith(b"application/json")
        assert made.counts("m0") == (0, 0, 0)
        assert await aborts_of(made) == {}


async def test_document_that_has_begun_is_cut(tmp_path: Path, serve: Serve) -> None:
    """Operations §4 phase 3: what has no place for an error is cut, so that its client can tell."""
    async with fleet(tmp_path, serve, Script(body_bytes=200_000, stall_at=150_000)) as made:
        client = made.send()
        await settled(lambda: made.counts("m0")[0] == 1)
        assert await ended(made, is_limit=False) < PLENTY_S
        with pytest.raises(Truncated):
            await client.read_answer()
        assert made.counts("m0") == (1, 0, 0)


async def test_frame_that_has_begun_can_only_be_cut(tmp_path: Path, serve: Serve) -> None:
    """Operations §3.3: in the middle of a binary frame nothing can be said, so the connection is cut."""
    (tmp_path / "whole").mkdir()
    at = fifth_frame(await whole_stream(tmp_path / "whole", serve, "bedrock")) + 1
    async with fleet(tmp_path, serve, Script(**LONG | {"stall_at": at}), dialect="bedrock") as made:
        client = await begun(made)
        assert await ended(made, is_limit=False) < PLENTY_S
        with pytest.raises(Truncated):
            await client.read_answer()
        assert await aborts_of(made) == {"drain": 1}


async def test_stream_that_is_complete_ends_well(tmp_path: Path, serve: Serve) -> None:
    """Operations §13 case 38: a stream that has said all and does not close is whole, and nobody's loss."""
    whole = await whole_stream(tmp_path, serve, "openai")
    async with fleet(tmp_path, serve, Script(**LONG | {"stall_at": len(whole)})) as made:
        client = await begun(made)
        assert await ended(made, is_limit=False) < PLENTY_S
        assert (await client.read_answer()).body.count(b"error") == 0
        assert await aborts_of(made) == {}


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_client_that_does_not_read_keeps_nobody(tmp_path: Path, serve: Serve, dialect: str) -> None:
    """Operations §4 phase 3: a client that takes nothing has its moment, then it is cut."""
    script = Script(deltas=4000, delta_chars=20_000)
    async with fleet(tmp_path, serve, script, dialect="openai") as made:
        made.dialect = dialect
        client = made.send(stream=True)
        await asyncio.sleep(0.5)
        assert await ended(made, is_limit=False) < PLENTY_S
        assert not made.site.engine._service.connections
        assert await aborts_of(made) == {"drain": 1}
        client.close()


async def test_reader_of_a_large_backlog_gets_its_last_word(tmp_path: Path, serve: Serve) -> None:
    """Operations §13 case 38: what waits for a client that reads on leaves before the last word does."""
    script = Script(deltas=30, delta_chars=20_000, stall_at=500_000)
    async with fleet(tmp_path, serve, script) as made:
        client = made.send(stream=True)
        await asyncio.sleep(0.2)
        reading = asyncio.ensure_future(client.read_answer())
        await ended(made, is_limit=False)
        answer: Answer = await reading
        check_broken("openai", answer.body)
