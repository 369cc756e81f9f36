"""A request moves from lane to lane: what the client sees, what each lane is blamed for, and who is asked next."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest

from busbar_fast.clock import now
from busbar_fast.mock.script import Script
from tests.system.engines import running
from tests.system.fleets import Fleet, failing, fleet
from tests.system.gateways import DOWN, Fate
from tests.system.serving import Gate, Serve, all_of, post, until

BREAKERS = "breaker: {trip: {mode: consecutive, consecutive_n: 1}}"
RETRY = b"retry-after"


def tripped(made: Fleet, model: str) -> bool:
    """Return whether the pool's cell of a lane is open."""
    return made.state(model).cells["pool"].state.name == "OPEN"


@pytest.mark.parametrize("fate", [DOWN, failing(), failing(429), Script(refuse=True), Script(garbage=True)])
async def test_failure_of_one_lane_is_another_ones_work(tmp_path: Path, serve: Serve, fate: Fate) -> None:
    """Reliability case 85: one failure of a pool adds exactly 1 to `err`, one success exactly 1 to `ok`."""
    async with fleet(tmp_path, serve, fate, None) as made:
        assert (await made.ask()).status == 200
        assert (made.counts("m0"), made.counts("m1")) == ((0, 1, 0), (1, 0, 0))


