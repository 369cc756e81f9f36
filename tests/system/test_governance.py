"""Virtual keys over sockets: who is let in, what for, how often, for how much, and what is kept of it."""

import asyncio
import logging
import re
import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest

from busbar_fast.governance.keys import Held, Key, digest_of
from busbar_fast.governance.store import Store
from busbar_fast.mock.script import Script
from busbar_fast.wire.listener import bind
from tests.dialects.vendors import CALLS
from tests.system.fleets import call_of
from tests.system.governing import ADMIN, LOGIN, Board, governed
from tests.system.rawclient import RawClient
from tests.system.serving import Gate, Serve, until

GOOD = Script(usage_in=31, usage_out=18)
DOWN = Script(status=503)
LONG = Script(usage_in=31, usage_out=18, deltas=50, delay_frame_ms=20)
NOBODY = {"secret": "sk-bb-nobody"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the files of one gateway are."""
    return tmp_path


# Who is let in


async def test_a_key_lets_its_caller_in(folder: Path, serve: Serve) -> None:
    """Governance cases 10 and 17: the secret that was shown once; unknown and switched off look the same."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint()
        assert re.fullmatch("sk-bb-[0-9a-f]{32}", key["secret"])
        assert key["id"] == f"vk_{digest_of(key['secret'].encode())[:16]}"
        assert (await board.ask(key)).status == 200
        unknown = await board.ask(NOBODY)
        changed = await board.say("PATCH", f"/keys/{key['id']}", {"enabled": False})
        assert (changed.status, changed.document["enabled"]) == (200, False)
        off = await board.ask(key)
        assert (unknown.status, off.status, unknown.body) == (401, 401, off.body)
        await board.say("PATCH", f"/keys/{key['id']}", {"enabled": True})
        assert (await board.ask(key)).status == 200


async def test_a_connection_that_goes_on_hears_of_changes(folder: Path, serve: Serve) -> None:
    """Governance §9: the next request sees the change, on a connection that was open before as well."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint()
        client = board.send(key)
        assert (await client.read_answer()).status == 200
        assert (await board.say("DELETE", f"/keys/{key['id']}")).document == {"deleted": key["id"]}
        again = board.send(key)
        client.close()
        assert (await again.read_answer()).status == 401
        assert (await board.say("DELETE", f"/keys/{key['id']}")).status == 404


async def test_names_that_a_key_may_not_ask_for(folder: Path, serve: Serve) -> None:
    """Governance case 20: a restricted key learns nothing of other names, an unrestricted one that there is none."""
    async with governed(folder, serve, GOOD, GOOD) as board:
        some, every = await board.mint(allowed_pools=["m0"]), await board.mint()
        assert (await board.ask(some, "m0")).status == 200
        other, unknown = await board.ask(some, "m1"), await board.ask(some, "nobody")
        assert (other.status, unknown.status, other.body) == (403, 403, unknown.body)
        assert (await board.ask(some, "p0/m0")).status == 200
        assert (await board.ask(some, "p1/m1")).status == 403
        assert (await board.ask(every, "nobody")).status == 404
        assert await board.usage(every) == (0, 0, 0)
        assert (await board.usage(some))[2] == 2


async def test_limits_of_a_key_leave_a_trace(folder: Path, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Operations §7 and §10: what a key may not do is a line with its id and why, and counts under the pool's name."""
    caplog.set_level(logging.INFO, "busbar_fast.gateway")
    async with governed(folder, serve, GOOD, GOOD) as board:
        kept = await board.mint(allowed_pools=["m0"])
        slow = await board.mint(rpm_limit=1)
        poor = await board.mint(max_budget_cents=0)
        assert (await board.ask(slow)).status == 200
        caplog.clear()
        asked = ((kept, "m1", "allowed_pools"), (kept, "nobody", "allowed_pools"), (slow, "pool", "rate"))
        for key, name, _ in (*asked, (poor, "p1/m1", "budget")):
            assert (await board.ask(key, name)).status in (403, 429)
        shown = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "a key was refused"]
        assert [(line["key"], line["why"], line["pool"]) for line in shown] == [
            (kept["id"], "allowed_pools", "m1"),
            (kept["id"], "allowed_pools", "unresolved"),
            (slow["id"], "rate", "pool"),
            (poor["id"], "budget", "m1"),
        ]
        assert all(len(line["request"]) == 32 for line in shown)
        tallies = board.fleet.site.engine._gateway.status._tallies
        refused = {p: tally.outcomes["client_error"] for d, p, tally in tallies.rows if d == "openai"}
        assert refused == {"pool": 1, "m0": 0, "m1": 2, "unresolved": 1}


