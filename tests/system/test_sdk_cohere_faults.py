"""Cohere's client against the gateway when something is wrong: keys, requests, and what backends refuse."""

from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.gateways import DOWN, Fate
from tests.system.sdk import OWN_KEY, POOL, TOKEN, Visit, check_neutral, check_passed_on, is_first_rest
from tests.system.sdk_cohere import (
    ANSWER_ID,
    EVENTS,
    JSON,
    PATH,
    SAID,
    UNKNOWN,
    check_own,
    cohere_caller,
    fields_of,
    raw_fault,
    refused,
    request,
    text_of,
)
from tests.system.serving import Serve

PASSTHROUGH = Admission("passthrough")

in_both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, cohere_caller)


# Who may ask


@in_both_ways
@pytest.mark.parametrize("key", ["wrong", TOKEN + "x", TOKEN.upper()])
async def test_wrong_token(visit: Visit, key: str, *, streamed: bool) -> None:
    """Cohere §9, 401: a token that is not on the list ends in the native refusal, and nobody is asked."""
    async with visit(api_key=key) as (site, caller):
        check_own(await refused(caller, cohere.UnauthorizedError, streamed=streamed), 401, "invalid api token")
        with pytest.raises(cohere.UnauthorizedError):
            await caller.ask(lambda client: client.models.list())
        assert site.received == []


async def test_where_the_token_may_stand(visit: Visit) -> None:
    """Cohere case 6: the scheme is taken in any case, and a blank bearer gives way to the next carrier."""
    body = {"model": POOL, "messages": [{"role": "user", "content": "hi"}]}
    async with visit() as (site, caller):
        for fields in (
            {"authorization": f"bEaReR {TOKEN}"},
            {"authorization": "Bearer", "x-api-key": TOKEN},
            {"authorization": "Basic eDp5", "x-goog-api-key": TOKEN},
        ):
            got = await request(caller, "v2/chat", json=body, headers=fields)
            assert (got.status_code, site.last.fields[b"authorization"]) == (200, f"Bearer {OWN_KEY}".encode())
        got = await request(caller, "v2/chat", json=body, headers={"authorization": "Bearer wrong", "x-api-key": TOKEN})
        assert (got.status_code, got.json()) == (401, {"message": "invalid api token"})
        assert len(site.received) == 3


@in_both_ways
async def test_passthrough(visit: Visit, *, streamed: bool) -> None:
    """Cohere §2: the caller's own key goes upstream and the lane's never does."""
    async with visit(admission=PASSTHROUGH) as (site, caller):
        for _ in range(2):
            assert await text_of(caller, streamed=streamed) == SAID
            check_passed_on(site, PATH, EVENTS if streamed else JSON, credential=TOKEN)
        assert all(OWN_KEY.encode() not in repr(got).encode() for got in site.received)
        assert site.visits == (1, 1)


@in_both_ways
@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(status=401, error="No such key."), cohere.UnauthorizedError),
        (Script(status=403, error="Not in your plan."), cohere.ForbiddenError),
    ],
    ids=["401", "403"],
)
async def test_callers_own_refusal(visit: Visit, script: Script, kind: type[ApiError], *, streamed: bool) -> None:
    """Cohere §9, 401 and 403: what a backend says of the caller's own key is the caller's to read, at once."""
    async with visit(script, admission=PASSTHROUGH) as (site, caller):
        check_relayed(await refused(caller, kind, streamed=streamed), script)
        assert site.visits == (1, 0)


@in_both_ways
async def test_nobody_is_asked_for_a_token(visit: Visit, *, streamed: bool) -> None:
    """Governance §1: without admission any token will do, and the lane's own key goes upstream."""
    async with visit(admission=Admission("none"), api_key="somebody-else") as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        assert site.last.fields[b"authorization"] == f"Bearer {OWN_KEY}".encode()


# What is wrong with a request


@in_both_ways
async def test_unknown_model(visit: Visit, *, streamed: bool) -> None:
    """Cohere §9, 404: a name nobody has configured is 404 and named."""
    async with visit() as (site, caller):
        check_own(await refused(caller, cohere.NotFoundError, streamed=streamed, model="command-none"), 404, UNKNOWN)
        assert site.received == []


