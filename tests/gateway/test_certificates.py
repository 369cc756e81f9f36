"""The eye on the files of the TLS material: when it looks, what it takes for a change, what it does about a bad one."""

import logging
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Secret, Tls
from busbar_fast.gateway.certificates import Certificates, new_context
from tests.fakes import FakeLoop

INTERVAL_S = 30


class FakeListener:
    """What holds the context."""

    tls: ssl.SSLContext | None = None


class Bench:
    """Material in a folder, and an eye on it in manual time."""

    loop: Any
    listener: Any

    def __init__(self, folder: Path, interval_s: int) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.loop = FakeLoop()
        self.listener = FakeListener()
        self.issue()
        pieces = [Secret(kind="file", source=str(folder / name)) for name in ("cert", "key", "ca")]
        self.authority.cert_pem.write_to_path(str(folder / "ca"))
        self.tls = Tls(cert=pieces[0], key=pieces[1], client_ca=pieces[2], reload_interval_secs=interval_s)
        self.certificates = Certificates((self.listener,), self.loop, {})
        inputs = Inputs({})
        self.certificates.use(self.tls, new_context(self.tls, inputs), inputs)

    def issue(self) -> None:
        """Write another certificate and its key."""
        made = self.authority.issue_cert("localhost")
        (self.folder / "cert").write_bytes(made.cert_chain_pems[0].bytes())
        (self.folder / "key").write_bytes(made.private_key_pem.bytes())

    def is_renewed(self, after_s: float = INTERVAL_S) -> bool:
        """Say whether there is another context when some time has gone by."""
        before = self.listener.tls
        self.loop.advance(after_s)
        return self.listener.tls is not before


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return material that is looked at."""
    return Bench(tmp_path, INTERVAL_S)


def test_change_is_found_at_the_next_look(bench: Bench) -> None:
    """Operations §1 `reload_interval_secs`: not before, and once for each change."""
    assert not bench.is_renewed()
    bench.issue()
    assert not bench.is_renewed(INTERVAL_S - 1)
    assert bench.is_renewed(1)
    assert not bench.is_renewed(INTERVAL_S * 3)
    trustme.CA().cert_pem.write_to_path(str(bench.folder / "ca"))
    assert bench.is_renewed()


def test_change_between_reading_and_use_is_found(bench: Bench) -> None:
    """Operations §1: what was read counts, so a rotation while a configuration is being made is not lost."""
    inputs = Inputs({})
    context = new_context(bench.tls, inputs)
    bench.issue()
    bench.certificates.use(bench.tls, context, inputs)
    assert bench.is_renewed()
    assert not bench.is_renewed()


def test_same_content_is_nothing_new(bench: Bench) -> None:
    """Operations §1: a file that was written again as it was leaves the material alone."""
    content = (bench.folder / "cert").read_bytes()
    for _ in range(2):
        (bench.folder / "cert").unlink()
        (bench.folder / "cert").write_bytes(content)
        assert not bench.is_renewed()


def test_broken_material_is_told_once_and_leaves_the_old(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Operations §1: on any error the old material stays and an error line names the file, until the next change."""
    for content, why in ((None, "cannot be read: No such file"), (b"nothing", "holds no key that can be read")):
        (bench.folder / "key").unlink()
        if content is not None:
            (bench.folder / "key").write_bytes(content)
        caplog.clear()
        assert not bench.is_renewed(INTERVAL_S * 3)
        (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
        if content is None:
            (bench.folder / "key").touch()
            assert not bench.is_renewed()
        assert f"{bench.folder / 'key'} {why}" in record.getMessage()
        assert str(bench.folder / "key") in record.fields["files"]  # type: ignore[attr-defined]
    bench.issue()
    assert bench.is_renewed()


def test_nobody_looks_without_an_interval(tmp_path: Path) -> None:
    """Operations §1: 0 is off."""
    bench = Bench(tmp_path, 0)
    bench.issue()
    assert not bench.is_renewed(86400)


def test_reload_changes_how_often_is_looked(bench: Bench) -> None:
    """Config §14 X9: another interval counts from the reload on, and 0 ends the looking."""
    for interval_s in (5, 0):
        tls, inputs = bench.tls.with_(reload_interval_secs=interval_s), Inputs({})
        bench.certificates.use(tls, new_context(tls, inputs), inputs)
        bench.issue()
        assert bench.is_renewed() == bool(interval_s)


def test_closed_eye_looks_no_more(bench: Bench) -> None:
    """Config §12: who ends leaves no timer behind."""
    bench.certificates.close()
    bench.issue()
    assert not bench.is_renewed()
    bench.certificates.close()


@pytest.mark.parametrize("name", ["cert", "key", "ca"])
def test_context_needs_every_piece(bench: Bench, name: str) -> None:
    """Operations §1: a piece that OpenSSL cannot use is an OSError, whichever it is."""
    (bench.folder / name).write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(OSError, match=r"."):
        new_context(bench.tls, Inputs({}))
