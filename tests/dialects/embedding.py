"""Speaks to the embedders of one dialect as their neighbours do: documents in, documents out."""

import json
from typing import Any

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.registry import client_embedder, lane_embedder, speak
from busbar_fast.ir.embeddings import Embed, Vectors
from busbar_fast.ir.report import Report
from tests.dialects.translating import lost


class Bench:
    """The embedders of one dialect, and what was lost by the last call."""

    def __init__(self, name: str) -> None:
        self.dialect = speak(name)
        self.lost: set[tuple[str, str]] = set()

    def read(self, document: object, action: str = "") -> Embed:
        """Read a client's request."""
        report = Report()
        found = client_embedder(self.dialect).read_request(_bytes(document), self._ask(action), report)
        self.lost = lost(report)
        return found

    def write(self, embed: Embed, model: str = "m") -> Any:
        """Write a request for an upstream."""
        report = Report()
        written = lane_embedder(self.dialect).write_request(embed, model, report)
        self.lost = lost(report)
        return json.loads(written)

    def read_answer(self, document: object, **fields: bytes) -> Vectors:
        """Read an upstream's answer; the fields of its head have hyphens for underscores."""
        named = {name.replace("_", "-").encode(): value for name, value in fields.items()}
        return lane_embedder(self.dialect).read_answer(_bytes(document), named)

    def write_answer(self, vectors: Vectors, embed: Embed, action: str = "") -> Any:
        """Write an answer for a client."""
        return json.loads(client_embedder(self.dialect).write_answer(vectors, embed, self._ask(action)))

    def _ask(self, action: str) -> Ask:
        return Ask(self.dialect, Operation.EMBED, word=action or self.dialect.embed_action)


def _bytes(document: object) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()
