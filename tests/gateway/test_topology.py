"""Lanes and pools made of a configuration: names, caps, credentials, and what is taken over from the one before."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import NONE, Config, Health, Limits, Model, Policy, Provider, Secret, Security
from busbar_fast.config.schema import Member as MemberRecord
from busbar_fast.config.schema import Pool as PoolRecord
from busbar_fast.config.secrets import NoSecret
from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.gateway.lanes import Lane
from busbar_fast.gateway.topology import LazyPolicy, Topology, build
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import Pool
from tests.fakes import FakeLoop

CHAT = next(name for name, facts in DIALECTS.items() if facts.path == "/v1/chat/completions")
OTHER = next(name for name in DIALECTS if name != CHAT)
INPUTS = Inputs({"KEY": "k"})


def provider(**changes: object) -> Provider:
    """Return a provider."""
    plain = Provider(protocol=CHAT, base_url="https://h", error_map={}, health=Health(), options={})
    return plain.with_(**changes)


def model(**changes: object) -> Model:
    """Return a model."""
    return Model(provider="up", upstream_model="m", default_max_tokens=1, options={}).with_(**changes)


def pool(*members: tuple[str, int]) -> PoolRecord:
    """Return a pool of these members."""
    records = tuple(MemberRecord(target=target, weight=weight) for target, weight in members)
    return PoolRecord(members=records, policy=Policy(timeout_ms=1))


def config(
    models: Mapping[str, Model] | None = None,
    pools: Mapping[str, PoolRecord] | None = None,
    **changes: object,
) -> Config:
    """Return a configuration."""
    plain = Config(
        providers={"up": provider()},
        models={"m": model()} if models is None else models,
        pools=pools or {},
        dialects={},
        limits=Limits(reasoning_effort_budgets={}, upstream_request_timeout_secs=7),
        config_file="c",
        catalog_file="",
    )
    return plain.with_(**changes)


@pytest.fixture
def upstreams() -> Pool:
    """Return a pool of upstreams that nobody dials."""

    async def dial(*_: object) -> None:
        raise AssertionError

    return Pool(dial, FakeLoop().new_wheel(), choose_parser(), UpstreamLimits())  # type: ignore[arg-type]


ASK = Ask(speak("openai"), Operation.CONVERSE)


def request_of(lane: Lane) -> bytes:
    """Return a request as a lane sends it."""
    return lane.encode_head(ASK, b"", b"{}", in_stream=False, callers_key=None) + b"{}"


def test_names_are_pools_then_lanes(upstreams: Pool) -> None:
    """Config §14 X5: both kinds of names resolve, and a lane keeps its own name whatever is sent upstream."""
    made = build(config({"m": model(), "n": model()}, {"p": pool(("m", 1), ("n", 3))}), upstreams, INPUTS)
    assert made.names == ["p", "m", "n"]
    found, single = made.find("p"), made.find("n")
    assert found is not None
    assert single is not None
    assert [(member.lane.model, member.weight) for member in found.pool.members] == [("m", 1), ("n", 3)]
    assert single.lanes == [made.lanes["n"]]
    assert (single.provider, single.pool.members[0].cell) == ("up", made.lanes["n"].state.cells[""])
    assert made.find_lane("p") is None
    assert made.find("other") is None
    assert (made.wait_s, made.lanes["n"].raw_model) == (7, b'"m"')


@pytest.mark.parametrize(
    ("key", "auth", "line"),
    [
        ("k", "", b"Authorization: Bearer k\r\n"),
        ("k", "bearer", b"Authorization: Bearer k\r\n"),
        ("k", "api-key", b"api-key: k\r\n"),
        ("k", "x-api-key", b"x-api-key: k\r\n"),
        (" k\t\n", "", b"Authorization: Bearer k\r\n"),
        ("", "", b""),
        (" \n", "api-key", b""),
        ("k\r\nX: 1", "", b""),
        ("k\x00", "", b""),
        ("k\x7f", "", b""),
        ("clé", "", b""),
        ("a b~!", "", b"Authorization: Bearer a b~!\r\n"),
    ],
)
def test_credential_is_a_line_or_none(upstreams: Pool, key: str, auth: str, line: bytes) -> None:
    """Config §5: outer whitespace is stripped, and a key that cannot stand in a header (W12) is never sent."""
    providers = {"up": provider(auth=auth, credential=Secret(kind="env", source="KEY"))}
    made = build(config(providers=providers), upstreams, Inputs({"KEY": key}))
    request = request_of(made.lanes["m"])
    assert request.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n")
    assert request.endswith(b"Content-Length: 2\r\n\r\n{}")
    rest = request.partition(b"User-Agent: ")[2].partition(b"\r\n")[2]
    assert (
        rest
        == b"Content-Type: application/json\r\nAccept: application/json\r\n" + line + b"Content-Length: 2\r\n\r\n{}"
    )


def test_unreadable_key_changes_nothing(upstreams: Pool, tmp_path: Path) -> None:
    """Config §14 X9: a key file that is gone is an error before anything of the old topology changes."""
    before = config({"m": model(max_concurrent=3)})
    old = build(before, upstreams, INPUTS)
    gone = Secret(kind="file", source=str(tmp_path / "gone"))
    after = config({"m": model(max_concurrent=1)}, providers={"up": provider(credential=gone)})
    with pytest.raises(NoSecret, match="gone"):
        build(after, upstreams, INPUTS, (before, old))
    assert old.lanes["m"].state.max_concurrent == 3


SAME = [
    {},
    {"auth": "api-key"},
    {"path": "/x"},
    {"error_map": {"1": "auth"}},
    {"credential": Secret(kind="env", source="KEY")},
]
OTHERS = [{"base_url": "https://i"}, {"base_url": "https://h/v1"}, {"protocol": OTHER}]


@pytest.mark.parametrize(
    ("changes", "is_same"), [*((change, True) for change in SAME), *((change, False) for change in OTHERS)]
)
def test_state_hangs_on_the_provider(upstreams: Pool, changes: dict[str, object], is_same: bool) -> None:
    """Config §14 X9: base_url and protocol make another lane, everything else about a provider does not."""
    before = config()
    old = build(before, upstreams, INPUTS)
    new = build(config(providers={"up": provider(**changes)}), upstreams, INPUTS, (before, old))
    assert (new.lanes["m"].state is old.lanes["m"].state) == is_same


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"max_concurrent": 9}, True),
        ({"default_max_tokens": 9}, True),
        ({"upstream_model": "n"}, False),
        ({"provider": "other"}, False),
    ],
)
def test_state_hangs_on_the_model(upstreams: Pool, changes: dict[str, object], is_same: bool) -> None:
    """Config §14 X9: another provider or upstream name makes another lane, even at the same place."""
    providers = {"up": provider(), "other": provider()}
    before = config(providers=providers)
    old = build(before, upstreams, INPUTS)
    new = build(config({"m": model(**changes)}, providers=providers), upstreams, INPUTS, (before, old))
    assert (new.lanes["m"].state is old.lanes["m"].state) == is_same


def caps(made: Topology) -> list[tuple[int | None, int]]:
    """Return how many each lane lets in at once, and how many in all."""
    return [(lane.state.max_concurrent, lane.state.budget) for lane in made.lanes.values()]


def test_caps_are_set_when_the_topology_comes_into_force(upstreams: Pool) -> None:
    """Config §14 X9: a lane that goes on has its new limits from the swap on, and none where none is given."""
    before = config({"m": model(max_concurrent=3), "n": model(), "o": model(max_concurrent=4, max_requests=9)})
    old = build(before, upstreams, INPUTS)
    assert caps(old) == [(3, -1), (None, -1), (4, 9)]
    after = config({"m": model(max_concurrent=5, max_requests=2), "n": model(max_concurrent=1), "o": model()})
    new = build(after, upstreams, INPUTS, (before, old))
    assert caps(new) == caps(old)
    new.limit(after.models)
    assert caps(new) == [(5, 2), (1, -1), (None, -1)]


@pytest.mark.parametrize(
    ("members", "is_kept"),
    [
        ((("m", 1), ("n", 2)), True),
        ((("m", 1), ("n", 1)), False),
        ((("n", 2), ("m", 1)), False),
        ((("m", 1),), False),
        ((("m", 1), ("n", 2), ("o", 1)), False),
    ],
)
def test_turns_go_on_with_the_same_members(
    upstreams: Pool, members: tuple[tuple[str, int], ...], is_kept: bool
) -> None:
    """Config §14 X9: the rotation restarts for pools whose members or weights changed."""
    models = {"m": model(), "n": model(), "o": model()}
    before = config(models, {"p": pool(("m", 1), ("n", 2))})
    old = build(before, upstreams, INPUTS)
    for number, member in enumerate(old.offers["p"].pool.members, start=1):
        member.cell.current_weight = number
    new = build(config(models, {"p": pool(*members)}), upstreams, INPUTS, (before, old))
    credit = [member.cell.current_weight for member in new.offers["p"].pool.members]
    assert credit == ([1, 2] if is_kept else [0] * len(members))


def test_lanes_share_connections_where_nothing_tells_them_apart(upstreams: Pool) -> None:
    """Config §10: an origin is scheme, host, port and address rules, and a reload finds it again."""
    providers = {
        "up": provider(),
        "same": provider(base_url="https://H.:443/v1", auth="api-key"),
        "open": provider(allow_metadata_hosts=("10.0.0.1",)),
    }
    models = {name: model(provider=name) for name in providers}
    made = build(config(models, providers=providers), upstreams, INPUTS)
    assert made.lanes["up"].origin is made.lanes["same"].origin
    assert made.lanes["up"].origin is not made.lanes["open"].origin
    again = build(config(models, providers=providers), upstreams, INPUTS)
    assert [lane.origin for lane in again.lanes.values()] == [lane.origin for lane in made.lanes.values()]
    other = config(models, providers=providers, security=Security(allow_all_metadata=True))
    assert build(other, upstreams, INPUTS).lanes["up"].origin is not made.lanes["up"].origin


def test_address_rules_are_those_of_the_provider() -> None:
    """Config §10: the denylist holds at connect, and what a provider or the whole deployment allows is let through."""
    link_local, elsewhere = "169.254.169.254", "192.0.2.1"
    closed = LazyPolicy(provider(), Security())
    assert [closed.is_allowed("h", address) for address in (elsewhere, link_local)] == [True, False]
    assert LazyPolicy(provider(allow_metadata_hosts=("h",)), Security()).is_allowed("h", link_local)
    assert not LazyPolicy(provider(allow_metadata_hosts=("h",)), Security()).is_allowed("i", link_local)
    assert LazyPolicy(provider(), Security(allow_metadata_hosts=(link_local,))).is_allowed("h", link_local)
    assert LazyPolicy(provider(), Security(allow_all_metadata=True)).is_allowed("h", link_local)
    assert not LazyPolicy(provider(), Security(blocked_metadata_hosts=(elsewhere,))).is_allowed("h", elsewhere)


def test_equal_rules_are_equal() -> None:
    """Config §10: two providers may share connections if they let the same addresses through."""
    one, same = LazyPolicy(provider(), Security()), LazyPolicy(provider(auth="bearer"), Security())
    assert one.is_allowed("h", "192.0.2.1")
    assert (one, hash(one)) == (same, hash(same))
    assert one not in (LazyPolicy(provider(allow_metadata_hosts=("h",)), Security()), NONE, socket)
