"""Google's official client against the gateway when something is wrong: refusals, retries, keys, broken answers."""

from typing import Any

import httpx
import pytest
from google.genai import errors

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.sdk import LEAST_BAD, MODEL, OWN_KEY, POOL, TOKEN, Stand, check_neutral, in_thread, stand
from tests.system.sdk_callers import KINDS, contents_caller
from tests.system.serving import Serve

ASK: Any = {"model": POOL, "contents": "hi"}
SAID = "You said: hi"
PASSTHROUGH = Admission("passthrough")
BAD_KEY = [
    {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
]
LISTS = "Call ListModels to see the list of available models and their supported methods."

pytestmark = pytest.mark.parametrize("kind", KINDS)


async def refused(made: Stand, kind: str, *, is_streamed: bool = False, ask: Any = None, **options: Any) -> Any:
    """Return the error that a client raises at a request."""
    members = ASK if ask is None else ask

    def whole(client: Any) -> Any:
        return client.models.generate_content(**members)

    def streamed(client: Any) -> Any:
        return client.models.generate_content_stream(**members)

    async with contents_caller(made, kind, **options) as caller:
        asking = caller.pieces(streamed) if is_streamed else caller.ask(whole)
        with pytest.raises(errors.APIError) as raised:
            await asking
    return raised.value


def check_own_refusal(error: Any, status: int, word: str, message: str, details: Any = None) -> None:
    """The gateway worded this error: the vendor's envelope, code and status agreeing, nothing of the house."""
    envelope = {"code": status, "message": message, "status": word}
    assert error.details == {"error": envelope if details is None else envelope | {"details": details}}
    assert (error.code, error.status, error.message) == (status, word, message)
    assert error.response.status_code == status
    assert error.response.headers["content-type"] == "application/json"
    assert type(error) is (errors.ClientError if status < 500 else errors.ServerError)
    check_neutral(str(error).replace(POOL, ""))


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("key", ["wrong", TOKEN + "x", TOKEN.upper()])
async def test_wrong_token_is_refused(
    serve: Serve, parser_kind: str, kind: str, key: str, *, is_streamed: bool
) -> None:
    """Gemini case 10: a wrong key is the client's 400 with the vendor's reason, and no backend hears of it."""
    async with stand(serve, parser_kind) as made:
        error = await refused(made, kind, key=key, is_streamed=is_streamed)
        message = "API key not valid. Please pass a valid API key."
        check_own_refusal(error, 400, "INVALID_ARGUMENT", message, BAD_KEY)
        assert made.received == []


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("name", ["flash-9", "a/b", "a:b"])
async def test_unknown_model_is_refused(serve: Serve, parser_kind: str, kind: str, version: str, name: str) -> None:
    """Gemini §14: a name that nobody serves is the client's 404, which names it, the version and the action."""
    async with stand(serve, parser_kind) as made:
        for is_streamed, action in ((False, "generateContent"), (True, "streamGenerateContent")):
            ask = {"model": f"models/{name}", "contents": "hi"}
            error = await refused(made, kind, ask=ask, is_streamed=is_streamed, api_version=version)
            message = f"models/{name} is not found for API version {version}, or is not supported for {action}. {LISTS}"
            check_own_refusal(error, 404, "NOT_FOUND", message)
        assert made.received == []


async def test_what_is_not_offered_is_refused(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §1: another action is the client's 404, a model that cannot be looked up as well."""
    async with stand(serve, parser_kind) as made, contents_caller(made, kind, api_version="v1beta") as caller:
        with pytest.raises(errors.ClientError) as raised:
            await caller.ask(
                lambda client: client.batches.create(model=POOL, src=[{"contents": [{"parts": [{"text": "hi"}]}]}])
            )
        assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
        assert f"models/{POOL} is not found for API version v1beta, or is not supported for" in str(raised.value)
        with pytest.raises(errors.ClientError) as missing:
            await caller.ask(lambda client: client.models.get(model="nobody"))
        check_own_refusal(
            missing.value, 404, "NOT_FOUND", f"models/nobody is not found for API version v1beta. {LISTS}"
        )
        assert made.received == []


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_models_are_not_shown_to_everybody(serve: Serve, parser_kind: str, kind: str, version: str) -> None:
    """Gemini case 10: who comes with a wrong key sees no list and no model, on either path."""
    async with stand(serve, parser_kind) as made, contents_caller(made, kind, "wrong", api_version=version) as caller:
        message = "API key not valid. Please pass a valid API key."
        with pytest.raises(errors.ClientError) as listed:
            await caller.ask(lambda client: client.models.list())
        check_own_refusal(listed.value, 400, "INVALID_ARGUMENT", message, BAD_KEY)
        with pytest.raises(errors.ClientError) as shown:
            await caller.ask(lambda client: client.models.get(model=POOL))
        check_own_refusal(shown.value, 400, "INVALID_ARGUMENT", message, BAD_KEY)
        assert made.received == []


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"contents":' + b"[" * 200 + b"]" * 200 + b"}"])
async def test_body_that_is_no_request_is_refused(serve: Serve, parser_kind: str, kind: str, body: bytes) -> None:
    """Gemini case 11: what is no JSON object, or nests too deeply, is a plain 400 without details."""
    async with stand(serve, parser_kind) as made:
        got = await raw_post(made, kind, f"/v1beta/models/{POOL}:generateContent", body)
        assert got.status_code == 400
        error = got.json()["error"]
        assert (error["code"], error["status"], set(error)) == (400, "INVALID_ARGUMENT", {"code", "message", "status"})
        check_neutral(got.text)
        assert made.received == []


async def raw_post(made: Stand, kind: str, place: str, body: bytes, **fields: str) -> httpx.Response:
    """Send a body that no official client would; the answer is read by the same library."""
    headers = {"content-type": "application/json", "x-goog-api-key": TOKEN} | fields
    if kind == "sync":
        return await in_thread(lambda: httpx.post(made.origin + place, content=body, headers=headers))
    async with httpx.AsyncClient() as client:
        return await client.post(made.origin + place, content=body, headers=headers)


async def test_large_body_is_refused(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §14: a body above the cap is the client's 413."""
    async with stand(serve, parser_kind, limits=Limits(request_body_max_bytes=4096)) as made:
        error = await refused(made, kind, ask={"model": POOL, "contents": "x" * 8192})
        check_own_refusal(error, 413, "INVALID_ARGUMENT", "Request payload size exceeds the limit.")
        assert made.received == []


async def test_wrong_method_is_refused(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §14: another verb is a 405 that names the right one."""
    async with stand(serve, parser_kind) as made:
        url = f"{made.origin}/v1/models/{POOL}:generateContent"
        got = await in_thread(lambda: httpx.get(url, headers={"x-goog-api-key": TOKEN}))
        message = "The request method is inappropriate for the requested URL."
        assert got.json() == {"error": {"code": 405, "message": message, "status": "INVALID_ARGUMENT"}}
        assert (got.status_code, got.headers["allow"], kind in KINDS) == (405, "POST", True)
        assert made.received == []


async def test_key_may_stand_in_the_query(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini case 8: `?key=` admits, goes no further, and is believed only when no header says otherwise."""
    async with stand(serve, parser_kind) as made:
        place = f"/v1beta/models/{POOL}:generateContent?key={TOKEN}&quotaUser=me"
        body = b'{"contents":[{"parts":[{"text":"hi"}]}]}'
        got = await raw_post(made, kind, place, body, **{"x-goog-api-key": ""})
        assert got.json()["candidates"][0]["content"]["parts"] == [{"text": SAID}]
        assert made.last.target == f"/v1beta/models/{MODEL}:generateContent?quotaUser=me".encode()
        assert made.last.fields[b"x-goog-api-key"] == OWN_KEY.encode()
        got = await raw_post(made, kind, place, body, **{"x-goog-api-key": "wrong"})
        assert got.json()["error"]["details"] == BAD_KEY
        assert len(made.received) == 1


@pytest.mark.parametrize("status", [400, 404, 429, 529])
async def test_backend_errors_are_relayed_byte_for_byte(serve: Serve, parser_kind: str, kind: str, status: int) -> None:
    """Gemini §14: what the backend refuses with is not rewritten, as a last resort neither."""
    script = Script(status=status, error="Grüße.", retry_after_s=7)
    async with stand(serve, parser_kind, script, settings=LEAST_BAD) as made:
        got = await raw_post(made, kind, f"/v1/models/{POOL}:generateContent", b'{"contents":[]}')
        last = made.last
        assert got.content == b"".join(answer(b"POST", last.target, last.fields, last.body, script).frames)
        assert (got.status_code, got.headers["content-type"]) == (status, "application/json")


@pytest.mark.parametrize("script", [Script(cut_at=700, delta_chars=1), Script(reset_at=700, delta_chars=1)])
async def test_client_hears_that_a_stream_was_cut(serve: Serve, parser_kind: str, kind: str, script: Script) -> None:
    """Reliability case 57: a stream that breaks off ends with an error of the vendor, and what came before has come."""
    async with stand(serve, parser_kind, script) as made, contents_caller(made, kind) as caller:
        seen: list[Any] = []
        with pytest.raises(errors.ServerError) as raised:
            await caller.pieces(lambda client: client.models.generate_content_stream(**ASK), seen)
        assert (raised.value.code, raised.value.status) == (500, "INTERNAL")
        check_neutral(str(raised.value))
        assert seen.pop().candidates is None  # the chunk that broke off, closed so that it can be read
        assert "".join(chunk.text for chunk in seen) == SAID[: len(seen)]
        assert [chunk.candidates[0].finish_reason for chunk in seen] == [None] * len(seen)
        assert len(seen) > 0
        assert (made.visits, made.counts("gemini")) == ((1, 0), [(1, 1), (0, 0)])


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_callers_own_key_is_passed_through(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Gemini §2: in passthrough mode the caller's key goes on in the vendor's header, and ours never."""
    async with (
        stand(serve, parser_kind, admission=PASSTHROUGH) as made,
        contents_caller(made, kind, key="AIza-caller") as caller,
    ):
        if is_streamed:
            await caller.pieces(lambda client: client.models.generate_content_stream(**ASK))
        else:
            await caller.ask(lambda client: client.models.generate_content(**ASK))
        assert made.last.fields[b"x-goog-api-key"] == b"AIza-caller"
        assert b"authorization" not in made.last.fields
        assert OWN_KEY.encode() not in b" ".join(made.last.fields.values())


async def test_key_in_the_query_is_passed_through_as_a_header(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §2: a caller's key in the query goes on in the header, and a caller without one has none upstream."""
    async with stand(serve, parser_kind, admission=PASSTHROUGH) as made:
        place, body = f"/v1beta/models/{POOL}:generateContent", b'{"contents":[{"parts":[{"text":"hi"}]}]}'
        await raw_post(made, kind, f"{place}?key=AIza%2Dcaller", body, **{"x-goog-api-key": ""})
        assert made.last.fields[b"x-goog-api-key"] == b"AIza-caller"
        assert b"key" not in made.last.target
        await raw_post(made, kind, place, body, **{"x-goog-api-key": ""})
        assert {b"authorization", b"x-goog-api-key", b"x-api-key"} & set(made.last.fields) == set()
