"""`pools`: members, and the rules by which a pool picks, benches, moves on and gives up."""

import re

from busbar_fast.config import retired
from busbar_fast.config.complaints import SECRET
from busbar_fast.config.guards import Exemptions
from busbar_fast.config.guards.verdicts import judge_sink
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.reading import U32, Section
from busbar_fast.config.schema import Affinity, Breaker, Exhausted, Failover, Member, Policy, Pool, Secret, Trip
from busbar_fast.config.sections.references import not_blank
from busbar_fast.config.sections.sinks import read_sink
from busbar_fast.config.tree import Entries, Scalar
from busbar_fast.config.vocabulary import Vocabulary

NATIVE = ("weighted", "cheapest", "fastest", "least_busy", "usage")
SHORTHANDS = NATIVE[1:]
ROUTES = ("weighted", "native", "webhook", "script", *SHORTHANDS)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MOST_FAILOVER_SECS = 86400
MOST_OUTCOMES = 1024  # that a cell remembers; more could never come together
_MOST_HEADER_CHARACTERS = 64
_REJECT = ("reject", "503", "status_503", "status503")
_LEAST_BAD = ("least_bad", "least-bad", "leastbad")
_FALLBACK = "fallback_pool"
# Which fields of `policy` each kind of route reads.
_READ_BY = {
    "weighted": (),
    "native": ("name", "on_error", "explore"),
    "webhook": ("url", "timeout_ms", "on_error"),
    "script": ("script", "script_file", "timeout_ms", "on_error", "max_steps"),
}


class PoolReader:
    """Reads pools; what all of them share is held here."""

    def __init__(self, exemptions: Exemptions, policy_timeout_ms: int, inputs: Inputs, vocabulary: Vocabulary) -> None:
        self._exemptions = exemptions
        self._policy_timeout_ms = policy_timeout_ms
        self._inputs = inputs
        self._vocabulary = vocabulary

    def read(self, section: Section) -> Pool:
        """Return one pool."""
        failover, policy = _read_failover(section), self._read_policy(section)
        on_exhausted = _read_exhausted(section, failover)
        on_lossy = section.choice("on_lossy", "warn", ("allow", "warn", "reject"))
        return Pool(
            members=_read_members(section),
            policy=policy,
            breaker=_read_breaker(section),
            failover=failover,
            on_exhausted=on_exhausted,
            affinity=_read_affinity(section),
            drop_guardrails=section.flag("drop_guardrails", default=False),
            on_lossy=on_lossy,
            reject_on=self._read_loud(section, on_lossy),
            emit_translation_header=section.flag("emit_translation_header", default=False),
        )

    def _read_loud(self, pool: Section, on_lossy: str) -> tuple[str, ...]:
        """Return the losses that a pool does not put up with, where it puts up with others."""
        losses = sorted(self._vocabulary.losses)

        def complain(text: str) -> str:
            if text in losses:
                return ""
            hint = pool.complaints.hint(text, losses)
            return f"is nothing that a translation can lose{hint or '; it must be one of ' + ', '.join(losses)}"

        loud = pool.texts("reject_on", complain)
        for twice in dict.fromkeys(field for field in loud if loud.count(field) > 1):
            pool.warn("W21", "reject_on", f"lists `{twice}` more than once")
        if on_lossy == "reject" and pool.has("reject_on"):
            pool.error("reject_on", "has no meaning with `on_lossy: reject`, which rejects every loss")
        return loud

    def _read_policy(self, pool: Section) -> Policy:
        route = pool.choice("route", "weighted", ROUTES)
        kind = "native" if route in SHORTHANDS else route
        with pool.section("policy") as section:
            timeout_ms = section.integer("timeout_ms", 0)
            policy = Policy(
                route=kind,
                name=_native_name(section, route),
                url=self._url(section, is_needed=kind == "webhook"),
                timeout_ms=timeout_ms or self._policy_timeout_ms,
                on_error=_on_error(section),
                script=self._script(section, is_needed=kind == "script"),
                max_steps=section.integer("max_steps", 20000, 1, 250000),
                explore=section.flag("explore", default=False),
            )
            for field in section.node.entries:
                if section.has(field) and field in section.known and field not in _READ_BY[kind]:
                    section.warn("W21", field, f"has no effect with `route: {route}`")
            if policy.explore and kind == "native" and policy.name != "fastest":
                section.warn("W21", "explore", f"has no effect on `{policy.name}`, which ranks by no latency")
            return policy

    def _url(self, section: Section, *, is_needed: bool) -> Secret:
        if is_needed and not section.has("url"):
            section.error("url", "required with `route: webhook`, and missing")
        return read_sink(section, "url", judge_sink, self._exemptions)

    def _script(self, section: Section, *, is_needed: bool) -> str:
        """Return the text of the script; one that decides nothing need not be one."""
        text, path = section.maybe_text("script", not_blank), section.maybe_text("script_file", not_blank)
        if is_needed and section.has("script") == section.has("script_file"):
            section.error("script", "`route: script` needs exactly one of `script` and `script_file`")
            return ""
        if path is not None:
            text = self._script_in(section, path)
        if text is None or not is_needed:
            return text or ""
        reason = self._vocabulary.complaint_of_script(text)
        if reason:
            section.error("script" if path is None else "script_file", reason, path)
        return text

    def _script_in(self, section: Section, path: str) -> str | None:
        """Return the text in a file, None if there is none."""
        try:
            return self._inputs.read(path).decode()
        except OSError as error:
            section.error("script_file", f"cannot be read: {error.strerror or error}", path)
        except UnicodeDecodeError:
            section.error("script_file", "is not valid UTF-8", path)
        return None


