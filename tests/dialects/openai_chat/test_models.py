"""The list of models in OpenAI's shape."""

import orjson

from busbar_fast.dialects.openai_chat.models import encode_models


def test_each_name_is_a_row_in_order() -> None:
    """Names keep their order and share the time at which the gateway started."""
    assert orjson.loads(encode_models(["demo", 'odd "name"'], 1_760_000_000)) == {
        "object": "list",
        "data": [
            {"id": "demo", "object": "model", "created": 1_760_000_000, "owned_by": "system"},
            {"id": 'odd "name"', "object": "model", "created": 1_760_000_000, "owned_by": "system"},
        ],
    }


def test_no_names_are_an_empty_list() -> None:
    """Without names the list is there and empty."""
    assert encode_models([], 0) == b'{"object":"list","data":[]}'
