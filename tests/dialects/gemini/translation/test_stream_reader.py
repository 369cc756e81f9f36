"""Streams of the vendor, read."""

import json
from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.ir.answers import Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import Citation, CitationKind, Code, Opaque, Seal, Span
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report
from tests.dialects.gemini.translation.turns import Recorder, encoded, lost


def chunk(*parts: object, **candidate: object) -> dict[str, Any]:
    """Return a chunk with one candidate."""
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **candidate}]}


def stream(*chunks: object) -> bytes:
    """Return chunks as events."""
    return b"".join(b"data: %b\r\n\r\n" % (each if isinstance(each, bytes) else encoded(each)) for each in chunks)


def calls(*chunks: object, report: Report | None = None, size: int = 0) -> list[tuple[Any, ...]]:
    """Return what a sink is told of these chunks, read in pieces of a size or at once."""
    sink = Recorder()
    reader = TRANSLATOR.new_reader(sink, report or Report())
    whole = stream(*chunks)
    for at in range(0, len(whole), size or len(whole)):
        reader.feed(whole[at : at + (size or len(whole))])
    reader.end()
    return sink.calls


FINISH = chunk(finishReason="STOP")
ENDED = [("finish", Stop(Reason.END_TURN, "STOP", "gemini"), None), ("end", False)]
START = ("start", "", None)
TIDE = {"functionCall": {"id": "c1", "name": "tide", "args": {"a": 1}}}
GREETING = [START, ("open", 0, Kind.TEXT, "", ""), ("text", 0, "Hi"), ("close", 0)]


def test_a_stream_is_read_block_by_block() -> None:
    """Neighbouring parts of one kind make one block, and late thoughts get one of their own (gemini.md section 13)."""
    said = calls(
        chunk({"text": "Check ", "thought": True}),
        chunk({"text": "it.", "thought": True, "thoughtSignature": "c2ln"}, {"text": "So", "soon": 1}),
        chunk({"text": ": "}, TIDE, {"text": "then"}),
        chunk({"text": "hm", "thought": True, "soon": 1}),
        chunk(finishReason="STOP", finishMessage="done"),
    )
    assert said == [
        START,
        ("open", 0, Kind.THINKING, "", ""),
        ("thinking", 0, "Check "),
        ("thinking", 0, "it."),
        ("seal", 0, Seal("gemi", "c2ln")),
        ("close", 0),
        ("open", 1, Kind.TEXT, "", ""),
        ("text", 1, "So"),
        ("text", 1, ": "),
        ("close", 1),
        ("open", 2, Kind.TOOL_USE, "c1", "tide"),
        ("args", 2, '{"a": 1}'),
        ("close", 2),
        ("open", 3, Kind.TEXT, "", ""),
        ("text", 3, "then"),
        ("close", 3),
        ("open", 4, Kind.THINKING, "", ""),
        ("thinking", 4, "hm"),
        ("close", 4),
        ("finish", Stop(Reason.TOOL_USE, "STOP", "gemini", detail="done"), None),
        ("end", False),
    ]


def test_a_stream_is_the_same_wherever_it_is_cut() -> None:
    """Bytes come in any pieces (ir.md case 60)."""
    chunks = (
        {"modelVersion": "flash-x"} | chunk({"text": "\u00e4\U0001f642", "thought": True}),
        chunk({"text": "b"}, TIDE) | {"usageMetadata": {"promptTokenCount": 3}},
        FINISH | {"usageMetadata": {"candidatesTokenCount": 2}},
    )
    whole = calls(*chunks)
    assert all(calls(*chunks, size=size) == whole for size in range(1, 40))


def test_a_seal_of_anything_but_a_thought_is_noted() -> None:
    """No other vendor seals texts or calls, so nobody could be shown it; empty parts make no block."""
    report = Report()
    said = calls(
        chunk({"text": "Hi"}),
        chunk(TIDE | {"thoughtSignature": "c2ln"}),
        chunk({"text": "", "thoughtSignature": "c2ln"}, {"text": "", "thought": True}, finishReason="STOP"),
        report=report,
    )
    assert [call[0] for call in said] == ["start", "open", "text", "close", "open", "args", "close", "finish", "end"]
    assert lost(report) == [("dropped", "signature")]


def test_counts_come_from_any_chunk() -> None:
    """Each count keeps its last value, and other members change nothing (gemini.md case 53)."""
    said = calls(
        chunk({"text": "Hi"}) | {"usageMetadata": {"promptTokenCount": 9, "thoughtsTokenCount": 4}},
        FINISH | {"usageMetadata": {"candidatesTokenCount": 2, "cachedContentTokenCount": 5}},
        {"usageMetadata": {"trafficType": "ON_DEMAND"}},
        {"usageMetadata": None},
    )
    usages = [call[1] for call in said if call[0] == "usage"]
    assert usages == [
        Usage(9, 4, reasoning=4),
        Usage(4, 6, cache_read=5, reasoning=4),
        Usage(4, 6, cache_read=5, reasoning=4),
        Usage(4, 6, cache_read=5, reasoning=4),
    ]


def test_a_blocked_prompt_closes_what_is_open() -> None:
    """The block ends, then the answer, once (gemini.md case 45)."""
    feedback = {"promptFeedback": {"blockReason": "OTHER"}}
    said = calls(chunk({"text": "Hi"}), {"promptFeedback": {}}, feedback)
    assert said == [*GREETING, ("finish", Stop(Reason.OTHER, detail="OTHER"), None), ("end", False)]


def test_a_second_candidate_is_noted() -> None:
    """Only the first one is read, so there is one end (gemini.md case 50)."""
    report = Report()
    two = {"candidates": [*chunk({"text": "Hi"})["candidates"], *FINISH["candidates"]]}
    assert calls(two, FINISH, report=report) == [*GREETING, *ENDED]
    assert lost(report) == [("dropped", "candidates")]


