"""Who ranks: what a policy is told, what becomes of its answer and of its failure, and what a client is shown."""

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.errors import ConnectFailed, NotJson, OutOfTime, PolicyFailed, ScriptRefused
from busbar_fast.gateway import rankers
from busbar_fast.gateway.lanes import new_state
from busbar_fast.gateway.rankers import NativeRanker, Ranker, ScriptRanker, Terms, candidates_of, facts_of
from busbar_fast.reliability.policies.candidates import Candidate, Order
from busbar_fast.reliability.policies.native import RANKINGS
from busbar_fast.reliability.pools import Pool, PoolMember, PoolSettings
from tests.fakes import FakeClock

PLACES = {"other": 0, "a": 1, "b": 2, "c": 3}
BODIES = {
    "openai": b'{"model":"p","messages":[{"role":"user","content":"four"}],"tools":[{}],"max_tokens":7}',
    "responses": b'{"model":"p","input":"four","tools":[{}],"max_output_tokens":7}',
    "anthropic": b'{"model":"p","messages":[{"role":"user","content":"four"}],"tools":[{}],"max_tokens":7}',
    "gemini": b'{"contents":[{"parts":[{"text":"four"}]}],"tools":[{"functionDeclarations":[{}]}],'
    b'"generationConfig":{"maxOutputTokens":7}}',
    "cohere": b'{"model":"p","messages":[{"role":"user","content":"four"}],"tools":[{}],"max_tokens":7}',
    "bedrock": b'{"messages":[{"role":"user","content":[{"text":"four"}]}],"toolConfig":{"tools":[{"toolSpec":{}}]},'
    b'"inferenceConfig":{"maxTokens":7}}',
}


class Saying(Ranker):
    """Says what the test wants, or raises it."""

    def __init__(self, terms: Terms, said: Order | Exception) -> None:
        super().__init__(terms)
        self.said = said
        self.heard: Sequence[Candidate] = ()

    async def _rank(self, request: Any, pool: Pool, candidates: Sequence[Candidate]) -> Order:  # noqa: ARG002
        self.heard = candidates
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def terms(on_error: str = "weighted", **changes: Any) -> Terms:
    """Return the terms of a pool."""
    return Terms("p", "cheapest", on_error, PLACES)._replace(**changes)


def member(name: str, **facts: Any) -> PoolMember:
    """Return a member on a lane that has lived through nothing."""
    state = new_state(name, "up")
    return PoolMember(state, state.cells[""], **facts)


def pool(*costs: float | None, exclusions: Sequence[str] = ()) -> Pool:
    """Return a pool of members with these costs."""
    members = [member(name, cost_per_mtok=cost) for name, cost in zip("abc", costs, strict=False)]
    return Pool("p", members, PoolSettings(exclusions=exclusions))


def request(dialect: str = "openai", body: bytes | None = None, *, stream: bool = False) -> Any:
    """Return a request as far as policies look at it."""
    return SimpleNamespace(
        dialect=speak(dialect), name="p", body=BODIES[dialect] if body is None else body, in_stream=stream, headroom=0.5
    )


def asked(ranker: Ranker, request: Any, pool: Pool) -> Sequence[PoolMember] | None:
    """Return whom a ranker prefers that has to wait for nobody."""
    with pytest.raises(StopIteration) as ended:
        ranker.maybe_ranked(request, pool).send(None)
    ranked: Sequence[PoolMember] | None = ended.value.value
    return ranked


