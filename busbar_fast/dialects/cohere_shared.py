"""What embedding models of one vendor take and give, whether at the vendor's own or at a host of them."""

from collections.abc import Mapping
from typing import Final

from busbar_fast.dialects.embedder import vectors_in
from busbar_fast.dialects.members import Members, is_object, object_of
from busbar_fast.errors import Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Purpose
from busbar_fast.ir.report import Report

# What the newer models insist on being told.
WORDS: Final = {
    Purpose.DOCUMENT: "search_document",
    Purpose.QUERY: "search_query",
    Purpose.CLASSIFICATION: "classification",
    Purpose.CLUSTERING: "clustering",
}


def members_of(embed: Embed, cuts: Mapping[Cut, str], report: Report) -> dict[str, object]:
    """Return a request without its model; `cuts` are the words for what is cut off."""
    if embed.purpose is Purpose.NONE:
        report.filled("input_type", WORDS[Purpose.DOCUMENT])
    members: dict[str, object] = {
        "texts": embed.texts,
        "input_type": WORDS.get(embed.purpose, WORDS[Purpose.DOCUMENT]),
        "embedding_types": ["float"],
    }
    if embed.dimensions is not None:
        members["output_dimension"] = embed.dimensions
    if embed.cut in cuts:
        members["truncate"] = cuts[embed.cut]
    elif embed.cut is not Cut.UNSAID:
        report.dropped("truncate")
    return members


def read_vectors(members: Members) -> list[list[float]]:
    """Return the vectors of an answer, by type or of the one type there was at first. Raise Misshapen."""
    raw = members.raw("embeddings")
    if raw and is_object(raw):
        raw = object_of(raw, "embeddings").raw("float")
    if not raw:
        raise Misshapen("embeddings", "is missing")
    return vectors_in(raw, "embeddings")
