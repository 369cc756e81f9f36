"""The TLS material that clients are met with: made at the start, renewed by a reload or when its files change.

New material is for new handshakes; a running connection keeps what it began with. What cannot be used changes nothing.

Time and size of a file say when to read it again, and what was read says whether it is new: the material of a start or
of a reload was read some time before it came into use, so the first look reads the files in any case.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import NONE, Tls
from busbar_fast.config.secrets import NoSecret, reveal_raw
from busbar_fast.observe.log import fields
from busbar_fast.wire.listener import Listener

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger("busbar_fast.gateway")

Stamps = list[tuple[int, int, int] | None]


def new_context(tls: Tls, inputs: Inputs) -> "ssl.SSLContext":
    """Return the context of this material. Raise OSError or NoSecret."""
    from busbar_fast.wire.tls import new_server_context  # noqa: PLC0415  see there

    authorities = b"" if tls.client_ca == NONE else reveal_raw(tls.client_ca, inputs)
    return new_server_context(reveal_raw(tls.cert, inputs), reveal_raw(tls.key, inputs), authorities)


class Certificates:
    """The material of all listeners, and the eye on its files."""

    __slots__ = ("_environment", "_listeners", "_look", "_loop", "_pieces", "_stamps", "_tls")

    def __init__(
        self, listeners: Sequence[Listener], loop: asyncio.AbstractEventLoop, environment: Mapping[str, str]
    ) -> None:
        self._listeners = listeners
        self._loop = loop
        self._environment = environment
        self._tls: Tls | None = None
        self._pieces: list[bytes] = []
        self._stamps: Stamps | None = None
        self._look: asyncio.TimerHandle | None = None

    def use(self, tls: Tls, context: "ssl.SSLContext", inputs: Inputs) -> None:
        """Make new handshakes use what was made of these inputs, and look at its files as often as it says."""
        for listener in self._listeners:
            listener.tls = context
        self._tls = tls
        self._pieces = _pieces(tls, inputs)
        self._stamps = None
        self._look_later()

    def close(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()

    def _look_later(self) -> None:
        self.close()
        if self._tls is not None and self._tls.reload_interval_secs:
            self._look = self._loop.call_later(self._tls.reload_interval_secs, self._look_now)

    def _look_now(self) -> None:
        tls = self._tls
        assert tls is not None  # else nobody would look
        self._look_later()
        stamps = _stamps(tls)
        if stamps == self._stamps:
            return
        self._stamps = stamps  # one attempt and one complaint for each change
        inputs = Inputs(self._environment)
        try:
            if _pieces(tls, inputs) == self._pieces:
                return
            context = new_context(tls, inputs)
        except (OSError, NoSecret) as error:
            from busbar_fast.config.pem import why_unfit  # noqa: PLC0415  a warm start needs none of it

            why, files = why_unfit(tls, inputs) or error, ",".join(_files(tls))
            _log.error("TLS material was not renewed, the old one stays: %s", why, extra=fields(files=files))
            return
        self.use(tls, context, inputs)
        self._stamps = stamps  # from before the reading
        _log.info("TLS material renewed", extra=fields(files=",".join(_files(tls))))


def _files(tls: Tls) -> list[str]:
    return [piece.source for piece in (tls.cert, tls.key, tls.client_ca) if piece.kind == "file"]


def _pieces(tls: Tls, inputs: Inputs) -> list[bytes]:
    """Return what the material consists of. Raise NoSecret."""
    return [reveal_raw(piece, inputs) for piece in (tls.cert, tls.key, tls.client_ca) if piece != NONE]


def _stamps(tls: Tls) -> Stamps:
    """Return what changes when one of the files does."""
    return [_stamp(path) for path in _files(tls)]


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  pathlib takes 3 ms to import
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
