"""What an answer used, where it says no more than the three counts that every server of this dialect writes.

It stands apart from the watch, which is not needed before an answer comes that says more. Hot.
"""

from typing import Final

from busbar_fast.dialects.dialect import Usage

_BACKSLASH: Final = 0x5C
_START: Final = b'"usage":{"prompt_tokens":'
_GIVEN: Final = b'"completion_tokens":'
_TOTAL: Final = b'"total_tokens":'
_COUNTS: Final = 3
_MOST_DIGITS: Final = 18


def plain_usage(document: bytes) -> Usage | None:
    """Return what the last member of an answer counts, written compactly; None for any other bytes.

    What begins so can stand in no string, whose quotes would have backslashes before them.
    """
    # HOT: 0.6 µs in place of 1.9 with a watch, perf/micro/bench_watch.py, CPython 3.11, 2026-11
    at = document.rfind(_START)
    if at <= 0 or document[at - 1] == _BACKSLASH or not document.endswith(b"}}"):
        return None
    start, end = at + len(_START), len(document) - 2
    counts = document[start:end].split(b",") if start < end else []
    if len(counts) != _COUNTS or not counts[1].startswith(_GIVEN) or not counts[2].startswith(_TOTAL):
        return None
    taken, given = counts[0], counts[1][len(_GIVEN) :]
    if len(taken) > _MOST_DIGITS or len(given) > _MOST_DIGITS or not counts[2][len(_TOTAL) :].isdigit():
        return None
    return Usage(int(taken), int(given)) if taken.isdigit() and given.isdigit() else None
