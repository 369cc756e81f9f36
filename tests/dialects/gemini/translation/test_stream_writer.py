"""Streams as clients of this dialect get them, as events and as one array."""

import json
from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as FaultKind
from busbar_fast.dialects.gemini.faults import encode_error
from busbar_fast.dialects.guard import Guard
from busbar_fast.ir.answers import Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import Citation, CitationKind, Code, Held, Media, MediaKind, Seal, Span
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report
from tests.dialects.gemini.translation.turns import ARRAY, EVENTS, guarded, lost

END = Stop(Reason.END_TURN)


def chunks_of(stream: bytes) -> list[Any]:
    """Return the chunks of a stream of events, each without what it says of the answer."""
    frames = stream.split(b"\r\n\r\n")
    assert frames.pop() == b""
    assert all(frame.startswith(b"data: {") and b"\n" not in frame for frame in frames)
    found = [json.loads(frame[6:]) for frame in frames]
    assert len({(chunk.pop("modelVersion"), chunk.pop("responseId")) for chunk in found}) == 1
    return found


def parts_of(chunks: list[Any]) -> list[Any]:
    """Return all parts, in order."""
    return [part for chunk in chunks for part in chunk["candidates"][0].get("content", {}).get("parts", ())]


def tell(guard: Guard) -> bytes:
    """Let a stream say a little; return what its client gets."""
    guard.start("flash 100%")
    guard.thinking(0, "Check ")
    guard.thinking(0, "it.")
    guard.seal(0, Seal("anth", "EqUB"))
    guard.seal(0, Seal("anth", "Cg=="))
    guard.text(1, "Looking \u00e4\U0001f642")
    guard.text(1, " now.")
    guard.open(2, Kind.TOOL_USE, "toolu_1", "tide")
    guard.args(2, '{"port":')
    guard.args(2, '"Brest","n":1.10}')
    guard.finish(Stop(Reason.TOOL_USE, "tool_use", "other"), Usage(21, 23, reasoning=6))
    guard.end()
    return guard.take()


def test_a_stream_is_written_chunk_by_chunk() -> None:
    """Deltas go out as they come, a seal and a call once they are whole, counts last (gemini.md section 13)."""
    stream = tell(guarded())
    chunks = chunks_of(stream)
    assert b"1.10" in stream
    assert parts_of(chunks) == [
        {"text": "Check ", "thought": True},
        {"text": "it.", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "bbf1anthRXFVQkNnPT0="},
        {"text": "Looking \u00e4\U0001f642"},
        {"text": " now."},
        {"functionCall": {"id": "toolu_1", "name": "tide", "args": {"port": "Brest", "n": 1.1}}},
    ]
    assert chunks[-1] == {
        "candidates": [{"content": {"role": "model", "parts": []}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 21,
            "candidatesTokenCount": 17,
            "thoughtsTokenCount": 6,
            "totalTokenCount": 44,
        },
    }


def test_nothing_in_a_stream_is_foreign_to_the_sdk() -> None:
    """No names, no comments, no terminator: each line that says something is a chunk (gemini.md case 17)."""
    lines = tell(guarded()).split(b"\r\n")
    assert all(line.startswith(b"data: {") for line in lines if line)


def test_an_array_opens_first_and_closes_last() -> None:
    """Its elements are the chunks of the events, and late counts are in the last one (gemini.md cases 12 and 15)."""
    stream = tell(guarded(ARRAY))
    assert stream[:2] == b"[{"
    assert stream[-2:] == b"}]"
    assert stream.count(b",\r\n") == 6
    elements = json.loads(stream)
    assert parts_of(elements) == parts_of(chunks_of(tell(guarded())))
    assert elements[-1]["usageMetadata"]["totalTokenCount"] == 44
    assert elements[0]["modelVersion"] == "flash 100%"


def test_fragments_of_parallel_calls_find_their_calls() -> None:
    """Each call comes whole, with its own name (gemini.md case 54)."""
    guard = guarded()
    guard.open(0, Kind.TOOL_USE, "a", "tide")
    guard.open(1, Kind.TOOL_USE, "b", "moon")
    for index, fragment in ((1, '{"d'), (0, '{"p"'), (1, 'ay":1}'), (0, ":2}")):
        guard.args(index, fragment)
    guard.finish(END)
    guard.end()
    calls = [part["functionCall"] for part in parts_of(chunks_of(guard.take()))]
    assert calls == [
        {"id": "a", "name": "tide", "args": {"p": 2}},
        {"id": "b", "name": "moon", "args": {"day": 1}},
    ]


@pytest.mark.parametrize(
    ("said", "args", "losses"),
    [
        ("", {}, []),
        (" ", {}, []),
        ("{", {}, [("dropped", "tool_args")]),
        ("[1]", {"args": [1]}, []),
    ],
)
def test_arguments_are_an_object(said: str, args: object, losses: list[tuple[str, str]]) -> None:
    """None are none, other values are wrapped, and what is no JSON is noted (gemini.md case 37)."""
    report = Report()
    guard = guarded(report=report)
    guard.open(0, Kind.TOOL_USE, "a", "tide")
    guard.args(0, said)
    guard.finish(END)
    guard.end()
    assert parts_of(chunks_of(guard.take()))[0]["functionCall"]["args"] == args
    assert lost(report) == losses


def test_seals_of_calls_and_texts_are_shown() -> None:
    """A call carries its own, a text gets a part behind it."""
    guard = guarded()
    guard.text(0, "Hi")
    guard.seal(0, Seal("gemi", "c2ln"))
    guard.open(1, Kind.TOOL_USE, "a", "tide")
    guard.seal(1, Seal("gemi", "bGFzdA=="))
    guard.finish(END)
    guard.end()
    assert parts_of(chunks_of(guard.take())) == [
        {"text": "Hi"},
        {"text": "", "thought": False, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "a", "name": "tide", "args": {}}, "thoughtSignature": "bGFzdA=="},
    ]


