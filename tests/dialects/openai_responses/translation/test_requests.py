"""Requests of the Responses dialect, read and written."""

from typing import Any

import pytest
from msgspec import structs

from busbar_fast.dialects.openai_responses.translation import TRANSLATOR
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    AnyBlock,
    Held,
    Inline,
    Json,
    Mark,
    Media,
    MediaKind,
    Opaque,
    Seal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.requests import (
    ChoiceMode,
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
SMALL = {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}


def turns(*items: object) -> list[Message]:
    """Return what items are read as."""
    return BENCH.read({"input": list(items)}).messages


def items(*blocks: AnyBlock, role: Role = Role.USER, **members: Any) -> Any:
    """Return the items that blocks of one turn are written as."""
    return BENCH.write(BENCH.asked(*blocks, role=role, **members))["input"]


RICH = {
    "model": "m",
    "instructions": "be kind",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"},
                {"type": "input_image", "image_url": "https://i", "detail": "auto"},
                {"type": "input_image", "file_id": "file_1", "detail": "auto"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
                {"type": "input_file", "file_url": "https://f", "filename": "n"},
                {"type": "input_file", "file_id": "file_2"},
                {"type": "input_odd"},
            ],
        },
        {"role": "system", "content": [{"type": "input_text", "text": "be brief"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "c2ln"},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "calling"}, {"type": "refusal", "refusal": "no"}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a": 1.10}', "status": "completed"},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "c", "input": "free"},
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "42"},
        {
            "type": "custom_tool_call_output",
            "call_id": "call_2",
            "output": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": "https://i", "detail": "auto"},
            ],
        },
    ],
    "tools": [
        TOOL,
        {"type": "custom", "name": "c", "description": "d", "format": {"type": "text"}},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "parallel_tool_calls": False,
    "max_output_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_logprobs": 2,
    "text": {
        "format": {
            "type": "json_schema",
            "name": "r",
            "description": "d",
            "schema": {"type": "object"},
            "strict": True,
        },
        "verbosity": "low",
    },
    "reasoning": {"effort": "high", "summary": "auto", "context": "x"},
    "include": ["message.output_text.logprobs"],
    "user": "u",
    "safety_identifier": "s",
    "store": False,
    "stream": True,
}


def test_what_was_read_is_written_again() -> None:
    """IR cases 8, 9; responses §2, §3: every field and item, known or not, comes back to its own dialect."""
    assert BENCH.rewrite(RICH) == RICH


def test_request_is_read_into_neutral_words() -> None:
    """Responses §2: where each field goes."""
    request = BENCH.read(RICH)
    assert (request.user, request.in_stream, request.parallel_tools, request.held) == ("s", True, False, [])
    assert request.system == [Text("be kind")]
    assert request.reasoning == Reasoning(ReasoningMode.ON, "high", is_shown=True, summary="auto")
    assert request.tool_choice == ToolChoice(ChoiceMode.NAMED, "f")
    assert [(tool.name, tool.is_custom) for tool in request.tools] == [("f", False), ("c", True)]
    assert [tool.kind for tool in request.hosted] == ["web_search"]
    assert request.sampling.has_logprobs is True
    assert [message.role for message in request.messages] == [Role.USER, Role.SYSTEM, Role.ASSISTANT, Role.TOOL]
    assert set(request.ext or {}) == {"store", "text", "reasoning"}
    assert request.messages[2].blocks[0] == Thinking("hm", seal=Seal("resp", "c2ln"))


@pytest.mark.parametrize(
    ("given", "system", "said"),
    [
        ("hi", [], ["hi"]),
        ("", [], []),
        (None, [], []),
        ([{"role": "developer", "content": "a"}, {"role": "user", "content": "hi"}], ["a"], ["hi"]),
        ([{"type": "input_text", "text": "x"}], [], ["x"]),
        ([{"role": "user", "content": ""}, {"role": "user"}], [], []),
    ],
)
def test_input_has_several_forms(given: object, system: list[str], said: list[str]) -> None:
    """Responses §3: a string, messages, bare parts; prompts in front are the prompt."""
    request = BENCH.read({"input": given})
    assert [block.text for block in request.system if isinstance(block, Text)] == system
    assert [block.text for turn in request.messages for block in turn.blocks if isinstance(block, Text)] == said


