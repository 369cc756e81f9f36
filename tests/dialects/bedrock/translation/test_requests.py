"""Requests of the Converse dialect, read and written."""

from typing import Any

import pytest
from msgspec import structs

from busbar_fast.dialects.bedrock.translation import TRANSLATOR
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    AnyBlock,
    Code,
    Held,
    Inline,
    Json,
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
HI: Any = [{"role": "user", "content": [{"text": "hi"}]}]
SMALL = {"messages": HI}
CLAUDE = "us.claude-9"
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}


def blocks_of(*blocks: object, role: str = "user") -> list[Any]:
    """Return what blocks of one turn are read as."""
    return BENCH.read({"messages": [{"role": role, "content": list(blocks)}]}).messages[0].blocks


def written(*blocks: AnyBlock, **members: Any) -> Any:
    """Return the content that blocks of a user are written as."""
    return BENCH.write(BENCH.asked(*blocks, **members))["messages"][0]["content"]


RICH = {
    "system": [{"text": "be kind"}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"guardContent": {"text": {}}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "look"},
                {"image": {"format": "png", "source": {"bytes": "aGk="}}},
                {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/k"}}}},
                {
                    "document": {
                        "format": "txt",
                        "name": "a name",
                        "source": {"text": "words"},
                        "context": "C",
                        "citations": {"enabled": True},
                    }
                },
                {"video": {"format": "mp4", "source": {"bytes": "aGk="}}},
                {"audio": {"format": "mp3", "source": {"bytes": "aGk="}}},
                {
                    "searchResult": {
                        "source": "s",
                        "title": "t",
                        "content": [{"text": "x"}],
                        "citations": {"enabled": True},
                    }
                },
                {"cachePoint": {"type": "default"}},
                {"odd": {}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
                {
                    "citationsContent": {
                        "content": [{"text": "cited"}],
                        "citations": [{"location": {"web": {"url": "https://u"}}}],
                    }
                },
                {"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": {"a": 1.10}, "type": "server_tool_use"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "tooluse_1",
                        "content": [{"json": {"x": 1}}, {"text": "y"}],
                        "status": "error",
                    }
                }
            ],
        },
    ],
    "toolConfig": {
        "tools": [SPEC, {"cachePoint": {"type": "default"}}, {"systemTool": {"name": "s"}}],
        "toolChoice": {"tool": {"name": "f"}},
        "extra": 1,
    },
    "inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["X"], "extra": 2},
    "additionalModelRequestFields": {"top_k": 3, "thinking": {"type": "enabled", "budget_tokens": 1024}, "extra": 3},
    "outputConfig": {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"a":1}', "name": "n", "description": "d"}},
        },
        "extra": 4,
    },
    "guardrailConfig": {"guardrailIdentifier": "g"},
    "requestMetadata": {"k": "v"},
}


def test_what_was_read_is_written_again() -> None:
    """IR cases 8, 9; bedrock §4: every field, block and marker, known or not, comes back in its place."""
    assert BENCH.rewrite(RICH, model=CLAUDE) == RICH


def test_request_is_read_into_neutral_words() -> None:
    """Bedrock §4: where each field goes."""
    request = BENCH.read(RICH, in_stream=True)
    assert (request.in_stream, request.guards) == (True, ["guardrailConfig", "guardContent"])
    assert request.system[0] == Text("be kind", mark=Mark("1h"))
    assert request.tools[0].mark == Mark()
    assert request.tool_choice == ToolChoice(ChoiceMode.NAMED, "f")
    assert request.reasoning == Reasoning(ReasoningMode.ON, budget=1024)
    assert request.format == OutputFormat(raw({"a": 1}), name="n", description="d")
    assert (bytes(request.sampling.max_tokens), bytes(request.sampling.top_k)) == (b"5", b"3")
    assert BENCH.read(SMALL).in_stream is False


def test_guarded_content_is_a_guard_wherever_it_stands() -> None:
    """Bedrock §4: content to be guarded counts like the configuration of the guard."""
    assert BENCH.read({"messages": [{"role": "user", "content": [{"guardContent": {}}]}]}).guards == ["guardContent"]


@pytest.mark.parametrize("value", [0, 2**32, 1.5])
def test_lengths_that_cannot_be_are_absent(value: object) -> None:
    """Bedrock §4: and that is noted."""
    assert not BENCH.read(SMALL | {"inferenceConfig": {"maxTokens": value}}).sampling.max_tokens
    assert BENCH.lost == {("dropped", "max_tokens")}


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"messages": 5}, "messages"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"image": {}}]}]}, "messages[0].content[0].image.source"),
        (SMALL | {"toolConfig": {"tools": [5]}}, "toolConfig.tools[0]"),
    ],
)
def test_wrong_shape_is_named(document: object, param: str) -> None:
    """Bedrock §10: a bad field is named where it stands."""
    with pytest.raises(Misshapen) as caught:
        BENCH.read(document)
    assert caught.value.param == param


