"""A streamed answer as calls: whoever reads a stream makes them, whoever writes one answers them.

Blocks are numbered by first appearance, from 0, and a number is never used twice. Several calls to tools may be open at
once and grow in turns; text and thoughts overlap nothing.
"""

from enum import IntEnum
from typing import Protocol

from busbar_fast.ir.answers import Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import AnyBlock, Citation, Seal


class Kind(IntEnum):
    """What a block of a stream is."""

    TEXT = 1
    REFUSAL = 2
    THINKING = 3
    TOOL_USE = 4


class Sink(Protocol):
    """Takes the events of one answer."""

    def start(self, model: str = "", usage: Usage | None = None) -> None:
        """The answer begins; only the first of these counts."""

    def open(self, index: int, kind: Kind, tool_id: str = "", name: str = "") -> None:
        """A block begins."""

    def whole(self, index: int, block: AnyBlock) -> None:
        """A block that comes at once: a file, code, a thought that only its vendor can read, something opaque."""

    def text(self, index: int, text: str) -> None:
        """More of a text or a refusal; opens a text if need be."""

    def thinking(self, index: int, text: str) -> None:
        """More of a thought; opens one if need be."""

    def args(self, index: int, fragment: str) -> None:
        """More of the JSON of a call's arguments, cut anywhere."""

    def seal(self, index: int, seal: Seal) -> None:
        """A piece of a block's seal; pieces are joined."""

    def citations(self, index: int, citations: list[Citation]) -> None:
        """References of a text."""

    def logprobs(self, index: int, logprobs: list[TokenLogprob]) -> None:
        """How likely the tokens of a text were."""

    def close(self, index: int) -> None:
        """A block has ended."""

    def finish(self, stop: Stop, usage: Usage | None = None) -> None:
        """The answer has ended; only usage may follow."""

    def usage(self, usage: Usage) -> None:
        """What was counted so far."""

    def fail(self, name: str, payload: bytes) -> None:
        """The upstream reports an error, in its own words: an event's name, where it has one, and its payload."""

    def end(self, *, is_natural: bool = False) -> None:
        """The stream is over. Natural: whoever sent it said so, though perhaps not why."""
