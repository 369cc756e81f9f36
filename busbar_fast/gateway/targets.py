"""Where the requests of a lane go: the URL of a provider and a model, taken apart.

The loader has judged the URL before; the host that is found here is the one that was judged. Knows no sockets.
"""

import re
import socket
from typing import NamedTuple

from busbar_fast.config.schema import Provider
from busbar_fast.dialects.registry import DIALECTS

_MODEL = "{model}"
_BEHIND_BASE = "/{model}"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_find_authority_end = re.compile(r"[/?#]|\Z").search
# RFC 3986 §2.3, and what else may stand in a path or a query; `%` so that nothing is encoded twice.
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_IN_TARGETS = _UNRESERVED | frozenset(b"!$%&'()*+,;=:@/?")


class Target(NamedTuple):
    """The parts of a URL that a request needs."""

    is_tls: bool
    host: str
    port: int
    authority: bytes  # as it stands in the Host field, without a default port
    path: bytes  # and query


def target_of(provider: Provider, model: str) -> Target:
    """Return where a provider takes requests for a model."""
    scheme, _, rest = request_url(provider, model).partition("://")
    authority, slash, path = rest.partition("/")
    return _target(scheme, authority, slash + path)


def sink_target_of(url: str) -> tuple[Target, str]:
    """Return where the URL of a sink leads, and what it says of a user; taken apart as the guard did."""
    scheme, _, rest = url.replace("\\", "/").partition("://")
    found = _find_authority_end(rest)
    assert found is not None  # every text has an end
    userinfo, _, place = rest[: found.start()].rpartition("@")
    path = rest[found.start() :].partition("#")[0]
    return _target(scheme, place, path if path.startswith("/") else "/" + path), userinfo


def _target(scheme: str, authority: str, path: str) -> Target:
    """Return a target of a URL's parts, without userinfo."""
    default_port = _DEFAULT_PORTS[scheme.lower()]
    raw_host, colon, digits = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        raw_host, digits = authority, ""
    host, port = _host(raw_host), int(digits or default_port)
    shown = f"[{host}]" if ":" in host else host
    shown += "" if port == default_port else f":{port}"
    return Target(scheme.lower() == "https", host, port, shown.encode(), _encode(path, _IN_TARGETS).encode())


def request_url(provider: Provider, model: str) -> str:
    """Return the URL of requests for a model.

    A base URL that ends in the first segment of the dialect's own path, as many guides show it, has that segment once.
    """
    base = provider.base_url.rstrip("/")
    own = DIALECTS[provider.protocol].path
    path = provider.path or own
    if provider.path_base:
        path = provider.path_base + own[own.index(_BEHIND_BASE) :]
    first = "/" + path.lstrip("/").partition("/")[0]
    if path == own and base.partition("://")[2].endswith(first):
        path = path.removeprefix(first)
    return base + path.replace(_MODEL, _encode(model, _UNRESERVED))


def _host(raw: str) -> str:
    """Return a host in the form that was judged; for a plain one nothing has to be imported."""
    host = raw.lower().rstrip(".")
    last = host.rpartition(".")[2]
    if host.isascii() and last[:1].isalpha() and host.replace(".", "").replace("-", "").isalnum():
        return host
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        from busbar_fast.config.guards.hosts import read_target  # noqa: PLC0415  5 ms of import that most do not pay

        return read_target(f"https://{raw}/").host.name
    return host


def _encode(text: str, allowed: frozenset[int]) -> str:
    """Return text with every byte percent-encoded that is not allowed."""
    return "".join(chr(byte) if byte in allowed else f"%{byte:02X}" for byte in text.encode())
