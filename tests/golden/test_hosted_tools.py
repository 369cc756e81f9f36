"""Tools that vendors run, from a client of one to a lane of another: asked for, answered, and repeated a turn later."""

import json
from itertools import permutations, product
from typing import Any

import pytest

from busbar_fast.dialects.registry import DIALECTS, speak, translator
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.answers import Answer, Reason
from busbar_fast.ir.blocks import Citation, Text, ToolUse
from busbar_fast.ir.report import Report
from tests.dialects.translating import Bench
from tests.golden import hosted, sdk_types
from tests.golden.crossing import MINIMAL, sent, shown, streamed

MAPPING = Recipient("m", options={"hosted_tools": "map"})
CLOUD = MAPPING._replace(host="us-central1-aiplatform.googleapis.com")
PARIS = {"type": "approximate", "city": "Paris", "country": "FR"}
# As each vendor calls its own today.
TOOLS: dict[str, dict[str, dict[str, Any]]] = {
    "anthropic": {
        "web_search": {"type": "web_search_20250305", "name": "web_search"},
        "code_execution": {"type": "code_execution_20250825", "name": "code_execution"},
    },
    "responses": {
        "web_search": {"type": "web_search"},
        "code_execution": {"type": "code_interpreter", "container": {"type": "auto"}},
    },
    "gemini": {"web_search": {"googleSearch": {}}, "code_execution": {"codeExecution": {}}},
}
KINDS = ("web_search", "code_execution")
PAIRS = list(permutations(TOOLS, 2))
FUNCTIONS: dict[str, dict[str, Any]] = {
    "anthropic": {"name": "web_search", "input_schema": {"type": "object"}},
    "responses": {"type": "function", "name": "web_search", "parameters": {"type": "object"}, "strict": False},
    "gemini": {"functionDeclarations": [{"name": "web_search"}]},
}


# Asked for


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("client", "lane"), PAIRS)
def test_tool_of_one_vendor_is_asked_of_another(client: str, lane: str, kind: str) -> None:
    """Gemini §4, IR §8 "hosted tools": in the target's own spelling, by the SDKs' types on both sides."""
    tool = TOOLS[client][kind]
    sdk_types.REQUESTS[client]({**MINIMAL[client], **_typed(client), "tools": [tool]})
    found = sent(client, lane, MAPPING, tools=[tool])
    assert found.body["tools"] == [TOOLS[lane][kind]]
    sdk_types.REQUESTS[lane](found.body)
    assert {entry for entry in found.lost if entry[1] == "hosted_tools"} == {("mapped", "hosted_tools")}


def _typed(client: str) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": "hi"}]} if client == "responses" else {}


@pytest.mark.parametrize(("client", "lane"), PAIRS)
def test_both_tools_are_asked_for_together(client: str, lane: str) -> None:
    """Gemini §4: each is one of its own."""
    found = sent(client, lane, MAPPING, tools=list(TOOLS[client].values()))
    assert found.body["tools"] == list(TOOLS[lane].values())
    sdk_types.REQUESTS[lane](found.body)


@pytest.mark.parametrize("options", [{}, {"hosted_tools": "drop"}])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("client", "lane"), PAIRS)
def test_tool_is_dropped_by_default(client: str, lane: str, kind: str, options: dict[str, str | bool]) -> None:
    """Responses cases 15, 16: without the setting nothing of it is left, and a choice of it neither."""
    found = sent(client, lane, Recipient("m", options=options), tools=[TOOLS[client][kind]])
    assert not {"tools", "toolConfig", "tool_choice"} & set(found.body)
    assert ("dropped", "hosted_tools") in found.lost
    assert ("mapped", "hosted_tools") not in found.lost


@pytest.mark.parametrize(("client", "lane"), list(product(TOOLS, ("openai", "bedrock", "cohere"))))
def test_lane_without_such_tools_maps_none(client: str, lane: str) -> None:
    """IR §8 "hosted tools": three dialects have none, whatever is set."""
    found = sent(client, lane, MAPPING, tools=list(TOOLS[client].values()))
    assert ("tools" in found.body, ("dropped", "hosted_tools") in found.lost) == (False, True)


