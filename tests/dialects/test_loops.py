"""Loops of calls that are open, and what they began with."""

import pytest

from busbar_fast.dialects.loops import has_unsealed_loop, without_thinking
from busbar_fast.ir.blocks import AnyBlock, Seal, Text, Thinking, ToolResult, ToolUse
from busbar_fast.ir.report import Action, Entry, Report
from busbar_fast.ir.requests import Message, Reasoning, ReasoningMode, Request, Role

CALL, RESULT, WORDS = ToolUse("toolu_1", "f"), ToolResult("toolu_1", [Text("x")]), Text("hi")
THOUGHT = Thinking("hm", seal=Seal("anth", "c2ln"))


def model(*blocks: AnyBlock) -> Message:
    """Return what a model says."""
    return Message(Role.ASSISTANT, list(blocks))


def user(*blocks: AnyBlock) -> Message:
    """Return what somebody else says."""
    return Message(Role.USER, list(blocks))


def tool(*blocks: AnyBlock) -> Message:
    """Return what became of calls."""
    return Message(Role.TOOL, list(blocks))


@pytest.mark.parametrize(
    ("messages", "is_unsealed"),
    [
        ([], False),
        ([user(WORDS)], False),
        ([tool(RESULT)], False),
        ([model(CALL), tool(RESULT)], True),
        ([model(WORDS, CALL), tool(RESULT), tool(RESULT)], True),
        ([model(THOUGHT, CALL), tool(RESULT)], False),
        # A turn may come in several messages.
        ([user(WORDS), model(THOUGHT), model(CALL), tool(RESULT)], False),
        # What the loop began with counts, and not what it has come to.
        ([user(WORDS), model(CALL), tool(RESULT), model(THOUGHT, CALL), tool(RESULT)], True),
        ([user(WORDS), model(THOUGHT, CALL), tool(RESULT), model(CALL), tool(RESULT)], False),
        ([user(WORDS), model(CALL), tool(RESULT), model(WORDS)], True),
        # It is over when somebody speaks.
        ([model(CALL), tool(RESULT), model(WORDS), user(WORDS)], False),
        ([model(CALL), tool(RESULT), model(WORDS), user(WORDS), model(THOUGHT, CALL), tool(RESULT)], False),
        ([model(CALL), user(WORDS)], False),
        # Words beside results close none at the end, and begin one in the middle.
        ([model(CALL), user(RESULT, WORDS)], True),
        ([model(CALL), tool(RESULT), user(WORDS)], True),
        ([model(THOUGHT, CALL), user(RESULT, WORDS), model(CALL), tool(RESULT)], True),
        ([model(CALL), user(RESULT, WORDS), model(THOUGHT, CALL), tool(RESULT)], False),
    ],
)
def test_open_loop_should_have_begun_with_a_thought(messages: list[Message], is_unsealed: bool) -> None:
    """Anthropic §8: from the last results back to where somebody spoke, it is one turn of the model."""
    assert has_unsealed_loop(messages) is is_unsealed


@pytest.mark.parametrize("effort", ["", "low"])
def test_who_is_not_asked_to_think_gets_no_thoughts(effort: str) -> None:
    """Anthropic §8: they are refused in a turn that goes on without; each loss is noted, and the request is kept."""
    report, messages = Report(), [user(WORDS), model(CALL), tool(RESULT), model(THOUGHT, CALL), tool(RESULT)]
    request = Request("other", messages=messages, reasoning=Reasoning(ReasoningMode.ON, "high", 5000))
    found = without_thinking(request, report, effort)
    assert found.messages == [*messages[:3], model(CALL), tool(RESULT)]
    assert found.reasoning == (Reasoning(ReasoningMode.ON, "low") if effort else None)
    assert report.entries == [Entry(Action.DROPPED, "reasoning"), Entry(Action.DROPPED, "thinking")]
    assert request.messages[3].blocks == [THOUGHT, CALL]
