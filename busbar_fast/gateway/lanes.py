"""Lanes: where an upstream is, how it is addressed, and how a request is written for it.

A lane is made of the configuration and replaced with it; what it lives through is its `LaneState`, which the lane that
takes its place after a reload goes on with.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from random import random
from typing import TYPE_CHECKING, Final, NamedTuple

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect, StreamFault
from busbar_fast.dialects.upstream_errors import UpstreamError
from busbar_fast.reliability.breaker import BreakerSettings
from busbar_fast.reliability.dispositions import Disposition, judge
from busbar_fast.reliability.lanes import LaneState
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.json_scan import Edit, Span, encode_string, insertion, splice
from busbar_fast.wire.pool import Origin

if TYPE_CHECKING:
    from busbar_fast.observe.counters import LaneTally

# Returns header lines that sign a request to this target, with this content, at this second.
Sign = Callable[[bytes, bytes, int], bytes]

_JSON: Final = b"Content-Type: application/json\r\n"
_ACCEPT_ANYTHING: Final = b"Accept: */*\r\n"

# For a show: rests that an onlooker can sit out.
BRIEF_RESTS: Final = BreakerSettings(base_cooldown_s=1.0, max_cooldown_s=4.0)


def new_state(name: str, provider: str = "", settings: BreakerSettings = BreakerSettings()) -> LaneState:  # noqa: B008
    """Return the state of a lane that has lived through nothing yet."""
    return LaneState(name, provider, random, settings)


class Access(NamedTuple):
    """How a provider is addressed: lines of every request, its key, and how that is shown or used to sign."""

    fields: bytes = b""
    style: str = ""
    key: str = ""
    options: Mapping[str, str | bool] = {}
    sign: Sign | None = None

    def __repr__(self) -> str:
        return f"<Access style={self.style!r} is_signed={self.sign is not None}>"


class Traits(NamedTuple):
    """What the operator says of a lane that requests are translated for."""

    model: str = ""  # as the upstream calls it
    host: str = ""
    options: Mapping[str, str | bool] = {}
    default_max_tokens: int = 4096
    has_reasoning: bool = False
    has_prompt_caching: bool = False
    budgets: Mapping[str, int] = {}  # tokens to think by word; the words that are missing keep their defaults
    drops_held: bool = False


class Lane:
    """One way to an upstream. `error_map` says what the operator makes of its codes."""

    __slots__ = (
        "_access",
        "_asks",
        "_can_ask_for_usage",
        "_embed_ask",
        "_heads",
        "_own_key",
        "_path",
        "dialect",
        "error_map",
        "key_number",
        "name",
        "origin",
        "raw_model",
        "state",
        "tallies",
        "traits",
    )

    def __init__(
        self,
        state: LaneState,
        origin: Origin,
        path: str,
        dialect: Dialect,
        access: Access = Access(),  # noqa: B008  a record, never changed
        *,
        model: str | None = None,
        error_map: Mapping[str, str] | None = None,
        traits: Traits = Traits(),  # noqa: B008  as above
    ) -> None:
        self.state = state
        self.key_number = state.key_number
        self.traits = traits if model is None else traits._replace(model=model)
        self.name = state.model
        self.origin = origin
        self.dialect = dialect
        self.error_map = error_map or {}
        self.tallies: Mapping[str, LaneTally] = {}  # what is counted of it, by pool and under its own name
        # None: the body's own is left alone
        self.raw_model = None if model is None else encode_string(dialect.before_model + model)
        self._path = path
        self._access = access
        self._can_ask_for_usage = dialect.can_ask_for_usage(access.options)
        self._own_key = self._credential(access.key, is_callers=False)
        self._asks = {in_stream: Ask(dialect, Operation.CONVERSE, in_stream=in_stream) for in_stream in (False, True)}
        action = dialect.embed_action
        self._embed_ask = Ask(dialect, Operation.EMBED, in_stream=False, word=action) if action else None
        self._heads: dict[tuple[Operation, str, bool], tuple[bytes, bytes]] = {}

    def __repr__(self) -> str:
        return f"<Lane {self.state}>"

    def go_on_from(self, before: "Lane") -> None:
        """Take the place of a lane of the same state; whatever shows a key in another way counts as another key."""
        old, new = before._access, self._access  # noqa: SLF001  one of us
        is_same = (old.style, old.key, old.options) == (new.style, new.key, new.options)
        self.key_number = before.key_number + (not is_same)

    @property
    def has_key(self) -> bool:
        """Whether there is a key of our own to ask with; one that cannot stand in a header is none."""
        return bool(self._own_key) or self._access.sign is not None

    def read_fault(self, fault: StreamFault) -> UpstreamError:
        """Return what an error inside a stream says."""
        return self.dialect.read_fault(fault, time.time())

    def judge(self, error: UpstreamError, *, passes_on: bool = False) -> Disposition:
        """Return what a refusal by this lane means; `passes_on` says that the caller's own key was sent."""
        return judge(
            error.status,
            error.code,
            error.type,
            is_context_length=error.is_context_length,
            error_map=self.error_map,
            passes_on=passes_on,
        ).disposition

    def forwarded_fields(self, fields: Fields) -> bytes:
        """Return the header lines of a client that travel on to this lane."""
        return self.dialect.forwarded_fields(fields, self._access.options)

    def offers(self, ask: Ask) -> bool:
        """Say whether this lane has a place for what is asked: in the client's dialect, or written anew in its own."""
        if ask.dialect is not self.dialect:
            if ask.operation is not Operation.EMBED or self._embed_ask is None:
                return ask.operation is Operation.CONVERSE
            ask = self._embed_ask
        return not ask.action or bool(self.dialect.upstream_path(self._path, ask, in_stream=False))

    def own_ask(self, ask: Ask, *, in_stream: bool) -> Ask:
        """Return what a request asks for that was written for this lane, whatever its client speaks."""
        if ask.operation is Operation.EMBED:
            assert self._embed_ask is not None  # else it is not offered
            return self._embed_ask
        return self._asks[in_stream]

    def encode_head(
        self, ask: Ask, forwarded: bytes, body: bytes, *, in_stream: bool, callers_key: bytes | None
    ) -> bytes:
        """Return the head of a request with this body. `callers_key` replaces the lane's own key if it is not None."""
        kind = (ask.operation, ask.action, in_stream)
        prepared = None if ask.query else self._heads.get(kind)
        if prepared is None:
            prepared = self._prepare(ask, in_stream=in_stream)
            if not ask.query:  # what clients may write there is without end
                self._heads[kind] = prepared
        target, fields = prepared
        sign = self._access.sign
        if callers_key is not None:
            key = self._credential(callers_key.decode("ascii"), is_callers=True)
        elif sign is not None:
            key = sign(target, body, int(time.time()))
        else:
            key = self._own_key
        return b"POST %b%b%b%bContent-Length: %d\r\n\r\n" % (target, fields, forwarded, key, len(body))

    def shape(self, body: bytes, spans: list[Span], usage_edits: Sequence[Edit] | None = None) -> bytes:
        """Return the body as the upstream gets it: with the model as it calls it there, and asked for usage."""
        if usage_edits and self._can_ask_for_usage:
            return splice(body, [*usage_edits, *self._model_edits(body, spans)])
        raw_model = self.raw_model
        if raw_model is not None and len(spans) == 1 and self.dialect.has_model_in_body:  # as good as always
            ((start, end),) = spans
            named = body[start:end]
            return body if named == raw_model else b"".join((body[:start], raw_model, body[end:]))
        edits = self._model_edits(body, spans)
        return splice(body, edits) if edits else body

    def shape_form(self, body: bytes, spans: list[Span]) -> bytes:
        """Return a form as the upstream gets it; `spans` are those of its model."""
        return splice(body, [(span, self.traits.model.encode()) for span in spans]) if self.traits.model else body

    def _model_edits(self, body: bytes, spans: list[Span]) -> list[Edit]:
        """Return what puts the model into the body, where this dialect has it there."""
        raw_model, dialect = self.raw_model, self.dialect
        if raw_model is None or not dialect.has_model_in_body:
            return []
        if not spans:
            return [insertion(body, b"model", raw_model)] if dialect.needs_model_in_body else []
        return [(span, raw_model) for span in spans]

    def _prepare(self, ask: Ask, *, in_stream: bool) -> tuple[bytes, bytes]:
        """Return target and header lines for what is asked."""
        access = self._access
        target = self.dialect.upstream_path(self._path, ask, in_stream=in_stream).encode()
        if ask.action:  # what else is sent and answered is between the client and its vendor
            own = _ACCEPT_ANYTHING
        else:
            own = _JSON + self.dialect.upstream_fields(access.options, in_stream=in_stream)
        return target, b" HTTP/1.1\r\n%b%b" % (access.fields, own)

    def _credential(self, key: str, *, is_callers: bool) -> bytes:
        """Return the header lines that show a key."""
        line = self.dialect.credential(self._access.style, key, is_callers=is_callers)
        return line + self.dialect.needed_betas(key) if line else b""
