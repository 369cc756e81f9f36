"""Requests of the Chat Completions dialect, read and written."""

from typing import Any

import pytest
from msgspec import structs

from busbar_fast.dialects.openai_chat.translation import TRANSLATOR
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
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.requests import (
    ChoiceMode,
    HostedTool,
    Message,
    OutputFormat,
    Place,
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


def blocks_of(*parts: object) -> list[Any]:
    """Return what parts of one message are read as."""
    return turns({"role": "user", "content": list(parts)})[0].blocks


def messages(*blocks: AnyBlock, role: Role = Role.USER, **members: Any) -> Any:
    """Return the messages that blocks of one turn are written as."""
    return BENCH.write(BENCH.asked(*blocks, role=role, **members))["messages"]


RICH = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be kind"},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "look", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://i"}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
                {"type": "file", "file": {"file_id": "file_1"}},
                {"type": "odd"},
            ],
        },
        {"role": "system", "content": "be brief"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.10}'}},
                {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "free"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
        {"role": "assistant", "content": None, "refusal": "no"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}},
        {"type": "custom", "custom": {"name": "c", "description": "d", "format": {"type": "text"}}},
        {"type": "odd_tool"},
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "max_completion_tokens": 100,
    "temperature": 0.70,
    "top_p": 1.0,
    "seed": 7,
    "n": 3,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "stop": ["X"],
    "logprobs": True,
    "top_logprobs": 2,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "r", "description": "d", "schema": {"type": "object"}, "strict": True},
    },
    "reasoning_effort": "high",
    "user": "u",
    "safety_identifier": "s",
    "store": True,
    "web_search_options": {"search_context_size": "low", "x": 1},
    "stream": True,
    "stream_options": {"include_usage": False, "include_obfuscation": False},
}


def test_what_was_read_is_written_again() -> None:
    """IR cases 8, 9; openai case 4: every field and part, known or not, comes back to its own dialect."""
    assert BENCH.rewrite(RICH) == RICH


def test_request_is_read_into_neutral_words() -> None:
    """Openai §2: where each field goes."""
    request = BENCH.read(RICH)
    assert (request.user, request.in_stream, request.include_usage, request.parallel_tools) == ("s", True, False, False)
    assert request.reasoning == Reasoning(ReasoningMode.ON, "high")
    assert request.tool_choice == ToolChoice(ChoiceMode.NAMED, "f")
    assert [(tool.name, tool.is_custom) for tool in request.tools] == [("f", False), ("c", True)]
    assert request.sampling.stop == ["X"]
    assert bytes(request.sampling.temperature) == b"0.7"
    assert set(request.ext or {}) == {"store", "stream_options"}
    assert [message.role for message in request.messages][1] is Role.SYSTEM
    assert request.format is not None
    assert (request.format.name, request.format.strict) == ("r", True)


@pytest.mark.parametrize(
    ("members", "most", "losses"),
    [
        ({"max_tokens": 5}, b"5", set()),
        ({"max_completion_tokens": 6}, b"6", set()),
        ({"max_tokens": 5, "max_completion_tokens": 6}, b"5", set()),
        ({"max_tokens": 0}, b"", {("dropped", "max_tokens")}),
        ({"max_tokens": -5}, b"", {("dropped", "max_tokens")}),
        ({"max_tokens": 2**32}, b"", {("dropped", "max_tokens")}),
        ({"max_tokens": 1.5}, b"", {("dropped", "max_tokens")}),
        ({"max_tokens": 5.0}, b"5", set()),
        ({}, b"", set()),
    ],
)
def test_lengths(members: dict[str, object], most: bytes, losses: set[tuple[str, str]]) -> None:
    """Openai case 3: either name, the older one first; what cannot be is absent."""
    assert bytes(BENCH.read(SMALL | members).sampling.max_tokens) == most
    assert BENCH.lost == losses


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "max_tokens"),
        ({"host": "api.openai.com"}, "max_completion_tokens"),
        ({"host": "x.openai.azure.com"}, "max_completion_tokens"),
        ({"host": "api.openai.com", "options": {"token_limit_field": "max_tokens"}}, "max_tokens"),
    ],
)
def test_length_has_the_name_that_the_host_knows(changes: dict[str, Any], name: str) -> None:
    """Openai §2: newer hosts take the newer name, and a lane may say which."""
    request = BENCH.asked(Text("hi"), sampling=Sampling(raw(5)))
    assert BENCH.write(request, **changes)[name] == 5