@in_both_ways
@pytest.mark.parametrize("name", ["", 7, None, ["pool"]])
async def test_model_that_is_no_name(visit: Visit, name: Any, *, streamed: bool) -> None:
    """Cohere case 1: a model that is missing, empty or no text is 400."""
    async with visit() as (site, caller):
        options = {"additional_body_parameters": {"model": name}}
        error = await refused(caller, cohere.BadRequestError, streamed=streamed, request_options=options)
        check_own(error, 400, "You must provide a model parameter.")
        assert site.received == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "invalid request: the request body is not valid"),
        (b"", "invalid request: the request body is not valid"),
        (b"[]", "invalid request: the request body is not valid"),
        (b"{}", "You must provide a model parameter."),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "The request body is nested too deeply."),
    ],
    ids=["open", "empty", "list", "nothing", "deep"],
)
async def test_bad_body(visit: Visit, body: bytes, message: str) -> None:
    """Cohere §9, 400: what is no request is refused in neutral words, and the next one is served."""
    async with visit() as (site, caller):
        got = await request(caller, "v2/chat", content=body, headers={"content-type": "application/json"})
        assert (got.status_code, got.json()) == (400, {"message": message})
        check_neutral(message)
        assert site.received == []
        assert await text_of(caller, streamed=True) == SAID


@in_both_ways
async def test_too_large(visit: Visit, *, streamed: bool) -> None:
    """Cohere §9, 413: a body beyond the cap is refused, and the next one on the same client is served."""
    async with visit(limits=Limits(request_body_max_bytes=4096)) as (site, caller):
        turns = [{"role": "user", "content": "x" * 5000}]
        error = await refused(caller, ApiError, streamed=streamed, messages=turns)
        check_own(error, 413, "request entity too large")
        assert await text_of(caller, streamed=streamed) == SAID
        assert len(site.received) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_wrong_method(visit: Visit, method: str) -> None:
    """Cohere case 2: another method is 405 in this envelope and the right one is named."""
    async with visit() as (site, caller):
        got = await request(caller, "v2/chat", method)
        assert (got.status_code, got.json()) == (405, {"message": "method not allowed"})
        assert got.headers["allow"] == "POST"
        assert site.received == []


async def test_first_version_is_not_offered(visit: Visit) -> None:
    """Cohere case 2: what the first version of the API called chat is 404 in this envelope."""
    async with visit() as (site, caller):
        fields = {"authorization": f"Bearer {TOKEN}"}
        got = await request(caller, "v1/chat", json={"message": "hi", "model": POOL}, headers=fields)
        assert (got.status_code, got.json()) == (404, {"message": "not found"})
        assert site.received == []


@in_both_ways
async def test_prefix_is_not_offered(visit: Visit, *, streamed: bool) -> None:
    """Cohere §1: behind a prefix that nobody mounts, chat is the 404 of this envelope."""
    async with visit(below="/somewhere") as (site, caller):
        check_own(await refused(caller, cohere.NotFoundError, streamed=streamed), 404, "not found")
        assert site.sent[-1].path == "/somewhere/v2/chat"
        assert site.received == []


@pytest.mark.parametrize(
    "question",
    [
        lambda client: client.tokenize(model=POOL, text="x"),
        lambda client: client.datasets.list(),
    ],
    ids=["tokenize", "datasets"],
)
async def test_what_is_not_offered(visit: Visit, question: Any) -> None:
    """Cohere §1: other operations of the vendor are 404 in this envelope."""
    async with visit() as (site, caller):
        with pytest.raises(cohere.NotFoundError) as caught:
            await caller.ask(question)
        check_own(caught.value, 404, "not found")
        assert site.received == []


# What backends refuse


def check_relayed(error: ApiError, script: Script) -> None:
    """An error is the backend's: its status, its words, the id in its body."""
    assert error.status_code == script.status
    assert error.body == raw_fault(script) == {"id": ANSWER_ID, "message": script.error}
    assert "retry-after" not in fields_of(error)
    assert fields_of(error)["content-type"] == "application/json"


