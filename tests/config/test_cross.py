"""What only shows in combination: the draft that sections are read into, names, rings, and secrets that are needed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.config.complaints import Complaints, dotted
from busbar_fast.config.cross import Draft, check_all, reveal_needed
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import NONE, Auth, Secret
from busbar_fast.config.tree import Entries
from tests.config.cases import BASE, VOCABULARY, errors_of, pool, read, tree_of, warnings_of


def draft_of(text: str, environment: dict[str, str] | None = None) -> Draft:
    """Return a draft over a text, its sections still unread."""
    complaints = Complaints()
    root = tree_of(text, complaints)
    assert isinstance(root, Entries)
    return Draft(root, complaints, Inputs(environment or {}))


def test_a_draft_finds_places() -> None:
    """Config §1: a complaint stands at its key, or at the nearest thing around it."""
    draft = draft_of("a:\n  b:\n    - x\n    -\n      c: ~\nd: 1\n")
    paths: list[tuple[str | int, ...]] = [
        ("a",),
        ("a", "b", 0),
        ("a", "b", 1, "c"),
        ("a", "b", 7),
        ("a", "z"),
        ("d", "e"),
    ]
    assert [draft.mark_of(path).line for path in paths] == [1, 3, 5, 2, 1, 6]
    assert [draft.has(*path) for path in paths] == [True, True, False, False, False, False]
    assert (list(draft.names("a")), list(draft.names("d")), list(draft.names("z"))) == (["b"], [], [])


def test_a_bare_draft_has_nothing_wrong_but_its_open_door() -> None:
    """Config §9, W1: without sections there is nothing to combine."""
    draft = draft_of("x: 1\n")
    check_all(draft, VOCABULARY)
    assert (draft.complaints.errors, [w.id for w in draft.complaints.warnings]) == ([], ["W1"])


@pytest.mark.parametrize(
    ("secret", "value", "said"),
    [
        (NONE, "", []),
        (Secret(kind="text", source="t${A}"), "tv", []),
        (Secret(kind="env", source="A"), "v", []),
        (Secret(kind="env", source="NOPE"), "", ["s.env: the variable NOPE is not set or empty"]),
        (Secret(kind="file", source="/nowhere"), "", ["s: /nowhere: No such file or directory"]),
    ],
)
def test_a_needed_secret_is_missed(secret: Secret, value: str, said: list[str]) -> None:
    """Config §14, X1: a reference whose value is needed and not there is an error."""
    draft = draft_of("x: 1\n", {"A": "v"})
    assert reveal_needed(draft, ("s",), secret) == value
    assert [f"{dotted(error.path)}: {error.reason}" for error in draft.complaints.errors] == said


def test_a_token_of_a_file_is_judged(tmp_path: Path) -> None:
    """Config §6.1: what a reference gives has to be sendable like a token that is written down."""
    (tmp_path / "t").write_text("a b\x07", encoding="utf-8")
    draft = draft_of("auth: {client_tokens: [x]}\n")
    draft.auth = Auth(mode="token", client_tokens=(Secret(kind="file", source=str(tmp_path / "t")),))
    check_all(draft, VOCABULARY)
    assert [dotted(error.path) for error in draft.complaints.errors] == ["auth.client_tokens[0]"]


def test_unused_keys_are_warned_about_once_per_provider(tmp_path: Path) -> None:
    """Config §9, W3: a key that cannot be revealed was noted before and is passed over."""
    text = (
        "auth: {mode: passthrough}\nmodels: {}\nproviders:\n  a: {api_key_env: A, protocol: openai, base_url: 'https://u'}\n"
        "  b: {api_key: {file: /nowhere}, protocol: openai, base_url: 'https://u'}\n"
        "  c: {api_key: none, protocol: openai, base_url: 'https://u'}\n"
    )
    loaded = read(tmp_path, text, {"A": "k"})
    assert list(errors_of(loaded)) == ["providers.b.api_key"]
    assert [path for number, path in warnings_of(loaded) if number == "W3"] == ["providers.a"]


def test_signatures_cannot_be_passed_on(tmp_path: Path) -> None:
    """Governance §4: a start warns of providers whose clients sign with `passthrough`, and not in any other mode."""
    text = (
        "auth: {mode: MODE, client_tokens: [t]}\nmodels: {}\nproviders:\n"
        "  a: {api_key: none, protocol: bedrock, base_url: 'https://u', region: eu-west-1}\n"
        "  b: {api_key: none, protocol: openai, base_url: 'https://u'}\n"
    )
    for mode, paths in (("passthrough", ["providers.a"]), ("token", [])):
        loaded = read(tmp_path, text.replace("MODE", mode), {})
        assert [path for number, path in warnings_of(loaded) if number == "W3"] == paths


names = st.sampled_from("abcdefgh")


@given(st.dictionaries(names, names, min_size=1))
def test_rings_agree_with_a_slow_twin(tmp_path_factory: pytest.TempPathFactory, follows: dict[str, str]) -> None:
    """Config §8, E12: every ring of two or more is found once, from its alphabetically first pool on."""
    everybody = sorted({*follows, *follows.values()})
    pools = "".join(
        f"  {name}: {{members: [{{target: m}}]"
        + (f", on_exhausted: {{fallback_pool: {follows[name]}}}" if name in follows else "")
        + "}\n"
        for name in everybody
    )
    rings = set()
    for start in everybody:
        trail = [start]
        while trail[-1] in follows and len(trail) <= len(everybody):
            trail.append(follows[trail[-1]])
            if trail[-1] == start:
                ring = trail[:-1]
                at = ring.index(min(ring))
                rings.add(" -> ".join([*ring[at:], *ring[: at + 1]]))
                break
    loaded = read(tmp_path_factory.mktemp("rings"), f"{BASE}pools:\n{pools}")
    said = [str(error.got) for error in loaded.complaints.errors]
    assert sorted(said) == sorted(ring.split(" -> ")[0] if ring.count("->") == 1 else ring for ring in rings)


TWO = (
    "providers: {p: {api_key: none, protocol: openai, base_url: 'https://u'}}\n"
    "models: {m: {provider: p}, n: {provider: p}}\n"
)
GOVERNED = TWO + "governance: {enabled: true, admin_token: t, "


@pytest.mark.parametrize(
    ("text", "errors", "warnings"),
    [
        (TWO + "pools: {m: {members: [{target: m}]}}\n", {"pools.m": "m"}, ["W1"]),
        (TWO + "pools: {admin: {members: [{target: m}]}}\n", {"pools.admin": "admin"}, ["W1"]),
        (TWO + "pools: {'': {members: [{target: m}]}}\n", {'pools.""': ""}, ["W1"]),
        (TWO + "pools: {' a': {members: [{target: m}]}}\n", {"pools. a": " a"}, ["W1"]),
        (TWO + 'pools: {"a\\tb": {members: [{target: m}]}}\n', {"pools.a\\tb": "a\\tb"}, ["W1"]),
        (TWO + "pools: {a b: {members: [{target: m}]}}\n", {}, ["W18", "W1"]),
        (TWO.replace("m: {provider: p}", "m: {provider: q}"), {"models.m.provider": "q"}, ["W1"]),
        (TWO.replace("m: {provider: p}", "m: {provider: p, hosted_tools: map, thinking: level}"), {}, ["W21", "W1"]),
        (
            TWO.replace("m: {provider: p}", "m: {provider: p, hosted_tools: map}").replace("openai", "responses"),
            {},
            ["W1"],
        ),
        (
            TWO.replace("m: {provider: p}", "m: {provider: q}") + "pools: {a: {members: [{model: m}]}}\n",
            {"models.m.provider": "q", "pools.a.members[0].model": "m"},
            ["W1"],
        ),
        (
            TWO + "pools: {a: {members: [{target: x}, {}]}}\n",
            {"pools.a.members[0].target": "x", "pools.a.members[1].target": None},
            ["W1"],
        ),
        (TWO + "pools: {a: {members: [{target: m}, {target: m, weight: 0}]}}\n", {}, ["W22", "W25", "W1"]),
        (TWO + "pools: {a: {members: [{target: m, weight: 0}]}}\n", {}, ["W25", "W25", "W1"]),
        (TWO + "pools: {a: {members: [{target: m}], route: cheapest}}\n", {}, ["W15", "W1"]),
        (
            TWO.replace("n: {provider: p}", "n: {provider: q}").replace(
                "}}\nm", "}, q: {api_key: none, protocol: cohere, base_url: 'https://u'}}\nm"
            )
            + "pools: {a: {members: [{target: m}, {target: n}]}}\n",
            {},
            ["W5", "W1"],
        ),
        (
            TWO + "pools: {a: {members: [{target: m, context_max: 1}, {target: n}, {target: m, context_max: 2}]}}\n",
            {"pools.a.members[2].context_max": "2"},
            ["W22", "W1"],
        ),
        (
            TWO + "pools: {a: {members: [{target: m}], on_exhausted: {fallback_pool: b}}}\n",
            {"pools.a.on_exhausted": "b"},
            ["W1"],
        ),
        (TWO + "auth: {mode: token}\n", {"auth.client_tokens": None}, []),
        (TWO + "auth: {client_tokens: [t, t, {env: NOPE}]}\n", {"auth.client_tokens[2].env": None}, ["W2", "W1", "W2"]),
        (TWO + "auth: {mode: none}\n", {}, ["W1"]),
        (TWO + "auth: {mode: token, client_tokens: [{env: A}]}\n", {}, []),
        (TWO + "auth: {mode: token, client_tokens: [{env: B}]}\n", {"auth.client_tokens[0]": None}, []),
        (GOVERNED + "db_path: ':memory:'}\nauth: {mode: passthrough}\n", {"auth.mode": "passthrough"}, ["W27"]),
        (GOVERNED + "db_path: /nowhere/k}\nauth: {mode: token}\n", {"governance.db_path": "/nowhere/k"}, []),
        (GOVERNED + "admin_listen: '0.0.0.0:8080'}\n", {"governance.admin_listen": "0.0.0.0:8080"}, ["W6"]),
        (TWO + "governance: {enabled: true}\n", {"governance.admin_token": None}, ["W6"]),
        ("providers: {}\nmodels: {}\nauth: {mode: passthrough}\n", {}, ["W14", "W14"]),
    ],
)
def test_combinations_are_judged(text: str, errors: dict[str, str | None], warnings: list[str], tmp_path: Path) -> None:
    """Config §7, §8 and §9: each check of what only shows in combination."""
    loaded = read(tmp_path, text, {"A": "t", "B": "é"})
    assert (errors_of(loaded), [number for number, _ in warnings_of(loaded)]) == (errors, warnings)


def test_a_secret_file_that_all_can_read_is_warned_about(tmp_path: Path) -> None:
    """Config §9, W16: a token in a file has rights to look at."""
    (tmp_path / "t").write_text("t", encoding="utf-8")
    (tmp_path / "t").chmod(0o644)
    draft = draft_of("x: 1\n")
    assert reveal_needed(draft, ("s",), Secret(kind="file", source=str(tmp_path / "t"))) == "t"
    assert [warning.id for warning in draft.complaints.warnings] == ["W16"]


def test_one_mistake_is_one_complaint(tmp_path: Path) -> None:
    """Config §1: what was wrong by itself is not complained about again where it is referred to."""
    text = pool("failover: {exclusions: [m, x]}") + "x-a: 1\n"
    assert errors_of(read(tmp_path, text)) == {
        "pools.a.failover.exclusions": None,
        "pools.a.failover.exclusions[1]": "x",
    }
    assert errors_of(read(tmp_path, pool("").replace("{provider: p}", "[p]"))) == {"models.m": None}
