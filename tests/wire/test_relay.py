"""Answers passed on: what the client gets for each framing of the upstream, and what it sees when that fails."""

import asyncio
import gzip
from collections.abc import Callable
from math import inf
from typing import cast

import pytest

from busbar_fast.clock import DateLine
from busbar_fast.errors import BusbarError, UpstreamGarbled, UpstreamGone
from busbar_fast.wire.decoded import Decoded
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.heads import HeadWriter, RequestHead
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import Origin, OriginKey
from busbar_fast.wire.relay import HELD_BYTES, end_broken, relay, relay_parts, relay_whole
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.trail import KEPT_BYTES, TRAIL_PIECES, Trail
from busbar_fast.wire.upstream import Upstream
from busbar_fast.wire.viewing import TAIL_CHUNKS, View
from tests.fakes import FakeLoop, FakeTransport

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = HEAD + b"Content-Length: 6\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = HEAD + b"\r\n"
CHUNKS = b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


class FakeClient:
    """The connection an exchange came by."""

    def __init__(self) -> None:
        self.fake = FakeTransport()
        self.transport: asyncio.Transport = self.fake
        self.is_congested = False
        self.peer = "192.0.2.1"
        self.error: BaseException | None = None

    def must_close(self) -> bool:
        return False

    def on_body_wanted(self) -> None:
        raise AssertionError("no body here")

    def on_body_taken(self) -> None:
        raise AssertionError("no body here")

    def on_exchange_over(self, exchange: Exchange, error: BaseException | None) -> None:
        assert exchange.is_over
        self.error = error


class Bench:
    """One exchange whose responder relays one upstream's answer."""

    def __init__(
        self,
        parser_kind: str,
        method: bytes = b"GET",
        *,
        minor: int = 1,
        is_document: bool = False,
        view: View | None = None,
        is_kept: bool = False,
        umpire: "Judge | None" = None,
        ending: bytes | None = None,
        coding: bytes = b"",
    ) -> None:
        self._is_document = is_document
        self.view = view
        self.trail: Trail | None = Trail() if is_kept or umpire is not None or ending is not None else None
        self.umpire = umpire
        self._ending = ending  # what the client is told last when the upstream breaks off
        self._coding = coding
        self.is_ended = False
        wheel = FakeLoop().new_wheel()
        key = OriginKey(is_tls=False, host="upstream", port=80)
        self.origin = Origin(key, self._dial, wheel, choose_parser(parser_kind), UpstreamLimits())
        head = RequestHead(method, b"/", minor, {})
        head.is_keep_alive = True
        self.client = FakeClient()
        self.exchange = Exchange(self.client, wheel, HeadWriter(DateLine()), head, 1000, b"")
        self.exchange.run(self._respond())

    async def _dial(
        self, strand: Strand, key: OriginKey, make: Callable[[], asyncio.Protocol], limit_s: float
    ) -> FakeTransport:
        assert limit_s == inf
        assert (strand, key) == (self.exchange, self.origin.key)
        upstream = make()
        assert isinstance(upstream, Upstream)
        self.upstream = upstream
        upstream.connection_made(FakeTransport())
        return cast("FakeTransport", upstream.transport)

    async def _respond(self) -> None:
        upstream = await self.origin.call(self.exchange, self.exchange.head.method, b"request", 5.0)
        with upstream:
            assert upstream.head is not None
            source = Decoded(upstream, self._coding, 0) if self._coding else upstream
            source.view, source.trail = self.view, self.trail
            try:
                await self._relay(source)
            except UpstreamGone:
                if self._ending is None:
                    raise
                self.is_ended = end_broken(source, self.exchange, self._ending, b"~")

    async def _relay(self, source: Upstream | Decoded) -> None:
        fields = b"X-Ours: 1\r\n"
        if self._is_document:
            await relay_whole(source, self.exchange, 200, fields, self.umpire)
        elif isinstance(source, Upstream):
            await relay(source, self.exchange, 200, fields, self.umpire)
        else:
            await relay_parts(source, self.exchange, 200, fields, self.umpire)

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.upstream.data_received(piece)

    def end(self) -> None:
        """Let the upstream close in good order, if the answer is not over."""
        if not self.exchange.is_over:
            self.upstream.eof_received()

    def answer(self) -> tuple[list[bytes], bytes]:
        """Return the framing lines of the head written and what came behind it."""
        head, _, body = self.client.fake.written.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 200 OK"
        assert b"X-Ours: 1" in lines
        return [line for line in lines[1:] if not line.startswith((b"Date", b"X-Ours"))], body


