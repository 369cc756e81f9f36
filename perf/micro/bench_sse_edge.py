"""Knowing where a stream stands, next to a look at its last bytes: `python -m perf.micro.bench_sse_edge`."""

from functools import partial
from typing import TYPE_CHECKING

from busbar_fast.wire.sse import encode_event
from busbar_fast.wire.sse_edge import SseEdge
from perf.micro.stopwatch import print_table

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760001000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{"content":" tide"},"finish_reason":null}]}'
)
EVENT = encode_event(CHUNK)
CRLF = encode_event(CHUNK, line_end=b"\r\n")
STREAM = EVENT * 67

SAMPLES = {
    "one event": [EVENT],
    "one event, CR LF": [CRLF],
    "one event, two halves": [EVENT[:100], EVENT[100:]],
    "67 events, one piece": [STREAM],
    "67 events, pieces of 1,460": [STREAM[at : at + 1_460] for at in range(0, len(STREAM), 1_460)],
}


def note(edge: SseEdge, pieces: list[bytes]) -> None:
    """Feed every piece."""
    for piece in pieces:
        edge.feed(piece)


def look(pieces: list[bytes]) -> bool:
    """Do the least that could tell the end of an event."""
    is_edge = False
    for piece in pieces:
        is_edge = piece.endswith(b"\n\n")
    return is_edge


def main() -> None:
    """Print the table."""
    rows: list[tuple[str, list[Callable[[], object]]]] = [
        (name, [partial(note, SseEdge(), pieces), partial(look, pieces)]) for name, pieces in SAMPLES.items()
    ]
    print_table("noting what is sent, ns per sample", ("SseEdge", "bytes.endswith"), rows)


if __name__ == "__main__":
    main()
