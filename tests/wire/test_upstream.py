"""Connections to upstreams: heads, bodies and ends, however they are split, and what may be used again."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.errors import BusbarError, UpstreamGarbled, UpstreamGone, UpstreamTimeout
from busbar_fast.wire.backpressure import Receiver
from busbar_fast.wire.framing import LAST_CHUNK
from busbar_fast.wire.heads import CHUNKED, ResponseHead
from busbar_fast.wire.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES, UpstreamLimits
from busbar_fast.wire.parsers import HeadParser, choose_parser
from busbar_fast.wire.states import UpstreamPhase
from busbar_fast.wire.trail import Trail
from busbar_fast.wire.upstream import Upstream
from busbar_fast.wire.wheel import Wheel
from tests.fakes import FakeLoop, FakeTransport, ProbeStrand, expire_after, late

WAIT_S = 10.0
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nonetwo"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3;x=y\r\ntwo\r\n0\r\n\r\n"
TRAILERS = CHUNKS[:-2] + b"X-Sum: 1\r\nX-More: 2\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nonetwo"
SAMPLES = {"length": LENGTH, "chunked": CHUNKS, "trailers": TRAILERS, "until close": TO_THE_END}


class FakeOwner:
    """The origin of one connection."""

    def __init__(self, wheel: Wheel, parser: HeadParser) -> None:
        self.parser = parser
        self.limits = UpstreamLimits(max_header_bytes=500, max_headers=10)
        self.wheel = wheel
        self.last_raw_head = b""
        self.last_method = b""
        self.last_head = ResponseHead(0, 1, {})
        self.log: list[str] = []

    def on_free(self, upstream: Upstream) -> None:
        assert upstream.phase is UpstreamPhase.IDLE
        self.log.append("free")

    def on_closed(self, upstream: Upstream) -> None:
        assert upstream.is_closed
        self.log.append("closed")


class FakeSink:
    """Where a body is poured to; congested when the test says so."""

    def __init__(self, *, is_direct: bool = True) -> None:
        self.transport: asyncio.Transport = FakeTransport()
        self.is_congested = False
        self.strand: ProbeStrand | None = None
        self._is_direct = is_direct

    def write_framed(self, piece: bytes) -> None:
        assert piece
        self.transport.write(piece)

    def maybe_receiver(self) -> Receiver | None:
        return self if self._is_direct else None

    async def drained(self) -> None:
        assert self.strand is not None
        while self.is_congested:
            await self.strand.wait_for(self)

    @property
    def written(self) -> bytes:
        assert isinstance(self.transport, FakeTransport)
        return self.transport.written


class Bench:
    """One connection, leased by a strand, with everything around it faked."""

    def __init__(self, parser: HeadParser, method: bytes = b"POST") -> None:
        self.loop = FakeLoop()
        self.wheel = self.loop.new_wheel()
        self.owner = FakeOwner(self.wheel, parser)
        self.transport = FakeTransport()
        self.upstream = Upstream(self.owner)
        self.upstream.connection_made(self.transport)
        self.strand = ProbeStrand(self.wheel)
        self.begin(method)

    def begin(self, method: bytes = b"POST") -> None:
        """Lease the connection for a request."""
        self.strand = ProbeStrand(self.wheel)
        self.upstream.begin(self.strand, method, WAIT_S)
        self.upstream.write(b"", is_last=True)

    def run(self, coroutine: Any) -> ProbeStrand:
        """Run a coroutine on the strand."""
        return self.strand.start(coroutine)

    def feed(self, *pieces: bytes) -> None:
        """Deliver bytes as the loop would; what was closed or paused gets no more."""
        for piece in pieces:
            if piece and not self.transport.is_closing():
                self.upstream.data_received(piece)

    def end(self) -> None:
        """Let the peer close in good order."""
        if not self.transport.is_closing():
            self.upstream.eof_received()
        self.upstream.connection_lost(None)

    def reset(self) -> None:
        """Let the peer reset the connection."""
        self.upstream.connection_lost(ConnectionResetError())

    async def read_parts(self) -> bytes:
        """Read the answer unframed."""
        with self.upstream as upstream:
            await upstream.read_head()
            parts = []
            while (part := await upstream.next_part()) is not None:
                parts.append(part)
            return b"".join(parts)

    async def read_raw(self) -> bytes:
        """Read the answer's body as it came."""
        with self.upstream as upstream:
            await upstream.read_head()
            parts = []
            while (part := await upstream.next_raw()) is not None:
                assert part
                parts.append(part)
            return b"".join(parts)

    async def read_poured(self) -> bytes:
        """Read the answer's body by pouring it."""
        sink = FakeSink()
        with self.upstream as upstream:
            await upstream.read_head()
            rest = await upstream.pour(sink)
            assert upstream.head is not None
            assert (rest != b"") is (upstream.head.length >= 0)
        return sink.written + rest

    async def read_head(self) -> ResponseHead:
        """Read the head only and keep the connection."""
        return await self.upstream.read_head()


