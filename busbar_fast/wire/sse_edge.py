"""Knows where an event stream stands that a client is being sent, and how an event is ended that broke off.

It must not know what events say. Whoever writes a stream feeds it every piece; when the stream breaks, `mend` returns
what ends the event that is half there. Hot: perf/micro/bench_sse_edge.py.

Theory of operation. Most pieces end where an event ends, and then the piece is remembered and nothing else. From any
other piece on, pieces are kept until one ends with an event; so the half event is at hand, and so is the event before
it. A half event cannot be taken back and a client would choke on half a document, so it is completed: its payload
becomes a whole object that ends in members of the caller's, and a later line gives the event another name. What a
parser sees is one well-formed event that says what the caller wants.
"""

import re
from typing import Final, NamedTuple

from busbar_fast.wire.json_mend import missing_character, missing_end
from busbar_fast.wire.sse import BOM, SseSplitter, parse_event

KEPT_BYTES: Final = 1024 * 1024  # of a half event; a larger one cannot be ended

_TRIM_BYTES: Final = 64 * 1024  # so much is kept before it is looked through for ends of events
_USUAL_END: Final = b"\n\n"
_USUAL_ENDS: Final[tuple[bytes, ...]] = (_USUAL_END, b"\r\n\r\n")
_FIELD: Final = b"data: "
_is_end: Final = re.compile(rb"(?:\n\n|[\n\r]\r\n?)\Z").search


class Mended(NamedTuple):
    """What ends the half event, nothing if there is none, and whether that event now says what the caller wants."""

    raw: bytes
    has_members: bool


class SseEdge:
    """Where one stream stands."""

    __slots__ = ("_held", "_held_bytes", "_is_edge", "_is_fresh", "_is_lost", "_last", "_tail", "_trim_bytes")

    def __init__(self) -> None:
        self._last: list[bytes] = []  # pieces that end with the last whole event
        self._held: list[bytes] = []  # what came behind them
        self._held_bytes = 0
        self._trim_bytes = _TRIM_BYTES
        self._tail = _USUAL_END  # the last bytes, enough of them to tell the end of an event
        self._is_edge = False  # at first, so that the first piece is looked at
        self._is_fresh = True  # what comes next may be a byte order mark, or the rest of one
        self._is_lost = False  # inside an event that is too large

    def feed(self, piece: bytes) -> None:
        """Note what is being sent."""
        # HOT: 0.2 us for a piece of whole events instead of 1.4, perf/micro/bench_sse_edge.py, 3.11, 2026-11
        if self._is_edge and piece.endswith(_USUAL_ENDS):
            self._last = [piece]
            self._tail = _USUAL_END
        elif piece:
            self._note(piece)

    def _note(self, piece: bytes) -> None:
        """Keep a piece that does not end where an event ends, or began inside one."""
        if self._is_fresh:
            piece = b"".join(self._held) + piece
            self._is_fresh = len(piece) < len(BOM) and BOM.startswith(piece)
            piece = piece.removeprefix(BOM)
            self._keep(b"")
        self._tail = (self._tail + piece)[-4:]
        self._is_edge = _is_end(self._tail) is not None
        if not self._is_lost:
            self._held.append(piece)
            self._held_bytes += len(piece)
        if self._is_edge:
            if self._is_lost:
                self._last = []
            elif len(self._held) > 1 or piece.strip(b"\r\n"):  # else the rest of a line end, and no event
                self._last = self._held
            self._keep(b"")
            self._is_lost = False
        elif self._held_bytes > self._trim_bytes:
            self._trim()

    def _trim(self) -> None:
        """Let go of all but the half event and the one before; of the half event too if it is too large."""
        events, half = _split(b"".join(self._held))
        if events:
            self._last = events[-1:]
        self._is_lost = len(half) > KEPT_BYTES
        self._keep(b"" if self._is_lost else half)

    def _keep(self, half: bytes) -> None:
        self._held = [half] if half else []
        self._held_bytes = len(half)
        self._trim_bytes = max(_TRIM_BYTES, 2 * len(half))

    def last_event(self) -> bytes:
        """Return the last whole event; nothing if there is none or it was too large."""
        events, _ = _split(b"".join(self._held))
        if not events:
            events, _ = _split(b"".join(self._last))
        return events[-1] if events else b""

    def half_event(self) -> bytes:
        """Return what there is of an event that has not ended."""
        return b"" if self._is_edge else _split(b"".join(self._held))[1]

    def mend(self, members: bytes, name: bytes | None = None, marker: bytes = b"") -> Mended | None:
        """Return what ends a half event so that its payload ends in these members and it has this name.

        An event that says all it was meant to, and one whose payload is the beginning of a marker that is no JSON, is
        ended as it was meant. None if the event cannot be ended: the payload is no object, or too large to be kept.
        """
        if self._is_lost:
            return None
        # A bare CR may be the first half of a line end; with an LF it is a whole one either way.
        line_end = b"\n" if self._tail.endswith(b"\r") else b""
        half = self.half_event()
        if not half:
            return Mended(line_end, has_members=False)
        fill = missing_character(half)
        half += fill
        begun, is_open = _open_line(half)
        ending = b"\n\n" if is_open else b"\n"
        payload = parse_event(half).payload or b""
        if payload and marker.startswith(payload) and (is_open or payload == marker):
            return Mended(line_end + marker[len(payload) :] + ending, has_members=False)
        rest = missing_end(payload if begun == b"" else payload + b"\n", members)
        if rest is None:
            return None
        if not rest:
            return Mended(fill + line_end + ending, has_members=False)
        renamed = b"event: %b\n" % name if name is not None else b""
        return Mended(b"%b%b%b%b\n%b\n" % (fill, line_end, begun, rest, renamed), has_members=True)


def _split(text: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole events in a text and what follows them."""
    splitter = SseSplitter(len(text), is_at_start=False)
    return splitter.feed(text), splitter.take_rest()


def _open_line(half: bytes) -> tuple[bytes, bool]:
    """Return what has to stand before more of the payload, and whether a line is open."""
    line = half[max(half.rfind(b"\n"), half.rfind(b"\r")) + 1 :]
    if not line:
        return _FIELD, False
    if _FIELD.startswith(line):
        return _FIELD[len(line) :], True
    return (b"", True) if line.startswith(_FIELD.rstrip()) else (b"\n" + _FIELD, True)
