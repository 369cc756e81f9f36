"""Lanes, and the pools that clients ask for as if they were models.

A lane is made of the configuration and replaced with it; what it has lived through is its `Life`, which the lane that
takes its place after a reload goes on with.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect, Usage
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.json_scan import Edit, Span, encode_string, insertion, splice
from busbar_fast.wire.pool import Origin

PATIENCE_S = 120.0  # how long a request waits for a lane that is full

# Returns header lines that sign a request to this target, with this content, at this second.
Sign = Callable[[bytes, bytes, int], bytes]


class Life:
    """What a lane has lived through; outlives a reload."""

    __slots__ = ("answered", "failed", "gate")

    def __init__(self, max_concurrent: int | None = None) -> None:
        self.answered = 0
        self.failed = 0
        self.gate = Gate(max_concurrent or 0, PATIENCE_S)


class Access(NamedTuple):
    """How a provider is addressed: lines of every request, its key, and how that is shown or used to sign."""

    fields: bytes = b""
    style: str = ""
    key: str = ""
    options: Mapping[str, str | bool] = {}
    sign: Sign | None = None

    def __repr__(self) -> str:
        return f"<Access style={self.style!r} is_signed={self.sign is not None}>"


class Lane:
    """One way to an upstream: where it is, how it is addressed, and what became of it so far."""

    __slots__ = (
        "_access",
        "_can_ask_for_usage",
        "_heads",
        "_own_key",
        "_path",
        "dialect",
        "life",
        "name",
        "origin",
        "provider",
        "raw_model",
    )

    def __init__(
        self,
        name: str,
        origin: Origin,
        path: str,
        dialect: Dialect,
        access: Access = Access(),  # noqa: B008  a record, never changed
        *,
        life: Life | None = None,
        model: str | None = None,
        provider: str = "",
    ) -> None:
        self.name = name
        self.provider = provider
        self.origin = origin
        self.dialect = dialect
        self.life = life or Life()
        # None: the body's own is left alone
        self.raw_model = None if model is None else encode_string(dialect.before_model + model)
        self._path = path
        self._access = access
        self._can_ask_for_usage = dialect.can_ask_for_usage(access.options)
        self._own_key = self._credential(access.key, is_callers=False)
        self._heads: dict[tuple[Operation, bool], tuple[bytes, bytes]] = {}

    def __repr__(self) -> str:
        return f"<Lane {self.name} in_flight={self.in_flight} answered={self.life.answered} failed={self.life.failed}>"

    @property
    def in_flight(self) -> int:
        """How many requests are on this lane."""
        return self.life.gate.inside

    def forwarded_fields(self, fields: Fields) -> bytes:
        """Return the header lines of a client that travel on to this lane."""
        return self.dialect.forwarded_fields(fields, self._access.options)

    def encode_head(
        self, ask: Ask, forwarded: bytes, body: bytes, *, in_stream: bool, callers_key: bytes | None
    ) -> bytes:
        """Return the head of a request with this body. `callers_key` replaces the lane's own key if it is not None."""
        prepared = None if ask.query else self._heads.get((ask.operation, in_stream))
        if prepared is None:
            prepared = self._prepare(ask, in_stream=in_stream)
            if not ask.query:  # what clients may write there is without end
                self._heads[ask.operation, in_stream] = prepared
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
        own = self.dialect.upstream_fields(access.options, in_stream=in_stream)
        return target, b" HTTP/1.1\r\n%b%b" % (access.fields, own)

    def _credential(self, key: str, *, is_callers: bool) -> bytes:
        """Return the header lines that show a key."""
        line = self.dialect.credential(self._access.style, key, is_callers=is_callers)
        return line + self.dialect.needed_betas(key) if line else b""


class Count:
    """How often something happened; shared by what takes each other's place."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Tokens:
    """What answers used; shared by what takes each other's place."""

    __slots__ = ("input", "output")

    def __init__(self) -> None:
        self.input = 0
        self.output = 0

    def add(self, usage: Usage) -> None:
        """Count one answer."""
        self.input += usage.input_tokens
        self.output += usage.output_tokens


class Member:
    """A lane's place in a pool. `credit` belongs to the selection."""

    __slots__ = ("attempts", "credit", "gate", "lane", "tokens", "weight")

    def __init__(self, lane: Lane, weight: int = 1) -> None:
        self.lane = lane
        self.gate = lane.life.gate
        self.weight = weight
        self.credit = 0
        self.attempts = Count()
        self.tokens = Tokens()

    @property
    def has_room(self) -> bool:
        """Whether a request could begin at once."""
        return self.gate.has_room


class LanePool:
    """A name that clients may put where a model stands, and who serves it."""

    __slots__ = ("_serving", "members", "name")

    def __init__(self, name: str, members: tuple[Member, ...]) -> None:
        self.name = name
        self.members = members
        self._serving: dict[Dialect, tuple[Member, ...]] = {}

    def count_on(self, old: "LanePool | None") -> None:
        """Go on counting where the pool of this name stopped that was there before."""
        before = {} if old is None else {member.lane.name: member for member in old.members}
        for member in self.members:
            same = before.get(member.lane.name, member)
            member.attempts, member.tokens = same.attempts, same.tokens

    def serving(self, dialect: Dialect) -> tuple[Member, ...]:
        """Return the members that may get a request of this dialect: those that speak it and are not drained."""
        found = self._serving.get(dialect)
        if found is None:
            speaking = (member for member in self.members if member.lane.dialect is dialect)
            found = self._serving[dialect] = tuple(member for member in speaking if member.weight)
        return found
