"""Routes of the chat dialect."""

import subprocess
import sys

import pytest

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import JSON, Refusal, Usage
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.openai_chat import DIALECT
from busbar_fast.dialects.openai_chat.requests import _watch_maker
from busbar_fast.wire.json_scan import find_members, splice
from tests.dialects.openai_chat.official import Wire

ANSWER = Refusal(
    200,
    JSON,
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}',
)
BASE_URLS = ["http://host/v1", "http://host/v1/", "http://host", "http://host/"]


def claimed(path: bytes) -> Ask:
    """Return what a path asks for; it must be claimed."""
    ask = DIALECT.claim(path, b"", {})
    assert ask is not None
    assert ask.dialect is DIALECT
    return ask


@pytest.mark.parametrize(
    ("path", "operation", "methods"),
    [
        (b"/v1/chat/completions", Operation.CONVERSE, (b"POST",)),
        (b"/chat/completions", Operation.CONVERSE, (b"POST",)),
        (b"/v1/models", Operation.LIST_MODELS, (b"GET", b"HEAD")),
        (b"/models", Operation.LIST_MODELS, (b"GET", b"HEAD")),
    ],
)
def test_fixed_path_is_claimed(path: bytes, operation: Operation, methods: tuple[bytes, ...]) -> None:
    """OpenAI §1 and §13: the routes with and without the version, the name in the body and nothing of the query."""
    ask = claimed(path)
    assert (ask.operation, ask.methods) == (operation, methods)
    assert (ask.name, ask.provider, ask.in_stream, ask.in_array, ask.query) == (None, None, None, False, b"")
    assert DIALECT.claim(path, b"key=secret&limit=2", {b"x-api-key": b"k"}) is ask


@pytest.mark.parametrize("start", [b"/v1/models/", b"/models/"])
@pytest.mark.parametrize(
    ("segment", "name"),
    [
        (b"gpt-4o", "gpt-4o"),
        (b"ft:gpt-4o:acme::abc", "ft:gpt-4o:acme::abc"),
        (b"meta%2FLlama-3", "meta/Llama-3"),
        (b"meta%2fLlama-3", "meta/Llama-3"),
        (b"%C3%A9t%c3%a9", "\u00e9t\u00e9"),
        (b"100%2525", "100%25"),
        (b"100%", "100%"),
        (b"%zz%4", "%zz%4"),
        (b"a+b%20c", "a+b c"),
    ],
)
def test_model_is_named_by_its_segment(start: bytes, segment: bytes, name: str) -> None:
    """A segment is decoded once, an escaped slash is part of the name and what is no escape stays."""
    ask = claimed(start + segment)
    assert (ask.operation, ask.name, ask.methods) == (Operation.SHOW_MODEL, name, (b"GET", b"HEAD"))


@pytest.mark.parametrize("segment", [b"%FF", b"a%C3", b"\xff", b"%ED%A0%80"])
def test_segment_that_is_no_text_offers_nothing(segment: bytes) -> None:
    """A name that is not UTF-8 cannot be anybody's."""
    assert claimed(b"/v1/models/" + segment).operation is Operation.NOTHING


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"*",
        b"/v1",
        b"/v1/chat",
        b"/v1/chat/completions/",
        b"/v1/chat/completions/x",
        b"/V1/chat/completions",
        b"/v1/chat/%63ompletions",
        b"//v1/chat/completions",
        b"/v1/models/",
        b"/models/",
        b"/v1/models/a/b",
        b"/v1/modelsx",
        b"/v2/models/a",
        b"/v1/embeddings/",
        b"/v1/audio",
        b"/v1/completions",
        b"/v1/messages",
    ],
)
def test_other_path_is_not_claimed(path: bytes) -> None:
    """Paths are compared byte by byte; what nobody offers is nobody's."""
    assert DIALECT.claim(path, b"", {}) is None


@pytest.mark.parametrize("before", [b"/v1/", b"/"])
@pytest.mark.parametrize("action", ["embeddings", "moderations", "images/edits", "audio/speech"])
def test_other_calls_of_the_vendor(before: bytes, action: str) -> None:
    """OpenAI §13: what is no conversation is asked for beside it; an operator's own path has no place for it."""
    ask = claimed(before + action.encode())
    operation = Operation.EMBED if action == DIALECT.embed_action else Operation.OTHER
    assert (ask.operation, ask.action, ask.in_stream, ask.methods) == (operation, action, False, (b"POST",))
    assert DIALECT.upstream_path("/v9/chat/completions?x=1", ask, in_stream=False) == f"/v9/{action}?x=1"
    assert DIALECT.upstream_path("/mine", ask, in_stream=False) == ""
    assert DIALECT.upstream_path("/mine", claimed(b"/chat/completions"), in_stream=False) == "/mine"


