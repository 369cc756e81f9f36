"""What a client of this dialect reads of a stream that broke off."""

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import EventStreamError

from busbar_fast.aws.eventstream import encode_event
from busbar_fast.dialects.bedrock.endings import FrameEnding
from busbar_fast.dialects.bedrock.requests import DIALECT
from busbar_fast.dialects.dialect import Refusal
from tests.dialects.bedrock.official import client
from tests.dialects.broken import HOUSE_WORDS, prefixes

FRAMES = [
    encode_event("messageStart", b'{"role":"assistant"}'),
    encode_event("contentBlockDelta", '{"contentBlockIndex":0,"delta":{"text":"mar\u00e9e"}}'.encode()),
    encode_event("contentBlockStop", b'{"contentBlockIndex":0}'),
]
STREAM = b"".join(FRAMES)
EDGES = {0, len(FRAMES[0]), len(FRAMES[0] + FRAMES[1]), len(STREAM)}
TEXT = "The system encountered an unexpected error during processing. Try your request again."


def ending(*pieces: bytes) -> bytes | None:
    """Return the end of a stream that broke off behind these pieces."""
    made = FrameEnding()
    for piece in pieces:
        made.feed(piece)
    return made.encode_break()


def read_by_the_client(stream: bytes) -> tuple[list[str], EventStreamError | None]:
    """Return the names of the events that boto3 gives out, and what it raises in the end."""
    fields = b"Content-Type: application/vnd.amazon.eventstream\r\n"
    answer = client(lambda _target, _fields: Refusal(200, fields, stream)).converse_stream(modelId="m", messages=[])
    names: list[str] = []
    try:
        names.extend(name for event in answer["stream"] for name in event)
    except EventStreamError as error:
        return names, error
    return names, None


def test_the_client_raises_wherever_the_stream_breaks_between_frames() -> None:
    """Reliability case 57: boto3 gives out whole events and then raises the exception by its own name."""
    for end in sorted(EDGES):
        last = ending(STREAM[:end])
        assert last is not None
        names, error = read_by_the_client(STREAM[:end] + last)
        assert error is not None
        assert error.response["Error"] == {"Code": "internalServerException", "Message": TEXT}
        assert len(names) == sorted(EDGES).index(end)


def test_inside_a_frame_nothing_can_be_said() -> None:
    """Reliability §9: a frame says its length first, so behind half of one the connection has to be cut."""
    for part in prefixes(STREAM):
        assert (ending(part) is None) == (len(part) not in EDGES)
        assert ending(*[bytes((byte,)) for byte in part]) == ending(part)


def test_the_end_is_one_sound_frame() -> None:
    """Reliability §9: botocore checks both sums; the member's name is spelt as clients know it, and is no SSE text."""
    last = ending(STREAM)
    assert last is not None
    buffer = EventStreamBuffer()
    buffer.add_data(last)
    (message,) = list(buffer)
    assert message.headers == {
        ":exception-type": "internalServerException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    assert message.payload == b'{"message":"%b"}' % TEXT.encode()
    assert [word for word in HOUSE_WORDS if word in last.lower()] == []


@pytest.mark.parametrize("garbage", [b"data: x\n\n", b"\0\0\0\x0f" * 4, b"\0\0\0\0"])
def test_behind_what_is_no_frame_nothing_can_be_said(garbage: bytes) -> None:
    """Reliability case 61: nobody knows where a frame would begin."""
    assert ending(STREAM, garbage) is None
    assert ending(STREAM, garbage, STREAM) is None


def test_the_dialect_makes_it() -> None:
    """The gateway asks the dialect, whatever the request was."""
    ask = DIALECT.claim(b"/model/m/converse-stream", b"", {})
    assert ask is not None
    assert isinstance(DIALECT.new_ending(ask), FrameEnding)
