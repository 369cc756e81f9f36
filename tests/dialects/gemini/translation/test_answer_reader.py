"""Answers of the vendor, read."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    Citation,
    CitationKind,
    Code,
    CodeResult,
    Inline,
    Media,
    MediaKind,
    Opaque,
    Seal,
    Span,
    Text,
    Thinking,
    ToolUse,
)
from busbar_fast.ir.report import Report
from tests.dialects.gemini.translation.turns import encoded, lost


def answer(document: object, report: Report | None = None) -> Answer:
    """Return an answer as it is understood."""
    return TRANSLATOR.read_answer(encoded(document), report or Report())


def candidate(parts: object = None, **members: object) -> dict[str, Any]:
    """Return an answer with one candidate."""
    said = [{"text": "hi"}] if parts is None else parts
    return {"candidates": [{"content": {"role": "model", "parts": said}, "finishReason": "STOP", **members}]}


def test_an_answer_is_read_part_by_part() -> None:
    """Thoughts, texts, calls, files and code become blocks, with bare seals and ids as they are (gemini.md case 42)."""
    parts = [
        {"text": "hm", "thought": True},
        {"text": "Hi", "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "tide", "args": {"a": 1}}, "thoughtSignature": "bbf1anthRXFVQkNnPT0="},
        {"inlineData": {"mimeType": "image/png", "data": "__79"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"soon": 1},
        {"text": 1},
    ]
    assert answer(candidate(parts)).blocks == [
        Thinking("hm"),
        Text("Hi", seal=Seal("gemi", "c2ln")),
        ToolUse("", "tide", Raw(b'{"a": 1}'), seal=Seal("gemi", "bbf1anthRXFVQkNnPT0=")),
        Media(kind=MediaKind.IMAGE, source=Inline("//79"), mime="image/png"),
        Code("1", "python"),
        CodeResult("1\n", "ok"),
        Opaque("gemini", Raw(b'{"soon": 1}')),
        Opaque("gemini", Raw(b'{"text": 1}')),
    ]


def test_a_call_is_why_an_answer_ends() -> None:
    """STOP with a call reads as a call, a broken call as an error (gemini.md cases 47 and 48)."""
    call = [{"functionCall": {"name": "tide"}}]
    assert answer(candidate(call)).stop == Stop(Reason.TOOL_USE, "STOP", "gemini")
    assert answer(candidate(call, finishReason="MAX_TOKENS")).stop.reason is Reason.MAX_TOKENS
    broken = answer(candidate([], finishReason="MALFORMED_FUNCTION_CALL", finishMessage="no"))
    assert broken.stop == Stop(Reason.ERROR, "MALFORMED_FUNCTION_CALL", "gemini", detail="no")


def test_what_names_the_answer_is_read() -> None:
    """Model, id and counts are read, the rest is carried."""
    found = answer(
        candidate(avgLogprobs=-0.1)
        | {
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2, "trafficType": "ON_DEMAND"},
            "modelVersion": "flash-x",
            "responseId": "abc",
            "createTime": "2025-01-01T00:00:00Z",
        }
    )
    assert (found.id, found.model, found.usage) == ("abc", "flash-x", Usage(7, 2))
    assert found.ext == {
        "usageMetadata.trafficType": Raw(b'"ON_DEMAND"'),
        "candidate.avgLogprobs": Raw(b"-0.1"),
        "createTime": Raw(b'"2025-01-01T00:00:00Z"'),
    }


def test_a_withheld_candidate_is_an_empty_answer() -> None:
    """No content is not an error (gemini.md case 43)."""
    found = answer({"candidates": [{"finishReason": "SAFETY"}]})
    assert (found.blocks, found.stop.reason) == ([], Reason.SAFETY)


@pytest.mark.parametrize("candidates", [{}, {"candidates": []}, {"candidates": None}])
def test_a_blocked_prompt_is_an_empty_answer(candidates: dict[str, object]) -> None:
    """Whether there is an empty list or none, the reason is given (gemini.md case 44)."""
    found = answer(candidates | {"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no"}})
    assert (found.blocks, found.stop) == ([], Stop(Reason.SAFETY, detail="no"))
    assert found.ext is not None
    assert "promptFeedback" in found.ext


@pytest.mark.parametrize(
    "document",
    [{}, {"candidates": []}, {"candidates": [{}]}, {"promptFeedback": {}}, {"candidates": [1]}, {"candidates": 1}],
)
def test_an_answer_that_says_nothing_is_a_fault(document: object) -> None:
    """Neither a candidate nor a reason is nobody's answer (gemini.md case 46)."""
    with pytest.raises(Misshapen):
        answer(document)


def test_an_error_is_reported() -> None:
    """An error that comes with a success is handed on whole."""
    with pytest.raises(FaultReported) as caught:
        answer({"error": {"code": 503}})
    assert caught.value.payload == b'{"error": {"code": 503}}'


def test_more_than_one_candidate_is_noted() -> None:
    """Only the first one is read."""
    report = Report()
    document = candidate()
    document["candidates"] *= 2
    assert answer(document, report).blocks == [Text("hi")]
    assert lost(report) == [("dropped", "candidates")]


def test_references_are_placed_by_their_bytes() -> None:
    """Plain ones count over all texts, found ones in one part; both are kept whole as well (gemini.md case 60)."""
    sources = {"citationSources": [{"startIndex": 7, "endIndex": 9, "uri": "https://a.test"}]}
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://b.test", "title": "B"}}],
        "groundingSupports": [
            {"segment": {"partIndex": 2, "endIndex": 1}, "groundingChunkIndices": [0]},
            {"segment": {"partIndex": 1, "endIndex": 1}, "groundingChunkIndices": [0]},
        ],
    }
    parts = [{"text": "m\u00e4\U0001f642"}, {"text": "x", "thought": True}, {"text": "bcd"}]
    found = answer(candidate(parts, citationMetadata=sources, groundingMetadata=grounding))
    assert found.blocks == [
        Text("m\u00e4\U0001f642"),
        Thinking("x"),
        Text(
            "bcd",
            [
                Citation(CitationKind.WEB, Span(0, 2, "bc"), url="https://a.test"),
                Citation(CitationKind.WEB, Span(0, 1, "b"), title="B", url="https://b.test"),
            ],
        ),
    ]
    assert found.ext is not None
    assert set(found.ext) == {"candidate.citationMetadata", "candidate.groundingMetadata"}


def test_likelihoods_are_read() -> None:
    """Chosen tokens come with what else could have stood there."""
    result = {
        "chosenCandidates": [{"token": "hi", "logProbability": -0.10}],
        "topCandidates": [{"candidates": [{"token": "ho", "logProbability": -2}]}],
    }
    assert answer(candidate(logprobsResult=result)).logprobs == [
        TokenLogprob("hi", Raw(b"-0.1"), top=[TokenLogprob("ho", Raw(b"-2"))])
    ]
