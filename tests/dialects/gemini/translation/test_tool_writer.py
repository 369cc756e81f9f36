"""Tools and whether they are called, written."""

import json
from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.tool_writer import tool_config, tool_entries
from busbar_fast.dialects.members import write
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, HostedTool, Request, Tool, ToolChoice
from tests.dialects.gemini.translation.turns import LANE, foreign, lost

TIDE, MOON = Tool("tide"), Tool("moon")
OLDER = Recipient("flash-x", options={"schema_dialect": "openapi"})
AUTO, NONE, REQUIRED, NAMED = ChoiceMode


def entries(request: Request, lane: Recipient = LANE, report: Report | None = None) -> Any:
    """Return the tools that a lane gets."""
    return json.loads(write(tool_entries(request, lane, report or Report())))


def calling(request: Request, report: Report | None = None) -> Any:
    """Return whether they are called."""
    return tool_config(request, report or Report()).get("functionCallingConfig")


def test_functions_share_one_entry() -> None:
    """Schemas keep their bytes (ir.md case 6)."""
    tools = [Tool("tide", "d", Raw(b'{"a": 1.10}')), Tool("moon", schema=Raw(b'{"b":1}'), is_openapi=True), Tool("sun")]
    hosted = [HostedTool("web_search", "gemini", Raw(b'{"googleSearch":{}}'))]
    request = foreign(tools=tools, hosted=hosted)
    assert b'"parametersJsonSchema":{"a": 1.10}' in write(tool_entries(request, LANE, Report()))
    assert entries(request) == [
        {
            "functionDeclarations": [
                {"name": "tide", "description": "d", "parametersJsonSchema": {"a": 1.1}},
                {"name": "moon", "parameters": {"b": 1}},
                {"name": "sun"},
            ]
        },
        {"googleSearch": {}},
    ]
    assert entries(foreign()) == []


def test_older_lanes_get_the_older_kind() -> None:
    """By a setting; what is carried of a function comes back (gemini.md section 7)."""
    tool = Tool("tide", schema=Raw(b'{"const":"a"}'), ext={"behavior": Raw(b'"BLOCKING"')})
    assert entries(foreign(tools=[tool]), OLDER) == [
        {"functionDeclarations": [{"name": "tide", "parameters": {"enum": ["a"]}, "behavior": "BLOCKING"}]}
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(AUTO), {"mode": "AUTO"}),
        (ToolChoice(NONE), {"mode": "NONE"}),
        (ToolChoice(REQUIRED), {"mode": "ANY"}),
        (ToolChoice(NAMED, "tide"), {"mode": "ANY", "allowedFunctionNames": ["tide"]}),
        (ToolChoice(REQUIRED, allowed=["tide"]), {"mode": "ANY", "allowedFunctionNames": ["tide"]}),
        (None, None),
    ],
)
def test_choices_are_written(choice: ToolChoice | None, sent: object) -> None:
    """Each mode has its word, and none is said without tools (ir.md case 31)."""
    assert calling(foreign(tools=[TIDE, MOON], tool_choice=choice)) == sent
    assert calling(foreign(tool_choice=choice)) is None


def test_calls_that_may_be_made_are_limited_by_the_tools() -> None:
    """Only calls that have to be made can be limited by name (ir.md case 32)."""
    report = Report()
    request = foreign(tools=[TIDE, MOON], tool_choice=ToolChoice(AUTO, allowed=["moon"]))
    assert entries(request, report=report) == [{"functionDeclarations": [{"name": "moon"}]}]
    assert calling(request) == {"mode": "AUTO"}
    assert lost(report) == [("mapped", "allowed_tools")]


@pytest.mark.parametrize(
    ("tools", "strict", "choice", "sent", "losses"),
    [
        ([TIDE], True, None, {"mode": "VALIDATED"}, []),
        ([Tool("a", strict=True)], None, ToolChoice(AUTO), {"mode": "VALIDATED"}, [("mapped", "tool_strict")]),
        ([Tool("a", strict=True)], None, ToolChoice(REQUIRED), {"mode": "ANY"}, [("mapped", "tool_strict")]),
        ([Tool("a", strict=True), MOON], None, None, None, [("dropped", "tool_strict")]),
    ],
)
def test_strictness_is_a_mode(
    tools: list[Tool],
    strict: bool | None,
    choice: ToolChoice | None,
    sent: object,
    losses: list[tuple[str, str]],
) -> None:
    """It is for all functions or none (gemini.md section 8)."""
    report = Report()
    request = foreign(tools=tools, strict_tools=strict, tool_choice=choice)
    assert calling(request, report) == sent
    assert lost(report) == losses


def test_a_choice_of_an_own_client_comes_back() -> None:
    """Names may stand beside any mode there, and unknown members are kept."""
    choice = ToolChoice(AUTO, allowed=["tide"])
    ext = {"functionCallingConfig.soon": Raw(b"1"), "toolConfig.retrievalConfig": Raw(b"{}")}
    request = Request("gemini", tools=[TIDE, MOON], tool_choice=choice, strict_tools=True, ext=ext)
    assert json.loads(write(tool_config(request, Report()))) == {
        "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["tide"], "soon": 1},
        "retrievalConfig": {},
    }
    assert len(entries(request)[0]["functionDeclarations"]) == 2
