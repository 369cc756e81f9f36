"""Routes of the Responses dialect."""

import subprocess
import sys

import openai
import orjson
import pytest

from busbar_fast.dialects.asks import Operation
from busbar_fast.dialects.dialect import JSON, Refusal, Usage
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.openai_responses import DIALECT
from tests.dialects.openai_chat.official import Wire

ANSWER = Refusal(
    200,
    JSON,
    b'{"id":"resp_1","object":"response","created_at":1,"model":"m","status":"completed","parallel_tool_calls":true,'
    b'"tool_choice":"auto","tools":[],"output":[]}',
)
BASE_URLS = ["http://host/v1", "http://host"]


@pytest.mark.parametrize("path", [b"/v1/responses", b"/responses"])
def test_conversation_is_claimed(path: bytes) -> None:
    """Responses §1: one route with and without the version, the name in the body and nothing of the query."""
    ask = DIALECT.claim(path, b"include=x", {b"authorization": b"Bearer k"})
    assert ask is not None
    assert ask is DIALECT.claim(path, b"", {})
    assert (ask.dialect, ask.operation, ask.methods) == (DIALECT, Operation.CONVERSE, (b"POST",))
    assert (ask.name, ask.provider, ask.in_stream, ask.in_array, ask.query) == (None, None, None, False, b"")


@pytest.mark.parametrize("start", [b"/v1/responses/", b"/responses/"])
@pytest.mark.parametrize(
    "rest", [b"", b"x", b"resp_1/cancel", b"resp_1/input_items", b"input_tokens", b"compact", b"%FF"]
)
def test_kept_answers_are_not_offered(start: bytes, rest: bytes) -> None:
    """Responses §1: no other route of the vendor is served, and each is refused in this dialect."""
    ask = DIALECT.claim(start + rest, b"", {})
    assert ask is not None
    assert (ask.dialect, ask.operation) == (DIALECT, Operation.NOTHING)


@pytest.mark.parametrize(
    "path", [b"", b"/", b"/v1/responsesx", b"/v1/Responses", b"/v1/chat/completions", b"/v1/models", b"/v2/responses"]
)
def test_other_path_is_not_claimed(path: bytes) -> None:
    """Responses §15: everything else belongs to others."""
    assert DIALECT.claim(path, b"", {}) is None


@pytest.mark.parametrize("base_url", BASE_URLS)
def test_client_reaches_the_route(base_url: str) -> None:
    """Responses case 1: the unmodified client posts to a path of ours, whether its base URL has the version or not."""
    wire = Wire(ANSWER, base_url=base_url)
    assert wire.client.responses.create(model="m", input="hi").id == "resp_1"
    ask = DIALECT.claim(wire.paths[0], b"", {})
    assert ask is not None
    assert ask.operation is Operation.CONVERSE


@pytest.mark.parametrize("base_url", BASE_URLS)
def test_client_finds_no_kept_answer(base_url: str) -> None:
    """Responses case 1: fetching an answer is a 404 in this envelope."""
    refusal = DIALECT.encode_fault(Fault(Kind.UNKNOWN_PATH, name="GET /v1/responses/resp_1"), None, b"req_1")
    wire = Wire(refusal, base_url=base_url)
    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(GET /v1/responses/resp_1\)"):
        wire.client.responses.retrieve("resp_1")
    ask = DIALECT.claim(wire.paths[0], b"", {})
    assert ask is not None
    assert ask.operation is Operation.NOTHING


def test_wrong_method_names_the_right_one() -> None:
    """Responses case 1: a wrong method is a 405 in this envelope."""
    refusal = DIALECT.encode_fault(Fault(Kind.WRONG_METHOD), DIALECT.claim(b"/v1/responses", b"", {}), b"req_1")
    assert refusal.status == 405
    assert orjson.loads(refusal.body)["error"]["message"] == "Only POST requests are accepted."


def test_taps_are_those_of_the_dialect() -> None:
    """The dialect hands on to its modules."""
    watch = DIALECT.new_watch(b"application/json")
    watch.feed(b'{"usage":{"input_tokens":1,"output_tokens":2}}')
    assert watch.maybe_usage() == Usage(1, 2)


def test_loading_the_dialect_loads_no_encoder() -> None:
    """A start does not wait for orjson."""
    code = "import sys, busbar_fast.dialects.openai_responses as own; own.DIALECT; sys.exit('orjson' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_policy_is_told_numbers() -> None:
    """Reliability §11: what a request holds is counted for whoever routes by it."""
    assert DIALECT.request_facts(b'{"input":"abcd","instructions":"ab"}') == (1, 0, 6, 2, None)


def test_failures_are_read_and_told_in_this_dialect() -> None:
    """Reliability §4 and §9: an upstream's refusal becomes a record, and a stream that broke off has an end."""
    error = DIALECT.read_error(429, {b"retry-after": b"3"}, b"", 0.0)
    assert (error.status, error.retry_after_s) == (429, 3)
    ask = DIALECT.claim(b"/v1/responses", b"", {})
    assert ask is not None
    assert DIALECT.new_ending(ask).encode_break()
