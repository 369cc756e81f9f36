"""OpenAI's client against the gateway when something is wrong with a chat: keys, requests, and what backends refuse."""

from typing import Any

import openai
import pytest

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.gateways import DOWN, Fate
from tests.system.sdk import (
    OWN_KEY,
    POOL,
    TOKEN,
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
    UPSTREAM_ID,
    create,
    fault_of,
    raw_fault,
    refused,
    said_in,
    stream,
    text_of,
)
from tests.system.serving import Serve

PASSTHROUGH = Admission("passthrough")

in_both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest, serve: Serve, parser_kind: str) -> Visit:
    """Return what opens a stand with a client of one kind."""
    return Visit(serve, parser_kind, request.param, openai_caller)


# Who may ask


@in_both_ways
@pytest.mark.parametrize("key", ["sk-wrong", TOKEN + "x", TOKEN.upper()])
async def test_wrong_token(visit: Visit, key: str, *, streamed: bool) -> None:
    """OpenAI case 55, 401: a token that is not on the list ends in the native 401, and nobody is asked."""
    async with visit(api_key=key) as (site, caller):
        error = await refused(caller, openai.AuthenticationError, streamed=streamed)
        check_openai_refusal(error, 401, "authentication_error", "invalid_api_key")
        assert error.body["message"] == "Incorrect API key provided."
        with pytest.raises(openai.AuthenticationError):
            await caller.ask(lambda client: client.models.list())
        assert site.received == []


@in_both_ways
async def test_passthrough(visit: Visit, *, streamed: bool) -> None:
    """OpenAI case 60: the caller's own key goes upstream and the lane's never does."""
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
        (Script(status=401, error="No such key."), openai.AuthenticationError),
        (Script(status=403, error="Not in your plan."), openai.PermissionDeniedError),
    ],
    ids=["401", "403"],
)
async def test_callers_own_refusal(
    visit: Visit, script: Script, kind: type[openai.APIStatusError], *, streamed: bool
) -> None:
    """OpenAI case 55, 401 and 403: what a backend says of the caller's own key is the caller's to read, at once."""
    async with visit(script, admission=PASSTHROUGH) as (site, caller):
        error = await refused(caller, kind, streamed=streamed)
        check_relayed(error, script)
        assert site.visits == (1, 0)


@pytest.mark.parametrize("status", [429, 503])
async def test_failure_with_the_callers_own_key(visit: Visit, status: int) -> None:
    """Reliability §5: with the caller's own key what may pass is made up for by the other lane, as ever."""
    async with visit(Script(status=status), None, admission=PASSTHROUGH) as (site, caller):
        assert (await create(caller)).choices[0].message.content == SAID
        assert site.counts("openai") == [(0, 1), (1, 0)]
        check_passed_on(site, PATH, JSON, credential=TOKEN)


async def test_nobody_is_asked_for_a_token(visit: Visit) -> None:
    """Governance §1: without admission any token will do, and the lane's own key goes upstream."""
    async with visit(admission=Admission("none"), api_key=TOKEN) as (site, caller):
        assert (await create(caller)).choices[0].message.content == SAID
        check_passed_on(site, PATH, JSON)
        caller.client.api_key = "sk-somebody-else"
        assert said_in(await stream(caller)) == SAID
        assert site.last.fields[b"authorization"] == f"Bearer {OWN_KEY}".encode()


# What is wrong with a request


@in_both_ways
async def test_unknown_model(visit: Visit, *, streamed: bool) -> None:
    """OpenAI case 55, 404: a name nobody has configured is 404 and named."""
    async with visit() as (site, caller):
        error = await refused(caller, openai.NotFoundError, streamed=streamed, model="gpt-none")
        check_openai_refusal(error, 404, "not_found_error", "model_not_found")
        assert error.body["message"] == "The model `gpt-none` does not exist or you do not have access to it."
        assert site.received == []


@in_both_ways
@pytest.mark.parametrize("name", ["", 7, None, [POOL]])
async def test_model_that_is_no_name(visit: Visit, name: Any, *, streamed: bool) -> None:
    """OpenAI §1: a model that is missing, empty or no text is 400 and the member is named."""
    async with visit() as (site, caller):
        error = await refused(caller, openai.BadRequestError, streamed=streamed, extra_body={"model": name})
        check_openai_refusal(error, 400, "invalid_request_error", param="model")
        assert error.body["message"] == "You must provide a model parameter."
        assert site.received == []


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"{", "We could not parse the JSON body of your request.", None),
        (b"", "We could not parse the JSON body of your request.", None),
        (b"[]", "We could not parse the JSON body of your request.", None),
        (b'{"model":"pool"', "We could not parse the JSON body of your request.", None),
        (b"{}", "You must provide a model parameter.", "model"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "The request body is nested too deeply.", None),
    ],
    ids=["open", "empty", "list", "cut", "nothing", "deep"],
)
async def test_bad_body(visit: Visit, body: bytes, message: str, param: str | None) -> None:
    """OpenAI cases 55 and 69, 400: what is no request is refused in neutral words, and the next one is served."""
    async with visit() as (site, caller):
        with pytest.raises(openai.BadRequestError) as caught:
            await caller.ask(lambda client: client.post("/chat/completions", cast_to=object, content=body))
        check_openai_refusal(caught.value, 400, "invalid_request_error", param=param)
        assert caught.value.body == {"message": message, "type": "invalid_request_error", "param": param, "code": None}
        assert site.received == []
        assert await text_of(caller, streamed=True) == SAID


