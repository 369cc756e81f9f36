"""Virtual keys: how they look, how they are minted, and how one is found by what a caller shows.

A `Key` is a record that never changes; whoever changes a key puts another record in its place. The `KeyRing` holds all
keys of the process and is the only index of them. Secrets of clients are never kept, only their digests; the secret
half of an AWS pair is, because a signature cannot be checked without it.
"""

import os
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, NamedTuple

PERIODS: Final[tuple[str, ...]] = ("total", "daily", "monthly")
_SECRET_BYTES: Final = 16
_ID_DIGITS: Final = 16

# Gives so many random bytes.
Draw = Callable[[int], bytes]


class Key(NamedTuple):
    """What an operator says of one key. No limit is None."""

    id: str
    name: str
    allowed_pools: tuple[str, ...] = ()  # none named: all of them
    max_budget_cents: int | None = None
    budget_period: str = "total"
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    enabled: bool = True
    created_at: int = 0

    def permits(self, name: str) -> bool:
        """Say whether this pool or model may be asked for."""
        return not self.allowed_pools or name in self.allowed_pools


class Pair(NamedTuple):
    """An AWS credential that stands for a key."""

    access_key: str
    secret: bytes

    def __repr__(self) -> str:
        return f"<Pair {self.access_key}>"


class Held(NamedTuple):
    """A key as it is stored: with the digest of its secret in hex, and its AWS credential if it has one."""

    key: Key
    digest: str
    pair: Pair | None = None


class Minted(NamedTuple):
    """A new secret, to be shown once, and what is kept of it."""

    secret: str
    digest: str
    id: str

    def __repr__(self) -> str:
        return f"<Minted {self.id}>"


def mint(draw: Draw = os.urandom) -> Minted:
    """Return a secret that nobody has; raise whatever the source of randomness raises."""
    secret = "sk-bb-" + draw(_SECRET_BYTES).hex()
    digest = digest_of(secret.encode())
    return Minted(secret, digest, f"vk_{digest[:_ID_DIGITS]}")


def digest_of(token: bytes) -> str:
    """Return what is kept of a secret."""
    return sha256(token).hexdigest()


class KeyRing:
    """All keys, by what callers show and by id. `epoch` grows with every change, so that verdicts can be remembered."""

    __slots__ = ("_by_access_key", "_by_digest", "_by_id", "epoch")

    def __init__(self, held: Iterable[Held] = ()) -> None:
        self._by_id: dict[str, Held] = {}
        self._by_digest: dict[str, Held] = {}
        self._by_access_key: dict[str, Held] = {}
        self.epoch = 0
        for one in held:
            self.put(one)

    def put(self, held: Held) -> None:
        """Add a key, or put another record in the place of one that has the same id."""
        self.epoch += 1
        self._by_id[held.key.id] = self._by_digest[held.digest] = held
        if held.pair is not None:
            self._by_access_key[held.pair.access_key] = held

    def remove(self, key_id: str) -> None:
        """Take a key away, and everything that stands for it."""
        self.epoch += 1
        held = self._by_id.pop(key_id)
        del self._by_digest[held.digest]
        if held.pair is not None:
            del self._by_access_key[held.pair.access_key]

    def find(self, token: bytes) -> Key | None:
        """Return the key of this secret, None for one that is unknown or switched off."""
        held = self._by_digest.get(digest_of(token))
        return held.key if held is not None and held.key.enabled and token else None

    def find_pair(self, access_key: str) -> Held | None:
        """Return what stands behind an AWS access key, switched off or not."""
        return self._by_access_key.get(access_key)

    def get(self, key_id: str) -> Held | None:
        """Return the key of this id."""
        return self._by_id.get(key_id)

    def all(self) -> list[Held]:
        """Return every key, the oldest first."""
        return sorted(self._by_id.values(), key=lambda held: (held.key.created_at, held.key.id))
