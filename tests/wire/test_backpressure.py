"""Reasons not to read add up, and the transport is touched only at the first and the last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.wire.backpressure import BUFFERED, PIPELINED, Reader
from tests.fakes import FakeTransport


@pytest.mark.parametrize("reason", [BUFFERED, PIPELINED])
def test_one_reason_pauses_and_resumes_once(reason: int) -> None:
    """Holding twice for a reason pauses once, releasing it resumes once."""
    transport = FakeTransport()
    reader = Reader(transport)
    reader.hold(reason)
    reader.hold(reason)
    assert reader.is_held
    reader.release(reason)
    reader.release(reason)
    assert transport.calls == ["pause", "resume"]
    assert not reader.is_held


def test_reading_goes_on_when_the_last_reason_goes() -> None:
    """With two reasons the transport stays paused until both are gone."""
    transport = FakeTransport()
    reader = Reader(transport)
    reader.hold(BUFFERED)
    reader.hold(PIPELINED)
    reader.release(BUFFERED)
    assert transport.calls == ["pause"]
    reader.release(PIPELINED)
    assert transport.calls == ["pause", "resume"]


def test_both_reasons_can_go_at_once() -> None:
    """A release of several reasons takes back whichever are held."""
    transport = FakeTransport()
    reader = Reader(transport)
    reader.hold(PIPELINED)
    reader.release(BUFFERED | PIPELINED)
    assert transport.calls == ["pause", "resume"]


def test_closing_transport_is_left_alone() -> None:
    """A transport on its way out is neither paused nor resumed, which some loops refuse."""
    transport = FakeTransport()
    reader = Reader(transport)
    transport.close()
    reader.hold(BUFFERED)
    reader.release(BUFFERED)
    assert transport.calls == ["close"]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([BUFFERED, PIPELINED]))))
def test_transport_follows_the_set_of_reasons(steps: list[tuple[bool, int]]) -> None:
    """After every step the transport reads exactly if no reason is held, and is never told twice."""
    transport = FakeTransport()
    reader = Reader(transport)
    held: set[int] = set()
    for is_hold, reason in steps:
        if is_hold:
            reader.hold(reason)
            held.add(reason)
        else:
            reader.release(reason)
            held.discard(reason)
        assert transport.is_reading_now == (not held)
        assert reader.is_held == bool(held)
