"""The canonical forms of AWS Signature Version 4: the one text that both sides of a request must arrive at.

Everything here is a pure function over the bytes of a request. It must not know who signs, who verifies, nor any
secret; `sigv4` and `verify` build on it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from time import gmtime
from typing import Final
from urllib.parse import quote_from_bytes

ALGORITHM: Final = b"AWS4-HMAC-SHA256"
TERMINATOR: Final = b"aws4_request"
DATE_BYTES: Final = 8  # of a stamp: the day, which the scope repeats
HASH_HEADER: Final = b"x-amz-content-sha256"
DATE_HEADER: Final = b"x-amz-date"
TOKEN_HEADER: Final = b"x-amz-security-token"

_collapse_blanks = re.compile(rb"[ \t]+").sub


def canonical_uri(raw_path: bytes) -> bytes:
    """Return the path as it is signed: the path on the wire, encoded once more, its slashes kept.

    Every service but S3 wants this second encoding, so `%3A` becomes `%253A`. As with AWS and its SDKs, dot segments
    and empty segments do not count.
    """
    if b"//" in raw_path or b"/." in raw_path or not raw_path:
        raw_path = _without_dots(raw_path)
    return quote_from_bytes(raw_path, "/~").encode()


def _without_dots(raw_path: bytes) -> bytes:
    """Return an absolute path without its dot segments (RFC 3986, 5.2.4) and without its empty ones."""
    kept: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    return b"/" + b"/".join(kept) + (b"/" if kept and raw_path.endswith(b"/") else b"")


def canonical_query(raw_query: bytes) -> bytes:
    """Return the pairs sorted by key, then value; what is encoded stays as it is, a bare key gets its `=`."""
    if not raw_query:
        return b""
    pairs = sorted(pair.partition(b"=")[::2] for pair in raw_query.split(b"&"))
    return b"&".join([b"%b=%b" % pair for pair in pairs])


def canonical_value(values: Iterable[bytes]) -> bytes:
    """Return the values of one header in the order they came: trimmed, runs of blanks made one, joined by a comma."""
    return b",".join([_collapse_blanks(b" ", value.strip(b" \t")) for value in values])


def canonical_request(method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]], raw_hash: bytes) -> bytes:
    """Return the text that is hashed and signed; headers come as sorted lower-case names with canonical values."""
    path, _, query = target.partition(b"?")
    lines = [method, canonical_uri(path), canonical_query(query)]
    lines += [b"%b:%b" % header for header in headers]
    lines += (b"", b";".join([name for name, _ in headers]), raw_hash)
    return b"\n".join(lines)


def payload_hash(body: bytes) -> bytes:
    """Return the hash of a body as it stands in a canonical request."""
    return sha256(body).hexdigest().encode()


def string_to_sign(stamp: bytes, scope: bytes, canonical: bytes) -> bytes:
    """Return what goes through the last HMAC."""
    return b"%b\n%b\n%b\n%b" % (ALGORITHM, stamp, scope, sha256(canonical).hexdigest().encode())


@lru_cache(maxsize=8)
def encode_stamp(epoch_s: int) -> bytes:
    """Return a second as AWS writes it: `20260304T050607Z`."""
    return b"%04d%02d%02dT%02d%02d%02dZ" % gmtime(epoch_s)[:6]
