"""One pool, read by itself."""

from pathlib import Path

import pytest

from busbar_fast.config.guards import Exemptions
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Affinity, Breaker, Exhausted, Failover, Member, Policy, Pool, Secret, Trip
from busbar_fast.config.sections.pools import PoolReader, complain_of_misplaced
from busbar_fast.config.vocabulary import Vocabulary
from tests.config.cases import paths_of, section_of

VOCABULARY = Vocabulary({}, {}, lambda text: "" if text == "s" else "line 1: no", frozenset(("seed", "documents")), {})
READER = PoolReader(Exemptions(sinks=("10.0.0.1",)), 70, Inputs({}), VOCABULARY)
PLAIN = Pool(members=(Member(target="m"),), policy=Policy(timeout_ms=70))


def read(text: str) -> tuple[Pool, list[str], list[str]]:
    """Return a pool of one member and these fields, with the paths of errors and warnings."""
    with section_of("members: [{target: m}]\n" + text) as section:
        pool = READER.read(section)
    return pool, paths_of(section.complaints.errors), paths_of(section.complaints.warnings)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("", {}),
        ("drop_guardrails: true\non_lossy: reject\n", {"drop_guardrails": True, "on_lossy": "reject"}),
        ("reject_on: [documents, seed]\n", {"reject_on": ("documents", "seed")}),
        ("emit_translation_header: true\n", {"emit_translation_header": True}),
        (
            "breaker: {trip: {n: 7, window_s: 9, mode: consecutive}}",
            {"breaker": Breaker(trip=Trip(mode="consecutive", consecutive_n=7, window_secs=9))},
        ),
        ("failover: {cap: 1, deadline_secs: 2}", {"failover": Failover(max_hops=1, timeout_secs=2)}),
        ("affinity: {header_name: x}", {"affinity": Affinity(header_name="x")}),
        ("on_exhausted: leastbad", {"on_exhausted": Exhausted(action="least_bad")}),
        ("on_exhausted: 'fallback_pool: b '", {"on_exhausted": Exhausted(action="fallback_pool", pool="b")}),
        ("on_exhausted: {action: ' queue ', max_ms: 5}", {"on_exhausted": Exhausted(action="queue", max_ms=5)}),
        ("on_exhausted: {queue: {max_ms: 5}}", {"on_exhausted": Exhausted(action="queue", max_ms=5)}),
        ("on_exhausted: {fallback_pool: b}", {"on_exhausted": Exhausted(action="fallback_pool", pool="b")}),
        ("on_exhausted: {action: 503}", {}),
        ("route: usage", {"policy": Policy(route="native", name="usage", timeout_ms=70)}),
        (
            "route: native\npolicy: {name: fastest, on_error: abstain}",
            {"policy": Policy(route="native", name="fastest", timeout_ms=70)},
        ),
        (
            "route: script\npolicy: {script: s, timeout_ms: 5}",
            {"policy": Policy(route="script", script="s", timeout_ms=5)},
        ),
    ],
)
def test_a_pool_is_read(text: str, changes: dict[str, object]) -> None:
    """Config §6.3 and X11: a pool with its defaults and what differs from them."""
    assert read(text) == (PLAIN.with_(**changes), [], [])


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("route: native", ["policy.name"]),
        ("route: native\npolicy: {name: x}", ["policy.name"]),
        ("route: webhook", ["policy.url"]),
        ("route: script", ["policy.script"]),
        ("route: script\npolicy: {script_file: /nowhere}", ["policy.script_file"]),
        ("route: script\npolicy: {script: wrong}", ["policy.script"]),
        ("breaker: {max_cooldown_secs: 1}", ["breaker.max_cooldown_secs"]),
        ("breaker: {trip: {threshold: 0}}", ["breaker.trip.threshold"]),
        ("affinity: {header_name: ''}", ["affinity.header_name"]),
        (f"affinity: {{header_name: {'x' * 65}}}", ["affinity.header_name"]),
        ("on_exhausted: [x]", ["on_exhausted"]),
        ("on_exhausted: '${NOPE}'", ["on_exhausted"]),
        ("on_exhausted: queue", ["on_exhausted"]),
        ("on_exhausted: fallback", ["on_exhausted"]),
        ("on_exhausted: other", ["on_exhausted"]),
        ("on_exhausted: {}", ["on_exhausted"]),
        ("on_exhausted: {action: reject, queue: {}}", ["on_exhausted"]),
        ("on_exhausted: {action: reject, max_ms: 1}", ["on_exhausted.max_ms"]),
        ("on_exhausted: {action: queue}", ["on_exhausted.max_ms"]),
        ("on_exhausted: {action: [x]}", ["on_exhausted.action"]),
        ("on_exhausted: {queue: {}}", ["on_exhausted.queue.max_ms"]),
    ],
)
def test_what_is_wrong_with_a_pool_is_noted(text: str, errors: list[str]) -> None:
    """Config §6.3: complaints stand at their fields."""
    assert read(text)[1] == errors


