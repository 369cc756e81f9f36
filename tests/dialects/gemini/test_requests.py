"""Paths and queries that clients ask for, and how lanes are asked."""

import subprocess
import sys
from typing import NamedTuple

import httpx
import pytest
from google.genai import errors
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.gemini import DIALECT
from busbar_fast.wire.heads import Fields
from tests.dialects.bare import bare
from tests.dialects.gemini.official import client

KEYED: Fields = {b"x-goog-api-key": b"k"}
PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)


class Seen(NamedTuple):
    """What a claim says, to be compared as a whole."""

    operation: Operation
    name: str | None
    in_stream: bool | None
    in_array: bool
    word: str


def claim(target: bytes, fields: Fields | None = None) -> Ask | None:
    """Return the claim on a target, path and query together."""
    path, _, query = target.partition(b"?")
    return DIALECT.claim(path, query, fields or {})


def claimed(target: bytes, fields: Fields | None = None) -> Ask:
    """Return the claim on a target that must be claimed."""
    ask = claim(target, fields)
    assert ask is not None
    assert ask.dialect is DIALECT
    assert ask.provider is None
    return ask


def seen(target: bytes, fields: Fields | None = None) -> Seen:
    """Return a claim as a value."""
    ask = claimed(target, fields)
    return Seen(ask.operation, ask.name, ask.in_stream, ask.in_array, ask.word)


def whole(name: str, version: str = "v1beta") -> Seen:
    """Return what a request for a whole answer is seen as."""
    return Seen(Operation.CONVERSE, name, in_stream=False, in_array=False, word=f"{version} generateContent")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/v1/models/m:generateContent", whole("m", "v1")),
        (b"/v1beta/models/m:generateContent", whole("m")),
        (b"/v1alpha/models/m:generateContent", whole("m", "v1alpha")),
        (b"/v1beta1/publishers/google/models/m:generateContent", whole("m", "v1beta1")),
        (b"/models/m:generateContent", whole("m", "")),
        (b"/v1beta/tunedModels/t:generateContent", whole("t")),
        (b"/v1/dynamic/d:generateContent", whole("d", "v1")),
        (b"/v1beta/publishers/google/models/p:generateContent", whole("p")),
        (b"/tunedModels/t:generateContent", whole("t", "")),
        (b"/dynamic/d:generateContent", whole("d", "")),
        (b"/publishers/google/models/p:generateContent", whole("p", "")),
    ],
)
def test_every_prefix_leads_to_the_name(target: bytes, expected: Seen) -> None:
    """Gemini cases 1 and 3: with or without a version, the name is what follows a known prefix."""
    assert seen(target) == expected


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"openai/gpt-4o", "openai/gpt-4o"),
        (b"openai%2Fgpt-4o", "openai/gpt-4o"),
        (b"openai%2fgpt-4o", "openai/gpt-4o"),
        (b"a%20b", "a b"),
        (b"a%2520b", "a%20b"),
        (b"ft:gpt-x:org::abc", "ft:gpt-x:org::abc"),
        (b"ft%3Agpt", "ft:gpt"),
        (b"m:generateContent", "m:generateContent"),
        (b"gr%C3%BC%C3%9Fe", "gr\u00fc\u00dfe"),
        (b"a+b", "a+b"),
        (b"models/m", "models/m"),
    ],
)
def test_the_name_is_decoded_once_and_ends_at_the_last_colon(raw: bytes, name: str) -> None:
    """Gemini cases 2 and 4: slashes may stand in a name raw or escaped, and escapes are resolved one time."""
    for version in (b"/v1", b"/v1beta", b""):
        assert claimed(version + b"/models/" + raw + b":generateContent").name == name


@pytest.mark.parametrize("raw", [b"%FF", b"%C3", b"a%ED%A0%80", b""])
def test_a_name_that_is_no_text_offers_nothing(raw: bytes) -> None:
    """A name that is empty or no UTF-8 cannot be anything that is configured."""
    for target in (b"/v1/models/" + raw + b":generateContent", b"/v1beta/models/" + raw):
        assert claimed(target).operation is Operation.NOTHING


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/models/ft:gpt:org::abc",
        b"/v1/models/m",
        b"/v1/models/m:",
        b"/v1/models/m:fineTune",
        b"/v1/models/m:GenerateContent",
        b"/v1/models/m%3AgenerateContent",
        b"/v1/models",
        b"/v1/models?key=",
        b"/v1/models?xkey=1",
        b"/models",
        b"/models/v1/messages",
        b"/models/m:generateContent/v1/messages",
        b"/dynamic/v1/messages",
        b"/v1/chat/completions",
        b"/v1/messages",
        b"/v1/responses",
        b"/v2/chat",
        b"/v1",
        b"/v10/models/m:generateContent",
        b"/v1betaX/models/m:generateContent",
        b"/modelsX/m:generateContent",
        b"/model/m/converse",
        b"/publishers/other/models/m:generateContent",
        b"/",
    ],
)
def test_what_is_somebody_elses_is_left_alone(target: bytes) -> None:
    """Gemini case 5: on shared ground only a known action makes a path ours."""
    assert claim(target) is None