def test_whole_answer_is_one_write(parser_kind: str) -> None:
    """A short answer that came at once leaves at once, under our head."""
    bench = Bench(parser_kind)
    bench.feed(LENGTH + b"onetwo")
    assert bench.answer() == ([b"Content-Length: 6"], b"onetwo")
    assert len(bench.client.fake.writes) == 1
    assert bench.origin.idle == 1


@pytest.mark.parametrize("cut", range(1, 7))
def test_length_is_kept(parser_kind: str, cut: int) -> None:
    """A body of known length travels on with that length as it comes."""
    bench = Bench(parser_kind)
    bench.feed(LENGTH, b"onetwo"[:cut])
    assert bench.answer()[1] == b"onetwo"[:cut]
    if cut < 6:
        bench.feed(b"onetwo"[cut:])
    assert bench.answer() == ([b"Content-Length: 6"], b"onetwo")
    assert bench.origin.idle == 1


@pytest.mark.parametrize("cut", range(1, len(CHUNKS) + 1))
def test_chunks_travel_untouched(parser_kind: str, cut: int) -> None:
    """Chunks reach the client as the upstream framed them, without its trailers."""
    bench = Bench(parser_kind)
    trailed = CHUNKS[:-2] + b"X-Sum: 1\r\n\r\n"
    bench.feed(CHUNKED, trailed[:cut], trailed[cut:])
    assert bench.answer() == ([b"Transfer-Encoding: chunked"], CHUNKS)
    assert bench.origin.idle == 1


def test_until_close_becomes_chunks(parser_kind: str) -> None:
    """A body that ends with the upstream's connection is chunked for a client whose connection lives on."""
    bench = Bench(parser_kind)
    bench.feed(UNTIL_CLOSE, b"one", b"two")
    bench.upstream.eof_received()
    assert bench.answer() == ([b"Transfer-Encoding: chunked"], CHUNKS)
    assert not bench.exchange.closes


@pytest.mark.parametrize("raw", [CHUNKED + CHUNKS, UNTIL_CLOSE + b"onetwo"])
def test_http_1_0_gets_bare_payload(parser_kind: str, raw: bytes) -> None:
    """A client that knows no chunks gets the payload until the connection closes."""
    bench = Bench(parser_kind, minor=0)
    bench.feed(raw)
    if raw.startswith(UNTIL_CLOSE):
        bench.upstream.eof_received()
    assert bench.answer() == ([b"Connection: close"], b"onetwo")


def test_head_request_gets_no_body(parser_kind: str) -> None:
    """An answer to HEAD is a head."""
    bench = Bench(parser_kind, b"HEAD")
    bench.feed(LENGTH)
    head, body = bench.answer()
    assert b"Content-Length: 6" in head
    assert body == b""
    assert bench.exchange.is_over
    assert bench.origin.idle == 1


@pytest.mark.parametrize("raw", [LENGTH + b"one", CHUNKED + CHUNKS[:-3], UNTIL_CLOSE + b"one"])
def test_upstream_that_breaks_off_ends_the_responder(parser_kind: str, raw: bytes) -> None:
    """A broken answer never gets the ending of a whole one; the connection learns why."""
    bench = Bench(parser_kind)
    bench.feed(raw)
    bench.upstream.connection_lost(ConnectionResetError())
    assert isinstance(bench.client.error, UpstreamGone)
    assert not bench.client.fake.written.endswith(b"0\r\n\r\n")
    assert bench.origin.open == 0


@pytest.mark.parametrize("raw", [CHUNKED, UNTIL_CLOSE])
def test_slow_client_holds_the_upstream(parser_kind: str, raw: bytes) -> None:
    """While the client is full nothing more is written, and the upstream's reading stops at its mark."""
    bench = Bench(parser_kind)
    chunk = b"400\r\n" + bytes(1024) + b"\r\n"
    bench.feed(raw, chunk)
    bench.client.is_congested = True
    bench.feed(chunk)
    written = len(bench.client.fake.written)
    bench.feed(*[chunk] * 70)
    assert len(bench.client.fake.written) == written
    assert "pause" in cast("FakeTransport", bench.upstream.transport).calls
    bench.client.is_congested = False
    bench.exchange.wake(bench.client)
    assert bench.client.fake.written.count(bytes(1024)) == 72
    assert cast("FakeTransport", bench.upstream.transport).calls == ["pause", "resume"]


