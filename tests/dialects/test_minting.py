"""Ids as vendors mint them."""

import re
from collections import Counter

from busbar_fast.dialects.minting import base58, base62, hexadecimal, uuid4


def test_ids_are_of_their_alphabet() -> None:
    """IR case 57: as long as asked for, of the right characters, never twice."""
    assert re.fullmatch(r"[0-9A-Za-z]{24}", base62(24))
    assert re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{22}", base58(22))
    assert re.fullmatch(r"[0-9a-f]{48}", hexadecimal(48))
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uuid4())
    assert len({base62(24) for _ in range(1000)}) == 1000
    assert base62(0) == ""


def test_no_character_is_likelier() -> None:
    """IR case 57, anthropic case 36: every character turns up about as often as any other."""
    for drawn, size in ((base62(62_000), 62), (base58(58_000), 58)):
        counts = Counter(drawn)
        assert len(counts) == size
        assert max(counts.values()) < 1250
        assert min(counts.values()) > 780
