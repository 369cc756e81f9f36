"""What clients of this dialect write, in neutral records.

Calls mostly have no ids here: results are told apart by the names of functions and by their order. Each call gets an
id that is made of its place, the same in every process, and each result the id of the call that it answers.
"""

from typing import Final

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.gemini.translation.abilities import NAME, SEAL
from busbar_fast.dialects.gemini.translation.carrying import joined, packed
from busbar_fast.dialects.gemini.translation.config_reader import Config
from busbar_fast.dialects.gemini.translation.fields import Fields, fields_of, read_fields
from busbar_fast.dialects.gemini.translation.part_reader import read_part, seal_of_client
from busbar_fast.dialects.gemini.translation.tool_reader import read_choice, read_tools
from busbar_fast.dialects.members import text_of
from busbar_fast.errors import Misshapen
from busbar_fast.ir import tool_ids
from busbar_fast.ir.blocks import AnyBlock, Ext, Text, Thinking, ToolResult, ToolUse
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Message, Request, Role

_ROLES: Final = {
    "": Role.USER,
    "user": Role.USER,
    "model": Role.ASSISTANT,
    "function": Role.TOOL,
    "tool": Role.TOOL,
}
_HELD: Final = "cachedContent"


def read_request(body: bytes, ask: Ask, report: Report) -> Request:
    """Read a request. Raise Misshapen, NotJson or TooDeep."""
    document = read_fields(body)
    document.raw("model")  # the path says it
    system = _read_system(document)
    messages = _read_contents(document.several("contents"), report)
    if not messages:
        raise Misshapen("contents", "must not be empty")
    tools, hosted = read_tools(document.several("tools"))
    choice, is_strict, left_of_choice = None, None, None
    tool_config = document.inner("toolConfig")
    if tool_config is not None:
        choice, is_strict, left_of_choice = read_choice(tool_config)
    config = Config(document.inner("generationConfig") or Fields({}), report)
    return Request(
        NAME,
        system=system,
        messages=messages,
        tools=tools,
        hosted=hosted,
        tool_choice=choice,
        strict_tools=is_strict,
        sampling=config.sampling,
        format=config.format,
        reasoning=config.reasoning,
        in_stream=ask.in_stream is True,
        held=[_HELD] if _HELD in document else [],
        ext=joined(left_of_choice, config.ext, document.rest()),
    )


def _read_system(document: Fields) -> list[AnyBlock]:
    raw = document.raw("systemInstruction")
    if not raw:
        return []
    text = text_of(raw)
    if text is not None:
        return [Text(text)]
    content = fields_of(raw, document.place("systemInstruction"))
    return [block for block in _read_parts(content) if not _is_empty(block)]


def _read_contents(contents: list[Fields], report: Report) -> list[Message]:
    """Return the turns; what a client got in pieces, as a streamed turn, is one turn again."""
    messages: list[Message] = []
    ids = _Ids(report)
    for content in contents:
        word = content.text("role")
        role = _ROLES.get(word)
        if role is None:
            raise content.wrong("role", "must be user or model")
        blocks = [ids.identified(block) for block in _read_parts(content)]
        ext: Ext | None = packed(content.rest(), "content") or None
        if role is Role.ASSISTANT and messages and messages[-1].role is role:
            _lengthen(messages[-1], blocks)
            messages[-1].ext = joined(messages[-1].ext, ext)
        else:
            messages.append(Message(role, blocks, ext))
    for message in messages:
        message.blocks = _with_whole_thoughts([block for block in message.blocks if not _is_empty(block)])
    return messages


def _read_parts(content: Fields) -> list[AnyBlock]:
    place = content.place("parts")
    return [read_part(raw, f"{place}[{at}]", seal_of_client) for at, raw in enumerate(content.items("parts"))]


def _is_empty(block: AnyBlock) -> bool:
    """Say whether a block says nothing; one that is sealed does, to whoever can open it."""
    return isinstance(block, Text | Thinking) and not (block.text or block.seal or block.ext)


def _lengthen(message: Message, blocks: list[AnyBlock]) -> None:
    """Add the next piece of a turn: a text goes on where it was cut."""
    last = message.blocks[-1] if message.blocks else None
    first = blocks[0] if blocks else None
    if isinstance(last, Text) and isinstance(first, Text) and _is_bare(last) and _is_bare(first):
        message.blocks[-1] = Text(last.text + first.text)
        blocks = blocks[1:]
    message.blocks += blocks


def _is_bare(text: Text) -> bool:
    return not (text.seal or text.ext)


def _with_whole_thoughts(blocks: list[AnyBlock]) -> list[AnyBlock]:
    """Return blocks in which a thought of another vendor is whole again: its seal came behind its last piece."""
    found: list[AnyBlock] = []
    for block in blocks:
        if isinstance(block, Thinking) and block.seal is not None and block.seal.family != SEAL:
            while found and isinstance(before := found[-1], Thinking) and before.seal is None:
                block.text = before.text + block.text
                block.ext = joined(before.ext, block.ext)
                found.pop()
        found.append(block)
    return found


class _Ids:
    """Which call a result answers. Positions are those of all calls of a request."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._calls = 0
        self._orphans = 0
        self._open: list[tuple[str, str]] = []  # id and name of calls that no result has answered

    def identified(self, block: AnyBlock) -> AnyBlock:
        """Return a block; a call or result that had no id now has one."""
        if isinstance(block, ToolUse):
            block.id = block.id or invented_id(self._calls, block.name)
            self._calls += 1
            self._open.append((block.id, block.name))
        elif isinstance(block, ToolResult):
            block.tool_id = block.tool_id or self._oldest(block.name)
            self._open = _without_first(self._open, block.tool_id)
        return block

    def _oldest(self, name: str) -> str:
        for tool_id, called in self._open:
            if called == name:
                return tool_id
        self._report.filled("tool_id")
        self._orphans += 1
        return invented_id(self._orphans, name, of_result=True)


def invented_id(position: int, name: str, *, of_result: bool = False) -> str:
    """Return the id of a call that has none, or of a result that answers none."""
    return tool_ids.invented(f"result {position}" if of_result else f"{position}", name)


def _without_first(calls: list[tuple[str, str]], tool_id: str) -> list[tuple[str, str]]:
    at = next((at for at, (known, _) in enumerate(calls) if known == tool_id), len(calls))
    return calls[:at] + calls[at + 1 :]
