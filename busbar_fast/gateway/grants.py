"""Whether a request of a virtual key may go on: who signed it, what it may ask for, and what that costs.

A request is looked at when its name is known, before anybody looks up who serves it, so that a key that may ask for a
few names learns nothing about the others. Only gateways with virtual keys import this.
"""

from typing import TYPE_CHECKING

from busbar_fast.aws.verify import Incoming
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.gateway.topology import Topology
from busbar_fast.governance.keys import Key
from busbar_fast.governance.ledger import Charge, Refused
from busbar_fast.reliability.exhaustion import chain
from busbar_fast.wire.heads import values_of

if TYPE_CHECKING:
    from busbar_fast.gateway.requests import Request


def find_signer(request: "Request") -> Key | None:
    """Return the key that a request is signed with, None if nobody signed it well."""
    governor, head = request.visit.governor, request.exchange.head
    assert governor is not None  # only its callers sign
    pairs = [(name, value) for name, joined in head.fields.items() for value in values_of(joined)]
    return governor.find_signer(Incoming(head.method, head.target, pairs, request.body))


def charge(request: "Request", key: Key, name: str) -> Charge | Fault:
    """Charge a request for this name, or return why not."""
    governor = request.visit.governor
    assert governor is not None  # whose key it is
    if not is_permitted(key, name, request.visit.topology):
        return Fault(Kind.FORBIDDEN)
    admitted = governor.admit(key, request.at_s)
    if not isinstance(admitted, Refused):
        return admitted
    if admitted.retry_after_s is None:
        return Fault(Kind.OVER_BUDGET)
    return Fault(Kind.RATE_LIMITED, retry_after_s=admitted.retry_after_s)


def is_permitted(key: Key, name: str, topology: Topology) -> bool:
    """Say whether a key may ask for a name, and for every pool that a request for it may fall back to."""
    if not key.allowed_pools:
        return True
    offer = topology.find(name) or topology.find_lane(name.partition("/")[2])
    return offer is not None and all(key.permits(pool.name) for pool in chain(offer.pool, topology.pools))