def test_fields_that_a_route_does_not_read_are_warned_about() -> None:
    """Config §9, W21: what has no effect, and a name that differs from the short form."""
    assert read("policy: {name: usage, url: }")[2] == ["policy.name"]
    assert read("route: usage\npolicy: {name: fastest}")[2] == ["policy.name"]
    assert read("route: webhook\npolicy: {url: 'https://10.0.0.1'}")[2] == ["policy.url"]


def test_a_webhook_is_a_template() -> None:
    """Config §6.3: the URL of a webhook may hold credentials."""
    pool, errors, _ = read("route: webhook\npolicy: {url: 'https://u:p@x'}")
    assert (pool.policy.url, errors) == (Secret(kind="text", source="https://u:p@x"), [])


def test_script_files_are_read(tmp_path: Path) -> None:
    """Config §6.3: the text of a script file, and a complaint about one that is none."""
    for name, content in (("good", b"s"), ("bad", b"\xff"), ("wrong", b"x")):
        (tmp_path / name).write_bytes(content)
    found = [read(f"route: script\npolicy: {{script_file: {tmp_path / name}}}") for name in ("good", "bad", "wrong")]
    assert [(pool.policy.script, errors) for pool, errors, _ in found] == [
        ("s", []),
        ("", ["policy.script_file"]),
        ("x", ["policy.script_file"]),
    ]


def test_a_script_that_decides_nothing_is_not_read_as_one() -> None:
    """Config §9, W21: a script beside another route is warned about, whatever it says."""
    assert read("route: usage\npolicy: {script: wrong}")[1:] == ([], ["policy.script"])


@pytest.mark.parametrize(
    ("text", "targets", "errors"),
    [
        ("x: 1", [], ["members"]),
        ("members: []", [], ["members"]),
        ("members: x", [], ["members"]),
        ("members: [x, ~]", [], ["members[0]", "members[1]"]),
        ("members: [{target: a, model: a}, {model: b}]", ["a", "b"], []),
        ("members: [{target: a, model: b}]", ["a"], ["members[0].model"]),
        (
            "members: [{}, {target: ''}, {target: a, cost_per_mtok: -1}]",
            ["", "", "a"],
            ["members[0].target", "members[1].target", "members[2].cost_per_mtok"],
        ),
    ],
)
def test_members_are_read(text: str, targets: list[str], errors: list[str]) -> None:
    """Config §6.3 and X10: a list of maps, each with a target."""
    section = section_of(text)
    pool = READER.read(section)
    assert [member.target for member in pool.members] == targets
    assert paths_of(section.complaints.errors) == errors


@pytest.mark.parametrize(
    ("text", "errors", "left"),
    [
        ("a: 1", [], None),
        ("pools: x", [], None),
        ("pools: {hooks: [x], upstream_credentials: x}", ["pools.hooks", "pools.upstream_credentials"], []),
        ("pools: {hooks: {}, upstream_credentials: }", [], ["hooks", "upstream_credentials"]),
    ],
)
def test_what_is_no_pool_is_refused(text: str, errors: list[str], left: list[str] | None) -> None:
    """Config §15: a list called hooks and a text called upstream_credentials belong to another schema."""
    section = section_of(text)
    complain_of_misplaced(section)
    assert paths_of(section.complaints.errors) == errors
    assert left is None or [name for name, _ in section.named("pools")] == left