@pytest.mark.parametrize("cut", range(1, len(CHUNKS) + 1))
def test_chunked_document_leaves_whole(parser_kind: str, cut: int) -> None:
    """A small document of unknown length is kept until its end, and then has a length."""
    bench = Bench(parser_kind, is_document=True)
    bench.feed(CHUNKED, CHUNKS[:cut])
    if cut < len(CHUNKS):
        assert bench.client.fake.written == b""
        bench.feed(CHUNKS[cut:])
    assert bench.answer() == ([b"Content-Length: 6"], b"onetwo")
    assert len(bench.client.fake.writes) == 1
    assert bench.origin.idle == 1


def test_document_until_close_leaves_whole(parser_kind: str) -> None:
    """The same holds for one that ends with the upstream's connection."""
    bench = Bench(parser_kind, is_document=True)
    bench.feed(UNTIL_CLOSE, b"one", b"two")
    assert bench.client.fake.written == b""
    bench.upstream.eof_received()
    assert bench.answer() == ([b"Content-Length: 6"], b"onetwo")


@pytest.mark.parametrize("raw", [LENGTH + b"one", CHUNKED + CHUNKS[:-3]])
def test_document_that_breaks_off_leaves_nothing(parser_kind: str, raw: bytes) -> None:
    """Nothing of a small document is out when its upstream leaves in the middle of it."""
    bench = Bench(parser_kind, is_document=True)
    bench.feed(raw)
    bench.upstream.connection_lost(ConnectionResetError())
    assert b"one" not in bench.client.fake.written
    assert isinstance(bench.client.error, UpstreamGone)


@pytest.mark.parametrize(("size", "is_held"), [(HELD_BYTES, True), (HELD_BYTES + 1, False)])
@pytest.mark.parametrize("is_announced", [True, False])
def test_document_is_held_up_to_a_size(parser_kind: str, size: int, *, is_held: bool, is_announced: bool) -> None:
    """A larger document goes on as it comes, with its length if that was told, once more of it has come."""
    bench = Bench(parser_kind, is_document=True)
    body = b"x" * size
    if is_announced:
        bench.feed(HEAD + b"Content-Length: %d\r\n\r\n" % (size + 1), body)
    else:
        bench.feed(CHUNKED, b"%x\r\n" % size + body + b"\r\n")
    assert (bench.client.fake.written == b"") is is_held
    bench.feed(b"x" if is_announced else b"0\r\n\r\n")
    lines, came = bench.answer()
    if is_announced:
        assert (lines, came) == ([b"Content-Length: %d" % (size + 1)], body + b"x")
    elif is_held:
        assert (lines, came) == ([b"Content-Length: %d" % size], body)
    else:
        assert lines == [b"Transfer-Encoding: chunked"]
        assert came == b"%x\r\n" % size + body + b"\r\n0\r\n\r\n"
    assert bench.origin.idle == 1


def test_slow_client_holds_the_upstream_of_a_large_document(parser_kind: str) -> None:
    """Behind the part that was held a full client stops the reading as for any body."""
    bench = Bench(parser_kind, is_document=True)
    chunk = b"4000\r\n" + bytes(16384) + b"\r\n"
    bench.feed(CHUNKED, *[chunk] * 4)
    assert bench.client.fake.written == b""
    bench.client.is_congested = True
    bench.feed(chunk)
    written = len(bench.client.fake.written)
    assert written > 5 * 16384
    bench.feed(*[chunk] * 8)
    assert len(bench.client.fake.written) == written
    assert "pause" in cast("FakeTransport", bench.upstream.transport).calls
    bench.client.is_congested = False
    bench.exchange.wake(bench.client)
    bench.feed(b"0\r\n\r\n")
    assert bench.client.fake.written.count(bytes(16384)) == 13
    assert bench.exchange.is_over


class Reader:
    """Looks at units that end with a full stop; those with a `!` in them must be shown."""

    sign = b"!"
    ends: tuple[bytes, ...] = (b".",)

    @staticmethod
    def unit_head(size: int) -> bytes:  # noqa: ARG004  units are told by their ends
        return b""

    def __init__(self) -> None:
        self.seen = b""

    @property
    def is_between(self) -> bool:
        return self.seen.endswith((b".", b"|")) or not self.seen

    def feed(self, piece: bytes) -> None:
        self.seen += piece


