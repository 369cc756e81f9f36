"""An upstream's answer with its content coding undone; it is read as the `Upstream` itself would be.

Parts are decoded when they are asked for, so whoever does not ask stops the reading as ever.
"""

from collections import deque
from typing import TYPE_CHECKING

from busbar_fast.errors import UpstreamGarbled
from busbar_fast.wire.coding import Decoder
from busbar_fast.wire.upstream import Upstream

if TYPE_CHECKING:
    from busbar_fast.wire.trail import Trail
    from busbar_fast.wire.viewing import View


class Decoded:
    """See the module. `max_bytes` bounds what may come out of it in all; 0 does not."""

    __slots__ = ("_decoder", "_given_bytes", "_has_all", "_max_bytes", "_ready", "_upstream", "trail", "view")

    def __init__(self, upstream: Upstream, coding: bytes, max_bytes: int) -> None:
        self._upstream = upstream
        self._decoder = Decoder(coding)
        self._max_bytes = max_bytes
        self._given_bytes = 0
        self._has_all = False  # of what the upstream has to say
        self._ready: deque[bytes] = deque()
        # As those of an `Upstream`; they get what was decoded.
        self.view: View | None = None
        self.trail: Trail | None = None

    def maybe_whole(self) -> bytes | None:
        """Return the whole body if it came together with the head and is small; it is not given again."""
        raw = None if self._has_all else self._upstream.maybe_whole()
        if raw is None:
            return None
        self._decoder.feed(raw)
        self._has_all = True
        first = self._next_decoded()
        second = self._next_decoded() if first else b""
        if not second:
            self._decoder.finish()
            return self._noted(first if self.view is None else self.view.show(first) + self.view.finish())
        self._ready.extend((first, second))
        return None

    async def next_part(self) -> bytes | None:
        """Return the next bytes of the body; None at the end. Raise UpstreamGarbled if they cannot be decoded."""
        view = self.view
        while True:
            part = self._ready.popleft() if self._ready else self._next_decoded()
            if part and view is not None:
                part = view.show(part)
                if not part:
                    continue
            if part:
                return self._noted(part)
            raw = None if self._has_all else await self._upstream.next_part()
            if raw is None:
                self._has_all = True
                self._decoder.finish()
                return None if view is None else self._noted(view.finish()) or None
            self._decoder.feed(raw)

    async def read_body(self, max_bytes: int) -> tuple[bytes, bool]:
        """Return the body and whether it is whole; reading stops beyond `max_bytes`."""
        parts: list[bytes] = []
        size = 0
        while (part := await self.next_part()) is not None:
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                return b"".join(parts)[:max_bytes], False
        return b"".join(parts), True

    def _noted(self, payload: bytes) -> bytes:
        if self.trail is not None:
            self.trail.note(payload)
        return payload

    def _next_decoded(self) -> bytes:
        part = self._decoder.next_part()
        self._given_bytes += len(part)
        if self._max_bytes and self._given_bytes > self._max_bytes:
            raise UpstreamGarbled("a coded body that is larger than any may be")
        return part
