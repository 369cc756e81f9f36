"""What the vendor's wire has a place for."""

from typing import Final

from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir.blocks import Inline, MediaKind, Url

NAME: Final = "cohere"

ABILITIES: Final = Abilities(
    NAME,
    takes_thinking=True,
    takes_unsealed_thinking=True,
    takes_later_system="always",
    takes_plans=True,
    takes_json_results=True,
    takes_documents=True,
    takes_image_detail=True,
    media=frozenset(((MediaKind.IMAGE, Inline), (MediaKind.IMAGE, Url))),
    takes_strict=True,
    choices=frozenset(("none",)),
    sampling=frozenset(("top_k", "seed", "frequency_penalty", "presence_penalty", "has_logprobs")),
    most_stops=5,
    ranges={
        "temperature": (0, 1),
        "top_p": (0.01, 0.99),
        "top_k": (0, 500),
        "frequency_penalty": (0, 1),
        "presence_penalty": (0, 1),
    },
)
