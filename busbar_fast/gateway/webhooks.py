"""A policy behind a URL: one question, one answer, all of it within the time the pool gives.

The question goes out from the strand of the request that it is about, so a client that leaves takes it along. It is
asked over connections that no lane uses: the guard for sinks judges every address they lead to, and is part of what
makes two of them equal. What the URL says of a user travels as a header field and gets into no log.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from busbar_fast.config.guards import Level
from busbar_fast.config.schema import Security
from busbar_fast.errors import PolicyFailed, UpstreamTimeout
from busbar_fast.gateway.courier import Sink, sink_at
from busbar_fast.gateway.rankers import Ranker, Terms, facts_of
from busbar_fast.reliability.policies.candidates import Candidate, Order
from busbar_fast.reliability.policies.webhook import ANSWER_CAP_BYTES, encode_question, parse_answer
from busbar_fast.reliability.pools import Pool
from busbar_fast.wire.pool import Origin
from busbar_fast.wire.pool import Pool as Upstreams

if TYPE_CHECKING:
    from busbar_fast.gateway.requests import Request


class WebhookRanker(Ranker):
    """See the module."""

    def __init__(self, terms: Terms, sink: Sink, timeout_s: float) -> None:
        super().__init__(terms)
        self._sink = sink
        self._timeout_s = timeout_s

    @property
    def maybe_origin(self) -> Origin:
        """Where its questions go to."""
        return self._sink.origin

    async def _rank(self, request: "Request", pool: Pool, candidates: Sequence[Candidate]) -> Order:
        exchange, timeout_s = request.exchange, min(self._timeout_s, pool.settings.timeout_s)
        with exchange.within(timeout_s, _too_slow):  # counting what the body holds included
            question = encode_question(facts_of(request, pool), candidates)
            raw = self._sink.encode(question)
            with await self._sink.origin.call(exchange, b"POST", raw, timeout_s) as upstream:
                answer = upstream.head
                assert answer is not None
                if not 200 <= answer.status < 300:
                    raise PolicyFailed(f"the webhook answered {answer.status}")
                body, is_whole = await upstream.read_body(ANSWER_CAP_BYTES)
        if not is_whole:
            raise PolicyFailed("the webhook's answer is too long")
        return parse_answer(body)


def new_webhook_ranker(
    terms: Terms, url: str, timeout_s: float, upstreams: Upstreams, security: Security
) -> WebhookRanker:
    """Return who asks at this URL."""
    return WebhookRanker(terms, sink_at(url, Level.SINK, upstreams, security), timeout_s)


def _too_slow() -> UpstreamTimeout:
    return UpstreamTimeout("no answer from the webhook in time")