@in_both_ways
@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(status=400, error="Bad."), cohere.BadRequestError),
        (Script(status=404, error="Gone, 100%."), cohere.NotFoundError),
        (Script(status=409, error="Twice."), ApiError),
        (Script(status=413, error="Grüße, \u201csmaller\u201d."), ApiError),
        (Script(status=422, error="Hm."), cohere.UnprocessableEntityError),
        (Script(status=498, error="Blocked."), cohere.InvalidTokenError),
        (Script(status=499, error="Gone."), cohere.ClientClosedRequestError),
    ],
    ids=["400", "404", "409", "413", "422", "498", "499"],
)
async def test_refusal_is_relayed(visit: Visit, script: Script, kind: type[ApiError], *, streamed: bool) -> None:
    """Cohere §9: what a backend finds wrong with a request comes at once and verbatim, the id in its body too."""
    async with visit(script) as (site, caller):
        check_relayed(await refused(caller, kind, streamed=streamed), script)
        assert site.visits == (1, 0)


def check_overloaded(error: ApiError) -> str:
    """A refusal is ours and says that nobody can serve for the time being; return when to come back."""
    check_own(error, 503, "the service is temporarily unavailable, please try again later")
    return fields_of(error)["retry-after"]


@in_both_ways
@pytest.mark.parametrize(
    "fate",
    [
        DOWN,
        Script(refuse=True),
        Script(garbage=True),
        Script(reset_at=0),
        Script(status=408, error="Too slow."),
        Script(status=429, error="Slow down.", retry_after_s=17),
        Script(status=500, error="Oh."),
        Script(status=503, error="Later.", retry_after_s=5),
    ],
    ids=["down", "refuse", "garbage", "reset", "408", "429", "500", "503"],
)
async def test_nobody_can_serve(visit: Visit, fate: Fate, *, streamed: bool) -> None:
    """Cohere §9, 503: when every lane fails the client gets the native refusal with the first rest of a lane."""
    async with visit(fate) as (site, caller):
        error = await refused(caller, cohere.ServiceUnavailableError, streamed=streamed)
        assert is_first_rest(check_overloaded(error))
        assert site.counts("cohere") == [(0, 1), (0, 1)]


@pytest.mark.parametrize(
    ("script", "after"),
    [
        (Script(status=429, error="Slow down.", retry_after_s=90), "90"),
        (Script(status=503, error="Later.", retry_after_s=300), "300"),
        (Script(status=402, error="Pay."), "1800"),
    ],
    ids=["429", "503", "402"],
)
async def test_nobody_can_serve_for_long(visit: Visit, script: Script, after: str) -> None:
    """Reliability cases 39 and 64: a backend that wants a longer rest gets it, and the client hears how long it is."""
    async with visit(script) as (site, caller):
        assert check_overloaded(await refused(caller, cohere.ServiceUnavailableError)) == after
        assert check_overloaded(await refused(caller, cohere.ServiceUnavailableError)) == after
        assert site.visits == (1, 1)


@in_both_ways
@pytest.mark.parametrize("status", [401, 403])
async def test_key_of_the_lane_is_refused(visit: Visit, status: int, *, streamed: bool) -> None:
    """Reliability §8: that a backend refuses the gateway's own key shows as the native 401, without its words."""
    async with visit(Script(status=status, error=f"Key {OWN_KEY} is bad.", retry_after_s=3)) as (site, caller):
        error = await refused(caller, cohere.UnauthorizedError, streamed=streamed)
        check_own(error, 401, "invalid api token")
        assert "retry-after" not in fields_of(error)
        assert site.visits == (1, 1)


@in_both_ways
@pytest.mark.parametrize(
    "fate",
    [DOWN, Script(status=401), Script(status=429), Script(status=500), Script(status=503), Script(refuse=True)],
    ids=["down", "401", "429", "500", "503", "refuse"],
)
async def test_next_lane_answers(visit: Visit, fate: Fate, *, streamed: bool) -> None:
    """Reliability §8: a lane that fails before the first byte is made up for by the other one."""
    async with visit(fate, None) as (site, caller):
        assert await text_of(caller, streamed=streamed) == SAID
        assert site.visits[1] == 1
        assert site.counts("cohere") == [(0, 1), (1, 0)]
        check_passed_on(site, PATH, EVENTS if streamed else JSON)
