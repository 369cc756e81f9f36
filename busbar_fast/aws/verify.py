"""Checking that an incoming request carries a good AWS Signature Version 4.

A `Verifier` is asked with a request as it was received and gives a `Verdict`. It must not know where keys are kept nor
what an answer looks like: keys are looked up through a function, and whatever is wrong, its caller answers the same.
The reason in a verdict is for the debug log alone.

What depends on a key costs the same whatever the key: an unknown one is checked against a secret that nobody has, no
derived key is cached, and both comparisons are always made, in constant time. No request is remembered; a recorded one
is good until the window of time closes.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from hmac import compare_digest
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from busbar_fast.aws.canonical import (
    ALGORITHM,
    DATE_BYTES,
    DATE_HEADER,
    HASH_HEADER,
    TERMINATOR,
    canonical_request,
    canonical_value,
    encode_stamp,
    payload_hash,
    string_to_sign,
)
from busbar_fast.aws.sigv4 import Place, derive_key, encode_signature
from busbar_fast.errors import BusbarError

MAX_SKEW_S: Final = 300

_NOBODY: Final = b"0" * 40  # stands in for the secret of an unknown key; it never admits anyone
_PRESIGNED: Final = b"x-amz-signature"
_SECTIONS: Final = (b"Credential", b"SignedHeaders", b"Signature")
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_match_stamp = re.compile(rb"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z").fullmatch
_match_date = re.compile(
    rb"(?:[A-Z][a-z]{2}, )?(\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC|[+-]0000)"
).fullmatch

_Headers = dict[bytes, list[bytes]]


class Reason(IntEnum):
    """What a verdict rests on."""

    ADMITTED = 0
    PRESIGNED = 1  # the signature is in the query
    MALFORMED = 2  # the Authorization header is not one of ours
    FOREIGN_SCOPE = 3  # signed for another service
    BAD_DATE = 4  # unsigned, unreadable, or not the date of the scope
    SKEWED = 5
    BAD_HEADERS = 6  # Host is not signed, or a signed header is not there
    BODY_DIFFERS = 7  # from the hash that the client declares
    UNKNOWN_KEY = 8
    MISMATCH = 9
    INACTIVE_KEY = 10


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """What is known of an access key; one that is disabled, revoked or expired is not active."""

    secret: bytes = field(repr=False)
    is_active: bool


FindKey = Callable[[str], IssuedKey | None]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it was received: nothing decoded, each header as often as it came."""

    method: bytes
    target: bytes
    headers: Iterable[tuple[bytes, bytes]] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is admitted, and by which access key; a refused one may have named none."""

    reason: Reason
    access_key: str = ""

    @property
    def is_admitted(self) -> bool:
        """Return whether everything holds."""
        return self.reason is Reason.ADMITTED


class _Refusal(BusbarError):
    """Carries the reason out of the checks; never leaves this module."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


class _Claim(NamedTuple):
    access_key: str
    date: bytes
    place: Place
    names: bytes  # of the signed headers, joined as they came
    signature: bytes


def is_signed(authorization: bytes) -> bool:
    """Say whether an Authorization header is to be verified here, and not read as any other credential."""
    return authorization.lstrip(b" \t").startswith(ALGORITHM)


class Verifier:
    """Verifies requests to one service, of any region.

    With `trusts_forwarded_host` the first host in `X-Forwarded-Host` is the one that was signed; only a proxy that sets
    this header on every request makes that safe.
    """

    __slots__ = ("_find_key", "_service", "_trusts_forwarded_host")

    def __init__(self, service: bytes, find_key: FindKey, *, trusts_forwarded_host: bool = False) -> None:
        self._service = service
        self._find_key = find_key
        self._trusts_forwarded_host = trusts_forwarded_host

    def verify(self, request: Incoming, now_s: int) -> Verdict:
        """Return the verdict on a request at this Unix time; raise only what the look-up of a key raises."""
        try:
            return self._judge(request, now_s)
        except _Refusal as refusal:
            return Verdict(refusal.reason)

    def _judge(self, request: Incoming, now_s: int) -> Verdict:
        if _is_presigned(request.target):
            raise _Refusal(Reason.PRESIGNED)
        headers = self._collect(request.headers)
        claim = _parse_claim(headers)
        if claim.place.service != self._service:
            raise _Refusal(Reason.FOREIGN_SCOPE)
        names = frozenset(claim.names.split(b";"))
        stamp = _signed_stamp(headers, names, now_s)
        if stamp[:DATE_BYTES] != claim.date:
            raise _Refusal(Reason.BAD_DATE)
        if b"host" not in names or not names <= headers.keys():
            raise _Refusal(Reason.BAD_HEADERS)
        rows = [(name, canonical_value(headers[name])) for name in sorted(names)]
        texts = [
            string_to_sign(stamp, b"/".join((claim.date, *claim.place, TERMINATOR)), canonical)
            for canonical in (
                canonical_request(request.method, request.target, rows, raw_hash)
                for raw_hash in _hash_spellings(headers, request.body)
            )
        ]
        has_sorted_names = compare_digest(b";".join([name for name, _ in rows]), claim.names)
        return Verdict(self._compare(claim, texts, has_sorted_names), claim.access_key)

    def _collect(self, pairs: Iterable[tuple[bytes, bytes]]) -> _Headers:
        headers: _Headers = {}
        for name, value in pairs:
            headers.setdefault(name.lower(), []).append(value)
        if self._trusts_forwarded_host and (forwarded := headers.get(b"x-forwarded-host")):
            headers[b"host"] = [forwarded[0].partition(b",")[0]]
        return headers

    def _compare(self, claim: _Claim, texts: list[bytes], has_sorted_names: bool) -> Reason:
        """Return what the key and the signature say; the work depends on the request and never on the key."""
        issued = self._find_key(claim.access_key)
        key = derive_key(_NOBODY if issued is None else issued.secret, claim.date, claim.place)
        is_same = False
        for text in texts:
            is_same |= compare_digest(encode_signature(key, text), claim.signature)
        if issued is None:
            return Reason.UNKNOWN_KEY
        if not is_same & has_sorted_names:
            return Reason.MISMATCH
        return Reason.ADMITTED if issued.is_active else Reason.INACTIVE_KEY


