"""Breakers, rotation and classes of failure as clients see them: through a whole gateway, over real sockets."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from busbar_fast.clock import now
from busbar_fast.mock.script import Script
from busbar_fast.reliability.breaker import Cell
from tests.dialects.vendors import CALLS
from tests.system.fleets import Fleet, failing, fleet
from tests.system.gateways import Fate
from tests.system.scrapes import parse
from tests.system.serving import Gate, Serve, all_of, post, until

BREAKERS = "breaker: {trip: {mode: consecutive, consecutive_n: 1}}"
WEIGHTED = "{target: m0, weight: 5}, {target: m1}, {target: m2}"
LONG_AGO_S = 1000.0
TOO_LONG = {
    "openai": "This model's maximum context length is 8192 tokens.",
    "responses": "Please reduce the length of the input: it exceeds the context window.",
    "anthropic": "prompt is too long: 208310 tokens > 200000 maximum",
    "gemini": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
    "bedrock": "Input is too long for requested model: it exceeds the maximum tokens.",
    "cohere": "too many tokens: the total must be at most 8",
}


def cell_of(made: Fleet, model: str = "m0", pool: str = "pool") -> Cell:
    """Return the cell of a lane in a pool."""
    return made.state(model).cells[pool]


def trip_long_ago(made: Fleet, model: str = "m0") -> Cell:
    """Open a cell whose rest is over by now, so that its next request is the trial; return it."""
    cell = cell_of(made, model)
    cell.fail(now() - LONG_AGO_S)
    assert (cell.state.name, cell.is_ready(now())) == ("OPEN", True)
    return cell


async def trips(made: Fleet) -> int:
    """Return how often `/metrics` says that a lane went out of service, in any pool."""
    client = made.site.connect()
    client.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
    series = parse((await client.read_answer()).body)
    client.close()
    return int(sum(value for (name, _), value in series.items() if name == "busbar_breaker_trips_total"))


# Rotation


async def test_weights_are_smooth(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 8: weights 5, 1, 1 give a a b a c a a, again and again."""
    async with fleet(tmp_path, serve, None, None, None, members=WEIGHTED) as made:
        assert set(await made.ask_often(14)) == {200}
        assert made.asked == "0010200" * 2


