"""How one plain chunk looks, and what does not look like one."""

import pytest

from busbar_fast.wire.framing import encode_chunk
from busbar_fast.wire.looks import PREPARED_BYTES, Look, chunk_payload, one_chunk_start

PLAIN = Look()


@pytest.mark.parametrize(
    "piece",
    [
        b"7\r\n3\r\nabc\r\n", b"A\r\n0123456789\r\n", b"5\r\nhello\r\n5\r\nhello\r\n", b"5;a\r\nhello\r\n",
        b"5\r\nhell\r\n",
        b"5\r\nhelloxy", b"05\r\nhello\r\n", b"0\r\n\r\n", b"00\r\n\r\n", b"\r\n\r\n", b"\r\nhello\r\n",
        b"hello", b"\r\n", b"", b"\r\n" + b"x" * 17 + b"\r\n",
        b"f\r\n" + b"x" * 16 + b"\r\n", b"10\r\n" + b"x" * 15 + b"\r\n", b"-1\r\nx\r\n",
    ],
)  # fmt: skip
def test_piece_that_is_not_one_plain_chunk(piece: bytes) -> None:
    """Two chunks, an end, an extension, another spelling and every wrong size are left to be read."""
    assert not PLAIN.fits(piece)


@pytest.mark.parametrize("digits", range(1, 6))
def test_every_size_of_a_chunk_is_recognised(digits: int) -> None:
    """Around each size that needs another digit, what we write as one chunk is found to be one, and nothing else."""
    for size in range(max(1, 16**digits - 3), 16**digits + 4):
        raw = encode_chunk(b"x" * size)
        assert PLAIN.fits(raw)
        assert chunk_payload(raw) == b"x" * size
        assert not PLAIN.fits(raw + b"\r\n")
        assert not PLAIN.fits(raw[:-3] + b"\r\n")


@pytest.mark.parametrize("size", [PREPARED_BYTES - 1, PREPARED_BYTES, PREPARED_BYTES + 1])
def test_prepared_and_other_sizes_are_told_alike(size: int) -> None:
    """On both sides of the border a chunk is one, also when asked again."""
    start = one_chunk_start(size)
    chunk = start + b"x" * (size - len(start) - 2) + b"\r\n"
    assert [PLAIN.fits(chunk), PLAIN.fits(chunk), PLAIN.fits(b"1" + chunk[1:])] == [True, True, start[:1] == b"1"]


@pytest.mark.parametrize("size", range(90, 111))
def test_least_and_most_bytes_are_those_of_the_piece(size: int) -> None:
    """What is smaller or larger than wanted does not fit."""
    start = one_chunk_start(size)
    chunk = start + b"x" * (size - len(start) - 2) + b"\r\n"
    assert Look(least_bytes=95, most_bytes=105).fits(chunk) is (95 <= size <= 105)


def test_most_bytes_may_be_beyond_what_is_prepared() -> None:
    """A large chunk fits up to the size that was said."""
    chunk = encode_chunk(bytes(PREPARED_BYTES))
    most = Look(most_bytes=len(chunk)), Look(most_bytes=len(chunk) - 1)
    assert [look.fits(chunk) for look in most] == [True, False]


def test_payload_must_end_as_wanted() -> None:
    """One of several ends is enough; the end of a chunk is none of payload."""
    look = Look((b";", b".."))
    found = [look.fits(encode_chunk(payload)) for payload in (b"a;", b"a..", b"a.", b"a;\r\n", b";")]
    assert found == [True, True, False, False, True]


def test_unit_says_its_size() -> None:
    """Where units begin with their size, chunk and unit must agree; larger ones than are prepared are not known."""
    look = Look((b"",), unit_head=lambda size: b"%d:" % size)
    assert look.fits(encode_chunk(b"5:abc"))
    assert not look.fits(encode_chunk(b"6:abc"))
    assert not look.fits(b"\r\n")
    assert not look.fits(encode_chunk(b"%d:" % PREPARED_BYTES + bytes(PREPARED_BYTES - 5)))


def test_what_is_no_chunk_has_no_payload() -> None:
    """Style 3: whatever is asked for, nothing is cut out from behind its own end."""
    assert [chunk_payload(raw) for raw in (b"", b"\n", b"5\r\n", b"0\r\n\r\n")] == [b""] * 4
