"""Requests of the Chat dialect, read and written."""

from typing import Any

import pytest
from msgspec import structs

from busbar_fast.dialects.cohere.translation import TRANSLATOR
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    AnyBlock,
    CitationKind,
    Code,
    Inline,
    Json,
    Media,
    MediaKind,
    Opaque,
    Span,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.requests import (
    ChoiceMode,
    Document,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningMode,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)
from tests.dialects.translating import Bench, raw

BENCH = Bench(TRANSLATOR)
HI: Any = [{"role": "user", "content": "hi"}]
SMALL = {"model": "m", "messages": HI}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def turns(*messages: object) -> list[Message]:
    """Return what messages are read as."""
    return BENCH.read({"messages": list(messages)}).messages


def messages(*blocks: AnyBlock, role: Role = Role.USER, **members: Any) -> Any:
    """Return the messages that blocks of one turn are written as."""
    return BENCH.write(BENCH.asked(*blocks, role=role, **members))["messages"]


RICH = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be kind"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "https://i"}},
                {"type": "odd"},
            ],
        },
        {"role": "system", "content": "be brief"},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}],
            "tool_plan": "I will look",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1.10}'}}],
        },
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "document", "document": {"id": "d", "data": {"x": 1}}},
            ],
        },
    ],
    "tools": [TOOL, {"type": "odd_tool"}],
    "strict_tools": True,
    "tool_choice": "REQUIRED",
    "documents": [
        {"id": "d1", "data": {"title": "T", "text": "words"}},
        {"data": {"text": "more"}},
        {"id": "d2", "data": {"x": 1}},
    ],
    "citation_options": {"mode": "FAST"},
    "max_tokens": 100,
    "temperature": 0.5,
    "p": 0.9,
    "k": 3,
    "seed": 7,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "stop_sequences": ["X"],
    "logprobs": True,
    "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
    "thinking": {"type": "enabled", "token_budget": 500},
    "safety_mode": "STRICT",
    "stream": True,
}


def test_what_was_read_is_written_again() -> None:
    """IR cases 8, 9; cohere case 15: every field and block, known or not, comes back to its own dialect."""
    assert BENCH.rewrite(RICH) == RICH


def test_request_is_read_into_neutral_words() -> None:
    """Cohere §3: where each field goes."""
    request = BENCH.read(RICH)
    assert (request.in_stream, request.strict_tools) == (True, True)
    assert request.tool_choice == ToolChoice(ChoiceMode.REQUIRED)
    assert request.reasoning == Reasoning(ReasoningMode.ON, budget=500)
    assert request.documents[0] == Document("d1", "T", "words")
    assert request.documents[2].content == raw({"x": 1}).__class__(b'{"x": 1}')
    assert (bytes(request.sampling.top_p), bytes(request.sampling.top_k)) == (b"0.9", b"3")
    assert request.messages[2].blocks[0] == Text("I will look", is_plan=True)
    assert set(request.ext or {}) == {"safety_mode"}


@pytest.mark.parametrize(
    ("members", "name", "kept", "losses"),
    [
        ({"max_tokens": 0}, "max_tokens", b"", set()),
        ({"max_tokens": -3}, "max_tokens", b"", {("dropped", "max_tokens")}),
        ({"k": 0}, "top_k", b"", set()),
        ({"k": 4294967297}, "top_k", b"", {("dropped", "top_k")}),
        ({"k": 5}, "top_k", b"5", set()),
    ],
)
def test_numbers_of_something(members: dict[str, object], name: str, kept: bytes, losses: set[tuple[str, str]]) -> None:
    """Cohere case 29: 0 is nothing, what is too large is not wrapped."""
    assert bytes(getattr(BENCH.read(SMALL | members).sampling, name)) == kept
    assert BENCH.lost == losses


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({}, "messages"),
        ({"messages": 5}, "messages"),
        ({"messages": [{"role": "odd"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        ({"messages": [{"role": "tool", "content": [{"type": "document"}]}]}, "messages[0].content[0].document"),
        (SMALL | {"tools": [5]}, "tools[0]"),
        (SMALL | {"documents": [5]}, "documents[0]"),
        (SMALL | {"documents": ["x"], "citation_options": 5}, "citation_options"),
    ],
)
def test_wrong_shape_is_named(document: object, param: str) -> None:
    """Cohere §4: a bad field is named where it stands."""
    with pytest.raises(Misshapen) as caught:
        BENCH.read(document)
    assert caught.value.param == param


def test_system_prompts_keep_their_place() -> None:
    """Cohere cases 7 to 9: those in front are the prompt and are joined, a later one stays where it is."""
    request = BENCH.read(
        {
            "messages": [
                {"role": "system", "content": "a"},
                {"role": "system", "content": [{"type": "text", "text": "b"}]},
                *HI,
            ]
        }
    )
    assert request.system == [Text("a"), Text("b")]
    assert BENCH.write(request)["messages"][0] == {"role": "system", "content": "a\nb"}


def test_calls_and_results_without_ids_get_some() -> None:
    """Cohere §4: empty ids are made up, arguments may be an object."""
    one, two = turns(
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}, {}]},
        {"role": "tool", "content": "x"},
    )
    use, bare = one.blocks
    assert isinstance(use, ToolUse)
    assert isinstance(bare, ToolUse)
    assert use.id.startswith("call_")
    assert (bytes(use.args), bare.name) == (b'{"a": 1}', "")
    assert isinstance(two.blocks[0], ToolResult)
    assert two.blocks[0].tool_id.startswith("call_")


