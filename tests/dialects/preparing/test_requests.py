"""Whole requests on their way to another dialect, or back to their own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, structs
from msgspec.json import encode

from busbar_fast.dialects.preparing import prepare_request
from busbar_fast.dialects.translator import Abilities, Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    AnyBlock,
    Inline,
    Mark,
    Media,
    MediaKind,
    Opaque,
    Plain,
    Seal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from busbar_fast.ir.report import Action, Entry, Report
from busbar_fast.ir.requests import (
    ChoiceMode,
    Document,
    HostedTool,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningMode,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)
from tests.dialects.preparing.targets import HERE, LANE, NARROW, THERE, WIDE, prepared

IMAGE = Media(MediaKind.IMAGE, Inline("aGk="), "image/png")
SEES = NARROW._replace(media=frozenset(((MediaKind.IMAGE, Inline),)))
MARKER = "marker-of-here"
THINKS = LANE._replace(has_reasoning=True)


def user(*blocks: AnyBlock) -> Message:
    """Return a turn of the user."""
    return Message(Role.USER, list(blocks))


def rich() -> Request:
    """Return a request that holds something for every step, and what only its own vendor knows, marked."""
    ext = {"x": Raw(f'"{MARKER}"'.encode())}
    return Request(
        HERE,
        system=[Text("s", mark=Mark(), ext=ext), Opaque(HERE, ext["x"])],
        messages=[
            Message(Role.USER, [Text("u", ext=ext), IMAGE], ext),
            Message(Role.ASSISTANT, [Thinking("h", seal=Seal("here", "v")), ToolUse("i" * 80, "t", ext=ext)], ext),
            Message(Role.TOOL, [ToolResult("i" * 80, [IMAGE, Opaque(HERE, ext["x"])], is_error=True)]),
            Message(Role.SYSTEM, [Text("later")], ext),
            Message(Role.ASSISTANT, [Opaque(HERE, ext["x"])]),
            Message(Role.USER, [Media(MediaKind.DOCUMENT, Plain("p")), Text("why", mark=Mark())]),
        ],
        tools=[Tool("t", schema=Raw(b"{}"), strict=True, ext=ext), Tool("c", is_custom=True)],
        hosted=[HostedTool("maps", HERE, ext["x"])],
        tool_choice=ToolChoice(ChoiceMode.REQUIRED, allowed=["t"]),
        parallel_tools=False,
        sampling=Sampling(temperature=Raw(b"1.50"), top_k=Raw(b"3"), stop=["a", "b"]),
        format=OutputFormat(Raw(b"{}")),
        reasoning=Reasoning(ReasoningMode.ON, "high"),
        documents=[Document("d", text="t")],
        user="somebody",
        mark=Mark(),
        in_stream=True,
        include_usage=True,
        held=["conversation"],
        guards=["guardrail"],
        ext={**ext, "conversation": ext["x"], "guardrail": ext["x"], "metadata": ext["x"]},
        echo=ext,
    )


FORGIVING = LANE._replace(drops_held=True, drops_guards=True)


# To another dialect


def test_what_only_the_vendor_knows_reaches_nobody_else() -> None:
    """IR cases 8 and 10: no member, block or tool of one vendor is in what another one gets."""
    for target in (NARROW, WIDE, SEES):
        left, fields = prepared(rich(), target, FORGIVING)
        assert MARKER.encode() not in encode(structs.replace(left, echo=None))
        assert {"server_state", "guardrails", "metadata", "hosted_tools", "other"} <= set(fields)


def test_the_request_that_was_given_is_not_changed() -> None:
    """IR §6: another lane may get it next, so nothing in it changes, whichever the target."""
    request = rich()
    own = Abilities(HERE, seal="here")
    for target in (
        NARROW,
        WIDE,
        SEES,
        own,
        WIDE._replace(takes_documents=False),
        NARROW._replace(takes_documents=True),
    ):
        prepare_request(request, target, FORGIVING, Report())
        assert request == rich()


def test_nothing_is_noted_of_a_plain_request() -> None:
    """IR §8: system prompt, text and tools reach everybody as they are."""
    request = Request(
        HERE,
        system=[Text("s")],
        messages=[user(Text("a")), Message(Role.ASSISTANT, [ToolUse("i", "t")]), user(ToolResult("i", [Text("r")]))],
        tools=[Tool("t", schema=Raw(b"{}"))],
        sampling=Sampling(max_tokens=Raw(b"5"), temperature=Raw(b"1")),
    )
    assert prepared(request) == (request, [])


@pytest.mark.parametrize(
    ("kept", "field", "forgiving"),
    [
        (
            Request(HERE, held=["conversation", "prompt"], ext={"prompt": Raw(b"1")}),
            "server_state",
            LANE._replace(drops_held=True),
        ),
        (Request(HERE, guards=["guardrailConfig"]), "guardrails", LANE._replace(drops_guards=True)),
    ],
)
def test_what_must_not_fall_away_is_refused(kept: Request, field: str, forgiving: Recipient) -> None:
    """IR §6, step 9: state that a vendor holds and controls of safety are dropped only where the operator says so."""
    with pytest.raises(Misshapen) as raised:
        prepared(kept)
    assert raised.value.param == [*kept.held, *kept.guards][0]
    assert "not supported" in raised.value.reason
    left, fields = prepared(kept, lane=forgiving)
    assert (left.held, left.guards, left.ext, fields) == ([], [], None, [field])
    own = Abilities(HERE)
    assert prepared(kept, own) == (kept, [])


@pytest.mark.parametrize("mode", list(ReasoningMode))
def test_thinking_is_asked_of_lanes_that_may_be_asked(mode: ReasoningMode) -> None:
    """IR case 17: without the flag, or toward a dialect that has no word for it, the ask is dropped and noted."""
    request = Request(HERE, reasoning=Reasoning(mode, "high"))
    assert prepared(request, lane=THINKS) == (request, [])
    assert prepared(request) == (Request(HERE), ["reasoning"])
    assert prepared(request, NARROW._replace(takes_reasoning=False), THINKS) == (Request(HERE), ["reasoning"])
    assert prepared(Request(HERE)) == (Request(HERE), [])


def test_who_asks_is_told_to_who_has_a_word_for_it() -> None:
    """IR §8, end-user id: dropped and noted elsewhere."""
    request = Request(HERE, user="somebody")
    assert prepared(request, WIDE) == (request, [])
    assert prepared(request) == (Request(HERE), ["user"])


def test_what_is_no_concern_of_the_dialect_stays() -> None:
    """IR §3: the form of the answer and the wish for a stream are the writer's affair."""
    left, _ = prepared(rich(), NARROW, FORGIVING)
    assert (left.format, left.in_stream, left.include_usage) == (OutputFormat(Raw(b"{}")), True, True)
    assert (left.source, left.echo) == (HERE, rich().echo)


