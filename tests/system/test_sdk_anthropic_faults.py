"""Anthropic's official clients against the gateway when something is wrong: refusals, retries, keys, broken answers."""

from typing import Any

import anthropic
import httpx2
import pytest

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.sdk import LEAST_BAD, OWN_KEY, POOL, TOKEN, Stand, check_neutral, in_thread, stand
from tests.system.sdk_callers import KINDS, messages_caller
from tests.system.serving import Serve, until

USER: Any = {"role": "user", "content": "hi"}
ASK: Any = {"model": POOL, "max_tokens": 64, "messages": [USER]}
REQUEST_ID = "req_01MockMockMockMockMockM1"
PASSTHROUGH = Admission("passthrough")

pytestmark = pytest.mark.parametrize("kind", KINDS)


async def refused(made: Stand, kind: str, ask: Any = None, *, is_streamed: bool = False, **options: Any) -> Any:
    """Return the error that a client raises at a request."""
    async with messages_caller(made, kind, **options) as caller:
        members = ASK if ask is None else ask
        with pytest.raises(anthropic.APIStatusError) as raised:
            await caller.ask(lambda client: client.messages.create(**members, stream=is_streamed))
    return raised.value


def check_own_refusal(error: Any, status: int, word: str, message: str) -> None:
    """The gateway worded this error: the vendor's envelope, one fresh id in head and body, nothing of the house."""
    assert error.status_code == status
    assert error.body == {
        "type": "error",
        "error": {"type": word, "message": message},
        "request_id": error.request_id,
    }
    assert error.type == word
    assert error.response.headers["content-type"] == "application/json"
    assert error.request_id.startswith("req_01")
    assert len(error.request_id) == 28
    assert error.request_id != REQUEST_ID
    check_neutral(error.response.text.replace(POOL, ""))


@pytest.mark.parametrize("key", ["sk-wrong", TOKEN + "x", TOKEN.upper(), f" {TOKEN}"])
async def test_wrong_token_is_refused(serve: Serve, parser_kind: str, kind: str, key: str) -> None:
    """Anthropic case 56: a wrong token is the client's own 401, and no backend hears of it."""
    async with stand(serve, parser_kind) as made:
        error = await refused(made, kind, key=None, default_headers={"Authorization": f"Bearer {key}"})
        assert type(error) is anthropic.AuthenticationError
        check_own_refusal(error, 401, "authentication_error", "invalid x-api-key")
        assert made.received == []


