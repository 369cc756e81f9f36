"""Policies rank the members of a pool: who is asked, in which order, and what the client and the operator see of it."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from busbar_fast.clock import now
from busbar_fast.dialects.registry import DIALECTS
from busbar_fast.wire.exchange import Exchange
from tests.dialects.vendors import CALLS
from tests.system.fleets import Fleet, config_of, failing, fleet
from tests.system.gateways import Fate, Received, closed_port
from tests.system.governing import governed
from tests.system.programs import Deployment, Recorder
from tests.system.rawclient import Answer
from tests.system.scrapes import parse
from tests.system.serving import Gate, Serve, Site, post, until
from tests.system.test_address_guard import resolve_to

POLICY, TARGET = b"x-busbar-route-policy", b"x-busbar-route-target"
COSTS = "{target: m0, cost_per_mtok: 3}, {target: m1}, {target: m2, cost_per_mtok: 1}"
PAIR = "{target: m0, cost_per_mtok: 3}, {target: m1, cost_per_mtok: 1}"
TRIPPING = "breaker: {trip: {mode: consecutive, consecutive_n: 1}}"
BACKWARDS = "route: script\npolicy: {script: 'sorted(candidates, key=lambda c: c.idx, reverse=True)'}"
JSON = b"Content-Type: application/json\r\n"


def chosen(answer: Answer) -> tuple[str, str] | None:
    """Return policy and target as an answer shows them, None if it shows neither."""
    shown = [answer.fields.get(name, b"").decode() for name in (POLICY, TARGET)]
    assert all(shown) or not any(shown)
    return (shown[0], shown[1]) if all(shown) else None


async def selections(made: Fleet) -> dict[tuple[str, str], float]:
    """Return the counter of selections, by pool and policy."""
    client = made.site.connect()
    client.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
    series = parse((await client.read_answer()).body)
    client.close()
    found = {}
    for (name, labels), value in series.items():
        if name == "busbar_route_policy_selections_total":
            words = dict(labels)
            found[words["pool"], words["policy"]] = value
    return found


# Numbers


async def test_cheapest_goes_first_and_unpriced_last(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 76: costs 3, none, 1 are tried as 1, 3, none."""
    async with fleet(tmp_path, serve, *[failing()] * 3, members=COSTS, pool="route: cheapest") as made:
        answer = await made.ask()
        assert (answer.status, chosen(answer), made.asked) == (503, None, "201")


