"""Names of tools across vendors. Some take dots and colons, or longer names than others.

A name that a vendor refuses is sent as a likeness of itself and a hash, so that no two of them meet: the
same name always gets the same likeness, in the tools, in earlier calls and in every process. What was sent for which
name is known from the tools of the request, which is how a call comes back under the name its client gave.
"""

import re
from hashlib import sha256
from typing import Final

_LIKENESS: Final = 40
_HASH_DIGITS: Final = 8
_odd = re.compile(r"[^A-Za-z0-9_]")


def fitting(name: str) -> str:
    """Return a name that every vendor takes: at most 50 letters, digits and underscores, a letter first."""
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    likeness = _odd.sub("_", name)[:_LIKENESS]
    begins_well = likeness[:1].isalpha()
    return f"{likeness if begins_well else 't' + likeness}_{digest}"
