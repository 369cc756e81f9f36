"""Virtual keys: their secrets, and how they are found."""

import re
from hashlib import sha256

import pytest

from busbar_fast.governance.keys import Held, Key, KeyRing, Minted, Pair, digest_of, mint

SECRET = b"sk-bb-" + b"0" * 32


def held(name: str = "a", *, enabled: bool = True, pair: Pair | None = None, created_at: int = 0) -> Held:
    """Return a key whose secret is its name."""
    return Held(Key(f"vk_{name}", name, enabled=enabled, created_at=created_at), digest_of(name.encode()), pair)


def test_a_secret_looks_like_one() -> None:
    """Governance case 17: the id is the beginning of the digest of the whole secret."""
    minted = mint()
    assert re.fullmatch("sk-bb-[0-9a-f]{32}", minted.secret)
    assert minted.digest == sha256(minted.secret.encode()).hexdigest()
    assert minted.id == f"vk_{minted.digest[:16]}"
    assert minted.secret not in repr(minted)
    assert mint(bytes) == Minted(SECRET.decode(), digest_of(SECRET), f"vk_{digest_of(SECRET)[:16]}")


def test_no_randomness_is_an_error() -> None:
    """Governance case 19: whatever the source of randomness raises comes out."""

    def fail(size: int) -> bytes:
        raise OSError(size)

    with pytest.raises(OSError, match="16"):
        mint(fail)


def test_a_key_is_found_by_its_secret() -> None:
    """Governance §1.3: unknown, switched off and empty are the same."""
    ring = KeyRing([held("a"), held("b", enabled=False), held("")])
    assert ring.find(b"a") == held("a").key
    assert [ring.find(token) for token in (b"b", b"c", b"", b"A")] == [None] * 4


def test_a_key_is_found_by_its_pair() -> None:
    """Governance §4: an AWS access key stands for a key, switched off or not; its secret shows in no text."""
    pair = Pair("AKIA1", b"hush")
    ring = KeyRing([held("a", pair=pair), held("b", enabled=False, pair=Pair("AKIA2", b"x"))])
    assert ring.find_pair("AKIA1") == held("a", pair=pair)
    assert ring.find_pair("AKIA2") is not None
    assert ring.find_pair("AKIA3") is None
    assert "hush" not in repr(pair)


def test_every_change_shows_in_the_epoch() -> None:
    """Governance §8: both indices change together, and whoever remembered a verdict learns that it is old."""
    ring = KeyRing()
    epochs = [ring.epoch]
    ring.put(held("a", pair=Pair("AKIA1", b"x")))
    epochs.append(ring.epoch)
    ring.put(held("a", enabled=False, pair=Pair("AKIA1", b"x")))
    epochs.append(ring.epoch)
    assert ring.find(b"a") is None
    ring.remove("vk_a")
    epochs.append(ring.epoch)
    assert (ring.get("vk_a"), ring.find_pair("AKIA1"), ring.all()) == (None, None, [])
    assert epochs == sorted(set(epochs))
    ring.put(held("b"))
    ring.remove("vk_b")
    assert ring.all() == []


def test_keys_are_listed_by_age() -> None:
    """Governance §10: by `created_at`, then by id."""
    ring = KeyRing([held("c", created_at=2), held("b", created_at=1), held("a", created_at=2)])
    assert [one.key.name for one in ring.all()] == ["b", "a", "c"]


def test_a_key_without_names_may_ask_for_all() -> None:
    """Governance §2: names are compared to the letter."""
    assert Key("i", "n").permits("anything")
    limited = Key("i", "n", ("a", "b"))
    assert [limited.permits(name) for name in ("a", "b", "A", "")] == [True, True, False, False]
