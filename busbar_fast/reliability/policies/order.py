"""What becomes of a policy's answer, or of its silence, or of its failure.

A `Decision` is made once per request, before the first attempt. Its order is walked through the usual filter; members
it leaves out are reached by weight afterwards, so no answer can strand a request.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from busbar_fast.reliability.policies.candidates import Candidate, Order


class Decision(NamedTuple):
    """Which members come first, by `idx`; nobody if the policy did not choose.

    A choice is counted once, and a success shows the route headers. With `is_refused` the request ends here: 503,
    overloaded, and no breaker hears of it.
    """

    order: tuple[int, ...] = ()
    is_refused: bool = False


ABSTAINED: Final = Decision()
REFUSED: Final = Decision(is_refused=True)


def decide(order: Order, candidates: Sequence[Candidate]) -> Decision:
    """Return what a policy's answer means; what names nobody, or somebody again, is left out."""
    if not order:
        return ABSTAINED
    known = {candidate.idx for candidate in candidates}
    usable = tuple(idx for idx in dict.fromkeys(order) if idx in known)
    return Decision(usable) if usable else ABSTAINED


def decide_without(on_error: str, candidates: Sequence[Candidate]) -> Decision:
    """Return what the pool wants when its policy failed or took too long: `weighted`, `first` or `reject`."""
    if on_error == "reject":
        return REFUSED
    if on_error == "first":
        return decide([candidate.idx for candidate in candidates], candidates)
    assert on_error == "weighted"
    return ABSTAINED
