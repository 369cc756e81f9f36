"""Ids of calls across vendors: what a client is shown, and the way back. Stateless, the same in every process.

An id of another vendor is shown as prefix, `bb`, a letter for the prefix it had, and the rest of it, so it looks like
one of the client's own vendor and can be turned back. What would be too long, or holds characters that not everybody
takes, becomes a hash of itself, which cannot. No vendor's limit is below 40 characters.
"""

import re
from hashlib import sha256
from typing import Final

LONGEST: Final = 40

_TAG: Final = "bb"
_PREFIXES: Final = {"a": "toolu_", "b": "tooluse_", "o": "call_", "f": "fc_", "x": ""}
_HASHED: Final = "z"
_HEX: Final = "1"  # of an older spelling, still understood
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HASH_DIGITS: Final = 22
_is_plain = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_is_hex = re.compile(r"(?:[0-9a-f]{2})+").fullmatch


def shown(tool_id: str, prefix: str, *, in_hex: bool = False) -> str:
    """Return an id as a client sees it whose vendor's ids begin with this prefix; without one any id will do."""
    is_own = tool_id.startswith(prefix) and not tool_id.startswith(prefix + _TAG)
    if not prefix or (is_own and len(tool_id) <= LONGEST and _is_plain(tool_id)):
        return tool_id
    if in_hex:
        return f"{prefix}{_TAG}{_HEX}{tool_id.encode().hex()}"
    # The last prefix fits everything.
    letter, native = next(pair for pair in _PREFIXES.items() if tool_id.startswith(pair[1]))
    spelt = f"{prefix}{_TAG}{letter}{tool_id.removeprefix(native)}"
    is_whole = len(tool_id) > len(native) and len(spelt) <= LONGEST and _is_plain(tool_id)
    return spelt if is_whole else hashed(tool_id, prefix)


def restored(tool_id: str, prefix: str) -> str:
    """Return the id that was shown as this one; itself if it was not."""
    tag = prefix + _TAG
    if not prefix or not tool_id.startswith(tag):
        return tool_id
    letter, rest = tool_id[len(tag) : len(tag) + 1], tool_id[len(tag) + 1 :]
    if letter == _HEX and _is_hex(rest):
        try:
            return bytes.fromhex(rest).decode()
        except UnicodeDecodeError:
            return tool_id
    native = _PREFIXES.get(letter)
    return tool_id if native is None or not rest else native + rest


def hashed(tool_id: str, prefix: str) -> str:
    """Return an id that stands for one nobody would take; the same for call and result."""
    number = int.from_bytes(sha256(tool_id.encode("utf-8", "surrogatepass")).digest())
    digits = []
    for _ in range(_HASH_DIGITS):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return f"{prefix}{_TAG}{_HASHED}{''.join(digits)}"


def invented(place: str, name: str, prefix: str = "call_") -> str:
    """Return an id for a call that has none; the same place and name always get the same one."""
    return prefix + sha256(f"{place}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
