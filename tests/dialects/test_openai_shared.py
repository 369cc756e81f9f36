"""What the two dialects of OpenAI share: keys, errors, lists, usage."""

import re

import orjson
import pytest

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.openai_shared import (
    MAX_COUNT,
    OpenAIDialect,
    Words,
    encode_error,
    encode_refusal,
    read_usage,
)
from tests.dialects.bare import bare

DIALECT = bare(OpenAIDialect)
ASK = Ask(DIALECT, Operation.CONVERSE)
WORDS = Words(b"taken", b"given", b"details", (b"hit", b"cached"))


# Keys and header fields.


@pytest.mark.parametrize(
    ("style", "line"),
    [
        ("", b"Authorization: Bearer sk-1\r\n"),
        ("bearer", b"Authorization: Bearer sk-1\r\n"),
        ("api-key", b"api-key: sk-1\r\n"),
        ("x-api-key", b"x-api-key: sk-1\r\n"),
    ],
)
def test_key_is_sent_in_the_style_of_the_provider(style: str, line: bytes) -> None:
    """OpenAI case 60 and config §5: a bearer token unless the provider says otherwise, blanks around it gone."""
    assert DIALECT.credential(style, "sk-1") == line
    assert DIALECT.credential(style, " sk-1\n") == line
    assert DIALECT.credential(style, "sk-1", is_callers=True) == line


@pytest.mark.parametrize("key", ["", "sk\n1", "sk\r\nx: y", "sk\x001", "sk\x7f", "sk\t1", "schl\u00fcssel", "\ud800"])
def test_key_that_cannot_stand_in_a_header_is_not_sent(key: str) -> None:
    """OpenAI case 59 and Responses case 70: no header line at all, and no crash."""
    assert DIALECT.credential("", key) == b""
    assert DIALECT.credential("", key, is_callers=True) == b""


def test_callers_key_is_passed_on_to_the_letter() -> None:
    """Governance §1.2: a caller's token is not trimmed."""
    assert DIALECT.credential("", " sk 1 ", is_callers=True) == b"Authorization: Bearer  sk 1 \r\n"
    assert DIALECT.credential("", "sk-1\n", is_callers=True) == b""
    assert DIALECT.credential("", " ") == b""


def test_fields_say_what_is_accepted_and_nothing_travels_on() -> None:
    """OpenAI §1: Accept follows the stream, and a client's organisation, project and beta fields stay here."""
    assert DIALECT.upstream_fields({}, in_stream=True) == b"Accept: text/event-stream\r\n"
    assert DIALECT.upstream_fields({}, in_stream=False) == b"Accept: application/json\r\n"
    fields = {b"openai-organization": b"o", b"openai-project": b"p", b"openai-beta": b"b", b"accept": b"*/*"}
    assert DIALECT.forwarded_fields(fields, {}) == b""
    assert DIALECT.id_field == b"x-request-id"
    assert re.fullmatch(rb"req_[0-9a-f]{32}", DIALECT.new_id())


@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/v1/responses", "/openai/deployments/d/chat/completions?api-version=2024-10-21", ""],
)
@pytest.mark.parametrize("in_stream", [False, True])
def test_path_of_a_lane_is_the_path(path: str, *, in_stream: bool) -> None:
    """OpenAI §1: the body says what else there is to say, and an operator's path keeps its query."""
    assert DIALECT.upstream_path(path, ASK, in_stream=in_stream) == path


# Lists of models.


def test_each_name_is_a_row_in_order() -> None:
    """OpenAI §13: names keep their order and share the time at which the gateway started."""
    assert orjson.loads(DIALECT.encode_models(["demo", 'odd "name"'], 1_760_000_000)) == {
        "object": "list",
        "data": [
            {"id": "demo", "object": "model", "created": 1_760_000_000, "owned_by": "system"},
            {"id": 'odd "name"', "object": "model", "created": 1_760_000_000, "owned_by": "system"},
        ],
    }
    assert DIALECT.encode_models([], 0) == b'{"object":"list","data":[]}'


def test_one_model_is_a_row_of_the_list() -> None:
    """OpenAI §13: one entry looks as it does in the list."""
    assert DIALECT.encode_model("a", 7) == b'{"id":"a","object":"model","created":7,"owned_by":"system"}'


# Errors.


