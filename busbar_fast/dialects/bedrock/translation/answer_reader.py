"""A whole answer of an upstream."""

from typing import Final

from busbar_fast.dialects.bedrock.translation.abilities import NAME
from busbar_fast.dialects.bedrock.translation.block_reader import BlockReader
from busbar_fast.dialects.bedrock.translation.stops import stop_of
from busbar_fast.dialects.bedrock.translation.usages import read_usage
from busbar_fast.dialects.members import Members, read_object
from busbar_fast.errors import Misshapen
from busbar_fast.ir.answers import Answer, Usage

_BLOCKS: Final = BlockReader(is_client=False)


def read_answer(body: bytes) -> Answer:
    """Read an answer. Raise Misshapen if it is something else."""
    members = read_object(body)
    output = members.maybe_object("output")
    message = None if output is None else output.maybe_object("message")
    if message is None:
        raise Misshapen("output", "holds no message")
    return Answer(
        NAME,
        blocks=_BLOCKS.blocks(message, "content"),
        stop=stop_of(members.maybe_text("stopReason") or "", matched_in(members)),
        usage=read_usage(members.maybe_object("usage")) or Usage(),
        ext=members.rest(),
    )


def matched_in(members: Members) -> str | None:
    """Return the stop string that was hit, where the upstream was asked to tell it."""
    fields = members.maybe_object("additionalModelResponseFields")
    return None if fields is None else fields.maybe_text("stop_sequence")
