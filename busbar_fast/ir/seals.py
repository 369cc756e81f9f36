"""Sealed reasoning on its way through clients of other vendors: the envelope it travels in.

Every group of four characters of an envelope is legal base64, so a client library that decodes seals and encodes them
again returns the same text. One spelling for all clients; see `ir.blocks.Seal`.
"""

import re
from base64 import b64decode, urlsafe_b64encode
from typing import Final

from busbar_fast.ir.blocks import Seal

TAG: Final = "bbf1"
# Stands where nobody sealed a thought whose client takes sealed ones only: so that it is known, and left out, when it
# comes back. A vendor that seals refuses a conversation with a thought that is not.
UNSEALED: Final = Seal("none", "none")
RAW_TAG: Final = TAG.encode()  # what to look for in a body

_match_envelope = re.compile(TAG + r"([a-z]{4})([A-Za-z0-9+/_-]+={0,2})").fullmatch
_TO_STANDARD: Final = str.maketrans("-_", "+/")


def shown(seal: Seal, family: str) -> str:
    """Return a seal as a client sees it whose vendor's seals are of this family."""
    if seal.family == family:
        return seal.value
    return f"{TAG}{seal.family}{urlsafe_b64encode(seal.value.encode()).decode()}"


def restored(text: str, family: str) -> Seal:
    """Return the seal that was shown as this text; a bare one is of the client's own family."""
    match = _match_envelope(text)
    if match is not None:
        try:
            value = b64decode(match[2].translate(_TO_STANDARD), validate=True).decode()
        except ValueError:
            return Seal(family, text)
        return Seal(match[1], value)
    return Seal(family, text)
