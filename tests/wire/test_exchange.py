"""Exchanges: the answer's states and framings, the body's caps, and which answer is the last on a connection."""

import asyncio
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.clock import DateLine
from busbar_fast.errors import BodyTooLarge, LengthBroken, OutOfOrder
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.framing import encode_chunk
from busbar_fast.wire.heads import CHUNKED, HeadWriter, RequestHead
from busbar_fast.wire.states import AnswerPhase
from tests.fakes import FakeLoop, FakeTransport, run_now

TYPE = b"Content-Type: text/plain\r\n"


class FakeClient:
    """The connection an exchange came by; counts what it is told."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = FakeTransport()
        self.is_congested = False
        self.peer = "192.0.2.1"
        self.is_last = False
        self.wanted = 0
        self.taken = 0
        self.ends: list[BaseException | None] = []

    def must_close(self) -> bool:
        return self.is_last

    def on_body_wanted(self) -> None:
        self.wanted += 1

    def on_body_taken(self) -> None:
        self.taken += 1

    def on_exchange_over(self, exchange: Exchange, error: BaseException | None) -> None:
        assert exchange.is_over
        self.ends.append(error)


class Bench:
    """One exchange with its fake client."""

    def __init__(
        self, method: bytes = b"POST", length: int = 0, *, minor: int = 1, cap: int = 1000, whole: bytes | None = b""
    ) -> None:
        head = RequestHead(method, b"/", minor, {})
        head.length = length
        head.is_keep_alive = minor == 1
        self.loop = FakeLoop()
        self.wheel = self.loop.new_wheel()
        self.client = FakeClient()
        self.exchange = Exchange(self.client, self.wheel, HeadWriter(DateLine()), head, cap, whole)

    @property
    def transport(self) -> FakeTransport:
        return cast("FakeTransport", self.client.transport)

    def answer(self) -> tuple[list[bytes], bytes]:
        """Return the lines of the head written, without the date, and what came behind it."""
        head, _, body = self.transport.written.partition(b"\r\n\r\n")
        return [line for line in head.split(b"\r\n") if not line.startswith(b"Date: ")], body


def outgoing(length: int, *, minor: int = 1) -> Bench:
    """Return the bench of a request whose body of this length has not begun."""
    return Bench(length=length, minor=minor, whole=None)


# The answer


def test_reply_is_one_write() -> None:
    """An answer given as a whole leaves with its head in one write."""
    bench = Bench()
    bench.exchange.reply(200, TYPE, b"hello")
    assert len(bench.transport.writes) == 1
    assert bench.answer() == ([b"HTTP/1.1 200 OK", TYPE[:-2], b"Content-Length: 5"], b"hello")
    assert bench.exchange.phase is AnswerPhase.DONE


@pytest.mark.parametrize("status", [204, 304])
def test_reply_without_body_has_no_framing(status: int) -> None:
    """A status that has no body gets neither a length nor bytes."""
    bench = Bench()
    bench.exchange.reply(status, b"", b"ignored")
    head, body = bench.answer()
    assert (len(head), body) == (1, b"")


def test_reply_to_head_keeps_the_length() -> None:
    """HEAD is told the length of what GET would bring, and nothing of it."""
    bench = Bench(b"HEAD")
    bench.exchange.reply(200, b"", b"hello")
    assert bench.answer() == ([b"HTTP/1.1 200 OK", b"Content-Length: 5"], b"")


def test_head_waits_for_the_first_part() -> None:
    """A head begun is not written before the first body bytes, and then in the same write."""
    bench = Bench()
    bench.exchange.start(200, TYPE)
    bench.exchange.write(b"")
    assert bench.transport.writes == []
    bench.exchange.write(b"one")
    assert len(bench.transport.writes) == 1
    bench.exchange.write(b"two")
    bench.exchange.finish()
    assert bench.answer() == (
        [b"HTTP/1.1 200 OK", TYPE[:-2], b"Transfer-Encoding: chunked"],
        b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
    )


def test_empty_streams_leave_in_one_write() -> None:
    """Without any part, head and end leave together, whatever the framing."""
    for length, end in ((None, b"0\r\n\r\n"), (0, b"")):
        bench = Bench()
        bench.exchange.start(200, b"", length)
        bench.exchange.finish()
        assert len(bench.transport.writes) == 1
        assert bench.answer()[1] == end


def test_flush_sends_the_head_alone_once() -> None:
    """A head may be sent before its body, once, and not before it was begun."""
    bench = Bench()
    bench.exchange.flush()
    bench.exchange.start(200, b"", 3)
    bench.exchange.flush()
    bench.exchange.flush()
    assert len(bench.transport.writes) == 1
    bench.exchange.write(b"one")
    bench.exchange.finish()
    assert bench.answer() == ([b"HTTP/1.1 200 OK", b"Content-Length: 3"], b"one")


def test_known_length_is_not_chunked() -> None:
    """Payload of a known length travels as it is, in as many writes as it comes."""
    bench = Bench()
    bench.exchange.start(200, b"", 6)
    bench.exchange.write(b"one")
    bench.exchange.write(b"two")
    bench.exchange.finish()
    assert bench.answer() == ([b"HTTP/1.1 200 OK", b"Content-Length: 6"], b"onetwo")
    assert not bench.exchange.closes


def test_http_1_0_reads_until_the_close() -> None:
    """A client that knows no chunks gets an answer of unknown length that ends with the connection."""
    bench = Bench(minor=0)
    bench.exchange.head.is_keep_alive = True
    assert not bench.exchange.takes_chunks
    bench.exchange.start(200, b"")
    bench.exchange.write(b"one")
    bench.exchange.finish()
    assert bench.answer() == ([b"HTTP/1.1 200 OK", b"Connection: close"], b"one")
    assert bench.exchange.closes


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304), (b"HEAD", 204)])
@pytest.mark.parametrize("length", [None, 3])
def test_mute_answers_swallow_their_body(method: bytes, status: int, length: int | None) -> None:
    """What may not have a body writes its head only, without complaint about the length."""
    bench = Bench(method)
    bench.exchange.start(status, b"", length)
    bench.exchange.write(b"one")
    bench.exchange.write_framed(b"two")
    bench.exchange.finish()
    head, body = bench.answer()
    assert body == b""
    has_framing = any(line.startswith((b"Content-Length", b"Transfer-Encoding")) for line in head)
    assert has_framing == (status == 200)
    assert bench.exchange.phase is AnswerPhase.DONE


@pytest.mark.parametrize("extra", [1, 2, 3, 7])
@pytest.mark.parametrize("owed", [0, 2])
def test_more_than_announced_is_cut(owed: int, extra: int) -> None:
    """Payload beyond the length is not written; the connection closes in order, so what is out arrives."""
    bench = Bench()
    bench.exchange.start(200, b"", owed)
    with pytest.raises(LengthBroken):
        bench.exchange.write(bytes(owed + extra))
    assert bench.answer()[1] == b""
    assert bench.transport.calls == ["close"]
    assert bench.exchange.phase is AnswerPhase.CUT


@pytest.mark.parametrize("given", [b"", b"on"])
def test_less_than_announced_is_cut(given: bytes) -> None:
    """An answer that ends early is cut, so that the client sees it is not whole."""
    bench = Bench()
    bench.exchange.start(200, b"", 3)
    bench.exchange.write(given)
    with pytest.raises(LengthBroken):
        bench.exchange.finish()
    assert bench.answer()[1] == given
    assert bench.transport.calls == ["close"]


def test_framed_pieces_travel_untouched() -> None:
    """Chunks that carry their framing are written as they are, the first with the head."""
    bench = Bench()
    bench.exchange.start(200, b"")
    bench.exchange.write_framed(b"3\r\non")
    bench.exchange.write_framed(b"e\r\n0\r\n\r\n")
    bench.exchange.finish(is_framed=True)
    assert bench.answer()[1] == b"3\r\none\r\n0\r\n\r\n"
    assert len(bench.transport.writes) == 2


def test_pieces_may_bypass_the_exchange_once_its_head_is_out() -> None:
    """The connection itself is lent for framed pieces while the answer streams, never for a mute or held one."""
    bench, mute = Bench(), Bench(b"HEAD")
    bench.exchange.start(200, b"")
    assert bench.exchange.maybe_receiver() is None
    bench.exchange.write_framed(b"3\r\none\r\n")
    assert bench.exchange.maybe_receiver() is bench.client
    bench.exchange.finish()
    assert bench.exchange.maybe_receiver() is None
    mute.exchange.start(200, b"")
    mute.exchange.flush()
    assert mute.exchange.maybe_receiver() is None


def test_cut_closes_in_order_where_the_framing_tells() -> None:
    """With chunks a missing end shows, so what was written may still leave."""
    bench = Bench()
    bench.exchange.start(200, b"")
    bench.exchange.write(b"one")
    bench.exchange.cut()
    assert bench.transport.calls == ["close"]
    assert bench.exchange.closes


def test_cut_resets_where_the_close_is_the_framing() -> None:
    """A client that reads until the close must not take a cut for the end."""
    bench = Bench(minor=0)
    bench.exchange.start(200, b"")
    bench.exchange.write(b"one")
    bench.exchange.cut()
    assert bench.transport.calls == ["abort"]


def test_cut_sends_a_waiting_head_unless_nothing_was_said() -> None:
    """A head begun leaves before the cut; before any head there is nothing to send."""
    bench = Bench()
    bench.exchange.start(200, b"")
    bench.exchange.cut(abort=True)
    assert len(bench.transport.writes) == 1
    assert bench.transport.calls == ["abort"]
    silent = Bench()
    silent.exchange.cut()
    assert (silent.transport.writes, silent.transport.calls) == ([], ["close"])


def test_foreign_bytes_go_out_as_they_are() -> None:
    """Bytes that are no HTTP are put on the connection without a head."""
    bench = Bench()
    bench.exchange.write_foreign(b"\x15\x03")
    bench.exchange.cut()
    assert bench.transport.written == b"\x15\x03"


STEPS = ("reply", "start", "write", "flush", "finish", "cut")


def take(bench: Bench, step: str) -> None:
    """Take one step of an answer."""
    exchange = bench.exchange
    if step == "reply":
        exchange.reply(200, b"", b"x")
    elif step == "start":
        exchange.start(200, b"")
    elif step == "write":
        exchange.write(b"x")
    else:
        getattr(exchange, step)()


@given(st.lists(st.sampled_from(STEPS), max_size=6))
def test_only_one_answer_is_ever_written(steps: list[str]) -> None:
    """Whatever order the steps are taken in, at most one head is written, and an ended answer does not go on."""
    bench = Bench()
    for step in steps:
        before = bench.exchange.phase
        if before is AnswerPhase.PENDING and step == "write":
            continue  # a first part needs a head; nobody asks before
        try:
            take(bench, step)
        except OutOfOrder:
            assert bench.exchange.phase is before
        if before in (AnswerPhase.DONE, AnswerPhase.CUT) and step != "write":
            assert bench.exchange.phase is before
    assert bench.transport.written.count(b"HTTP/1.1 200 OK") <= 1


# Which answer is the last


def test_connection_lives_on_by_default() -> None:
    """A request whose body was read leaves the connection open."""
    bench = Bench()
    bench.exchange.reply(200, b"", b"")
    assert not bench.exchange.closes


@pytest.mark.parametrize(
    ("method", "length", "expects", "continued", "closes"),
    [
        (b"POST", 5, False, False, True),
        (b"PUT", CHUNKED, False, False, True),
        (b"GET", 5, False, False, False),
        (b"HEAD", CHUNKED, False, False, False),
        (b"DELETE", 5, False, False, False),
        (b"GET", 5, True, False, True),
        (b"GET", 5, True, True, False),
        (b"POST", 5, True, True, True),
    ],
)
def test_unread_body_decides(method: bytes, length: int, expects: bool, continued: bool, closes: bool) -> None:
    """A body still owed ends the connection, unless it is noise that is sure to come."""
    bench = Bench(method, length, whole=None)
    bench.exchange.head.expects_continue = expects
    bench.exchange.has_continued = continued
    bench.exchange.reply(200, b"", b"")
    assert bench.exchange.closes == closes
    assert (b"Connection: close" in bench.answer()[0]) == closes


def test_client_and_connection_can_each_end_it() -> None:
    """The request's wish, the connection's rule and the responder's wish each suffice."""
    asked, ruled, wished = Bench(), Bench(), Bench()
    asked.exchange.head.is_keep_alive = False
    asked.exchange.reply(200, b"", b"")
    ruled.client.is_last = True
    ruled.exchange.reply(200, b"", b"")
    wished.exchange.start(200, b"", 0, close=True)
    wished.exchange.finish()
    for bench in (asked, ruled, wished):
        assert bench.exchange.closes
        assert b"Connection: close" in bench.answer()[0]


