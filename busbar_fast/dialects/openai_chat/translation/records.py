"""Records that a decoder fills: what of a chunk is needed.

The decoder makes their classes, so nothing here is compiled. Hot.
"""

from msgspec import Raw, Struct

from busbar_fast.ir.blocks import NOTHING


class Delta(Struct, gc=False):
    """What a chunk adds."""

    content: str | list[Raw] | None = None
    refusal: str | None = None
    reasoning_content: Raw = NOTHING
    reasoning: Raw = NOTHING
    tool_calls: Raw = NOTHING
    function_call: Raw = NOTHING
    annotations: Raw = NOTHING


class Choice(Struct, gc=False):
    """The answer, as far as a chunk tells it."""

    delta: Delta | None = None
    index: int | None = 0
    finish_reason: str | None = None
    logprobs: Raw = NOTHING


class Chunk(Struct, gc=False):
    """One event."""

    choices: list[Choice] | None = None
    model: str | None = None
    usage: Raw = NOTHING
    error: Raw = NOTHING
