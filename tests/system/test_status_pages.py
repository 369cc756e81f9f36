"""What the gateway shows of itself: `/stats` as JSON, `/metrics` as a strict reader of the format sees it."""

import json
from pathlib import Path

import pytest

from busbar_fast import __version__
from busbar_fast.mock.server import MockBackend
from tests.system.doors import OK, Keeper, read, six_doors
from tests.system.origins import Peer
from tests.system.programs import Deployment, leave
from tests.system.rawclient import RawClient
from tests.system.scrapes import (
    GET,
    NAMES,
    Watch,
    ask,
    attempt,
    check_moves,
    duo,
    failover,
    failure,
    parse,
    requests,
    send,
    trip,
)
from tests.system.serving import Serve, post, until

DIALECTS = ("openai", "responses", "anthropic", "cohere", "gemini", "bedrock")
OUTCOMES = ("ok", "exhausted", "client_error", "error", "client_closed")
DISPOSITIONS = ("transient_upstream", "hard_down", "context_length")
ENDERS = ("client", "upstream", "translate", "drain")
REASONS = ("timeout", "connect", "transient_upstream", "hard_down", "context_length", "untranslatable")
BOUNDS = [
    "0.005",
    "0.01",
    "0.025",
    "0.05",
    "0.1",
    "0.25",
    "0.5",
    "1.0",
    "2.5",
    "5.0",
    "10.0",
    "30.0",
    "60.0",
    "120.0",
    "300.0",
    "+Inf",
]
# The order of the chapter.
STATS_FIELDS = [
    "model",
    "provider",
    "max_concurrent",
    "inflight",
    "free_slots",
    "ok",
    "err",
    "client_fault",
    "usable",
    "dead",
    "dead_reason",
    "cooldown_remaining_s",
    "streak",
    "budget",
    "availability",
    "recovery_hint_ms",
    "breaker_state",
    "at_capacity",
    "cells",
]


# Before anything happened


async def test_everything_configured_is_there_with_zeros(tmp_path: Path) -> None:
    """Operations case 51: before any request every pool, model and dialect has its series, and each of them is 0."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        series = await Watch(house).scrape()
        wanted = {
            ("busbar_requests_total", (("ingress_protocol", dialect), ("outcome", outcome), ("pool", pool)))
            for dialect in DIALECTS
            for outcome in OUTCOMES
            for pool in (*NAMES, "unresolved")
        }
        assert {key for key in series if key[0] == "busbar_requests_total"} == wanted
        pairs = {(name, name) for name in NAMES[:3]} | {("duo", "zeta"), ("duo", "alpha"), ("a/b", "alpha")}
        lanes = [{"pool": pool, "lane": lane} for pool, lane in pairs]
        wanted_of = {
            "busbar_upstream_attempts_total": lanes,
            "busbar_breaker_trips_total": lanes,
            "busbar_lane_state": lanes,
            "busbar_upstream_failures_total": [row | {"disposition": word} for row in lanes for word in DISPOSITIONS],
            "busbar_failovers_total": [{"pool": pool, "reason": reason} for pool in NAMES for reason in REASONS],
            "busbar_streams_aborted_total": [{"pool": pool, "reason": word} for pool in NAMES for word in ENDERS],
            "busbar_time_to_first_byte_seconds_count": [
                {"ingress_protocol": dialect, "pool": pool} for dialect in DIALECTS for pool in (*NAMES, "unresolved")
            ],
            "busbar_admission_denied_total": [{"gate": "inbound"}, {"gate": "lane"}],
        }
        for name, labels in wanted_of.items():
            assert {key for key in series if key[0] == name} == {(name, tuple(sorted(row.items()))) for row in labels}
        ones = {key[0] for key, value in series.items() if value}
        # The reload above, this very scrape, and the constant.
        assert ones == {
            "busbar_config_reloads_total",
            "busbar_build_info",
            "busbar_connections",
            "busbar_requests_in_flight",
        }
        assert series["busbar_build_info", (("version", __version__),)] == 1


async def test_duration_is_a_histogram(tmp_path: Path) -> None:
    """Operations case 52: the duration has the buckets of the chapter, cumulative, up to `+Inf`, which is the count."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        for _ in range(3):
            await ask(house, "zeta", 200)
        raw = await Watch(house).page(b"/metrics")
        series = parse(raw)
        who = (("ingress_protocol", "openai"), ("pool", "zeta"))
        name = "busbar_request_duration_seconds"
        assert f"# TYPE {name} histogram" in raw.decode()
        counts = [series[f"{name}_bucket", tuple(sorted([*who, ("le", bound)]))] for bound in BOUNDS]
        assert counts == sorted(counts)
        assert counts[-1] == series[f"{name}_count", who] == 3
        assert 0 < series[f"{name}_sum", who] < 3


