"""Wrong pools: members, routes and policies, breakers, failover, exhaustion, affinity, and rings of fallback."""

from pathlib import Path

import pytest

from busbar_fast.config.complaints import dotted
from tests.config.cases import BASE, MODELS, PROVIDERS, Row, check_row, member, pool, read

M = "pools.a.members"
TWO = f"{PROVIDERS}models: {{m: {{provider: p}}, n: {{provider: p}}}}\n"


def fallbacks(**targets: str) -> str:
    """Return pools of these names, each with the pool it falls back to, if any."""
    pools = ", ".join(
        f"{name}: {{members: [{{target: m}}]{f', on_exhausted: {{fallback_pool: {target}}}' if target else ''}}}"
        for name, target in targets.items()
    )
    return f"{BASE}pools: {{{pools}}}\n"


MEMBERS = [
    Row("missing", f"{BASE}pools: {{a: {{}}}}\n", {M: None}),
    Row("null pool", f"{BASE}pools: {{a: }}\n", {M: None}),
    Row("null", f"{BASE}pools: {{a: {{members: }}}}\n", {M: None}),
    Row("empty", f"{BASE}pools: {{a: {{members: []}}}}\n", {M: None}),
    Row("a map", f"{BASE}pools: {{a: {{members: {{m: 1}}}}}}\n", {M: None}),
    Row("a text", f"{BASE}pools: {{a: {{members: m}}}}\n", {M: None}),
    Row(
        "bare names",
        f"{BASE}pools: {{a: {{members: [m, ~, [m]]}}}}\n",
        {f"{M}[0]": None, f"{M}[1]": None, f"{M}[2]": None},
    ),
    Row(
        "no target",
        f"{BASE}pools: {{a: {{members: [{{weight: 1}}, {{target: }}]}}}}\n",
        {f"{M}[0].target": None, f"{M}[1].target": None},
    ),
    Row(
        "empty target",
        f"{BASE}pools: {{a: {{members: [{{target: ''}}, {{model: ' '}}]}}}}\n",
        {f"{M}[0].target": "", f"{M}[1].model": " "},
    ),
    Row(
        "no model",
        f"{BASE}pools: {{a: {{members: [{{target: x}}, {{model: y}}]}}}}\n",
        {f"{M}[0].target": "x", f"{M}[1].model": "y"},
    ),
    Row("a pool as a target", f"{BASE}pools: {{a: {{members: [{{target: a}}]}}}}\n", {f"{M}[0].target": "a"}),
    Row("a provider as a target", f"{BASE}pools: {{a: {{members: [{{target: p}}]}}}}\n", {f"{M}[0].target": "p"}),
    Row(
        "behind a wrong item",
        f"{BASE}pools: {{a: {{members: [m, {{target: x}}]}}}}\n",
        {f"{M}[0]": None, f"{M}[1].target": "x"},
    ),
    Row(
        "model without a provider",
        f"{PROVIDERS}models: {{m: {{provider: q}}}}\npools: {{a: {{members: [{{target: m}}]}}}}\n",
        {"models.m.provider": "q", f"{M}[0].target": "m"},
    ),
    Row(
        "wrong model, member at fault",
        f"{PROVIDERS}models: {{m: 5}}\npools: {{a: {{members: [{{target: m}}]}}}}\n",
        {"models.m": None},
    ),
    Row(
        "target and model differ",
        f"{TWO}pools: {{a: {{members: [{{target: m, model: n}}]}}}}\n",
        {f"{M}[0].model": "n"},
    ),
    Row("weight", member("weight: -1"), {f"{M}[0].weight": "-1"}),
    Row("weight as a float", member("weight: 1.0"), {f"{M}[0].weight": "1.0"}),
    Row("context_max", member("context_max: 0"), {f"{M}[0].context_max": "0"}),
    Row("tier", member("tier: [x]"), {f"{M}[0].tier": None}),
    Row("tags", member("tags: x"), {f"{M}[0].tags": None}),
    Row("tags within", member("tags: [x, ~, {y: 1}]"), {f"{M}[0].tags[1]": None, f"{M}[0].tags[2]": None}),
    Row("cost", member("cost_per_mtok: -0.1"), {f"{M}[0].cost_per_mtok": "-0.1"}),
    Row("cost not a number", member("cost_per_mtok: .nan"), {f"{M}[0].cost_per_mtok": ".nan"}),
    Row("attempt_timeout_ms", member("attempt_timeout_ms: 0"), {f"{M}[0].attempt_timeout_ms": "0"}),
    Row("reasoning", member("reasoning: maybe"), {f"{M}[0].reasoning": "maybe"}),
]

