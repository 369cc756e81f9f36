"""Texts and vectors as this vendor writes them: `:embedContent` for one, `:batchEmbedContents` for any number."""

from typing import Final

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.embedder import (
    ClientEmbedder,
    LaneEmbedder,
    dimensions_in,
    drop_rest,
    note_unsaid,
    vector_in,
)
from busbar_fast.dialects.gemini.translation.fields import Fields, fields_in, read_fields
from busbar_fast.dialects.members import is_object, write
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.embeddings import Embed, Purpose, Vectors
from busbar_fast.ir.report import Report
from busbar_fast.wire import heads

_BATCH: Final = "batchEmbedContents"
_WORDS: Final = {
    Purpose.DOCUMENT: "RETRIEVAL_DOCUMENT",
    Purpose.QUERY: "RETRIEVAL_QUERY",
    Purpose.CLASSIFICATION: "CLASSIFICATION",
    Purpose.CLUSTERING: "CLUSTERING",
}
_PURPOSES: Final = {word: purpose for purpose, word in _WORDS.items()}
_UNSAID: Final = ("", "TASK_TYPE_UNSPECIFIED")

_Wishes = tuple[Purpose, int | None]


class _Embedder(ClientEmbedder, LaneEmbedder):
    """See the module. Lanes are always asked for a batch."""

    def read_request(self, body: bytes, ask: Ask, report: Report) -> Embed:
        document = read_fields(body)
        is_batch = ask.action == _BATCH
        place = "requests" if is_batch else "content"
        requests = document.several("requests") if is_batch else [document]
        texts = [_read_text(request) for request in requests]
        wishes = {_read_wishes(request, report) for request in requests}
        if len(wishes) != 1:
            raise Misshapen(place, "must be one or more that ask for the same" if wishes else "must not be empty")
        ((purpose, dimensions),) = wishes
        return Embed(texts, place, dimensions, purpose)

    def write_request(self, embed: Embed, model: str, report: Report) -> bytes:
        wishes: dict[str, object] = {}
        if embed.purpose is not Purpose.NONE:
            wishes["taskType"] = _WORDS[embed.purpose]
        if embed.dimensions is not None:
            wishes["outputDimensionality"] = embed.dimensions
        note_unsaid(embed, report, takes_purpose=True)
        name = f"models/{model}"
        requests = [{"model": name, "content": {"parts": [{"text": text}]}, **wishes} for text in embed.texts]
        return write({"requests": requests})

    def read_answer(self, body: bytes, fields: heads.Fields) -> Vectors:  # noqa: ARG002  the body says it all
        document = read_fields(body)
        if is_object(document.raw("error")):
            raise FaultReported(body)
        rows = document.several("embeddings")
        vectors = [vector_in(row.raw("values"), row.place("values")) for row in rows]
        return Vectors(vectors, fields_in(document.raw("usageMetadata")).count("promptTokenCount"))

    def write_answer(self, vectors: Vectors, embed: Embed, ask: Ask) -> bytes:  # noqa: ARG002  the ask says it all
        rows = [{"values": vector} for vector in vectors.vectors]
        usage = {"usageMetadata": {"promptTokenCount": vectors.input_tokens or 0}}
        return write({"embeddings": rows, **usage} if ask.action == _BATCH else {"embedding": rows[0], **usage})


def _read_text(request: Fields) -> str:
    """Return what is to become one vector. Raise Misshapen if it is more than text."""
    request.raw("model")  # the path says it
    content = request.inner("content") or Fields({}, request.place("content"))
    parts = [part.maybe_text("text") for part in content.several("parts")]
    texts = [part for part in parts if part is not None]
    if not parts or len(texts) < len(parts):
        raise content.wrong("parts", "this model takes texts only")
    return "".join(texts)


def _read_wishes(request: Fields, report: Report) -> _Wishes:
    """Return what vectors are for and how long they should be, whichever of the two places says so."""
    config = request.inner("embedContentConfig") or Fields({})
    word = config.word("taskType", {}) or request.word("taskType", {})
    purpose = _PURPOSES.get(word, Purpose.NONE)
    if purpose is Purpose.NONE and word not in _UNSAID:
        report.dropped("input_type")
    dimensions = dimensions_in(config, "outputDimensionality") or dimensions_in(request, "outputDimensionality")
    drop_rest(config, report)
    drop_rest(request, report)
    return purpose, dimensions


EMBEDDER: Final = _Embedder()
