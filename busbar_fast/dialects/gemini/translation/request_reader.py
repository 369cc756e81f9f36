"""What clients of this dialect write, in neutral records.

Calls mostly have no ids here: results are told apart by the names of functions and by their order. Each call gets an
id that is made of its place, the same in every process, and each result the id of the call that it answers.
"""

from collections import deque
from typing import Final, cast

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.gemini.translation.abilities import NAME, SEAL
from busbar_fast.dialects.gemini.translation.carrying import joined, packed
from busbar_fast.dialects.gemini.translation.config_reader import Config
from busbar_fast.dialects.gemini.translation.fields import Fields, fields_of, read_fields
from busbar_fast.dialects.gemini.translation.part_reader import read_part, seal_of_client
from busbar_fast.dialects.gemini.translation.tool_reader import read_choice, read_tools
from busbar_fast.dialects.members import text_of
from busbar_fast.errors import Misshapen
from busbar_fast.ir import tool_ids
from busbar_fast.ir.blocks import AnyBlock, Text, Thinking, ToolResult, ToolUse
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
    if ask.operation is Operation.CONVERSE:
        document.raw("model")  # the path says it; where tokens are counted, a request inside must say it
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
    return [block for block in _read_parts(content) if not is_empty(block)]


def _read_contents(contents: list[Fields], report: Report) -> list[Message]:
    """Return the turns; what a client got in pieces, as a streamed turn, is one turn again."""
    messages: list[Message] = []
    pieces: list[list[list[AnyBlock]]] = []  # of each turn
    ids = _Ids(report)
    for content in contents:
        role = _ROLES.get(content.text("role"))
        if role is None:
            raise content.wrong("role", "must be user or model")
        blocks = [ids.identified(block) for block in _read_parts(content)]
        ext = packed(content.rest(), "content") or None
        if role is Role.ASSISTANT and messages and messages[-1].role is role:
            pieces[-1].append(blocks)
            messages[-1].ext = joined(messages[-1].ext, ext)
        else:
            pieces.append([blocks])
            messages.append(Message(role, ext=ext))
    for message, turn in zip(messages, pieces, strict=True):
        message.blocks = _with_whole_thoughts([block for block in _with_whole_texts(turn) if not is_empty(block)])
    return messages


def _read_parts(content: Fields) -> list[AnyBlock]:
    place = content.place("parts")
    return [read_part(raw, f"{place}[{at}]", seal_of_client) for at, raw in enumerate(content.items("parts"))]


def is_empty(block: AnyBlock) -> bool:
    """Say whether a block says nothing; one that is sealed does, to whoever can open it."""
    return isinstance(block, Text | Thinking) and not (block.text or block.seal or block.ext)


def _with_whole_texts(pieces: list[list[AnyBlock]]) -> list[AnyBlock]:
    """Return the blocks of a turn: a text goes on at the beginning of the next piece, if that begins with one."""
    found: list[AnyBlock] = []
    running: list[str] = []  # the text that may go on
    for blocks in pieces:
        for at, block in enumerate(blocks):
            is_bare = isinstance(block, Text) and not (block.seal or block.ext)
            if running and not (is_bare and at == 0):
                found.append(Text("".join(running)))
                running = []
            if is_bare:
                running.append(cast("Text", block).text)
            else:
                found.append(block)
    return [*found, Text("".join(running))] if running else found


def _with_whole_thoughts(blocks: list[AnyBlock]) -> list[AnyBlock]:
    """Return blocks in which a thought of another vendor is whole again: its seal came behind its last piece."""
    found: list[AnyBlock] = []
    for block in blocks:
        if isinstance(block, Thinking) and block.seal is not None and block.seal.family != SEAL:
            texts = [block.text]
            while found and isinstance(before := found[-1], Thinking) and before.seal is None:
                texts.append(before.text)
                block.ext = joined(before.ext, block.ext)
                found.pop()
            block.text = "".join(reversed(texts))
        found.append(block)
    return found


class _Ids:
    """Which call a result answers. Positions are those of all calls of a request."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._calls = 0
        self._orphans = 0
        self._waiting: dict[str, deque[str]] = {}  # ids by the names of the functions that were called, in order
        self._answered: set[str] = set()

    def identified(self, block: AnyBlock) -> AnyBlock:
        """Return a block; a call or result that had no id now has one."""
        if isinstance(block, ToolUse):
            block.id = block.id or invented_id(self._calls, block.name)
            self._calls += 1
            self._waiting.setdefault(block.name, deque()).append(block.id)
        elif isinstance(block, ToolResult):
            block.tool_id = block.tool_id or self._oldest(block.name)
            self._answered.add(block.tool_id)
        return block

    def _oldest(self, name: str) -> str:
        """Return the id of the first call that no result has answered; one of its own if there is none."""
        waiting = self._waiting.get(name)
        while waiting:
            tool_id = waiting.popleft()
            if tool_id not in self._answered:
                return tool_id
        self._report.filled("tool_id")
        self._orphans += 1
        return invented_id(self._orphans, name, of_result=True)


def invented_id(position: int, name: str, *, of_result: bool = False) -> str:
    """Return the id of a call that has none, or of a result that answers none."""
    return tool_ids.invented(f"result {position}" if of_result else f"{position}", name)
