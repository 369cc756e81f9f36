"""What the vendor's wire has a place for."""

import re
from typing import Final

from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir.blocks import Inline, MediaKind

NAME: Final = "bedrock"
FAMILY: Final = "bedr"  # of its seals
TOOL_PREFIX: Final = "tooluse_"

ABILITIES: Final = Abilities(
    NAME,
    tool_prefix=TOOL_PREFIX,
    takes_tool_id=re.compile(r"[A-Za-z0-9_.:-]{1,64}").fullmatch,
    takes_tool_name=re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch,
    seal=FAMILY,
    opens=frozenset((FAMILY, "anth")),
    takes_thinking=True,
    takes_redacted=True,
    takes_later_system="asked",
    takes_marks="gated",
    most_marks=4,
    takes_json_results=True,
    takes_error_flag=True,
    takes_citations=True,
    takes_search_results=True,
    takes_text_documents=True,
    media=frozenset((kind, Inline) for kind in MediaKind),
    result_media=frozenset((kind, Inline) for kind in (MediaKind.IMAGE, MediaKind.DOCUMENT, MediaKind.VIDEO)),
    takes_strict=True,
    choices=frozenset(("named",)),
    sampling=frozenset(("top_k",)),
    ranges={"temperature": (0, 1), "top_p": (0, 1)},
)
