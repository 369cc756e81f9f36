"""Tools and whether they are called, read."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.fields import fields_of
from busbar_fast.dialects.gemini.translation.tool_reader import read_choice, read_tools
from busbar_fast.errors import Misshapen
from busbar_fast.ir.requests import ChoiceMode, HostedTool, Tool, ToolChoice
from tests.dialects.gemini.translation.turns import raw

SCHEMA = {"type": "OBJECT", "properties": {"inline_data": {"type": "STRING"}}}


def function(**members: object) -> Tool:
    """Return a declared function."""
    return read_tools([fields_of(raw({"function_declarations": {"name": "tide", **members}}))])[0][0]


def choice(config: object) -> tuple[ToolChoice | None, bool | None]:
    """Return whether tools are called."""
    return read_choice(fields_of(raw({"functionCallingConfig": config})))[:2]


def test_schemas_are_kept_as_they_are() -> None:
    """Each kind in either spelling, users' names untouched (gemini.md case 22)."""
    assert function(parameters_json_schema=SCHEMA) == Tool("tide", schema=raw(SCHEMA))
    assert function(description="d", parameters=SCHEMA) == Tool("tide", "d", raw(SCHEMA), is_openapi=True)
    assert function(parameters={}) == function(parametersJsonSchema={}) == function() == Tool("tide")
    assert function(behavior="BLOCKING").ext == {"behavior": Raw(b'"BLOCKING"')}


def test_a_schema_has_to_be_an_object() -> None:
    """The place is told."""
    with pytest.raises(Misshapen):
        function(parameters=1)


def test_tools_of_the_vendor_are_told_apart() -> None:
    """Each is one of its own, also beside functions."""
    entry = {"functionDeclarations": [{"name": "tide"}], "google_search": {}, "codeExecution": {}, "soon": {"a_b": 1}}
    tools, hosted = read_tools([fields_of(raw(entry))])
    assert [tool.name for tool in tools] == ["tide"]
    assert hosted == [
        HostedTool("web_search", "gemini", Raw(b'{"googleSearch":{}}')),
        HostedTool("code_execution", "gemini", Raw(b'{"codeExecution":{}}')),
        HostedTool("other", "gemini", Raw(b'{"soon":{"a_b": 1}}')),
    ]


@pytest.mark.parametrize(
    ("config", "found", "is_strict"),
    [
        ({"mode": "AUTO"}, ToolChoice(ChoiceMode.AUTO), None),
        ({"mode": "NONE"}, ToolChoice(ChoiceMode.NONE), None),
        ({"mode": 2}, ToolChoice(ChoiceMode.REQUIRED), None),
        ({"mode": "ANY", "allowed_function_names": ["a"]}, ToolChoice(ChoiceMode.NAMED, "a"), None),
        (
            {"mode": "ANY", "allowedFunctionNames": ["a", "b"]},
            ToolChoice(ChoiceMode.REQUIRED, allowed=["a", "b"]),
            None,
        ),
        ({"mode": "VALIDATED", "allowedFunctionNames": "a"}, ToolChoice(ChoiceMode.AUTO, allowed=["a"]), True),
        ({"mode": "MODE_UNSPECIFIED"}, None, None),
        ({}, None, None),
    ],
)
def test_choices_are_read(config: object, found: ToolChoice | None, is_strict: bool | None) -> None:
    """Words may be numbers (gemini.md section 8 and case 28)."""
    assert choice(config) == (found, is_strict)


def test_the_rest_is_carried() -> None:
    """Words of the future too, with the names that belong to them."""
    calling = {"mode": "SOON", "allowedFunctionNames": ["a"], "streamFunctionCallArguments": True}
    config = fields_of(raw({"functionCallingConfig": calling, "retrievalConfig": {}}))
    assert read_choice(config)[2] == {
        "toolConfig.retrievalConfig": Raw(b"{}"),
        "functionCallingConfig.mode": Raw(b'"SOON"'),
        "functionCallingConfig.streamFunctionCallArguments": Raw(b"true"),
        "functionCallingConfig.allowedFunctionNames": Raw(b'["a"]'),
    }
    assert read_choice(fields_of(Raw(b"{}"))) == (None, None, None)
