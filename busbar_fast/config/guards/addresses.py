"""IP addresses as numbers: every spelling of an IPv4 address, IPv6, what an IPv6 address embeds, ranges.

It must not know which addresses are good. `ipaddress` would do half of this and costs the start milliseconds; it is
the twin in the tests.
"""

import re
from typing import NamedTuple

IPV4_BITS = 32
IPV6_BITS = 128

_PART = re.compile(r"0x[0-9a-f]+|0[0-7]*|[1-9][0-9]{0,9}")
_QUAD = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
_GROUP = re.compile(r"[0-9a-f]{1,4}")
_GROUPS = 8

_COMPATIBLE = 0  # the upper 96 bits of ::a.b.c.d
_MAPPED = 0xFFFF  # those of ::ffff:a.b.c.d
_NAT64 = 0x64FF9B << 64  # those of 64:ff9b::a.b.c.d
_SIX_TO_FOUR = 0x2002  # the upper 16 bits of 2002:aabb:ccdd::


class Address(NamedTuple):
    """An IPv4 or IPv6 address."""

    bits: int
    number: int

    def __str__(self) -> str:
        return _format_ipv4(self.number) if self.bits == IPV4_BITS else _format_ipv6(self.number)

    @property
    def embedded(self) -> "Address | None":
        """The IPv4 address inside an IPv6 one. `::` and `::1` are addresses of their own and embed none."""
        upper, lower = divmod(self.number, 1 << IPV4_BITS)
        if self.bits == IPV4_BITS or self.number <= 1:
            return None
        if upper in (_COMPATIBLE, _MAPPED, _NAT64):
            return Address(IPV4_BITS, lower)
        if self.number >> 112 == _SIX_TO_FOUR:
            return Address(IPV4_BITS, self.number >> 80 & 0xFFFFFFFF)
        return None

    @property
    def plain(self) -> "Address":
        """The IPv4 address that this is another spelling of, or the address itself."""
        is_spelling = self.number >> IPV4_BITS in (_COMPATIBLE, _MAPPED)
        return (self.embedded or self) if is_spelling else self

    @property
    def readings(self) -> "tuple[Address, ...]":
        """Everything the address is judged as: itself and the IPv4 address it embeds."""
        inner = self.embedded
        return (self,) if inner is None else (self, inner)


class Range(NamedTuple):
    """Neighbouring addresses that share their upper bits."""

    bits: int
    free_bits: int
    prefix: int

    def holds(self, address: Address) -> bool:
        """Say whether an address lies in the range."""
        return address.bits == self.bits and address.number >> self.free_bits == self.prefix


def ranges(text: str) -> tuple[Range, ...]:
    """Return the ranges written in a text, blanks between them; `10.0.0.0/8` or one address."""
    return tuple(_read_range(word) for word in text.split())


def read_address(text: str) -> Address | None:
    """Return the address that a text in lower case spells in any way, without brackets or zone."""
    return read_ipv6(text) if ":" in text else read_ipv4(text)


def read_ipv4(text: str) -> Address | None:
    """Return the IPv4 address of one to four decimal, hex or octal parts; the last part fills the bytes left."""
    parts = text.split(".")
    if len(parts) > 4 or not all(map(_PART.fullmatch, parts)):
        return None
    *firsts, last = map(_read_part, parts)
    if last >> 8 * (5 - len(parts)) or any(first > 255 for first in firsts):
        return None
    for at, first in enumerate(firsts):
        last |= first << 8 * (3 - at)
    return Address(IPV4_BITS, last)


def read_ipv6(text: str) -> Address | None:
    """Return the IPv6 address of a text in lower case; its last 32 bits may be a dotted quad."""
    head, gap, tail = text.partition("::")
    upper = _read_groups(head, is_end=not gap)
    lower = _read_groups(tail, is_end=True)
    if upper is None or lower is None:
        return None
    missing = _GROUPS - len(upper) - len(lower)
    is_whole = missing > 0 if gap else missing == 0
    if not is_whole:
        return None
    number = 0
    for group in (*upper, *([0] * missing), *lower):
        number = number << 16 | group
    return Address(IPV6_BITS, number)


def _read_range(text: str) -> Range:
    start, _, length = text.partition("/")
    address = read_address(start)
    assert address is not None, text
    free_bits = address.bits - int(length or address.bits)
    return Range(address.bits, free_bits, address.number >> free_bits)


def _read_part(part: str) -> int:
    if part.startswith("0x"):
        return int(part, 16)
    return int(part, 8 if part.startswith("0") else 10)


def _read_groups(text: str, *, is_end: bool) -> list[int] | None:
    """Return the 16-bit groups between colons; only the end of an address may hold a dotted quad."""
    groups = text.split(":") if text else []
    quad: list[int] = []
    if is_end and groups and _QUAD.fullmatch(groups[-1]):
        address = read_ipv4(groups.pop())
        if address is None:
            return None
        quad = [*divmod(address.number, 1 << 16)]
    if not all(map(_GROUP.fullmatch, groups)):
        return None
    return [int(group, 16) for group in groups] + quad


def _format_ipv4(number: int) -> str:
    return ".".join(str(byte) for byte in number.to_bytes(4, "big"))


def _format_ipv6(number: int) -> str:
    """Return the usual spelling (RFC 5952): the first longest run of zero groups left out, a mapped IPv4 as a quad."""
    if number >> IPV4_BITS == _MAPPED:
        return f"::ffff:{_format_ipv4(number & 0xFFFFFFFF)}"
    text = "".join(f":{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)) + ":"
    for zeros in range(_GROUPS, 1, -1):
        run = ":" + "0:" * zeros
        if run in text:
            text = text.replace(run, "::", 1)
            break
    text = text if text.startswith("::") else text[1:]
    return text if text.endswith("::") else text[:-1]
