"""OpenAI's client, the gateway and time, in a chat: retries, time-outs on either side, streams that break."""

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
from tests.system.sdk_chat import (
    EVENTS,
    JSON,
    PATH,
    SAID,
    TURNS,
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
    """OpenAI §11: when both lanes have failed the client comes again when it was told to, and is served."""
    async with visit([script, None], max_retries=1, breaker=FORGIVING) as (site, caller):
        began_s = time.monotonic()
        assert await text_of(caller, streamed=streamed) == SAID
        assert time.monotonic() - began_s >= after_s
        assert sorted(site.visits) == [1, 2]
        assert [sent.fields["x-stainless-retry-count"] for sent in site.sent] == ["0", "1"]
        check_passed_on(site, PATH, EVENTS if streamed else JSON)
        assert {got.body for got in site.received} == {site.last.body}


async def test_client_tries_a_conflict_again(visit: Visit) -> None:
    """OpenAI §11: an answer of 409 is asked of one lane at a time, and the client repeats it of its own accord."""
    async with visit(Script(status=409), None, max_retries=1) as (site, caller):
        assert await text_of(caller, streamed=False) == SAID
        assert (len(site.sent), site.visits) == (2, (1, 1))


async def test_client_gives_up(visit: Visit) -> None:
    """OpenAI §11: what is refused at each try raises the last refusal."""
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
    """OpenAI §11: a fault of the client is never repeated, nor what it would have to wait too long for."""
    async with visit(script, max_retries=2) as (site, caller):
        await refused(caller, kind, streamed=streamed)
        assert (len(site.sent), site.visits) == (1, visits)


# Time-outs


@in_both_ways
@pytest.mark.parametrize("script", [NEVER, Script(stall_at=20)], ids=["no head", "no body"])
async def test_client_that_waits_too_long(visit: Visit, script: Script, *, streamed: bool) -> None:
    """OpenAI §11: the client's own time-out is its own exception, and the backend is let go."""
    async with visit(script, timeout=0.4) as (site, caller):
        with pytest.raises(openai.APITimeoutError, match=r"^Request timed out\.$"):
            await text_of(caller, streamed=streamed)
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert sum(site.visits) == 1
        assert site.counts("openai") == [(0, 0), (0, 0)]


@in_both_ways
async def test_client_that_timed_out_tries_again(visit: Visit, *, streamed: bool) -> None:
    """OpenAI §11: after a time-out of its own the client repeats the request, which the other lane answers."""
    async with visit(NEVER, None, timeout=1.0, max_retries=1) as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        assert (len(site.sent), site.visits) == (2, (1, 1))
        assert site.counts("openai") == [(0, 0), (1, 0)]


async def test_stream_that_stalls(visit: Visit) -> None:
    """OpenAI §11: a stream that falls silent gives what it has, then the client's time-out; the backend is let go."""
    async with visit(Script(stall_at=700), timeout=0.4) as (site, caller):
        chunks: list[Any] = []
        with pytest.raises(openai.APITimeoutError):
            await stream(caller, chunks)
        assert chunks[0].choices[0].delta.role == "assistant"
        await until(lambda: site.front.in_flight == [0] * len(LANES))


@in_both_ways
async def test_silent_lane_is_passed_by(visit: Visit, *, streamed: bool) -> None:
    """Reliability §6: a backend that says nothing in time is left for one that does."""
    async with visit(NEVER, None, wait_s=0.5) as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        assert site.visits == (1, 1)
        assert site.counts("openai") == [(0, 1), (1, 0)]


@in_both_ways
async def test_nobody_says_anything(visit: Visit, *, streamed: bool) -> None:
    """OpenAI case 55, 504: when every backend that was asked is silent for too long the client is told so."""
    async with visit(NEVER, wait_s=0.2) as (site, caller):
        error = await refused(caller, openai.InternalServerError, streamed=streamed)
        check_openai_refusal(error, 504, "server_error")
        assert error.body["message"] == "The request timed out. Please try again later."
        assert site.visits == (1, 1)
        assert site.counts("openai") == [(0, 1), (0, 1)]


def check_broken(error: openai.APIError) -> None:
    """What ends a stream that broke off is the gateway's own, in the words of a vendor that failed."""
    assert (type(error), error.message) == (openai.APIError, FAILED)
    assert error.body == {"message": FAILED, "type": "server_error", "param": None, "code": None}


@pytest.mark.parametrize("script", [Script(stall_at=800), Script(stall_at=800, split=50)])
async def test_backend_that_stalls_in_a_stream(visit: Visit, script: Script) -> None:
    """Reliability §9: a stream whose backend falls silent ends in the vendor's own error, behind what came."""
    async with visit(script, wait_s=0.5) as (site, caller):
        chunks: list[Any] = []
        with pytest.raises(openai.APIError) as caught:
            await stream(caller, chunks)
        check_broken(caught.value)
        check_unfinished(chunks)
        assert site.visits == (1, 0)
        assert site.counts("openai") == [(1, 1), (0, 0)]


async def test_nobody_has_room(visit: Visit) -> None:
    """OpenAI §10, 503: who finds no room within the time to wait for it is told when to come back."""
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
        assert (await first).choices[0].message.content == SAID
        assert site.visits == (1, 0)


# Answers that break


def check_unfinished(chunks: list[Any]) -> None:
    """What came of a stream is its start and does not look like all of it."""
    assert chunks[0].choices[0].delta.role == "assistant"
    assert SAID.startswith(said_in(chunks))
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * len(chunks)


@pytest.mark.parametrize("script", [Script(cut_at=800), Script(reset_at=800), Script(cut_at=800, split=50)])
async def test_stream_that_is_cut(visit: Visit, script: Script) -> None:
    """Reliability case 57: a stream that breaks off ends in an error of the vendor, behind the chunks that came."""
    async with visit(script) as (site, caller):
        chunks: list[Any] = []
        with pytest.raises(openai.APIError) as caught:
            await stream(caller, chunks)
        check_broken(caught.value)
        check_unfinished(chunks)
        assert site.visits == (1, 0)
        assert site.counts("openai") == [(1, 1), (0, 0)]


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
        assert (await create(caller)).choices[0].message.content == SAID
        assert site.visits == (1, 1)
        assert site.counts("openai") == [(0, 1), (1, 0)]
    async with visit(script) as (site, caller):
        error = await refused(caller, openai.InternalServerError)
        check_openai_refusal(error, 503, "server_error")
        assert is_first_rest(error.response.headers["retry-after"])
        assert site.visits == (1, 1)


async def test_whole_answer_that_stalls(visit: Visit) -> None:
    """Reliability §6: a document whose rest does not come in time is made up for by the next lane."""
    async with visit(Script(stall_at=100), None, wait_s=0.5) as (site, caller):
        assert (await create(caller)).choices[0].message.content == SAID
        assert site.counts("openai") == [(0, 1), (1, 0)]


async def test_large_answer_that_is_cut(visit: Visit) -> None:
    """Reliability §9: a document too large to be held breaks off at the client, and never parses as an answer."""
    async with visit(Script(deltas=9000, cut_at=100_000)) as (site, caller):
        with pytest.raises(openai.APIConnectionError):
            await create(caller)
        assert site.visits == (1, 0)
        assert site.counts("openai") == [(1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        (Script(fail_after=3, status=429, error="Enough."), "rate_limit_error", "rate_limit_exceeded"),
        (Script(fail_after=3, status=500, error="Enough."), "server_error", None),
        (Script(fail_after=3, status=400, error="Enough.", error_code="odd"), "invalid_request_error", "odd"),
    ],
    ids=["429", "500", "400"],
)
async def test_error_inside_a_stream(visit: Visit, script: Script, kind: str, code: str | None) -> None:
    """OpenAI case 45, same dialect: an error that a backend writes into its stream is raised in the backend's words."""
    async with visit(replace(script, delay_frame_ms=20)) as (_, caller):
        chunks: list[Any] = []
        with pytest.raises(openai.APIError) as caught:
            await stream(caller, chunks)
        error = caught.value
        assert (type(error), error.message) == (openai.APIError, "Enough.")
        assert error.body == {"message": "Enough.", "type": kind, "param": None, "code": code}
        assert (error.type, error.code, error.param) == (kind, code, None)
        assert len(chunks) == 3
        check_unfinished(chunks)


async def test_error_instead_of_a_stream(visit: Visit) -> None:
    """Reliability case 55: a stream that begins with an error is made up for, unless the error is the client's."""
    busy = Script(fail_after=0, status=429, error="Enough.")
    async with visit(busy, None) as (site, caller):
        assert said_in(await stream(caller)) == SAID
        assert site.counts("openai") == [(0, 1), (1, 0)]
    async with visit(busy) as (_, caller):
        error = await refused(caller, openai.InternalServerError, streamed=True)
        check_openai_refusal(error, 503, "server_error")
        assert is_first_rest(error.response.headers["retry-after"])
    async with visit(Script(fail_after=0, status=400, error="Enough.")) as (site, caller):
        chunks: list[Any] = []
        with pytest.raises(openai.APIError, match=r"^Enough\.$"):
            await stream(caller, chunks)
        assert (chunks, site.visits) == ([], (1, 0))


async def test_client_leaves_a_stream(visit: Visit) -> None:
    """OpenAI §9: a stream that the client closes is closed at the backend too, and blames nobody."""
    async with visit(Script(stall_at=700), None) as (site, caller):

        def leave(client: openai.OpenAI) -> Any:
            with client.chat.completions.create(model=POOL, messages=TURNS, stream=True) as chunks:
                return next(iter(chunks))

        if caller.is_blocking:
            first = await caller.ask(leave)
        else:
            chunks = await caller.client.chat.completions.create(model=POOL, messages=TURNS, stream=True)
            first = await anext(chunks)
            assert sum(site.front.in_flight) == 1
            await chunks.close()
        assert first.choices[0].delta.role == "assistant"
        await until(lambda: site.front.in_flight == [0] * len(LANES))
        assert site.counts("openai") == [(1, 0), (0, 0)]
        assert await text_of(caller, streamed=True) == SAID