def models(members: Sequence[PoolMember] | None) -> str | None:
    """Return the members' models in one word."""
    return None if members is None else "".join(member.lane.model for member in members)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Return the clock that rankers look at."""
    made = FakeClock()
    monkeypatch.setattr(rankers, "now", made)
    return made


def test_candidates_are_all_but_the_excluded() -> None:
    """Reliability §11: members not in `exclusions`, whatever their health, by their place in the configuration."""
    one = member("b", weight=0, cost_per_mtok=2.5, tier="gold", tags=("x",))
    one.lane.context_max = 9
    one.lane.limit(4, 10)
    one.lane.sample(100.0)
    one.lane.is_dead = True
    found = candidates_of(Pool("p", [one, member("a")], PoolSettings(exclusions=("a",))), PLACES)
    assert found == [Candidate(2, "b", "up", 0, 9, "gold", 2.5, 100.0, 4, 10, None, ("x",))]
    (plain,) = candidates_of(Pool("p", [member("c")]), PLACES)
    assert plain == Candidate(3, "c", "up")


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_facts_are_counted_in_every_dialect(dialect: str) -> None:
    """Reliability §11 "Do better": counts for all six shapes, and who counts nothing does not read the body."""
    facts = facts_of(request(dialect, stream=True), pool(1))
    assert (facts.pool, facts.ingress_protocol, facts.requested_model, facts.stream) == ("p", dialect, "p", True)
    assert (facts.message_count, facts.tool_count, facts.has_tools) == (1, 1, True)
    assert (facts.total_chars, facts.max_tokens) == (4, 7)
    spared = facts_of(request(dialect), pool(1), counts=False)
    assert (spared.message_count, spared.has_tools, spared.stream) == (0, False, False)


def test_body_that_is_no_object_counts_as_empty() -> None:
    """Reliability §11: what cannot be read is the upstream's to refuse, so the policy is asked all the same."""
    assert facts_of(request(body=b"[1]"), pool(1)) == facts_of(request(), pool(1), counts=False)


@pytest.mark.parametrize(
    ("said", "on_error", "ranked"),
    [
        ([9, 2, 2, 1, 0], "reject", "ba"),
        ([3, 2, 1], "weighted", "cba"),
        (None, "reject", ""),
        ([9, 0], "first", ""),
        (PolicyFailed("no"), "weighted", ""),
        (PolicyFailed("no"), "first", "abc"),
        (PolicyFailed("no"), "reject", None),
        (ConnectFailed("no"), "first", "abc"),
    ],
)
def test_answer_and_failure_become_an_order(said: Order | Exception, on_error: str, ranked: str | None) -> None:
    """Reliability §11: unknown and doubled places are dropped, silence is no failure, failures are `on_error`'s."""
    ranker = Saying(terms(on_error), said)
    assert models(asked(ranker, request(), pool(1, 2, 3))) == ranked
    assert [candidate.idx for candidate in ranker.heard] == [1, 2, 3]


@pytest.mark.parametrize("error", [OutOfTime(), NotJson("x"), ZeroDivisionError()])
def test_what_is_not_the_policys_failure_goes_on_up(error: Exception) -> None:
    """Reliability §11: a client whose time is over is told so; nothing of ours hides behind `on_error`."""
    with pytest.raises(type(error)):
        asked(Saying(terms("first"), error), request(), pool(1, 2))


