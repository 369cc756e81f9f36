"""`listen`, `tls`, `auth`, `server`, `shutdown` and the settings of dialects, read one by one."""

from pathlib import Path

import pytest

from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import NONE, Auth, Listen, Secret, Server, Shutdown, Tls
from busbar_fast.config.sections import doors
from tests.config.cases import paths_of, section_of


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("a: 'h:1'", Listen(host="h", port=1)),
        ("a: '[::1]:0'", Listen(host="::1", port=0)),
        ("a: 'h:99999'", None),
        ("a: h", None),
        ("a: '[h]:1'", None),
        ('a: "h\\x00:1"', None),
        ('a: "h\\x1b:1"', None),
        ('a: "h\\x85:1"', None),
        ("b: 1", None),
    ],
)
def test_addresses_are_read(text: str, listen: Listen | None) -> None:
    """Config §6.1: host and port, else nothing and a complaint."""
    section = section_of(text)
    assert doors.read_listen(section, "a") == listen
    assert bool(section.complaints.errors) is (listen is None and text.startswith("a"))


@pytest.mark.parametrize(
    ("text", "tls", "errors"),
    [
        ("a: 1", None, []),
        ("tls: x", Tls(cert=NONE, key=NONE), ["tls"]),
        (
            "tls: {cert_file: /c, key_file: /k, client_ca_file: /a, reload_interval_secs: 5}",
            Tls(
                cert=Secret(kind="file", source="/c"),
                key=Secret(kind="file", source="/k"),
                client_ca=Secret(kind="file", source="/a"),
                reload_interval_secs=5,
            ),
            [],
        ),
        (
            "tls: {cert: {env: C}, key: {file: /k}}",
            Tls(cert=Secret(kind="env", source="C"), key=Secret(kind="file", source="/k")),
            [],
        ),
        ("tls: {cert: x, key_file: ''}", Tls(cert=NONE, key=NONE), ["tls.cert", "tls.key_file"]),
        ("tls: {key_file: '-----BEGIN X'}", Tls(cert=NONE, key=NONE), ["tls.cert_file", "tls.key_file"]),
    ],
)
def test_tls_is_read(text: str, tls: Tls | None, errors: list[str]) -> None:
    """Config §6.1 and X12: material of files or variables; only the authorities may be missing."""
    section = section_of(text)
    assert (doors.read_tls(section), paths_of(section.complaints.errors)) == (tls, errors)


def test_tls_files_are_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §6.1 and X12: paths are meant from the working folder that the file was read in, however written."""
    monkeypatch.chdir(tmp_path)
    tls = doors.read_tls(section_of("tls: {cert_file: c, key: {file: d/k}}"))
    assert tls is not None
    assert (tls.cert.source, tls.key.source) == (f"{tmp_path}/c", f"{tmp_path}/d/k")


@pytest.mark.parametrize(
    ("text", "auth", "errors"),
    [
        ("a: 1", Auth(), []),
        ("auth: {mode: ' NONE '}", Auth(), []),
        ("auth: {mode: basic}", Auth(), ["auth.mode"]),
        (
            "auth: {mode: token, client_tokens: [t, ' ']}",
            Auth(mode="token", client_tokens=(Secret(kind="text", source="t"), Secret(kind="text", source=" "))),
            ["auth.client_tokens[1]"],
        ),
    ],
)
def test_authentication_is_read(text: str, auth: Auth, errors: list[str]) -> None:
    """Config §6.1: modes in any case, and each token at its place."""
    section = section_of(text)
    assert (doors.read_auth(section), paths_of(section.complaints.errors)) == (auth, errors)


def test_the_process_is_described() -> None:
    """Config §14, X14 and X24: process and shut-down."""
    section = section_of(
        "server: {workers: 1, reuse_port: true, proxy_protocol: v1, trusted_proxies: [10.0.0.0/8, '::1']}\n"
        "shutdown: {drain_timeout_secs: 0}\n"
    )
    assert doors.read_server(section) == Server(
        reuse_port=True, proxy_protocol="v1", trusted_proxies=("10.0.0.0/8", "::1")
    )
    assert doors.read_shutdown(section) == Shutdown(drain_timeout_secs=0)
    assert paths_of(section.complaints.errors) == paths_of(section.complaints.warnings) == []


def test_proxies_are_addresses_or_networks() -> None:
    """Operations §12 "source address": a name or a network with bits of a host is refused, and said where."""
    section = section_of("server: {proxy_protocol: v2, trusted_proxies: [lb.example, 10.0.0.1/8, 10.0.0.1]}\n")
    doors.read_server(section)
    assert list(paths_of(section.complaints.errors)) == ["server.trusted_proxies[0]", "server.trusted_proxies[1]"]
    many = section_of("server: {workers: 3}")
    assert (doors.read_server(many).workers, paths_of(many.complaints.errors)) == (3, ["server.workers"])


def test_settings_of_a_dialect_default_to_their_first_word() -> None:
    """Config §14, X24: a dialect names its settings and their words."""
    section = section_of("d: {x: two}", Inputs({}))
    assert doors.read_dialect(section, "d", {"x": ("one", "two"), "y": ("three",)}) == {"x": "two", "y": "three"}
    assert paths_of(section.complaints.unavailable) == []
