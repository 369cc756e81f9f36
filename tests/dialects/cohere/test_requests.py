"""Paths, queries, keys and header fields of the v2 chat dialect."""

import subprocess
import sys

import httpx
import orjson
import pytest
from cohere import ClientV2

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.cohere import DIALECT
from busbar_fast.dialects.cohere.watch import StreamWatch
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.watching import DocumentWatch
from busbar_fast.wire.heads import Fields

SDK = {b"x-fern-sdk-name": b"cohere"}


@pytest.mark.parametrize("query", [b"", b"a=1"])
def test_chat_is_claimed(query: bytes) -> None:
    """Cohere case 1: the one path that is served takes name and stream from the body."""
    ask = DIALECT.claim(b"/v2/chat", query, {})
    assert ask is not None
    assert (ask.dialect, ask.operation, ask.name, ask.provider) == (DIALECT, Operation.CONVERSE, None, None)
    assert (ask.in_stream, ask.query) == (None, query)
    assert ask.methods == (b"POST",)


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/chat",
        b"/v1/embed",
        b"/v1/rerank",
        b"/v1/tokenize",
        b"/v1/check-api-key",
        b"/v2/embed/",
        b"/v2/rerank/x",
        b"/v2/embed-jobs",
        b"/v2/chat/",
        b"/v2/chat/x",
        b"/v2/",
        b"/prefix/v2/chat",
    ],
)
def test_the_rest_of_the_api_offers_nothing(path: bytes) -> None:
    """Cohere case 2: other paths of the vendor get their 404 from us."""
    ask = DIALECT.claim(path, b"", {})
    assert ask is not None
    assert (ask.dialect, ask.operation) == (DIALECT, Operation.NOTHING)


@pytest.mark.parametrize("action", ["embed", "rerank"])
def test_other_calls_of_the_vendor(action: str) -> None:
    """Cohere §1: both are asked for beside the chat; an operator's own path has no place for them."""
    ask = DIALECT.claim(b"/v2/" + action.encode(), b"a=1&key=no", {})
    assert ask is not None
    operation = Operation.EMBED if action == DIALECT.embed_action else Operation.OTHER
    assert (ask.operation, ask.action, ask.in_stream) == (operation, action, False)
    assert DIALECT.upstream_path("/v2/chat?b=2", ask, in_stream=False) == f"/v2/{action}?b=2&a=1"
    assert DIALECT.upstream_path("/mine", ask, in_stream=False) == ""


@pytest.mark.parametrize(
    "path",
    [b"/", b"*", b"/v2", b"/v1/chat/completions", b"/v1/models", b"/v1/models/x", b"/v1/embeddings", b"/v1/xv2/chats"],
)
def test_a_foreign_path_is_left_alone(path: bytes) -> None:
    """What other vendors serve is not claimed, nor is the shared list for an unknown client."""
    assert DIALECT.claim(path, b"", {}) is None


@pytest.mark.parametrize(
    ("path", "operation", "name"),
    [
        (b"/v1/models", Operation.LIST_MODELS, None),
        (b"/v1/models/fast", Operation.SHOW_MODEL, "fast"),
        (b"/v1/models/prov%2Fm%3A1", Operation.SHOW_MODEL, "prov/m:1"),
        (b"/v1/models/a%252Fb", Operation.SHOW_MODEL, "a%2Fb"),
        (b"/v1/models/", Operation.NOTHING, None),
        (b"/v1/models/a/b", Operation.NOTHING, None),
        (b"/v1/models/%ff", Operation.NOTHING, None),
    ],
)
def test_the_shared_list_is_ours_for_the_vendors_sdk(path: bytes, operation: Operation, name: str | None) -> None:
    """Cohere case 66: with the fingerprint of the SDK the list of models is answered in its shape."""
    ask = DIALECT.claim(path, b"page_size=20", SDK)
    assert ask is not None
    assert (ask.operation, ask.name, ask.query) == (operation, name, b"")


