"""What a dialect can do when it is not alone: read what its clients and its upstreams write, and write it.

Each dialect folder has a `translation` package that exports one `TRANSLATOR`. It knows the neutral records of `ir` and
its own wire shapes, and no other dialect. What its wire has no place for has been taken out, or turned into what it
has, before a writer sees it: `preparing` does that by the dialect's `Abilities`, so writers write all they are given.

Order of a request: `read_request` of the client's dialect, `prepare_request`, `write_request` of the lane's dialect.
Of an answer: `read_answer` of the lane's dialect, `prepare_answer`, `write_answer` of the client's. Of a stream: the
`new_reader` of the lane's dialect calls the `new_writer` of the client's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from busbar_fast.dialects.asks import Ask
from busbar_fast.ir.answers import Answer
from busbar_fast.ir.blocks import MediaKind
from busbar_fast.ir.events import Sink
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request

if TYPE_CHECKING:
    from busbar_fast.dialects.stream_writer import StreamWriter

# Tokens to think for that stand for a word, in ascending order.
BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 32768,
}


class Hosting(NamedTuple):
    """A tool that a dialect's upstreams run."""

    options: frozenset[str] = frozenset()  # the names in `HostedTool` of what can be said of it
    name: str = ""  # which no function may have beside it


class Abilities(NamedTuple):
    """What a dialect has a place for; the defaults are those of one that has none for anything special."""

    name: str  # opaque here: what `Request.source` and the owners of blocks say
    # Ids of calls
    tool_prefix: str = ""  # of its native ids; empty: any id will do
    takes_tool_id: Callable[[str], object] = bool  # whether its upstreams accept an id
    takes_tool_name: Callable[[str], object] = bool  # and a name
    # Reasoning
    seal: str = ""  # the family of its own seals, four letters; empty: it has none
    opens: frozenset[str] = frozenset()  # the families of seals that its upstreams can open
    takes_thinking: bool = False  # in history
    takes_unsealed_thinking: bool = False
    takes_redacted: bool = False
    takes_reasoning: bool = True  # an ask for it, if the lane may be asked
    # Prompts
    takes_later_system: str = ""  # "always"; "asked": if the lane's `inline_system` says so; else it moves to the front
    takes_marks: str = ""  # "always"; "gated": if the lane is known to cache; else never
    most_marks: int = 0  # 0: any number
    takes_user: bool = False
    takes_plans: bool = False  # text about the calls that follow has a place of its own
    takes_json_results: bool = False  # else they become text
    takes_error_flag: bool = False
    takes_citations: bool = False  # in history
    takes_search_results: bool = False  # else they become text
    takes_code: bool = False  # else it becomes fenced text
    takes_documents: bool = False  # `Request.documents`
    takes_text_documents: bool = False  # `Plain` media; else they become text
    takes_image_detail: bool = False
    media: frozenset[tuple[MediaKind, type]] = frozenset()  # (kind, class of the source) that a user's turn may hold
    result_media: frozenset[tuple[MediaKind, type]] = frozenset()  # that a tool's result may; else beside it, if above
    # Tools
    takes_custom_tools: bool = False  # else they become functions
    takes_strict: bool = False
    choices: frozenset[str] = frozenset()  # of: none, named, allowed. The others become what is nearest
    takes_parallel: bool = False
    hosted: Mapping[str, Hosting] = {}  # by their kind, those that a lane may be asked to run in another one's stead
    takes_hosted_beside: bool = False  # them and functions in one request
    # Sampling
    sampling: frozenset[str] = frozenset()  # the names in `Sampling` besides max_tokens, temperature, top_p, stop
    most_stops: int | None = None  # 0: it has none
    ranges: Mapping[str, tuple[float, float]] = {}  # that numbers are clamped to
    needs_max_tokens: bool = False


class Recipient(NamedTuple):
    """The lane that a request is written for."""

    model: str  # as the upstream calls it
    host: str = ""
    options: Mapping[str, str | bool] = {}  # of provider and model, by the names of the configuration
    default_max_tokens: int = 4096
    has_reasoning: bool = False  # it may be asked to think
    has_prompt_caching: bool = False
    budgets: Mapping[str, int] = BUDGETS
    drops_guards: bool = False  # safety controls that it does not know may fall away
    drops_held: bool = False  # and so may what leans on something kept by another vendor


class Reply(NamedTuple):
    """What the form of an answer depends on besides what is in it."""

    request: Request  # as the client wrote it
    ask: Ask
    model: str  # names the lane's model if the upstream does not
    created_s: int
    elapsed_ms: Callable[[], int]


class StreamReader(Protocol):
    """Reads an upstream's stream and calls a sink."""

    def feed(self, piece: bytes) -> None:
        """Read the next bytes, cut anywhere. Raise UpstreamGarbled if they cannot be a stream of this dialect."""

    def end(self) -> None:
        """No more will come: read what is held, and end the sink if the stream did not itself."""


class Translator(ABC):
    """One dialect, to be translated from and to. It has no state."""

    abilities: Abilities

    @abstractmethod
    def read_request(self, body: bytes, ask: Ask, report: Report) -> Request:
        """Read a client's request. Raise Misshapen, NotJson or TooDeep."""

    @abstractmethod
    def write_request(self, request: Request, recipient: Recipient, report: Report) -> bytes:
        """Write a prepared request for an upstream. Raise Misshapen if nothing is left that could be sent."""

    @abstractmethod
    def read_answer(self, body: bytes, report: Report) -> Answer:
        """Read an upstream's answer. Raise Misshapen, NotJson, TooDeep, or FaultReported if it is an error."""

    @abstractmethod
    def write_answer(self, answer: Answer, reply: Reply, report: Report) -> bytes:
        """Write a prepared answer for a client."""

    @abstractmethod
    def new_reader(self, sink: Sink, report: Report) -> StreamReader:
        """Return what reads an upstream's stream."""

    @abstractmethod
    def new_writer(self, reply: Reply, report: Report) -> "StreamWriter":
        """Return what writes a client's stream."""

    def stream_type(self, ask: Ask) -> bytes:  # noqa: ARG002  one dialect has two
        """Return the content type of a client's stream."""
        return b"text/event-stream"
