"""OpenAI's client, the gateway and time, with the Responses API: retries, time-outs, streams that break."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import openai
import pytest

from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.sdk import (
    FORGIVING,
    LANES,
    POOL,
    Visit,
    check_openai_refusal,
    check_passed_on,
    is_first_rest,
    openai_caller,
)
from tests.system.sdk_responses import (
    EVENTS,
    JSON,
    PATH,
    QUESTION,
    SAID,
    create,
    refused,
    said_in,
    stream,
    text_of,
)
from tests.system.serving import Gate, Serve, until

NEVER = Script(delay_head_ms=60_000)
FAILED = "The server had an error while processing your request. Sorry about that!"

in_both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, openai_caller)


# Retries


@pytest.mark.parametrize(
    ("script", "streamed", "after_s"),
    [
        (Script(status=429, retry_after_s=2), False, 2.0),
        (Script(refuse=True), True, 1.0),
        (Script(status=500), False, 1.0),
    ],
    ids=["429", "nobody", "500"],
)
async def test_client_tries_again(visit: Visit, script: Script, after_s: float, *, streamed: bool) -> None:
    """Responses §13: when both lanes have failed the client comes again when it was told to, and is served."""
    async with visit([script, None], max_retries=1, breaker=FORGIVING) as (site, caller):
        began_s = time.monotonic()
        assert await text_of(caller, streamed=streamed) == SAID
        assert time.monotonic() - began_s >= after_s
        assert sorted(site.visits) == [1, 2]
        assert [sent.fields["x-stainless-retry-count"] for sent in site.sent] == ["0", "1"]
        check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert {got.body for got in site.received} == {site.last.body}


async def test_client_tries_a_conflict_again(visit: Visit) -> None:
    """Responses §13: an answer of 409 is asked of one lane at a time, and the client repeats it of its own accord."""
    async with visit(Script(status=409), None, max_retries=1) as (site, caller):
        assert await text_of(caller, streamed=False) == SAID
        assert (len(site.sent), site.visits) == (2, (1, 1))


async def test_client_gives_up(visit: Visit) -> None:
    """Responses §13: what is refused at each try raises the last refusal."""
    async with visit(Script(status=503, error="Later."), max_retries=1, breaker=FORGIVING) as (site, caller):
        error = await refused(caller, openai.InternalServerError)
        check_openai_refusal(error, 503, "server_error")
        assert error.response.headers["retry-after"] == "1"
        assert (len(site.sent), site.visits) == (2, (2, 2))


@in_both_ways
@pytest.mark.parametrize(
    ("script", "kind", "visits"),
    [
        (Script(status=400), openai.BadRequestError, (1, 0)),
        (Script(status=404), openai.NotFoundError, (1, 0)),
        (Script(status=422), openai.UnprocessableEntityError, (1, 0)),
        (Script(status=429, retry_after_s=122), openai.InternalServerError, (1, 1)),
    ],
    ids=["400", "404", "422", "far off"],
)
async def test_client_does_not_try_again(
    visit: Visit, script: Script, kind: type[openai.APIStatusError], visits: tuple[int, int], *, streamed: bool
) -> None:
    """Responses §13: a fault of the client is never repeated, nor what it would have to wait too long for."""
    async with visit(script, max_retries=2) as (site, caller):
        await refused(caller, kind, streamed=streamed)
        assert (len(site.sent), site.visits) == (1, visits)


# Time-outs


@in_both_ways
@pytest.mark.parametrize("script", [NEVER, Script(stall_at=20)], ids=["no head", "no body"])
async def test_client_that_waits_too_long(visit: Visit, script: Script, *, streamed: bool) -> None:
    """Responses §13: the client's own time-out is its own exception, and the backend is let go."""
    async with visit(script, timeout=0.4) as (site, caller):
        with pytest.raises(openai.APITimeoutError, match=r"^Request timed out\.$"):
            await text_of(caller, streamed=streamed)
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert sum(site.visits) == 1
        assert site.counts("responses") == [(0, 0), (0, 0)]


@in_both_ways
async def test_client_that_timed_out_tries_again(visit: Visit, *, streamed: bool) -> None:
    """Responses §13: after a time-out of its own the client repeats the request, which the other lane answers."""
    async with visit(NEVER, None, timeout=1.0, max_retries=1) as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        assert (len(site.sent), site.visits) == (2, (1, 1))
        assert site.counts("responses") == [(0, 0), (1, 0)]