async def test_whom_a_pool_falls_back_to_counts(folder: Path, serve: Serve) -> None:
    """Governance case 21: every pool of the chain must be allowed; a ring of them cannot be configured."""
    pools = "  other: {members: [{target: m0}]}"
    async with governed(folder, serve, GOOD, pool="on_exhausted: fallback_pool:other", pools=pools) as board:
        one, both = await board.mint(allowed_pools=["pool"]), await board.mint(allowed_pools=["pool", "other"])
        assert [(await board.ask(key)).status for key in (one, both)] == [403, 200]
        assert len(board.fleet.received) == 1


async def test_lists_show_what_a_key_may_ask_for(folder: Path, serve: Serve) -> None:
    """Governance case 16: `/stats` and the list of models, for one that is limited and one that is not."""
    async with governed(folder, serve, GOOD, GOOD) as board:
        some, every = await board.mint(allowed_pools=["m0"]), await board.mint()
        shown = []
        for key in (some, every):
            for path in ("/v1/models", "/stats"):
                client = board.fleet.site.connect()
                line = f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key['secret']}\r\n\r\n"
                client.send(line.encode())
                shown.append(orjson.loads((await client.read_answer()).body))
                client.close()
    assert [model["id"] for model in shown[0]["data"]] == ["m0"]
    assert [model["id"] for model in shown[2]["data"]] == ["pool", "m0", "m1"]
    assert ([lane["model"] for lane in shown[1]["lanes"]], shown[1]["pools"]) == (["m0"], {})
    assert [lane["model"] for lane in shown[3]["lanes"]] == ["m0", "m1"]


# How often and for how much


async def test_the_rate_is_exact_under_pressure(folder: Path, serve: Serve) -> None:
    """Governance case 23, issue: 200 at once at ten a minute are ten; who is refused hears when to come back."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint(rpm_limit=10)
        before_s = board.fleet.site.engine._governor.now_s // 60  # type: ignore[union-attr]
        statuses = await board.statuses(key, 200)
        if board.fleet.site.engine._governor.now_s // 60 == before_s:  # type: ignore[union-attr]
            assert statuses == [200] * 10 + [429] * 190
        refused = await board.ask(key)
        assert refused.status == 200 or 1 <= int(refused.fields[b"retry-after"]) <= 60


async def test_the_budget_is_exact_under_pressure(folder: Path, serve: Serve) -> None:
    """Governance cases 27 and 29, issue: 200 at once at five cents are five."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint(max_budget_cents=5)
        assert await board.statuses(key, 200) == [200] * 5 + [429] * 195
        assert await board.usage(key) == (5, 5 * 49, 5)
        assert [(await board.ask(await board.mint(max_budget_cents=0))).status] == [429]


@pytest.mark.parametrize(
    ("dialect", "status", "word"),
    [
        ("openai", 429, b"insufficient_quota"),
        ("responses", 429, b"insufficient_quota"),
        ("anthropic", 429, b"enforced_spend_limit_reached"),
        ("gemini", 429, b"RESOURCE_EXHAUSTED"),
        ("bedrock", 400, b"ServiceQuotaExceeded"),
        ("cohere", 429, b"message"),
    ],
)
async def test_over_budget_in_every_dialect(folder: Path, serve: Serve, dialect: str, status: int, word: bytes) -> None:
    """Governance case 30: never 402, no hint when to come back, and three clients are told not to try again."""
    async with governed(folder, serve, GOOD, dialect=dialect) as board:
        refused = await board.ask(await board.mint(max_budget_cents=0))
        forbidden = await board.ask(await board.mint(allowed_pools=["other"]))
        limited = await board.mint(rpm_limit=1)
        again = [await board.ask(limited) for _ in range(2)][-1]
    shown = (refused.body + str(refused.fields).encode()).replace(b" ", b"")
    assert (refused.status, word in shown) == (status, True)
    assert b"retry-after" not in refused.fields
    assert (refused.fields.get(b"x-should-retry") == b"false") is (dialect in ("openai", "responses", "anthropic"))
    assert forbidden.status == 403
    assert again.status == 200 or (again.status, b"retry-after" in again.fields) == (429, True)


async def test_what_fails_is_given_back(folder: Path, serve: Serve) -> None:
    """Governance cases 26 and 38: fee and request, not the place in the minute; of two hops the second is paid."""
    async with governed(folder, serve, [DOWN, GOOD, DOWN], rules="price_per_1k_tokens_cents: 1000") as board:
        key = await board.mint(rpm_limit=2)
        assert (await board.ask(key)).status == 503
        assert await board.usage(key) == (0, 0, 0)
        assert (await board.ask(key)).status == 200
        assert await board.usage(key) == (50, 49, 1)
        assert (await board.ask(key)).status in (429, 503)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("lane", list(CALLS))