@pytest.fixture(scope="session")
def parser(parser_kind: str) -> HeadParser:
    """Return the parser of this run."""
    return choose_parser(parser_kind)


@pytest.fixture
def bench(parser: HeadParser) -> Bench:
    """Return a connection leased for a POST."""
    return Bench(parser)


def each_split(text: bytes) -> Iterator[list[bytes]]:
    """Yield a text whole, byte by byte, and cut in two at every place."""
    yield [text]
    yield [text[at : at + 1] for at in range(len(text))]
    for at in range(1, len(text)):
        yield [text[:at], text[at:]]


# Heads


def test_head_split_anywhere_is_read_once(parser: HeadParser) -> None:
    """However the answer is cut, its head is the same and the rest is body."""
    for pieces in each_split(LENGTH):
        bench = Bench(parser)
        bench.run(bench.read_parts())
        bench.feed(*pieces)
        head = bench.upstream.head
        assert head is not None
        assert (head.status, head.length, head.is_keep_alive) == (200, 6, True)
        assert head.fields[b"content-type"] == b"text/plain"
        assert bench.strand.result == b"onetwo"
        assert bench.owner.log == ["free"]


def test_interim_answers_are_skipped(parser: HeadParser) -> None:
    """100 and 103 before the answer are dropped, however they arrive, and count as a word of the upstream."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    for pieces in each_split(interim + LENGTH):
        bench = Bench(parser)
        bench.run(bench.read_parts())
        bench.feed(*pieces)
        assert bench.strand.result == b"onetwo"
        assert bench.upstream.has_answered


def test_interim_answer_alone_is_a_word(bench: Bench) -> None:
    """After an interim answer the upstream has spoken, although no head is known."""
    bench.run(bench.read_head())
    before = bench.upstream.has_answered
    bench.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (before, bench.upstream.has_answered, bench.upstream.head) == (False, True, None)


@pytest.mark.parametrize("first", [b"H", b"\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_any_byte_is_a_word(bench: Bench, first: bytes) -> None:
    """A single byte of an answer rules out that the request was never seen."""
    bench.run(bench.read_head())
    bench.feed(first)
    assert bench.upstream.has_answered


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"SSH-2.0-server\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 500 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 600,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 11 + b"\r\n",
        b"\r\n" * 300,
    ],
)
def test_garbled_heads_are_refused(parser: HeadParser, raw: bytes) -> None:
    """What is no acceptable head ends the exchange and the connection, whole or byte by byte."""
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        bench = Bench(parser)
        bench.run(bench.read_parts())
        bench.feed(*pieces)
        assert isinstance(bench.strand.error, UpstreamGarbled)
        assert bench.owner.log == ["closed"]
        assert bench.transport.is_aborted


# Bodies


@pytest.mark.parametrize("kind", SAMPLES)
def test_each_way_of_reading_agrees_on_every_split(parser: HeadParser, kind: str) -> None:
    """Parts hold the payload, raw and poured pieces the framing without last chunk and trailers, for every cut."""
    sample = SAMPLES[kind]
    framed = {"trailers": CHUNKS}.get(kind, sample).partition(b"\r\n\r\n")[2].removesuffix(LAST_CHUNK)
    for pieces in each_split(sample):
        for name, wanted in (("read_parts", b"onetwo"), ("read_raw", framed), ("read_poured", framed)):
            bench = Bench(parser)
            bench.run(getattr(bench, name)())
            bench.feed(*pieces)
            if kind == "until close":
                assert not bench.strand.is_over
                bench.end()
            assert (bench.strand.ends, bench.strand.result) == ([None], wanted), (name, pieces)
            assert bench.owner.log == ["closed" if kind == "until close" else "free"]


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("way", ["read_parts", "read_raw", "read_poured"])
def test_trail_is_what_was_taken(parser: HeadParser, kind: str, way: str) -> None:
    """Reliability §9: however the answer is cut and read, its trail is its payload, and the next answer has none."""
    for pieces in each_split(SAMPLES[kind]):
        bench = Bench(parser)
        trail = bench.upstream.trail = Trail()
        bench.run(getattr(bench, way)())
        bench.feed(*pieces)
        if kind == "until close":
            bench.end()
        else:
            bench.begin()
            assert bench.upstream.trail is None
        assert trail.payload() == b"onetwo"


@pytest.mark.parametrize("kind", ["length", "chunked", "trailers"])
@pytest.mark.parametrize("way", ["read_parts", "read_raw", "read_poured"])
def test_bytes_behind_the_answer_spoil_the_connection(parser: HeadParser, kind: str, way: str) -> None:
    """More than one answer is read as one, and the connection is not used again."""
    sample = SAMPLES[kind] + b"HTTP/1.1 200 OK\r\n\r\n"
    for at in (len(sample), len(sample) - 1, len(SAMPLES[kind]), sample.index(b"\r\n\r\n") + 4):
        bench = Bench(parser)
        bench.run(getattr(bench, way)())
        bench.feed(sample[:at], sample[at:])
        assert bench.strand.ends == [None]
        assert b"HTTP" not in bench.strand.result
        if at == len(SAMPLES[kind]):  # the answer was over, so the rest came while nobody had asked
            assert bench.owner.log == ["free", "closed"]
        else:
            assert bench.owner.log == ["closed"]


@pytest.mark.parametrize("method", [b"HEAD", b"POST"])
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"200 OK"])
def test_answers_without_a_body_are_whole_at_once(parser: HeadParser, method: bytes, status: bytes) -> None:
    """HEAD, 204, 304 and a length of zero end with their head, and the connection lives on."""
    if method == b"POST" and status == b"200 OK":
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    else:
        raw = b"HTTP/1.1 " + status + b"\r\nContent-Length: 6\r\n\r\n"
    bench = Bench(parser, method)
    bench.run(bench.read_parts())
    bench.feed(raw)
    assert bench.strand.result == b""
    assert bench.owner.log == ["free"]


@pytest.mark.parametrize("way", ["read_parts", "read_raw", "read_poured"])
def test_broken_chunks_end_the_exchange(parser: HeadParser, way: str) -> None:
    """A chunk size that is none is an error and not an end, whenever it comes."""
    for pieces in ([CHUNKS[:-5], b"zz\r\n"], [CHUNKS[:-5] + b"zz\r\n"]):
        bench = Bench(parser)
        bench.run(getattr(bench, way)())
        bench.feed(*pieces)
        assert isinstance(bench.strand.error, UpstreamGarbled)
        assert bench.owner.log == ["closed"]


def test_whole_body_is_given_once(bench: Bench) -> None:
    """A body that came with its head can be taken as a whole, once."""
    bench.run(bench.read_head())
    bench.feed(LENGTH)
    assert bench.upstream.maybe_whole() == b"onetwo"
    assert bench.upstream.maybe_whole() is None


@pytest.mark.parametrize(("cap", "wanted"), [(6, (b"onetwo", True)), (5, (b"onetw", False)), (3, (b"one", False))])
def test_read_body_stops_at_its_cap(bench: Bench, cap: int, wanted: tuple[bytes, bool]) -> None:
    """A body is read up to a cap, and whether it is whole is said."""

    async def read() -> tuple[bytes, bool]:
        with bench.upstream as upstream:
            await upstream.read_head()
            return await upstream.read_body(cap)

    bench.run(read())
    bench.feed(CHUNKS[:60], CHUNKS[60:])
    assert bench.strand.result == wanted


# Use again


@pytest.mark.parametrize(
    "fields", [b"Connection: close\r\nContent-Length: 6\r\n", b"Connection: x, CLOSE\r\nContent-Length: 6\r\n"]
)
def test_answer_that_says_close_is_the_last(bench: Bench, fields: bytes) -> None:
    """A connection the upstream wants closed is not used again."""
    bench.run(bench.read_parts())
    bench.feed(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\nonetwo")
    assert bench.owner.log == ["closed"]


def test_request_still_on_its_way_spoils_the_connection(bench: Bench) -> None:
    """A request answered before it was sent out must not run into the next one."""
    bench.run(bench.read_parts())
    bench.transport.buffer_bytes = 1
    bench.feed(LENGTH)
    assert bench.strand.result == b"onetwo"
    assert bench.owner.log == ["closed"]


def test_unread_body_aborts(bench: Bench) -> None:
    """A lease that ends before the answer does takes the request with it."""
    bench.run(bench.read_head())
    bench.feed(LENGTH[:-1])
    bench.upstream.release()
    assert bench.transport.is_aborted
    assert bench.owner.log == ["closed"]
    bench.upstream.release()
    assert bench.owner.log == ["closed"]


def test_connection_serves_many_requests(bench: Bench) -> None:
    """One answer after the other is read on the same connection, whatever their framing."""
    for sample in (CHUNKS, LENGTH, TRAILERS, LENGTH, LENGTH):
        bench.run(bench.read_parts())
        bench.feed(sample)
        assert bench.strand.result == b"onetwo"
        assert bench.upstream.is_reused
        bench.begin()
    assert bench.owner.log == ["free"] * 5


def test_bytes_nobody_asked_for_close_an_idle_connection(bench: Bench) -> None:
    """What an idle upstream says must never become the answer to the next request."""
    bench.run(bench.read_parts())
    bench.feed(LENGTH, b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert bench.owner.log == ["free", "closed"]
    assert bench.transport.is_aborted


def test_idle_connection_retires(bench: Bench) -> None:
    """An idle connection closes after its time, and one in use does not."""
    bench.run(bench.read_parts())
    bench.feed(LENGTH)
    bench.upstream.retire_after(5.0)
    bench.loop.advance(4.9)
    assert bench.owner.log == ["free"]
    bench.loop.advance_past(0.1)
    assert bench.owner.log == ["free", "closed"]
    assert len(bench.wheel) == 0


# Time


@pytest.mark.parametrize("fed", [b"", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n", LENGTH[:-3], CHUNKS[:60]])
def test_silence_is_timed(bench: Bench, fed: bytes) -> None:
    """Whatever is awaited, the wait ends in time with an error, and the connection with it."""
    bench.run(bench.read_parts())
    bench.feed(fed)
    bench.loop.advance(WAIT_S - 0.1)
    assert not bench.strand.is_over
    bench.loop.advance_past(0.1)
    assert isinstance(bench.strand.error, UpstreamTimeout)
    assert bench.transport.is_aborted
    assert len(bench.wheel) == 0


def test_trickling_head_is_not_more_time(bench: Bench) -> None:
    """The wait for the head ends in time however many bytes of it come."""
    bench.run(bench.read_head())
    for at in range(6):
        bench.feed(LENGTH[at : at + 1])
        bench.loop.advance(WAIT_S / 5)
    assert isinstance(bench.strand.error, UpstreamTimeout)


@pytest.mark.parametrize("way", ["read_parts", "read_raw", "read_poured"])
def test_each_piece_of_body_is_more_time(bench: Bench, way: str) -> None:
    """A stream may last for ever as long as its gaps are short, and no gap may be longer."""
    bench.run(getattr(bench, way)())
    bench.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        bench.loop.advance(WAIT_S * 0.9)
        bench.feed(b"3\r\none\r\n")
    assert not bench.strand.is_over
    bench.loop.advance(WAIT_S - 0.1)
    assert not bench.strand.is_over
    bench.loop.advance_past(0.1)
    assert isinstance(bench.strand.error, UpstreamTimeout)


def test_time_spent_elsewhere_is_not_the_upstreams(bench: Bench) -> None:
    """While the strand waits for something else, the upstream is not timed."""
    sink = FakeSink()
    sink.strand = bench.strand

    async def pour() -> None:
        with bench.upstream as upstream:
            await upstream.read_head()
            await upstream.pour(sink)

    bench.run(pour())
    sink.is_congested = True
    bench.feed(CHUNKS[:60])
    bench.loop.advance_past(WAIT_S * 3)
    assert not bench.strand.is_over
    sink.is_congested = False
    bench.strand.wake(sink)
    bench.loop.advance(WAIT_S - 0.1)
    assert not bench.strand.is_over
    bench.loop.advance_past(0.1)
    assert isinstance(bench.strand.error, UpstreamTimeout)


def test_deadline_of_the_strand_takes_the_request_along(bench: Bench) -> None:
    """A strand that expires while it reads drops its connection on the way out."""
    bench.run(bench.read_parts())
    expire_after(bench.strand, 1.0, late)
    bench.feed(CHUNKS[:60])
    bench.loop.advance_past(1.0)
    assert isinstance(bench.strand.error, BusbarError)
    assert bench.owner.log == ["closed"]
    assert len(bench.wheel) == 0


# Pressure


def test_reading_stops_while_nobody_takes(bench: Bench) -> None:
    """Above the high mark of untaken bytes reading stops, below the low mark it goes on, with nothing lost."""
    pieces = [bytes((at,)) * 1024 for at in range(80)]
    size = sum(map(len, pieces))
    bench.run(bench.read_head())
    bench.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    taken: list[bytes] = []
    for piece in pieces:
        assert bench.transport.is_reading_now == (pieces.index(piece) <= HIGH_WATER_BYTES // 1024)
        bench.feed(piece)

    async def take() -> None:
        while (piece := await bench.upstream.next_raw()) is not None:
            taken.append(piece)
            left = size - len(taken) * 1024
            assert bench.transport.is_reading_now == (left < LOW_WATER_BYTES)

    bench.run(take())
    assert taken == pieces
    assert bench.transport.calls == ["pause", "resume"]


def test_congestion_of_the_request_is_awaited(bench: Bench) -> None:
    """`drained` waits while the transport holds too much, and no longer."""

    async def send() -> None:
        await bench.upstream.drained()
        bench.upstream.pause_writing()
        await bench.upstream.drained()

    assert bench.transport.water_marks == (HIGH_WATER_BYTES, LOW_WATER_BYTES)
    bench.run(send())
    assert not bench.strand.is_over
    bench.upstream.resume_writing()
    assert not bench.strand.is_over  # the stock loop cannot bear what a strand may do inside that call
    bench.loop.advance_past(0)
    assert bench.strand.ends == [None]


def test_room_that_is_gone_again_wakes_nobody(bench: Bench) -> None:
    """A transport that filled up again, or is closed, before the loop turned does not wake the strand."""
    bench.upstream.pause_writing()
    bench.run(bench.upstream.drained())
    bench.upstream.resume_writing()
    bench.upstream.pause_writing()
    bench.loop.advance_past(0)
    assert not bench.strand.is_over
    bench.upstream.resume_writing()
    bench.upstream.abort()
    bench.loop.advance_past(0)
    assert not bench.strand.is_over


def test_early_answer_to_an_unfinished_request_spoils_the_connection(bench: Bench) -> None:
    """An upstream that answers before it has the whole request may read the next one as the rest of this one."""
    bench.upstream._has_sent_all = False
    bench.run(bench.read_parts())
    bench.feed(LENGTH)
    assert bench.strand.result == b"onetwo"
    assert bench.owner.log == ["closed"]


def test_writing_to_a_closed_connection_is_harmless(bench: Bench) -> None:
    """Bytes for an upstream that left go nowhere; whoever reads the answer learns the truth."""
    bench.upstream.write(b"POST")
    bench.end()
    bench.upstream.write(b" / HTTP/1.1")
    assert bench.transport.written == b"POST"


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-x\r\n", b"\0\0\x12\4\0", b"HTTP/2", b"HTTP/1.1 200 OK\nServer: x\n\n", b"\r\nHTTX", b"<html>"]
)
def test_what_is_no_http_is_refused_at_once(bench: Bench, raw: bytes) -> None:
    """Nobody waits for the rest of a head that cannot become one, however it is split."""
    bench.run(bench.read_head())
    bench.feed(*(raw[at : at + 1] for at in range(len(raw))))
    assert isinstance(bench.strand.error, UpstreamGarbled)


def test_upstream_that_takes_nothing_is_timed(bench: Bench) -> None:
    """A request that cannot be sent out ends in time."""
    bench.upstream.pause_writing()
    bench.run(bench.upstream.drained())
    bench.loop.advance_past(WAIT_S)
    assert isinstance(bench.strand.error, UpstreamTimeout)


@pytest.mark.parametrize("last", [b"two\r\n0\r\n\r\n", b"two\r\n"])
@pytest.mark.parametrize("ends", ["whole", "gone"])
def test_pouring_meets_congestion_and_end_at_once(bench: Bench, last: bytes, ends: str) -> None:
    """A sink that is full when the upstream ends gets all but the end first, and then the framing gives its verdict."""
    sink = FakeSink()
    sink.strand = bench.strand

    async def pour() -> None:
        with bench.upstream as upstream:
            await upstream.read_head()
            await upstream.pour(sink)

    bench.run(pour())
    bench.feed(CHUNKS.partition(b"3\r\none\r\n")[0] + b"3\r\none\r\n")
    assert sink.written == b"3\r\none\r\n"
    sink.is_congested = True
    bench.feed(b"3\r\n" + last)
    if ends == "gone":
        bench.end()
    assert not bench.strand.is_over
    sink.is_congested = False
    bench.strand.wake(sink)
    assert sink.written == b"3\r\none\r\n3\r\ntwo\r\n"
    if last.endswith(b"0\r\n\r\n"):
        assert bench.strand.ends == [None]
        assert bench.owner.log == ["free" if ends == "whole" else "closed"]
    elif ends == "gone":
        assert isinstance(bench.strand.error, UpstreamGone)
    else:
        assert not bench.strand.is_over


# The peer's end


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("way", ["read_parts", "read_raw", "read_poured"])
@pytest.mark.parametrize("end", ["end", "reset"])
def test_peer_gone_at_every_byte(parser: HeadParser, kind: str, way: str, end: str) -> None:
    """A peer that leaves early is an error; only a body that lasts until the close may end so, and not by a reset."""
    sample = SAMPLES[kind]
    for at in range(len(sample) + 1):
        bench = Bench(parser)
        bench.run(getattr(bench, way)())
        bench.feed(sample[:at])
        was_over = bench.strand.is_over
        assert was_over == (at == len(sample) and kind != "until close")
        getattr(bench, end)()
        if kind == "until close" and end == "end" and at >= sample.index(b"\r\n\r\n") + 4:
            assert bench.strand.ends == [None]
        elif not was_over:
            assert isinstance(bench.strand.error, UpstreamGone)
        assert bench.owner.log.count("closed") == 1
        assert len(bench.wheel) == 0


def test_whole_answer_before_the_end_still_counts(parser: HeadParser) -> None:
    """An answer that was received in full is read although the peer left before anyone read it."""
    for sample, end in ((LENGTH, "end"), (LENGTH, "reset"), (CHUNKS, "end"), (CHUNKS, "reset"), (TO_THE_END, "end")):
        bench = Bench(parser)
        bench.feed(sample[:50], sample[50:])
        getattr(bench, end)()
        bench.run(bench.read_parts())
        assert bench.strand.result == b"onetwo"


def test_until_close_ended_by_a_reset_is_broken_even_if_read_later(parser: HeadParser) -> None:
    """A body that lasts until the close is not whole after a reset, whenever it is read."""
    bench = Bench(parser)
    bench.feed(TO_THE_END)
    bench.reset()
    bench.run(bench.read_parts())
    assert isinstance(bench.strand.error, UpstreamGone)


def test_strand_may_drop_the_connection_inside_the_call_that_woke_it(bench: Bench) -> None:
    """A connection released while it delivers its own failure is closed once, and later events are harmless."""
    bench.run(bench.read_parts())
    bench.upstream.eof_received()
    assert isinstance(bench.strand.error, UpstreamGone)
    bench.upstream.connection_lost(None)
    bench.upstream.resume_writing()
    assert bench.owner.log == ["closed"]


def test_connection_is_leased_again_inside_the_call_that_ended_it(bench: Bench) -> None:
    """The next request may begin on a connection while it still delivers the end of the last one."""
    second = ProbeStrand(bench.wheel)

    async def first() -> None:
        await bench.read_parts()
        bench.upstream.begin(second, b"POST", WAIT_S)
        bench.upstream.write(b"", is_last=True)
        second.start(bench.read_parts())

    bench.run(first())
    bench.feed(CHUNKS[:60], CHUNKS[60:])
    assert not second.is_over
    bench.feed(LENGTH)
    assert second.result == b"onetwo"


# The head memory

HEADS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ]
)
TAILS = st.sampled_from([b"", b"abc", b"ab", b"abcd", b"3\r\nabc\r\n0\r\n\r\n", b"\r\n"])
SCRIPTS = st.lists(
    st.tuples(
        st.sampled_from([b"GET", b"HEAD", b"POST"]),
        st.builds(bytes.__add__, HEADS, TAILS),
        st.one_of(st.none(), st.tuples(st.integers(0, 60), st.integers(0, 255))),
        st.integers(1, 80),
    ),
    min_size=2,
    max_size=6,
)


def serve(bench: Bench, method: bytes, pieces: list[bytes]) -> tuple[object, ...]:
    """Return everything that can be seen of one answer on a fresh connection of this owner."""
    upstream = bench.upstream = Upstream(bench.owner)
    bench.transport = FakeTransport()
    bench.owner.log.clear()
    upstream.connection_made(bench.transport)
    bench.begin(method)
    strand = bench.run(bench.read_parts())
    bench.feed(*pieces)
    ends = [type(end) for end in strand.ends]
    head = upstream.head
    seen = None if head is None else (head.status, head.minor, head.fields, head.length, head.is_keep_alive)
    strand.close()
    return ends, strand.result, seen, tuple(bench.owner.log), upstream.phase


@given(SCRIPTS)
def test_remembered_heads_read_like_fresh_ones(
    parser: HeadParser, script: list[tuple[bytes, bytes, tuple[int, int] | None, int]]
) -> None:
    """An origin that remembers its last head gives the same for every answer as one that remembers nothing."""
    remembering = Bench(parser)
    for method, raw, mutation, cut in script:
        changed = bytearray(raw)
        if mutation is not None and mutation[0] < len(changed):
            changed[mutation[0]] = mutation[1]
        pieces = [bytes(changed[:cut]), bytes(changed[cut:])]
        assert serve(remembering, method, pieces) == serve(Bench(parser), method, pieces)


def test_repeated_head_is_not_parsed_again(bench: Bench) -> None:
    """The memory works: an answer under the same head in one piece shares the record of the last."""
    first = serve(bench, b"POST", [LENGTH])
    head = bench.upstream.head
    assert serve(bench, b"POST", [LENGTH]) == first
    assert bench.upstream.head is head
    serve(bench, b"GET", [LENGTH])
    assert bench.upstream.head is not head


def test_chunked_head_is_known_by_its_length(bench: Bench) -> None:
    """The head of a chunked answer says so, and a printed connection shows where it stands."""
    bench.run(bench.read_head())
    bench.feed(CHUNKS[:47])
    assert bench.strand.result.length == CHUNKED
    assert "BODY" in repr(bench.upstream)