async def test_stream_that_stalls(visit: Visit) -> None:
    """Responses §13: a stream that falls silent gives what it has, then the client's time-out, and is let go."""
    async with visit(Script(stall_at=4000), timeout=0.4) as (site, caller):
        events: list[Any] = []
        with pytest.raises(openai.APITimeoutError):
            await stream(caller, events)
        assert events[0].type == "response.created"
        await until(lambda: site.front.in_flight == [0] * len(LANES))


@in_both_ways
async def test_silent_lane_is_passed_by(visit: Visit, *, streamed: bool) -> None:
    """Reliability §6: a backend that says nothing in time is left for one that does."""
    async with visit(NEVER, None, wait_s=0.5) as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        assert site.visits == (1, 1)
        assert site.counts("responses") == [(0, 1), (1, 0)]


@in_both_ways
async def test_nobody_says_anything(visit: Visit, *, streamed: bool) -> None:
    """Responses case 64, 504: when every backend that was asked is silent for too long the client is told so."""
    async with visit(NEVER, wait_s=0.2) as (site, caller):
        error = await refused(caller, openai.InternalServerError, streamed=streamed)
        check_openai_refusal(error, 504, "server_error")
        assert error.body["message"] == "The request timed out. Please try again later."
        assert site.visits == (1, 1)
        assert site.counts("responses") == [(0, 1), (0, 1)]


def check_failed(events: list[Any], code: str, message: str) -> None:
    """The last event of a stream says that the response it began with has failed, and why."""
    assert events[-1].type == "response.failed"
    failed, begun = events[-1].response, events[0].response
    assert (failed.status, failed.error.code, failed.error.message) == ("failed", code, message)
    assert (failed.id, failed.created_at, failed.model) == (begun.id, begun.created_at, begun.model)


@pytest.mark.parametrize("script", [Script(stall_at=4000), Script(stall_at=4000, split=99)])
async def test_backend_that_stalls_in_a_stream(visit: Visit, script: Script) -> None:
    """Reliability §9: a stream whose backend falls silent ends in a failed response, behind what came."""
    async with visit(script, wait_s=0.5) as (site, caller):
        events = await stream(caller)
        check_unfinished(events)
        check_failed(events, "server_error", FAILED)
        assert site.visits == (1, 0)
        assert site.counts("responses") == [(1, 1), (0, 0)]


async def test_nobody_has_room(visit: Visit) -> None:
    """Responses §12, 503: who finds no room within the time to wait for it is told when to come back."""
    limits = Limits(max_inbound_concurrent=1, inbound_queue_max_s=0.1)
    hold = Gate()
    async with visit(limits=limits, hold=hold) as (site, caller):
        first = asyncio.ensure_future(create(caller))
        await until(lambda: hold.waiting == 1)
        for streamed in (False, True):
            error = await refused(caller, openai.InternalServerError, streamed=streamed)
            check_openai_refusal(error, 503, "server_error")
            assert error.response.headers["retry-after"] == "1"
        hold.open()
        assert (await first).output_text == SAID
        assert site.visits == (1, 0)


# Answers that break


def check_unfinished(events: list[Any]) -> None:
    """What came of a stream is its start and does not look like all of it."""
    assert events[0].type == "response.created"
    assert [chunk.sequence_number for chunk in events] == list(range(len(events)))
    assert SAID.startswith(said_in(events))
    assert events[-1].type not in ("response.completed", "response.incomplete")


@pytest.mark.parametrize("script", [Script(cut_at=4000), Script(reset_at=4000), Script(cut_at=4000, split=99)])
async def test_stream_that_is_cut(visit: Visit, script: Script) -> None:
    """Reliability case 57: a stream that breaks off ends in a failed response, behind the events that came before."""
    async with visit(script) as (site, caller):
        events = await stream(caller)
        check_unfinished(events)
        check_failed(events, "server_error", FAILED)
        assert site.visits == (1, 0)
        assert site.counts("responses") == [(1, 1), (0, 0)]


