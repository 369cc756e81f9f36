"""What writers of streams share: a block knows where it stands, and what most have no place for is noted."""

from busbar_fast.dialects.stream_writer import StreamBlock
from busbar_fast.ir.blocks import Seal
from busbar_fast.ir.events import Kind
from tests.dialects.test_guard import CITATION, TOKEN, Scribe
from tests.dialects.translating import lost


def test_block_begins_empty() -> None:
    """IR §5: open, not begun, nothing waiting, no number of the writer yet."""
    block = StreamBlock(3, Kind.TOOL_USE, "call_1", "f")
    assert (block.index, block.kind, block.tool_id, block.name) == (3, Kind.TOOL_USE, "call_1", "f")
    assert (block.is_open, block.is_started, block.queue, block.slot, block.parts) == (True, False, None, -1, [])


def test_what_most_have_no_place_for_is_noted() -> None:
    """IR §9: seals, references and likelihoods."""
    scribe, block = Scribe(), StreamBlock(0, Kind.TEXT)
    scribe.write_seal(block, Seal("anth", "x"))
    scribe.write_citations(block, [CITATION])
    scribe.write_logprobs(block, [TOKEN])
    assert lost(scribe.report) == {("dropped", "signature"), ("dropped", "citations"), ("dropped", "logprobs")}
    assert scribe.out == []
