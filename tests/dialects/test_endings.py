"""What the ends of broken streams of events have in common."""

import pytest

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.endings import DONE, SseEnding
from busbar_fast.dialects.registry import speak_all
from tests.dialects.broken import payloads


class Plain(SseEnding):
    """An ending that tells the usage."""

    __slots__ = ()

    name: bytes | None = b"oh"

    def members(self, usage: Usage | None) -> bytes:
        return b'"no":%d' % (0 if usage is None else usage.output_tokens)


class Marked(Plain):
    """One behind which a marker stands."""

    __slots__ = ()

    name = None
    marker = DONE


@pytest.mark.parametrize(
    ("sent", "last"),
    [
        (b"", b'event: oh\ndata: {"no":0}\n\n'),
        (b"data: {}\n\n", b'event: oh\ndata: {"no":0}\n\n'),
        (b"data: {}\n", b'\nevent: oh\ndata: {"no":0}\n\n'),
        (b'data: {"a":1', b',"no":0}\nevent: oh\n\n'),
        (b"data: <a>", None),
    ],
)
def test_the_report_is_an_event_or_becomes_one(sent: bytes, last: bytes | None) -> None:
    """Reliability §9: one report, as an event of its own or in place of the half one, or none at all."""
    ending = Plain()
    ending.feed(sent)
    assert ending.encode_break() == last


@pytest.mark.parametrize("sent", [b"data: {}\n\n", b'data: {"a":1'])
def test_a_marker_comes_last(sent: bytes) -> None:
    """Reliability §9: the marker ends the stream also after a report."""
    ending = Marked()
    ending.feed(sent)
    last = ending.encode_break(Usage(1, 2))
    assert last is not None
    *_, report, marker = payloads(sent + last)
    assert report.endswith(b'"no":2}')
    assert marker == DONE


def test_what_must_be_said_is_left_to_the_dialect() -> None:
    """An ending that has no words cannot be made."""
    with pytest.raises(TypeError, match="abstract"):
        SseEnding()  # type: ignore[abstract]


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/responses", b"/v1/messages", b"/v2/chat"])
def test_an_end_is_there_from_the_first_byte_on(path: bytes) -> None:
    """Reliability case 57: in every dialect a stream that broke off at once has an end of its own."""
    asks = [ask for dialect in speak_all() if (ask := dialect.claim(path, b"", {})) is not None]
    ending = asks[0].dialect.new_ending(asks[0])
    last = ending.encode_break()
    assert last is not None
    assert payloads(last)