async def test_requests_at_once_are_spread_by_weight_and_pools_rotate_apart(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 10: seventy at once are 50, 10, 10, and a pool of the same lanes begins where it would alone."""
    other = f"  other: {{members: [{WEIGHTED}]}}"
    async with fleet(tmp_path, serve, None, None, None, members=WEIGHTED, pools=other) as made:
        assert await made.ask_often(2) == [200, 200]
        answers = await all_of([made.ask("other") for _ in range(70)])
        assert {answer.status for answer in answers} == {200}
        assert Counter(made.asked[2:]) == {"0": 50, "1": 10, "2": 10}
        assert await made.ask_often(5) == [200] * 5
        assert made.asked[:2] + made.asked[72:] == "0010200"
        assert sum(cell_of(made, f"m{number}").current_weight for number in range(3)) == 0


async def test_equal_prompts_are_not_pinned(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 15: without the header the same system text goes to everybody in turn."""
    path, document = CALLS["anthropic"]
    asking = post(orjson.dumps({"model": "pool", "system": "the same for all", **document}), target=path.encode())
    async with fleet(tmp_path, serve, None, None, None, dialect="anthropic") as made:
        for _ in range(6):
            client = made.site.connect()
            client.send(asking)
            assert (await client.read_answer()).status == 200
        assert Counter(made.asked) == {"0": 2, "1": 2, "2": 2}


async def test_session_is_first_and_the_policy_next(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 15: the sticky member is tried first, and after it the policy's order."""
    members = ", ".join(f"{{target: m{number}, cost_per_mtok: {9 - number}}}" for number in range(3))
    async with fleet(tmp_path, serve, None, failing(), None, members=members, pool="route: cheapest") as made:
        assert (await made.ask(fields=b"x-session-id: session-1\r\n")).status == 200
        assert made.asked == "12"


# Waiting


async def test_lane_that_trips_serves_nobody_who_waited_for_it(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 17: who waits for a lane that trips is not sent there, and hears when it is back."""
    hold = Gate()
    async with fleet(tmp_path, serve, failing(), hold=hold, pool=BREAKERS, model="max_concurrent: 1") as made:
        inside = made.send()
        await until(lambda: made.asked == "0")
        waiting = [made.send() for _ in range(3)]
        await until(lambda: made.state("m0").waiting == 3)
        hold.open()
        answers = [await client.read_answer() for client in (inside, *waiting)]
        assert {answer.status for answer in answers} == {503}
        assert all(27 <= int(answer.fields[b"retry-after"]) <= 33 for answer in answers)
        assert (made.asked, made.state("m0").waiting) == ("0", 0)


async def test_full_pool_spills_at_once(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 17: with a pool to fall back to nobody waits for a permit."""
    hold = Gate()
    parts = {"members": "{target: m0}", "pools": "  spare: {members: [{target: m1}]}", "model": "max_concurrent: 1"}
    async with fleet(tmp_path, serve, None, None, hold=hold, pool="on_exhausted: fallback_pool:spare", **parts) as made:
        clients = [made.send()]
        await until(lambda: made.asked == "0")
        clients.append(made.send())
        await until(lambda: made.asked == "01")
        hold.open()
        assert [(await client.read_answer()).status for client in clients] == [200, 200]


# Trips


async def test_rate_of_errors_trips_with_enough_of_them(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 23: four failures of four leave a cell closed, the fifth opens it, and that is one trip."""
    async with fleet(tmp_path, serve, failing()) as made:
        assert await made.ask_often(4) == [503] * 4
        assert (cell_of(made).state.name, await trips(made)) == ("CLOSED", 0)
        assert await made.ask_often(3) == [503] * 3
        assert (cell_of(made).state.name, await trips(made), made.asked) == ("OPEN", 1, "00000")


async def test_failures_in_a_row_trip(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 26: with `consecutive_n: 3` a success in between begins the row anew."""
    pool = "breaker: {trip: {mode: consecutive, consecutive_n: 3}}"
    fates = [failing(), failing(), None, failing()]
    async with fleet(tmp_path, serve, fates, pool=pool) as made:
        assert await made.ask_often(5) == [503, 503, 200, 503, 503]
        assert cell_of(made).state.name == "CLOSED"
        assert (await made.ask()).status == 503
        assert (cell_of(made).state.name, await trips(made)) == ("OPEN", 1)


# Trials


async def test_one_of_fifty_is_the_trial(tmp_path: Path, serve: Serve) -> None:
    """Reliability cases 28 and 29: one of fifty reaches an open lane; it is well, and the lane serves as before."""
    hold = Gate()
    async with fleet(tmp_path, serve, None, hold=hold, pool=BREAKERS) as made:
        cell = trip_long_ago(made)
        clients = [made.send() for _ in range(50)]
        await until(lambda: hold.waiting == 1)
        await until(lambda: made.state("m0").inflight == 1)
        refused = [client for client in clients if client is not clients[0]]
        assert {(await client.read_answer()).status for client in refused} == {503}
        assert (made.asked, cell.state.name) == ("0", "HALF_OPEN")
        hold.open()
        assert (await clients[0].read_answer()).status == 200
        assert (cell.state.name, cell.streak) == ("CLOSED", 0)
        later = made.send()
        await until(lambda: hold.waiting == 1)
        hold.open()
        assert (await later.read_answer()).status == 200


async def test_trial_that_fails_is_no_trip_and_rests_longer(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 30: after a bad trial the lane rests for longer, and then there is another one."""
    async with fleet(tmp_path, serve, [failing(), None], pool=BREAKERS) as made:
        cell = trip_long_ago(made)
        before = await trips(made)
        assert await made.ask_often(2) == [503, 503]
        assert (cell.state.name, made.asked, await trips(made)) == ("OPEN", "0", before)
        assert 53 <= cell.cooldown_left_s(now()) <= 66
        cell.cooldown_until_s = cell.ready_at_s = now()  # as if it were over
        assert await made.ask_often(2) == [200, 200]


@pytest.mark.parametrize(
    ("fate", "status"),
    [(failing(400), 400), (failing(400, error_code="context_length_exceeded"), 400)],
    ids=["client", "context"],
)
async def test_trial_without_a_verdict_is_followed_by_another(
    tmp_path: Path, serve: Serve, fate: Script, status: int
) -> None:
    """Reliability case 32: a trial that is refused for the client's own fault leaves the next request to try."""
    async with fleet(tmp_path, serve, [fate, None], pool=BREAKERS) as made:
        cell = trip_long_ago(made)
        assert (await made.ask()).status == status
        assert (cell.state.name, cell.trial) == ("OPEN", 0)
        assert (await made.ask()).status == 200
        assert (cell.state.name, made.asked) == ("CLOSED", "00")


async def test_trial_with_a_bad_key_of_the_caller_is_followed_by_another(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 32: a 401 to a caller's own key says nothing about the lane, and the next request may try."""
    async with fleet(tmp_path, serve, [failing(401), None], pool=BREAKERS) as made:
        text = (tmp_path / "config.yaml").read_text()
        assert await made.site.reload(text.replace("auth: {mode: none}", "auth: {mode: passthrough}"))
        cell = trip_long_ago(made)
        own = b"Authorization: Bearer sk-of-the-caller\r\n"
        assert (await made.ask(fields=own)).status == 401
        assert (cell.state.name, cell.trial, made.counts("m0")) == ("OPEN", 0, (0, 0, 0))
        assert (await made.ask(fields=own)).status == 200
        assert cell.state.name == "CLOSED"


async def test_trial_whose_client_leaves_is_followed_by_another(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 33: a client that leaves before the head of its answer leaves the trial to the next one."""
    hold = Gate()
    async with fleet(tmp_path, serve, None, hold=hold, pool=BREAKERS) as made:
        cell = trip_long_ago(made)
        gone = made.send()
        await until(lambda: cell.state.name == "HALF_OPEN" and hold.waiting == 1)
        gone.close()
        await until(lambda: cell.state.name == "OPEN")
        next_one = made.send()
        await until(lambda: len(made.received) == 2)
        hold.open()
        assert (await next_one.read_answer()).status == 200
        assert (cell.state.name, made.counts("m0")) == ("CLOSED", (1, 0, 0))


async def test_full_lane_is_not_tried(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 34: a lane without a free permit begins no trial, and does when the permit is there."""
    hold = Gate()
    async with fleet(tmp_path, serve, None, hold=hold, pool=BREAKERS, model="max_concurrent: 1") as made:
        inside = made.send("m0")
        await until(lambda: made.asked == "0")
        cell = trip_long_ago(made)
        waiting = made.send()
        await until(lambda: made.state("m0").waiting == 1)
        assert (cell.state.name, cell.trial) == ("OPEN", 0)
        hold.open()
        assert (await inside.read_answer()).status == 200
        await until(lambda: cell.state.name == "HALF_OPEN" and hold.waiting == 1)
        hold.open()
        assert (await waiting.read_answer()).status == 200
        assert cell.state.name == "CLOSED"


# What a failure means


@pytest.mark.parametrize("status", [429, 503])
async def test_wait_that_was_asked_for_is_never_shortened(tmp_path: Path, serve: Serve, status: int) -> None:
    """Reliability case 40: a plain 500 that comes after a Retry-After of 300 leaves those 300 seconds as they are."""
    hold = Gate()
    async with fleet(tmp_path, serve, [failing(status, retry_after_s=300), failing()], hold=hold) as made:
        first, second = made.send(), made.send()
        await until(lambda: hold.waiting == 2)
        hold.open()
        assert {(await client.read_answer()).status for client in (first, second)} == {503}
        assert 298 <= cell_of(made).cooldown_left_s(now()) <= 300
        assert (await made.ask()).fields[b"retry-after"] in (b"299", b"300")
        assert made.asked == "00"


@pytest.mark.parametrize(
    ("error_map", "fate", "reason", "counts"),
    [
        ("x_code: billing, invalid_request_error: rate_limit", failing(400, error_code="x_code"), "billing", (0, 1, 0)),
        ("invalid_request_error: rate_limit", failing(400, error_code="x_code"), "", (0, 1, 0)),
        ("x_code: context_length", failing(503, error_code="x_code"), "", (0, 1, 0)),
        ("x_code: context_length", failing(404, error_code="x_code"), "", (0, 0, 0)),
    ],
    ids=["code wins", "type", "no context with a 5xx", "context"],
)
async def test_operator_says_what_a_failure_means(
    tmp_path: Path, serve: Serve, error_map: str, fate: Script, reason: str, counts: tuple[int, int, int]
) -> None:
    """Reliability case 46: a code goes before a type, a type before the status, and a 5xx is never about length."""
    async with fleet(tmp_path, serve, fate, None, provider=f"error_map: {{{error_map}}}") as made:
        assert (await made.ask()).status == 200
        assert (made.asked, made.counts("m0"), made.state("m0").dead_reason) == ("01", counts, reason)


@pytest.mark.parametrize("dialect", TOO_LONG)
async def test_prompt_that_is_too_long_is_nobodys_failure(tmp_path: Path, serve: Serve, dialect: str) -> None:
    """Reliability case 47: the vendor's own words for it on a 400 hop without blame; on a 429 they are a failure."""
    text = TOO_LONG[dialect]
    async with fleet(tmp_path, serve, failing(400, error=text), None, dialect=dialect) as made:
        assert (await made.ask()).status == 200
        assert (made.asked, made.counts("m0")) == ("01", (0, 0, 0))
    async with fleet(tmp_path, serve, failing(429, error=text), None, dialect=dialect) as made:
        assert (await made.ask()).status == 200
        assert (made.asked, made.counts("m0")) == ("01", (0, 1, 0))


@pytest.mark.parametrize(
    ("text", "asked", "status", "reason"),
    [
        ("API key not valid. Please pass a valid API key.", "01", 200, "auth"),
        ("Invalid value at 'contents[0].role'", "0", 400, ""),
    ],
)
async def test_refused_key_of_gemini_comes_as_a_400(
    tmp_path: Path, serve: Serve, text: str, asked: str, status: int, reason: str
) -> None:
    """Reliability case 49: a 400 about the key puts the lane down, one about a field is the client's."""
    async with fleet(tmp_path, serve, failing(400, error=text), None, dialect="gemini") as made:
        assert (await made.ask()).status == status
        assert (made.asked, made.state("m0").dead_reason) == (asked, reason)


# Where requests go on


async def test_pools_in_a_circle_are_no_configuration(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 69: pools that fall back to each other are refused at a reload, and the running ones go on."""
    spare = "  spare: {members: [{target: m1}]}"
    async with fleet(tmp_path, serve, None, None, pool="on_exhausted: fallback_pool:spare", pools=spare) as made:
        text = (tmp_path / "config.yaml").read_text()
        circle = text.replace(spare, "  spare: {members: [{target: m1}], on_exhausted: fallback_pool:pool}")
        assert circle != text
        assert not await made.site.reload(circle)
        assert (await made.ask()).status == 200


async def test_fallback_keeps_to_its_own_exclusions_and_to_the_first_deadline(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 69: who is excluded there is not asked, and all of it ends when the first pool said."""
    spare = "  spare: {members: [{target: m1}, {target: m2}], failover: {exclusions: [m1], timeout_secs: 600}}"
    pool = "failover: {timeout_secs: 1}\non_exhausted: fallback_pool:spare"
    fates: list[Fate] = [failing(), None, Script(delay_head_ms=60000)]
    async with fleet(tmp_path, serve, *fates, members="{target: m0}", pool=pool, pools=spare) as made:
        began_s = now()
        assert (await made.ask()).status == 503
        assert (made.asked, now() - began_s < 20) == ("02", True)


async def test_next_lane_of_another_dialect_gets_the_request_itself(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 53: after a lane of another dialect failed the next one is sent what the client wrote."""
    async with fleet(tmp_path, serve, failing(), failing(), None) as made:
        text = (tmp_path / "config.yaml").read_text()
        mixed = text.replace("p0: {protocol: openai", "p0: {protocol: anthropic")
        mixed = mixed.replace("p1: {protocol: openai", "p1: {protocol: gemini")
        assert await made.site.reload(mixed)
        assert (await made.ask(fields=b"x-session-id: s\r\n")).status == 200
        for _ in range(3):
            assert (await made.ask()).status == 200
        seen = {one.backend: one.document for one in made.received}
        assert set(seen) == {0, 1, 2}
        assert seen[2] == {"model": "m2", **CALLS["openai"][1]}
        assert seen[0]["messages"][0]["role"] == "user"
        assert seen[0]["max_tokens"]
        assert seen[1]["contents"][0]["role"] == "user"


# Probes

POOLS = (
    "  calm: {members: [{target: m0}], breaker: {trip: {mode: consecutive, consecutive_n: 2}}}\n"
    "  third: {members: [{target: m0}]}"
)
PROBED = "health: {mode: active, interval_secs: 1}"


async def test_failing_probe_is_judged_by_each_pool_without_any_traffic(tmp_path: Path, serve: Serve) -> None:
    """Reliability cases 72 and 75: a lane that is down trips by its probes, in each pool as that pool has it."""
    async with fleet(tmp_path, serve, failing(), pool=BREAKERS, pools=POOLS, provider=PROBED) as made:
        await until(lambda: made.state("m0").err == 1)
        states = {name: cell.state.name for name, cell in made.state("m0").cells.items()}
        assert states == {"": "CLOSED", "pool": "OPEN", "calm": "CLOSED", "third": "CLOSED"}
        assert await trips(made) == 1
        await until(lambda: made.state("m0").err == 2)
        states = {name: cell.state.name for name, cell in made.state("m0").cells.items()}
        assert states == {"": "CLOSED", "pool": "OPEN", "calm": "OPEN", "third": "CLOSED"}
        assert (await made.ask()).status == 503
        assert set(made.asked) == {"0"}


async def test_good_probe_counts_once_for_all_pools(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 73: a lane in three pools is `ok` once for a probe, and closed in each of them."""
    async with fleet(tmp_path, serve, [failing(), None], pool=BREAKERS, pools=POOLS, provider=PROBED) as made:
        await until(lambda: made.counts("m0") == (1, 1, 0))
        assert {cell.state.name for cell in made.state("m0").cells.values()} == {"CLOSED"}
        assert {cell.streak for cell in made.state("m0").cells.values()} == {0}
