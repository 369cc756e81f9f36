"""Vectors by InvokeModel, whose body is the model's own: one text for the host's models, several for another maker's.

Clients are not served so: what they write depends on the model that they believe to ask.
"""

from typing import Final

from busbar_fast.dialects.cohere_shared import members_of, read_vectors
from busbar_fast.dialects.embedder import LaneEmbedder, note_unsaid, vector_in
from busbar_fast.dialects.members import read_object, write
from busbar_fast.errors import Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Vectors
from busbar_fast.ir.report import Report
from busbar_fast.wire.heads import Fields

_HOSTS_OWN: Final = "titan-embed"
_WITH_DIMENSIONS: Final = "titan-embed-text-v2"
_CUTS: Final = {Cut.NEVER: "NONE"}  # the words for the others differ from model to model
_COUNT: Final = b"x-amzn-bedrock-input-token-count"


class _Embedder(LaneEmbedder):
    """See the module."""

    def write_request(self, embed: Embed, model: str, report: Report) -> bytes:
        if _HOSTS_OWN not in model:
            return write(members_of(embed, _CUTS, report))
        if len(embed.texts) != 1:
            raise Misshapen(embed.place, "this model takes one text at a time")
        note_unsaid(embed, report)
        members: dict[str, object] = {"inputText": embed.texts[0]}
        if embed.dimensions is not None and _WITH_DIMENSIONS in model:
            members["dimensions"] = embed.dimensions
        elif embed.dimensions is not None:
            report.dropped("dimensions")
        return write(members)

    def read_answer(self, body: bytes, fields: Fields) -> Vectors:
        members = read_object(body)
        alone = members.raw("embedding")
        vectors = [vector_in(alone, "embedding")] if alone else read_vectors(members)
        told = members.count("inputTextTokenCount")
        counted = fields.get(_COUNT, b"")
        if told is None and counted.isdigit():
            told = int(counted)
        return Vectors(vectors, told)


EMBEDDER: Final = _Embedder()
