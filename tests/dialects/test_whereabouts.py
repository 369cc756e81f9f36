"""Where a user is, about, and lists of places in the web."""

import pytest

from busbar_fast.dialects.members import read_object
from busbar_fast.dialects.whereabouts import place_of, read_domains, read_place
from busbar_fast.ir.requests import Place


@pytest.mark.parametrize(
    ("written", "place", "again"),
    [
        (b'{"type":"approximate","city":"Brest"}', Place("Brest"), {"type": "approximate", "city": "Brest"}),
        (
            b'{"timezone":"Europe/Paris","country":"FR","region":null,"city":5}',
            Place(country="FR", timezone="Europe/Paris"),
            {"type": "approximate", "country": "FR", "timezone": "Europe/Paris"},
        ),
        (b"{}", Place(), {"type": "approximate"}),
    ],
)
def test_a_place_is_read_and_written(written: bytes, place: Place, again: dict[str, str]) -> None:
    """Anthropic and Responses, tools: the same members in both; a place without a name means nowhere in particular."""
    assert read_place(read_object(written)) == place
    assert place_of(place) == again


def test_no_place_is_none() -> None:
    """IR §2: what is absent is not written."""
    assert (read_place(None), place_of(None)) == (None, None)


@pytest.mark.parametrize(
    ("written", "domains"),
    [(b'{"d":["a.test","b.test/x"]}', ["a.test", "b.test/x"]), (b'{"d":["",5]}', []), (b'{"d":"a"}', []), (b"{}", [])],
)
def test_names_of_hosts_are_read(written: bytes, domains: list[str]) -> None:
    """Anthropic and Responses, tools: what is no name is left out."""
    assert read_domains(read_object(written), "d") == domains
