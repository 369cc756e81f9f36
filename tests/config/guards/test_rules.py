"""The guards as rules over a host: what is denied and blocked, and what opens it."""

import pytest

from busbar_fast.config.guards.hosts import read_host
from busbar_fast.config.guards.rules import ALLOW_ALL, Exemptions, Level, Rules

METADATA = read_host("169.254.169.254")


def past_denylist(exemptions: Exemptions, level: Level) -> tuple[str, ...]:
    """Return what opens the best known metadata address."""
    rules = Rules(exemptions, level)
    return rules.past_denylist(METADATA, rules.denied(METADATA))


def test_only_a_provider_gets_past_the_denylist() -> None:
    """Config §10 and §14: the metadata lists are for providers and the list of sinks never opens the denylist."""
    opened = Exemptions(allowed=("169.254.169.254",), allow_all=True, sinks=("169.254.169.254",))
    assert [past_denylist(opened, level) for level in Level] == [("169.254.169.254",), (), ()]


def test_an_entry_is_named_before_the_switch_that_allows_all() -> None:
    """Config §9: the exception in use is the narrowest one."""
    assert past_denylist(Exemptions(allow_all=True), Level.PROVIDER) == (ALLOW_ALL,)
    assert past_denylist(Exemptions(allowed=("other",)), Level.PROVIDER) == ()
    assert past_denylist(Exemptions(sinks=("169.254.169.254",)), Level.PROVIDER) == ()


@pytest.mark.parametrize(
    ("text", "blocked_by"),
    [
        ("8.8.8.8", ()),
        ("example.com", ()),
        ("localhost", (Level.LOG_SINK,)),
        ("a.localhost", (Level.LOG_SINK,)),
        ("127.0.0.1", (Level.LOG_SINK,)),
        ("::1", (Level.LOG_SINK,)),
        ("10.0.0.1", (Level.LOG_SINK, Level.SINK)),
        ("255.255.255.255", (Level.LOG_SINK, Level.SINK)),
    ],
)
def test_each_level_blocks_its_column(text: str, blocked_by: tuple[Level, ...]) -> None:
    """Config §10: providers may go everywhere, trace collectors to loopback, the log's webhook to the public only."""
    host = read_host(text)
    assert tuple(level for level in Level if Rules(Exemptions(), level).blocked(host)) == blocked_by


@pytest.mark.parametrize("level", [Level.LOG_SINK, Level.SINK])
def test_a_listed_sink_gets_past_the_ranges(level: Level) -> None:
    """Config §14, X15: an exact host or address is let through by its entry."""
    rules = Rules(Exemptions(sinks=("10.0.0.1", "collector")), level)
    assert rules.past_ranges(read_host("0xa000001"), rules.blocked(read_host("10.0.0.1"))) == ("10.0.0.1",)
    assert rules.past_ranges(read_host("collector"), ()) == ("collector",)
    assert (rules.opens_name("collector"), rules.opens_name("other")) == (True, False)
