"""Which member serves, and how a model is named: the decisions of forwarding that need no socket."""

import pytest

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.registry import speak
from busbar_fast.gateway.forward import choose, read_model
from busbar_fast.gateway.lanes import Access, Lane, LanePool, Life, Member
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.json_scan import find_members, insertion
from tests.fakes import FakeLoop, ProbeStrand

SPOKEN = speak("openai")


def member(name: str, weight: int = 1, cap: int | None = None, inside: int = 0) -> Member:
    """Return a member whose lane has so many requests on it."""
    made = Member(Lane(name, None, "/", SPOKEN, life=Life(cap)), weight)  # type: ignore[arg-type]
    for _ in range(inside):
        stay(made.lane.life.gate)
    return made


def stay(gate: Gate) -> None:
    """Be inside a gate for good."""
    strand = ProbeStrand(FakeLoop().new_wheel())

    async def visit() -> None:
        with await gate.enter(strand):
            await strand.wait_for(gate)

    strand.start(visit())


def picks(members: list[Member], count: int) -> str:
    """Return whose turn it is so many times."""
    chosen = [choose(LanePool("p", tuple(members)).serving(SPOKEN), []) for _ in range(count)]
    return "".join(one.lane.name for one in chosen if one is not None)


def test_turns_follow_weights() -> None:
    """Config §6.3 `weight`: shares are those of the weights, evenly spread."""
    assert picks([member("a", 3), member("b")], 8) == "aabaaaba"


def test_drained_member_has_no_turn() -> None:
    """Config §6.3 `weight`: 0 is never picked, not even when nobody else is there."""
    assert picks([member("a", 0), member("b")], 3) == "bbb"
    assert LanePool("p", (member("a", 0),)).serving(SPOKEN) == ()
    tried = member("b")
    assert choose([tried], [tried]) is None


def test_member_of_another_dialect_has_no_turn() -> None:
    """Reliability §1: without translation a client reaches the members that speak as it does, and no others."""
    pool = LanePool("p", (member("a"), member("b")))
    pool.members[0].lane.dialect = speak("cohere")
    assert [one.lane.name for one in pool.serving(SPOKEN)] == ["b"]
    assert [one.lane.name for one in pool.serving(speak("cohere"))] == ["a"]
    assert pool.serving(speak("gemini")) == ()


def test_full_lane_is_passed_over() -> None:
    """Config §6.2 `max_concurrent`: while another member has room, a full one has no turn."""
    assert picks([member("a", cap=2, inside=2), member("b", cap=3, inside=2)], 3) == "bbb"
    assert picks([member("a", cap=2, inside=1), member("b")], 4) == "abab"


def test_turns_go_on_when_all_are_full() -> None:
    """Config §6.2 `max_concurrent`: with no room anywhere requests wait where it is their turn."""
    assert picks([member("a", cap=1, inside=1), member("b", cap=1, inside=1)], 4) == "abab"


def test_tried_member_is_not_tried_again() -> None:
    """Design §5: who failed this request is left out, and at the end nobody is left."""
    members = [member("a"), member("b"), member("c")]
    tried: list[Member] = []
    while (chosen := choose(members, tried)) is not None:
        tried.append(chosen)
    assert sorted(one.lane.name for one in tried) == ["a", "b", "c"]


def test_full_member_is_better_than_a_failed_one() -> None:
    """Config §6.2 `max_concurrent`: a request whose only other member is full waits for that one."""
    failed, full = member("a"), member("b", cap=1, inside=1)
    assert choose([failed, full], [failed]) is full


@pytest.mark.parametrize(
    ("body", "name", "named"),
    [
        (b'{"model":"a"}', "a", b'{"model":"up"}'),
        (b'{"model":"up"}', "up", b'{"model":"up"}'),
        (b'{"model":"a","model":"b"}', "b", b'{"model":"up","model":"up"}'),
        (b'{"model":1,"model":"b"}', "b", b'{"model":"up","model":"up"}'),
        (b'{"model":"b","model":1}', None, b'{"model":"up","model":"up"}'),
        (b'{"\\u006dodel":"b"}', "b", b'{"\\u006dodel":"up"}'),
        (b'{"x":{"model":"b"},"y":["model"]}', None, b'{"model":"up","x":{"model":"b"},"y":["model"]}'),
        (b'{"model":null}', None, b'{"model":"up"}'),
        (b'{"model":"\\ud83d\\ude00"}', "\U0001f600", b'{"model":"up"}'),
        (b"{}", None, b'{"model":"up"}'),
    ],
)
def test_model_is_read_and_named_wherever_it_stands(body: bytes, name: str | None, named: bytes) -> None:
    """Config §14 X5: of several the last counts, every one is replaced, whatever it held; a missing one is added."""
    spans = find_members(body, (b"model",)).get(b"model", [])
    assert read_model(body, spans) == name
    assert Lane("a", None, "/", SPOKEN, model="up").shape(body, spans) == named  # type: ignore[arg-type]
    assert Lane("a", None, "/", SPOKEN).shape(body, spans) is body  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "shaped"),
    [
        (b'{"model":"a"}', b'{"u":1,"model":"up"}'),
        (b'{"x":1,"model":"a","model":"b"}', b'{"u":1,"x":1,"model":"up","model":"up"}'),
        (b'{"stream":true}', b'{"u":1,"model":"up","stream":true}'),
    ],
)
def test_model_is_named_and_usage_asked_for_in_one_go(body: bytes, shaped: bytes) -> None:
    """OpenAI §9.4: both edits go into the client's own bytes; a lane that cannot be asked gets the model only."""
    spans = find_members(body, (b"model",)).get(b"model", [])
    edits = [insertion(body, b"u", b"1")]
    lane = Lane("a", None, "/", SPOKEN, model="up")  # type: ignore[arg-type]
    spared = Lane("a", None, "/", SPOKEN, Access(options={"stream_usage": False}), model="up")  # type: ignore[arg-type]
    assert lane.shape(body, spans, edits) == shaped
    assert lane.shape(body, spans, []) == lane.shape(body, spans) == shaped.replace(b'"u":1,', b"")
    assert spared.shape(body, spans, edits) == lane.shape(body, spans)
    unnamed = Lane("a", None, "/", SPOKEN)  # type: ignore[arg-type]
    assert unnamed.shape(body, spans, edits) == body.replace(b"{", b'{"u":1,')


def test_tokens_go_on_where_the_pool_stopped_that_was_there_before() -> None:
    """Operations §7: counters survive a reload, for the lanes that are still there."""
    old, new = LanePool("p", (member("a"), member("b"))), LanePool("p", (member("b"), member("c")))
    old.members[1].tokens.add(Usage(31, 18))
    new.count_on(old)
    new.members[0].tokens.add(Usage(1, 2))
    assert [(one.tokens.input, one.tokens.output) for one in new.members] == [(32, 20), (0, 0)]
