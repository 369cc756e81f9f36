"""Prepared answers as clients of this dialect get them."""

import json
from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    AnyBlock,
    Citation,
    CitationKind,
    Held,
    Inline,
    Media,
    MediaKind,
    Seal,
    Span,
    Text,
    Thinking,
    ToolUse,
)
from busbar_fast.ir.report import Report
from tests.dialects.gemini.translation.turns import encoded, lost, reply_to

ENDED = Stop(Reason.END_TURN)


def shown(answer: Answer, report: Report | None = None) -> Any:
    """Return the document that a client gets."""
    return json.loads(TRANSLATOR.write_answer(answer, reply_to(), report or Report()))


def candidate_of(*blocks: AnyBlock, stop: Stop = ENDED, **members: Any) -> Any:
    """Return the candidate that a client gets."""
    return shown(Answer("other", blocks=list(blocks), stop=stop, **members))["candidates"][0]


def test_an_answer_is_written_part_by_part() -> None:
    """Thoughts are marked, calls keep their arguments, and everything has its place."""
    document = shown(
        Answer(
            "other",
            model="flash-y",
            blocks=[
                Thinking("hm", seal=Seal("gemi", "bbf1anthRXFVQkNnPT0=")),
                Text("Hi"),
                ToolUse("call_1", "tide", Raw(b'{"b":1.10}')),
                Media(kind=MediaKind.IMAGE, source=Inline("AA=="), mime="image/png"),
            ],
            stop=Stop(Reason.TOOL_USE, "tool_use", "other"),
            usage=Usage(7, 5, cache_read=3, reasoning=2),
        )
    )
    assert document.pop("responseId").isalnum()
    assert document == {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "hm", "thought": True, "thoughtSignature": "bbf1anthRXFVQkNnPT0="},
                        {"text": "Hi"},
                        {"functionCall": {"id": "call_1", "name": "tide", "args": {"b": 1.1}}},
                        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
                    ],
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 10,
            "cachedContentTokenCount": 3,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 2,
            "totalTokenCount": 15,
        },
        "modelVersion": "flash-y",
    }


def test_an_empty_answer_has_its_parts() -> None:
    """The list is there, and the lane's model where nobody named another."""
    document = shown(Answer("other"))
    assert document["candidates"] == [{"content": {"role": "model", "parts": []}, "finishReason": "STOP", "index": 0}]
    assert document["modelVersion"] == "flash-x"


def test_ids_are_minted_as_the_vendor_does() -> None:
    """Sixteen letters and digits, no two alike, each as likely as the others (gemini.md case 65)."""
    ids = [shown(Answer("other"))["responseId"] for _ in range(200)]
    assert len(set(ids)) == 200
    assert {len(minted) for minted in ids} == {16}
    assert all(minted.isascii() and minted.isalnum() for minted in ids)


def test_a_refused_prompt_is_told_as_feedback() -> None:
    """Nothing was said and nothing was counted, so there is no candidate (gemini.md section 10)."""
    document = shown(Answer("other", stop=Stop(Reason.SAFETY, detail="not this"), usage=Usage(7, 0)))
    assert document["promptFeedback"] == {"blockReason": "SAFETY", "blockReasonMessage": "not this"}
    assert "candidates" not in document
    assert shown(Answer("other", stop=Stop(Reason.SAFETY)))["promptFeedback"] == {"blockReason": "SAFETY"}


def test_what_was_withheld_is_told_in_a_candidate() -> None:
    """Once there was output, or another reason, the candidate says so."""
    stop = Stop(Reason.REFUSAL, detail="not this")
    assert candidate_of(stop=stop)["finishReason"] == "SAFETY"
    assert candidate_of(stop=stop)["finishMessage"] == "not this"
    assert candidate_of(stop=Stop(Reason.SAFETY), usage=Usage(7, 1))["finishReason"] == "SAFETY"


def test_references_are_placed_by_their_bytes() -> None:
    """Found ones count in their part, plain ones over all texts (gemini.md case 60)."""
    web = Citation(CitationKind.WEB, Span(0, 1, "b"), title="B", url="https://b.test")
    plain = Citation(CitationKind.DOCUMENT, Span(1, 2, "c"), title="C")
    found = candidate_of(Thinking("x"), Text("\U0001f642"), Text("bc", [web, plain]))
    assert found["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://b.test", "title": "B"}}],
        "groundingSupports": [
            {"segment": {"partIndex": 2, "startIndex": 0, "endIndex": 1, "text": "b"}, "groundingChunkIndices": [0]}
        ],
    }
    assert found["citationMetadata"] == {"citationSources": [{"startIndex": 5, "endIndex": 6, "title": "C"}]}


def test_likelihoods_are_written() -> None:
    """Numbers keep their digits."""
    found = candidate_of(Text("hi"), logprobs=[TokenLogprob("hi", Raw(b"-0.10"))])
    assert found["logprobsResult"] == {"chosenCandidates": [{"token": "hi", "logProbability": -0.1}]}


def test_files_of_others_are_left_out() -> None:
    """What lies with another vendor cannot be shown, and is noted."""
    report = Report()
    held = Media(kind=MediaKind.IMAGE, source=Held("other", Raw(b"{}")))
    assert shown(Answer("other", blocks=[held, Text("hi")]), report)["candidates"][0]["content"]["parts"] == [
        {"text": "hi"}
    ]
    assert lost(report) == [("dropped", "vendor_file")]


@pytest.mark.parametrize(
    "document",
    [
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": "so", "soon": 1}], "role": "model", "kept": 1},
                    "finishReason": "RECITATION",
                    "finishMessage": "copied",
                    "citationMetadata": {"citationSources": [{"endIndex": 1, "uri": "https://a.test", "license": "x"}]},
                    "avgLogprobs": -0.10,
                    "index": 0,
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 7,
                "candidatesTokenCount": 2,
                "totalTokenCount": 9,
                "trafficType": "ON_DEMAND",
            },
            "modelVersion": "flash-x",
            "responseId": "abc",
        },
        {
            "promptFeedback": {"blockReason": "JAILBREAK"},
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 0, "totalTokenCount": 7},
            "modelVersion": "flash-x",
            "responseId": "abc",
            "createTime": "x",
        },
    ],
)
def test_an_answer_of_the_vendor_is_rebuilt(document: dict[str, object]) -> None:
    """What was read is written as it was, its own words included (gemini.md case 49)."""
    assert shown(TRANSLATOR.read_answer(encoded(document), Report())) == document


def test_an_unknown_word_of_the_vendor_comes_back() -> None:
    """It reads as anything, and goes to no client but the vendor's own (gemini.md case 49)."""
    stop = TRANSLATOR.read_answer(encoded({"candidates": [{"finishReason": "SOON"}]}), Report()).stop
    assert stop.reason is Reason.OTHER
    assert candidate_of(stop=stop)["finishReason"] == "SOON"
