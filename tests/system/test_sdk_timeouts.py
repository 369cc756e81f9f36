"""Waiting that ends: the patience of the official clients of three vendors, and the gateway's own with its backends."""

import time
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import pytest
from botocore.exceptions import ReadTimeoutError, ResponseStreamingError
from google.genai.errors import ServerError
from urllib3.exceptions import HTTPError as Urllib3Error

from busbar_fast.mock.script import Script
from tests.system.sdk import check_neutral, stand
from tests.system.sdk_callers import deployed
from tests.system.sdk_errors import BOTH_WAYS, CLIENTS, EVERY_CLIENT, Official, Question, ask, caught, hear, told_in
from tests.system.serving import Serve, until

PATIENCE: dict[str, dict[str, Any]] = {
    "anthropic": {"timeout": 0.2},
    "gemini": {"timeout": 200},
    "bedrock": {"read_timeout": 0.2},
}
# What each client raises when it waits no longer, and when an answer breaks off.
OVERDUE: dict[str, Any] = {
    "anthropic": (anthropic.APITimeoutError, httpx2.ReadTimeout),
    "gemini": httpx.ReadTimeout,
    "bedrock": (ReadTimeoutError, Urllib3Error),
}
BROKEN: dict[str, Any] = {
    "anthropic": anthropic.APIStatusError,
    "gemini": ServerError,
    "bedrock": (ResponseStreamingError, Urllib3Error),  # in the middle of a frame nothing can be said any more
}
CONFIG = """
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: [<token>]}
limits: {upstream_request_timeout_secs: 1}
providers:
  vendor: {protocol: gemini, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
models:
  pool: {provider: vendor, upstream_model: flash-x}
"""
GOOGLE = pytest.mark.parametrize("official", CLIENTS[2:4], ids=[one.name for one in CLIENTS[2:4]])


@EVERY_CLIENT
@BOTH_WAYS
@pytest.mark.parametrize("is_begun", [False, True], ids=["no head", "part of a body"])
async def test_client_that_waits_no_longer_is_let_go(
    serve: Serve, parser_kind: str, official: Official, *, is_begun: bool, is_streamed: bool
) -> None:
    """Anthropic §12, Gemini §2, Bedrock §11: the client's time-out is its own error, and frees lane and backend."""
    question = Question(is_streamed=is_streamed, options=PATIENCE[official.dialect])
    begun = Script(stall_at=700 if is_streamed else 100, delta_chars=1)
    async with stand(serve, parser_kind, begun if is_begun else Script(delay_head_ms=30_000)) as made:
        error = await caught(made, official, question, OVERDUE[official.dialect], [])
        is_out = is_begun and is_streamed  # what has come of a document is held back
        if official.dialect == "anthropic" and not is_out:
            assert type(error) is anthropic.APITimeoutError
        assert "time" in f"{type(error).__name__} {error}".lower()
        await until(lambda: not any(made.front.in_flight))
        backend = made.front.backends[0]
        assert backend is not None
        await until(lambda: backend.service.in_flight == 0)
        assert made.visits == (1, 0)
        assert made.counts(official.dialect) == [(int(is_out), 0), (0, 0)]  # nobody's fault but the client's


@EVERY_CLIENT
@BOTH_WAYS
async def test_client_is_served_after_it_gave_up(
    serve: Serve, parser_kind: str, official: Official, *, is_streamed: bool
) -> None:
    """Anthropic §12, Gemini §2, Bedrock §11: who gave up once is served by the same gateway the next time."""
    question = Question(is_streamed=is_streamed, options=PATIENCE[official.dialect])
    async with stand(serve, parser_kind, Script(delay_head_ms=30_000), None) as made:
        await caught(made, official, question, OVERDUE[official.dialect], [])
        assert await ask(made, official, Question(is_streamed=is_streamed)) == "You said: hi"
        assert made.visits == (1, 1)


