"""What host a URL names: the steps of the configuration chapter in order, and what is odd or impossible."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from busbar_fast.config.guards.hosts import (
    BACKSLASH,
    EMPTY_LABEL,
    EMPTY_PORT,
    FRAGMENT,
    QUERY,
    QUERY_WITHOUT_PATH,
    USERINFO,
    ZONE,
    has_blank_or_control,
    read_host,
    read_target,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300)

WIDE = {ord(digit): 0xFF10 + int(digit) for digit in "0123456789"}
STOPS = ("\u3002", "\uff0e", "\uff61", "\u2024")


@pytest.mark.parametrize(
    ("url", "scheme", "host"),
    [
        ("https://api.example.com", "https", "api.example.com"),
        ("HTTPS://API.Example.COM/V1", "https", "api.example.com"),
        ("Http://a", "http", "a"),
        ("ftp://a", "ftp", "a"),
        ("://a", "", "a"),
        ("https://a:8443/x", "https", "a"),
        ("https://a:00443", "https", "a"),
        ("https://a:65535", "https", "a"),
        ("https://a:0", "https", "a"),
        ("https://a_b-c.d", "https", "a_b-c.d"),
        ("https://a.", "https", "a"),
        ("https://a...", "https", "a"),
        ("https://a%2Eb", "https", "a.b"),
        ("https://%61pi.example", "https", "api.example"),
        ("https://a/@b", "https", "a"),
        ("https://a/x:y", "https", "a"),
        ("https://a?@b", "https", "a"),
        ("https://a#@b", "https", "a"),
        ("https://u:p@a", "https", "a"),
        ("https://u@v@a:1", "https", "a"),
        ("https://u%40v@a", "https", "a"),
        (r"https:\\a\b", "https", "a"),
        (r"https://a\@b", "https", "a"),
        ("https://b\u00fccher.example", "https", "xn--bcher-kva.example"),
        ("https://B\u00dcCHER.example", "https", "xn--bcher-kva.example"),
        ("https://b%C3%BCcher.example", "https", "xn--bcher-kva.example"),
        ("https://stra\u00dfe.example", "https", "strasse.example"),
        ("https://\uff41\uff42.example\u3002", "https", "ab.example"),
        ("https://exa\u00admple.com", "https", "example.com"),
        ("https://\u212aa", "https", "ka"),
        ("https://1.2.3.4", "https", "1.2.3.4"),
        ("https://0x01020304:80", "https", "1.2.3.4"),
        ("https://0X01020304", "https", "1.2.3.4"),
        ("https://127.1./", "https", "127.0.0.1"),
        ("https://[::1]", "https", "::1"),
        ("https://[0:0:0:0:0:0:0:1]:443/", "https", "::1"),
        ("https://[FD00:EC2::254]", "https", "fd00:ec2::254"),
        ("https://[::ffff:7f00:1]", "https", "::ffff:127.0.0.1"),
        ("https://[fe80::1%25eth0]", "https", "fe80::1"),
        ("https://[fe80::1%eth0]", "https", "fe80::1"),
        ("https://[%3A:1]", "https", "::1"),
        ("https://1.2.3.com", "https", "1.2.3.com"),
        ("https://0xg", "https", "0xg"),
        ("https://x1", "https", "x1"),
    ],
)
def test_a_url_leads_to_the_host_of_its_authority(url: str, scheme: str, host: str) -> None:
    """Config §10: case, backslashes, userinfo, port, brackets, one percent-decoding, dots and IDNA, in this order."""
    target = read_target(url)
    assert (target.scheme, target.host.name, target.flaw) == (scheme, host, "")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "https:example.com",
        "https:/example.com",
        "https://a b",
        " https://a",
        "https://a\t",
        "https://a\n",
        "https://a/\r",
        "https://a\x00",
        "https://a/\x7f",
        "https://a/\x85",
        "https://a\u00a0",
        "https://a/\u3000",
        "https://",
        "https:///a",
        "https://?a",
        "https://#a",
        "https://:443",
        "https://u@",
        "https://u@:443",
        "https://.",
        "https://...",
        "https://\u3002",
        "https://[]",
        "https://[a]",
        "https://[1.2.3.4]",
        "https://[::1",
        "https://::1]",
        "https://[::1]a",
        "https://[[::1]]",
        "https://a[::1]",
        "https://%5B::1%5D",
        "https://%5B%3A%3A1%5D",
        "https://[::\u00e9]",
        "https://[::1%0A]x",
        "https://a%2Fb",
        "https://a%40b",
        "https://a%00",
        "https://a%20b",
        "https://a%C2%A0b",
        "https://a%zz",
        "https://a%2541",
        "https://a%FF",
        "https://a%",
        "https://a<b",
        "https://a*b",
        "https://a,b",
        "https://\u2100",
        "https://a\uff0fb",
        "https://a\uff20b",
        "https://a\uff1a80",
        "https://\u00ad",
        "https://a\u00ad.\u00ad",
        "https://\ud800",
        "https://" + "\u00fc" * 64,
        "https://xn--\u00fc",
    ],
)
def test_a_url_without_a_readable_host_is_flawed(url: str) -> None:
    """Config §10: blanks, controls, no host and text that is no host are errors, and no text is repeated."""
    target = read_target(url)
    assert (target.host.name, bool(target.flaw)) == ("", True)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a:b", "a"),
        ("https://a:80:80", "a"),
        ("https://a:-1", "a"),
        ("https://a:+1", "a"),
        ("https://a:65536", "a"),
        ("https://a:99999", "a"),
        (f"https://a:{'9' * 5000}", "a"),
        ("https://a:%38", "a"),
        ("https://a:\uff18", "a"),
        ("https://fd00:ec2::254", "fd00"),
        ("https://u:p%40a", "u"),
        ("https://256.1.1.1", "256.1.1.1"),
        ("https://1.2.3.4.5", "1.2.3.4.5"),
        ("https://example.08", "example.08"),
        ("https://example.0x", "example.0x"),
        ("https://example.0xff", "example.0xff"),
        ("https://4294967296", "4294967296"),
        ("https://.a", ".a"),
        ("https://a..b", "a..b"),
        ("https://169.254..169.254", "169.254..169.254"),
    ],
)
def test_a_host_that_nobody_can_reach_is_named_in_the_flaw(url: str, host: str) -> None:
    """Config §10: a bad port, a numeric end that is no address and an empty label are errors."""
    target = read_target(url)
    assert target.host.name == host
    assert f"host {host} " in target.flaw


@pytest.mark.parametrize(
    ("url", "oddities"),
    [
        ("https://a/b/c:d@e", ()),
        ("https://a.", ()),
        ("https://a:1/", ()),
        (r"https://a/b\c", (BACKSLASH,)),
        (r"https:\\a", (BACKSLASH,)),
        ("https://u:p@a", (USERINFO,)),
        ("https://@a", (USERINFO,)),
        ("https://a/?b", (QUERY,)),
        ("https://a/b?", (QUERY,)),
        ("https://a?/b", (QUERY_WITHOUT_PATH,)),
        ("https://a#", (FRAGMENT,)),
        ("https://a/b#c?d", (QUERY, FRAGMENT)),
        ("https://a:", (EMPTY_PORT,)),
        ("https://[::1]:/", (EMPTY_PORT,)),
        ("https://[fe80::1%25eth0]", (ZONE,)),
        ("https://[fe80::1%eth0]", (ZONE,)),
        ("https://[::%31]", (ZONE,)),
        ("https://a..", (EMPTY_LABEL,)),
        ("https://a.%2E", (EMPTY_LABEL,)),
        ("https://a\u3002\uff0e", (EMPTY_LABEL,)),
        (r"https://u@a..:\?#", (BACKSLASH, USERINFO, QUERY, FRAGMENT, EMPTY_PORT, EMPTY_LABEL)),
    ],
)
def test_what_a_base_url_may_not_hold_is_noted(url: str, oddities: tuple[str, ...]) -> None:
    """Config §10, better: each spelling that two parsers may read differently is found."""
    assert read_target(url).oddities == oddities


@pytest.mark.parametrize("stop", STOPS)
def test_wide_digits_and_foreign_dots_are_mapped_before_the_address_is_read(stop: str) -> None:
    """Config §10: an IDNA spelling of an address is that address."""
    wide = "169.254.169.254".translate(WIDE).replace(".", stop)
    encoded = "".join(f"%{byte:02X}" for byte in wide.encode())
    assert [read_target(f"https://{text}{stop}/").host.name for text in (wide, encoded)] == ["169.254.169.254"] * 2


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Metadata.Google.Internal.", "metadata.google.internal"),
        ("fd00:ec2::254", "fd00:ec2::254"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
        ("0xa9fea9fe", "169.254.169.254"),
        ("::ffff:169.254.169.254", "::ffff:169.254.169.254"),
    ],
)
def test_a_host_alone_is_read_with_or_without_brackets(text: str, name: str) -> None:
    """Config §10: a list names hosts as URLs do, and an IPv6 address needs no brackets there."""
    host = read_host(text)
    assert (host.name, host.flaw) == (name, "")


@pytest.mark.parametrize(
    "text", ["", "a:80", "[::1]:80", "[::1", "::1]", "[a]", "u@a", "a/b", "https://a", "1.2.3.4.5"]
)
def test_what_is_no_host_alone_is_flawed(text: str) -> None:
    """Config §10: a port, userinfo, a URL or a broken address is no host."""
    assert read_host(text).flaw


@PROPERTY
@given(st.text(), st.text(), st.text("0123456789.:[]%@/\\?#axfz\uff11\u3002", max_size=30))
@example("", "", "")
def test_any_text_gets_an_answer_and_a_host_reads_as_itself(before: str, after: str, middle: str) -> None:
    """Config §10: no text makes the reader fail, and the normal form is stable."""
    for url in (before, f"https://{middle}", f"https://{before}{middle}{after}"):
        target = read_target(url)
        assert target.flaw or read_host(target.host.name) == target.host


@pytest.mark.parametrize(("text", "is_found"), [("ab", False), ("a b", True), ("a\x9f", True), ("\u2028", True)])
def test_blanks_and_controls_are_found(text: str, is_found: bool) -> None:
    """Config §10: every kind of space counts, and both blocks of control characters."""
    assert has_blank_or_control(text) == is_found


@pytest.mark.parametrize(
    ("host", "is_good"),
    [
        (".".join(["a" * 63] * 3) + "." + "a" * 61, True),
        (".".join(["a" * 63] * 3) + "." + "a" * 62, False),
        ("a" * 63 + ".b", True),
        ("b." + "a" * 64, False),
        ("a" * 1001, False),
        ("\u00e9" * 1001, False),
        ("%C3%A9" * 200, False),
        ("1" * 300, False),
        ("\ufdfa" * 900, False),  # each is eighteen letters once it is mapped
        ("[" + "0:" * 600 + "]", False),
    ],
)
def test_a_host_has_a_length_that_a_name_can_have(host: str, is_good: bool) -> None:
    """Config §10: names of 253 characters, labels of 63, and a reason that quotes no endless host."""
    for found in (read_host(host), read_target(f"https://{host}").host):
        assert (found.flaw == "") is is_good
        assert len(found.flaw) < 350
    judged = read_target(f"https://{host}:x")
    assert 0 < len(judged.flaw) < 350
