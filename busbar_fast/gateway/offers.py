"""What clients can ask for: a pool or a single lane, and how its members are chosen among.

An offer is made of the configuration and replaced with it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.gateway.lanes import Lane
from busbar_fast.reliability.affinity import sticky_index
from busbar_fast.reliability.lanes import DEFAULT
from busbar_fast.reliability.pools import Pool, PoolMember, PoolSettings
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.json_scan import decode_string, find_members

if TYPE_CHECKING:
    from busbar_fast.dialects.dialect import Dialect
    from busbar_fast.gateway.rankers import Ranker  # brings what few pools need

_CONVERSE: Final[Operation] = Operation.CONVERSE
_QUOTE: Final = 0x22


class Affinity(NamedTuple):
    """What keeps a session with one member: a header field, and whether a system prompt may stand in for it."""

    field: bytes
    from_system: bool = False


class Tolerance(NamedTuple):
    """What a translation may lose on the way to the members of a pool, and who hears of it."""

    on_lossy: str = "warn"
    reject_on: Collection[str] = ()
    drops_guards: bool = False
    shows_losses: bool = False
    reasoning: Mapping[str, bool] = {}  # by model, where a member differs from it


class Offer:
    """See the module. Without an affinity every request stands for itself, without a ranker the weights choose."""

    __slots__ = ("_affinity", "_alike", "_lanes", "_serving", "name", "pool", "ranker", "tolerance")

    def __init__(
        self,
        pool: Pool,
        lanes: Mapping[str, Lane],
        affinity: Affinity | None = None,
        ranker: "Ranker | None" = None,
        tolerance: Tolerance = Tolerance(),  # noqa: B008  a record, never changed
    ) -> None:
        self.name = pool.name
        self.tolerance = tolerance
        self.pool = pool
        self.ranker = ranker
        self._affinity = affinity
        self._lanes = lanes
        self._alike: dict[tuple[Dialect, str], Pool] = {}
        self._serving: dict[tuple[Dialect, Operation, str], Pool] = {}

    @property
    def provider(self) -> str:
        """Whose the lane is, where the offer is a lane by itself."""
        return self.pool.members[0].lane.provider

    @property
    def lanes(self) -> list[Lane]:
        """Every lane that takes part, in the order of the configuration."""
        return [self._lanes[member.lane.model] for member in self.pool.members]

    def serving(self, ask: Ask) -> Pool:
        """Return the pool of those members that offer what is asked, in whatever dialect if it can be translated."""
        if ask.operation is _CONVERSE:
            return self.pool  # every lane talks
        found = self._serving.get((ask.dialect, ask.operation, ask.action))
        if found is None:
            pool, lanes = self.pool, self._lanes
            able = [m for m in pool.members if lanes[m.lane.model].offers(ask)]
            found = self._serving[ask.dialect, ask.operation, ask.action] = Pool(pool.name, able, pool.settings)
        return found

    def alike(self, ask: Ask) -> Pool:
        """Return the pool of those members that speak the client's dialect and offer what is asked there."""
        found = self._alike.get((ask.dialect, ask.action))
        if found is None:
            pool, lanes = self.pool, self._lanes
            speaking = [m for m in pool.members if lanes[m.lane.model].dialect is ask.dialect]
            able = [m for m in speaking if lanes[m.lane.model].offers(ask)]
            found = self._alike[ask.dialect, ask.action] = Pool(pool.name, able, pool.settings)
        return found

    def maybe_sticky(self, fields: Fields, body: bytes) -> PoolMember | None:
        """Return the member that the session of a request belongs to, if it names one. `body` is JSON or empty."""
        affinity = self._affinity
        if affinity is None:
            return None
        session = fields.get(affinity.field) or (read_system(body) if affinity.from_system else b"")
        members = self.pool.members
        return members[sticky_index(session, len(members))] if session else None


def read_system(body: bytes) -> bytes:
    """Return the system prompt where it is one string at the top of a body, as its client wrote it; else nothing."""
    spans = find_members(body, (b"system",)).get(b"system") if body else None
    if not spans:
        return b""
    start, end = spans[-1]
    return decode_string(body[start:end]).encode() if body[start] == _QUOTE else b""


def pool_of(name: str, lanes: Sequence[Lane], settings: PoolSettings | None = None) -> Offer:
    """Return a pool of lanes that are called as often as each other, with breakers as they are by default."""
    members = [PoolMember(lane.state, lane.state.cell(name, lane.state.cells[DEFAULT].settings)) for lane in lanes]
    return Offer(Pool(name, members, settings), {lane.name: lane for lane in lanes})


def single(lane: Lane) -> Offer:
    """Return the offer of a lane by itself, on its default cell."""
    member = PoolMember(lane.state, lane.state.cells[DEFAULT])
    return Offer(Pool(lane.name, [member]), {lane.name: lane})