def test_a_key_does_not_make_a_foreign_path_ours() -> None:
    """Gemini case 67: the header breaks ties on the lists only."""
    for target in (b"/v1/chat/completions", b"/v1/responses", b"/v1/messages", b"/v2/chat?key=k", b"/v1"):
        assert claim(target, KEYED) is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/v1beta/models/m", Seen(Operation.SHOW_MODEL, "m", None, in_array=False, word="v1beta")),
        (b"/v1beta/models/a%2Fb", Seen(Operation.SHOW_MODEL, "a/b", None, in_array=False, word="v1beta")),
        (b"/v1beta/models/ft:x::y", Seen(Operation.SHOW_MODEL, "ft:x::y", None, in_array=False, word="v1beta")),
        (b"/v1beta/tunedModels/t", Seen(Operation.SHOW_MODEL, "t", None, in_array=False, word="v1beta")),
        (b"/v1beta/models", Seen(Operation.LIST_MODELS, None, None, in_array=False, word="v1beta")),
        (b"/v1beta/models?pageSize=5", Seen(Operation.LIST_MODELS, None, None, in_array=False, word="v1beta")),
        (b"/v1beta", Seen(Operation.NOTHING, None, None, in_array=False, word="v1beta")),
        (b"/v1beta/", Seen(Operation.NOTHING, None, None, in_array=False, word="v1beta")),
        (b"/v1beta/files", Seen(Operation.NOTHING, None, None, in_array=False, word="v1beta")),
        (b"/v1beta/openai/chat/completions", Seen(Operation.NOTHING, None, None, in_array=False, word="v1beta")),
        (b"/v1beta/m:generateContent", Seen(Operation.NOTHING, None, None, in_array=False, word="v1beta")),
    ],
)
def test_below_v1beta_everything_is_ours(target: bytes, expected: Seen) -> None:
    """Gemini case 6: a path that nobody else has is claimed also where it offers nothing."""
    assert seen(target) == expected


def test_lists_on_shared_ground_are_told_by_the_key() -> None:
    """Gemini case 68: a key in the header or in the query says whose list is wanted."""
    for fields, query in ((KEYED, b""), ({}, b"?key=tok"), ({}, b"?pageSize=2&key=tok")):
        for version in ("v1", ""):
            prefix = f"/{version}".rstrip("/").encode()
            listed = seen(prefix + b"/models" + query, fields)
            shown = seen(prefix + b"/models/m" + query, fields)
            assert listed == Seen(Operation.LIST_MODELS, None, None, in_array=False, word=version)
            assert shown == Seen(Operation.SHOW_MODEL, "m", None, in_array=False, word=version)


def test_a_blank_key_is_no_key() -> None:
    """A blank value counts as absent."""
    assert claim(b"/v1/models", {b"x-goog-api-key": b""}) is None


@pytest.mark.parametrize("action", ["batchGenerateContent", "generateAnswer"])
def test_other_actions_of_the_vendor_offer_nothing(action: str) -> None:
    """Gemini case 7: a known action that is not offered is ours to refuse, with version and action at hand."""
    nothing = Seen(Operation.NOTHING, "m", None, in_array=False, word=f"v1 {action}")
    assert seen(b"/v1/models/m:" + action.encode()) == nothing


def test_tokens_can_be_counted() -> None:
    """Counting is an operation of its own."""
    counted = Seen(Operation.COUNT_TOKENS, "m", in_stream=False, in_array=False, word="v1beta countTokens")
    assert seen(b"/v1beta/models/m:countTokens") == counted


