"""How ids and seals of others look to one client."""

from busbar_fast.dialects.spelling import Spelling, renamed
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir.blocks import Seal
from busbar_fast.ir.seals import UNSEALED, restored

OPENAI_LIKE = Abilities("d", tool_prefix="call_", seal="resp")


def test_ids_are_spelt_for_the_client() -> None:
    """IR §3: like its own vendor's, in the older spelling where a lane wants it, made up where there is none."""
    assert Spelling(OPENAI_LIKE).shown_tool_id("toolu_1", 0) == "call_bba1"
    assert Spelling(OPENAI_LIKE, in_hex=True).shown_tool_id("toolu_1", 0).startswith("call_bb1")
    first, second = Spelling(OPENAI_LIKE, "a"), Spelling(OPENAI_LIKE, "b")
    assert first.shown_tool_id("", 0) != second.shown_tool_id("", 0)
    assert first.shown_tool_id("", 0) != first.shown_tool_id("", 1)
    assert Spelling(Abilities("d")).shown_tool_id("", 0).startswith("call_")


def test_seals_are_wrapped_for_the_client() -> None:
    """IR §3: its own bare, those of others in an envelope."""
    spelling = Spelling(OPENAI_LIKE)
    assert spelling.shown_seal(Seal("resp", "x")) == "x"
    assert spelling.shown_seal(Seal("anth", "sig")) == "bbf1anthc2ln"


def test_pieces_of_a_seal_are_one() -> None:
    """Anthropic case 43, IR case 22: each piece behind its family; a thought that nobody sealed says so."""
    spelling = Spelling(OPENAI_LIKE)
    assert spelling.shown_pieces(["resp", "a", "resp", "b"]) == "ab"
    assert restored(spelling.shown_pieces([]), "resp") == UNSEALED


def test_names_come_back() -> None:
    """Bedrock case 30: what a lane was told in the place of a name, and what needed nothing in its place."""
    narrow = Abilities("d", takes_tool_name=str.isalnum)
    names = renamed(["a.b", "plain"], narrow)
    assert list(names.values()) == ["a.b"]
    spelling = Spelling(OPENAI_LIKE, "", names)
    assert [spelling.shown_tool_name(name) for name in (*names, "plain")] == ["a.b", "plain"]
