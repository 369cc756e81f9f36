"""What only shows when sections are seen together: names, references between them, and combinations that cannot work.

Each check gets a `Draft`: the records read so far with the tree they came from, so that it can say where. Fields that
were wrong by themselves were noted before and are left alone here.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path as FilePath

from busbar_fast.config.complaints import Complaints, Mark, Path
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Auth, Governance, Listen, Member, Model, Observability, Pool, Provider, Secret
from busbar_fast.config.secrets import NoSecret, place_of, reveal
from busbar_fast.config.sections.governance import MEMORY
from busbar_fast.config.sections.references import complaint_of_token
from busbar_fast.config.tree import Entries, Items, Node, Scalar
from busbar_fast.config.variables import has_control
from busbar_fast.config.vocabulary import Vocabulary

_RESERVED = "admin"
_ENCODED_IN_PATHS = frozenset("/?#% ")
_REGION = "region"  # an option of protocols whose requests are signed


class Draft:
    """A configuration whose sections were read one by one."""

    __slots__ = (
        "auth",
        "complaints",
        "governance",
        "inputs",
        "listen",
        "models",
        "observability",
        "pools",
        "providers",
        "root",
    )

    def __init__(self, root: Entries, complaints: Complaints, inputs: Inputs) -> None:
        self.root = root
        self.complaints = complaints
        self.inputs = inputs
        self.listen: Listen | None = None
        self.auth = Auth()
        self.governance = Governance()
        self.observability = Observability()
        self.providers: dict[str, Provider] = {}
        self.models: dict[str, Model] = {}
        self.pools: dict[str, Pool] = {}

    def names(self, kind: str) -> Collection[str]:
        """Return every name in a map of maps; one that was wrong by itself has no record."""
        node = self.root.entries.get(kind)
        return node.entries if isinstance(node, Entries) else ()

    def has(self, *path: str | int) -> bool:
        """Say whether something stands under a path."""
        return _find(self.root, path) is not None

    def error(self, path: Path, reason: str, got: str | None = None) -> None:
        """Complain about what stands under a path."""
        self.complaints.error(self.mark_of(path), path, reason, got)

    def warn(self, number: str, path: Path, reason: str) -> None:
        """Warn about what stands under a path."""
        self.complaints.warn(number, self.mark_of(path), path, reason)

    def mark_of(self, path: Path) -> Mark:
        """Return where a path stands, or the nearest thing around it."""
        node: Node = self.root
        mark = self.root.mark
        for segment in path:
            if isinstance(node, Entries) and segment in node.entries:
                mark = node.keys[str(segment)]
                node = node.entries[str(segment)]
            elif isinstance(node, Items) and isinstance(segment, int) and segment < len(node.items):
                node = node.items[segment]
                mark = node.mark
            else:
                break
        return mark


def _find(node: Node | None, path: Path) -> Node | None:
    for segment in path:
        if isinstance(node, Entries):
            node = node.entries.get(str(segment))
        elif isinstance(node, Items) and isinstance(segment, int):
            node = node.items[segment] if segment < len(node.items) else None
        else:
            return None
    return None if node is None or node.is_null else node


def check_all(draft: Draft, vocabulary: Vocabulary) -> None:
    """Note everything that only shows in combination."""
    _check_names(draft)
    _check_models(draft)
    _warn_of_idle_options(draft, vocabulary)
    for name, pool in draft.pools.items():
        _check_members(draft, name, pool)
        _check_exclusions(draft, name, pool)
        _warn_of_pool(draft, name, pool)
    _check_context_sizes(draft)
    _check_fallbacks(draft)
    _check_access(draft)
    _check_governance(draft)
    for kind in ("providers", "models"):
        if isinstance(draft.root.entries.get(kind), Entries) and not draft.names(kind):
            draft.warn("W14", (kind,), f"no {kind}: nothing can be served")


# Names


def _check_names(draft: Draft) -> None:
    kinds = {kind: draft.names(kind) for kind in ("providers", "models", "pools")}
    for kind, names in kinds.items():
        for name in names:
            reason = _complaint_of_name(name)
            if reason:
                draft.error((kind, name), reason, name)
            elif kind != "providers" and not _ENCODED_IN_PATHS.isdisjoint(name):
                draft.warn("W18", (kind, name), "must be percent-encoded where it stands in a path")
    for name in kinds["pools"]:
        for kind in ("models", "providers"):
            if name in kinds[kind]:
                draft.error(("pools", name), f"a pool must not have the name of one of the {kind}", name)


def _complaint_of_name(name: str) -> str:
    if name == _RESERVED or name.startswith(f"{_RESERVED}/"):
        return "reserved for the management API"
    if not name.strip():
        return "a name must not be empty"
    if name != name.strip():
        return "a name must not begin or end with blanks"
    return "a name must not hold control characters" if has_control(name) else ""


# References


def _check_models(draft: Draft) -> None:
    for name, model in draft.models.items():
        if model.provider and model.provider not in draft.names("providers"):
            near = draft.complaints.hint(model.provider, draft.names("providers"))
            draft.error(("models", name, "provider"), f"no provider of this name{near}", model.provider)


def _warn_of_idle_options(draft: Draft, vocabulary: Vocabulary) -> None:
    """Warn of settings of a model that no lane of its protocol looks at, though those of another one would."""
    for name, model in draft.models.items():
        provider = draft.providers.get(model.provider)
        if provider is None:
            continue
        for option, protocols in vocabulary.special_options.items():
            if option in model.options and provider.protocol not in protocols:
                draft.warn("W21", ("models", name, option), f"has no effect with `protocol: {provider.protocol}`")


def _check_members(draft: Draft, name: str, pool: Pool) -> None:
    for number, member in _numbered(draft, name, pool):
        model = draft.models.get(member.target)
        path = ("pools", name, "members", number, "target")
        if not draft.has(*path):
            path = ("pools", name, "members", number, "model")
        if member.target not in draft.names("models"):
            near = draft.complaints.hint(member.target, draft.names("models"))
            draft.error(path, f"no model of this name{near}", member.target)
        elif model is not None and model.provider and model.provider not in draft.names("providers"):
            draft.error(path, f"this model's provider {model.provider} is unknown", member.target)


def _numbered(draft: Draft, name: str, pool: Pool) -> Iterator[tuple[int, Member]]:
    """Yield each member that has a target, with its place in the file."""
    node = _find(draft.root, ("pools", name, "members"))
    places = [n for n, item in enumerate(node.items) if isinstance(item, Entries)] if isinstance(node, Items) else []
    return ((number, member) for number, member in zip(places, pool.members, strict=True) if member.target)


def _check_exclusions(draft: Draft, name: str, pool: Pool) -> None:
    targets = {member.target for member in pool.members if member.target}
    path = ("pools", name, "failover", "exclusions")
    node = _find(draft.root, path)
    unknown = set(pool.failover.exclusions) - targets
    for number, item in enumerate(node.items if isinstance(node, Items) else ()):
        if isinstance(item, Scalar) and item.text in unknown:
            near = draft.complaints.hint(item.text, targets)
            draft.error((*path, number), f"no member of this pool{near}", item.text)
    if targets and targets <= set(pool.failover.exclusions):
        draft.error(path, "excludes every member")


def _warn_of_pool(draft: Draft, name: str, pool: Pool) -> None:
    path = ("pools", name)
    seen: set[str] = set()
    for number, member in _numbered(draft, name, pool):
        if member.target in seen:
            draft.warn("W22", (*path, "members", number), f"{member.target} is listed twice: the weights are added")
        seen.add(member.target)
        if member.weight == 0:
            draft.warn("W25", (*path, "members", number, "weight"), f"{member.target} is drained: it is never picked")
    if pool.members and all(member.weight == 0 for member in pool.members):
        draft.warn("W25", path, "every member is drained: the pool can serve nothing")
    spoken = {
        draft.providers[draft.models[target].provider].protocol
        for target in seen
        if target in draft.models and draft.models[target].provider in draft.providers
    }
    if len(spoken) > 1:
        draft.warn("W5", path, f"mixes the protocols {', '.join(sorted(spoken))}")
    if (
        pool.policy.route == "native"
        and pool.policy.name == "cheapest"
        and all(member.cost_per_mtok is None for member in pool.members)
    ):
        draft.warn("W15", path, "`cheapest` ranks by cost_per_mtok, and no member has one")


def _check_context_sizes(draft: Draft) -> None:
    known: dict[str, int] = {}
    for name, pool in draft.pools.items():
        for number, member in _numbered(draft, name, pool):
            size = member.context_max
            if size is None:
                continue
            first = known.setdefault(member.target, size)
            if first != size:
                path = ("pools", name, "members", number, "context_max")
                draft.error(path, f"{member.target} has two values, {first} and {size}; a model has one", str(size))


def _check_fallbacks(draft: Draft) -> None:
    follows: dict[str, str] = {}
    for name, pool in draft.pools.items():
        target = pool.on_exhausted.pool
        path = ("pools", name, "on_exhausted")
        if not target:
            continue
        if target not in draft.names("pools"):
            draft.error(path, f"no pool of this name{draft.complaints.hint(target, draft.names('pools'))}", target)
        elif target == name:
            draft.error(path, "a pool cannot fall back to itself", target)
        else:
            follows[name] = target
    for ring in _rings(follows):
        text = " -> ".join((*ring, ring[0]))
        draft.error(("pools", ring[0], "on_exhausted"), f"the pools fall back in a ring: {text}", text)


def _rings(follows: Mapping[str, str]) -> list[list[str]]:
    """Return each ring of pools once, from its alphabetically first pool on."""
    rings = []
    done: set[str] = set()
    for start in sorted(follows):
        trail: dict[str, None] = {}
        name: str | None = start
        while name is not None and name not in done and name not in trail:
            trail[name] = None
            name = follows.get(name)
        if name in trail:
            ring = list(trail)
            ring = ring[ring.index(name) :]
            first = ring.index(min(ring))
            rings.append(ring[first:] + ring[:first])
        done.update(trail)
    return rings


# Access


def _check_access(draft: Draft) -> None:
    auth, is_governed = draft.auth, draft.governance.enabled
    tokens = _find(draft.root, ("auth", "client_tokens"))
    is_empty = tokens is None or (isinstance(tokens, Items) and not tokens.items)
    if auth.mode == "token" and is_empty and not is_governed:
        draft.error(
            ("auth", "client_tokens"), "`auth.mode: token` needs at least one client token in `auth.client_tokens`"
        )
    if is_governed and auth.mode == "passthrough":
        draft.error(("auth", "mode"), "`passthrough` cannot be used with `governance.enabled`", auth.mode)
    clients = _check_tokens(draft)
    path = ("observability", "metrics_token")
    if _reveal_token(draft, path, draft.observability.metrics_token) in clients:
        draft.warn("W2", path, "a client token as well, so that client reads the metrics")
    if is_governed:
        if auth.client_tokens or auth.mode == "none":
            draft.warn(
                "W6", ("governance", "enabled"), "virtual keys replace `auth`: its mode and tokens have no effect"
            )
        return
    if auth.mode == "none":
        if draft.has("auth", "mode"):
            draft.warn("W1", ("auth", "mode"), "`none`: everybody who reaches this address is served")
        else:
            draft.warn(
                "W1", ("auth",), "no client authentication is configured: everybody who reaches this address is served"
            )
        if auth.client_tokens:
            draft.warn("W2", ("auth", "client_tokens"), "no effect with `auth.mode: none`")
    if auth.mode == "passthrough":
        _warn_of_unused_keys(draft)
        _warn_of_signatures(draft)


def _check_tokens(draft: Draft) -> set[str]:
    """Return the tokens of clients, having complained of what is wrong with them."""
    seen: set[str] = set()
    for number, secret in enumerate(draft.auth.client_tokens):
        path = ("auth", "client_tokens", number)
        token = _reveal_token(draft, path, secret)
        if token in seen:
            draft.warn("W2", path, "the same token is listed twice")
        if token:
            seen.add(token)
    return seen


def _reveal_token(draft: Draft, path: Path, secret: Secret) -> str:
    """Return a token that clients are to send; one from elsewhere is judged here, one in the file has been already."""
    token = reveal_needed(draft, path, secret)
    reason = complaint_of_token(token) if token and secret.kind != "text" else ""
    if reason:
        draft.error(path, reason)
    return token


def reveal_needed(draft: Draft, path: Path, secret: Secret) -> str:
    """Return a secret that must have a value; nothing if it has none, which is noted."""
    if secret.kind in ("none", "text"):
        return "" if secret.kind == "none" else reveal(secret, draft.inputs)
    try:
        value = reveal(secret, draft.inputs)
    except NoSecret as error:
        draft.error(path, str(error))
        return ""
    if not value:
        draft.error((*path, secret.kind), f"{place_of(secret, secret.kind)} is not set or empty")
    if secret.kind == "file" and draft.inputs.is_open_to_all(secret.source):
        draft.warn("W16", path, f"every user of this machine can read {secret.source}")
    return value


def _warn_of_unused_keys(draft: Draft) -> None:
    for name, provider in draft.providers.items():
        try:
            has_key = bool(reveal(provider.credential, draft.inputs))
        except NoSecret:
            continue  # noted when the provider was read
        if has_key:
            draft.warn("W3", ("providers", name), "its key is never used with `auth.mode: passthrough`")


def _warn_of_signatures(draft: Draft) -> None:
    """Warn of providers whose clients sign what they send: a signature covers our address and is no use elsewhere."""
    for name, provider in draft.providers.items():
        if _REGION in provider.options:
            reason = "with `auth.mode: passthrough` a client's token is passed on, its AWS signature cannot be"
            draft.warn("W3", ("providers", name), reason)


# Governance


def _check_governance(draft: Draft) -> None:
    governance = draft.governance
    path = ("governance", "admin_token")
    reveal_needed(draft, path, governance.admin_token)
    node = _find(draft.root, path)
    is_unset = node is None or (isinstance(node, Scalar) and not node.is_broken)
    back = governance.admin_listen
    if back is not None and back == draft.listen and back.port:  # port 0 is another one each time
        draft.error(("governance", "admin_listen"), "must differ from `listen`", str(governance.admin_listen))
    if not governance.enabled:
        return
    if governance.admin_token.kind == "none" and is_unset:
        draft.error(path, "`governance.enabled` needs an admin token")
    name = governance.secret_key_env
    if name and not (draft.inputs.variable(name) or "").strip():
        draft.error(("governance", "secret_key_env"), f"the variable {name} is not set or empty")
    if governance.db_path == MEMORY:
        draft.warn(
            "W27", ("governance", "db_path"), "the database lives in memory: keys and spend end with the process"
        )
    elif not draft.inputs.is_folder(str(FilePath(governance.db_path).parent)):
        draft.error(("governance", "db_path"), "the folder does not exist", governance.db_path)
