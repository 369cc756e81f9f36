"""How much an answer has said so far, for those who have to guess what it cost: characters of text, thoughts and calls.

It reads a stream as a translation would. One that cannot be read any further counts as far as it could.
"""

from typing import Final

from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.registry import translator
from busbar_fast.errors import UpstreamGarbled
from busbar_fast.ir.answers import Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import AnyBlock, Citation, Seal
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report

_CHARACTERS_A_TOKEN: Final = 4


def tokens_of(characters: int) -> int:
    """Return how many tokens so many characters are taken for."""
    return -(-characters // _CHARACTERS_A_TOKEN)


class Estimator:
    """Reads the payload of a stream."""

    __slots__ = ("_count", "_reader")

    def __init__(self, dialect: Dialect) -> None:
        self._count = _Count()
        self._reader = translator(dialect).new_reader(self._count, Report())

    @property
    def tokens(self) -> int:
        """What it has come to."""
        return tokens_of(self._count.characters)

    def feed(self, piece: bytes) -> None:
        """Read the next payload, cut anywhere."""
        try:
            self._reader.feed(piece)
        except UpstreamGarbled:
            self._count.is_closed = True


class _Count:
    """Takes the events of an answer and keeps a number."""

    __slots__ = ("characters", "is_closed")

    def __init__(self) -> None:
        self.characters = 0
        self.is_closed = False

    def start(self, model: str = "", usage: Usage | None = None) -> None:
        """Nothing is said yet."""

    def open(self, index: int, kind: Kind, tool_id: str = "", name: str = "") -> None:
        """A name is part of what is said."""
        del index, kind, tool_id
        self._add(name)

    def whole(self, index: int, block: AnyBlock) -> None:
        """What comes at once has no characters that could be counted alike."""

    def text(self, index: int, text: str) -> None:
        """Count a text."""
        del index
        self._add(text)

    def thinking(self, index: int, text: str) -> None:
        """Count a thought."""
        del index
        self._add(text)

    def args(self, index: int, fragment: str) -> None:
        """Count a call's arguments."""
        del index
        self._add(fragment)

    def seal(self, index: int, seal: Seal) -> None:
        """A seal is no part of what is said."""

    def citations(self, index: int, citations: list[Citation]) -> None:
        """What is cited was said by others."""

    def logprobs(self, index: int, logprobs: list[TokenLogprob]) -> None:
        """These are about what is counted."""

    def close(self, index: int) -> None:
        """Nothing is added."""

    def finish(self, stop: Stop, usage: Usage | None = None) -> None:
        """Nothing is added."""

    def usage(self, usage: Usage) -> None:
        """Whoever sees this needs no estimate."""

    def fail(self, name: str, payload: bytes) -> None:
        """An error is not said by the model."""

    def end(self, *, is_natural: bool = False) -> None:
        """Nothing is added."""

    def _add(self, text: str) -> None:
        if not self.is_closed:
            self.characters += len(text)
