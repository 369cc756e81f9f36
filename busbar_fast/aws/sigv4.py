"""Signing requests to AWS: Signature Version 4 over a body that is at hand.

A `RequestSigner` holds what all requests of one lane to one path have in common, so that a request costs two hashes,
one HMAC and a few joins. It knows no clock and no transport: the second is passed in, fresh for each attempt, and its
caller writes the header lines it returns beside exactly the headers it was told of.
"""

from collections.abc import Sequence
from hmac import digest
from typing import Final, NamedTuple

from busbar_fast.aws.canonical import (
    ALGORITHM,
    DATE_BYTES,
    DATE_HEADER,
    HASH_HEADER,
    TERMINATOR,
    TOKEN_HEADER,
    canonical_request,
    canonical_value,
    encode_stamp,
    payload_hash,
    string_to_sign,
)
from busbar_fast.aws.credentials import AccessKeys

_CACHED_KEYS: Final = 64  # a day's keys of as many credentials; more only cost the HMACs again
_HASH: Final = "sha256"


class Place(NamedTuple):
    """Where a signature is good: the region and the service in its scope."""

    region: bytes
    service: bytes


class Draft(NamedTuple):
    """A request before it is signed: the target as it goes on the wire, and each header that is signed beside ours."""

    method: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]


def derive_key(secret: bytes, date: bytes, place: Place) -> bytes:
    """Return the key that signs one day's requests of one place."""
    key = b"AWS4" + secret
    for word in (date, *place, TERMINATOR):
        key = digest(key, word, _HASH)
    return key


def encode_signature(key: bytes, text: bytes) -> bytes:
    """Return the signature of a string to sign, as it stands in a header."""
    return digest(key, text, _HASH).hex().encode()


class DerivedKeys:
    """The derived keys in use; one object serves the whole process and saves each request four HMACs."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[tuple[bytes, bytes, Place], bytes] = {}

    def key(self, secret: bytes, date: bytes, place: Place) -> bytes:
        """Return the key, deriving it only if it is new; the one derived first makes room."""
        known = (secret, date, place)
        key = self._keys.get(known)
        if key is None:
            if len(self._keys) >= _CACHED_KEYS:
                del self._keys[next(iter(self._keys))]
            key = self._keys[known] = derive_key(secret, date, place)
        return key


class RequestSigner:
    """Signs the requests that differ from a draft in nothing but body and time.

    Signed are the headers of the draft, the hash of the body, the date and the session token if there is one. `Host`
    must be among the draft's headers, and no value may hold a line end.
    """

    __slots__ = ("_end", "_keys", "_lines", "_middle", "_place", "_scope_end", "_secret", "_start")

    def __init__(self, credential: AccessKeys, place: Place, draft: Draft, keys: DerivedKeys) -> None:
        self._keys = keys
        self._secret = credential.secret
        self._place = place
        self._scope_end = b"/%b/%b/%b" % (*place, TERMINATOR)
        headers = _signed_headers(draft, credential.token)
        text = canonical_request(draft.method, draft.target, headers, b"")
        # Our two headers are empty so far: the text is cut where their values belong.
        mark = b"\n%b:" % HASH_HEADER
        before, _, rest = text.partition(mark)
        self._start = before + mark
        mark = b"\n%b:" % DATE_HEADER
        before, _, self._end = rest.partition(mark)
        self._middle = before + mark
        token_line = b"X-Amz-Security-Token: %b\r\n" % credential.token if credential.token else b""
        names = b";".join([name for name, _ in headers])
        self._lines = (
            b"X-Amz-Date: %%b\r\nX-Amz-Content-Sha256: %%b\r\n%b"
            b"Authorization: %b Credential=%b/%%b, SignedHeaders=%b, Signature=%%b\r\n"
        ) % tuple(part.replace(b"%", b"%%") for part in (token_line, ALGORITHM, credential.access_key, names))

    def sign(self, body: bytes, epoch_s: int) -> bytes:
        """Return the header lines that make this body, sent now, a signed request."""
        raw_hash = payload_hash(body)
        stamp = encode_stamp(epoch_s)
        date = stamp[:DATE_BYTES]
        scope = date + self._scope_end
        canonical = b"".join((self._start, raw_hash, self._middle, stamp, self._end, raw_hash))
        key = self._keys.key(self._secret, date, self._place)
        signature = encode_signature(key, string_to_sign(stamp, scope, canonical))
        return self._lines % (stamp, raw_hash, scope, signature)


def _signed_headers(draft: Draft, token: bytes) -> list[tuple[bytes, bytes]]:
    """Return the signed headers in canonical form and order, the values of hash and date still empty."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in draft.headers:
        assert b"\n" not in value, "a value that ends its line"
        values.setdefault(name.lower(), []).append(value)
    assert b"host" in values, "Host must be signed"
    values |= {HASH_HEADER: [], DATE_HEADER: []}
    if token:
        values[TOKEN_HEADER] = [token]
    return sorted((name, canonical_value(several)) for name, several in values.items())