@pytest.mark.parametrize(
    ("query", "in_array"),
    [
        (b"", True),
        (b"?alt=sse", False),
        (b"?alt=sse&x=1", False),
        (b"?x=1&alt=sse", False),
        (b"?alt=json&alt=sse", False),
        (b"?xalt=sse", True),
        (b"?foo=alt%3Dsse", True),
        (b"?alt=sse1", True),
        (b"?alt%3Dsse", True),
        (b"?alt=json", True),
        (b"?$alt=json;enum-encoding=int", True),
    ],
)
def test_a_stream_is_an_array_unless_events_are_asked_for(query: bytes, in_array: bool) -> None:
    """Gemini case 16: only the exact pair asks for events."""
    streamed = Seen(Operation.CONVERSE, "m", in_stream=True, in_array=in_array, word="v1 streamGenerateContent")
    assert seen(b"/v1/models/m:streamGenerateContent" + query) == streamed


def test_a_whole_answer_is_never_an_array() -> None:
    """The form of a stream matters to streams only."""
    assert not claimed(b"/v1/models/m:generateContent").in_array


@pytest.mark.parametrize(
    ("query", "travels"),
    [
        (b"", b""),
        (b"key=tok", b""),
        (b"key=tok&prettyPrint=false", b"prettyPrint=false"),
        (b"prettyPrint=false&k%65y=tok", b"prettyPrint=false"),
        (b"access_token=a&%61ccess_token=b&oauth_token=c&$key=d&%24key=e", b""),
        (b"keys=1&Key=2", b"keys=1&Key=2"),
        (b"alt=json&callback=f&fields=candidates&%24fields=candidates&$alt=proto", b""),
        (b"$alt=json;enum-encoding=int", b"$alt=json;enum-encoding=int"),
        (b"&&x&y=&=z&%FF=1", b"x&y="),
        (b"x=%2F&x=a+b", b"x=%2F&x=a+b"),
    ],
)
def test_a_query_travels_without_credentials(query: bytes, travels: bytes) -> None:
    """Gemini case 8: neither a key nor what would hide the usage reaches an upstream, the rest does as it is."""
    assert claimed(b"/v1/models/m:generateContent?" + query).query == travels


def test_the_form_of_a_stream_does_not_travel() -> None:
    """A stream is always asked for as events, so what the client wants instead stays here."""
    assert claimed(b"/v1/models/m:streamGenerateContent?$alt=json;x&alt=sse&a=1").query == b"a=1"


@given(st.text(min_size=1, max_size=20), st.sampled_from(["generateContent", "streamGenerateContent"]))
@PROPERTY
def test_any_name_comes_back(name: str, action: str) -> None:
    """Whatever text a name is, escaped as a segment it is read back as the same text."""
    raw = "".join(f"%{byte:02X}" for byte in name.encode("utf-8", "replace")).encode()
    ask = claimed(b"/v1/models/" + raw + b":" + action.encode())
    assert ask.name == name.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("target", "in_stream", "expected"),
    [
        (b":generateContent", False, ":generateContent"),
        (b":generateContent?x=1", False, ":generateContent?x=1"),
        (b":streamGenerateContent", True, ":streamGenerateContent?alt=sse"),
        (b":streamGenerateContent?alt=sse&key=k", True, ":streamGenerateContent?alt=sse"),
        (b":streamGenerateContent?x=1&alt=json", True, ":streamGenerateContent?alt=sse&x=1"),
        (b":countTokens?x=1&key=k", False, ":countTokens?x=1"),
    ],
)
def test_the_action_is_put_into_the_path_of_a_lane(target: bytes, in_stream: bool, expected: str) -> None:
    """Gemini case 71: streams are asked for as events in both client modes."""
    ask = claimed(b"/v1/models/m" + target)
    lane = "/v1beta/models/a%2Fb"
    assert DIALECT.upstream_path(f"{lane}:generateContent", ask, in_stream=in_stream) == lane + expected


@pytest.mark.parametrize(
    ("path", "in_stream", "expected"),
    [
        ("/v1/projects/P/locations/L/publishers/google/models/m:generateContent", False, None),
        ("/own", False, "/own"),
        ("/own", True, "/own?alt=sse"),
        ("/own?a=1", True, "/own?alt=sse&a=1"),
        ("/m:generateContent?a=1", True, "/m:streamGenerateContent?alt=sse&a=1"),
        ("/m:generateContent?", False, "/m:generateContent"),
        ("/m:streamGenerateContent?alt=sse", True, "/m:streamGenerateContent?alt=sse"),
        ("/m:streamGenerateContent?alt=sse&a=1", False, "/m:generateContent?a=1"),
    ],
)
def test_an_operators_path_is_respected(path: str, in_stream: bool, expected: str | None) -> None:
    """A path with a query of its own keeps it, and one that names no action is left as it is."""
    ask = claimed(b"/v1/models/m:generateContent")
    assert DIALECT.upstream_path(path, ask, in_stream=in_stream) == (expected or path)


