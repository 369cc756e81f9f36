"""Parts, read."""

from collections.abc import Callable

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.part_reader import (
    read_part,
    read_response,
    seal_of_client,
    seal_of_vendor,
)
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    NOTHING,
    AnyBlock,
    Code,
    CodeResult,
    Held,
    Inline,
    Json,
    Media,
    MediaKind,
    Opaque,
    Seal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from tests.dialects.gemini.translation.turns import raw


def part(document: object, unseal: Callable[[str], Seal] = seal_of_client) -> AnyBlock:
    """Return a part as a block."""
    return read_part(raw(document), "parts[0]", unseal)


@pytest.mark.parametrize(
    ("document", "block"),
    [
        ({"text": "a"}, Text("a")),
        ({"text": "a", "thought": True}, Thinking("a")),
        ({"text": "a", "thought": False}, Text("a")),
        ({"text": "a", "thought_signature": "c2ln"}, Text("a", seal=Seal("gemi", "c2ln"))),
        ({"text": "a", "thoughtSignature": ""}, Text("a")),
        ({"text": "a", "videoMetadata": {}}, Text("a", ext={"videoMetadata": Raw(b"{}")})),
        ({"text": None, "functionCall": {"name": "f"}}, ToolUse("", "f")),
        ({"functionCall": {"id": "1", "name": "f", "args": {"a_b": 1}}}, ToolUse("1", "f", Raw(b'{"a_b": 1}'))),
        ({"functionCall": {"name": "f", "args": None}}, ToolUse("", "f")),
        ({"functionCall": {"name": "f", "args": [1]}}, ToolUse("", "f", NOTHING, "[1]")),
        ({"functionCall": {"name": "f", "soon": 1}}, ToolUse("", "f", ext={"functionCall.soon": Raw(b"1")})),
        (
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thought": True},
            Media(kind=MediaKind.IMAGE, source=Inline("AA=="), mime="image/png"),
        ),
        (
            {"file_data": {"fileUri": "gs://a"}},
            Media(kind=MediaKind.IMAGE, source=Held("gemini", Raw(b'{"fileUri": "gs://a"}'))),
        ),
        ({"executableCode": {"language": 1, "code": "1", "id": "x"}}, Code("1", "python", "x")),
        ({"executableCode": {"language": "LANGUAGE_UNSPECIFIED"}}, Code("")),
        ({"codeExecutionResult": {"outcome": 3, "output": "x"}}, CodeResult("x", "deadline")),
        ({"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "id": "x"}}, CodeResult("", "failed", "x")),
        ({"codeExecutionResult": {"outcome": "SOON"}}, CodeResult("")),
        ({"toolCall": {}}, Opaque("gemini", Raw(b'{"toolCall": {}}'))),
        ({}, Opaque("gemini", Raw(b"{}"))),
    ],
)
def test_a_part_is_known_by_one_member(document: object, block: AnyBlock) -> None:
    """What stands beside it is carried (gemini.md section 5)."""
    assert part(document) == block


@pytest.mark.parametrize(
    ("document", "param"),
    [
        (1, "parts[0]"),
        ({"text": 1}, "parts[0].text"),
        ({"functionCall": 1}, "parts[0].functionCall"),
        ({"functionResponse": {"response": 1}}, "parts[0].functionResponse.response"),
        ({"functionResponse": {"parts": [1]}}, "parts[0].functionResponse.parts[0]"),
        ({"fileData": 1}, "parts[0].fileData"),
    ],
)
def test_a_wrong_type_is_named(document: object, param: str) -> None:
    """The place is told."""
    with pytest.raises(Misshapen) as caught:
        part(document)
    assert caught.value.param == param


def test_seals_of_clients_come_out_of_their_envelopes() -> None:
    """The vendor itself has none around them (gemini.md section 15)."""
    sealed = {"text": "", "thought": True, "thoughtSignature": "bbf1anthRXFVQkNnPT0="}
    assert part(sealed).seal == Seal("anth", "EqUBCg==")
    assert part(sealed, seal_of_vendor).seal == Seal("gemi", "bbf1anthRXFVQkNnPT0=")


@pytest.mark.parametrize(
    ("response", "is_error", "block"),
    [
        (b'{"output": "ok"}', False, Text("ok")),
        (b'{"result": {"a_b": 1.10}}', False, Json(Raw(b'{"a_b": 1.10}'))),
        (b'{"output": null}', False, Json(Raw(b"null"))),
        (b'{"error": "no"}', True, Text("no")),
        (b'{"error": "no", "at": 1}', True, Json(Raw(b'{"error": "no", "at": 1}'))),
        (b'{"error": null, "output": 1}', False, Json(Raw(b'{"error": null, "output": 1}'))),
        (b'{"max_tokens": 1}', False, Json(Raw(b'{"max_tokens": 1}'))),
        (b"{}", False, Json(Raw(b"{}"))),
        (b"", False, Json(Raw(b"{}"))),
    ],
)
def test_what_a_tool_said_comes_out_of_its_wrapper(response: bytes, is_error: bool, block: AnyBlock) -> None:
    """One member alone may hold all of it; users' names stay as they are (gemini.md case 39)."""
    assert read_response(Raw(response), "") == (is_error, block)


def test_files_of_a_result_follow_what_it_says() -> None:
    """Unknown members are carried, also beside it."""
    document = {
        "functionResponse": {
            "id": "1",
            "name": "f",
            "response": {"output": "ok"},
            "parts": {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
            "scheduling": "SILENT",
        },
        "partMetadata": {},
    }
    image = Media(kind=MediaKind.IMAGE, source=Inline("AA=="), mime="image/png")
    ext = {"functionResponse.scheduling": Raw(b'"SILENT"'), "partMetadata": Raw(b"{}")}
    assert part(document) == ToolResult("1", [Text("ok"), image], name="f", ext=ext)