async def test_page_says_what_it_is(tmp_path: Path) -> None:
    """Operations §7: text in version 0.0.4 of the format, with or without a query, and no pages around it."""
    async with six_doors(tmp_path) as house:
        raw = (GET % b"/metrics?x=1").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        seen = read(await house.say(raw), "GET")
        assert seen.value("content-type").startswith("text/plain; version=0.0.4")
        for path in (b"/metrics/", b"/metrics/x", b"/Metrics", b"/stats/"):
            await send(house, raw.replace(b"/metrics?x=1", path), 404)


# One step at a time


async def test_answered_request_moves_its_counters_once(tmp_path: Path) -> None:
    """Operations case 50: an answer of any name moves outcome, duration and attempt of that name by one."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        watch = Watch(house)
        for name in NAMES[:3]:
            await check_moves(watch, lambda: ask(house, name, 200), *requests(name, "ok"), attempt(name, name))  # noqa: B023  at once
        await check_moves(watch, lambda: ask(house, "up/zeta", 200), *requests("zeta", "ok"), attempt("zeta", "zeta"))
        await check_moves(watch, lambda: ask(house, "a/b", 200), *requests("a/b", "ok"), attempt("a/b", "alpha"))
        for lane in ("zeta", "alpha"):
            await check_moves(watch, lambda: ask(house, "duo", 200), *requests("duo", "ok"), attempt("duo", lane))


FAULTS = [
    (b"nonsense\r\n\r\n", "connect"),
    (b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", "transient_upstream"),
    (b"HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n", "transient_upstream"),
    (b"HTTP/1.1 402 X\r\nContent-Length: 0\r\n\r\n", "hard_down"),
]


@pytest.mark.parametrize(("said", "reason"), FAULTS)
async def test_failover_is_counted_where_it_went(tmp_path: Path, said: bytes, reason: str) -> None:
    """Operations case 50: a hop counts both attempts and its reason, and the request as answered."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        first, second = Keeper(said), Keeper(OK)

        def take_turns(peer: Peer) -> None:
            chosen = second if first.bodies else first
            chosen(peer)

        house.upstream.script = take_turns
        blamed = "hard_down" if reason == "hard_down" else "transient_upstream"
        tripped = [trip("duo", "zeta")] if reason == "hard_down" else []
        await check_moves(
            Watch(house),
            lambda: ask(house, "duo", 200),
            *requests("duo", "ok"),
            attempt("duo", "zeta"),
            attempt("duo", "alpha"),
            failover("duo", reason),
            failure("duo", "zeta", blamed),
            *tripped,
        )


async def test_exhaustion_is_counted_once(tmp_path: Path) -> None:
    """Operations case 50: when nobody answers, the request is exhausted, after every lane and one hop between two."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        house.keeper.pieces = (b"nonsense\r\n\r\n",)
        watch = Watch(house)
        await check_moves(
            watch,
            lambda: ask(house, "duo", 503),
            *requests("duo", "exhausted"),
            attempt("duo", "zeta"),
            attempt("duo", "alpha"),
            failover("duo", "connect"),
            failure("duo", "zeta"),
            failure("duo", "alpha"),
        )
        moved = [*requests("zeta", "exhausted"), attempt("zeta", "zeta"), failure("zeta", "zeta")]
        await check_moves(watch, lambda: ask(house, "zeta", 503), *moved)
        stats = await watch.stats()
        assert [(stats[name]["ok"], stats[name]["err"]) for name in ("zeta", "alpha")] == [(0, 2), (0, 1)]


async def test_faults_of_clients_are_counted(tmp_path: Path) -> None:
    """Operations case 50, reliability §1: refusals count once, without an attempt, under a name if it was good."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port, more="limits: {request_body_max_bytes: 65536}"))
        watch = Watch(house)
        fault = requests("unresolved", "client_error")
        close = b"Connection: close"
        chats = b"/v1/chat/completions"
        refusals = [
            (post(b"[", close, target=chats), 400),
            (post(b"{}", close, target=chats), 400),
            (post(b'{"model":"nobody"}', close, target=chats), 404),
            (post(b'{"model":"other/zeta"}', close, target=chats), 400),
            (post(b"x" * 65537, close, target=chats), 413),
            (post(b"{}", close, target=chats).replace(b"POST", b"PUT"), 405),
        ]
        for raw, status in refusals:
            await check_moves(watch, lambda: send(house, raw, status), *fault)  # noqa: B023  at once
        for target, dialect, status in (
            (b"/v1/messages", "anthropic", 400),
            (b"/v1/responses", "responses", 400),
            (b"/v2/chat", "cohere", 400),
            (b"/v1beta/models/nobody:generateContent", "gemini", 404),
            (b"/model/nobody/converse", "bedrock", 404),
        ):
            raw = post(b"{}", close, target=target)
            moved = requests("unresolved", "client_error", dialect)
            await check_moves(watch, lambda: send(house, raw, status), *moved)  # noqa: B023  at once
        house.keeper.pieces = (b"HTTP/1.1 422 X\r\nContent-Length: 0\r\n\r\n",)
        await check_moves(
            watch, lambda: ask(house, "zeta", 422), *requests("zeta", "client_error"), attempt("zeta", "zeta")
        )
        house.keeper.pieces = (b"HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n",)
        await check_moves(watch, lambda: ask(house, "zeta", 302), *requests("zeta", "error"), attempt("zeta", "zeta"))


