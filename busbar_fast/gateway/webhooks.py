"""A policy behind a URL: one question, one answer, all of it within the time the pool gives.

The question goes out from the strand of the request that it is about, so a client that leaves takes it along. It is
asked over connections of its own, and the guard for sinks judges every address they lead to. What the URL says of a
user travels as a header field and gets into no log.
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from busbar_fast import __version__
from busbar_fast.config.guards import AddressGuard, Exemptions, Level
from busbar_fast.config.schema import Security
from busbar_fast.errors import PolicyFailed, UpstreamTimeout
from busbar_fast.gateway.rankers import Ranker, Terms, facts_of
from busbar_fast.gateway.targets import Target, sink_target_of
from busbar_fast.reliability.policies.candidates import Candidate, Order
from busbar_fast.reliability.policies.webhook import ANSWER_CAP_BYTES, encode_question, parse_answer
from busbar_fast.reliability.pools import Pool
from busbar_fast.wire.pool import Origin, OriginKey
from busbar_fast.wire.pool import Pool as Upstreams

if TYPE_CHECKING:
    from busbar_fast.gateway.requests import Request

_HEAD = (
    b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
    b"Accept-Encoding: identity\r\nUser-Agent: busbar-fast/%b\r\n%bContent-Length: "
)


class WebhookRanker(Ranker):
    """See the module. `head` is everything before the number of the question's bytes."""

    def __init__(self, terms: Terms, origin: Origin, head: bytes, timeout_s: float) -> None:
        super().__init__(terms)
        self._origin = origin
        self._head = head
        self._timeout_s = timeout_s

    @property
    def maybe_origin(self) -> Origin:
        """Where its questions go to."""
        return self._origin

    async def _rank(self, request: "Request", pool: Pool, candidates: Sequence[Candidate]) -> Order:
        exchange, timeout_s = request.exchange, self._timeout_s
        with exchange.within(timeout_s, _too_slow):  # counting what the body holds included
            question = encode_question(facts_of(request, pool), candidates)
            raw = b"%b%d\r\n\r\n%b" % (self._head, len(question), question)
            with await self._origin.call(exchange, b"POST", raw, timeout_s) as upstream:
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
    target, userinfo = sink_target_of(url)
    exemptions = Exemptions(blocked=security.blocked_metadata_hosts, sinks=security.allow_sink_hosts)
    guard = AddressGuard(exemptions, Level.SINK)
    key = OriginKey(is_tls=target.is_tls, host=target.host, port=target.port, policy=guard)
    return WebhookRanker(terms, upstreams.origin(key), head_of(target, userinfo), timeout_s)


def head_of(target: Target, userinfo: str) -> bytes:
    """Return the head of every question up to its length; what a URL says of a user is shown as RFC 7617 has it."""
    credential = b""
    if userinfo:
        user, _, password = userinfo.partition(":")
        pair = b"%b:%b" % (unquote_to_bytes(user), unquote_to_bytes(password))
        credential = b"Authorization: Basic %b\r\n" % b64encode(pair)
    return _HEAD % (target.path, target.authority, __version__.encode(), credential)


def _too_slow() -> UpstreamTimeout:
    return UpstreamTimeout("no answer from the webhook in time")
