"""Hostile inputs made of good ones: bytes that change, go, come twice or from elsewhere, and words to trip over."""

from collections.abc import Sequence
from random import Random

MOST_BYTES = 16384  # of an input
_MOST_CHANGES = 6

# What is likely to matter to somebody who reads bytes.
WORDS = (
    *(bytes((byte,)) for byte in b"\x00\t\n\r \"#$%&'()*+,-./0:;<=>?@[\\]^_`{|}~\x7f\x80\xc3\xff"),
    *(b"\r\n", b"\r\n\r\n", b"\n\n", b"\r", b": ", b"0\r\n\r\n", b"ffffffffffffffff", b"-1", b"0x10", b"1e999"),
    *(b"null", b"true", b"false", b"{}", b"[]", b'""', b'"a":', b'{"a":', b"[[", b"\\u0000", b"\\ud800", b"\\uDC00"),
    *(
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        "\u2028".encode(),
        "\u0130".encode(),
        b"%00",
        b"%zz",
        b"%2F",
    ),
    *(b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: h\r\n", b"Expect: 100-continue\r\n"),
    *(b"data: ", b"event: error\n", b"id:", b":", b"[DONE]", b'"type":', b'"error"', b'"usage":{', b'"index":99999'),
    *(
        b"169.254.169.254",
        b"[::1]",
        b"@",
        b"//",
        b"\\",
        b"0177.0.0.1",
        b"${A:-",
        b"&a *a",
        b"!!python/object:x",
        b"<<: ",
    ),
    b"9" * 400,
    b"{" * 200,
    b"[" * 200,
    b"(" * 300,
    b"a" * 3000,
)


def mutated(seeds: Sequence[bytes], chance: Random) -> bytes:
    """Return a seed that was changed in a few places."""
    raw = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, _MOST_CHANGES)):
        at = chance.randint(0, len(raw))
        end = min(len(raw), at + int(chance.expovariate(0.1)) + 1)
        match chance.randrange(8):
            case 0:
                raw[at:end] = b""
            case 1:
                raw[at:at] = raw[at:end] * chance.randint(1, 4)
            case 2:
                raw[at:at] = chance.choice(WORDS)
            case 3:
                raw[at:end] = chance.choice(WORDS)
            case 4 if at < len(raw):
                raw[at] ^= 1 << chance.randrange(8)
            case 5 if at < len(raw):
                raw[at] = chance.randrange(256)
            case 6:
                other = chance.choice(seeds)
                cut = chance.randint(0, len(other))
                raw[at:] = other[cut:]
            case _:
                del raw[at:]
    return bytes(raw[:MOST_BYTES])


def pieces(raw: bytes, chance: Random) -> list[bytes]:
    """Return an input cut somewhere, into bytes now and then."""
    if chance.random() < 0.2:
        return [raw[at : at + 1] for at in range(len(raw))]
    cuts = sorted(chance.randint(0, len(raw)) for _ in range(chance.randint(0, 5)))
    return [raw[start:end] for start, end in zip((0, *cuts), (*cuts, len(raw)), strict=True)]
