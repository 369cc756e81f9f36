"""Texts and vectors as this vendor writes them: `/v2/embed`."""

from typing import Final

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.cohere.translation.usages import read_usage
from busbar_fast.dialects.cohere_shared import WORDS, members_of, read_vectors
from busbar_fast.dialects.embedder import ClientEmbedder, LaneEmbedder, dimensions_in, drop_rest, pack, texts_in
from busbar_fast.dialects.members import Members, read_object, text_of, write
from busbar_fast.dialects.minting import uuid4
from busbar_fast.errors import Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Encoding, Purpose, Vectors
from busbar_fast.ir.report import Report
from busbar_fast.wire.heads import Fields

_PURPOSES: Final = {word: purpose for purpose, word in WORDS.items()}
_CUTS: Final = {Cut.NEVER: "NONE", Cut.START: "START", Cut.END: "END"}
_WORDS_OF_CUTS: Final = {word: cut for cut, word in _CUTS.items()}
_ENCODINGS: Final = {"float": Encoding.FLOAT, "base64": Encoding.BASE64}
_NO_TEXTS: Final = ("images", "inputs")


class _Embedder(ClientEmbedder, LaneEmbedder):
    """See the module."""

    def read_request(self, body: bytes, ask: Ask, report: Report) -> Embed:  # noqa: ARG002  one path only
        members = read_object(body)
        members.raw("model")
        for name in _NO_TEXTS:
            if members.raw(name):
                raise members.wrong(name, "this model takes texts only")
        word = members.text("input_type")
        purpose = _PURPOSES.get(word, Purpose.NONE)
        if word and purpose is Purpose.NONE:
            report.dropped("input_type")
        embed = Embed(
            texts_in(members.raw("texts"), "texts"),
            "texts",
            dimensions_in(members, "output_dimension"),
            purpose,
            _WORDS_OF_CUTS.get(members.text("truncate"), Cut.UNSAID),
            _encodings(members),
        )
        drop_rest(members, report)
        return embed

    def write_request(self, embed: Embed, model: str, report: Report) -> bytes:
        return write({"model": model, **members_of(embed, _CUTS, report)})

    def read_answer(self, body: bytes, fields: Fields) -> Vectors:  # noqa: ARG002  the body says it all
        members = read_object(body)
        usage = read_usage(members.maybe_object("meta"))
        return Vectors(read_vectors(members), None if usage is None else usage.input)

    def write_answer(self, vectors: Vectors, embed: Embed, ask: Ask) -> bytes:  # noqa: ARG002  one path only
        written: dict[str, object] = {}
        if Encoding.FLOAT in embed.encodings:
            written["float"] = vectors.vectors
        if Encoding.BASE64 in embed.encodings:
            written["base64"] = [pack(vector) for vector in vectors.vectors]
        billed = {"input_tokens": vectors.input_tokens or 0}
        return write(
            {
                "id": uuid4(),
                "texts": embed.texts,
                "embeddings": written,
                "meta": {"api_version": {"version": "2"}, "billed_units": billed},
                "response_type": "embeddings_by_type",
            }
        )


def _encodings(members: Members) -> tuple[Encoding, ...]:
    """Return the forms that are asked for; those that only the vendor can make of a vector are refused."""
    found = []
    for raw in members.maybe_items("embedding_types") or ():
        encoding = _ENCODINGS.get(text_of(raw) or "")
        if encoding is None:
            raise Misshapen("embedding_types", "this model has float and base64 only")
        found.append(encoding)
    return tuple(found) or (Encoding.FLOAT,)


EMBEDDER: Final = _Embedder()
