"""The PROXY protocol: what a balancer says of its client before the client's first byte, in text (1) or binary (2).

A header is fed what can be seen of the input and says how much of it belongs to itself, so that nothing behind it is
read by mistake: that may be a TLS handshake. The addresses are believed or not elsewhere. As published by HAProxy,
doc/proxy-protocol.txt.
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from busbar_fast.errors import Refused

_NO_ANSWER: Final = 0
_LONGEST_LINE: Final = 107
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_HEAD_BYTES: Final = 16
_MOST_BYTES: Final = 4096  # of addresses and what may follow them
_LOCAL, _PROXIED = 0x20, 0x21
_ADDRESS_BYTES: Final = {0x11: 4, 0x21: 16}  # TCP over IPv4 and IPv6
_TEXT_FAMILIES: Final = {b"TCP4": 4, b"TCP6": 6}
_LINE_FIELDS: Final = 6


class Proxies(NamedTuple):
    """Which version of the protocol every connection begins with, and which peers may speak for others."""

    version: int
    is_trusted: Callable[[str], bool]


def trusting(networks: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether an address lies in one of these networks; without any all do."""
    known = [ipaddress.ip_network(network) for network in networks]

    def is_trusted(peer: str) -> bool:
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return not known or any(mapped in network or address in network for network in known)

    return is_trusted


class ProxyHeader:
    """One header. `feed` raises Refused for what is none; `address` is empty if it names nobody."""

    __slots__ = ("_raw", "_version", "_wanted", "address", "is_over")

    def __init__(self, version: int) -> None:
        self._version = version
        self._raw = b""
        self._wanted = _LONGEST_LINE if version == 1 else _HEAD_BYTES
        self.is_over = False
        self.address = ""

    @property
    def wanted(self) -> int:
        """How many more bytes it may have, as far as it has told."""
        return self._wanted - len(self._raw)

    def feed(self, seen: bytes) -> int:
        """Take the next bytes, at most as many as are wanted; return how many of them are the header's."""
        if self._version == 1:
            return self._feed_line(seen)
        self._raw += seen
        if not (self._raw.startswith(_SIGNATURE) or _SIGNATURE.startswith(self._raw)):
            raise _refusal()
        if len(self._raw) == _HEAD_BYTES and self._wanted == _HEAD_BYTES:
            size = int.from_bytes(self._raw[14:16], "big")
            if self._raw[12] not in (_LOCAL, _PROXIED) or size > _MOST_BYTES:
                raise _refusal()
            self._wanted += size
        if len(self._raw) == self._wanted and len(self._raw) >= _HEAD_BYTES:
            self.is_over = True
            self.address = self._read_binary()
        return len(seen)

    def _feed_line(self, seen: bytes) -> int:
        end = seen.find(b"\n") + 1
        self._raw += seen[: end or len(seen)]
        if not (self._raw.startswith(b"PROXY ") or b"PROXY ".startswith(self._raw)):
            raise _refusal()
        if end:
            self.is_over = True
            self.address = self._read_line()
        elif len(self._raw) == self._wanted:
            raise _refusal()
        return end or len(seen)

    def _read_line(self) -> str:
        words = self._raw.split(b" ")
        if not self._raw.endswith(b"\r\n"):
            raise _refusal()
        if words[1].rstrip() == b"UNKNOWN":
            return ""
        version = _TEXT_FAMILIES.get(words[1])
        if version is None or len(words) != _LINE_FIELDS:
            raise _refusal()
        ports = (words[4], words[5][:-2])
        if not all(port.isdigit() and int(port) <= 0xFFFF and len(port) == len(b"%d" % int(port)) for port in ports):
            raise _refusal()
        try:
            source, target = (ipaddress.ip_address(word.decode()) for word in words[2:4])
        except ValueError as error:  # UnicodeDecodeError is one
            raise _refusal() from error
        if source.version != version or target.version != version:
            raise _refusal()
        return str(source)

    def _read_binary(self) -> str:
        size = _ADDRESS_BYTES.get(self._raw[13], 0)
        if self._raw[12] == _LOCAL or not size:
            return ""
        address = self._raw[_HEAD_BYTES : _HEAD_BYTES + size]
        if len(self._raw) < _HEAD_BYTES + 2 * size + 4:  # two addresses and two ports
            raise _refusal()
        return str(ipaddress.ip_address(address))


def _refusal() -> Refused:
    return Refused(_NO_ANSWER, "a connection without the header of a proxy")
