"""One lane of `models`."""

import pytest

from busbar_fast.config.schema import Model
from busbar_fast.config.sections.models import complaint_of_upstream_name, read_model
from tests.config.cases import VOCABULARY, paths_of, section_of


@pytest.mark.parametrize(
    ("text", "changes", "errors"),
    [
        ("provider: p", {}, []),
        ("provider: p\nmax_requests: -7", {}, []),
        ("provider: p\nmax_requests: 7\nmax_concurrent: 2", {"max_requests": 7, "max_concurrent": 2}, []),
        ("provider: p\nmax_requests: 0", {"max_requests": 0}, ["max_requests"]),
        (
            "provider: p\ninline_system: true\ntool_id_style: hex",
            {"options": {"inline_system": True, "tool_id_style": "hex"}},
            [],
        ),
        ("provider: p\nhosted_tools: map", {"options": {"hosted_tools": "map"}}, []),
        ("provider: p\nhosted_tools: MAP", {}, ["hosted_tools"]),
        ("provider: ''", {"provider": ""}, ["provider"]),
        ("x: 1", {"provider": ""}, ["provider", "x"]),
    ],
)
def test_a_lane_is_read(text: str, changes: dict[str, object], errors: list[str]) -> None:
    """Config §6.2: a lane with its defaults and what differs from them."""
    with section_of(text) as section:
        found = read_model(section, "m", VOCABULARY, 99)
    assert found == Model(provider="p", upstream_model="m", default_max_tokens=99, options={}).with_(**changes)
    assert paths_of(section.complaints.errors) == errors


def test_what_is_said_of_a_lane_is_read() -> None:
    """Config §6.2 and §14, X23: how much a lane takes, and what translated requests may ask of it."""
    section = section_of("max_requests: 5\nattempt_timeout_ms: 7\ndefault_max_tokens: 9\nreasoning: true\nprovider: p")
    model = read_model(section, "m", VOCABULARY, 1)
    assert (model.max_requests, model.attempt_timeout_ms) == (5, 7)
    assert (model.default_max_tokens, model.reasoning) == (9, True)
    assert paths_of(section.complaints.unavailable) == []


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("gpt-5", True),
        ("a b/c:d", True),
        ("\u00a0x", True),
        ("", False),
        ("  ", False),
        ("a\n", False),
        ("a\x9f", False),
    ],
)
def test_upstream_names_are_judged(text: str, is_right: bool) -> None:
    """Config §14, X5: neither blank nor with control characters."""
    assert (complaint_of_upstream_name(text) == "") is is_right
