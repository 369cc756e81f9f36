"""Cohere's client, the gateway and time: retries, time-outs on either side, streams that break."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError

from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.sdk import FORGIVING, LANES, POOL, Visit, check_passed_on, is_first_rest
from tests.system.sdk_cohere import (
    EVENTS,
    JSON,
    PATH,
    SAID,
    TURNS,
    chat,
    check_own,
    cohere_caller,
    fields_of,
    refused,
    stream,
    streamed_text,
    text_of,
    whole_text,
)
from tests.system.serving import Gate, Serve, until

NEVER = Script(delay_head_ms=60_000)
BUSY = "the service is temporarily unavailable, please try again later"

in_both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, cohere_caller)


# Retries


@pytest.mark.parametrize(
    ("script", "after_s"),
    [(Script(status=429, retry_after_s=2), 2.0), (Script(refuse=True), 1.0), (Script(status=500), 1.0)],
    ids=["429", "nobody", "500"],
)
async def test_client_tries_again(visit: Visit, script: Script, after_s: float) -> None:
    """Cohere §9: when both lanes have failed the client comes again when it was told to, and is served."""
    async with visit([script, None], max_retries=1, breaker=FORGIVING) as (site, caller):
        began_s = time.monotonic()
        assert whole_text(await chat(caller)) == SAID
        assert time.monotonic() - began_s >= after_s
        assert (len(site.sent), sorted(site.visits)) == (2, [1, 2])
        check_passed_on(site, PATH, JSON)
        assert {got.body for got in site.received} == {site.last.body}


async def test_client_tries_a_conflict_again(visit: Visit) -> None:
    """Cohere §9: an answer of 409 is asked of one lane at a time, and the client repeats it of its own accord."""
    async with visit(Script(status=409), None, max_retries=1) as (site, caller):
        assert whole_text(await chat(caller)) == SAID
        assert (len(site.sent), site.visits) == (2, (1, 1))


async def test_client_gives_up(visit: Visit) -> None:
    """Cohere §9: what is refused at each try raises the last refusal."""
    async with visit(Script(status=503, error="Later."), max_retries=1, breaker=FORGIVING) as (site, caller):
        error = await refused(caller, cohere.ServiceUnavailableError)
        check_own(error, 503, BUSY)
        assert fields_of(error)["retry-after"] == "1"
        assert (len(site.sent), site.visits) == (2, (2, 2))


async def test_client_asks_for_a_stream_once(visit: Visit) -> None:
    """Cohere §9: a request for a stream is never repeated by this client, whatever it is refused with."""
    async with visit(Script(status=503, retry_after_s=1), max_retries=2, breaker=FORGIVING) as (site, caller):
        error = await refused(caller, cohere.ServiceUnavailableError, streamed=True)
        check_own(error, 503, BUSY)
        assert fields_of(error)["retry-after"] == "1"
        assert (len(site.sent), site.visits) == (1, (1, 1))


@in_both_ways
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, cohere.BadRequestError), (404, cohere.NotFoundError), (422, cohere.UnprocessableEntityError)],
    ids=["400", "404", "422"],
)
async def test_client_does_not_repeat_its_own_fault(
    visit: Visit, status: int, kind: type[ApiError], *, streamed: bool
) -> None:
    """Cohere §9: what is wrong with a request is refused once and not tried again."""
    async with visit(Script(status=status), max_retries=2) as (site, caller):
        await refused(caller, kind, streamed=streamed)
        assert (len(site.sent), site.visits) == (1, (1, 0))


# Time-outs


@in_both_ways
@pytest.mark.parametrize("script", [NEVER, Script(stall_at=20)], ids=["no head", "no body"])
async def test_client_that_waits_too_long(visit: Visit, script: Script, *, streamed: bool) -> None:
    """Cohere §10: the client's own time-out is a time-out to it, which it does not repeat, and lets the backend go."""
    async with visit(script, timeout=0.4, max_retries=1) as (site, caller):
        with pytest.raises(httpx.ReadTimeout):
            await text_of(caller, streamed=streamed)
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert (len(site.sent), sum(site.visits)) == (1, 1)
        assert site.counts("cohere") == [(0, 0), (0, 0)]