async def test_soft_cooldown_is_a_last_resort(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 86: after one 500 a single member is asked again, after a Retry-After it is not."""
    async with fleet(tmp_path, serve, [failing(), None]) as made:
        assert await made.ask_often(2) == [503, 200]
    async with fleet(tmp_path, serve, [failing(429, retry_after_s=77), None]) as made:
        first, second = await made.ask(), await made.ask()
        assert (first.status, second.status, made.asked) == (503, 503, "0")
        assert (first.fields[RETRY], second.fields[RETRY]) == (b"77", b"77")


async def test_resting_member_is_passed_over(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 9: while one member rests the others share its part."""
    async with fleet(tmp_path, serve, [failing(), None], None, None) as made:
        assert set(await made.ask_often(7)) == {200}
        assert made.asked == "01" + "21" * 3 or made.asked == "01" + "12" * 3


async def test_hops_end_at_their_cap(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 51: `max_hops` 3 and five failing members make 4 attempts on 4 lanes."""
    async with fleet(tmp_path, serve, *[failing()] * 5, pool="failover: {max_hops: 3}") as made:
        assert (await made.ask()).status == 503
        assert made.asked == "0123"
    async with fleet(tmp_path, serve, *[failing()] * 2, pool="failover: {max_hops: 0}") as made:
        assert (await made.ask()).status == 503
        assert made.asked == "0"


async def test_exclusion_is_never_picked_but_by_its_own_name(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 70: never primary, failover, sticky or least bad; reachable by its own name."""
    pool = "failover: {exclusions: [m0]}\non_exhausted: {action: least_bad}"
    async with fleet(tmp_path, serve, None, failing(), pool=pool) as made:
        for number in range(6):
            assert (await made.ask(fields=b"x-session-id: %d\r\n" % number)).status == 500
        assert "0" not in made.asked
        assert (await made.ask("m0")).status == 200


async def test_drained_member_is_never_picked(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 11: weight 0 is neither picked, nor failed over to, nor stuck to, nor the least bad."""
    members = "{target: m0, weight: 0}, {target: m1}"
    pool = "on_exhausted: {action: least_bad}"
    async with fleet(tmp_path, serve, None, [None] * 6 + [failing()], members=members, pool=pool) as made:
        for number in range(6):
            assert (await made.ask(fields=b"x-session-id: %d\r\n" % number)).status == 200
        assert (await made.ask()).status == 500
        assert made.asked == "1" * 8


async def test_session_stays_with_its_member(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 12: the same session goes to one member, which its name decides, and the same after a reload."""
    session = b"x-session-id: session-1\r\n"
    async with fleet(tmp_path, serve, None, None, None) as made:
        for _ in range(9):
            assert (await made.ask(fields=session)).status == 200
        assert await made.site.reload()
        assert (await made.ask(fields=session)).status == 200
        assert made.asked == "1" * 10


async def test_header_that_pins_is_the_one_named(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 13: with another header named the usual one does not pin."""
    async with fleet(tmp_path, serve, None, None, None, pool="affinity: {header_name: x-user-id}") as made:
        for _ in range(3):
            await made.ask(fields=b"X-User-Id: session-1\r\n")
        assert made.asked == "111"
        for _ in range(3):
            await made.ask(fields=b"x-session-id: session-1\r\n")
        assert len(set(made.asked[3:])) > 1


async def test_sticky_member_that_rests_is_replaced_without_a_word(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 14: a sticky member that fails or rests loses its session for the while."""
    session = b"x-session-id: session-1\r\n"
    async with fleet(tmp_path, serve, None, failing(), None) as made:
        answers = [await made.ask(fields=session) for _ in range(3)]
        assert {answer.status for answer in answers} == {200}
        assert made.asked.count("1") == 1


async def test_full_member_is_passed_over_and_all_full_means_waiting(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 16: a full member is skipped at once; when all are full, freed permits go out in order."""
    hold = Gate()
    async with fleet(tmp_path, serve, None, None, hold=hold, model="max_concurrent: 1") as made:
        clients = [made.send() for _ in range(4)]
        await until(lambda: len(made.received) == 2)
        await until(lambda: made.state("m0").waiting == 2)
        assert sorted(made.asked) == ["0", "1"]
        hold.open()
        await until(lambda: len(made.received) == 4)
        hold.open()
        answers = await all_of([client.read_answer() for client in clients])
        assert [answer.status for answer in answers] == [200] * 4
        assert made.state("m0").waiting == 0


async def test_lane_that_comes_back_serves_those_in_line(tmp_path: Path, serve: Serve) -> None:
    """Reliability §3: who waits for a full lane is served by one whose rest ends, before anybody who comes later."""
    hold = Gate()
    pool = "breaker: {base_cooldown_secs: 1, max_cooldown_secs: 1, trip: {mode: consecutive, consecutive_n: 1}}"
    async with fleet(tmp_path, serve, None, None, hold=hold, pool=pool, model="max_concurrent: 1") as made:
        cell = made.state("m1").cells["pool"]
        cell.fail(now())
        inside = made.send()
        await until(lambda: made.asked == "0")
        waiting = made.send()
        await until(lambda: made.state("m0").waiting == 1)
        await until(lambda: made.asked == "01")
        later = made.send()
        await until(lambda: made.state("m0").waiting == 1)
        hold.open()
        assert (await waiting.read_answer()).status == 200
        await until(lambda: len(made.asked) == 3)
        hold.open()
        assert [(await client.read_answer()).status for client in (inside, later)] == [200, 200]
        assert cell.state.name == "CLOSED"


async def test_full_lane_that_trips_serves_those_in_line_when_it_is_back(tmp_path: Path, serve: Serve) -> None:
    """Reliability §3: who waits for two lanes is served by the one that trips, if that is back before the other."""
    hold = Gate()
    pool = "breaker: {base_cooldown_secs: 1, max_cooldown_secs: 1, trip: {mode: consecutive, consecutive_n: 1}}"
    async with fleet(tmp_path, serve, None, None, hold=hold, pool=pool, model="max_concurrent: 1") as made:
        holders = [made.send(), made.send()]
        await until(lambda: hold.waiting == 2)
        waiting = made.send()
        await until(lambda: made.state("m1").waiting == 1)
        made.state("m1").cells["pool"].fail(now())
        holders[int(made.asked[0] == "0")].close()
        await until(lambda: made.state("m1").waiting == 0)
        await until(lambda: made.asked in ("011", "101"))
        hold.open()
        assert (await waiting.read_answer()).status == 200


async def test_client_that_leaves_the_line_takes_nothing_along(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 18: whoever leaves while waiting is out of every line, and no permit is lost."""
    hold = Gate()
    async with fleet(tmp_path, serve, None, None, hold=hold, model="max_concurrent: 1") as made:
        inside = [made.send() for _ in range(2)]
        await until(lambda: len(made.received) == 2)
        waiting = made.send()
        await until(lambda: made.state("m1").waiting == 1)
        waiting.close()
        await until(lambda: made.state("m0").waiting + made.state("m1").waiting == 0)
        hold.open()
        for client in inside:
            assert (await client.read_answer()).status == 200
        assert [made.state(model).inflight for model in ("m0", "m1")] == [0, 0]
        next_one = made.send()
        await until(lambda: hold.waiting == 1)
        hold.open()
        assert (await next_one.read_answer()).status == 200


async def test_queue_ends_when_it_was_told_to(tmp_path: Path, serve: Serve) -> None:
    """Reliability §7 `queue`: waiting ends after `max_ms`, with a Retry-After of 2 for lanes that are full."""
    hold = Gate()
    pool = "on_exhausted: {action: queue, max_ms: 20}"
    async with fleet(tmp_path, serve, None, hold=hold, model="max_concurrent: 1", pool=pool) as made:
        inside = made.send()
        await until(lambda: len(made.received) == 1)
        late = await made.ask()
        assert (late.status, late.fields[RETRY]) == (503, b"2")
        hold.open()
        assert (await inside.read_answer()).status == 200


async def test_budget_is_spent_once_each(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 20: `max_requests` 3 lets exactly 3 of 10 through, and the lane is then unusable everywhere."""
    async with fleet(tmp_path, serve, None, model="max_requests: 3") as made:
        answers = await all_of([made.ask() for _ in range(10)])
        assert sorted(answer.status for answer in answers) == [200] * 3 + [503] * 7
        assert (made.asked, made.state("m0").budget) == ("000", 0)
        assert (await made.ask("m0")).status == 503
        assert await made.health() == 503
        assert (await made.stats())["m0"]["availability"] == "budget_exhausted"


async def test_failure_costs_no_budget(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 21: a 500 gives its unit back, a success keeps it."""
    async with fleet(tmp_path, serve, [failing(), None], model="max_requests: 3") as made:
        assert await made.ask_often(2) == [503, 200]
        assert made.state("m0").budget == 2


async def test_pools_do_not_share_breakers(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 22: a lane that tripped in one pool still serves another one and its own name."""
    other = "  other: {members: [{target: m0}]}"
    async with fleet(tmp_path, serve, [failing(), None], pool=BREAKERS, pools=other) as made:
        assert (await made.ask()).status == 503
        assert tripped(made, "m0")
        assert (await made.ask()).status == 503
        assert [(await made.ask(name)).status for name in ("other", "m0")] == [200, 200]
        assert made.asked == "000"


async def test_key_refused_by_the_only_provider_is_told_natively(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 41: the client gets its own dialect's words and none of the upstream's; every cell is open."""
    refusal = failing(401, error="sk-secret at api.vendor.example is wrong")
    async with fleet(tmp_path, serve, refusal) as made:
        got = await made.ask()
        assert got.status == 401
        assert b"vendor" not in got.body
        cells = made.state("m0").cells
        assert {cell.state.name for cell in cells.values()} == {"OPEN"}
        lane = (await made.stats())["m0"]
        assert 1790 <= lane["cooldown_remaining_s"] <= 1800
        assert lane["dead_reason"] == "auth"


@pytest.mark.parametrize(("dialect", "status"), [("bedrock", 403), ("gemini", 400), ("anthropic", 401)])
async def test_refused_key_has_each_vendors_status(tmp_path: Path, serve: Serve, dialect: str, status: int) -> None:
    """Reliability case 41: Bedrock says 403, Gemini 400."""
    async with fleet(tmp_path, serve, failing(401), dialect=dialect) as made:
        assert (await made.ask()).status == status


async def test_other_provider_serves_when_one_refuses_its_key(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 42: 401 in a pool of two providers puts the first lane down, and the other one answers."""
    async with fleet(tmp_path, serve, failing(401), None) as made:
        assert await made.ask_often(3) == [200] * 3
        assert made.asked == "0111"
        assert made.state("m0").dead_reason == "auth"


async def test_code_mapped_to_billing_puts_the_lane_down(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 43: a 429 whose code means billing is a hard-down, and the caller is served elsewhere."""
    provider = "error_map: {insufficient_quota: billing}"
    refusal = failing(429, error_code="insufficient_quota")
    async with fleet(tmp_path, serve, refusal, None, provider=provider) as made:
        assert (await made.ask()).status == 200
        assert made.state("m0").dead_reason == "billing"
        assert {cell.state.name for cell in made.state("m0").cells.values()} == {"OPEN"}


async def test_fault_of_the_client_is_nobodys_failure(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 27: a client's 400 is relayed at once, verbatim, and counts against nobody."""
    async with fleet(tmp_path, serve, failing(400, error="no such parameter"), None) as made:
        got = await made.ask()
        assert got.status == 400
        assert orjson.loads(got.body)["error"]["message"] == "no such parameter"
        assert (made.counts("m0"), made.asked) == ((0, 0, 1), "0")


@pytest.mark.parametrize("status", [301, 302, 404, 409, 422])
async def test_other_statuses_are_relayed(tmp_path: Path, serve: Serve, status: int) -> None:
    """Reliability case 50: redirects are not followed, and nothing of this is held against the lane."""
    async with fleet(tmp_path, serve, failing(status), None) as made:
        assert (await made.ask()).status == status
        assert (made.counts("m0"), made.asked) == ((0, 0, 1), "0")


TOO_LONG = failing(400, error="This model's maximum context length is 8 tokens.", error_code="context_length_exceeded")


async def test_prompt_too_long_for_one_goes_to_a_larger_one(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 48: lanes known to hold no more are skipped, and nobody is blamed."""
    members = (
        "{target: m0, context_max: 200000, weight: 9}, {target: m1, context_max: 100000},"
        " {target: m2, context_max: 1000000}"
    )
    async with fleet(tmp_path, serve, TOO_LONG, None, None, members=members) as made:
        assert (await made.ask()).status == 200
        assert made.asked == "02"
        assert made.counts("m0") == (0, 0, 0)


async def test_prompt_too_long_for_all_is_told_as_it_is(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 48: with nobody larger the client gets the 400 and no overload, which its SDK would retry."""
    async with fleet(tmp_path, serve, TOO_LONG, TOO_LONG) as made:
        got = await made.ask()
        assert (got.status, made.asked) == (400, "01")
        assert orjson.loads(got.body)["error"]["code"] == "context_length_exceeded"


async def test_busy_lane_is_back_sooner_than_a_resting_one(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 64: Retry-After is the soonest of all members: 2 for a full one, the rest of a cooldown."""
    pool = "on_exhausted: {action: queue, max_ms: 1}"
    fates = (failing(429, retry_after_s=100), [None, Script(delay_head_ms=60000)])
    async with fleet(tmp_path, serve, *fates, model="max_concurrent: 1", pool=pool) as made:
        assert (await made.ask()).status == 200
        inside = made.send()
        await until(lambda: made.state("m1").inflight == 1)
        assert (await made.ask()).fields[RETRY] == b"2"
        inside.close()
        await until(lambda: made.state("m1").inflight == 0)


async def test_least_bad_serves_in_spite_of_its_breaker(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 65: with all open the first to come back gets one attempt, and its success leaves it open."""
    pool = f"{BREAKERS}\non_exhausted: {{action: least_bad}}"
    fates = ([failing(429, retry_after_s=300), None], [failing(429, retry_after_s=600), None])
    async with fleet(tmp_path, serve, *fates, pool=pool) as made:
        first = await made.ask()
        assert first.status == 200  # both failed, then the one that is back first answered
        assert made.asked == "010"
        assert (tripped(made, "m0"), tripped(made, "m1")) == (True, True)


async def test_fallback_pool_serves_with_cells_of_its_own(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 66: an exhausted pool goes on in the next one, whose cells are its own."""
    pools = "  spare: {members: [{target: m1}]}"
    pool = "on_exhausted: fallback_pool:spare"
    async with fleet(tmp_path, serve, failing(), None, members="{target: m0}", pool=pool, pools=pools) as made:
        assert (await made.ask()).status == 200
        assert made.asked == "01"
        assert set(made.state("m1").cells) == {"", "spare"}
        assert made.counts("m1") == (1, 0, 0)


async def test_fallback_member_that_refuses_the_client_is_relayed(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 68: a 400 from the fallback is the client's, and no failure of the lane."""
    pools = "  spare: {members: [{target: m1}]}"
    pool = "on_exhausted: fallback_pool:spare"
    fates = (failing(), failing(400))
    async with fleet(tmp_path, serve, *fates, members="{target: m0}", pool=pool, pools=pools) as made:
        assert (await made.ask()).status == 400
        assert made.counts("m1") == (0, 0, 1)


async def test_health_is_that_of_the_cells_in_use(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 83: with every pool cell open and default cells untouched nothing is usable."""
    async with fleet(tmp_path, serve, failing(), pool=BREAKERS) as made:
        assert await made.health() == 200
        assert (await made.ask()).status == 503
        assert await made.health() == 503
        assert made.state("m0").cells[""].state.name == "CLOSED"


async def test_stats_show_every_field(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 84: all fields of a lane, `client_fault` and the cells by pool among them."""
    async with fleet(tmp_path, serve, [failing(400), failing(), None], pool=BREAKERS) as made:
        assert await made.ask_often(2) == [400, 503]
        lane = (await made.stats())["m0"]
        left = lane.pop("cooldown_remaining_s")
        assert 26 <= left <= 33
        hint = lane.pop("recovery_hint_ms")
        assert (left - 1) * 1000 <= hint <= left * 1000
        assert lane.pop("cells") == {
            "": {"state": "closed", "streak": 0, "cooldown_remaining_s": 0},
            "pool": {"state": "open", "streak": 1, "cooldown_remaining_s": left},
        }
        assert lane == {
            "model": "m0",
            "provider": "p0",
            "max_concurrent": None,
            "inflight": 0,
            "free_slots": None,
            "ok": 0,
            "err": 1,
            "client_fault": 1,
            "usable": False,
            "dead": False,
            "dead_reason": "",
            "streak": 1,
            "budget": -1,
            "availability": "breaker_open",
            "breaker_state": "open",
            "at_capacity": False,
        }


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_that_breaks_before_its_first_byte_is_another_ones(
    tmp_path: Path, serve: Serve, stream: bool
) -> None:
    """Reliability case 54: good headers and then nothing is one failure and no success, and another member serves."""
    async with fleet(tmp_path, serve, Script(reset_at=0), None) as made:
        assert (await made.ask(stream=stream)).status == 200
        assert (made.counts("m0"), made.counts("m1")) == ((0, 1, 0), (1, 0, 0))


async def test_deadline_ends_a_request(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 52: an upstream that hangs costs the deadline and no more, and the 503 says to retry in 1 s."""
    async with fleet(tmp_path, serve, Script(delay_head_ms=60000), pool="failover: {timeout_secs: 1}") as made:
        got = await made.ask()
        assert (got.status, got.fields[RETRY]) == (503, b"1")


async def test_deadline_ends_connecting(tmp_path: Path) -> None:
    """Reliability case 52: a host that takes no connection costs the deadline and not the ten seconds of connecting."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, ExitStack() as crowd:
        for _ in range(3):  # the line is full, so that no one else is answered
            guest = crowd.enter_context(socket.socket())
            guest.setblocking(False)
            guest.connect_ex(deaf.getsockname())
        text = f"""
listen: 127.0.0.1:0
providers: {{up: {{protocol: openai, base_url: "http://127.0.0.1:{deaf.getsockname()[1]}", api_key_env: UP_KEY}}}}
models: {{m: {{provider: up}}}}
pools: {{pool: {{members: [{{target: m}}], failover: {{timeout_secs: 1}}}}}}
"""
        async with running(tmp_path, text) as site:
            client = site.connect()
            began_s = time.monotonic()
            client.send(post(b'{"model":"pool","messages":[]}', target=b"/v1/chat/completions"))
            got = await client.read_answer()
            client.close()
            assert (got.status, got.fields[RETRY]) == (503, b"1")
            assert 0.9 < time.monotonic() - began_s < 6


async def test_attempt_has_a_time_of_its_own(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 52: `attempt_timeout_ms` hops to the next lane, and cuts no stream that has begun."""
    model = "attempt_timeout_ms: 50"
    async with fleet(tmp_path, serve, Script(delay_head_ms=60000), None, model=model) as made:
        assert (await made.ask()).status == 200
        assert made.asked == "01"
    slow = Script(delay_first_ms=80, delay_frame_ms=20)
    async with fleet(tmp_path, serve, slow, model=model) as made:
        assert (await made.ask(stream=True)).status == 200


async def test_each_name_leads_to_cells_of_its_own(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 1: by a pool's name its cells are asked, by a lane's own name the default one."""
    async with fleet(tmp_path, serve, failing(), pool=BREAKERS) as made:
        assert (await made.ask("m0")).status == 503
        cells = made.state("m0").cells
        assert {name: cell.streak for name, cell in cells.items()} == {"": 1, "pool": 0}
        assert (await made.ask("pool")).status == 503
        assert {name: cell.streak for name, cell in cells.items()} == {"": 1, "pool": 1}
        assert (await made.ask("nobody")).status == 404
