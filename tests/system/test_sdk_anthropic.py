"""Anthropic's official clients against the gateway: what either side says arrives, and as it was said.

Refusals, limits, keys and broken answers are the subject of `test_sdk_anthropic_faults`.
"""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from busbar_fast import __version__
from busbar_fast.mock.content import SIGNATURE
from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script, Stop
from tests.system.sdk import MODEL, OWN_KEY, PNG, POOL, TOKEN, Stand, renamed, stand
from tests.system.sdk_callers import KINDS, deployed, make_room, messages_caller
from tests.system.serving import Serve, all_of

SAID = "You said: hi"
USER: Any = {"role": "user", "content": "hi"}
ASK: Any = {"model": POOL, "max_tokens": 64, "messages": [USER]}
TOOL: Any = {
    "name": "tide_at",
    "description": "Tells the tide.",
    "input_schema": {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]},
}
CALL = Script(tools=("tide_at",), args='{"port":"Brest","hours":24}')
ARGS = {"port": "Brest", "hours": 24}
CACHED = Script(usage_in=100, usage_out=18, cached=30, cache_write=20)
MESSAGE_ID = "msg_01MockMockMockMockMockM1"
REQUEST_ID = "req_01MockMockMockMockMockM1"
VERSION = b"2026-10-21"  # of the API, as this client asks for it
CONFIG = """
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: [<token>]}
providers:
  vendor: {protocol: anthropic, base_url: "http://127.0.0.1:<port>/front", api_key_env: UP_KEY}
  other: {protocol: anthropic, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
models:
  "claude:x": {provider: vendor, upstream_model: "vendor/claude:x"}
  "family/claude": {provider: other}
pools:
  "b pool": {members: [{target: "claude:x"}]}
  "a pool": {members: [{target: "family/claude"}]}
"""
FIELDS = {
    b"host": b"h",
    b"content-type": b"application/json",
    b"accept": b"application/json",
    b"anthropic-version": VERSION,
    b"x-api-key": OWN_KEY.encode(),
}

pytestmark = pytest.mark.parametrize("kind", KINDS)


def check_received(made: Stand, target: bytes = b"/v1/messages") -> None:
    """The backend got the body that the client sent, the model's name apart, our key, and nothing of the client."""
    assert made.last.method == b"POST"
    assert made.last.target == target
    assert made.last.body == renamed(made.sent[-1].body)
    assert made.last.fields == FIELDS
    assert made.sent[-1].fields["authorization"] == f"Bearer {TOKEN}"


def retrieve(client: Any, name: str) -> Any:
    return client.models.retrieve(name)


def said_by_backend(made: Stand, script: Script | None = None) -> bytes:
    """Return the bytes with which the backend answered what it received last."""
    return b"".join(answer(b"POST", made.last.target, made.last.fields, made.last.body, script).frames)