async def test_stream_that_stalls(visit: Visit) -> None:
    """Cohere §10: a stream that falls silent gives what it has, then the client's time-out, and is let go."""
    async with visit(Script(stall_at=400), timeout=0.4) as (site, caller):
        events: list[Any] = []
        with pytest.raises(httpx.ReadTimeout):
            await stream(caller, events)
        assert events[0].type == "message-start"
        await until(lambda: site.front.in_flight == [0] * len(LANES))


@in_both_ways
async def test_silent_lane_is_passed_by(visit: Visit, *, streamed: bool) -> None:
    """Reliability §6: a backend that says nothing in time is left for one that does."""
    async with visit(NEVER, None, wait_s=0.5) as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        assert site.visits == (1, 1)
        assert site.counts("cohere") == [(0, 1), (1, 0)]


@in_both_ways
async def test_nobody_says_anything(visit: Visit, *, streamed: bool) -> None:
    """Cohere §9, 504: when every backend that was asked is silent for too long the client is told so."""
    async with visit(NEVER, wait_s=0.2) as (site, caller):
        error = await refused(caller, cohere.GatewayTimeoutError, streamed=streamed)
        check_own(error, 504, "request timed out")
        assert site.visits == (1, 1)
        assert site.counts("cohere") == [(0, 1), (0, 1)]


@pytest.mark.parametrize("script", [Script(stall_at=400), Script(stall_at=400, split=50)])
async def test_backend_that_stalls_in_a_stream(visit: Visit, script: Script) -> None:
    """Reliability §9: a stream whose backend falls silent ends as a failed one, behind what came."""
    async with visit(script, wait_s=0.5) as (site, caller):
        check_broken(await stream(caller))
        assert site.visits == (1, 0)
        assert site.counts("cohere") == [(1, 1), (0, 0)]


async def test_nobody_has_room(visit: Visit) -> None:
    """Cohere §9, 503: who finds no room within the time to wait for it is told when to come back."""
    limits = Limits(max_inbound_concurrent=1, inbound_queue_max_s=0.1)
    hold = Gate()
    async with visit(limits=limits, hold=hold) as (site, caller):
        first = asyncio.ensure_future(chat(caller))
        await until(lambda: hold.waiting == 1)
        for streamed in (False, True):
            error = await refused(caller, cohere.ServiceUnavailableError, streamed=streamed)
            check_own(error, 503, BUSY)
            assert fields_of(error)["retry-after"] == "1"
        hold.open()
        assert whole_text(await first) == SAID
        assert site.visits == (1, 0)


# Answers that break


def check_broken(events: list[Any]) -> None:
    """A stream is the start of what was said, and then an end of the gateway's own that says that it failed."""
    assert [event.type for event in events[:2]] == ["message-start", "content-start"]
    assert SAID.startswith(streamed_text(events))
    assert [event.type for event in events].index("message-end") == len(events) - 1
    delta = events[-1].delta
    assert (delta.finish_reason, delta.error) == ("ERROR", "internal server error")
    assert (delta.usage.tokens.input_tokens, delta.usage.tokens.output_tokens) == (0, 0)


@pytest.mark.parametrize("script", [Script(cut_at=400), Script(reset_at=400), Script(cut_at=400, split=50)])
async def test_stream_that_is_cut(visit: Visit, script: Script) -> None:
    """Reliability case 57: a stream that breaks off ends as a failed one, behind the events that came before."""
    async with visit(script) as (site, caller):
        check_broken(await stream(caller))
        assert site.visits == (1, 0)
        assert site.counts("cohere") == [(1, 1), (0, 0)]


BROKEN_DOCUMENTS = [
    Script(cut_at=100),
    Script(reset_at=100),
    Script(cut_at=100, late_length=True),
    Script(cut_at=150, split=50),
]