@pytest.mark.parametrize(
    ("fields", "is_ours"),
    [
        ({b"x-fern-sdk-name": b"cohere"}, True),
        ({b"x-fern-sdk-name": b"Cohere"}, True),
        ({b"user-agent": b"cohere/7.3.1"}, True),
        ({b"user-agent": b"harbour/1 Cohere/7.3.1 (linux)"}, True),
        ({b"x-fern-sdk-name": b"other", b"user-agent": b"cohere/7"}, True),
        ({b"x-fern-sdk-name": b"other"}, False),
        ({b"user-agent": b"incohere/1"}, False),
        ({b"user-agent": b"curl/8"}, False),
        ({b"user-agent": b""}, False),
        ({}, False),
    ],
)
def test_the_fingerprint_is_a_name_or_a_user_agent(fields: Fields, is_ours: bool) -> None:
    """Cohere case 66: either of the two header fields tells the SDK, and nothing that looks alike does."""
    assert (DIALECT.claim(b"/v1/models", b"", fields) is not None) is is_ours


def test_a_path_that_only_begins_like_the_list_is_foreign() -> None:
    """The fingerprint breaks the tie on the shared path and nowhere else."""
    assert DIALECT.claim(b"/v1/modelsx", b"", SDK) is None


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"x=%20", b"x=%20"),
        (b"key=secret", b""),
        (b"a=1&key=secret&b=2", b"a=1&b=2"),
        (b"k%65y=secret", b""),
        (b"key&monkey=1&a=key", b"monkey=1&a=key"),
    ],
)
def test_query_travels_without_credentials(query: bytes, kept: bytes) -> None:
    """A key in the query is not handed on, however it is spelt."""
    ask = DIALECT.claim(b"/v2/chat", query, {})
    assert ask is not None
    assert ask.query == kept


@pytest.mark.parametrize(
    ("own", "query", "path"),
    [
        ("/v2/chat", b"", "/v2/chat"),
        ("/v2/chat", b"a=1", "/v2/chat?a=1"),
        ("/x/chat?v=1", b"", "/x/chat?v=1"),
        ("/x/chat?v=1", b"a=1", "/x/chat?v=1&a=1"),
        ("/x/chat?v=1&b", b"v=2&b=3&c=%20", "/x/chat?v=1&b&c=%20"),
        ("/x/chat?v=1", b"v=2", "/x/chat?v=1"),
    ],
)
def test_the_path_of_a_lane_takes_the_query_along(own: str, query: bytes, path: str) -> None:
    """The operator's path keeps its own query, and its members win over like-named ones of the client."""
    ask = Ask(DIALECT, Operation.CONVERSE, query=query)
    assert [DIALECT.upstream_path(own, ask, in_stream=stream) for stream in (False, True)] == [path, path]


@pytest.mark.parametrize("is_callers", [False, True])
@pytest.mark.parametrize(
    ("style", "key", "line"),
    [
        ("", "co-key", b"Authorization: Bearer co-key"),
        ("bearer", "co-key", b"Authorization: Bearer co-key"),
        ("api-key", "co-key", b"api-key: co-key"),
        ("x-api-key", "co-key", b"x-api-key: co-key"),
        ("", "co\tkey", b"Authorization: Bearer co\tkey"),
    ],
)
def test_a_key_is_carried_by_one_line(style: str, key: str, line: bytes, is_callers: bool) -> None:
    """A key goes out as a bearer token or in the lane's style, the caller's own one too."""
    assert DIALECT.credential(style, key, is_callers=is_callers) == line + b"\r\n"


@pytest.mark.parametrize("style", ["", "bearer", "api-key", "x-api-key"])
@pytest.mark.parametrize("key", ["", " ", "\t", "a\nb", "a\r", "a\0", "a\x7f", "sch\u00f6n", "\ud800"])
def test_a_key_that_no_header_can_hold_is_left_out(style: str, key: str) -> None:
    """No key or an impossible one gives no line, never an empty one."""
    assert DIALECT.credential(style, key) == b""
    assert DIALECT.credential(style, key, is_callers=True) == b""


