"""The receive buffer: heads, empty lines and bodies, against a twin that keeps one string."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from busbar_fast.wire.buffers import HEAD_END, HeadBuffer
from tests.wire.twins import every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class OneString:
    """The obvious buffer: one string, searched from its start each time."""

    def __init__(self) -> None:
        self.held = b""
        self.blank_bytes = 0
        self.head_bytes = 0

    def next_head(self, piece: bytes) -> bytes | None:
        self.held += piece
        while self.held.startswith(b"\r\n"):
            self.held = self.held[2:]
            self.blank_bytes += 2
        head, found, rest = self.held.partition(HEAD_END)
        if not found:
            return None
        self.held = rest
        self.head_bytes = self.blank_bytes + len(head) + 4
        self.blank_bytes = 0
        return head + found

    def take(self, most: int) -> bytes:
        taken, self.held = self.held[:most], self.held[most:]
        if not self.held:
            self.blank_bytes = 0
        return taken


pieces = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"A", b"A: b", b"\r\n\r\nC\r\n\r\nD", HEAD, b"\r\n\r", b"\n\r\n"]
    ),
    min_size=1,
    max_size=4,
).map(b"".join)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("next"), pieces | st.just(b"")),
        st.tuples(st.just("feed"), pieces),
        st.tuples(st.just("take"), st.integers(1, 40)),
    ),
    max_size=14,
)


@PROPERTY
@given(what=steps)
def test_buffer_agrees_with_one_string(what: list[tuple[str, bytes | int]]) -> None:
    """Whatever is fed, taken and asked for, the buffer gives and holds what the obvious one does."""
    buffer, twin = HeadBuffer(), OneString()
    for name, argument in what:
        if isinstance(argument, int):
            assert buffer.take(argument) == twin.take(argument)
        elif name == "feed":
            buffer.feed(argument)
            twin.held += argument
        else:
            assert buffer.next_head(argument) == twin.next_head(argument)
        assert (buffer.peek(), len(buffer)) == (twin.held, len(twin.held))
        assert (buffer.blank_bytes, buffer.head_bytes) == (twin.blank_bytes, twin.head_bytes)
        assert buffer.is_empty is (not twin.held and not twin.blank_bytes)


def heads(cut: list[bytes]) -> tuple[list[bytes], bytes]:
    """Return the heads that come of the pieces, and what stays."""
    buffer = HeadBuffer()
    found = []
    for piece in cut:
        head = buffer.next_head(piece)
        while head is not None:
            found.append(head)
            head = buffer.next_head(b"")
    return found, buffer.peek()


@pytest.mark.parametrize(
    "stream",
    [HEAD + b"body", b"\r\n\r\n" + HEAD, HEAD + b"\r\n" + HEAD, HEAD[:-1], b"\r\r\n\r\n", b"A\r\n\r\r\n\r\n\r\n"],
)
def test_heads_are_the_same_for_every_cut(stream: bytes) -> None:
    """However the bytes are cut, the same heads come out and the same bytes stay."""
    whole = heads([stream])
    assert [heads(cut) for cut in every_cut(stream)] == [whole] * (len(stream) + 1)


def test_whole_head_is_not_copied() -> None:
    """A piece that is one head comes back as it is, and nothing is held."""
    buffer = HeadBuffer()
    assert buffer.next_head(HEAD) is HEAD
    assert buffer.is_empty
    assert len(buffer) == 0


def test_endless_blank_lines_are_counted_and_not_kept() -> None:
    """Operations §2: empty lines before a request take no memory, and the count tells what they cost."""
    for piece in (b"\r\n" * 5000, b"\r\n", b"\r", b"\r\n\r"):
        buffer = HeadBuffer()
        stream = piece * 3 if piece != b"\r" else b"\r\n" * 3
        for at in range(0, len(stream), len(piece)):
            assert buffer.next_head(stream[at : at + len(piece)]) is None
        assert buffer.blank_bytes + len(buffer) == len(stream) or piece == b"\r\n\r"
        assert len(buffer._held) <= len(piece) + 8


def test_consumed_bytes_are_dropped() -> None:
    """A buffer that is never quite empty forgets what was consumed before it grows without end."""
    buffer = HeadBuffer()
    buffer.feed(b"A")
    most = 0
    for _ in range(2000):
        buffer.feed(b"a" * 120 + HEAD_END + b"A")
        assert buffer.next_head(b"") == b"A" + b"a" * 120 + HEAD_END
        assert buffer.peek() == b"A"
        most = max(most, len(buffer._held))
    assert most < 70_000


def test_search_goes_on_where_it_stopped() -> None:
    """A large head in single bytes is searched once: half a megabyte of it comes out soon."""
    raw = b"a" * 500_000 + HEAD_END
    buffer = HeadBuffer()
    found = [head for at in range(len(raw)) if (head := buffer.next_head(raw[at : at + 1]))]
    assert found == [raw]


@PROPERTY
@given(
    stream=st.lists(st.sampled_from([b"A", b"\r\nB", HEAD_END + b"C", HEAD + b"D"]), max_size=8).map(b"".join),
    sizes=st.lists(st.integers(1, 9), min_size=1),
    skipped=st.integers(0, 3),
)
def test_each_head_end_is_counted_once(stream: bytes, sizes: list[int], skipped: int) -> None:
    """Whatever pieces the bytes come in, each end of a head is counted in the piece that completes it."""
    buffer = HeadBuffer()
    buffer.feed(b"Z" * (skipped + 1))
    buffer.take(skipped)
    counted, at = 0, 0
    while at < len(stream):
        size = sizes[at % len(sizes)]
        piece = stream[at : at + size]
        buffer.feed(piece)
        counted += buffer.count_new_heads(len(piece))
        at += size
    assert counted == stream.count(HEAD_END)
