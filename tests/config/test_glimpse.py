"""A look at two sections of a deployment file: what is read, what may be wrong elsewhere, what may not."""

from pathlib import Path

import pytest

from busbar_fast.config.glimpse import Door, glimpse_door, glimpse_security
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Listen


class Deployment:
    """A deployment file."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "config.yaml")
        self.variables: dict[str, str] = {}

    def door(self, text: str | bytes) -> Door:
        """Return how the gateway of a text is reached."""
        self._write(text)
        return glimpse_door(self.path, Inputs(self.variables))

    def security(self, text: str | bytes) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """Return what a text blocks and allows."""
        self._write(text)
        found = glimpse_security(self.path, Inputs(self.variables))
        return found.blocked_metadata_hosts, found.allow_metadata_hosts, found.allow_all_metadata

    def _write(self, text: str | bytes) -> None:
        Path(self.path).write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def place(tmp_path: Path) -> Deployment:
    """Return a deployment."""
    return Deployment(tmp_path)


@pytest.mark.parametrize(
    ("text", "host", "port", "is_tls"),
    [
        ("", "0.0.0.0", 8080, False),  # noqa: S104  the default
        ("listen:\ntls:\n", "0.0.0.0", 8080, False),  # noqa: S104  same
        ("listen: 127.0.0.1:1", "127.0.0.1", 1, False),
        ("listen: '[::1]:2'\ntls: {}\nmodels: nonsense\n", "::1", 2, True),
        ("\ufefflisten: h:3\ntls: {bogus: 1}\nbogus: 1\n", "h", 3, True),
        ("listen: ${HOST}:${PORT}", "named", 4, False),
        ("listen: h:5\nproviders: ${NOT_SET}\nauth: {client_tokens: ['${ALSO_NOT}']}\n", "h", 5, False),
    ],
)
def test_door_is_all_that_counts(place: Deployment, text: str, host: str, port: int, is_tls: bool) -> None:
    """Config §14 X2: only `listen` and `tls` are read, whatever the rest of the file says."""
    place.variables = {"HOST": "named", "PORT": "4"}
    assert place.door(text) == Door(Listen(host=host, port=port), is_tls)


def test_what_a_connection_begins_with_is_found(place: Deployment) -> None:
    """Operations §12: a check of health has to speak as the balancer in front would."""
    text = "listen: h:1\nserver: {proxy_protocol: v2, trusted_proxies: [10.0.0.0/8]}\nproviders: ${NOT_SET}\n"
    assert place.door(text) == Door(Listen(host="h", port=1), is_tls=False, proxy_protocol="v2")


@pytest.mark.parametrize(
    ("text", "blocked", "allowed", "allows_all"),
    [
        ("", (), (), False),
        ("security:\n", (), (), False),
        ("security: {blocked_metadata_hosts: [a, 10.0.0.1]}", ("a", "10.0.0.1"), (), False),
        ("security: {allow_metadata_hosts: [b], allow_all_metadata: true}\nlisten: nowhere", (), ("b",), True),
        ("security: {blocked_metadata_hosts: ['${NAME}']}\nmodels: ${NOT_SET}", ("x.example",), (), False),
    ],
)
def test_security_is_all_that_counts(
    place: Deployment, text: str, blocked: tuple[str, ...], allowed: tuple[str, ...], allows_all: bool
) -> None:
    """Config §3: only `security` is read, whatever the rest of the file says."""
    place.variables = {"NAME": "x.example"}
    assert place.security(text) == (blocked, allowed, allows_all)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen: nowhere", "listen: must be host:port"),
        ("listen: ${NOT_SET}", "NOT_SET is not set"),
        ("listen: [a]", "listen: must be a text"),
        ("listen: a:1\nlisten: b:2", "listen"),
        ("listen: [a", "config.yaml:"),
        ("listen: a:1\n--- \nlisten: b:2", "config.yaml"),
        (b"listen: \xff", "cannot be read"),
        ("- listen: a:1", "must be a map"),
        ("text", "must be a map"),
    ],
)
def test_unusable_door_is_told(place: Deployment, text: str | bytes, words: str) -> None:
    """Config §14 X2: what keeps the address from being known is one ValueError with the file's path."""
    with pytest.raises(ValueError, match=r"config\.yaml") as raised:
        place.door(text)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "security: {blocked_metadata_hosts: a}",
        "security: {blocked_metadata_hosts: ['']}",
        "security: {allow_metadata_hosts: [10.0.0.0/8]}",
        "security: {allow_all_metadata: 5}",
        "security: {blocked_metadata_hosts: ['${NOT_SET}']}",
        "security: {x: [}",
        b"\x00",
        b"\xff",
        "- x\n",
        "[" * 20000,
    ],
)
def test_unusable_security_is_told(place: Deployment, text: str | bytes) -> None:
    """Config §3: an invalid file or section is one ValueError, so that the built-in list can be shown instead."""
    with pytest.raises(ValueError, match=r"config\.yaml"):
        place.security(text)


def test_missing_file_is_told(place: Deployment) -> None:
    """Config §2: the path and the reason of the system, of a file that is not there and of a folder."""
    with pytest.raises(ValueError, match=r"config\.yaml: cannot be read: No such file"):
        glimpse_door(place.path, Inputs({}))
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        glimpse_security(str(Path(place.path).parent), Inputs({}))
