"""From files to a checked configuration: read, fill in, decode, merge, check, all complaints at once.

The steps in order: both files become trees, sections become records, then everything is seen together. Nothing is
bound, opened or asked over the network. What was read is remembered by `Inputs`.
"""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from busbar_fast.config import retired
from busbar_fast.config.complaints import Complaints, Mark, Path
from busbar_fast.config.cross import Draft, check_all
from busbar_fast.config.files import PACKAGED, neighbour_catalog
from busbar_fast.config.inputs import Inputs, absolute
from busbar_fast.config.pem import check_tls
from busbar_fast.config.reading import Section
from busbar_fast.config.schema import Config, Health, Listen, Member, Pool, Security
from busbar_fast.config.sections import doors, governance, limits, models, pools, providers, sinks
from busbar_fast.config.tree import MAX_BYTES, Entries, Node, read_tree
from busbar_fast.config.variables import Variables
from busbar_fast.config.vocabulary import Vocabulary

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
LEVELS = ("error", "warn", "info", "debug", "trace")
PARSERS = ("httptools", "h11")
_PACKAGED_NAME = "inside the package"
# Keys of another place that mean a key of ours, and where they go; the rest of `advanced` has no effect here.
_MOVES: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("admin_listen",): ("governance", "admin_listen"),
    ("advanced", "response_headers", "route_policy"): ("observability", "emit_route_headers"),
    ("advanced", "response_headers", "server_timing"): ("observability", "emit_server_timing"),
    ("advanced", "rate_sweep_interval"): ("governance", "rate_sweep_interval"),
    ("advanced", "usage_flush_interval_ms"): ("governance", "usage_flush_interval_ms"),
    ("advanced", "worker_threads"): ("server", "workers"),
}


class Loaded:
    """What came of a reading: the configuration unless something is wrong, and everything there is to say about it."""

    __slots__ = ("complaints", "config", "inputs")

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.complaints = Complaints()
        self.config: Config | None = None


def load(config_file: str, catalog_file: str | None, environment: Mapping[str, str], vocabulary: Vocabulary) -> Loaded:
    """Read a deployment file and its catalog; `catalog_file` is the one named by flag or variable, if any."""
    loaded = Loaded(Inputs(environment))
    root = _read(config_file, loaded, "name another with --config or BUSBAR_CONFIG")
    if root is not None:
        _Loader(root, config_file, catalog_file, loaded, vocabulary).run()
    return loaded


def _read(file: str, loaded: Loaded, remedy: str) -> Entries | None:
    """Return the tree of a file, None if it has none."""
    complaints, mark = loaded.complaints, Mark(file=file)
    try:
        raw = loaded.inputs.read(file)
    except OSError as error:
        complaints.error(mark, (), f"cannot be read: {error.strerror or error}; {remedy}")
        return None
    if len(raw) > MAX_BYTES:
        complaints.error(mark, (), f"larger than {MAX_BYTES} bytes")
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        complaints.error(Mark(file=file, line=line), (), "not valid UTF-8")
        return None
    variables = Variables(loaded.inputs.variable)

    def fill(text: str, at: Mark, path: Path) -> tuple[str | None, str]:
        return variables.fill(text, complaints, at, path)

    before = len(complaints.errors)
    try:
        inert = variables.make_inert(text)
    except ValueError as error:
        complaints.error(mark, (), str(error))
        return None
    node = read_tree(inert, file, complaints, fill)
    if node is None and len(complaints.errors) == before:
        node = Entries(Mark(file=file, line=1))  # an empty file is an empty map
    if isinstance(node, Entries) or node is None:
        return node
    complaints.error(node.mark, (), f"must be a map, not {node.kind}")
    return None