@pytest.mark.parametrize("client", list(CALLS))
async def test_tokens_are_those_that_the_backend_told(
    folder: Path, serve: Serve, client: str, lane: str, stream: bool
) -> None:
    """Governance cases 33 to 35, openai case 51: over all 36 pairs, whole and streamed, once each."""
    async with governed(folder, serve, GOOD, dialect=lane) as board:
        key = await board.mint()
        got = await board.ask(key, dialect=client, stream=stream)
        assert got.status == 200
        assert await board.usage(key) == (1, 49, 1)


async def test_usage_that_nobody_asked_for_is_counted_and_not_shown(folder: Path, serve: Serve) -> None:
    """Governance case 34: the key is billed, the client sees no chunk of it."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint()
        got = await board.ask(key, stream=True)
        assert b"usage" not in got.body
        assert board.fleet.received[0].document["stream_options"] == {"include_usage": True}
        assert await board.usage(key) == (1, 49, 1)


BROKEN = [
    Script(usage_in=31, deltas=20, fail_after=9, status=500, delay_frame_ms=2),
    Script(usage_in=31, deltas=20, cut_at=1500),
]


@pytest.mark.parametrize("fate", BROKEN, ids=["reported", "cut"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("lane", ["openai", "anthropic"])
async def test_a_stream_that_breaks_costs_its_fee(
    folder: Path, serve: Serve, dialect: str, lane: str, fate: Script
) -> None:
    """Governance case 36: an error inside, or a connection that is cut: no tokens, and the fee stays."""
    async with governed(folder, serve, fate, dialect=lane) as board:
        key = await board.mint()
        got = await board.ask(key, dialect=dialect, stream=True)
        assert got.status == 200
        assert await board.usage(key) == (1, 0, 1)


@pytest.mark.parametrize("client", ["openai", "anthropic"])
async def test_a_client_that_leaves_pays_for_what_was_seen(folder: Path, serve: Serve, client: str) -> None:
    """Governance case 37: nothing when no usage was told yet, the fee either way."""
    async with governed(folder, serve, LONG) as board:
        key = await board.mint()
        caller = board.send(key, dialect=client, stream=True)
        await caller.read_until(b"\n\n")
        caller.close()
        await until(lambda: board.fleet.site.engine.lanes["m0"].state.inflight == 0)
        spent, _, requests = await board.usage(key)
        assert (spent, requests) == (1, 1)


@pytest.mark.parametrize("client", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("lane", ["openai", "cohere"])
async def test_a_client_that_leaves_pays_for_what_was_guessed(
    folder: Path, serve: Serve, client: str, lane: str
) -> None:
    """Governance §7 `on_disconnect: estimate`: where no usage was told a token for every four characters."""
    fate = Script(text="abcd" * 30, delta_chars=16, stall_at=1400)
    async with governed(folder, serve, fate, dialect=lane, rules="on_disconnect: estimate") as board:
        key = await board.mint()
        caller = board.send(key, dialect=client, stream=True)
        reading = asyncio.ensure_future(caller.read_all())
        size = -1
        while size < len(caller.held):  # until nothing more comes
            size = len(caller.held)
            await asyncio.wait((reading,), timeout=0.5)
        reading.cancel()
        await asyncio.wait((reading,))
        said = caller.held.count(b"abcd") * 4
        caller.close()
        await until(lambda: board.fleet.site.engine.lanes["m0"].state.inflight == 0)
        assert said > 16
        assert await board.usage(key) == (1, said // 4, 1)


async def test_a_client_that_leaves_before_an_answer_pays_nothing(folder: Path, serve: Serve) -> None:
    """Governance §7: before any status line nothing is kept."""
    hold = Gate()
    async with governed(folder, serve, GOOD, hold=hold) as board:
        key = await board.mint()
        caller = board.send(key)
        await until(lambda: hold.waiting == 1)
        assert await board.usage(key) == (1, 0, 1)
        caller.close()
        await until(lambda: board.fleet.site.engine.lanes["m0"].state.inflight == 0)
        assert await board.usage(key) == (0, 0, 0)
        hold.open()


# What is kept


async def test_a_restart_goes_on_where_it_was(folder: Path, serve: Serve) -> None:
    """Governance cases 18, 31 and 68: keys, spend to the part of a cent, and no secret in the file."""
    rules = "price_per_1k_tokens_cents: 10"  # 490 millicents for each answer
    async with governed(folder, serve, GOOD, rules=rules) as board:
        key = await board.mint(max_budget_cents=3)
        assert (await board.ask(key)).status == 200
    raw = (folder / "keys.db").read_bytes()
    assert key["secret"].encode() not in raw
    with sqlite3.connect(folder / "keys.db") as stored:
        assert stored.execute(
            "SELECT spend_cents, spend_millicents, tokens, requests FROM usage_counters"
        ).fetchall() == [(1, 490, 49, 1)]
    async with governed(folder, serve, GOOD, rules=rules) as board:
        assert (await board.say("GET", f"/keys/{key['id']}")).document["max_budget_cents"] == 3
        assert [(await board.ask(key)).status for _ in range(2)] == [200, 429]
        assert await board.usage(key) == (2, 98, 2)


async def test_spend_is_stored_while_it_runs(folder: Path, serve: Serve) -> None:
    """Governance case 57: what was acknowledged is in the file one interval later."""
    async with governed(folder, serve, GOOD, rules="usage_flush_interval_ms: 10") as board:
        key = await board.mint()
        await board.ask(key)
        with sqlite3.connect(folder / "keys.db") as stored:

            def rows() -> list[Any]:
                return stored.execute("SELECT spend_cents, tokens, requests FROM usage_counters").fetchall()

            await until(lambda: rows() != [])
            assert rows() == [(1, 49, 1)]


@pytest.mark.parametrize(("on_error", "status"), [("allow", 200), ("deny", 429)])
async def test_a_store_that_fails_loses_nothing(folder: Path, serve: Serve, on_error: str, status: int) -> None:
    """Governance cases 55, 56: what could not be stored is kept and stored once; meanwhile it goes as configured."""
    rules = f"usage_flush_interval_ms: 10, sqlite_busy_timeout_ms: 0, budget_on_store_error: {on_error}"
    async with governed(folder, serve, GOOD, rules=rules) as board:
        governor = board.fleet.site.engine._governor
        assert governor is not None
        capped, free = await board.mint(max_budget_cents=9), await board.mint()
        with sqlite3.connect(folder / "keys.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            await board.ask(capped)
            await until(lambda: governor.flush_failures > 1)
            assert [(await board.ask(key)).status for key in (capped, free)] == [status, 200]
            refused = await board.say("POST", "/keys", {"name": "x"})
            assert (refused.status, b"sql" in refused.body.lower(), b"keys.db" in refused.body) == (500, False, False)
            other.execute("COMMIT")
        spent = 2 if on_error == "allow" else 1
        await until(lambda: not governor._is_broken)
        assert await board.usage(capped) == (spent, spent * 49, spent)
    with sqlite3.connect(folder / "keys.db") as stored:
        total = stored.execute("SELECT sum(requests) FROM usage_counters").fetchone()
    assert total == (spent + 1,)


async def test_a_second_gateway_stays_away(folder: Path, serve: Serve) -> None:
    """Governance case 58: the same file is used by one."""
    async with governed(folder, serve, GOOD):
        with pytest.raises(Exception, match="another gateway"):
            async with governed(folder, serve, GOOD):
                pass


# Operators


@pytest.mark.parametrize(
    "login",
    [
        b"",
        b"Authorization: Bearer wrong\r\n",
        b"Authorization: Bearer \r\n",
        f"x-api-key: {ADMIN}\r\n".encode(),
        f"Authorization: Basic {ADMIN}\r\n".encode(),
        b"x-admin-token: \r\n",
    ],
)
async def test_who_is_no_operator_is_turned_away(folder: Path, serve: Serve, login: bytes) -> None:
    """Governance case 15: the token counts in its two places only, and no virtual key is one."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint()
        assert (await board.say("GET", "/keys", login=login)).status == 401
        line = f"Authorization: Bearer {key['secret']}\r\n".encode()
        assert (await board.say("GET", "/keys", login=line)).status == 401
        assert (await board.say("GET", "/keys", login=f"x-admin-token: {ADMIN}\r\n".encode())).status == 200
        both = f"Authorization: Bearer no\r\nx-admin-token: {ADMIN}\r\n".encode()
        assert (await board.say("GET", "/keys", login=both)).status == 200
        assert (await board.say("GET", "x/v1/messages", login=line)).status == 405  # no path of the management


