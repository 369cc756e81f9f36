"""Blocks of a conversation on their way to a dialect that has no place for all of them."""

from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from busbar_fast.dialects.guard import fenced, field_of
from busbar_fast.dialects.preparing.losses import report_members
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir import tool_ids
from busbar_fast.ir.blocks import (
    AnyBlock,
    Block,
    Code,
    CodeResult,
    Held,
    Json,
    Media,
    MediaKind,
    Opaque,
    Plain,
    SearchResult,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from busbar_fast.ir.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSAID_DETAILS: Final = ("", "auto")


class MarkBudget:
    """How many marks of a prompt may stay: the last ones count, so the first ones go."""

    __slots__ = ("_left_out", "_takes_any")

    def __init__(self, marks: int, most: int, *, takes_any: bool) -> None:
        self._takes_any = takes_any
        self._left_out = max(0, marks - most) if most else 0

    def takes(self, report: Report) -> bool:
        """Say whether the next mark stays."""
        if not self._takes_any:
            report.dropped("cache_control")
            return False
        if self._left_out:
            self._left_out -= 1
            report.truncated("cache_control")
            return False
        return True


class BlockPreparer:
    """Prepares blocks in the order of the conversation. `beside` holds files that results could not keep."""

    def __init__(self, target: Abilities, report: Report, marks: MarkBudget, *, is_own: bool) -> None:
        self._target = target
        self._report = report
        self._marks = marks
        self._is_own = is_own
        self.beside: list[AnyBlock] = []
        self._prepare: dict[type[Block], Callable[[Any], AnyBlock | None]] = {
            Text: self._text,
            Thinking: self._thinking,
            ToolUse: self._tool_use,
            ToolResult: self._tool_result,
            Json: self._json,
            Media: self._media,
            SearchResult: self._search_result,
            Code: self._code,
            CodeResult: self._code,
            Opaque: self._opaque,
        }

    def prepared(self, blocks: list[AnyBlock]) -> list[AnyBlock]:
        """Return what is left of blocks."""
        if self._is_own:
            return [block for block in map(self._without_foreign_seal, blocks) if block is not None]
        found = []
        for block in blocks:
            kept = self._one(block)
            if kept is not None:
                found.append(kept)
        return found

    def shown_id(self, tool_id: str) -> str:
        """Return the id of a call as the vendor takes it."""
        target = self._target
        if self._is_own or target.takes_tool_id(tool_id):
            return tool_id
        self._report.mapped("tool_id")
        return tool_ids.hashed(tool_id, target.tool_prefix)

    def _one(self, block: AnyBlock) -> AnyBlock | None:
        """Return a block as the target takes it, None if it does not."""
        report_members(block.ext, self._report)
        kept = self._prepare[type(block)](block)
        if kept is None:
            return None
        changes: dict[str, object] = {}
        if block.ext:
            changes["ext"] = None
        if block.mark is not None and not self._marks.takes(self._report):
            changes["mark"] = None
        if kept.seal is not None and kept.seal.family not in self._target.opens:
            self._report.dropped("signature")
            changes["seal"] = None
        if kept is not block and block.mark is not None and "mark" not in changes:
            changes["mark"] = block.mark
        return structs.replace(kept, **changes) if changes else kept

    def _without_foreign_seal(self, block: AnyBlock) -> AnyBlock | None:
        """Return a block of the target's own dialect without what another vendor has sealed."""
        if block.seal is None or block.seal.family in self._target.opens:
            return block
        if isinstance(block, Thinking):
            self._report.dropped(field_of(block))
            return None
        self._report.dropped("signature")
        return structs.replace(block, seal=None)

    def _dropped(self, block: AnyBlock) -> None:
        self._report.dropped(field_of(block))

    def _text(self, block: Text) -> AnyBlock | None:
        if not block.text and block.seal is not None and block.seal.family not in self._target.opens:
            self._report.dropped("signature")
            return None  # the seal was all there was
        if block.is_plan and not self._target.takes_plans:
            self._report.mapped("plan")
            return structs.replace(block, is_plan=False)
        return block

    def _thinking(self, block: Thinking) -> AnyBlock | None:
        target = self._target
        is_sealed = block.seal is not None and block.seal.family in target.opens
        if block.is_redacted:
            is_taken = target.takes_redacted and is_sealed
        else:
            is_taken = target.takes_thinking and (is_sealed or target.takes_unsealed_thinking)
        if is_taken:
            return block
        self._dropped(block)
        return None

    def _tool_use(self, block: ToolUse) -> AnyBlock | None:
        shown = self.shown_id(block.id)
        return block if shown == block.id else structs.replace(block, id=shown)

    def _tool_result(self, block: ToolResult) -> AnyBlock | None:
        target = self._target
        blocks = self._in_result(block.blocks)
        is_error = block.is_error and target.takes_error_flag
        if block.is_error and not is_error:
            self._report.dropped("tool_error")
        return structs.replace(block, tool_id=self.shown_id(block.tool_id), blocks=blocks, is_error=is_error)

    def _in_result(self, blocks: list[AnyBlock]) -> list[AnyBlock]:
        """Return the parts of a result; files that it cannot hold stand beside it."""
        found = []
        for block in blocks:
            if isinstance(block, Media) and (block.kind, type(block.source)) in self._target.result_media:
                kept = self._one(block)
            elif isinstance(block, Media) and not isinstance(block.source, Plain):
                kept, beside = None, self._one(block)
                if beside is not None:
                    self._report.mapped("media_in_result")
                    self.beside.append(beside)
            else:
                kept = self._one(block)
            if kept is not None:
                found.append(kept)
        return found

    def _json(self, block: Json) -> AnyBlock | None:
        if self._target.takes_json_results:
            return block
        self._report.mapped("json")
        return Text(bytes(block.value).decode())

    def _media(self, block: Media) -> AnyBlock | None:
        target, source = self._target, block.source
        if isinstance(source, Plain) and block.kind is MediaKind.DOCUMENT and not target.takes_text_documents:
            self._report.mapped("document")
            return Text(f"{block.name}\n\n{source.text}" if block.name else source.text)
        fits = (block.kind, type(source)) in target.media or isinstance(source, Plain)
        if isinstance(source, Held):
            fits = source.owner == target.name
        if not fits:
            self._report.dropped("vendor_file" if isinstance(source, Held) else field_of(block))
            return None
        if block.detail and not target.takes_image_detail:
            if block.detail not in _UNSAID_DETAILS:
                self._report.dropped("image_detail")
            return structs.replace(block, detail="")
        return block

    def _search_result(self, block: SearchResult) -> AnyBlock | None:
        if self._target.takes_search_results:
            return block
        self._report.mapped("search_result")
        return Text("\n".join((block.title, block.source, *(text.text for text in block.blocks))))

    def _code(self, block: Code | CodeResult) -> AnyBlock | None:
        if self._target.takes_code:
            return block
        self._report.mapped("code")
        return Text(fenced(block))

    def _opaque(self, block: Opaque) -> AnyBlock | None:
        if block.owner == self._target.name:
            return block
        self._dropped(block)
        return None