async def test_what_is_for_no_path_is_no_request_of_a_dialect(tmp_path: Path) -> None:
    """Operations §7: paths that no dialect claims count as refusals of HTTP, and as requests of nobody."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        watch = Watch(house)
        close = b"Connection: close"
        for target, method, status in (
            (b"/nowhere", b"POST", 404),
            (b"/no/where/at/all", b"GET", 404),
            (b"/stats", b"DELETE", 405),
            (b"*", b"OPTIONS", 405),
        ):
            raw = post(b"{}", close, target=target).replace(b"POST", method)
            moved = ("busbar_http_errors_total", {"status": f"{status}"})
            await check_moves(watch, lambda: send(house, raw, status), moved)  # noqa: B023  at once


async def test_request_that_cannot_be_translated_counts_under_its_name(tmp_path: Path) -> None:
    """Reliability §1: a refusal of a configured name counts under that name, in the dialect of the caller."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        raw = post(b'{"model":"zeta"}', b"Connection: close", target=b"/v2/chat")
        moved = requests("zeta", "client_error", "cohere")
        translated = ("busbar_translations_total", {"from": "cohere", "to": "openai"})
        await check_moves(Watch(house), lambda: send(house, raw, 400), *moved, translated)


async def test_client_that_leaves_is_counted(tmp_path: Path) -> None:
    """Operations case 50: who leaves before an answer is `client_closed`, who leaves inside one has had its status."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        house.keeper.pieces = (b"",)
        watch = Watch(house)

        async def go_away(said: bytes) -> None:
            client = house.site.send_chat("zeta")
            await until(lambda: house.site.counts("zeta")[2] == 1)
            if said:
                await client.read_until(said)
            client.close()
            await until(lambda: house.site.counts("zeta")[2] == 0)

        await check_moves(watch, lambda: go_away(b""), *requests("zeta", "client_closed"), attempt("zeta", "zeta"))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n"
        house.keeper.pieces = (head + b"abc",)
        await check_moves(watch, lambda: go_away(b"abc"), *requests("zeta", "ok"), attempt("zeta", "zeta"))
        assert (await watch.stats())["zeta"]["err"] == 0


async def test_request_in_line_is_no_attempt_yet(tmp_path: Path) -> None:
    """Operations §7: an attempt counts when the upstream is called, so who only waits has made none."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        house.keeper.pieces = (b"",)
        inside = [house.site.send_chat("zeta"), house.site.send_chat("zeta")]
        await until(lambda: house.site.counts("zeta")[2] == 2)
        watch = Watch(house)

        async def wait_and_leave() -> None:
            client = house.site.send_chat("zeta")
            gate = house.site.engine.lanes["zeta"].state
            await until(lambda: gate.waiting == 1)
            shown = (await watch.stats())["zeta"]
            assert (shown["inflight"], shown["free_slots"], shown["at_capacity"]) == (2, 0, True)
            client.close()
            await until(lambda: gate.waiting == 0)

        await check_moves(watch, wait_and_leave, *requests("zeta", "client_closed"))
        for client in inside:
            client.close()
        await until(lambda: house.site.counts("zeta")[2] == 0)


