"""Which names clients may ask for and what serves them: lanes and pools made of a checked configuration.

A topology never changes; a reload makes a new one that takes over the states of the lanes that stayed the same, and the
rotation of the pools whose members did.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from busbar_fast import __version__
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Config, Model, Provider, Security
from busbar_fast.config.secrets import reveal
from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.gateway.lanes import Access, Lane, Sign, Traits, new_state
from busbar_fast.gateway.offers import Offer, single
from busbar_fast.gateway.pools import new_offers, new_rankers
from busbar_fast.gateway.targets import target_of
from busbar_fast.reliability.exhaustion import chain
from busbar_fast.reliability.lanes import LaneState
from busbar_fast.reliability.pools import Pool
from busbar_fast.wire.pool import Origin, OriginKey
from busbar_fast.wire.pool import Pool as Upstreams

_CONVERSE: Final[Operation] = Operation.CONVERSE
_AGENT: Final = b"User-Agent: busbar-fast/%b\r\n" % __version__.encode()
_UNCODED: Final = b"Accept-Encoding: identity\r\n"
_DEFAULT_REGION: Final = "us-east-1"


class Habits(NamedTuple):
    """What a configuration says of all that is asked, whoever asks and whom."""

    wait_s: float = 300.0  # how long an upstream may stay silent
    counts_tokens: bool = False  # what answers use is counted whoever asks
    shows_timing: bool = False  # clients are told how long the gateway took
    shows_page: bool = False  # people find a status page
    key_gauges: int = 2000  # of how many virtual keys the metrics tell
    keepalive_s: float = 0.0  # after so much silence streams show a sign of life, unless it is 0


class Topology:
    """Lanes by model, offers and their pools by name.

    What `habits` say is kept apart, because each request asks for some of it.
    """

    __slots__ = (
        "_alike",
        "_reach",
        "_serving",
        "_singles",
        "counts_tokens",
        "is_mixed",
        "keepalive_s",
        "key_gauges",
        "lanes",
        "offers",
        "pools",
        "shows_page",
        "shows_timing",
        "wait_s",
    )

    def __init__(
        self,
        lanes: Iterable[Lane],
        offers: Iterable[Offer],
        habits: Habits = Habits(),  # noqa: B008  a record, never changed
    ) -> None:
        self.wait_s, self.counts_tokens, self.shows_timing, self.shows_page, self.key_gauges, self.keepalive_s = habits
        self.lanes = {lane.name: lane for lane in lanes}
        self.offers = {offer.name: offer for offer in offers}
        # Whether one vendor may get what another one has said before.
        self.is_mixed = len({lane.dialect for lane in self.lanes.values()}) > 1
        self._singles = {name: single(lane) for name, lane in self.lanes.items()}
        self.pools = {name: offer.pool for name, offer in self.offers.items()}
        self._alike: dict[tuple[Dialect, str], Mapping[str, Pool]] = {}
        self._serving: dict[tuple[Dialect, Operation, str], Mapping[str, Pool]] = {}
        self._reach: dict[Offer, Sequence[str]] = {}

    def find(self, name: str) -> Offer | None:
        """Return the pool of this name, else the lane of this name."""
        return self.offers.get(name) or self._singles.get(name)

    def find_lane(self, name: str) -> Offer | None:
        """Return the lane of this name as an offer of its own."""
        return self._singles.get(name)

    def reach(self, offer: Offer) -> Sequence[str]:
        """Return the name of every pool that a request for this offer may come to, its own first."""
        found = self._reach.get(offer)
        if found is None:
            found = self._reach[offer] = [pool.name for pool in chain(offer.pool, self.pools)]
        return found

    def pools_alike(self, ask: Ask) -> Mapping[str, Pool]:
        """Return what is left of the pools for what only lanes of the client's own dialect understand."""
        found = self._alike.get((ask.dialect, ask.action))
        if found is None:
            found = {name: offer.alike(ask) for name, offer in self.offers.items()}
            self._alike[ask.dialect, ask.action] = found
        return found

    def pools_serving(self, ask: Ask) -> Mapping[str, Pool]:
        """Return what is left of the pools for what not every lane offers."""
        if ask.operation is _CONVERSE:
            return self.pools
        found = self._serving.get((ask.dialect, ask.operation, ask.action))
        if found is None:
            found = {name: offer.serving(ask) for name, offer in self.offers.items()}
            self._serving[ask.dialect, ask.operation, ask.action] = found
        return found

    def limit(self, models: Mapping[str, Model]) -> None:
        """Hold each lane to its model's limits from now on, also one that lived before."""
        for name, lane in self.lanes.items():
            lane.state.limit(models[name].max_concurrent, models[name].max_requests)

    def use_keys(self) -> None:
        """Ask with the keys of these lanes from now on; what was said of others is forgotten."""
        for lane in self.lanes.values():
            lane.state.use_key(lane.key_number)

    @property
    def origins(self) -> set[Origin]:
        """Where requests may go to: to the lanes, and to who ranks them."""
        asked = (offer.ranker.maybe_origin for offer in self.offers.values() if offer.ranker is not None)
        return {lane.origin for lane in self.lanes.values()} | {origin for origin in asked if origin is not None}

    @property
    def every_offer(self) -> list[Offer]:
        """Everything that can be asked for: the pools, and each lane by itself."""
        return [*self.offers.values(), *self._singles.values()]

    @property
    def names(self) -> list[str]:
        """Everything that can be asked for, pools first, both in alphabetical order."""
        return [*sorted(self.offers), *sorted(self.lanes)]


