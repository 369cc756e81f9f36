"""A whole answer of an upstream."""

from typing import Final

from busbar_fast.dialects.anthropic.translation.abilities import NAME
from busbar_fast.dialects.anthropic.translation.block_reader import BlockReader
from busbar_fast.dialects.anthropic.translation.stops import stop_of
from busbar_fast.dialects.anthropic.translation.usages import read_usage
from busbar_fast.dialects.members import read_object
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Answer, Usage

_BLOCKS: Final = BlockReader(is_client=False)


def read_answer(body: bytes) -> Answer:
    """Read an answer. Raise FaultReported if it is an error, Misshapen if it is something else."""
    members = read_object(body)
    if members.maybe_text("type") == "error":
        raise FaultReported(body)
    if "content" not in members or (members.maybe_text("role") or "assistant") != "assistant":
        raise Misshapen("content", "is missing")
    return Answer(
        NAME,
        members.maybe_text("id") or "",
        members.maybe_text("model") or "",
        blocks=_BLOCKS.content(members, "content"),
        stop=stop_of(members.maybe_text("stop_reason") or "", members.maybe_text("stop_sequence")),
        usage=read_usage(members.maybe_object("usage")) or Usage(),
        ext=members.rest(),
    )
