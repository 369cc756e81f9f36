"""What clients can ask for: whom a dialect reaches, and to whom a session sticks."""

import pytest

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.registry import speak
from busbar_fast.gateway.lanes import Lane, new_state
from busbar_fast.gateway.offers import Affinity, Offer, pool_of, read_system, single
from busbar_fast.reliability.pools import Pool, PoolSettings

SPOKEN, OTHER = speak("openai"), speak("cohere")
SESSION = Affinity(b"x-session-id")
FOOBAR = 0x85944171F73967E8 % 3  # the published hash


def lane(name: str, dialect: str = "openai") -> Lane:
    """Return a lane to nowhere."""
    return Lane(new_state(name, "up"), None, "/", speak(dialect))  # type: ignore[arg-type]


def models(pool: Pool) -> list[str]:
    """Return the members' models."""
    return [member.lane.model for member in pool.members]


def sticky(affinity: Affinity | None) -> Offer:
    """Return a pool of three with this affinity."""
    plain = pool_of("p", [lane("a"), lane("b"), lane("c")])
    return Offer(plain.pool, {one.name: one for one in plain.lanes}, affinity)


def test_members_alike_are_those_of_one_dialect() -> None:
    """IR §6: what only its own vendor can do reaches the members that speak as the client does, and no others."""
    settings = PoolSettings(max_hops=7)
    offer = pool_of("p", [lane("a"), lane("b", "cohere"), lane("c")], settings)
    alike = offer.alike(Ask(SPOKEN, Operation.CONVERSE))
    assert models(alike) == ["a", "c"]
    assert models(offer.alike(Ask(OTHER, Operation.CONVERSE))) == ["b"]
    assert models(offer.alike(Ask(speak("gemini"), Operation.CONVERSE))) == []
    assert offer.alike(Ask(SPOKEN, Operation.COUNT_TOKENS)) is alike
    assert alike.settings is settings
    assert alike.members[1] is offer.pool.members[2]  # one cell, whoever asks


def test_members_without_a_place_for_an_action_are_left_out() -> None:
    """OpenAI §13: a lane that lacks an operation is no candidate for it, and for others it is."""
    one = Lane(new_state("a"), None, "/v1/chat/completions", SPOKEN, model="up")  # type: ignore[arg-type]
    other = Lane(new_state("b"), None, "/generate", SPOKEN, model="up")  # type: ignore[arg-type]
    offer = pool_of("p", [one, other])
    moderations = Ask(SPOKEN, Operation.OTHER, word="moderations")
    assert models(offer.serving(moderations)) == ["a"]
    assert offer.serving(moderations) is offer.serving(Ask(SPOKEN, Operation.OTHER, word="moderations"))
    assert models(offer.alike(Ask(SPOKEN, Operation.CONVERSE))) == ["a", "b"]


def test_members_of_other_dialects_serve_what_can_be_translated() -> None:
    """OpenAI §13: vectors come from every lane that makes them, other calls from lanes of the client's dialect."""
    paths = {
        "openai": "/v1/chat/completions",
        "cohere": "/v2/chat",
        "bedrock": "/model/amazon.titan-embed-text-v2%3A0/converse",
        "anthropic": "/v1/messages",
    }
    made = [
        Lane(new_state(name), None, path, speak(name), model="up")  # type: ignore[arg-type]
        for name, path in paths.items()
    ]
    talking = Lane(new_state("t"), None, "/model/claude/converse", speak("bedrock"), model="up")  # type: ignore[arg-type]
    offer = pool_of("p", [*made, talking])
    assert models(offer.serving(Ask(SPOKEN, Operation.EMBED, word="embeddings"))) == ["openai", "cohere", "bedrock"]
    assert models(offer.serving(Ask(SPOKEN, Operation.OTHER, word="moderations"))) == ["openai"]
    assert models(offer.serving(Ask(OTHER, Operation.COUNT_TOKENS))) == ["cohere"]
    assert offer.serving(Ask(OTHER, Operation.CONVERSE)) is offer.pool


def test_lane_by_itself_is_on_its_default_cell() -> None:
    """Reliability §1: a hit on a model is a set of one, on the default cell, with no affinity."""
    one = lane("a")
    offer = single(one)
    assert (offer.name, offer.provider, offer.lanes) == ("a", "up", [one])
    assert offer.pool.members[0].cell is one.state.cells[""]
    assert offer.maybe_sticky({b"x-session-id": b"session-1"}, b"{}") is None


def test_session_sticks_to_the_member_its_name_leads_to() -> None:
    """Reliability §3: the published hash of `session-1` is member 1 of 3, counted over all members."""
    offer = sticky(SESSION)
    assert offer.maybe_sticky({b"x-session-id": b"session-1"}, b"{}") is offer.pool.members[1]


@pytest.mark.parametrize("fields", [{}, {b"x-session-id": b""}, {b"x-user-id": b"session-1"}])
def test_request_without_a_session_sticks_to_nobody(fields: dict[bytes, bytes]) -> None:
    """Reliability case 13: only the header that the pool names pins, and only with a value."""
    assert sticky(SESSION).maybe_sticky(fields, b'{"system":"s"}') is None


def test_system_prompt_stands_in_where_it_is_wanted() -> None:
    """Reliability case 15: equal system texts pin with `from_system` alone, and a session header comes first."""
    body = b'{"system":"session-1"}'
    by_system = sticky(Affinity(b"x-session-id", from_system=True))
    assert by_system.maybe_sticky({}, body) is by_system.pool.members[1]
    assert by_system.maybe_sticky({b"x-session-id": b"foobar"}, body) is by_system.pool.members[FOOBAR]
    assert sticky(SESSION).maybe_sticky({}, body) is None
    assert by_system.maybe_sticky({}, b'{"system":""}') is None


@pytest.mark.parametrize(
    ("body", "system"),
    [
        (b'{"system":"a"}', b"a"),
        (b'{"system":"a","system":"b"}', b"b"),
        (b'{"system":"\\u00e9"}', "\u00e9".encode()),
        (b'{"system":[{"text":"a"}]}', b""),
        (b'{"x":{"system":"a"}}', b""),
        (b"{}", b""),
    ],
)
def test_system_prompt_is_one_string_at_the_top(body: bytes, system: bytes) -> None:
    """Reliability D16: a top-level string is what is hashed, and nothing else."""
    assert read_system(body) == system
