"""What an upstream says when it refuses: one record for all dialects, and how its parts are found in any bytes at all.

It must not know what a dialect calls things; the `errors` module of each folder says that. Nothing here raises,
whatever the bytes are: what cannot be read is absent. An answer may be cut, nest too deeply further down or be no JSON,
and what came before that place still counts.
"""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from math import ceil
from typing import Final, NamedTuple

from busbar_fast.errors import NotJson, TooDeep
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.json_scan import MemberScanner, decode_string

BODY_CAP_BYTES: Final = 256 * 1024
CONTEXT_CODE: Final = "context_length_exceeded"
CONTEXT_STATUSES: Final = (400, 413)
LONGEST_WAIT_S: Final = 10**9  # more is as good as for ever

_SERVER_FAILED: Final = 500
_ERROR: Final = b"error"
_CODE, _TYPE, _STATUS, _MESSAGE = b"code", b"type", b"status", b"message"
_PARTS: Final = (_CODE, _TYPE, _STATUS, _MESSAGE)
# A client library's compatibility mode may put the one error into a list, an editor a byte order mark before it.
_IN_FRONT: Final = b"\xef\xbb\xbf \t\r\n["
_is_integer = re.compile(rb"-?[0-9]{1,40}").fullmatch

_is_seconds = re.compile(rb"[0-9]{1,10000}").fullmatch
_match_amount = re.compile(rb"([0-9]{1,9})(?:\.([0-9]{1,9}))?").fullmatch
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_TIME: Final = rb"([0-9]{2}):([0-9]{2}):([0-9]{2})"
# The three forms of RFC 9110, 5.6.7: the one in use, and two that nobody should write any more but all must read.
_DATE: Final = rb"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) %b GMT" % _TIME
_DASHED: Final = rb"[A-Z][a-z]{5,8}, ([0-9]{2})-([A-Z][a-z]{2})-([0-9]{2}) %b GMT" % _TIME
_ASCTIME: Final = rb"[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ 0-9][0-9]) %b ([0-9]{4})" % _TIME


class UpstreamError(NamedTuple):
    """One refusal of an upstream, or one failure that it reports inside a stream."""

    status: int  # that counts: where the vendor gives a failure another status than it means, the one it means
    code: str | None
    type: str | None
    message: str | None  # for people; nothing is decided by it any more
    is_context_length: bool  # the prompt is too long for this model
    retry_after_s: int | None


class Envelope:
    """The parts of an error as they are usually packed: in a member `error`, or some of them beside it."""

    __slots__ = ("code", "message", "status", "type")

    def __init__(self, document: bytes) -> None:
        error = find_value(document, _ERROR)
        inner = find_texts(error, _PARTS) if error.startswith(b"{") else {}
        outer = {} if _CODE in inner and _MESSAGE in inner else find_texts(document, (_ERROR, _CODE, _MESSAGE))
        self.code = inner.get(_CODE) or outer.get(_CODE)
        self.type = inner.get(_TYPE)
        self.status = inner.get(_STATUS)
        self.message = inner.get(_MESSAGE) or outer.get(_MESSAGE) or outer.get(_ERROR)


def trimmed(body: bytes) -> bytes:
    """Return as much of a body as is looked at, without what may stand in front of the document."""
    return body[:BODY_CAP_BYTES].lstrip(_IN_FRONT)


def lowered(raw: bytes) -> str:
    """Return a text in lower case to look for phrases in."""
    return raw.decode("utf-8", "replace").lower()


def find_value(document: bytes, name: bytes) -> bytes:
    """Return the raw value of a member of an object, as far as it is there; nothing if there is none."""
    scanner = MemberScanner((name,))
    with suppress(NotJson, TooDeep):
        scanner.feed(document)
    if scanner.open_start is not None:
        return document[scanner.open_start :]
    if name not in scanner.found:
        return b""
    start, end = scanner.found[name][-1]
    return document[start:end]


def find_texts(document: bytes, names: Collection[bytes]) -> dict[bytes, str]:
    """Return the members of an object that are texts or whole numbers, as texts; empty ones are left out."""
    scanner = MemberScanner(names)
    with suppress(NotJson, TooDeep):
        scanner.feed(document)
    values = {name: _text_of(document[slice(*spans[-1])]) for name, spans in scanner.found.items()}
    return {name: value for name, value in values.items() if value}


def _text_of(raw: bytes) -> str:
    """Return a string or a whole number as text, with a stand-in for what is no UTF-8; nothing for anything else."""
    if _is_integer(raw):
        return raw.decode()
    try:
        return decode_string(raw.decode("utf-8", "replace").encode())
    except NotJson:
        return ""


def counted_status(status: int, statuses: Mapping[str, int], *signals: str | None) -> int:
    """Return the status that counts: of a failure inside a stream, which came with a success, the one it stands for."""
    if status >= 300:
        return status
    return next((statuses[signal] for signal in signals if signal and signal in statuses), _SERVER_FAILED)


def read_retry_after(fields: Fields, epoch_s: float) -> int | None:
    """Return how many seconds the head of an answer asks to wait; None if it does not, or nobody can read it."""
    value = fields.get(b"retry-after")
    wait_s = None if value is None else _read_wait(value.strip(), epoch_s)
    if wait_s is None and (value := fields.get(b"retry-after-ms")) is not None:
        return round_up(value.strip(), 1000)
    return wait_s


def round_up(amount: bytes, parts: int = 1) -> int | None:
    """Return a decimal number of such parts in whole ones, rounded up; None if it is no number."""
    match = _match_amount(amount)
    if match is None:
        return None
    has_fraction = bool(match[2] and match[2].strip(b"0"))
    return min(-(-(int(match[1]) + has_fraction) // parts), LONGEST_WAIT_S)


def _read_wait(value: bytes, epoch_s: float) -> int | None:
    if _is_seconds(value):
        return int(value) if len(value) < 10 else LONGEST_WAIT_S
    at_s = _read_date(value, epoch_s)
    return None if at_s is None else min(max(0, ceil(at_s - epoch_s)), LONGEST_WAIT_S)


def _read_date(value: bytes, epoch_s: float) -> int | None:
    """Return a date in seconds since 1970; None if it is no date."""
    if match := re.fullmatch(_DATE, value) or re.fullmatch(_DASHED, value):
        day, month, year, *time = match.groups()
    elif match := re.fullmatch(_ASCTIME, value):
        month, day, *time, year = match.groups()
    else:
        return None
    if month not in _MONTHS:
        return None
    hour, minute, second = map(int, time)
    if hour > 23 or minute > 59 or second > 60:
        return None
    from calendar import monthrange, timegm  # noqa: PLC0415  few answers hold a date

    full = int(year) if len(year) == 4 else _full_year(int(year), epoch_s)
    number = _MONTHS.index(month) + 1
    if full < 1 or not 1 <= int(day) <= monthrange(full, number)[1]:
        return None
    return timegm((full, number, int(day), hour, minute, second))


def _full_year(two_digits: int, epoch_s: float) -> int:
    """Return the year that ends in two digits and is not more than fifty years ahead."""
    this = 1970 + int(epoch_s // 31_556_952)
    year = this - this % 100 + two_digits
    return year - 100 if year > this + 50 else year
