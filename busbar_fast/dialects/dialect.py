"""What a dialect is to the gateway: its paths, its refusals, its headers, its way of counting.

Each dialect is a folder that exports one `DIALECT`, a subclass of `Dialect`. A dialect turns bytes into bytes; it knows
neither sockets nor other dialects, and nobody asks for its name to decide something.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.minting import HEXADECIMAL
from busbar_fast.wire.heads import Fields, select_fields
from busbar_fast.wire.json_scan import Edit, Span
from busbar_fast.wire.viewing import Editor

if TYPE_CHECKING:
    from busbar_fast.dialects.body_facts import BodyFacts
    from busbar_fast.dialects.upstream_errors import UpstreamError

JSON: Final = b"Content-Type: application/json\r\n"


class Refusal(NamedTuple):
    """An answer of our own: status, whole header lines, body."""

    status: int
    fields: bytes
    body: bytes


class Usage:
    """Tokens as one answer counts them: what went in (cache reads included) and what came out. Never changed."""

    __slots__ = ("input_tokens", "output_tokens")

    # HOT: no named tuple, whose making is not compiled, python -m perf --only json.c8 --peers governed, 3.11, 2026-11
    def __init__(self, input_tokens: int, output_tokens: int) -> None:
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens

    def __repr__(self) -> str:
        return f"Usage({self.input_tokens}, {self.output_tokens})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Usage):
            return NotImplemented
        return self.input_tokens == other.input_tokens and self.output_tokens == other.output_tokens

    def __hash__(self) -> int:
        return hash((self.input_tokens, self.output_tokens))


class StreamFault(NamedTuple):
    """An error that an upstream reports inside its answer; the name is that of the event, where events have names."""

    name: str
    payload: bytes


class Watch(ABC):
    """Looks at one answer as its bytes go by; never changes or holds back a byte, and never raises.

    Where an answer passes in chunks, those that hold something whole and not the sign are shown late, and of many such
    in a row only the last few. So whatever counts must come with the sign, and what else is asked for here must be
    near the end of an answer, which is where vendors put it.
    """

    # Stands in each event that counts tokens; what an event ends with. Without ends everything is shown.
    sign = b""
    ends: tuple[bytes, ...] = ()

    @staticmethod
    def unit_head(size: int) -> bytes:  # noqa: ARG004  most events do not tell their size
        """Return what an event of this size begins with, where events tell their size."""
        return b""

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins an event."""
        return False

    @abstractmethod
    def feed(self, piece: bytes) -> None:
        """Look at the next bytes of the body, unframed, cut anywhere."""

    def feed_whole(self, document: bytes) -> None:
        """Look at an answer that is here as a whole and has been looked at by nobody."""
        self.feed(document)

    @abstractmethod
    def maybe_usage(self) -> Usage | None:
        """Return what was counted so far."""

    @property
    def has_ended(self) -> bool:
        """Whether an answer that stops here is all there was to say; documents leave that to their framing."""
        return True

    @property
    def fault(self) -> StreamFault | None:
        """The error that a stream reported, if it did."""
        return None


class Reframer(Protocol):
    """Gives an upstream's stream another frame, its payloads untouched."""

    def feed(self, piece: bytes) -> bytes:
        """Return what the next bytes of the stream, cut anywhere, become."""

    def finish(self) -> bytes:
        """Return what the end of the stream becomes."""

    def fail(self, fault: Fault) -> bytes:
        """Return how a stream ends that broke off, for a client that has a part of it."""

    def whole(self, document: bytes) -> bytes:
        """Return what an answer becomes that was not streamed after all."""


class Ending(Protocol):
    """Knows what a client has been sent of a stream, and ends it natively should it break off."""

    def feed(self, piece: bytes) -> None:
        """Note the next bytes that are sent, cut anywhere."""

    def encode_break(self, usage: Usage | None = None) -> bytes | None:
        """Return the last bytes of a stream that broke off before its own end; the body ends cleanly behind them.

        None if no bytes can tell the client: then the connection has to be cut. `usage` is what was counted so far.
        """


