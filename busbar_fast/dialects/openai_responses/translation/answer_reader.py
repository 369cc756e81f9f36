"""A whole answer of an upstream."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.members import Members, is_object, object_of, read_object
from busbar_fast.dialects.openai_responses.translation.abilities import NAME
from busbar_fast.dialects.openai_responses.translation.item_reader import ItemReader
from busbar_fast.dialects.openai_responses.translation.stops import stop_of
from busbar_fast.dialects.openai_responses.translation.usages import read_usage
from busbar_fast.dialects.openai_shared_logprobs import read_logprobs
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Answer, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import AnyBlock, Text, ToolUse

_ITEMS: Final = ItemReader(is_client=False)
_FAILED: Final[tuple[str, ...]] = ("failed", "cancelled")


def read_answer(body: bytes) -> Answer:
    """Read an answer. Raise FaultReported if it is an error, Misshapen if it is something else."""
    members = read_object(body)
    status = members.maybe_text("status") or ""
    if members.raw("error") or status in _FAILED:
        raise FaultReported(body)
    raws = members.maybe_items("output")
    if raws is None:
        raise Misshapen("output", "is missing")
    raws = [raw for raw in raws if is_object(raw)]
    blocks = [block for raw in raws for block in read_item(raw)]
    return Answer(
        NAME,
        members.maybe_text("id") or "",
        members.maybe_text("model") or "",
        members.count("created_at") or 0,
        blocks,
        stop_in(members, status, blocks),
        read_usage(members.maybe_object("usage")) or Usage(),
        [token for raw in raws for token in _logprobs(raw)],
    )


def read_item(raw: Raw) -> list[AnyBlock]:
    """Read an item of an answer."""
    return _ITEMS.item(raw, "output")[1]


def stop_in(members: Members, status: str, blocks: list[AnyBlock]) -> Stop:
    """Return why a response ends that holds these blocks."""
    details = members.maybe_object("incomplete_details")
    return stop_of(
        status,
        "" if details is None else details.maybe_text("reason") or "",
        has_call=any(isinstance(block, ToolUse) for block in blocks),
        has_refusal=any(isinstance(block, Text) and block.is_refusal for block in blocks),
    )


def _logprobs(raw: Raw) -> list[TokenLogprob]:
    """Return how likely the tokens of a message were."""
    parts = object_of(raw, "output").maybe_items("content") or []
    return [
        token
        for part in parts
        if is_object(part)
        for token in read_logprobs(object_of(part, "content").raw("logprobs"))
    ]
