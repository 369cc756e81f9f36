"""Records that a decoder fills: what of an event that adds to an item is needed.

The decoder makes their classes, so nothing here is compiled. Hot.
"""

from msgspec import Raw, Struct

from busbar_fast.ir.blocks import NOTHING


class Delta(Struct, gc=False):
    """An event that adds to an item."""

    delta: str = ""
    output_index: int = 0
    content_index: int = 0
    logprobs: Raw = NOTHING
