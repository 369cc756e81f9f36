"""Texts that are to become vectors, and the vectors, whoever makes them. Plain records."""

from enum import IntEnum

from msgspec import Struct


class Purpose(IntEnum):
    """What vectors are for."""

    NONE = 0  # nobody said
    DOCUMENT = 1  # to be found
    QUERY = 2  # to find by
    CLASSIFICATION = 3
    CLUSTERING = 4


class Cut(IntEnum):
    """What of a text that is too long is cut off."""

    UNSAID = 0  # whatever the vendor is used to
    NEVER = 1  # it is refused
    START = 2
    END = 3


class Encoding(IntEnum):
    """How a client wants to read a vector."""

    FLOAT = 1
    BASE64 = 2  # of float32, the smallest byte first


class Embed(Struct, gc=False):
    """What a client asks for. `place` is the member in which its texts stand, for complaints."""

    texts: list[str]
    place: str
    dimensions: int | None = None
    purpose: Purpose = Purpose.NONE
    cut: Cut = Cut.UNSAID
    encodings: tuple[Encoding, ...] = (Encoding.FLOAT,)


class Vectors(Struct, gc=False):
    """What it gets: one vector for each text, in their order. `input_tokens` is None if nobody counted."""

    vectors: list[list[float]]
    input_tokens: int | None = None
    model: str = ""
