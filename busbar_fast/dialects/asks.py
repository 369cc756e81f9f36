"""What a request asks for, as far as its path and query say; the body may say the rest."""

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from busbar_fast.dialects.dialect import Dialect


class Operation(IntEnum):
    """What is to be done."""

    CONVERSE = 1  # an answer from a model, whole or streamed
    COUNT_TOKENS = 2
    LIST_MODELS = 3
    SHOW_MODEL = 4
    OTHER = 5  # any other call of the vendor that names a model; its action says which, and it is never translated
    NOTHING = 6  # a path of this dialect that offers nothing here: 404 in its words
    EMBED = 7  # vectors for texts; its action says by which call of the vendor


_NAMED: Final = (Operation.OTHER, Operation.EMBED)
_CALLS: Final = frozenset((Operation.CONVERSE, Operation.COUNT_TOKENS, *_NAMED))


class Ask:
    """One kind of request; the same path and query always make the same one, so it may be kept and shared."""

    __slots__ = (
        "action",
        "dialect",
        "in_array",
        "in_stream",
        "is_call",
        "methods",
        "name",
        "operation",
        "provider",
        "query",
        "word",
    )

    def __init__(
        self,
        dialect: "Dialect",
        operation: Operation,
        *,
        name: str | None = None,
        provider: str | None = None,
        in_stream: bool | None = None,
        in_array: bool = False,
        query: bytes = b"",
        word: str = "",
    ) -> None:
        # Of an operation that is none of the usual: how it is called at the end of a lane's path.
        self.action = word.rpartition(" ")[2] if operation in _NAMED else ""
        self.dialect = dialect
        self.operation = operation
        self.name = name  # of a pool or model; None: the body's `model` says it
        self.provider = provider  # of an ad-hoc call: the model must be one of this provider
        self.in_stream = in_stream  # None: the body's `stream` says it
        self.in_array = in_array  # the stream is one JSON array
        self.query = query  # what of the query travels on
        self.word = word  # what a refusal names: an action, a version of the API and a space before it, or either
        self.is_call = operation in _CALLS  # a lane is asked
        self.methods: tuple[bytes, ...] = (b"POST",) if self.is_call else (b"GET", b"HEAD")
