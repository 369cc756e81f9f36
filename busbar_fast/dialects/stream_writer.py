"""What a dialect says to write a stream: one call for each thing that a legal stream is made of. Hot.

A `Guard` makes the calls, in an order that the dialect allows; what is to be sent is added to `out`. A writer lives as
long as its stream.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import AnyBlock, Citation, Seal
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable


class StreamBlock:
    """One block of a stream. A writer keeps its own number in `slot`, and in `parts` what it collects."""

    __slots__ = ("index", "is_open", "is_started", "kind", "name", "parts", "queue", "slot", "tool_id", "whole")

    def __init__(self, index: int, kind: Kind, tool_id: str = "", name: str = "") -> None:
        self.index = index  # of the reader; writers number on their own
        self.kind = kind
        self.tool_id = tool_id  # as the client sees it
        self.name = name
        self.whole: AnyBlock | None = None  # set where the block comes at once
        self.is_open = True  # the reader may add to it
        self.is_started = False  # the writer has been told of it
        self.queue: list[tuple[Callable[..., None], Any]] | None = None  # what waits; None: it is its turn
        self.slot = -1
        self.parts: list[str] = []


class StreamWriter(ABC):
    """See the module. Slots of its own are a subclass's affair."""

    __slots__ = ("out", "reply", "report", "spelling")

    # The kinds that the dialect has a place for, the classes of blocks that come at once, whether several may grow.
    kinds: ClassVar[frozenset[Kind]] = frozenset((Kind.TEXT, Kind.THINKING, Kind.TOOL_USE))
    wholes: ClassVar[frozenset[type]] = frozenset()
    has_overlap: ClassVar[bool] = False

    def __init__(self, reply: Reply, report: Report, spelling: Spelling) -> None:
        self.reply = reply
        self.report = report
        self.spelling = spelling  # how ids and seals of others look to this client
        self.out: list[bytes] = []

    @abstractmethod
    def write_start(self, model: str, usage: Usage | None) -> None:
        """Begin; the usage is what is known of it by now."""

    @abstractmethod
    def write_open(self, block: StreamBlock) -> None:
        """Begin a block."""

    @abstractmethod
    def write_text(self, block: StreamBlock, text: str) -> None:
        """Write more of a text or a refusal."""

    @abstractmethod
    def write_thinking(self, block: StreamBlock, text: str) -> None:
        """Write more of a thought."""

    @abstractmethod
    def write_args(self, block: StreamBlock, fragment: str) -> None:
        """Write more of the arguments of a call."""

    @abstractmethod
    def write_close(self, block: StreamBlock) -> None:
        """End a block."""

    @abstractmethod
    def write_end(self, stop: Stop, usage: Usage) -> None:
        """End the stream."""

    @abstractmethod
    def write_failure(self, fault: Fault, usage: Usage) -> None:
        """End the stream with an error; all blocks are closed."""

    def write_stop(self, stop: Stop) -> None:  # noqa: B027  most say it in the end, with the usage
        """Say why the answer ends: the last block is closed, only usage can follow."""

    def write_whole(self, block: StreamBlock) -> None:  # noqa: B027  most dialects have no such blocks
        """Write a block that came at once; only what is in `wholes` comes here."""

    def write_seal(self, block: StreamBlock, seal: Seal) -> None:  # noqa: ARG002  not every dialect has a place
        """Write a piece of a block's seal; by default it is lost."""
        self.report.dropped("signature")

    def write_citations(self, block: StreamBlock, citations: list[Citation]) -> None:  # noqa: ARG002  as above
        """Write references of a text."""
        self.report.dropped("citations")

    def write_logprobs(self, block: StreamBlock, logprobs: list[TokenLogprob]) -> None:  # noqa: ARG002  as above
        """Write how likely the tokens of a text were."""
        self.report.dropped("logprobs")
