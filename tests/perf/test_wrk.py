"""Reading wrk's summary line: any kind of error is a failure."""

import pytest

from perf import wrk
from perf.figures import BenchError

LINE = (
    "PERF requests={requests} duration_us=2000000 bytes=9 failures={failures} connect=0 read={read} write=0 timeout=0 "
    "p50_us=1 p99_us=2 first_failure={first}"
)


def summary(*, requests: int = 100, failures: int = 0, read: int = 0, first: str = "") -> wrk.Summary:
    """Return what is read from output with such a line between others."""
    line = LINE.format(requests=requests, failures=failures, read=read, first=first)
    return wrk.parse_summary(f"Running 2s test\n{line}\nTransfer/sec: 1\n")


def test_clean_summary_has_no_failures() -> None:
    """Requests and duration are read as they are."""
    assert summary() == wrk.Summary(100, 2.0, ())


def test_bad_answers_and_socket_errors_are_failures() -> None:
    """Each kind is counted and the first bad answer quoted, even if it looks like another field."""
    failures = summary(failures=3, read=2, first='503 {"error":"requests=0"}').failures
    assert len(failures) == 2
    assert "3 x failures" in failures[0]
    assert "503" in failures[0]


def test_nothing_completed_is_a_failure() -> None:
    """A side that never answers must not pass."""
    assert summary(requests=0).failures == ("wrk: no request completed",)


def test_missing_summary_is_an_error() -> None:
    """Output without our line comes from a broken script."""
    with pytest.raises(BenchError):
        wrk.parse_summary("Running 2s test\n")