def test_items_of_one_side_are_one_turn() -> None:
    """Responses §3: thoughts, text and calls are one turn, and so are results; an empty thought is nothing."""
    found = turns(
        {
            "type": "reasoning",
            "content": [{"type": "reasoning_text", "text": "a"}],
            "summary": [{"type": "summary_text", "text": "b"}],
        },
        {"type": "reasoning", "summary": []},
        {"type": "output_text", "text": "x"},
        {"type": "function_call", "call_id": "call_bba1", "name": "f", "arguments": "[1"},
        {"type": "function_call_output", "call_id": "call_bba1", "output": [{"type": "input_text", "text": "1"}]},
        {"type": "function_call_output", "call_id": "b", "output": ""},
    )
    assert [turn.role for turn in found] == [Role.ASSISTANT, Role.TOOL]
    thought, text, use = found[0].blocks
    assert (thought, text) == (Thinking("ab"), Text("x"))
    assert isinstance(use, ToolUse)
    assert (use.id, use.args_text) == ("toolu_1", "[1")
    assert found[1].blocks == [ToolResult("toolu_1", [Text("1")]), ToolResult("b")]


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"role": "odd", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        (SMALL | {"tools": [5]}, "tools[0]"),
        (SMALL | {"tool_choice": 5}, "tool_choice"),
    ],
)
def test_wrong_shape_is_named(document: object, param: str) -> None:
    """Responses §12: a bad field is named where it stands."""
    with pytest.raises(Misshapen) as caught:
        BENCH.read(document)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("members", "held"),
    [
        ({"previous_response_id": "resp_1"}, ["previous_response_id"]),
        ({"conversation": "c", "prompt": {"id": "p"}}, ["conversation", "prompt"]),
        ({"background": True}, ["background"]),
        ({"background": False, "conversation": None}, []),
        ({"input": [{"type": "item_reference", "id": "x"}]}, ["input"]),
    ],
)
def test_what_the_vendor_keeps_is_named(members: dict[str, object], held: list[str]) -> None:
    """Responses §7: what a request leans on; it goes back to the vendor even without an item."""
    request = BENCH.read(SMALL | members)
    assert request.held == held
    if "previous_response_id" in members:
        assert BENCH.rewrite({"previous_response_id": "resp_1"}) == {"model": "m", "previous_response_id": "resp_1"}


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (ToolChoice(ChoiceMode.AUTO), "auto"),
        (ToolChoice(ChoiceMode.NONE), "none"),
        (ToolChoice(ChoiceMode.REQUIRED), "required"),
        (ToolChoice(ChoiceMode.NAMED, "f"), {"type": "function", "name": "f"}),
        (
            ToolChoice(ChoiceMode.REQUIRED, allowed=["f"]),
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        ),
        (
            ToolChoice(ChoiceMode.AUTO, allowed=["f"]),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
)
def test_choices_both_ways(choice: ToolChoice, shown: object) -> None:
    """Responses §5, IR cases 31, 32: each mode, a subset exactly, nothing without tools."""
    request = BENCH.asked(Text("hi"), tools=[Tool("f")], tool_choice=choice, parallel_tools=True)
    assert BENCH.write(request)["tool_choice"] == shown
    assert BENCH.read(SMALL | {"tools": [TOOL], "tool_choice": shown}).tool_choice == choice
    bare = BENCH.write(structs.replace(request, tools=[]))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(bare)


def test_choices_of_the_vendor_are_kept() -> None:
    """Responses §5: a choice of a tool that the vendor runs comes back to it; a word that nobody knows is none."""
    hosted = {"type": "web_search"}
    document = SMALL | {"tools": [{"type": "web_search"}], "tool_choice": hosted}
    assert BENCH.rewrite(document) == document
    assert BENCH.read(SMALL | {"tool_choice": "odd"}).tool_choice is None
    nested = {"type": "function", "function": {"name": "f"}}
    assert BENCH.read(SMALL | {"tool_choice": nested}).tool_choice == ToolChoice(ChoiceMode.NAMED, "f")


def test_tools_say_whether_they_are_strict() -> None:
    """Responses §5: the vendor is strict by default, so it is always said, and there is always a schema."""
    (tool,) = BENCH.write(BENCH.asked(Text("hi"), tools=[Tool("f", "d")]))["tools"]
    schema = {"type": "object", "properties": {}}
    assert tool == {"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": False}


@pytest.mark.parametrize("most", [0, 2**32, 1.5])
def test_lengths_that_cannot_be_are_absent(most: object) -> None:
    """Responses §2: and that is noted."""
    assert not BENCH.read(SMALL | {"max_output_tokens": most}).sampling.max_tokens
    assert BENCH.lost == {("dropped", "max_tokens")}


@pytest.mark.parametrize(
    ("reasoning", "shown", "losses"),
    [
        (Reasoning(ReasoningMode.OFF), {"effort": "none"}, set()),
        (Reasoning(ReasoningMode.ON, "high"), {"effort": "high", "summary": "auto"}, set()),
        (Reasoning(ReasoningMode.ON, "high", is_shown=False), {"effort": "high"}, set()),
        (Reasoning(ReasoningMode.DYNAMIC), {"effort": "medium", "summary": "auto"}, {("mapped", "reasoning")}),
        (Reasoning(ReasoningMode.ON, budget=5000), {"effort": "low", "summary": "auto"}, {("mapped", "reasoning")}),
        (Reasoning(ReasoningMode.ON, budget=5), {"effort": "low", "summary": "auto"}, {("mapped", "reasoning")}),
    ],
)
def test_effort_is_a_word(reasoning: Reasoning, shown: object, losses: set[tuple[str, str]]) -> None:
    """Responses §2, §6, IR cases 17, 18: a word, what may be shown, and thoughts that can be sent back."""
    found = BENCH.write(BENCH.asked(Text("hi"), reasoning=reasoning))
    assert (found["reasoning"], found["include"]) == (shown, ["reasoning.encrypted_content"])
    assert BENCH.lost == losses


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ({"effort": "none"}, Reasoning(ReasoningMode.OFF)),
        ({"summary": "auto"}, Reasoning(ReasoningMode.DYNAMIC, is_shown=True, summary="auto")),
        ({"effort": "low"}, Reasoning(ReasoningMode.ON, "low")),
        ({"context": "x"}, None),
    ],
)
def test_ways_to_ask_for_thoughts(asked: dict[str, object], read: Reasoning | None) -> None:
    """Responses §2: each comes back as it was."""
    request = BENCH.read(SMALL | {"reasoning": asked})
    assert request.reasoning == read
    assert BENCH.write(request) == SMALL | {"reasoning": asked}


