"""Texts on their way to a lane of another dialect, and their vectors on the way back.

Like `translation` this brings the neutral model with it and is loaded when needed. Where a lane does not count what it
was given, the tokens are guessed as they are for clients that leave: whoever asks has to be told a number, and pays.
"""

from collections.abc import Callable
from typing import Final

from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.estimating import tokens_of
from busbar_fast.dialects.faults import Kind
from busbar_fast.dialects.registry import client_embedder, lane_embedder
from busbar_fast.errors import FaultReported, Misshapen, NotJson, TooDeep
from busbar_fast.gateway.answers import MOST_BYTES, Source, StreamFailed
from busbar_fast.gateway.crossing import Crossing
from busbar_fast.gateway.lanes import Lane
from busbar_fast.gateway.offers import Tolerance
from busbar_fast.gateway.replies import JSON, id_line
from busbar_fast.gateway.requests import Request
from busbar_fast.ir.embeddings import Embed, Vectors
from busbar_fast.ir.report import Report
from busbar_fast.wire.heads import ResponseHead

_OK: Final = 200


class Embedding(Crossing[Embed]):
    """See the module, and `Crossing`. Raise Refused if the request cannot be written for this lane."""

    __slots__ = ("client", "other")

    def __init__(self, request: Request, lane: Lane, tolerance: Tolerance) -> None:
        self.client, self.other = client_embedder(request.dialect), lane_embedder(lane.dialect)
        super().__init__(request, lane, tolerance)

    def new_answer(
        self,
        source: Source,
        head: ResponseHead,
        *,
        begin_well: Callable[[], None],
        count: Callable[[Usage], None],
    ) -> "Embedded":
        """Return the lane's answer as the client gets it."""
        return Embedded(self, source, head, begin_well=begin_well, count=count)

    def _read_request(self, report: Report) -> Embed:
        return self.client.read_request(self.request.body, self.request.ask, report)

    def _write_request(self) -> bytes:
        return self.other.write_request(self.neutral, self.model, self._report)


class Embedded:
    """The vectors of a lane as the client gets them: one document, whole or not at all."""

    __slots__ = ("_begin_well", "_count", "_embedding", "_head", "_source", "fault", "has_stopped")

    keepalive_s = 0.0
    is_between = False
    stopped_by = "upstream"  # it never stops once it has begun

    def __init__(
        self,
        embedding: Embedding,
        source: Source,
        head: ResponseHead,
        *,
        begin_well: Callable[[], None],
        count: Callable[[Usage], None],
    ) -> None:
        self._embedding = embedding
        self._source = source
        self._head = head
        self._begin_well = begin_well
        self._count = count
        self.fault: StreamFault | None = None  # nothing can fail that has begun
        self.has_stopped = False

    async def give(self) -> None:
        """Give the client the answer. Raise what the lane did wrong while another one may still be asked."""
        embedding, request = self._embedding, self._embedding.request
        document, is_whole = await self._source.read_body(MOST_BYTES)
        try:
            written = self._translated(document) if is_whole else None
        except FaultReported as error:
            raise StreamFailed(StreamFault("", error.payload), b"", b"") from error
        except (Misshapen, NotJson, TooDeep):
            written = None
        self._begin_well()
        if written is None:  # nobody can read it; the lane has done its part
            request.refuse(Kind.INTERNAL)
            return
        body, usage = written
        if request.is_metered:
            self._count(usage)
        own = request.own_lines + embedding.losses_line
        request.exchange.reply(_OK, JSON + id_line(request.dialect) + own, body)

    def _translated(self, document: bytes) -> tuple[bytes, Usage] | None:
        """Return the answer for the client and what it used; None if some of its texts have no vector."""
        embedding, request = self._embedding, self._embedding.request
        found = embedding.other.read_answer(document, self._head.fields)
        if len(found.vectors) != len(embedding.neutral.texts):
            return None
        tokens = found.input_tokens
        if tokens is None:
            tokens = tokens_of(sum(map(len, embedding.neutral.texts)))
            report = Report()
            report.filled("usage")
            embedding.count_losses(report)
        shown = Vectors(found.vectors, tokens, found.model or embedding.model)
        return embedding.client.write_answer(shown, embedding.neutral, request.ask), Usage(tokens, 0)
