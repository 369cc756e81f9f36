"""A prepared request as lanes of this dialect take it."""

from typing import Final

from busbar_fast.dialects.gemini.translation.abilities import CLOUD, NAME
from busbar_fast.dialects.gemini.translation.carrying import unpacked
from busbar_fast.dialects.gemini.translation.config_writer import generation_config
from busbar_fast.dialects.gemini.translation.part_writer import write_part
from busbar_fast.dialects.gemini.translation.request_reader import invented_id, is_empty
from busbar_fast.dialects.gemini.translation.results import write_result
from busbar_fast.dialects.gemini.translation.tool_writer import tool_config, tool_entries
from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import without_nothing, write
from busbar_fast.dialects.translator import Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import AnyBlock, Media, Seal, Text, ToolResult, ToolUse, Url
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request, Role

# What the vendor takes for the seal of a call that another vendor's model made: newer models want one on each call.
# Its cloud takes no such thing.
_BYPASS: Final = "skip_thought_signature_validator"
_NOTHING_LEFT: Final = {"text": " "}  # a turn has to have a part, and its text must not be empty


def write_request(request: Request, recipient: Recipient, report: Report) -> bytes:
    """Write a prepared request. Raise Misshapen if no turn is left."""
    if not request.messages:
        raise Misshapen("messages", "must not be empty")
    document: dict[str, object] = {}
    system = _system(request, report)
    if system:
        document["systemInstruction"] = {"parts": system}
    document["contents"] = _Contents(request, recipient, report).written()
    document |= {
        "tools": tool_entries(request, recipient, report) or None,
        "toolConfig": tool_config(request, report) or None,
        "generationConfig": generation_config(request, recipient, report) or None,
    }
    return write(without_nothing(document | unpacked(request.ext)))


def _system(request: Request, report: Report) -> list[object]:
    """Return the parts of the system prompt, which can be nothing but text."""
    parts = []
    for block in request.system:
        if isinstance(block, Text) or request.source == NAME:
            parts.append(write_part(block, report))
        else:
            report.dropped(field_of(block))
    return [part for part in parts if part is not None]


class _Contents:
    """Writes the turns: neighbours of one role are one turn, with what became of calls in front of all else."""

    def __init__(self, request: Request, recipient: Recipient, report: Report) -> None:
        self._messages = request.messages
        self._report = report
        self._is_own = request.source == NAME
        self._is_cloud = CLOUD in recipient.host
        self._calls = 0
        self._orphans = 0
        self._invented: set[str] = set()  # ids that clients of this dialect never gave
        self._names = {
            block.id: block.name
            for message in request.messages
            for block in message.blocks
            if isinstance(block, ToolUse)
        }

    def written(self) -> list[object]:
        """Return all turns."""
        turns: list[tuple[str, list[AnyBlock], dict[str, object]]] = []
        for message in self._messages:
            role = "model" if message.role is Role.ASSISTANT else "user"
            kept = unpacked(message.ext, "content")
            if turns and turns[-1][0] == role:
                turns[-1][1].extend(message.blocks)
                turns[-1][2].update(kept)
            else:
                turns.append((role, list(message.blocks), dict(kept)))
        return [{"role": role, "parts": self._parts(blocks)} | kept for role, blocks, kept in turns]

    def _parts(self, blocks: list[AnyBlock]) -> list[object]:
        if not self._is_own:
            blocks.sort(key=lambda block: not isinstance(block, ToolResult))
        parts = [self._part(block) for block in blocks if not is_empty(block)]
        return [part for part in parts if part is not None] or [_NOTHING_LEFT]

    def _part(self, block: AnyBlock) -> object:
        if isinstance(block, ToolUse):
            return self._call(block)
        if isinstance(block, ToolResult):
            return self._result(block)
        if isinstance(block, Media) and isinstance(block.source, Url) and not self._is_own:
            self._report.mapped("image_url")
        return write_part(block, self._report, with_file_name=self._is_own or self._is_cloud)

    def _call(self, block: ToolUse) -> object:
        is_invented = self._is_own and block.id == invented_id(self._calls, block.name)
        self._calls += 1
        if is_invented:
            self._invented.add(block.id)
        seal = block.seal
        if not self._is_cloud and (seal is None or not seal.value):
            seal = Seal("", _BYPASS)
        shown = ToolUse(self._shown(block.id), block.name, block.args, block.args_text, seal=seal, ext=block.ext)
        return write_part(shown, self._report)

    def _result(self, block: ToolResult) -> object:
        tool_id = block.tool_id
        if self._is_own and tool_id == invented_id(self._orphans + 1, block.name, of_result=True):
            self._orphans += 1
            self._invented.add(tool_id)
        name = self._names.get(tool_id) or block.name or tool_id
        return write_result(block, self._shown(tool_id), name, self._report, is_own=self._is_own)

    def _shown(self, tool_id: str) -> str:
        """Return an id where it belongs: the cloud takes none but those that came from the vendor."""
        is_left_out = tool_id in self._invented or (self._is_cloud and not self._is_own)
        return "" if is_left_out else tool_id
