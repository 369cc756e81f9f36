"""Records that a decoder fills: what of an event that adds to a block is needed.

The decoder makes their classes, so nothing here is compiled. Hot.
"""

from msgspec import Struct


class Growth(Struct, gc=False):
    """What a delta adds."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    input_json: str = ""  # as some hosts call it
    signature: str = ""


class Delta(Struct, gc=False):
    """An event that adds to a block."""

    delta: Growth
    index: int = -1
