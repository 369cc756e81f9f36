"""A pool as selection sees it: its members, how long and how often it tries, and what it does when nobody can serve.

A pool is made of the configuration and replaced with it; what its members live through is in their lanes and cells.
A request that asks for a lane itself gets a pool of that one member, on the lane's default cell.
"""

from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import NamedTuple

from busbar_fast.reliability.breaker import Cell
from busbar_fast.reliability.lanes import LaneState
from busbar_fast.reliability.reminders import Reminder


class Action(IntEnum):
    """What a pool does when nobody can serve."""

    REJECT = 0
    LEAST_BAD = 1  # one attempt in spite of the breakers
    FALL_BACK = 2  # go on in another pool
    QUEUE = 3  # wait for a permit no longer than was set, then reject


class OnExhausted(NamedTuple):
    """An action with what it needs: the name of a pool to fall back to, how long to wait."""

    action: Action = Action.REJECT
    fallback: str = ""
    max_wait_s: float | None = None


class PoolMember:
    """A lane's place in a pool; never changes. What follows the weight is for policies and for whoever sends."""

    __slots__ = ("attempt_timeout_s", "cell", "cost_per_mtok", "lane", "tags", "tier", "weight")

    def __init__(
        self,
        lane: LaneState,
        cell: Cell,
        weight: int = 1,
        *,
        cost_per_mtok: float | None = None,
        tier: str = "",
        tags: tuple[str, ...] = (),
        attempt_timeout_s: float | None = None,
    ) -> None:
        self.lane = lane
        self.cell = cell
        self.weight = weight
        self.cost_per_mtok = cost_per_mtok
        self.tier = tier
        self.tags = tags
        self.attempt_timeout_s = attempt_timeout_s

    def __repr__(self) -> str:
        return f"<PoolMember {self.lane.model} weight={self.weight} {self.cell}>"


class PoolSettings(NamedTuple):
    """How a pool moves from lane to lane. `exclusions` are models."""

    timeout_s: float = 120.0
    max_hops: int = 3
    exclusions: Collection[str] = ()
    on_exhausted: OnExhausted = OnExhausted()


class Pool:
    """See the module. `members` are all in the order of the configuration; `serving` leaves out who never serves."""

    __slots__ = ("last_resorts", "members", "name", "serving", "settings")

    def __init__(self, name: str, members: Sequence[PoolMember], settings: PoolSettings | None = None) -> None:
        self.name = name
        self.settings = settings or PoolSettings()
        self.members = tuple(members)
        self.last_resorts = Reminder()
        excluded = self.settings.exclusions
        self.serving = tuple(m for m in self.members if m.weight > 0 and m.lane.model not in excluded)

    def __repr__(self) -> str:
        return f"<Pool {self.name} serving {len(self.serving)} of {len(self.members)}>"

    def go_on_from(self, before: "Pool | None") -> None:
        """Go on with the rotation of the pool that had this name, if the same lanes take part with the same weights.

        Credit that was earned beside other members means nothing among these.
        """
        if before is None or _shares(before) != _shares(self):
            for member in self.members:
                member.cell.current_weight = 0


def _shares(pool: Pool) -> list[tuple[int, int]]:
    return [(id(member.lane), member.weight) for member in pool.serving]
