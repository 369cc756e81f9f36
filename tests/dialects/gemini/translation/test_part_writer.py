"""Blocks as parts."""

import json
from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.part_reader import read_part, seal_of_client
from busbar_fast.dialects.gemini.translation.part_writer import args_of, maybe_json, write_part
from busbar_fast.dialects.members import write
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Code, CodeResult, Held, Media, MediaKind, SearchResult, ToolUse
from busbar_fast.ir.report import Report
from tests.dialects.gemini.translation.turns import lost, raw


def part(block: AnyBlock, report: Report | None = None) -> Any:
    """Return a block as a part."""
    return json.loads(write(write_part(block, report or Report(), with_file_name=True)))


@pytest.mark.parametrize(
    "document",
    [
        {"text": "a", "thoughtSignature": "c2ln", "soon": 1},
        {"text": "a", "thought": True},
        {"functionCall": {"id": "1", "name": "f", "args": {"a_b": 1}, "soon": 1}},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"},
        {"inlineData": {"mimeType": "image/png", "data": "AA==", "displayName": "x"}, "mediaResolution": {}},
        {"fileData": {"fileUri": "gs://a", "mimeType": "image/png"}},
        {"executableCode": {"id": "x", "language": "PYTHON", "code": "1", "soon": 1}},
        {"codeExecutionResult": {"id": "x", "outcome": "OUTCOME_DEADLINE_EXCEEDED", "output": "1", "soon": 1}},
        {"toolCall": {"id": "x"}},
    ],
)
def test_what_was_read_is_written(document: object) -> None:
    """Each kind of part comes back with all its members."""
    assert part(read_part(raw(document), "", seal_of_client)) == document


def test_what_was_not_said_has_a_word() -> None:
    """Enums have members for it."""
    assert part(Code("1"))["executableCode"]["language"] == "LANGUAGE_UNSPECIFIED"
    assert part(CodeResult("1"))["codeExecutionResult"]["outcome"] == "OUTCOME_UNSPECIFIED"


@pytest.mark.parametrize(
    ("block", "label"),
    [
        (Media(kind=MediaKind.IMAGE, source=Held("other", Raw(b"{}"))), "vendor_file"),
        (SearchResult(source="a", title="b"), "search_result"),
    ],
)
def test_what_has_no_place_is_noted(block: AnyBlock, label: str) -> None:
    """It is left out."""
    report = Report()
    assert write_part(block, report) is None
    assert lost(report) == [("dropped", label)]


@pytest.mark.parametrize(
    ("args", "text", "sent"),
    [
        (Raw(b'{"b":1.10}'), None, b'{"b":1.10}'),
        (NOTHING, None, b"{}"),
        (NOTHING, "[1.10]", b'{"args":[1.10]}'),
        (NOTHING, '{"a":1}', b'{"a":1}'),
        (NOTHING, "not json", b'{"args":"not json"}'),
    ],
)
def test_arguments_are_an_object(args: Raw, text: str | None, sent: bytes) -> None:
    """What is none is wrapped (gemini.md case 37)."""
    assert write(args_of(ToolUse("1", "f", args, text))) == sent


def test_text_may_be_json() -> None:
    """What ends too early, or nests too deeply, is none."""
    assert maybe_json("1.10") == Raw(b"1.10")
    assert [maybe_json(text) for text in ("", "{", "x", "[" * 100_000 + "]" * 100_000)] == [None] * 4
