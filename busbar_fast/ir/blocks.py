"""What messages and answers are made of: text, thoughts, calls, results, files. Plain records, trees without cycles.

No word of any dialect stands here. `Raw` is JSON as somebody wrote it, kept to the byte; an empty one is absent. What
records carry in `ext` are members that have no field, as they were written, and only for whoever wrote them.
"""

from enum import IntEnum
from typing import Final

from msgspec import Raw, Struct

NOTHING: Final = Raw()
NO_ARGS: Final = Raw(b"{}")

Ext = dict[str, Raw]


class Seal(Struct, frozen=True, gc=False):
    """Reasoning state that a vendor has sealed; only vendors of its family can open it."""

    family: str  # four letters
    value: str


class Mark(Struct, frozen=True, gc=False):
    """A place up to which a prompt is worth keeping in a cache."""

    ttl: str = ""  # as vendors write it: 5m, 1h


class Span(Struct, frozen=True, gc=False):
    """A part of a text that is cited or cites: code points, or whatever the unit says."""

    start: int
    end: int
    text: str = ""
    unit: str = "char"  # char, page, block


class CitationKind(IntEnum):
    """What is cited."""

    WEB = 1
    DOCUMENT = 2
    SEARCH_RESULT = 3
    TOOL = 4
    OTHER = 5


class Citation(Struct, gc=False):
    """One reference from an answer to a source.

    `answer` is the part of the block that cites, in code points of that block; `source` the part that is cited.
    """

    kind: CitationKind
    answer: Span | None = None
    source: Span | None = None
    title: str = ""
    url: str = ""
    doc_id: str = ""
    doc_index: int | None = None
    cursor: str = ""  # what a vendor wants back to find the source again
    raw: Raw = NOTHING  # as its vendor wrote it
    owner: str = ""  # whose `raw` that is


class Block(Struct, kw_only=True, gc=False):
    """What all blocks may have."""

    mark: Mark | None = None  # stands right behind the block
    seal: Seal | None = None
    ext: Ext | None = None


class Text(Block, gc=False):
    """Text that is meant to be read."""

    text: str
    citations: list[Citation] = []
    is_plan: bool = False  # what a model said about the calls that follow
    is_refusal: bool = False


class Thinking(Block, gc=False):
    """What a model thought. Redacted: there is no text, only what its vendor can read."""

    text: str = ""
    sealed: str = ""

    @property
    def is_redacted(self) -> bool:
        """Whether nobody but its vendor can read it."""
        return self.sealed != ""


class ToolUse(Block, gc=False):
    """A call. `args` is an object; what a model wrote that is no object stays in `args_text`, `args` being empty."""

    id: str
    name: str
    args: Raw = NO_ARGS
    args_text: str | None = None


class ToolResult(Block, gc=False):
    """What became of a call."""

    tool_id: str
    blocks: "list[AnyBlock]" = []  # Text, Json, Media, SearchResult, Opaque
    is_error: bool = False
    name: str = ""  # of the tool, where it was said


class Json(Block, gc=False):
    """Structured output of a tool."""

    value: Raw
    id: str = ""


class MediaKind(IntEnum):
    """What kind of a file it is."""

    IMAGE = 1
    DOCUMENT = 2
    AUDIO = 3
    VIDEO = 4


class Inline(Struct, frozen=True, gc=False):
    """Bytes in base64, in the standard alphabet with padding."""

    base64: str


class Url(Struct, frozen=True, gc=False):
    """A place in the web, http or https."""

    url: str


class Plain(Struct, frozen=True, gc=False):
    """A document that is text."""

    text: str


class Held(Struct, frozen=True, gc=False):
    """A file that lies with a vendor, or in a bucket that it can read."""

    owner: str
    raw: Raw


class Media(Block, gc=False):
    """A file."""

    kind: MediaKind
    source: Inline | Url | Plain | Held
    mime: str = ""
    name: str = ""  # of a file, or the title of a document
    detail: str = ""  # how closely an image should be looked at
    context: str = ""  # what a document is about
    is_cited: bool = False  # answers should say what in it they rest on


class SearchResult(Block, gc=False):
    """Something found, to be cited."""

    source: str
    title: str
    blocks: "list[Text]" = []
    is_cited: bool = False


class Code(Block, gc=False):
    """Code that a model wrote and ran."""

    code: str
    language: str = ""
    id: str = ""


class CodeResult(Block, gc=False):
    """What became of it."""

    output: str
    outcome: str = ""  # ok, failed, deadline
    id: str = ""


class Opaque(Block, gc=False):
    """A block that nobody here has a record for; it keeps its place for whoever wrote it."""

    owner: str
    raw: Raw
    label: str = ""  # what a report calls it


AnyBlock = Text | Thinking | ToolUse | ToolResult | Json | Media | SearchResult | Code | CodeResult | Opaque
