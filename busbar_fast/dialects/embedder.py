"""What a dialect can do about vectors when it is not alone: read and write requests for them, and answers.

A dialect folder whose lanes make vectors has a module `embedding` that exports one `EMBEDDER`, a `LaneEmbedder`; where
clients of the dialect may be served by lanes of another one it is a `ClientEmbedder` too. Readers and writers meet in
the records of `ir.embeddings` and know no other dialect. What a client says and nobody can be told is noted in the
report.

Order: `read_request` of the client's dialect, `write_request` and `read_answer` of the lane's, `write_answer` of the
client's.
"""

import struct
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from typing import Final

from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.members import Members, integer_of, items_of, text_of
from busbar_fast.errors import Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Purpose, Vectors
from busbar_fast.ir.report import Report
from busbar_fast.wire.heads import Fields

_FLOAT_BYTES: Final = 4
_decode_vector: Final = Decoder(list[float]).decode
_decode_vectors: Final = Decoder(list[list[float]]).decode


class LaneEmbedder(ABC):
    """The half of a dialect that upstreams see. It has no state."""

    @abstractmethod
    def write_request(self, embed: Embed, model: str, report: Report) -> bytes:
        """Write a request for an upstream that calls its model so. Raise Misshapen if it cannot be asked for this."""

    @abstractmethod
    def read_answer(self, body: bytes, fields: Fields) -> Vectors:
        """Read an upstream's answer. Raise Misshapen, NotJson, TooDeep, or FaultReported if it is an error."""


class ClientEmbedder(ABC):
    """The half of a dialect that clients see. It has no state."""

    @abstractmethod
    def read_request(self, body: bytes, ask: Ask, report: Report) -> Embed:
        """Read a client's request. Raise Misshapen, NotJson or TooDeep."""

    @abstractmethod
    def write_answer(self, vectors: Vectors, embed: Embed, ask: Ask) -> bytes:
        """Write an answer for a client. Raise Misshapen if its vectors have no such form."""


# Requests


def texts_in(raw: Raw, place: str) -> list[str]:
    """Read a text or a list of texts; others than its own vendor have no use for tokens. Raise Misshapen."""
    if not raw:
        raise Misshapen(place, "is missing")
    alone = text_of(raw)
    if alone is not None:
        return [alone]
    texts = []
    for item in items_of(raw, place):
        text = text_of(item)
        if text is None:
            raise Misshapen(place, "must be a string or a list of strings for this model, not tokens")
        texts.append(text)
    if not texts:
        raise Misshapen(place, "must not be empty")
    return texts


def dimensions_in(members: Members, name: str) -> int | None:
    """Read how long vectors should be. Raise Misshapen if that is no length."""
    raw = members.raw(name)
    if not raw:
        return None
    number = integer_of(raw)
    if number is None or number < 1:
        raise members.wrong(name, "must be a positive whole number")
    return number


def drop_rest(members: Members, report: Report) -> None:
    """Note what nobody has understood."""
    for name in members.rest() or ():
        report.dropped(name)


def note_unsaid(embed: Embed, report: Report, *, takes_purpose: bool = False) -> None:
    """Note what an upstream cannot be told of its texts: how to cut them, and mostly what they are for."""
    if embed.purpose is not Purpose.NONE and not takes_purpose:
        report.dropped("input_type")
    if embed.cut in (Cut.START, Cut.END):
        report.dropped("truncate")


# Vectors


def vector_in(raw: Raw, place: str) -> list[float]:
    """Read one vector, as numbers or packed. Raise Misshapen."""
    packed = text_of(raw) if raw else None
    try:
        return _decode_vector(raw) if packed is None else unpack(packed)
    except (DecodeError, ValueError) as error:
        raise Misshapen(place, "is no vector") from error


def vectors_in(raw: Raw, place: str) -> list[list[float]]:
    """Read a list of vectors. Raise Misshapen."""
    try:
        return _decode_vectors(raw)
    except DecodeError as error:
        raise Misshapen(place, "must be a list of vectors") from error


def pack(vector: list[float]) -> str:
    """Return a vector as base64 of float32, the smallest byte first. Raise Misshapen for numbers beyond that."""
    try:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except OverflowError as error:
        raise Misshapen("embedding", "holds a number that is too large") from error


def unpack(packed: str) -> list[float]:
    """Return the vector that was packed so. Raise ValueError if it was not."""
    raw_vector = b64decode(packed, validate=True)
    if len(raw_vector) % _FLOAT_BYTES:
        raise ValueError("not a whole number of floats")
    return list(struct.unpack(f"<{len(raw_vector) // _FLOAT_BYTES}f", raw_vector))
