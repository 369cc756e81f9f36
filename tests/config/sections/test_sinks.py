"""`observability` and `security`, read by themselves."""

import pytest

from busbar_fast.config.guards import Exemptions
from busbar_fast.config.guards.verdicts import judge_sink
from busbar_fast.config.schema import NONE, Observability, Secret, Security
from busbar_fast.config.sections.sinks import read_observability, read_security, read_sink, sink_exemptions
from tests.config.cases import paths_of, section_of


def test_security_is_read() -> None:
    """Config §6.4: three lists and a flag, whose use is a warning."""
    section = section_of(
        "security: {blocked_metadata_hosts: [a], allow_metadata_hosts: [b, c/d], allow_sink_hosts: [e], "
        "allow_all_metadata: true}"
    )
    security = read_security(section)
    assert security == Security(
        blocked_metadata_hosts=("a",), allow_metadata_hosts=("b",), allow_sink_hosts=("e",), allow_all_metadata=True
    )
    assert paths_of(section.complaints.errors) == ["security.allow_metadata_hosts[1]"]
    assert [warning.id for warning in section.complaints.warnings] == ["W8"]
    assert sink_exemptions(security) == Exemptions(blocked=("a",), sinks=("e",))
    silent = section_of("{}")
    assert (read_security(silent), silent.complaints.warnings) == (Security(), [])


def test_observability_is_read() -> None:
    """Config §6.4: sinks are templates, and each switch has its default."""
    section = section_of(
        "observability: {otlp_endpoint: 'http://localhost:4318', request_log_webhook_url: 'https://x', "
        "metrics_token: t, emit_route_headers: false, log_format: json, token_metrics: true, "
        "status_page: true}"
    )
    assert read_observability(section, Security()) == Observability(
        otlp_endpoint=Secret(kind="text", source="http://localhost:4318"),
        request_log_webhook_url=Secret(kind="text", source="https://x"),
        metrics_token=Secret(kind="text", source="t"),
        emit_route_headers=False,
        log_format="json",
        token_metrics=True,
        status_page=True,
    )
    assert read_observability(section_of("{}"), Security()) == Observability()


@pytest.mark.parametrize(
    ("text", "reason", "got"),
    [
        ("a: 'http://u:hush@x'", "host x needs https", "http://***@x"),
        ("a: 'https://hush/y@10.0.0.1'", "", ""),
        ("a: 'https://u:hu/sh@x'", "percent-encoded", "https://***@x"),
        ("a: ''", "https://HOST", ""),
    ],
)
def test_a_refused_sink_shows_no_userinfo(text: str, reason: str, got: str) -> None:
    """Config §1 and §10: neither value nor reason shows any of it."""
    section = section_of(text)
    assert read_sink(section, "a", judge_sink, Exemptions()).kind == "text"
    assert [(reason in error.reason, error.got) for error in section.complaints.errors] == (
        [(True, got)] if reason else []
    )


def test_a_sink_may_be_missing_or_let_through() -> None:
    """Config §14, X15: an exception in use is a warning at the sink."""
    section = section_of("a: 'http://x'\nb: [x]\n")
    exemptions = Exemptions(sinks=("x",))
    assert [read_sink(section, name, judge_sink, exemptions) for name in "bc"] == [NONE, NONE]
    assert read_sink(section, "a", judge_sink, exemptions) == Secret(kind="text", source="http://x")
    assert [(warning.id, warning.path) for warning in section.complaints.warnings] == [("W10", ("a",))]