class LazyPolicy:
    """The address rule of one provider. The guards are imported with the first connection, not at every start."""

    __slots__ = ("_allow_all", "_allowed", "_blocked", "_guard")

    def __init__(self, provider: Provider, security: Security) -> None:
        self._blocked = security.blocked_metadata_hosts
        self._allowed = (*provider.allow_metadata_hosts, *security.allow_metadata_hosts)
        self._allow_all = security.allow_all_metadata
        self._guard: object = None

    def is_allowed(self, host: str, address: str) -> bool:
        """Say whether this host may be reached at this address."""
        from busbar_fast.config.guards import AddressGuard, Exemptions, Level  # noqa: PLC0415  see the class

        if not isinstance(self._guard, AddressGuard):
            exemptions = Exemptions(blocked=self._blocked, allowed=self._allowed, allow_all=self._allow_all)
            self._guard = AddressGuard(exemptions, Level.PROVIDER)
        return self._guard.is_allowed(host, address)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LazyPolicy) and self._rules() == other._rules()

    def __hash__(self) -> int:
        return hash(self._rules())

    def _rules(self) -> tuple[object, ...]:
        return (self._blocked, self._allowed, self._allow_all)


def build(
    config: Config, upstreams: Upstreams, inputs: Inputs, before: tuple[Config, Topology] | None = None
) -> Topology:
    """Return the topology of a configuration, with what stayed the same since the one before, which goes on as it is.

    Raise NoSecret if a key cannot be read any more.
    """
    lanes = {}
    for name, model in config.models.items():
        state = _state_before(name, model, config.providers[model.provider], before) or new_state(name, model.provider)
        lane = lanes[name] = _new_lane(model, config, upstreams, inputs, state)
        if before is not None and name in before[1].lanes and before[1].lanes[name].state is state:
            lane.go_on_from(before[1].lanes[name])
    rankers = new_rankers(config, upstreams, inputs)
    made = Topology(
        lanes.values(),
        new_offers(config, lanes, None if before is None else before[1].offers, rankers),
        Habits(
            config.limits.upstream_request_timeout_secs,
            config.observability.token_metrics,
            config.observability.emit_server_timing,
            config.observability.status_page,
            config.metrics.key_gauge_limit,
            config.limits.stream_keepalive_secs,
        ),
    )
    if before is None:
        made.limit(config.models)
    return made


def _new_lane(model: Model, config: Config, upstreams: Upstreams, inputs: Inputs, state: LaneState) -> Lane:
    provider = config.providers[model.provider]
    target = target_of(provider, model.upstream_model)
    key = OriginKey(
        is_tls=target.is_tls, host=target.host, port=target.port, policy=LazyPolicy(provider, config.security)
    )
    dialect = speak(provider.protocol)
    return Lane(
        state,
        upstreams.origin(key),
        target.path.decode(),
        dialect,
        _access(provider, dialect, target.authority, inputs),
        model=model.upstream_model,
        error_map=provider.error_map,
        traits=Traits(
            host=target.host,
            options={**provider.options, **model.options},
            default_max_tokens=model.default_max_tokens,
            has_reasoning=model.reasoning,
            has_prompt_caching=model.prompt_caching,
            budgets=config.limits.reasoning_effort_budgets,
            drops_held=any("drop" in settings.values() for settings in config.dialects.values()),
        ),
    )


def _access(provider: Provider, dialect: Dialect, authority: bytes, inputs: Inputs) -> Access:
    """Return how a provider is addressed. A key that cannot stand in a header is not sent; the loader warned of it."""
    key = reveal(provider.credential, inputs).strip()
    fields = b"Host: %b\r\n%b%b" % (authority, _UNCODED, _AGENT)
    sign = None
    if dialect.aws_service and not provider.auth and ":" in key:
        sign = _signer(provider, dialect, key, authority)
    return Access(fields, provider.auth, key, provider.options, sign)


def _signer(provider: Provider, dialect: Dialect, key: str, authority: bytes) -> Sign | None:
    from busbar_fast.aws.credentials import AccessKeys, BadCredential, parse_credential  # noqa: PLC0415  10 ms of import
    from busbar_fast.aws.endpoint import find_region  # noqa: PLC0415  as above
    from busbar_fast.aws.sigv4 import Place  # noqa: PLC0415  as above
    from busbar_fast.gateway.signing import LaneSigner  # noqa: PLC0415  as above

    try:
        credential = parse_credential(key)
    except BadCredential:
        return None  # changed since the loader refused such keys
    assert isinstance(credential, AccessKeys)  # it has a colon
    labels = DIALECTS[provider.protocol].region_labels
    region = str(provider.options.get("region") or find_region(provider.base_url, labels) or _DEFAULT_REGION)
    return LaneSigner(credential, Place(region.encode(), dialect.aws_service), authority, b"application/json")


def _state_before(
    name: str, model: Model, provider: Provider, before: tuple[Config, Topology] | None
) -> LaneState | None:
    """Return the state of the lane of this name if it is still the same lane."""
    if before is None or name not in before[0].models:
        return None
    config, topology = before
    old_model = config.models[name]
    old = config.providers[old_model.provider]
    is_same = (old_model.provider, old_model.upstream_model) == (model.provider, model.upstream_model)
    is_same = is_same and (old.base_url, old.protocol) == (provider.base_url, provider.protocol)
    return topology.lanes[name].state if is_same else None
