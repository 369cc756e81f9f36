"""The PROXY protocol: headers whole and in any pieces, what is behind them, and what is none."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.errors import Refused
from busbar_fast.wire.proxied import ProxyHeader, trusting

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
BEHIND = b"\x16\x03\x01GET / HTTP/1.1\r\n"


def binary(command: int, family: int, rest: bytes, size: int | None = None) -> bytes:
    """Return a header of version 2."""
    length = len(rest) if size is None else size
    return SIGNATURE + bytes((command, family)) + length.to_bytes(2, "big") + rest


def read(version: int, raw: bytes, step: int = 4096) -> tuple[str, bytes]:
    """Return the address of a header that is fed in pieces of at most this size, and what is left behind it."""
    header = ProxyHeader(version)
    while not header.is_over:
        seen = raw[: min(step, header.wanted)]
        assert seen, "it wants more than there is"
        raw = raw[header.feed(seen) :]
    return header.address, raw


V4 = socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1") + b"\x30\x39\x1f\x90"
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + b"\x30\x39\x1f\x90"

GOOD = [
    (1, b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 8080\r\n", "203.0.113.7"),
    (1, b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n", "2001:db8::7"),
    (1, b"PROXY UNKNOWN\r\n", ""),
    (1, b"PROXY UNKNOWN ffff:f:f:f ffff:f:f:f 65535 65535\r\n", ""),
    (2, binary(0x21, 0x11, V4), "203.0.113.7"),
    (2, binary(0x21, 0x21, V6), "2001:db8::7"),
    (2, binary(0x21, 0x11, V4 + b"\x04\x00\x01x"), "203.0.113.7"),  # with more about the connection
    (2, binary(0x20, 0x00, b""), ""),
    (2, binary(0x20, 0x11, V4), ""),  # the proxy asks for itself, whatever stands there
    (2, binary(0x21, 0x00, b"\x01\x02"), ""),  # of a kind that is no address
    (2, binary(0x21, 0x31, bytes(216)), ""),
]


@pytest.mark.parametrize(("version", "raw", "address"), GOOD)
@pytest.mark.parametrize("step", [1, 2, 3, 5, 11, 13, 17, 4096])
def test_header_is_read_and_nothing_behind_it(version: int, raw: bytes, address: str, step: int) -> None:
    """Operations §12 "source address": in any pieces, and what follows stays where it is."""
    assert read(version, raw + BEHIND, step) == (address, BEHIND)


BAD = [
    (1, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    (1, b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 8080\n"),
    (1, b"PROXY TCP4 203.0.113.7 10.0.0.1 12345\r\n"),
    (1, b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 8080 1\r\n"),
    (1, b"PROXY TCP4  203.0.113.7 10.0.0.1 12345 8080\r\n"),
    (1, b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 65536\r\n"),
    (1, b"PROXY TCP4 203.0.113.7 10.0.0.1 012 80\r\n"),
    (1, b"PROXY TCP4 203.0.113.7 10.0.0.1 -1 80\r\n"),
    (1, b"PROXY TCP4 2001:db8::7 10.0.0.1 1 80\r\n"),
    (1, b"PROXY TCP6 2001:db8::7 10.0.0.1 1 80\r\n"),
    (1, b"PROXY TCP4 host 10.0.0.1 1 80\r\n"),
    (1, b"PROXY TCP4 \xff 10.0.0.1 1 80\r\n"),
    (1, b"PROXY UDP4 203.0.113.7 10.0.0.1 1 80\r\n"),
    (1, b"PROXY UNKNOWN" + b" x" * 60 + b"\r\n"),
    (1, binary(0x21, 0x11, V4)),
    (2, b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 8080\r\n"),
    (2, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    (2, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 client hello"),
    (2, binary(0x31, 0x11, V4)),
    (2, binary(0x22, 0x11, V4)),
    (2, binary(0x21, 0x11, V4[:8])),
    (2, binary(0x21, 0x11, b"", 65535)),
]


@pytest.mark.parametrize(("version", "raw"), BAD)
@pytest.mark.parametrize("step", [1, 4096])
def test_what_is_no_header_is_refused(version: int, raw: bytes, step: int) -> None:
    """Operations §12 "source address": malformed or missing is refused, not guessed at."""
    with pytest.raises(Refused) as refused:
        read(version, raw, step)
    assert refused.value.status == 0  # nobody is answered


@given(st.integers(1, 2), st.binary(max_size=200), st.integers(1, 40))
def test_any_bytes_are_a_header_or_refused(version: int, raw: bytes, step: int) -> None:
    """Operations §12: nothing else ever comes out of a parser."""
    header = ProxyHeader(version)
    try:
        while not header.is_over and raw:
            raw = raw[header.feed(raw[: min(step, header.wanted)]) :]
    except Refused:
        return
    assert header.address == "" or str(ipaddress.ip_address(header.address)) == header.address


@pytest.mark.parametrize(
    ("networks", "peer", "is_known"),
    [
        ((), "8.8.8.8", True),
        (("10.0.0.0/8",), "10.9.9.9", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", True),
        (("::ffff:10.0.0.0/104",), "::ffff:10.0.0.1", True),
        (("fd00::/8", "127.0.0.1"), "fd00::1", True),
        (("fd00::/8", "127.0.0.1"), "127.0.0.1", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("fd00::/8",), "127.0.0.1", False),
    ],
)
def test_trust_is_by_network(networks: tuple[str, ...], peer: str, is_known: bool) -> None:
    """Operations §12 "source address": `trusted_proxies`; without any whoever connects is one."""
    assert trusting(networks)(peer) is is_known
