"""Paths that clients ask for, and how lanes are asked."""

import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.bedrock import DIALECT
from busbar_fast.dialects.dialect import Refusal, StreamFault
from busbar_fast.dialects.faults import Fault, Kind
from tests.dialects.bedrock.official import client

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
ARN = "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.kiln-v1:0"
RAW_ARN = b"arn%3Aaws%3Abedrock%3Aeu-west-1%3A111122223333%3Ainference-profile%2Feu.kiln-v1%3A0"


def claimed(path: bytes, query: bytes = b"") -> Ask:
    """Return the claim on a path that must be claimed."""
    ask = DIALECT.claim(path, query, {})
    assert ask is not None
    assert ask.dialect is DIALECT
    assert (ask.provider, ask.query, ask.in_array) == (None, b"", False)
    return ask


@pytest.mark.parametrize(
    ("word", "operation", "in_stream"),
    [
        ("converse", Operation.CONVERSE, False),
        ("converse-stream", Operation.CONVERSE, True),
        ("count-tokens", Operation.COUNT_TOKENS, False),
    ],
)
@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"my-pool", "my-pool"),
        (b"kiln.large-v1%3A0", "kiln.large-v1:0"),
        (b"kiln.large-v1:0", "kiln.large-v1:0"),
        (RAW_ARN, ARN),
        (b"a%2Fb", "a/b"),
        (b"a%2fb", "a/b"),
        (b"a%20b", "a b"),
        (b"%2541", "%41"),
        (b"v1", "v1"),
        (b"gr%C3%BC%C3%9Fe", "gr\u00fc\u00dfe"),
    ],
)
def test_the_path_says_operation_and_model(
    word: str, operation: Operation, in_stream: bool, raw: bytes, name: str
) -> None:
    """Bedrock cases 1 and 2: one segment is the model, decoded one time, the next says what is to be done."""
    ask = claimed(b"/model/" + raw + b"/" + word.encode())
    assert (ask.operation, ask.name, ask.in_stream, ask.word) == (operation, name, in_stream, word)


@pytest.mark.parametrize(
    "path",
    [
        b"/model/",
        b"/model/x",
        b"/model/x/",
        b"/model/x/unknown",
        b"/model/x/invoke",
        b"/model/x/invoke-with-response-stream",
        b"/model/x/Converse",
        b"/model/x/converse/",
        b"/model//converse",
        b"/model/a/b/converse",
        b"/model/x/converse%2Dstream",
        b"/model/x/\xff",
        b"/model/%FF/converse",
        b"/model/%C3/converse",
        b"/model/v1/messages/other",
    ],
)
def test_what_is_not_offered_is_claimed_all_the_same(path: bytes) -> None:
    """Bedrock case 4: below our prefix it is ours to refuse, also a model that is no text."""
    ask = claimed(path)
    assert (ask.operation, ask.name) == (Operation.NOTHING, None)


@pytest.mark.parametrize(
    "path",
    [
        b"/model/v1/messages",
        b"/model/x/v1/messages",
        b"/model/v1/messages/count_tokens",
        b"/model",
        b"/models/m:generateContent",
        b"/v1/models",
        b"/v1/chat/completions",
        b"/Model/x/converse",
        b"/%6Dodel/x/converse",
        b"/x/model/y/converse",
        b"/",
    ],
)
def test_what_is_somebody_elses_is_left_alone(path: bytes) -> None:
    """Bedrock case 4: a pool or a provider may be called `model`, and other paths are not ours."""
    assert DIALECT.claim(path, b"", {}) is None


def test_a_query_means_nothing_and_stays_here() -> None:
    """A presigned query is neither a way to sign in nor anything an upstream gets."""
    assert claimed(b"/model/m/converse", b"X-Amz-Signature=abc&X-Amz-Credential=d").name == "m"


@given(st.text(min_size=1, max_size=20))
@PROPERTY
def test_any_name_comes_back(name: str) -> None:
    """Whatever text a name is, escaped as a segment it is read back as the same text."""
    shown = name.encode("utf-8", "replace").decode()
    assert claimed(f"/model/{quote(shown, safe='')}/converse".encode()).name == shown