async def test_guessing_is_slow(folder: Path, serve: Serve) -> None:
    """Governance case 54: the eleventh wrong login within a second, the right one always."""
    async with governed(folder, serve, GOOD) as board:
        answers = await asyncio.gather(*(board.say("GET", "/keys", login=b"") for _ in range(40)))
        seen = {answer.status for answer in answers}
        assert seen == {401, 429}
        assert {a.fields[b"retry-after"] for a in answers if a.status == 429} == {b"1"}
        assert (await board.say("GET", "/keys")).status == 200


async def test_what_operators_may_ask(folder: Path, serve: Serve) -> None:
    """Governance §10 and cases 18, 51, 52, 54: lists, entries, paths that are none, and ids that cannot be."""
    async with governed(folder, serve, GOOD) as board:
        one, two = await board.mint(name="one", issue_aws_credential=True), await board.mint(name="two")
        listed = await board.say("GET", "/keys")
        assert sorted(key["name"] for key in listed.document["keys"]) == ["one", "two"]
        assert (listed.fields[b"cache-control"], listed.fields[b"content-type"]) == (b"no-store", b"application/json")
        shown = await board.say("GET", f"/keys/{one['id']}")
        assert shown.document["aws_access_key_id"] == one["aws_access_key_id"]
        for hidden in (one["secret"], one["aws_secret_access_key"], digest_of(one["secret"].encode())):
            assert hidden.encode() not in listed.body + shown.body
        assert (await board.say("GET", f"/keys/{'x' * 65}")).status == 400
        assert (await board.say("GET", "/keys/vk_0/usage")).status == 404
        wrong = await board.say("PUT", "/keys")
        assert (wrong.status, wrong.fields[b"allow"]) == (405, b"GET, POST")
        assert (await board.say("GET", "/nothing")).status == 404
        assert (await board.say("PATCH", f"/keys/{two['id']}", {"rpm_limit": 5})).document["rpm_limit"] == 5
        assert (await board.say("PATCH", f"/keys/{two['id']}", {})).document["rpm_limit"] == 5
        assert (await board.say("PATCH", f"/keys/{two['id']}", {"rpm_limit": None})).document["rpm_limit"] is None
        assert (await board.say("PATCH", "/keys/vk_0", {})).status == 404