class _Loader:
    """One loading of one deployment."""

    def __init__(
        self, root: Entries, config_file: str, catalog_file: str | None, loaded: Loaded, vocabulary: Vocabulary
    ) -> None:
        self._loaded = loaded
        self._config_file = config_file
        self._catalog_file = catalog_file
        self._vocabulary = vocabulary
        self._complaints = loaded.complaints
        self._draft = Draft(root, loaded.complaints, loaded.inputs)

    def run(self) -> None:
        """Read every section, check them together, and keep the configuration if nothing is wrong."""
        root = self._draft.root
        _move_keys(root, self._complaints)
        with Section(root, (), self._complaints, retired=retired.reason) as section:
            section.section("advanced")
            for name in root.entries:
                if name.startswith("x-"):
                    section.maybe_node(name)
            values = self._read_sections(section)
        check_all(self._draft, self._vocabulary)
        if values["tls"] is not None:
            check_tls(self._draft, values["tls"])
        self._check_environment()
        if not self._complaints.errors:
            self._loaded.config = Config(**values)

    def _read_sections(self, root: Section) -> dict[str, Any]:
        draft = self._draft
        root.need("providers", "models")
        security = sinks.read_security(root)
        health = limits.read_default_health(root)
        policy_timeout_ms = limits.read_default_policy_timeout_ms(root)
        values: dict[str, Any] = {"security": security, "limits": limits.read_limits(root)}
        draft.listen = doors.read_listen(root, "listen") or Listen(host="0.0.0.0", port=8080)  # noqa: S104  the default
        draft.auth = doors.read_auth(root)
        draft.governance = governance.read_governance(root)
        draft.observability = sinks.read_observability(root, security)
        catalog_file = self._read_providers(root, security, health)
        draft.models = {
            name: models.read_model(section, name, self._vocabulary, values["limits"].default_max_tokens)
            for name, section in root.named("models")
        }
        self._read_pools(root, security, policy_timeout_ms)
        return values | {
            "listen": draft.listen,
            "tls": doors.read_tls(root),
            "auth": draft.auth,
            "governance": draft.governance,
            "providers": draft.providers,
            "models": draft.models,
            "pools": _settled(draft.pools),
            "observability": draft.observability,
            "metrics": limits.read_metrics(root),
            "shutdown": doors.read_shutdown(root),
            "server": doors.read_server(root),
            "dialects": {
                name: doors.read_dialect(root, name, facts.settings)
                for name, facts in self._vocabulary.protocols.items()
                if facts.settings
            },
            "config_file": self._config_file,
            "catalog_file": "" if catalog_file == PACKAGED else catalog_file,
        }

    def _read_providers(self, root: Section, security: Security, health: Health) -> str:
        """Fill the draft's providers; return the catalog they were merged with."""
        draft = self._draft
        file, remedy = self._choose_catalog(root)
        tree = _read(file, self._loaded, remedy)
        shown = _PACKAGED_NAME if file == PACKAGED else file
        catalog = {}
        if tree is not None:
            with Section(tree, (), self._complaints, is_lenient=True) as entries:
                used, is_ours = draft.names("providers"), file == PACKAGED
                catalog = providers.read_catalog(entries, self._vocabulary, health, used, is_ours=is_ours)
        elif root.has("providers"):  # without a catalog every provider would seem unknown: one complaint is enough
            root.section("providers")
            return file
        merger = providers.Merger(catalog, shown, self._vocabulary, security, self._loaded.inputs)
        for name, section in root.named("providers"):
            provider = merger.merge(section, name, health)
            if provider is not None:
                draft.providers[name] = provider
        return file

    def _choose_catalog(self, root: Section) -> tuple[str, str]:
        """Return the catalog's file, and what to do if it cannot be read."""
        named = root.maybe_text("providers_file")
        if self._catalog_file is not None:
            return self._catalog_file, "name another with --providers or BUSBAR_PROVIDERS"
        if named is not None:
            path = absolute(str(FilePath(self._config_file).parent / named))
            return path, "it is named by `providers_file`; BUSBAR_PROVIDERS names another"
        found = neighbour_catalog(self._config_file, self._loaded.inputs)
        return found, "BUSBAR_PROVIDERS names another"

    def _read_pools(self, root: Section, security: Security, policy_timeout_ms: int) -> None:
        pools.complain_of_misplaced(root)
        exemptions = sinks.sink_exemptions(security)
        reader = pools.PoolReader(exemptions, policy_timeout_ms, self._loaded.inputs, self._vocabulary)
        for name, section in root.named("pools"):
            self._draft.pools[name] = reader.read(section)

    def _check_environment(self) -> None:
        """Complain about variables that do nothing, or not what they say."""
        inputs, mark = self._loaded.inputs, Mark(file="environment")
        for name in (*_PROXIES, *map(str.lower, _PROXIES)):
            if inputs.variable(name):
                self._complaints.warn("W19", mark, (name,), "proxies are not used: providers are reached directly")
        for name in ("BUSBAR_LOG", "RUST_LOG"):
            level = inputs.variable(name)
            if level and level.strip().lower() not in LEVELS:
                self._complaints.warn("W20", mark, (name,), f"must be one of {', '.join(LEVELS)}; `info` is used")
        form = inputs.variable("BUSBAR_LOG_FORMAT")
        if form and form not in sinks.LOG_FORMATS:
            reason = f"must be one of {', '.join(sinks.LOG_FORMATS)}; `text` is used"
            self._complaints.warn("W20", mark, ("BUSBAR_LOG_FORMAT",), reason)
        parser = inputs.variable("BUSBAR_HTTP_PARSER")
        if parser and parser not in PARSERS:
            reason = f"must be one of {', '.join(PARSERS)}"
            self._complaints.error(mark, ("BUSBAR_HTTP_PARSER",), reason, parser)


