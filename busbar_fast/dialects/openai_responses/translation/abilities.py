"""What the vendor's wire has a place for."""

import re
from typing import Final

from busbar_fast.dialects.translator import Abilities, Hosting
from busbar_fast.ir.blocks import Inline, MediaKind, Url

NAME: Final = "responses"
FAMILY: Final = "resp"  # of its seals
TOOL_PREFIX: Final = "call_"

_MEDIA: Final = frozenset(
    (
        (MediaKind.IMAGE, Inline),
        (MediaKind.IMAGE, Url),
        (MediaKind.DOCUMENT, Inline),
        (MediaKind.DOCUMENT, Url),
    )
)
ABILITIES: Final = Abilities(
    NAME,
    tool_prefix=TOOL_PREFIX,
    takes_tool_id=re.compile(r".{1,64}").fullmatch,
    takes_tool_name=re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch,
    seal=FAMILY,
    opens=frozenset((FAMILY,)),
    takes_thinking=True,
    takes_later_system="always",
    takes_marks="gated",
    most_marks=4,
    takes_user=True,
    takes_image_detail=True,
    media=_MEDIA,
    result_media=_MEDIA,
    takes_custom_tools=True,
    takes_strict=True,
    choices=frozenset(("none", "named", "allowed")),
    takes_parallel=True,
    hosted={
        "web_search": Hosting(frozenset(("allowed_domains", "place", "context_size"))),
        "code_execution": Hosting(),
    },
    takes_hosted_beside=True,
    sampling=frozenset(("has_logprobs", "top_logprobs")),
    most_stops=0,
    ranges={"max_tokens": (16, 2**32 - 1), "temperature": (0, 2), "top_p": (0, 1), "top_logprobs": (0, 20)},
)
