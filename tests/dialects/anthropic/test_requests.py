"""Paths, queries, keys and header fields of the Messages dialect."""

import re
import subprocess
import sys

import httpx2
import orjson
import pytest
from anthropic import Anthropic

from busbar_fast.dialects.anthropic import DIALECT
from busbar_fast.dialects.anthropic.watch import StreamWatch
from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.registry import DIALECTS
from busbar_fast.dialects.watching import DocumentWatch

OPTIONS: dict[str, str | bool] = {"anthropic_version": "2023-06-01"}


def claimed(path: bytes, query: bytes = b"", **fields: bytes) -> Ask:
    """Return what a path asks for, which must be ours."""
    ask = DIALECT.claim(path, query, {name.replace("_", "-").encode(): value for name, value in fields.items()})
    assert ask is not None
    assert ask.dialect is DIALECT
    return ask


@pytest.mark.parametrize(
    ("path", "operation", "provider", "name"),
    [
        (b"/v1/messages", Operation.CONVERSE, None, None),
        (b"/fast/v1/messages", Operation.CONVERSE, None, "fast"),
        (b"/prov/model-1/v1/messages", Operation.CONVERSE, "prov", "model-1"),
        (b"/v1/messages/count_tokens", Operation.COUNT_TOKENS, None, None),
        (b"/fast/v1/messages/count_tokens", Operation.COUNT_TOKENS, None, "fast"),
        (b"/prov/model-1/v1/messages/count_tokens", Operation.COUNT_TOKENS, "prov", "model-1"),
        (b"/adminx/v1/messages", Operation.CONVERSE, None, "adminx"),
        (b"/%61dmin/v1/messages", Operation.CONVERSE, None, "admin"),
        (b"/prov%2Fmodel/v1/messages", Operation.CONVERSE, None, "prov/model"),
        (b"/p%20q/m%3A1/v1/messages", Operation.CONVERSE, "p q", "m:1"),
        (b"/a%252Fb/v1/messages", Operation.CONVERSE, None, "a%2Fb"),
        (b"/m%C3%BCnze/v1/messages", Operation.CONVERSE, None, "m\u00fcnze"),
        (b"/a+b/v1/messages", Operation.CONVERSE, None, "a+b"),
        (b"/%zz/v1/messages", Operation.CONVERSE, None, "%zz"),
    ],
)
def test_a_served_path_is_claimed(path: bytes, operation: Operation, provider: str | None, name: str | None) -> None:
    """Anthropic cases 1 and 3: each route says where the name is, and a segment is decoded once."""
    ask = claimed(path)
    assert (ask.operation, ask.provider, ask.name) == (operation, provider, name)
    assert ask.methods == (b"POST",)
    assert ask.in_stream is (None if operation is Operation.CONVERSE else False)


@pytest.mark.parametrize(
    "path",
    [
        b"/a/b/c/v1/messages",
        b"//v1/messages",
        b"/a//v1/messages",
        b"//a/v1/messages",
        b"/%ff/v1/messages",
        b"/a/%ed%a0%80/v1/messages",
        b"/v1/messages/",
        b"/v1/messages/batches",
        b"/v1/messages/batches/msgbatch_1/results",
        b"/fast/v1/messages/batches",
        b"/a/b/c/v1/messages/count_tokens",
        b"/v1/messages/count_tokens/",
    ],
)
def test_other_paths_of_the_family_offer_nothing(path: bytes) -> None:
    """Anthropic cases 2 and 58: a path that is ours but means nothing gets its 404 from us."""
    assert claimed(path).operation is Operation.NOTHING


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"*",
        b"/v1/messagesx",
        b"/v1/message",
        b"/xv1/messages",
        b"/v1/threads/t_1/messages",
        b"/v1/models",
        b"/v1/models/x",
        b"/V1/messages",
        b"/v1/m%65ssages",
    ],
)
def test_a_foreign_path_is_left_alone(path: bytes) -> None:
    """Whatever neither ends in our route nor goes on behind it is somebody else's, and only segments are decoded."""
    assert DIALECT.claim(path, b"", {}) is None


