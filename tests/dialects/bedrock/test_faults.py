"""Refusals in Bedrock's words."""

import re

import orjson
import pytest
from botocore.exceptions import ClientError

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.bedrock import DIALECT
from busbar_fast.dialects.bedrock.faults import encode_fault
from busbar_fast.dialects.dialect import JSON, Refusal
from busbar_fast.dialects.faults import Fault, Kind
from tests.dialects.bedrock.official import client, header_pairs

ID = b"5eed0000-5eed-4000-8000-00000000b00c"
TABLE = [
    (Kind.MALFORMED, 400, "ValidationException"),
    (Kind.UNAUTHENTICATED, 403, "AccessDeniedException"),
    (Kind.FORBIDDEN, 403, "AccessDeniedException"),
    (Kind.UNKNOWN_MODEL, 404, "ResourceNotFoundException"),
    (Kind.UNKNOWN_PATH, 404, "ResourceNotFoundException"),
    (Kind.WRONG_METHOD, 405, "ValidationException"),
    (Kind.TOO_LARGE, 413, "ValidationException"),
    (Kind.RATE_LIMITED, 429, "ThrottlingException"),
    (Kind.OVER_BUDGET, 400, "ServiceQuotaExceededException"),
    (Kind.OVERLOADED, 503, "ServiceUnavailableException"),
    (Kind.TIMED_OUT, 408, "ModelTimeoutException"),
    (Kind.UNREADABLE, 502, "InternalServerException"),
    (Kind.INTERNAL, 500, "InternalServerException"),
    (Kind.TOO_LONG, 400, "ValidationException"),
]
TELLTALE = re.compile(r"pool|lane|upstream|proxy|gateway|busbar|virtual|governance|translat", re.IGNORECASE)
MESSAGES = [{"role": "user", "content": [{"text": "hi"}]}]


def ask_for(path: bytes) -> Ask:
    """Return the claim on a path."""
    ask = DIALECT.claim(path, b"", {})
    assert ask is not None
    return ask


def text_of(fault: Fault, ask: Ask | None = None) -> str:
    """Return the text that a fault becomes."""
    message: str = orjson.loads(encode_fault(fault, ask, ID).body)["message"]
    return message


def test_every_kind_is_in_the_table() -> None:
    """No kind of fault is without a shape."""
    assert {kind for kind, _, _ in TABLE} == set(Kind)


@pytest.mark.parametrize(("kind", "status", "name"), TABLE)
def test_kind_has_its_status_and_exception(kind: Kind, status: int, name: str) -> None:
    """Bedrock case 61 and the table of section 10: the name stands in the head and in the body, the id in the head."""
    refusal = encode_fault(Fault(kind), None, ID)
    document = orjson.loads(refusal.body)
    headers = header_pairs(refusal.fields)
    assert refusal.status == status
    assert list(document) == ["message", "__type"]
    assert document["__type"] == headers["x-amzn-errortype"] == name
    assert headers["x-amzn-RequestId"] == ID.decode()
    assert headers["Content-Type"] == "application/json"
    assert document["message"]
    assert not TELLTALE.search(document["message"])


@pytest.mark.parametrize(("kind", "status", "name"), TABLE)
@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
def test_the_official_client_raises_its_own_exception(kind: Kind, status: int, name: str, operation: str) -> None:
    """Boto3 shows class, code, text, status and id of every refusal, whole or before a stream."""
    runtime = client(lambda *_: encode_fault(Fault(kind, "No luck."), None, ID))
    with pytest.raises(ClientError) as caught:
        getattr(runtime, operation)(modelId="m", messages=MESSAGES)
    modelled = getattr(runtime.exceptions, name)
    assert isinstance(caught.value, modelled)
    assert caught.value.response["Error"] == {"Message": "No luck.", "Code": name}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["ResponseMetadata"]["RequestId"] == ID.decode()


