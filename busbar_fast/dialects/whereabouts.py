"""Where a user is, about, and lists of places in the web, as several vendors say both of a search in the web."""

from typing import Final

from busbar_fast.dialects.members import Members, text_of
from busbar_fast.ir.requests import Place

_NAMES: Final[tuple[str, ...]] = ("city", "region", "country", "timezone")


def read_place(members: Members | None) -> Place | None:
    """Read about where a user is; None if it is not said."""
    if members is None:
        return None
    return Place(*(members.maybe_text(name) or "" for name in _NAMES))


def place_of(place: Place | None) -> dict[str, str] | None:
    """Return about where a user is as it is written; a place without a name is one, too."""
    if place is None:
        return None
    names = (place.city, place.region, place.country, place.timezone)
    return {"type": "approximate"} | {name: text for name, text in zip(_NAMES, names, strict=True) if text}


def read_domains(members: Members, name: str) -> list[str]:
    """Read a list of names of hosts; what is none is left out."""
    return [text for raw in members.maybe_items(name) or [] if (text := text_of(raw))]
