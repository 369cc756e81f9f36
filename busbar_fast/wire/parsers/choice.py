"""The interface both parsers share, and how one is chosen.

A parser turns the raw bytes of one complete head into fields. It does not judge what they mean: the request line,
limits, framing and connection rules live beside it, once, so that the two can only differ in syntax.
"""

import importlib
from typing import Protocol, cast

from busbar_fast.wire.heads import Fields

NAMES = ("httptools", "h11")


class HeadParser(Protocol):
    """Reads complete heads; holds no state between them."""

    name: str

    def request_fields(self, raw: bytes) -> Fields:
        """Return the header fields of a request head whose line was checked; raise Refused."""

    def response_fields(self, raw: bytes) -> tuple[int, int, Fields]:
        """Return status, minor version and fields of an answer's head; raise UpstreamGarbled."""


def choose_parser(wanted: str | None = None) -> HeadParser:
    """Return the parser of this name; without a name httptools, or h11 where httptools is missing."""
    if wanted is not None and wanted not in NAMES:
        raise ValueError(f"BUSBAR_HTTP_PARSER must be one of {', '.join(NAMES)}, not {wanted!r}")
    for name in NAMES if wanted is None else (wanted,):
        try:
            module = importlib.import_module(f"busbar_fast.wire.parsers.{name}_heads")
        except ModuleNotFoundError as error:
            if error.name != name or wanted is not None:
                raise
        else:
            return cast("HeadParser", module.PARSER)
    raise ModuleNotFoundError("neither httptools nor h11 is installed")