def _settled(pools: Mapping[str, Pool]) -> dict[str, Pool]:
    """Return the pools with each target once, its weights added, and with the one `context_max` that its model has."""
    sizes = {m.target: m.context_max for pool in pools.values() for m in pool.members if m.context_max is not None}
    settled = {}
    for name, pool in pools.items():
        members: dict[str, Member] = {}
        for member in pool.members:
            first = members.get(member.target, member.with_(weight=0, context_max=sizes.get(member.target)))
            members[member.target] = first.with_(weight=first.weight + member.weight)
        settled[name] = pool.with_(members=tuple(members.values()))
    return settled


def _move_keys(root: Entries, complaints: Complaints) -> None:
    """Put keys of another spelling where they belong; both spellings at once are an error."""
    for source, goal in _MOVES.items():
        parent = _entries_at(root, source[:-1])
        if parent is None or source[-1] not in parent.entries:
            continue
        mark, node = parent.keys.pop(source[-1]), parent.entries.pop(source[-1])
        section, name = goal
        target = root.entries.get(section)
        if node.is_null or not (target is None or target.is_null or isinstance(target, Entries)):
            continue  # nothing to move, or nowhere to: that section will be complained about
        moved = Entries(mark)
        if isinstance(target, Entries):  # a copy, for an alias may show the same map elsewhere
            moved.entries, moved.keys, moved.mark = dict(target.entries), dict(target.keys), target.mark
        if name in moved.entries and not moved.entries[name].is_null:
            complaints.error(mark, source, f"the same as `{section}.{name}`; give one of them")
            continue
        moved.entries[name], moved.keys[name] = node, mark
        root.entries[section] = moved
        root.keys.setdefault(section, mark)
    _warn_of_advanced(root, complaints)


def _warn_of_advanced(root: Entries, complaints: Complaints) -> None:
    """Take out what is left of `advanced`."""
    advanced = root.entries.get("advanced")
    if not isinstance(advanced, Entries):
        return  # the root section complains about anything but nothing
    root.entries.pop("advanced")
    for name, node in advanced.entries.items():
        if name == "response_headers" and isinstance(node, Entries):
            for inner, mark in node.keys.items():
                complaints.warn("W21", mark, ("advanced", name, inner), "has no effect here")
        else:
            complaints.warn("W21", advanced.keys[name], ("advanced", name), "has no effect here")


def _entries_at(root: Entries, path: tuple[str, ...]) -> Entries | None:
    node: Node | None = root
    for segment in path:
        node = node.entries.get(segment) if isinstance(node, Entries) else None
    return node if isinstance(node, Entries) else None
