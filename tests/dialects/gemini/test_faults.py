"""Refusals in Gemini's words."""

import re
from functools import partial
from typing import Any

import orjson
import pytest
from google.genai import errors

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import JSON
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.gemini import DIALECT
from busbar_fast.dialects.gemini.faults import encode_error, encode_fault
from tests.dialects.gemini.official import client, refused

BAD_KEY = (
    b'{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT",'
    b'"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID",'
    b'"domain":"googleapis.com","metadata":{"service":"generativelanguage.googleapis.com"}}]}}'
)
TABLE = [
    (Kind.MALFORMED, 400, "INVALID_ARGUMENT"),
    (Kind.UNAUTHENTICATED, 400, "INVALID_ARGUMENT"),
    (Kind.FORBIDDEN, 403, "PERMISSION_DENIED"),
    (Kind.UNKNOWN_MODEL, 404, "NOT_FOUND"),
    (Kind.UNKNOWN_PATH, 404, "NOT_FOUND"),
    (Kind.WRONG_METHOD, 405, "INVALID_ARGUMENT"),
    (Kind.TOO_LARGE, 413, "INVALID_ARGUMENT"),
    (Kind.RATE_LIMITED, 429, "RESOURCE_EXHAUSTED"),
    (Kind.OVER_BUDGET, 429, "RESOURCE_EXHAUSTED"),
    (Kind.OVERLOADED, 503, "UNAVAILABLE"),
    (Kind.TIMED_OUT, 504, "DEADLINE_EXCEEDED"),
    (Kind.UNREADABLE, 502, "INTERNAL"),
    (Kind.INTERNAL, 500, "INTERNAL"),
    (Kind.TOO_LONG, 400, "INVALID_ARGUMENT"),
]
TELLTALE = re.compile(r"pool|lane|upstream|proxy|gateway|busbar|virtual|governance|translat", re.IGNORECASE)
SEE = "Call ListModels to see the list of available models and their supported methods."


def ask_for(target: bytes) -> Ask:
    """Return the claim on a target."""
    path, _, query = target.partition(b"?")
    ask = DIALECT.claim(path, query, {})
    assert ask is not None
    return ask


def error_of(fault: Fault, ask: Ask | None = None) -> dict[str, Any]:
    """Return the error that a fault becomes, its form checked."""
    refusal = encode_fault(fault, ask)
    document = orjson.loads(refusal.body)
    assert list(document) == ["error"]
    error: dict[str, Any] = document["error"]
    assert error["code"] == refusal.status
    return error


def test_every_kind_is_in_the_table() -> None:
    """No kind of fault is without a shape."""
    assert {kind for kind, _, _ in TABLE} == set(Kind)


@pytest.mark.parametrize(("kind", "status", "name"), TABLE)
def test_kind_has_its_status_and_name(kind: Kind, status: int, name: str) -> None:
    """Gemini case 59 and the table of section 14: code, status and name always agree."""
    error = error_of(Fault(kind))
    assert (error["code"], error["status"]) == (status, name)
    assert error["message"]
    assert not TELLTALE.search(error["message"])


@pytest.mark.parametrize(("kind", "status", "name"), TABLE)
@pytest.mark.parametrize("in_stream", [False, True])
def test_the_official_client_raises_its_own_exception(kind: Kind, status: int, name: str, in_stream: bool) -> None:
    """The SDK shows class, code, name and text of every refusal, whole or before a stream."""
    ask = ask_for(b"/v1/models/m:streamGenerateContent" if in_stream else b"/v1/models/m:generateContent")
    models = client(lambda _: refused(encode_fault(Fault(kind, "No luck."), ask))).models
    ask_whole = partial(models.generate_content, model="m", contents="hi")
    call = (lambda: list(models.generate_content_stream(model="m", contents="hi"))) if in_stream else ask_whole
    with pytest.raises(errors.ServerError if status >= 500 else errors.ClientError) as caught:
        call()
    assert (caught.value.code, caught.value.status, caught.value.message) == (status, name, "No luck.")


def test_a_bad_key_is_the_vendors_document() -> None:
    """Gemini case 10: status 400, and the reason in the details, byte for byte."""
    assert encode_fault(Fault(Kind.UNAUTHENTICATED), None) == (400, JSON, BAD_KEY)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.UNAUTHENTICATED, Kind.RATE_LIMITED)])
def test_other_errors_have_no_details(kind: Kind) -> None:
    """Gemini case 11: only a bad key and a limit say more."""
    assert list(error_of(Fault(kind, retry_after_s=5))) == ["code", "message", "status"]


def test_a_limit_says_when_to_come_back() -> None:
    """Gemini case 58: a rate limit says it twice, a spent budget never."""
    limited = encode_fault(Fault(Kind.RATE_LIMITED, retry_after_s=7), None)
    assert limited.fields == JSON + b"Retry-After: 7\r\n"
    (detail,) = orjson.loads(limited.body)["error"]["details"]
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    unknown = encode_fault(Fault(Kind.RATE_LIMITED), None)
    assert unknown.fields == JSON
    assert "details" not in orjson.loads(unknown.body)["error"]
    assert encode_fault(Fault(Kind.OVER_BUDGET, retry_after_s=7), None).fields == JSON