async def test_caller_without_a_token_is_counted_apart(tmp_path: Path) -> None:
    """Operations case 50: a failure to authenticate moves its own counter, by path class, and is no request."""
    right = b"Authorization: Bearer t"
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port, "{mode: token, client_tokens: [t]}"))
        watch = Watch(house, right)
        rows = [
            (b"/v1/chat/completions", "openai", 401),
            (b"/v1/responses", "responses", 401),
            (b"/x/v1/messages", "anthropic", 401),
            (b"/v2/chat", "cohere", 401),
            (b"/v1beta/models/x:generateContent", "gemini", 400),
            (b"/model/x/converse", "bedrock", 403),
            (b"/metrics", "openai", 401),
            (b"/nowhere", "openai", 401),
            (b"/admin/keys", "openai", 401),
        ]
        for target, dialect, status in rows:
            raw = post(b"{}", b"Connection: close", target=target)
            counted = ("busbar_auth_failures_total", {"ingress_protocol": dialect})
            await check_moves(watch, lambda: send(house, raw, status), counted)  # noqa: B023  at once


async def test_reloads_are_counted_and_numbers_survive_them(tmp_path: Path) -> None:
    """Operations case 50: each reload counts by its outcome, and what was counted before goes on."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        await ask(house, "duo", 200)
        watch = Watch(house)
        outcome = "busbar_config_reloads_total"
        await check_moves(watch, house.site.reload, (outcome, {"outcome": "ok"}))
        await check_moves(watch, lambda: house.site.reload("listen: [\n"), (outcome, {"outcome": "error"}))
        series = await watch.scrape()
        assert series["busbar_upstream_attempts_total", (("lane", "zeta"), ("pool", "duo"))] == 1
        text = duo(house.upstream.port).replace("  duo: ", "  trio: ")
        assert await house.site.reload(text)
        series = await watch.scrape()
        assert {dict(labels).get("pool") for _, labels in series} == {*NAMES, "trio", "unresolved", None} - {"duo"}
        fresh = [value for (_, labels), value in series.items() if dict(labels).get("pool") == "trio"]
        assert len(fresh) > 2 * len(REASONS)
        assert set(fresh) == {0}
        await check_moves(watch, lambda: ask(house, "duo", 404), *requests("unresolved", "client_error"))


async def test_refusals_below_the_routes_are_counted(tmp_path: Path) -> None:
    """Operations case 50: what the HTTP layer or the limit of concurrency refuses moves its own counter."""
    more = "limits: {max_inbound_concurrent: 1, inbound_queue_max_ms: 0}"
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port, more=more))
        watch = Watch(house)
        errors = "busbar_http_errors_total"
        for raw, status in ((b"GET / HTTP/1.1\r\n\r\n", 400), (b"FOO / HTTP/1.1\r\nHost: h\r\n\r\n", 501)):
            await check_moves(watch, lambda: send(house, raw, status), (errors, {"status": f"{status}"}))  # noqa: B023  at once
        hello = house.connect()

        async def greet() -> None:
            hello.send(b"\x16\x03\x01\x00\x05hello")
            assert await hello.read_all() == b""

        await check_moves(watch, greet, (errors, {"status": "none"}))
        house.keeper.pieces = (b"",)
        client = house.site.send_chat("zeta")
        await until(lambda: house.site.counts("zeta")[2] == 1)
        shed = ("busbar_admission_denied_total", {"gate": "inbound"})
        await check_moves(watch, lambda: ask(house, "alpha", 503), *requests("unresolved", "exhausted"), shed)
        client.close()
        await until(lambda: house.site.counts("zeta")[2] == 0)


# Names that clients invent


async def test_invented_names_add_no_series(tmp_path: Path) -> None:
    """Operations cases 48 and 49: hundreds of models, paths and headers nobody configured change no label."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        watch = Watch(house)
        before = await watch.scrape()
        client = house.connect()
        odd = [r"a\nERROR x", r"\"} 1\n", "unresolved", r"\u0000", "DUO", " duo"]
        names = [*odd, *(f"invented-{number}" for number in range(200))]
        for number, name in enumerate(names):
            session = b"x-session-id: %d" % number
            targets = [b"/v1/chat/completions", b"/v1/messages", b"/invented-%d/v1/messages" % number]
            targets += [b"/v1beta/models/invented-%d:generateContent" % number, b"/invented/%d" % number]
            for target in targets:
                client.send(post(b'{"model":"%b"}' % name.encode(), session, target=target))
                assert (await client.read_answer(b"POST")).status in {400, 404}
        after = await watch.scrape()
        assert after.keys() - before.keys() == {("busbar_http_errors_total", (("status", "404"),))}
        counted = sum(value for (name, _), value in after.items() if name == "busbar_requests_total")
        assert counted == 4 * len(names)
        assert b"invented" not in await watch.page(b"/metrics") + await watch.page(b"/stats")


# What runs now