# Turns


def test_later_system_prompts_move_to_the_front_unless_they_may_stay() -> None:
    """IR case 53: their order is kept, and that they moved is noted, as is what was with them."""
    later = Message(Role.SYSTEM, [Text("b"), Text("c")], {"name": Raw(b'"n"')})
    request = Request(HERE, system=[Text("a")], messages=[user(Text("u")), later, user(Text("v"))])
    moved = Request(HERE, system=[Text("a"), Text("b"), Text("c")], messages=[user(Text("u")), user(Text("v"))])
    assert prepared(request) == (moved, ["message_name", "message_role"])
    stays = structs.replace(request, messages=[user(Text("u")), Message(Role.SYSTEM, later.blocks), user(Text("v"))])
    assert prepared(request, NARROW._replace(takes_later_system="always")) == (stays, ["message_name"])
    asked = NARROW._replace(takes_later_system="asked")
    assert prepared(request, asked)[0] == moved
    assert prepared(request, asked, LANE._replace(options={"inline_system": True}))[0] == stays


def test_files_of_results_follow_the_last_of_them() -> None:
    """IR case 52: a turn of the user behind the turns of tools, or behind the results in the user's own turn."""
    result, other = ToolResult("i", [Text("r"), IMAGE]), ToolResult("j", [IMAGE])
    bare, empty = ToolResult("i", [Text("r")]), ToolResult("j")
    tools = [Message(Role.TOOL, [result]), Message(Role.TOOL, [other])]
    done = [Message(Role.TOOL, [bare]), Message(Role.TOOL, [empty]), user(IMAGE, IMAGE)]
    assert prepared(Request(HERE, messages=tools), SEES)[0].messages == done
    for role in (Role.USER, Role.ASSISTANT):
        last = Message(role, [Text("t")])
        assert prepared(Request(HERE, messages=[*tools, last]), SEES)[0].messages == [*done, last]
    in_turn = Request(HERE, messages=[user(result, other, Text("t"))])
    assert prepared(in_turn, SEES) == (
        Request(HERE, messages=[user(bare, empty, IMAGE, IMAGE, Text("t"))]),
        ["media_in_result"],
    )


def test_a_turn_of_which_nothing_is_left_is_no_turn() -> None:
    """Anthropic §8: a turn left empty is removed."""
    request = Request(HERE, messages=[user(Text("t")), Message(Role.ASSISTANT, [Thinking("h")]), user()])
    assert prepared(request) == (Request(HERE, messages=[user(Text("t"))]), ["thinking"])


def test_documents_in_turns_join_those_of_the_request() -> None:
    """Cohere §3: all of them have one place, in order."""
    plain = Media(MediaKind.DOCUMENT, Plain("p"), name="P", is_cited=True)
    request = Request(HERE, messages=[user(plain, Text("t"))], documents=[Document("d", text="t")])
    left, fields = prepared(request, NARROW._replace(takes_documents=True))
    assert left.documents == [Document("d", text="t"), Document(title="P", text="p")]
    assert (left.messages, fields) == ([user(Text("t"))], ["document"])