def test_a_stream_is_accepted_as_one() -> None:
    """The vendor's streams are asked for by name."""
    assert DIALECT.upstream_fields({}, in_stream=True) == b"Accept: text/event-stream\r\n"
    assert DIALECT.upstream_fields({}, in_stream=False) == b"Accept: application/json\r\n"


def test_only_the_clients_name_travels_on() -> None:
    """What the SDK says about itself and its credentials stay here; the name that a user chose goes on."""
    fields = {
        b"authorization": b"Bearer k",
        b"x-fern-language": b"Python",
        b"x-fern-sdk-name": b"cohere",
        b"user-agent": b"cohere/7.3.1",
        b"x-client-name": b"harbour",
    }
    assert DIALECT.forwarded_fields(fields, {}) == b"x-client-name: harbour\r\n"
    assert DIALECT.forwarded_fields({}, {}) == b""


def test_what_of_a_head_is_relayed() -> None:
    """The vendor's answers carry no id that its SDK reads; type and time to wait reach the client."""
    assert DIALECT.id_field == b""
    assert DIALECT.relayed == (b"content-type", b"retry-after")


def test_the_slow_parts_are_reached_through_the_dialect() -> None:
    """Refusals and lists come from their modules."""
    refusal = DIALECT.encode_fault(Fault(Kind.UNAUTHENTICATED), None, b"req_x")
    assert (refusal.status, orjson.loads(refusal.body)) == (401, {"message": "invalid api token"})
    assert orjson.loads(DIALECT.encode_models(["a"], 0))["models"][0]["name"] == "a"
    assert orjson.loads(DIALECT.encode_model("a", 0))["name"] == "a"


def test_the_content_type_chooses_the_tap() -> None:
    """A stream and a document are watched differently."""
    assert isinstance(DIALECT.new_watch(b"text/event-stream"), StreamWatch)
    assert isinstance(DIALECT.new_watch(b"application/json"), DocumentWatch)


def test_importing_the_dialect_leaves_the_json_writer_alone() -> None:
    """Start-up does not pay for orjson."""
    probe = "import sys, busbar_fast.dialects.cohere; sys.exit('orjson' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_the_official_client_is_understood() -> None:
    """Cohere cases 1 and 66: what the SDK sends for a chat and for the list is claimed, whole with its fingerprint."""
    seen: list[Operation] = []

    def respond(request: httpx.Request) -> httpx.Response:
        path, _, query = request.url.raw_path.partition(b"?")
        ask = DIALECT.claim(path, query, {name.lower(): value for name, value in request.headers.raw})
        assert ask is not None
        seen.append(ask.operation)
        return httpx.Response(200, json={"models": [], "message": {"role": "assistant", "content": []}})

    with httpx.Client(transport=httpx.MockTransport(respond)) as http:
        client = ClientV2(api_key="k", base_url="http://x", httpx_client=http, client_name="harbour")
        client.chat(model="m", messages=[])
        client.models.list()
    assert seen == [Operation.CONVERSE, Operation.LIST_MODELS]


def test_a_policy_is_told_numbers() -> None:
    """Reliability §11: what a request holds is counted for whoever routes by it."""
    assert DIALECT.request_facts(b'{"messages":[{"role":"user","content":"abcd"}],"tools":[{}]}') == (1, 1, 4, 0, None)


def test_failures_are_read_and_told_in_this_dialect() -> None:
    """Reliability §4 and §9: an upstream's refusal becomes a record, and a stream that broke off has an end."""
    error = DIALECT.read_error(429, {b"retry-after": b"3"}, b"", 0.0)
    assert (error.status, error.retry_after_s) == (429, 3)
    ask = DIALECT.claim(b"/v2/chat", b"", {})
    assert ask is not None
    assert DIALECT.new_ending(ask).encode_break()
