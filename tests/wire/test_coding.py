"""Content codings undone: whole, in any pieces, bounded, and never taken for whole when they are not."""

import gzip
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.errors import UpstreamGarbled
from busbar_fast.wire.coding import STEP_BYTES, Decoder, coding_of
from busbar_fast.wire.heads import Fields

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
TEXT = b'{"choices":[{"message":{"content":"high water at six"}}]}' * 40


def raw_deflate(text: bytes) -> bytes:
    """Return a text as some servers send it under `deflate`: without the frame of zlib."""
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(text) + machine.flush()


PACKED = [
    (b"gzip", gzip.compress(TEXT)),
    (b"x-gzip", gzip.compress(TEXT)),
    (b"gzip", gzip.compress(TEXT[:100]) + gzip.compress(b"") + gzip.compress(TEXT[100:])),
    (b"deflate", zlib.compress(TEXT)),
    (b"deflate", raw_deflate(TEXT)),
    (b"deflate", zlib.compress(TEXT, 9)),
]


def decode(coding: bytes, *pieces: bytes) -> bytes:
    """Return what pieces become, to their end."""
    decoder = Decoder(coding)
    parts = []
    for piece in pieces:
        decoder.feed(piece)
        while part := decoder.next_part():
            assert len(part) <= STEP_BYTES
            parts.append(part)
    decoder.finish()
    return b"".join(parts)


@pytest.mark.parametrize(
    ("fields", "coding"),
    [
        ({}, b""),
        ({b"content-encoding": b"identity"}, b""),
        ({b"content-encoding": b""}, b""),
        ({b"content-encoding": b"Identity"}, b""),
        ({b"content-encoding": b"gzip"}, b"gzip"),
        ({b"content-encoding": b"GZip"}, b"gzip"),
        ({b"content-encoding": b"x-gzip"}, b"x-gzip"),
        ({b"content-encoding": b"deflate"}, b"deflate"),
    ],
)
def test_coding_is_named_by_the_head(fields: Fields, coding: bytes) -> None:
    """Reliability §8: identity needs nothing, gzip and deflate can be undone, in any case."""
    assert coding_of(fields) == coding


@pytest.mark.parametrize("named", [b"br", b"zstd", b"compress", b"gzip, gzip", b"identity, gzip", b"gzip;q=1"])
def test_other_codings_are_garbled(named: bytes) -> None:
    """Reliability §8: what cannot be undone is a failure of the transport."""
    with pytest.raises(UpstreamGarbled):
        coding_of({b"content-encoding": named})


@pytest.mark.parametrize(("coding", "packed"), PACKED)
def test_text_comes_back(coding: bytes, packed: bytes) -> None:
    """In one piece, byte by byte, and cut in two anywhere near its ends, a body decodes to the same bytes."""
    assert decode(coding, packed) == TEXT
    assert decode(coding, *(packed[at : at + 1] for at in range(len(packed)))) == TEXT
    for at in (1, 2, 9, 10, 11, len(packed) - 9, len(packed) - 8, len(packed) - 1):
        assert decode(coding, packed[:at], b"", packed[at:]) == TEXT


@given(st.binary(max_size=3000), st.lists(st.integers(1, 400), max_size=12), st.sampled_from([b"gzip", b"deflate"]))
@PROPERTY
def test_any_text_comes_back_from_any_pieces(text: bytes, sizes: list[int], coding: bytes) -> None:
    """Whatever was packed and however it is cut, it comes back."""
    packed = gzip.compress(text) if coding == b"gzip" else zlib.compress(text)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(packed[at : at + size])
        at += size
    assert decode(coding, *pieces, packed[at:]) == text


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_nothing_at_all_is_empty(coding: bytes) -> None:
    """An answer without a body has nothing to undo."""
    assert decode(coding) == b""


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_small_piece_never_becomes_a_large_one(coding: bytes) -> None:
    """Reliability §8: a thousandfold body comes in steps of 64 KiB, each decoded when it is asked for."""
    size = 40 * STEP_BYTES
    packed = gzip.compress(bytes(size)) if coding == b"gzip" else zlib.compress(bytes(size))
    decoder = Decoder(coding)
    decoder.feed(packed)
    sizes = []
    while part := decoder.next_part():
        sizes.append(len(part))
    decoder.finish()
    assert len(packed) < size // 500
    assert (max(sizes), sum(sizes)) == (STEP_BYTES, size)


@pytest.mark.parametrize(("coding", "packed"), PACKED)
def test_body_that_ends_too_early_is_garbled(coding: bytes, packed: bytes) -> None:
    """What is cut short anywhere behind its first byte is never taken for whole."""
    whole_members = {len(gzip.compress(TEXT[:100])), len(gzip.compress(TEXT[:100]) + gzip.compress(b""))}
    for at in range(1, len(packed)):
        if packed is PACKED[2][1] and at in whole_members:
            continue  # gzip may be several behind each other, and fewer are whole as well
        with pytest.raises(UpstreamGarbled):
            decode(coding, packed[:at])


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", b"plain text, not gzip"),
        (b"gzip", zlib.compress(TEXT)),
        (b"gzip", gzip.compress(TEXT) + b"more"),
        (b"gzip", gzip.compress(TEXT)[:-8] + bytes(8)),
        (b"deflate", gzip.compress(TEXT)),
        (b"deflate", zlib.compress(TEXT) + b"x"),
        (b"deflate", raw_deflate(TEXT) + b"x"),
        (b"deflate", zlib.compress(TEXT)[:-4] + bytes(4)),
        (b"deflate", b"\xff\xff\xff"),
    ],
)
def test_body_that_is_not_what_it_says_is_garbled(coding: bytes, packed: bytes) -> None:
    """Another format, a wrong checksum and anything behind the end are failures, not text."""
    with pytest.raises(UpstreamGarbled):
        decode(coding, packed)


def test_importing_this_leaves_zlib_alone() -> None:
    """Whoever meets no coded answer does not pay for the library."""
    probe = "import sys; sys.modules.pop('zlib', None); import busbar_fast.wire.coding; sys.exit('zlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
