"""Refusals of every lane for every client: the status and the kind that the client's vendor has for them."""

import json
from itertools import product

import pytest

from busbar_fast.dialects.faults import Kind, kind_of
from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.gateway.replies import fault_of
from busbar_fast.mock.script import Script
from busbar_fast.wire.heads import Fields
from tests.dialects.vendors import told as told_by

STATUSES = (400, 401, 403, 404, 408, 413, 422, 424, 429, 500, 502, 503, 504, 529)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("lane", "client"), list(product(DIALECTS, DIALECTS)))
def test_refusal_arrives_as_it_was_meant(lane: str, client: str, status: int) -> None:
    """IR §11 "golden corpus": read from the lane, written for the client, and read there as what it was."""
    told, body = told_by(lane, Script(status=status, retry_after_s=7))
    error = speak(lane).read_error(told, Fields(), body, 0.0)
    fault = fault_of(error)
    shown = speak(client).encode_fault(fault, None, b"req_1")
    assert json.loads(shown.body)
    again = speak(client).read_error(shown.status, Fields(), shown.body, 0.0)
    meant = kind_of(error.status, is_context_length=error.is_context_length)
    if (client, meant) == ("bedrock", Kind.UNAUTHENTICATED):
        meant = Kind.FORBIDDEN  # its clients know no other word for a credential that does not count
    assert kind_of(again.status, is_context_length=again.is_context_length) is meant