class Editor:
    """Writes units with a `!` or a `?` in capitals, and drops those with a `-`, which have a `!` too."""

    signs = (b"!", b"?")

    def __init__(self) -> None:
        self._held = b""

    @property
    def is_between(self) -> bool:
        return not self._held

    def feed(self, piece: bytes) -> bytes:
        *units, self._held = (self._held + piece).split(b".")
        return b"".join(edited(unit + b".") for unit in units)

    def maybe_edit(self, chunk: bytes, start: int) -> bytes | None:  # noqa: ARG002  nothing here is usual
        return None

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return edited(held)


def edited(unit: bytes) -> bytes:
    """Return what the editor makes of one unit."""
    if b"!" in unit or b"?" in unit:
        return b"" if b"-" in unit else unit.upper()
    return unit


UNITS = [b"one.", b"two!.", b"gone-!.", b"three?.", b"four."]
TEXT = b"".join(UNITS)
SHOWN = b"one.TWO!.THREE?.four."


def trail_of(bench: Bench) -> bytes:
    """Return what is kept of the end of the body."""
    assert bench.trail is not None
    return bench.trail.payload()


def in_chunks(*payloads: bytes) -> bytes:
    """Return payloads as the chunks of a whole body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(payload), payload) for payload in payloads) + b"0\r\n\r\n"


def dechunked(raw: bytes) -> bytes:
    """Return the payload of a chunked body that is whole."""
    parts: list[bytes] = []
    while True:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size, 16)
        assert raw[length : length + 2] == b"\r\n"
        if not length:
            assert raw == b"\r\n"
            return b"".join(parts)
        parts.append(raw[:length])
        raw = raw[length + 2 :]


@pytest.mark.parametrize("payloads", [UNITS, [TEXT], [TEXT[at : at + 3] for at in range(0, len(TEXT), 3)]])
@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("is_kept", [False, True])
def test_onlooker_sees_chunks_however_they_come(
    parser_kind: str, payloads: list[bytes], minor: int, *, is_kept: bool
) -> None:
    """Reliability §8: whoever looks sees the payload as it came, and the client gets the bytes it would have got."""
    raw = in_chunks(*payloads)
    pieces = [raw[at : at + 1] for at in range(len(raw))]
    cuts = [[raw], pieces, *([raw[:at], raw[at:]] for at in range(1, len(raw)))]
    for cut in cuts:
        reader = Reader()
        view = View(reader)
        bench = Bench(parser_kind, minor=minor, view=view, is_kept=is_kept)
        bench.feed(CHUNKED, *cut)
        view.settle()
        assert reader.seen == TEXT
        assert not is_kept or trail_of(bench) == TEXT
        assert bench.answer()[1] == (raw if minor else TEXT)
        assert bench.exchange.is_over


@pytest.mark.parametrize("payloads", [UNITS, [TEXT], [TEXT[at : at + 3] for at in range(0, len(TEXT), 3)]])
@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("is_kept", [False, True])
def test_editor_edits_chunks_however_they_come(
    parser_kind: str, payloads: list[bytes], minor: int, *, is_kept: bool
) -> None:
    """OpenAI §9.4: what is edited is the same for every cut, the framing is valid, the onlooker sees the original."""
    raw = in_chunks(*payloads)
    pieces = [raw[at : at + 1] for at in range(len(raw))]
    for cut in [[raw], pieces, *([raw[:at], raw[at:]] for at in range(1, len(raw)))]:
        reader = Reader()
        view = View(reader, Editor())
        bench = Bench(parser_kind, minor=minor, view=view, is_kept=is_kept)
        bench.feed(CHUNKED, *cut)
        view.settle()
        assert reader.seen == TEXT
        body = bench.answer()[1]
        assert (dechunked(body) if minor else body) == SHOWN
        assert not is_kept or trail_of(bench) == SHOWN
        assert bench.exchange.is_over
        assert bench.origin.idle == 1


@pytest.mark.parametrize("head", [HEAD + b"Content-Length: %d\r\n\r\n" % len(TEXT), UNTIL_CLOSE])
@pytest.mark.parametrize("is_edited", [False, True])
def test_view_of_other_framings(parser_kind: str, head: bytes, *, is_edited: bool) -> None:
    """A body of known length, together with its head or not, and one until the close are shown and edited as well."""
    text = TEXT[:-1] + b"|"  # held back to the end
    for pieces in ([head + text], [head, *(text[at : at + 1] for at in range(len(text)))], [head + text[:9], text[9:]]):
        reader = Reader()
        bench = Bench(parser_kind, view=View(reader, Editor() if is_edited else None), is_kept=True)
        bench.feed(*pieces)
        if head is UNTIL_CLOSE:
            bench.upstream.eof_received()
        fields, body = bench.answer()
        assert reader.seen == text
        body = dechunked(body) if b"Transfer-Encoding: chunked" in fields else body
        assert body == trail_of(bench) == (SHOWN[:-1] + b"|" if is_edited else text)
        assert bench.exchange.is_over


@pytest.mark.parametrize("is_edited", [None, False, True])
def test_chunks_that_run_through_are_kept(parser_kind: str, *, is_edited: bool | None) -> None:
    """Reliability §9: chunks that nobody reads when they come are in the trail, however many follow one another."""
    view = None if is_edited is None else View(Reader(), Editor() if is_edited else None)
    bench = Bench(parser_kind, view=view, is_kept=True)
    bench.feed(CHUNKED)
    payloads = [b"%b%d." % (b"x" * (number % 40), number) for number in range(100, 150)]
    for payload in payloads:
        bench.feed(b"%x\r\n%b\r\n" % (len(payload), payload))
        passed = b"".join(payloads[: payloads.index(payload) + 1])
        assert passed.endswith(trail_of(bench))
        assert len(trail_of(bench)) >= min(len(passed), len(b"".join(payloads[-TRAIL_PIECES:])) // 4)
    assert trail_of(bench).endswith(b"".join(payloads[-TRAIL_PIECES:]))
    assert bench.client.fake.written.endswith(b"%x\r\n%b\r\n" % (len(payloads[-1]), payloads[-1]))


def test_chunks_that_need_no_look_run_through(parser_kind: str) -> None:
    """Chunks without the sign go from transport to transport; of many in a row the last few are shown in the end."""
    reader = Reader()
    view = View(reader)
    bench = Bench(parser_kind, view=view)
    payloads = [b"%d." % number for number in range(100, 120)]
    chunks = [b"%x\r\n%b\r\n" % (len(payload), payload) for payload in payloads]
    bench.feed(CHUNKED, *chunks)
    assert reader.seen == payloads[0], "the first piece is shown at once"
    assert bench.client.fake.writes[1:] == chunks[1:]
    view.settle()
    assert reader.seen == b"".join([payloads[0], *payloads[-TAIL_CHUNKS:]])
    bench.feed(b"3\r\n!!.\r\n", b"0\r\n\r\n")
    assert reader.seen.endswith(payloads[-1] + b"!!.")


def test_slow_client_holds_a_body_that_is_looked_at(parser_kind: str) -> None:
    """While the client is full nothing more is written, and nothing is shown twice or lost."""
    reader = Reader()
    view = View(reader)
    bench = Bench(parser_kind, view=view)
    bench.feed(CHUNKED, b"2\r\na.\r\n", b"2\r\nb.\r\n")
    bench.client.is_congested = True
    bench.feed(b"2\r\nc.\r\n", b"2\r\nd.\r\n")
    assert not bench.client.fake.written.endswith(b"d.\r\n")
    bench.client.is_congested = False
    bench.exchange.wake(bench.client)
    bench.feed(b"2\r\ne.\r\n", b"0\r\n\r\n")
    view.settle()
    assert reader.seen == b"a.b.c.d.e."
    assert bench.answer()[1] == in_chunks(b"a.", b"b.", b"c.", b"d.", b"e.")


def test_editor_that_gives_up_ends_the_answer(parser_kind: str) -> None:
    """OpenAI §9: an event without an end is refused while pieces run through as well, and the connection learns why."""

    class Short(Editor):
        def feed(self, piece: bytes) -> bytes:
            if len(piece) > 9:
                raise UpstreamGarbled("too much")
            return super().feed(piece)

    bench = Bench(parser_kind, view=View(Reader(), Short()))
    bench.feed(CHUNKED, b"2\r\na.\r\n", b"2\r\nb.\r\n", b"b\r\nelevenbytes\r\n")
    assert isinstance(bench.client.error, UpstreamGarbled)
    assert bench.origin.open == 0


class Judge:
    """An umpire that waits for some bytes, and may mind or add something."""

    def __init__(self, enough: bytes = b"", words: bytes | None = None, error: BusbarError | None = None) -> None:
        self._enough = enough
        self._words = words
        self._error = error
        self.seen = b""
        self.calls: list[str] = []

    def has_enough(self, payload: bytes) -> bool:
        assert self.calls == []
        self.seen += payload
        return self._enough in self.seen

    def begin(self) -> None:
        self.calls.append("begin")
        if self._error is not None:
            raise self._error

    def last_words(self) -> bytes | None:
        assert self.calls == ["begin"]
        self.calls.append("last words")
        return self._words


ONE_BY_ONE = {
    "length": (LENGTH, [b"one", b"two"], [b"Content-Length: 6"], b"onetwo"),
    "chunked": (
        CHUNKED,
        [b"3\r\non", b"e\r\n3\r", b"\ntwo\r\n0", b"\r\n\r\n"],
        [b"Transfer-Encoding: chunked"],
        CHUNKS,
    ),
    "until close": (UNTIL_CLOSE, [b"one", b"two"], [b"Transfer-Encoding: chunked"], CHUNKS),
}


@pytest.mark.parametrize("is_document", [False, True])
@pytest.mark.parametrize("enough", [b"n", b"tw", b"never"])
@pytest.mark.parametrize("framing", ONE_BY_ONE)
def test_beginning_is_held_until_the_umpire_has_enough(
    parser_kind: str, framing: str, enough: bytes, *, is_document: bool
) -> None:
    """Reliability §6, commit: nothing is out before the umpire has seen enough or the end, and then all of it."""
    head, pieces, lines, body = ONE_BY_ONE[framing]
    judge = Judge(enough)
    bench = Bench(parser_kind, umpire=judge, is_document=is_document)
    bench.feed(head)
    for piece in pieces:
        bench.feed(piece)
        has_begun = not is_document and enough in judge.seen
        is_over = bench.exchange.is_over
        assert judge.calls == (["begin", "last words"] if is_over else ["begin"] if has_begun else [])
        assert (bench.client.fake.written != b"") is (has_begun or is_over)
    bench.end()
    assert judge.calls == ["begin", "last words"]
    assert b"onetwo".startswith(judge.seen)
    if is_document or framing != "until close":
        assert bench.answer() == (([b"Content-Length: 6"], b"onetwo") if is_document else (lines, body))
    else:
        assert (bench.answer()[0], dechunked(bench.answer()[1])) == (lines, b"onetwo")
    assert trail_of(bench) == b"onetwo"


@pytest.mark.parametrize("is_document", [False, True])
@pytest.mark.parametrize(
    "raw", [LENGTH + b"onetwo", LENGTH + b"one", CHUNKED + CHUNKS, CHUNKED + CHUNKS[:9], UNTIL_CLOSE + b"one"]
)
@pytest.mark.parametrize("minor", [0, 1])
def test_umpire_that_minds_leaves_the_exchange_untouched(
    parser_kind: str, raw: bytes, minor: int, *, is_document: bool
) -> None:
    """Reliability §6, commit: what is raised at the beginning comes out, and another answer may still be given."""
    error = UpstreamGarbled("an error in the first event")
    bench = Bench(parser_kind, minor=minor, umpire=Judge(b"one", error=error), is_document=is_document)
    bench.feed(raw)
    if bench.client.error is None:
        bench.feed(CHUNKS[9:] if raw.startswith(CHUNKED) else b"two" if raw.startswith(LENGTH) else b"x")
        bench.end()
    assert bench.client.error is error
    assert bench.client.fake.written == b""
    assert not bench.exchange.has_begun


def test_umpire_hears_of_an_answer_without_a_body(parser_kind: str) -> None:
    """An answer to HEAD begins as well; one whose body is empty ends as well."""
    for method, raw, calls in ((b"HEAD", LENGTH, ["begin"]), (b"GET", CHUNKED + b"0\r\n\r\n", ["begin", "last words"])):
        judge = Judge()
        bench = Bench(parser_kind, method, umpire=judge)
        bench.feed(raw)
        assert judge.calls == calls
        assert bench.exchange.is_over
        assert len(bench.client.fake.writes) == 1


@pytest.mark.parametrize("head", [CHUNKED, HEAD + b"Content-Length: 99999\r\n\r\n", UNTIL_CLOSE])
@pytest.mark.parametrize("is_document", [False, True])
def test_no_more_than_a_size_is_held_for_an_umpire(parser_kind: str, head: bytes, *, is_document: bool) -> None:
    """Memory per answer is bounded whatever the umpire waits for; a document keeps the length it was told with."""
    judge = Judge(b"never")
    bench = Bench(parser_kind, umpire=judge, is_document=is_document)
    bench.feed(head)
    payloads = [bytes((number,)) * 9999 for number in range(10)]
    for payload in payloads:
        assert (judge.calls == []) is (bench.client.fake.written == b"") is (len(judge.seen) <= HELD_BYTES)
        bench.feed(b"%x\r\n%b\r\n" % (len(payload), payload) if head is CHUNKED else payload)
    assert HELD_BYTES < len(judge.seen) < HELD_BYTES + 10_000
    bench.feed(b"0\r\n\r\n" if head is CHUNKED else b"999999999")
    bench.end()
    fields, body = bench.answer()
    assert fields == [b"Content-Length: 99999" if b"Length" in head else b"Transfer-Encoding: chunked"]
    wanted = b"".join(payloads) + (b"" if head is CHUNKED else b"999999999")
    assert (body if b"Length" in head else dechunked(body)) == wanted
    assert wanted.endswith(trail_of(bench))
    assert KEPT_BYTES <= len(trail_of(bench)) <= KEPT_BYTES * TRAIL_PIECES


@pytest.mark.parametrize("cut", range(len(CHUNKS)))
@pytest.mark.parametrize("minor", [0, 1])
def test_last_words_come_before_the_end(parser_kind: str, cut: int, minor: int) -> None:
    """Reliability §9, D21: a stream that ended in good order may still get another end, framed like the rest."""
    judge = Judge(words=b"end")
    bench = Bench(parser_kind, minor=minor, umpire=judge)
    bench.feed(CHUNKED, *filter(None, (CHUNKS[:cut], CHUNKS[cut:])))
    assert bench.answer()[1] == (b"3\r\none\r\n3\r\ntwo\r\n3\r\nend\r\n0\r\n\r\n" if minor else b"onetwoend")
    assert bench.origin.idle == 1


@pytest.mark.parametrize("is_document", [False, True])
@pytest.mark.parametrize("raw", [LENGTH + b"onetwo", UNTIL_CLOSE + b"onetwo"])
def test_last_words_of_what_was_held_to_its_end(parser_kind: str, raw: bytes, *, is_document: bool) -> None:
    """While no length has been told words can be added to every body."""
    bench = Bench(parser_kind, umpire=Judge(b"never", b"end"), is_document=is_document)
    bench.feed(raw)
    bench.end()
    lines, body = bench.answer()
    assert (dechunked(body) if b"Transfer-Encoding: chunked" in lines else body) == b"onetwoend"


@pytest.mark.parametrize("words", [b"end", None, b""])
@pytest.mark.parametrize("cut", range(1, 6))
def test_last_words_behind_a_length_cut_the_answer(parser_kind: str, cut: int, words: bytes | None) -> None:
    """Reliability §9, D21: where the length is out the last piece stays behind: the client sees a truncation."""
    bench = Bench(parser_kind, umpire=Judge(words=words))
    bench.feed(LENGTH, b"onetwo"[:cut], b"onetwo"[cut:])
    assert bench.answer() == ([b"Content-Length: 6"], b"onetwo"[:cut] if words else b"onetwo")
    assert bench.client.fake.is_closed is bool(words)
    assert bench.exchange.is_over
    assert bench.origin.idle == 1


@pytest.mark.parametrize("is_edited", [None, False, True])
@pytest.mark.parametrize("minor", [0, 1])
def test_stream_that_breaks_off_is_ended_in_good_order(parser_kind: str, minor: int, *, is_edited: bool | None) -> None:
    """Reliability §9: wherever the upstream breaks off the client gets a valid body, the last payload at its end."""
    raw = in_chunks(*UNITS)
    for cut in range(1, len(raw)):
        for pieces in ([raw[:cut]], [raw[at : at + 1] for at in range(cut)]):
            view = None if is_edited is None else View(Reader(), Editor() if is_edited else None)
            bench = Bench(parser_kind, minor=minor, view=view, ending=b".end")
            bench.feed(CHUNKED, *pieces)
            if not bench.client.fake.written:
                continue  # nothing to be passed on has come
            bench.upstream.connection_lost(None)
            body = bench.answer()[1]
            payload = (dechunked(body) if minor else body).rstrip(b"~")
            assert (bench.is_ended, bench.client.error) == (True, None)
            passed = trail_of(bench)
            assert (SHOWN if is_edited else TEXT).startswith(passed)
            assert payload == passed + b".end"


def test_until_close_that_breaks_off_is_ended(parser_kind: str) -> None:
    """A body whose framing is our own is ended with a chunk of our own."""
    bench = Bench(parser_kind, ending=b"end")
    bench.feed(UNTIL_CLOSE, b"one")
    bench.upstream.connection_lost(ConnectionResetError())
    assert (bench.is_ended, dechunked(bench.answer()[1])) == (True, b"oneend")


def test_large_document_in_chunks_that_breaks_off_is_ended(parser_kind: str) -> None:
    """What was passed on in chunks of our own is ended as such, wherever the upstream's chunk stands."""
    bench = Bench(parser_kind, is_document=True, ending=b"end")
    bench.feed(CHUNKED, b"20000\r\n" + bytes(HELD_BYTES + 1))
    bench.upstream.connection_lost(None)
    assert (bench.is_ended, dechunked(bench.answer()[1])) == (True, bytes(HELD_BYTES + 1) + b"end")


