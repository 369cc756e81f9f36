"""The lists of hosts that an operator writes: what an entry may be and what it stands for."""

import pytest

from busbar_fast.config.guards.addresses import read_address
from busbar_fast.config.guards.entries import HostList, complaint_of_entry, key_of
from busbar_fast.config.guards.hosts import read_host


@pytest.mark.parametrize(
    "entry",
    ["169.254.169.254", "2852039166", "fd00:ec2::254", "[fd00:ec2::254]", "Metadata.Google.Internal.", "vllm", "a_b"],
)
def test_an_exact_host_or_address_is_a_good_entry(entry: str) -> None:
    """Config §6.4: an entry is an exact address in any spelling or a host name."""
    assert complaint_of_entry(entry) == ""


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("", "blank"),
        (" \t", "blank"),
        ("a b", "control"),
        (" a", "control"),
        ("a\n", "control"),
        ("a\x00", "control"),
        ("169.254.0.0/16", '"/"'),
        ("https://metadata.internal", '"/"'),
        ("a:80", "neither"),
        ("*.internal", "neither"),
        ("300.1.1.1", "neither"),
        ("user@a", "neither"),
        (".", "neither"),
    ],
)
def test_another_entry_is_refused(entry: str, said: str) -> None:
    """Config §6.4 and operations case 44: a range, a blank or anything that could never match is refused."""
    assert said in complaint_of_entry(entry)


@pytest.mark.parametrize("text", ["10.0.0.1", "0x0a000001", "::ffff:a00:1", "::10.0.0.1"])
def test_all_spellings_of_an_address_have_one_key(text: str) -> None:
    """Config §10: an IP entry matches all its spellings."""
    assert key_of(read_host(text)) == read_address("10.0.0.1")


def test_a_list_finds_its_entries_by_what_they_stand_for() -> None:
    """Config §10: case and trailing dot of a name do not matter, and every entry that fits is named as written."""
    listed = HostList(("Vllm.", "vllm", "vllm", "10.0.0.1", "a/b", ""))
    assert listed.covering(read_host("VLLM"), ()) == ("Vllm.", "vllm")
    assert listed.covering(read_host("other"), ()) == ()
    assert [key in listed for key in ("vllm", "Vllm", "")] == [True, False, False]
    assert key_of(read_host("0xa000001")) in listed


def test_an_address_is_covered_as_a_whole_or_by_all_its_offences() -> None:
    """Config §10: an entry for the embedded address opens it, unless the outer one offends, too."""
    host = read_host("2002:a00:1::")
    assert host.address is not None
    outer, inner = host.address.readings
    listed = HostList(("10.0.0.1",))
    assert listed.covering(host, (inner,)) == ("10.0.0.1",)
    assert listed.covering(host, (outer, inner)) == ()
    assert HostList(("2002:a00:1::",)).covering(host, (outer, inner)) == ("2002:a00:1::",)
