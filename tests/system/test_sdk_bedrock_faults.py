"""The official AWS client, boto3, against the gateway when something is wrong: refusals, keys, broken answers."""

import re
from contextlib import closing
from typing import Any

import httpx
import orjson
import pytest
from botocore.exceptions import ClientError, ResponseStreamingError
from urllib3.exceptions import HTTPError as Urllib3Error

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.sdk import LEAST_BAD, OWN_KEY, POOL, TOKEN, Stand, check_neutral, in_thread, stand
from tests.system.sdk_callers import converse_client
from tests.system.serving import Serve

SAID = "You said: hi"
TURNS: Any = [{"role": "user", "content": [{"text": "hi"}]}]
ASK: Any = {"modelId": POOL, "messages": TURNS}
REQUEST_ID = "5eed0000-5eed-4000-8000-00000000b00c"
PASSTHROUGH = Admission("passthrough")
REFUSED_TOKEN = "The security token included in the request is invalid."
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
BOTH = pytest.mark.parametrize("is_streamed", [False, True])


def ask(client: Any, seen: list[Any] | None = None, *, is_streamed: bool = False, **members: Any) -> Any:
    """Ask one way or the other; `seen` has the events of a stream even if it breaks off."""
    if not is_streamed:
        return client.converse(**(ASK | members))
    events: list[Any] = [] if seen is None else seen
    with closing(client.converse_stream(**(ASK | members))["stream"]) as stream:
        events.extend(stream)
    return events


async def asked(
    made: Stand, *, is_streamed: bool = False, members: Any = None, seen: list[Any] | None = None, **options: Any
) -> Any:
    """Return what a client reads."""

    def run() -> Any:
        with converse_client(made, **options) as client:
            return ask(client, seen, is_streamed=is_streamed, **(members or {}))

    return await in_thread(run)


async def refused(made: Stand, cls: Any = ClientError, **options: Any) -> Any:
    """Return the error that a client raises at a request, without the frames, which would keep its connection open."""
    try:
        said = await asked(made, **options)
    except cls as error:
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
    raise AssertionError(said)


def text_of(said: Any) -> str:
    """Return the text of a whole answer or of a stream's events."""
    if isinstance(said, list):
        return "".join(event["contentBlockDelta"]["delta"]["text"] for event in said if "contentBlockDelta" in event)
    return str(said["output"]["message"]["content"][0]["text"])


def check_own_refusal(error: Any, status: int, code: str, message: str) -> None:
    """The gateway worded this error: the vendor's exception, a fresh id, nothing of the house."""
    head = error.response["ResponseMetadata"]
    assert error.response["Error"] == {"Code": code, "Message": message}
    assert type(error).__name__ == code
    assert head["HTTPStatusCode"] == status
    assert UUID4.fullmatch(head["RequestId"])
    assert head["RequestId"] != REQUEST_ID
    assert head["HTTPHeaders"]["x-amzn-errortype"] == code
    assert head["HTTPHeaders"]["content-type"] == "application/json"
    check_neutral(str(error).replace(POOL, ""))


@BOTH
@pytest.mark.parametrize("bearer", ["wrong", TOKEN + "x", TOKEN.upper(), None])
async def test_wrong_token_is_refused(serve: Serve, parser_kind: str, bearer: str | None, *, is_streamed: bool) -> None:
    """Bedrock case 8: a wrong token, and a signature of somebody unknown, are the client's 403."""
    async with stand(serve, parser_kind) as made:
        error = await refused(made, is_streamed=is_streamed, bearer=bearer)
        check_own_refusal(error, 403, "AccessDeniedException", REFUSED_TOKEN)
        assert made.received == []


@BOTH
@pytest.mark.parametrize("name", ["kiln-9", "family/kiln", "arn:aws:bedrock:eu-west-1:111122223333:profile/eu.x-v1:0"])
async def test_unknown_model_is_refused(serve: Serve, parser_kind: str, name: str, *, is_streamed: bool) -> None:
    """Bedrock §10: a name that nobody serves is the client's 404, which names it."""
    async with stand(serve, parser_kind) as made:
        error = await refused(made, is_streamed=is_streamed, members={"modelId": name})
        message = f"Could not resolve the foundation model from the model identifier: {name}"
        check_own_refusal(error, 404, "ResourceNotFoundException", message)
        assert made.received == []


