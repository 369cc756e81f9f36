"""The three guards as rules over a host: what is denied, what is blocked, and which exemption opens it.

The guards of URLs and the guard of connections ask the same rules, so a name and what it resolves to are judged alike.
It must not know URLs.
"""

from enum import IntEnum
from typing import NamedTuple

from busbar_fast.config.guards.denylist import LOOPBACK, PRIVATE, Denylist, is_local_name, within
from busbar_fast.config.guards.entries import HostList, Key
from busbar_fast.config.guards.hosts import Host

ALLOW_ALL = "allow_all_metadata"


class Level(IntEnum):
    """Which guard applies: A for providers, B for the request log's webhook, C for other sinks."""

    PROVIDER = 0
    LOG_SINK = 1
    SINK = 2


_BLOCKED = {Level.PROVIDER: (), Level.LOG_SINK: LOOPBACK + PRIVATE, Level.SINK: PRIVATE}


class Exemptions(NamedTuple):
    """What an operator added to the denylist, and what was allowed past it."""

    blocked: tuple[str, ...] = ()  # security.blocked_metadata_hosts
    allowed: tuple[str, ...] = ()  # security.allow_metadata_hosts and the provider's own allow_metadata_hosts
    allow_all: bool = False  # security.allow_all_metadata
    sinks: tuple[str, ...] = ()  # security.allow_sink_hosts
    allow_plaintext: bool = False  # the provider's allow_plaintext


class Rules:
    """One guard with the exemptions of one provider or sink, the lists read once."""

    __slots__ = ("_allow_all", "_denylist", "_level", "_opening")

    def __init__(self, exemptions: Exemptions, level: Level) -> None:
        self._level = level
        self._denylist = Denylist(exemptions.blocked)
        self._opening = HostList(exemptions.allowed if level is Level.PROVIDER else exemptions.sinks)
        self._allow_all = exemptions.allow_all

    def denied(self, host: Host) -> tuple[Key, ...]:
        """Return as what a host is on the denylist."""
        return self._denylist.offences(host)

    def blocked(self, host: Host) -> tuple[Key, ...]:
        """Return as what a host lies where this kind of sink may not reach."""
        if self._level is Level.LOG_SINK and is_local_name(host.name):
            return (host.name,)
        return within(host, _BLOCKED[self._level])

    def past_denylist(self, host: Host, denied: tuple[Key, ...]) -> tuple[str, ...]:
        """Return the exemptions that open the denylist for a host; a sink has none."""
        if self._level is not Level.PROVIDER:
            return ()
        return self._opening.covering(host, denied) or ((ALLOW_ALL,) if self._allow_all else ())

    def past_ranges(self, host: Host, blocked: tuple[Key, ...]) -> tuple[str, ...]:
        """Return the exemptions that let a sink reach a host outside the denylist, over http too."""
        return self._opening.covering(host, blocked)

    def opens_name(self, name: str) -> bool:
        """Say whether the operator let a name through, whatever it resolves to."""
        return name in self._opening
