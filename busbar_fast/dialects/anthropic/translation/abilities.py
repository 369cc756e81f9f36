"""What the vendor's wire has a place for."""

import re
from typing import Final

from busbar_fast.dialects.translator import Abilities, Hosting
from busbar_fast.ir.blocks import Inline, MediaKind, Plain, Url

NAME: Final = "anthropic"
FAMILY: Final = "anth"  # of its seals
TOOL_PREFIX: Final = "toolu_"
# What the tools are called that the vendor runs.
SEARCH: Final = "web_search"
CODE: Final = "code_execution"

ABILITIES: Final = Abilities(
    NAME,
    tool_prefix=TOOL_PREFIX,
    takes_tool_id=re.compile(r"[A-Za-z0-9_-]+").fullmatch,
    takes_tool_name=re.compile(r"[A-Za-z0-9_-]{1,128}").fullmatch,
    seal=FAMILY,
    opens=frozenset((FAMILY, "bedr")),
    takes_thinking=True,
    takes_redacted=True,
    takes_later_system="asked",
    takes_marks="always",
    most_marks=4,
    takes_user=True,
    takes_error_flag=True,
    takes_citations=True,
    takes_search_results=True,
    takes_text_documents=True,
    media=frozenset(
        (
            (MediaKind.IMAGE, Inline),
            (MediaKind.IMAGE, Url),
            (MediaKind.DOCUMENT, Inline),
            (MediaKind.DOCUMENT, Url),
            (MediaKind.DOCUMENT, Plain),
        )
    ),
    result_media=frozenset(
        (
            (MediaKind.IMAGE, Inline),
            (MediaKind.IMAGE, Url),
            (MediaKind.DOCUMENT, Inline),
            (MediaKind.DOCUMENT, Plain),
        )
    ),
    takes_strict=True,
    choices=frozenset(("none", "named")),
    takes_parallel=True,
    hosted={
        "web_search": Hosting(frozenset(("allowed_domains", "blocked_domains", "place")), SEARCH),
        "code_execution": Hosting(name=CODE),
    },
    takes_hosted_beside=True,
    sampling=frozenset(("top_k",)),
    ranges={"temperature": (0, 1), "top_p": (0, 1)},
    needs_max_tokens=True,
)
