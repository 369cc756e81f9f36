"""Blocks of a conversation on their way to a dialect that has no place for all of them."""

from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from busbar_fast.dialects.guard import fenced, field_of
from busbar_fast.dialects.preparing.losses import report_members
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir import seals, tool_ids, tool_names
from busbar_fast.ir.blocks import (
    AnyBlock,
    Block,
    Code,
    CodeResult,
    Held,
    Json,
    Media,
    Opaque,
    Plain,
    Seal,
    SearchResult,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Document

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSAID_DETAIL: Final = "auto"


def behind_results(blocks: list[AnyBlock]) -> int:
    """Return the place behind the results among blocks, which must come first in a turn."""
    return 1 + max((at for at, block in enumerate(blocks) if isinstance(block, ToolResult)), default=-1)


def taken_name(name: str, target: Abilities, report: Report) -> str:
    """Return the name of a tool as the target takes it."""
    if not name or target.takes_tool_name(name):
        return name
    report.mapped("tool_name")
    return tool_names.fitting(name)


class BlockPreparer:
    """Prepares blocks in the order of the conversation.

    `beside` holds files that results could not keep, `documents` those that have a place of their own in the target.
    """

    def __init__(self, target: Abilities, report: Report) -> None:
        self._target = target
        self._report = report
        self.beside: list[AnyBlock] = []
        self.documents: list[Document] = []
        self._prepare: dict[type[Block], Callable[[Any], AnyBlock | None]] = {}  # made when it is needed

    def _preparers(self) -> "dict[type[Block], Callable[[Any], AnyBlock | None]]":
        if not self._prepare:
            self._prepare = {
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
        return self._prepare

    def prepared(self, blocks: list[AnyBlock]) -> list[AnyBlock]:
        """Return what the target has a place for, in its form."""
        return [kept for kept in map(self._one, blocks) if kept is not None]

    def reopened(self, blocks: list[AnyBlock]) -> list[AnyBlock]:
        """Return blocks of the target's own dialect without what it can neither open nor call by its name."""
        return [kept for kept in map(self._own, blocks) if kept is not None]

    def take_beside(self) -> list[AnyBlock]:
        """Return the files that results could not keep, and forget them."""
        beside, self.beside = self.beside, []
        return beside

    def _one(self, block: AnyBlock) -> AnyBlock | None:
        report_members(block.ext, self._report)
        # HOT: most blocks are texts, and the table takes 1 µs to make, CPython 3.11, 2026-11
        kept = self._text(block) if isinstance(block, Text) else self._preparers()[type(block)](block)
        if kept is block and block.seal is None and block.ext is None:
            return block
        if kept is not None:
            return structs.replace(kept, mark=block.mark, seal=self._opened(block), ext=None)
        if block.mark is not None:
            self._report.dropped("cache_control")
        return None

    def _own(self, block: AnyBlock) -> AnyBlock | None:
        if isinstance(block, ToolUse):
            block = self._tool_use(block)
        elif isinstance(block, ToolResult):
            return structs.replace(block, tool_id=self._taken_id(block.tool_id))
        if block.seal is None or self._can_open(block.seal):
            return block
        if isinstance(block, Thinking) and (block.is_redacted or not self._target.takes_unsealed_thinking):
            return self._if(block, is_taken=False)
        return structs.replace(block, seal=self._opened(block))

    # Ids and seals

    def _taken_id(self, tool_id: str) -> str:
        """Return the id of a call as the target takes it."""
        if self._target.takes_tool_id(tool_id):
            return tool_id
        self._report.mapped("tool_id")
        return tool_ids.hashed(tool_id, self._target.tool_prefix)

    def _can_open(self, seal: Seal | None) -> bool:
        return seal is not None and seal.family in self._target.opens

    def _opened(self, block: AnyBlock) -> Seal | None:
        """Return the seal of a block if the target can open it."""
        if block.seal is None or self._can_open(block.seal):
            return block.seal
        if block.seal != seals.UNSEALED:
            self._report.dropped("signature")
        return None

    # One kind after the other

    def _if(self, block: AnyBlock, *, is_taken: bool) -> AnyBlock | None:
        """Return a block that is taken; note one that is not."""
        if is_taken:
            return block
        self._report.dropped(field_of(block))
        return None

    def _text(self, block: Text) -> AnyBlock | None:
        if not block.text and block.seal is not None and not self._can_open(block.seal):
            self._report.dropped("signature")
            return None  # the seal was all there was
        if block.citations and not self._target.takes_citations:
            self._report.dropped("citations")
            block = structs.replace(block, citations=[])
        if block.is_plan and not self._target.takes_plans:
            self._report.mapped("plan")
            return structs.replace(block, is_plan=False)
        return block

    def _thinking(self, block: Thinking) -> AnyBlock | None:
        target = self._target
        if block.is_redacted:
            is_taken = target.takes_redacted and self._can_open(block.seal)
        else:
            is_taken = target.takes_thinking and (target.takes_unsealed_thinking or self._can_open(block.seal))
        return self._if(block, is_taken=is_taken)

    def _tool_use(self, block: ToolUse) -> ToolUse:
        taken, name = self._taken_id(block.id), taken_name(block.name, self._target, self._report)
        return block if (taken, name) == (block.id, block.name) else structs.replace(block, id=taken, name=name)

    def _tool_result(self, block: ToolResult) -> AnyBlock:
        is_error = block.is_error and self._target.takes_error_flag
        if block.is_error and not is_error:
            self._report.dropped("tool_error")
        parts = [kept for kept in map(self._part, block.blocks) if kept is not None]
        tool_id = self._taken_id(block.tool_id)
        name = taken_name(block.name, self._target, self._report)
        return structs.replace(block, tool_id=tool_id, blocks=parts, is_error=is_error, name=name)

    def _part(self, block: AnyBlock) -> AnyBlock | None:
        """Return a part of a result; a file that it cannot hold becomes text, or stands beside it."""
        if isinstance(block, Media) and isinstance(block.source, Plain):
            return self._plain_part(block, block.source)
        kept = self._one(block)
        if not isinstance(kept, Media) or (kept.kind, type(kept.source)) in self._target.result_media:
            return kept
        self._report.mapped("media_in_result")
        self.beside.append(kept)
        return None

    def _plain_part(self, block: Media, source: Plain) -> AnyBlock | None:
        if (block.kind, Plain) in self._target.result_media:
            return self._one(block)
        report_members(block.ext, self._report)
        return structs.replace(self._spoken(block, source), mark=block.mark)

    def _json(self, block: Json) -> AnyBlock:
        if self._target.takes_json_results:
            return block
        self._report.mapped("json")
        return Text(bytes(block.value).decode())

    def _media(self, block: Media) -> AnyBlock | None:
        target, source = self._target, block.source
        if isinstance(source, Plain) and not target.takes_text_documents:
            if not target.takes_documents:
                return self._spoken(block, source)
            self._report.mapped("document")
            self.documents.append(Document(title=block.name, text=source.text, is_cited=block.is_cited))
            return None
        if isinstance(source, Held):
            if source.owner != target.name:
                self._report.dropped("vendor_file")
                return None
        elif not isinstance(source, Plain) and (block.kind, type(source)) not in target.media:
            return self._if(block, is_taken=False)
        if target.takes_image_detail or not block.detail:
            return block
        if block.detail != _UNSAID_DETAIL:
            self._report.dropped("image_detail")
        return structs.replace(block, detail="")

    def _spoken(self, block: Media, source: Plain) -> Text:
        """Return a document that is text as a text."""
        self._report.mapped("document")
        return Text("\n\n".join(part for part in (block.name, block.context, source.text) if part))

    def _search_result(self, block: SearchResult) -> AnyBlock:
        if self._target.takes_search_results:
            return structs.replace(block, blocks=self.prepared([*block.blocks]))
        self._report.mapped("search_result")
        return Text("\n".join((block.title, block.source, *(text.text for text in block.blocks))))

    def _code(self, block: Code | CodeResult) -> AnyBlock:
        if self._target.takes_code:
            return block
        self._report.mapped("code")
        return Text(fenced(block))

    def _opaque(self, block: Opaque) -> AnyBlock | None:
        return self._if(block, is_taken=block.owner == self._target.name)