@EVERY_CLIENT
@pytest.mark.parametrize(
    "script",
    [Script(cut_at=700, delta_chars=1), Script(reset_at=700, delta_chars=1), Script(stall_at=700, delta_chars=1)],
    ids=["closed", "reset", "silent"],
)
async def test_stream_that_breaks_off_never_looks_whole(
    serve: Serve, parser_kind: str, official: Official, script: Script
) -> None:
    """Reliability case 57, Anthropic case 48, AWS wire case 36: what came has come, and then the client raises."""
    pieces: list[Any] = []
    async with stand(serve, parser_kind, script, wait_s=0.3) as made:
        error = await caught(made, official, Question(is_streamed=True), BROKEN[official.dialect], pieces)
        if official.dialect == "anthropic":
            assert error.type == "api_error"
        elif official.dialect == "gemini":
            assert (error.code, error.status) == (500, "INTERNAL")
        if official.dialect != "bedrock":  # whose client names the place it reads from
            check_neutral(str(error))
        said, is_ended = told_in(official, pieces)
        assert 0 < len(said) < len("You said: hi")
        assert "You said: hi".startswith(said)
        assert not is_ended
        assert (made.visits, made.counts(official.dialect)) == ((1, 0), [(1, 1), (0, 0)])
        assert not any(made.front.in_flight)


@EVERY_CLIENT
@pytest.mark.parametrize(
    ("script", "status"),
    [(Script(cut_at=100), 503), (Script(reset_at=100), 503), (Script(stall_at=100), 504)],
    ids=["closed", "reset", "silent"],
)
async def test_document_that_breaks_off_is_no_answer(
    serve: Serve, parser_kind: str, official: Official, script: Script, status: int
) -> None:
    """Reliability §6: a document that ends too early is asked for again elsewhere, and if nobody has it, refused."""
    # boto3 would take the part that came for an answer without members, and say nothing.
    async with stand(serve, parser_kind, script, None, wait_s=0.3) as made:
        assert await ask(made, official, Question()) == "You said: hi"
        assert made.counts(official.dialect) == [(0, 1), (1, 0)]
    async with stand(serve, parser_kind, script, wait_s=0.3) as made:
        heard = await hear(made, official, Question())
        assert heard.status == (408 if (official.dialect, status) == ("bedrock", 504) else status)
        assert made.counts(official.dialect) == [(0, 1), (0, 1)]


@GOOGLE
@BOTH_WAYS
async def test_google_client_says_how_long_it_waits(
    serve: Serve, parser_kind: str, official: Official, *, is_streamed: bool
) -> None:
    """Gemini §2: `X-Server-Timeout` ends the wait for backends, and nobody is asked after it."""
    options = {"headers": {"X-Server-Timeout": "1"}}
    async with stand(serve, parser_kind, Script(delay_head_ms=30_000)) as made:
        began_s = time.monotonic()
        heard = await hear(made, official, Question(is_streamed=is_streamed, options=options))
        assert (heard.kind, heard.status, heard.word) == ("ServerError", 504, "DEADLINE_EXCEEDED")
        assert 0.9 <= time.monotonic() - began_s < 5.0
        assert made.sent[-1].fields["x-server-timeout"] == "1"
        assert b"x-server-timeout" not in made.last.fields
        assert made.visits == (1, 0)


@GOOGLE
async def test_time_limit_of_a_google_client_harms_no_answer(
    serve: Serve, parser_kind: str, official: Official
) -> None:
    """Gemini §2: the SDK tells the limit it was given, and an answer in time is an answer."""
    async with stand(serve, parser_kind) as made:
        assert await ask(made, official, Question(options={"timeout": 9_400})) == "You said: hi"
        assert made.sent[-1].fields["x-server-timeout"] == "10"


@GOOGLE
async def test_patience_of_the_deployment_is_in_force(serve: Serve, tmp_path: Path, official: Official) -> None:
    """Config §6.4 `upstream_request_timeout_secs`: a gateway as configured waits so long, and no longer."""
    async with deployed(serve, tmp_path, CONFIG, Script(delay_head_ms=30_000)) as made:
        began_s = time.monotonic()
        heard = await hear(made, official, Question())
        assert (heard.status, heard.word) == (504, "DEADLINE_EXCEEDED")
        assert 0.9 <= time.monotonic() - began_s < 5.0
        assert len(made.received) == 1
