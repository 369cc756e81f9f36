"""What became of calls, as lanes get it."""

import json
from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.results import write_result
from busbar_fast.dialects.members import write
from busbar_fast.ir.blocks import AnyBlock, Inline, Json, Media, MediaKind, SearchResult, Text, ToolResult
from busbar_fast.ir.report import Report
from tests.dialects.gemini.translation.turns import lost


def response(*blocks: AnyBlock, is_error: bool = False, is_own: bool = False) -> Any:
    """Return what a lane is told that a tool said."""
    result = ToolResult("1", list(blocks), is_error)
    part = write_result(result, "1", "f", Report(), is_own=is_own)
    return json.loads(write(part))["functionResponse"]["response"]


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([Text("null")], {}),
        ([Text("42")], {"output": 42}),
        ([Text("text")], {"output": "text"}),
        ([Text("42\u00a0")], {"output": "42\u00a0"}),
        ([Text('{"a":1}')], {"a": 1}),
        ([Text(' {"a":1}\n')], {"a": 1}),
        ([Text("a"), Text("b")], {"output": "ab"}),
        ([Json(Raw(b'{"a":1}'))], {"a": 1}),
        ([Json(Raw(b"[1]"))], {"output": [1]}),
        ([Json(Raw(b"null"))], {}),
        ([], {"output": ""}),
    ],
)
def test_what_a_tool_said_is_an_object(blocks: list[AnyBlock], said: object) -> None:
    """Objects stay as they are, other values are the output (gemini.md case 38)."""
    assert response(*blocks) == said


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Text("no"), {"error": "no"}),
        (Text("null"), {"error": "null"}),
        (Json(Raw(b'{"at":1}')), {"error": {"at": 1}}),
        (Json(Raw(b'{"error":"no","at":1}')), {"error": "no", "at": 1}),
    ],
)
def test_a_failure_has_a_name(block: AnyBlock, said: object) -> None:
    """The flag is the member (gemini.md case 39)."""
    assert response(block, is_error=True) == said


def test_texts_of_own_clients_stay_texts() -> None:
    """Only foreign texts may be JSON in disguise."""
    assert response(Text("42"), is_own=True) == {"output": "42"}
    assert response(Json(Raw(b"42")), is_own=True) == {"output": 42}


def test_files_stand_beside_what_a_tool_said() -> None:
    """What has no place is noted; no id is none; what is carried comes back."""
    report = Report()
    image = Media(kind=MediaKind.IMAGE, source=Inline("AA=="), mime="image/png")
    ext = {"functionResponse.scheduling": Raw(b'"SILENT"'), "partMetadata": Raw(b"{}")}
    result = ToolResult("1", [Text("ok"), image, SearchResult(source="a", title="b")], ext=ext)
    assert json.loads(write(write_result(result, "", "f", report, is_own=False))) == {
        "functionResponse": {
            "name": "f",
            "response": {"output": "ok"},
            "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
            "scheduling": "SILENT",
        },
        "partMetadata": {},
    }
    assert lost(report) == [("dropped", "search_result")]