@pytest.mark.parametrize(
    ("stop", "read"),
    [("X", ["X"]), (["X", ""], ["X"]), ([""], []), ([1, "Y"], ["Y"]), (None, [])],
)
def test_stop_strings(stop: object, read: list[str]) -> None:
    """Openai case 7: one or several, nothing empty."""
    assert BENCH.read(SMALL | {"stop": stop}).sampling.stop == read


def test_system_prompts_keep_their_place() -> None:
    """Openai case 8: those in front are the prompt, a later one stays, whatever it is called."""
    request = BENCH.read(
        {
            "messages": [
                {"role": "developer", "content": "a"},
                *HI,
                {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            ]
        }
    )
    assert request.system == [Text("a")]
    assert [message.role for message in request.messages] == [Role.USER, Role.SYSTEM]


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({}, "messages"),
        ({"messages": 5}, "messages"),
        ({"messages": [{"role": "odd"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content[0].file"),
        (SMALL | {"tools": [5]}, "tools[0]"),
        (SMALL | {"tool_choice": 5}, "tool_choice"),
    ],
)
def test_wrong_shape_is_named(document: object, param: str) -> None:
    """Openai case 9, §10: a bad field is named where it stands."""
    with pytest.raises(Misshapen) as caught:
        BENCH.read(document)
    assert caught.value.param == param


def test_assistant_may_think_refuse_and_call() -> None:
    """Openai §3: thoughts by either name come first, then text, a refusal, calls."""
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    one, two = turns(
        {
            "role": "assistant",
            "reasoning_content": None,
            "reasoning": "hm",
            "content": "x",
            "refusal": "no",
            "tool_calls": [call],
        },
        {"role": "assistant", "reasoning_content": "ha", "function_call": {"name": "g", "arguments": ""}},
    )
    thought, text, refusal, use = one.blocks
    assert (thought, text, refusal) == (Thinking("hm"), Text("x"), Text("no", is_refusal=True))
    assert isinstance(use, ToolUse)
    assert use.id.startswith("call_")
    assert bytes(use.args) == b'{"a": 1}'
    thought, use = two.blocks
    assert isinstance(use, ToolUse)
    assert (use.name, bytes(use.args)) == ("g", b"{}")


def test_older_results_belong_to_the_last_call_of_their_tool() -> None:
    """Openai §3: a message of the role `function` names its tool."""
    found = turns(
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
    )
    (use,), (result,) = found[0].blocks, found[1].blocks
    assert isinstance(use, ToolUse)
    assert result == ToolResult(use.id, [Text("42")], name="f")


def test_results_may_be_parts() -> None:
    """Openai case 11: texts of an array, once, written without anything between."""
    (message,) = turns(
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    )
    assert message.blocks == [ToolResult("c", [Text("a"), Text("b")])]
    assert messages(*message.blocks, role=Role.TOOL) == [{"role": "tool", "tool_call_id": "c", "content": "ab"}]


def test_parts_of_all_kinds() -> None:
    """Openai §3, cases 9, 10: what each part becomes."""
    found = blocks_of(
        {"type": "text", "text": ""},
        {"type": "refusal", "refusal": "no"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA"}},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
        {"type": "file", "file": {"file_data": "aGk="}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "odd"},
    )
    assert found[0] == Text("no", is_refusal=True)
    assert found[1] == Media(MediaKind.IMAGE, Inline("AAA"), "image/png")
    assert found[2] == Media(MediaKind.AUDIO, Inline("x"), "audio/wav")
    assert found[3] == Media(MediaKind.DOCUMENT, Inline("aGk="), "application/pdf")
    assert isinstance(found[4].source, Held)
    assert isinstance(found[5], Opaque)


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            Media(MediaKind.IMAGE, Inline("AAA")),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA"}},
        ),
        (
            Media(MediaKind.IMAGE, Url("https://i"), detail="high"),
            {"type": "image_url", "image_url": {"url": "https://i", "detail": "high"}},
        ),
        (
            Media(MediaKind.AUDIO, Inline("x"), "audio/wav"),
            {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
        ),
        (
            Media(MediaKind.DOCUMENT, Inline("aGk=")),
            {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        ),
    ],
)
def test_files_are_written(block: Media, part: object) -> None:
    """Openai §3: pictures as URLs, sound and documents with their bytes."""
    assert messages(block) == [{"role": "user", "content": [part]}]


def test_results_come_before_what_else_a_turn_holds() -> None:
    """Openai cases 13, 14: each result is a message of its own, whoever carried it."""
    found = messages(ToolResult("a", [Text("1"), Json(raw({}))]), Text("and"), Text("then", mark=Mark()))
    parts = [
        {"type": "text", "text": "and"},
        {"type": "text", "text": "then", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ]
    assert found == [{"role": "tool", "tool_call_id": "a", "content": "1"}, {"role": "user", "content": parts}]


def test_assistant_turns_are_written() -> None:
    """Openai cases 12, 15: calls alone have a null content; arguments that are no object stay as they are."""
    use = ToolUse("a", "f", raw({}), "[1")
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "[1"}}
    user = Message(Role.USER, [Text("hi")])
    asked = Request("other", messages=[user, Message(Role.ASSISTANT, [use]), Message(Role.ASSISTANT, [Json(raw(1))])])
    assert BENCH.write(asked)["messages"][1:] == [{"role": "assistant", "content": None, "tool_calls": [call]}]
    (again,) = turns({"role": "assistant", "tool_calls": [call]})
    assert isinstance(again.blocks[0], ToolUse)
    assert again.blocks[0].args_text == "[1"


def test_what_says_nothing_is_not_written() -> None:
    """Openai §3: no empty text, and nothing that a message cannot hold."""
    assert messages(Text(""), Json(raw({})), Text("x")) == [{"role": "user", "content": "x"}]


def test_nothing_to_send_is_refused() -> None:
    """Openai §3: a prompt alone asks nothing."""
    with pytest.raises(Misshapen, match="messages"):
        BENCH.write(Request("other", system=[Text("be kind")]))


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (ToolChoice(ChoiceMode.AUTO), "auto"),
        (ToolChoice(ChoiceMode.NONE), "none"),
        (ToolChoice(ChoiceMode.REQUIRED), "required"),
        (ToolChoice(ChoiceMode.NAMED, "f"), {"type": "function", "function": {"name": "f"}}),
        (
            ToolChoice(ChoiceMode.REQUIRED, allowed=["f"]),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
        (
            ToolChoice(ChoiceMode.AUTO, allowed=["f"]),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
    ],
)
def test_choices_both_ways(choice: ToolChoice, shown: object) -> None:
    """Openai case 18, IR cases 31, 32: each mode, a subset exactly, nothing without tools."""
    request = BENCH.asked(Text("hi"), tools=[Tool("f")], tool_choice=choice, parallel_tools=True)
    assert BENCH.write(request)["tool_choice"] == shown
    assert BENCH.read(SMALL | {"tools": [TOOL], "tool_choice": shown}).tool_choice == choice
    bare = BENCH.write(structs.replace(request, tools=[]))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(bare)


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ("odd", None),
        ({"type": "odd"}, None),
        ({"name": "f"}, ToolChoice(ChoiceMode.NAMED, "f")),
        ({"type": "custom", "custom": {"name": "c"}}, ToolChoice(ChoiceMode.NAMED, "c")),
    ],
)
def test_odd_choices(choice: object, read: ToolChoice | None) -> None:
    """Openai §4: what makes no sense is absent; other forms of a name are understood."""
    assert BENCH.read(SMALL | {"tool_choice": choice}).tool_choice == read


