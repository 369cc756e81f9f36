"""`limits`, `metrics`, and the defaults of `health` and `routing`."""

import pytest

from busbar_fast.config.schema import Health, Limits, Metrics
from busbar_fast.config.sections import limits
from tests.config.cases import paths_of, section_of

BUDGETS = {"minimal": 1024, "low": 4096, "medium": 8192, "high": 16384}


def test_limits_default_one_by_one() -> None:
    """Config §6.4: a limit that is given changes no other."""
    section = section_of("limits: {max_headers: 5, max_header_bytes: 1}\n")
    assert limits.read_limits(section) == Limits(reasoning_effort_budgets=BUDGETS, max_headers=5)
    assert paths_of(section.complaints.errors) == ["limits.max_header_bytes"]


@pytest.mark.parametrize(
    ("text", "is_right"),
    [("{low: 1024}", True), ("{minimal: 1, high: 8192}", True), ("{high: 1}", False), ("{minimal: 5000}", False)],
)
def test_budgets_never_fall(text: str, is_right: bool) -> None:
    """Config §14, X13: words that are missing keep their default, and the whole row must ascend."""
    section = section_of(f"limits: {{reasoning_effort_budgets: {text}}}\n")
    limits.read_limits(section)
    assert paths_of(section.complaints.errors) == ([] if is_right else ["limits.reasoning_effort_budgets"])


def test_small_sections_are_read() -> None:
    """Config §6.4: one number each."""
    section = section_of(
        "metrics: {key_gauge_limit: 0}\nhealth: {default_probe_interval_secs: 9}\n"
        "routing: {default_policy_timeout_ms: 8}\n"
    )
    assert limits.read_metrics(section) == Metrics(key_gauge_limit=0)
    assert limits.read_default_health(section) == Health(interval_secs=9)
    assert limits.read_default_policy_timeout_ms(section) == 8
    assert paths_of(section.complaints.unavailable) == []


@pytest.mark.parametrize(
    ("text", "is_used", "health", "errors"),
    [
        ("a: 1", True, None, []),
        ("health: x", True, Health(interval_secs=7), ["health"]),
        ("health: {mode: dead, timeout_secs: 1}", True, Health(mode="dead", interval_secs=7, timeout_secs=1), []),
        ("health: {mode: on, timeout_secs: 0}", True, Health(interval_secs=7), ["health.mode", "health.timeout_secs"]),
        ("health: {mode: on, timeout_secs: 0}", False, Health(mode="on", interval_secs=7, timeout_secs=0), []),
        (
            "health: {mode: [], timeout_secs: x}",
            False,
            Health(mode="", interval_secs=7),
            ["health.mode", "health.timeout_secs"],
        ),
    ],
)
def test_health_of_a_provider_is_read(text: str, is_used: bool, health: Health | None, errors: list[str]) -> None:
    """Config §5 and §6.2: defaults come from the gateway, and only what is used is judged."""
    section = section_of(text)
    assert limits.read_health(section, Health(interval_secs=7), is_used=is_used) == health
    assert paths_of(section.complaints.errors) == errors
