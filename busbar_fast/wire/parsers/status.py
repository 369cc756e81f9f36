"""The status line of an answer: read here for both parsers, which are generous in different ways."""

import re

from busbar_fast.errors import UpstreamGarbled

# The reason and the space before it may be missing: too many servers leave them out.
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")

_START = b"HTTP/1."


def check_head_start(raw: bytes) -> None:
    """Raise UpstreamGarbled if these bytes cannot become a head, so that nobody waits for the rest of it."""
    if raw == b"\r":  # half of an empty line, which may stand in front
        return
    if not raw.startswith(_START[: len(raw)]):
        raise UpstreamGarbled("not HTTP")
    if b"\n" in raw:
        read_status_line(raw)


def read_status_line(raw: bytes) -> tuple[int, int]:
    """Return status and minor version; a 101 is refused, for it would hand the connection to another protocol."""
    match = _STATUS_LINE.match(raw)
    if match is None:
        raise UpstreamGarbled("malformed status line")
    minor, status = match.groups()
    if status == b"101":
        raise UpstreamGarbled("the upstream wants another protocol")
    return int(status), int(minor)