def _native_name(section: Section, route: str) -> str:
    """Return what a native route ranks by, given by name or by the route's own short form."""
    name = section.maybe_text("name")
    if route not in ("native", *SHORTHANDS):
        return "weighted"
    if not section.has("name") and route == "native":
        section.error("name", f"required with `route: native`: {', '.join(NATIVE)}")
    elif name is not None and name not in NATIVE:
        section.error("name", f"must be one of {', '.join(NATIVE)}{section.complaints.hint(name, NATIVE)}", name)
    elif name is not None and route not in ("native", name):
        section.warn("W21", "name", f"differs from `route: {route}`; `{name}` is used")
    return name or ("weighted" if route == "native" else route)


def _on_error(section: Section) -> str:
    chosen = section.choice("on_error", "weighted", ("weighted", "reject", "first", "abstain"))
    return "weighted" if chosen == "abstain" else chosen


def _read_members(pool: Section) -> tuple[Member, ...]:
    nodes = pool.items("members")
    if not nodes and (not pool.has("members") or pool.node.entries["members"].kind == "a list"):
        pool.error("members", "must list at least one member")
    members = []
    listed = pool.within("members", None)
    for number, node in enumerate(nodes):
        if not isinstance(node, Entries):
            kind = "nothing" if node.is_null else node.kind
            pool.complaints.error(node.mark, (*listed.path, number), f"must be a map, not {kind}")
            continue
        with listed.within(number, node) as section:
            members.append(_read_member(section))
    return tuple(members)


def _read_member(section: Section) -> Member:
    target, model = section.maybe_text("target", not_blank), section.maybe_text("model", not_blank)
    if target is None and model is None and not section.has("target") and not section.has("model"):
        section.error("target", "required, and missing")
    elif target is not None and model is not None and target != model:
        section.error("model", f"differs from `target`, which is {target}; give one of them", model)
    cost = section.maybe_number("cost_per_mtok")
    if cost is not None and cost < 0:
        section.error("cost_per_mtok", "must not be negative", section.written("cost_per_mtok"))
    return Member(
        target=target or model or "",
        weight=section.integer("weight", 1, 0, U32),
        context_max=section.maybe_integer("context_max", 1),
        tier=section.text("tier", ""),
        tags=section.texts("tags"),
        cost_per_mtok=cost,
        attempt_timeout_ms=section.maybe_integer("attempt_timeout_ms", 1),
        reasoning=section.maybe_flag("reasoning"),
    )


def _read_breaker(pool: Section) -> Breaker:
    with pool.section("breaker") as section:
        base = section.integer("base_cooldown_secs", 15, 1)
        longest = section.integer("max_cooldown_secs", 120, 1)
        if longest < base:
            section.error("max_cooldown_secs", f"must not be below base_cooldown_secs, which is {base}", str(longest))
        return Breaker(base_cooldown_secs=base, max_cooldown_secs=longest, trip=_read_trip(section))


def _read_trip(breaker: Section) -> Trip:
    with breaker.section("trip") as section:
        mode = section.choice("mode", "error_rate", ("error_rate", "consecutive"))
        threshold = section.maybe_number("threshold")
        if mode == "error_rate" and threshold is not None and not 0 < threshold <= 1:
            section.error("threshold", "must be above 0 and at most 1", section.written("threshold"))
        lowest = 1 if mode == "consecutive" else 0
        return Trip(
            mode=mode,
            window_secs=section.integer(section.alias("window_secs", "window_s"), 30, 1),
            threshold=0.5 if threshold is None else threshold,
            min_requests=section.integer("min_requests", 5, 1, MOST_OUTCOMES),
            consecutive_n=section.integer(section.alias("consecutive_n", "n"), 3, lowest, U32),
        )


