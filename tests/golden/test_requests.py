"""Requests of every kind from every client to every lane: what arrives is what was asked, by the SDKs' own types."""

import json
from itertools import product
from typing import Any

import pytest

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.preparing import prepare_request
from busbar_fast.dialects.registry import DIALECTS, speak, translator
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request
from tests.golden.features import FEATURES
from tests.golden.sdk_types import REQUESTS

PAIRS = list(product(DIALECTS, DIALECTS))
# What some lanes take depends on whose model it is.
MODELS = {"bedrock": "anthropic.claude-sonnet-4-20250514-v1:0"}


def recipient(dialect: str) -> Recipient:
    """Return a lane that may be asked for everything."""
    return Recipient(MODELS.get(dialect, "m"), has_reasoning=True, has_prompt_caching=True)


def written(request: Request, dialect: str, report: Report) -> Any:
    """Return a neutral request as a dialect writes it."""
    writing = translator(speak(dialect))
    prepared = prepare_request(request, writing.abilities, recipient(dialect), report)
    return json.loads(writing.write_request(prepared, recipient(dialect), report))


def read(document: Any, dialect: str) -> Request:
    """Return what a dialect reads; of a model in the path the document says nothing."""
    ask = Ask(speak(dialect), Operation.CONVERSE, name="m", in_stream=False)
    return translator(speak(dialect)).read_request(json.dumps(document).encode(), ask, Report())


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize(("client", "lane"), PAIRS)
def test_request_arrives_as_it_was_asked(client: str, lane: str, name: str) -> None:
    """IR §11, cases 53, 54: both sides are what the SDKs take, and what was asked is there or reported as lost."""
    feature = FEATURES[name]
    asked = written(feature.request, client, Report())
    REQUESTS[client](asked)
    if client in feature.missing:
        return  # its clients cannot ask for it
    neutral = read(asked, client)
    wanted = feature.look(feature.request)
    assert feature.look(neutral) == wanted
    report = Report()
    sent = written(neutral, lane, report)
    REQUESTS[lane](sent)
    if lane in feature.missing:
        assert feature.look(read(sent, lane)) != wanted
        assert report.entries
    else:
        assert feature.look(read(sent, lane)) == wanted
