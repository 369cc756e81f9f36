"""What translations lose is logged so seldom that a log can still be read."""

import logging

import pytest

from busbar_fast.gateway.losses import LossLog

SEED = ("openai", "anthropic", "dropped", "seed")
STOP = ("openai", "anthropic", "truncated", "stop")


def test_each_kind_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """IR case 14: the same loss once, with how many went by when it is logged again; another one at once."""
    log = LossLog()
    with caplog.at_level(logging.WARNING, "busbar_fast.gateway"):
        for now_s in (0.0, 1.0, 59.0):
            log.note(SEED, "", now_s)
        log.note(STOP, "5", 2.0)
        log.note(SEED, "", 60.0)
    assert [record.getMessage().split(" source")[0] for record in caplog.records] == [
        "translation: dropped seed",
        "translation: truncated stop",
        "translation: dropped seed",
    ]
