"""Prepared requests as lanes get them: turns, ids, seals."""

import json
from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.dialects.preparing import prepare_request
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    Held,
    Inline,
    Media,
    MediaKind,
    Seal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Message, Request, Role
from tests.dialects.gemini.translation.turns import CLOUD, EVENTS, LANE, asked, encoded, foreign, lost, read, written

BYPASS = "skip_thought_signature_validator"


def prepared(request: Request, report: Report) -> Any:
    """Return the document that a lane gets of a request that is prepared first."""
    ready = prepare_request(request, TRANSLATOR.abilities, LANE, report)
    return written(ready, LANE, report)


def test_neighbours_of_one_role_are_one_turn() -> None:
    """Results of parallel calls stand in one turn, in front of all else (gemini.md case 33)."""
    request = foreign(
        Message(Role.USER, [Text("tides?")]),
        Message(Role.ASSISTANT, [ToolUse("call_1", "tide"), ToolUse("call_2", "moon")]),
        Message(Role.TOOL, [ToolResult("call_1", [Text("high")])]),
        Message(Role.USER, [Text("hurry")]),
        Message(Role.TOOL, [ToolResult("call_2", [Text("full")])]),
    )
    contents = written(request)["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert contents[2]["parts"] == [
        {"functionResponse": {"id": "call_1", "name": "tide", "response": {"output": "high"}}},
        {"functionResponse": {"id": "call_2", "name": "moon", "response": {"output": "full"}}},
        {"text": "hurry"},
    ]


def test_a_result_without_a_known_call_is_named_by_itself() -> None:
    """The name that was said comes next, the id last."""
    request = foreign(Message(Role.TOOL, [ToolResult("call_1", name="tide"), ToolResult("call_2")]))
    parts = written(request)["contents"][0]["parts"]
    assert [part["functionResponse"]["name"] for part in parts] == ["tide", "call_2"]


@pytest.mark.parametrize(
    ("seal", "sent"),
    [(None, BYPASS), (Seal("gemi", ""), BYPASS), (Seal("gemi", "c2ln"), "c2ln")],
)
def test_calls_that_no_model_of_the_vendor_has_sealed_get_the_bypass(seal: Seal | None, sent: str) -> None:
    """A real seal is never replaced, an empty one counts as none (gemini.md case 40)."""
    request = foreign(Message(Role.ASSISTANT, [ToolUse("call_1", "tide", Raw(b'{"a":1}'), seal=seal)]))
    part = written(request)["contents"][0]["parts"][0]
    assert part == {
        "functionCall": {"id": "call_1", "name": "tide", "args": {"a": 1}},
        "thoughtSignature": sent,
    }


def test_the_cloud_gets_neither_bypass_nor_foreign_ids() -> None:
    """It refuses both, but takes ids that came from the vendor (gemini.md case 40)."""
    turns = [
        Message(Role.ASSISTANT, [ToolUse("c1", "tide")]),
        Message(Role.TOOL, [ToolResult("c1", [Text("high")])]),
    ]
    sent = written(foreign(*turns), CLOUD)["contents"]
    assert sent[0]["parts"] == [{"functionCall": {"name": "tide", "args": {}}}]
    assert sent[1]["parts"] == [{"functionResponse": {"name": "tide", "response": {"output": "high"}}}]
    own = written(Request("gemini", messages=turns), CLOUD)["contents"]
    assert own[0]["parts"][0]["functionCall"]["id"] == own[1]["parts"][0]["functionResponse"]["id"] == "c1"


def test_ids_that_nobody_gave_are_not_written() -> None:
    """Calls, results and orphans without ids are rebuilt without them."""
    contents = [
        {"role": "model", "parts": [{"functionCall": {"name": "tide", "args": {}}}]},
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "tide", "response": {}}},
                {"functionResponse": {"name": "moon", "response": {}}},
            ],
        },
    ]
    assert written(read({"contents": contents}), CLOUD)["contents"] == contents


def test_no_turn_is_empty() -> None:
    """What has lost all its parts gets a space; empty texts are left out (gemini.md section 5, rule 10)."""
    request = foreign(Message(Role.USER, []), Message(Role.ASSISTANT, [Text(""), Thinking(), Text("a")]))
    assert [content["parts"] for content in written(request)["contents"]] == [[{"text": " "}], [{"text": "a"}]]