@pytest.mark.parametrize(
    ("client", "tool"),
    [
        ("anthropic", {"type": "web_fetch_20250910", "name": "web_fetch"}),
        ("responses", {"type": "file_search", "vector_store_ids": ["vs_1"]}),
        ("gemini", {"urlContext": {}}),
    ],
)
def test_other_kinds_stay_at_home(client: str, tool: dict[str, Any]) -> None:
    """Gemini §4: two kinds are mapped."""
    for lane in set(TOOLS) - {client}:
        found = sent(client, lane, MAPPING, tools=[tool])
        assert ("tools" in found.body, ("dropped", "hosted_tools") in found.lost) == (False, True)


RICH_A = {"max_uses": 3, "allowed_domains": ["a.test"], "user_location": PARIS}
RICH_R = {"filters": {"allowed_domains": ["a.test"]}, "user_location": PARIS, "search_context_size": "low"}


@pytest.mark.parametrize(
    ("client", "said", "lane", "to", "kept", "is_whole"),
    [
        ("anthropic", RICH_A, "responses", MAPPING, RICH_R, False),
        ("anthropic", {"blocked_domains": ["b.test"]}, "responses", MAPPING, {}, False),
        ("anthropic", RICH_A, "gemini", MAPPING, {}, False),
        ("anthropic", {"blocked_domains": ["b.test"]}, "gemini", MAPPING, {}, False),
        ("anthropic", {"blocked_domains": ["b.test"]}, "gemini", CLOUD, {"excludeDomains": ["b.test"]}, True),
        ("responses", RICH_R, "anthropic", MAPPING, RICH_A, False),
        ("responses", {"user_location": PARIS}, "anthropic", MAPPING, {"user_location": PARIS}, True),
        ("responses", {"search_context_size": "low"}, "gemini", MAPPING, {}, False),
        ("gemini", {"excludeDomains": ["b.test"]}, "anthropic", MAPPING, {"blocked_domains": ["b.test"]}, True),
        ("gemini", {"excludeDomains": ["b.test"]}, "responses", MAPPING, {}, False),
        ("gemini", {"timeRangeFilter": {}}, "anthropic", MAPPING, {}, False),
    ],
)
def test_options_that_both_have_are_kept(
    client: str, said: dict[str, Any], lane: str, to: Recipient, kept: dict[str, Any], *, is_whole: bool
) -> None:
    """Gemini §4, IR §1 L3: where to search and where the user is arrive; what has no place is reported."""
    tool, wanted = TOOLS[client]["web_search"], TOOLS[lane]["web_search"]
    tool = {"googleSearch": said} if client == "gemini" else tool | said
    kept = {name: value for name, value in kept.items() if name not in ("max_uses", "search_context_size")}
    found = sent(client, lane, to, tools=[tool])
    assert found.body["tools"] == [{"googleSearch": kept} if lane == "gemini" else wanted | kept]
    sdk_types.REQUESTS[lane](found.body)
    assert (("dropped", "hosted_tools") in found.lost) is not is_whole


def test_code_that_needs_files_is_run_without_them() -> None:
    """Responses §5: what lies with the vendor is nobody else's, which is reported."""
    tool = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file_1"]}}
    found = sent("responses", "anthropic", MAPPING, tools=[tool])
    assert found.body["tools"] == [TOOLS["anthropic"]["code_execution"]]
    assert {("mapped", "hosted_tools"), ("dropped", "hosted_tools")} <= found.lost


@pytest.mark.parametrize(
    ("lane", "wanted", "is_whole"),
    [
        ("anthropic", TOOLS["anthropic"]["web_search"] | {"user_location": PARIS}, False),
        ("responses", {"type": "web_search", "user_location": PARIS, "search_context_size": "low"}, True),
        ("gemini", {"googleSearch": {}}, False),
    ],
)
def test_search_of_a_chat_is_asked_of_others(lane: str, wanted: dict[str, Any], *, is_whole: bool) -> None:
    """Openai §2, web_search_options: a member there is a tool elsewhere, and is dropped where nothing is mapped."""
    place = {"type": "approximate", "approximate": {"city": "Paris", "country": "FR"}}
    options = {"search_context_size": "low", "user_location": place}
    found = sent("openai", lane, MAPPING, web_search_options=options)
    assert found.body["tools"] == [wanted]
    sdk_types.REQUESTS[lane](found.body)
    assert (("dropped", "hosted_tools") in found.lost) is not is_whole
    bare = sent("openai", lane, web_search_options=options)
    assert ("tools" in bare.body, ("dropped", "hosted_tools") in bare.lost) == (False, True)


