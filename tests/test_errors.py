"""The taxonomy states its facts, and states them consistently."""

from enum import IntEnum

import pytest

from busbar_fast import errors
from busbar_fast.errors import (
    BusbarError,
    ConnectFailed,
    ConnectTimeout,
    FaultReported,
    Misshapen,
    OutOfOrder,
    Refused,
    Retry,
    ScriptRefused,
    Side,
)


class Phase(IntEnum):
    """A phase for the message."""

    IDLE = 0


TAXONOMY = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, BusbarError)]


@pytest.mark.parametrize("kind", TAXONOMY)
def test_every_error_states_its_three_facts(kind: type[BusbarError]) -> None:
    """Side, retry and a status that tells of a failure are class attributes of each error."""
    assert isinstance(kind.side, Side)
    assert isinstance(kind.retry, Retry)
    assert 400 <= kind.status < 600


@pytest.mark.parametrize("kind", TAXONOMY)
def test_status_and_retry_agree_with_the_side(kind: type[BusbarError]) -> None:
    """The client's fault is a 4xx that is never tried again, anybody else's is a 5xx."""
    if kind.side is Side.DOWNSTREAM:
        assert (kind.status < 500, kind.retry) == (True, Retry.NO)
    else:
        assert kind.status >= 500


def test_refusal_carries_its_own_status() -> None:
    """A refusal answers with the status it was made with and keeps its reason."""
    refusal = Refused(431, "too many fields")
    assert (refusal.status, str(refusal), Refused.status) == (431, "too many fields", 400)


def test_connect_timeout_is_a_failure_to_connect() -> None:
    """Whoever handles a failed connection handles one that took too long."""
    assert issubclass(ConnectTimeout, ConnectFailed)
    assert ConnectTimeout.retry is Retry.YES


def test_step_out_of_order_names_phase_and_step() -> None:
    """The message of a broken invariant names both, for the bug report."""
    message = str(OutOfOrder(Phase.IDLE, "head in"))
    assert "IDLE" in message
    assert "head in" in message


def test_a_refused_script_names_its_line() -> None:
    """Whoever wrote the script learns where to look and why."""
    refused = ScriptRefused(3, "loops")
    assert (refused.line, refused.reason, str(refused)) == (3, "loops", "line 3 of the script: loops")


def test_wrong_shape_names_the_member() -> None:
    """Whoever wrote a document learns which member is wrong, and why if there is more to say."""
    assert (str(Misshapen("a.b")), Misshapen("a.b").param) == ("a.b", "a.b")
    assert (str(Misshapen("a", "is odd")), Misshapen("a", "is odd").reason) == ("a: is odd", "is odd")


def test_reported_fault_keeps_its_payload() -> None:
    """What an upstream said of its failure is read by whoever knows its dialect."""
    assert (FaultReported(b"{}").payload, FaultReported(b"{}").side) == (b"{}", Side.UPSTREAM)