async def test_without_any_price_the_weights_choose(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 76: no costs, no opinion: members take turns and nothing is shown or counted."""
    async with fleet(tmp_path, serve, None, None, None, pool="route: cheapest") as made:
        answers = [await made.ask() for _ in range(3)]
        assert sorted(made.asked) == ["0", "1", "2"]
        assert [chosen(answer) for answer in answers] == [None] * 3
        assert await selections(made) == {("pool", "cheapest"): 0}


async def test_first_choice_that_tripped_makes_way(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 76: with rank 1 out of service rank 2 serves, and is what the client is shown."""
    pool = f"route: cheapest\n{TRIPPING}"
    async with fleet(tmp_path, serve, None, None, failing(), members=COSTS, pool=pool) as made:
        answers = [await made.ask() for _ in range(2)]
        assert made.asked == "2" + "0" + "0"
        assert [chosen(answer) for answer in answers] == [("cheapest", "m0")] * 2
        assert await selections(made) == {("pool", "cheapest"): 2}


async def test_fastest_goes_first_and_unmeasured_last(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 77: 100 ms then 200 ms make 120, behind 110 and before who was never measured."""
    async with fleet(tmp_path, serve, *[failing()] * 3, pool="route: fastest") as made:
        for model, latencies in (("m1", (100.0, 200.0)), ("m2", (110.0,))):
            for latency_ms in latencies:
                made.state(model).sample(latency_ms)
        assert made.state("m1").latency_ewma_ms == pytest.approx(120)
        assert (await made.ask()).status == 503
        assert made.asked == "210"


async def test_unmeasured_member_is_explored(tmp_path: Path, serve: Serve) -> None:
    """Reliability §11: with `explore` one request a minute goes to a member without a sample."""
    async with fleet(tmp_path, serve, None, None, None, pool="route: fastest\npolicy: {explore: true}") as made:
        made.state("m0").sample(0.001)
        made.state("m1").sample(0.002)
        assert [chosen(await made.ask()) for _ in range(3)] == [("fastest", f"m{n}") for n in (2, 0, 1)]


async def test_least_busy_has_most_free_permits(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 77: more free permits first; equally many are no opinion."""
    hold = Gate()
    async with fleet(
        tmp_path, serve, None, None, hold=hold, model="max_concurrent: 3", pool="route: least_busy"
    ) as made:
        clients = [made.send("m0"), made.send("m0")]
        await until(lambda: len(made.received) == 2)
        clients += [made.send() for _ in range(2)]
        await until(lambda: len(made.received) == 4)
        assert made.asked == "0011"
        hold.open()
        answers = [await client.read_answer() for client in clients]
        assert [chosen(answer) for answer in answers] == [None, None, *[("least_busy", "m1")] * 2]


async def test_usage_of_the_caller_tells_no_member_from_another(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 77: what is left of a caller's rate is the same everywhere, so the weights choose."""
    async with fleet(tmp_path, serve, None, None, pool="route: usage") as made:
        assert [chosen(await made.ask()) for _ in range(4)] == [None] * 4
        assert sorted(made.asked) == ["0", "0", "1", "1"]


# A service behind a URL


class Hook:
    """A policy service that says what the test wants, and remembers what it was asked."""

    def __init__(self, reply: Callable[[Exchange], None], hold: Gate | None = None) -> None:
        self.reply = reply
        self.hold = hold
        self.received: list[Received] = []

    async def serve(self, exchange: Exchange) -> None:
        """Answer one question."""
        head = exchange.head
        body = await exchange.read_body()
        self.received.append(Received(-1, head.method, head.target, dict(head.fields), body))
        if self.hold is not None:
            await self.hold.wait()
        self.reply(exchange)


def saying(body: bytes, status: int = 200, fields: bytes = JSON) -> Callable[[Exchange], None]:
    """Return what answers with this body."""
    return lambda exchange: exchange.reply(status, fields, body)


def in_chunks(body: bytes) -> Callable[[Exchange], None]:
    """Return what answers with this body without saying how long it is."""

    def reply(exchange: Exchange) -> None:
        exchange.start(200, JSON)
        exchange.write(body)
        exchange.finish()

    return reply


class Hooked:
    """A gateway whose pool asks a hook."""

    def __init__(self, made: Fleet, hook: Hook, site: Site) -> None:
        self.made = made
        self.hook = hook
        self.site = site


@asynccontextmanager
async def hooked(
    folder: Path, serve: Serve, hook: Hook, *fates: Fate, policy: str = "", dialect: str = "openai", **parts: str
) -> AsyncIterator[Hooked]:
    """Run a gateway over a policy service; `policy` is appended to the pool's."""
    async with serve(hook.serve) as site:
        more = f", {policy}" if policy else ""
        user = parts.pop("user", "")
        pool = f"route: webhook\npolicy: {{url: 'http://{user}127.0.0.1:{site.port}/rank?v=1'{more}}}\n"
        parts["pool"] = pool + parts.get("pool", "")
        async with fleet(folder, serve, *fates, dialect=dialect, hold=None, **parts) as made:
            yield Hooked(made, hook, site)


async def test_webhook_orders(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 78: `[9,1,1,0]` is 1, then 0, and who is left out comes after them."""
    hook = Hook(saying(b'{"order":[9,1,1,0],"more":null}'))
    async with hooked(tmp_path, serve, hook, None, failing(), failing()) as there:
        answer = await there.made.ask()
        assert (answer.status, there.made.asked, chosen(answer)) == (200, "10", ("webhook", "m0"))
        assert await selections(there.made) == {("pool", "webhook"): 1}
        assert len(hook.received) == 1


async def test_webhook_is_told_numbers(tmp_path: Path, serve: Serve) -> None:
    """Reliability §11 "Webhook": the request in numbers, the members with what the file and the counters say."""
    hook = Hook(saying(b"{}"))
    members = "{target: m1, tier: gold, cost_per_mtok: 2.5}, {target: m0}"
    async with hooked(tmp_path, serve, hook, None, None, members=members, model="max_concurrent: 4") as there:
        await there.made.ask()
        (asked,) = hook.received
    assert (asked.method, asked.target) == (b"POST", b"/rank?v=1")
    assert asked.fields[b"content-type"] == b"application/json"
    assert b"authorization" not in asked.fields
    plain = {"latency_ms": None, "available_concurrency": 4, "budget_remaining": None, "rate_headroom": None}
    assert asked.document == {
        "request": {
            "pool": "pool",
            "ingress_protocol": "openai",
            "message_count": 1,
            "has_tools": False,
            "total_chars": 2,
            "max_tokens": None,
            "stream": False,
        },
        "candidates": [
            {"idx": 1, "model": "m1", "tier": "gold", "cost_per_mtok": 2.5, **plain},
            {"idx": 0, "model": "m0", "tier": None, "cost_per_mtok": None, **plain},
        ],
        "context": {"pool": "pool", "budget_remaining": None},
    }


@pytest.mark.parametrize("body", [b"{}", b'{"order":[]}', b'{"order":[7]}', b'{"order":[1],"abstain":true}'])
async def test_webhook_without_an_opinion(tmp_path: Path, serve: Serve, body: bytes) -> None:
    """Reliability case 78: `{}` leaves it to the weights, whatever `on_error` says, and shows no headers."""
    async with hooked(tmp_path, serve, Hook(saying(body)), None, None, policy="on_error: reject") as there:
        answers = [await there.made.ask() for _ in range(2)]
        assert [(answer.status, chosen(answer)) for answer in answers] == [(200, None)] * 2
        assert sorted(there.made.asked) == ["0", "1"]
        assert await selections(there.made) == {("pool", "webhook"): 0}


LONG = b'{"order":[1]}'.ljust(65537)
FAILURES = {
    "status": Hook(saying(b'{"order":[1]}', 500)),
    "redirect": Hook(saying(b'{"order":[1]}', 302, JSON + b"Location: /other\r\n")),
    "long": Hook(saying(LONG)),
    "long in chunks": Hook(in_chunks(LONG)),
    "no JSON": Hook(saying(b'{"order":[1]')),
    "negative": Hook(saying(b'{"order":[-1]}')),
    "cut": Hook(lambda exchange: exchange.cut()),
}


@pytest.mark.parametrize(
    ("on_error", "expected"),
    [("weighted", (200, None)), ("first", (200, ("webhook", "m0"))), ("reject", (503, None))],
)
@pytest.mark.parametrize("failure", FAILURES)
async def test_webhook_that_fails(
    tmp_path: Path, serve: Serve, failure: str, on_error: str, expected: tuple[int, tuple[str, str] | None]
) -> None:
    """Reliability case 78: 500, 64 KiB + 1, bad JSON and the like are `on_error`'s; no member is blamed."""
    async with hooked(tmp_path, serve, FAILURES[failure], None, None, policy=f"on_error: {on_error}") as there:
        made = there.made
        answers = [await made.ask() for _ in range(2)]
        assert [(answer.status, chosen(answer)) for answer in answers] == [expected] * 2
        assert sorted(made.asked) == {"weighted": ["0", "1"], "first": ["0", "0"], "reject": []}[on_error]
        assert (made.state("m0").err, made.state("m1").err) == (0, 0)
        assert await selections(made) == {("pool", "webhook"): 2 * (on_error == "first")}


async def test_refusal_of_a_policy_is_native(tmp_path: Path, serve: Serve) -> None:
    """Reliability §11: `reject` is a 503 of the client's own protocol that says nothing of a policy."""
    hook = FAILURES["status"]
    async with hooked(tmp_path, serve, hook, None, policy="on_error: reject", dialect="anthropic") as there:
        answer = await there.made.ask()
        assert answer.status in (503, 529)
        assert orjson.loads(answer.body)["error"]["type"] == "overloaded_error"
        assert answer.fields[b"retry-after"] == b"1"
        assert (b"policy" in answer.body, there.made.asked) == (False, "")


async def test_longest_answer_is_taken(tmp_path: Path, serve: Serve) -> None:
    """Reliability §11 "Webhook": 65,536 bytes are not too many."""
    for reply in (saying(LONG[:-1]), in_chunks(LONG[:-1])):
        async with hooked(tmp_path, serve, Hook(reply), None, None, policy="on_error: reject") as there:
            assert chosen(await there.made.ask()) == ("webhook", "m1")


async def test_webhook_that_is_too_slow(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 78: an answer that does not come in time counts as none, and the question is dropped."""
    hook = Hook(saying(b'{"order":[1]}'), Gate())
    async with hooked(tmp_path, serve, hook, None, None, policy="timeout_ms: 40, on_error: first") as there:
        assert chosen(await there.made.ask()) == ("webhook", "m0")
        await until(lambda: hook.hold is not None and hook.hold.waiting == 0)


async def test_webhook_has_no_more_time_than_the_request(tmp_path: Path, serve: Serve) -> None:
    """Reliability §6: the deadline of the pool holds for its policy, too, whatever time that was given."""
    hook = Hook(saying(b"{}"), Gate())
    pool = "failover: {timeout_secs: 1}"
    async with hooked(tmp_path, serve, hook, None, policy="timeout_ms: 60000", pool=pool) as there:
        began_s = now()
        assert (await there.made.ask()).status == 503
        assert (there.made.asked, now() - began_s < 10) == ("", True)


async def test_default_time_is_that_of_the_whole_gateway(tmp_path: Path, serve: Serve) -> None:
    """Config §6.4: `routing.default_policy_timeout_ms` is for pools that do not say."""
    hook = Hook(saying(b'{"order":[1]}'), Gate())
    top = "routing: {default_policy_timeout_ms: 30}"
    async with hooked(tmp_path, serve, hook, None, None, policy="on_error: reject", top=top) as there:
        assert (await there.made.ask()).status == 503


async def test_webhook_that_is_not_there_is_told_once(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Reliability §11: who cannot be reached is a failure like any other; the log has one line for all of them."""
    pool = f"route: webhook\npolicy: {{url: 'http://127.0.0.1:{closed_port()}', on_error: first}}"
    async with fleet(tmp_path, serve, None, None, pool=pool) as made:
        assert [chosen(await made.ask()) for _ in range(4)] == [("webhook", "m0")] * 4
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text for text in told if "policy" in text] == told
    assert len(told) == 1


async def test_client_that_leaves_takes_the_question_along(tmp_path: Path, serve: Serve) -> None:
    """Reliability §11: nobody waits for an order that nobody wants any more; no lane is asked."""
    hook = Hook(saying(b"{}"), Gate())
    async with hooked(tmp_path, serve, hook, None, None, policy="timeout_ms: 60000") as there:
        client = there.made.send()
        await until(lambda: hook.hold is not None and hook.hold.waiting == 1)
        client.close()
        await until(lambda: hook.hold is not None and hook.hold.waiting == 0)
        assert there.made.asked == ""


async def test_time_of_the_client_goes_before_that_of_the_policy(tmp_path: Path, serve: Serve) -> None:
    """Gemini §2: a client whose own time is over while the policy thinks gets its time-out, not an order."""
    hook = Hook(saying(b"{}"), Gate())
    async with hooked(
        tmp_path, serve, hook, None, policy="timeout_ms: 60000, on_error: first", dialect="gemini"
    ) as there:
        assert (await there.made.ask(fields=b"x-server-timeout: 0.05\r\n")).status == 504
        assert there.made.asked == ""


async def test_user_of_the_url_is_shown_and_never_logged(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Reliability §11 "Webhook": credentials in the URL travel as Basic ones, and no log has them."""
    caplog.set_level(logging.DEBUG)
    hook = Hook(saying(b"no"))
    async with hooked(tmp_path, serve, hook, None, None, user="us%40er:sesame@") as there:
        assert (await there.made.ask()).status == 200
        assert hook.received[0].fields[b"authorization"] == b"Basic dXNAZXI6c2VzYW1l"
        assert hook.received[0].fields[b"host"] == b"127.0.0.1:%d" % there.site.port
    assert "failed" in caplog.text
    assert not any(word in caplog.text for word in ("sesame", "dXNAZXI6"))


async def test_name_that_leads_to_a_private_address_is_not_called(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Config §10: guard C judges what the name of a webhook resolves to, when it is dialled."""
    pool = "route: webhook\npolicy: {url: 'https://upstream.test/rank', on_error: reject}"
    async with fleet(tmp_path, serve, None, None, pool=pool) as made:
        names = resolve_to(monkeypatch, "10.0.0.1")
        assert await made.ask_often(3) == [503] * 3
        assert names == ["upstream.test"] * 3
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told[0] == "every address of upstream.test is blocked: 10.0.0.1"
    assert len(told) == 2  # that, and what it means for the policy


async def test_who_is_left_out_is_reached_in_the_end(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 79: a subset only prefers; a healthy member that it omits serves once the rest failed."""
    hook = Hook(saying(b'{"order":[2]}'))
    async with hooked(tmp_path, serve, hook, failing(), None, failing()) as there:
        answer = await there.made.ask()
        assert (answer.status, chosen(answer)) == (200, ("webhook", "m1"))
        assert there.made.asked == "201"


@pytest.mark.parametrize("dialect", list(DIALECTS))
async def test_no_word_of_a_prompt_gets_out(tmp_path: Path, serve: Serve, dialect: str) -> None:
    """Reliability case 79: the payload has counts, and not the text they are of, in all six dialects."""
    hook = Hook(saying(b'{"order":[1]}'))
    path, document = CALLS[dialect]
    named = document if "{model}" in path else {"model": "pool"} | document
    body = json.dumps(named).replace('"hi"', '"a zebra"').encode()
    async with hooked(tmp_path, serve, hook, None, None, dialect=dialect) as there:
        client = there.made.site.connect()
        client.send(post(body, target=path.replace("{model}", "pool").encode()))
        answer = await client.read_answer()
        client.close()
        assert chosen(answer) == ("webhook", "m1")
        (asked,) = hook.received
        assert b"zebra" in there.made.received[0].body
    assert b"zebra" not in asked.body
    request = asked.document["request"]
    assert (request["ingress_protocol"], request["message_count"], request["total_chars"]) == (dialect, 1, 7)


async def test_connections_to_a_webhook_are_kept_while_it_is_wanted(tmp_path: Path, serve: Serve) -> None:
    """Config §14 X9: a reload keeps a webhook's connections, and closes them once no pool asks it."""
    async with hooked(tmp_path, serve, Hook(saying(b'{"order":[1]}')), None, None) as there:
        made = there.made
        await made.ask_often(2)
        assert len(there.site.service.connections) == 1
        assert await made.site.reload()
        await made.ask()
        assert len(there.site.service.connections) == 1
        ports = [lane.origin.key.port for lane in made.site.engine.lanes.values()]
        assert await made.site.reload(config_of(ports, "openai"))
        await until(lambda: not there.site.service.connections)
        assert chosen(await made.ask()) is None


async def test_what_is_left_of_the_callers_rate_is_told(tmp_path: Path, serve: Serve) -> None:
    """Reliability §11: a service and a script learn which share of its minute the caller has left, this one counted."""
    script = "[1] if candidates[0].rate_headroom == 0.5 else []"
    hook = Hook(saying(b"{}"))
    async with serve(hook.serve) as site:
        url = f"http://127.0.0.1:{site.port}/"
        pools = (
            f"  hooked: {{members: [{{target: m0}}], route: webhook, policy: {{url: '{url}'}}}}\n"
            f"  scripted: {{members: [{{target: m0}}, {{target: m1}}], route: script, policy: {{script: '{script}'}}}}"
        )
        async with governed(tmp_path, serve, None, None, pools=pools) as board:
            limited, plain = await board.mint(rpm_limit=4), await board.mint()
            assert (await board.ask(limited, "hooked")).status == 200
            assert chosen(await board.ask(limited, "scripted")) == ("script", "m1")
            assert (await board.ask(plain, "hooked")).status == 200
    said = [orjson.loads(one.body)["candidates"][0]["rate_headroom"] for one in hook.received]
    assert said == [0.75, None]


# A script


async def test_script_ranks_by_cost_and_length(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 80: short prompts go to the cheap member, long ones to the dear one."""
    source = "sorted(candidates, key=lambda c: c.cost_per_mtok, reverse=req.total_chars > 100)"
    pool = f"route: script\npolicy: {{script: '{source}'}}"
    async with fleet(tmp_path, serve, None, None, members=PAIR, pool=pool) as made:
        found = []
        for text in ("x" * 100, "x" * 101):
            client = made.site.connect()
            body = {"model": "pool", "messages": [{"role": "user", "content": text}]}
            client.send(post(orjson.dumps(body), target=b"/v1/chat/completions"))
            found.append(chosen(await client.read_answer()))
            client.close()
        assert found == [("script", "m1"), ("script", "m0")]
        assert await selections(made) == {("pool", "script"): 2}


HEAVY = "x = [[a.idx + b.idx for a in candidates] for b in candidates]"


@pytest.mark.parametrize(
    ("source", "steps"),
    [(HEAVY, 10), ("candidates[0].idx // 0", 20000), ("\n".join([HEAVY] * 60), 200), ("max([])", 20000)],
)
@pytest.mark.parametrize(("on_error", "status"), [("reject", 503), ("first", 200)])
async def test_script_that_asks_for_too_much(
    tmp_path: Path, serve: Serve, source: str, steps: int, on_error: str, status: int
) -> None:
    """Reliability case 80: work beyond the steps, and what cannot be done, is `on_error`'s; others are served."""
    policy = json.dumps({"script": source, "max_steps": steps, "on_error": on_error})
    more = "  other: {members: [{target: m0}]}"
    async with fleet(tmp_path, serve, None, None, pool=f"route: script\npolicy: {policy}", pools=more) as made:
        clients = [made.send("pool"), made.send("other")]
        statuses = [(await client.read_answer()).status for client in clients]
        assert statuses == [status, 200]


async def test_script_is_run_for_some_of_many_callers(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Reliability case 80: with many callers at once a slow script ranks for a few, the others go by `on_error`."""
    slow = "\n".join(["a = [0]", *["a = a + a"] * 11, *["b = [len([y for y in a]) for x in candidates]"] * 4, "[1, 0]"])
    policy = json.dumps({"script": slow, "max_steps": 250_000, "on_error": "weighted"})
    async with fleet(tmp_path, serve, None, None, pool=f"route: script\npolicy: {policy}") as made:
        with caplog.at_level(logging.WARNING, "busbar_fast.gateway"):
            clients = [made.send() for _ in range(24)]
            answers = [await client.read_answer() for client in clients]
        shown = [chosen(answer) for answer in answers]
        assert {answer.status for answer in answers} == {200}
        assert set(shown) == {None, ("script", "m1")}
        warnings = [record.getMessage() for record in caplog.records if "policy of pool" in record.getMessage()]
        assert len(warnings) == 1
        assert "not run" in warnings[0]


@pytest.mark.parametrize(
    "source", ["candidates.__class__", "import os", "open(1)", "while 1: 1", "2 ** 9", "(" * 65 + ")" * 65]
)
async def test_script_outside_of_the_language_is_no_configuration(tmp_path: Path, serve: Serve, source: str) -> None:
    """Reliability case 80: such a script is refused when the file is read; the running one goes on."""
    async with fleet(tmp_path, serve, None, None, pool=BACKWARDS) as made:
        ports = [lane.origin.key.port for lane in made.site.engine.lanes.values()]
        policy = json.dumps({"script": source})
        assert not await made.site.reload(config_of(ports, "openai", pool=f"route: script\npolicy: {policy}"))
        assert chosen(await made.ask()) == ("script", "m1")


# What is shown


async def test_weights_are_no_policy(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 81: with `route: weighted` nothing begins with x-busbar, and there is nothing to count."""
    for pool in ("route: weighted", "route: native\npolicy: {name: weighted}"):
        async with fleet(tmp_path, serve, None, None, members=PAIR, pool=pool) as made:
            answer = await made.ask()
            assert not [name for name in answer.fields if name.startswith(b"x-busbar")]
            assert await selections(made) == {}


@pytest.mark.parametrize("dialect", [*DIALECTS, "array"])
@pytest.mark.parametrize("stream", [False, True])
async def test_choice_is_shown_in_every_frame(tmp_path: Path, serve: Serve, dialect: str, *, stream: bool) -> None:
    """Reliability case 81: both headers, each once, on documents and streams, with the model that serves."""
    pool = "route: native\npolicy: {name: cheapest}"
    fates: Sequence[Fate] = (None, [None, failing(), None])
    async with fleet(tmp_path, serve, *fates, members=PAIR, pool=pool, dialect=dialect) as made:
        found = [chosen(await made.ask(stream=stream)) for _ in range(3)]
        assert found == [("cheapest", name) for name in ("m1", "m0", "m0")]  # the one that failed rests


async def test_session_goes_before_the_policy_and_is_shown_all_the_same(tmp_path: Path, serve: Serve) -> None:
    """Reliability §8: the headers are there also if affinity then chose; the target is who serves."""
    session = b"x-session-id: session-1\r\n"
    members = "{target: m0, cost_per_mtok: 1}, {target: m1, cost_per_mtok: 3}, {target: m2}"
    async with fleet(tmp_path, serve, None, None, None, members=members, pool="route: cheapest") as made:
        assert chosen(await made.ask(fields=session)) == ("cheapest", "m1")
        assert chosen(await made.ask()) == ("cheapest", "m0")


async def test_refusals_show_nothing(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 81: never on errors, be they the client's own or everybody's."""
    fates: Sequence[Fate] = (failing(400), failing(400))
    async with fleet(tmp_path, serve, *fates, members=PAIR, pool="route: cheapest") as made:
        answer = await made.ask()
        assert (answer.status, chosen(answer)) == (400, None)
    pool = "route: cheapest\non_exhausted: {action: least_bad}"
    async with fleet(tmp_path, serve, failing(), failing(), members=PAIR, pool=pool) as made:
        answer = await made.ask()
        assert (answer.status, chosen(answer)) == (500, None)


async def test_last_resort_follows_no_policy(tmp_path: Path, serve: Serve) -> None:
    """Reliability §8: the headers come with what the policy chose, and nobody chose whom only `least_bad` asks."""
    pool = f"route: cheapest\n{TRIPPING}\non_exhausted: {{action: least_bad}}"
    async with fleet(tmp_path, serve, [failing(), None], members="{target: m0, cost_per_mtok: 1}", pool=pool) as made:
        await made.ask()
    members = "{target: m0, cost_per_mtok: 1}, {target: m1, cost_per_mtok: 2}"
    async with fleet(tmp_path, serve, [failing(), None], [failing(), None], members=members, pool=pool) as made:
        first, second = await made.ask(), await made.ask()
        assert (first.status, second.status, made.asked[:2]) == (200, 200, "01")
        assert [chosen(answer) for answer in (first, second)] == [None, None]


async def test_fallback_pool_follows_no_policy(tmp_path: Path, serve: Serve) -> None:
    """Reliability §8: what a fallback pool serves shows nothing, though the policy was asked and counted."""
    pool = "route: script\npolicy: {script: candidates}\non_exhausted: {fallback_pool: spare}"
    spare = (
        f"  spare:\n    members: [{{target: m1}}, {{target: m2}}]\n    {BACKWARDS.replace(chr(10), chr(10) + '    ')}"
    )
    members = "{target: m0}"
    async with fleet(tmp_path, serve, failing(), None, None, members=members, pool=pool, pools=spare) as made:
        answer = await made.ask()
        assert (answer.status, chosen(answer), made.asked) == (200, None, "01")
        assert await selections(made) == {("pool", "script"): 1, ("spare", "script"): 0}
        assert chosen(await made.ask("spare")) == ("script", "m2")


async def test_lane_by_its_own_name_follows_no_policy(tmp_path: Path, serve: Serve) -> None:
    """Reliability §1: a lane that is asked for itself is ranked by nobody."""
    async with fleet(tmp_path, serve, None, None, members=PAIR, pool="route: cheapest") as made:
        assert chosen(await made.ask("m0")) is None
        assert made.asked == "0"


async def test_headers_can_be_left_out(tmp_path: Path, serve: Serve) -> None:
    """Config §14 X21: `emit_route_headers: false` keeps the choice and its counter, and shows neither header."""
    top = "observability: {emit_route_headers: false}"
    async with fleet(tmp_path, serve, None, None, members=PAIR, pool="route: cheapest", top=top) as made:
        answer = await made.ask()
        assert (chosen(answer), made.asked) == (None, "1")
        assert await selections(made) == {("pool", "cheapest"): 1}


async def test_reload_swaps_policies(tmp_path: Path, serve: Serve) -> None:
    """Config §14 X9: the next request follows the policy of the new file; what was counted stays."""
    async with fleet(tmp_path, serve, None, None, None, members=COSTS, pool="route: cheapest") as made:
        ports = [lane.origin.key.port for lane in made.site.engine.lanes.values()]
        found = [chosen(await made.ask())]
        for pool in (BACKWARDS.replace(", reverse=True", ""), "route: weighted"):
            assert await made.site.reload(config_of(ports, "openai", members=COSTS, pool=pool))
            found.append(chosen(await made.ask()))
        assert found == [("cheapest", "m2"), ("script", "m0"), None]
        assert await selections(made) == {("pool", "cheapest"): 1, ("pool", "script"): 1}


# The second start


async def test_warm_start_ranks_as_the_first_one_did(tmp_path: Path, serve: Serve) -> None:
    """Design §5: a snapshot holds scripts as they were read, URLs without what their variables say, and prices."""
    hook = Hook(saying(b'{"order":[1]}'))
    place = Deployment(tmp_path)
    place.environ |= {"UP_KEY": "k", "RANK_PASSWORD": "sesame"}
    script = tmp_path / "rank.py"
    script.write_text("sorted(candidates, key=lambda c: c.idx, reverse=True)", encoding="utf-8")
    async with serve(Recorder().serve) as upstream, serve(hook.serve) as asked:
        spare = (
            f"  scripted:\n    members: [{{target: m0}}, {{target: m1}}]\n    route: script\n"
            f"    policy: {{script_file: {script}}}\n"
            f"  hooked:\n    members: [{{target: m0}}, {{target: m1}}]\n    route: webhook\n"
            f"    policy: {{timeout_ms: 5000, url: 'http://u:${{RANK_PASSWORD}}@127.0.0.1:{asked.port}'}}"
        )
        place.write(config_of([upstream.port] * 2, "openai", members=PAIR, pool="route: cheapest", pools=spare))
        seen = []
        for _ in range(2):
            with place.start() as program:
                await program.is_up()
                names = ("pool", "scripted", "hooked")
                seen.append([chosen(await program.chat(b'{"model":"%b"}' % name.encode())) for name in names])
                assert await program.end() == 0
    assert seen == [[("cheapest", "m1"), ("script", "m1"), ("webhook", "m1")]] * 2
    assert [one.fields[b"authorization"] for one in hook.received] == [b"Basic dTpzZXNhbWU="] * 2
    (snapshot,) = place.snapshots
    assert b"sesame" not in snapshot.read_bytes()
