"""What the vendor's wire has a place for."""

import re
from typing import Final

from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir.blocks import Inline, MediaKind, Url

NAME: Final = "openai"
TOOL_PREFIX: Final = "call_"
SEARCH: Final = "web_search_options"  # the member that asks for a search in the web

ABILITIES: Final = Abilities(
    NAME,
    tool_prefix=TOOL_PREFIX,
    takes_tool_id=re.compile(r".{1,40}").fullmatch,
    takes_tool_name=re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch,
    takes_later_system="always",
    takes_marks="gated",
    most_marks=4,
    takes_user=True,
    takes_image_detail=True,
    media=frozenset(
        (
            (MediaKind.IMAGE, Inline),
            (MediaKind.IMAGE, Url),
            (MediaKind.DOCUMENT, Inline),
            (MediaKind.AUDIO, Inline),
        )
    ),
    takes_custom_tools=True,
    takes_strict=True,
    choices=frozenset(("none", "named", "allowed")),
    takes_parallel=True,
    sampling=frozenset(("seed", "frequency_penalty", "presence_penalty", "has_logprobs", "top_logprobs")),
    most_stops=4,
    ranges={
        "temperature": (0, 2),
        "top_p": (0, 1),
        "frequency_penalty": (-2, 2),
        "presence_penalty": (-2, 2),
        "top_logprobs": (0, 20),
    },
)