@pytest.mark.parametrize(
    ("asked", "read", "shown"),
    [
        ({"type": "text"}, None, None),
        ({"type": "json_object"}, OutputFormat(), {"format": {"type": "json_object"}}),
        (
            {"type": "json_schema", "schema": {}},
            OutputFormat(raw({})),
            {"format": {"type": "json_schema", "name": "response", "schema": {}}},
        ),
    ],
)
def test_formats(asked: object, read: OutputFormat | None, shown: object) -> None:
    """Responses §2, IR case 33: flat, and never without a name."""
    assert BENCH.read(SMALL | {"text": {"format": asked}}).format == read
    assert BENCH.write(BENCH.asked(Text("hi"), format=read)).get("text") == shown


def test_what_else_is_included_is_kept() -> None:
    """Responses §2: what only the vendor can include comes back to it, and is noted elsewhere."""
    document = SMALL | {"include": ["file_search_call.results"]}
    assert set(BENCH.read(document).ext or {}) == {"include"}
    assert BENCH.rewrite(document) == document


def test_likelihoods_are_included() -> None:
    """Responses §2: asked for in another dialect they are a thing to include."""
    asked = BENCH.asked(Text("hi"), sampling=Sampling(has_logprobs=True))
    assert BENCH.write(asked)["include"] == ["message.output_text.logprobs"]


def test_turns_become_items() -> None:
    """Responses §3: parts that follow each other are one message, everything else is an item of its own."""
    found = items(
        Text("a"),
        Text("b", mark=Mark()),
        ToolUse("c", "f"),
        Thinking("", seal=Seal("resp", "s")),
        Text("d"),
        role=Role.ASSISTANT,
    )
    marked = {"type": "output_text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert found == [
        {"role": "assistant", "content": [{"type": "output_text", "text": "a"}, marked]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "summary": [], "encrypted_content": "s"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "d"}]},
    ]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            Media(MediaKind.IMAGE, Inline("AAA")),
            {"type": "input_image", "image_url": "data:image/png;base64,AAA", "detail": "auto"},
        ),
        (
            Media(MediaKind.DOCUMENT, Inline("x")),
            {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,x"},
        ),
        (Media(MediaKind.DOCUMENT, Url("https://f")), {"type": "input_file", "file_url": "https://f"}),
        (Media(MediaKind.IMAGE, Held("responses", raw({"file_id": "x"}))), {"file_id": "x"}),
    ],
)
def test_files_are_written(block: Media, part: object) -> None:
    """Responses §3: pictures and documents as the vendor has them."""
    assert items(block, Text("")) == [{"role": "user", "content": [part]}]


def test_files_are_read() -> None:
    """Responses §3: bytes without a type are a document of the usual type."""
    (turn,) = turns(
        {"role": "user", "content": [{"type": "input_file", "file_data": "aGk="}, {"type": "text", "text": "x"}]}
    )
    assert turn.blocks == [Media(MediaKind.DOCUMENT, Inline("aGk="), "application/pdf"), Text("x")]


def test_results_with_files_are_parts() -> None:
    """Responses §3: texts are joined, with a picture they are parts; structure has no place."""
    image = Media(MediaKind.IMAGE, Url("https://i"))
    (found,) = items(ToolResult("c", [Text("a"), image, Json(raw(1))]), role=Role.TOOL)
    assert [part["type"] for part in found["output"]] == ["input_text", "input_image"]
    assert items(ToolResult("c", [Text("a"), Text("b")]), role=Role.TOOL)[0]["output"] == "ab"


def test_opaque_items_and_parts_keep_their_place() -> None:
    """IR case 9: an item stays an item, a part a part."""
    item, part = (
        Opaque("responses", raw({"type": "odd"}), "odd"),
        Opaque("responses", raw({"type": "input_odd"}), "input_odd"),
    )
    assert items(part, item) == [{"role": "user", "content": [{"type": "input_odd"}]}, {"type": "odd"}]


def test_nothing_to_send_is_refused() -> None:
    """Responses §3: without an item nobody is asked."""
    with pytest.raises(Misshapen, match="input"):
        BENCH.write(Request("other", system=[Text("be kind")]))
