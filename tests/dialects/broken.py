"""Streams that break off, and what their ends hold."""

from collections.abc import Iterator

from tests.wire.twins import events_by_the_book

# No word of these may be in what a client reads.
HOUSE_WORDS = (b"busbar", b"gateway", b"pool", b"lane", b"upstream", b"proxy", b"provider", b"backend")


def prefixes(stream: bytes, start: int = 1) -> Iterator[bytes]:
    """Yield the stream cut at every byte from here on, and whole."""
    for end in range(start, len(stream) + 1):
        yield stream[:end]


def payloads(stream: bytes) -> list[bytes]:
    """Return the payload of each event of a stream that ends with one."""
    events, rest = events_by_the_book(stream)
    assert rest.payload is None
    return [event.payload for event in events if event.payload is not None]