def test_failures_are_logged_once_a_minute(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Reliability §11: one warning, with the number of failures since the last one."""
    ranker = Saying(terms(), PolicyFailed("no"))
    for seconds in (0, 1, 58.9, 0.2, 1):
        clock.now_s += seconds
        asked(ranker, request(), pool(1, 2))
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [
        "the policy of p failed (1 since the last warning): no",
        "the policy of p failed (3 since the last warning): no",
    ]


def test_number_ranks() -> None:
    """Reliability case 76: costs 3, none, 1 are ranked 1, 3, none; without any the policy abstains."""
    ranker = NativeRanker(terms(), RANKINGS["cheapest"])
    assert models(asked(ranker, request(), pool(3, None, 1))) == "cab"
    assert models(asked(ranker, request(), pool(None, None))) == ""
    assert models(asked(ranker, request(), pool(3, 2, 1, exclusions=["c"]))) == "ba"


def test_member_never_measured_is_explored(clock: FakeClock) -> None:
    """Reliability §11: with `explore` one request in 60 s goes to a ready member without a sample."""
    measured, other, new = member("a"), member("b"), member("c")
    measured.lane.sample(100.0)
    other.lane.sample(50.0)
    members = Pool("p", [measured, other, new])
    plain = NativeRanker(terms(), RANKINGS["fastest"])
    ranker = NativeRanker(terms(), RANKINGS["fastest"], explores=True)
    found = []
    for seconds in (0, 59, 1):
        clock.now_s += seconds
        found.append(models(asked(ranker, request(), members)))
    assert found == ["cba", "bac", "cba"]
    assert models(asked(plain, request(), members)) == "bac"
    clock.now_s += 60
    new.lane.limit(0, -1)
    assert models(asked(ranker, request(), members)) == "bac"


def test_script_ranks_by_what_it_is_told() -> None:
    """Reliability case 80: by cost, and by how much the request holds."""
    source = "sorted(candidates, key=lambda c: c.cost_per_mtok, reverse=req.total_chars > 3)"
    ranker = ScriptRanker(terms(), source, max_steps=1000, timeout_ms=150)
    assert models(asked(ranker, request(), pool(3, 2, 1))) == "abc"
    short = request(body=b'{"messages":[{"role":"user","content":"two"}]}')
    assert models(asked(ranker, short, pool(3, 2, 1))) == "cba"


@pytest.mark.parametrize("source", ["1 // 0", "candidates[9]", "[a for a in candidates for b in candidates]"])
def test_script_that_fails_is_the_pools_affair(source: str) -> None:
    """Reliability case 80: what a script may not do is refused, what fails is `on_error`'s."""
    try:
        ranker = ScriptRanker(terms("reject"), source, max_steps=10, timeout_ms=150)
    except ScriptRefused:
        assert " for " in source
        return
    assert asked(ranker, request(), pool(3, 2)) is None


def test_callers_rate_is_told_to_whoever_may_ask() -> None:
    """Reliability §11: `rate_headroom` is filled for a service and for a script that reads it, else not looked up."""
    asking = request()
    told = Saying(terms(), None)
    asked(told, asking, pool(1, 2))
    assert [candidate.rate_headroom for candidate in told.heard] == [0.5, 0.5]
    source = "candidates if candidates[0].rate_headroom == 0.5 else []"
    assert models(asked(ScriptRanker(terms(), source, max_steps=99, timeout_ms=150), asking, pool(1, 2))) == "ab"
    assert models(asked(NativeRanker(terms(), RANKINGS["usage"]), asking, pool(1, 2))) == ""
    del asking.headroom
    assert models(asked(NativeRanker(terms(), RANKINGS["cheapest"]), asking, pool(2, 1))) == "ba"


def test_script_stops_at_its_steps() -> None:
    """Reliability case 80: steps, and no time, end a script; one step more than it needs lets it through."""
    source = "x = [[a.weight + b.weight for a in candidates] for b in candidates]\n[candidates[0]]"
    needed = ScriptRanker(terms("reject"), source, max_steps=250000, timeout_ms=150)
    assert models(asked(needed, request(), pool(3, 2, 1))) == "a"
    steps = needed._script.steps
    enough = ScriptRanker(terms("reject"), source, max_steps=steps, timeout_ms=150)
    assert models(asked(enough, request(), pool(3, 2, 1))) == "a"
    short = ScriptRanker(terms("reject"), source, max_steps=steps - 1, timeout_ms=150)
    assert asked(short, request(), pool(3, 2, 1)) is None


def test_choice_is_shown_unless_that_is_unwanted() -> None:
    """Reliability §8: the policy's name and the model that serves; `emit_route_headers: false` leaves both out."""
    ranker = Saying(terms(), None)
    assert ranker.route_lines("a") == b"x-busbar-route-policy: cheapest\r\nx-busbar-route-target: a\r\n"
    assert ranker.route_lines("a \r\nb\u00e9%/").endswith(b"target: a %0D%0Ab%C3%A9%/\r\n")
    assert Saying(terms(shows_choice=False), None).route_lines("a") == b""
    assert ranker.maybe_origin is None
