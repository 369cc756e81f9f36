"""Requests of the Messages dialect, read and written."""

import json
from typing import Any

import pytest
from msgspec import structs

from busbar_fast.dialects.anthropic.translation import TRANSLATOR
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    Citation,
    CitationKind,
    Code,
    Held,
    Inline,
    Mark,
    Media,
    MediaKind,
    Opaque,
    Plain,
    Seal,
    SearchResult,
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
HI: Any = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
SMALL = {"model": "m", "max_tokens": 9, "messages": HI}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def blocks_of(*blocks: object, role: str = "user") -> list[Any]:
    """Return what blocks of one turn are read as."""
    return BENCH.read(SMALL | {"messages": [{"role": role, "content": list(blocks)}]}).messages[0].blocks


def written(*blocks: Any, role: Role = Role.USER, **members: Any) -> Any:
    """Return the content that blocks of one turn are written as."""
    return BENCH.write(BENCH.asked(*blocks, role=role, **members))["messages"][0]["content"]


RICH = {
    "model": "m",
    "max_tokens": 2000,
    "system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {"type": "image", "source": {"type": "url", "url": "https://i"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                    "title": "T",
                    "context": "C",
                    "citations": {"enabled": True},
                },
                {
                    "type": "search_result",
                    "source": "https://s",
                    "title": "S",
                    "content": [{"type": "text", "text": "found"}],
                    "citations": {"enabled": True},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                {"type": "text", "text": "calling", "citations": [{"type": "char_location", "cited_text": "w"}]},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "42"}],
                    "is_error": True,
                    "cache_control": {"type": "ephemeral"},
                }
            ],
        },
    ],
    "tools": [TOOL | {"strict": True, "input_examples": [{}]}, {"type": "web_search_20250305", "name": "web_search"}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "stop_sequences": ["END"],
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 3,
    "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "extra": 1},
    "metadata": {"user_id": "u", "more": 1},
    "cache_control": {"type": "ephemeral"},
    "service_tier": "auto",
    "stream": True,
}


def test_what_was_read_is_written_again() -> None:
    """IR cases 8, 9; anthropic cases 30, 31: every field and block, known or not, comes back to its own dialect."""
    assert BENCH.rewrite(RICH) == RICH


def test_request_is_read_into_neutral_words() -> None:
    """Anthropic §5: where each field goes."""
    request = BENCH.read(RICH)
    assert request.sampling == Sampling(raw(2000), raw(0.5), raw(0.9), raw(3), stop=["END"])
    assert (request.user, request.in_stream, request.parallel_tools, request.mark) == ("u", True, False, Mark())
    assert request.tool_choice == ToolChoice(ChoiceMode.NAMED, "f")
    assert request.reasoning == Reasoning(ReasoningMode.ON, budget=1024, is_shown=False)
    assert request.format == OutputFormat(raw({"type": "object"}).__class__(b'{"type": "object"}'))
    assert [tool.kind for tool in request.hosted] == ["web_search"]
    assert request.system == [Text("be kind", mark=Mark("1h"))]
    assert set(request.ext or {}) == {"metadata", "output_config", "service_tier"}


@pytest.mark.parametrize(
    ("system", "texts"), [("be kind", ["be kind"]), ("", []), (7, []), ([{"type": "text", "text": "a"}], ["a"])]
)
def test_system_prompt_has_several_forms(system: object, texts: list[str]) -> None:
    """Anthropic case 15: a string, blocks, or a number that is ignored."""
    assert [block.text for block in BENCH.read(SMALL | {"system": system}).system if isinstance(block, Text)] == texts


@pytest.mark.parametrize(
    ("value", "kept", "losses"),
    [(4294967297, b"", {("dropped", "max_tokens")}), (0, b"0", set()), (1.5, b"", {("dropped", "max_tokens")})],
)
def test_lengths_that_cannot_be_are_absent(value: object, kept: bytes, losses: set[tuple[str, str]]) -> None:
    """Anthropic cases 13, 14: what is too large is as good as not there; 0 is said and kept."""
    assert bytes(BENCH.read(SMALL | {"max_tokens": value}).sampling.max_tokens) == kept
    assert BENCH.lost == losses


