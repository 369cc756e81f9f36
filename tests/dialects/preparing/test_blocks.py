"""Blocks on their way to a dialect that takes next to none of them, or nearly all."""

import pytest
from msgspec import Raw, structs

from busbar_fast.dialects.preparing.blocks import BlockPreparer, behind_results
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir import tool_ids, tool_names
from busbar_fast.ir.blocks import (
    AnyBlock,
    Citation,
    CitationKind,
    Code,
    CodeResult,
    Held,
    Inline,
    Json,
    Mark,
    Media,
    MediaKind,
    Opaque,
    Plain,
    Seal,
    SearchResult,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.report import Action, Entry, Report
from busbar_fast.ir.requests import Document
from busbar_fast.ir.seals import UNSEALED
from tests.dialects.preparing.targets import HERE, NARROW, THERE, WIDE, noted

OWN, AKIN, FOREIGN = Seal("abcd", "o"), Seal("kind", "k"), Seal("here", "f")
IMAGE = Media(MediaKind.IMAGE, Inline("aGk="), "image/png")
PLAIN = Media(MediaKind.DOCUMENT, Plain("It rains."), "text/plain", "Rain", context="weather", is_cited=True)
SHORT_IDS = NARROW._replace(tool_prefix="t_", takes_tool_id=lambda tool_id: len(tool_id) < 5)


def made(*blocks: AnyBlock, target: Abilities = NARROW) -> tuple[list[AnyBlock], list[str]]:
    """Return what becomes of blocks, and what is noted."""
    report = Report()
    return BlockPreparer(target, report).prepared(list(blocks)), noted(report)


def reopened(*blocks: AnyBlock, target: Abilities = WIDE) -> tuple[list[AnyBlock], list[str]]:
    """Return what becomes of blocks of the target's own dialect, and what is noted."""
    report = Report()
    return BlockPreparer(target, report).reopened(list(blocks)), noted(report)


EVERYTHING: list[AnyBlock] = [
    Text("t", [Citation(CitationKind.WEB, url="u")], mark=Mark("5m")),
    Text("p", is_plan=True),
    Text("r", is_refusal=True),
    Thinking("h", seal=OWN),
    Thinking(sealed="x", seal=AKIN),
    ToolUse("i", "n", Raw(b'{"a" : 1.10}')),
    ToolUse("i", "n", Raw(), "not json"),
    ToolResult("i", [Text("t"), Json(Raw(b"1.0")), IMAGE, PLAIN], is_error=True, name="n"),
    Media(MediaKind.IMAGE, Url("u"), detail="high"),
    Media(MediaKind.DOCUMENT, Held(THERE, Raw(b"{}"))),
    PLAIN,
    SearchResult("s", "t", [Text("f")], is_cited=True),
    Code("1", "py"),
    CodeResult("1", "ok"),
    Opaque(THERE, Raw(b"{}"), "future"),
]


def test_who_has_a_place_for_everything_gets_everything() -> None:
    """IR case 5: blocks arrive as they are, arguments to the byte, and nothing is noted."""
    assert made(*EVERYTHING, target=WIDE) == (EVERYTHING, [])


def test_references_in_history_reach_who_has_a_place_for_them() -> None:
    """IR §1, L3: the text stays; what it rests on is noted where it has no place, inside results too."""
    cited = Text("t", [Citation(CitationKind.WEB, url="u")])
    assert made(cited) == ([Text("t")], ["citations"])
    found = SearchResult("s", "t", [cited])
    assert made(found, target=NARROW._replace(takes_search_results=True)) == (
        [SearchResult("s", "t", [Text("t")])],
        ["citations"],
    )


def test_members_without_a_field_reach_nobody_else() -> None:
    """IR case 10: they are noted and gone, also inside results, and the given blocks still have them."""
    ext = {"safetySettings": Raw(b"1")}
    given: list[AnyBlock] = [
        Text("t", ext=ext),
        ToolResult("i", [Text("t", ext=ext), Media(MediaKind.DOCUMENT, Plain("p"), ext=ext)], ext=ext),
        SearchResult("s", "t", [Text("f", ext=ext)], ext=ext),
        Json(Raw(b"1"), ext=ext),
    ]
    for target in (NARROW, WIDE, NARROW._replace(takes_text_documents=True)):
        found, fields = made(*given, target=target)
        parts = [part for block in found for part in (block, *getattr(block, "blocks", ()))]
        assert [part.ext for part in parts] == [None] * len(parts)
        assert fields[0] == "safety_settings"
    assert all(block.ext is ext for block in given)


# Ids


def test_ids_that_a_target_does_not_take_become_the_same_hash_in_call_and_result() -> None:
    """IR case 25: the one-way form is stable, and what is taken stays."""
    long = tool_ids.hashed("i" * 100, "t_")
    found, fields = made(
        ToolUse("i" * 100, "n"), ToolResult("i" * 100), ToolUse("abc", "n"), ToolResult("abc"), target=SHORT_IDS
    )
    assert found == [ToolUse(long, "n"), ToolResult(long), ToolUse("abc", "n"), ToolResult("abc")]
    assert fields == ["tool_id"]
    assert reopened(ToolUse("i" * 100, "n"), ToolResult("i" * 100), target=SHORT_IDS)[0] == found[:2]


# Seals and thoughts


@pytest.mark.parametrize(
    ("thought", "is_taken"),
    [
        (Thinking("h", seal=OWN), True),
        (Thinking("h", seal=AKIN), True),
        (Thinking("h", seal=FOREIGN), False),
        (Thinking("h"), False),
        (Thinking(sealed="x", seal=OWN), True),
        (Thinking(sealed="x", seal=AKIN), True),
        (Thinking(sealed="x", seal=FOREIGN), False),
        (Thinking(sealed="x"), False),
    ],
)
def test_a_thought_reaches_only_who_can_open_its_seal(thought: Thinking, is_taken: bool) -> None:
    """IR cases 21 and 24: one without a seal, or with that of another family, is refused by who wants seals."""
    field = "redacted_thinking" if thought.sealed else "thinking"
    assert made(thought, target=WIDE) == (([thought], []) if is_taken else ([], [field]))
    assert made(thought) == ([], [field])


def test_who_takes_thoughts_without_seals_gets_the_text_and_not_the_seal() -> None:
    """IR case 21: a foreign seal is dropped, the thought stays, save for one that is nothing but sealed."""
    target = WIDE._replace(takes_unsealed_thinking=True, takes_redacted=False)
    given = [Thinking("a", seal=FOREIGN), Thinking("b"), Thinking("c", seal=OWN), Thinking(sealed="x", seal=OWN)]
    left = [Thinking("a"), Thinking("b"), Thinking("c", seal=OWN)]
    assert made(*given, target=target) == (left, ["signature", "redacted_thinking"])


def test_a_seal_on_a_call_or_text_goes_and_the_block_stays() -> None:
    """IR case 21: a foreign signature never reaches a backend, wherever it was."""
    given: list[AnyBlock] = [Text("t", seal=FOREIGN), ToolUse("i", "n", seal=FOREIGN), ToolUse("i", "n", seal=OWN)]
    left: list[AnyBlock] = [Text("t"), ToolUse("i", "n"), ToolUse("i", "n", seal=OWN)]
    assert made(*given, target=WIDE) == (left, ["signature"])


def test_a_conversation_of_the_own_dialect_only_loses_what_others_sealed() -> None:
    """IR case 22: yesterday's turn may come from another vendor; all else is between client and vendor."""
    ext = {"x": Raw(b"1")}
    kept: list[AnyBlock] = [
        Text("t", ext=ext, mark=Mark()),
        Thinking("unsealed"),
        Thinking("own", seal=OWN),
        Thinking(sealed="x", seal=AKIN),
        ToolUse("i", "n", seal=OWN, ext=ext),
        ToolResult("i", [IMAGE, Opaque(HERE, Raw(b"1"))], is_error=True, ext=ext),
        Opaque(HERE, Raw(b"1")),
    ]
    assert reopened(*kept) == (kept, [])
    sealed: list[AnyBlock] = [
        Thinking("f", seal=FOREIGN),
        Thinking(sealed="f", seal=FOREIGN),
        ToolUse("i", "n", seal=FOREIGN),
    ]
    left: list[AnyBlock] = [ToolUse("i", "n")]
    assert reopened(*sealed) == (left, ["thinking", "redacted_thinking", "signature"])
    unsealed = WIDE._replace(takes_unsealed_thinking=True)
    assert reopened(*sealed, target=unsealed) == ([Thinking("f"), *left], ["signature", "redacted_thinking"])


# What becomes text


@pytest.mark.parametrize(
    ("block", "text", "field"),
    [
        (Text("p", is_plan=True), "p", "plan"),
        (Json(Raw(b'{"n" : 1.10}')), '{"n" : 1.10}', "json"),
        (PLAIN, "Rain\n\nweather\n\nIt rains.", "document"),
        (Media(MediaKind.DOCUMENT, Plain("bare")), "bare", "document"),
        (SearchResult("http://s", "Title", [Text("a"), Text("b")]), "Title\nhttp://s\na\nb", "search_result"),
        (Code("1+1", "PYTHON"), "```python\n1+1\n```\n", "code"),
        (CodeResult("2", "ok"), "```\n2\n```\n", "code"),
    ],
)
def test_what_has_no_place_becomes_text_and_keeps_its_mark(block: AnyBlock, text: str, field: str) -> None:
    """IR §8: the meaning arrives, and the report says how."""
    report = Report()
    marked = structs.replace(block, mark=Mark("1h"))
    assert BlockPreparer(NARROW, report).prepared([marked]) == [Text(text, mark=Mark("1h"))]
    assert report.entries == [Entry(Action.MAPPED, field)]


def test_documents_of_text_go_where_documents_have_a_place() -> None:
    """Cohere §3: they leave the turn, with title and text; in a result they stay and become text."""
    preparer = BlockPreparer(NARROW._replace(takes_documents=True), Report())
    found = preparer.prepared([Text("t"), PLAIN, ToolResult("i", [PLAIN])])
    assert found == [Text("t"), ToolResult("i", [Text("Rain\n\nweather\n\nIt rains.")])]
    assert preparer.documents == [Document(title="Rain", text="It rains.")]


# What is dropped


@pytest.mark.parametrize(
    ("block", "field"),
    [
        (IMAGE, "image"),
        (Media(MediaKind.DOCUMENT, Url("u")), "document"),
        (Media(MediaKind.AUDIO, Inline("a")), "audio"),
        (Media(MediaKind.VIDEO, Inline("a")), "video"),
        (Media(MediaKind.IMAGE, Held(HERE, Raw(b"{}"))), "vendor_file"),
        (Opaque(HERE, Raw(b"{}"), "image"), "image"),
        (Opaque(HERE, Raw(b"{}"), "mcp_tool_use"), "other"),
        (Opaque(HERE, Raw(b"{}")), "opaque_block"),
    ],
)
def test_what_nobody_else_can_read_is_dropped_under_its_name(block: AnyBlock, field: str) -> None:
    """IR cases 8 and 50: native or dropped, never corrupt; a mark on it is gone with it."""
    assert made(block) == ([], [field])
    assert made(structs.replace(block, mark=Mark())) == ([], [field, "cache_control"])


def test_how_closely_an_image_is_looked_at_reaches_who_knows_of_it() -> None:
    """IR §8, image detail: the usual one is no loss."""
    target = NARROW._replace(media=frozenset(((MediaKind.IMAGE, Url),)))
    high, auto = Media(MediaKind.IMAGE, Url("u"), detail="high"), Media(MediaKind.IMAGE, Url("u"), detail="auto")
    bare = Media(MediaKind.IMAGE, Url("u"))
    assert made(high, target=target) == ([bare], ["image_detail"])
    assert made(auto, bare, target=target) == ([bare, bare], [])
    assert made(high, target=target._replace(takes_image_detail=True)) == ([high], [])


# Results


def test_files_that_a_result_cannot_hold_stand_beside_it() -> None:
    """IR case 52: they are noted as moved where a turn can hold them, and as dropped where it cannot."""
    report = Report()
    preparer = BlockPreparer(NARROW._replace(media=frozenset(((MediaKind.IMAGE, Inline),))), report)
    audio = Media(MediaKind.AUDIO, Inline("a"))
    assert preparer.prepared([ToolResult("i", [Text("t"), IMAGE, audio])]) == [ToolResult("i", [Text("t")])]
    assert preparer.take_beside() == [IMAGE]
    assert preparer.take_beside() == []
    assert report.entries == [Entry(Action.MAPPED, "media_in_result"), Entry(Action.DROPPED, "audio")]


def test_a_failed_result_is_told_apart_only_where_it_can_be() -> None:
    """IR §8, tool error flag: dropped and noted."""
    assert made(ToolResult("i", is_error=True)) == ([ToolResult("i")], ["tool_error"])
    assert made(ToolResult("i")) == ([ToolResult("i")], [])


def test_parts_of_a_result_are_prepared_like_any_block() -> None:
    """IR case 8: what is in a result of another vendor is dropped or turned into text as it would be outside."""
    parts: list[AnyBlock] = [Opaque(HERE, Raw(b"1")), Json(Raw(b"1")), Text("t")]
    assert made(ToolResult("i", parts)) == ([ToolResult("i", [Text("1"), Text("t")])], ["opaque_block", "json"])


def test_results_come_first_in_a_turn() -> None:
    """IR case 52: what is put beside results stands behind the last of them."""
    assert behind_results([]) == 0
    assert behind_results([Text("t")]) == 0
    assert behind_results([ToolResult("i"), Text("t"), ToolResult("j"), Text("u")]) == 3


def test_a_text_that_only_carries_a_seal_goes_with_it() -> None:
    """IR case 21: nothing is left of it for anybody else."""
    assert made(Text("", seal=Seal("odd", "s"))) == ([], ["signature"])


def test_names_that_are_refused_become_likenesses() -> None:
    """Bedrock case 30: the same for a call and its result, and noted once; a result without a name has none."""
    report = Report()
    preparer = BlockPreparer(NARROW._replace(takes_tool_name=str.isalnum), report)
    given: list[AnyBlock] = [
        ToolUse("1", "a.b"),
        ToolResult("1", [], name="a.b"),
        ToolResult("2", []),
        ToolUse("3", "c"),
    ]
    found = preparer.prepared(given)
    names = [block.name for block in found if isinstance(block, ToolUse | ToolResult)]
    assert names == [tool_names.fitting("a.b"), tool_names.fitting("a.b"), "", "c"]
    assert report.entries == [Entry(Action.MAPPED, "tool_name")]


def test_thoughts_that_nobody_sealed_are_no_loss_of_a_seal() -> None:
    """IR case 22: the mark of such a thought is dropped in silence, the seal of another vendor is not."""
    target = NARROW._replace(takes_thinking=True, takes_unsealed_thinking=True)
    for seal, lost in ((UNSEALED, []), (FOREIGN, [Entry(Action.DROPPED, "signature")])):
        report = Report()
        (kept,) = BlockPreparer(target, report).prepared([Thinking("hm", seal=seal)])
        assert (kept.seal, report.entries) == (None, lost)