# The request's body


def test_whole_body_is_read_at_once() -> None:
    """A body that came with its head needs no waiting."""
    bench = Bench(length=5, whole=b"hello")
    assert run_now(bench.wheel, bench.exchange.read_body()) == b"hello"
    assert run_now(bench.wheel, bench.exchange.next_part()) is None


def test_no_body_is_empty() -> None:
    """A request without a body reads as nothing, by either way."""
    bench = Bench()
    assert run_now(bench.wheel, bench.exchange.next_part()) is None
    assert run_now(bench.wheel, bench.exchange.read_body()) == b""


def test_parts_come_as_they_are_fed() -> None:
    """The responder is woken for each part, and the connection hears what was wanted and taken."""
    bench = outgoing(6)
    exchange, parts = bench.exchange, list[bytes]()

    async def respond() -> None:
        while (part := await exchange.next_part()) is not None:
            parts.append(part)

    exchange.run(respond())
    assert (bench.client.wanted, bench.client.taken) == (1, 0)
    exchange.feed_body(b"one")
    assert exchange.buffered_bytes == 3
    exchange.wake(exchange)
    assert (parts, bench.client.taken, exchange.buffered_bytes) == ([b"one"], 1, 0)
    assert exchange.feed_body(b"twoGET /") == 3
    exchange.wake(exchange)
    assert parts == [b"one", b"two"]
    assert bench.client.ends == [None]