@pytest.mark.parametrize("stops", [[], [""], ["", 1]])
def test_empty_stop_strings_vanish(stops: list[object]) -> None:
    """Anthropic case 18: nothing is written of them."""
    assert "stop_sequences" not in BENCH.rewrite(SMALL | {"stop_sequences": stops})


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": 5}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        ({"tools": [5]}, "tools[0]"),
        ({"thinking": 5}, "thinking"),
        ({"cache_control": {"type": "eternal"}}, "cache_control.type"),
    ],
)
def test_wrong_shape_is_named(members: dict[str, object], param: str) -> None:
    """Anthropic case 31, §11: a bad field is named where it stands."""
    with pytest.raises(Misshapen) as caught:
        BENCH.read(SMALL | members)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("choice", "tools", "shown"),
    [
        ({"type": "auto"}, [TOOL], {"type": "auto"}),
        ({"type": "any"}, [TOOL], {"type": "any"}),
        ({"type": "tool", "name": "f"}, [TOOL], {"type": "tool", "name": "f"}),
        ({"type": "none", "disable_parallel_tool_use": True}, [TOOL], {"type": "none"}),
        ({"type": "tool"}, [TOOL], None),
        ({"type": "odd"}, [TOOL], None),
        ({"type": "any"}, [], None),
    ],
)
def test_choices_both_ways(choice: object, tools: list[object], shown: object) -> None:
    """Anthropic cases 19, 20; IR case 31: each mode, none without tools, nothing that makes no sense."""
    document = SMALL | {"tool_choice": choice} | ({"tools": tools} if tools else {})
    assert BENCH.rewrite(document).get("tool_choice") == shown


@pytest.mark.parametrize(("parallel", "tools", "shown"), [(False, [Tool("f")], True), (True, [Tool("f")], False)])
def test_parallelism_needs_tools_only(*, parallel: bool, tools: list[Tool], shown: bool) -> None:
    """Anthropic case 20: the flag makes a choice of its own beside tools."""
    request = BENCH.asked(Text("hi"), tools=tools, parallel_tools=parallel)
    assert BENCH.write(request)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": shown}
    assert "tool_choice" not in BENCH.write(structs.replace(request, tools=[]))


def test_tool_without_a_schema_gets_an_empty_one() -> None:
    """Anthropic §7: never null."""
    (tool,) = BENCH.write(BENCH.asked(Text("hi"), tools=[Tool("f", mark=Mark("5m"))]))["tools"]
    empty = {"type": "object", "properties": {}}
    assert tool == {"name": "f", "input_schema": empty, "cache_control": {"type": "ephemeral", "ttl": "5m"}}
    assert BENCH.read(SMALL | {"tools": [{"name": "f"}]}).tools[0].schema == raw(empty)


@pytest.mark.parametrize(
    ("document", "reasoning", "is_kept"),
    [
        ({"thinking": {"type": "adaptive"}}, Reasoning(ReasoningMode.DYNAMIC), False),
        ({"thinking": {"type": "disabled"}}, Reasoning(ReasoningMode.OFF), False),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            Reasoning(ReasoningMode.DYNAMIC, is_shown=True),
            False,
        ),
        ({"thinking": {"type": "between_tools"}}, Reasoning(ReasoningMode.DYNAMIC), True),
        ({"output_config": {"effort": "high"}}, Reasoning(ReasoningMode.ON, "high"), False),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5000}, "output_config": {"effort": "max"}},
            Reasoning(ReasoningMode.ON, "max"),
            True,
        ),
    ],
)
def test_ways_to_ask_for_thoughts(document: dict[str, Any], reasoning: Reasoning, *, is_kept: bool) -> None:
    """Anthropic §5, IR case 18: each way is understood, and comes back as it was."""
    request = BENCH.read(SMALL | document)
    assert request.reasoning == reasoning
    assert ("thinking" in (request.ext or {})) is is_kept
    assert BENCH.write(request) == SMALL | document


