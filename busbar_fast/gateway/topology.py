"""Which names clients may ask for and what serves them: lanes and pools made of a checked configuration.

A topology never changes; a reload makes a new one that takes over the lives of the lanes that stayed the same, and the
rotation of the pools whose members did.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

from busbar_fast import __version__
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Config, Model, Pool, Provider
from busbar_fast.config.secrets import reveal
from busbar_fast.dialects.registry import DIALECTS
from busbar_fast.gateway.lanes import Lane, LanePool, Life, Member
from busbar_fast.wire.pool import OriginKey
from busbar_fast.wire.pool import Pool as Upstreams

_AGENT = b"User-Agent: busbar-fast/%b\r\n" % __version__.encode()
_JSON = b"Content-Type: application/json\r\n"
_MODEL = "{model}"
_DEFAULT_PORTS = {True: 443, False: 80}
# How a credential is sent, by the name of the style; a dialect's own style is the first.
_CREDENTIALS = {"": b"Authorization: Bearer ", "bearer": b"Authorization: Bearer "}
_CREDENTIALS |= {"api-key": b"api-key: ", "x-api-key": b"x-api-key: "}


class Topology:
    """Lanes by model and pools by name. `wait_s` is how long an upstream may keep a request waiting."""

    __slots__ = ("_singles", "lanes", "pools", "wait_s")

    def __init__(self, lanes: Iterable[Lane], pools: Iterable[LanePool], wait_s: float = 300.0) -> None:
        self.lanes = {lane.name: lane for lane in lanes}
        self.pools = {pool.name: pool for pool in pools}
        self.wait_s = wait_s
        self._singles = {name: LanePool(name, (Member(lane),)) for name, lane in self.lanes.items()}

    def find(self, name: str) -> LanePool | None:
        """Return the pool of this name, else the one lane of this name as a pool of its own."""
        return self.pools.get(name) or self._singles.get(name)

    @property
    def names(self) -> list[str]:
        """Everything that can be asked for, pools first."""
        return [*self.pools, *self.lanes]


class LazyPolicy:
    """The address rule of one provider. The guards are imported with the first connection, not at every start."""

    __slots__ = ("_allow_all", "_allowed", "_blocked", "_guard")

    def __init__(self, provider: Provider, config: Config) -> None:
        security = config.security
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
    """Return the topology of a configuration, with what stayed the same since the one before."""
    lanes = {}
    for name, model in config.models.items():
        provider = config.providers[model.provider]
        life = _life_before(name, model, provider, before) or Life(model.max_concurrent)
        life.gate.resize(model.max_concurrent or 0)
        lanes[name] = _new_lane(name, model, config, upstreams, inputs, life)
    pools = [_new_pool(name, pool, lanes, before) for name, pool in config.pools.items()]
    return Topology(lanes.values(), pools, config.limits.upstream_request_timeout_secs)


def _new_lane(name: str, model: Model, config: Config, upstreams: Upstreams, inputs: Inputs, life: Life) -> Lane:
    provider = config.providers[model.provider]
    split = urlsplit(request_url(provider, model.upstream_model))
    is_tls = split.scheme.lower() == "https"
    host = (split.hostname or "").rstrip(".")
    port = split.port or _DEFAULT_PORTS[is_tls]
    origin = upstreams.origin(OriginKey(is_tls=is_tls, host=host, port=port, policy=LazyPolicy(provider, config)))
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _DEFAULT_PORTS[is_tls] else f"{shown}:{port}"
    path = split.path + (f"?{split.query}" if split.query else "")
    key = reveal(provider.credential, inputs).strip()
    credential = b"%b%b\r\n" % (_CREDENTIALS[provider.auth], key.encode("latin-1", "replace")) if key else b""
    fields = b"Host: %b\r\n%b%b%b" % (authority.encode(), _JSON, _AGENT, credential)
    return Lane(name, origin, path.encode(), fields, life, model.upstream_model)


def request_url(provider: Provider, model: str) -> str:
    """Return where a provider takes requests for a model.

    A base URL that ends in the first segment of the dialect's own path, as many guides show it, has that segment once.
    """
    base = provider.base_url.rstrip("/")
    path = provider.path or DIALECTS[provider.protocol].path
    first = "/" + path.lstrip("/").partition("/")[0]
    if not provider.path and base.partition("://")[2].endswith(first):
        path = path.removeprefix(first)
    return base + path.replace(_MODEL, quote(model, safe=""))


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
    return LanePool(name, members)


def _places(members: Iterable[Member]) -> list[tuple[str, int]]:
    return [(member.lane.name, member.weight) for member in members]