async def test_wrong_drafts_store_nothing(folder: Path, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Governance cases 45 and 49: a typo is refused, and nothing of the body is repeated anywhere."""
    async with governed(folder, serve, GOOD) as board:
        for body in (b'{"name":"x","allowed_pool":["hush"]}', b'{"name":"hush-hush"', b"x" * 70_000):
            refused = await board.say("POST", "/keys", body)
            assert refused.status in (400, 413)
            assert b"hush" not in refused.body
        assert (await board.say("GET", "/keys")).document == {"keys": []}
    assert "hush" not in caplog.text


async def test_changes_of_keys_are_audited(folder: Path, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Governance §10: each change is a line with what was done, to which key, which members, from where; no values."""
    caplog.set_level(logging.INFO, "busbar_fast")
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint(rpm_limit=3, name="hush")
        await board.say("PATCH", f"/keys/{key['id']}", {"rpm_limit": 4, "enabled": False})
        await board.say("DELETE", f"/keys/{key['id']}")
    told = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "a key was changed"]
    assert [(line["action"], line["key"], line["peer"]) for line in told] == [
        (action, key["id"], "127.0.0.1") for action in ("create", "update", "delete")
    ]
    assert [line["members"] for line in told][1:] == ["enabled,rpm_limit", ""]
    assert {"name", "rpm_limit"} <= set(told[0]["members"].split(","))
    assert "hush" not in caplog.text


async def test_a_change_never_brings_a_key_back(folder: Path, serve: Serve) -> None:
    """Governance case 53: changes and deletions in any order leave no key."""
    async with governed(folder, serve, GOOD) as board:
        for _ in range(20):
            key = await board.mint()
            path = f"/keys/{key['id']}"
            patches = [board.say("PATCH", path, {"rpm_limit": number}) for number in range(1, 6)]
            answers = await asyncio.gather(
                *patches[:2], board.say("DELETE", path), board.say("DELETE", path), *patches[2:]
            )
            assert [a.document.get("deleted") for a in answers].count(key["id"]) == 1
            assert (await board.say("GET", path)).status == 404
        assert (await board.say("GET", "/keys")).document == {"keys": []}


