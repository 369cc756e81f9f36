"""Blocks of every kind through Anthropic's official clients: parallel tools, pictures, secret thinking, citations.

What a gateway need not understand must arrive as well, in both directions; that text arrives is shown elsewhere.
"""

from pathlib import Path
from typing import Any

import pytest

from busbar_fast.mock.content import REDACTED, SIGNATURE
from busbar_fast.mock.script import Script
from tests.system.sdk import MODEL, PNG, POOL, TOKEN, Stand, renamed, stand
from tests.system.sdk_callers import KINDS, Messages, deployed, messages_caller
from tests.system.serving import Serve

SAID = "You said: hi"
USER: Any = {"role": "user", "content": "hi"}
ASK: Any = {"model": POOL, "max_tokens": 64, "messages": [USER]}
TOOLS: Any = [
    {"name": name, "description": "Tells the tide.", "input_schema": {"type": "object", "properties": {}}}
    for name in ("tide_at", "moon_at")
]
ARGS = {"port": "Brest", "hours": [24, 36.5], "note": "marée \U0001f30a"}
RAW_ARGS = '{"port":"Brest","hours":[24,36.5],"note":"marée \U0001f30a"}'
THOUGHT = "The user wants an answer, so I give one."
PICTURE: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
CONFIG = """
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: [<token>]}
providers:
  vendor: {protocol: anthropic, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
models:
  kiln: {provider: vendor, upstream_model: kiln-large}
"""
# One of each kind, as answers and histories carry them; `extra` is nobody's.
CITATIONS: Any = [
    {
        "type": "char_location",
        "cited_text": "Low water",
        "document_index": 0,
        "document_title": None,
        "file_id": None,
        "start_char_index": 0,
        "end_char_index": 9,
    },
    {
        "type": "page_location",
        "cited_text": "04:12",
        "document_index": 1,
        "document_title": "Tables",
        "file_id": "file_1",
        "start_page_number": 3,
        "end_page_number": 4,
    },
    {
        "type": "content_block_location",
        "cited_text": "",
        "document_index": 2,
        "document_title": "é",
        "start_block_index": 0,
        "end_block_index": 1,
    },
    {
        "type": "web_search_result_location",
        "cited_text": "x",
        "url": "https://example.com/?a=1&b=2",
        "title": None,
        "encrypted_index": "RW5j/+==",
    },
    {
        "type": "search_result_location",
        "cited_text": "y",
        "source": "urn:tides",
        "title": "T",
        "search_result_index": 0,
        "start_block_index": 0,
        "end_block_index": 2,
        "extra": 1e0,
    },
]

pytestmark = pytest.mark.parametrize("kind", KINDS)
BOTH_WAYS = pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])


async def message_of(caller: Messages, ask: Any, *, is_streamed: bool, events: list[Any] | None = None) -> Any:
    """Return the message that a client reads, or makes of a stream."""
    if not is_streamed:
        return await caller.ask(lambda client: client.messages.create(**ask))
    _, (message, _) = await caller.stream(events, **ask)
    return message


def check_body(made: Stand) -> None:
    assert made.last.body == renamed(made.sent[-1].body)