def test_an_error_in_the_stream_is_handed_on() -> None:
    """What was open is closed and the error goes on as it came (gemini.md case 57)."""
    error = {"error": {"code": "429", "status": "RESOURCE_EXHAUSTED"}}
    assert calls(chunk({"text": "Hi"}), error) == [*GREETING, ("fail", "", encoded(error)), ("end", False)]


def test_a_stream_that_breaks_off_does_not_end_well() -> None:
    """No reason was given: the block is closed and nobody is told that it was complete (gemini.md case 55)."""
    assert calls(chunk({"text": "Hi"})) == [*GREETING, ("end", False)]


@pytest.mark.parametrize("odd", [b"[DONE]", b" ", b"1", b"[]", b'{"candidates":1}', b'{"candidates":[{"content":1}]}'])
def test_what_is_no_chunk_is_skipped(odd: bytes) -> None:
    """Frames of another shape change nothing (gemini.md section 13)."""
    assert calls(chunk({"text": "Hi"}), odd, FINISH) == [*GREETING, *ENDED]


def test_the_last_event_may_lack_its_empty_line() -> None:
    """What has come whole is read at the end."""
    sink = Recorder()
    reader = TRANSLATOR.new_reader(sink, Report())
    reader.feed(stream(chunk({"text": "Hi"}), FINISH).removesuffix(b"\r\n\r\n"))
    reader.end()
    assert sink.calls == [*GREETING, *ENDED]


def test_files_and_code_come_whole() -> None:
    """They end what is open, and so does what nobody knows."""
    said = calls(chunk({"text": "Hi"}, {"executableCode": {"code": "1"}}, {"soon": 1}, finishReason="STOP"))
    assert said == [
        *GREETING,
        ("whole", 1, Code("1")),
        ("whole", 2, Opaque("gemini", Raw(b'{"soon": 1}'))),
        *ENDED,
    ]


def test_arguments_that_come_value_by_value_are_put_together() -> None:
    """The vendor's cloud names a call first and then sends pieces of it (gemini.md section 5)."""
    said = calls(
        chunk({"functionCall": {"name": "tide", "willContinue": True}}),
        chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.port", "stringValue": "Br"}], "willContinue": True}}),
        chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.port", "stringValue": "est"}, 1]}}),
        chunk({"functionCall": {"name": "moon", "partialArgs": [{"jsonPath": "$.day", "numberValue": 1.50}]}}),
        FINISH,
    )
    assert [call for call in said if call[0] in ("open", "args", "close")] == [
        ("open", 0, Kind.TOOL_USE, "", "tide"),
        ("args", 0, '{"port":"Brest"}'),
        ("close", 0),
        ("open", 1, Kind.TOOL_USE, "", "moon"),
        ("args", 1, '{"day":1.5}'),
        ("close", 1),
    ]


def test_a_call_that_is_cut_off_is_completed() -> None:
    """What there is of it is told before the stream breaks off (gemini.md case 55)."""
    piece = {"name": "tide", "partialArgs": [{"jsonPath": "$.a", "boolValue": True}], "willContinue": True}
    assert calls(chunk({"functionCall": piece}))[-3:] == [("args", 0, '{"a":true}'), ("close", 0), ("end", False)]


def test_arguments_that_are_no_object_are_told_as_text() -> None:
    """Whoever writes them knows what to make of it."""
    assert ("args", 0, "[1]") in calls(chunk({"functionCall": {"name": "tide", "args": [1]}}), FINISH)


def test_references_go_to_their_texts() -> None:
    """Each text gets its own, at once (gemini.md cases 60 and 61)."""
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.test"}}],
        "groundingSupports": [
            {"segment": {"endIndex": 2}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 2, "endIndex": 6}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 6, "endIndex": 7}, "groundingChunkIndices": [0]},
        ],
    }
    said = calls(
        chunk({"text": "Hi"}, TIDE, {"text": "\U0001f642"}, {"text": "b"}),
        chunk(groundingMetadata=grounding, finishReason="STOP"),
    )
    web = CitationKind.WEB
    assert [call for call in said if call[0] == "citations"] == [
        ("citations", 0, [Citation(web, Span(0, 2, "Hi"), url="https://a.test")]),
        (
            "citations",
            2,
            [
                Citation(web, Span(0, 1, "\U0001f642"), url="https://a.test"),
                Citation(web, Span(1, 2, "b"), url="https://a.test"),
            ],
        ),
    ]


def test_references_without_a_text_belong_to_nothing() -> None:
    """Nobody can be told what they stand for."""
    sources = {"citationSources": [{"endIndex": 1, "uri": "https://a.test"}]}
    assert calls(chunk(citationMetadata=sources, finishReason="STOP")) == [START, *ENDED]


def test_likelihoods_go_to_the_text() -> None:
    """Without a text they belong to nothing."""
    result = {"chosenCandidates": [{"token": "Hi", "logProbability": -1}]}
    said = calls({"candidates": [{"logprobsResult": result}]}, chunk({"text": "Hi"}, logprobsResult=result), FINISH)
    assert [call for call in said if call[0] == "logprobs"] == [("logprobs", 0, [TokenLogprob("Hi", Raw(b"-1"))])]


def test_the_model_is_told_first() -> None:
    """A name that is no text is none."""
    assert calls({"modelVersion": "flash-x"} | FINISH)[0] == ("start", "flash-x", None)
    assert calls({"modelVersion": 1} | FINISH)[0] == START
    assert json.loads(stream(FINISH)[6:])["candidates"][0]["finishReason"] == "STOP"
