"""The metadata denylist and the special ranges."""

import pytest

from busbar_fast.config.guards.denylist import (
    LOOPBACK,
    PLAINTEXT,
    PRIVATE,
    Denylist,
    denylist,
    is_local_name,
    is_loopback,
    within,
)
from busbar_fast.config.guards.hosts import read_host


def test_the_built_in_entries_are_printed_in_a_stable_order() -> None:
    """Config §10 and operations case 44: the print flag shows the superset of both denylists."""
    assert denylist() == (
        "169.254.0.0/16",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::/32",
        "fd20:ce::254",
        "metadata.google.internal",
        "metadata.internal",
        "metadata.tencentyun.com",
        "metadata.platformequinix.com",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata.goog",
    )


@pytest.mark.parametrize("entry", [entry for entry in denylist() if "/" not in entry])
def test_every_printed_entry_is_denied(entry: str) -> None:
    """Config §10: what is printed is what is refused."""
    assert Denylist(()).offences(read_host(entry))


@pytest.mark.parametrize(
    ("text", "is_denied"),
    [
        ("169.254.0.0", True),
        ("169.254.255.255", True),
        ("169.253.255.255", False),
        ("169.255.0.0", False),
        ("169.254.170.2", True),
        ("169.254.170.23", True),
        ("169.254.0.23", True),
        ("100.100.100.201", False),
        ("168.63.129.17", False),
        ("192.0.0.193", False),
        ("fd00:ec2::23", True),
        ("fd00:ec2:ffff::1", True),
        ("fd00:ec3::254", False),
        ("fd20:ce::255", False),
        ("::ffff:169.254.169.254", True),
        ("::168.63.129.16", True),
        ("64:ff9b::100.100.100.200", True),
        ("2002:c000:c0::", True),
        ("METADATA.Google.Internal.", True),
        ("metadata.google.internal.example", False),
        ("x.metadata.google.internal", False),
        ("metadata", False),
        ("instance-data", True),
        ("example.com", False),
        ("127.0.0.1", False),
    ],
)
def test_the_edges_of_the_denylist(text: str, is_denied: bool) -> None:
    """Config §10: ranges end where they end, names match whole, embedded addresses count."""
    assert bool(Denylist(()).offences(read_host(text))) == is_denied


def test_the_operator_adds_names_and_addresses() -> None:
    """Config §10: an added address is denied in all spellings, an added name in any case."""
    added = Denylist(("Vault.Internal.", "::ffff:10.0.0.9", "2002:a00:1::5"))
    denied = ["vault.internal", "10.0.0.9", "0x0a000009", "::ffff:a00:9", "64:ff9b::a00:9", "2002:a00:1::5"]
    assert [bool(added.offences(read_host(text))) for text in denied] == [True] * 6
    assert [added.offences(read_host(text)) for text in ("vault", "10.0.0.8", "2002:a00:1::6", "10.0.0.1")] == [()] * 4


@pytest.mark.parametrize(
    ("text", "is_inside"),
    [
        ("10.0.0.0", True),
        ("9.255.255.255", False),
        ("11.0.0.0", False),
        ("172.15.255.255", False),
        ("172.16.0.0", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("192.168.0.0", True),
        ("192.169.0.0", False),
        ("100.63.255.255", False),
        ("100.64.0.0", True),
        ("100.127.255.255", True),
        ("100.128.0.0", False),
        ("fbff::", False),
        ("fc00::", True),
        ("fdff::", True),
        ("fe7f::", False),
        ("fe80::", True),
        ("febf::", True),
        ("fec0::", False),
        ("::", True),
        ("::ffff:10.0.0.1", True),
        ("8.8.8.8", False),
        ("localhost", False),
    ],
)
def test_the_edges_of_the_private_ranges(text: str, is_inside: bool) -> None:
    """Config §10: the private rows of the sinks and of plain http share these edges."""
    assert [bool(within(read_host(text), where)) for where in (PRIVATE, PLAINTEXT)] == [is_inside] * 2


@pytest.mark.parametrize(
    ("text", "is_private", "is_plaintext"),
    [("255.255.255.255", True, False), ("169.254.1.1", False, True), ("127.0.0.1", False, True), ("::1", False, True)],
)
def test_where_the_rows_of_sinks_and_of_http_differ(text: str, is_private: bool, is_plaintext: bool) -> None:
    """Config §10: broadcast is private for sinks only, link-local and loopback for http only."""
    host = read_host(text)
    assert (bool(within(host, PRIVATE)), bool(within(host, PLAINTEXT))) == (is_private, is_plaintext)


@pytest.mark.parametrize(
    ("text", "is_this_machine"),
    [
        ("127.0.0.1", True),
        ("127.255.255.255", True),
        ("128.0.0.0", False),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("LocalHost.", True),
        ("a.localhost", True),
        ("alocalhost", False),
        ("localhost.example", False),
    ],
)
def test_this_machine_has_names_and_addresses(text: str, is_this_machine: bool) -> None:
    """Config §10: `127/8`, `::1`, `localhost` and `*.localhost` are loopback."""
    host = read_host(text)
    assert is_loopback(host) == is_this_machine
    assert is_loopback(host) == (is_local_name(host.name) or bool(within(host, LOOPBACK)))
