"""How ids and seals of others look to one client."""

from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir.blocks import Seal

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
