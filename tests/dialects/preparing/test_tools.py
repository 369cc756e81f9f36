"""Tools, and whether one is called, for targets that cannot say all of it."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.preparing.tools import with_fitting_tools
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir.blocks import AnyBlock, Text, ToolResult, ToolUse
from busbar_fast.ir.report import Action, Entry, Report
from busbar_fast.ir.requests import ChoiceMode, HostedTool, Message, Request, Role, Tool, ToolChoice
from tests.dialects.preparing.targets import HERE, LANE, NARROW, THERE, WIDE, noted

SCHEMA = Raw(b'{"type" : "object"}')
TOOLS = [Tool("a", "does a", SCHEMA), Tool("b"), Tool("c")]

AUTO = ToolChoice(ChoiceMode.AUTO)
NONE = ToolChoice(ChoiceMode.NONE)
REQUIRED = ToolChoice(ChoiceMode.REQUIRED)
NAMED = ToolChoice(ChoiceMode.NAMED, "b")
SOME = ToolChoice(ChoiceMode.REQUIRED, allowed=["c", "a"])
SOME_NAMED = ToolChoice(ChoiceMode.NAMED, "a", allowed=["a", "b"])


def fitted(request: Request, target: Abilities = NARROW) -> tuple[Request, list[str]]:
    """Return a request whose tools fit, and what was noted."""
    report = Report()
    return with_fitting_tools(request, target, LANE, report), noted(report)


def chosen(choice: ToolChoice | None, can: str = "", tools: list[Tool] = TOOLS) -> tuple[str, ToolChoice | None]:
    """Return the names of the tools that are left, and what is said of them, for a target that knows these words."""
    target = NARROW._replace(choices=frozenset(can.split()))
    request, _ = fitted(Request(HERE, tools=tools, tool_choice=choice), target)
    return "".join(tool.name for tool in request.tools), request.tool_choice


def test_schemas_are_not_touched() -> None:
    """IR case 6: a schema arrives byte for byte, and what was given is still what it was."""
    tool = Tool("a", "does a", SCHEMA, strict=True, ext={"defer_loading": Raw(b"true")})
    request = Request(HERE, tools=[tool])
    left, fields = fitted(request, WIDE)
    assert left.tools == [Tool("a", "does a", SCHEMA, strict=True)]
    assert fields == ["other"]
    assert request.tools == [Tool("a", "does a", SCHEMA, strict=True, ext={"defer_loading": Raw(b"true")})]


def test_a_tool_that_takes_free_text_becomes_a_function_with_one_string() -> None:
    """Responses §5: where there is no such thing, the text is the string `input`."""
    request = Request(HERE, tools=[Tool("a", is_custom=True)])
    left, fields = fitted(request)
    schema = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
    assert (left.tools, fields) == ([Tool("a", schema=schema)], ["custom_tool"])
    assert fitted(request, WIDE) == (request, [])


@pytest.mark.parametrize(("strict", "fields"), [(None, []), (False, []), (True, ["tool_strict"])])
def test_strictness_reaches_only_who_knows_it(strict: bool | None, fields: list[str]) -> None:
    """IR §8, strict tools: dropped and noted if it was wanted, of one tool as of all."""
    for request in (Request(HERE, tools=[Tool("a", strict=strict)]), Request(HERE, strict_tools=strict)):
        left, noted_fields = fitted(request)
        assert noted_fields == fields
        assert [tool.strict for tool in left.tools] in ([], [None])
        assert left.strict_tools is None
        assert fitted(request, WIDE) == (request, [])


@pytest.mark.parametrize(("parallel", "fields"), [(None, []), (True, []), (False, ["parallel_tool_calls"])])
def test_one_call_at_a_time_reaches_only_who_knows_it(parallel: bool | None, fields: list[str]) -> None:
    """IR §8, parallel calls off: several at once are what everybody does unless told."""
    request = Request(HERE, tools=TOOLS, parallel_tools=parallel)
    left, noted_fields = fitted(request)
    assert (left.parallel_tools, noted_fields) == (None, fields)
    assert fitted(request, WIDE) == (request, [])


def test_without_tools_nothing_is_said_of_them() -> None:
    """IR §6, step 7 and case 31: neither a choice nor whether several may be called."""
    for choice, lost in ((AUTO, []), (NONE, []), (None, []), (REQUIRED, ["tool_choice"]), (NAMED, ["tool_choice"])):
        request = Request(HERE, tool_choice=choice, parallel_tools=False)
        left, fields = fitted(request, WIDE)
        assert (left.tools, left.tool_choice, left.parallel_tools) == ([], None, None)
        assert fields == lost


def test_tools_that_a_provider_runs_stay_at_home() -> None:
    """IR §6, step 5: those of another vendor are dropped; a choice between none is none."""
    own, other = HostedTool("maps", THERE, Raw(b"{}")), HostedTool("web_search", HERE, Raw(b"{}"))
    left, fields = fitted(Request(HERE, hosted=[own, other], parallel_tools=True, tool_choice=REQUIRED), WIDE)
    assert (left.hosted, left.parallel_tools, left.tool_choice) == ([own], True, None)
    assert fields == ["hosted_tools", "tool_choice"]


@pytest.mark.parametrize(
    ("choice", "can", "tools", "left"),
    [
        (None, "", "abc", None),
        (AUTO, "", "abc", AUTO),
        (REQUIRED, "", "abc", REQUIRED),
        (NONE, "none", "abc", NONE),
        (NONE, "", "", None),
        (NAMED, "named", "abc", NAMED),
        (NAMED, "", "b", REQUIRED),
        (SOME, "allowed", "abc", ToolChoice(ChoiceMode.REQUIRED, allowed=["a", "c"])),
        (SOME, "", "ac", REQUIRED),
        (SOME_NAMED, "named", "ab", ToolChoice(ChoiceMode.NAMED, "a")),
        (SOME_NAMED, "named allowed", "abc", SOME_NAMED),
        (SOME_NAMED, "", "a", REQUIRED),
        (ToolChoice(ChoiceMode.NONE, allowed=["a"]), "none allowed", "abc", NONE),
    ],
)
def test_each_choice_is_said_or_comes_about_by_the_tools_that_are_left(
    choice: ToolChoice | None, can: str, tools: str, left: ToolChoice | None
) -> None:
    """IR cases 31 and 32: whatever a target can say is said, the rest is as exact without."""
    assert chosen(choice, can) == (tools, left)


@pytest.mark.parametrize("can", ["", "named", "allowed", "none named allowed"])
def test_a_choice_of_tools_that_are_not_there_names_none_of_them(can: str) -> None:
    """IR §6, step 7: what a provider would have run cannot be named elsewhere; without any that may, there are none."""
    gone = ToolChoice(ChoiceMode.NAMED, "web")
    assert chosen(gone, can) == ("abc", AUTO)
    assert chosen(ToolChoice(ChoiceMode.REQUIRED, allowed=["web"]), can) == ("", None)
    narrowed = ToolChoice(ChoiceMode.AUTO, allowed=["web", "b"])
    assert chosen(narrowed, can)[0] in ("b", "abc")
    assert "web" not in getattr(chosen(narrowed, can)[1], "allowed", [])


@pytest.mark.parametrize(
    ("choice", "entry"),
    [
        (NONE, Entry(Action.MAPPED, "tool_choice")),
        (NAMED, Entry(Action.MAPPED, "tool_choice")),
        (SOME, Entry(Action.MAPPED, "allowed_tools")),
        (ToolChoice(ChoiceMode.NAMED, "web"), Entry(Action.DROPPED, "tool_choice")),
    ],
)
def test_what_is_said_in_another_way_is_noted(choice: ToolChoice, entry: Entry) -> None:
    """IR §8: each way around a missing word stands in the report."""
    report = Report()
    with_fitting_tools(Request(HERE, tools=TOOLS, tool_choice=choice), NARROW, LANE, report)
    assert report.entries == [entry]


@pytest.mark.parametrize("block", [ToolUse("i", "a"), ToolResult("i")])
def test_tools_that_were_called_before_stay_where_no_word_forbids_them(block: AnyBlock) -> None:
    """Bedrock §6: an upstream that sees calls wants to see the tools, so the ban falls away and is noted."""
    turns = [Message(Role.USER, [Text("t")]), Message(Role.ASSISTANT, [block])]
    request = Request(HERE, messages=turns, tools=TOOLS, tool_choice=NONE)
    report = Report()
    left = with_fitting_tools(request, NARROW, LANE, report)
    assert (left.tools, left.tool_choice) == (TOOLS, None)
    assert report.entries == [Entry(Action.DROPPED, "tool_choice")]


def test_schemas_of_another_kind_become_what_everybody_reads() -> None:
    """IR case 6: OpenAPI's words for types are those of one vendor."""
    tool = Tool("a", schema=Raw(b'{"type":"STRING"}'), is_openapi=True)
    left, fields = fitted(Request(HERE, tools=[tool]))
    assert (left.tools, fields) == ([Tool("a", schema=Raw(b'{"type":"string"}'))], [])
