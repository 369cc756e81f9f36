"""One request on its way through the gateway: what its head and its body ask for, and who may serve it."""

import logging
import re
from collections.abc import Sequence
from random import getrandbits  # ids must differ, not be secret
from typing import TYPE_CHECKING, Final

from busbar_fast.clock import now
from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect, Usage
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.errors import BodyTooLarge, Misshapen, NotForm, NotJson, OutOfTime, TooDeep
from busbar_fast.gateway.offers import Offer
from busbar_fast.gateway.replies import refuse
from busbar_fast.gateway.status import Status
from busbar_fast.gateway.visits import Visit
from busbar_fast.observe.counters import UNRESOLVED
from busbar_fast.observe.log import fields
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.json_scan import Edit, Span, cut_out, decode_string, find_members, is_true
from busbar_fast.wire.repeated import sole_value

if TYPE_CHECKING:
    from busbar_fast.gateway.governor import Governor
    from busbar_fast.gateway.lanes import Lane
    from busbar_fast.gateway.tracing import Trace
    from busbar_fast.governance.keys import Key
    from busbar_fast.governance.ledger import Charge

_log: Final = logging.getLogger("busbar_fast.gateway")

# By which limit of its key a request was refused, as the log says it.
_CONVERSE: Final[Operation] = Operation.CONVERSE
_WHY: Final = {Kind.FORBIDDEN: "allowed_pools", Kind.OVER_BUDGET: "budget", Kind.RATE_LIMITED: "rate"}
_MEMBERS: Final[tuple[bytes, ...]] = (b"model", b"stream")
_QUOTE: Final = 0x22
_CHARACTERS_A_TOKEN: Final = 4
_SWITCHES: Final[tuple[bytes, ...]] = (b"true", b"false", b"null")
_SHOWN_CHARACTERS: Final = 200  # of a name that a client chose
_is_word: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch


