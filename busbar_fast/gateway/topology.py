"""Which names clients may ask for and what serves them: lanes and pools made of a checked configuration.

A topology never changes; a reload makes a new one that takes over the lives of the lanes that stayed the same, and the
rotation of the pools whose members did.
"""

from collections.abc import Iterable, Mapping

from busbar_fast import __version__
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Config, Model, Pool, Provider, Security
from busbar_fast.config.secrets import reveal
from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.gateway.lanes import Access, Lane, LanePool, Life, Member, Sign
from busbar_fast.gateway.targets import target_of
from busbar_fast.wire.pool import OriginKey
from busbar_fast.wire.pool import Pool as Upstreams

_AGENT = b"User-Agent: busbar-fast/%b\r\n" % __version__.encode()
_JSON = b"Content-Type: application/json\r\n"
_UNCODED = b"Accept-Encoding: identity\r\n"
_DEFAULT_REGION = "us-east-1"


class Topology:
    """Lanes by model and pools by name. `wait_s` is how long an upstream may keep a request waiting.

    `counts_tokens` says that what answers use is counted whoever asks.
    """

    __slots__ = ("_singles", "counts_tokens", "lanes", "pools", "wait_s")

    def __init__(
        self,
        lanes: Iterable[Lane],
        pools: Iterable[LanePool],
        wait_s: float = 300.0,
        *,
        counts_tokens: bool = False,
    ) -> None:
        self.counts_tokens = counts_tokens
        self.lanes = {lane.name: lane for lane in lanes}
        self.pools = {pool.name: pool for pool in pools}
        self.wait_s = wait_s
        self._singles = {
            name: LanePool(name, (Member(lane),)) for name, lane in self.lanes.items()
        }  # of its own rotation

    def find(self, name: str) -> LanePool | None:
        """Return the pool of this name, else the one lane of this name as a pool of its own."""
        return self.pools.get(name) or self._singles.get(name)

    def find_lane(self, name: str) -> LanePool | None:
        """Return the one lane of this name as a pool of its own."""
        return self._singles.get(name)

    def set_caps(self, models: Mapping[str, Model]) -> None:
        """Hold each lane to its model's cap from now on, also one that lived before."""
        for name, lane in self.lanes.items():
            lane.life.gate.resize(models[name].max_concurrent or 0)

    @property
    def every_pool(self) -> list[LanePool]:
        """Everything that can be asked for: the pools, and each lane as a pool of its own."""
        return [*self.pools.values(), *self._singles.values()]

    @property
    def names(self) -> list[str]:
        """Everything that can be asked for, pools first, both in alphabetical order."""
        return [*sorted(self.pools), *sorted(self.lanes)]


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
        life = _life_before(name, model, config.providers[model.provider], before) or Life(model.max_concurrent)
        lanes[name] = _new_lane(name, model, config, upstreams, inputs, life)
    pools = [_new_pool(name, pool, lanes, before) for name, pool in config.pools.items()]
    made = Topology(
        lanes.values(),
        pools,
        config.limits.upstream_request_timeout_secs,
        counts_tokens=config.observability.token_metrics,
    )
    if before is not None:
        for name in lanes:
            single = made.find_lane(name)
            assert single is not None  # each lane has one
            single.count_on(before[1].find_lane(name))
    return made


def _new_lane(name: str, model: Model, config: Config, upstreams: Upstreams, inputs: Inputs, life: Life) -> Lane:
    provider = config.providers[model.provider]
    target = target_of(provider, model.upstream_model)
    key = OriginKey(
        is_tls=target.is_tls, host=target.host, port=target.port, policy=LazyPolicy(provider, config.security)
    )
    dialect = speak(provider.protocol)
    return Lane(
        name,
        upstreams.origin(key),
        target.path.decode(),
        dialect,
        _access(provider, dialect, target.authority, inputs),
        life=life,
        model=model.upstream_model,
        provider=model.provider,
    )


def _access(provider: Provider, dialect: Dialect, authority: bytes, inputs: Inputs) -> Access:
    """Return how a provider is addressed. A key that cannot stand in a header is not sent; the loader warned of it."""
    key = reveal(provider.credential, inputs).strip()
    fields = b"Host: %b\r\n%b%b%b" % (authority, _JSON, _UNCODED, _AGENT)
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


def _life_before(name: str, model: Model, provider: Provider, before: tuple[Config, Topology] | None) -> Life | None:
    """Return the life of the lane of this name if it is still the same lane."""
    if before is None or name not in before[0].models:
        return None
    config, topology = before
    old_model = config.models[name]
    old = config.providers[old_model.provider]
    is_same = (old_model.provider, old_model.upstream_model) == (model.provider, model.upstream_model)
    is_same = is_same and (old.base_url, old.protocol) == (provider.base_url, provider.protocol)
    return topology.lanes[name].life if is_same else None


def _new_pool(name: str, pool: Pool, lanes: Mapping[str, Lane], before: tuple[Config, Topology] | None) -> LanePool:
    members = tuple(Member(lanes[member.target], member.weight) for member in pool.members)
    old = None if before is None else before[1].pools.get(name)
    if old is not None and _places(old.members) == _places(members):
        for member, same in zip(members, old.members, strict=True):
            member.credit = same.credit
    made = LanePool(name, members)
    made.count_on(old)
    return made


def _places(members: Iterable[Member]) -> list[tuple[str, int]]:
    return [(member.lane.name, member.weight) for member in members]
