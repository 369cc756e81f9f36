"""What this dialect has a place for."""

import re
from typing import Final

from busbar_fast.dialects.translator import Abilities, Hosting
from busbar_fast.ir.blocks import Inline, MediaKind, Url

NAME: Final = "gemini"
SEAL: Final = "gemi"
CLOUD: Final = "aiplatform"  # in the names of the hosts of the vendor's cloud

ABILITIES: Final = Abilities(
    NAME,
    takes_tool_name=re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}").fullmatch,
    seal=SEAL,
    opens=frozenset((SEAL,)),
    takes_thinking=True,
    takes_unsealed_thinking=True,
    takes_json_results=True,
    takes_error_flag=True,
    takes_code=True,
    media=frozenset((kind, source) for kind in MediaKind for source in (Inline, Url)),
    takes_strict=True,
    choices=frozenset(("none", "named", "allowed")),
    # Older models refuse these tools beside functions, newer ones want all that a tool did told again with each turn.
    hosted={"web_search": Hosting(frozenset(("blocked_domains",))), "code_execution": Hosting()},
    # More than one answer nobody but a client of this dialect could read, and those are not translated.
    sampling=frozenset(("top_k", "seed", "frequency_penalty", "presence_penalty", "has_logprobs", "top_logprobs")),
    most_stops=5,
    ranges={"temperature": (0, 2), "top_logprobs": (0, 5)},
)
