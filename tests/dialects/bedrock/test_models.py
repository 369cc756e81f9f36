"""The list of models in the vendor's shape."""

import boto3
import orjson
from botocore.awsrequest import AWSResponse

from busbar_fast.dialects.bedrock.models import encode_model, encode_models
from tests.dialects.bedrock.official import URL


def test_each_name_is_a_row_in_order() -> None:
    """Names keep their order."""
    assert orjson.loads(encode_models(["b/x", 'odd "a"'])) == {
        "modelSummaries": [
            {"modelId": "b/x", "modelName": "b/x", "responseStreamingSupported": True},
            {"modelId": 'odd "a"', "modelName": 'odd "a"', "responseStreamingSupported": True},
        ]
    }


def test_no_names_are_an_empty_list() -> None:
    """Without names the list is there and empty."""
    assert encode_models([]) == b'{"modelSummaries":[]}'


def test_one_entry_is_a_row() -> None:
    """One model is shown as it stands in the list."""
    assert orjson.loads(encode_models(["m"]))["modelSummaries"] == [orjson.loads(encode_model("m"))["modelDetails"]]


def test_the_official_client_reads_both() -> None:
    """The SDK of the vendor's catalogue finds the names."""
    catalogue = boto3.client(
        "bedrock", region_name="eu-west-1", endpoint_url=URL, aws_access_key_id="A", aws_secret_access_key="B"
    )

    def answer(body: bytes) -> AWSResponse:
        response = AWSResponse(URL, 200, {}, None)
        response._content = body
        return response

    catalogue.meta.events.register(
        "before-send.bedrock.ListFoundationModels", lambda **_: answer(encode_models(["pool", "m"]))
    )
    catalogue.meta.events.register("before-send.bedrock.GetFoundationModel", lambda **_: answer(encode_model("m")))
    listed = catalogue.list_foundation_models()["modelSummaries"]
    assert [row["modelId"] for row in listed] == ["pool", "m"]
    assert catalogue.get_foundation_model(modelIdentifier="m")["modelDetails"]["modelId"] == "m"