@pytest.mark.parametrize(
    ("word", "in_stream", "expected"),
    [
        ("converse", False, "converse"),
        ("converse-stream", True, "converse-stream"),
        ("count-tokens", False, "count-tokens"),
    ],
)
def test_the_operation_is_put_into_the_path_of_a_lane(word: str, in_stream: bool, expected: str) -> None:
    """Bedrock case 3: the model stays as it stands there, encoded as one segment."""
    ask = claimed(b"/model/pool/" + word.encode())
    lane = f"/model/{RAW_ARN.decode()}/"
    assert DIALECT.upstream_path(lane + "converse", ask, in_stream=in_stream) == lane + expected


@pytest.mark.parametrize(
    ("path", "in_stream", "expected"),
    [
        ("/own", True, "/own"),
        ("/own?a=/converse", True, "/own?a=/converse"),
        ("/x/converse?a=1", True, "/x/converse-stream?a=1"),
        ("/x/converse-stream?a=1", False, "/x/converse?a=1"),
        ("/x/converse-stream", True, "/x/converse-stream"),
        ("/x/myconverse", True, "/x/myconverse"),
    ],
)
def test_an_operators_path_is_respected(path: str, in_stream: bool, expected: str) -> None:
    """A path with a query of its own keeps it, and one that names no operation is left as it is."""
    assert DIALECT.upstream_path(path, claimed(b"/model/m/converse"), in_stream=in_stream) == expected


@pytest.mark.parametrize(
    ("style", "key", "is_callers", "line"),
    [
        ("", "AKIA1:secret", False, b""),
        ("", "AKIA1:secret:session", False, b""),
        ("", " AKIA1:secret\n", False, b""),
        ("", "bedrock-api-key-1", False, b"Authorization: Bearer bedrock-api-key-1\r\n"),
        ("", " k\n", False, b"Authorization: Bearer k\r\n"),
        ("", "k", True, b"Authorization: Bearer k\r\n"),
        ("", "a:b", True, b"Authorization: Bearer a:b\r\n"),
        ("bearer", "k", False, b"Authorization: Bearer k\r\n"),
        ("bearer", "a:b", False, b"Authorization: Bearer a:b\r\n"),
        ("api-key", "k", False, b"api-key: k\r\n"),
        ("x-api-key", "a:b", False, b"x-api-key: a:b\r\n"),
        ("", "", False, b""),
        ("", " ", True, b""),
        ("bearer", "a\r\nX: y", False, b""),
        ("", "a\x7fb", False, b""),
        ("", "schl\u00fcssel", True, b""),
    ],
)
def test_a_key_is_a_header_line_or_signs(style: str, key: str, is_callers: bool, line: bytes) -> None:
    """Bedrock case 10: a key with a colon signs, one without is sent, and so is what a caller brings."""
    assert DIALECT.credential(style, key, is_callers=is_callers) == line


def test_a_client_is_not_passed_on() -> None:
    """Neither a signature nor what the SDK notes about its attempts reaches the upstream."""
    fields = {b"authorization": b"AWS4-HMAC-SHA256 x", b"amz-sdk-invocation-id": b"i", b"x-amz-date": b"d"}
    assert DIALECT.forwarded_fields(fields, {"region": "eu-west-1"}) == b""


def test_the_upstream_is_told_what_is_accepted() -> None:
    """Frames for a stream, a document otherwise."""
    assert DIALECT.upstream_fields({}, in_stream=True) == b"Accept: application/vnd.amazon.eventstream\r\n"
    assert DIALECT.upstream_fields({}, in_stream=False) == b"Accept: application/json\r\n"


def test_ids_are_random_uuids() -> None:
    """An id minted here is of version 4 and in lower case, like the vendor's."""
    ids = {DIALECT.new_id().decode() for _ in range(200)}
    assert len(ids) == 200
    for made in ids:
        parsed = uuid.UUID(made)
        assert (str(parsed), parsed.version, parsed.variant) == (made, 4, uuid.RFC_4122)


def test_id_and_name_and_time_of_an_error_are_relayed() -> None:
    """Bedrock case 59: clients read each of these headers."""
    assert DIALECT.id_field == b"x-amzn-requestid"
    assert DIALECT.relayed == (b"content-type", b"retry-after", b"x-amz-retry-after", b"x-amzn-errortype")


