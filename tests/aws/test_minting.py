"""Minting pairs of access keys: their shape, and that nothing about them can be guessed."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest

from busbar_fast.aws.minting import new_pair
from busbar_fast.aws.verify import IssuedKey, Reason, Verifier
from tests.aws.peers import COLON_PATH, EPOCH_S, Vector, botocore_signature

LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
PAIRS = 10_000
is_access_key = re.compile(rb"AKIA[A-Z0-9]{16}").fullmatch
is_secret = re.compile(rb"[A-Za-z0-9+/]{40}").fullmatch


def bound(characters: int, kinds: int) -> float:
    """Return how far a fair count may be from its mean: six standard deviations."""
    share = 1 / kinds
    return float(6 * (characters * share * (1 - share)) ** 0.5)


def test_pairs_have_the_shape_of_the_vendors_and_are_unique() -> None:
    """aws-wire case 24: twenty and forty characters of the vendor's alphabets, none twice in 10 000 pairs."""
    pairs = [new_pair() for _ in range(PAIRS)]
    assert all(is_access_key(pair.access_key) and is_secret(pair.secret) and not pair.token for pair in pairs)
    assert len({pair.access_key for pair in pairs}) == len({pair.secret for pair in pairs}) == PAIRS


def test_every_character_is_as_likely_as_any_other() -> None:
    """aws-wire case 24: in 10 000 pairs each letter of either alphabet comes about equally often."""
    draw = Random(20260304).randbytes  # the same on each run, so a fair count is never an accident
    pairs = [new_pair(draw) for _ in range(PAIRS)]
    for text, kinds in (
        (b"".join(pair.access_key[4:] for pair in pairs), 36),
        (b"".join(pair.secret for pair in pairs), 64),
    ):
        counts = Counter(text)
        mean = len(text) / kinds
        assert len(counts) == kinds
        assert max(abs(count - mean) for count in counts.values()) < bound(len(text), kinds)


def scripted(*chunks: bytes) -> tuple[Callable[[int], bytes], list[int]]:
    """Return a source of these bytes, and what it was asked for."""
    asked: list[int] = []
    coming: Iterator[bytes] = iter(chunks)

    def draw(size: int) -> bytes:
        asked.append(size)
        chunk = next(coming)
        assert len(chunk) == size
        return chunk

    return draw, asked


def test_bytes_that_would_tilt_the_alphabet_are_drawn_again() -> None:
    """aws-wire case 24: a byte beyond the last whole round of the alphabet makes no letter."""
    draw, asked = scripted(bytes(range(240, 256)), bytes((255, 252, 0, 35)), bytes((36, 251)), b"\xff" * 30)
    pair = new_pair(draw)
    assert asked == [16, 4, 2, 30]
    assert pair.access_key == b"AKIA" + bytes(LETTERS[byte % 36] for byte in range(240, 252)) + b"A9" + b"A9"
    assert pair.secret == b"/" * 40


def test_source_without_randomness_is_told_of() -> None:
    """Governance §2: when the system gives no random bytes there is no pair, weak or otherwise."""

    def fail(_size: int) -> bytes:
        raise OSError("no randomness")

    with pytest.raises(OSError, match="no randomness"):
        new_pair(fail)


def test_minted_pair_signs_and_hides() -> None:
    """aws-wire case 24: the vendor's signer takes a minted pair, ours admits it, and no repr shows it."""
    pair = new_pair()
    akid, secret = pair.access_key.decode(), pair.secret.decode()
    signature = botocore_signature(Vector(COLON_PATH, ""), secret=secret)
    request = Vector(COLON_PATH, signature).incoming(akid)
    verifier = Verifier(b"bedrock", {akid: IssuedKey(pair.secret, is_active=True)}.get)
    assert verifier.verify(request, EPOCH_S).reason is Reason.ADMITTED
    assert secret not in repr(pair)
    assert akid not in repr(pair)
