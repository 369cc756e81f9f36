"""Bodies of callers who sign what they send: nobody knows who they are before all of it is there, so it is bounded."""

from typing import Final

from busbar_fast.errors import Overloaded

_MOST_BODIES: Final = 64
_MOST_BYTES: Final = 256 * 1024 * 1024


class Strangers:
    """Counts the bodies that are held, and how large they may become."""

    __slots__ = ("_bodies", "_bytes")

    def __init__(self) -> None:
        self._bodies = 0
        self._bytes = 0

    def hold(self, size: int) -> "Held":
        """Return the room for one more body, to be given back with a `with`. Raise Overloaded if there is none."""
        if self._bodies >= _MOST_BODIES or self._bytes + size > _MOST_BYTES:
            raise Overloaded("too many bodies of callers who are not known yet")
        self._bodies += 1
        self._bytes += size
        return Held(self, size)

    def release(self, size: int) -> None:
        """Take room back."""
        self._bodies -= 1
        self._bytes -= size


class Held:
    """Room for one body."""

    __slots__ = ("_size", "_strangers")

    def __init__(self, strangers: Strangers, size: int) -> None:
        self._strangers = strangers
        self._size = size

    def __enter__(self) -> None:
        """It was taken when this was made."""

    def __exit__(self, *_: object) -> None:
        self._strangers.release(self._size)
