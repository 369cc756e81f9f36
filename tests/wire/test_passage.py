"""What of a received piece goes on, for every framing, with somebody looking at it or not."""

import pytest

from busbar_fast.errors import UpstreamGarbled
from busbar_fast.wire.framing import MORE, Body, ChunkedBody, LengthBody, UntilCloseBody
from busbar_fast.wire.passage import pass_framed, pass_payload
from busbar_fast.wire.trail import Trail
from busbar_fast.wire.viewing import View

RAW = b"3\r\none\r\n4;x=y\r\ntwo!\r\n0\r\nX-Sum: 1\r\n\r\n"


class Reader:
    """Notes what it is shown, and will not have a bang behind a bang."""

    sign = b"!"
    ends: tuple[bytes, ...] = (b".",)
    is_between = True

    @staticmethod
    def unit_head(size: int) -> bytes:  # noqa: ARG004  units are told by their ends
        return b""

    def __init__(self) -> None:
        self.seen = b""

    def feed(self, piece: bytes) -> None:
        if b"!!" in piece:
            raise UpstreamGarbled("two bangs")
        self.seen += piece


class Shouter:
    """Writes capitals, and holds the last byte back."""

    signs = (b"!", b"?")
    is_between = False

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        text = self._held + piece.upper()
        self._held = text[-1:]
        return text[:-1]

    def maybe_edit(self, chunk: bytes, start: int) -> bytes | None:  # noqa: ARG002  nothing here is usual
        return None

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return held


def crumbs(raw: bytes) -> list[list[bytes]]:
    """Return the ways to cut a text in two, itself whole, and its bytes."""
    return [[raw], [raw[at : at + 1] for at in range(len(raw))], *([raw[:at], raw[at:]] for at in range(1, len(raw)))]


@pytest.mark.parametrize("is_edited", [False, True])
@pytest.mark.parametrize("is_kept", [False, True])
def test_chunks_go_on_for_every_cut(*, is_edited: bool, is_kept: bool) -> None:
    """Chunks travel as they came without their end; what is edited has chunks of its own; the trail is what went on."""
    for pieces in crumbs(RAW):
        reader, trail = Reader(), Trail() if is_kept else None
        view = View(reader, Shouter()) if is_edited else None
        body, passed, end = ChunkedBody(), b"", MORE
        for piece in pieces:
            assert end == MORE
            part, end = pass_framed(body, piece, view, trail)
            passed += part
        assert end == len(pieces[-1])
        payload: list[bytes] = []
        assert ChunkedBody().feed(passed + b"0\r\n\r\n", payload) == len(passed) + 5
        assert b"".join(payload) == (b"ONETWO!" if is_edited else b"onetwo!")
        assert is_edited or passed == b"3\r\none\r\n4;x=y\r\ntwo!\r\n"
        assert trail is None or trail.payload() == b"".join(payload)
        assert reader.seen == (b"onetwo!" if is_edited else b"")


@pytest.mark.parametrize("new_body", [lambda: LengthBody(6), UntilCloseBody])
@pytest.mark.parametrize("is_viewed", [False, True])
def test_bare_bodies_go_on_up_to_their_end(new_body: type[UntilCloseBody], *, is_viewed: bool) -> None:
    """What is behind a known length stays behind, and is neither seen nor kept."""
    body: Body = new_body()
    trail, reader = Trail(), Reader()
    found = [pass_framed(body, piece, View(reader) if is_viewed else None, trail) for piece in (b"one", b"two!")]
    is_length = isinstance(body, LengthBody)
    assert found == [(b"one", MORE), (b"two", 3) if is_length else (b"two!", MORE)]
    assert trail.payload() == (b"onetwo" if is_length else b"onetwo!")
    assert reader.seen == (trail.payload() if is_viewed else b"")


@pytest.mark.parametrize("is_kept", [False, True])
def test_payload_goes_on_for_every_cut(*, is_kept: bool) -> None:
    """Without its framing a body is its payload, whatever is edited in it, to the last byte that was held back."""
    for pieces in crumbs(RAW):
        body, passed, trail = ChunkedBody(), b"", Trail() if is_kept else None
        view = View(Reader(), Shouter())
        for piece in pieces:
            part, end = pass_payload(body, piece, view, trail)
            passed += part
        assert (passed, end) == (b"ONETWO!", len(pieces[-1]))
        assert trail is None or trail.payload() == b"ONETWO!"


@pytest.mark.parametrize("bad", [b"llo\r\nzz", b"llo\r\n3\r\n!!x"])
def test_piece_that_is_refused_never_came(bad: bytes) -> None:
    """Reliability §9: what the framing or somebody who looks refuses is not kept, and the body stands before it."""
    body, trail, view = ChunkedBody(), Trail(), View(Reader())
    assert pass_framed(body, b"5\r\nhe", view, trail) == (b"5\r\nhe", MORE)
    for pass_on in (pass_framed, pass_payload):
        with pytest.raises(UpstreamGarbled):
            pass_on(body, bad, view, trail)
    assert trail.payload() == b"he"
    assert body.completion(b"", b"\n") == b"\n\n\n\r\n"


@pytest.mark.parametrize("end", [b"\r\n", b"\r\n\r\n"])
@pytest.mark.parametrize("trailers", [b"X-Sum: 1\r\n" * 20, b"X-Sum: %b\r\n" % (b"1" * 5000)])
def test_trailers_of_a_piece_that_looked_like_chunks_count_once(trailers: bytes, end: bytes) -> None:
    """Operations §2: a surplus line end that makes the last piece look whole changes no count."""
    trail = Trail(b"\n\n", b"\r\n\r\n")
    piece = b"9\r\ndata: x\n\n\r\n0\r\n" + trailers
    passed, at = pass_framed(ChunkedBody(), piece + b"\r\n" + end, None, trail)
    assert (passed, at) == (b"9\r\ndata: x\n\n\r\n", len(piece) + 2)


def test_bare_payload_that_is_refused_is_not_kept() -> None:
    """A body of known length ends with what somebody refuses to look at."""
    trail = Trail()
    with pytest.raises(UpstreamGarbled):
        pass_framed(LengthBody(9), b"!!", View(Reader()), trail)
    assert trail.payload() == b""