def test_envelope_has_all_four_members() -> None:
    """OpenAI §10: clients read param and code, so both are there even when they say nothing."""
    assert encode_error("no", "api_error", None, None) == (
        b'{"error":{"message":"no","type":"api_error","param":null,"code":null}}'
    )
    assert encode_error("no", "k", "p", "c") == b'{"error":{"message":"no","type":"k","param":"p","code":"c"}}'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a"b\\c\r\nd\x00', 'a"b\\c\r\nd\x00'),
        ("Gr\u00fc\u00dfe \U0001f642", "Gr\u00fc\u00dfe \U0001f642"),
        ("half \ud83d of a pair", "half ? of a pair"),
        ("\udc00\ud800", "??"),
    ],
)
def test_text_of_a_client_may_be_anything(text: str, shown: str) -> None:
    """Text that a client chose is escaped, and what UTF-8 cannot spell is replaced."""
    error = orjson.loads(encode_error(text, "k", text, None))["error"]
    assert (error["message"], error["param"]) == (shown, shown)
    refusal = encode_refusal(Fault(Kind.UNKNOWN_MODEL, name=text), ASK, b"", "k")
    assert f"`{shown}`" in orjson.loads(refusal.body)["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "name", "ask", "message"),
    [
        (Kind.UNKNOWN_MODEL, "m", ASK, "The model `m` does not exist or you do not have access to it."),
        (Kind.UNKNOWN_MODEL, "", ASK, "The requested model does not exist."),
        (Kind.UNKNOWN_PATH, "GET /x", None, "Invalid URL (GET /x)"),
        (Kind.UNKNOWN_PATH, "", None, "Invalid URL"),
        (Kind.WRONG_METHOD, "PUT", ASK, "Only POST requests are accepted."),
        (Kind.WRONG_METHOD, "", Ask(DIALECT, Operation.LIST_MODELS), "Only GET and HEAD requests are accepted."),
        (Kind.WRONG_METHOD, "PUT", None, "Method not allowed."),
        (Kind.FORBIDDEN, "m", ASK, "You do not have access to the requested model."),
    ],
)
def test_usual_words_name_what_is_wrong(kind: Kind, name: str, ask: Ask | None, message: str) -> None:
    """The vendor repeats names of models and paths; a forbidden one is not repeated, so that all such bodies agree."""
    assert orjson.loads(encode_refusal(Fault(kind, name=name), ask, b"", "k").body)["error"]["message"] == message


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("raw_id", [b"", b"req_1"])
def test_refusal_of_any_kind_is_whole(kind: Kind, raw_id: bytes) -> None:
    """Every kind has a status, its header lines and words that do not tell on a gateway."""
    refusal = encode_refusal(Fault(kind, retry_after_s=3), None, raw_id, "failure")
    assert 400 <= refusal.status <= 504
    lines = refusal.fields.removesuffix(b"\r\n").split(b"\r\n")
    assert lines[0] == b"Content-Type: application/json"
    assert (b"x-request-id: req_1" in lines) is bool(raw_id)
    assert lines[-1] == (b"x-should-retry: false" if kind is Kind.OVER_BUDGET else b"Retry-After: 3")
    error = orjson.loads(refusal.body)["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["message"]
    assert (error["type"] == "failure") is (kind in (Kind.UNREADABLE, Kind.INTERNAL))
    revealing = r"pool|lane|upstream|proxy|gateway|busbar|virtual|governance|translat|overloaded_error|provider"
    assert not re.search(revealing, refusal.body.decode(), re.IGNORECASE)


def test_message_of_the_gateway_comes_before_the_usual_words() -> None:
    """A fault that brings its own text keeps it, and has no Retry-After unless it says when."""
    refusal = encode_refusal(Fault(Kind.UNKNOWN_MODEL, "not here", name="m", param="model"), ASK, b"", "k")
    assert refusal == (
        404,
        b"Content-Type: application/json\r\n",
        b'{"error":{"message":"not here","type":"not_found_error","param":"model","code":"model_not_found"}}',
    )


# Reading a usage value.


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (b'{"taken":31,"given":18}', Usage(31, 18)),
        (b' { "given" : 18 , "taken" : 31 , "total" : 49 } ', Usage(31, 18)),
        (b'{"taken":31}', Usage(31, 0)),
        (b'{"given":18}', Usage(0, 18)),
        (b'{"taken":1,"given":2,"taken":31}', Usage(31, 2)),
        (b'{"taken":0,"given":0}', Usage(0, 0)),
        (b'{"taken":-5,"given":2}', Usage(0, 2)),
        (b'{"taken":null,"given":"2"}', None),
        (b'{"taken":1.5,"given":1e3}', None),
        (b'{"total":5}', None),
        (b'{"hit":5,"details":{"cached_tokens":5}}', None),
        (b"{}", None),
        (b"null", None),
        (b"7", None),
        (b"[]", None),
        (b"", None),
        (b'{"taken":31,"given":18', None),
        (b'{"taken":31 "given":18}', None),
        (b'{"taken":1,"details":%b1%b}' % (b"[" * 200, b"]" * 200), None),
        (b'{"taken":10,"given":1,"details":{"cached_tokens":4,"cache_write_tokens":3}}', Usage(10, 1)),
        (b'{"taken":6,"given":1,"details":{"cached_tokens":4,"cache_write_tokens":3}}', Usage(7, 1)),
        (b'{"taken":6,"given":1,"details":{"cache_write_tokens":9}}', Usage(9, 1)),
        (b'{"taken":6,"given":1,"details":{"cached_tokens":9,"cached_tokens":8}}', Usage(8, 1)),
        (b'{"taken":6,"given":1,"details":null}', Usage(6, 1)),
        (b'{"taken":6,"given":1,"details":7}', Usage(6, 1)),
        (b'{"taken":6,"given":1,"details":{]}', None),
        (b'{"taken":6,"given":1,"details":{"a" 1}}', None),
        (b'{"taken":6,"given":1,"hit":7}', Usage(7, 1)),
        (b'{"taken":6,"given":1,"cached":8,"hit":7}', Usage(7, 1)),
        (b'{"taken":6,"given":1,"cached":8,"hit":null}', Usage(8, 1)),
        (b'{"taken":6,"given":1,"details":{"cached_tokens":2},"hit":9}', Usage(6, 1)),
        (b'{"taken":18446744073709551615,"given":99999999999999999999}', Usage(MAX_COUNT, MAX_COUNT)),
        (b'{"taken":1,"given":%b}' % (b"9" * 5000), Usage(1, MAX_COUNT)),
        (
            b'{"taken":1,"given":2,"details":{"cached_tokens":%b,"cache_write_tokens":9}}' % (b"9" * 30),
            Usage(MAX_COUNT, 2),
        ),
    ],
)
def test_usage_is_read(raw: bytes, usage: Usage | None) -> None:
    """OpenAI case 49 and Responses case 58: nothing underflows, overflows or raises, and an absent part counts zero."""
    assert read_usage(raw, WORDS) == usage