def test_another_dialects_query_stays_at_home() -> None:
    """What a foreign client put into its query means nothing to this vendor."""
    foreign = Ask(bare(Dialect), Operation.CONVERSE, name="m", query=b"beta=true")
    assert DIALECT.upstream_path("/m:generateContent", foreign, in_stream=False) == "/m:generateContent"


@pytest.mark.parametrize(
    ("style", "key", "line"),
    [
        ("", "AIza-1", b"x-goog-api-key: AIza-1\r\n"),
        ("bearer", "ya29.x", b"Authorization: Bearer ya29.x\r\n"),
        ("api-key", "k", b"api-key: k\r\n"),
        ("x-api-key", "k", b"x-api-key: k\r\n"),
        ("", " k \n", b"x-goog-api-key: k\r\n"),
        ("", "", b""),
        ("", "  ", b""),
        ("", "a\r\nX: y", b""),
        ("bearer", "a\x00b", b""),
        ("", "schl\u00fcssel", b""),
        ("", "a\u0085b", b""),
    ],
)
def test_a_key_is_one_header_line(style: str, key: str, line: bytes) -> None:
    """One header carries the key, and a key that cannot stand in one is not sent at all."""
    assert DIALECT.credential(style, key) == line
    assert DIALECT.credential(style, key, is_callers=True) == line


def test_a_client_is_not_passed_on() -> None:
    """Neither credentials nor the client's name nor its patience reach the upstream."""
    fields = {**KEYED, b"x-goog-api-client": b"c", b"user-agent": b"u", b"x-server-timeout": b"9"}
    assert DIALECT.forwarded_fields(fields, {}) == b""
    assert DIALECT.time_limit_field == b"x-server-timeout"


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b"{}", []),
        (b'{"model":"a","contents":[]}', []),
        (b'{"generateContentRequest":{"contents":[]}}', []),
        (b'{"generateContentRequest":{"model":"models/a"}}', [b'"models/a"']),
        (b' { "generate_content_request" : { "contents":[{"model":"no"}], "model" : 7 } } ', [b"7"]),
        (b'{"generateContentRequest":{"model":"a","\\u006dodel":"b"},"x":1}', [b'"a"', b'"b"']),
        (b'{"generateContentRequest":{"model":"a"},"generateContentRequest":{"model":"b"}}', [b'"a"', b'"b"']),
        (b'{"generateContentRequest":["model"],"generate_content_request":null}', []),
        (b'{"x":{"generateContentRequest":{"model":"a"}}}', []),
    ],
)
def test_the_request_that_is_counted_names_its_model_too(body: bytes, values: list[bytes]) -> None:
    """Gemini §4: `countTokens` may hold a whole request, whose model is found in either spelling of the member."""
    spans = DIALECT.find_inner_models(body, claimed(b"/v1/models/m:countTokens"))
    assert [body[start:end] for start, end in spans] == values


def test_the_requests_of_a_batch_name_their_models_too() -> None:
    """Gemini §1: texts to embed come as a list of requests, each of which names the model again."""
    ask = claimed(b"/v1/models/m:batchEmbedContents")
    body = b'{ "requests" : [ {"model":"models/a","x":[]} , 1, {} ,{ "model":"b"}], "more": true }'
    assert [body[slice(*span)] for span in DIALECT.find_inner_models(body, ask)] == [b'"models/a"', b'"b"']
    assert DIALECT.find_inner_models(b'{"requests":[]}', ask) == []
    assert DIALECT.find_inner_models(b'{"requests":"x"}', ask) == []


@pytest.mark.parametrize("action", ["embedContent", "batchEmbedContents", "predict"])
def test_other_actions_go_to_lanes_that_have_a_place_for_them(action: str) -> None:
    """Gemini §1: what is no conversation is asked for in the same place; an operator's own path has none."""
    ask = claimed(b"/v1/models/m:" + action.encode() + b"?x=1&key=no")
    operation = Operation.OTHER if action == "predict" else Operation.EMBED
    assert (ask.operation, ask.action, ask.name, ask.in_stream) == (operation, action, "m", False)
    assert DIALECT.embed_action == "batchEmbedContents"
    path = DIALECT.upstream_path("/v1beta/models/up:generateContent", ask, in_stream=False)
    assert path == f"/v1beta/models/up:{action}?x=1"
    assert DIALECT.upstream_path("/mine", ask, in_stream=False) == ""


