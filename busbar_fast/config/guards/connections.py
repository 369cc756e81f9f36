"""The guard at run time: whether an address that a name resolved to may be dialled.

It runs once per new upstream connection. It must not resolve anything itself; the caller dials what was judged here.
"""

from busbar_fast.config.guards.addresses import read_address
from busbar_fast.config.guards.hosts import Host
from busbar_fast.config.guards.rules import Exemptions, Level, Rules


class AddressGuard:
    """The rules for the connections of one provider or sink; two of the same exemptions and level are equal."""

    __slots__ = ("_made_from", "_rules")

    def __init__(self, exemptions: Exemptions, level: Level) -> None:
        self._made_from = (exemptions, level)
        self._rules = Rules(exemptions, level)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressGuard) and self._made_from == other._made_from

    def __hash__(self) -> int:
        return hash(self._made_from)

    def is_allowed(self, host: str, address: str) -> bool:
        """Say whether a host in normal form may be reached at this address; what is no address is refused."""
        found = read_address(address.partition("%")[0].lower())
        if found is None:
            return False
        resolved = Host(address, found)
        rules = self._rules
        is_open = rules.opens_name(host)
        denied = rules.denied(resolved)
        if denied:
            is_provider = self._made_from[1] is Level.PROVIDER
            return (is_open and is_provider) or bool(rules.past_denylist(resolved, denied))
        blocked = rules.blocked(resolved)
        return not blocked or is_open or bool(rules.past_ranges(resolved, blocked))