@pytest.mark.parametrize(("client", "lane"), PAIRS)
def test_function_goes_before_a_tool_that_cannot_stand_beside_it(client: str, lane: str) -> None:
    """IR §1: Gemini takes no functions beside its own tools, Anthropic no two tools of one name, Responses both."""
    found = sent(client, lane, MAPPING, tools=[TOOLS[client]["web_search"], FUNCTIONS[client]])
    both = lane == "responses"
    assert len(found.body["tools"]) == 1 + both
    assert (("dropped", "hosted_tools") in found.lost) is not both
    sdk_types.REQUESTS[lane](found.body)
    if lane == "anthropic":
        named = json.loads(json.dumps(FUNCTIONS[client]).replace("web_search", "f"))
        beside = sent(client, lane, MAPPING, tools=[TOOLS[client]["web_search"], named]).body["tools"]
        assert [tool["name"] for tool in beside] == ["f", "web_search"]


@pytest.mark.parametrize(
    ("client", "lane", "choice"),
    [
        ("anthropic", "responses", {"tool_choice": {"type": "tool", "name": "web_search"}}),
        ("anthropic", "gemini", {"tool_choice": {"type": "tool", "name": "web_search"}}),
        ("responses", "anthropic", {"tool_choice": {"type": "web_search_preview"}}),
        ("responses", "gemini", {"tool_choice": {"type": "web_search_preview"}}),
        ("anthropic", "responses", {"tool_choice": {"type": "any"}}),
        ("responses", "anthropic", {"tool_choice": "required"}),
        ("responses", "gemini", {"tool_choice": "required"}),
    ],
)
def test_choice_that_means_such_a_tool_is_left_to_the_model(client: str, lane: str, choice: dict[str, Any]) -> None:
    """IR §6, step 7: nobody is made to call what is no function there; the tool stays, and the loss is reported."""
    found = sent(client, lane, MAPPING, tools=[TOOLS[client]["web_search"]], **choice)
    assert found.body["tools"] == [TOOLS[lane]["web_search"]]
    assert not {"toolConfig", "tool_choice"} & set(found.body)
    assert ("dropped", "tool_choice") in found.lost