def test_markers_without_anything_before_them_go() -> None:
    """Bedrock §5: a marker closes the block before it, and the first thing has none."""
    point = {"cachePoint": {"type": "default"}}
    request = BENCH.read(
        {"messages": [{"role": "user", "content": [point, {"text": "x"}]}], "toolConfig": {"tools": [point, SPEC]}}
    )
    assert request.messages[0].blocks == [Text("x")]
    assert [tool.mark for tool in request.tools] == [None]


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ({"toolUse": {"toolUseId": "tooluse_bbo1", "name": "f"}}, ToolUse("call_1", "f")),
        ({"toolUse": {"toolUseId": "a", "name": "f", "input": "[1"}}, ToolUse("a", "f", raw({}).__class__(), "[1")),
        ({"toolUse": {"toolUseId": "a", "name": "f", "input": 5}}, ToolUse("a", "f", raw({}).__class__(), "5")),
        ({"reasoningContent": {"reasoningText": {"text": "hm"}}}, Thinking("hm")),
        (
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "bbf1anthc2ln"}}},
            Thinking("hm", seal=Seal("anth", "sig")),
        ),
        ({"toolResult": {"toolUseId": "tooluse_bba1", "content": []}}, ToolResult("toolu_1")),
        ({"image": {"format": "jpg", "source": {"bytes": "x"}}}, Media(MediaKind.IMAGE, Inline("x"), "image/jpeg")),
    ],
)
def test_blocks_of_clients(block: object, found: AnyBlock) -> None:
    """Bedrock §5, IR cases 21, 25: ids and seals that were shown are restored; arguments may be anything."""
    assert blocks_of(block) == [found]


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (ToolChoice(ChoiceMode.AUTO), {"auto": {}}),
        (ToolChoice(ChoiceMode.REQUIRED), {"any": {}}),
        (ToolChoice(ChoiceMode.NAMED, "f"), {"tool": {"name": "f"}}),
        (None, None),
    ],
)
def test_choices_both_ways(choice: ToolChoice | None, shown: object) -> None:
    """Bedrock §6, IR case 31: three members of a union; nothing without tools."""
    request = BENCH.asked(Text("hi"), tools=[Tool("f")], tool_choice=choice)
    assert BENCH.write(request)["toolConfig"].get("toolChoice") == shown
    assert "toolConfig" not in BENCH.write(structs.replace(request, tools=[]))
    assert BENCH.read(SMALL | {"toolConfig": {"toolChoice": shown}}).tool_choice == choice
    assert BENCH.read(SMALL | {"toolConfig": {"toolChoice": {"odd": {}}}}).tool_choice is None


def test_tools_have_a_schema_and_no_empty_description() -> None:
    """Bedrock §6: what the service refuses is not written."""
    (tool,) = BENCH.write(BENCH.asked(Text("hi"), tools=[Tool("f", strict=True)]))["toolConfig"]["tools"]
    assert tool == {
        "toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}, "strict": True}
    }


def test_history_with_calls_has_tools() -> None:
    """Bedrock §6: calls without tools are refused, so the tools are made up from the history."""
    turns = [
        Message(Role.USER, [Text("hi")]),
        Message(Role.ASSISTANT, [ToolUse("a", "f"), ToolUse("b", "f")]),
        Message(Role.TOOL, [ToolResult("a"), ToolResult("b")]),
    ]
    found = BENCH.write(Request("other", messages=turns))
    assert [tool["toolSpec"]["name"] for tool in found["toolConfig"]["tools"]] == ["f"]
    assert BENCH.lost == {("filled", "tools")}


def test_turns_of_one_role_are_one_turn() -> None:
    """Bedrock §7: neighbours merge, results first; empty turns go."""
    turns = [
        Message(Role.USER, [Text("  ")]),
        Message(Role.TOOL, [ToolResult("a", [Text("1")])]),
        Message(Role.USER, [Text("and")]),
        Message(Role.ASSISTANT, [Code("x")]),
        Message(Role.SYSTEM, [Text("later")]),
    ]
    found = BENCH.write(Request("other", messages=turns))["messages"]
    result = {"toolResult": {"toolUseId": "a", "content": [{"text": "1"}]}}
    assert found == [
        {"role": "user", "content": [result, {"text": "and"}]},
        {"role": "system", "content": [{"text": "later"}]},
    ]