def test_marks_are_counted_of_what_is_left() -> None:
    """IR §6, step 4: tools that were filtered out and blocks that were dropped take no mark from others."""
    marks = [Text(str(number), mark=Mark()) for number in range(3)]
    request = Request(
        HERE,
        messages=[user(Media(MediaKind.AUDIO, Inline("a"), mark=Mark()), *marks)],
        tools=[Tool("a", mark=Mark()), Tool("b", mark=Mark())],
        tool_choice=ToolChoice(ChoiceMode.AUTO, allowed=["a"]),
    )
    left, fields = prepared(request, NARROW._replace(takes_marks="always", most_marks=4))
    assert left.messages == [user(*marks)]
    assert left.tools == [Tool("a", mark=Mark())]
    assert fields == ["audio", "cache_control", "allowed_tools"]


# Back to its own dialect


def test_a_request_of_the_own_dialect_loses_what_others_sealed_and_nothing_else() -> None:
    """IR cases 9, 15 and 22: it is written again as it was, nothing filled in, clamped or refused."""
    own = Abilities(HERE, seal="here", opens=frozenset(("here",)), needs_max_tokens=True, most_stops=1)
    report = Report()
    request = rich()
    assert prepare_request(request, own._replace(takes_tool_id=bool), LANE, report) == request
    assert report.entries == []
    foreign = Message(Role.ASSISTANT, [Thinking("h", seal=Seal("abcd", "v"))])
    text = Message(Role.ASSISTANT, [Text("t", seal=Seal("abcd", "v")), ToolUse("i" * 80, "t")])
    given = Request(HERE, messages=[user(), foreign, text])
    short = own._replace(takes_tool_id=lambda tool_id: len(tool_id) <= 40)
    left = prepare_request(given, short, LANE, report)
    assert [len(message.blocks) for message in left.messages] == [0, 2]
    assert left.messages[1].blocks[0] == Text("t")
    assert report.entries == [
        Entry(Action.DROPPED, "thinking"),
        Entry(Action.DROPPED, "signature"),
        Entry(Action.MAPPED, "tool_id"),
    ]


# In general

PARTS: st.SearchStrategy[AnyBlock] = st.sampled_from(
    [
        Text("t", mark=Mark()),
        Text("p", is_plan=True),
        Thinking("h"),
        Thinking("h", seal=Seal("kind", "v")),
        Thinking(sealed="x", seal=Seal("abcd", "x")),
        ToolUse("i" * 80, "t"),
        ToolResult("i" * 80, [Text("t", mark=Mark()), IMAGE], mark=Mark()),
        IMAGE,
        Opaque(THERE, Raw(b"{}")),
    ]
)
TURNS = st.lists(st.builds(Message, st.sampled_from(Role), st.lists(PARTS, max_size=4)), max_size=5)
TARGETS = st.sampled_from([NARROW, WIDE, SEES, SEES._replace(takes_marks="always", most_marks=2)])


@given(TURNS, TARGETS)
def test_what_was_prepared_needs_no_more_preparing(messages: list[Message], target: Abilities) -> None:
    """IR §6: the steps leave nothing for a second round to note."""
    once, _ = prepared(Request(HERE, messages=messages), target)
    assert prepared(once, target) == (once, [])


@given(TURNS, TARGETS)
def test_calls_and_results_keep_their_pairs_and_their_order(messages: list[Message], target: Abilities) -> None:
    """IR case 25: call and result agree, and none of them is lost."""

    def pairs(request: Request) -> list[tuple[type, str]]:
        blocks = [block for message in request.messages for block in message.blocks]
        uses = [(ToolUse, block.id) for block in blocks if isinstance(block, ToolUse)]
        return uses + [(ToolResult, block.tool_id) for block in blocks if isinstance(block, ToolResult)]

    spoken = [message for message in messages if message.role is not Role.SYSTEM]
    request = Request(HERE, messages=spoken)
    short = target._replace(takes_tool_id=lambda tool_id: len(tool_id) <= 40)
    left = prepared(request, short)[0]
    assert [kind for kind, _ in pairs(left)] == [kind for kind, _ in pairs(request)]
    assert len({tool_id for _, tool_id in pairs(left)}) <= 1


def test_format_of_another_kind_becomes_what_everybody_reads() -> None:
    """IR case 33: OpenAPI's words for types are those of one vendor."""
    asked = OutputFormat(Raw(b'{"type":"STRING"}'), is_openapi=True)
    left, fields = prepared(Request(HERE, messages=[user(Text("t"))], format=asked))
    assert (left.format, fields) == (OutputFormat(Raw(b'{"type":"string"}')), [])
