"""A stream collected to a whole answer, however sloppily it is told."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.collecting import Collector
from busbar_fast.dialects.dialect import StreamFault
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import Citation, CitationKind, Opaque, Seal, Text, Thinking, ToolUse
from busbar_fast.ir.events import Kind
from tests.dialects.translating import raw

CITATION = Citation(CitationKind.WEB, url="u")


def test_blocks_grow_by_index() -> None:
    """IR §5: in the order of their numbers, opened or not, the first opening counts."""
    collector = Collector("d")
    collector.start("m")
    collector.start("other", Usage(3))
    collector.open(3, Kind.TOOL_USE, "c", "f")
    collector.open(3, Kind.TEXT)
    collector.args(3, '{"a"')
    collector.args(3, ":1}")
    collector.text(1, "a")
    collector.text(1, "b")
    collector.citations(1, [CITATION])
    collector.logprobs(1, [TokenLogprob("a", raw(-1))])
    collector.thinking(0, "hm")
    collector.seal(0, Seal("anth", "s"))
    collector.seal(0, Seal("anth", "t"))
    collector.whole(2, Opaque("d", raw({})))
    collector.whole(2, Opaque("e", raw({})))
    collector.open(4, Kind.REFUSAL)
    collector.text(4, "no")
    collector.open(5, Kind.TOOL_USE, "e", "g")
    collector.open(6, Kind.TOOL_USE, "f", "h")
    collector.args(6, "[1")
    collector.close(1)
    collector.finish(Stop(Reason.TOOL_USE), Usage(output=2))
    collector.finish(Stop(Reason.END_TURN))
    collector.usage(Usage(cache_read=1))
    collector.end()
    assert collector.answer() == Answer(
        "d",
        model="m",
        blocks=[
            Thinking("hm", seal=Seal("anth", "st")),
            Text("ab", [CITATION]),
            Opaque("d", raw({})),
            ToolUse("c", "f", raw({"a": 1})),
            Text("no", is_refusal=True),
            ToolUse("e", "g"),
            ToolUse("f", "h", raw(0).__class__(), "[1"),
        ],
        stop=Stop(Reason.TOOL_USE),
        usage=Usage(3, 2, 1),
        logprobs=[TokenLogprob("a", raw(-1))],
    )


@pytest.mark.parametrize("cut", ['{"a": tru', '{"a":1}}', "{", '{"a":NaN}'])
def test_arguments_that_broke_off_are_no_object(cut: str) -> None:
    """IR case 29: what only begins like an object is text, or it would spoil the document that it is put into."""
    collector = Collector("d")
    collector.open(0, Kind.TOOL_USE, "c", "f")
    collector.args(0, cut)
    assert collector.answer().blocks == [ToolUse("c", "f", Raw(), cut)]


@pytest.mark.parametrize("empty", ["", " \n"])
def test_arguments_that_are_nothing_are_an_empty_object(empty: str) -> None:
    """IR case 30: everywhere, and never null."""
    collector = Collector("d")
    collector.open(0, Kind.TOOL_USE, "c", "f")
    collector.args(0, empty)
    assert collector.answer().blocks == [ToolUse("c", "f", Raw(b"{}"))]


def test_end_may_be_all_that_is_said() -> None:
    """IR §5: complete if somebody said so; the first error counts."""
    collector = Collector("d")
    ends = []
    for is_natural in (False, True, False):
        collector.end(is_natural=is_natural)
        ends.append(collector.is_complete)
    assert ends == [False, True, True]
    collector.fail("error", b"{}")
    collector.fail("error", b"[]")
    assert collector.fault == StreamFault("error", b"{}")
