"""What `/metrics` shows of virtual keys: where each stands now, and whether what they spend is being stored."""

import logging
from collections.abc import Iterator
from typing import Final

from busbar_fast.gateway.governor import Governor
from busbar_fast.observe.exposition import COUNTER, GAUGE, Family
from busbar_fast.observe.log import fields

_log = logging.getLogger("busbar_fast.governance")

_WHO: Final = ("key",)


def key_families(governor: Governor, most: int) -> Iterator[Family]:
    """Yield the series of a governor; of more keys than are wanted only those that spent most are shown."""
    standings = [(held.key.id, governor.standing(held.key)) for held in governor.ring.all()]
    is_truncated = len(standings) > most
    if is_truncated:
        standings.sort(key=lambda pair: pair[1].spend_cents, reverse=True)
        del standings[most:]
        if most and not governor.has_truncated:
            governor.has_truncated = True
            _log.warning("not every key is shown in /metrics, but those that spent most", extra=fields(shown=most))
    spent = [((name,), standing.spend_cents) for name, standing in standings]
    yield Family(GAUGE, "busbar_key_spend_cents", "Cents spent in the key's present window.", _WHO, spent)
    left = [((name,), at.remaining_cents) for name, at in standings if at.remaining_cents is not None]
    text = "Cents left in the key's present window."
    yield Family(GAUGE, "busbar_key_budget_remaining_cents", text, _WHO, left)
    tokens = [((name,), standing.tokens) for name, standing in standings]
    yield Family(GAUGE, "busbar_key_tokens_total", "Tokens used in the key's present window.", _WHO, tokens)
    text = "Whether there are more keys than are shown."
    yield Family(GAUGE, "busbar_key_gauges_truncated", text, (), [((), int(is_truncated))])
    text = "Times that what keys have spent could not be stored, and was kept."
    yield Family(COUNTER, "busbar_governance_flush_failures", text, (), [((), governor.flush_failures)])