@pytest.mark.parametrize(("given_s", "shown"), [(None, b"1"), (0, b"1"), (1, b"1"), (30, b"30")])
def test_overload_always_says_when_to_come_back(given_s: int | None, shown: bytes) -> None:
    """A refusal for want of room names a second at least."""
    refusal = encode_fault(Fault(Kind.OVERLOADED, retry_after_s=given_s), None)
    assert refusal.fields == JSON + b"Retry-After: " + shown + b"\r\n"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (
            b"/v1/models/a%20b:generateContent",
            f"models/a b is not found for API version v1, or is not supported for generateContent. {SEE}",
        ),
        (b"/v1beta/models/m", f"models/m is not found for API version v1beta. {SEE}"),
        (
            b"/models/m:generateContent",
            f"models/m is not found for API version v1beta, or is not supported for generateContent. {SEE}",
        ),
        (
            b"/v1/models/m:embedContent",
            f"models/m is not found for API version v1, or is not supported for embedContent. {SEE}",
        ),
    ],
)
def test_what_is_unknown_is_named(target: bytes, text: str) -> None:
    """Gemini cases 6 and 7: model, version of the path and action stand in the text."""
    assert error_of(Fault(Kind.UNKNOWN_MODEL), ask_for(target))["message"] == text
    assert error_of(Fault(Kind.UNKNOWN_PATH), ask_for(target))["message"] == text


def test_the_faults_own_name_comes_first() -> None:
    """Who refuses knows best what was not found; without a claim the usual version is named."""
    message = error_of(Fault(Kind.UNKNOWN_MODEL, name="x"), ask_for(b"/v1/models/m:generateContent"))["message"]
    assert message.startswith("models/x is not found for API version v1, ")
    assert error_of(Fault(Kind.UNKNOWN_MODEL, name="x"))["message"].startswith("models/x is not found for API version")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "Requested entity was not found."),
        ("/v1beta/files", "The requested URL /v1beta/files was not found on this server."),
        ("POST /v1beta/files", "The requested URL /v1beta/files was not found on this server."),
        ("/v1beta/files?key=tok", "The requested URL /v1beta/files was not found on this server."),
    ],
)
def test_an_unknown_path_is_named_without_method_and_query(name: str, text: str) -> None:
    """Gemini case 8: what may hold a key is not repeated."""
    for ask in (None, ask_for(b"/v1beta/files")):
        assert error_of(Fault(Kind.UNKNOWN_PATH, name=name), ask)["message"] == text


def test_an_undecodable_name_is_not_shown() -> None:
    """A name that is no text is left out."""
    message = error_of(Fault(Kind.UNKNOWN_PATH), ask_for(b"/v1/models/%FF:generateContent"))["message"]
    assert message.startswith("models/ is not found for API version v1, or is not supported for generateContent.")


@pytest.mark.parametrize("raw", ["m", "m:tuneModel"])
def test_a_model_without_an_action_is_not_found_by_other_methods(raw: str) -> None:
    """Gemini case 6: a POST without a known action is a 404 of the vendor, not a matter of methods."""
    ask = ask_for(f"/v1beta/models/{raw}".encode())
    assert ask.operation is Operation.SHOW_MODEL
    error = error_of(Fault(Kind.WRONG_METHOD, "Use GET."), ask)
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["message"] == f"models/{raw} is not found for API version v1beta. {SEE}"


def test_a_wrong_method_elsewhere_is_told() -> None:
    """A known operation by another method is a 405."""
    assert error_of(Fault(Kind.WRONG_METHOD), ask_for(b"/v1beta/models"))["code"] == 405
    assert error_of(Fault(Kind.WRONG_METHOD), ask_for(b"/v1/models/m:generateContent"))["code"] == 405


def test_a_wrong_member_is_named() -> None:
    """A malformed request says which member is wrong, if that is known."""
    assert error_of(Fault(Kind.MALFORMED, param="contents"))["message"] == "Invalid value at 'contents'."
    assert error_of(Fault(Kind.FORBIDDEN, param="contents"))["message"] == "The caller does not have permission"
    assert error_of(Fault(Kind.MALFORMED, "Given.", param="contents"))["message"] == "Given."


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
    assert error_of(Fault(Kind.MALFORMED, text))["message"] == shown
    assert shown in error_of(Fault(Kind.UNKNOWN_MODEL, name=text))["message"]


def test_who_asked_for_an_array_gets_one() -> None:
    """A refusal before the first byte of an array is an array of one element."""
    in_array = ask_for(b"/v1/models/m:streamGenerateContent")
    in_events = ask_for(b"/v1/models/m:streamGenerateContent?alt=sse")
    fault = Fault(Kind.OVERLOADED)
    assert encode_fault(fault, in_array).body == b"[%b]" % encode_fault(fault, in_events).body
    assert encode_fault(fault, in_events).body == encode_error(fault)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_official_client_reads_an_error_inside_a_stream(kind: Kind) -> None:
    """Gemini case 56: in a frame the error stands first and its code is a number, so the SDK raises."""
    frame = b"data: %b\r\n\r\n" % encode_error(Fault(kind, "No luck."))
    refusal = encode_fault(Fault(kind), None)._replace(status=200, body=frame)
    with pytest.raises(errors.APIError) as caught:
        list(client(lambda _: refused(refusal)).models.generate_content_stream(model="m", contents="hi"))
    assert caught.value.message == "No luck."
    assert isinstance(caught.value.code, int)
