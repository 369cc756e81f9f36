"""The list of models in the shape of the Messages API."""

from datetime import UTC, datetime

import httpx2
import orjson
from anthropic import Anthropic

from busbar_fast.dialects.anthropic.models import encode_model, encode_models

CREATED_S = 1_760_000_000
ROW = {
    "type": "model",
    "id": "fast",
    "display_name": "fast",
    "created_at": "2025-10-09T08:53:20Z",
    "lifecycle": "active",
}


def client_of(body: bytes) -> Anthropic:
    """Return the official client of a server that always says the same."""
    headers = {"content-type": "application/json"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=body))
    return Anthropic(api_key="k", base_url="http://x", http_client=httpx2.Client(transport=transport), max_retries=0)


def test_the_list_is_one_page() -> None:
    """Names keep their order, and the page says that it is the last."""
    assert orjson.loads(encode_models(["fast", 'odd "name"'], CREATED_S)) == {
        "data": [ROW, ROW | {"id": 'odd "name"', "display_name": 'odd "name"'}],
        "has_more": False,
        "first_id": "fast",
        "last_id": 'odd "name"',
    }


def test_no_names_are_an_empty_page() -> None:
    """Without names there is no first and no last one."""
    assert encode_models([], 0) == b'{"data":[],"has_more":false,"first_id":null,"last_id":null}'


def test_one_entry_stands_alone() -> None:
    """A model that is asked for by name looks as it does in the list."""
    assert orjson.loads(encode_model("fast", CREATED_S)) == ROW


def test_the_official_client_reads_both() -> None:
    """The SDK pages through the list once and reads the time as a time."""
    models = list(client_of(encode_models(["fast", "slow"], CREATED_S)).models.list())
    assert [model.id for model in models] == ["fast", "slow"]
    model = client_of(encode_model("fast", CREATED_S)).models.retrieve("fast")
    assert (model.id, model.created_at) == ("fast", datetime.fromtimestamp(CREATED_S, UTC))