async def test_an_operator_who_hangs_up_leaves_nothing_half_done(folder: Path, serve: Serve) -> None:
    """Governance §8: the change completes or never started; what serves and what is stored agree."""
    async with governed(folder, serve, GOOD) as board:
        for _ in range(20):
            client = board.fleet.site.connect()
            body = orjson.dumps({"name": "n"})
            head = (
                f"POST /admin/keys HTTP/1.1\r\nHost: h\r\nx-admin-token: {ADMIN}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            client.send(head.encode() + body)
            client.close()
        await board.mint()
        governor = board.fleet.site.engine._governor
        assert governor is not None
        with sqlite3.connect(folder / "keys.db") as stored:

            def count() -> int:
                return int(stored.execute("SELECT count(*) FROM virtual_keys").fetchone()[0])

            await until(lambda: not governor._tasks and count() == len(governor.ring.all()) > 0)


async def test_without_governance_nobody_manages(folder: Path, serve: Serve) -> None:
    """Governance §10: every path of the management answers 401."""
    from tests.system.fleets import fleet  # noqa: PLC0415  the one test without keys

    async with fleet(folder, serve, GOOD) as made:
        assert (await Board(made).say("GET", "/keys")).status == 401


# What is shown


async def scrape(board: Board, login: bytes) -> tuple[int, str]:
    """Return the metrics as this caller gets them."""
    client = board.fleet.site.connect()
    client.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %b\r\n\r\n" % login)
    got = await client.read_answer()
    client.close()
    return got.status, got.body.decode()


async def test_gauges_of_keys(folder: Path, serve: Serve) -> None:
    """Operations case 54: spend and tokens of each key, what is left of those with a cap, nothing of those gone."""
    async with governed(folder, serve, GOOD) as board:
        capped, free = await board.mint(max_budget_cents=1), await board.mint()
        for key in (capped, free):
            await board.ask(key)
        await board.say("PATCH", f"/keys/{capped['id']}", {"max_budget_cents": 0})
        status, shown = await scrape(board, free["secret"].encode())
        assert status == 200
        for key in (capped, free):
            assert f'busbar_key_spend_cents{{key="{key["id"]}"}} 1.0' in shown
            assert f'busbar_key_tokens_total{{key="{key["id"]}"}} 49.0' in shown
        assert f'busbar_key_budget_remaining_cents{{key="{capped["id"]}"}} 0.0' in shown
        assert f'remaining_cents{{key="{free["id"]}"' not in shown
        assert "busbar_governance_flush_failures_total 0.0" in shown
        assert "busbar_key_gauges_truncated 0.0" in shown
        await board.say("DELETE", f"/keys/{capped['id']}")
        assert capped["id"] not in (await scrape(board, free["secret"].encode()))[1]


async def test_of_very_many_keys_those_are_shown_that_spent_most(
    folder: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Operations case 54: 2,001 keys are 2,000 series and one warning."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint()
        governor = board.fleet.site.engine._governor
        assert governor is not None
        for number in range(2000):
            governor.ring.put(Held(Key(f"vk_{number}", "n", created_at=1), f"d{number}"))
        await board.ask(key)
        for _ in range(2):
            _, shown = await scrape(board, key["secret"].encode())
            assert shown.count("busbar_key_spend_cents{") == 2000
            assert "busbar_key_gauges_truncated 1.0" in shown
            assert f'busbar_key_spend_cents{{key="{key["id"]}"}} 1.0' in shown
    assert caplog.text.count("those that spent most") == 1


async def test_no_key_is_shown_where_none_is_wanted(folder: Path, serve: Serve) -> None:
    """Operations §7 "key gauges": `metrics.key_gauge_limit: 0` shows none, without a warning."""
    async with governed(folder, serve, GOOD, top="metrics: {key_gauge_limit: 0}\n") as board:
        key = await board.mint()
        _, shown = await scrape(board, key["secret"].encode())
        assert "busbar_key_spend_cents{" not in shown
        assert "busbar_key_gauges_truncated 1.0" in shown


async def test_metrics_may_have_a_token_of_their_own(folder: Path, serve: Serve) -> None:
    """Governance §1.1: then it and the operator's are taken, and no virtual key, since they show what all spend."""
    more = "observability: {metrics_token: a-scrapers-token}\n"
    async with governed(folder, serve, GOOD, top=more) as board:
        key = await board.mint()
        logins = (b"a-scrapers-token", ADMIN.encode(), key["secret"].encode(), b"no")
        assert [(await scrape(board, login))[0] for login in logins] == [200, 200, 401, 401]


async def test_rules_change_with_a_reload(folder: Path, serve: Serve) -> None:
    """Governance §11: prices and the operator's token come into force; keys and what they spent stay."""
    async with governed(folder, serve, GOOD) as board:
        key, site = await board.mint(), board.fleet.site
        await board.ask(key)
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        assert await site.reload(text.replace(ADMIN, "another-token-2, price_per_request_cents: 5"))
        assert site.engine._back_service.limits is site.engine._service.limits
        assert (await board.say("GET", "/keys")).status == 401
        await board.ask(key)
        login = b"x-admin-token: another-token-2\r\n"
        said = await board.say("GET", f"/keys/{key['id']}/usage", login=login)
        assert (said.document["spend_cents"], said.document["requests"]) == (6, 2)


async def test_nothing_is_a_request_at_the_operators_door(folder: Path, serve: Serve) -> None:
    """Operations §7: what is asked there by mistake is no request of any dialect, whatever its path."""
    async with governed(folder, serve, GOOD) as board:
        engine = board.fleet.site.engine
        engine.open_back(bind("127.0.0.1", 0))
        client = RawClient(engine.back_addresses[0][1])
        client.send(call_of("openai", "pool"))
        assert (await client.read_answer()).status == 404
        client.close()
        assert engine._service.refusals == {404: 1}
        assert not any(sum(tally.outcomes.values()) for *_, tally in engine._gateway.status._tallies.rows)


async def test_operators_may_have_a_door_of_their_own(folder: Path, serve: Serve) -> None:
    """Governance §10: then the management is not found at the clients' door, and nothing else at that one."""
    async with governed(folder, serve, GOOD) as board:
        key, engine = await board.mint(), board.fleet.site.engine
        engine.open_back(bind("127.0.0.1", 0))
        assert (await board.say("GET", "/keys")).status == 404
        assert (await board.ask(key)).status == 200
        client = RawClient(engine.back_addresses[0][1])
        seen = []
        for path in ("/admin/keys", "/metrics", "/stats", "/v1/models", "/healthz"):
            client.send(b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (path.encode(), LOGIN))
            seen.append((await client.read_answer()).status)
        client.send(b"GET /admin/keys HTTP/1.1\r\nHost: h\r\n\r\n")
        seen.append((await client.read_answer()).status)
        client.close()
    assert seen == [200, 404, 404, 404, 200, 401]


@pytest.mark.parametrize(
    ("client", "lane"), [("openai", "anthropic"), ("anthropic", "anthropic"), ("cohere", "anthropic")]
)
async def test_what_was_told_before_a_client_left_is_paid(folder: Path, serve: Serve, client: str, lane: str) -> None:
    """Governance case 37: usage that came at the beginning of a stream, translated or not, once."""
    async with governed(folder, serve, LONG, dialect=lane) as board:
        key = await board.mint()
        caller = board.send(key, dialect=client, stream=True)
        for _ in range(4):
            await caller.read_until(b"\n\n")
        caller.close()
        await until(lambda: board.fleet.site.engine.lanes["m0"].state.inflight == 0)
        spent, tokens, requests = await board.usage(key)
        assert (spent, requests) == (1, 1)
        assert 31 <= tokens < 49


@pytest.mark.parametrize("client", ["anthropic", "openai"])
async def test_what_was_told_before_the_drain_cut_in_is_paid(folder: Path, serve: Serve, client: str) -> None:
    """Governance §9: a stream that the end of the process ends is paid as far as its usage was told, once."""
    async with governed(folder, serve, LONG, dialect="anthropic") as board:
        key, engine = await board.mint(), board.fleet.site.engine
        caller = board.send(key, dialect=client, stream=True)
        for _ in range(4):
            await caller.read_until(b"\n\n")
        await engine._listener.cut_short()
        assert engine._governor is not None
        held = engine._governor.ring.get(key["id"])
        assert held is not None
        standing = engine._governor.standing(held.key)
        assert (standing.spend_cents, standing.requests) == (1, 1)
        assert 31 <= standing.tokens < 49


async def test_what_a_request_may_cost_must_fit(folder: Path, serve: Serve) -> None:
    """Governance §8: with `reserve_tokens` a cap is hard; what was set aside is free when the request ends."""
    hold = Gate()
    rules = "reserve_tokens: true, price_per_1k_tokens_cents: 10, price_per_request_cents: 0"
    async with governed(folder, serve, GOOD, hold=hold, rules=rules, model="default_max_tokens: 1000") as board:
        key = await board.mint(max_budget_cents=25)
        running = [board.send(key) for _ in range(2)]  # 1,001 tokens each, so ten cents and a bit
        await until(lambda: hold.waiting == 2)
        assert (await board.ask(key)).status == 429
        hold.open()
        assert [(await client.read_answer()).status for client in running] == [200, 200]
        third = board.send(key)
        await until(lambda: hold.waiting == 1)
        hold.open()
        assert (await third.read_answer()).status == 200
        assert await board.usage(key) == (1, 3 * 49, 3)
        other = await board.mint(max_budget_cents=9)
        assert (await board.ask(other)).status == 429


@pytest.mark.parametrize("change", ["delete", "disable", "narrow"])
async def test_a_request_is_judged_by_its_key_as_it_is_now(folder: Path, serve: Serve, change: str) -> None:
    """Governance §9 and case 52: a head that came before a change is no way around it, and leaves nothing behind."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint()
        client = board.fleet.site.connect()
        body = orjson.dumps({"model": "pool", "messages": []})
        line = f"Authorization: Bearer {key['secret']}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n{line}".encode())
        await until(lambda: board.fleet.site.engine._service.in_flight == 1)
        path = f"/keys/{key['id']}"
        if change == "delete":
            await board.say("DELETE", path)
        else:
            await board.say("PATCH", path, {"enabled": False} if change == "disable" else {"allowed_pools": ["m0"]})
        client.send(body)
        assert (await client.read_answer()).status == (403 if change == "narrow" else 401)
        governor = board.fleet.site.engine._governor
        assert governor is not None
        assert governor._ledger._budgets == {}
        assert board.fleet.received == []


@pytest.mark.parametrize("value", ["1", '"true"', "[]"])
async def test_a_stream_is_asked_for_plainly(folder: Path, serve: Serve, value: str) -> None:
    """Governance §7: what some servers take for a yes would stream, and nobody would have asked for its usage."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint()
        client = board.fleet.site.connect()
        body = f'{{"model":"pool","messages":[],"stream":{value}}}'
        line = f"Authorization: Bearer {key['secret']}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n{line}{body}".encode())
        got = await client.read_answer()
        assert (got.status, orjson.loads(got.body)["error"]["param"]) == (400, "stream")
        assert (board.fleet.received, await board.usage(key)) == ([], (0, 0, 0))


async def test_a_reload_without_keys_waits_for_a_restart(folder: Path, serve: Serve) -> None:
    """Config §14 X9: keys stay in force, and so do prices and the operator's token, whatever else is reloaded."""
    async with governed(folder, serve, GOOD, rules="price_per_request_cents: 7") as board:
        key, site = await board.mint(), board.fleet.site
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        rest = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("governance:"))
        assert await site.reload(rest)
        assert [(await board.ask(one)).status for one in (key, NOBODY)] == [200, 401]
        assert (await board.usage(key))[0] == 7
        assert await site.reload(text)
        assert (await board.usage(key))[0] == 7


