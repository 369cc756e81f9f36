"""Secrets that must be read again, sealed for the time they lie in a database: AES-256-GCM under one key.

What is sealed is bound to whose it is, so rows cannot trade their secrets. Whatever is not sealed yet reads as it is.
"""

import binascii
import os
from base64 import b64decode, b64encode
from typing import Final

from busbar_fast.errors import BusbarError

_MARK: Final = "sealed:1:"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class BadSeal(BusbarError):
    """A key that is none, or a secret that this key did not seal; the text holds neither."""


def parse_key(text: str) -> bytes:
    """Return the key that a text spells: 64 hexadecimal digits, or base64 of 32 bytes. Raise BadSeal."""
    try:
        key = bytes.fromhex(text) if len(text) == 2 * _KEY_BYTES else b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadSeal("the key is neither 64 hexadecimal digits nor base64 of 32 bytes")
    return key


def is_sealed(text: str) -> bool:
    """Say whether a text was sealed."""
    return text.startswith(_MARK)


class Sealer:
    """Seals and opens under one key; without a key it leaves everything as it is."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes = b"") -> None:
        self._key = key

    @property
    def is_active(self) -> bool:
        """Whether there is a key."""
        return bool(self._key)

    def seal(self, text: str, owner: str) -> str:
        """Return what to store of a secret."""
        if not self._key:
            return text
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  20 ms that few need

        nonce = os.urandom(_NONCE_BYTES)
        return _MARK + b64encode(nonce + AESGCM(self._key).encrypt(nonce, text.encode(), owner.encode())).decode()

    def open(self, stored: str, owner: str) -> str:
        """Return the secret that is stored. Raise BadSeal."""
        if not is_sealed(stored):
            return stored
        if not self._key:
            raise BadSeal("there are sealed secrets, and no key to open them")
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  see above
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  see above

        try:
            raw = b64decode(stored.removeprefix(_MARK), validate=True)
            return AESGCM(self._key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise BadSeal("a secret was sealed under another key, or for another owner") from error