@pytest.mark.parametrize(
    ("path", "operation", "name"),
    [
        (b"/v1/models", Operation.LIST_MODELS, None),
        (b"/v1/models/fast", Operation.SHOW_MODEL, "fast"),
        (b"/v1/models/prov%2Fmodel", Operation.SHOW_MODEL, "prov/model"),
        (b"/v1/models/", Operation.NOTHING, None),
        (b"/v1/models/a/b", Operation.NOTHING, None),
        (b"/v1/models/%ff", Operation.NOTHING, None),
    ],
)
def test_the_shared_list_is_ours_for_a_client_that_names_a_version(
    path: bytes, operation: Operation, name: str | None
) -> None:
    """On the path that vendors share, the version of our API tells whose client asks."""
    ask = claimed(path, b"limit=20", anthropic_version=b"2023-06-01")
    assert (ask.operation, ask.name, ask.query) == (operation, name, b"")


def test_a_path_that_only_begins_like_the_list_is_foreign() -> None:
    """The version breaks the tie on the shared path and nowhere else."""
    assert DIALECT.claim(b"/v1/modelsx", b"", {b"anthropic-version": b"2023-06-01"}) is None


@pytest.mark.parametrize("path", [b"/v1/messages", b"/fast/v1/messages", b"/p/m/v1/messages/count_tokens"])
@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", b""),
        (b"beta=true", b"beta=true"),
        (b"key=secret", b""),
        (b"beta=true&key=secret&x=%20", b"beta=true&x=%20"),
        (b"k%65y=secret&beta=true", b"beta=true"),
        (b"key&monkey=1&a=key", b"monkey=1&a=key"),
        (b"key=a&key=b", b""),
    ],
)
def test_query_travels_without_credentials(path: bytes, query: bytes, kept: bytes) -> None:
    """Anthropic case 3: `?beta=true` is accepted on every route and goes on; a key never does."""
    assert claimed(path, query).query == kept


@pytest.mark.parametrize(
    ("own", "operation", "query", "path"),
    [
        ("/v1/messages", Operation.CONVERSE, b"", "/v1/messages"),
        ("/v1/messages", Operation.CONVERSE, b"beta=true", "/v1/messages?beta=true"),
        ("/v1/messages", Operation.COUNT_TOKENS, b"beta=true", "/v1/messages/count_tokens?beta=true"),
        ("/x/messages?v=1", Operation.CONVERSE, b"", "/x/messages?v=1"),
        ("/x/messages?v=1", Operation.CONVERSE, b"beta=true", "/x/messages?v=1&beta=true"),
        ("/x/messages?v=1&beta", Operation.CONVERSE, b"v=2&beta=true&z=%20", "/x/messages?v=1&beta&z=%20"),
        ("/x/messages?v=1", Operation.COUNT_TOKENS, b"v=2", "/x/messages/count_tokens?v=1"),
    ],
)
def test_the_path_of_a_lane_takes_the_query_along(own: str, operation: Operation, query: bytes, path: str) -> None:
    """The operator's path keeps its own query, and its members win over like-named ones of the client."""
    ask = Ask(DIALECT, operation, query=query)
    assert [DIALECT.upstream_path(own, ask, in_stream=stream) for stream in (False, True)] == [path, path]


@pytest.mark.parametrize(
    ("key", "own_line", "callers_line"),
    [
        ("sk-ant-api03-x", b"x-api-key: sk-ant-api03-x", b"x-api-key: sk-ant-api03-x"),
        (" \t sk-ant-api03-x", b"x-api-key: sk-ant-api03-x", b"x-api-key: sk-ant-api03-x"),
        ("sk-ant-oat01-x", b"Authorization: Bearer sk-ant-oat01-x", b"Authorization: Bearer sk-ant-oat01-x"),
        ("  sk-ant-oat01-x", b"Authorization: Bearer   sk-ant-oat01-x", b"Authorization: Bearer   sk-ant-oat01-x"),
        ("other", b"x-api-key: other", b"Authorization: Bearer other"),
        (" other ", b"x-api-key:  other ", b"Authorization: Bearer  other "),
        ("SK-ANT-API", b"x-api-key: SK-ANT-API", b"Authorization: Bearer SK-ANT-API"),
        ("o\tther", b"x-api-key: o\tther", b"Authorization: Bearer o\tther"),
    ],
)
def test_a_key_is_carried_by_one_line(key: str, own_line: bytes, callers_line: bytes) -> None:
    """Anthropic cases 7 and 8: the beginning of a key decides, else whose it is; only API keys lose their blanks."""
    assert DIALECT.credential("", key) == own_line + b"\r\n"
    assert DIALECT.credential("", key, is_callers=True) == callers_line + b"\r\n"


