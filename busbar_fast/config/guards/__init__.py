"""Which hosts an outbound URL may name and which addresses they may resolve to; knows neither sockets nor files."""

from busbar_fast.config.guards.connections import AddressGuard
from busbar_fast.config.guards.denylist import denylist
from busbar_fast.config.guards.entries import complaint_of_entry
from busbar_fast.config.guards.rules import Exemptions, Level

__all__ = [
    "AddressGuard",
    "Exemptions",
    "Level",
    "complaint_of_entry",
    "denylist",
]