async def test_a_store_that_is_well_again_is_found_out(folder: Path, serve: Serve) -> None:
    """Governance case 56: also when what could not be stored is wanted no more."""
    rules = "usage_flush_interval_ms: 10, sqlite_busy_timeout_ms: 0, budget_on_store_error: deny"
    async with governed(folder, serve, GOOD, rules=rules) as board:
        governor = board.fleet.site.engine._governor
        assert governor is not None
        capped, gone = await board.mint(max_budget_cents=9), await board.mint()
        with sqlite3.connect(folder / "keys.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            await board.ask(gone)
            await until(lambda: governor.flush_failures > 1)
            governor._ledger.forget(gone["id"])
            assert (await board.ask(capped)).status == 429
            other.execute("COMMIT")
        await until(lambda: not governor._is_broken)
        assert (await board.ask(capped)).status == 200


async def test_names_that_nobody_configured_are_warned_about(
    folder: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Governance §10: they are accepted, for they may come."""
    async with governed(folder, serve, GOOD) as board:
        await board.mint(allowed_pools=["pool"])
        assert "nobody configured" not in caplog.text
        await board.mint(allowed_pools=["pool", "later"])
    assert caplog.text.count("nobody configured") == 1


@pytest.mark.parametrize("line", [b"Authorization: Bearer \r\n", b"x-api-key: \r\n", b"Authorization:\r\n", b""])
async def test_nothing_is_nobodys_key(folder: Path, serve: Serve, line: bytes) -> None:
    """Governance case 12: not even where a stored key is the digest of nothing."""
    store = Store(str(folder / "keys.db"))
    store.open(0, 0)
    store.insert(Held(Key("vk_0", "n"), digest_of(b""))).result()
    store.close()
    async with governed(folder, serve, GOOD) as board:
        assert [key["id"] for key in (await board.say("GET", "/keys")).document["keys"]] == ["vk_0"]
        client = board.fleet.site.connect()
        client.send(call_of("openai", "pool", fields=line))
        assert (await client.read_answer()).status == 401
        client.close()
        assert board.fleet.received == []


@pytest.mark.parametrize("path", [b"/%61dmin/keys", b"/adminx/keys", b"//admin/keys", b"/ADMIN/keys"])
async def test_what_only_looks_like_the_operators_path(folder: Path, serve: Serve, path: bytes) -> None:
    """Governance case 14: no other spelling reaches the management, whoever asks."""
    async with governed(folder, serve, GOOD) as board:
        await board.mint(name="hidden")
        client = board.fleet.site.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (path, LOGIN))
        got = await client.read_answer()
        client.close()
        assert (got.status in (401, 404), b"hidden" in got.body) == (True, False)