@pytest.mark.parametrize("is_callers", [False, True])
@pytest.mark.parametrize(
    ("style", "key", "line"),
    [
        ("bearer", "other", b"Authorization: Bearer other"),
        ("bearer", " sk-ant-api03-x", b"Authorization: Bearer sk-ant-api03-x"),
        ("x-api-key", "other", b"x-api-key: other"),
        ("x-api-key", "sk-ant-oat01-x", b"x-api-key: sk-ant-oat01-x"),
        ("api-key", "other", b"api-key: other"),
    ],
)
def test_a_style_that_is_asked_for_wins(style: str, key: str, line: bytes, is_callers: bool) -> None:
    """Compatible hosts differ, so the operator's word stands above what the key looks like."""
    assert DIALECT.credential(style, key, is_callers=is_callers) == line + b"\r\n"


@pytest.mark.parametrize("style", ["", "bearer", "api-key", "x-api-key"])
@pytest.mark.parametrize(
    "key", ["", " ", "\t", "a\nb", "a\r", "a\0", "a\x7f", "sch\u00f6n", "\ud800", "sk-ant-api03\n"]
)
def test_a_key_that_no_header_can_hold_is_left_out(style: str, key: str) -> None:
    """Anthropic cases 8 and 9: no key or an impossible one gives no line, never an empty one."""
    assert DIALECT.credential(style, key) == b""
    assert DIALECT.credential(style, key, is_callers=True) == b""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("sk-ant-oat01-x", b"anthropic-beta: oauth-2025-04-20\r\n"),
        (" sk-ant-oat01-x", b"anthropic-beta: oauth-2025-04-20\r\n"),
        ("sk-ant-api03-x", b""),
        ("", b""),
    ],
)
def test_an_oauth_token_brings_its_beta(key: str, line: bytes) -> None:
    """The vendor takes OAuth tokens only from those who name the beta."""
    assert DIALECT.needed_betas(key) == line


def test_every_request_accepts_json() -> None:
    """The vendor's SDK asks for JSON even when it streams."""
    assert DIALECT.upstream_fields(OPTIONS, in_stream=True) == b"Accept: application/json\r\n"
    assert DIALECT.upstream_fields(OPTIONS, in_stream=False) == b"Accept: application/json\r\n"


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, b"anthropic-version: 2023-06-01\r\n"),
        ({b"anthropic-version": b""}, b"anthropic-version: 2023-06-01\r\n"),
        (
            {b"anthropic-version": b"2026-10-21", b"anthropic-beta": b"a-1, b-2"},
            b"anthropic-version: 2026-10-21\r\nanthropic-beta: a-1, b-2\r\n",
        ),
        (
            {b"anthropic-workspace-id": b"w", b"anthropic-user-profile-id": b"u", b"anthropic-other": b"x"},
            b"anthropic-version: 2023-06-01\r\nanthropic-user-profile-id: u\r\nanthropic-workspace-id: w\r\n",
        ),
        (
            {b"x-stainless-lang": b"python", b"cookie": b"c", b"x-api-key": b"k", b"authorization": b"Bearer k"},
            b"anthropic-version: 2023-06-01\r\n",
        ),
    ],
)
def test_the_client_keeps_its_version_and_betas(fields: dict[bytes, bytes], lines: bytes) -> None:
    """Anthropic case 5: version and betas reach a lane unchanged, the provider's version stands in, no more travels."""
    assert DIALECT.forwarded_fields(fields, OPTIONS) == lines


def test_version_of_the_provider_can_be_chosen() -> None:
    """Anthropic case 6: without a version of the client's own the configured one is sent."""
    assert DIALECT.forwarded_fields({}, {"anthropic_version": "2026-10-21"}) == b"anthropic-version: 2026-10-21\r\n"


@pytest.mark.parametrize("fields", [{}, {b"anthropic-version": b""}])
def test_a_lane_without_options_has_the_version_of_the_manual(fields: dict[bytes, bytes]) -> None:
    """Config §14 X8: the default of `anthropic_version` stands in one place, for lanes without a provider as well."""
    default = DIALECTS["anthropic"].provider_options["anthropic_version"]
    assert DIALECT.forwarded_fields(fields, {}) == b"anthropic-version: %b\r\n" % str(default).encode()


