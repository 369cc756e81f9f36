"""What host a URL names: the text taken apart in the fixed order of the configuration chapter, section 10.

Every guard reads a URL this way, and whoever connects must use the host found here: a second parser may find another
one. It must not know which hosts are good. No text of a URL but its host gets into a complaint, because the rest may
hold credentials.
"""

import re
from typing import NamedTuple

from busbar_fast.config.guards.addresses import Address, read_ipv4, read_ipv6

BACKSLASH = "a backslash"
USERINFO = "userinfo"
QUERY = "a query"
QUERY_WITHOUT_PATH = "a query that follows no path"
FRAGMENT = "a fragment"
EMPTY_PORT = "an empty port"
ZONE = "a zone id"
EMPTY_LABEL = "an empty label"

_MAX_PORT = 65535
_MOST_RAW_CHARACTERS = 1000  # more is not even decoded
_MOST_CHARACTERS = 253  # RFC 1035 §2.3.4, of a name and of each of its labels
_MOST_LABEL_CHARACTERS = 63
_IDEOGRAPHIC_STOP = "\u3002"  # NFKC turns its narrow form into it and the wide full stop into a dot

# Patterns as texts: a start that reads no URL need not compile them.
_BLANK_OR_CONTROL = r"[\s\x00-\x1f\x7f-\x9f]"
_AUTHORITY_END = r"[/?#]"
_PLACE = r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?"
_PORT = r"0*([0-9]{1,5})"
_ESCAPE = rb"%([0-9A-Fa-f]{2})"
_NAME = r"[a-z0-9._-]+"
_NUMERIC_END = r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)"


class Host(NamedTuple):
    """A host in its one normal form: lower case, ASCII, no trailing dot; an address in its usual spelling."""

    name: str = ""
    address: Address | None = None
    flaw: str = ""  # why nobody can connect to it


class Target(NamedTuple):
    """Where a URL leads. `flaw` says why nobody can use it, `oddities` what a base_url may not hold."""

    scheme: str = ""
    host: Host = Host()
    flaw: str = ""
    oddities: tuple[str, ...] = ()


def has_blank_or_control(text: str) -> bool:
    """Say whether a text holds a space of any kind or a control character."""
    return re.search(_BLANK_OR_CONTROL, text) is not None


def read_target(url: str) -> Target:
    """Take a URL apart."""
    if has_blank_or_control(url):
        return Target(flaw="the URL holds a space or a control character")
    scheme, mark, rest = url.replace("\\", "/").partition("://")
    if not mark:
        return Target(flaw="the URL does not start like https://HOST")
    authority = re.split(_AUTHORITY_END, rest, maxsplit=1)[0]
    _, at, place = authority.rpartition("@")
    parts = re.fullmatch(_PLACE, place)
    if parts is None:
        return Target(flaw=_NO_HOST.flaw)
    raw_host, port = parts.groups()
    host, host_oddities = _read_raw_host(raw_host)
    flaw = host.flaw or _flaw_of_port(port, host)
    oddities = (*_oddities(url, at, rest[len(authority) :], port), *host_oddities)
    return Target(scheme.lower(), host, flaw, oddities)


def read_host(text: str) -> Host:
    """Return the host that a text names which is no URL: a name or an address, brackets around IPv6 or none."""
    inside = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return _read_raw_host(f"[{inside}]" if ":" in inside else text)[0]


def _read_raw_host(raw: str) -> tuple[Host, tuple[str, ...]]:
    """Return the host of a URL's text without userinfo and port, and what is odd about its spelling."""
    if len(raw) > _MOST_RAW_CHARACTERS:
        return _TOO_LONG, ()
    try:
        text = _decode(raw)
    except UnicodeError:
        return _NO_HOST, ()
    if raw.startswith("["):
        address = read_ipv6(text[1:-1].partition("%")[0])
        host = _NO_HOST if address is None else Host(str(address), address)
        return host, (ZONE,) if "%" in raw else ()
    return _host_of(text.rstrip(".")), (EMPTY_LABEL,) if text.endswith("..") else ()


def _decode(raw: str) -> str:
    """Undo percent encoding once, then map to ASCII and lower case as IDNA does, every kind of dot included."""
    text = re.sub(_ESCAPE, lambda escape: bytes.fromhex(escape[1].decode()), raw.encode()).decode()
    if not text.isascii():
        import unicodedata  # noqa: PLC0415  few names need it

        labels = unicodedata.normalize("NFKC", text).replace(_IDEOGRAPHIC_STOP, ".").split(".")
        text = ".".join(label if label.isascii() else label.encode("idna").decode() for label in labels)
    return text.lower()


def _host_of(name: str) -> Host:
    if not name:
        return Host(flaw="the URL has no host")
    if not re.fullmatch(_NAME, name):
        return _NO_HOST
    if len(name) > _MOST_CHARACTERS:
        return _TOO_LONG
    address = read_ipv4(name)
    if address is not None:
        return Host(str(address), address)
    if max(map(len, name.split("."))) > _MOST_LABEL_CHARACTERS:
        return Host(name, flaw=f"host {name} has a label of more than {_MOST_LABEL_CHARACTERS} characters")
    if re.fullmatch(_NUMERIC_END, name):
        return Host(name, flaw=f"host {name} ends in a number but is no IPv4 address")
    if name.startswith(".") or ".." in name:
        return Host(name, flaw=f"host {name} has an empty label")
    return Host(name)


def _flaw_of_port(port: str | None, host: Host) -> str:
    if not port:
        return ""
    digits = re.fullmatch(_PORT, port)
    if digits is not None and int(digits[1]) <= _MAX_PORT:
        return ""
    return f"the port of host {host.name} is no number up to {_MAX_PORT}"


def _oddities(url: str, at: str, tail: str, port: str | None) -> tuple[str, ...]:
    """Return what is odd about a URL beside its host; the tail is what follows the authority."""
    has_query = "?" in tail
    has_path = tail.startswith("/")
    found = {
        BACKSLASH: "\\" in url,
        USERINFO: at == "@",
        QUERY: has_query and has_path,
        QUERY_WITHOUT_PATH: has_query and not has_path,
        FRAGMENT: "#" in tail,
        EMPTY_PORT: port == "",
    }
    return tuple(oddity for oddity, is_there in found.items() if is_there)


_NO_HOST = Host(flaw="the host of the URL is neither a name nor an address")
_TOO_LONG = Host(flaw=f"the host of the URL has more than {_MOST_CHARACTERS} characters")