def thinking(reasoning: Reasoning, most: int, *messages: Message, **members: Any) -> Any:
    """Return a request of another dialect that asks for thoughts, as it is written."""
    turns = list(messages) or [Message(Role.USER, [Text("hi")])]
    sampling = Sampling(raw(most), raw(0.5), top_k=raw(4))
    return BENCH.write(Request("other", messages=turns, sampling=sampling, reasoning=reasoning, **members))


@pytest.mark.parametrize(
    ("reasoning", "most", "budget", "losses"),
    [
        (Reasoning(ReasoningMode.ON, budget=20000), 4096, 3072, {"clamped"}),
        (Reasoning(ReasoningMode.ON, budget=20000), 1500, None, {"clamped", "dropped"}),
        (Reasoning(ReasoningMode.ON, "medium"), 20000, 8192, {"mapped"}),
        (Reasoning(ReasoningMode.DYNAMIC), 20000, 8192, {"mapped"}),
        (Reasoning(ReasoningMode.ON, budget=2000), 20000, 2000, set()),
    ],
)
def test_budget_stays_below_the_length(reasoning: Reasoning, most: int, budget: int | None, losses: set[str]) -> None:
    """Anthropic cases 22, 23; IR case 17: a word becomes tokens, and at least 1024 are left to answer with."""
    found = thinking(reasoning, most)
    shown = None if budget is None else {"type": "enabled", "budget_tokens": budget}
    assert found.get("thinking") == shown
    assert {action for action, field in BENCH.lost if field == "reasoning"} == losses
    assert ("temperature" in found) is (budget is None)
    assert ("top_k" in found) is (budget is None)


def test_thinking_model_is_not_made_to_call() -> None:
    """Anthropic case 22: `any` becomes `auto` beside thoughts, and they can be switched off."""
    tools, any_of_them = [Tool("f")], ToolChoice(ChoiceMode.REQUIRED)
    found = thinking(Reasoning(ReasoningMode.ON, "low"), 9000, tools=tools, tool_choice=any_of_them)
    assert found["tool_choice"] == {"type": "auto"}
    found = thinking(Reasoning(ReasoningMode.OFF), 9000, tools=tools, tool_choice=any_of_them)
    assert (found["thinking"], found["tool_choice"]) == ({"type": "disabled"}, {"type": "any"})


def test_loop_that_began_without_thoughts_goes_on_without() -> None:
    """Anthropic §8: an open loop whose first turn has no thought is refused with thoughts on."""
    call, result = ToolUse("toolu_1", "f"), Message(Role.TOOL, [ToolResult("toolu_1", [Text("x")])])
    user = Message(Role.USER, [Text("hi")])
    asked = Reasoning(ReasoningMode.ON, "low")
    assert "thinking" not in thinking(asked, 9000, user, Message(Role.ASSISTANT, [call]), result)
    assert BENCH.lost >= {("dropped", "reasoning")}
    sealed = Thinking("hm", seal=Seal("anth", "c2ln"))
    assert "thinking" in thinking(asked, 9000, user, Message(Role.ASSISTANT, [sealed, call]), result)
    assert "thinking" in thinking(asked, 9000, user, Message(Role.ASSISTANT, [Text("a")]), user)
    assert "thinking" in thinking(asked, 9000, result)


def test_loop_that_another_vendor_began_goes_on_without_thoughts() -> None:
    """Anthropic §8: a client of this dialect asks for them all the time, whoever has spoken before."""
    call = {"type": "tool_use", "id": "toolu_bbo1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_bbo1", "content": "x"}
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    for blocks, shown in (([call], None), ([thought, call], {"type": "enabled", "budget_tokens": 2000})):
        turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": blocks}]
        asked = {"type": "enabled", "budget_tokens": 2000}
        document = {"model": "m", "max_tokens": 9000, "messages": [*turns, {"role": "user", "content": [result]}]}
        found = BENCH.rewrite(document | {"thinking": asked, "output_config": {"effort": "low"}})
        assert (found.get("thinking"), found["output_config"]) == (shown, {"effort": "low"})
        assert (("dropped", "reasoning") in BENCH.lost) is (shown is None)
        adaptive = BENCH.rewrite(document | {"thinking": {"type": "adaptive"}})
        assert adaptive["thinking"] == {"type": "adaptive"}


