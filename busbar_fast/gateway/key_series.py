"""What `/metrics` shows of virtual keys: where each stands now, and whether what they spend is being stored."""

import logging
from collections.abc import Iterator
from typing import Final

from busbar_fast.gateway.governor import Governor
from busbar_fast.observe.exposition import COUNTER, GAUGE, Family

_log = logging.getLogger("busbar_fast.governance")

_MOST_KEYS: Final = 2000
_WHO: Final = ("key",)


def key_families(governor: Governor) -> Iterator[Family]:
    """Yield the series of a governor; of very many keys only the oldest are shown."""
    keys = [held.key for held in governor.ring.all()]
    is_truncated = len(keys) > _MOST_KEYS
    if is_truncated and not governor.has_truncated:
        governor.has_truncated = True
        _log.warning("%d keys: /metrics shows the oldest %d of them", len(keys), _MOST_KEYS)
    standings = [(key.id, governor.standing(key)) for key in keys[:_MOST_KEYS]]
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
