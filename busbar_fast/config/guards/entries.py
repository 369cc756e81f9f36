"""The lists of hosts that an operator writes: what an entry may be, and which entries fit a host.

An entry is one exact host name or one exact address. It must not know what a list is for.
"""

from busbar_fast.config.guards.addresses import Address
from busbar_fast.config.guards.hosts import Host, has_blank_or_control, read_host

Key = Address | str  # what a host is compared by: its address, else its name


def complaint_of_entry(entry: str) -> str:
    """Return why an entry of a list of hosts is refused, nothing if it is fine."""
    if not entry.strip():
        return "the entry is blank"
    if has_blank_or_control(entry):
        return "the entry holds a space or a control character"
    if "/" in entry:
        return 'the entry contains "/"; it must be one exact address or host name, no range and no URL'
    if read_host(entry).flaw:
        return "the entry is neither a host name nor an address"
    return ""


def key_of(host: Host) -> Key:
    """Return what a host is compared by; every spelling of an address gives the same."""
    return host.name if host.address is None else host.address.plain


class HostList:
    """The entries of a list, found by the hosts they stand for. An entry with a complaint stands for none."""

    __slots__ = ("_written",)

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._written: dict[Key, tuple[str, ...]] = {}
        for entry in dict.fromkeys(entries):
            if not complaint_of_entry(entry):
                key = key_of(read_host(entry))
                self._written[key] = (*self._written.get(key, ()), entry)

    def __contains__(self, key: Key) -> bool:
        return key in self._written

    def covering(self, host: Host, offences: tuple[Key, ...]) -> tuple[str, ...]:
        """Return the entries, as written, that name the host or else all of its offences; none if some is not named."""
        whole = self._written.get(key_of(host))
        if whole is not None:
            return whole
        found = [self._written.get(offence, ()) for offence in offences]
        return tuple(entry for entries in found for entry in entries) if all(found) else ()