@BOTH_WAYS
async def test_parallel_calls_and_their_results_go_round(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Anthropic §6: thinking, text and two calls keep their order and ids; two results and a picture go back in one."""
    script = Script(thinking=True, text="Checking.", tools=("tide_at", "moon_at"), args=RAW_ARGS, delta_chars=5)
    more: Any = {"tools": TOOLS, "tool_choice": {"type": "any", "disable_parallel_tool_use": False}}
    async with stand(serve, parser_kind, script, Script(text="At six.")) as made, messages_caller(made, kind) as caller:
        message = await message_of(caller, ASK | more, is_streamed=is_streamed)
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
        calls = message.content[2:]
        assert [(call.name, call.input) for call in calls] == [("tide_at", ARGS), ("moon_at", ARGS)]
        assert [call.id for call in calls] == ["toolu_01MockMockMockMockMockM1", "toolu_01MockMockMockMockMockM2"]
        assert message.stop_reason == "tool_use"
        results: Any = [
            {
                "type": "tool_result",
                "tool_use_id": calls[0].id,
                "content": [{"type": "text", "text": "06:00"}, PICTURE],
            },
            {"type": "tool_result", "tool_use_id": calls[1].id, "content": "no moon", "is_error": True},
            {"type": "text", "text": "So?"},
        ]
        turns = [USER, {"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
        answered = await message_of(caller, ASK | more | {"messages": turns}, is_streamed=is_streamed)
        assert answered.content[0].text == "At six."
        check_body(made)
        _, assistant, user = made.last.document["messages"]
        assert user["content"] == results
        assert [block["type"] for block in assistant["content"]] == ["thinking", "text", "tool_use", "tool_use"]
        assert assistant["content"][0]["signature"] == SIGNATURE
        assert assistant["content"][3]["input"] == ARGS
        assert made.last.document["tool_choice"] == more["tool_choice"]
        assert made.visits == (1, 1)


async def test_arguments_arrive_in_pieces(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic §10: each delta of each call's arguments arrives by itself, under the index of its block."""
    script = Script(tools=("tide_at", "moon_at"), args=RAW_ARGS, delta_chars=7)
    async with stand(serve, parser_kind, script) as made, messages_caller(made, kind) as caller:
        events: list[Any] = []
        await message_of(caller, ASK | {"tools": TOOLS}, is_streamed=True, events=events)
        deltas = [event for event in events if event.type == "content_block_delta"]
        pieces = [RAW_ARGS[at : at + 7] for at in range(0, len(RAW_ARGS), 7)]
        expected = [(index, piece) for index in (0, 1) for piece in ("", *pieces)]
        assert [(event.index, event.delta.partial_json) for event in deltas] == expected
        assert {event.delta.type for event in deltas} == {"input_json_delta"}
        stops = [event for event in events if event.type == "content_block_stop"]
        assert [event.content_block.input for event in stops] == [ARGS, ARGS]


@BOTH_WAYS
async def test_secret_thinking_comes_and_goes_back(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Anthropic §6 `redacted_thinking`: it arrives whole behind the thinking, and travels back as it came."""
    script = Script(thinking=True, redacted=True, delta_chars=9)
    more: Any = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    async with stand(serve, parser_kind, script) as made, messages_caller(made, kind) as caller:
        events: list[Any] = []
        message = await message_of(caller, ASK | more, is_streamed=is_streamed, events=events)
        thinking, secret, text = message.content
        assert (thinking.type, thinking.thinking, thinking.signature) == ("thinking", THOUGHT, SIGNATURE)
        assert (secret.type, secret.data) == ("redacted_thinking", REDACTED)
        assert text.text == SAID
        if is_streamed:
            assert [event.thinking for event in events if event.type == "thinking"] == [
                THOUGHT[at : at + 9] for at in range(0, len(THOUGHT), 9)
            ]
            starts = [event.content_block.type for event in events if event.type == "content_block_start"]
            assert starts == ["thinking", "redacted_thinking", "text"]
        turns = [USER, {"role": "assistant", "content": message.content}, USER]
        await message_of(caller, ASK | more | {"messages": turns}, is_streamed=is_streamed)
        check_body(made)
        assert made.last.document["messages"][1]["content"][:2] == [
            {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE},
            {"type": "redacted_thinking", "data": REDACTED},
        ]
        assert {name: made.last.document[name] for name in more} == more


@BOTH_WAYS
async def test_pictures_and_documents_of_every_source_arrive(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Anthropic §6: bytes, addresses and files of the vendor's own reach the backend, whole or streamed."""
    blocks: Any = [
        PICTURE,
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png?x=1&y=2"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_abc"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "context": "of 1911",
            "citations": {"enabled": True},
        },
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "Marée"}]}},
        {
            "type": "search_result",
            "source": "urn:tides",
            "title": "T",
            "content": [{"type": "text", "text": "Low water 04:12."}],
        },
        {"type": "text", "text": "What is this?"},
    ]
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        ask = ASK | {"messages": [{"role": "user", "content": blocks}]}
        message = await message_of(caller, ask, is_streamed=is_streamed)
        assert message.content[0].text == "You said: What is this?"
        check_body(made)
        assert made.last.document["messages"][0]["content"] == blocks