SIZES = [
    Row(
        "two pools",
        f"{BASE}pools: {{a: {{members: [{{target: m, context_max: 5}}]}}, "
        "b: {members: [{target: m, context_max: 6}]}}\n",
        {"pools.b.members[0].context_max": "6"},
    ),
    Row(
        "one pool",
        f"{BASE}pools: {{a: {{members: [{{target: m, context_max: 5}}, {{target: m}}, "
        "{model: m, context_max: 6}]}}\n",
        {f"{M}[2].context_max": "6"},
    ),
]

POLICY = [
    Row("route", pool("route: random"), {"pools.a.route": "random"}),
    Row("route in capitals", pool("route: Weighted"), {"pools.a.route": "Weighted"}),
    Row("native without a policy", pool("route: native"), {"pools.a.policy.name": None}),
    Row("native without a name", pool("route: native, policy: {on_error: first}"), {"pools.a.policy.name": None}),
    Row("native by a null name", pool("route: native, policy: {name: }"), {"pools.a.policy.name": None}),
    Row("native by an unknown name", pool("route: native, policy: {name: best}"), {"pools.a.policy.name": "best"}),
    Row("native by no name", pool("route: native, policy: {name: ''}"), {"pools.a.policy.name": ""}),
    Row("native by an unset name", pool("route: native, policy: {name: '${A}'}"), {"pools.a.policy.name": None}),
    Row(
        "short form with an unknown name", pool("route: fastest, policy: {name: best}"), {"pools.a.policy.name": "best"}
    ),
    Row("name as a list", pool("route: native, policy: {name: [usage]}"), {"pools.a.policy.name": None}),
    Row("policy as a word", pool("route: native, policy: usage"), {"pools.a.policy": None}),
    Row("on_error", pool("policy: {on_error: retry}"), {"pools.a.policy.on_error": "retry"}),
    Row("timeout_ms", pool("policy: {timeout_ms: -1}"), {"pools.a.policy.timeout_ms": "-1"}),
    Row("max_steps 0", pool("policy: {max_steps: 0}"), {"pools.a.policy.max_steps": "0"}),
    Row("max_steps", pool("policy: {max_steps: 250001}"), {"pools.a.policy.max_steps": "250001"}),
    Row("explore", pool("policy: {explore: 1}"), {"pools.a.policy.explore": "1"}),
    Row("webhook without a url", pool("route: webhook"), {"pools.a.policy.url": None}),
    Row("webhook with an empty url", pool("route: webhook, policy: {url: ''}"), {"pools.a.policy.url": ""}),
    *(
        Row(f"url {url}", pool(f"route: webhook, policy: {{url: '{url}'}}"), {"pools.a.policy.url": url})
        for url in (
            "rank.example",
            "https:///rank",
            "ftp://rank.example",
            "http://rank.example",
            "https://10.0.0.1/rank",
            "http://192.168.1.1",
            "https://[fe80::1]/",
            "https://169.254.169.254/",
            "https://metadata.goog/",
            "https://0.0.0.0/",
        )
    ),
    Row(
        "userinfo in a url",
        pool("route: webhook, policy: {url: 'http://u:${A}@rank.example'}"),
        {"pools.a.policy.url": "http://***@rank.example"},
        {"A": "hush"},
        secrets=("hush",),
    ),
    Row("script without one", pool("route: script"), {"pools.a.policy.script": None}),
    Row(
        "script with both",
        pool("route: script, policy: {script: x, script_file: /no}"),
        {"pools.a.policy.script": None},
    ),
    Row("a loop", pool("route: script, policy: {script: 'while 1: 1'}"), {"pools.a.policy.script": None}),
    Row("an unknown name", pool("route: script, policy: {script: cheapest}"), {"pools.a.policy.script": None}),
    Row("an unknown field", pool("route: script, policy: {script: req.user}"), {"pools.a.policy.script": None}),
    Row("Rhai", pool("route: script, policy: {script: 'x => x'}"), {"pools.a.policy.script": None}),
    Row(
        "a source of 17 KiB",
        pool(f"route: script, policy: {{script: '{'[] ' * 6000}'}}"),
        {"pools.a.policy.script": None},
    ),
    Row(
        "deep brackets",
        pool(f"route: script, policy: {{script: '{'(' * 65 + ')' * 65}'}}"),
        {"pools.a.policy.script": None},
    ),
    Row("empty script", pool("route: script, policy: {script: ''}"), {"pools.a.policy.script": ""}),
    Row(
        "script_file missing",
        pool("route: script, policy: {script_file: /nowhere}"),
        {"pools.a.policy.script_file": "/nowhere"},
    ),
    Row(
        "script_file with NUL",
        pool('route: script, policy: {script_file: "a\\0"}'),
        {"pools.a.policy.script_file": "a\\x00"},
    ),
    Row("script_file empty", pool("route: script, policy: {script_file: ''}"), {"pools.a.policy.script_file": ""}),
    Row("on_lossy", pool("on_lossy: drop"), {"pools.a.on_lossy": "drop"}),
    Row("reject_on", pool("reject_on: [seed, sede]"), {"pools.a.reject_on[1]": "sede"}),
    Row("reject_on, far off", pool("reject_on: [zzzz]"), {"pools.a.reject_on[0]": "zzzz"}),
    Row("reject_on, all", pool("on_lossy: reject, reject_on: [seed]"), {"pools.a.reject_on": None}),
    Row("drop_guardrails", pool("drop_guardrails: y"), {"pools.a.drop_guardrails": "y"}),
]