@pytest.mark.parametrize("script", BROKEN_DOCUMENTS, ids=["cut", "reset", "no length", "pieces"])
async def test_whole_answer_that_is_cut(visit: Visit, script: Script) -> None:
    """Reliability §6: a document that breaks off is made up for by the next lane, and is nobody's answer if none is."""
    async with visit(script, None) as (site, caller):
        assert whole_text(await chat(caller)) == SAID
        assert site.visits == (1, 1)
        assert site.counts("cohere") == [(0, 1), (1, 0)]
    async with visit(script) as (site, caller):
        error = await refused(caller, cohere.ServiceUnavailableError)
        check_own(error, 503, BUSY)
        assert is_first_rest(fields_of(error)["retry-after"])
        assert site.visits == (1, 1)


async def test_whole_answer_that_stalls(visit: Visit) -> None:
    """Reliability §6: a document whose rest does not come in time is made up for by the next lane."""
    async with visit(Script(stall_at=100), None, wait_s=0.5) as (site, caller):
        assert whole_text(await chat(caller)) == SAID
        assert site.counts("cohere") == [(0, 1), (1, 0)]


async def test_large_answer_that_is_cut(visit: Visit) -> None:
    """Reliability §9: a document too large to be held breaks off at the client, and never parses as an answer."""
    async with visit(Script(deltas=9000, cut_at=100_000)) as (site, caller):
        with pytest.raises(httpx.RemoteProtocolError):
            await chat(caller)
        assert site.visits == (1, 0)
        assert site.counts("cohere") == [(1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(fail_after=3, error="Enough."), "ERROR"),
        (Script(fail_after=3, status=504, error="Enough."), "TIMEOUT"),
    ],
    ids=["503", "504"],
)
async def test_error_inside_a_stream(visit: Visit, script: Script, reason: str) -> None:
    """Cohere cases 60 and 61, same dialect: a stream that fails half-way ends so, in the backend's words."""
    async with visit(replace(script, delay_frame_ms=20)) as (site, caller):
        events = await stream(caller)
        assert [event.type for event in events] == ["message-start", "content-start", "content-delta", "message-end"]
        assert (events[-1].delta.finish_reason, events[-1].delta.error) == (reason, "Enough.")
        assert events[-1].delta.usage.tokens.input_tokens > 0
        assert site.counts("cohere") == [(1, 1), (0, 0)]


async def test_error_instead_of_a_stream(visit: Visit) -> None:
    """Reliability case 55: a stream that begins with an error is made up for, or is a refusal if all of them do."""
    broken = Script(fail_after=0, error="Enough.")
    async with visit(broken, None) as (site, caller):
        assert streamed_text(await stream(caller)) == SAID
        assert site.counts("cohere") == [(0, 1), (1, 0)]
    async with visit(broken) as (_, caller):
        error = await refused(caller, cohere.ServiceUnavailableError, streamed=True)
        check_own(error, 503, BUSY)
        assert is_first_rest(fields_of(error)["retry-after"])


async def test_client_leaves_a_stream(visit: Visit) -> None:
    """Cohere §8: a stream that the client closes is closed at the backend too, and blames nobody."""
    async with visit(Script(stall_at=400), None) as (site, caller):

        def leave(client: cohere.ClientV2) -> Any:
            events = client.chat_stream(model=POOL, messages=TURNS)
            first = next(iter(events))
            events.close()  # type: ignore[attr-defined]
            return first

        if caller.is_blocking:
            first = await caller.ask(leave)
        else:
            events = caller.client.chat_stream(model=POOL, messages=TURNS)
            first = await anext(events)
            assert sum(site.front.in_flight) == 1
            await events.aclose()
        assert first.type == "message-start"
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert site.counts("cohere") == [(1, 0), (0, 0)]
        assert await text_of(caller, streamed=True) == SAID
        check_passed_on(site, PATH, EVENTS)
