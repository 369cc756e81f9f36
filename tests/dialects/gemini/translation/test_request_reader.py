"""Requests of clients, read: turns, ids, thoughts that came in pieces."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.gemini import DIALECT
from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.dialects.gemini.translation.request_reader import invented_id
from busbar_fast.errors import Misshapen, NotJson
from busbar_fast.ir.blocks import Json, Seal, Text, Thinking, ToolResult, ToolUse
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Role
from tests.dialects.gemini.translation.turns import EVENTS, asked, encoded, lost, raw, read, written


def call(name: str, **members: object) -> dict[str, object]:
    """Return a part that is a call."""
    return {"functionCall": {"name": name, **members}}


def result(name: str, **members: object) -> dict[str, object]:
    """Return a part that is a result."""
    return {"functionResponse": {"name": name, "response": {"output": "ok"}, **members}}


def turns(*contents: tuple[str, list[object]]) -> dict[str, object]:
    """Return a request with these turns."""
    return {"contents": [{"role": role, "parts": parts} for role, parts in contents]}


def ids(document: object, report: Report | None = None) -> list[tuple[str, str]]:
    """Return the ids of calls and results of a request, in order."""
    found = []
    for message in read(document, report).messages:
        for block in message.blocks:
            if isinstance(block, ToolUse):
                found.append(("call", block.id))
            elif isinstance(block, ToolResult):
                found.append(("result", block.tool_id))
    return found


def test_a_system_prompt_is_read_in_either_spelling_and_as_one_object() -> None:
    """Snake case, one part instead of a list, and a bare text are all understood (gemini.md case 27)."""
    forms: list[dict[str, Any]] = [
        {"system_instruction": {"parts": {"text": "Be brief."}}},
        {"systemInstruction": {"role": "system", "parts": [{"text": "Be brief."}, {"text": ""}]}},
        {"systemInstruction": "Be brief."},
    ]
    assert [read(asked(**form)).system for form in forms] == [[Text("Be brief.")]] * 3


@pytest.mark.parametrize(("operation", "is_kept"), [(Operation.CONVERSE, False), (Operation.COUNT_TOKENS, True)])
def test_model_is_kept_where_nothing_else_says_it(operation: Operation, is_kept: bool) -> None:
    """In a request whose tokens are counted as part of another one; else the path names it."""
    report, body = Report(), encoded(asked(model="models/flash-x"))
    request = TRANSLATOR.read_request(body, Ask(DIALECT, operation, in_stream=False), report)
    assert ("model" in written(request)) is is_kept


@pytest.mark.parametrize(
    ("role", "read_as"),
    [("user", Role.USER), ("", Role.USER), ("model", Role.ASSISTANT), ("function", Role.TOOL), ("tool", Role.TOOL)],
)
def test_roles_are_read(role: str, read_as: Role) -> None:
    """An empty role is the user's, and two words mean results (gemini.md section 3)."""
    assert read(turns((role, [{"text": "hi"}]))).messages[0].role is read_as


def test_one_object_stands_for_a_list() -> None:
    """Contents, parts and tools may each be a single object; no role is the user's (gemini.md section 3)."""
    request = read({"contents": {"parts": {"text": "hi"}}, "tools": {"google_search": {}}})
    assert request.messages[0].blocks == [Text("hi")]
    assert [(tool.kind, tool.raw) for tool in request.hosted] == [("web_search", Raw(b'{"googleSearch":{}}'))]


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": 1}, "contents"),
        ({"contents": [1]}, "contents[0]"),
        (turns(("system", [])), "contents[0].role"),
        ({"contents": [{"parts": 1}]}, "contents[0].parts"),
        (asked([{"text": 1}]), "contents[0].parts[0].text"),
        (asked(generationConfig=1), "generationConfig"),
        (asked(systemInstruction=[1]), "systemInstruction"),
    ],
)
def test_what_has_the_wrong_shape_is_named(document: object, param: str) -> None:
    """The place of a wrong member is told."""
    with pytest.raises(Misshapen) as caught:
        read(document)
    assert caught.value.param == param


def test_no_json_is_refused() -> None:
    """Bytes that end too early are no request."""
    with pytest.raises(NotJson):
        TRANSLATOR.read_request(b'{"contents":[', EVENTS, Report())


def test_calls_and_results_without_ids_pair_in_order() -> None:
    """Two calls of one name differ, and each result takes the oldest (gemini.md cases 34 and 35)."""
    document = turns(
        ("model", [call("tide"), call("tide"), call("moon")]),
        ("user", [result("tide"), result("moon"), result("tide")]),
    )
    found = ids(document)
    calls, results = [tool_id for kind, tool_id in found[:3]], [tool_id for kind, tool_id in found[3:]]
    assert results == [calls[0], calls[2], calls[1]]
    assert len(set(calls)) == 3