@pytest.mark.parametrize(
    ("client", "lane", "choice"),
    [
        ("anthropic", "responses", {"tool_choice": {"type": "none"}}),
        ("responses", "gemini", {"tool_choice": "none"}),
        ("gemini", "anthropic", {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
    ],
)
def test_tool_that_must_not_be_called_is_not_there(client: str, lane: str, choice: dict[str, Any]) -> None:
    """IR case 31: that nothing is called is exact without the tool, and not all lanes can say it of one."""
    found = sent(client, lane, MAPPING, tools=[TOOLS[client]["web_search"]], **choice)
    assert ("tools" in found.body, ("mapped", "tool_choice") in found.lost) == (False, True)


# Answered


def _read(client: str, document: Any) -> Answer:
    return translator(speak(client)).read_answer(json.dumps(document).encode(), Report())


def _texts(answer: Answer) -> list[Text]:
    return [block for block in answer.blocks if isinstance(block, Text)]


def _checked(lane: str, client: str, answer: Answer) -> list[tuple[str, str]]:
    """See that a client has the words, the right end, and no call to answer; return what is cited."""
    texts = _texts(answer)
    said = "".join(block.text for block in texts)
    assert said.startswith(hosted.SAID[0])
    assert said.endswith(hosted.SAID[1])
    assert ("print(5)" in said) is (lane == "gemini")  # there the model says what it runs
    assert not any(isinstance(block, ToolUse) for block in answer.blocks)
    paused = {"gemini": Reason.OTHER} if lane == "anthropic" else {}
    assert answer.stop.reason is paused.get(client, Reason.END_TURN)
    return [(citation.url, citation.title) for block in texts for citation in block.citations]


CROSSINGS = [(lane, client) for lane, client in product(TOOLS, DIALECTS) if lane != client]


@pytest.mark.parametrize(("lane", "client"), CROSSINGS)
def test_answer_of_a_model_that_searched_reaches_each_client(lane: str, client: str) -> None:
    """Anthropic §6, responses §3, gemini §10: no trace of the tools but what was found, by the SDKs' types."""
    document = hosted.ANSWERS[lane]
    sdk_types.ANSWERS[lane](json.loads(json.dumps(document)))
    found = shown(lane, client, document)
    assert _checked(lane, client, _read(client, found)) == [(hosted.URL, "T")]
    sdk_types.ANSWERS[client](found)


@pytest.mark.parametrize("size", [0, 7])
@pytest.mark.parametrize(("lane", "client"), CROSSINGS)
def test_stream_of_a_model_that_searched_reaches_each_client(lane: str, client: str, size: int) -> None:
    """Anthropic §10, responses §11, gemini §13: at once and in crumbs, what is said and found as in a whole answer."""
    stream = hosted.STREAMS[lane]
    assert sdk_types.check_stream(lane, stream)
    found = streamed(lane, client, stream, size=size)
    assert sdk_types.check_stream(client, found)
    calls = Bench(translator(speak(client))).hear(found)
    said = "".join(call[2] for call in calls if call[0] == "text")
    assert said.startswith(hosted.SAID[0])
    assert said.endswith(hosted.SAID[1])
    cited: list[Citation] = [citation for call in calls if call[0] == "citations" for citation in call[2]]
    assert {citation.url for citation in cited} == {hosted.URL}
    assert {call[2].name for call in calls if call[0] == "open"} <= {"TEXT", "REFUSAL"}


@pytest.mark.parametrize(
    ("client", "word", "name"),
    [
        ("responses", "completed", "status"),
        ("gemini", "OTHER", "finishReason"),
        ("openai", "stop", "finish_reason"),
        ("bedrock", "end_turn", "stopReason"),
        ("cohere", "COMPLETE", "finish_reason"),
    ],
)
def test_pause_is_an_end_elsewhere(client: str, word: str, name: str) -> None:
    """Anthropic §9, pause_turn: what a client is told when the vendor's own loop has run long enough."""
    assert f'"{name}": "{word}"' in json.dumps(shown("anthropic", client, hosted.ANTHROPIC))


# Repeated


def _history(client: str, lane: str) -> dict[str, Any]:
    """Return a next turn in which a client repeats what it was told of a lane's answer."""
    found = shown(lane, client, hosted.ANSWERS[lane]) if lane != client else hosted.ANSWERS[lane]
    if client == "anthropic":
        turns = [{"role": "assistant", "content": found["content"]}, {"role": "user", "content": "go on"}]
        return {"messages": [*MINIMAL[client]["messages"], *turns]}
    if client == "responses":
        return {"input": [*_typed(client)["input"], *found["output"], {"role": "user", "content": "go on"}]}
    turns = [found["candidates"][0]["content"], {"role": "user", "parts": [{"text": "go on"}]}]
    return {"contents": [*MINIMAL[client]["contents"], *turns]}


@pytest.mark.parametrize(("client", "told", "lane"), list(product(TOOLS, TOOLS, DIALECTS)))
def test_next_turn_is_taken_by_every_lane(client: str, told: str, lane: str) -> None:
    """IR case 10: whoever told it, and whoever is asked now; nothing of another vendor's tools is in it."""
    found = sent(client, lane, MAPPING, **_history(client, told))
    written = json.dumps(found.body, ensure_ascii=False)
    assert hosted.SAID[1] in written
    sdk_types.REQUESTS[lane](found.body)
    if client != lane:
        assert not any(word in written for word in ("server_tool_use", "tool_result", "_call", "executableCode"))
    if lane == "anthropic":  # it cites what it found itself, and knows that by an index of its own
        assert ("encrypted_index" in written) is (client == told == "anthropic")
        assert "bbf1" not in written
