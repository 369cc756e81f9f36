"""The gateway as a responder: which path is answered by whom."""

import time
from typing import TYPE_CHECKING

from busbar_fast.errors import Overloaded
from busbar_fast.gateway.forward import forward
from busbar_fast.gateway.replies import JSON, TEXT, refuse
from busbar_fast.gateway.topology import Topology
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.gate import Gate

if TYPE_CHECKING:
    from busbar_fast.wire.service import Service

_PROBES = frozenset((b"/healthz", b"/livez", b"/readyz"))
_CHAT = b"/v1/chat/completions"
_MODELS = b"/v1/models"
_READS = (b"GET", b"HEAD")


class Gateway:
    """Routes exchanges. `service` is set once the gateway serves one; `topology` is replaced by a reload."""

    __slots__ = ("_gate", "_started_s", "service", "topology")

    def __init__(self, topology: Topology, gate: Gate) -> None:
        self.topology = topology
        self._gate = gate
        self._started_s = int(time.time())
        self.service: Service | None = None

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Probes pass the gate by: whoever asks for health asks most urgently under full load."""
        path = exchange.head.target.partition(b"?")[0]
        if path in _PROBES:
            self._answer_probe(exchange, path)
            return
        try:
            with await self._gate.enter(exchange):
                await self._route(exchange, path)
        except Overloaded:
            refuse(exchange, 503, "The server is overloaded or not ready yet.", fields=b"Retry-After: 1\r\n")

    async def _route(self, exchange: Exchange, path: bytes) -> None:
        method = exchange.head.method
        if path == _CHAT:
            if method != b"POST":
                self._refuse_method(exchange, b"POST")
            else:
                await forward(exchange, self.topology)
        elif path == _MODELS:
            if method in _READS:
                self._list_models(exchange)
            else:
                self._refuse_method(exchange, b"GET, HEAD")
        else:
            refuse(exchange, 404, f"Invalid URL ({method.decode()} {path.decode('latin-1')})")

    def _list_models(self, exchange: Exchange) -> None:
        from busbar_fast.dialects import openai_chat  # noqa: PLC0415  see `refuse`

        exchange.reply(200, JSON, openai_chat.encode_models(self.topology.names, self._started_s))

    def _answer_probe(self, exchange: Exchange, path: bytes) -> None:
        if exchange.head.method not in _READS:
            self._refuse_method(exchange, b"GET, HEAD")
            return
        is_leaving = self.service is not None and self.service.is_leaving
        if is_leaving and path != b"/livez":
            exchange.reply(503, TEXT, b"draining")
        elif path == b"/healthz" and not self.topology.lanes:
            exchange.reply(503, TEXT, b"no usable lanes")
        else:
            exchange.reply(200, TEXT, b"ok")

    def _refuse_method(self, exchange: Exchange, allowed: bytes) -> None:
        method = exchange.head.method.decode()
        refuse(exchange, 405, f"Method {method} is not allowed here.", fields=b"Allow: %b\r\n" % allowed)
