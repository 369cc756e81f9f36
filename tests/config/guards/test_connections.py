"""The guard at run time: which resolved addresses may be dialled."""

import pytest

from busbar_fast.config.guards.connections import AddressGuard
from busbar_fast.config.guards.rules import Exemptions, Level

NONE = Exemptions()


@pytest.mark.parametrize(
    ("address", "levels"),
    [
        ("8.8.8.8", tuple(Level)),
        ("2606:4700::1111", tuple(Level)),
        ("2606:4700::1111%eth0", tuple(Level)),
        ("10.0.0.1", (Level.PROVIDER,)),
        ("100.64.0.1", (Level.PROVIDER,)),
        ("FD12::1", (Level.PROVIDER,)),
        ("fe80::1%eth0", (Level.PROVIDER,)),
        ("::ffff:10.0.0.1", (Level.PROVIDER,)),
        ("127.0.0.1", (Level.PROVIDER, Level.SINK)),
        ("::1", (Level.PROVIDER, Level.SINK)),
        ("169.254.169.254", ()),
        ("::ffff:169.254.169.254", ()),
        ("64:ff9b::a9fe:a9fe", ()),
        ("2002:a9fe:a9fe::1", ()),
        ("fd00:ec2::254", ()),
        ("fd00:ec2::254%2", ()),
        ("fd20:ce::254", ()),
        ("168.63.129.16", ()),
        ("", ()),
        ("%eth0", ()),
        ("example.com", ()),
        ("[::1]", ()),
    ],
)
def test_each_level_dials_its_column(address: str, levels: tuple[Level, ...]) -> None:
    """Config §10 and operations case 43: a name that resolves into the denylist or a sink's ranges is refused."""
    guards = {level: AddressGuard(NONE, level) for level in Level}
    assert tuple(level for level, guard in guards.items() if guard.is_allowed("name.example", address)) == levels


@pytest.mark.parametrize(
    "exemptions",
    [
        Exemptions(allow_all=True),
        Exemptions(allowed=("169.254.169.254",)),
        Exemptions(allowed=("0xa9fea9fe",)),
        Exemptions(allowed=("Name.Example.",)),
    ],
)
@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"])
def test_an_exemption_lets_a_provider_through(exemptions: Exemptions, address: str) -> None:
    """Operations case 43: the allow list lets it through, by name or address."""
    assert AddressGuard(exemptions, Level.PROVIDER).is_allowed("name.example", address)


def test_an_exemption_for_another_host_lets_nothing_through() -> None:
    """Config §10: an entry opens what it names, and a list of sinks is none of a provider's."""
    exemptions = Exemptions(allowed=("169.254.169.253", "other"), sinks=("name.example",), allow_plaintext=True)
    assert not AddressGuard(exemptions, Level.PROVIDER).is_allowed("name.example", "169.254.169.254")


@pytest.mark.parametrize("level", Level)
def test_an_address_the_operator_blocked_is_refused(level: Level) -> None:
    """Config §10: the operator's additions count at run time, for every target and in every spelling."""
    guard = AddressGuard(Exemptions(blocked=("9.9.9.9",)), level)
    answers = [guard.is_allowed("name.example", address) for address in ("9.9.9.9", "::ffff:9.9.9.9", "9.9.9.8")]
    assert answers == [False, False, True]


@pytest.mark.parametrize("level", [Level.LOG_SINK, Level.SINK])
@pytest.mark.parametrize("entry", ["name.example", "10.0.0.1"])
def test_a_listed_sink_is_dialled(level: Level, entry: str) -> None:
    """Config §14, X15: the list opens the ranges by name or address."""
    guard = AddressGuard(Exemptions(sinks=(entry,)), level)
    assert guard.is_allowed("name.example", "10.0.0.1")


@pytest.mark.parametrize("level", [Level.LOG_SINK, Level.SINK])
def test_nothing_opens_the_denylist_for_a_sink(level: Level) -> None:
    """Config §14, X15: neither the list of sinks nor the lists for providers do."""
    names = ("name.example", "169.254.169.254")
    guard = AddressGuard(Exemptions(allowed=names, allow_all=True, sinks=names), level)
    assert not guard.is_allowed("name.example", "169.254.169.254")


def test_guards_of_the_same_rules_are_equal() -> None:
    """Config §10: a guard is a value, so that connections under the same rules may be shared."""
    one, same = (AddressGuard(Exemptions(allowed=("a",)), Level.PROVIDER) for _ in range(2))
    others = {AddressGuard(NONE, Level.PROVIDER), AddressGuard(Exemptions(allowed=("a",)), Level.SINK)}
    assert (one, hash(one)) == (same, hash(same))
    assert one not in others
    assert one != Exemptions(allowed=("a",))