def test_a_request_without_turns_is_refused() -> None:
    """An empty list is never sent (gemini.md section 5, rule 11)."""
    with pytest.raises(Misshapen):
        written(Request("other"))


def test_system_prompts_are_text() -> None:
    """Several stay apart, a file is noted; the vendor's own clients say what they like."""
    report = Report()
    image = Media(kind=MediaKind.IMAGE, source=Inline("AA=="), mime="image/png")
    document = written(foreign(system=[Text("Be brief."), image, Text("Be kind.")]), report=report)
    assert document["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert lost(report) == [("dropped", "image")]
    own = written(Request("gemini", system=[image], messages=[Message(Role.USER, [Text("a")])]))
    assert own["systemInstruction"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]


def test_files_of_others_are_held_by_nobody_here() -> None:
    """A file that lies with another vendor has no place, not even in a system prompt."""
    report = Report()
    held = Media(kind=MediaKind.IMAGE, source=Held("other", Raw(b"{}")))
    request = Request("gemini", system=[held], messages=[Message(Role.USER, [held])])
    document = written(request, report=report)
    assert "systemInstruction" not in document
    assert document["contents"][0]["parts"] == [{"text": " "}]
    assert lost(report) == [("dropped", "vendor_file")]


def test_addresses_are_noted() -> None:
    """An image in the web becomes a file with a type."""
    report = Report()
    image = Media(kind=MediaKind.IMAGE, source=Url("https://a.test/x.png"), name="x")
    parts = written(foreign(Message(Role.USER, [Text("a"), image])), report=report)["contents"][0]["parts"]
    assert parts == [{"text": "a"}, {"fileData": {"fileUri": "https://a.test/x.png", "mimeType": "image/png"}}]
    assert lost(report) == [("mapped", "image_url")]


def test_a_thought_of_another_vendor_comes_without_its_seal() -> None:
    """The text is understood, the seal is not (gemini.md section 5, rule 13)."""
    report = Report()
    thoughts = [
        Thinking("hm", seal=Seal("anth", "x")),
        Thinking("own", seal=Seal("gemi", "c2ln")),
        Thinking(sealed="x"),
    ]
    document = prepared(foreign(Message(Role.ASSISTANT, [*thoughts, Text("so")])), report)
    assert document["contents"][0]["parts"] == [
        {"text": "hm", "thought": True},
        {"text": "own", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "so"},
    ]
    assert lost(report) == [("dropped", "signature"), ("dropped", "redacted_thinking")]


def test_a_seal_on_an_empty_last_part_survives() -> None:
    """The vendor wants it back where it was (gemini.md case 41)."""
    contents = [{"role": "model", "parts": [{"text": "so"}, {"text": "", "thoughtSignature": "c2ln"}]}]
    assert written(read({"contents": contents}))["contents"] == contents


def test_what_is_carried_goes_back_where_it_was() -> None:
    """Unknown members at all levels come back, and two turns that become one keep those of both."""
    document: dict[str, Any] = {
        "contents": [
            {"role": "user", "parts": [{"text": "a", "videoMetadata": {"fps": 1}}], "future": 1},
            {"role": "user", "parts": [{"soon": {}}], "later": 2},
        ],
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "generationConfig": {"speechConfig": {"x": 1.10}, "thinkingConfig": {"soon": 1}},
        "toolConfig": {"functionCallingConfig": {"soon": 1}, "retrievalConfig": {}},
        "cachedContent": "cachedContents/1",
    }
    document_read = TRANSLATOR.read_request(encoded(document), EVENTS, Report())
    body = TRANSLATOR.write_request(document_read, LANE, Report())
    first, second = document["contents"]
    merged = {"role": "user", "parts": first["parts"] + second["parts"], "future": 1, "later": 2}
    assert json.loads(body) == document | {"contents": [merged]}
    assert b"1.10" not in body
    assert b'"x": 1.1' in body


def test_half_a_pair_goes_through() -> None:
    """Half of a surrogate pair, which no UTF-8 can hold, stays the escape it was."""
    body = json.dumps(asked([{"text": "\ud83d!"}])).encode()
    request = TRANSLATOR.read_request(body, EVENTS, Report())
    assert b'"text":"\\ud83d!"' in TRANSLATOR.write_request(request, LANE, Report())
