"""Health probes over real sockets: what each dialect's upstream is asked, and lanes that come back by it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.system.doors import BY_NAME, DOORS, OK, Door, House, config, six_doors
from tests.system.fleets import failing, fleet
from tests.system.programs import Deployment
from tests.system.rawclient import RawClient
from tests.system.serving import Serve, post, until
from tests.system.test_sdk_bedrock_signing import AKID, NAMES, SECRET, SESSION, check_signed

PING: list[dict[str, Any]] = [{"role": "user", "content": "ping"}]
CHAT = {"model": "vendor-m", "max_tokens": 1, "messages": PING}
BODIES: dict[str, dict[str, Any]] = {
    "openai": CHAT,
    "anthropic": CHAT,
    "cohere": CHAT,
    "responses": {"model": "vendor-m", "input": "ping", "max_output_tokens": 16},
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "ping"}]}],
        "generationConfig": {"maxOutputTokens": 1},
    },
    "bedrock": {"messages": [{"role": "user", "content": [{"text": "ping"}]}], "inferenceConfig": {"maxTokens": 1}},
}
SOON = "health: {mode: active, interval_secs: 1}"
WELL_AGAIN = "health: {mode: dead, interval_secs: 1}"
_LENGTH = re.compile(rb"Content-Length: \d+\r\n")


def dialect_of(head: bytes) -> str:
    """Return which upstream a request was for, by its target."""
    target = head.split(b" ")[1]
    (door,) = [door for door in DOORS if door.upstream == target]
    return door.name


def document_of(door: Door) -> bytes:
    """Return a client's request for a whole answer."""
    return post(door.minimal, b"Connection: close", target=door.target)


async def heads_of(house: House) -> dict[str, bytes]:
    """Return how each upstream is asked by a client that sends no header lines of its own."""
    before = len(house.keeper.heads)
    for door in DOORS:
        await house.say(document_of(door))
    return {dialect_of(head): head for head in house.keeper.heads[before:]}


async def test_probe_of_each_dialect(tmp_path: Path) -> None:
    """Reliability case 74, openai case 68, anthropic case 67, gemini case 70, cohere case 69: as traffic looks."""
    async with six_doors(tmp_path) as house:
        traffic = await heads_of(house)
        assert set(traffic) == set(BODIES)
        del house.keeper.heads[:], house.keeper.bodies[:]
        assert await house.site.reload(config(house.upstream.port).replace("api_key_env", f"{SOON}, api_key_env"))
        assert house.keeper.heads == []
        await until(lambda: len(house.keeper.heads) == len(BODIES))
        for head, raw in zip(house.keeper.heads, house.keeper.bodies, strict=True):
            name = dialect_of(head)
            assert json.loads(raw) == BODIES[name]
            assert b"lane-key" in head
            assert _LENGTH.sub(b"", head) == _LENGTH.sub(b"", traffic.pop(name))
        assert traffic == {}
        await until(lambda: all(house.site.counts(f"{name}-m")[0] == 2 for name in BODIES))


async def test_probe_is_signed_over_the_path_that_is_sent(tmp_path: Path, serve: Serve) -> None:
    """Reliability §10, bedrock case 65: a probe has a signature that the vendor accepts, however the model is spelt."""
    key = f"{AKID}:{SECRET}:{SESSION}"
    async with fleet(tmp_path, serve, None, dialect="bedrock", provider=f"region: eu-west-1, {SOON}") as made:
        made.site.environ["UP_KEY"] = key
        text = (tmp_path / "config.yaml").read_text()
        models = "".join(
            f"  x{number}: {{provider: p0, upstream_model: {json.dumps(name)}}}\n" for number, name in enumerate(NAMES)
        )
        assert await made.site.reload(text.replace("models:\n", f"models:\n{models}"))
        await until(lambda: len(made.received) > len(NAMES))
        for received in made.received:
            check_signed(received, SESSION)
        assert len({received.target for received in made.received}) == len(NAMES) + 1


@pytest.mark.parametrize("status", [500, 401, 429])
async def test_lane_comes_back_by_a_probe(tmp_path: Path, serve: Serve, status: int) -> None:
    """Reliability cases 44, 71 and 74: `health:` in a file takes effect: a lane that is down is asked, and serves."""
    fates = [failing(status, retry_after_s=900 if status == 429 else None), None]
    breaker = "breaker: {trip: {mode: consecutive, consecutive_n: 1}}"
    async with fleet(tmp_path, serve, fates, pool=breaker, provider=WELL_AGAIN) as made:
        assert (await made.ask()).status == (401 if status == 401 else 503)
        assert (await made.health(), made.asked) == (503, "0")
        await until(lambda: made.counts("m0") == (1, 1, 0))
        assert await made.health() == 200
        lane = (await made.stats())["m0"]
        assert (lane["dead_reason"], lane["breaker_state"], lane["cooldown_remaining_s"]) == ("", "closed", 0)
        assert (await made.ask()).status == 200


async def test_lane_without_a_key_is_never_asked(tmp_path: Path) -> None:
    """Reliability case 74: a provider with `api_key: none` sends no probes, beside one that does."""
    async with six_doors(tmp_path) as house:
        text = config(house.upstream.port).replace("api_key_env: UP_KEY", f"{SOON}, api_key_env: UP_KEY")
        text = text.replace("api_key_env: UP_KEY", "api_key: none", 1)
        assert await house.site.reload(text)
        await until(lambda: len(house.keeper.heads) >= 2 * (len(DOORS) - 1))
        assert {dialect_of(head) for head in house.keeper.heads} == set(BODIES) - {DOORS[0].name}


async def test_reload_ends_what_is_asked(tmp_path: Path) -> None:
    """Reliability §10: a reload drops a probe that waits for its answer, and asks nobody who is not to be asked."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (b"",)
        plain = config(house.upstream.port)
        assert await house.site.reload(plain.replace("api_key_env", f"{SOON}, api_key_env", 1))
        await until(lambda: len(house.keeper.heads) == 1)
        house.keeper.pieces = (OK,)
        assert await house.site.reload(plain)
        await until(lambda: all(peer.is_over for peer in house.upstream.peers))
        client = house.connect()
        await ask_for(client, BY_NAME["openai"])
        assert house.site.counts("openai-m") == (1, 0, 0)


async def ask_for(client: RawClient, door: Door) -> None:
    """Ask for a whole answer; it comes."""
    client.send(document_of(door))
    assert (await client.read_answer(b"POST")).status == 200


DOWN = """
listen: 127.0.0.1:0
auth: {mode: none}
providers:
  up:
    protocol: openai
    base_url: "http://127.0.0.1:<port>"
    api_key_env: UP_KEY
    health: {mode: active, interval_secs: 1}
models:
  a: {provider: up}
"""


async def test_log_of_the_program_is_not_flooded(tmp_path: Path, serve: Serve) -> None:
    """Reliability §10: the program warns once of a lane that does not answer its probes, however often it is asked."""
    asked = 0

    async def refuse(exchange: Any) -> None:
        nonlocal asked
        asked += 1
        await exchange.read_body()
        exchange.reply(500, b"", b"secret of the upstream")

    place = Deployment(tmp_path)
    place.environ["UP_KEY"] = "lane-key"
    async with serve(refuse) as upstream:
        place.write(DOWN, port=upstream.port)
        with place.start() as program:
            await program.is_up()
            await until(lambda: asked == 3, 10)
            told = [line for line in program.log.splitlines() if "health probe" in line]
            assert len(told) == 1
            assert "lane=a outcome=transient why=500" in told[0]
            assert "secret" not in program.log
            assert "lane-key" not in program.log
            assert await program.end() == 0
