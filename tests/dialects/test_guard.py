"""The guard between a reader and a writer: whatever it is told, what it tells is a legal stream."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects import guard as guards
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.guard import Guard, fenced, field_of
from busbar_fast.dialects.registry import speak, translator
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.stream_writer import StreamBlock, StreamWriter
from busbar_fast.dialects.translator import Abilities, Reply
from busbar_fast.errors import UpstreamGarbled
from busbar_fast.ir.answers import Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    AnyBlock,
    Citation,
    CitationKind,
    Code,
    CodeResult,
    Inline,
    Media,
    MediaKind,
    Opaque,
    Seal,
    Text,
    Thinking,
    ToolUse,
)
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request
from tests.dialects.translating import ask_of, lost, raw

SEAL, BROKEN = Seal("anth", "s"), Fault(Wrong.INTERNAL)
CITATION, TOKEN = Citation(CitationKind.WEB, url="u"), TokenLogprob("x", raw(-1))
REPLY = Reply(Request("d"), ask_of(translator(speak("openai"))), "lane-model", 0, lambda: 0)


class Scribe(StreamWriter):
    """Writes down what it is told, and insists on the order."""

    wholes = frozenset((Thinking,))

    def __init__(self) -> None:
        super().__init__(REPLY, Report(), Spelling(Abilities("d", tool_prefix="call_")))
        self.told: list[Any] = []
        self.open_blocks: list[StreamBlock] = []
        self.stage = "before"

    def write_start(self, model: str, usage: Usage | None) -> None:
        assert self.stage == "before"
        self.stage = "within"
        self._note("start", model, usage)

    def write_open(self, block: StreamBlock) -> None:
        assert self.stage == "within"
        assert self.has_overlap or not self.open_blocks
        self.open_blocks.append(block)
        self._note("open", block.index, block.kind.name, block.tool_id, block.name)

    def write_text(self, block: StreamBlock, text: str) -> None:
        self._grow("text", block, text)

    def write_thinking(self, block: StreamBlock, text: str) -> None:
        self._grow("thinking", block, text)

    def write_args(self, block: StreamBlock, fragment: str) -> None:
        self._grow("args", block, fragment)

    def write_close(self, block: StreamBlock) -> None:
        self.open_blocks.remove(block)
        self._note("close", block.index)

    def write_whole(self, block: StreamBlock) -> None:
        assert self.stage == "within"
        self._note("whole", block.index)

    def write_stop(self, stop: Stop) -> None:
        assert self.stage == "within"
        assert not self.open_blocks
        self.stage = "stopped"
        self._note("stop", stop.reason.name)

    def write_end(self, stop: Stop, usage: Usage) -> None:
        assert self.stage == "stopped"
        self.stage = "over"
        self._note("end", stop.reason.name, usage)

    def write_failure(self, fault: Fault, usage: Usage) -> None:
        assert self.stage in ("within", "stopped")
        assert not self.open_blocks
        self.stage = "over"
        self._note("failure", fault.kind.name, usage)

    def _grow(self, name: str, block: StreamBlock, what: str) -> None:
        assert block in self.open_blocks
        self._note(name, block.index, what)

    def _note(self, *told: Any) -> None:
        self.told.append(told)
        self.out.append(f"{told}\n".encode())


class Weaver(Scribe):
    """A writer whose dialect lets blocks grow side by side, and has refusals."""

    has_overlap = True
    kinds = frozenset(Kind)
    wholes = frozenset((Code,))


class Mute(Scribe):
    """A writer whose dialect has no place for thoughts."""

    kinds = frozenset((Kind.TEXT, Kind.TOOL_USE))
    wholes = frozenset()


def both(writer: type[Scribe] = Scribe) -> tuple[Guard, Scribe]:
    """Return a guard and its writer."""
    scribe = writer()
    return Guard(scribe), scribe


def test_start_waits_for_something_to_say() -> None:
    """IR §5: held back until something follows, so that an error before it can go elsewhere."""
    guard, scribe = both()
    guard.start("", Usage(3))
    guard.start("m")
    guard.usage(Usage(output=1))
    assert (guard.take(), guard.has_begun) == (b"", False)
    guard.text(0, "x")
    assert scribe.told[0] == ("start", "m", Usage(3))
    assert guard.has_begun
    assert guard.take().count(b"\n") == 3
    assert guard.counted == Usage(3, 1)


def test_start_does_not_wait_for_ever() -> None:
    """IR §5: who owns the stream may let it begin; what follows goes on from there, and what is over does not begin."""
    guard, scribe = both()
    guard.start("m")
    guard.begin()
    guard.begin()
    assert (scribe.told, guard.has_begun) == ([("start", "m", None)], True)
    guard.text(0, "x")
    guard.end(is_natural=True)
    assert [told[0] for told in scribe.told].count("start") == 1
    failed, scribe = both()
    failed.fail("e", b"{}")
    failed.begin()
    assert (scribe.told, failed.has_begun) == ([], False)


def test_model_of_the_lane_stands_in() -> None:
    """IR §6: where the upstream names none."""
    guard, scribe = both()
    guard.text(0, "x")
    assert scribe.told[0] == ("start", "lane-model", None)
    assert guard.take()
    assert guard.take() == b""


def test_blocks_are_opened_and_closed_for_sloppy_readers() -> None:
    """IR §5, cases 44 to 46: deltas open, the next block closes, second opens and late deltas are nothing."""
    guard, scribe = both()
    guard.thinking(0, "hm")
    guard.text(1, "a")
    guard.open(1, Kind.TEXT)
    guard.close(1)
    guard.close(1)
    guard.close(9)
    guard.text(1, "late")
    guard.text(2, "")
    guard.args(3, "{}")
    guard.finish(Stop(Reason.MAX_TOKENS), Usage(1))
    guard.finish(Stop(Reason.END_TURN), Usage(2, 3))
    guard.text(4, "later")
    guard.open(5, Kind.TEXT)
    guard.whole(6, Text("x"))
    guard.usage(Usage(cache_read=4))
    guard.end()
    guard.end()
    guard.finish(Stop(Reason.OTHER))
    assert scribe.told[1:] == [
        ("open", 0, "THINKING", "", ""),
        ("thinking", 0, "hm"),
        ("close", 0),
        ("open", 1, "TEXT", "", ""),
        ("text", 1, "a"),
        ("close", 1),
        ("open", 2, "TEXT", "", ""),
        ("close", 2),
        ("stop", "MAX_TOKENS"),
        ("end", "MAX_TOKENS", Usage(2, 3, 4)),
    ]
    assert (guard.is_over, guard.has_broken_off, guard.fault) == (True, False, None)


def test_calls_wait_their_turn() -> None:
    """IR §5, case 28: what grows side by side is replayed one after the other, by index."""
    guard, scribe = both()
    for index, name in ((0, "f"), (2, "h"), (1, "g")):
        guard.open(index, Kind.TOOL_USE, f"toolu_{index}", name)
    guard.args(1, "1")
    guard.args(0, "0")
    guard.args(2, "2")
    guard.close(1)
    guard.close(0)
    guard.args(2, "!")
    guard.finish(Stop(Reason.END_TURN))
    assert [told[:2] for told in scribe.told if told[0] in ("open", "close")] == [
        ("open", 0),
        ("close", 0),
        ("open", 1),
        ("close", 1),
        ("open", 2),
        ("close", 2),
    ]
    assert [told[2] for told in scribe.told if told[0] == "args"] == ["0", "1", "2", "!"]
    assert scribe.told[-1] == ("stop", "TOOL_USE")
    assert scribe.told[1] == ("open", 0, "TOOL_USE", "call_bba0", "f")


def test_calls_may_grow_side_by_side() -> None:
    """IR §5: where the dialect lets them."""
    guard, scribe = both(Weaver)
    guard.open(0, Kind.TOOL_USE, "a", "f")
    guard.open(1, Kind.TOOL_USE, "b", "g")
    guard.open(2, Kind.REFUSAL)
    guard.args(0, "0")
    guard.finish(Stop(Reason.REFUSAL))
    assert [told[:2] for told in scribe.told[1:]] == [
        ("open", 0),
        ("open", 1),
        ("open", 2),
        ("args", 0),
        ("close", 0),
        ("close", 1),
        ("close", 2),
        ("stop", "REFUSAL"),
    ]


@pytest.mark.parametrize(("writer", "kind"), [(Scribe, "TEXT"), (Weaver, "REFUSAL")])
def test_refusal_is_text_where_it_is_nothing_else(writer: type[Scribe], kind: str) -> None:
    """IR §3: a dialect without refusals says them."""
    guard, scribe = both(writer)
    guard.open(0, Kind.REFUSAL)
    assert scribe.told[-1] == ("open", 0, kind, "", "")


def test_what_has_no_place_is_noted() -> None:
    """IR §9: thoughts, files and what comes at once; it uses up no turn."""
    guard, scribe = both(Mute)
    guard.thinking(0, "hm")
    guard.thinking(0, "hm")
    guard.seal(1, SEAL)
    guard.whole(2, Media(MediaKind.IMAGE, Inline("x")))
    guard.whole(2, Media(MediaKind.AUDIO, Inline("x")))
    guard.whole(3, Thinking(sealed="x"))
    guard.whole(4, Opaque("d", raw({})))
    guard.whole(5, Opaque("d", raw({}), "hosted_tools"))
    guard.whole(6, ToolUse("a", "f"))
    assert scribe.told == [("start", "lane-model", None)]
    labels = ("thinking", "image", "redacted_thinking", "opaque_block", "hosted_tools", "tool_use")
    assert lost(scribe.report) == {("dropped", label) for label in labels}


def test_code_is_fenced_where_it_is_nothing_else() -> None:
    """IR §8: code and what became of it as text, unless there is a block for it."""
    guard, scribe = both()
    guard.whole(0, Code("x = 1", "PYTHON"))
    guard.whole(1, CodeResult("2"))
    guard.whole(2, Thinking(sealed="x", seal=SEAL))
    assert [told[1:] for told in scribe.told if told[0] == "text"] == [
        (0, "```python\nx = 1\n```\n"),
        (1, "```\n2\n```\n"),
    ]
    assert scribe.told[-1] == ("whole", 2)
    assert fenced(CodeResult("2")) == "```\n2\n```\n"
    guard, scribe = both(Weaver)
    guard.open(0, Kind.TOOL_USE, "a", "f")
    guard.whole(1, Code("x"))
    assert scribe.told[-1] == ("whole", 1)


def test_block_that_comes_at_once_waits_its_turn() -> None:
    """IR §5: behind a call that still grows."""
    guard, scribe = both()
    guard.open(0, Kind.TOOL_USE, "a", "f")
    guard.whole(1, Thinking(sealed="x", seal=SEAL))
    guard.text(2, "x")
    assert scribe.told[-1][0] == "open"
    guard.close(0)
    assert [told[0] for told in scribe.told[2:]] == ["close", "whole", "open", "text"]


def test_attachments_are_lost_by_default() -> None:
    """IR §9: most dialects have no place for them in a stream."""
    guard, scribe = both()
    guard.seal(0, SEAL)
    guard.citations(1, [CITATION])
    guard.citations(1, [])
    guard.logprobs(1, [TOKEN])
    guard.logprobs(1, [])
    guard.close(1)
    guard.seal(1, SEAL)
    guard.citations(1, [CITATION])
    guard.logprobs(1, [TOKEN])
    assert lost(scribe.report) == {("dropped", "signature"), ("dropped", "citations"), ("dropped", "logprobs")}


def test_references_of_a_text_that_is_whole_are_lost() -> None:
    """IR §9: the client has read the text, so a dialect with a place for them has none any more, which is noted."""
    noted = []
    for is_closed in (False, True):
        guard, scribe = both()
        scribe.write_citations = lambda *_: None  # type: ignore[method-assign]
        guard.text(0, "x")
        if is_closed:
            guard.close(0)
            guard.citations(0, [])
        guard.citations(0, [CITATION])
        noted.append(lost(scribe.report))
    assert noted == [set(), {("dropped", "citations")}]


def test_failure_is_kept_for_whoever_decides() -> None:
    """IR case 47: nothing is written of it, and nothing follows it."""
    guard, scribe = both()
    guard.fail("error", b"{}")
    guard.fail("error", b"[]")
    guard.text(0, "x")
    guard.end(is_natural=True)
    assert guard.fault is not None
    assert (guard.fault.payload, scribe.told, guard.is_over) == (b"{}", [], True)
    guard.break_off(BROKEN)
    assert [told[0] for told in scribe.told] == ["start", "failure"]


def test_failure_behind_the_stop_is_none() -> None:
    """IR §5: the answer was whole."""
    guard, _ = both()
    guard.finish(Stop(Reason.END_TURN))
    guard.fail("error", b"{}")
    assert guard.fault is None


@pytest.mark.parametrize(("is_natural", "broken"), [(True, False), (False, True)])
def test_end_without_a_reason(*, is_natural: bool, broken: bool) -> None:
    """IR §5: natural only if the upstream said that it was the end."""
    guard, scribe = both()
    guard.text(0, "x")
    guard.end(is_natural=is_natural)
    assert guard.has_broken_off is broken
    assert (scribe.told[-1][0] == "end") is is_natural
    if broken:
        guard.break_off(BROKEN)
        assert [told[0] for told in scribe.told[-2:]] == ["close", "failure"]


def test_nobody_makes_it_hold_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """IR §5: too many calls or arguments are no answer."""
    monkeypatch.setattr(guards, "MOST_CALLS", 2)
    guard, _ = both()
    guard.open(0, Kind.TOOL_USE)
    guard.open(1, Kind.TOOL_USE)
    with pytest.raises(UpstreamGarbled):
        guard.open(2, Kind.TOOL_USE)
    monkeypatch.setattr(guards, "MOST_HELD_BYTES", 10)
    guard, _ = both()
    guard.open(0, Kind.TOOL_USE)
    with pytest.raises(UpstreamGarbled):
        guard.args(0, "x" * 11)


@pytest.mark.parametrize(
    ("block", "field"),
    [
        (Text("x"), "text"),
        (Thinking("x"), "thinking"),
        (Thinking(sealed="x"), "redacted_thinking"),
        (Code("x"), "code"),
    ],
)
def test_every_block_has_a_name(block: AnyBlock, field: str) -> None:
    """IR §9: what a report calls it."""
    assert field_of(block) == field


INDICES = st.integers(0, 4)
STEPS = st.one_of(
    st.tuples(st.just("start"), st.just("m")),
    st.tuples(st.just("open"), INDICES, st.sampled_from(Kind), st.sampled_from(["", "toolu_1"]), st.just("f")),
    st.tuples(st.just("whole"), INDICES, st.sampled_from([Thinking(sealed="x", seal=SEAL), Code("x"), Text("x")])),
    st.tuples(st.sampled_from(["text", "thinking", "args"]), INDICES, st.sampled_from(["", "x"])),
    st.tuples(st.just("seal"), INDICES, st.just(SEAL)),
    st.tuples(st.just("citations"), INDICES, st.just([CITATION])),
    st.tuples(st.just("logprobs"), INDICES, st.just([TOKEN])),
    st.tuples(st.just("close"), INDICES),
    st.tuples(st.just("finish"), st.just(Stop(Reason.END_TURN))),
    st.tuples(st.just("usage"), st.just(Usage(1))),
    st.tuples(st.just("fail"), st.just("error"), st.just(b"{}")),
)


@given(st.lists(STEPS, max_size=30), st.sampled_from([Scribe, Weaver, Mute]), st.booleans())
def test_whatever_is_told_the_stream_is_legal(steps: list[Any], writer: type[Scribe], is_natural: bool) -> None:
    """IR §5, cases 44 to 46: the writer itself insists on the order, and there is one end."""
    guard, scribe = both(writer)
    for name, *arguments in steps:
        getattr(guard, name)(*arguments)
    guard.end(is_natural=is_natural)
    if guard.fault is not None or guard.has_broken_off:
        guard.break_off(BROKEN)
    assert scribe.stage == "over"
    assert sum(told[0] in ("end", "failure") for told in scribe.told) == 1
    opened = [told[1] for told in scribe.told if told[0] == "open"]
    assert len(opened) == len(set(opened))