BROKEN_DOCUMENTS = [
    Script(cut_at=100),
    Script(reset_at=100),
    Script(cut_at=100, late_length=True),
    Script(cut_at=300, split=50),
]


@pytest.mark.parametrize("script", BROKEN_DOCUMENTS, ids=["cut", "reset", "no length", "pieces"])
async def test_whole_answer_that_is_cut(visit: Visit, script: Script) -> None:
    """Reliability §6: a document that breaks off is made up for by the next lane, and is nobody's answer if none is."""
    async with visit(script, None) as (site, caller):
        assert (await create(caller)).output_text == SAID
        assert site.visits == (1, 1)
        assert site.counts("responses") == [(0, 1), (1, 0)]
    async with visit(script) as (site, caller):
        error = await refused(caller, openai.InternalServerError)
        check_openai_refusal(error, 503, "server_error")
        assert is_first_rest(error.response.headers["retry-after"])
        assert site.visits == (1, 1)


async def test_whole_answer_that_stalls(visit: Visit) -> None:
    """Reliability §6: a document whose rest does not come in time is made up for by the next lane."""
    async with visit(Script(stall_at=100), None, wait_s=0.5) as (site, caller):
        assert (await create(caller)).output_text == SAID
        assert site.counts("responses") == [(0, 1), (1, 0)]


async def test_large_answer_that_is_cut(visit: Visit) -> None:
    """Reliability §9: a document too large to be held breaks off at the client, and never parses as an answer."""
    async with visit(Script(deltas=9000, cut_at=100_000)) as (site, caller):
        with pytest.raises(openai.APIConnectionError):
            await create(caller)
        assert site.visits == (1, 0)
        assert site.counts("responses") == [(1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("script", "code", "failures"),
    [
        (Script(fail_after=5, status=429, error="Enough."), "rate_limit_exceeded", 1),
        (Script(fail_after=5, status=400, error="Enough."), "invalid_prompt", 0),
        (Script(fail_after=5, status=500, error="Enough."), "server_error", 1),
    ],
    ids=["429", "400", "500"],
)
async def test_failure_inside_a_stream(visit: Visit, script: Script, code: str, failures: int) -> None:
    """Responses cases 41, 45 and 63, same dialect: an answer that fails half-way ends so, in the backend's words."""
    async with visit(replace(script, delay_frame_ms=20)) as (site, caller):
        events = await stream(caller)
        check_unfinished(events)
        check_failed(events, code, "Enough.")
        assert len(events) == 6
        assert site.counts("responses") == [(1, failures), (0, 0)]


async def test_error_instead_of_a_stream(visit: Visit) -> None:
    """Responses case 43, same dialect: a stream that begins with an error is made up for, unless it is the client's."""
    busy = Script(fail_after=0, status=429, error="Enough.")
    async with visit(busy, None) as (site, caller):
        assert said_in(await stream(caller)) == SAID
        assert site.counts("responses") == [(0, 1), (1, 0)]
    async with visit(busy) as (_, caller):
        error = await refused(caller, openai.InternalServerError, streamed=True)
        check_openai_refusal(error, 503, "server_error")
        assert is_first_rest(error.response.headers["retry-after"])
    async with visit(Script(fail_after=0, status=400, error="Enough.")) as (site, caller):
        (event,) = await stream(caller)
        assert (event.type, event.sequence_number) == ("error", 0)
        assert (event.code, event.message, event.param) == ("invalid_prompt", "Enough.", None)
        assert site.visits == (1, 0)


async def test_client_leaves_a_stream(visit: Visit) -> None:
    """Responses §11: a stream that the client closes is closed at the backend too, and blames nobody."""
    async with visit(Script(stall_at=4000), None) as (site, caller):

        def leave(client: openai.OpenAI) -> Any:
            with client.responses.create(model=POOL, input=QUESTION, stream=True) as events:
                return next(iter(events))

        if caller.is_blocking:
            first = await caller.ask(leave)
        else:
            events = await caller.client.responses.create(model=POOL, input=QUESTION, stream=True)
            first = await anext(events)
            assert sum(site.front.in_flight) == 1
            await events.close()
        assert first.type == "response.created"
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert site.counts("responses") == [(1, 0), (0, 0)]
        assert await text_of(caller, streamed=True) == SAID
