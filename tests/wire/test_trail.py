"""The end of a body as it was passed on, kept for whoever judges it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.wire.framing import encode_chunk
from busbar_fast.wire.looks import one_chunk_start
from busbar_fast.wire.trail import (
    GROWN_BYTES,
    KEPT_BYTES,
    LEAST_CHUNK_BYTES,
    TRAIL_PIECES,
    Trail,
)

SIZES = st.one_of(
    st.integers(0, 80),
    st.sampled_from([GROWN_BYTES - 1, GROWN_BYTES, GROWN_BYTES + 1, KEPT_BYTES, KEPT_BYTES + 1, KEPT_BYTES * 10 + 7]),
)


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=30))
def test_trail_is_the_end_of_what_was_passed_on(pieces: list[tuple[int, bool]]) -> None:
    """Reliability §9: whatever was kept in whatever way, the trail is its end, and long enough."""
    trail, sent, last = Trail(), b"", list[int]()
    for number, (fed, is_framed) in enumerate(pieces):
        payload = bytes((number,)) * fed
        chunk = encode_chunk(payload)
        if is_framed and trail.look.fits(chunk):
            trail.keep(chunk)
        else:
            trail.note(payload)
        sent += payload
        last.append(fed)
        found = trail.payload()
        is_end, length = sent.endswith(found), len(found)
        wanted, room = 0, TRAIL_PIECES
        for size in reversed(last):
            room -= max(1, -(-size // KEPT_BYTES))  # a large piece counts as several
            if room < 0:
                break
            wanted += size
        assert (is_end, length >= wanted, length <= KEPT_BYTES * TRAIL_PIECES) == (True, True, True), length


def test_trail_of_nothing_is_empty() -> None:
    """Before anything was passed on there is nothing to be read."""
    assert Trail().payload() == b""


def test_of_many_chunks_the_last_ones_are_kept() -> None:
    """Memory does not grow with a stream; a few of its last chunks are there, whole."""
    trail = Trail()
    payloads = [b"%048d" % number for number in range(TRAIL_PIECES + 3)]
    for payload in payloads:
        trail.keep(encode_chunk(payload))
    assert trail.payload() == b"".join(payloads[3:])


def test_crumbs_grow_together() -> None:
    """A body that comes byte by byte leaves its last kilobytes and not its last few bytes; nothing is no piece."""
    trail = Trail()
    sent = b"".join(b"%d," % number for number in range(20_000))
    for at in range(len(sent)):
        trail.note(sent[at : at + 1])
        trail.note(b"")
    found = trail.payload()
    assert sent.endswith(found)
    assert GROWN_BYTES * (TRAIL_PIECES - 1) <= len(found) <= GROWN_BYTES * TRAIL_PIECES


def test_large_payload_is_kept_to_its_end() -> None:
    """Of a payload larger than all that is kept the end is there, whatever came before is gone."""
    trail = Trail()
    trail.note(b"before")
    sent = b"".join(b"%d," % number for number in range(200_000))
    assert len(sent) > KEPT_BYTES * TRAIL_PIECES
    trail.note(sent)
    found = trail.payload()
    assert sent.endswith(found)
    assert KEPT_BYTES * (TRAIL_PIECES - 1) < len(found) <= KEPT_BYTES * TRAIL_PIECES


@pytest.mark.parametrize("size", [0, 1, 5, LEAST_CHUNK_BYTES - 1, LEAST_CHUNK_BYTES, 300, KEPT_BYTES, KEPT_BYTES + 1])
def test_chunk_that_is_kept_as_it_is_has_a_middling_size(size: int) -> None:
    """What is too small or too large starts with nothing, so it is read instead."""
    piece = one_chunk_start(size)[:size].ljust(max(size - 2, 0), b"x") + b"\r\n"
    assert Trail().look.fits(piece) is (LEAST_CHUNK_BYTES <= size <= KEPT_BYTES)


def test_beginning_of_something_long_is_kept_with_it() -> None:
    """Reliability §9: of chunks that end nothing the payloads grow together, so that many count as one piece."""
    trail = Trail(b"\n\n")
    crumb, event = encode_chunk(b"x" * 20), encode_chunk(b"x" * 20 + b"\n\n")
    assert [trail.look.fits(crumb), trail.look.fits(event), Trail().look.fits(crumb)] == [False, True, True]
    for _ in range(100):
        trail.note(b"0123456789")
    assert trail.payload() == b"0123456789" * 100
    assert not trail.is_full
    for _ in range(TRAIL_PIECES):
        trail.keep(b"14\r\n" + b"x" * 20 + b"\r\n")
    assert trail.is_full


@pytest.mark.parametrize(
    ("chunks", "takes"),
    [
        (encode_chunk(b"data: one\n\n") + encode_chunk(b"data: two\n\n"), True),
        (encode_chunk(b"data: one\n\n") + encode_chunk(b"data: t"), False),
        (encode_chunk(b"a\n\n"), False),
        (encode_chunk(b"x" * KEPT_BYTES + b"\n\n"), False),
    ],
)
def test_chunks_that_came_together_may_be_kept_as_they_came(chunks: bytes, takes: bool) -> None:
    """Reliability §9: several chunks in one piece are kept if they end something whole; read, they are payload."""
    trail = Trail(b"\n\n")
    assert trail.takes(chunks) is takes
    trail.keep(chunks)
    assert trail.payload() == b"".join(part.split(b"\r\n")[-1] for part in chunks.split(b"\r\n")[1::2])