def test_older_tools_are_tools() -> None:
    """Openai §4: `functions` and `function_call` are the older spelling, and a flat function is one too."""
    request = BENCH.read(
        SMALL
        | {"functions": [{"name": "f"}], "function_call": {"name": "f"}, "tools": [{"type": "function", "name": "g"}]}
    )
    assert [tool.name for tool in request.tools] == ["g", "f"]
    assert request.tool_choice == ToolChoice(ChoiceMode.NAMED, "f")


def test_tools_are_nested_and_have_a_schema() -> None:
    """Openai case 17: never without parameters."""
    (tool,) = BENCH.write(BENCH.asked(Text("hi"), tools=[Tool("f", "d")]))["tools"]
    schema = {"type": "object", "properties": {}}
    assert tool == {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}


@pytest.mark.parametrize(
    ("asked", "read", "shown"),
    [
        ({"type": "text"}, None, None),
        ({"type": "json_object"}, OutputFormat(), {"type": "json_object"}),
        ({"type": "odd"}, OutputFormat(), {"type": "json_object"}),
        (
            {"type": "json_schema", "json_schema": {"schema": {}}},
            OutputFormat(raw({})),
            {"type": "json_schema", "json_schema": {"name": "response", "schema": {}}},
        ),
    ],
)
def test_formats(asked: object, read: OutputFormat | None, shown: object) -> None:
    """Openai §2, IR case 33: free JSON, JSON by a schema, a name if there is none."""
    assert BENCH.read(SMALL | {"response_format": asked}).format == read
    assert BENCH.write(BENCH.asked(Text("hi"), format=read)).get("response_format") == shown