@pytest.mark.parametrize("role", [Role.USER, Role.ASSISTANT])
def test_conversation_that_cannot_begin_is_refused(role: Role) -> None:
    """Bedrock §7: nothing, or an assistant first."""
    with pytest.raises(Misshapen, match="messages"):
        BENCH.write(BENCH.asked(Text("" if role is Role.USER else "x"), role=role))


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (Media(MediaKind.IMAGE, Inline("x"), "image/jpg"), {"image": {"format": "jpeg", "source": {"bytes": "x"}}}),
        (Media(MediaKind.VIDEO, Inline("x"), "video/mp4"), {"video": {"format": "mp4", "source": {"bytes": "x"}}}),
        (Media(MediaKind.AUDIO, Inline("x"), "audio/mp3"), {"audio": {"format": "mp3", "source": {"bytes": "x"}}}),
        (Media(MediaKind.IMAGE, Held("bedrock", raw({"s3Location": {}}))), {"image": {"source": {"s3Location": {}}}}),
    ],
)
def test_files_are_written(block: Media, shown: object) -> None:
    """Bedrock §5: formats in the vendor's words."""
    assert written(block) == [shown]


def test_documents_have_names_and_company() -> None:
    """Bedrock §5: plain names, each once, and a text beside them."""
    documents = [
        Media(MediaKind.DOCUMENT, Inline("x"), "", "a/b  c.pdf"),
        Media(MediaKind.DOCUMENT, Plain("words"), name="a b c pdf"),
        Media(MediaKind.DOCUMENT, Inline("x"), "text/csv"),
    ]
    found = written(*documents)
    assert [one["document"]["name"] for one in found[:3]] == ["a b c pdf", "a b c pdf-2", "document-3"]
    assert [one["document"]["format"] for one in found[:3]] == ["pdf", "txt", "csv"]
    assert found[3] == {"text": "."}


def test_types_that_the_vendor_has_not_are_dropped() -> None:
    """Bedrock §5: wrong bytes help nobody; the drop is noted."""
    assert written(Text("x"), Media(MediaKind.IMAGE, Inline("x"), "image/tiff")) == [{"text": "x"}]
    assert BENCH.lost == {("dropped", "image")}


def test_other_blocks_are_written() -> None:
    """Bedrock §5: results of a search, structure, what nobody knows, arguments that are no object."""
    found = SearchResult("s", "t", [Text("x")])
    assert written(found) == [
        {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}], "citations": {"enabled": False}}}
    ]
    assert written(ToolResult("a", [Json(raw({"b": 1})), Json(raw([1]))])) == [
        {"toolResult": {"toolUseId": "a", "content": [{"json": {"b": 1}}, {"text": "[1]"}]}}
    ]
    assert written(Opaque("bedrock", raw({"odd": {}}))) == [{"odd": {}}]
    use = ToolUse("a", "f", raw({}), "[1")
    assert written(use, Text(" ", mark=Mark())) == [
        {"toolUse": {"toolUseId": "a", "name": "f", "input": {"_raw": "[1"}}}
    ]


@pytest.mark.parametrize(
    ("sealed", "shown"),
    [("ZGF0YQ==", "ZGF0YQ=="), ("bbf1anthab-_", "bbf1anthab+/"), ("!", "bbf1anthIQ==")],
)
def test_what_is_redacted_is_base64(sealed: str, shown: str) -> None:
    """Bedrock §5: the client's library insists on it; what is none is wrapped."""
    block = Thinking(sealed=sealed, seal=Seal("bedr", sealed))
    assert written(Text("x"), block)[1] == {"reasoningContent": {"redactedContent": shown}}


def thinking(reasoning: Reasoning, most: int | None, model: str = CLAUDE, **members: Any) -> Any:
    """Return a request of another dialect that asks for thoughts, as it is written."""
    sampling = Sampling(raw(most) if most else raw(1).__class__(), raw(0.5), raw(0.9), raw(4))
    return BENCH.write(BENCH.asked(Text("hi"), sampling=sampling, reasoning=reasoning, **members), model)


@pytest.mark.parametrize(
    ("reasoning", "most", "budget", "losses"),
    [
        (Reasoning(ReasoningMode.ON, budget=20000), 4096, 3072, {"clamped"}),
        (Reasoning(ReasoningMode.ON, budget=20000), 1500, None, {"clamped", "dropped"}),
        (Reasoning(ReasoningMode.ON, "low"), None, 3072, {"mapped", "clamped"}),
        (Reasoning(ReasoningMode.DYNAMIC), 20000, 8192, {"mapped"}),
    ],
)
def test_budget_stays_below_the_length(
    reasoning: Reasoning, most: int | None, budget: int | None, losses: set[str]
) -> None:
    """Bedrock §7: as the vendor of the model has it; randomness goes beside thoughts."""
    found = thinking(reasoning, most)
    fields = found.get("additionalModelRequestFields", {})
    assert fields.get("thinking") == (None if budget is None else {"type": "enabled", "budget_tokens": budget})
    assert {action for action, field in BENCH.lost if field == "reasoning"} == losses
    assert ("topP" in found.get("inferenceConfig", {})) is (budget is None)
    assert ("top_k" in fields) is (budget is None)


