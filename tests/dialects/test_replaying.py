"""A whole answer told as a stream, and a stream collected to a whole answer: one is the way back of the other."""

from busbar_fast.dialects.collecting import Collector
from busbar_fast.dialects.replaying import replay
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import Citation, CitationKind, Opaque, Seal, Text, Thinking, ToolUse
from busbar_fast.ir.events import Kind
from tests.dialects.translating import Recorder, raw

ANSWER = Answer(
    "d",
    model="m",
    blocks=[
        Thinking("hm", seal=Seal("anth", "s")),
        Text("a", [Citation(CitationKind.WEB, url="u")]),
        Text("no", is_refusal=True),
        ToolUse("c", "f", raw({"a": 1})),
        ToolUse("d", "g", raw(0).__class__(), "[1"),
        Thinking(sealed="x", seal=Seal("anth", "x")),
        Opaque("d", raw({})),
    ],
    stop=Stop(Reason.TOOL_USE, "tool_use", "d"),
    usage=Usage(1, 2),
    logprobs=[TokenLogprob("a", raw(-1))],
)


def test_answer_is_told_block_by_block() -> None:
    """Reliability §8: a document for a client that asked for a stream, in the calls that a stream would make."""
    recorder = Recorder()
    replay(ANSWER, recorder)
    assert recorder.calls[0] == ("start", "m", Usage(1, 2))
    assert [call[1:3] for call in recorder.calls if call[0] in ("open", "whole")] == [
        (0, Kind.THINKING),
        (1, Kind.TEXT),
        (2, Kind.REFUSAL),
        (3, Kind.TOOL_USE),
        (4, Kind.TOOL_USE),
        (5, ANSWER.blocks[5]),
        (6, ANSWER.blocks[6]),
    ]
    assert [call[2] for call in recorder.calls if call[0] == "args"] == ['{"a":1}', "[1"]
    assert [len(call[2]) for call in recorder.calls if call[0] == "logprobs"] == [1, 0]
    assert recorder.calls[-2:] == [("finish", Reason.TOOL_USE, "tool_use", Usage(1, 2)), ("end", True)]


def test_what_is_told_is_collected_again() -> None:
    """IR §5: the way back."""
    collector = Collector("d")
    replay(ANSWER, collector)
    assert collector.answer() == ANSWER
    assert collector.is_complete