def _is_presigned(target: bytes) -> bool:
    pairs = target.partition(b"?")[2].split(b"&")
    return any(unquote_to_bytes(pair.partition(b"=")[0]).lower() == _PRESIGNED for pair in pairs)


def _parse_claim(headers: _Headers) -> _Claim:
    """Return what the Authorization header says; sections come in any order, and those we do not know are skipped."""
    values = headers.get(b"authorization", [])
    if len(values) != 1:  # parts of two claims are no claim
        raise _Refusal(Reason.MALFORMED)
    algorithm, _, rest = values[0].strip(b" \t").replace(b"\t", b" ").partition(b" ")
    if algorithm != ALGORITHM:
        raise _Refusal(Reason.MALFORMED)
    sections: dict[bytes, bytes] = {}
    for section in rest.split(b","):
        name, _, value = (word.strip() for word in section.partition(b"="))
        if name in sections:
            raise _Refusal(Reason.MALFORMED)
        if name in _SECTIONS:
            sections[name] = value
    try:
        credential, names, signature = (sections[name] for name in _SECTIONS)
        access_key, date, region, service, terminator = credential.split(b"/")
        named = access_key.decode("ascii")
    except (KeyError, ValueError) as error:
        raise _Refusal(Reason.MALFORMED) from error
    if not (named and date and region and service and names and signature) or terminator != TERMINATOR:
        raise _Refusal(Reason.MALFORMED)
    return _Claim(named, date, Place(region, service), names, signature)


def _signed_stamp(headers: _Headers, names: frozenset[bytes], now_s: int) -> bytes:
    """Return the time of signing as it was signed; `Date` counts only if there is no header of AWS's own."""
    name = DATE_HEADER if DATE_HEADER in headers else b"date"
    value = canonical_value(headers.get(name, ()))
    signed_s = parse_stamp(value) if name == DATE_HEADER else parse_date(value)
    if signed_s is None or name not in names:
        raise _Refusal(Reason.BAD_DATE)
    if abs(now_s - signed_s) > MAX_SKEW_S:
        raise _Refusal(Reason.SKEWED)
    return value if name == DATE_HEADER else encode_stamp(signed_s)


def parse_stamp(value: bytes) -> int | None:
    """Return the second that a stamp like `20260304T050607Z` names, if there is such a second."""
    match = _match_stamp(value)
    return None if match is None else _epoch_s(*map(int, match.groups()))


def parse_date(value: bytes) -> int | None:
    """Return the second that a date like `Wed, 04 Mar 2026 05:06:07 GMT` names; no other time zone is read."""
    match = _match_date(value)
    if match is None or match[2] not in _MONTHS:
        return None
    day, _, year, *clock = match.groups()
    return _epoch_s(int(year), _MONTHS.index(match[2]) + 1, int(day), *map(int, clock))


def _epoch_s(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    """Return a Unix time; a leap second is the first one of the next minute."""
    is_leap = second == 60
    try:
        at = datetime(year, month, day, hour, minute, 59 if is_leap else second, tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp()) + is_leap


def _hash_spellings(headers: _Headers, body: bytes) -> list[bytes]:
    """Return the ways in which the hash of the body may have been signed.

    A client that declares it in upper case may sign what it declares or what the standard asks for.
    """
    raw_hash = payload_hash(body)
    if HASH_HEADER not in headers:
        return [raw_hash]
    declared = canonical_value(headers[HASH_HEADER])
    if not compare_digest(declared.lower(), raw_hash):
        raise _Refusal(Reason.BODY_DIFFERS)
    return [raw_hash] if declared == raw_hash else [raw_hash, declared]
