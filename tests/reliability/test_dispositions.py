"""Whose fault a failed attempt was."""

import logging

import pytest

from busbar_fast.dialects import upstream_errors
from busbar_fast.reliability.dispositions import (
    _CONTEXT_STATUSES,
    CONTEXT_CODE,
    Disposition,
    ErrorClass,
    Verdict,
    classify,
    disposition_of,
    is_callers_key,
    judge,
)

LENGTH = "context_length_exceeded"
WORDS = (
    "rate_limit",
    "overloaded",
    "server_error",
    "timeout",
    "network",
    "auth",
    "billing",
    "client_error",
    "context_length",
)


def class_of(
    status: int,
    code: str | None = None,
    error_type: str | None = None,
    *,
    is_context_length: bool = False,
    **error_map: str,
) -> ErrorClass:
    """Return the class of an answer."""
    return classify(status, code, error_type, is_context_length=is_context_length, error_map=error_map)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (300, ErrorClass.CLIENT_ERROR),
        (302, ErrorClass.CLIENT_ERROR),
        (304, ErrorClass.CLIENT_ERROR),
        (400, ErrorClass.CLIENT_ERROR),
        (401, ErrorClass.AUTH),
        (402, ErrorClass.BILLING),
        (403, ErrorClass.AUTH),
        (404, ErrorClass.CLIENT_ERROR),
        (405, ErrorClass.CLIENT_ERROR),
        (408, ErrorClass.TIMEOUT),
        (409, ErrorClass.CLIENT_ERROR),
        (413, ErrorClass.CLIENT_ERROR),
        (422, ErrorClass.CLIENT_ERROR),
        (424, ErrorClass.CLIENT_ERROR),
        (429, ErrorClass.RATE_LIMIT),
        (498, ErrorClass.CLIENT_ERROR),
        (499, ErrorClass.CLIENT_ERROR),
        (500, ErrorClass.SERVER_ERROR),
        (501, ErrorClass.SERVER_ERROR),
        (502, ErrorClass.SERVER_ERROR),
        (503, ErrorClass.SERVER_ERROR),
        (504, ErrorClass.SERVER_ERROR),
        (520, ErrorClass.SERVER_ERROR),
        (529, ErrorClass.OVERLOADED),
        (599, ErrorClass.SERVER_ERROR),
    ],
)
def test_the_status_says_what_nothing_else_does(status: int, error_class: ErrorClass) -> None:
    """Reliability case 50: every status has a class; a redirect is nobody's fault, a 402 is about money."""
    assert class_of(status) is error_class
    assert class_of(status, "other", "type", unheard="auth") is error_class


@pytest.mark.parametrize("word", WORDS)
def test_an_operator_can_name_every_class(word: str) -> None:
    """Reliability §4: the nine words of `error_map`, by code and by type."""
    expected = ErrorClass[word.upper()]
    assert expected.word == word
    assert class_of(400, "a", None, a=word) is expected
    assert class_of(400, None, "a", a=word) is expected
    assert [error_class.word for error_class in ErrorClass] == list(WORDS)


def test_a_code_wins_over_a_type() -> None:
    """Reliability case 46: both mapped, the code counts; a type alone counts too."""
    assert class_of(400, "a", "b", a="billing", b="auth") is ErrorClass.BILLING
    assert class_of(400, "x", "b", a="billing", b="auth") is ErrorClass.AUTH
    assert class_of(400, None, "b", a="billing", b="auth") is ErrorClass.AUTH


@pytest.mark.parametrize("status", [500, 503, 529])
def test_a_failing_server_is_never_about_length(status: int) -> None:
    """Reliability case 46: a code or type mapped to context_length on a 5xx is passed over."""
    by_status = ErrorClass.OVERLOADED if status == 529 else ErrorClass.SERVER_ERROR
    assert class_of(status, "a", a="context_length") is by_status
    assert class_of(status, None, "a", a="context_length") is by_status
    assert class_of(status, "a", "b", a="context_length", b="timeout") is ErrorClass.TIMEOUT
    assert class_of(status, LENGTH, is_context_length=True) is by_status
    assert class_of(499, "a", a="context_length") is ErrorClass.CONTEXT_LENGTH


