"""What reports call members without a field."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.preparing.losses import report_members
from busbar_fast.ir.report import FIELDS, Report
from tests.dialects.preparing.targets import noted


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("safetySettings", "safety_settings"),
        ("safety_mode", "safety_settings"),
        ("cache_control", "cache_control"),
        ("prompt_cache_key", "cache_control"),
        ("metadata", "metadata"),
        ("requestMetadata", "metadata"),
        ("service_tier", "service_tier"),
        ("serviceTier", "service_tier"),
        ("labels", "labels"),
        ("store", "store"),
        ("logit_bias", "logit_bias"),
        ("prediction", "prediction"),
        ("modalities", "modalities"),
        ("responseModalities", "modalities"),
        ("candidateCount", "candidates"),
        ("safety_identifier", "user"),
        ("name", "message_name"),
        ("web_search_options", "hosted_tools"),
        ("citation_options", "citations"),
        ("made_up_by_somebody", "other"),
    ],
)
def test_a_member_is_noted_under_a_word_of_the_list(name: str, field: str) -> None:
    """IR cases 8 and 11: what is known has its word, what somebody made up is one of the others."""
    report = Report()
    report_members({name: Raw(b"1")}, report)
    assert noted(report) == [field]
    assert field in FIELDS


def test_made_up_names_are_noted_once_and_not_spelt() -> None:
    """IR case 11: the report holds no word that a client has chosen."""
    report = Report()
    report_members({f"secret_{number}": Raw(b"1") for number in range(1000)}, report)
    assert [(entry.field, entry.detail) for entry in report.entries] == [("other", "")]


def test_nothing_is_noted_for_what_is_absent_null_or_noted_elsewhere() -> None:
    """IR case 8: a member that says nothing is no loss, and one that somebody else answers for is noted there."""
    report = Report()
    report_members(None, report)
    report_members({"metadata": Raw(b"null")}, report)
    report_members({"conversation": Raw(b'"c"')}, report, ("conversation",))
    assert report.entries == []