B = "pools.a.breaker"
RULES = [
    Row("base", pool("breaker: {base_cooldown_secs: 0}"), {f"{B}.base_cooldown_secs": "0"}),
    Row("max", pool("breaker: {max_cooldown_secs: 0}"), {f"{B}.max_cooldown_secs": "0"}),
    Row(
        "max below base",
        pool("breaker: {base_cooldown_secs: 20, max_cooldown_secs: 19}"),
        {f"{B}.max_cooldown_secs": "19"},
    ),
    Row("max below the default base", pool("breaker: {max_cooldown_secs: 14}"), {f"{B}.max_cooldown_secs": "14"}),
    Row("base above the default max", pool("breaker: {base_cooldown_secs: 121}"), {f"{B}.max_cooldown_secs": "120"}),
    Row("breaker as a flag", pool("breaker: true"), {B: None}),
    Row("trip as a word", pool("breaker: {trip: consecutive}"), {f"{B}.trip": None}),
    Row("mode", pool("breaker: {trip: {mode: errors}}"), {f"{B}.trip.mode": "errors"}),
    Row("window", pool("breaker: {trip: {window_secs: 0}}"), {f"{B}.trip.window_secs": "0"}),
    Row("window by its alias", pool("breaker: {trip: {window_s: 0}}"), {f"{B}.trip.window_s": "0"}),
    Row(
        "window, consecutive",
        pool("breaker: {trip: {mode: consecutive, window_secs: 0}}"),
        {f"{B}.trip.window_secs": "0"},
    ),
    Row("both windows", pool("breaker: {trip: {window_secs: 5, window_s: 5}}"), {f"{B}.trip.window_s": None}),
    Row("min_requests", pool("breaker: {trip: {min_requests: 0}}"), {f"{B}.trip.min_requests": "0"}),
    Row(
        "min_requests, consecutive",
        pool("breaker: {trip: {mode: consecutive, min_requests: 0}}"),
        {f"{B}.trip.min_requests": "0"},
    ),
    *(
        Row(f"threshold {text}", pool(f"breaker: {{trip: {{threshold: {text}}}}}"), {f"{B}.trip.threshold": text})
        for text in ("0", "-0.1", "1.01", "2", "0.0", ".nan", ".inf")
    ),
    Row(
        "more min_requests than are remembered",
        pool("breaker: {trip: {min_requests: 1025}}"),
        {f"{B}.trip.min_requests": "1025"},
    ),
    Row("threshold as a share", pool("breaker: {trip: {threshold: 50%}}"), {f"{B}.trip.threshold": "50%"}),
    Row(
        "consecutive_n",
        pool("breaker: {trip: {mode: consecutive, consecutive_n: 0}}"),
        {f"{B}.trip.consecutive_n": "0"},
    ),
    Row("n", pool("breaker: {trip: {mode: consecutive, n: 0}}"), {f"{B}.trip.n": "0"}),
    Row("both ns", pool("breaker: {trip: {n: 5, consecutive_n: 5}}"), {f"{B}.trip.n": None}),
    Row("failover timeout", pool("failover: {timeout_secs: 0}"), {"pools.a.failover.timeout_secs": "0"}),
    Row("a day and a second", pool("failover: {timeout_secs: 86401}"), {"pools.a.failover.timeout_secs": "86401"}),
    Row("deadline", pool("failover: {deadline_secs: 0}"), {"pools.a.failover.deadline_secs": "0"}),
    Row(
        "both timeouts", pool("failover: {timeout_secs: 5, deadline_secs: 5}"), {"pools.a.failover.deadline_secs": None}
    ),
    Row("max_hops", pool("failover: {max_hops: -1}"), {"pools.a.failover.max_hops": "-1"}),
    Row("both hops", pool("failover: {max_hops: 1, cap: 1}"), {"pools.a.failover.cap": None}),
    Row("exclusion of nobody", pool("failover: {exclusions: [x]}"), {"pools.a.failover.exclusions[0]": "x"}),
    Row(
        "exclusion behind a wrong one",
        pool("failover: {exclusions: [[m], x]}"),
        {"pools.a.failover.exclusions[0]": None, "pools.a.failover.exclusions[1]": "x"},
    ),
    Row("exclusion of all", pool("failover: {exclusions: [m]}"), {"pools.a.failover.exclusions": None}),
    Row("exclusions as a text", pool("failover: {exclusions: m}"), {"pools.a.failover.exclusions": None}),
    Row("affinity mode", pool("affinity: {mode: none}"), {"pools.a.affinity.mode": "none"}),
    Row("header empty", pool("affinity: {header_name: ''}"), {"pools.a.affinity.header_name": ""}),
    Row("header not ASCII", pool("affinity: {header_name: x-sé}"), {"pools.a.affinity.header_name": "x-sé"}),
    Row("header with a blank", pool("affinity: {header_name: x s}"), {"pools.a.affinity.header_name": "x s"}),
    Row("header with a colon", pool("affinity: {header_name: 'x:'}"), {"pools.a.affinity.header_name": "x:"}),
    Row("header with a line", pool('affinity: {header_name: "x\\n"}'), {"pools.a.affinity.header_name": "x\\n"}),
    Row("header too long", pool(f"affinity: {{header_name: {'x' * 65}}}"), {"pools.a.affinity.header_name": "x" * 65}),
    Row("from_system", pool("affinity: {from_system: 1}"), {"pools.a.affinity.from_system": "1"}),
]

