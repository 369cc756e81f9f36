"""New pairs of access keys that look like the vendor's own, for clients that can only sign.

Knows neither who gets a pair nor where it is kept. A pair is shown once by whoever asks for it here; its secret must be
kept recoverable all the same, because a signature is checked with it.
"""

import os
from base64 import b64encode
from collections.abc import Callable
from typing import Final

from busbar_fast.aws.credentials import AccessKeys

# Gives so many random bytes.
Draw = Callable[[int], bytes]

_PREFIX: Final = b"AKIA"
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NAME_BYTES: Final = 16  # of an access key id, behind the prefix
_SECRET_BYTES: Final = 30  # random ones: forty characters, and none is left over for padding
_FAIR: Final = 256 - 256 % len(_LETTERS)  # bytes from here on would make the first letters likelier


def new_pair(draw: Draw = os.urandom) -> AccessKeys:
    """Return a pair that nobody has; raise whatever the source of randomness raises."""
    name = b""
    while len(name) < _NAME_BYTES:
        name += bytes(_LETTERS[byte % len(_LETTERS)] for byte in draw(_NAME_BYTES - len(name)) if byte < _FAIR)
    return AccessKeys(_PREFIX + name, b64encode(draw(_SECRET_BYTES)))