@pytest.mark.parametrize("base_url", BASE_URLS)
def test_client_reaches_the_chat_route(base_url: str) -> None:
    """OpenAI case 62: whether its base URL ends in the version or not, the client posts to a path of ours."""
    wire = Wire(ANSWER, base_url=base_url)
    completion = wire.client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert completion.choices[0].message.content == "hi"
    assert [claimed(path).operation for path in wire.paths] == [Operation.CONVERSE]


@pytest.mark.parametrize("base_url", BASE_URLS)
def test_client_lists_the_models(base_url: str) -> None:
    """OpenAI case 67: the client reads our list."""
    wire = Wire(Refusal(200, JSON, DIALECT.encode_models(["pool", "gpt-4o"], 1_760_000_000)), base_url=base_url)
    models = list(wire.client.models.list())
    assert [(model.id, model.created, model.object) for model in models] == [
        ("pool", 1_760_000_000, "model"),
        ("gpt-4o", 1_760_000_000, "model"),
    ]
    assert [claimed(path).operation for path in wire.paths] == [Operation.LIST_MODELS]


@pytest.mark.parametrize("base_url", BASE_URLS)
@pytest.mark.parametrize("name", ["gpt-4o", "meta/Llama-3:8b", "\u00e9 %"])
def test_client_shows_one_model(base_url: str, name: str) -> None:
    """OpenAI §13: the client asks for one entry of the list, and its name survives the way."""
    wire = Wire(Refusal(200, JSON, DIALECT.encode_model(name, 7)), base_url=base_url)
    model = wire.client.models.retrieve(name)
    assert (model.id, model.created) == (name, 7)
    asked = claimed(wire.paths[0])
    assert (asked.operation, asked.name) == (Operation.SHOW_MODEL, name)


def test_refusals_and_watches_are_those_of_chat() -> None:
    """The dialect hands on to its modules."""
    assert DIALECT.encode_fault(Fault(Kind.INTERNAL), None, b"req_1").status == 500
    watch = DIALECT.new_watch(b"application/json")
    watch.feed(b'{"usage":{"prompt_tokens":1,"completion_tokens":2}}')
    assert watch.maybe_usage() == Usage(1, 2)


ASKED = b'{"stream_options":{"include_usage":true},"stream":true}'


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"stream":true}', ASKED),
        (ASKED, None),
        (b'{"stream_options":{"include_usage":false},"stream":true}', ASKED),
        (b'{"stream_options":"x","stream":true}', b'{"stream_options":"x","stream":true}'),
        (b'{"stream_options":{"a" 1},"stream":true}', None),
    ],
)
def test_usage_is_asked_for_unless_the_client_does(body: bytes, sent: bytes | None) -> None:
    """OpenAI §9.4: nothing is edited for who asks already, nor where the back end will refuse the options anyway."""
    spans = find_members(body, (DIALECT.usage_member,)).get(DIALECT.usage_member, [])
    edits = DIALECT.ask_for_usage(body, spans)
    assert (None if edits is None else splice(body, edits)) == sent


@pytest.mark.parametrize(
    ("options", "can"), [({}, True), ({"stream_usage": True}, True), ({"stream_usage": False}, False)]
)
def test_provider_may_refuse_to_be_asked(options: dict[str, str | bool], can: bool) -> None:
    """OpenAI §9.4: `stream_usage: false` is for back ends that reject the question."""
    assert DIALECT.can_ask_for_usage(options) is can


def test_stripper_is_that_of_chat() -> None:
    """The dialect hands on to its module, a new one for each stream."""
    stripper = DIALECT.new_stripper()
    assert stripper.feed(b'data: {"choices":[],"usage":{}}\n\ndata: 1\n\n') == b"data: 1\n\n"
    assert DIALECT.new_stripper() is not stripper


def test_loading_the_dialect_loads_no_encoder() -> None:
    """A start does not wait for orjson."""
    code = "import sys, busbar_fast.dialects.openai_chat as chat; chat.DIALECT; sys.exit('orjson' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_policy_is_told_numbers() -> None:
    """Reliability §11: what a request holds is counted for whoever routes by it."""
    assert DIALECT.request_facts(b'{"messages":[{"role":"system","content":"ab"}],"max_tokens":9}') == (1, 0, 2, 2, 9)


def test_failures_are_read_and_told_in_this_dialect() -> None:
    """Reliability §4 and §9: an upstream's refusal becomes a record, and a stream that broke off has an end."""
    error = DIALECT.read_error(429, {b"retry-after": b"3"}, b"", 0.0)
    assert (error.status, error.retry_after_s) == (429, 3)
    ask = DIALECT.claim(b"/v1/chat/completions", b"", {})
    assert ask is not None
    assert DIALECT.new_ending(ask).encode_break()


def test_what_watches_an_answer_is_looked_for_once() -> None:
    """Style 3.8: the import is paid once in a process, whoever asks first."""
    assert _watch_maker.__wrapped__() is _watch_maker()
