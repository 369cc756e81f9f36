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


M = TypeVar("M", bound=Weighted)


def pick(members: Iterable[M], excluded: Collection[M] = ()) -> M | None:
    """Return the member whose turn it is, or None if all are excluded."""
    total = 0
    best: M | None = None
    for member in members:
        if member in excluded:
            continue
        member.credit += member.weight
        total += member.weight
        if best is None or member.credit > best.credit:
            best = member
    if best is not None:
        best.credit -= total
    return best