@pytest.mark.parametrize("status", [400, 413])
def test_a_prompt_that_is_too_long_has_its_class(status: int) -> None:
    """Reliability case 47: by code or by what the dialect has read, before a type counts."""
    assert class_of(status, LENGTH) is ErrorClass.CONTEXT_LENGTH
    assert class_of(status, "other", "a", is_context_length=True, a="auth") is ErrorClass.CONTEXT_LENGTH
    assert class_of(status, "other", is_context_length=True, other="client_error") is ErrorClass.CLIENT_ERROR


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429])
def test_on_other_statuses_it_has_not(status: int) -> None:
    """Reliability case 47: the code for it and the text for it count on two statuses only."""
    assert class_of(status, LENGTH, is_context_length=True) is class_of(status)


def test_an_operator_can_overrule_what_a_dialect_knows() -> None:
    """Reliability §4: mapping the code for it maps the text for it as well."""
    assert class_of(400, LENGTH, context_length_exceeded="client_error") is ErrorClass.CLIENT_ERROR
    assert class_of(400, None, is_context_length=True, context_length_exceeded="billing") is ErrorClass.BILLING


def test_a_word_that_is_no_class_is_ignored_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Reliability §4: should one get past the loader, the rest of the order decides, with one warning per word."""
    with caplog.at_level(logging.WARNING, "busbar_fast.reliability"):
        for _ in range(3):
            assert class_of(429, "a", "b", a="nonsense", b="billing") is ErrorClass.BILLING
            assert class_of(429, None, "b", b="more nonsense") is ErrorClass.RATE_LIMIT
    assert [record.getMessage() for record in caplog.records] == [
        "error_map: 'nonsense' is no class and is ignored",
        "error_map: 'more nonsense' is no class and is ignored",
    ]


def test_dialects_know_a_prompt_that_is_too_long_as_this_does() -> None:
    """Reliability §4: neither knows the other, so the code and the statuses stand in both."""
    assert (CONTEXT_CODE, _CONTEXT_STATUSES) == (upstream_errors.CONTEXT_CODE, upstream_errors.CONTEXT_STATUSES)


@pytest.mark.parametrize(
    ("error_class", "disposition"),
    [
        (ErrorClass.RATE_LIMIT, Disposition.TRANSIENT),
        (ErrorClass.OVERLOADED, Disposition.TRANSIENT),
        (ErrorClass.SERVER_ERROR, Disposition.TRANSIENT),
        (ErrorClass.TIMEOUT, Disposition.TRANSIENT),
        (ErrorClass.NETWORK, Disposition.TRANSIENT),
        (ErrorClass.AUTH, Disposition.HARD_DOWN_AUTH),
        (ErrorClass.BILLING, Disposition.HARD_DOWN_BILLING),
        (ErrorClass.CLIENT_ERROR, Disposition.CLIENT_FAULT),
        (ErrorClass.CONTEXT_LENGTH, Disposition.CONTEXT),
    ],
)
def test_each_class_has_its_disposition(error_class: ErrorClass, disposition: Disposition) -> None:
    """Reliability §5: the table, complete."""
    assert disposition_of(error_class) is disposition


def test_the_table_is_complete() -> None:
    """Reliability §5: no class without a disposition, and all but the caller's key come from a class."""
    assert {disposition_of(error_class) for error_class in ErrorClass} == set(Disposition) - {Disposition.CALLERS_KEY}


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_of_the_callers_own_is_nobodys_fault(status: int) -> None:
    """Reliability case 45: checked before classification, so no operator's word makes a lane suffer for it."""
    verdict = judge(status, "a", None, is_context_length=False, error_map={"a": "billing"}, passes_on=True)
    assert verdict == Verdict(None, Disposition.CALLERS_KEY)
    verdict = judge(status, "a", None, is_context_length=False, error_map={"a": "billing"}, passes_on=False)
    assert verdict == Verdict(ErrorClass.BILLING, Disposition.HARD_DOWN_BILLING)
    assert (is_callers_key(status, passes_on=True), is_callers_key(status, passes_on=False)) == (True, False)


def test_other_answers_are_judged_alike_whosever_key_it_was() -> None:
    """Reliability case 43: passing keys on changes nothing about limits and failures."""
    for passes_on in (True, False):
        verdict = judge(429, "1113", None, is_context_length=False, error_map={"1113": "billing"}, passes_on=passes_on)
        assert verdict == Verdict(ErrorClass.BILLING, Disposition.HARD_DOWN_BILLING)
        assert judge(400, None, None, is_context_length=True, error_map={}, passes_on=passes_on) == Verdict(
            ErrorClass.CONTEXT_LENGTH, Disposition.CONTEXT
        )