def test_newer_version_takes_no_randomness() -> None:
    """Anthropic case 6: with 2026-10-21 no sampling member is sent, and that is noted."""
    request = BENCH.asked(Text("hi"), sampling=Sampling(raw(5), raw(0.7), raw(0.9), raw(3)))
    found = BENCH.write(request, options={"anthropic_version": "2026-10-21"})
    assert not {"temperature", "top_p", "top_k"} & set(found)
    assert BENCH.lost == {("dropped", "temperature"), ("dropped", "top_p"), ("dropped", "top_k")}
    assert BENCH.write(request, options={"anthropic_version": "2023-06-01"})["temperature"] == 0.7


def test_turns_of_one_role_are_one_turn() -> None:
    """Anthropic cases 26, 27, IR case 55: neighbours merge, results come first, what is empty is no turn."""
    turns = [
        Message(Role.USER, [Text("  ")]),
        Message(Role.TOOL, [ToolResult("a", [Text("1")])]),
        Message(Role.USER, [Text("and"), ToolResult("b")]),
        Message(Role.ASSISTANT, [Code("x")]),
    ]
    (turn,) = BENCH.write(Request("other", messages=turns))["messages"]
    one = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]}
    two = {"type": "tool_result", "tool_use_id": "b"}
    assert turn == {"role": "user", "content": [one, two, {"type": "text", "text": "and"}]}


def test_nothing_to_send_is_refused() -> None:
    """Anthropic §8: without any turn nobody is asked."""
    with pytest.raises(Misshapen, match="messages"):
        BENCH.write(BENCH.asked(Text("")))


def test_later_system_turn_keeps_its_place() -> None:
    """Anthropic §6: where a lane asks for it, the writer has a role for it."""
    turns = [Message(Role.USER, [Text("a")]), Message(Role.SYSTEM, [Text("b")])]
    roles = [turn["role"] for turn in BENCH.write(Request("other", messages=turns))["messages"]]
    assert roles == ["user", "system"]


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (
            Media(MediaKind.IMAGE, Inline("aGk="), "image/jpg"),
            {"type": "base64", "media_type": "image/jpeg", "data": "aGk="},
        ),
        (Media(MediaKind.IMAGE, Url("https://i")), {"type": "url", "url": "https://i"}),
        (
            Media(MediaKind.DOCUMENT, Inline("aGk=")),
            {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
        ),
        (Media(MediaKind.DOCUMENT, Plain("w")), {"type": "text", "media_type": "text/plain", "data": "w"}),
        (Media(MediaKind.DOCUMENT, Held("anthropic", raw({"type": "file"}))), {"type": "file"}),
    ],
)
def test_files_both_ways(block: Media, shown: object) -> None:
    """Anthropic cases 28, 29: sources of images and documents, one type of image spelt right."""
    (found,) = written(block)
    assert found["source"] == shown
    (again,) = blocks_of(found)
    assert again.source == block.source if not isinstance(block.source, Held) else again.source.owner == "anthropic"


@pytest.mark.parametrize(
    ("block", "field"),
    [
        (Media(MediaKind.IMAGE, Inline("aGk="), "image/tiff"), "image"),
        (Media(MediaKind.DOCUMENT, Inline("aGk="), "text/csv"), "document"),
    ],
)
def test_types_that_the_vendor_has_not_are_dropped(block: Media, field: str) -> None:
    """Anthropic §8: other types of files go, and are noted, and no empty block stays."""
    assert written(block, Text("x")) == [{"type": "text", "text": "x"}]
    assert BENCH.lost == {("dropped", field)}


def test_arguments_that_are_no_object_are_wrapped() -> None:
    """IR case 29: text that is no object goes into one."""
    found = written(ToolUse("a", "f", raw({}), "[1"), role=Role.ASSISTANT)
    assert found[0]["input"] == {"_raw": "[1"}
    (use,) = blocks_of({"type": "tool_use", "id": "a", "name": "f", "input": "[1"}, role="assistant")
    assert (bytes(use.args), use.args_text) == (b"", "[1")
    (use,) = blocks_of({"type": "tool_use", "id": "a", "name": "f", "input": 5}, role="assistant")
    assert use.args_text == "5"
    (use,) = blocks_of({"type": "tool_use", "id": "a", "name": "f"}, role="assistant")
    assert bytes(use.args) == b"{}"