@pytest.mark.parametrize(
    ("reasoning", "model", "word", "losses"),
    [
        (Reasoning(ReasoningMode.OFF), "m", "none", set()),
        (Reasoning(ReasoningMode.ON, "minimal"), "m", "minimal", set()),
        (Reasoning(ReasoningMode.ON, "minimal"), "o3", "low", set()),
        (Reasoning(ReasoningMode.DYNAMIC), "m", "medium", {("mapped", "reasoning")}),
        (Reasoning(ReasoningMode.ON, budget=5000), "m", "low", {("mapped", "reasoning")}),
        (Reasoning(ReasoningMode.ON, budget=1), "m", "low", {("mapped", "reasoning")}),
        (Reasoning(ReasoningMode.ON, budget=99999), "m", "xhigh", {("mapped", "reasoning")}),
    ],
)
def test_effort_is_a_word(reasoning: Reasoning, model: str, word: str, losses: set[tuple[str, str]]) -> None:
    """Openai §5, IR cases 17, 18: off is a word too, numbers become the word they reach."""
    assert BENCH.write(BENCH.asked(Text("hi"), reasoning=reasoning), model)["reasoning_effort"] == word
    assert BENCH.lost == losses
    assert BENCH.read(SMALL | {"reasoning_effort": "none"}).reasoning == Reasoning(ReasoningMode.OFF)


@pytest.mark.parametrize(
    ("request_", "options", "shown"),
    [
        (Request("other", in_stream=True), {}, {"include_usage": True}),
        (Request("other", in_stream=True), {"stream_usage": False}, None),
        (Request("openai", in_stream=True), {}, None),
        (Request("openai", in_stream=True, include_usage=True), {}, {"include_usage": True}),
    ],
)
def test_streams_are_asked_for_their_usage(request_: Request, options: dict[str, Any], shown: object) -> None:
    """Openai §9.4: clients of other vendors are told the usage, so it is asked for unless the host refuses."""
    request_.messages = [Message(Role.USER, [Text("hi")])]
    found = BENCH.write(request_, options=options)
    assert (found["stream"], found.get("stream_options")) == (True, shown)


def test_ids_may_have_to_be_short() -> None:
    """Openai §12: nine letters and digits where the lane says so, the same for call and result."""
    turn: list[AnyBlock] = [ToolUse("call_1", "f"), ToolResult("call_1"), ToolUse("abcdefghi", "g")]
    asked = BENCH.asked(*turn, role=Role.ASSISTANT)
    result, call = BENCH.write(asked, options={"tool_id_style": "mistral9"})["messages"]
    ids = [one["id"] for one in call["tool_calls"]]
    assert len(ids[0]) == 9
    assert ids[0].isalnum()
    assert (result["tool_call_id"], ids[1]) == (ids[0], "abcdefghi")


def test_user_alone_is_the_user() -> None:
    """Openai §2: who asks, by the newer name or the older one."""
    assert BENCH.read(SMALL | {"user": "u"}).user == "u"
    assert BENCH.rewrite(SMALL | {"safety_identifier": "s"}) == SMALL | {"safety_identifier": "s"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, {}),
        ({"search_context_size": "low"}, {"context_size": "low"}),
        ({"search_context_size": "huge"}, {"has_more": True}),
        (
            {"user_location": {"type": "approximate", "approximate": {"country": "FR", "city": "Brest"}}},
            {"place": Place("Brest", country="FR")},
        ),
        ({"user_location": None, "x": 1}, {"has_more": True}),
        ("on", {"has_more": True}),
    ],
)
def test_a_search_in_the_web_is_a_tool(options: object, said: dict[str, Any]) -> None:
    """Openai §2, web_search_options: what others have a word for too, and to its own vendor as it was."""
    request = BENCH.read(SMALL | {"web_search_options": options})
    (found,) = request.hosted
    assert found == HostedTool("web_search", "openai", found.raw, **said)
    assert (request.ext, BENCH.write(request)["web_search_options"]) == (None, options)
    assert not BENCH.read(SMALL | {"web_search_options": None}).hosted