@in_both_ways
async def test_too_large(visit: Visit, *, streamed: bool) -> None:
    """OpenAI case 55, 413: a body beyond the cap is refused, and the next one on the same client is served."""
    async with visit(limits=Limits(request_body_max_bytes=4096)) as (site, caller):
        turns = [{"role": "user", "content": "x" * 5000}]
        error = await refused(caller, openai.APIStatusError, streamed=streamed, messages=turns)
        check_openai_refusal(error, 413, "invalid_request_error")
        assert error.body["message"] == "The request body is too large."
        assert await text_of(caller, streamed=streamed) == SAID
        assert len(site.received) == 1


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
async def test_wrong_method(visit: Visit, method: str) -> None:
    """OpenAI §1: another method is 405 and the right one is named."""
    async with visit() as (site, caller):
        with pytest.raises(openai.APIStatusError) as caught:
            await caller.ask(lambda client: getattr(client, method)("/chat/completions", cast_to=object))
        check_openai_refusal(caught.value, 405, "invalid_request_error")
        assert caught.value.response.headers["allow"] == "POST"
        assert site.received == []


@pytest.mark.parametrize(
    "question",
    [
        lambda client: client.completions.create(model=POOL, prompt="x"),
        lambda client: client.chat.completions.retrieve("chatcmpl-1"),
        lambda client: client.files.list(),
    ],
    ids=["completions", "retrieve", "files"],
)
async def test_what_is_not_offered(visit: Visit, question: Any) -> None:
    """OpenAI §1: what is not offered is 404 in this envelope, without a code."""
    async with visit() as (site, caller):
        with pytest.raises(openai.NotFoundError) as caught:
            await caller.ask(question)
        check_openai_refusal(caught.value, 404, "not_found_error")
        assert site.received == []


# What backends refuse


def check_relayed(error: openai.APIStatusError, script: Script) -> None:
    """An error is the backend's to the byte: its envelope and its id."""
    expected = fault_of(script)
    assert error.status_code == script.status
    assert error.response.content == raw_fault(script)
    assert error.body == expected
    assert (error.type, error.code, error.param) == (expected["type"], expected["code"], expected["param"])
    assert str(script.error) in error.message
    assert error.request_id == UPSTREAM_ID
    assert "retry-after" not in error.response.headers
    assert error.response.headers["content-type"] == "application/json"


@in_both_ways
@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(status=400, error="Bad.", error_code="bad_thing"), openai.BadRequestError),
        (Script(status=404, error="Gone, 100%."), openai.NotFoundError),
        (Script(status=409, error="Twice."), openai.ConflictError),
        (Script(status=413, error="Grüße, \u201csmaller\u201d."), openai.APIStatusError),
        (Script(status=422, error="Hm.", error_code="odd"), openai.UnprocessableEntityError),
    ],
    ids=["400", "404", "409", "413", "422"],
)
async def test_refusal_is_relayed(
    visit: Visit, script: Script, kind: type[openai.APIStatusError], *, streamed: bool
) -> None:
    """OpenAI case 55: what a backend finds wrong with a request comes at once and verbatim, with its id."""
    async with visit(script) as (site, caller):
        check_relayed(await refused(caller, kind, streamed=streamed), script)
        assert site.visits == (1, 0)


def check_overloaded(error: openai.APIStatusError) -> str:
    """A refusal is ours and says that nobody can serve for the time being; return when to come back."""
    check_openai_refusal(error, 503, "server_error")
    assert error.body == {
        "message": "The server cannot take your request at the moment. Please try again later.",
        "type": "server_error",
        "param": None,
        "code": None,
    }
    return str(error.response.headers["retry-after"])


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
        Script(status=429, error="Pay.", error_code="insufficient_quota"),
        Script(status=500, error="Oh."),
        Script(status=503, error="Later.", retry_after_s=5),
        Script(status=529, error="Full.", retry_after_s=0),
    ],
    ids=["down", "refuse", "garbage", "reset", "408", "429", "quota", "500", "503", "529"],
)
async def test_nobody_can_serve(visit: Visit, fate: Fate, *, streamed: bool) -> None:
    """OpenAI case 56: when every lane fails the client gets 503 with the first rest of a lane, in neutral words."""
    async with visit(fate) as (site, caller):
        error = await refused(caller, openai.InternalServerError, streamed=streamed)
        assert is_first_rest(check_overloaded(error))
        assert site.counts("openai") == [(0, 1), (0, 1)]


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
        assert check_overloaded(await refused(caller, openai.InternalServerError)) == after
        assert check_overloaded(await refused(caller, openai.InternalServerError)) == after
        assert site.visits == (1, 1)


@in_both_ways
@pytest.mark.parametrize("status", [401, 403])
async def test_key_of_the_lane_is_refused(visit: Visit, status: int, *, streamed: bool) -> None:
    """Reliability §8: that a backend refuses the gateway's own key shows as the native 401, without its words."""
    async with visit(Script(status=status, error=f"Key {OWN_KEY} is bad.", retry_after_s=3)) as (site, caller):
        error = await refused(caller, openai.AuthenticationError, streamed=streamed)
        check_openai_refusal(error, 401, "authentication_error", "invalid_api_key")
        assert error.body["message"] == "Incorrect API key provided."
        assert "retry-after" not in error.response.headers
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
        assert site.counts("openai") == [(0, 1), (1, 0)]
        check_passed_on(site, PATH, EVENTS if streamed else JSON)