def test_the_body_is_left_alone_and_signed() -> None:
    """Bedrock cases 1 and 5: a body names no model and gets none, and a pair of keys signs for this service."""
    assert not DIALECT.has_model_in_body
    assert not DIALECT.needs_model_in_body
    assert not DIALECT.has_key_in_query
    assert DIALECT.aws_service == b"bedrock"


def test_the_rest_is_spoken_by_its_modules() -> None:
    """Refusals, lists and taps are reached through the one object."""
    assert DIALECT.encode_fault(Fault(Kind.INTERNAL), None, b"id").status == 500
    assert DIALECT.encode_models([], 0) == b'{"modelSummaries":[]}'
    assert DIALECT.encode_model("m", 0).startswith(b'{"modelDetails":{"modelId":"m"')
    assert DIALECT.new_watch(b"application/json").maybe_usage() is None


def test_the_encoder_is_not_imported_with_the_dialect() -> None:
    """Importing a dialect costs no start-up time for what only answers need."""
    code = "import sys; import busbar_fast.dialects.bedrock; sys.exit('orjson' in sys.modules or 'uuid' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("model", ["my-pool", "kiln.large-v1:0", ARN, "a b/c", "100%41"])
def test_the_official_clients_requests_are_claimed(model: str) -> None:
    """What boto3 asks for is claimed as what its caller meant."""
    asks: list[Ask] = []

    def respond(target: bytes, _fields: dict[bytes, bytes]) -> Refusal:
        path, _, query = target.partition(b"?")
        asks.append(claimed(path, query))
        return DIALECT.encode_fault(Fault(Kind.MALFORMED), asks[-1], DIALECT.new_id())

    runtime = client(respond)
    messages = [{"role": "user", "content": [{"text": "hi"}]}]
    calls: tuple[Callable[[], Any], ...] = (
        lambda: runtime.converse(modelId=model, messages=messages),
        lambda: runtime.converse_stream(modelId=model, messages=messages),
        lambda: runtime.count_tokens(modelId=model, input={"converse": {"messages": messages}}),
        lambda: runtime.invoke_model(modelId=model, body=b"{}"),
    )
    for call in calls:
        with pytest.raises(ClientError):
            call()
    assert [(ask.operation, ask.name, ask.in_stream) for ask in asks] == [
        (Operation.CONVERSE, model, False),
        (Operation.CONVERSE, model, True),
        (Operation.COUNT_TOKENS, model, False),
        (Operation.NOTHING, None, None),
    ]


def test_a_policy_is_told_numbers() -> None:
    """Reliability §11: what a request holds is counted for whoever routes by it."""
    assert DIALECT.request_facts(b'{"messages":[{"role":"user","content":[{"text":"abcd"}]}]}') == (1, 0, 4, 0, None)


def test_failures_are_read_and_told_in_this_dialect() -> None:
    """Reliability §4 and §9: an upstream's refusal becomes a record, and a stream that broke off has an end."""
    error = DIALECT.read_error(429, {b"retry-after": b"3"}, b"", 0.0)
    assert (error.status, error.retry_after_s) == (429, 3)
    ask = DIALECT.claim(b"/model/m/converse-stream", b"", {})
    assert ask is not None
    assert DIALECT.new_ending(ask).encode_break()


def test_fault_of_a_stream_has_its_name_beside_the_document() -> None:
    """Bedrock §7: the frame names the exception, so its document need not."""
    error = DIALECT.read_fault(StreamFault("throttlingException", b'{"message":"Slow down."}'), 0.0)
    assert (error.status, error.type, error.message) == (429, "ThrottlingException", "Slow down.")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/model/amazon.titan-embed-text-v2%3A0/converse", "/model/amazon.titan-embed-text-v2%3A0/invoke"),
        ("/model/us.cohere.embed-v4%3A0/converse-stream?x=1", "/model/us.cohere.embed-v4%3A0/invoke?x=1"),
        ("/model/anthropic.claude-3/converse", ""),
        ("/titan-embed-text/model/m/converse", ""),
        ("/mine/titan-embed-text", ""),
    ],
)
def test_vectors_are_asked_of_models_that_make_them(path: str, place: str) -> None:
    """OpenAI §13: InvokeModel beside Converse, for two families of models; no other lane has a place for it."""
    ask = Ask(DIALECT, Operation.EMBED, word=DIALECT.embed_action)
    assert DIALECT.upstream_path(path, ask, in_stream=False) == place
