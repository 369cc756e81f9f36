"""Every row of the chapters' tables of errors, as the official clients of three vendors raise it.

First what the gateway refuses itself, then what it relays of a backend: whole and streamed, blocking and not. A vendor
whose answers carry no id (Google) has none here either.
"""

import asyncio
import re
from typing import Any, NamedTuple

import pytest
from anthropic import APIStatusError
from botocore.exceptions import EventStreamError
from google.genai.errors import APIError

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.gateways import DOWN, Fate
from tests.system.sdk import LEAST_BAD, OWN_KEY, POOL, check_neutral, stand
from tests.system.sdk_errors import (
    BOTH_WAYS,
    EVERY_CLIENT,
    Heard,
    Official,
    Question,
    ask,
    ask_with,
    caught,
    hear,
    hear_with,
    opened,
    told_in,
)
from tests.system.serving import Gate, Serve, until

WORDS = "Grüße, \u201cslowly\u201d."
SMALL = Limits(request_body_max_bytes=4096)
PASSTHROUGH = Admission("passthrough")
CALLERS_KEY = "sk-ant-api03-caller"
MOCK_IDS = {
    "anthropic": "req_01MockMockMockMockMockM1",
    "gemini": None,
    "bedrock": "5eed0000-5eed-4000-8000-00000000b00c",
}
OWN_IDS = {
    "anthropic": re.compile(r"req_01[1-9A-HJ-NP-Za-km-z]{22}"),
    "bedrock": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
}
LISTS = "Call ListModels to see the list of available models and their supported methods."
BAD_KEY = {
    "anthropic": ("AuthenticationError", 401, "authentication_error", "invalid x-api-key"),
    "gemini": ("ClientError", 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "bedrock": (
        "AccessDeniedException",
        403,
        "AccessDeniedException",
        "The security token included in the request is invalid.",
    ),
}
BUSY = {
    "anthropic": ("ServiceUnavailableError", 503, "overloaded_error", "Overloaded"),
    "gemini": ("ServerError", 503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "bedrock": (
        "ServiceUnavailableException",
        503,
        "ServiceUnavailableException",
        "The service is temporarily unable to handle the request. Try your request again.",
    ),
}


RESTING_S = range(27, 34)  # how long a lane rests after one failure
TOLD_S = range(40, 41)  # what backends ask for here, which is longer


class Row(NamedTuple):
    """One row: how it comes about, and for each vendor class, status, word and message.

    `again_s` are the seconds after which a client may be told to come back.
    """

    name: str
    question: Question
    fate: Fate
    expected: dict[str, tuple[str, int, str, str]]
    again_s: range | None = None
    visits: tuple[int, int] = (0, 0)
    wait_s: float = 300.0


ROWS = [
    Row("wrong token", Question(key="sk-wrong"), None, BAD_KEY),
    Row(
        "unknown model",
        Question(model="kiln-9"),
        None,
        {
            "anthropic": ("NotFoundError", 404, "not_found_error", "model: kiln-9"),
            "gemini": (
                "ClientError",
                404,
                "NOT_FOUND",
                f"models/kiln-9 is not found for API version v1, or is not supported for <action>. {LISTS}",
            ),
            "bedrock": (
                "ResourceNotFoundException",
                404,
                "ResourceNotFoundException",
                "Could not resolve the foundation model from the model identifier: kiln-9",
            ),
        },
    ),
    Row(
        "nested too deeply",
        Question(depth=140),
        None,
        {
            "anthropic": (
                "BadRequestError",
                400,
                "invalid_request_error",
                "The request body is nested too deeply.",
            ),
            "gemini": ("ClientError", 400, "INVALID_ARGUMENT", "The request body is nested too deeply."),
            "bedrock": (
                "ValidationException",
                400,
                "ValidationException",
                "The request body is nested too deeply.",
            ),
        },
    ),
    Row(
        "too large",
        Question(text="x" * 8192),
        None,
        {
            "anthropic": ("ContentTooLargeError", 413, "request_too_large", "Request exceeds the maximum size"),
            "gemini": ("ClientError", 413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
            "bedrock": ("ValidationException", 413, "ValidationException", "The payload of the request is too large."),
        },
    ),
    Row("nobody there", Question(), DOWN, BUSY, again_s=RESTING_S),
    Row("no answer", Question(), Script(refuse=True), BUSY, again_s=RESTING_S, visits=(1, 1)),
    Row("no byte of a body", Question(), Script(cut_at=0), BUSY, again_s=RESTING_S, visits=(1, 1)),
    Row("no HTTP", Question(), Script(garbage=True), BUSY, again_s=RESTING_S, visits=(1, 1)),
    Row("no room", Question(), Script(status=429, error=WORDS, retry_after_s=40), BUSY, TOLD_S, (1, 1)),
    Row(
        "silence",
        Question(),
        Script(delay_head_ms=30_000),
        {
            "anthropic": ("GatewayTimeoutError", 504, "timeout_error", "Request timed out."),
            "gemini": (
                "ServerError",
                504,
                "DEADLINE_EXCEEDED",
                "Deadline expired before operation could complete.",
            ),
            "bedrock": (
                "ModelTimeoutException",
                408,
                "ModelTimeoutException",
                "The request took too long to process. Processing time exceeded the model timeout length.",
            ),
        },
        visits=(1, 1),
        wait_s=0.05,
    ),
    *(
        Row(
            f"our key refused with {status}",
            Question(),
            Script(status=status, error=f"{OWN_KEY} is not valid", retry_after_s=3),
            BAD_KEY,
            visits=(1, 1),
        )
        for status in (401, 403)
    ),
]

# What the official client of each vendor makes of a status that it hears from a backend: its class and its word.
RELAYED: dict[int, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    400: (
        ("BadRequestError", "invalid_request_error"),
        ("ClientError", "INVALID_ARGUMENT"),
        ("ValidationException", "ValidationException"),
    ),
    404: (
        ("NotFoundError", "not_found_error"),
        ("ClientError", "NOT_FOUND"),
        ("ResourceNotFoundException", "ResourceNotFoundException"),
    ),
    408: (
        ("RequestTimeoutError", "invalid_request_error"),
        ("ClientError", "DEADLINE_EXCEEDED"),
        ("ModelTimeoutException", "ModelTimeoutException"),
    ),
    409: (
        ("ConflictError", "invalid_request_error"),
        ("ClientError", "INVALID_ARGUMENT"),
        ("ValidationException", "ValidationException"),
    ),
    413: (
        ("ContentTooLargeError", "request_too_large"),
        ("ClientError", "INVALID_ARGUMENT"),
        ("ValidationException", "ValidationException"),
    ),
    422: (
        ("UnprocessableEntityError", "invalid_request_error"),
        ("ClientError", "INVALID_ARGUMENT"),
        ("ValidationException", "ValidationException"),
    ),
    424: (
        ("APIStatusError", "invalid_request_error"),
        ("ClientError", "INVALID_ARGUMENT"),
        ("ModelErrorException", "ModelErrorException"),
    ),
    429: (
        ("RateLimitError", "rate_limit_error"),
        ("ClientError", "RESOURCE_EXHAUSTED"),
        ("ThrottlingException", "ThrottlingException"),
    ),
    500: (
        ("InternalServerError", "api_error"),
        ("ServerError", "INTERNAL"),
        ("InternalServerException", "InternalServerException"),
    ),
    502: (
        ("InternalServerError", "api_error"),
        ("ServerError", "INTERNAL"),
        ("InternalServerException", "InternalServerException"),
    ),
    503: (
        ("ServiceUnavailableError", "overloaded_error"),
        ("ServerError", "UNAVAILABLE"),
        ("ServiceUnavailableException", "ServiceUnavailableException"),
    ),
    504: (
        ("GatewayTimeoutError", "timeout_error"),
        ("ServerError", "DEADLINE_EXCEEDED"),
        ("InternalServerException", "InternalServerException"),
    ),
    529: (
        ("OverloadedError", "overloaded_error"),
        ("ServerError", "INTERNAL"),
        ("InternalServerException", "InternalServerException"),
    ),
}
# The same of the caller's own key, where that goes on.
REFUSED_KEY: dict[int, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    401: (
        ("AuthenticationError", "authentication_error"),
        ("ClientError", "UNAUTHENTICATED"),
        ("AccessDeniedException", "AccessDeniedException"),
    ),
    403: (
        ("PermissionDeniedError", "permission_error"),
        ("ClientError", "PERMISSION_DENIED"),
        ("AccessDeniedException", "AccessDeniedException"),
    ),
}
# The words of an error in a stream.
INSIDE = {
    400: ("invalid_request_error", "INVALID_ARGUMENT", "validationException"),
    429: ("rate_limit_error", "RESOURCE_EXHAUSTED", "throttlingException"),
    500: ("api_error", "INTERNAL", "internalServerException"),
    503: ("overloaded_error", "UNAVAILABLE", "serviceUnavailableException"),
    504: ("timeout_error", "DEADLINE_EXCEEDED", "modelStreamErrorException"),
    529: ("overloaded_error", "INTERNAL", "internalServerException"),
}
IN_STREAMS: dict[str, type[Exception]] = {
    "anthropic": APIStatusError,
    "gemini": APIError,
    "bedrock": EventStreamError,
}
ORDER = ("anthropic", "gemini", "bedrock")
FAILURES = [
    DOWN,
    *(Script(status=status, error=WORDS) for status in (401, 403, 429, 500, 502, 503, 504, 529)),
    Script(refuse=True),
    Script(garbage=True),
    Script(cut_at=0),
    Script(delay_head_ms=30_000),
]
CLIENT_FAULTS = {400, 404, 409, 413, 422, 424}
# What lanes make good for each other; a quota that is used up takes half an hour.
PASSED_OVER = dict.fromkeys((408, 429, 500, 502, 503, 504, 529), TOLD_S) | {402: range(1800, 1801)}


def is_clients_fault(official: Official, status: int) -> bool:
    """Bedrock says 424 when its model fails, which is not the client's doing."""
    return status in CLIENT_FAULTS and (official.dialect, status) != ("bedrock", 424)


def told(heard: Heard) -> tuple[str, int, str, str]:
    return heard.kind, heard.status, heard.word, heard.message


def check_own(heard: Heard, official: Official, expected: tuple[str, int, str, str], *, in_stream: bool) -> None:
    """The gateway worded this error: the class and the words of the vendor, a fresh id, nothing of the house."""
    kind, status, word, message = expected
    action = "streamGenerateContent" if in_stream else "generateContent"
    assert told(heard) == (kind, status, word, message.replace("<action>", action))
    assert heard.fields["content-type"] == "application/json"
    check_neutral(heard.text.replace(POOL, ""))
    form = OWN_IDS.get(official.dialect)
    if form is None:
        assert heard.raw_id is None
        return
    assert heard.raw_id is not None
    assert form.fullmatch(heard.raw_id)
    assert heard.raw_id != MOCK_IDS[official.dialect]


def check_again(heard: Heard, official: Official, again_s: range | None) -> None:
    """The client is told when to come back, or not at all; boto3 looks at a field of its own, in milliseconds."""
    told_s, told_ms = (heard.fields.get(name) for name in ("retry-after", "x-amz-retry-after"))
    if again_s is None:
        assert (told_s, told_ms) == (None, None)
        return
    assert told_s is not None
    assert int(told_s) in again_s
    assert told_ms == (f"{told_s}000" if official.dialect == "bedrock" else None)


@EVERY_CLIENT
@BOTH_WAYS
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_own_refusal_is_the_clients_own_exception(
    serve: Serve, parser_kind: str, official: Official, row: Row, *, is_streamed: bool
) -> None:
    """Anthropic §11, Gemini §14, Bedrock §10: each refusal raises the SDK's class with status, words and a fresh id."""
    question = Question(row.question.model, row.question.text, row.question.key, row.question.depth, is_streamed)
    async with stand(serve, parser_kind, row.fate, limits=SMALL, wait_s=row.wait_s) as made:
        heard = await hear(made, official, question)
        check_own(heard, official, row.expected[official.dialect], in_stream=is_streamed)
        check_again(heard, official, row.again_s)
        assert (made.visits, len(made.sent)) == (row.visits, 1)


@EVERY_CLIENT
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_counting_is_refused_in_the_same_way(
    serve: Serve, parser_kind: str, official: Official, row: Row
) -> None:
    """Anthropic §2, Gemini §1, Bedrock §1: who counts tokens is refused with the classes and words of who converses."""
    asked = row.question
    question = Question(asked.model, asked.text, asked.key, asked.depth, is_count=True)
    async with stand(serve, parser_kind, row.fate, limits=SMALL, wait_s=row.wait_s) as made:
        heard = await hear(made, official, question)
        kind, status, word, message = row.expected[official.dialect]
        expected = (kind, status, word, message.replace("<action>", "countTokens"))
        check_own(heard, official, expected, in_stream=False)
        check_again(heard, official, row.again_s)
        assert made.visits == row.visits


@EVERY_CLIENT
@pytest.mark.parametrize("status", [400, 404])
async def test_refusal_to_count_is_relayed(serve: Serve, parser_kind: str, official: Official, status: int) -> None:
    """Anthropic case 61, Gemini §14, Bedrock §10: a backend that does not count says so in its own words."""
    kind, word = RELAYED[status][ORDER.index(official.dialect)]
    async with stand(serve, parser_kind, Script(status=status, error=WORDS, retry_after_s=7)) as made:
        heard = await hear(made, official, Question(is_count=True))
        assert told(heard) == (kind, status, word, WORDS)
        assert (heard.raw_id, heard.fields.get("retry-after")) == (
            MOCK_IDS[official.dialect],
            wait_of(official, status, "7"),
        )
        assert made.visits == (1, 0)


@EVERY_CLIENT
async def test_one_connection_outlives_every_error(serve: Serve, parser_kind: str, official: Official) -> None:
    """Reliability §8: answers, streams and refusals of both kinds follow each other on one connection of one client."""
    fates = [None, Script(status=400, error=WORDS), None, Script(status=404, error=WORDS), None, None]
    async with stand(serve, parser_kind, fates, DOWN) as made, opened(made, official, Question()) as caller:
        connections = set()
        for is_streamed in (False, True):
            question = Question(is_streamed=is_streamed)
            assert await ask_with(caller, official, question) == "You said: hi"
            heard = await hear_with(caller, official, question)
            assert heard.message == WORDS
            heard = await hear_with(caller, official, Question("kiln-9", is_streamed=is_streamed))
            assert heard.status == 404
            connections |= set(made.front.site.service.connections)
        assert await ask_with(caller, official, Question(is_count=True)) == "1"
        connections |= set(made.front.site.service.connections)
        assert (len(connections), len(made.sent)) == (1, 7)


@EVERY_CLIENT
@BOTH_WAYS
async def test_full_house_says_when_to_come_back(
    serve: Serve, parser_kind: str, official: Official, *, is_streamed: bool
) -> None:
    """Anthropic §11, Gemini §14, Bedrock §10: at capacity the SDK raises its class for 503, and who is in stays."""
    hold = Gate()
    limits = Limits(max_inbound_concurrent=1, inbound_queue_max_s=0)
    async with stand(serve, parser_kind, limits=limits, hold=hold) as made:
        first = asyncio.ensure_future(ask(made, official, Question(text="first")))
        await until(lambda: hold.waiting == 1)
        heard = await hear(made, official, Question(is_streamed=is_streamed))
        check_own(heard, official, BUSY[official.dialect], in_stream=is_streamed)
        assert heard.fields["retry-after"] == "1"
        hold.open()
        assert await first == "You said: first"
        assert made.visits == (1, 0)


def wait_of(official: Official, status: int, seconds: str) -> str | None:
    """Return what a client hears of when to come back: at limits, and Anthropic's at any status."""
    return seconds if official.dialect == "anthropic" or status in {429, 503, 529} else None


@EVERY_CLIENT
@pytest.mark.parametrize(
    ("status", "is_streamed"),
    [*((status, False) for status in RELAYED), *((status, True) for status in (400, 429, 503))],
)
async def test_backends_refusal_is_the_clients_own_exception(
    serve: Serve, parser_kind: str, official: Official, status: int, *, is_streamed: bool
) -> None:
    """Anthropic cases 61 and 65, Gemini §14, Bedrock §10: class, status, words, id and time are the backend's."""
    # Of a client's fault at once, of anything else from the lane that is asked once more when all have failed.
    kind, word = RELAYED[status][ORDER.index(official.dialect)]
    is_fault = is_clients_fault(official, status)
    script = Script(status=status, error=WORDS, retry_after_s=40)  # so that the first to fail is the first to be back
    async with stand(serve, parser_kind, script, settings=LEAST_BAD) as made:
        heard = await hear(made, official, Question(is_streamed=is_streamed))
        assert told(heard) == (kind, status, word, WORDS)
        assert heard.raw_id == MOCK_IDS[official.dialect]
        assert heard.fields.get("retry-after") == wait_of(official, status, "40")
        assert heard.fields["content-type"] == "application/json"
        assert made.visits == ((1, 0) if is_fault else (2, 1))
        assert made.counts(official.dialect) == ([(0, 0)] * 2 if is_fault else [(0, 2), (0, 1)])
        blamed = [lane.state.client_fault for lane in made.front.lanes if lane.name.startswith(official.dialect)]
        assert blamed == [int(is_fault), 0]


@EVERY_CLIENT
@pytest.mark.parametrize("status", PASSED_OVER)
async def test_refusal_of_every_backend_is_a_full_house(
    serve: Serve, parser_kind: str, official: Official, status: int
) -> None:
    """Reliability §7, Bedrock §10: what passes is nobody's words, but the vendor's own 503, and when to come back."""
    async with stand(serve, parser_kind, Script(status=status, error=WORDS, retry_after_s=40)) as made:
        heard = await hear(made, official, Question())
        check_own(heard, official, BUSY[official.dialect], in_stream=False)
        check_again(heard, official, PASSED_OVER[status])
        assert (made.visits, made.counts(official.dialect)) == ((1, 1), [(0, 1), (0, 1)])


@EVERY_CLIENT
@pytest.mark.parametrize("status", INSIDE)
async def test_error_inside_a_stream_is_the_clients_own_exception(
    serve: Serve, parser_kind: str, official: Official, status: int
) -> None:
    """Anthropic case 54, Gemini case 56, Bedrock §9: an error in a stream is raised as the backend worded it."""
    word = INSIDE[status][ORDER.index(official.dialect)]
    script = Script(status=status, error=WORDS, fail_after=5, delta_chars=1, delay_frame_ms=10)
    pieces: list[Any] = []
    async with stand(serve, parser_kind, script) as made:
        error = await caught(made, official, Question(is_streamed=True), IN_STREAMS[official.dialect], pieces)
        if official.dialect == "anthropic":
            assert (type(error), error.type, error.request_id) == (APIStatusError, word, MOCK_IDS["anthropic"])
            assert error.body == {"type": "error", "error": {"type": word, "message": WORDS}}
        elif official.dialect == "gemini":
            kind = "ClientError" if status < 500 else "ServerError"
            assert (type(error).__name__, error.code) == (kind, status)
            assert (error.status, error.message) == (word, WORDS)
        else:
            assert error.response["Error"] == {"Code": word, "Message": WORDS}
        said, is_ended = told_in(official, pieces)
        assert said
        assert "You said: hi".startswith(said)
        assert not is_ended
        assert made.visits == (1, 0)


@EVERY_CLIENT
@BOTH_WAYS
@pytest.mark.parametrize("status", REFUSED_KEY)
async def test_refusal_of_the_callers_own_key_is_relayed(
    serve: Serve, parser_kind: str, official: Official, status: int, *, is_streamed: bool
) -> None:
    """Reliability case 45: what is said of the caller's own key is the caller's, and no lane is blamed for it."""
    kind, word = REFUSED_KEY[status][ORDER.index(official.dialect)]
    script = Script(status=status, error="Your key is on hold.", retry_after_s=9)
    async with stand(serve, parser_kind, script, admission=PASSTHROUGH) as made:
        heard = await hear(made, official, Question(key=CALLERS_KEY, is_streamed=is_streamed))
        assert told(heard) == (kind, status, word, "Your key is on hold.")
        assert (heard.raw_id, heard.fields.get("retry-after")) == (
            MOCK_IDS[official.dialect],
            wait_of(official, status, "9"),
        )
        assert CALLERS_KEY.encode() in b" ".join(made.last.fields.values())
        assert (made.visits, made.counts(official.dialect)) == ((1, 0), [(0, 0), (0, 0)])


@EVERY_CLIENT
async def test_limit_of_the_callers_own_key_is_a_failure_as_ever(
    serve: Serve, parser_kind: str, official: Official
) -> None:
    """Reliability §5: in passthrough mode too a 429 is made good elsewhere, and where it is not, a 503 of our own."""
    script = Script(status=429, error="Your key is on hold.", retry_after_s=40)
    async with stand(serve, parser_kind, script, None, admission=PASSTHROUGH) as made:
        assert await ask(made, official, Question(key=CALLERS_KEY)) == "You said: hi"
    async with stand(serve, parser_kind, script, admission=PASSTHROUGH) as made:
        heard = await hear(made, official, Question(key=CALLERS_KEY))
        check_own(heard, official, BUSY[official.dialect], in_stream=False)
        check_again(heard, official, TOLD_S)
        assert (made.visits, made.counts(official.dialect)) == ((1, 1), [(0, 1), (0, 1)])


@EVERY_CLIENT
@BOTH_WAYS
@pytest.mark.parametrize("fate", FAILURES)
async def test_failure_of_one_backend_is_never_heard_of(
    serve: Serve, parser_kind: str, official: Official, fate: Fate, *, is_streamed: bool
) -> None:
    """Reliability §8: what another lane can make good reaches no client, whole or streamed."""
    async with stand(serve, parser_kind, fate, None, wait_s=1.0) as made:
        assert await ask(made, official, Question(is_streamed=is_streamed)) == "You said: hi"
        assert (made.visits[1], len(made.sent)) == (1, 1)
        assert made.counts(official.dialect) == [(0, 1), (1, 0)]