def test_other_families_do_not_think() -> None:
    """Bedrock §7: only one family takes the field; forced calls are not forced beside thoughts; off is said."""
    assert "additionalModelRequestFields" not in thinking(Reasoning(ReasoningMode.ON, "low"), 9000, "m")
    assert BENCH.lost == {("dropped", "reasoning"), ("dropped", "top_k")}
    forced = ToolChoice(ChoiceMode.REQUIRED)
    found = thinking(Reasoning(ReasoningMode.ON, "low"), 9000, tools=[Tool("f")], tool_choice=forced)
    assert found["toolConfig"]["toolChoice"] == {"auto": {}}
    off = thinking(Reasoning(ReasoningMode.OFF), 9000)["additionalModelRequestFields"]
    assert off == {"thinking": {"type": "disabled"}, "top_k": 4}


def test_loop_that_another_vendor_began_goes_on_without_thoughts() -> None:
    """Anthropic §8, whose models these are: an open loop without a thought is refused with thoughts on."""
    call: dict[str, Any] = {"toolUse": {"toolUseId": "tooluse_bbo1", "name": "f", "input": {}}}
    result = {"toolResult": {"toolUseId": "tooluse_bbo1", "content": [{"text": "x"}]}}
    sealed = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}}
    asked = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    for blocks, shown in (([call], None), ([sealed, call], asked)):
        turns = [*SMALL["messages"], {"role": "assistant", "content": blocks}, {"role": "user", "content": [result]}]
        request = BENCH.read(SMALL | {"messages": turns, "additionalModelRequestFields": asked})
        assert BENCH.write(request, CLAUDE).get("additionalModelRequestFields") == shown
        assert (("dropped", "reasoning") in BENCH.lost) is (shown is None)
        foreign = structs.replace(request, source="other", sampling=Sampling(raw(9000)), ext=None)
        assert BENCH.write(foreign, CLAUDE).get("additionalModelRequestFields") == shown


@pytest.mark.parametrize(
    ("document", "reasoning"),
    [
        ({"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}}, Reasoning(ReasoningMode.DYNAMIC)),
        ({"additionalModelRequestFields": {"thinking": {"type": "disabled"}}}, Reasoning(ReasoningMode.OFF)),
        ({"outputConfig": {"effort": "high"}}, Reasoning(ReasoningMode.ON, "high")),
    ],
)
def test_ways_to_ask_for_thoughts(document: dict[str, object], reasoning: Reasoning) -> None:
    """Bedrock §4, IR case 18: each way is understood and comes back."""
    request = BENCH.read(SMALL | document)
    assert request.reasoning == reasoning
    assert BENCH.write(request, CLAUDE) == SMALL | document


@pytest.mark.parametrize(
    ("model", "fields"), [(CLAUDE, {"top_k": 4}), ("us.nova-1", {"inferenceConfig": {"topK": 4}}), ("m", None)]
)
def test_candidates_for_a_token_stand_where_the_family_wants_them(model: str, fields: object) -> None:
    """Bedrock §7: inside or at the top, and nowhere for the others."""
    request = BENCH.asked(Text("hi"), sampling=Sampling(top_k=raw(4), stop=["X"]))
    found = BENCH.write(request, model)
    assert found.get("additionalModelRequestFields") == fields
    assert found["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert BENCH.lost == (set() if fields else {("dropped", "top_k")})


def test_formats() -> None:
    """Bedrock §4, IR case 33: the schema is a text; without one there is no way to say it."""
    asked = BENCH.asked(Text("hi"), format=OutputFormat(raw({})))
    schema = {"jsonSchema": {"schema": "{}"}}
    assert BENCH.write(asked)["outputConfig"] == {"textFormat": {"type": "json_schema", "structure": schema}}
    assert "outputConfig" not in BENCH.write(structs.replace(asked, format=OutputFormat()))
    assert BENCH.lost == {("dropped", "response_format")}
    assert BENCH.read(SMALL | {"outputConfig": {"textFormat": {"type": "odd"}}}).format == OutputFormat()
    bare: Any = {"textFormat": {"structure": {"jsonSchema": {}}}}
    assert BENCH.read(SMALL | {"outputConfig": bare}).format == OutputFormat()