def permits(watched: dict[str, dict[str, object]], name: str) -> tuple[object, ...]:
    """Return how many permits of a lane are out, and how many are left."""
    row = watched[name]
    return row["inflight"], row["free_slots"]


async def test_stats_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Reliability §12, case 84: pools and lanes in config order, the fields of a lane in the order of the chapter."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        raw = await Watch(house).page(b"/stats")
        shown = json.loads(raw)
        assert list(shown) == ["pools", "lanes"]
        assert list(shown["pools"].items()) == [("duo", ["zeta", "alpha"]), ("a/b", ["alpha"])]
        assert [lane["model"] for lane in shown["lanes"]] == list(NAMES[:3])
        for lane in shown["lanes"]:
            assert list(lane) == STATS_FIELDS
        first, second, _ = shown["lanes"]
        wanted = {"provider": "up", "inflight": 0, "ok": 0, "err": 0, "usable": True, "at_capacity": False}
        assert wanted.items() <= first.items()
        assert (first["max_concurrent"], first["free_slots"]) == (2, 2)
        assert (second["max_concurrent"], second["free_slots"]) == (None, None)
        assert b"lane-key" not in raw
        assert b"127.0.0.1" not in raw


async def test_stream_is_in_flight_to_its_last_byte(tmp_path: Path) -> None:
    """Reliability case 19: a lane is taken while a stream runs, to its end or until its client leaves."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        house.keeper.pieces = (head + b"9\r\ndata: 1\n\n\r\n",)
        watch = Watch(house)
        assert permits(await watch.stats(), "zeta") == (0, 2)
        clients: list[RawClient] = []
        for number in (1, 2):
            clients.append(house.site.send_chat("zeta"))
            await clients[-1].read_until(b"data: 1\n\n\r\n")
            assert permits(await watch.stats(), "zeta") == (number, 2 - number)
            running = (await watch.scrape())["busbar_requests_in_flight", ()]
            assert running == number + 1  # the scrape is one as well
        clients[0].close()
        await until(lambda: house.site.counts("zeta")[2] == 1)
        assert permits(await watch.stats(), "zeta") == (1, 1)
        peer = next(peer for peer in house.upstream.peers if not peer.is_over)
        peer.say(b"9\r\ndata: 2\n\n\r\n")
        await clients[1].read_until(b"data: 2\n\n\r\n")
        assert permits(await watch.stats(), "zeta") == (1, 1)
        peer.say(b"0\r\n\r\n")
        await clients[1].read_until(b"0\r\n\r\n")
        shown = await watch.stats()
        assert permits(shown, "zeta") == (0, 2)
        assert (shown["zeta"]["ok"], shown["zeta"]["err"]) == (2, 0)  # both began well, whoever left


async def test_probes_and_pages_change_nothing(tmp_path: Path) -> None:
    """Reliability case 31, operations case 62: looking at the gateway any number of times moves no counter."""
    async with six_doors(tmp_path) as house:
        assert await house.site.reload(duo(house.upstream.port))
        watch = Watch(house)

        async def look() -> None:
            client = house.connect()
            for path in (b"/healthz", b"/livez", b"/readyz", b"/stats", b"/metrics", b"/v1/models") * 20:
                client.send(GET % path)
                assert (await client.read_answer()).status == 200

        await check_moves(watch, look)
        assert (await watch.scrape())["busbar_connections", ()] >= 2
        assert house.keeper.heads == []


SLOW = """
listen: 127.0.0.1:0
auth: {mode: none}
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key: none}
models:
  a: {provider: up}
"""


async def test_first_scrape_holds_up_nobody(tmp_path: Path, serve: Serve) -> None:
    """Operations §7: while the first scrape waits for its library, requests, streams and probes go on."""
    place = Deployment(tmp_path)
    go_on = place.delay_module("prometheus_client")
    body = b'{"model":"a","stream":true,"messages":[{"role":"user","content":"x"}]}'
    async with serve(MockBackend().serve) as upstream:
        place.write(SLOW, port=upstream.port)
        with place.start() as program:
            await program.is_up()
            scraper = program.connect()
            scraper.send(GET % b"/metrics")
            await program.says("loading prometheus_client")
            for _ in range(3):
                assert await program.get("/livez") == (200, b"ok")
                assert (await program.get("/stats"))[0] == 200
                assert (await program.chat(body)).body.endswith(b"data: [DONE]\n\n")
            assert scraper.received_nothing()
            go_on()
            answer = await scraper.read_answer()
            series = parse(answer.body)
            assert series["busbar_upstream_attempts_total", (("lane", "a"), ("pool", "a"))] == 3
            assert await program.end() == 0
        await leave(upstream)