def test_the_upstream_is_told_what_is_accepted() -> None:
    """Events for a stream, a document otherwise."""
    assert DIALECT.upstream_fields({}, in_stream=True) == b"Accept: text/event-stream\r\n"
    assert DIALECT.upstream_fields({}, in_stream=False) == b"Accept: application/json\r\n"


def test_the_rest_is_spoken_by_its_modules() -> None:
    """Refusals, lists, taps and arrays are reached through the one object."""
    assert DIALECT.encode_fault(Fault(Kind.INTERNAL), None, b"id").status == 500
    assert DIALECT.encode_models([], 0) == b'{"models":[]}'
    assert DIALECT.encode_model("m", 0).startswith(b'{"name":"models/m"')
    assert DIALECT.new_watch(b"text/event-stream").maybe_usage() is None


def test_only_arrays_are_reframed() -> None:
    """Events are passed on as they are; for an array there is somebody to make it."""
    assert DIALECT.new_reframer(claimed(b"/v1/models/m:streamGenerateContent?alt=sse")) is None
    reframer = DIALECT.new_reframer(claimed(b"/v1/models/m:streamGenerateContent"))
    assert reframer is not None
    assert reframer.finish() == b"[]"


def test_answers_carry_no_id() -> None:
    """The vendor has no header for it."""
    assert DIALECT.id_field == b""
    assert DIALECT.relayed == (b"content-type", b"retry-after")


def test_where_key_and_model_may_stand() -> None:
    """Gemini cases 8 and 9: a client may put its key into the query, and a body need not name its model."""
    assert DIALECT.has_key_in_query
    assert DIALECT.has_model_in_body
    assert not DIALECT.needs_model_in_body
    assert DIALECT.aws_service == b""


def test_the_encoder_is_not_imported_with_the_dialect() -> None:
    """Importing a dialect costs no start-up time for what only answers need."""
    code = "import sys; import busbar_fast.dialects.gemini; sys.exit('orjson' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("version", [None, "v1", "v1beta", "v1alpha"])
def test_the_official_clients_requests_are_claimed(version: str | None) -> None:
    """What the SDK asks for is claimed as what its caller meant, under every version it can be set to."""
    asks: list[Ask] = []

    def respond(request: httpx.Request) -> httpx.Response:
        fields = {name.lower(): value for name, value in request.headers.raw}
        ask = claimed(request.url.raw_path, fields)
        asks.append(ask)
        refusal = DIALECT.encode_fault(Fault(Kind.OVERLOADED), ask, b"")
        return httpx.Response(refusal.status, content=refusal.body)

    models = client(respond, version).models
    calls = (
        lambda: models.generate_content(model="openai/gpt-4o", contents="hi"),
        lambda: list(models.generate_content_stream(model="a b", contents="hi")),
        lambda: models.count_tokens(model="tunedModels/t", contents="hi"),
        lambda: list(models.list()),
        lambda: models.get(model="m"),
    )
    for call in calls:
        with pytest.raises(errors.ServerError):
            call()
    assert [(ask.operation, ask.name) for ask in asks] == [
        (Operation.CONVERSE, "openai/gpt-4o"),
        (Operation.CONVERSE, "a b"),
        (Operation.COUNT_TOKENS, "t"),
        (Operation.LIST_MODELS, None),
        (Operation.SHOW_MODEL, "m"),
    ]
    assert [ask.in_stream for ask in asks] == [False, True, False, None, None]
    assert not asks[1].in_array


def test_a_policy_is_told_numbers() -> None:
    """Reliability §11: what a request holds is counted for whoever routes by it."""
    assert DIALECT.request_facts(b'{"contents":[{"parts":[{"text":"abcd"}]}]}') == (1, 0, 4, 0, None)


def test_failures_are_read_and_told_in_this_dialect() -> None:
    """Reliability §4 and §9: an upstream's refusal becomes a record, and a stream that broke off has an end."""
    error = DIALECT.read_error(429, {b"retry-after": b"3"}, b"", 0.0)
    assert (error.status, error.retry_after_s) == (429, 3)
    ask = DIALECT.claim(b"/v1beta/models/m:streamGenerateContent", b"", {})
    assert ask is not None
    assert DIALECT.new_ending(ask).encode_break()