def test_ids_depend_on_the_place_alone() -> None:
    """Ids are the same in every process and differ between turns (gemini.md case 36)."""
    document = turns(
        ("model", [call("tide")]),
        ("user", [result("tide")]),
        ("model", [call("tide")]),
        ("user", [result("tide")]),
    )
    assert ids(document) == [
        ("call", "call_fbec5fc35c8e8378"),
        ("result", "call_fbec5fc35c8e8378"),
        ("call", invented_id(1, "tide")),
        ("result", invented_id(1, "tide")),
    ]


def test_ids_that_are_given_are_kept() -> None:
    """A result with an id answers that call, wherever it stands, and one without an id none that has been answered."""
    document = turns(
        ("model", [call("tide", id=letter) for letter in "abc"]),
        ("user", [result("tide", id="b"), result("tide"), result("tide"), result("tide", id="zz")]),
    )
    assert ids(document) == [("call", letter) for letter in "abc"] + [
        ("result", answered) for answered in ("b", "a", "c", "zz")
    ]


def test_a_result_without_a_call_gets_an_id_and_is_noted() -> None:
    """Nothing it could answer is open."""
    report = Report()
    assert ids(turns(("user", [result("tide"), result("tide")])), report) == [
        ("result", invented_id(1, "tide", of_result=True)),
        ("result", invented_id(2, "tide", of_result=True)),
    ]
    assert lost(report) == [("filled", "tool_id")]


def test_a_turn_that_was_streamed_is_one_again() -> None:
    """Clients keep each chunk as a turn: texts go on where they were cut, other parts follow."""
    contents: list[dict[str, object]] = [
        {"parts": []},
        {"parts": [{"text": "Look"}]},
        {"parts": [{"text": "ing"}, call("tide")]},
        {"parts": [{"text": "!", "future": 1}], "kept": 1},
        {},
    ]
    messages = read({"contents": [{"role": "model", **content} for content in contents]}).messages
    assert len(messages) == 1
    assert messages[0].blocks == [
        Text("Looking"),
        ToolUse(invented_id(0, "tide"), "tide"),
        Text("!", ext={"future": Raw(b"1")}),
    ]
    assert messages[0].ext == {"content.kept": Raw(b"1")}


def test_texts_of_one_turn_stay_apart() -> None:
    """Only what a stream has cut is joined."""
    assert read(turns(("model", [{"text": "a"}, {"text": "b"}]))).messages[0].blocks == [Text("a"), Text("b")]


def test_a_thought_of_another_vendor_is_whole_again() -> None:
    """Its seal came in a part of its own, behind the last piece, in an envelope (gemini.md section 13)."""
    sealed = "bbf1anthRXFVQkNnPT0="
    contents: list[object] = [
        {"text": "Check ", "thought": True},
        {"text": "the table.", "thought": True, "kept": 1},
        {"text": "", "thought": True, "thoughtSignature": sealed},
        {"text": "So:"},
    ]
    blocks = read(turns(*[("model", [part]) for part in contents])).messages[0].blocks
    whole = Thinking("Check the table.", seal=Seal("anth", "EqUBCg=="), ext={"kept": Raw(b"1")})
    assert blocks == [whole, Text("So:")]


def test_an_own_thought_is_left_as_it_is() -> None:
    """The vendor wants its parts back as they were."""
    parts: list[object] = [
        {"text": "a", "thought": True},
        {"text": "b", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "", "thoughtSignature": "bGFzdA=="},
        {"text": ""},
    ]
    assert read(turns(("model", parts))).messages[0].blocks == [
        Thinking("a"),
        Thinking("b", seal=Seal("gemi", "c2ln")),
        Text("", seal=Seal("gemi", "bGFzdA==")),
    ]


def test_what_the_vendor_keeps_is_named() -> None:
    """A cached prompt is state of the vendor, in either spelling (gemini.md case 63)."""
    assert read(asked(cached_content="cachedContents/1")).held == ["cachedContent"]
    request = read(asked(cachedContent="cachedContents/1", labels={"a": "b"}))
    assert request.held == ["cachedContent"]
    assert request.ext == {"cachedContent": raw("cachedContents/1"), "labels": Raw(b'{"a": "b"}')}


def test_the_whole_of_a_request_is_gathered() -> None:
    """Tools, choice, sampling and what has no field come together; a model in the body means nothing."""
    request = read(
        asked(
            model="models/x",
            tools=[{"functionDeclarations": [{"name": "tide"}]}],
            toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {"languageCode": "de"}},
            generationConfig={"temperature": 0.70, "speechConfig": {}},
        )
    )
    assert [tool.name for tool in request.tools] == ["tide"]
    assert request.strict_tools is True
    assert request.sampling.temperature == Raw(b"0.7")
    assert request.in_stream is True
    assert request.ext == {
        "toolConfig.retrievalConfig": Raw(b'{"languageCode": "de"}'),
        "generationConfig.speechConfig": Raw(b"{}"),
    }


def test_a_result_is_read_with_its_name() -> None:
    """What a tool said and its name are kept."""
    blocks = read(turns(("function", [result("tide", id="a", response={"m": 3})]))).messages[0].blocks
    assert blocks == [ToolResult("a", [Json(Raw(b'{"m": 3}'))], name="tide")]
