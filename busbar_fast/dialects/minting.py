"""Ids as vendors mint them: random, every character equally likely, without a clock in them."""

import os
from typing import Final

_BASE62: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE58: Final = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _kept(alphabet: bytes) -> tuple[bytes, bytes]:
    """Return what turns a random byte into a character, and the bytes that would make some likelier than others."""
    size = len(alphabet)
    most = 256 - 256 % size
    return bytes(alphabet[byte % size] for byte in range(256)), bytes(range(most, 256))


_TABLES: Final = {alphabet: _kept(alphabet) for alphabet in (_BASE62, _BASE58)}


def base62(length: int) -> str:
    """Return so many letters and digits."""
    return _drawn(_BASE62, length)


def base58(length: int) -> str:
    """Return so many letters and digits without those that look alike."""
    return _drawn(_BASE58, length)


def hexadecimal(length: int) -> str:
    """Return so many lower-case hexadecimal digits, an even number."""
    return os.urandom(length // 2).hex()


def uuid4() -> str:
    """Return a random UUID."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _drawn(alphabet: bytes, length: int) -> str:
    table, unfair = _TABLES[alphabet]
    drawn = b""
    while len(drawn) < length:
        drawn += os.urandom(length + length // 2).translate(table, unfair)
    return drawn[:length].decode()
