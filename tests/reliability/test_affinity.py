"""Sessions find their member by a hash that everybody can compute again."""

import pytest

from busbar_fast.reliability.affinity import fnv1a64, sticky_index


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"", 0xCBF29CE484222325),
        (b"a", 0xAF63DC4C8601EC8C),
        (b"foobar", 0x85944171F73967E8),
        (b"session-1", 0x1688595DCF49184D),
    ],
)
def test_hash_is_the_published_one(raw: bytes, value: int) -> None:
    """Reliability §3: FNV-1a of 64 bits gives the published values."""
    assert fnv1a64(raw) == value


def test_a_session_has_one_member() -> None:
    """Reliability case 12: the same session is the same member a hundred times, and needs no memory for that."""
    assert {sticky_index(b"session-1", 3) for _ in range(100)} == {1}


def test_sessions_spread_over_members() -> None:
    """Each of three members is the one of some of a hundred sessions."""
    assert {sticky_index(b"session-%d" % number, 3) for number in range(100)} == {0, 1, 2}