def test_parts_that_waited_are_joined() -> None:
    """What came while the responder was busy is one part."""
    bench = outgoing(CHUNKED)
    for text in (b"one", b"two"):
        bench.exchange.feed_body(encode_chunk(text))
    bench.exchange.feed_body(b"0\r\n\r\n")
    assert run_now(bench.wheel, bench.exchange.read_body()) == b"onetwo"


def test_announced_length_above_the_cap_is_refused_at_once() -> None:
    """A declared length is judged before a byte is invited."""
    bench = outgoing(1001)
    with pytest.raises(BodyTooLarge):
        run_now(bench.wheel, bench.exchange.next_part())
    assert bench.client.wanted == 0


@pytest.mark.parametrize("size", [999, 1000])
def test_body_up_to_the_cap_is_accepted(size: int) -> None:
    """The cap itself is still allowed, announced or counted."""
    for length in (size, CHUNKED):
        bench = outgoing(length)
        bench.exchange.feed_body(bytes(size) if length == size else encode_chunk(bytes(size)) + b"0\r\n\r\n")
        is_counted_by_payload = length == size
        if is_counted_by_payload:
            assert run_now(bench.wheel, bench.exchange.read_body()) == bytes(size)
        else:
            assert bench.exchange.has_body_ended


def test_body_that_grows_beyond_the_cap_is_refused() -> None:
    """A chunked body is counted as it comes."""
    bench = outgoing(CHUNKED)
    bench.exchange.feed_body(encode_chunk(bytes(2000)))
    assert bench.exchange.is_body_too_large
    with pytest.raises(BodyTooLarge):
        run_now(bench.wheel, bench.exchange.read_body())