@BOTH_WAYS
async def test_citations_of_every_kind_go_up_untouched(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Anthropic case 32: the five kinds of citation in an assistant's turn reach a backend byte for byte."""
    cited: Any = {"type": "text", "text": "At four.", "citations": CITATIONS}
    turns = [USER, {"role": "assistant", "content": [cited]}, USER]
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        await message_of(caller, ASK | {"messages": turns}, is_streamed=is_streamed)
        check_body(made)
        assert made.last.document["messages"][1]["content"] == [cited]
        assert b'"extra":1.0' in made.last.body


@BOTH_WAYS
async def test_fields_that_only_the_vendor_knows_arrive(
    serve: Serve, parser_kind: str, kind: str, *, is_streamed: bool
) -> None:
    """Anthropic cases 13, 20 and 21: what no other vendor has reaches the backend, a limit of 0 tokens included."""
    more: Any = {
        "max_tokens": 0,
        "metadata": {"user_id": "u-1"},
        "service_tier": "standard_only",
        "stop_sequences": ["", "END"],
        "tools": [*TOOLS, {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}},
        "extra_body": {"cache_control": {"type": "ephemeral"}, "container": "c-1", "odd": [1e0, None, "é"]},
    }
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        if is_streamed:
            await caller.pieces(lambda client: client.messages.create(**ASK | more, stream=True))
        else:
            await caller.ask(lambda client: client.messages.create(**ASK | more))
        check_body(made)
        named = {name: value for name, value in more.items() if name != "extra_body"} | more["extra_body"]
        document = made.last.document
        assert {name: document[name] for name in named} == named
        assert set(document) - set(named) - {"stream"} == {"model", "messages"}


@pytest.mark.parametrize("system", ["Be brief.", [{"type": "text", "text": "Be brief."}], 7, None])
@BOTH_WAYS
async def test_system_of_any_shape_is_left_to_the_backend(
    serve: Serve, parser_kind: str, kind: str, system: Any, *, is_streamed: bool
) -> None:
    """Anthropic case 15: text, blocks, and what is neither reach the backend as they are, and nothing crashes."""
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        message = await message_of(caller, ASK | {"extra_body": {"system": system}}, is_streamed=is_streamed)
        assert message.content[0].text == SAID
        check_body(made)
        assert made.last.document["system"] == system


async def test_pings_of_the_backend_are_not_doubled(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic case 55: the events of a relayed stream are the backend's and no more, its one ping included."""
    async with stand(serve, parser_kind) as made, messages_caller(made, kind) as caller:
        response = await caller.ask(lambda client: client.messages.with_raw_response.create(**ASK, stream=True))
        raw = response.http_response
        pieces = await caller.pieces(lambda _client: raw.iter_lines() if kind == "sync" else raw.aiter_lines())
        names = [line.removeprefix("event: ") for line in pieces if line.startswith("event: ")]
        assert names == [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]


@BOTH_WAYS
@pytest.mark.parametrize("path", ["", "/kiln", "/vendor/kiln"])
async def test_beta_is_taken_on_every_route(
    serve: Serve, tmp_path: Path, kind: str, path: str, *, is_streamed: bool
) -> None:
    """Anthropic cases 3 and 11: `?beta=true` is accepted on all three routes and travels on, under our own name."""
    async with deployed(serve, tmp_path, CONFIG) as made, messages_caller(made, kind, path=path) as caller:
        ask = ASK | {"model": "kiln", "extra_query": {"beta": "true"}}
        if is_streamed:
            events = await caller.pieces(lambda client: client.beta.messages.create(**ask, stream=True))
            assert "".join(event.delta.text for event in events if event.type == "content_block_delta") == SAID
        else:
            message = await caller.ask(lambda client: client.beta.messages.create(**ask))
            assert (message.content[0].text, message.model) == (SAID, "kiln-large")
        assert made.sent[-1].path == f"{path}/v1/messages?beta=true"
        assert made.last.target == b"/v1/messages?beta=true"
        assert made.last.fields[b"user-agent"].startswith(b"busbar-fast/")
        assert TOKEN.encode() not in b" ".join(made.last.fields.values())


async def test_stream_may_be_read_as_text_alone(serve: Serve, parser_kind: str, kind: str) -> None:
    """Anthropic §12: the helper's text stream and the raw stream of events say the same."""
    script = Script(text="The tide turns at six.", delta_chars=4, thinking=True)
    async with stand(serve, parser_kind, script) as made, messages_caller(made, kind) as caller:
        if caller.is_blocking:

            def read(client: Any) -> Any:
                with client.messages.stream(**ASK) as stream:
                    return list(stream.text_stream)

            texts = await caller.ask(read)
        else:
            async with caller.client.messages.stream(**ASK) as stream:
                texts = [text async for text in stream.text_stream]
        events = await caller.pieces(lambda client: client.messages.create(**ASK, stream=True))
        deltas = [event.delta for event in events if event.type == "content_block_delta"]
        assert texts == [delta.text for delta in deltas if delta.type == "text_delta"]
        assert texts == ["The ", "tide", " tur", "ns a", "t si", "x."]
        assert events[0].message.model == MODEL
        assert events[-1].type == "message_stop"
