"""The steps that play a reply, with each fault and without."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.mock.reply import Reply
from busbar_fast.mock.schedule import GARBAGE, Act, Step, schedule
from busbar_fast.mock.script import Script

TURN = Step(Act.WAIT)
END = Step(Act.END)


def steps_of(*frames: bytes, is_stream: bool = False, **knobs: int) -> list[Step]:
    script = Script(**knobs)  # type: ignore[arg-type]
    return schedule(Reply(200, b"", list(frames), is_stream=is_stream, script=script), script)


def head(length_bytes: int | None, *, close: bool = False) -> Step:
    return Step(Act.HEAD, length_bytes=length_bytes, close=close)


def send(payload: bytes) -> Step:
    return Step(Act.SEND, payload=payload)


def wait(seconds: float) -> Step:
    return Step(Act.WAIT, seconds=seconds)


def test_json_reply_announces_its_length() -> None:
    """Without faults: head, one write, end."""
    assert steps_of(b"{}") == [head(2), send(b"{}"), END]


def test_stream_reply_announces_no_length() -> None:
    """Each frame is a write of its own."""
    assert steps_of(b"a", b"bc", is_stream=True) == [head(None), send(b"a"), send(b"bc"), END]


def test_empty_reply_is_head_and_end() -> None:
    """A reply without payload has nothing to send."""
    assert steps_of() == [head(0), END]


def test_delays_stand_before_head_first_and_further_frames() -> None:
    """Each delay has its own place."""
    steps = steps_of(b"a", b"b", b"c", is_stream=True, delay_head_ms=1500, delay_first_ms=20, delay_frame_ms=3)
    assert steps == [
        wait(1.5),
        head(None),
        wait(0.02),
        send(b"a"),
        wait(0.003),
        send(b"b"),
        wait(0.003),
        send(b"c"),
        END,
    ]


@pytest.mark.parametrize(("knob", "act"), [("cut_at", Act.CUT), ("reset_at", Act.RESET), ("stall_at", Act.STALL)])
def test_payload_breaks_off_after_so_many_bytes(knob: str, act: Act) -> None:
    """Bytes are counted across frames, and the frame at the border is cut."""
    fault: dict[str, Any] = {knob: 4}
    assert steps_of(b"abc", b"def", **fault) == [head(6), send(b"abc"), send(b"d"), Step(act)]


def test_break_at_zero_leaves_only_the_head() -> None:
    """Nothing of the payload is sent, and nobody waits for it."""
    assert steps_of(b"abc", cut_at=0, delay_first_ms=5) == [head(3), Step(Act.CUT)]


def test_break_at_frame_border_sends_whole_frames() -> None:
    """The border itself is no part of the next frame."""
    assert steps_of(b"abc", b"def", stall_at=3) == [head(6), send(b"abc"), Step(Act.STALL)]


def test_break_exactly_at_the_end_leaves_the_message_unfinished() -> None:
    """All payload is sent, but the end of a chunked message is not."""
    assert steps_of(b"abc", is_stream=True, cut_at=3) == [head(None), send(b"abc"), Step(Act.CUT)]


def test_break_beyond_the_end_never_happens() -> None:
    """A fault that the payload does not reach changes nothing."""
    assert steps_of(b"abc", reset_at=4) == [head(3), send(b"abc"), END]


def test_split_writes_pieces_with_a_turn_of_the_loop_after_each() -> None:
    """Pieces do not cross frames, so that each frame may still be delayed."""
    assert steps_of(b"abcde", b"f", split=2) == [
        head(6),
        send(b"ab"),
        TURN,
        send(b"cd"),
        TURN,
        send(b"e"),
        TURN,
        send(b"f"),
        TURN,
        END,
    ]


def test_refusal_closes_without_an_answer() -> None:
    """There is no head; the delay of the head still applies."""
    assert steps_of(b"{}", refuse=1, delay_head_ms=10) == [wait(0.01), Step(Act.CUT)]


def test_garbage_is_raw_and_then_closes() -> None:
    """The bytes stand on the connection as they are."""
    assert steps_of(b"{}", garbage=1) == [Step(Act.RAW, payload=GARBAGE), Step(Act.CUT)]
    assert not GARBAGE.startswith(b"HTTP")


def test_keepalive_off_is_announced_by_the_head() -> None:
    """The client is told that the connection closes."""
    assert steps_of(b"{}", keepalive=0)[0] == head(2, close=True)


def test_late_length_keeps_the_length_to_itself() -> None:
    """A JSON answer is then framed like a stream."""
    assert steps_of(b"{}", late_length=1) == [head(None), send(b"{}"), END]


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=8),
    st.one_of(st.none(), st.integers(min_value=0, max_value=200)),
    st.one_of(st.none(), st.integers(min_value=1, max_value=30)),
)
def test_sent_payload_is_always_a_prefix_of_the_whole(
    frames: list[bytes], cut_at: int | None, split: int | None
) -> None:
    """Whatever the faults, bytes are never changed, and the last step says whether all of them left."""
    script = Script(cut_at=cut_at, split=split)
    whole = b"".join(frames)
    steps = schedule(Reply(200, b"", frames, is_stream=True, script=script), script)
    sent = b"".join(step.payload for step in steps)
    assert sent == (whole if cut_at is None else whole[:cut_at])
    assert (steps[-1] == END) == (cut_at is None or cut_at > len(whole))
    assert all(0 < len(step.payload) <= (split or 20) for step in steps if step.act is Act.SEND)