async def test_what_is_not_offered_is_refused(serve: Serve, parser_kind: str) -> None:
    """Bedrock case 4: another operation on a model is the client's 404."""

    def invoke(made: Stand) -> Any:
        with converse_client(made) as client, pytest.raises(ClientError) as raised:
            client.invoke_model(modelId=POOL, body=b"{}")
        return raised.value.with_traceback(None)

    async with stand(serve, parser_kind) as made:
        error = await in_thread(lambda: invoke(made))
        message = "The requested operation is not recognized by the service."
        check_own_refusal(error, 404, "ResourceNotFoundException", message)
        assert made.received == []


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"messages":' + b"[" * 200 + b"]" * 200 + b"}"])
async def test_body_that_is_no_request_is_refused(serve: Serve, parser_kind: str, body: bytes) -> None:
    """Bedrock §10: what is no JSON object, or nests too deeply, is a ValidationException."""
    async with stand(serve, parser_kind) as made, httpx.AsyncClient() as client:
        url = f"{made.origin}/model/{POOL}/converse"
        got = await client.post(url, content=body, headers={"authorization": f"Bearer {TOKEN}"})
        assert (got.status_code, got.headers["x-amzn-errortype"]) == (400, "ValidationException")
        assert got.json()["__type"] == "ValidationException"
        assert UUID4.fullmatch(got.headers["x-amzn-requestid"])
        check_neutral(got.text)
        assert made.received == []


async def test_large_body_is_refused(serve: Serve, parser_kind: str) -> None:
    """Bedrock case 61: a body above the cap is a 413 in the client's own form, which it does not retry."""
    async with stand(serve, parser_kind, limits=Limits(request_body_max_bytes=4096)) as made:
        members = {"system": [{"text": "x" * 8192}]}
        error = await refused(made, members=members, retries={"total_max_attempts": 3})
        check_own_refusal(error, 413, "ValidationException", "The payload of the request is too large.")
        assert (len(made.sent), made.received) == (1, [])


async def test_wrong_method_is_refused(serve: Serve, parser_kind: str) -> None:
    """Bedrock case 61: another verb is a 405 that names the right one, with both headers of the vendor."""
    async with stand(serve, parser_kind) as made, httpx.AsyncClient() as client:
        url = f"{made.origin}/model/{POOL}/converse"
        got = await client.get(url, headers={"authorization": f"Bearer {TOKEN}"})
        assert (got.status_code, got.headers["allow"]) == (405, "POST")
        assert got.headers["x-amzn-errortype"] == "ValidationException"
        assert UUID4.fullmatch(got.headers["x-amzn-requestid"])
        assert made.received == []


@pytest.mark.parametrize("status", [400, 404, 429, 529])
async def test_backend_errors_are_relayed_byte_for_byte(serve: Serve, parser_kind: str, status: int) -> None:
    """Bedrock §10: what the backend refuses with is not rewritten, as a last resort neither."""
    script = Script(status=status, error="Grüße.", retry_after_s=7)
    async with stand(serve, parser_kind, script, settings=LEAST_BAD) as made, httpx.AsyncClient() as client:
        url = f"{made.origin}/model/{POOL}/converse-stream"
        got = await client.post(url, content=orjson.dumps({}), headers={"authorization": f"Bearer {TOKEN}"})
        last = made.last
        assert got.content == b"".join(answer(b"POST", last.target, last.fields, last.body, script).frames)
        assert (got.status_code, got.headers["content-type"]) == (status, "application/json")


@pytest.mark.parametrize("script", [Script(cut_at=700, delta_chars=1), Script(reset_at=700, delta_chars=1)])
async def test_client_sees_that_a_stream_was_cut(serve: Serve, parser_kind: str, script: Script) -> None:
    """AWS wire case 36: a stream that breaks off in the middle never looks whole, and what came before has come."""
    seen: list[Any] = []
    async with stand(serve, parser_kind, script) as made:
        await refused(made, (ResponseStreamingError, Urllib3Error), is_streamed=True, seen=seen)
        assert seen[0] == {"messageStart": {"role": "assistant"}}
        assert text_of(seen) == SAID[: len(seen) - 1]
        assert not any("messageStop" in event for event in seen)
        assert (made.visits, made.counts("bedrock")) == ((1, 0), [(1, 1), (0, 0)])


@BOTH
async def test_callers_own_bearer_is_passed_through(serve: Serve, parser_kind: str, *, is_streamed: bool) -> None:
    """Bedrock §2: in passthrough mode the caller's bearer token goes on, and our key never."""
    async with stand(serve, parser_kind, admission=PASSTHROUGH) as made:
        assert text_of(await asked(made, is_streamed=is_streamed, bearer="caller-api-key")) == SAID
        assert made.last.fields[b"authorization"] == b"Bearer caller-api-key"
        assert OWN_KEY.encode() not in b" ".join(made.last.fields.values())


async def test_callers_signature_is_never_passed_through(serve: Serve, parser_kind: str) -> None:
    """Bedrock case 9: a signature covers our own host, so it goes nowhere, and no key of ours takes its place."""
    async with stand(serve, parser_kind, Script(status=403, error="Missing token."), admission=PASSTHROUGH) as made:
        error = await refused(made, bearer=None)
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert made.sent[-1].fields["authorization"].startswith("AWS4-HMAC-SHA256 ")
        for received in made.received:
            assert {b"authorization", b"x-amz-date", b"x-amz-security-token"} & set(received.fields) == set()
            assert OWN_KEY.encode() not in b" ".join(received.fields.values())