E = "pools.a.on_exhausted"
EXHAUSTED = [
    *(
        Row(f"word {word!r}", pool(f"on_exhausted: '{word}'"), {E: word})
        for word in (
            "",
            "fallback_pool",
            "fallback_pool:",
            "fallback_pool: ",
            "fallback",
            "failover",
            "queue",
            "REJECT",
            "502",
            "least",
        )
    ),
    *(
        Row(f"action {word!r}", pool(f"on_exhausted: {{action: '{word}'}}"), {f"{E}.action": word})
        for word in ("", "fallback_pool", "fallback_pool:", "fallback", "failover", "failover:b", "retry")
    ),
    Row("a list", pool("on_exhausted: [reject]"), {E: None}),
    Row("an empty map", pool("on_exhausted: {}"), {E: None}),
    Row("max_ms alone", pool("on_exhausted: {max_ms: 5}"), {E: None}),
    Row("action and fallback", pool("on_exhausted: {action: reject, fallback_pool: b}"), {E: None}),
    Row("queue and fallback", pool("on_exhausted: {queue: {max_ms: 5}, fallback_pool: b}"), {E: None}),
    Row("blank fallback", pool("on_exhausted: {fallback_pool: ' '}"), {f"{E}.fallback_pool": " "}),
    Row("fallback to nowhere", pool("on_exhausted: {fallback_pool: b}"), {E: "b"}),
    Row("fallback to a model", pool("on_exhausted: 'fallback_pool:m'"), {E: "m"}),
    Row("fallback to itself", pool("on_exhausted: {action: 'fallback_pool:a'}"), {E: "a"}),
    Row("fallback as a list", pool("on_exhausted: {fallback_pool: [b]}"), {f"{E}.fallback_pool": None}),
    Row("queue of nothing", pool("on_exhausted: {queue: {}}"), {f"{E}.queue.max_ms": None}),
    Row("queue as a number", pool("on_exhausted: {queue: 5}"), {f"{E}.queue": None}),
    Row("queue 0", pool("on_exhausted: {queue: {max_ms: 0}}"), {f"{E}.queue.max_ms": "0"}),
    Row("queue beyond the default", pool("on_exhausted: {queue: {max_ms: 120001}}"), {f"{E}.queue.max_ms": "120001"}),
    Row(
        "queue beyond the budget",
        pool("failover: {timeout_secs: 2}, on_exhausted: {action: queue, max_ms: 2001}"),
        {f"{E}.max_ms": "2001"},
    ),
    Row("queue without a limit", pool("on_exhausted: {action: queue}"), {f"{E}.max_ms": None}),
    Row("limit of no queue", pool("on_exhausted: {action: reject, max_ms: 5}"), {f"{E}.max_ms": None}),
    Row("two limits", pool("on_exhausted: {queue: {max_ms: 5}, max_ms: 5}"), {f"{E}.max_ms": None}),
    Row("limit of a fallback", fallbacks(a="b", b="").replace("b}}", "b, max_ms: 5}}"), {f"{E}.max_ms": None}),
    Row("unset", pool("on_exhausted: '${A}'"), {E: None}),
    Row("ring of two", fallbacks(a="b", b="a"), {E: "a -> b -> a"}),
    Row("ring of three", fallbacks(c="b", b="a", a="c"), {E: "a -> c -> b -> a"}),
    Row("into a ring", fallbacks(a="x", x="z", z="x"), {"pools.x.on_exhausted": "x -> z -> x"}),
    Row("two rings", fallbacks(b="a", a="b", d="c", c="d"), {E: "a -> b -> a", "pools.c.on_exhausted": "c -> d -> c"}),
    Row("ring and itself", fallbacks(a="b", b="a", c="c"), {E: "a -> b -> a", "pools.c.on_exhausted": "c"}),
    Row(
        "to a wrong pool",
        f"{BASE}pools: {{a: {{members: [{{target: m}}], on_exhausted: {{fallback_pool: b}}}}, b: 5}}\n",
        {"pools.b": None},
    ),
]


