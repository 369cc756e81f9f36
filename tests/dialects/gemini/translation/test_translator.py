"""The dialect as the gateway translates it."""

from busbar_fast.dialects.gemini import DIALECT
from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.dialects.registry import translator
from tests.dialects.gemini.translation.turns import ARRAY, EVENTS


def test_the_registry_finds_it() -> None:
    """It says of itself what the configuration calls it."""
    assert translator(DIALECT) is TRANSLATOR
    assert TRANSLATOR.abilities.name == "gemini"


def test_an_array_is_a_document() -> None:
    """Events have their own type (gemini.md case 12)."""
    assert [TRANSLATOR.stream_type(ask) for ask in (EVENTS, ARRAY)] == [b"text/event-stream", b"application/json"]