def test_references_in_history_belong_to_their_text() -> None:
    """Cohere §4: the content that they name, the first by default; what names nothing is nobody's."""
    citation = {"start": 0, "end": 1, "text": "a", "sources": [{"type": "tool", "id": "t"}]}
    (message,) = turns(
        {
            "role": "assistant",
            "tool_plan": "p",
            "content": [{"type": "text", "text": "ab"}, {"type": "thinking", "thinking": "x"}],
            "citations": [citation, citation | {"content_index": 1}, citation | {"content_index": 9}],
        }
    )
    text = message.blocks[1]
    assert isinstance(text, Text)
    (found,) = text.citations
    assert (found.kind, found.answer, found.doc_id) == (CitationKind.TOOL, Span(0, 1, "a"), "t")


def test_documents_in_results() -> None:
    """Cohere cases 16 to 18: objects are structured, strings are text, texts are joined without anything between."""
    (message,) = turns(
        {
            "role": "tool",
            "tool_call_id": "c",
            "content": [
                {"type": "document", "document": {"id": "d", "data": {"x": 1}}},
                {"type": "document", "document": {"data": "words"}},
                {"type": "document", "document": {}},
            ],
        }
    )
    (result,) = message.blocks
    assert isinstance(result, ToolResult)
    assert [type(block) for block in result.blocks] == [Json, Text, Text]
    found = messages(ToolResult("c", [Text("a"), Text("b"), Json(raw([1]))]), role=Role.TOOL)
    assert found == [{"role": "tool", "tool_call_id": "c", "content": "ab[1]"}]
    found = messages(ToolResult("c", [Json(raw({"x": 1})), Thinking("no part of a result")]), role=Role.TOOL)
    assert found[0]["content"] == [{"type": "document", "document": {"data": {"x": 1}}}]


def test_documents_have_several_forms() -> None:
    """Cohere §3: strings, objects of a title and a text, objects of anything; references can be switched off."""
    asked = SMALL | {"documents": ["x", {"data": "y"}, {}], "citation_options": {"mode": "OFF"}}
    assert BENCH.read(asked).documents == [Document(text=text, is_cited=False) for text in ("x", "y", "")]
    assert BENCH.write(BENCH.asked(Text("hi"), documents=[Document(text="x")]))["documents"] == [
        {"data": {"text": "x"}}
    ]


def test_results_come_before_what_else_a_turn_holds() -> None:
    """Cohere case 19: each result is a message of its own, then text and pictures in their order."""
    image = Media(MediaKind.IMAGE, Inline("aGk="), "image/png")
    url = Media(MediaKind.IMAGE, Url("https://i"))
    found = messages(ToolResult("a", [Text("1")]), Text("x"), image, url, Text(""), Code("x"))
    parts = [
        {"type": "text", "text": "x"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://i"}},
    ]
    assert found == [{"role": "tool", "tool_call_id": "a", "content": "1"}, {"role": "user", "content": parts}]


def test_assistant_turns_are_written() -> None:
    """Cohere cases 12, 14, 21: text beside calls is a plan, calls alone have no content, text alone is bare."""
    use = ToolUse("a", "f", raw({}), "[1")
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "[1"}}
    user = Message(Role.USER, [Text("hi")])
    turns_of_blocks: list[list[AnyBlock]] = [[Text("p"), Text("q"), use], [use], [Text("x")], [Code("y")]]
    said = [Message(Role.ASSISTANT, blocks) for blocks in turns_of_blocks]
    found = BENCH.write(Request("other", messages=[user, *said]))["messages"][1:]
    assert found == [
        {"role": "assistant", "tool_plan": "pq", "tool_calls": [call]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "assistant", "content": "x"},
    ]


