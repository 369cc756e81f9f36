"""Tells a whole answer as the stream it could have been: for clients that asked for one and lanes that sent none."""

from busbar_fast.ir.answers import Answer, TokenLogprob
from busbar_fast.ir.blocks import AnyBlock, Text, Thinking, ToolUse
from busbar_fast.ir.events import Kind, Sink


def replay(answer: Answer, sink: Sink) -> None:
    """Make the calls of a stream that would have said this answer."""
    sink.start(answer.model, answer.usage)
    logprobs = answer.logprobs
    for index, block in enumerate(answer.blocks):
        _replay(block, index, sink, logprobs)
        if isinstance(block, Text):
            logprobs = []  # all of them are with the first text
        sink.close(index)
    sink.finish(answer.stop, answer.usage)
    sink.end(is_natural=True)


def _replay(block: AnyBlock, index: int, sink: Sink, logprobs: list[TokenLogprob]) -> None:
    if isinstance(block, Text):
        sink.open(index, Kind.REFUSAL if block.is_refusal else Kind.TEXT)
        sink.text(index, block.text)
        sink.citations(index, block.citations)
        sink.logprobs(index, logprobs)
    elif isinstance(block, Thinking) and not block.is_redacted:
        sink.open(index, Kind.THINKING)
        sink.thinking(index, block.text)
    elif isinstance(block, ToolUse):
        sink.open(index, Kind.TOOL_USE, block.id, block.name)
        sink.args(index, bytes(block.args).decode() if block.args_text is None else block.args_text)
    else:
        sink.whole(index, block)
        return
    if block.seal is not None:
        sink.seal(index, block.seal)
