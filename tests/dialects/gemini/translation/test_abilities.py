"""What this dialect has a place for, as preparing makes use of it."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.dialects.preparing import prepare_request
from busbar_fast.dialects.translator import Abilities
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import Inline, Media, MediaKind, Text, ToolResult
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Message, Role, Sampling
from tests.dialects.gemini.translation.turns import LANE, asked, foreign, lost, read, written

OTHER = Abilities("other")
HERE = TRANSLATOR.abilities


def test_likelihoods_are_limited() -> None:
    """A count beyond the limit is clamped and noted (gemini.md case 62)."""
    report = Report()
    request = foreign(sampling=Sampling(has_logprobs=True, top_logprobs=Raw(b"20"), n=Raw(b"2")))
    prepared = prepare_request(request, HERE, LANE, report)
    assert written(prepared)["generationConfig"] == {"responseLogprobs": True, "logprobs": 5}
    assert lost(report) == [("dropped", "n"), ("clamped", "logprobs")]


def test_files_of_results_stand_beside_them() -> None:
    """Only newer models take them inside, so they follow in the same turn (gemini.md section 5, rule 5)."""
    report = Report()
    image = Media(kind=MediaKind.IMAGE, source=Inline("AA=="), mime="image/png")
    request = foreign(Message(Role.TOOL, [ToolResult("call_1", [Text("ok"), image])]))
    parts = written(prepare_request(request, HERE, LANE, report))["contents"][0]["parts"]
    assert parts == [
        {"functionResponse": {"id": "call_1", "name": "call_1", "response": {"output": "ok"}}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
    ]
    assert lost(report) == [("mapped", "media_in_result")]


def test_what_only_the_vendor_understands_is_noted() -> None:
    """Wherever it stood, it has a name (gemini.md case 63)."""
    report = Report()
    request = read(
        asked(
            safetySettings=[],
            labels={},
            generationConfig={"responseModalities": ["AUDIO"], "candidateCount": 2},
            tools=[{"googleSearch": {}}],
        )
    )
    prepare_request(request, OTHER, LANE, report)
    assert lost(report) == [
        ("dropped", "modalities"),
        ("dropped", "safety_settings"),
        ("dropped", "labels"),
        ("dropped", "n"),
        ("dropped", "hosted_tools"),
    ]


def test_what_the_vendor_keeps_is_refused_elsewhere() -> None:
    """Unless the operator lets it fall away (gemini.md case 63)."""
    request = read(asked(cachedContent="cachedContents/1"))
    with pytest.raises(Misshapen) as caught:
        prepare_request(request, OTHER, LANE, Report())
    assert caught.value.param == "cachedContent"
    report = Report()
    prepare_request(request, OTHER, LANE._replace(drops_held=True), report)
    assert lost(report) == [("dropped", "server_state")]


def test_others_get_the_schemas_that_they_read() -> None:
    """Types are in lower case and nulls are types; the newer way keeps its bytes (gemini.md cases 29 and 30)."""
    declared = [
        {"name": "tide", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}},
        {"name": "moon", "parametersJsonSchema": {"type": "object", "x": 1.10}},
    ]
    form = {"responseMimeType": "application/json", "responseSchema": {"type": "ARRAY"}}
    request = read(asked(tools=[{"functionDeclarations": declared}], generationConfig=form))
    prepared = prepare_request(request, OTHER, LANE, Report())
    assert [tool.schema for tool in prepared.tools] == [
        Raw(b'{"type":"object","properties":{"a":{"type":["string","null"]}}}'),
        Raw(b'{"type": "object", "x": 1.1}'),
    ]
    assert prepared.format is not None
    assert (prepared.format.schema, prepared.format.is_openapi) == (Raw(b'{"type":"array"}'), False)


def test_a_text_that_only_carried_a_seal_goes_with_it() -> None:
    """Others take no empty texts."""
    report = Report()
    contents = [{"role": "model", "parts": [{"text": "so"}, {"text": "", "thoughtSignature": "c2ln"}]}]
    prepared = prepare_request(read({"contents": contents}), OTHER, LANE, report)
    assert prepared.messages[0].blocks == [Text("so")]
    assert lost(report) == [("dropped", "signature")]
