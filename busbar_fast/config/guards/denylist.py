"""Which hosts and addresses are special: the metadata denylist and the ranges that the guards tell apart.

It must not know who is let through all the same.
"""

from busbar_fast.config.guards.addresses import Range, ranges
from busbar_fast.config.guards.entries import HostList, Key
from busbar_fast.config.guards.hosts import Host

_DENIED_RANGES = (
    "169.254.0.0/16",  # link-local, where most clouds answer
    "100.100.100.200",  # Alibaba
    "168.63.129.16",  # Azure
    "192.0.0.192",  # Oracle
    "fd00:ec2::254",  # AWS
    "fd00:ec2::/32",
    "fd20:ce::254",  # Google
)
_DENIED_NAMES = (
    "metadata.google.internal",
    "metadata.internal",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.goog",
)

LOOPBACK = ranges("127.0.0.0/8 ::1")
PRIVATE = ranges("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7 fe80::/10 0.0.0.0 :: 255.255.255.255")
PLAINTEXT = ranges(
    "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 100.64.0.0/10 0.0.0.0 ::1 :: fc00::/7 fe80::/10"
)
_DENIED = ranges(" ".join(_DENIED_RANGES))


def denylist() -> tuple[str, ...]:
    """Return the built-in entries as they are printed."""
    return _DENIED_RANGES + _DENIED_NAMES


def is_local_name(name: str) -> bool:
    """Say whether a name means this machine by its text alone (RFC 6761, 6.3)."""
    return name == "localhost" or name.endswith(".localhost")


def within(host: Host, where: tuple[Range, ...]) -> tuple[Key, ...]:
    """Return the readings of a host's address that lie in one of these ranges."""
    if host.address is None:
        return ()
    return tuple(reading for reading in host.address.readings if any(part.holds(reading) for part in where))


def is_loopback(host: Host) -> bool:
    """Say whether a host is this machine, by name or address."""
    return is_local_name(host.name) or bool(within(host, LOOPBACK))


class Denylist:
    """The built-in entries and the operator's."""

    __slots__ = ("_added",)

    def __init__(self, added: tuple[str, ...]) -> None:
        self._added = HostList(added)

    def offences(self, host: Host) -> tuple[Key, ...]:
        """Return as what a host is denied: its name, or those readings of its address; nothing if it is not."""
        if host.address is None:
            is_denied = host.name in _DENIED_NAMES or host.name in self._added
            return (host.name,) if is_denied else ()
        built_in = within(host, _DENIED)
        return tuple(key for key in host.address.readings if key in built_in or key in self._added)
