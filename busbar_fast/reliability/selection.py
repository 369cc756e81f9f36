"""Smooth weighted round robin: each member gets its share of the picks, spread as evenly as whole picks allow.

Every pick adds each candidate's weight to its credit, takes the candidate with the most credit, and charges it the sum
of the weights. Who is excluded neither earns nor pays.
"""

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar


class Weighted(Protocol):
    """A member of a rotation."""

    weight: int
    credit: int

    @property
    def has_room(self) -> bool:
        """Whether it could begin at once."""


M = TypeVar("M", bound=Weighted)


def pick(members: Iterable[M], excluded: Collection[M] = (), *, needs_room: bool = False) -> M | None:
    """Return the member whose turn it is, or None if all are excluded, or without the room that is needed."""
    total = 0
    best: M | None = None
    for member in members:
        if member in excluded or (needs_room and not member.has_room):
            continue
        member.credit += member.weight
        total += member.weight
        if best is None or member.credit > best.credit:
            best = member
    if best is not None:
        best.credit -= total
    return best