@pytest.mark.parametrize(
    ("kind", "attempts"),
    [
        (Kind.OVER_BUDGET, 1),
        (Kind.TIMED_OUT, 1),
        (Kind.UNAUTHENTICATED, 1),
        (Kind.TOO_LARGE, 1),
        (Kind.UNKNOWN_MODEL, 1),
        (Kind.RATE_LIMITED, 2),
        (Kind.OVERLOADED, 2),
        (Kind.INTERNAL, 2),
        (Kind.UNREADABLE, 2),
    ],
)
def test_the_official_client_tries_again_only_where_it_helps(
    kind: Kind, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bedrock case 58: a spent budget and a model's time-out are asked for once, a limit again."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    seen: list[bytes] = []

    def respond(target: bytes, _fields: dict[bytes, bytes]) -> Refusal:
        seen.append(target)
        return encode_fault(Fault(kind), None, ID)

    with pytest.raises(ClientError):
        client(respond, max_attempts=2).converse(modelId="m", messages=MESSAGES)
    assert len(seen) == attempts


def test_a_refused_credential_is_always_the_same_answer() -> None:
    """Bedrock case 8: nothing in the answer depends on who asked for what."""
    answers = {
        encode_fault(Fault(Kind.UNAUTHENTICATED), ask, ID)
        for ask in (None, ask_for(b"/model/a/converse"), ask_for(b"/model/b/converse-stream"), ask_for(b"/model/x/y"))
    }
    assert len(answers) == 1


def test_a_limit_says_when_to_come_back_if_that_is_known() -> None:
    """Bedrock case 58: a rate limit may name a time, a spent budget never does."""
    assert b"\r\nRetry-After: 7\r\n" in encode_fault(Fault(Kind.RATE_LIMITED, retry_after_s=7), None, ID).fields
    assert b"Retry-After" not in encode_fault(Fault(Kind.RATE_LIMITED), None, ID).fields
    assert b"Retry-After" not in encode_fault(Fault(Kind.OVER_BUDGET, retry_after_s=7), None, ID).fields


@pytest.mark.parametrize(("given_s", "shown"), [(None, b"1"), (0, b"1"), (1, b"1"), (30, b"30")])
def test_overload_always_says_when_to_come_back(given_s: int | None, shown: bytes) -> None:
    """A refusal for want of room names a second at least."""
    fields = encode_fault(Fault(Kind.OVERLOADED, retry_after_s=given_s), None, ID).fields
    assert fields.endswith(b"\r\nRetry-After: %b\r\nx-amz-retry-after: %b000\r\n" % (shown, shown))


def test_the_fields_are_whole_lines() -> None:
    """The head of a refusal, byte for byte."""
    assert encode_fault(Fault(Kind.INTERNAL), None, ID).fields == (
        JSON + b"x-amzn-RequestId: " + ID + b"\r\nx-amzn-errortype: InternalServerException\r\n"
    )


def test_an_unknown_model_is_named() -> None:
    """The text names what was asked for, if anybody knows it."""
    start = "Could not resolve the foundation model from the model identifier: "
    assert text_of(Fault(Kind.UNKNOWN_MODEL, name="x"), ask_for(b"/model/a%2Fb/converse")) == start + "x"
    assert text_of(Fault(Kind.UNKNOWN_MODEL), ask_for(b"/model/a%2Fb/converse")) == start + "a/b"
    assert text_of(Fault(Kind.UNKNOWN_MODEL)) == start
    assert text_of(Fault(Kind.UNKNOWN_MODEL), ask_for(b"/model/a/b")) == start


def test_a_wrong_member_is_named() -> None:
    """A malformed request says which member is wrong, if that is known."""
    assert text_of(Fault(Kind.MALFORMED, param="messages")).startswith("Malformed input request: #/messages, ")
    assert text_of(Fault(Kind.MALFORMED)).startswith("Malformed input request, ")
    assert text_of(Fault(Kind.MALFORMED, "Given.", param="messages")) == "Given."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a"b\\c\r\nd\x00', 'a"b\\c\r\nd\x00'),
        ("Gr\u00fc\u00dfe \U0001f642", "Gr\u00fc\u00dfe \U0001f642"),
        ("half \ud83d of a pair", "half ? of a pair"),
    ],
)
def test_texts_may_quote_anything(text: str, shown: str) -> None:
    """Text that a client chose is escaped, and what UTF-8 cannot spell is replaced."""
    assert text_of(Fault(Kind.MALFORMED, text)) == shown
    assert text_of(Fault(Kind.UNKNOWN_MODEL, name=text)).endswith(shown)