class Request:
    """See the module. `offer` is set once its name is known."""

    __slots__ = (
        "_id",
        "ask",
        "began_s",
        "at_s",
        "body",
        "charge",
        "exchange",
        "first_byte_s",
        "in_stream",
        "is_form",
        "is_metered",
        "key",
        "lane",
        "name",
        "offer",
        "passes_on",
        "read",
        "route_lines",
        "spans",
        "status",
        "trace",
        "usage_edits",
        "used",
        "visit",
        "waited_s",
    )

    def __init__(self, exchange: Exchange, visit: Visit, ask: Ask, status: Status, *, passes_on: bool) -> None:
        self.began_s = now()
        self.first_byte_s = 0.0  # when the first byte of an answer from a lane was about to leave
        self.status = status
        self.exchange = exchange
        self.visit = visit
        self.ask = ask
        self.passes_on = passes_on  # the caller's own key goes upstream
        # What its answer used is counted.
        self.is_metered = visit.topology.counts_tokens or visit.governor is not None
        self.at_s = 0 if visit.governor is None else visit.governor.now_s  # when it is charged
        self.key = visit.key
        self.charge: Charge | None = None
        self.used: Usage | None = None
        self.name = ""  # what is asked for, as the client calls it
        self.body = b""
        self.spans: list[Span] = []
        self.is_form = False  # of several parts, and no JSON
        self.in_stream = False
        self.usage_edits: Sequence[Edit] | None = None  # ask for usage that the client must not see
        self.offer: Offer | None = None
        self.read: object = None  # what a translation has understood of it
        self.route_lines = b""  # header lines of a good answer that tell what a policy did
        self.lane: Lane | None = None  # the last one that was tried
        self.waited_s = 0.0  # for the head of its answer
        self.trace: Trace | None = None
        self._id = ""

    @property
    def dialect(self) -> Dialect:
        """What the client speaks."""
        return self.visit.dialect

    @property
    def id(self) -> str:
        """What the log and the sinks call it: as its client does, if that is a plain word, else by a name of ours."""
        if not self._id:
            named = sole_value(self.exchange.head.fields, b"x-request-id")
            self._id = named.decode("ascii") if _is_word(named) else f"{getrandbits(128):032x}"
        return self._id

    @property
    def is_estimated(self) -> bool:
        """Whether a client that leaves before any usage is told pays for what it has, as far as that can be guessed."""
        return self.charge is not None and self.visit.governor is not None and self.visit.governor.estimates

    @property
    def headroom(self) -> float | None:
        """Which share of this minute's rate its caller has left, from 0 to 1; None if there is no limit."""
        governor, key = self.visit.governor, self.key
        return None if governor is None or key is None else governor.headroom(key)

    @property
    def own_lines(self) -> bytes:
        """The header lines of a good answer that tell what we did and, where that is wanted, how long we took."""
        if not self.visit.topology.shows_timing:
            return self.route_lines
        ours_ms = max(0.0, now() - self.began_s - self.waited_s) * 1000
        return self.route_lines + b"Server-Timing: busbar;dur=%.3f\r\n" % ours_ms

    def count_abort(self, reason: str) -> None:
        """Count that the answer, a stream, ended before its end."""
        if self.offer is not None:
            self.status.count_abort(self.offer.name, reason)

    async def maybe_offer(self) -> Offer | None:
        """Read the body and return what is asked for; None if the request was refused."""
        try:
            body = self.exchange.maybe_body()
            if self.key is None and self.visit.governor is not None:
                self.body = await self._read_strange_body(self.visit.governor) if body is None else body
                if not self._is_signed_well(self.visit.governor):
                    return None
            else:
                self.body = await self.exchange.read_body() if body is None else body
            name = self._read(self.body)
        except BodyTooLarge:
            self.refuse(Kind.TOO_LARGE)
        except NotJson:
            self.refuse(Kind.MALFORMED)
        except Misshapen as error:
            self.refuse(Kind.MALFORMED, str(error), param=error.param)
        except NotForm as error:
            self.refuse(Kind.MALFORMED, f"We could not parse the form of your request: {error}.")
        except TooDeep:
            self.refuse(Kind.MALFORMED, "The request body is nested too deeply.")
        else:
            if name:
                return self._resolve(name) if self.key is None or self._is_granted(self.key, name) else None
            self.refuse(Kind.MALFORMED, "You must provide a model parameter.", param="model")
        return None

    def settle(self, status: int | None) -> None:
        """Keep what was charged for a request that is over and was answered well, else give it back."""
        if self.charge is not None and self.visit.governor is not None:
            self.visit.governor.settle(self.charge, status, self.used)

    def maybe_out_of_time(self) -> OutOfTime | None:
        """Return what to raise when the client's time is over; nothing if it has a part of a stream, which may last."""
        return None if self.in_stream and self.exchange.has_begun else OutOfTime("the client's time is over")

    def leans_on_vendor(self) -> bool:
        """Return whether the request seems to need what only its own vendor has."""
        return any(self.body.find(word) >= 0 for word in self.visit.dialect.kept_words)

    def refuse(self, kind: Kind, message: str = "", **more: str | int | None) -> None:
        """Answer with a refusal."""
        refuse(self.exchange, self.visit.dialect, self.ask, Fault(kind, message, **more))  # type: ignore[arg-type]

    def _read(self, body: bytes) -> str | None:
        """Return the name that is asked for, None if the body should say it and does not."""
        ask, dialect = self.ask, self.visit.dialect
        if ask.action and self._has_read_form():
            return ask.name or (cut_out(body, self.spans[-1]).decode("utf-8", "replace") if self.spans else None)
        found = find_members(body, _MEMBERS)
        self.spans = found.get(b"model", [])
        if ask.operation is not _CONVERSE:
            self.spans = [*dialect.find_inner_models(body, ask), *self.spans]
        streams = found.get(b"stream") if ask.in_stream is None else None
        if streams and self.key is not None and cut_out(body, streams[-1]) not in _SWITCHES:
            raise Misshapen("stream", "must be true or false")  # who takes it for one of them may not tell its usage
        self.in_stream = is_true(body, streams[-1]) if streams else bool(ask.in_stream)
        if self.is_metered and self.in_stream:
            member = dialect.usage_member
            wishes = find_members(body, (member,)).get(member, []) if member else []
            self.usage_edits = dialect.ask_for_usage(body, wishes)
        return read_model(body, self.spans) if ask.name is None else ask.name

    async def _read_strange_body(self, governor: "Governor") -> bytes:
        """Read the body of a caller who is not known before. Raise Overloaded if too much of that is held already."""
        told, cap = self.exchange.head.length, self.exchange.cap_bytes
        with governor.strangers.hold(min(told, cap) if told >= 0 else cap):
            return await self.exchange.read_body()

    def _is_signed_well(self, governor: "Governor") -> bool:
        """Find the key that a request is signed with, or refuse it."""
        self.key = governor.find_signer(self.exchange.head, self.body)
        if self.key is None:
            self.status.count_auth_failure(self.dialect)
            self.refuse(Kind.UNAUTHENTICATED)
        return self.key is not None

    def _is_granted(self, key: "Key", name: str) -> bool:
        """Charge a request of a virtual key that asks for this name, or refuse it."""
        self.name = name
        assert self.visit.governor is not None  # whose key it is
        granted = self.visit.governor.charge(key, name, self.visit.topology, self.at_s, self._weigh)
        if isinstance(granted, Fault):
            self.offer, _ = self._find(name)  # whose request it counts as
            if granted.kind is Kind.UNAUTHENTICATED:
                self.status.count_auth_failure(self.dialect)
            else:
                why, pool = _WHY[granted.kind], UNRESOLVED if self.offer is None else self.offer.name
                _log.info("a key was refused", extra=fields(key=key.id, why=why, pool=pool, request=self.id))
            refuse(self.exchange, self.dialect, self.ask, granted)
            return False
        self.charge = granted
        return True

    def _weigh(self) -> int:
        """Return how many tokens the request may use, as far as it says so: a quarter of its characters, and its cap.

        One without a cap is taken to have that of the model which is asked for.
        """
        offer = self.visit.topology.find(self.name)
        usual = max((lane.traits.default_max_tokens for lane in offer.lanes), default=0) if offer is not None else 0
        try:
            facts = self.dialect.request_facts(self.body)
        except NotJson:
            return usual
        return -(-facts.total_chars // _CHARACTERS_A_TOKEN) + (usual if facts.max_tokens is None else facts.max_tokens)

    def _has_read_form(self) -> bool:
        """Find the model in a form of several parts; return whether the body is one. Raise NotForm."""
        from busbar_fast.dialects.forms import find_fields, is_form  # noqa: PLC0415  few send files

        kind = sole_value(self.exchange.head.fields, b"content-type")
        self.is_form = is_form(kind)
        if self.is_form:
            self.spans = find_fields(self.body, kind, b"model")
        return self.is_form

    def _resolve(self, name: str) -> Offer | None:
        """Find who serves a name; refuse the request if nobody does."""
        self.name = name
        self.offer, is_misplaced = self._find(name)
        if self.offer is None:
            kind = Kind.MALFORMED if is_misplaced else Kind.UNKNOWN_MODEL
            self.refuse(kind, name=name[:_SHOWN_CHARACTERS])
        return self.offer

    def _find(self, name: str) -> tuple[Offer | None, bool]:
        """Return who serves a name, and if nobody does whether the model is there, but of another provider."""
        topology, provider = self.visit.topology, self.ask.provider
        offer = topology.find(name) if provider is None else topology.find_lane(name)
        if offer is None and provider is None and "/" in name:
            provider, _, model = name.partition("/")
            offer = topology.find_lane(model)
        is_misplaced = offer is not None and provider is not None and offer.provider != provider
        return None if is_misplaced else offer, is_misplaced


def read_model(body: bytes, spans: Sequence[Span]) -> str | None:
    """Return the model that a request's body names; of several the last, as any JSON parser would."""
    if not spans:
        return None
    start, end = spans[-1]
    return decode_string(body[start:end]) if body[start] == _QUOTE else None
