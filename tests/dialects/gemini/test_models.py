"""The list of models in Gemini's shape."""

import httpx
import orjson

from busbar_fast.dialects.gemini.models import encode_model, encode_models
from tests.dialects.gemini.official import client

METHODS = ["generateContent", "streamGenerateContent"]


def test_each_name_is_a_row_in_order() -> None:
    """Names keep their order, and each says what can be done with it."""
    assert orjson.loads(encode_models(["b/x", 'odd "a"'])) == {
        "models": [
            {"name": "models/b/x", "displayName": "b/x", "supportedGenerationMethods": METHODS},
            {"name": 'models/odd "a"', "displayName": 'odd "a"', "supportedGenerationMethods": METHODS},
        ]
    }


def test_no_names_are_an_empty_list() -> None:
    """Without names the list is there and empty."""
    assert encode_models([]) == b'{"models":[]}'


def test_one_entry_is_a_row() -> None:
    """One model is shown as it stands in the list."""
    assert orjson.loads(encode_models(["m"]))["models"] == [orjson.loads(encode_model("m"))]


def test_the_official_client_reads_the_list() -> None:
    """Gemini case 68: the SDK's list has the names, and asks for no further page."""
    targets: list[bytes] = []

    def respond(request: httpx.Request) -> httpx.Response:
        targets.append(request.url.raw_path)
        return httpx.Response(200, content=encode_models(["pool", "m"]))

    listed = list(client(respond).models.list())
    assert [(model.name, model.display_name, model.supported_actions) for model in listed] == [
        ("models/pool", "pool", METHODS),
        ("models/m", "m", METHODS),
    ]
    assert len(targets) == 1


def test_the_official_client_reads_one_entry() -> None:
    """The SDK shows one model by its name."""
    model = client(lambda _: httpx.Response(200, content=encode_model("m"))).models.get(model="m")
    assert (model.name, model.display_name) == ("models/m", "m")