def test_what_of_a_head_is_relayed() -> None:
    """Anthropic cases 61 and 65: hints about retries and rate limits reach the client; cookies and servers do not."""
    assert DIALECT.id_field == b"request-id"
    assert {b"content-type", b"retry-after", b"retry-after-ms", b"x-should-retry"} < set(DIALECT.relayed)
    assert DIALECT.says_when_at_any_status
    assert b"anthropic-ratelimit-input-tokens-remaining" in DIALECT.relayed
    assert not {b"set-cookie", b"server", b"request-id", b"anthropic-organization-id"} & set(DIALECT.relayed)


def test_ids_are_like_the_vendors() -> None:
    """Anthropic case 36: prefix, `01`, 22 characters of base58, each id new and every character about as frequent."""
    ids = [DIALECT.new_id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(rb"req_01[1-9A-HJ-NP-Za-km-z]{22}", one) for one in ids)
    letters = b"".join(one[6:] for one in ids)
    expected = len(letters) / 58
    # About eight standard deviations: no run of this test will ever meet them by chance.
    assert all(abs(letters.count(letter) - expected) < 500 for letter in set(letters))
    assert len(set(letters)) == 58


def test_the_slow_parts_are_reached_through_the_dialect() -> None:
    """Refusals and lists come from their modules."""
    refusal = DIALECT.encode_fault(Fault(Kind.UNAUTHENTICATED), None, b"req_01x")
    assert (refusal.status, orjson.loads(refusal.body)["request_id"]) == (401, "req_01x")
    assert orjson.loads(DIALECT.encode_models(["a"], 0))["first_id"] == "a"
    assert orjson.loads(DIALECT.encode_model("a", 0))["id"] == "a"


def test_the_content_type_chooses_the_tap() -> None:
    """A stream and a document are watched differently."""
    assert isinstance(DIALECT.new_watch(b"text/event-stream"), StreamWatch)
    assert isinstance(DIALECT.new_watch(b"application/json"), DocumentWatch)


def test_importing_the_dialect_leaves_the_json_writer_alone() -> None:
    """Start-up does not pay for orjson."""
    probe = "import sys, busbar_fast.dialects.anthropic; sys.exit('orjson' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


@pytest.mark.parametrize("base", ["http://x", "http://x/fast", "http://x/prov/model"])
def test_the_official_client_is_understood(base: str) -> None:
    """Anthropic cases 3 and 5: what the SDK sends, plain and beta, is claimed, and its version and betas go on."""
    seen: list[httpx2.Request] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"input_tokens": 3})

    http = httpx2.Client(transport=httpx2.MockTransport(respond))
    client = Anthropic(api_key="k", base_url=base, http_client=http, max_retries=0)
    client.messages.count_tokens(model="m", messages=[])
    client.beta.messages.count_tokens(model="m", messages=[], betas=["one", "two"])
    assert len(seen) == 2
    for request in seen:
        path, _, query = request.url.raw_path.partition(b"?")
        ask = claimed(path, query)
        assert ask.operation is Operation.COUNT_TOKENS
        assert [ask.provider, ask.name] == {0: [None, None], 1: [None, "fast"], 2: ["prov", "model"]}[
            base.count("/") - 2
        ]
        assert ask.query == query
    lines = DIALECT.forwarded_fields({name.lower(): value for name, value in seen[1].headers.raw}, OPTIONS)
    assert lines.startswith(b"anthropic-version: " + seen[1].headers["anthropic-version"].encode())
    assert b"one" in lines
    assert b"two" in lines


def test_a_policy_is_told_numbers() -> None:
    """Reliability §11: what a request holds is counted for whoever routes by it."""
    assert DIALECT.request_facts(b'{"system":"ab","messages":[{"role":"user","content":"abcd"}],"max_tokens":9}') == (
        1,
        0,
        6,
        2,
        9,
    )


def test_failures_are_read_and_told_in_this_dialect() -> None:
    """Reliability §4 and §9: an upstream's refusal becomes a record, and a stream that broke off has an end."""
    error = DIALECT.read_error(429, {b"retry-after": b"3"}, b"", 0.0)
    assert (error.status, error.retry_after_s) == (429, 3)
    ask = DIALECT.claim(b"/v1/messages", b"", {})
    assert ask is not None
    assert DIALECT.new_ending(ask).encode_break()