@pytest.mark.parametrize(
    ("raw", "out"),
    [
        (LENGTH + b"one", b"one"),
        (LENGTH, b""),
        (CHUNKED + b"3", b""),
        (CHUNKED + b"20000\r\nx", b"20000\r\nx"),
    ],
)
def test_answer_that_only_a_cut_can_end(parser_kind: str, raw: bytes, out: bytes) -> None:
    """Reliability §9: behind a length, in a huge chunk and where nothing is out nothing is added."""
    bench = Bench(parser_kind, ending=b"end")
    bench.feed(raw)
    bench.upstream.connection_lost(None)
    assert not bench.is_ended
    assert bench.client.fake.written.partition(b"\r\n\r\n")[2] == out


def test_refused_piece_is_not_passed_on_and_the_rest_is_ended(parser_kind: str) -> None:
    """Reliability §9: framing that turns to nonsense breaks a stream off in front of the piece that it came in."""
    bench = Bench(parser_kind)
    bench.feed(CHUNKED, b"5\r\nhe", b"llo\r\nzz")
    assert isinstance(bench.client.error, UpstreamGarbled)
    assert end_broken(bench.upstream, bench.exchange, b"end", b"~")
    assert dechunked(bench.answer()[1]) == b"heend"


@pytest.mark.parametrize("is_edited", [False, True])
@pytest.mark.parametrize("is_document", [False, True])
@pytest.mark.parametrize("is_broken", [False, True])
def test_decoded_bodies_have_a_trail_and_an_end(
    parser_kind: str, *, is_document: bool, is_edited: bool, is_broken: bool
) -> None:
    """Operations §3.1: what is unpacked on its way is kept, judged and ended like any other body."""
    text = TEXT * 1000
    coded = gzip.compress(text)
    for pieces in ([coded], [coded[:20], coded[20:]], [coded[at : at + 1] for at in range(len(coded))]):
        view = View(Reader(), Editor() if is_edited else None)
        judge = Judge(words=None if is_broken else b"!")
        bench = Bench(parser_kind, coding=b"gzip", view=view, umpire=judge, ending=b"end", is_document=is_document)
        bench.feed(HEAD + b"Content-Length: %d\r\n\r\n" % (len(coded) + is_broken), *pieces)
        shown = (SHOWN if is_edited else TEXT) * 1000
        if is_broken:
            bench.upstream.connection_lost(None)
        if is_broken and is_document:
            assert (bench.is_ended, bench.client.fake.written) == (False, b"")
            continue
        lines, body = bench.answer()
        body = dechunked(body) if b"Transfer-Encoding: chunked" in lines else body
        assert body == shown + (b"end" if is_broken else b"!")
        assert shown.endswith(trail_of(bench))
        assert len(trail_of(bench)) > 20_000


def test_whole_decoded_answer_has_a_trail(parser_kind: str) -> None:
    """An answer that can be taken as a whole is kept as well, unpacked."""
    coded = gzip.compress(b"onetwo")
    trail = Trail()

    class Taking(Bench):
        async def _relay(self, source: Upstream | Decoded) -> None:
            source.trail = trail
            assert source.maybe_whole() == b"onetwo"

    Taking(parser_kind, coding=b"gzip").feed(HEAD + b"Content-Length: %d\r\n\r\n" % len(coded) + coded)
    assert trail.payload() == b"onetwo"