class Dialect(ABC):
    """One dialect."""

    # Lower-case name of the header in which an answer carries its id; empty where the vendor has none.
    id_field = b""
    # What else of an upstream's head may reach a client of the same dialect.
    relayed: tuple[bytes, ...] = (b"content-type", b"retry-after")
    # Whether its clients heed when to come back at any status they try again, and not only when it is about limits.
    says_when_at_any_status = False
    # What of a client's head reaches a lane: mostly nothing, for who asks and with what is no business of the upstream.
    forwarded: tuple[bytes, ...] = ()
    # Whether a client may put its key into the query.
    has_key_in_query = False
    # Lower-case name of the header in which a client says how many seconds its request may take; empty: it cannot.
    time_limit_field = b""
    # Whether the model stands in the body: it is replaced there, and added where the vendor could not do without.
    has_model_in_body = True
    needs_model_in_body = True
    # What stands before the name of a model there.
    before_model = ""
    # The member of a request in which a client says whether a stream should tell its usage; empty where all streams do.
    usage_member = b""
    # What stands in front of the counts of a usage that says no more than those; none where a watch reads every usage.
    plain_counts: ClassVar[tuple[bytes, ...]] = ()
    # What every stream that is complete ends with, where that alone tells it; empty where events have to be read.
    last_event = b""
    # What a client reads over between the events of a stream, as a sign of life; empty where nothing is; and after how
    # many seconds of silence it gets one in a stream of ours: 0 is never, unless it is configured.
    keepalive = b""
    keepalive_s = 0.0
    # What stands in every request that leans on something which only this vendor keeps, or that it must guard.
    kept_words: tuple[bytes, ...] = ()
    # What stands, each of it, in every request that holds calls of another vendor and asks to think in a way that is
    # refused in a loop of calls which began without a thought. Empty where a vendor does not mind.
    loop_words: tuple[bytes, ...] = ()
    # Where a request to count tokens may hold a conversation as it would be asked with: names of members, one inside
    # the other. The first that there is counts; no names are the whole body.
    counted_at: tuple[tuple[bytes, ...], ...] = ((),)
    # The least that can be asked of a model, without its name.
    ping: bytes
    # Whose signatures a request carries when the key is a pair; empty where keys are shown as they are.
    aws_service = b""
    # How vectors for texts are asked of a lane, at the end of its path; empty where none are made.
    embed_action = ""
    # What traces call requests, whole and streamed, where the vendor has a name for each.
    span_names: tuple[str, str] | None = None

    @abstractmethod
    def claim(self, path: bytes, query: bytes, fields: Fields) -> Ask | None:
        """Return what a request to this raw path asks for, None if the path is not this dialect's.

        Segments that are captured are percent-decoded once, here. The header fields break ties on shared paths only.
        """

    @abstractmethod
    def upstream_path(self, path: str, ask: Ask, *, in_stream: bool) -> str:
        """Return the path of a lane for what is asked; `path` is the one for a whole conversation, the model in it.

        Nothing if a lane with this path has no place for it.
        """

    @abstractmethod
    def credential(self, style: str, key: str, *, is_callers: bool = False) -> bytes:
        """Return the header line that carries a key; nothing if it cannot stand in a header or there is none.

        `style` is the provider's `auth`, empty for the dialect's own way; `is_callers` says that the key is the
        client's own, passed on.
        """

    def needed_betas(self, key: str) -> bytes:  # noqa: ARG002  most dialects need none
        """Return the header line that a key of this kind needs beside it; nothing for most."""
        return b""

    @abstractmethod
    def upstream_fields(self, options: Mapping[str, str | bool], *, in_stream: bool) -> bytes:
        """Return header lines that every request to a lane carries: what is accepted, a version of the API."""

    def forwarded_fields(self, fields: Fields, options: Mapping[str, str | bool]) -> bytes:  # noqa: ARG002  few need them
        """Return the header lines of a client that travel on, in place of the like-named ones above."""
        return select_fields(fields, self.forwarded) if self.forwarded else b""

    @abstractmethod
    def request_facts(self, body: bytes) -> "BodyFacts":
        """Return how much a request holds, for policies that want to know; it reads the whole body. Raise NotJson."""

    @abstractmethod
    def encode_fault(self, fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:
        """Return a refusal in the vendor's words; `raw_id` is the id of this answer, `ask` is None if nobody knows."""

    @abstractmethod
    def read_error(self, status: int, fields: Fields, body: bytes, epoch_s: float) -> "UpstreamError":
        """Return what an upstream's answer says that is no success; any bytes will do, also the first part of some.

        A failure inside a stream is read with the status of the stream, its payload being the body. `epoch_s` is the
        time by the wall clock, which dates to wait for are compared with.
        """

    @abstractmethod
    def encode_models(self, names: list[str], created_s: int) -> bytes:
        """Return the list of what can be asked for."""

    @abstractmethod
    def encode_model(self, name: str, created_s: int) -> bytes:
        """Return one entry of that list."""

    @abstractmethod
    def new_watch(self, content_type: bytes) -> Watch:
        """Return what looks at an answer of this type."""

    def ask_for_usage(self, body: bytes, spans: Sequence[Span]) -> Sequence[Edit] | None:  # noqa: ARG002  see below
        """Return the edits by which a request for a stream asks for its usage; None if it is told anyway.

        `spans` are the values of `usage_member`. Who would be asked on a client's behalf gets `new_stripper` too.
        """
        return None

    def can_ask_for_usage(self, options: Mapping[str, str | bool]) -> bool:  # noqa: ARG002  most are never asked
        """Say whether a provider with these options takes such edits."""
        return True

    def new_stripper(self) -> Editor | None:
        """Return what takes the usage out of a stream whose client did not ask for it."""
        return None

    def read_fault(self, fault: StreamFault, epoch_s: float) -> "UpstreamError":
        """Return what an error inside a stream says, which came with the status of a success."""
        return self.read_error(200, {}, fault.payload, epoch_s)

    @abstractmethod
    def new_ending(self, ask: Ask) -> Ending:
        """Return what ends a stream natively that breaks off; it is fed all that the client is sent."""

    def find_inner_models(self, body: bytes, ask: Ask) -> list[Span]:  # noqa: ARG002  most bodies have one place for it
        """Return where a body names its model besides its top level. Raise NotJson if it cannot be read there."""
        return []

    def new_reframer(self, ask: Ask) -> Reframer | None:  # noqa: ARG002  most dialects have one frame only
        """Return what turns an upstream's stream into the frame that was asked for; None if it is that already."""
        return None

    def new_id(self) -> bytes:
        """Return an id for an answer that has none."""
        return b"req_" + HEXADECIMAL.take(32)
