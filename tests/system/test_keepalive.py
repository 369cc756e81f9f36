"""Signs of life in silent streams: what each client reads over, and that they stand between events and chunks only."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from busbar_fast.mock.script import Script
from tests.system.fleets import Fleet, fleet
from tests.system.serving import Serve, until

SECOND = "limits: {stream_keepalive_secs: 1}"
SIGNS = {
    "openai": b": keepalive\n\n",
    "responses": b": keepalive\n\n",
    "cohere": b": keepalive\n\n",
    "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n',
}


def chunk(payload: bytes) -> bytes:
    """Return one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


async def first_event_bytes(folder: Path, serve: Serve, dialect: str) -> int:
    """Return where the first event of the mock's stream ends."""
    async with fleet(folder, serve, Script(deltas=2), dialect=dialect) as made:
        body = (await made.ask(stream=True)).body
        return body.index(b"\n\n") + 2


async def shown_in_silence(made: Fleet) -> bytes:
    """Return what a client has of a stream after two and a half seconds of silence."""
    client = made.send(stream=True)
    await client.read_until(b"\r\n\r\n")
    reading = asyncio.ensure_future(client.read_all())
    await asyncio.wait((reading,), timeout=2.5)
    reading.cancel()
    await asyncio.wait((reading,))
    received = client.held
    client.close()
    await until(lambda: all(lane.state.inflight == 0 for lane in made.site.engine.lanes.values()))
    return received


async def at_once(folder: Path, names: Iterable[str], check: Callable[[Path, str], Awaitable[None]]) -> None:
    """Check every dialect at the same time, each in a folder of its own: all of them mostly wait."""
    folders = {name: folder / name for name in names}
    for made in folders.values():
        made.mkdir()
    await asyncio.gather(*(check(made, name) for name, made in folders.items()))


async def test_silent_stream_shows_signs_of_life(tmp_path: Path, serve: Serve) -> None:
    """Operations §12 "long streams": each a chunk of its own behind the last event, once a second."""

    async def check(folder: Path, dialect: str) -> None:
        end = await first_event_bytes(folder, serve, dialect)
        async with fleet(folder, serve, Script(deltas=2, stall_at=end), dialect=dialect, top=SECOND) as made:
            assert (await shown_in_silence(made)).endswith(b"\n\n\r\n" + chunk(SIGNS[dialect]) * 2)

    await at_once(tmp_path, SIGNS, check)


async def test_no_sign_stands_within_an_event(tmp_path: Path, serve: Serve) -> None:
    """Operations §12 "long streams": where the lane falls silent in the middle of an event nothing is added."""

    async def check(folder: Path, dialect: str) -> None:
        end = await first_event_bytes(folder, serve, dialect)
        async with fleet(folder, serve, Script(deltas=2, stall_at=end + 7), dialect=dialect, top=SECOND) as made:
            received = await shown_in_silence(made)
            assert received
            assert SIGNS[dialect] not in received

    await at_once(tmp_path, SIGNS, check)


async def test_clients_that_would_stumble_are_spared(tmp_path: Path, serve: Serve) -> None:
    """Operations §12 "long streams": never on formats that have no place for it, nor where the SDK fails over it."""

    async def check(folder: Path, dialect: str) -> None:
        script = Script(deltas=3, stall_at=700)
        async with fleet(folder, serve, script, dialect=dialect, top=SECOND) as made:
            received = await shown_in_silence(made)
            assert received
            assert b"keepalive" not in received
            assert b"ping" not in received

    await at_once(tmp_path, ("gemini", "array", "bedrock"), check)


async def test_translated_stream_shows_signs_of_life(tmp_path: Path, serve: Serve) -> None:
    """Anthropic case 55, operations §12: translated streams show them as well."""
    lanes = {"anthropic": "openai", "openai": "bedrock", "cohere": "gemini"}

    async def check(folder: Path, client: str) -> None:
        script = Script(deltas=30, stall_at=1500)
        async with fleet(folder, serve, script, dialect=lanes[client], top=SECOND) as made:
            made.dialect = client
            assert (await shown_in_silence(made)).endswith(chunk(SIGNS[client]))

    await at_once(tmp_path, lanes, check)


async def test_stream_that_speaks_shows_none(tmp_path: Path, serve: Serve) -> None:
    """Operations §12: a lane that is never silent for so long gets its stream through as it is."""
    script = Script(deltas=6, delay_frame_ms=300)
    async with fleet(tmp_path, serve, script, top=SECOND) as made:
        answer = await made.ask(stream=True)
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert b"keepalive" not in answer.body


async def test_clients_are_spared_by_default(tmp_path: Path, serve: Serve) -> None:
    """Operations §12: `stream_keepalive_secs` is off unless somebody wants it."""
    end = await first_event_bytes(tmp_path, serve, "openai")
    async with fleet(tmp_path, serve, Script(deltas=2, stall_at=end)) as made:
        assert b"keepalive" not in await shown_in_silence(made)
