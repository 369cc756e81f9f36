"""Hosts and regions in base URLs."""

import pytest
from botocore.auth import _host_from_url
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws.endpoint import find_region, signed_host

LABELS = ("bedrock-runtime", "bedrock-runtime-fips", "bedrock", "bedrock-fips")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://h.example", "h.example"),
        ("https://H.Example/prefix/x@y", "h.example"),
        ("HTTPS://h.example:443/", "h.example"),
        ("http://h.example:80", "h.example"),
        ("http://h.example:443", "h.example:443"),
        ("https://h.example:80", "h.example:80"),
        ("https://h.example:8443/a:1", "h.example:8443"),
        ("https://h.example:", "h.example"),
        ("https://h.example:0443", "h.example"),
        ("https://user:pa@ss@h.example:8443", "h.example:8443"),
        ("https://h.example\\@evil.example", "h.example"),
        ("https://h.example:8443\\x", "h.example:8443"),
        ("https://h.example?a@b", "h.example"),
        ("https://h.example#a@b", "h.example"),
        ("http://127.0.0.1:9001", "127.0.0.1:9001"),
        ("http://[::1]:8080/x", "[::1]:8080"),
        ("https://[2001:DB8::1]", "[2001:db8::1]"),
        ("ftp://h.example:21", "h.example:21"),
        ("https://h.example:port", "h.example:port"),
    ],
)
def test_host_is_what_the_host_header_says(url: str, host: str) -> None:
    """aws-wire case 8: user, path, backslash, default port and capitals go, another port stays."""
    assert signed_host(url) == host


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    scheme=st.sampled_from(["http", "https"]),
    user=st.sampled_from(["", "me@", "me:secret@"]),
    host=st.sampled_from(["h.example", "H.EXAMPLE", "10.0.0.1", "[::1]"]),
    port=st.one_of(st.just(""), st.integers(min_value=1, max_value=65535).map(lambda port: f":{port}")),
    path=st.sampled_from(["", "/", "/a:1@b", "?q=/", "#f"]),
)
def test_any_host_is_the_one_the_vendor_signs(scheme: str, user: str, host: str, port: str, path: str) -> None:
    """aws-wire case 8: the vendor signs the same host for the same URL."""
    url = f"{scheme}://{user}{host}{port}{path}"
    assert signed_host(url) == _host_from_url(url)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1"),
        ("bedrock-runtime-fips.us-east-1.amazonaws.com", "us-east-1"),
        ("bedrock.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
        ("bedrock-fips.ca-central-1.amazonaws.com", "ca-central-1"),
        ("vpce-0a1b2c-x9.bedrock-runtime.eu-central-1.vpce.amazonaws.com", "eu-central-1"),
        ("bedrock-runtime.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
        ("Bedrock-Runtime.EU-West-1.amazonaws.com", "eu-west-1"),
        ("me:pw@bedrock-runtime.eu-west-1.amazonaws.com:8443", "eu-west-1"),
        ("bedrock.internal.bedrock-runtime.eu-west-3.example", "eu-west-3"),
        ("bedrock-runtime.eu-west-12", "eu-west-12"),
    ],
)
def test_region_is_found(host: str, region: str) -> None:
    """aws-wire case 7: plain, FIPS, control-plane, private, GovCloud and ISO hosts name their region."""
    assert find_region(f"https://{host}/path", LABELS) == region


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9",
        "[::1]",
        "localhost",
        "llm.example.com",
        "bedrock-runtime.us-east.amazonaws.com",
        "bedrock-runtime.internal",
        "bedrock-runtime.us-gov-west-foo.amazonaws.com",
        "bedrock-runtime.us-3ast-1.amazonaws.com",
        "bedrock-runtime.us--1.amazonaws.com",
        "bedrock-runtime.us-éast-1.amazonaws.com",
        "bedrock-runtime.us-east-².amazonaws.com",
        "bedrock-runtime",
        "eu-west-1.bedrock-runtime.example",
        "x-bedrock-runtime.eu-west-1.amazonaws.com",
        "example.com/bedrock-runtime.eu-west-1.amazonaws.com",
    ],
)
def test_host_without_a_region_names_none(host: str) -> None:
    """aws-wire case 7: addresses, aliases and labels of another shape give no region."""
    assert find_region(f"https://{host}", LABELS) == ""
