"""Series that tell how lanes fare: failures, trips, hops and streams that end early, each moved by one step."""

import asyncio
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from busbar_fast.clock import now
from tests.house.source import ROOT
from tests.system.doors import OK, House, Keeper, six_doors
from tests.system.engines import Running
from tests.system.origins import Peer
from tests.system.scrapes import (
    GET,
    Sample,
    Watch,
    abort,
    ask,
    attempt,
    check_moves,
    duo,
    failover,
    failure,
    parse,
    requests,
    trip,
)
from tests.system.serving import post, until

BREAKER = "breaker: {trip: {mode: consecutive, consecutive_n: 1}, base_cooldown_secs: 1, max_cooldown_secs: 1}"
POOL = "  duo: {members: [{target: zeta}, {target: alpha}]}"
SOLE = f"  duo: {{members: [{{target: zeta}}], {BREAKER}}}"
EAGER = "  duo: {members: [{target: zeta}, {target: alpha}], breaker: {trip: {mode: consecutive, consecutive_n: 1}}}"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"9\r\ndata: 1\n\n\r\n"
TOO_LONG = b'{"error":{"code":"context_length_exceeded","type":"invalid_request_error","message":"m"}}'


def said(status: int, body: bytes = b"") -> bytes:
    """Return an upstream's answer."""
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


async def configure(house: House, pool: str = POOL, **edits: str) -> Watch:
    """Bring the deployment into force, its first pool replaced; return its series."""
    text = duo(house.upstream.port, **edits)
    assert POOL in text
    assert await house.site.reload(text.replace(POOL, pool))
    return Watch(house)


def answer_in_turn(house: House, first: Keeper) -> None:
    """Let one request be answered so, and every other one well."""
    rest = Keeper(OK)

    def take_turns(peer: Peer) -> None:
        chosen = rest if first.bodies else first
        chosen(peer)

    house.upstream.script = take_turns


def both(*more: Sample) -> list[Sample]:
    """Return what a request moves that goes on from the first lane to the second, and is answered."""
    return [*requests("duo", "ok"), attempt("duo", "zeta"), attempt("duo", "alpha"), *more]