def test_references_come_in_one_chunk() -> None:
    """All of them, in front of the end, placed over all texts (gemini.md case 61, ir.md case 48)."""
    first = Citation(CitationKind.WEB, Span(0, 1), title="A", url="https://a.test")
    second = Citation(CitationKind.WEB, Span(1, 2), title="A", url="https://a.test")
    guard = guarded()
    guard.text(0, "\u00e4b")
    guard.citations(0, [first, second])
    guard.close(0)
    guard.text(1, "c")
    guard.citations(1, [first])
    guard.finish(END)
    guard.end()
    chunks = chunks_of(guard.take())
    assert [list(chunk["candidates"][0]) for chunk in chunks[:-1]] == [["content", "index"]] * 2 + [
        ["index", "groundingMetadata"]
    ]
    grounding = chunks[2]["candidates"][0]["groundingMetadata"]
    assert grounding["groundingChunks"] == [{"web": {"uri": "https://a.test", "title": "A"}}]
    assert [support["segment"] for support in grounding["groundingSupports"]] == [
        {"startIndex": 0, "endIndex": 2, "text": "\u00e4"},
        {"startIndex": 2, "endIndex": 3, "text": "b"},
        {"startIndex": 3, "endIndex": 4, "text": "c"},
    ]


def test_likelihoods_come_without_contents() -> None:
    """They have a chunk of their own."""
    guard = guarded()
    guard.text(0, "Hi")
    guard.logprobs(0, [TokenLogprob("Hi", Raw(b"-1"))])
    chunk = chunks_of(guard.take())[1]
    assert chunk["candidates"] == [
        {"index": 0, "logprobsResult": {"chosenCandidates": [{"token": "Hi", "logProbability": -1}]}}
    ]


def test_files_and_code_come_whole() -> None:
    """What lies with another vendor is left out, and noted."""
    report = Report()
    guard = guarded(report=report)
    guard.whole(0, Code("1", "python"))
    guard.whole(1, Media(kind=MediaKind.IMAGE, source=Held("other", Raw(b"{}"))))
    guard.finish(END)
    guard.end()
    assert parts_of(chunks_of(guard.take())) == [{"executableCode": {"language": "PYTHON", "code": "1"}}]
    assert lost(report) == [("dropped", "vendor_file")]


def test_a_refused_prompt_is_told_as_feedback() -> None:
    """Only if nothing was said before (gemini.md section 10)."""
    guard = guarded()
    guard.finish(Stop(Reason.SAFETY), Usage(7))
    guard.end()
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 0, "totalTokenCount": 7}
    assert chunks_of(guard.take()) == [{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": counts}]
    guard = guarded()
    guard.text(0, "Hi")
    guard.finish(Stop(Reason.SAFETY, detail="no more"))
    guard.end()
    last = chunks_of(guard.take())[-1]["candidates"][0]
    assert (last["finishReason"], last["finishMessage"]) == ("SAFETY", "no more")


@pytest.mark.parametrize(
    ("ask", "before", "after"), [(EVENTS, b"\r\n\r\ndata: ", b"\r\n\r\n"), (ARRAY, b",\r\n", b"]")]
)
def test_a_failure_is_the_last_chunk(ask: Ask, before: bytes, after: bytes) -> None:
    """The error stands in front, with its number, and nothing follows (gemini.md cases 14 and 56)."""
    guard = guarded(ask)
    guard.open(0, Kind.TOOL_USE, "a", "tide")
    fault = Fault(FaultKind.OVERLOADED, "100% full")
    guard.break_off(fault)
    stream = guard.take()
    assert b'"functionCall"' in stream
    assert stream.endswith(before + encode_error(fault) + after)
    assert stream.count(b'"error"') == 1


def test_a_failure_may_be_all_there_is() -> None:
    """An array then has one element."""
    guard = guarded(ARRAY)
    guard.break_off(Fault(FaultKind.OVERLOADED))
    assert list(json.loads(guard.take())[0]) == ["error"]


def test_half_a_pair_goes_through() -> None:
    """A stand-in for half of a surrogate pair is written as the escape it stands for."""
    guard = guarded()
    guard.text(0, "\U0010f83d!")
    guard.thinking(1, "\U0010f83d!")
    assert guard.take().count(b'"text":"\\ud83d!"') == 2


def test_two_streams_share_nothing() -> None:
    """Each has its own id (ir.md case 64)."""
    first, second = tell(guarded()), tell(guarded())
    assert first != second
    assert parts_of(chunks_of(first)) == parts_of(chunks_of(second))