def _read_failover(pool: Section) -> Failover:
    with pool.section("failover") as section:
        return Failover(
            timeout_secs=section.integer(section.alias("timeout_secs", "deadline_secs"), 120, 1, _MOST_FAILOVER_SECS),
            max_hops=section.integer(section.alias("max_hops", "cap"), 3),
            exclusions=section.texts("exclusions"),
        )


def _read_affinity(pool: Section) -> Affinity:
    with pool.section("affinity") as section:
        return Affinity(
            mode=section.choice("mode", "session", ("session",)),
            header_name=section.text("header_name", "x-session-id", _complaint_of_header),
            from_system=section.flag("from_system", default=False),
        )


def _complaint_of_header(text: str) -> str:
    if len(text) > _MOST_HEADER_CHARACTERS:
        return f"must be at most {_MOST_HEADER_CHARACTERS} characters long"
    return "" if _TOKEN.fullmatch(text) else "must be the name of a header: letters, digits and !#$%&'*+.^_`|~-"


def _read_exhausted(pool: Section, failover: Failover) -> Exhausted:
    """Return what happens when nobody can serve: a word, or a map with an action or one short form."""
    node = pool.maybe_node("on_exhausted")
    if node is None:
        return Exhausted()
    if isinstance(node, Scalar):
        return _action(pool, "on_exhausted", node.text) if not node.is_broken else Exhausted()
    if not isinstance(node, Entries):
        pool.error("on_exhausted", f"must be a word or a map, not {node.kind}")
        return Exhausted()
    with pool.within("on_exhausted", node) as section:
        forms = [form for form in ("action", _FALLBACK, "queue") if section.has(form)]
        fallback, action = section.maybe_text(_FALLBACK, not_blank), section.maybe_text("action")
        longest_ms = failover.timeout_secs * 1000
        with section.section("queue") as queue:
            inner_ms = queue.maybe_integer("max_ms", 1, longest_ms)
            if forms == ["queue"]:
                queue.need("max_ms")
        outer_ms = section.maybe_integer("max_ms", 1, longest_ms)
        if len(forms) != 1:
            reason = "give one of action, fallback_pool, queue"
            pool.error("on_exhausted", reason if not forms else f"{reason}, not {' and '.join(forms)}")
        elif action is not None and action.strip() == "queue":
            section.need("max_ms")
            return Exhausted(action="queue", max_ms=outer_ms or 0)
        elif section.has("max_ms"):
            section.error("max_ms", "has a meaning with `action: queue` only")
        elif forms == ["queue"]:
            return Exhausted(action="queue", max_ms=inner_ms or 0)
        elif fallback is not None:
            return Exhausted(action=_FALLBACK, pool=fallback)
        elif action is not None:
            return _action(section, "action", action)
        return Exhausted()


def _action(section: Section, name: str, text: str) -> Exhausted:
    word = text.strip()
    if word in _REJECT:
        return Exhausted()
    if word in _LEAST_BAD:
        return Exhausted(action="least_bad")
    kind, separator, pool = word.partition(":")
    if kind == _FALLBACK and separator and pool.strip():
        return Exhausted(action=_FALLBACK, pool=pool.strip())
    wanted = "must be reject, least_bad, fallback_pool:NAME or a queue"
    if kind in (_FALLBACK, "fallback", "failover"):
        wanted += "; write fallback_pool:NAME with the name of a pool"
    elif kind == "queue":
        wanted += "; write {queue: {max_ms: N}}"
    section.error(name, wanted, text)
    return Exhausted()


def complain_of_misplaced(root: Section) -> None:
    """Refuse what stands among the pools and is none."""
    node = root.node.entries.get("pools")
    if not isinstance(node, Entries):
        return
    for name, reason, kind in (
        ("hooks", retired.HOOKS_LIST, "a list"),
        ("upstream_credentials", retired.CREDENTIALS_TEXT, "a text"),
    ):
        found = node.entries.get(name)
        if found is not None and not found.is_null and found.kind == kind:
            root.complaints.error(node.keys[name], ("pools", name), reason, SECRET if kind == "a text" else None)
            del node.entries[name]
