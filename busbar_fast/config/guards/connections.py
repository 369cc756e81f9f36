"""The guard at run time: whether an address that a name resolved to may be dialled.

It runs once per new upstream connection. It must not resolve anything itself; the caller dials what was judged here.
"""

from dataclasses import dataclass, field

from busbar_fast.config.guards.addresses import read_address
from busbar_fast.config.guards.hosts import Host
from busbar_fast.config.guards.rules import Exemptions, Level, Rules


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """The rules for the connections of one provider or sink; two of the same exemptions and level are equal."""

    exemptions: Exemptions
    level: Level
    _rules: Rules = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rules", Rules(self.exemptions, self.level))

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
            is_provider = self.level is Level.PROVIDER
            return (is_open and is_provider) or bool(rules.past_denylist(resolved, denied))
        blocked = rules.blocked(resolved)
        return not blocked or is_open or bool(rules.past_ranges(resolved, blocked))
