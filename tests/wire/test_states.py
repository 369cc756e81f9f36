"""The tables of phases: the whole product of phases and steps is walked."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

import pytest

from busbar_fast.errors import OutOfOrder
from busbar_fast.wire import states
from busbar_fast.wire.states import (
    ANSWER_STEPS,
    DOWNSTREAM_STEPS,
    UPSTREAM_STEPS,
    AnswerPhase,
    DownstreamPhase,
    Step,
    UpstreamPhase,
)

MACHINES: dict[type[IntEnum], tuple[Step[Any], ...]] = {
    DownstreamPhase: DOWNSTREAM_STEPS,
    AnswerPhase: ANSWER_STEPS,
    UpstreamPhase: UPSTREAM_STEPS,
}
LAST: dict[type[IntEnum], set[IntEnum]] = {
    DownstreamPhase: {DownstreamPhase.CLOSED},
    AnswerPhase: {AnswerPhase.DONE, AnswerPhase.CUT},
    UpstreamPhase: {UpstreamPhase.CLOSED},
}

# Step: from which phases to which one. What is not written here is impossible.
POSSIBLE = {
    "bytes in": "IDLE > HEAD",
    "head in": "IDLE HEAD > EXCHANGE",
    "answered": "EXCHANGE > IDLE",
    "body owed": "EXCHANGE > DISCARDING",
    "body discarded": "DISCARDING > IDLE",
    "linger": "IDLE HEAD EXCHANGE DISCARDING > LINGERING",
    "close": "IDLE HEAD EXCHANGE DISCARDING LINGERING > CLOSING",
    "client gone": "IDLE HEAD EXCHANGE DISCARDING LINGERING CLOSING > CLOSED",
    "reply": "PENDING > DONE",
    "start": "PENDING > HELD",
    "first part": "HELD > STREAMING",
    "finish": "HELD STREAMING > DONE",
    "cut": "PENDING HELD STREAMING > CUT",
    "begin": "IDLE > AWAITING_HEAD",
    "answer in": "AWAITING_HEAD > BODY",
    "release": "COMPLETE > IDLE",
    "upstream gone": "IDLE AWAITING_HEAD BODY COMPLETE > CLOSED",
}
# The answer may end after the connection did: its last bytes were received before.
SPECIAL = {"answer ended": {"BODY": "COMPLETE", "CLOSED": "CLOSED"}}

PRODUCT = [
    pytest.param(phase, step, id=f"{kind.__name__}-{phase.name}-{step.name}")
    for kind, steps in MACHINES.items()
    for phase in kind
    for step in steps
]


def goal(phase: IntEnum, step: Step[Any]) -> str | None:
    """Return the name of the phase that a step leads to, by the tables of this file."""
    if step.name in SPECIAL:
        return SPECIAL[step.name].get(phase.name)
    sources, _, target = POSSIBLE[step.name].partition(" > ")
    return target if phase.name in sources.split() else None


@pytest.mark.parametrize(("phase", "step"), PRODUCT)
def test_each_step_leads_where_it_should_or_fails_loudly(phase: IntEnum, step: Step[Any]) -> None:
    """A possible step gives the next phase, an impossible one raises and names phase and step."""
    target = goal(phase, step)
    if target is None:
        with pytest.raises(OutOfOrder) as caught:
            step[phase]
        assert phase.name in str(caught.value)
        assert step.name in str(caught.value)
        assert phase not in step
    else:
        assert step[phase] is type(phase)[target]


@pytest.mark.parametrize("kind", MACHINES)
def test_every_phase_can_be_reached(kind: type[IntEnum]) -> None:
    """From the first phase some way leads to each of the others."""
    reached = {kind(0)}
    for _ in kind:
        reached |= {step[phase] for phase in reached for step in MACHINES[kind] if phase in step}
    assert reached == set(kind)


@pytest.mark.parametrize("kind", MACHINES)
def test_the_last_phases_are_final(kind: type[IntEnum]) -> None:
    """Nothing leads out of a closed connection or an ended answer, and out of every other phase something does."""
    left = {phase for step in MACHINES[kind] for phase, target in step.items() if target is not phase}
    assert set(kind) - left == LAST[kind]


def test_every_step_is_listed_with_its_machine() -> None:
    """No step is left out of the lists, and no name is used twice."""
    listed = [step for steps in MACHINES.values() for step in steps]
    assert steps_of(vars(states).values()) == {id(step) for step in listed}
    assert len({step.name for step in listed}) == len(listed)


def steps_of(things: Iterable[object]) -> set[int]:
    """Return the identities of the steps among these things."""
    return {id(thing) for thing in things if isinstance(thing, Step)}
