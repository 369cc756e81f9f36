"""What somebody sees of a body that passes through, and may change in it, without holding it up.

It must not know what bodies mean: an onlooker says which bytes (`sign`) stand in whatever it has to look at, and how
payload begins (`unit_head`) and ends (`ends`) when what follows begins something new. A whole chunk that is like that
and lacks the sign need not be shown when it comes; the last few of them are shown in the end, which is where bodies say
how they ended (ADR 0009). Hot: perf/micro/bench_exchange.py, together with `Upstream`.

Theory of operation. The tail holds whole chunks as they came, and only while everybody is between two things, so it may
be shown late: before anything that is not whole, or when somebody settles. Memory is bounded by TAIL_CHUNKS and by the
size of a chunk that may be kept.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

from busbar_fast.wire.framing import encode_chunk
from busbar_fast.wire.looks import Look, chunk_payload

TAIL_CHUNKS: Final = 8
_UNIT_BYTES: Final = 4096  # of a chunk that may be kept


class Onlooker(Protocol):
    """Looks at payload."""

    sign: bytes
    ends: tuple[bytes, ...]

    @property
    def unit_head(self) -> Callable[[int], bytes]:
        """What returns what payload of a size begins with if it is one unit; nothing if that cannot be told."""

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins something new."""

    def feed(self, piece: bytes) -> None:
        """Look at the next payload, cut anywhere."""


class Editor(Protocol):
    """Changes payload. What is whole and lacks both signs stays as it is; an onlooker's sign never stands alone."""

    signs: tuple[bytes, bytes]

    @property
    def is_between(self) -> bool:
        """Whether nothing is held back."""

    def feed(self, piece: bytes) -> bytes:
        """Return what becomes of the next payload, cut anywhere."""

    def maybe_edit(self, chunk: bytes, start: int) -> bytes | None:
        """Return what becomes of a whole chunk's payload, which starts there, if only that changes which all have.

        Such payload holds nothing for an onlooker. Where the body stands stays as it was.
        """

    def finish(self) -> bytes:
        """Return what was held back, at the end."""


class View:
    """One body as one onlooker sees it, and as an editor changes it."""

    __slots__ = ("_editor", "_onlooker", "_tail", "keep", "look", "other_sign", "sign")

    def __init__(self, onlooker: Onlooker, editor: Editor | None = None) -> None:
        self._onlooker = onlooker
        self._editor = editor
        self._tail: deque[bytes] = deque(maxlen=TAIL_CHUNKS)
        self.keep = self._tail.append  # takes a chunk that looks like this and has no sign
        self.look = _look_of(onlooker.ends, onlooker.unit_head)
        self.sign, self.other_sign = (onlooker.sign, b"") if editor is None else editor.signs

    @property
    def is_edited(self) -> bool:
        """Whether the payload may change."""
        return self._editor is not None

    @property
    def is_between(self) -> bool:
        """Whether whole chunks may be kept."""
        return self._onlooker.is_between and (self._editor is None or self._editor.is_between)

    def show(self, payload: bytes) -> bytes:
        """Show payload; return what of it goes on."""
        self.settle()
        self._onlooker.feed(payload)
        return payload if self._editor is None else self._editor.feed(payload)

    def show_chunk(self, chunk: bytes) -> bytes:
        """Show a whole chunk that looks as it should; return what goes on, framed."""
        if self._editor is not None and self.sign:
            # HOT: 140 instructions a frame in place of 570, python -m perf.costs --only stream-keys, 3.11, 2026-11
            edited = self._editor.maybe_edit(chunk, chunk.find(b"\n") + 1)
            if edited is not None:
                self.keep(chunk)
                return encode_chunk(edited)
        payload = chunk_payload(chunk)
        self._onlooker.feed(payload)
        return chunk if self._editor is None else encode_chunk(self._editor.feed(payload))

    def finish(self) -> bytes:
        """Return what an editor held back, now that the body has ended."""
        return b"" if self._editor is None else self._editor.finish()

    def settle(self) -> None:
        """Show what was kept."""
        tail = self._tail
        while tail:
            self._onlooker.feed(chunk_payload(tail.popleft()))


@lru_cache(maxsize=16)
def _look_of(ends: tuple[bytes, ...], unit_head: Callable[[int], bytes]) -> Look:
    return Look(ends, 0, _UNIT_BYTES, unit_head)
