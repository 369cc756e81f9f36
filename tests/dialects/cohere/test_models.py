"""The list of models in the shape of the v2 chat API's vendor."""

import httpx
import orjson
from cohere import ClientV2

from busbar_fast.dialects.cohere.models import encode_model, encode_models


def test_each_name_is_a_row_in_order() -> None:
    """Names keep their order, and each can chat."""
    assert orjson.loads(encode_models(["fast", 'odd "name"'])) == {
        "models": [{"name": "fast", "endpoints": ["chat"]}, {"name": 'odd "name"', "endpoints": ["chat"]}]
    }


def test_no_names_are_an_empty_list() -> None:
    """Without names the list is there and empty."""
    assert encode_models([]) == b'{"models":[]}'


def test_one_entry_stands_alone() -> None:
    """A model that is asked for by name looks as it does in the list."""
    assert encode_model("fast") == b'{"name":"fast","endpoints":["chat"]}'


def test_the_official_client_reads_both() -> None:
    """Cohere case 66: the SDK parses the list and one entry of it."""

    def respond(request: httpx.Request) -> httpx.Response:
        body = encode_models(["fast", "slow"]) if request.url.path == "/v1/models" else encode_model("fast")
        return httpx.Response(200, headers={"content-type": "application/json"}, content=body)

    with httpx.Client(transport=httpx.MockTransport(respond)) as http:
        client = ClientV2(api_key="k", base_url="http://x", httpx_client=http)
        listed = client.models.list()
        shown = client.models.get("fast")
    assert [(model.name, model.endpoints) for model in listed.models] == [("fast", ["chat"]), ("slow", ["chat"])]
    assert shown.name == "fast"