@pytest.mark.parametrize("row", MEMBERS + SIZES, ids=str)
def test_a_wrong_member_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.3, E03, E09 and X10: members with a target that is a model, and one context size per model."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", POLICY, ids=str)
def test_a_wrong_policy_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.3 and guard C: routes, and what each needs."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", RULES, ids=str)
def test_a_wrong_rule_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.3 and E16: breaker, failover and affinity, each spelled in one way at a time."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", EXHAUSTED, ids=str)
def test_a_wrong_way_out_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §6.3, X11, E10, E11 and E12: one known action, and no ring of fallbacks, which is reported once."""
    check_row(row, tmp_path)


def test_a_script_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Config §6.3: a script file has to be readable as text."""
    (tmp_path / "s.rhai").write_bytes(b"\xff")
    text = pool(f"route: script, policy: {{script_file: {tmp_path / 's.rhai'}}}")
    assert [error.reason for error in read(tmp_path, text).complaints.errors] == ["is not valid UTF-8"]


def test_a_script_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    """Config §6.3 and Reliability §11: where a script leaves its language the complaint names path, file and line."""
    file = tmp_path / "s.py"
    file.write_text("order = []\n\nimport os\n", encoding="utf-8")
    inline = f"{BASE}pools:\n  a:\n    members: [{{target: m}}]\n    route: script\n    policy:\n      script: |\n"
    texts = pool(f"route: script, policy: {{script_file: {file}}}"), f"{inline}        x = 1\n        let y = 2;\n"
    errors = [error for text in texts for error in read(tmp_path, text).complaints.errors]
    assert [(error.mark.line, dotted(error.path), error.got) for error in errors] == [
        (3, "pools.a.policy.script_file", str(file)),
        (8, "pools.a.policy.script", None),
    ]
    assert [error.reason.partition(";")[0] for error in errors] == [
        "line 3 of the script: not allowed in a script: imports",
        "line 2 of the script: invalid syntax",
    ]
    assert "Rhai" in errors[1].reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (pool("route: x"), "weighted native webhook script cheapest fastest least_busy usage"),
        (pool("on_exhausted: fallback"), "reject least_bad fallback_pool:NAME"),
        (pool("on_exhausted: queue"), "{queue: {max_ms: N}}"),
        (pool("breaker: {base_cooldown_secs: 20, max_cooldown_secs: 19}"), "20"),
        (SIZES[0].text, "m 5 6"),
        (f"{PROVIDERS}{MODELS.replace('p}', 'q}')}pools: {{a: {{members: [{{target: m}}]}}}}\n", "q"),
    ],
)
def test_an_error_names_what_it_must(text: str, words: str, tmp_path: Path) -> None:
    """Config §8: owners, both values and all allowed words stand in the text."""
    reason = str(read(tmp_path, text).complaints.errors[-1])
    assert [word for word in words.split() if word not in reason] == []


def test_a_long_chain_of_fallbacks_is_read_soon(tmp_path: Path) -> None:
    """Config §8, E12: looking for rings takes time in proportion to the number of pools."""
    names = {f"q{number}": f"q{number + 1}" for number in range(2000)}
    row = Row("chain", fallbacks(**names), {"pools.q1999.on_exhausted": "q2000"})
    check_row(row, tmp_path)
