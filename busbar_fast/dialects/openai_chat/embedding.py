"""Texts and vectors as this vendor writes them: `/embeddings`."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.embedder import (
    ClientEmbedder,
    LaneEmbedder,
    dimensions_in,
    drop_rest,
    note_unsaid,
    pack,
    texts_in,
    vector_in,
)
from busbar_fast.dialects.members import Members, read_object, write
from busbar_fast.dialects.openai_chat.watch import NO_ERRORS
from busbar_fast.errors import FaultReported
from busbar_fast.ir.embeddings import Cut, Embed, Encoding, Vectors
from busbar_fast.ir.report import Report
from busbar_fast.wire.heads import Fields

_NULL: Final = Raw(b"null")
_ENCODINGS: Final = {"": Encoding.FLOAT, "float": Encoding.FLOAT, "base64": Encoding.BASE64}


class _Embedder(ClientEmbedder, LaneEmbedder):
    """See the module. A text that is too long is an error here."""

    def read_request(self, body: bytes, ask: Ask, report: Report) -> Embed:  # noqa: ARG002  one path only
        members = read_object(body)
        members.raw("model")
        encoding = _ENCODINGS.get(members.text("encoding_format"))
        if encoding is None:
            raise members.wrong("encoding_format", "must be float or base64")
        embed = Embed(
            texts_in(members.raw("input"), "input"),
            "input",
            dimensions_in(members, "dimensions"),
            cut=Cut.NEVER,
            encodings=(encoding,),
        )
        drop_rest(members, report)
        return embed

    def write_request(self, embed: Embed, model: str, report: Report) -> bytes:
        note_unsaid(embed, report)
        members: dict[str, object] = {"model": model, "input": embed.texts, "encoding_format": "float"}
        if embed.dimensions is not None:
            members["dimensions"] = embed.dimensions
        return write(members)

    def read_answer(self, body: bytes, fields: Fields) -> Vectors:  # noqa: ARG002  the body says it all
        members = read_object(body)
        if bytes(members.raw("error") or _NULL) not in NO_ERRORS:
            raise FaultReported(body)
        rows = sorted(members.objects("data"), key=_index_of)  # back ends may answer in any order
        usage = members.maybe_object("usage")
        return Vectors(
            [vector_in(row.raw("embedding"), row.place("embedding")) for row in rows],
            None if usage is None else usage.count("prompt_tokens"),
            members.maybe_text("model") or "",
        )

    def write_answer(self, vectors: Vectors, embed: Embed, ask: Ask) -> bytes:  # noqa: ARG002  one path only
        is_packed = embed.encodings == (Encoding.BASE64,)
        rows = [
            {"object": "embedding", "index": index, "embedding": pack(vector) if is_packed else vector}
            for index, vector in enumerate(vectors.vectors)
        ]
        tokens = vectors.input_tokens or 0
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return write({"object": "list", "data": rows, "model": vectors.model, "usage": usage})


def _index_of(row: Members) -> int:
    return row.integer("index") or 0


EMBEDDER: Final = _Embedder()
