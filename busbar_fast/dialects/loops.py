"""Loops of calls, for vendors that, asked to think, want to see the thought that an open loop began with.

A loop is open while results come last: to such a vendor it is one turn of the model, in which everything was thought or
nothing. Thoughts of other vendors must have been taken out before.
"""

from itertools import groupby

from msgspec import structs

from busbar_fast.ir.blocks import AnyBlock, Thinking, ToolResult, ToolUse
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Message, Reasoning, ReasoningMode, Request, Role


def has_unsealed_loop(messages: list[Message]) -> bool:
    """Say whether a loop of calls is open that did not begin with a thought."""
    head: list[AnyBlock] = []
    for is_model, turn in groupby(reversed(messages), key=_is_models):
        blocks = [block for message in turn for block in message.blocks]
        if is_model:
            head = blocks
            continue
        has_result = any(isinstance(block, ToolResult) for block in blocks)
        # Words beside results may begin another loop or not, which vendors do not say. What is taken in either case: at
        # the end the loop before them is open, and in the middle they begin one.
        if not has_result or (head and not all(isinstance(block, ToolResult) for block in blocks)):
            break
    has_call = any(isinstance(block, ToolUse) for block in head)
    return has_call and not any(isinstance(block, Thinking) for block in head)


def without_thinking(request: Request, report: Report, effort: str = "") -> Request:
    """Return a request that asks for no thoughts, and holds none: they are refused in a loop that goes on without.

    The effort is what is asked for all the same.
    """
    report.dropped("reasoning")
    messages = []
    for message in request.messages:
        blocks = [block for block in message.blocks if not isinstance(block, Thinking)]
        if len(blocks) < len(message.blocks):
            report.dropped("thinking")
        messages.append(structs.replace(message, blocks=blocks))
    reasoning = Reasoning(ReasoningMode.ON, effort) if effort else None
    return structs.replace(request, messages=messages, reasoning=reasoning)


def _is_models(message: Message) -> bool:
    return message.role is Role.ASSISTANT
