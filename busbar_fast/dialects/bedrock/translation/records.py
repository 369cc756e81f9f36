"""Records that a decoder fills: what of a frame that adds to a block is needed.

The decoder makes their classes, so nothing here is compiled. Hot.
"""

from msgspec import Raw, Struct

from busbar_fast.ir.blocks import NOTHING


class ToolInput(Struct, gc=False):
    """More of the arguments of a call."""

    input: str = ""


class Reasoning(Struct, gc=False):
    """More of a thought, or of its seal."""

    text: str = ""
    signature: str = ""
    redactedContent: str = ""  # noqa: N815  as it is written


class Growth(Struct, gc=False):
    """What a delta adds; one of these."""

    text: str | None = None
    toolUse: ToolInput | None = None  # noqa: N815  as it is written
    reasoningContent: Reasoning | None = None  # noqa: N815  as above
    citation: Raw = NOTHING


class Delta(Struct, gc=False):
    """An event that adds to a block."""

    delta: Growth
    contentBlockIndex: int = 0  # noqa: N815  as above
