"""Which member of a pool a session sticks to: the same one on every machine and after every restart."""

_START = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = 0xFFFFFFFFFFFFFFFF


def fnv1a64(raw: bytes) -> int:
    """Return the FNV-1a hash of 64 bits."""
    value = _START
    for byte in raw:
        value = (value ^ byte) * _PRIME & _MASK
    return value


def sticky_index(raw_session: bytes, members: int) -> int:
    """Return the place of a session's member among all of a pool's, in the order of the configuration.

    The session is what the client called it, in UTF-8, and not empty; the pool has a member.
    """
    return fnv1a64(raw_session) % members
