"""Bodies of embedding models that are the same at their maker's and at a host."""

from typing import Any

import pytest

from busbar_fast.dialects.cohere_shared import members_of, read_vectors
from busbar_fast.dialects.members import read_object
from busbar_fast.errors import Misshapen
from busbar_fast.ir.embeddings import Cut, Embed, Purpose
from busbar_fast.ir.report import Report
from tests.dialects.translating import lost

CUTS = {Cut.NEVER: "NONE"}
PLAIN = {"texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]}


@pytest.mark.parametrize(
    ("embed", "changes", "noted"),
    [
        (Embed(["a"], "p"), {}, {("filled", "input_type")}),
        (Embed(["a"], "p", purpose=Purpose.DOCUMENT), {}, set()),
        (Embed(["a"], "p", None, Purpose.QUERY, Cut.NEVER), {"input_type": "search_query", "truncate": "NONE"}, set()),
        (Embed(["a"], "p", 64, Purpose.CLUSTERING), {"input_type": "clustering", "output_dimension": 64}, set()),
        (Embed(["a"], "p", purpose=Purpose.CLASSIFICATION, cut=Cut.END), {"input_type": "classification"},
         {("dropped", "truncate")}),
    ],
)  # fmt: skip
def test_requests(embed: Embed, changes: dict[str, Any], noted: set[tuple[str, str]]) -> None:
    """OpenAI §13: what a text is for must be said, so it is filled in and told."""
    report = Report()
    assert members_of(embed, CUTS, report) == PLAIN | changes
    assert lost(report) == noted


@pytest.mark.parametrize("written", [b'{"embeddings":[[1,2]]}', b'{"embeddings":{"int8":[[1]],"float":[[1,2]]}}'])
def test_answers_in_both_forms(written: bytes) -> None:
    """Cohere §1: vectors by type, or the list of the first version."""
    assert read_vectors(read_object(written)) == [[1.0, 2.0]]


@pytest.mark.parametrize("written", [b"{}", b'{"embeddings":{"int8":[[1]]}}', b'{"embeddings":7}'])
def test_answers_without_vectors_are_refused(written: bytes) -> None:
    """Reliability §6: an answer that nobody can read is not passed on."""
    with pytest.raises(Misshapen, match="embeddings"):
        read_vectors(read_object(written))
