"""IP addresses as numbers: spellings of IPv4, IPv6 against the standard library, what is embedded, ranges."""

import ipaddress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from busbar_fast.config.guards.addresses import Address, ranges, read_address, read_ipv4, read_ipv6

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300)

IPV6_TEXTS = st.one_of(
    st.text("0123abf:.", max_size=24),
    st.ip_addresses(v=6).map(str),
    st.lists(st.sampled_from(("0", "1", "ffff", "00ab", "", "1.2.3.4", "255.0.0.256")), max_size=10).map(":".join),
)


def v4(text: str) -> Address:
    """Return the address of a dotted quad."""
    return Address(32, int(ipaddress.IPv4Address(text)))


def v6(text: str) -> Address:
    """Return the address that the standard library reads."""
    return Address(128, int(ipaddress.IPv6Address(text)))


def by_the_book(text: str) -> Address | None:
    """Return what the standard library makes of a text."""
    try:
        return v6(text)
    except ipaddress.AddressValueError:
        return None


def usual(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return the spelling of the standard library, whose versions differ on mapped addresses."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(address) if mapped is None else f"::ffff:{mapped}"


@pytest.mark.parametrize(
    ("text", "quad"),
    [
        ("169.254.169.254", "169.254.169.254"),
        ("2852039166", "169.254.169.254"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("127.65535", "127.0.255.255"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("0251.0376.0251.0376", "169.254.169.254"),
        ("0xa9.0376.43518", "169.254.169.254"),
        ("0x000000000000000000a9fea9fe", "169.254.169.254"),
        ("0", "0.0.0.0"),  # noqa: S104  nothing is bound
        ("00000", "0.0.0.0"),  # noqa: S104  same
        ("4294967295", "255.255.255.255"),
        ("255.16777215", "255.255.255.255"),
    ],
)
def test_every_spelling_of_an_ipv4_address_is_read(text: str, quad: str) -> None:
    """Config §10: one to four parts in decimal, hex or octal, the last one filling the bytes left."""
    assert read_ipv4(text) == v4(quad)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.",
        "1..2",
        "256.1.1.1",
        "1.256.1",
        "1.1.1.256",
        "1.1.65536",
        "1.16777216",
        "4294967296",
        "0x100000000",
        "040000000000",
        "08",
        "1.2.3.4.5",
        "0x",
        "0xg",
        "1e3",
        "-1",
        "+1",
        "1_0",
        "9" * 5000,
        "\uff11",
        "example.com",
    ],
)
def test_what_spells_no_ipv4_address_is_not_read(text: str) -> None:
    """Config §10: too large, too many, too few or foreign parts make no address."""
    assert read_ipv4(text) is None


@PROPERTY
@given(IPV6_TEXTS)
@example("::")
@example("1:2:3:4:5:6:7::")
@example("1::2:3:4:5:6:7:8")
@example("1:2:3:4:5:6:7:8")
@example("1:2:3:4:5:6:7")
@example("1:2:3:4:5:6:1.2.3.4")
@example("1.2.3.4::")
@example("::1.2.3.04")
@example("::1.2.3.256")
@example(":::")
@example("1:::2")
@example("::12345")
@example("")
def test_ipv6_is_read_as_the_standard_library_reads_it(text: str) -> None:
    """Config §10: an IPv6 address means what it means everywhere, and nothing else is one."""
    assert read_ipv6(text) == by_the_book(text)


@PROPERTY
@given(st.ip_addresses())
@example(ipaddress.ip_address("1::"))
@example(ipaddress.ip_address("1:0:0:2::3"))
@example(ipaddress.ip_address("1:0:2:3:4:5:6:7"))
@example(ipaddress.ip_address("10:0:0:20:0:0:30:40"))
@example(ipaddress.ip_address("::102:304"))
@example(ipaddress.ip_address("::ffff:0:0"))
def test_an_address_is_spelled_as_usual_and_read_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Config §10: the normal form of an address is the usual one, whatever was written."""
    ours = Address(address.max_prefixlen, int(address))
    assert (str(ours), read_address(str(ours))) == (usual(address), ours)


def test_a_mapped_address_is_spelled_with_its_quad() -> None:
    """Config §10: `::ffff:a.b.c.d` is shown so that a reader sees the IPv4 address."""
    assert str(v6("::ffff:a9fe:a9fe")) == "::ffff:169.254.169.254"


@pytest.mark.parametrize(
    ("text", "quad"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::10.0.0.1", "10.0.0.1"),
        ("::2", "0.0.0.2"),
        ("64:ff9b::10.0.0.1", "10.0.0.1"),
        ("2002:a00:1::", "10.0.0.1"),
        ("2002:a00:1:ffff:ffff:ffff:ffff:ffff", "10.0.0.1"),
    ],
)
def test_an_embedded_address_is_found_and_judged_beside_the_outer_one(text: str, quad: str) -> None:
    """Config §10: mapped, compatible, NAT64 and 6to4 addresses are judged by both."""
    assert v6(text).readings == (v6(text), v4(quad))


@pytest.mark.parametrize("text", ["::", "::1", "fd00:ec2::254", "64:ff9b:1::a00:1", "::1:0:a00:1", "2003:a00:1::"])
def test_other_ipv6_addresses_embed_none(text: str) -> None:
    """Config §10: an address outside the four forms is judged as itself."""
    assert v6(text).readings == (v6(text),)


def test_an_ipv4_address_is_judged_as_itself() -> None:
    """Config §10: an IPv4 address embeds nothing, even where its number looks like a prefix."""
    assert v4("0.0.255.255").readings == (v4("0.0.255.255"),)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("::", "::"),
        ("64:ff9b::a00:1", "64:ff9b::a00:1"),
        ("2002:a00:1::", "2002:a00:1::"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_only_mapped_and_compatible_forms_are_spellings_of_ipv4(text: str, plain: str) -> None:
    """Config §10: an entry matches all spellings of its address, and a translated address is another one."""
    address = read_address(text)
    assert address is not None
    assert address.plain == read_address(plain)


@pytest.mark.parametrize(
    ("text", "address", "is_inside"),
    [
        ("10.0.0.0/8", "10.255.255.255", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("10.0.0.0/8", "9.255.255.255", False),
        ("10.0.0.0/8", "::a00:1", False),
        ("fc00::/7", "fdff::1", True),
        ("fc00::/7", "fe00::", False),
        ("1.2.3.4", "1.2.3.4", True),
        ("1.2.3.4", "1.2.3.5", False),
        ("::1", "::1", True),
    ],
)
def test_a_range_holds_what_shares_its_upper_bits(text: str, address: str, is_inside: bool) -> None:
    """Config §10: ranges end where their prefix says, and a single address is the smallest one."""
    (only,) = ranges(text)
    found = read_address(address)
    assert found is not None
    assert only.holds(found) == is_inside


def test_several_ranges_are_read_in_order() -> None:
    """Config §10: a row of ranges is one text."""
    assert ranges("10.0.0.0/8 ::1") == (*ranges("10.0.0.0/8"), *ranges("::1"))
