"""TLS contexts for both sides: certificates of upstreams are always verified, clients meet TLS 1.2 and 1.3 only.

Importing this costs 20 ms, which a gateway without TLS does not pay: whoever needs a context imports it then.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_ALPN = ["http/1.1"]
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all of this kind


def new_client_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return a context that verifies certificates and host names; `ca_file` replaces the system's trust store."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_ALPN)
    return context


def new_server_context(chain: bytes, key: bytes, authorities: bytes = b"") -> ssl.SSLContext:
    """Return a context of PEM material; with authorities every client must show a certificate of one of them.

    Raise OSError, which ssl.SSLError is, when the material is not fit or does not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_ALPN)
    with _lend_path(chain) as chain_path, _lend_path(key) as key_path:
        context.load_cert_chain(chain_path, key_path, password=_refuse_password)
    if authorities:
        # People comment their bundles in every language; what is between the certificates does not matter.
        context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
        # An authority in the bundle is trusted whether or not the one that signed it is there as well.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def _lend_path(pem: bytes) -> Iterator[str]:
    """Lend a path at which OpenSSL, which takes chain and key from files only, finds these bytes.

    On Linux they never reach a disk, and nothing has to be writable.
    """
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem"), "wb") as memory:
            memory.write(pem)
            memory.flush()
            yield f"/proc/self/fd/{memory.fileno()}"
        return
    import tempfile  # noqa: PLC0415  needed on other systems only

    with tempfile.NamedTemporaryFile() as file:  # open to nobody else
        file.write(pem)
        file.flush()
        yield file.name


def _refuse_password() -> NoReturn:
    """Keep OpenSSL from asking on the terminal."""
    raise OSError("the key is encrypted")
