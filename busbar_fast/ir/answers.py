"""What a model answers, whoever it is: blocks, why it stopped, what it cost. Plain records."""

from enum import IntEnum

from msgspec import Raw, Struct

from busbar_fast.ir.blocks import NOTHING, AnyBlock, Ext


class Reason(IntEnum):
    """Why an answer ends."""

    NONE = 0  # nobody said
    END_TURN = 1
    STOP_SEQUENCE = 2
    MAX_TOKENS = 3
    TOOL_USE = 4
    SAFETY = 5
    REFUSAL = 6
    PAUSE = 7
    CONTEXT_WINDOW = 8
    TIMEOUT = 9
    ERROR = 10
    OTHER = 11


class Stop(Struct, frozen=True, gc=False):
    """Why an answer ends, and in which word of `owner` that was said."""

    reason: Reason
    native: str = ""
    owner: str = ""
    matched: str | None = None  # the stop string
    detail: str = ""


class Usage(Struct, frozen=True, gc=False):
    """Tokens. `input` counts what came from no cache; `reasoning` is a part of `output`. None is not 0."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None  # a part of cache_write
    reasoning: int | None = None

    @property
    def total_input(self) -> int:
        """All that went in, whether from a cache or not."""
        return (self.input or 0) + (self.cache_read or 0) + (self.cache_write or 0)

    def merged(self, later: "Usage") -> "Usage":
        """Return what both say: what the later one counts wins, save for nothing and zero."""
        return Usage(
            later.input or _either(self.input, later.input),
            later.output or _either(self.output, later.output),
            later.cache_read or _either(self.cache_read, later.cache_read),
            later.cache_write or _either(self.cache_write, later.cache_write),
            later.cache_write_1h or _either(self.cache_write_1h, later.cache_write_1h),
            later.reasoning or _either(self.reasoning, later.reasoning),
        )


class TokenLogprob(Struct, gc=False):
    """How likely a token was, and what else could have stood there."""

    token: str
    logprob: Raw
    raw_bytes: Raw = NOTHING  # the list of bytes as it was written
    top: "list[TokenLogprob]" = []


class Answer(Struct, gc=False):
    """A whole answer. `source` is the name of the dialect it was written in, which alone gets `ext` back."""

    source: str
    id: str = ""
    model: str = ""
    created_s: int = 0
    blocks: list[AnyBlock] = []
    stop: Stop = Stop(Reason.NONE)
    usage: Usage = Usage()
    logprobs: list[TokenLogprob] = []
    ext: Ext | None = None


def _either(first: int | None, second: int | None) -> int | None:
    return second if first is None else first
