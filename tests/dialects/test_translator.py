"""What every translator is: a row of abilities and six ways to read and write."""

import pytest

from busbar_fast.dialects.registry import DIALECTS, speak, translator
from tests.dialects.translating import ask_of


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_has_a_translator_of_its_name(name: str) -> None:
    """IR §11: six readers, six writers, each under the name that configuration knows."""
    found = translator(speak(name))
    assert found.abilities.name == name
    assert found is translator(speak(name))


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "bedrock"])
def test_streams_are_events_unless_said_otherwise(name: str) -> None:
    """IR case 66: one vendor has frames of its own."""
    found = translator(speak(name))
    assert found.stream_type(ask_of(found)) == b"text/event-stream"
