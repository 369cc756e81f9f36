"""TLS material: each piece is judged by itself, key and certificate together, and no key is ever shown."""

import datetime as dt
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from busbar_fast.config.complaints import Complaints, Mark
from busbar_fast.config.cross import Draft
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.pem import check_tls
from busbar_fast.config.schema import NONE, Secret, Tls
from busbar_fast.config.tree import Entries

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("gateway.example")
CHAIN = b"".join(blob.bytes() for blob in LEAF.cert_chain_pems)
KEY = LEAF.private_key_pem.bytes()
OTHER = AUTHORITY.issue_cert("other.example")
ROOT = AUTHORITY.cert_pem.bytes()
PRIVATE = ec.generate_private_key(ec.SECP256R1())


def written(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, form: PrivateFormat, password: bytes = b"") -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(password) if password else NoEncryption())


def certificate(*, is_ca: bool | None, subject: str = "a", issuer: str = "a") -> bytes:
    """Return a certificate of `PRIVATE` that says whether it is an authority, or does not say."""
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    builder = x509.CertificateBuilder(
        issuer_name=names[1],
        subject_name=names[0],
        public_key=PRIVATE.public_key(),
        serial_number=1,
        not_valid_before=now,
        not_valid_after=now + dt.timedelta(days=9999),
    )
    if is_ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    return builder.sign(PRIVATE, hashes.SHA256()).public_bytes(Encoding.PEM)


def judged(folder: Path, cert: bytes, key: bytes, client_ca: bytes | None = None) -> tuple[list[str], list[str]]:
    """Return what is said about material in files, with the folder left out, and the warnings."""
    sources = {}
    for name, content in (("cert", cert), ("key", key), ("client_ca", client_ca)):
        file = folder / name
        if content is not None:
            file.write_bytes(content)
            file.chmod(0o600)
        sources[name] = NONE if content is None else Secret(kind="file", source=str(file))
    mark = Mark(file="f")
    root, tls = Entries(mark), Entries(mark)
    root.entries["tls"], root.keys["tls"] = tls, mark
    draft = Draft(root, Complaints(), Inputs({}))
    check_tls(draft, Tls(cert=sources["cert"], key=sources["key"], client_ca=sources["client_ca"]))
    said = [f"{error.path[-1]} {error.reason}".replace(f"{folder}/", "") for error in draft.complaints.errors]
    return said, [warning.id for warning in draft.complaints.warnings]


@pytest.mark.parametrize(
    ("cert", "key", "client_ca"),
    [
        (CHAIN, KEY, None),
        (CHAIN, KEY, ROOT),
        (CHAIN, KEY, certificate(is_ca=False) + ROOT),
        (CHAIN, KEY, certificate(is_ca=None)),
        (b"words before\n" + CHAIN + KEY, CHAIN + KEY, None),
        (certificate(is_ca=None), written(PRIVATE, PrivateFormat.PKCS8), None),
        (certificate(is_ca=None), written(PRIVATE, PrivateFormat.TraditionalOpenSSL), None),
    ],
)
def test_material_that_serves_is_silent(cert: bytes, key: bytes, client_ca: bytes | None, tmp_path: Path) -> None:
    """Config §6.1: a chain, its key in any form, and a bundle with at least one authority."""
    assert judged(tmp_path, cert, key, client_ca) == ([], [])


RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("cert", "key", "client_ca", "said"),
    [
        (b"", b"", None, ["cert is empty", "key is empty"]),
        (KEY, KEY, None, ["cert holds no certificate; a PEM chain was expected, the leaf first"]),
        (
            b"-----BEGIN CERTIFICATE-----\nhush\n-----END CERTIFICATE-----\n",
            KEY,
            None,
            ["cert holds a certificate that cannot be read; a PEM chain was expected, the leaf first"],
        ),
        (
            CHAIN,
            CHAIN,
            None,
            ["key holds no key that can be read; PEM in PKCS#8, PKCS#1 or SEC1 form was expected"],
        ),
        (
            CHAIN,
            PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            None,
            ["key holds no key that can be read; PEM in PKCS#8, PKCS#1 or SEC1 form was expected"],
        ),
        (
            CHAIN,
            written(PRIVATE, PrivateFormat.PKCS8, b"pw"),
            None,
            ["key is encrypted; a key without a password was expected"],
        ),
        (
            CHAIN,
            written(RSA, PrivateFormat.TraditionalOpenSSL, b"pw"),
            None,
            ["key is encrypted; a key without a password was expected"],
        ),
        (
            CHAIN,
            written(RSA, PrivateFormat.TraditionalOpenSSL),
            None,
            ["key key is not the key of the certificate in cert"],
        ),
        (CHAIN, OTHER.private_key_pem.bytes(), None, ["key key is not the key of the certificate in cert"]),
        (
            CHAIN,
            ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            None,
            ["key key is not the key of the certificate in cert"],
        ),
        (CHAIN, KEY, KEY, ["client_ca holds no certificate; a PEM bundle of one or more authorities was expected"]),
        (
            CHAIN,
            KEY,
            certificate(is_ca=False) + certificate(is_ca=None, issuer="b"),
            ["client_ca holds no certificate authority; a PEM bundle of one or more authorities was expected"],
        ),
    ],
)
def test_each_unfit_piece_is_named(
    cert: bytes, key: bytes, client_ca: bytes | None, said: list[str], tmp_path: Path
) -> None:
    """Config §6.1: the error names the field, what was found and what was expected, and quotes no key."""
    assert judged(tmp_path, cert, key, client_ca)[0] == said


def test_a_key_that_all_can_read_is_warned_about(tmp_path: Path) -> None:
    """Config §9, W16: only the key is a secret."""
    judged(tmp_path, CHAIN, KEY)
    for name in ("cert", "key"):
        (tmp_path / name).chmod(0o644)
    mark = Mark(file="f")
    draft = Draft(Entries(mark), Complaints(), Inputs({}))
    sources = [Secret(kind="file", source=str(tmp_path / name)) for name in ("cert", "key")]
    check_tls(draft, Tls(cert=sources[0], key=sources[1]))
    assert [(warning.id, warning.path) for warning in draft.complaints.warnings] == [("W16", ("tls", "key"))]


def test_material_may_stand_in_variables(tmp_path: Path) -> None:
    """Config §14, X12: a variable holds PEM text; one that is not set is named, and so is a missing file."""
    environment = {"C": CHAIN.decode(), "K": KEY.decode()}
    for cert, key, said in (
        (Secret(kind="env", source="C"), Secret(kind="env", source="K"), []),
        (Secret(kind="env", source="C"), Secret(kind="env", source="NOPE"), [("is not set or empty", "NOPE")]),
        (
            Secret(kind="file", source=str(tmp_path / "no")),
            Secret(kind="env", source="K"),
            [("cannot be read: No such file or directory", str(tmp_path / "no"))],
        ),
        (NONE, Secret(kind="env", source="K"), []),
    ):
        draft = Draft(Entries(Mark(file="f")), Complaints(), Inputs(environment))
        check_tls(draft, Tls(cert=cert, key=key))
        assert [(error.reason, error.got) for error in draft.complaints.errors] == said


def test_a_key_of_an_unknown_kind_is_unfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §6.1: a certificate whose key the library cannot read is an error, not a traceback."""

    class Odd:
        """A certificate of a kind that nobody supports."""

        @staticmethod
        def public_key() -> object:
            """Raise what the library raises."""
            raise ValueError

    monkeypatch.setattr(x509, "load_pem_x509_certificates", lambda _: [Odd()])
    assert judged(tmp_path, CHAIN, KEY)[0] == ["cert holds a kind of key that is not supported"]


def test_an_authority_with_broken_extensions_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §6.1: a certificate whose extensions cannot be read does not count as an authority."""

    class Odd:
        """A certificate with an extension twice."""

        @property
        def extensions(self) -> object:
            """Raise what the library raises."""
            raise ValueError

        @staticmethod
        def public_key() -> object:
            """Return the right key."""
            return x509.load_pem_x509_certificate(CHAIN).public_key()

    monkeypatch.setattr(x509, "load_pem_x509_certificates", lambda _: [Odd()])
    said = judged(tmp_path, CHAIN, KEY, ROOT)[0]
    assert said == ["client_ca holds no certificate authority; a PEM bundle of one or more authorities was expected"]