def test_nothing_to_send_is_refused() -> None:
    """Cohere §4: a prompt alone asks nothing."""
    with pytest.raises(Misshapen, match="messages"):
        BENCH.write(Request("other", system=[Text("be kind")]))


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (ToolChoice(ChoiceMode.AUTO), None),
        (ToolChoice(ChoiceMode.NONE), "NONE"),
        (ToolChoice(ChoiceMode.REQUIRED), "REQUIRED"),
        (None, None),
    ],
)
def test_choices_both_ways(choice: ToolChoice | None, shown: str | None) -> None:
    """Cohere cases 23, 25: both words, nothing for auto, nothing without tools."""
    request = BENCH.asked(Text("hi"), tools=[Tool("f")], tool_choice=choice)
    assert BENCH.write(request).get("tool_choice") == shown
    assert "tool_choice" not in BENCH.write(structs.replace(request, tools=[]))
    assert BENCH.read(SMALL | {"tools": [TOOL], "tool_choice": "odd"}).tool_choice is None


@pytest.mark.parametrize(
    ("tools", "strict_tools", "shown"),
    [
        ([Tool("f", strict=True)], None, True),
        ([Tool("f")], False, False),
        ([Tool("f")], None, None),
        ([], True, None),
    ],
)
def test_strictness_is_said_of_all_tools(tools: list[Tool], *, strict_tools: bool | None, shown: bool | None) -> None:
    """Cohere §3: one word for all, beside tools only; a tool without a schema gets an empty one."""
    found = BENCH.write(BENCH.asked(Text("hi"), tools=tools, strict_tools=strict_tools))
    assert found.get("strict_tools") is shown
    schemas = [tool["function"]["parameters"] for tool in found.get("tools", [])]
    assert schemas == [{"type": "object", "properties": {}}] * len(tools)


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, OutputFormat()),
        ({"type": "json_object", "schema": {}}, OutputFormat(raw({}))),
    ],
)
def test_formats(asked: object, read: OutputFormat | None) -> None:
    """Cohere §3, IR case 33: free JSON, and JSON by a schema in the older spelling."""
    assert BENCH.read(SMALL | {"response_format": asked}).format == read
    shown = BENCH.write(BENCH.asked(Text("hi"), format=OutputFormat()))["response_format"]
    assert shown == {"type": "json_object"}


@pytest.mark.parametrize(
    ("reasoning", "shown", "losses"),
    [
        (Reasoning(ReasoningMode.OFF), {"type": "disabled"}, set()),
        (Reasoning(ReasoningMode.DYNAMIC), {"type": "enabled"}, set()),
        (Reasoning(ReasoningMode.ON, "low"), {"type": "enabled", "token_budget": 4096}, {("mapped", "reasoning")}),
        (Reasoning(ReasoningMode.ON, "odd"), {"type": "enabled", "token_budget": 8192}, {("mapped", "reasoning")}),
        (Reasoning(ReasoningMode.ON, budget=7), {"type": "enabled", "token_budget": 7}, set()),
    ],
)
def test_thoughts_are_asked_for_in_tokens(reasoning: Reasoning, shown: object, losses: set[tuple[str, str]]) -> None:
    """Cohere §3, IR cases 17, 18: words become tokens, as much as it likes has no number, off is said."""
    assert BENCH.write(BENCH.asked(Text("hi"), reasoning=reasoning))["thinking"] == shown
    assert BENCH.lost == losses
    if reasoning.effort == "":
        assert BENCH.read(SMALL | {"thinking": shown}).reasoning == reasoning


def test_sampling_is_written_in_the_vendors_words() -> None:
    """Cohere §3: p and k, stops as a list."""
    found = BENCH.write(BENCH.asked(Text("hi"), sampling=Sampling(top_p=raw(0.5), top_k=raw(3), stop=["X"])))
    assert (found["p"], found["k"], found["stop_sequences"]) == (0.5, 3, ["X"])


def test_opaque_blocks_and_thoughts_keep_their_place() -> None:
    """IR case 9, cohere case 15: what nobody knows is written back as it was, thoughts are blocks."""
    found = messages(Opaque("cohere", raw({"type": "odd"})), Thinking("hm"), role=Role.ASSISTANT)
    assert found == [{"role": "assistant", "content": [{"type": "odd"}, {"type": "thinking", "thinking": "hm"}]}]
