"""A body on its way through: what of a received piece goes on, who looks at it, and what is kept of it.

It must not know transports. `pass_framed` is for a body that travels on as it came, `pass_payload` for one that gets
another framing. The end of a body is never part of what they return: whoever passes it on writes it, when it is sure.
"""

from busbar_fast.errors import Refused, UpstreamGarbled
from busbar_fast.wire.framing import MORE, Body, ChunkedBody, encode_chunk, is_between_chunks
from busbar_fast.wire.trail import Trail
from busbar_fast.wire.viewing import View


def pass_framed(body: Body, piece: bytes, view: View | None, trail: Trail | None) -> tuple[bytes, int]:
    """Return what of a piece travels on, framed as it came, and where in it the body ended, or MORE.

    What an editor changed is framed anew, as chunks. Raise UpstreamGarbled, as if the piece had not come.
    """
    if view is None and trail is not None and trail.takes(piece) and is_between_chunks(body):
        # HOT: chunks that came together are not taken apart, python -m perf --only stream.c8.burst, 3.11, 2026-11
        if _feed(body, piece, None) == MORE and is_between_chunks(body):
            trail.keep(piece)
            return piece, MORE
        _rewind(body)
    front = body.withheld if isinstance(body, ChunkedBody) else b""
    if view is None and trail is None:
        end = _feed(body, piece, None)
    else:
        payload, end = _read(body, piece, view)
        if trail is not None:
            trail.note(payload)
        if view is not None and view.is_edited:
            return encode_chunk(payload), end
    if isinstance(body, ChunkedBody):
        return (front + piece)[: len(front) + body.travels_to], end
    return piece if end == MORE else piece[:end], end


def pass_payload(body: Body, piece: bytes, view: View | None, trail: Trail | None) -> tuple[bytes, int]:
    """Return the payload in a piece that goes on, and where in the piece the body ended, or MORE."""
    payload, end = _read(body, piece, view)
    if trail is not None:
        trail.note(payload)
    return payload, end


def _read(body: Body, piece: bytes, view: View | None) -> tuple[bytes, int]:
    """Return the payload in a piece, as shown to whoever looks, and where in the piece the body ended, or MORE."""
    parts: list[bytes] = []
    end = _feed(body, piece, parts)
    payload = parts[0] if len(parts) == 1 else b"".join(parts)
    if view is not None:
        try:
            payload = view.show(payload)
            if end != MORE:
                payload += view.finish()
        except UpstreamGarbled:
            _rewind(body)
            raise
    return payload, end


def _feed(body: Body, piece: bytes, parts: list[bytes] | None) -> int:
    try:
        return body.feed(piece, parts)
    except Refused as error:
        _rewind(body)
        raise UpstreamGarbled(str(error)) from error


def _rewind(body: Body) -> None:
    if isinstance(body, ChunkedBody):
        body.rewind()