def test_ids_and_seals_of_others_are_restored() -> None:
    """Anthropic case 34, IR case 21: what a client was shown is turned back before anybody else sees it."""
    blocks = blocks_of(
        {"type": "thinking", "thinking": "hm", "signature": "bbf1gemic2ln"},
        {"type": "tool_use", "id": "toolu_bbo1", "name": "f", "input": {}},
        {"type": "tool_use", "id": "toolu_bb1", "name": "f", "input": {}},
        {"type": "thinking", "thinking": "bare"},
        role="assistant",
    )
    assert (blocks[0].seal, blocks[1].id, blocks[2].id) == (Seal("gemi", "sig"), "call_1", "toolu_bb1")
    assert blocks[3].seal is None
    (result,) = blocks_of({"type": "tool_result", "tool_use_id": "toolu_bbo1", "content": "x"})
    assert result == ToolResult("call_1", [Text("x")])


def test_user_cites_nothing() -> None:
    """Anthropic §8: references go from turns of users, and those of other vendors from all turns."""
    cited = blocks_of({"type": "text", "text": "x", "citations": [{"type": "page_location", "cited_text": "w"}, 5]})
    assert "citations" not in written(*cited)[0]
    assert BENCH.lost == {("dropped", "citations")}
    assert "citations" in written(*cited, role=Role.ASSISTANT)[0]


@pytest.mark.parametrize(
    ("index", "is_kept"), [("Eo8B", True), ("", False), (None, False), ("bbf1nonebm9uZQ==", False)]
)
def test_a_page_that_the_vendor_did_not_find_is_not_cited(index: str | None, *, is_kept: bool) -> None:
    """Anthropic §8: a reference to the web needs the vendor's own way back to the page, in its own dialect too."""
    page = {"type": "web_search_result_location", "cited_text": "w", "title": "T", "url": "https://u"}
    said = {"type": "text", "text": "x", "citations": [page | ({} if index is None else {"encrypted_index": index})]}
    document = SMALL | {"messages": [*HI, {"role": "assistant", "content": [said]}, *HI]}
    shown = BENCH.rewrite(document)["messages"][1]["content"][0]
    assert shown == (said if is_kept else {"type": "text", "text": "x"})
    assert BENCH.lost == (set() if is_kept else {("dropped", "citations")})
    found = Text("x", [Citation(CitationKind.WEB, url="https://u")])
    assert written(found, role=Role.ASSISTANT) == [{"type": "text", "text": "x"}]


def test_hidden_members_never_make_a_redacted_block() -> None:
    """Anthropic case 25: a thought with an odd signature stays a thought."""
    (block,) = blocks_of({"type": "thinking", "thinking": "x", "signature": "?"}, role="assistant")
    assert not block.is_redacted
    assert block.seal == Seal("anth", "?")


def test_search_results_are_read_with_their_texts() -> None:
    """Anthropic §6: a search result holds texts, and may not want to be cited."""
    (found,) = blocks_of(
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}
    )
    assert found == SearchResult("s", "t", [Text("x")])
    assert written(found) == [
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}
    ]


def test_message_may_be_empty() -> None:
    """Anthropic §8: a turn without a content says nothing, and code is no block of this dialect."""
    assert BENCH.read(SMALL | {"messages": [{"role": "user"}]}).messages == [Message(Role.USER)]
    assert written(Code("x"), Text("y", mark=Mark())) == [
        {"type": "text", "text": "y", "cache_control": {"type": "ephemeral"}}
    ]


def test_opaque_blocks_keep_their_place() -> None:
    """IR case 9: what nobody knows is written back as it was."""
    odd = {"type": "container_upload", "file_id": "f"}
    (block,) = blocks_of(odd)
    assert isinstance(block, Opaque)
    assert json.loads(bytes(block.raw)) == odd