async def test_token_may_come_as_older_clients_send_it(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 10: the same token is taken as `x-api-key`, unless a bearer token says otherwise."""
    async with stand(serve, parser_kind) as made:
        older = {"Authorization": "Basic eDp5", "x-api-key": TOKEN}
        async with messages_caller(made, kind, key=None, default_headers=older) as caller:
            message = await caller.ask(lambda client: client.messages.create(**ASK))
            assert message.content[0].text == "You said: hi"
            assert made.sent[-1].fields["x-api-key"] == TOKEN
            assert made.last.fields[b"x-api-key"] == OWN_KEY.encode()
            assert b"authorization" not in made.last.fields
        error = await refused(made, kind, default_headers={"x-api-key": TOKEN}, key="sk-wrong")
        assert error.status_code == 401


@pytest.mark.parametrize(("key", "status"), [(TOKEN, 404), ("sk-wrong", 401)])
async def test_models_are_not_shown_to_everybody(
    serve: Serve, parser_kind: str, kind: str, key: str, status: int
) -> None:
    """Anthropic §11: a model that nobody serves is a 404 in the list as well, and a wrong token sees no list at all."""
    words = {
        404: ("not_found_error", "model: claude-9", anthropic.NotFoundError),
        401: ("authentication_error", "invalid x-api-key", anthropic.AuthenticationError),
    }
    word, message, cls = words[status]
    async with stand(serve, parser_kind) as made, messages_caller(made, kind, key=key) as caller:
        with pytest.raises(cls) as raised:
            await caller.ask(lambda client: client.models.retrieve("claude-9"))
        check_own_refusal(raised.value, status, word, message)
        if status == 401:
            with pytest.raises(cls) as listed:
                await caller.ask(lambda client: client.models.list())
            check_own_refusal(listed.value, status, word, message)
        assert made.received == []


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_unknown_model_is_refused(serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool) -> None:
    """Anthropic case 2: a name that nobody serves is the client's 404, in a body and in a path."""
    async with stand(serve, parser_kind) as made:
        error = await refused(made, kind, ASK | {"model": "claude-9"}, is_streamed=is_streamed)
        assert type(error) is anthropic.NotFoundError
        check_own_refusal(error, 404, "not_found_error", "model: claude-9")
        error = await refused(made, kind, is_streamed=is_streamed, path="/claude:9")
        check_own_refusal(error, 404, "not_found_error", "model: claude:9")
        error = await refused(made, kind, path="/a/b/c")
        check_own_refusal(error, 404, "not_found_error", "Not Found")
        assert made.received == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model": 7}, "You must provide a model parameter."),
        ({"model": None}, "You must provide a model parameter."),
        ({"model": ""}, "You must provide a model parameter."),
    ],
)
async def test_bad_model_is_refused(serve: Serve, parser_kind: str, kind: str, more: Any, message: str) -> None:
    """Anthropic §11: a request without a usable model is the client's 400."""
    async with stand(serve, parser_kind) as made:
        error = await refused(made, kind, ASK | {"extra_body": more})
        assert type(error) is anthropic.BadRequestError
        check_own_refusal(error, 400, "invalid_request_error", message)
        assert made.received == []


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"model":"pool"', b'{"model":' + b"[" * 200 + b"]" * 200 + b"}"])
async def test_body_that_is_no_request_is_refused(serve: Serve, parser_kind: str, kind: str, body: bytes) -> None:
    """Anthropic §11: what is no JSON object, or nests too deeply, is the client's 400."""
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        with pytest.raises(anthropic.BadRequestError) as raised:
            await caller.ask(
                lambda client: client.post("/v1/messages", cast_to=httpx2.Response, content=body),
            )
        assert raised.value.type == "invalid_request_error"
        document: Any = raised.value.body
        assert raised.value.request_id == document["request_id"]
        check_neutral(raised.value.response.text)
        assert made.received == []


async def test_large_body_is_refused(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 58: a body above the cap is the client's 413, one just below it passes."""
    limits = Limits(request_body_max_bytes=4096)
    async with stand(serve, parser_kind, limits=limits) as made:
        error = await refused(made, kind, ASK | {"system": "x" * 8192})
        assert type(error) is anthropic.RequestTooLargeError
        check_own_refusal(error, 413, "request_too_large", "Request exceeds the maximum size")
        assert made.received == []
        async with messages_caller(made, kind) as caller:
            await caller.ask(lambda client: client.messages.create(**ASK, system="x" * 3900))
        assert len(made.last.document["system"]) == 3900


async def test_wrong_method_and_path_are_refused(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 58: another verb is a 405 that names the right one, and an unknown path a 404."""
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        with pytest.raises(anthropic.APIStatusError) as raised:
            await caller.ask(lambda client: client.get("/v1/messages", cast_to=httpx2.Response))
        check_own_refusal(raised.value, 405, "invalid_request_error", "Method Not Allowed")
        assert raised.value.response.headers["allow"] == "POST"
        with pytest.raises(anthropic.NotFoundError) as missing:
            await caller.ask(lambda client: client.messages.batches.list())
        check_own_refusal(missing.value, 404, "not_found_error", "Not Found")
        assert made.received == []


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("status", [400, 404, 429, 529])
async def test_backend_errors_are_relayed_byte_for_byte(
    serve: Serve, parser_kind: str, kind: str, status: int, *, is_streamed: bool
) -> None:
    """Anthropic case 61: what the backend refuses with is not rewritten, as a last resort neither."""
    script = Script(status=status, error="Grüße, \u201cslowly\u201d.", retry_after_s=7)
    async with stand(serve, parser_kind, script, settings=LEAST_BAD) as made:
        error = await refused(made, kind, is_streamed=is_streamed)
        raw = b"".join(answer(b"POST", made.last.target, made.last.fields, made.last.body, script).frames)
        assert error.response.content == raw
        assert (error.status_code, error.request_id) == (status, REQUEST_ID)


async def test_client_may_leave_a_stream(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic §12: a client that closes a stream after its first event frees the lane, and the next is served."""
    script = Script(deltas=400, delay_frame_ms=20)
    async with stand(serve, parser_kind, script, None) as made, messages_caller(made, kind) as caller:
        if kind == "sync":

            def leave() -> str:
                with caller.client.messages.stream(**ASK) as stream:
                    return str(next(iter(stream)).type)

            assert await in_thread(leave) == "message_start"
        else:
            async with caller.client.messages.stream(**ASK) as stream:
                assert (await anext(aiter(stream))).type == "message_start"
        await until(lambda: not any(made.front.in_flight))
        message = await caller.ask(lambda client: client.messages.create(**ASK))
        assert message.content[0].text == "You said: hi"


@pytest.mark.parametrize(
    ("key", "field", "value", "betas"),
    [
        ("sk-ant-api03-caller", b"x-api-key", b"sk-ant-api03-caller", None),
        ("sk-ant-oat01-caller", b"authorization", b"Bearer sk-ant-oat01-caller", b"oauth-2025-04-20"),
        ("caller-key", b"authorization", b"Bearer caller-key", None),
    ],
)
async def test_callers_own_key_is_passed_through(
    serve: Serve, parser_kind: str, kind: str, key: str, field: bytes, value: bytes, betas: bytes | None
) -> None:
    """Anthropic case 7: in passthrough mode the caller's key goes on in the header its kind needs, and ours never."""
    async with (
        stand(serve, parser_kind, admission=PASSTHROUGH) as made,
        messages_caller(made, kind, key=key) as caller,
    ):
        await caller.ask(lambda client: client.messages.create(**ASK))
        _, (message, _) = await caller.stream(**ASK)
        assert message.content[0].text == "You said: hi"
        for received in made.received:
            assert received.fields[field] == value
            assert {b"authorization", b"x-api-key"} & set(received.fields) == {field}
            assert received.fields.get(b"anthropic-beta") == betas
            assert OWN_KEY.encode() not in b" ".join(received.fields.values())


async def test_caller_without_key_passes_none(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 9: who sends no token in passthrough mode is let in, and no backend gets any."""
    async with stand(serve, parser_kind, admission=PASSTHROUGH) as made:
        nothing = {"Authorization": "Basic eDp5"}
        async with messages_caller(made, kind, key=None, default_headers=nothing) as caller:
            await caller.ask(lambda client: client.messages.create(**ASK))
        assert {b"authorization", b"x-api-key"} & set(made.last.fields) == set()
