"""Guards A, B and C over URL text: tables of the configuration chapter, hostile spellings, exemptions in use."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.config.guards.rules import ALLOW_ALL, Exemptions
from busbar_fast.config.guards.verdicts import (
    ALLOW_PLAINTEXT,
    RefusalKind,
    Verdict,
    judge_base_url,
    judge_joined_url,
    judge_log_sink,
    judge_sink,
)

PROPERTY = settings(derandomize=True, deadline=None, max_examples=500)

NONE = Exemptions()
PASSED, MALFORMED, SCHEME, DENIED = RefusalKind
GUARDS = (judge_base_url, judge_joined_url, judge_log_sink, judge_sink)
OVERRIDES = ("provider's allow_metadata_hosts", "security.allow_metadata_hosts", "security.allow_all_metadata")

BASE_URLS = [
    # what catalogs and guides show
    ("https://api.example.com", PASSED, "api.example.com"),
    ("https://api.example.com/v1/", PASSED, "api.example.com"),
    ("HTTPS://Api.Example.Com:8443/v1", PASSED, "api.example.com"),
    ("https://api.example.com.", PASSED, "api.example.com"),
    ("https://b\u00fccher.example", PASSED, "xn--bcher-kva.example"),
    ("https://8.8.8.8", PASSED, "8.8.8.8"),
    ("https://134744072", PASSED, "8.8.8.8"),
    ("https://[2606:4700::1111]:443/v1", PASSED, "2606:4700::1111"),
    ("https://[64:ff9b::8.8.8.8]", PASSED, "64:ff9b::808:808"),
    ("https://metadata.google.internal.example.com", PASSED, "metadata.google.internal.example.com"),
    ("https://255.255.255.255", PASSED, "255.255.255.255"),
    # http to private and loopback hosts
    ("http://127.0.0.1:11434", PASSED, "127.0.0.1"),
    ("HTTP://10.0.0.5", PASSED, "10.0.0.5"),
    ("http://172.16.0.1", PASSED, "172.16.0.1"),
    ("http://192.168.1.1", PASSED, "192.168.1.1"),
    ("http://100.64.0.1", PASSED, "100.64.0.1"),
    ("http://0.0.0.0:8000", PASSED, "0.0.0.0"),  # noqa: S104  nothing is bound
    ("http://[::1]:8000", PASSED, "::1"),
    ("http://[::]:8000", PASSED, "::"),
    ("http://[fc00::1]", PASSED, "fc00::1"),
    ("http://[fe80::1]", PASSED, "fe80::1"),
    ("http://[::ffff:10.0.0.5]", PASSED, "::ffff:10.0.0.5"),
    ("http://[64:ff9b::a00:5]", PASSED, "64:ff9b::a00:5"),
    ("http://[2002:a00:5::]", PASSED, "2002:a00:5::"),
    ("http://2130706433", PASSED, "127.0.0.1"),
    ("http://0x7f.1", PASSED, "127.0.0.1"),
    ("http://017700000001", PASSED, "127.0.0.1"),
    ("http://localhost:8000/v1", PASSED, "localhost"),
    ("http://LOCALHOST.", PASSED, "localhost"),
    ("http://vllm.localhost", PASSED, "vllm.localhost"),
    # other schemes
    ("http://api.example.com", SCHEME, "api.example.com"),
    ("http://vllm:8000", SCHEME, "vllm"),
    ("http://8.8.8.8", SCHEME, "8.8.8.8"),
    ("http://134744072", SCHEME, "8.8.8.8"),
    ("http://0x08080808", SCHEME, "8.8.8.8"),
    ("http://010.010.010.010", SCHEME, "8.8.8.8"),
    ("http://[::ffff:8.8.8.8]", SCHEME, "::ffff:8.8.8.8"),
    ("http://[2606:4700::1]", SCHEME, "2606:4700::1"),
    ("http://255.255.255.255", SCHEME, "255.255.255.255"),
    ("http://localhost.example.com", SCHEME, "localhost.example.com"),
    ("http://127.0.0.1.example.com", SCHEME, "127.0.0.1.example.com"),
    ("ftp://api.example.com", SCHEME, "api.example.com"),
    ("file://localhost/etc/passwd", SCHEME, "localhost"),
    ("ws://127.0.0.1", SCHEME, "127.0.0.1"),
    ("://api.example.com", SCHEME, "api.example.com"),
    # the denylist, spelled in every way
    ("https://169.254.169.254", DENIED, "169.254.169.254"),
    ("http://169.254.169.254/latest/meta-data", DENIED, "169.254.169.254"),
    ("http://169.254.77.7:8080", DENIED, "169.254.77.7"),
    ("https://169.254.169.254.", DENIED, "169.254.169.254"),
    ("https://2852039166", DENIED, "169.254.169.254"),
    ("https://0xa9fea9fe", DENIED, "169.254.169.254"),
    ("https://0XA9.0XFE.0XA9.0XFE", DENIED, "169.254.169.254"),
    ("https://025177524776", DENIED, "169.254.169.254"),
    ("https://0251.0376.0251.0376", DENIED, "169.254.169.254"),
    ("https://169.254.43518", DENIED, "169.254.169.254"),
    ("https://169.16689662", DENIED, "169.254.169.254"),
    ("https://169%2E254%2E169%2E254", DENIED, "169.254.169.254"),
    ("https://%31%36%39.254.169.254", DENIED, "169.254.169.254"),
    ("https://169\u3002254\uff0e169\uff61254", DENIED, "169.254.169.254"),
    ("https://\uff11\uff16\uff19.254.169.254", DENIED, "169.254.169.254"),
    ("https://\u2460\u2465\u2468.254.169.254", DENIED, "169.254.169.254"),
    ("https://169.254.169.25\u00ad4", DENIED, "169.254.169.254"),
    ("https://169.254.169\u200b.254", DENIED, "169.254.169.254"),
    ("https://[::ffff:169.254.169.254]", DENIED, "::ffff:169.254.169.254"),
    ("https://[::FFFF:A9FE:A9FE]", DENIED, "::ffff:169.254.169.254"),
    ("https://[0:0:0:0:0:ffff:a9fe:a9fe]", DENIED, "::ffff:169.254.169.254"),
    ("https://[::169.254.169.254]", DENIED, "::a9fe:a9fe"),
    ("https://[64:ff9b::169.254.169.254]", DENIED, "64:ff9b::a9fe:a9fe"),
    ("https://[2002:a9fe:a9fe::1]", DENIED, "2002:a9fe:a9fe::1"),
    ("https://169.254.170.2", DENIED, "169.254.170.2"),
    ("https://100.100.100.200", DENIED, "100.100.100.200"),
    ("https://168.63.129.16", DENIED, "168.63.129.16"),
    ("https://192.0.0.192", DENIED, "192.0.0.192"),
    ("https://[fd00:ec2::254]", DENIED, "fd00:ec2::254"),
    ("https://[fd00:0ec2:0::23]", DENIED, "fd00:ec2::23"),
    ("http://[fd20:ce::254]", DENIED, "fd20:ce::254"),
    ("https://metadata.google.internal", DENIED, "metadata.google.internal"),
    ("http://Metadata.Google.Internal./x", DENIED, "metadata.google.internal"),
    ("https://metadata.internal:443", DENIED, "metadata.internal"),
    ("https://metadata.tencentyun.com", DENIED, "metadata.tencentyun.com"),
    ("https://metadata.platformequinix.com", DENIED, "metadata.platformequinix.com"),
    ("https://instance-data", DENIED, "instance-data"),
    ("https://instance-data.ec2.internal", DENIED, "instance-data.ec2.internal"),
    ("https://metadata.goog", DENIED, "metadata.goog"),
    ("https://\uff4detadata.goog", DENIED, "metadata.goog"),
    ("ftp://metadata.goog", DENIED, "metadata.goog"),
    # what two parsers may read differently
    (r"https:\\169.254.169.254", MALFORMED, "169.254.169.254"),
    (r"https://api.example.com\@169.254.169.254", MALFORMED, "api.example.com"),
    (r"https://api.example.com/a\b", MALFORMED, "api.example.com"),
    ("https://user:secret@169.254.169.254", MALFORMED, "169.254.169.254"),
    ("https://api.example.com@169.254.169.254", MALFORMED, "169.254.169.254"),
    ("https://169.254.169.254@api.example.com", MALFORMED, "api.example.com"),
    ("https://@api.example.com", MALFORMED, "api.example.com"),
    ("https://api.example.com?x=1", MALFORMED, "api.example.com"),
    ("https://api.example.com#@169.254.169.254", MALFORMED, "api.example.com"),
    ("https://api.example.com/v1#", MALFORMED, "api.example.com"),
    ("https://api.example.com:", MALFORMED, "api.example.com"),
    ("https://api.example.com:x", MALFORMED, "api.example.com"),
    ("https://api.example.com:65536", MALFORMED, "api.example.com"),
    ("https://[fe80::1%25eth0]", MALFORMED, "fe80::1"),
    ("https://[::ffff:169.254.169.254%25eth0]", MALFORMED, "::ffff:169.254.169.254"),
    ("https://169.254.169.254..", MALFORMED, "169.254.169.254"),
    ("https://api..example.com", MALFORMED, "api..example.com"),
    ("https://.api.example.com", MALFORMED, ".api.example.com"),
    ("https://169.254.169.256", MALFORMED, "169.254.169.256"),
    ("https://169.254.169.254.1", MALFORMED, "169.254.169.254.1"),
    ("https://example.0x1", MALFORMED, "example.0x1"),
    ("https://%2531%2536%2539.254.169.254", MALFORMED, ""),
    ("https://169.254.169.254%2F", MALFORMED, ""),
    ("https://169.254.169.254%00", MALFORMED, ""),
    ("https://fd00:ec2::254", MALFORMED, "fd00"),
    ("https://api.example.com /v1", MALFORMED, ""),
    ("https://api.example.com/v1\n", MALFORMED, ""),
    ("https://169.254.\t169.254", MALFORMED, ""),
    ("https:///169.254.169.254", MALFORMED, ""),
    ("https://", MALFORMED, ""),
    ("https:api.example.com", MALFORMED, ""),
    ("api.example.com", MALFORMED, ""),
    ("", MALFORMED, ""),
]

SINKS = [
    # url, guard B, guard C, host
    ("https://logs.example.com/x?token=1#y", PASSED, PASSED, "logs.example.com"),
    ("https://user:secret@logs.example.com", PASSED, PASSED, "logs.example.com"),
    ("https://logs.example.com:", PASSED, PASSED, "logs.example.com"),
    ("https://logs.example.com..", PASSED, PASSED, "logs.example.com"),
    (r"https:\\logs.example.com\x", PASSED, PASSED, "logs.example.com"),
    ("https://8.8.8.8", PASSED, PASSED, "8.8.8.8"),
    ("https://[2606:4700::1111]", PASSED, PASSED, "2606:4700::1111"),
    ("http://logs.example.com", SCHEME, SCHEME, "logs.example.com"),
    ("http://8.8.8.8", SCHEME, SCHEME, "8.8.8.8"),
    ("ftp://logs.example.com", SCHEME, SCHEME, "logs.example.com"),
    ("ftp://localhost", DENIED, SCHEME, "localhost"),
    ("http://localhost:4318", DENIED, PASSED, "localhost"),
    ("https://localhost", DENIED, PASSED, "localhost"),
    ("http://otel.localhost.", DENIED, PASSED, "otel.localhost"),
    ("http://127.0.0.1:4318", DENIED, PASSED, "127.0.0.1"),
    ("http://0177.1", DENIED, PASSED, "127.0.0.1"),
    ("https://127.255.255.255", DENIED, PASSED, "127.255.255.255"),
    ("http://[::1]:4318", DENIED, PASSED, "::1"),
    ("http://[::ffff:127.0.0.1]", DENIED, PASSED, "::ffff:127.0.0.1"),
    ("http://user:secret@127.0.0.1", DENIED, PASSED, "127.0.0.1"),
    ("http://10.0.0.1", DENIED, DENIED, "10.0.0.1"),
    ("https://10.0.0.1", DENIED, DENIED, "10.0.0.1"),
    ("https://172.31.255.255", DENIED, DENIED, "172.31.255.255"),
    ("https://192.168.0.1", DENIED, DENIED, "192.168.0.1"),
    ("https://100.64.0.1", DENIED, DENIED, "100.64.0.1"),
    ("https://[fc00::1]", DENIED, DENIED, "fc00::1"),
    ("https://[fe80::1%25eth0]", DENIED, DENIED, "fe80::1"),
    ("https://0.0.0.0", DENIED, DENIED, "0.0.0.0"),  # noqa: S104  nothing is bound
    ("https://0", DENIED, DENIED, "0.0.0.0"),  # noqa: S104  same
    ("https://[::]", DENIED, DENIED, "::"),
    ("https://255.255.255.255", DENIED, DENIED, "255.255.255.255"),
    ("https://4294967295", DENIED, DENIED, "255.255.255.255"),
    ("https://[::ffff:10.0.0.1]", DENIED, DENIED, "::ffff:10.0.0.1"),
    ("https://[64:ff9b::10.0.0.1]", DENIED, DENIED, "64:ff9b::a00:1"),
    ("https://[2002:a00:1::]", DENIED, DENIED, "2002:a00:1::"),
    ("https://169.254.169.254", DENIED, DENIED, "169.254.169.254"),
    ("https://user@169.254.169.254..:/", DENIED, DENIED, "169.254.169.254"),
    (r"https:\\169.254.169.254\x", DENIED, DENIED, "169.254.169.254"),
    ("https://logs.example.com@169.254.169.254", DENIED, DENIED, "169.254.169.254"),
    ("https://168.63.129.16", DENIED, DENIED, "168.63.129.16"),
    ("https://192.0.0.192", DENIED, DENIED, "192.0.0.192"),
    ("https://[fd00:ec2::254]", DENIED, DENIED, "fd00:ec2::254"),
    ("https://metadata.platformequinix.com", DENIED, DENIED, "metadata.platformequinix.com"),
    ("https://Metadata.Goog.", DENIED, DENIED, "metadata.goog"),
    ("https://", MALFORMED, MALFORMED, ""),
    ("https://user:secret@", MALFORMED, MALFORMED, ""),
    ("https://logs.example.com\t", MALFORMED, MALFORMED, ""),
    ("https://logs.example.com:x", MALFORMED, MALFORMED, "logs.example.com"),
    ("https://1.2.3.4.5", MALFORMED, MALFORMED, "1.2.3.4.5"),
    ("logs.example.com", MALFORMED, MALFORMED, ""),
]


@pytest.mark.parametrize(("url", "kind", "host"), BASE_URLS)
def test_a_base_url_is_judged_by_guard_a(url: str, kind: RefusalKind, host: str) -> None:
    """Config §10, column A, and operations cases 41 and 42: every row is judged by the host it means."""
    verdict = judge_base_url(url, NONE)
    assert (verdict.kind, verdict.host, verdict.used) == (kind, host, ())
    assert bool(verdict.reason) == (kind is not PASSED)


@pytest.mark.parametrize(("url", "log_kind", "kind", "host"), SINKS)
def test_a_sink_is_judged_by_guards_b_and_c(url: str, log_kind: RefusalKind, kind: RefusalKind, host: str) -> None:
    """Config §10, columns B and C, and operations case 45: every row is judged by the host it means."""
    verdicts = (judge_log_sink(url, NONE), judge_sink(url, NONE))
    assert [(verdict.kind, verdict.host) for verdict in verdicts] == [(log_kind, host), (kind, host)]
    assert [bool(verdict.reason) for verdict in verdicts] == [log_kind is not PASSED, kind is not PASSED]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://api.example.com/v1/chat?api-version=1", PASSED),
        ("https://api.example.com/?a=b/c?d", PASSED),
        ("https://api.example.com/v1/@x:y", PASSED),
        ("http://127.0.0.1/v1?x=1", PASSED),
        ("https://api.example.com?x=/v1", MALFORMED),
        ("https://api.example.com/v1?x#y", MALFORMED),
        (r"https://api.example.com/v1?x=\y", MALFORMED),
        ("https://api.example.com@evil.example/v1", MALFORMED),
        ("https://api.example.com:80@169.254.169.254/v1", MALFORMED),
        ("https://169.254.169.254/v1?x=1", DENIED),
        ("http://api.example.com/v1?x=1", SCHEME),
    ],
)
def test_a_joined_url_may_hold_a_query_in_its_path(url: str, kind: RefusalKind) -> None:
    """Config §10: base_url + path is judged once more, and only a query behind the path is let through."""
    assert judge_joined_url(url, NONE).kind is kind


@pytest.mark.parametrize(("url", "kind", "host"), [row for row in BASE_URLS if row[1] is not PASSED and row[2]])
def test_a_reason_names_the_host(url: str, kind: RefusalKind, host: str) -> None:
    """Config §8, E07 and E08: whoever reads the error learns which host it is about."""
    verdict = judge_base_url(url, NONE)
    assert f"host {host}" in verdict.reason
    assert all(override in verdict.reason for override in OVERRIDES) == (kind is DENIED)


@pytest.mark.parametrize(
    "url",
    [
        "https://secret:secret@a.b",
        "https://secret@169.254.169.254",
        "http://secret:secret@10.0.0.1:x",
        "ftp://secret@a.b",
        "https://secret%3Asecret%40a.b",
        "https://user:secret%40a.b",
        "secret:secret@a.b",
        "secret@a.b://c",
        r"https:\\secret@a.b..",
        "https://secret@",
        "https://secret @a.b",
    ],
)
def test_no_reason_repeats_userinfo(url: str) -> None:
    """Config §1: userinfo is never printed."""
    assert [guard(url, NONE).reason for guard in GUARDS if "secret" in guard(url, NONE).reason] == []


A_NAME = "metadata.google.internal"


@pytest.mark.parametrize(
    ("url", "exemptions", "used"),
    [
        ("https://169.254.169.254", Exemptions(allowed=("169.254.169.254",)), ("169.254.169.254",)),
        ("https://2852039166", Exemptions(allowed=("169.254.169.254",)), ("169.254.169.254",)),
        ("https://169.254.169.254", Exemptions(allowed=("0xa9.0xfe.43518",)), ("0xa9.0xfe.43518",)),
        ("https://[::ffff:a9fe:a9fe]", Exemptions(allowed=("169.254.169.254",)), ("169.254.169.254",)),
        ("https://[64:ff9b::a9fe:a9fe]", Exemptions(allowed=("169.254.169.254",)), ("169.254.169.254",)),
        (
            "https://[64:ff9b::a9fe:a9fe]",
            Exemptions(allowed=("64:ff9b::169.254.169.254",)),
            ("64:ff9b::169.254.169.254",),
        ),
        ("https://169.254.169.254", Exemptions(allowed=("::ffff:169.254.169.254",)), ("::ffff:169.254.169.254",)),
        ("https://[fd00:ec2::254]", Exemptions(allowed=("[FD00:EC2::254]",)), ("[FD00:EC2::254]",)),
        ("https://" + A_NAME, Exemptions(allowed=("Metadata.Google.Internal.",)), ("Metadata.Google.Internal.",)),
        ("http://" + A_NAME, Exemptions(allowed=(A_NAME,)), (A_NAME,)),
        ("http://" + A_NAME, Exemptions(allow_all=True), (ALLOW_ALL,)),
        ("http://168.63.129.16", Exemptions(allowed=("168.63.129.16",)), ("168.63.129.16",)),
        ("https://" + A_NAME, Exemptions(allow_all=True), (ALLOW_ALL,)),
        ("https://" + A_NAME, Exemptions(allow_all=True, allowed=(A_NAME, "other")), (A_NAME,)),
        ("https://" + A_NAME, Exemptions(allowed=(A_NAME, A_NAME + ".", A_NAME)), (A_NAME, A_NAME + ".")),
        ("https://vault", Exemptions(blocked=("vault",), allowed=("VAULT",)), ("VAULT",)),
        ("http://vault", Exemptions(blocked=("vault",), allowed=("vault",)), ("vault",)),
        ("https://10.0.0.9", Exemptions(blocked=("10.0.0.9",), allow_all=True), (ALLOW_ALL,)),
        ("http://vllm:8000", Exemptions(allow_plaintext=True), (ALLOW_PLAINTEXT,)),
        ("http://8.8.8.8", Exemptions(allow_plaintext=True), (ALLOW_PLAINTEXT,)),
        # nothing is needed, so nothing is in use
        ("http://127.0.0.1", Exemptions(allow_plaintext=True, allow_all=True, allowed=("127.0.0.1",)), ()),
        ("https://api.example.com", Exemptions(allow_plaintext=True, allowed=("api.example.com",)), ()),
    ],
)
def test_an_exemption_lets_a_base_url_through_and_is_named(
    url: str, exemptions: Exemptions, used: tuple[str, ...]
) -> None:
    """Config §9, W10, and §10, precedence: allow always wins, and each exception in use is told as written."""
    verdicts = [judge(url, exemptions) for judge in (judge_base_url, judge_joined_url)]
    assert [(verdict.kind, verdict.reason, verdict.used) for verdict in verdicts] == [(PASSED, "", used)] * 2


@pytest.mark.parametrize(
    ("url", "exemptions", "kind"),
    [
        ("https://169.254.169.254", Exemptions(allowed=("169.254.169.253", A_NAME)), DENIED),
        ("https://" + A_NAME, Exemptions(allowed=("169.254.169.254", "google.internal")), DENIED),
        ("https://" + A_NAME, Exemptions(sinks=(A_NAME,)), DENIED),
        ("http://" + A_NAME, Exemptions(allow_plaintext=True), DENIED),
        ("http://169.254.169.254", Exemptions(allow_plaintext=True), DENIED),
        ("https://169.254.169.254", Exemptions(allowed=("64:ff9b::a9fe:a9fe",)), DENIED),
        ("https://169.254.169.254", Exemptions(allowed=("169.254.0.0/16", "")), DENIED),
        ("https://vault.", Exemptions(blocked=("Vault",)), DENIED),
        ("https://0xa000009", Exemptions(blocked=("10.0.0.9",)), DENIED),
        ("https://[::ffff:10.0.0.9]", Exemptions(blocked=("10.0.0.9",)), DENIED),
        ("ftp://" + A_NAME, Exemptions(allowed=(A_NAME,)), SCHEME),
        ("ftp://a", Exemptions(allow_plaintext=True), SCHEME),
        ("http://api.example.com", Exemptions(allowed=("api.example.com",), allow_all=True), SCHEME),
        ("https://user@169.254.169.254", Exemptions(allow_all=True), MALFORMED),
        ("https://", Exemptions(allow_all=True, allow_plaintext=True), MALFORMED),
    ],
)
def test_an_exemption_opens_nothing_else(url: str, exemptions: Exemptions, kind: RefusalKind) -> None:
    """Config §10: plaintext never opens the denylist, an entry never opens another host or a malformed URL."""
    verdict = judge_base_url(url, exemptions)
    assert (verdict.kind, verdict.used) == (kind, ())


@pytest.mark.parametrize(
    ("url", "entries", "used", "used_by_log"),
    [
        ("https://10.0.0.1", ("10.0.0.1",), ("10.0.0.1",), ("10.0.0.1",)),
        ("http://10.0.0.1", ("0xa000001",), ("0xa000001",), ("0xa000001",)),
        ("https://[::ffff:10.0.0.1]", ("10.0.0.1",), ("10.0.0.1",), ("10.0.0.1",)),
        ("http://collector:4318", ("Collector.",), ("Collector.",), ("Collector.",)),
        ("http://localhost:4318", ("localhost",), (), ("localhost",)),
        ("http://127.0.0.1", ("127.0.0.1",), (), ("127.0.0.1",)),
        ("https://collector", ("collector",), (), ()),
    ],
)
def test_a_listed_sink_passes_private_and_http_included(
    url: str, entries: tuple[str, ...], used: tuple[str, ...], used_by_log: tuple[str, ...]
) -> None:
    """Config §14, X15: the list opens ranges and plain http, and only an entry that was needed is in use."""
    verdicts = [judge(url, Exemptions(sinks=entries)) for judge in (judge_sink, judge_log_sink)]
    assert [(verdict.kind, verdict.used) for verdict in verdicts] == [(PASSED, used), (PASSED, used_by_log)]


@pytest.mark.parametrize(
    ("url", "exemptions", "kind"),
    [
        ("https://" + A_NAME, Exemptions(sinks=(A_NAME,), allowed=(A_NAME,), allow_all=True), DENIED),
        ("https://169.254.1.1", Exemptions(sinks=("169.254.1.1",), allow_all=True), DENIED),
        ("https://vault", Exemptions(blocked=("vault",), sinks=("vault",)), DENIED),
        ("https://10.0.0.1", Exemptions(allowed=("10.0.0.1",), allow_all=True, sinks=("10.0.0.2",)), DENIED),
        ("http://collector", Exemptions(sinks=("other",), allowed=("collector",), allow_plaintext=True), SCHEME),
        ("ftp://collector", Exemptions(sinks=("collector",)), SCHEME),
    ],
)
def test_nothing_else_opens_a_sink(url: str, exemptions: Exemptions, kind: RefusalKind) -> None:
    """Config §14, X15: the list of sinks never opens the denylist, and a provider's exemptions are not a sink's."""
    assert [judge(url, exemptions).kind for judge in (judge_log_sink, judge_sink)] == [kind] * 2


@pytest.mark.parametrize("text", ["169.254.0.0/16", ""])
def test_an_entry_that_is_refused_blocks_nothing(text: str) -> None:
    """Config §6.4: an entry with a complaint stands for no host while the other problems are collected."""
    assert judge_base_url("https://api.example.com", Exemptions(blocked=(text,))) == Verdict(host="api.example.com")


def spelled_part(dice: random.Random, number: int) -> str:
    """Return a number as decimal, hex or octal, zeros before the last two."""
    zeros = "0" * dice.randrange(3)
    return dice.choice((str(number), f"0x{zeros}{number:x}", f"0X{number:X}", f"0{zeros}{number:o}"))


def spelled_ipv4(dice: random.Random, number: int) -> str:
    """Return an address in one to four parts."""
    count = dice.randrange(4)
    firsts = [number >> 24, number >> 16 & 255, number >> 8 & 255][:count]
    last = number & (1 << 8 * (4 - count)) - 1
    return ".".join(spelled_part(dice, part) for part in (*firsts, last))


def spelled_ipv6(dice: random.Random, number: int) -> str:
    """Return an IPv6 address that embeds an IPv4 one."""
    quad = ".".join(str(byte) for byte in number.to_bytes(4, "big"))
    low = dice.choice((quad, f"{number >> 16:x}:{number & 0xFFFF:X}", f"{number >> 16:04X}:{number & 0xFFFF:04x}"))
    prefix = dice.choice(("::ffff:", "::", "0:0:0:0:0:FFFF:", "64:ff9b::", "0064:FF9B:0::"))
    six_to_four = f"2002:{number >> 16:x}:{number & 0xFFFF:x}::{dice.randrange(65536):x}"
    return f"[{dice.choice((prefix + low, six_to_four))}]"


def disguised(dice: random.Random, text: str) -> str:
    """Return a host with some characters percent-encoded, digits widened and dots foreign."""
    wide = [chr(0xFF10 + int(c)) if c.isdecimal() and dice.random() < 0.2 else c for c in text]
    dotted = [dice.choice(".\u3002\uff0e\uff61") if c == "." and dice.random() < 0.2 else c for c in wide]
    return "".join(
        "".join(f"%{byte:02x}" for byte in c.encode()) if c not in "[]" and dice.random() < 0.2 else c for c in dotted
    )


DENIED_NUMBERS = st.one_of(
    st.integers(0xA9FE0000, 0xA9FEFFFF), st.sampled_from((0xA9FEA9FE, 0x646464C8, 0xA83F8110, 0xC00000C0))
)


@PROPERTY
@given(DENIED_NUMBERS, st.randoms(use_true_random=False), st.sampled_from(("https", "http", "HTTPS", "Http")))
def test_no_spelling_of_a_denied_address_passes_any_guard(number: int, dice: random.Random, scheme: str) -> None:
    """Config §10 and operations case 41: however a denied IPv4 address is written, all guards refuse it."""
    is_wrapped = dice.random() < 0.3
    host = spelled_ipv6(dice, number) if is_wrapped else spelled_ipv4(dice, number)
    host = disguised(dice, host) + ("" if is_wrapped else "." * dice.randrange(3))
    userinfo = dice.choice(("", "", "u:p@", "api.example.com@"))
    url = f"{scheme}://{userinfo}{host}{dice.choice(('', ':443', ':'))}{dice.choice(('', '/', '/v1'))}"
    quad = ".".join(str(byte) for byte in number.to_bytes(4, "big"))
    for exemptions in (NONE, Exemptions(sinks=(quad, host), allow_plaintext=True)):
        assert [judge(url, exemptions).kind for judge in (judge_log_sink, judge_sink)] == [DENIED] * 2
        assert [judge(url, exemptions).kind in (DENIED, MALFORMED) for judge in GUARDS] == [True] * 4
    assert judge_base_url(f"{scheme}://{quad}", Exemptions(allowed=(quad,))).kind is PASSED
