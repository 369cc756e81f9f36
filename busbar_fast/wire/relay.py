"""An answer passed on unchanged: one upstream's bytes to one client, framed anew only where the client needs it.

`relay` passes pieces on as they come. `relay_whole` is for documents, of which nobody can use a part: it keeps what is
small until its end has come, so that the client never gets the beginning of something that breaks off. `relay_parts` is
for what is no `Upstream`. Each does the same three things: it holds back a beginning, begins the answer, and ends it.
An umpire may have a say in all of them. An answer that broke off in the middle can be ended by `end_broken`.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.framing import Body, encode_chunk, read_length, response_body_of
from busbar_fast.wire.heads import CHUNKED, UNTIL_CLOSE
from busbar_fast.wire.upstream import Upstream

HELD_BYTES: Final = 65536  # a document up to this size is kept until its end, and of no body more before it is begun


class Source(Protocol):
    """Where the parts of a body come from."""

    async def next_part(self) -> bytes | None:
        """Return the next bytes of the body without any framing; None at the end."""


class Umpire(Protocol):
    """Judges an answer where it begins and where it ends. Whatever it raises comes out of the relay."""

    def has_enough(self, payload: bytes) -> bool:
        """Look at the next payload that is held back; say whether the answer may begin with what is there."""

    def begin(self) -> None:
        """Take notice that the answer begins now, nothing of it being out: raising leaves the exchange untouched.

        There is enough, or HELD_BYTES are held, or the body has ended.
        """

    def last_words(self) -> bytes | None:
        """Return payload to be added, or None, now that the body has ended and the client does not know it.

        Where the length has been told already nothing can be added: the answer is cut short of its last piece instead.
        """


async def relay(
    upstream: Upstream, exchange: Exchange, status: int, fields: bytes, umpire: Umpire | None = None
) -> None:
    """Answer with the upstream's body under a head of our own. The upstream's head has been read.

    The answer begins with the first piece of the body: an upstream that fails before leaves the exchange untouched.
    """
    assert upstream.head is not None
    length = upstream.head.length
    whole = upstream.maybe_whole()
    if whole is not None:
        if umpire is not None:
            umpire.has_enough(whole)
        _reply(exchange, status, fields, whole, umpire)
    elif exchange.head.method == b"HEAD":
        declared = upstream.head.fields.get(b"content-length")
        if umpire is not None:
            umpire.begin()
        exchange.start(status, fields, None if declared is None else read_length(declared))
        exchange.finish()
    elif length == CHUNKED and exchange.takes_chunks:
        framing = None if umpire is None else response_body_of(CHUNKED)
        held, has_ended = await _hold(upstream.next_raw, umpire, framing)
        _start(exchange, status, fields, umpire)
        if held:
            exchange.write_framed(held)
        if not has_ended:
            await upstream.pour(exchange)
        _finish(exchange, umpire)
    elif _keeps_length(upstream):
        held, _ = await _hold(upstream.next_raw, umpire)
        await _relay_with_length(upstream, exchange, status, fields, held, umpire)
    else:
        await relay_parts(upstream, exchange, status, fields, umpire)


async def relay_parts(
    source: Source, exchange: Exchange, status: int, fields: bytes, umpire: Umpire | None = None
) -> None:
    """Answer with a body of unknown length, part by part; nothing is said before the first of them is there."""
    held, has_ended = await _hold(source.next_part, umpire)
    _start(exchange, status, fields, umpire)
    await _copy(source, exchange, held, umpire, has_ended=has_ended)


async def relay_whole(
    source: Source, exchange: Exchange, status: int, fields: bytes, umpire: Umpire | None = None
) -> None:
    """Answer with a document; one that breaks off before more than HELD_BYTES of it leaves the exchange untouched."""
    held, has_ended = await _hold(source.next_part, umpire, is_document=True)
    if has_ended:
        _reply(exchange, status, fields, held, umpire)
    elif isinstance(source, Upstream) and _keeps_length(source):
        await _relay_with_length(source, exchange, status, fields, held, umpire)
    else:
        _start(exchange, status, fields, umpire)
        await _copy(source, exchange, held, umpire, has_ended=False)


def end_broken(source: Source, exchange: Exchange, payload: bytes, filler: bytes) -> bool:
    """End an answer in good order whose source broke off, with a last payload that says so.

    Return False, having done nothing, if only a cut connection can tell the client: nothing is out, or a length, or the
    beginning of a chunk too large to be filled up. `filler` is a byte that means nothing where a chunk is filled up.
    """
    if exchange.owed == CHUNKED:
        chunks = source.chunks if isinstance(source, Upstream) else None
        rest = encode_chunk(payload) if chunks is None else chunks.completion(payload, filler)
        if rest is None:
            return False
        exchange.write_framed(rest)
    elif exchange.owed == UNTIL_CLOSE:
        exchange.write(payload)
    else:
        return False
    exchange.finish()
    return True


async def _hold(
    next_piece: Callable[[], Awaitable[bytes | None]],
    umpire: Umpire | None,
    framing: Body | None = None,
    *,
    is_document: bool = False,
) -> tuple[bytes, bool]:
    """Hold back the beginning of a body until that is enough; return it, and whether the body has ended with it.

    `framing` reads the payload out of pieces that are framed. Of a document only the end is enough.
    """
    if umpire is None and not is_document:
        first = await next_piece()
        return first or b"", first is None
    held: list[bytes] = []
    size = 0
    has_enough = False
    while not has_enough:
        piece = await next_piece()
        if piece is None:
            return b"".join(held), True
        held.append(piece)
        size += len(piece)
        if umpire is not None:
            has_enough = umpire.has_enough(_payload_in(piece, framing)) and not is_document
        has_enough = has_enough or size > HELD_BYTES
    return b"".join(held), False


def _payload_in(piece: bytes, framing: Body | None) -> bytes:
    if framing is None:
        return piece
    parts: list[bytes] = []
    framing.feed(piece, parts)
    return b"".join(parts)


def _keeps_length(upstream: Upstream) -> bool:
    """Whether the length that the upstream tells is that of what comes out."""
    assert upstream.head is not None
    return upstream.head.length >= 0 and (upstream.view is None or not upstream.view.is_edited)


def _reply(exchange: Exchange, status: int, fields: bytes, body: bytes, umpire: Umpire | None) -> None:
    """Answer with all there is."""
    if umpire is not None:
        umpire.begin()
        body += umpire.last_words() or b""
    exchange.reply(status, fields, body)


def _start(exchange: Exchange, status: int, fields: bytes, umpire: Umpire | None, length: int | None = None) -> None:
    """Begin the answer, if nobody minds."""
    if umpire is not None:
        umpire.begin()
    exchange.start(status, fields, length)


def _finish(exchange: Exchange, umpire: Umpire | None) -> None:
    """End an answer of no known length."""
    if umpire is not None:
        exchange.write(umpire.last_words() or b"")
    exchange.finish()


async def _relay_with_length(
    upstream: Upstream, exchange: Exchange, status: int, fields: bytes, held: bytes, umpire: Umpire | None
) -> None:
    """Answer with a body of the length that the upstream told, the beginning of which is held."""
    assert upstream.head is not None
    if upstream.is_whole:
        _reply(exchange, status, fields, held, umpire)
        return
    _start(exchange, status, fields, umpire, upstream.head.length)
    exchange.write_framed(held)
    last_piece = await upstream.pour(exchange)
    if umpire is not None and umpire.last_words():
        exchange.cut()
        return
    exchange.write_framed(last_piece)
    exchange.finish(is_framed=True)


async def _copy(
    source: Source, exchange: Exchange, part: bytes | None, umpire: Umpire | None, *, has_ended: bool
) -> None:
    """Write this part and, unless it is the last, all that follow it."""
    while part is not None:
        exchange.write(part)
        if exchange.is_congested:
            await exchange.drained()
        part = None if has_ended else await source.next_part()
    _finish(exchange, umpire)
