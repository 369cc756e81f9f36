"""Where requests go: base URLs, paths and models put together and taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.config.guards.hosts import read_target
from busbar_fast.config.schema import Health, Provider
from busbar_fast.dialects.registry import DIALECTS
from busbar_fast.gateway.targets import request_url, sink_target_of, target_of

CHAT = next(name for name, facts in DIALECTS.items() if facts.path == "/v1/chat/completions")


def provider(base_url: str, path: str = "", protocol: str = CHAT) -> Provider:
    """Return a provider with nothing special about it."""
    return Provider(protocol=protocol, base_url=base_url, path=path, error_map={}, health=Health(), options={})


@pytest.mark.parametrize(
    ("base_url", "path", "url"),
    [
        ("https://h", "", "https://h/v1/chat/completions"),
        ("https://h/", "", "https://h/v1/chat/completions"),
        ("https://h//", "", "https://h/v1/chat/completions"),
        ("https://h/v1", "", "https://h/v1/chat/completions"),
        ("https://h/v1/", "", "https://h/v1/chat/completions"),
        ("https://h/api/v1", "", "https://h/api/v1/chat/completions"),
        ("https://h/v1/x", "", "https://h/v1/x/v1/chat/completions"),
        ("https://h/apiv1", "", "https://h/apiv1/v1/chat/completions"),
        ("https://v1", "", "https://v1/v1/chat/completions"),
        ("https://h/V1", "", "https://h/V1/v1/chat/completions"),
        ("https://h/v1", "/v1/x", "https://h/v1/v1/x"),
        ("https://h", "/x/{model}/y?m={model}", "https://h/x/m%2F1%20%C3%B6%25/y?m=m%2F1%20%C3%B6%25"),
    ],
)
def test_segment_is_sent_once(base_url: str, path: str, url: str) -> None:
    """Config §5: a base URL that ends as the protocol's own path begins, and a path of the operator's as it is."""
    assert request_url(provider(base_url, path), "m/1 ö%") == url


@pytest.mark.parametrize(
    ("protocol", "base_url", "url"),
    [
        (name, base, f"https://h{facts.path}".replace("{model}", "m"))
        for name, facts in DIALECTS.items()
        for base in ("https://h", "https://h/" + facts.path.split("/")[1])
    ],
)
def test_every_protocol_has_its_path(protocol: str, base_url: str, url: str) -> None:
    """Config §5: the default path of each protocol, whether the base URL begins it or not."""
    assert request_url(provider(base_url, protocol=protocol), "m") == url


@pytest.mark.parametrize(
    ("base_url", "host", "port", "authority"),
    [
        ("https://api.example.com", "api.example.com", 443, "api.example.com"),
        ("HTTPS://API.Example.com.", "api.example.com", 443, "api.example.com"),
        ("https://h:443", "h", 443, "h"),
        ("https://h:0443", "h", 443, "h"),
        ("https://h:80", "h", 80, "h:80"),
        ("http://localhost", "localhost", 80, "localhost"),
        ("http://localhost:80", "localhost", 80, "localhost"),
        ("http://localhost:11434", "localhost", 11434, "localhost:11434"),
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("http://127.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("http://0x7f000001", "127.0.0.1", 80, "127.0.0.1"),
        ("http://010.0.0.1", "8.0.0.1", 80, "8.0.0.1"),
        ("http://[::1]", "::1", 80, "[::1]"),
        ("http://[::1]:81", "::1", 81, "[::1]:81"),
        ("http://[0:0::1]", "::1", 80, "[::1]"),
        ("https://bücher.example", "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
        ("https://ex%61mple.com", "example.com", 443, "example.com"),
        ("https://a_b.example", "a_b.example", 443, "a_b.example"),
    ],
)
def test_host_is_the_one_that_was_judged(base_url: str, host: str, port: int, authority: str) -> None:
    """Config §10: name and port for the connection, and the Host field without a default port."""
    target = target_of(provider(base_url), "m")
    assert (target.host, target.port, target.authority) == (host, port, authority.encode())
    assert target.is_tls == base_url.lower().startswith("https:")
    assert target.path == b"/v1/chat/completions"


LABELS = st.text("abz019-_é。x%61.", min_size=1, max_size=8)


@given(
    st.one_of(LABELS, st.sampled_from(("127.0.0.1", "1.2.3.4", "0x7f.1", "017.1", "1.2.3.4.", "::1"))), st.booleans()
)
def test_host_is_never_another_one(text: str, has_port: bool) -> None:
    """Config §10: whatever host a URL names, the one that is dialled is the one that the guard has seen."""
    host = f"[{text}]" if ":" in text else text
    url = f"https://{host}" + (":444" if has_port else "")
    judged = read_target(url)
    if not judged.flaw and not judged.oddities:
        target = target_of(provider(url), "m")
        assert (target.host, target.port) == (judged.host.name, 444 if has_port else 443)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/a b", b"/a%20b"),
        ("/ö", b"/%C3%B6"),
        ("/a%20b", b"/a%20b"),
        ("/?x=1&y=[z]", b"/?x=1&y=%5Bz%5D"),
        ("/deployments/{model}?v={model}", b"/deployments/gpt%2F4?v=gpt%2F4"),
    ],
)
def test_path_is_fit_for_a_request_line(path: str, sent: bytes) -> None:
    """Config §14 X8: bytes that may not stand in a target are percent-encoded, and nothing is encoded twice."""
    assert target_of(provider("https://h", path), "gpt/4").path == sent


@pytest.mark.parametrize(
    ("url", "parts", "userinfo"),
    [
        ("https://rank.example", (True, "rank.example", 443, b"rank.example", b"/"), ""),
        (
            "https://u:p@rank.example:8443/a%20b?x=1#y",
            (True, "rank.example", 8443, b"rank.example:8443", b"/a%20b?x=1"),
            "u:p",
        ),
        ("http://127.0.0.1:80?x", (False, "127.0.0.1", 80, b"127.0.0.1", b"/?x"), ""),
        ("http://a@b@[::1]:9/@", (False, "::1", 9, b"[::1]:9", b"/@"), "a@b"),
        ("https:\\\\h\\p@evil/x", (True, "h", 443, b"h", b"/p@evil/x"), ""),
    ],
)
def test_url_of_a_sink_is_taken_apart_as_the_guard_did(
    url: str, parts: tuple[bool, str, int, bytes, bytes], userinfo: str
) -> None:
    """Config §10: the host that is called is the one that was judged; what is before the last @ is no part of it."""
    found, user = sink_target_of(url)
    assert (tuple(found), user) == (parts, userinfo)
    assert found.host == read_target(url).host.name
