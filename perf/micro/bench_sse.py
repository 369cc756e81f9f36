"""Splitting, reading and writing events, next to the plainest way: `python -m perf.micro.bench_sse`."""

from functools import partial
from typing import TYPE_CHECKING

from busbar_fast.wire.sse import SseSplitter, encode_event, parse_event
from perf.micro.stopwatch import print_table

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760001000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{"content":" tide"},"finish_reason":null}]}'
)
DELTA = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" tide"}}'

UNNAMED = encode_event(CHUNK)
NAMED = encode_event(DELTA, b"content_block_delta")
CRLF = encode_event(CHUNK, line_end=b"\r\n")
STREAM = UNNAMED * 67

SAMPLES = {
    "data: one event": [UNNAMED],
    "event: and data:, one event": [NAMED],
    "data:, CR LF, one event": [CRLF],
    "data:, two halves": [UNNAMED[:100], UNNAMED[100:]],
    "67 events, one piece": [STREAM],
    "67 events, pieces of 1,460": [STREAM[at : at + 1_460] for at in range(0, len(STREAM), 1_460)],
    "67 events, pieces of 16": [STREAM[at : at + 16] for at in range(0, len(STREAM), 16)],
}


def started() -> SseSplitter:
    """Return a splitter that has seen its first event."""
    splitter = SseSplitter()
    splitter.feed(UNNAMED)
    return splitter


def split(splitter: SseSplitter, pieces: list[bytes]) -> None:
    """Feed every piece."""
    for piece in pieces:
        splitter.feed(piece)


def split_plainly(pieces: list[bytes]) -> list[bytes]:
    """Return the events the way a first draft would: collect, then split; right only for LF and nothing else."""
    held = b""
    events: list[bytes] = []
    for piece in pieces:
        held += piece
        *whole, held = held.split(b"\n\n")
        events += whole
    return events


def main() -> None:
    """Print both tables."""
    rows: list[tuple[str, list[Callable[[], object]]]] = [
        (name, [partial(split, started(), pieces), partial(split_plainly, pieces)]) for name, pieces in SAMPLES.items()
    ]
    print_table("splitting, ns per sample", ("SseSplitter", "bytes.split"), rows)
    once: list[tuple[str, list[Callable[[], object]]]] = [
        ("parse_event data:", [partial(parse_event, UNNAMED)]),
        ("parse_event event: and data:", [partial(parse_event, NAMED)]),
        ("parse_event CR LF (general way)", [partial(parse_event, CRLF)]),
        ("encode_event data:", [partial(encode_event, CHUNK)]),
        ("encode_event event: and data:", [partial(encode_event, DELTA, b"content_block_delta")]),
    ]
    print_table("one event, ns per call", ("",), once)


if __name__ == "__main__":
    main()