def test_body_after_the_answer_is_dropped() -> None:
    """What still comes when the answer is out is counted and not kept."""
    bench = outgoing(6)
    bench.exchange.reply(200, b"", b"")
    bench.exchange.feed_body(b"one")
    bench.exchange.feed_body(b"two")
    assert bench.exchange.has_body_ended
    assert run_now(bench.wheel, bench.exchange.next_part()) is None


# Waiting for the client


def test_drained_waits_while_the_client_is_congested() -> None:
    """The responder goes on when the connection says that it has room, and only then."""
    bench = Bench()
    exchange = bench.exchange
    bench.client.is_congested = True
    exchange.run(exchange.drained())
    exchange.wake(exchange)
    exchange.wake(cast("object", bench.client))
    assert not exchange.is_over
    assert exchange.is_congested
    bench.client.is_congested = False
    exchange.wake(bench.client)
    assert bench.client.ends == [None]


def test_failed_responder_is_reported_to_the_connection() -> None:
    """The connection learns what the responder failed with."""
    bench = Bench()

    async def respond() -> None:
        raise LengthBroken("broken")

    bench.exchange.run(respond())
    assert [type(error) for error in bench.client.ends] == [LengthBroken]


def test_repr_tells_where_it_stands() -> None:
    """A printed exchange shows request and phase."""
    assert "PENDING" in repr(Bench().exchange)
