"""Gateways with virtual keys that are killed, and that leave in good order: what their database holds afterwards."""

import asyncio
import json
import re
import signal
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from tests.system.programs import Deployment, Program
from tests.system.rawclient import RawClient
from tests.system.serving import Serve

CONFIG = """
listen: 127.0.0.1:0
governance: {enabled: true, admin_token: an-operators-token, db_path: <path>, usage_flush_interval_ms: 20}
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
models: {m: {provider: up}}
"""
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
GOOD = Script(usage_in=31, usage_out=18)
KILLS = 20
CLIENTS = 6
KEPT_WITHIN_S = 0.4  # an interval, and the time that a slow disk takes


class Load:
    """Clients that ask with one key until they are cut off; knows when each answer came."""

    def __init__(self, program: Program, secret: str) -> None:
        self._program = program
        self._raw = (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
            % (secret.encode(), len(BODY), BODY)
        )
        self.answered_at: list[float] = []
        self.sent = 0

    async def run(self, lasts_s: float) -> None:
        """Ask for a while, or until nobody answers."""
        until_s = time.monotonic() + lasts_s
        await asyncio.gather(*(self._ask(self._program.connect(), until_s) for _ in range(CLIENTS)))

    async def _ask(self, client: RawClient, until_s: float) -> None:
        while time.monotonic() < until_s and not client.has_ended:
            self.sent += 1
            client.send(self._raw)
            try:
                answer = await client.read_answer()
            except (AssertionError, OSError, ValueError):
                return  # it was cut off
            assert answer.status == 200
            self.answered_at.append(time.monotonic())


async def mint(program: Program) -> Mapping[str, Any]:
    """Make a key."""
    raw = b'{"name":"n"}'
    head = b"POST /admin/keys HTTP/1.1\r\nHost: h\r\nx-admin-token: an-operators-token\r\nContent-Length: %d\r\n\r\n"
    answer = await program.ask(head % len(raw) + raw)
    assert answer.status == 201
    made: Mapping[str, Any] = json.loads(answer.body)
    return made


def stored(path: Path) -> tuple[int, int, int]:
    """Return cents, tokens and requests of all keys; the database is sound."""
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        row = database.execute("SELECT sum(spend_cents), sum(tokens), sum(requests) FROM usage_counters").fetchone()
    database.close()
    cents, tokens, requests = (number or 0 for number in row)
    return cents, tokens, requests


@pytest.mark.timeout(120)
async def test_killed_under_load(tmp_path: Path, serve: Serve) -> None:
    """Governance case 57, issue: 20 times; keys are there, spend is what was answered, nothing is counted twice."""
    chance, path = Random(57), tmp_path / "keys.db"
    place = Deployment(tmp_path)
    place.environ["UP_KEY"] = "k"
    key: Mapping[str, Any] = {}
    async with serve(MockBackend(lambda _: GOOD).serve) as backend:
        place.write(CONFIG, path=path, port=backend.port)
        for _ in range(KILLS):
            before = stored(path) if key else (0, 0, 0)
            with place.start() as program:
                await program.is_up()
                key = key or await mint(program)
                load = Load(program, key["secret"])
                running = asyncio.ensure_future(load.run(5.0))
                await asyncio.sleep(chance.uniform(0.1, 0.7))
                program.send(signal.SIGKILL)
                killed_at = time.monotonic()
                await running
            cents, tokens, requests = (now - then for now, then in zip(stored(path), before, strict=True))
            safe = sum(at < killed_at - KEPT_WITHIN_S for at in load.answered_at)
            assert safe <= requests <= load.sent
            assert cents == requests
            assert 49 * safe <= tokens <= 49 * load.sent
        assert stored(path)[2] > KILLS


async def test_nothing_is_lost_by_who_leaves_in_order(tmp_path: Path, serve: Serve) -> None:
    """Governance case 68: after SIGTERM under load what is stored is what was answered, to the last one."""
    path = tmp_path / "keys.db"
    place = Deployment(tmp_path)
    place.environ["UP_KEY"] = "k"
    async with serve(MockBackend(lambda _: GOOD).serve) as backend:
        place.write(CONFIG, path=path, port=backend.port)
        with place.start() as program:
            await program.is_up()
            load = Load(program, (await mint(program))["secret"])
            running = asyncio.ensure_future(load.run(5.0))
            await asyncio.sleep(0.5)
            assert await program.end() == 0
            await running
        answered = len(load.answered_at)
    assert answered > CLIENTS
    assert stored(path) == (answered, 49 * answered, answered)


async def test_a_door_for_operators(tmp_path: Path) -> None:
    """Governance §10: `admin_listen` is bound at the start; one that is taken ends it."""
    place = Deployment(tmp_path)
    place.environ["UP_KEY"] = "k"
    config = CONFIG.replace("enabled: true", "enabled: true, admin_listen: '127.0.0.1:<back>'")
    place.write(config, path=tmp_path / "keys.db", port=9, back=0)
    with place.start() as program:
        await program.is_up()
        found = re.search(r"operators listening listen=127\.0\.0\.1:(\d+)", program.log)
        assert found
        client = program.connect(int(found[1]))
        client.send(b"GET /admin/keys HTTP/1.1\r\nHost: h\r\nx-admin-token: an-operators-token\r\n\r\n")
        assert (await client.read_answer()).body == b'{"keys":[]}'
        assert (await program.get("/admin/keys"))[0] == 404
        place.write(config, path=tmp_path / "other.db", port=9, back=found[1])
        done = place.run()
    assert (done.returncode, "cannot listen on 127.0.0.1" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "governance.secret_key_env: the variable SEAL is not set or empty"),
        ("weak", "governance.secret_key_env: SEAL: the key is neither"),
    ],
)
def test_a_key_that_seals_nothing_ends_the_start(tmp_path: Path, key: str, words: str) -> None:
    """Governance §2: who asks for sealing does not go without in silence."""
    place = Deployment(tmp_path)
    place.environ |= {"UP_KEY": "k", "SEAL": key}
    place.write(
        CONFIG.replace("enabled: true", "enabled: true, secret_key_env: SEAL"), path=tmp_path / "keys.db", port=9
    )
    done = place.run()
    assert (done.returncode, words in done.stderr) == (1, True)


async def test_a_database_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    """Governance case 58: a second gateway says why it cannot start, and where."""
    place = Deployment(tmp_path)
    place.environ["UP_KEY"] = "k"
    place.write(CONFIG, path=tmp_path / "keys.db", port=9)
    with place.start() as program:
        await program.is_up()
        done = place.run()
    assert done.returncode == 1
    assert f"governance.db_path: {tmp_path / 'keys.db'}: another gateway uses this database" in done.stderr