async def test_text_arrives_whole(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic §12: every member of a whole answer is what the backend said, and the request what the client said."""
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        message = await caller.ask(lambda client: client.messages.create(**ASK, system="Be brief."))
        assert (message.id, message.type, message.role, message.model) == (MESSAGE_ID, "message", "assistant", MODEL)
        assert [block.to_dict() for block in message.content] == [{"type": "text", "text": SAID}]
        assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
        assert (message.usage.input_tokens, message.usage.output_tokens) == (1, 3)
        assert message._request_id == REQUEST_ID
        check_received(made)
        assert made.counts("anthropic") == [(1, 0), (0, 0)]


async def test_text_arrives_streamed(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 63: the stream helper makes the same message, and knows the backend's request id."""
    script = Script(text="The tide turns at six.", delta_chars=4)
    async with stand(serve, parser_kind, script) as made, messages_caller(made, kind) as caller:
        events, (message, request_id) = await caller.stream(**ASK)
        deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
        assert deltas == ["The ", "tide", " tur", "ns a", "t si", "x."]
        assert message.content[0].text == "The tide turns at six."
        assert (message.id, message.model, message.stop_reason) == (MESSAGE_ID, MODEL, "end_turn")
        assert (message.usage.input_tokens, message.usage.output_tokens) == (1, 6)
        assert request_id == REQUEST_ID
        check_received(made)
        assert made.last.document["stream"] is True


async def test_answers_are_relayed_byte_for_byte(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 4: a whole answer and a stream are the backend's bytes under the backend's type."""
    script = Script(thinking=True, tools=("tide_at",), text="Marée haute 🌊", split=7)
    async with stand(serve, parser_kind, script) as made, messages_caller(made, kind) as caller:
        whole = await caller.ask(lambda client: client.messages.with_raw_response.create(**ASK))
        assert whole.http_response.content == said_by_backend(made, script)
        assert whole.headers["content-type"] == "application/json"
        response = await caller.ask(lambda client: client.messages.with_raw_response.create(**ASK, stream=True))
        raw = response.http_response
        pieces = await caller.pieces(lambda _client: raw.iter_bytes() if kind == "sync" else raw.aiter_bytes())
        assert b"".join(pieces) == said_by_backend(made, script)
        assert raw.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert made.visits == (1, 1)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_tool_call_and_its_result_go_round(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Anthropic §12: a call arrives with its arguments, and the next turn takes call and result to the other lane."""
    async with stand(serve, parser_kind, CALL, Script(text="At six.")) as made, messages_caller(made, kind) as caller:
        more: Any = {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "tide_at"}}
        if is_streamed:
            events, (message, _) = await caller.stream(**ASK, **more)
            pieces = [event.partial_json for event in events if event.type == "input_json"]
            assert "".join(pieces) == CALL.args
        else:
            message = await caller.ask(lambda client: client.messages.create(**ASK, **more))
        (call,) = message.content
        assert (call.type, call.id, call.name, call.input) == (
            "tool_use", "toolu_01MockMockMockMockMockM1", "tide_at", ARGS,
        )  # fmt: skip
        assert message.stop_reason == "tool_use"
        check_received(made)
        assert made.last.document["tools"] == [TOOL]
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "06:00"}]}
        turns: Any = [USER, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
        message = await caller.ask(lambda client: client.messages.create(**(ASK | {"messages": turns}), **more))
        assert message.content[0].text == "At six."
        check_received(made)
        _, assistant, answered = made.last.document["messages"]
        assert assistant["content"][0]["input"] == ARGS
        assert answered["content"] == [result]
        assert made.visits == (1, 1)


async def test_images_and_documents_arrive(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic §6: pictures by value and by address, and a document, reach the backend as the client sent them."""
    blocks: Any = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png?x=1&y=2"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Marée"}, "title": "T"},
        {"type": "text", "text": "What is this?"},
    ]
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        turns: Any = [{"role": "user", "content": blocks}]
        message = await caller.ask(lambda client: client.messages.create(**(ASK | {"messages": turns})))
        assert message.content[0].text == "You said: What is this?"
        check_received(made)
        assert made.last.document["messages"] == turns


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_thinking_keeps_its_signature(serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool) -> None:
    """Anthropic cases 25 and 41: thinking arrives signed, and goes back with the next turn as it was."""
    script = Script(thinking=True, delta_chars=9)
    redacted = {"type": "redacted_thinking", "data": "b2RkLysvPT0="}
    async with stand(serve, parser_kind, script) as made, messages_caller(made, kind) as caller:
        more: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
        ask = ASK | more
        if is_streamed:
            events, (message, _) = await caller.stream(**ask)
            assert [event.signature for event in events if event.type == "signature"] == [SIGNATURE]
        else:
            message = await caller.ask(lambda client: client.messages.create(**ask))
        thought, text = message.content
        assert (thought.type, thought.signature) == ("thinking", SIGNATURE)
        assert thought.thinking == "The user wants an answer, so I give one."
        assert text.text == SAID
        assert message.usage.output_tokens_details.thinking_tokens == 10
        assert made.last.document["thinking"] == more["thinking"]
        turns: Any = [USER, {"role": "assistant", "content": [redacted, *message.content]}, USER]
        await caller.ask(lambda client: client.messages.create(**(ask | {"messages": turns})))
        check_received(made)
        first, second, _ = made.last.document["messages"][1]["content"]
        assert first == redacted
        assert second == {"type": "thinking", "thinking": thought.thinking, "signature": SIGNATURE}


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_cache_markers_arrive_and_cached_tokens_are_read(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Anthropic §9: markers on system, tools and turns reach the backend, and the client reads what the cache gave."""
    mark: Any = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    system: Any = [{"type": "text", "text": "Long rules.", **mark}]
    turns: Any = [{"role": "user", "content": [{"type": "text", "text": "hi", **mark}]}]
    ask = ASK | {"system": system, "tools": [TOOL | mark], "messages": turns}
    async with stand(serve, parser_kind, CACHED) as made, messages_caller(made, kind) as caller:
        if is_streamed:
            _, (message, _) = await caller.stream(**ask)
        else:
            message = await caller.ask(lambda client: client.messages.create(**ask))
        usage = message.usage
        assert (usage.input_tokens, usage.output_tokens) == (50, 18)
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (30, 20)
        assert usage.cache_creation.ephemeral_5m_input_tokens == 20
        check_received(made)
        document = made.last.document
        assert (document["system"], document["tools"], document["messages"]) == (system, [TOOL | mark], turns)


@pytest.mark.parametrize(
    ("script", "reason", "sequence"),
    [
        (Script(stop=Stop.LENGTH), "max_tokens", None),
        (Script(stop=Stop.SEQUENCE), "stop_sequence", "\n\nEND"),
        (Script(stop=Stop.SAFETY), "refusal", None),
        (Script(stop_raw="pause_turn"), "pause_turn", None),
    ],
)
async def test_stop_reasons_arrive(
    serve: Serve, parser_kind: str, kind: str, script: Script, reason: str, sequence: str | None
) -> None:
    """Anthropic case 37: reason and matched sequence are the backend's, whole and streamed."""
    async with stand(serve, parser_kind, script) as made, messages_caller(made, kind) as caller:
        ask = ASK | {"stop_sequences": ["\n\nEND"]}
        whole = await caller.ask(lambda client: client.messages.create(**ask))
        _, (streamed, _) = await caller.stream(**ask)
        assert (whole.stop_reason, whole.stop_sequence) == (reason, sequence)
        assert (streamed.stop_reason, streamed.stop_sequence) == (reason, sequence)


async def test_tokens_are_counted_by_the_backend(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic §2: the counter is asked at its own path, on the bare route and on a named one."""
    async with stand(serve, parser_kind, Script(usage_in=41)) as made:
        async with messages_caller(made, kind) as caller:
            count = await caller.ask(lambda client: client.messages.count_tokens(model=POOL, messages=[USER]))
            assert count.input_tokens == 41
            check_received(made, b"/v1/messages/count_tokens")
        async with messages_caller(made, kind, path=f"/{POOL}") as caller:
            count = await caller.ask(lambda client: client.messages.count_tokens(model="x", messages=[USER]))
            assert count.input_tokens == 41
            assert made.last.target == b"/v1/messages/count_tokens"
            assert made.last.document == {"model": MODEL, "messages": [USER]}
        assert made.visits == (1, 1)


async def test_versions_betas_and_query_travel(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 5: the client's version and all its betas reach the backend, and so does `?beta=true`."""
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        betas = ["context-1m-2025-08-07", "files-api-2025-04-14"]
        message = await caller.ask(lambda client: client.beta.messages.create(**ASK, betas=betas))
        assert message.content[0].text == SAID
        assert made.sent[-1].path == "/v1/messages"
        assert made.last.target == b"/v1/messages"
        assert made.last.fields[b"anthropic-beta"] == b"context-1m-2025-08-07,files-api-2025-04-14"
        assert made.last.fields[b"anthropic-version"] == VERSION
        await caller.ask(lambda client: client.messages.create(**ASK, extra_query={"beta": "true", "key": TOKEN}))
        assert made.last.target == b"/v1/messages?beta=true"
        headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "a-1", "cookie": "c=1", "x-other": "1"}
        await caller.ask(lambda client: client.messages.create(**ASK, extra_headers=headers))
        assert made.last.fields[b"anthropic-version"] == b"2023-06-01"
        assert made.last.fields[b"anthropic-beta"] == b"a-1"
        assert {b"cookie", b"x-other", b"authorization", b"x-stainless-lang"} & set(made.last.fields) == set()


async def test_models_are_listed(serve: Serve, tmp_path: Path, kind: str) -> None:
    """Anthropic §2: the client's list has pools, then models, each in order, and it can look one up by any name."""
    async with deployed(serve, tmp_path, CONFIG) as made, messages_caller(made, kind) as caller:
        page = await caller.ask(lambda client: client.models.list())
        assert [model.id for model in page.data] == ["a pool", "b pool", "claude:x", "family/claude"]
        assert (page.has_more, page.first_id, page.last_id) == (False, "a pool", "family/claude")
        for listed in page.data:
            model = await caller.ask(partial(retrieve, name=listed.id))
            assert model == listed
            assert (model.type, model.display_name) == ("model", listed.id)
        assert made.received == []


@pytest.mark.parametrize(
    ("path", "model", "target", "upstream_model"),
    [
        ("", "claude:x", b"/front/v1/messages", "vendor/claude:x"),
        ("", "family/claude", b"/v1/messages", "family/claude"),
        ("", "vendor/claude:x", b"/front/v1/messages", "vendor/claude:x"),
        ("", "other/family/claude", b"/v1/messages", "family/claude"),
        ("", "b pool", b"/front/v1/messages", "vendor/claude:x"),
        ("/b%20pool", "x", b"/front/v1/messages", "vendor/claude:x"),
        ("/claude%3Ax", "x", b"/front/v1/messages", "vendor/claude:x"),
        ("/claude:x", "x", b"/front/v1/messages", "vendor/claude:x"),
        ("/family%2Fclaude", "x", b"/v1/messages", "family/claude"),
        ("/vendor/claude:x", "x", b"/front/v1/messages", "vendor/claude:x"),
        ("/other/family%2Fclaude", "x", b"/v1/messages", "family/claude"),
    ],
)
async def test_names_in_bodies_and_paths_resolve(
    serve: Serve, tmp_path: Path, kind: str, path: str, model: str, target: bytes, upstream_model: str
) -> None:
    """Anthropic cases 1 to 3: pools, models and providers are found by body and by path, colons and slashes too."""
    async with deployed(serve, tmp_path, CONFIG) as made, messages_caller(made, kind, path=path) as caller:
        message = await caller.ask(lambda client: client.messages.create(**(ASK | {"model": model})))
        assert (message.content[0].text, message.model) == (SAID, upstream_model)
        assert made.last.target == target
        assert made.last.document == ASK | {"model": upstream_model}
        assert made.last.fields[b"x-api-key"] == OWN_KEY.encode()
        assert made.last.fields[b"user-agent"] == f"busbar-fast/{__version__}".encode()


async def test_many_streams_at_once_keep_apart(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 41: 32 streams through one gateway each say what their own request said."""
    make_room()
    script = Script(delta_chars=3, delay_frame_ms=1)
    async with stand(serve, parser_kind, script) as made, messages_caller(made, kind) as caller:
        asks = [ASK | {"messages": [{"role": "user", "content": f"number {number}"}]} for number in range(32)]
        answers = await all_of(caller.stream(**ask) for ask in asks)
        texts = [message.content[0].text for _, (message, _) in answers]
        assert texts == [f"You said: number {number}" for number in range(32)]
        assert made.visits == (16, 16)
        assert made.counts("anthropic") == [(16, 0), (16, 0)]
