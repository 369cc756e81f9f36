"""Refusals of upstreams as tests read them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from busbar_fast.dialects.upstream_errors import UpstreamError
from busbar_fast.reliability.dispositions import ErrorClass, classify
from busbar_fast.wire.heads import Fields

NOW_S = 1_764_124_800.0  # Wed, 26 Nov 2025 02:40:00 GMT
Read = Callable[[int, Fields, bytes, float], UpstreamError]


class Row(NamedTuple):
    """One answer, and what is to be read in it."""

    status: int
    body: bytes
    code: str | None
    type: str | None
    message: str | None
    error_class: ErrorClass


def class_of(error: UpstreamError, error_map: Mapping[str, str] | None = None) -> ErrorClass:
    """Return the class that an error comes to."""
    return classify(
        error.status,
        error.code,
        error.type,
        is_context_length=error.is_context_length,
        error_map=error_map or {},
    )


def check(read: Read, row: Row) -> None:
    """Demand that a row is read as it says."""
    error = read(row.status, {}, row.body, NOW_S)
    assert (error.code, error.type, error.message) == (row.code, row.type, row.message)
    assert class_of(error) is row.error_class
    assert error.is_context_length == (row.error_class is ErrorClass.CONTEXT_LENGTH)
    assert error.retry_after_s is None