async def test_series_of_the_manual_are_exposed(tmp_path: Path) -> None:
    """Operations §7: each series that the manual lists is exposed with these labels, and no label has other words."""
    table = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").partition("\n## Series\n")[2]
    rows = re.findall(r"^\| `(busbar_\w+)` \| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    assert len(rows) == 8
    async with six_doors(tmp_path) as house:
        series = await Watch(house).scrape()
        for name, labels, text in rows:
            found = [dict(pairs) for shown, pairs in series if shown in {name, f"{name}_count"}]
            assert {tuple(sorted(row)) for row in found} == {tuple(sorted(re.findall(r"\w+", labels)))}
            for label in ("disposition", "reason", "gate"):
                words = {row[label] for row in found if label in row}
                assert words <= set(re.findall(r"`(\w+)`", text))


async def test_refused_key_of_the_only_provider_moves_no_hop(tmp_path: Path) -> None:
    """Operations case 50: one hard-down is one failure and one trip, and where nobody else is left it is no hop."""
    async with six_doors(tmp_path) as house:
        watch = await configure(house)
        house.keeper.pieces = (said(401),)
        moved = [*requests("duo", "client_error"), attempt("duo", "zeta")]
        moved += [failure("duo", "zeta", "hard_down"), trip("duo", "zeta")]
        await check_moves(watch, lambda: ask(house, "duo", 401), *moved)


async def test_prompt_that_is_too_long_moves_its_own_words(tmp_path: Path) -> None:
    """Operations case 50: a hop and a failure for the length of a prompt have words of their own, and trip nothing."""
    pool = "  duo: {members: [{target: zeta, context_max: 1000}, {target: alpha, context_max: 9000}]}"
    async with six_doors(tmp_path) as house:
        watch = await configure(house, pool)
        answer_in_turn(house, Keeper(said(400, TOO_LONG)))
        moved = both(failover("duo", "context_length"), failure("duo", "zeta", "context_length"))
        await check_moves(watch, lambda: ask(house, "duo", 200), *moved)
        shown = await watch.stats()
        assert [shown[name]["err"] for name in ("zeta", "alpha")] == [0, 0]


async def test_silence_moves_the_hop_for_it(tmp_path: Path) -> None:
    """Operations case 50: a lane that says nothing in its time is left for `timeout`, which is a passing failure."""
    pool = "  duo: {members: [{target: zeta, attempt_timeout_ms: 60}, {target: alpha}]}"
    async with six_doors(tmp_path) as house:
        watch = await configure(house, pool)
        answer_in_turn(house, Keeper(b""))
        moved = both(failover("duo", "timeout"), failure("duo", "zeta"))
        await check_moves(watch, lambda: ask(house, "duo", 200), *moved)


async def shown_state(watch: Watch, pool: str = "duo", lane: str = "zeta") -> float:
    """Return the gauge of a lane."""
    return (await watch.scrape())["busbar_lane_state", (("lane", lane), ("pool", pool))]


def is_rested(house: House, pool: str = "duo", lane: str = "zeta") -> Callable[[], bool]:
    """Return what says whether the rest of a lane is over."""
    cell = house.site.engine.lanes[lane].state.cells[pool]
    return lambda: cell.cooldown_left_s(now()) == 0


async def test_lane_state_goes_through_trip_rest_and_recovery(tmp_path: Path) -> None:
    """Operations case 55: 0, 2 while it rests, 1 when a trial is due, 0 again; a trial that fails is no new trip."""
    async with six_doors(tmp_path) as house:
        watch = await configure(house, SOLE)
        assert await shown_state(watch) == 0
        house.keeper.pieces = (said(500),)
        moved = [*requests("duo", "exhausted"), attempt("duo", "zeta"), failure("duo", "zeta")]
        await check_moves(watch, lambda: ask(house, "duo", 503), *moved, trip("duo", "zeta"))
        assert [await shown_state(watch), await shown_state(watch, "zeta")] == [2, 0]
        await check_moves(watch, lambda: ask(house, "duo", 503), *requests("duo", "exhausted"))
        await until(is_rested(house))
        assert [await shown_state(watch) for _ in range(3)] == [1] * 3
        await check_moves(watch, lambda: ask(house, "duo", 503), *moved)
        assert await shown_state(watch) == 2
        await until(is_rested(house))
        house.keeper.pieces = (OK,)
        await check_moves(watch, lambda: ask(house, "duo", 200), *requests("duo", "ok"), attempt("duo", "zeta"))
        assert await shown_state(watch) == 0


async def test_trial_under_way_is_shown_as_one(tmp_path: Path) -> None:
    """Operations §7, reliability §12: while its trial runs a lane is 1 and not usable, whatever else it has."""
    async with six_doors(tmp_path) as house:
        watch = await configure(house, SOLE)
        house.keeper.pieces = (said(500),)
        await ask(house, "duo", 503)
        await until(is_rested(house))
        house.keeper.pieces = (b"",)
        client = house.site.send_chat("duo")
        await until(lambda: house.site.counts("zeta")[2] == 1)
        assert await shown_state(watch) == 1
        shown = (await watch.stats())["zeta"]
        assert (shown["usable"], shown["availability"], shown["breaker_state"]) == (
            False,
            "probe_in_flight",
            "half_open",
        )
        assert shown["recovery_hint_ms"] is None
        client.close()
        await until(lambda: house.site.counts("zeta")[2] == 0)
        assert (await watch.stats())["zeta"]["usable"] is True


async def test_looking_uses_up_no_trial(tmp_path: Path) -> None:
    """Reliability case 31: a thousand looks at a lane whose rest is over leave its trial to the next request."""
    async with six_doors(tmp_path) as house:
        watch = await configure(house, SOLE)
        house.keeper.pieces = (said(500),)
        await ask(house, "duo", 503)
        await until(is_rested(house))
        client = house.connect()
        for _ in range(1000):
            for path in (b"/healthz", b"/stats"):
                client.send(GET % path)
                assert (await client.read_answer()).status == 200
        for _ in range(50):
            client.send(GET % b"/metrics")
            assert (await client.read_answer()).status == 200
        assert house.site.engine.lanes["zeta"].state.cells["duo"].trial == 0
        house.keeper.pieces = (OK,)
        await check_moves(watch, lambda: ask(house, "duo", 200), *requests("duo", "ok"), attempt("duo", "zeta"))


def probed(port: int, pool: str) -> str:
    """Return the deployment with active probes."""
    text = duo(port).replace("api_key_env: UP_KEY}", "api_key_env: UP_KEY, health: {mode: active, interval_secs: 1}}")
    return text.replace(POOL, pool)


@pytest.mark.parametrize(
    ("status", "trips", "states"),
    [
        (500, [trip("duo", "zeta"), trip("duo", "alpha")], [2, 2, 0, 0]),
        (401, [trip(lane, lane) for lane in ("zeta", "alpha", 'odd "na\\me é')], [2, 2, 2, 2]),
    ],
)
async def test_trip_of_a_probe_is_counted_and_nothing_else(
    tmp_path: Path, status: int, trips: list[Sample], states: list[float]
) -> None:
    """Operations case 50: a probe is no attempt of a request; a trip it causes counts once, in its pool or alone."""
    async with six_doors(tmp_path) as house:
        watch = Watch(house)
        house.keeper.pieces = (said(status),)
        assert await house.site.reload(probed(house.upstream.port, EAGER))

        async def wait() -> None:
            await until(lambda: all(house.site.counts(name)[1] >= 2 for name in house.site.engine.lanes))

        await check_moves(watch, wait, *trips)
        pairs = [("duo", "zeta"), ("duo", "alpha"), ("a/b", "alpha"), ("zeta", "zeta")]
        assert [await shown_state(watch, pool, lane) for pool, lane in pairs] == states


async def test_queue_that_ends_in_vain_is_counted(tmp_path: Path) -> None:
    """Operations §7: a request that waited for a permit in vain is exhausted, shed at the gate `lane`, no attempt."""
    pool = "  duo: {members: [{target: zeta}], on_exhausted: {action: queue, max_ms: 20}}"
    async with six_doors(tmp_path) as house:
        watch = await configure(house, pool)
        house.keeper.pieces = (b"",)
        inside = [house.site.send_chat("duo"), house.site.send_chat("duo")]
        await until(lambda: house.site.counts("zeta")[2] == 2)
        shed = ("busbar_admission_denied_total", {"gate": "lane"})
        await check_moves(watch, lambda: ask(house, "duo", 503), *requests("duo", "exhausted"), shed)
        for client in inside:
            client.close()
        await until(lambda: house.site.counts("zeta")[2] == 0)


def stream_of(model: str) -> bytes:
    """Return a request for a stream."""
    body = json.dumps({"model": model, "stream": True, "messages": []}).encode()
    return post(body, target=b"/v1/chat/completions")


async def test_stream_that_its_client_leaves_is_counted(tmp_path: Path) -> None:
    """Operations §7: a client that leaves inside a stream ends it; one that leaves before it, or stays, does not."""
    async with six_doors(tmp_path) as house:
        watch = await configure(house)
        house.keeper.pieces = (HEAD + PIECE,)

        async def leave(after: bytes) -> None:
            client = house.connect()
            client.send(stream_of("zeta"))
            await until(lambda: house.site.counts("zeta")[2] == 1)
            if after:
                await client.read_until(after)
            client.close()
            await until(lambda: house.site.counts("zeta")[2] == 0)

        began = [*requests("zeta", "ok"), attempt("zeta", "zeta")]
        await check_moves(watch, lambda: leave(b"data: 1"), *began, abort("zeta", "client"))
        house.keeper.pieces = (b"",)
        unheard = [*requests("zeta", "client_closed"), attempt("zeta", "zeta")]
        await check_moves(watch, lambda: leave(b""), *unheard)
        house.keeper.pieces = (HEAD + PIECE + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",)

        async def stay() -> None:
            client = house.connect()
            client.send(stream_of("zeta"))
            await client.read_answer(b"POST")
            client.close()

        await check_moves(watch, stay, *began)


async def last_aborts(site: Running) -> dict[str, float]:
    """Return how many streams to a lane ended early, by who ended them; nobody is let in any more to ask for it."""
    gateway = site.engine._gateway
    _, raw = await gateway.status.page(b"/metrics", gateway.topology, None)
    who = "busbar_streams_aborted_total"
    return {word: parse(raw)[who, (("pool", "zeta"), ("reason", word))] for word in ("client", "upstream", "drain")}


async def test_stream_that_the_drain_cuts_is_counted_apart(tmp_path: Path) -> None:
    """Operations §7: who leaves while the process drains is a client that left; what the limit cuts is the drain's."""
    async with six_doors(tmp_path) as house:
        await configure(house, more="shutdown: {drain_timeout_secs: 1}")
        house.keeper.pieces = (HEAD + PIECE,)
        clients = [house.connect(), house.connect()]
        for client in clients:
            client.send(stream_of("zeta"))
            await client.read_until(b"data: 1")
        stops: asyncio.Queue[int] = asyncio.Queue()
        ending = asyncio.ensure_future(house.site.engine.end(stops, signal.SIGINT))
        await asyncio.wait((ending,), timeout=0.1)
        clients[0].close()
        await until(lambda: house.site.counts("zeta")[2] == 1)
        assert await last_aborts(house.site) == {"client": 1, "upstream": 0, "drain": 0}
        await ending
        assert await last_aborts(house.site) == {"client": 1, "upstream": 0, "drain": 1}


async def test_health_of_a_lane_that_is_spent(tmp_path: Path) -> None:
    """Reliability case 83: one lane that is ready makes it 200, and when every budget is used up it is 503."""
    async with six_doors(tmp_path) as house:
        text = duo(house.upstream.port)
        for name in ("zeta: {", "alpha: {", 'é": {'):
            text = text.replace(name, f"{name}max_requests: 1, ", 1)
        assert await house.site.reload(text)
        client = house.connect()
        seen: list[tuple[int, bytes]] = []
        for name in ("zeta", "alpha", 'odd "na\\me é'):
            client.send(GET % b"/healthz")
            answer = await client.read_answer()
            seen.append((answer.status, answer.body))
            await ask(house, name, 200)
        client.send(GET % b"/healthz")
        answer = await client.read_answer()
        assert seen == [(200, b"ok")] * 3
        assert (answer.status, answer.body) == (503, b"no usable lanes")
        assert answer.fields[b"cache-control"] == b"no-store"
        client.send(GET % b"/readyz")
        assert (await client.read_answer()).status == 200
        shown = await Watch(house).stats()
        assert {(lane["budget"], lane["availability"], lane["usable"]) for lane in shown.values()} == {
            (0, "budget_exhausted", False)
        }
